//! Reads a finished Parquet file back, one column chunk at a time: rows and per-column checksums, recomputed from its values.
//! It never asks for more than one chunk, and holds no more, unless the rows' keys are asked for: then one row group.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader};
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::reader::{ChunkReader, Length};
use serde::Serialize;

use crate::column::to_arrow;
use crate::csv_file::CsvOptions;
use crate::error::{CoreError, Result, UNREADABLE_FILE};
use crate::key_lines::KeyLines;
use crate::observe::{ColumnCounts, ObservedColumn};
use crate::read_csv::CsvReader;
use crate::spec::{ColumnSpec, FormatSpec, Logical};

const TAIL_BYTES: u64 = 64 * 1024;
const FOOTER_BYTES: usize = 8;
const BATCH_BYTES: usize = 1024 * 1024;
const BATCH_ROWS_MAX: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Need {
    pub offset: u64,
    pub length: u64,
}

#[derive(Serialize)]
pub struct Report {
    pub rows: u64,
    pub columns: Vec<ObservedColumn>,
    /// Columns in which some text stands for several values, so that equal values may have other checksums.
    pub ambiguous: Vec<String>,
}

/// A reader of either format.
pub enum Reader {
    Parquet(Box<FileReader>),
    Csv(Box<CsvReader>),
}

impl Reader {
    pub fn new(
        file_bytes: u64,
        specs: &[ColumnSpec],
        keys: Option<&[String]>,
        format: Option<FormatSpec>,
    ) -> Result<Self> {
        Ok(match format {
            None | Some(FormatSpec::Parquet { .. } | FormatSpec::None) => {
                Reader::Parquet(Box::new(FileReader::new(file_bytes, specs, keys)?))
            }
            Some(FormatSpec::Csv { codec, level, delimiter, header, null }) => {
                let options = CsvOptions::new(codec, level, delimiter.as_deref(), header, null)?;
                Reader::Csv(Box::new(CsvReader::new(file_bytes, specs, keys, options)?))
            }
        })
    }

    /// What is still missing of the range that is wanted; None when all was read.
    pub fn need(&self) -> Option<Need> {
        match self {
            Reader::Parquet(reader) => reader.need(),
            Reader::Csv(reader) => reader.need(),
        }
    }

    /// The bytes at the offset that was needed, all of them or the first of them.
    pub fn give(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Reader::Parquet(reader) => reader.give(bytes),
            Reader::Csv(reader) => reader.give(bytes),
        }
    }

    /// The lines of the rows read since the last call; None when there are none.
    pub fn take_rows(&mut self) -> Option<Vec<u8>> {
        match self {
            Reader::Parquet(reader) => reader.take_rows(),
            Reader::Csv(reader) => reader.take_rows(),
        }
    }

    /// What was seen, as JSON.
    pub fn finish(&mut self) -> Result<String> {
        match self {
            Reader::Parquet(reader) => reader.finish(),
            Reader::Csv(reader) => reader.finish(),
        }
    }
}

struct Column {
    name: String,
    logical: Logical,
    leaf: usize,
    counts: ColumnCounts,
    rows: u64,
}

enum State {
    Tail,
    Metadata,
    Chunk { group: usize, column: usize },
    Done,
}

pub struct FileReader {
    file_bytes: u64,
    columns: Vec<Column>,
    key_lines: Option<KeyLines>,
    /// The column chunks of the row group that is being read, where whole rows are wanted.
    chunks: Vec<(u64, Bytes)>,
    metadata: Option<ArrowReaderMetadata>,
    state: State,
    range: Need,
    given: Vec<u8>,
}

fn unreadable(message: impl std::fmt::Display) -> CoreError {
    CoreError::new(UNREADABLE_FILE, format!("The Parquet file cannot be read back: {message}"))
}

impl FileReader {
    pub fn new(file_bytes: u64, specs: &[ColumnSpec], keys: Option<&[String]>) -> Result<Self> {
        if file_bytes < 12 {
            return Err(unreadable(format!("{file_bytes} bytes are too few")));
        }
        let mut columns = Vec::new();
        for spec in specs.iter().filter(|spec| !spec.hidden) {
            let logical = Logical::parse(&spec.logical)?;
            columns.push(Column {
                name: spec.name.clone(),
                logical,
                leaf: 0,
                counts: ColumnCounts::default(),
                rows: 0,
            });
        }
        let length = TAIL_BYTES.min(file_bytes);
        let range = Need { offset: file_bytes - length, length };
        let names = columns.iter().map(|column| column.name.as_str());
        let key_lines = keys.map(|keys| KeyLines::new(keys, names)).transpose()?;
        Ok(FileReader {
            file_bytes,
            columns,
            key_lines,
            chunks: Vec::new(),
            metadata: None,
            state: State::Tail,
            range,
            given: Vec::new(),
        })
    }

