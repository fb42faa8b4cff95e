//! One slice's rows become files: input → framed rows → columns → batch → file bytes, with everything observed on the way.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde::Serialize;

use crate::canonical::hash_row;
use crate::column::{ColumnBuffer, to_field};
use crate::csv_file::{CsvFiles, CsvOptions};
use crate::decode::{Decoder, Fields};
use crate::error::{BUILDER, COLUMNS_CHANGED, CoreError, PROTOCOL, Result};
use crate::observe::{ColumnCounts, ObservedColumn, Uniqueness};
use crate::output::Output;
use crate::parquet_file::{ParquetFiles, ParquetOptions};
use crate::spec::{Digest, EncoderSpec, FormatSpec, Framing, Logical, to_limit};
use crate::wire::frames::{Framer, Frames, Input, NULL, RowShape, Stop};
use crate::wire::mysql::{BareRows, MysqlPackets};
use crate::wire::pg::PgMessages;

/// Wire bytes of a batch: small enough to stay in the processor's cache, large enough to encode in long loops.
const BATCH_BYTES: usize = 1024 * 1024;
const BATCH_BYTES_MIN: usize = 32 * 1024;
const BATCH_ROWS_MAX: usize = 64 * 1024;
/// Input memory above this is given back when it is empty.
const INPUT_BYTES_KEPT: usize = 4 * 1024 * 1024;
const INPUT_BYTES_MAX: usize = 2 * 1024 * 1024 * 1024 - 1;

const EXPORTED_AT: &str = "_rivet_exported_at";
const ROW_HASH: &str = "_rivet_row_hash";

enum Files {
    Parquet(ParquetFiles),
    Csv(CsvFiles),
    /// Rows are only observed; the flag is set while there are some that no part tells of.
    Nothing(bool),
}

impl Files {
    fn is_open(&self) -> bool {
        match self {
            Files::Parquet(files) => files.is_open(),
            Files::Csv(files) => files.is_open(),
            Files::Nothing(is_open) => *is_open,
        }
    }

    fn write(&mut self, columns: &[ArrayRef], rows: usize, raw_bytes: usize) -> Result<()> {
        match self {
            Files::Parquet(files) => files.write(columns, rows, raw_bytes),
            Files::Csv(files) => files.write(columns, rows),
            Files::Nothing(is_open) => {
                *is_open = true;
                Ok(())
            }
        }
    }

    fn file_bytes_estimated(&self) -> u64 {
        match self {
            Files::Parquet(files) => files.file_bytes_estimated(),
            Files::Csv(files) => files.file_bytes_estimated(),
            Files::Nothing(_) => 0,
        }
    }

    fn close_file(&mut self) -> Result<()> {
        match self {
            Files::Parquet(files) => files.close_file(),
            Files::Csv(files) => files.close_file(),
            Files::Nothing(is_open) => {
                *is_open = false;
                Ok(())
            }
        }
    }
}

struct Column {
    name: String,
    logical: Logical,
    hidden: bool,
    with_min_max: bool,
    decoder: Decoder,
    buffer: ColumnBuffer,
    part: ColumnCounts,
    slice: ColumnCounts,
}

struct Edge {
    column: usize,
    /// Rows exported already, by hash, and how many of each are still to be met.
    known: HashMap<u128, u64>,
    /// Rows inside the next run's overlap.
    next: BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct PartReport {
    rows: u64,
    bytes: u64,
    xxh3: String,
    md5: Option<String>,
    crc32c: Option<String>,
    columns: Vec<ObservedColumn>,
}

#[derive(Serialize)]
struct UniqueReport<'a> {
    column: &'a str,
    duplicates: u64,
    complete: bool,
}

#[derive(Serialize)]
struct SliceReport<'a> {
    rows: u64,
    skipped: u64,
    columns: Vec<ObservedColumn>,
    edge: &'a BTreeMap<String, u64>,
    unique: Vec<UniqueReport<'a>>,
}

pub struct Encoder {
    shape: RowShape,
    framer: Box<dyn Framer>,
    frames: Frames,
    columns: Vec<Column>,
    /// Indices of the row hash's columns.
    row_hash: Option<Vec<usize>>,
    edge: Option<Edge>,
    unique: Vec<Uniqueness>,
    exported_at_us: Option<i64>,
    files: Files,
    output: Output,
    control: VecDeque<Vec<u8>>,
    file_bytes_max: u64,
    batch_bytes_max: usize,

