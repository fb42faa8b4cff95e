//! Parquet files: one encoder a column, row groups that close on the writer's memory, finished pages kept at their exact size.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{BUILDER, CoreError, Result};
use crate::output::Output;
use crate::spec::Codec;

/// A page is compressed at once: what fits the processor's cache together with zstd's tables costs least, and compresses no worse.
const PAGE_BYTES: usize = 64 * 1024;
const PAGE_ROWS_MAX: usize = 128 * 1024;
const DICTIONARY_BYTES_MAX: usize = 512 * 1024;
/// Pages end between these batches only.
const WRITE_BATCH_ROWS: usize = 1024;
const STATISTICS_BYTES_MAX: usize = 64;
/// How many values of the first batch decide whether a column gets a dictionary.
const SAMPLE_ROWS: usize = 4096;
/// What a footer says of a column, beside its name, and of each of its chunks, as a first guess.
const FOOTER_COLUMN_BYTES: usize = 30;
const FOOTER_CHUNK_BYTES: usize = 64;

pub struct ParquetOptions {
    pub codec: Codec,
    pub level: Option<i32>,
    pub row_group_bytes: usize,
    pub row_group_rows: usize,
    pub created_by: String,
}

/// Pages of one column, at their exact size, and the bytes held by all columns together.
struct ExactPages {
    pages: Vec<Bytes>,
    held: Arc<AtomicUsize>,
    own: usize,
}

impl PageStore for ExactPages {
    fn put(&mut self, page: Bytes) -> parquet::errors::Result<PageKey> {
        let key = PageKey::new(self.pages.len() as u64);
        self.held.fetch_add(page.len(), Ordering::Relaxed);
        self.own += page.len();
        self.pages.push(Bytes::copy_from_slice(&page));
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> parquet::errors::Result<Bytes> {
        let page = self.pages.get_mut(key.get() as usize).map(std::mem::take).unwrap_or_default();
        self.held.fetch_sub(page.len(), Ordering::Relaxed);
        self.own -= page.len();
        Ok(page)
    }

    fn memory_size(&self) -> usize {
        self.own
    }
}

#[derive(Debug)]
struct ExactPagesFactory {
    held: Arc<AtomicUsize>,
}

impl PageStoreFactory for ExactPagesFactory {
    fn create(&self, _args: &PageStoreArgs<'_>) -> parquet::errors::Result<Box<dyn PageStore>> {
        Ok(Box::new(ExactPages { pages: Vec::new(), held: self.held.clone(), own: 0 }))
    }
}

struct OpenFile {
    writer: SerializedFileWriter<Output>,
    factory: ArrowRowGroupWriterFactory,
    group: Vec<ArrowColumnWriter>,
    group_rows: usize,
    group_raw_bytes: usize,
    groups: usize,
}

pub struct ParquetFiles {
    options: ParquetOptions,
    schema: SchemaRef,
    descriptor: SchemaDescriptor,
    output: Output,
    /// Decided by the first batch, then the same for every file.
    properties: Option<WriterPropertiesPtr>,
    held: Arc<AtomicUsize>,
    /// Encoded bytes per raw byte, as seen in the last row group.
    ratio: f64,
    /// The last footer's bytes per byte that was guessed.
    footer_ratio: f64,
    file: Option<OpenFile>,
}

impl ParquetFiles {
    pub fn new(options: ParquetOptions, schema: SchemaRef, output: Output) -> Result<Self> {
        let descriptor = ArrowSchemaConverter::new().convert(&schema)?;
        to_compression(options.codec, options.level)?;
        Ok(ParquetFiles {
            options,
            schema,
            descriptor,
            output,
            properties: None,
            held: Arc::default(),
            ratio: 1.0,
            footer_ratio: 1.0,
            file: None,
        })
    }

    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Encodes a batch; opens a file when none is open and closes the row group when it is full.
    pub fn write(&mut self, columns: &[ArrayRef], rows: usize, raw_bytes: usize) -> Result<()> {
        self.open_file(Some(columns))?;
        let rows_max = self.options.row_group_rows;
        let mut from = 0;
        while from < rows {
            let Some(file) = &mut self.file else { return Ok(()) };
            let take = (rows - from).min(rows_max - file.group_rows);
            if take == rows {
                write_group(file, &self.schema, columns)?;
            } else {
                let slices: Vec<ArrayRef> = columns.iter().map(|column| column.slice(from, take)).collect();
                write_group(file, &self.schema, &slices)?;
            }
            file.group_rows += take;
            file.group_raw_bytes += raw_bytes * take / rows;
            from += take;
            if file.group_rows >= rows_max || memory_bytes(file) >= self.options.row_group_bytes {
                self.close_group()?;
            }
        }
        Ok(())
    }

    /// The file's size if it were closed now, as well as it can be told.
    pub fn file_bytes_estimated(&self) -> u64 {
        let Some(file) = &self.file else { return 0 };
        let held = self.held.load(Ordering::Relaxed);
        let pending = memory_bytes(file).saturating_sub(held) as f64;
        let pages_raw = file.group_raw_bytes as f64 - pending;
        let ratio = if held > 0 && pages_raw > held as f64 { held as f64 / pages_raw } else { self.ratio };
        // A footer as large as its rows must not make a file of every batch.
        let footer = self.footer_guess(file.groups + 1) as f64 * self.footer_ratio;
        let footer = footer.min(self.options.row_group_bytes as f64 / 2.0);
        self.output.file_bytes() + held as u64 + (pending * ratio + footer) as u64
    }