    /// The lines of the rows read since the last call; None when there are none.
    pub fn take_rows(&mut self) -> Option<Vec<u8>> {
        self.key_lines.as_mut()?.take()
    }

    /// What is still missing of the range that is wanted; None when all was read.
    pub fn need(&self) -> Option<Need> {
        let have = self.given.len() as u64;
        match self.state {
            State::Done => None,
            _ => Some(Need { offset: self.range.offset + have, length: self.range.length - have }),
        }
    }

    /// The bytes at the offset that was needed, all of them or the first of them.
    pub fn give(&mut self, bytes: &[u8]) -> Result<()> {
        let missing = self.range.length - self.given.len() as u64;
        if bytes.len() as u64 > missing {
            return Err(unreadable("more bytes were given than asked for"));
        }
        self.given.extend_from_slice(bytes);
        if (self.given.len() as u64) < self.range.length {
            return Ok(());
        }
        let given = std::mem::take(&mut self.given);
        match self.state {
            State::Tail => self.read_tail(&given),
            State::Metadata => self.read_metadata(&given),
            State::Chunk { group, column } => self.read_chunk(group, column, Bytes::from(given)),
            State::Done => Ok(()),
        }
    }

    pub fn finish(&self) -> Result<String> {
        let metadata = match (&self.state, &self.metadata) {
            (State::Done, Some(metadata)) => metadata.metadata(),
            _ => return Err(unreadable("it was not read to its end")),
        };
        let rows = metadata.file_metadata().num_rows() as u64;
        if let Some(column) = self.columns.iter().find(|column| column.rows != rows) {
            let message = format!("column '{}' has {} values for {rows} rows", column.name, column.rows);
            return Err(unreadable(message).at_column(&column.name));
        }
        let columns = self.columns.iter().map(|column| column.counts.report(&column.name, &column.logical)).collect();
        serde_json::to_string(&Report { rows, columns, ambiguous: Vec::new() }).map_err(unreadable)
    }

    fn read_tail(&mut self, tail: &[u8]) -> Result<()> {
        let Some((_, footer)) = tail.split_last_chunk::<FOOTER_BYTES>() else {
            return Err(unreadable("no footer"));
        };
        if &footer[4..] != b"PAR1" {
            return Err(unreadable("it does not end as a Parquet file does"));
        }
        let length = u32::from_le_bytes([footer[0], footer[1], footer[2], footer[3]]) as usize;
        let with_footer = length + FOOTER_BYTES;
        if with_footer as u64 > self.file_bytes {
            return Err(unreadable("its footer is larger than the file"));
        }
        if let Some(start) = tail.len().checked_sub(with_footer) {
            return self.read_metadata(&tail[start..tail.len() - FOOTER_BYTES]);
        }
        self.state = State::Metadata;
        self.range = Need { offset: self.file_bytes - with_footer as u64, length: length as u64 };
        Ok(())
    }