    input: Vec<u8>,
    /// What was decoded, and what was filled.
    consumed: usize,
    filled: usize,
    /// Bytes that the incomplete message at the end needs in all.
    needed: usize,

    batch_rows: usize,
    batch_bytes: usize,
    part_rows: u64,
    slice_rows: u64,
    skipped: u64,
    is_finished: bool,
}

impl Encoder {
    pub fn new(spec: EncoderSpec) -> Result<Self> {
        let mut columns = Vec::with_capacity(spec.columns.len());
        for column in &spec.columns {
            let logical = Logical::parse(&column.logical).map_err(|error| error.at_column(&column.name))?;
            columns.push(Column {
                name: column.name.clone(),
                decoder: Decoder::new(column, &logical)?,
                buffer: ColumnBuffer::new(&logical),
                hidden: column.hidden,
                with_min_max: spec.min_max.contains(&column.name),
                part: ColumnCounts::default(),
                slice: ColumnCounts::default(),
                logical,
            });
        }
        if columns.is_empty() {
            return Err(CoreError::new(BUILDER, "An encoder needs at least one column"));
        }
        let output = Output::new(spec.digests.as_deref().unwrap_or(&[Digest::Md5, Digest::Crc32c]));
        let file_bytes_max = to_limit(spec.max_file_bytes).filter(|bytes| *bytes > 0).unwrap_or(usize::MAX);
        let (files, batch_bytes) = open_files(&spec, &columns, file_bytes_max, &output)?;
        let row_hash = spec.row_hash.as_ref().map(|names| find_columns(&columns, names)).transpose()?;
        let unique = spec.unique.iter().map(|unique| {
            let entries_max = to_limit(unique.max_entries).unwrap_or(usize::MAX);
            Ok(Uniqueness::new(find_column(&columns, &unique.column)?, entries_max))
        });
        Ok(Encoder {
            shape: RowShape {
                names: columns.iter().map(|column| column.name.clone()).collect(),
                value_bytes_max: to_limit(spec.max_value_bytes).unwrap_or(usize::MAX),
            },
            framer: match spec.framing {
                Framing::PgMessages => Box::new(PgMessages),
                Framing::MysqlPackets => Box::new(MysqlPackets::default()),
                Framing::Rows => Box::new(BareRows),
            },
            frames: Frames::new(columns.len()),
            row_hash,
            edge: open_edge(&spec, &columns)?,
            unique: unique.collect::<Result<_>>()?,
            exported_at_us: spec.exported_at_us.map(|us| us as i64),
            files,
            output,
            control: VecDeque::new(),
            file_bytes_max: file_bytes_max as u64,
            batch_bytes_max: batch_bytes,
            columns,
            input: Vec::new(),
            consumed: 0,
            filled: 0,
            needed: 0,
            batch_rows: 0,
            batch_bytes: 0,
            part_rows: 0,
            slice_rows: 0,
            skipped: 0,
            is_finished: false,
        })
    }

    /// A place for `bytes` more bytes of input. It is valid until the next call.
    pub fn room(&mut self, bytes: usize) -> Result<&mut [u8]> {
        if self.consumed > 0 {
            self.input.copy_within(self.consumed..self.filled, 0);
            self.filled -= self.consumed;
            self.consumed = 0;
        }
        let wanted = self.filled + bytes;
        if wanted > INPUT_BYTES_MAX {
            return Err(CoreError::new(PROTOCOL, format!("A message needs more than {wanted} bytes of input")));
        }
        if self.filled == 0 && self.input.len() > INPUT_BYTES_KEPT.max(wanted) {
            self.input = Vec::new();
        }
        if self.input.len() < wanted {
            // Grows with what has really arrived, and at once to the size of the message when that is near.
            let near = self.needed.min(self.filled.saturating_mul(2)).saturating_add(bytes);
            let length = wanted.max(near).min(INPUT_BYTES_MAX);
            self.input.reserve_exact(length - self.input.len());
            self.input.resize(length, 0);
        }
        let (from, to) = (self.filled, self.filled + bytes);
        Ok(self.input.get_mut(from..to).unwrap_or_default())
    }