    fn footer_guess(&self, groups: usize) -> usize {
        let notes = self.properties.as_ref().and_then(|properties| properties.key_value_metadata());
        let notes_bytes: usize =
            notes.into_iter().flatten().map(|note| note.value.as_ref().map_or(0, String::len)).sum();
        let columns = self.descriptor.columns();
        let names: usize = columns.iter().map(|column| column.name().len() + FOOTER_COLUMN_BYTES).sum();
        notes_bytes + names + columns.len() * FOOTER_CHUNK_BYTES * groups
    }

    /// Writes the footer. Without an open file, an empty one is made.
    pub fn close_file(&mut self) -> Result<()> {
        self.open_file(None)?;
        self.close_group()?;
        if let Some(file) = self.file.take() {
            let before = self.output.file_bytes();
            let guess = self.footer_guess(file.groups);
            file.writer.close()?;
            self.footer_ratio = (self.output.file_bytes() - before) as f64 / guess.max(1) as f64;
        }
        Ok(())
    }

    fn open_file(&mut self, first: Option<&[ArrayRef]>) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let properties = match &self.properties {
            Some(properties) => properties.clone(),
            None => {
                let made = Arc::new(self.make_properties(first)?);
                self.properties = Some(made.clone());
                made
            }
        };
        let root = self.descriptor.root_schema_ptr();
        let writer = SerializedFileWriter::new(self.output.clone(), root, properties)?;
        let pages = Arc::new(ExactPagesFactory { held: self.held.clone() });
        let factory = ArrowRowGroupWriterFactory::new(&writer, self.schema.clone()).with_page_store_factory(pages);
        self.file = Some(OpenFile { writer, factory, group: Vec::new(), group_rows: 0, group_raw_bytes: 0, groups: 0 });
        Ok(())
    }

    fn close_group(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.group.is_empty() {
            return Ok(());
        }
        let before = self.output.file_bytes();
        let mut group = file.writer.next_row_group()?;
        // One column after the other: its pages leave as the next column is finished.
        for column in file.group.drain(..) {
            column.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        file.writer.flush()?;
        let written = self.output.file_bytes() - before;
        if file.group_raw_bytes > 0 {
            self.ratio = written as f64 / file.group_raw_bytes as f64;
        }
        file.groups += 1;
        file.group_rows = 0;
        file.group_raw_bytes = 0;
        Ok(())
    }

    fn make_properties(&self, first: Option<&[ArrayRef]>) -> Result<WriterProperties> {
        let mut builder = WriterProperties::builder()
            .set_created_by(self.options.created_by.clone())
            .set_compression(to_compression(self.options.codec, self.options.level)?)
            .set_data_page_size_limit(PAGE_BYTES)
            .set_data_page_row_count_limit(PAGE_ROWS_MAX)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
            .set_dictionary_enabled(false)
            .set_write_batch_size(WRITE_BATCH_ROWS)
            .set_max_row_group_row_count(None)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
            .set_offset_index_disabled(true);
        for (index, array) in first.unwrap_or_default().iter().enumerate() {
            if repeats(array) {
                for path in self.leaf_paths(index) {
                    builder = builder.set_column_dictionary_enabled(path, true);
                }
            }
        }
        let mut properties = builder.build();
        add_encoded_arrow_schema_to_metadata(&self.schema, &mut properties);
        Ok(properties)
    }

    fn leaf_paths(&self, root: usize) -> Vec<ColumnPath> {
        let leaves = 0..self.descriptor.num_columns();
        leaves
            .filter(|leaf| self.descriptor.get_column_root_idx(*leaf) == root)
            .map(|leaf| self.descriptor.column(leaf).path().clone())
            .collect()
    }
}

fn write_group(file: &mut OpenFile, schema: &Schema, columns: &[ArrayRef]) -> Result<()> {
    if file.group.is_empty() {
        file.group = file.factory.create_column_writers(file.groups)?;
    }
    let mut writers = file.group.iter_mut();
    for (field, column) in schema.fields().iter().zip(columns) {
        for leaf in compute_leaves(field, column)? {
            let Some(writer) = writers.next() else {
                return Err(CoreError::new(BUILDER, "A batch has more columns than the file"));
            };
            writer.write(&leaf)?;
        }
    }
    Ok(())
}

fn memory_bytes(file: &OpenFile) -> usize {
    file.group.iter().map(ArrowColumnWriter::memory_size).sum()
}

fn to_compression(codec: Codec, level: Option<i32>) -> Result<Compression> {
    Ok(match codec {
        Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(level.unwrap_or(3))?),
        Codec::Gzip => {
            let level = u32::try_from(level.unwrap_or(6)).unwrap_or(u32::MAX);
            Compression::GZIP(GzipLevel::try_new(level)?)
        }
        Codec::Snappy => Compression::SNAPPY,
        Codec::Lz4 => Compression::LZ4_RAW,
        Codec::None => Compression::UNCOMPRESSED,
    })
}

/// Whether values repeat so much that a dictionary pays: at most a quarter of the sample is distinct.
fn repeats(array: &ArrayRef) -> bool {
    let array = match array.data_type() {
        DataType::Boolean => return false,
        DataType::List(_) => array.as_list::<i32>().values().clone(),
        _ => array.clone(),
    };
    let data = array.to_data();
    let rows = array.len().min(SAMPLE_ROWS);
    let mut seen = HashSet::new();
    let mut values = 0;
    for row in 0..rows {
        if array.is_null(row) {
            continue;
        }
        let bytes = match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
            DataType::Binary => array.as_binary::<i32>().value(row),
            DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
            DataType::Boolean => return false,
            other => {
                let width = other.primitive_width().unwrap_or(0);
                let at = (data.offset() + row) * width;
                data.buffers().first().and_then(|b| b.as_slice().get(at..at + width)).unwrap_or_default()
            }
        };
        values += 1;
        seen.insert(xxh3_64(bytes));
    }
    values > 0 && seen.len() * 4 <= values
}
