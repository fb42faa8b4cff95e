//! Reads a finished CSV file back, block by block: rows and per-column checksums, recomputed from its text.
//! It is the inverse of `csv_file.rs` and accepts no other dialect.

use std::io::Write;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use flate2::write::GzDecoder;
use zstd_safe::{DCtx, InBuffer, OutBuffer};

use crate::column::ColumnBuffer;
use crate::csv_file::CsvOptions;
use crate::csv_values::Values;
use crate::decode::Fields;
use crate::error::{CoreError, Result, UNREADABLE_FILE};
use crate::key_lines::KeyLines;
use crate::observe::ColumnCounts;
use crate::read::{Need, Report};
use crate::spec::{Codec, ColumnSpec, Logical};

/// Text gathered before its rows are decoded.
const BLOCK_BYTES: usize = 256 * 1024;
const OUT_BYTES: usize = 128 * 1024;
/// Bytes given to the gzip decoder at once: they may become a thousand times as many.
const GZIP_BYTES: usize = 4 * 1024;
/// `_rivet_exported_at` and `_rivet_row_hash`, which are not observed.
const META_COLUMNS_MAX: usize = 2;

fn unreadable(message: impl std::fmt::Display) -> CoreError {
    CoreError::new(UNREADABLE_FILE, format!("The CSV file cannot be read back: {message}"))
}

enum Stream {
    Plain,
    Gzip(GzDecoder<Vec<u8>>),
    /// With what the decoder last said it still needs: zero at the end of a frame.
    Zstd(DCtx<'static>, usize),
}

struct Column {
    name: String,
    logical: Logical,
    /// Its place in a row.
    at: usize,
    values: Values,
    buffer: ColumnBuffer,
    starts: Vec<u32>,
    lengths: Vec<i32>,
    counts: ColumnCounts,
    /// Some value's text stands for several values, so that the checksum may differ.
    is_ambiguous: bool,
}

pub struct CsvReader {
    file_bytes: u64,
    given_bytes: u64,
    stream: Stream,
    delimiter: u8,
    null: Vec<u8>,
    is_header_due: bool,
    /// Fields in each row; known from the first one on.
    fields: Option<usize>,
    columns: Vec<Column>,
    key_lines: Option<KeyLines>,
    /// The column at each place of a row.
    places: Vec<Option<usize>>,
    /// What was decompressed and not yet decoded.
    text: Vec<u8>,
    /// How far `text` was searched for the ends of rows, and whether that place is inside quotes.
    scanned: usize,
    is_quoted: bool,
    row_ends: Vec<usize>,
    rows: u64,
}

impl CsvReader {
    pub fn new(file_bytes: u64, specs: &[ColumnSpec], keys: Option<&[String]>, options: CsvOptions) -> Result<Self> {
        let mut columns = Vec::new();
        for spec in specs.iter().filter(|spec| !spec.hidden) {
            let logical = Logical::parse(&spec.logical)?;
            columns.push(Column {
                name: spec.name.clone(),
                at: columns.len(),
                values: Values::new(&spec.name, &logical)?,
                buffer: ColumnBuffer::new(&logical),
                logical,
                starts: Vec::new(),
                lengths: Vec::new(),
                counts: ColumnCounts::default(),
                is_ambiguous: false,
            });
        }
        let names = columns.iter().map(|column: &Column| column.name.as_str());
        let key_lines = keys.map(|keys| KeyLines::new(keys, names)).transpose()?;
        let stream = match options.codec {
            Codec::Gzip => Stream::Gzip(GzDecoder::new(Vec::new())),
            Codec::Zstd => {
                let context = DCtx::try_create().ok_or_else(|| unreadable("no decompressor"))?;
                Stream::Zstd(context, 1)
            }
            _ => Stream::Plain,
        };
        Ok(CsvReader {
            file_bytes,
            given_bytes: 0,
            stream,
            delimiter: options.delimiter,
            null: options.null.unwrap_or_default().into_bytes(),
            is_header_due: options.header,
            fields: None,
            columns,
            key_lines,
            places: Vec::new(),
            text: Vec::new(),
            scanned: 0,
            is_quoted: false,
            row_ends: Vec::new(),
            rows: 0,
        })
    }