    /// `bytes` of the room were filled: decodes all complete rows. After an error nothing more is taken.
    pub fn wrote(&mut self, bytes: usize) -> Result<()> {
        if self.is_finished {
            return Err(CoreError::new(PROTOCOL, "Input after the end of the slice, or after an error"));
        }
        self.is_finished = true;
        self.decode_input(bytes)?;
        self.is_finished = false;
        Ok(())
    }

    fn decode_input(&mut self, bytes: usize) -> Result<()> {
        self.filled += bytes;
        if self.filled > self.input.len() {
            return Err(CoreError::new(BUILDER, "More bytes were written than there was room for"));
        }
        loop {
            let mut input =
                Input { bytes: self.input.get_mut(..self.filled).unwrap_or_default(), position: self.consumed };
            let stop = self.framer.frame(&mut input, &self.shape, &mut self.frames, &mut self.control)?;
            let framed_bytes = input.position - self.consumed;
            self.consumed = input.position;
            self.decode(framed_bytes)?;
            match stop {
                Stop::Full => {}
                Stop::Incomplete(needed) => {
                    self.needed = needed;
                    return Ok(());
                }
            }
        }
    }

    pub fn take_control(&mut self) -> Option<Vec<u8>> {
        self.control.pop_front()
    }

    pub fn take_output(&mut self) -> Option<Vec<u8>> {
        self.output.take_piece()
    }

    pub fn take_part(&mut self) -> Option<String> {
        self.output.take_part()
    }

    /// Ends the last file and tells what was seen, as JSON.
    pub fn finish(&mut self, empty_file: bool) -> Result<String> {
        if self.is_finished {
            return Err(CoreError::new(PROTOCOL, "The slice was finished already, or failed"));
        }
        self.is_finished = true;
        if self.filled > self.consumed {
            let left = self.filled - self.consumed;
            return Err(CoreError::new(PROTOCOL, format!("The input ends inside a message, {left} bytes are left")));
        }
        self.flush()?;
        if self.files.is_open() || (empty_file && self.slice_rows == 0) {
            self.close_part()?;
        }
        let nothing = BTreeMap::new();
        to_json(&SliceReport {
            rows: self.slice_rows,
            skipped: self.skipped,
            columns: self.columns.iter().map(|column| column.slice.report(&column.name, &column.logical)).collect(),
            edge: self.edge.as_ref().map_or(&nothing, |edge| &edge.next),
            unique: self.unique.iter().map(|unique| self.report_unique(unique)).collect(),
        })
    }