    fn read_metadata(&mut self, bytes: &[u8]) -> Result<()> {
        let metadata = ParquetMetaDataReader::decode_metadata(bytes).map_err(unreadable)?;
        let metadata =
            ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()).map_err(unreadable)?;
        let descriptor = metadata.parquet_schema();
        for column in &mut self.columns {
            let Ok(field) = metadata.schema().field_with_name(&column.name) else {
                return Err(unreadable(format!("column '{}' is not in it", column.name)).at_column(&column.name));
            };
            let expected = to_arrow(&column.logical);
            if !field.data_type().equals_datatype(&expected) {
                let message = format!("column '{}' is {} instead of {expected}", column.name, field.data_type());
                return Err(unreadable(message).at_column(&column.name));
            }
            let named = |leaf: &usize| descriptor.get_column_root(*leaf).name() == column.name;
            column.leaf =
                (0..descriptor.num_columns()).find(named).ok_or_else(|| unreadable("a column has no values"))?;
        }
        self.metadata = Some(metadata);
        self.want_chunk(0, 0)
    }

    fn want_chunk(&mut self, mut group: usize, mut column: usize) -> Result<()> {
        let Some(metadata) = &self.metadata else {
            return Err(unreadable("no metadata"));
        };
        if column == self.columns.len() {
            column = 0;
            group += 1;
        }
        let groups = metadata.metadata().row_groups();
        let (Some(row_group), Some(wanted)) = (groups.get(group), self.columns.get(column)) else {
            self.state = State::Done;
            return Ok(());
        };
        let (offset, length) = row_group.column(wanted.leaf).byte_range();
        if offset.checked_add(length).is_none_or(|end| end > self.file_bytes) {
            return Err(unreadable("a column lies outside the file").at_column(&wanted.name));
        }
        self.state = State::Chunk { group, column };
        self.range = Need { offset, length };
        Ok(())
    }

    fn read_chunk(&mut self, group: usize, index: usize, bytes: Bytes) -> Result<()> {
        if self.key_lines.is_some() {
            self.chunks.push((self.range.offset, bytes));
            if index + 1 == self.columns.len() {
                self.read_group(group)?;
            }
            return self.want_chunk(group, index + 1);
        }
        let (Some(metadata), Some(column)) = (&self.metadata, self.columns.get_mut(index)) else {
            return Err(unreadable("no metadata"));
        };
        let chunk = metadata.metadata().row_group(group).column(column.leaf);
        let rows = metadata.metadata().row_group(group).num_rows().max(1) as usize;
        let row_bytes = (chunk.uncompressed_size().max(1) as usize / rows).max(1);
        let pieces = Pieces { file_bytes: self.file_bytes, chunks: Arc::new(vec![(self.range.offset, bytes)]) };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(pieces, metadata.clone())
            .with_projection(ProjectionMask::leaves(metadata.parquet_schema(), [column.leaf]))
            .with_row_groups(vec![group])
            .with_batch_size((BATCH_BYTES / row_bytes).clamp(16, BATCH_ROWS_MAX))
            .build()
            .map_err(unreadable)?;
        debug_assert_eq!(reader.schema().fields().len(), 1);
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(error).at_column(&column.name))?;
            let Some(array) = batch.columns().first() else {
                return Err(unreadable("a batch without columns"));
            };
            column.rows += batch.num_rows() as u64;
            column.counts.observe(&column.logical, array, false);
        }
        self.want_chunk(group, index + 1)
    }

    /// All columns of a row group together: checksums, and a line for each row.
    fn read_group(&mut self, group: usize) -> Result<()> {
        let (Some(metadata), Some(key_lines)) = (&self.metadata, &mut self.key_lines) else {
            return Err(unreadable("no metadata"));
        };
        let row_group = metadata.metadata().row_group(group);
        let row_bytes = (row_group.total_byte_size().max(1) / row_group.num_rows().max(1)).max(1) as usize;
        let chunks = Arc::new(std::mem::take(&mut self.chunks));
        let pieces = Pieces { file_bytes: self.file_bytes, chunks };
        let leaves = self.columns.iter().map(|column| column.leaf);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(pieces, metadata.clone())
            .with_projection(ProjectionMask::leaves(metadata.parquet_schema(), leaves))
            .with_row_groups(vec![group])
            .with_batch_size((BATCH_BYTES / row_bytes).clamp(16, BATCH_ROWS_MAX))
            .build()
            .map_err(unreadable)?;
        for batch in reader {
            let batch = batch.map_err(unreadable)?;
            let arrays = pick_columns(&batch, &self.columns)?;
            for (column, array) in self.columns.iter_mut().zip(&arrays) {
                column.rows += batch.num_rows() as u64;
                column.counts.observe(&column.logical, array, false);
            }
            let values: Vec<_> = self.columns.iter().map(|column| &column.logical).zip(&arrays).collect();
            key_lines.push(&values, batch.num_rows());
        }
        Ok(())
    }
}

fn pick_columns(batch: &RecordBatch, columns: &[Column]) -> Result<Vec<ArrayRef>> {
    let pick = |column: &Column| batch.column_by_name(&column.name).cloned();
    columns.iter().map(|column| pick(column).ok_or_else(|| unreadable("a batch lacks a column"))).collect()
}

/// Column chunks, each at its place in the file.
struct Pieces {
    file_bytes: u64,
    chunks: Arc<Vec<(u64, Bytes)>>,
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl Pieces {
    fn slice(&self, start: u64, length: Option<usize>) -> parquet::errors::Result<Bytes> {
        let within = self.chunks.iter().find_map(|(offset, bytes)| {
            let from = start.checked_sub(*offset).map(|from| from as usize)?;
            let to = length.map_or(Some(bytes.len()), |length| from.checked_add(length))?;
            // A page begins inside its chunk; what begins at its end belongs to the next one.
            (from < bytes.len().max(1) && to <= bytes.len()).then(|| bytes.slice(from..to))
        });
        within.ok_or_else(|| parquet::errors::ParquetError::EOF("a page lies outside its column".into()))
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.slice(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.slice(start, Some(length))
    }
}