    /// The lines of the rows read since the last call; None when there are none.
    pub fn take_rows(&mut self) -> Option<Vec<u8>> {
        self.key_lines.as_mut()?.take()
    }

    pub fn need(&self) -> Option<Need> {
        let length = self.file_bytes - self.given_bytes;
        (length > 0).then_some(Need { offset: self.given_bytes, length })
    }

    pub fn give(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > self.file_bytes - self.given_bytes {
            return Err(unreadable("more bytes were given than asked for"));
        }
        self.given_bytes += bytes.len() as u64;
        if matches!(self.stream, Stream::Plain) {
            self.text.extend_from_slice(bytes);
            return self.decode(BLOCK_BYTES);
        }
        for piece in bytes.chunks(GZIP_BYTES) {
            self.decompress(piece)?;
        }
        Ok(())
    }

    pub fn finish(&mut self) -> Result<String> {
        if self.given_bytes != self.file_bytes {
            return Err(unreadable("it was not read to its end"));
        }
        match &mut self.stream {
            Stream::Gzip(decoder) => {
                decoder.try_finish().map_err(unreadable)?;
                self.text.append(decoder.get_mut());
            }
            Stream::Zstd(_, needed) if *needed > 0 => return Err(unreadable("the compressed stream is cut off")),
            _ => {}
        }
        self.decode(0)?;
        if !self.text.is_empty() {
            return Err(unreadable("it ends inside a row"));
        }
        if self.is_header_due {
            return Err(unreadable("it has no header"));
        }
        let columns = self.columns.iter().map(|column| column.counts.report(&column.name, &column.logical)).collect();
        let ambiguous = self.columns.iter().filter(|column| column.is_ambiguous).map(|c| c.name.clone()).collect();
        serde_json::to_string(&Report { rows: self.rows, columns, ambiguous }).map_err(unreadable)
    }

    fn decompress(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.stream {
            Stream::Gzip(decoder) => {
                decoder.write_all(bytes).map_err(unreadable)?;
                self.text.append(decoder.get_mut());
                self.decode(BLOCK_BYTES)
            }
            Stream::Zstd(..) => {
                let mut input = InBuffer::around(bytes);
                loop {
                    let mut piece = Vec::with_capacity(OUT_BYTES);
                    let Stream::Zstd(context, needed) = &mut self.stream else { return Ok(()) };
                    *needed = context
                        .decompress_stream(&mut OutBuffer::around(&mut piece), &mut input)
                        .map_err(|code| unreadable(zstd_safe::get_error_name(code)))?;
                    let is_drained = piece.len() < OUT_BYTES;
                    self.text.extend_from_slice(&piece);
                    self.decode(BLOCK_BYTES)?;
                    if is_drained && input.pos() == bytes.len() {
                        return Ok(());
                    }
                }
            }
            Stream::Plain => Ok(()),
        }
    }

    /// Decodes the complete rows of the text once there are `least` bytes of it.
    fn decode(&mut self, least: usize) -> Result<()> {
        if self.text.len() < least.max(1) {
            return Ok(());
        }
        self.find_rows();
        let mut start = 0;
        for end in std::mem::take(&mut self.row_ends) {
            self.split_row(start, end)?;
            start = end + 1;
        }
        self.observe()?;
        self.text.drain(..start);
        self.scanned -= start;
        Ok(())
    }

    /// Decodes the fields that were found, column by column.
    fn observe(&mut self) -> Result<()> {
        let rows = self.columns.first().map_or(0, |column| column.starts.len());
        if rows == 0 {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            arrays.push(column.observe(&self.text)?);
        }
        if let Some(key_lines) = &mut self.key_lines {
            let values: Vec<_> = self.columns.iter().map(|column| &column.logical).zip(&arrays).collect();
            key_lines.push(&values, rows);
        }
        Ok(())
    }

    /// Line ends outside quotes; a doubled quote leaves and enters the quotes again.
    fn find_rows(&mut self) {
        for (at, byte) in self.text.iter().enumerate().skip(self.scanned) {
            match byte {
                b'"' => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => self.row_ends.push(at),
                _ => {}
            }
        }
        self.scanned = self.text.len();
    }