    fn report_unique(&self, unique: &Uniqueness) -> UniqueReport<'_> {
        let name = self.columns.get(unique.column).map_or("", |column| &column.name);
        UniqueReport { column: name, duplicates: unique.duplicates, complete: unique.complete }
    }

    /// Decodes the framed rows into the columns.
    fn decode(&mut self, framed_bytes: usize) -> Result<()> {
        if self.frames.rows == 0 {
            return Ok(());
        }
        self.leave_out_known()?;
        let rows = self.frames.rows;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let (starts, lengths) = self.frames.column(index);
            let longest = lengths.iter().copied().max().unwrap_or(0).max(0) as u64;
            column.part.longest = column.part.longest.max(longest);
            column.decoder.decode(Fields { bytes: &self.input, starts, lengths }, &mut column.buffer)?;
            column.part.zero_dates += column.decoder.take_zero_dates();
        }
        self.frames.clear();
        self.batch_rows += rows;
        self.batch_bytes += framed_bytes;
        if self.batch_bytes >= self.batch_bytes_max || self.batch_rows >= BATCH_ROWS_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Hashes the rows at the edges of the window; drops those that were exported already from the framed rows.
    fn leave_out_known(&mut self) -> Result<()> {
        let Some(edge) = &mut self.edge else { return Ok(()) };
        let (starts, lengths) = self.frames.column(edge.column);
        let flags: Vec<u8> = starts
            .iter()
            .zip(lengths)
            .map(|(start, length)| read_flags(&self.input, *start as usize, *length))
            .collect();
        let wanted: Vec<bool> = flags.iter().map(|flags| *flags != 0).collect();
        if !wanted.contains(&true) {
            return Ok(());
        }
        let mut arrays = Vec::new();
        for (index, column) in self.columns.iter_mut().enumerate().filter(|(_, column)| !column.hidden) {
            let (starts, lengths) = self.frames.column(index);
            let pick = |row: &usize| wanted.get(*row) == Some(&true);
            let rows: Vec<usize> = (0..self.frames.rows).filter(pick).collect();
            let starts: Vec<u32> = rows.iter().map(|row| starts[*row]).collect();
            let lengths: Vec<i32> = rows.iter().map(|row| lengths[*row]).collect();
            let mut scratch = ColumnBuffer::new(&column.logical);
            column.decoder.decode(Fields { bytes: &self.input, starts: &starts, lengths: &lengths }, &mut scratch)?;
            // These rows are decoded again with all others, and counted then.
            column.decoder.take_zero_dates();
            arrays.push((index, scratch.take(&column.name)?));
        }
        let columns: Vec<(&Logical, &ArrayRef)> =
            arrays.iter().map(|(index, array)| (&self.columns[*index].logical, array)).collect();
        let mut keep = vec![true; self.frames.rows];
        let mut scratch = Vec::new();
        let flagged = flags.iter().enumerate().filter(|(_, flags)| **flags != 0);
        for (at, (row, flags)) in flagged.enumerate() {
            let hash = hash_row(&columns, at, &mut scratch);
            if flags & 1 != 0
                && let Some(left) = edge.known.get_mut(&hash)
                && *left > 0
            {
                *left -= 1;
                keep[row] = false;
                self.skipped += 1;
            }
            if flags & 2 != 0 {
                *edge.next.entry(format!("{hash:032x}")).or_insert(0) += 1;
            }
        }
        self.frames.retain(&keep);
        Ok(())
    }

    /// Encodes the decoded rows as one batch and closes the file when it is large enough.
    fn flush(&mut self) -> Result<()> {
        let rows = self.batch_rows;
        if rows == 0 {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let array = column.buffer.take(&column.name)?;
            column.part.observe(&column.logical, &array, column.with_min_max);
            arrays.push(array);
        }
        for unique in &mut self.unique {
            unique.observe(&self.columns[unique.column].logical, &arrays[unique.column]);
        }
        let mut written: Vec<ArrayRef> = Vec::with_capacity(arrays.len() + 2);
        written.extend(arrays.iter().zip(&self.columns).filter(|(_, c)| !c.hidden).map(|(array, _)| array.clone()));
        if let Some(us) = self.exported_at_us {
            let values = PrimitiveArray::<TimestampMicrosecondType>::from_value(us, rows);
            written.push(Arc::new(values.with_timezone("UTC")));
        }
        if let Some(indices) = &self.row_hash {
            let columns: Vec<(&Logical, &ArrayRef)> =
                indices.iter().map(|index| (&self.columns[*index].logical, &arrays[*index])).collect();
            let mut scratch = Vec::new();
            let hashes = (0..rows).map(|row| hash_row(&columns, row, &mut scratch) as i64);
            written.push(Arc::new(PrimitiveArray::<Int64Type>::from_iter_values(hashes)));
        }
        self.part_rows += rows as u64;
        let raw_bytes = self.batch_bytes;
        self.batch_rows = 0;
        self.batch_bytes = 0;
        self.files.write(&written, rows, raw_bytes)?;
        if self.files.file_bytes_estimated() >= self.file_bytes_max {
            self.close_part()?;
        }
        Ok(())
    }

    fn close_part(&mut self) -> Result<()> {
        self.files.close_file()?;
        let digests = self.output.finish_digests();
        let written = self.columns.iter().filter(|column| !column.hidden);
        let report = PartReport {
            rows: self.part_rows,
            bytes: digests.bytes,
            xxh3: format!("{:016x}", digests.xxh3),
            md5: digests.md5.map(|md5| to_base64(&md5)),
            crc32c: digests.crc32c.map(|crc| crc.to_string()),
            columns: written.map(|column| column.part.report(&column.name, &column.logical)).collect(),
        };
        self.output.push_part(to_json(&report)?);
        self.slice_rows += self.part_rows;
        self.part_rows = 0;
        for column in &mut self.columns {
            let part = std::mem::take(&mut column.part);
            column.slice.add(&column.logical, &part);
        }
        Ok(())
    }
}

