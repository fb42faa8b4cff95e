//! Reads a finished Parquet file back, one column chunk at a time: rows and per-column checksums, recomputed from its values.
//! It never asks for more than one chunk, and holds no more.

use std::sync::Arc;

use arrow_array::RecordBatchReader;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::reader::{ChunkReader, Length};
use serde::Serialize;

use crate::column::to_arrow;
use crate::error::{CoreError, Result, UNREADABLE_FILE};
use crate::observe::{ColumnCounts, ObservedColumn};
use crate::spec::{ColumnSpec, Logical};

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
struct Report {
    rows: u64,
    columns: Vec<ObservedColumn>,
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
    metadata: Option<ArrowReaderMetadata>,
    state: State,
    range: Need,
    given: Vec<u8>,
}

fn unreadable(message: impl std::fmt::Display) -> CoreError {
    CoreError::new(UNREADABLE_FILE, format!("The Parquet file cannot be read back: {message}"))
}

impl FileReader {
    pub fn new(file_bytes: u64, specs: &[ColumnSpec]) -> Result<Self> {
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
        Ok(FileReader { file_bytes, columns, metadata: None, state: State::Tail, range, given: Vec::new() })
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
        serde_json::to_string(&Report { rows, columns }).map_err(unreadable)
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
        let (Some(metadata), Some(column)) = (&self.metadata, self.columns.get_mut(index)) else {
            return Err(unreadable("no metadata"));
        };
        let chunk = metadata.metadata().row_group(group).column(column.leaf);
        let rows = metadata.metadata().row_group(group).num_rows().max(1) as usize;
        let row_bytes = (chunk.uncompressed_size().max(1) as usize / rows).max(1);
        let piece = Piece { file_bytes: self.file_bytes, offset: self.range.offset, bytes };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(piece, metadata.clone())
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
}

/// One column chunk, at its place in the file.
struct Piece {
    file_bytes: u64,
    offset: u64,
    bytes: Bytes,
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl Piece {
    fn slice(&self, start: u64, length: Option<usize>) -> parquet::errors::Result<Bytes> {
        let from = start.checked_sub(self.offset).map(|from| from as usize);
        let slice = from.and_then(|from| {
            let to = length.map_or(Some(self.bytes.len()), |length| from.checked_add(length))?;
            (from <= to && to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
        });
        slice.ok_or_else(|| parquet::errors::ParquetError::EOF("a page lies outside its column".into()))
    }
}

impl ChunkReader for Piece {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.slice(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.slice(start, Some(length))
    }
}