    fn split_row(&mut self, start: usize, end: usize) -> Result<()> {
        if self.is_header_due {
            return self.read_header(start, end);
        }
        if self.fields.is_none() {
            self.places = (0..self.columns.len()).map(Some).collect();
        }
        let row = self.rows + 1;
        let (columns, places) = (&mut self.columns, &self.places);
        let count = split(&mut self.text, start, end, self.delimiter, |place, from, to, is_quoted, text| {
            let Some(column) = places.get(place).copied().flatten().and_then(|index| columns.get_mut(index)) else {
                return;
            };
            let is_null = !is_quoted && text.get(from..to) == Some(&self.null);
            column.starts.push(from as u32);
            column.lengths.push(if is_null { -1 } else { (to - from) as i32 });
        })
        .ok_or_else(|| unreadable(format!("the quotes of row {row} are wrong")))?;
        let least = self.columns.len();
        let expected = *self.fields.get_or_insert(count);
        let is_plausible = least == 0 || (least..=least + META_COLUMNS_MAX).contains(&count);
        if count != expected || !is_plausible {
            return Err(unreadable(format!("row {row} has {count} fields, expected {}", expected.max(least))));
        }
        self.rows = row;
        Ok(())
    }

    fn read_header(&mut self, start: usize, end: usize) -> Result<()> {
        let mut names = Vec::new();
        split(&mut self.text, start, end, self.delimiter, |_, from, to, _, text| {
            names.push(text.get(from..to).unwrap_or_default().to_vec());
        })
        .ok_or_else(|| unreadable("the quotes of the header are wrong"))?;
        self.places = vec![None; names.len()];
        for (index, column) in self.columns.iter_mut().enumerate() {
            let Some(at) = names.iter().position(|name| name == column.name.as_bytes()) else {
                return Err(
                    unreadable(format!("column '{}' is not in its header", column.name)).at_column(&column.name)
                );
            };
            column.at = at;
            if let Some(place) = self.places.get_mut(at) {
                *place = Some(index);
            }
        }
        self.fields = Some(names.len());
        self.is_header_due = false;
        Ok(())
    }
}

/// Splits a row in place: `take(place, from, to, is_quoted, text)` for each field. None when its quotes are wrong.
fn split(
    text: &mut [u8],
    start: usize,
    end: usize,
    delimiter: u8,
    mut take: impl FnMut(usize, usize, usize, bool, &[u8]),
) -> Option<usize> {
    let mut at = start;
    let mut place = 0;
    loop {
        if at < end && text[at] == b'"' {
            let from = at + 1;
            let (mut read, mut write) = (from, from);
            loop {
                let byte = *text.get(read).filter(|_| read < end)?;
                read += 1;
                if byte == b'"' {
                    if read == end || text[read] != b'"' {
                        break;
                    }
                    read += 1;
                }
                text[write] = byte;
                write += 1;
            }
            take(place, from, write, true, text);
            at = read;
        } else {
            let field = text.get(at..end)?;
            let to = field.iter().position(|byte| *byte == delimiter).map_or(end, |length| at + length);
            if text[at..to].contains(&b'"') {
                return None;
            }
            take(place, at, to, false, text);
            at = to;
        }
        place += 1;
        if at == end {
            return Some(place);
        }
        if text[at] != delimiter {
            return None;
        }
        at += 1;
    }
}

impl Column {
    /// Decodes the fields that were found and forgets them.
    fn observe(&mut self, text: &[u8]) -> Result<ArrayRef> {
        let fields = Fields { bytes: text, starts: &self.starts, lengths: &self.lengths };
        let read = self.values.read(fields, &mut self.buffer).and_then(|()| self.buffer.take(&self.name));
        let array = read.map_err(|error| unreadable(error.message).at_column(&self.name))?;
        self.is_ambiguous |= self.values.met_json_null || holds_nan(&self.logical, &array);
        self.counts.observe(&self.logical, &array, false);
        self.starts.clear();
        self.lengths.clear();
        Ok(array)
    }
}

/// All NaNs are written as one text.
fn holds_nan(logical: &Logical, array: &ArrayRef) -> bool {
    match logical {
        Logical::Float32 => array.as_primitive::<Float32Type>().iter().flatten().any(f32::is_nan),
        Logical::Float64 => array.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan),
        Logical::List(item) => holds_nan(item, array.as_list::<i32>().values()),
        _ => false,
    }
}