fn open_files(
    spec: &EncoderSpec,
    columns: &[Column],
    file_bytes_max: usize,
    output: &Output,
) -> Result<(Files, usize)> {
    let mut fields: Vec<Field> = Vec::new();
    let mut logicals: Vec<Logical> = Vec::new();
    for (column, spec) in columns.iter().zip(&spec.columns).filter(|(column, _)| !column.hidden) {
        fields.push(to_field(spec, &column.logical));
        logicals.push(column.logical.clone());
    }
    if spec.exported_at_us.is_some() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.push(Field::new(EXPORTED_AT, utc, false));
        logicals.push(Logical::Timestamp { unit: crate::spec::Unit::Us, utc: true });
    }
    if spec.row_hash.is_some() {
        fields.push(Field::new(ROW_HASH, DataType::Int64, false));
        logicals.push(Logical::Int64);
    }
    let batch_bytes = (file_bytes_max / 4).clamp(BATCH_BYTES_MIN, BATCH_BYTES);
    Ok(match &spec.format {
        FormatSpec::Parquet { codec, level, row_group_bytes, row_group_rows } => {
            let row_group_bytes = (to_limit(Some(*row_group_bytes)).unwrap_or(usize::MAX)).min(file_bytes_max).max(1);
            let options = ParquetOptions {
                codec: *codec,
                level: *level,
                row_group_bytes,
                row_group_rows: to_limit(*row_group_rows).filter(|rows| *rows > 0).unwrap_or(usize::MAX),
                created_by: spec.created_by.clone(),
            };
            let files = ParquetFiles::new(options, Arc::new(Schema::new(fields)), output.clone())?;
            (Files::Parquet(files), batch_bytes.min(row_group_bytes.max(BATCH_BYTES_MIN)))
        }
        FormatSpec::Csv { codec, level, delimiter, header, null } => {
            let options = CsvOptions::new(*codec, *level, delimiter.as_deref(), *header, null.clone())?;
            let names = fields.iter().map(|field| field.name().clone()).collect();
            (Files::Csv(CsvFiles::new(options, names, logicals, output.clone())), batch_bytes)
        }
        FormatSpec::None => (Files::Nothing(false), batch_bytes),
    })
}

fn open_edge(spec: &EncoderSpec, columns: &[Column]) -> Result<Option<Edge>> {
    let Some(edge) = &spec.edge else { return Ok(None) };
    let mut known = HashMap::with_capacity(edge.known.len());
    for (text, count) in &edge.known {
        let hash = u128::from_str_radix(text, 16)
            .map_err(|_| CoreError::new(BUILDER, format!("'{text}' is not the hash of a row")))?;
        known.insert(hash, *count);
    }
    Ok(Some(Edge { column: find_column(columns, &edge.column)?, known, next: BTreeMap::new() }))
}

fn find_column(columns: &[Column], name: &str) -> Result<usize> {
    columns.iter().position(|column| column.name == name).ok_or_else(|| {
        CoreError::new(COLUMNS_CHANGED, format!("Column '{name}' is not among the columns that are read"))
            .at_column(name)
    })
}

fn find_columns(columns: &[Column], names: &[String]) -> Result<Vec<usize>> {
    names.iter().map(|name| find_column(columns, name)).collect()
}

/// The flags of a row's edges: the last byte of a binary integer, or the digit of a text.
fn read_flags(input: &[u8], start: usize, length: i32) -> u8 {
    if length == NULL || length <= 0 {
        return 0;
    }
    let last = input.get(start + length as usize - 1).copied().unwrap_or(0);
    if last.is_ascii_digit() { last - b'0' } else { last & 3 }
}

fn to_json<T: Serialize>(report: &T) -> Result<String> {
    serde_json::to_string(report)
        .map_err(|error| CoreError::new(BUILDER, format!("Observations cannot be told: {error}")))
}

fn to_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { digit as char } else { '=' });
        }
    }
    text
}
