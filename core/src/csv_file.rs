//! CSV files: RFC 4180 with LF, NULL apart from the empty string, every type as its canonical text.

use std::io::Write;

use arrow_array::{Array, ArrayRef};
use flate2::write::GzEncoder;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::error::{CONVERTER, CoreError, FORMAT_UNSUPPORTED, Result};
use crate::output::Output;
use crate::render::push_value;
use crate::spec::{Codec, Logical};

const OUT_BYTES: usize = 128 * 1024;

pub struct CsvOptions {
    pub codec: Codec,
    pub level: Option<i32>,
    pub delimiter: u8,
    pub header: bool,
    /// The text of NULL; None is an empty bare field.
    pub null: Option<String>,
}

impl CsvOptions {
    pub fn new(
        codec: Codec,
        level: Option<i32>,
        delimiter: Option<&str>,
        header: Option<bool>,
        null: Option<String>,
    ) -> Result<Self> {
        if matches!(codec, Codec::Snappy | Codec::Lz4) {
            let message = "CSV cannot be compressed with snappy or lz4";
            return Err(CoreError::new(FORMAT_UNSUPPORTED, message).cure("Use zstd, gzip or none"));
        }
        let delimiter = match delimiter.unwrap_or(",").as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
            other => {
                let message = format!("'{}' cannot be a CSV delimiter", crate::render::excerpt(other));
                return Err(CoreError::new(FORMAT_UNSUPPORTED, message).cure("Use one ASCII character"));
            }
        };
        Ok(CsvOptions { codec, level, delimiter, header: header.unwrap_or(true), null })
    }
}

/// A stream into the output.
enum Stream {
    Plain,
    Gzip(GzEncoder<Output>),
    Zstd(CCtx<'static>),
}

pub struct CsvFiles {
    options: CsvOptions,
    names: Vec<String>,
    logicals: Vec<Logical>,
    output: Output,
    stream: Option<Stream>,
    line: Vec<u8>,
    cell: Vec<u8>,
    /// What was given to the compressor in all, and when it last let something out.
    raw_bytes: u64,
    raw_bytes_out: u64,
    /// Bytes that came out for each that went in; a guess until the first came out.
    ratio: f64,
}

impl CsvFiles {
    pub fn new(options: CsvOptions, names: Vec<String>, logicals: Vec<Logical>, output: Output) -> Self {
        CsvFiles {
            options,
            names,
            logicals,
            output,
            stream: None,
            line: Vec::new(),
            cell: Vec::new(),
            raw_bytes: 0,
            raw_bytes_out: 0,
            ratio: 0.5,
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub fn write(&mut self, columns: &[ArrayRef], rows: usize) -> Result<()> {
        self.open_file()?;
        for row in 0..rows {
            for (index, (logical, column)) in self.logicals.iter().zip(columns).enumerate() {
                if index > 0 {
                    self.line.push(self.options.delimiter);
                }
                if column.is_null(row) {
                    self.line.extend_from_slice(self.options.null.as_deref().unwrap_or_default().as_bytes());
                    continue;
                }
                self.cell.clear();
                push_value(&mut self.cell, logical, column, row);
                push_field(&mut self.line, &self.cell, &self.options);
            }
            self.line.push(b'\n');
        }
        self.flush_line()
    }

    /// The file's size if it were closed now: what came out, and what the compressor still holds.
    pub fn file_bytes_estimated(&self) -> u64 {
        self.output.file_bytes().max((self.raw_bytes as f64 * self.ratio) as u64)
    }

    pub fn close_file(&mut self) -> Result<()> {
        self.open_file()?;
        match self.stream.take() {
            Some(Stream::Gzip(encoder)) => {
                encoder.finish()?;
            }
            Some(Stream::Zstd(mut context)) => loop {
                let mut piece = Vec::with_capacity(OUT_BYTES);
                let left = context.end_stream(&mut OutBuffer::around(&mut piece)).map_err(to_error)?;
                self.output.write_all(&piece)?;
                if left == 0 {
                    break;
                }
            },
            Some(Stream::Plain) | None => {}
        }
        Ok(())
    }

    fn open_file(&mut self) -> Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        self.raw_bytes = 0;
        self.raw_bytes_out = 0;
        self.stream = Some(match self.options.codec {
            Codec::Gzip => {
                let level = u32::try_from(self.options.level.unwrap_or(6)).unwrap_or(6).min(9);
                Stream::Gzip(GzEncoder::new(self.output.clone(), flate2::Compression::new(level)))
            }
            Codec::Zstd => {
                let mut context = CCtx::try_create()
                    .ok_or_else(|| CoreError::new(CONVERTER, "A compression context cannot be created"))?;
                let level = CParameter::CompressionLevel(self.options.level.unwrap_or(3));
                context.set_parameter(level).map_err(to_error)?;
                context.set_parameter(CParameter::ChecksumFlag(true)).map_err(to_error)?;
                Stream::Zstd(context)
            }
            _ => Stream::Plain,
        });
        if self.options.header {
            for (index, name) in self.names.iter().enumerate() {
                if index > 0 {
                    self.line.push(self.options.delimiter);
                }
                push_field(&mut self.line, name.as_bytes(), &self.options);
            }
            self.line.push(b'\n');
        }
        self.flush_line()
    }

    fn flush_line(&mut self) -> Result<()> {
        let before = self.output.file_bytes();
        match &mut self.stream {
            Some(Stream::Gzip(encoder)) => encoder.write_all(&self.line)?,
            Some(Stream::Zstd(context)) => {
                let mut input = InBuffer::around(&self.line);
                while input.pos() < self.line.len() {
                    let mut piece = Vec::with_capacity(OUT_BYTES);
                    context.compress_stream(&mut OutBuffer::around(&mut piece), &mut input).map_err(to_error)?;
                    self.output.write_all(&piece)?;
                }
            }
            Some(Stream::Plain) => self.output.write_all(&self.line)?,
            None => {}
        }
        self.raw_bytes += self.line.len() as u64;
        let after = self.output.file_bytes();
        if after > before {
            self.raw_bytes_out = self.raw_bytes;
            self.ratio = after as f64 / self.raw_bytes as f64;
        }
        self.line.clear();
        Ok(())
    }
}

fn to_error(code: usize) -> CoreError {
    CoreError::new(CONVERTER, format!("The zstd stream failed: {}", zstd_safe::get_error_name(code)))
}

/// Quotes what would read as something else: delimiters, quotes, line ends, the empty string, and the text of NULL.
pub fn push_field(line: &mut Vec<u8>, field: &[u8], options: &CsvOptions) {
    let is_special = |byte: &u8| *byte == options.delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    let reads_as_null = field == options.null.as_deref().unwrap_or_default().as_bytes();
    if !field.is_empty() && !reads_as_null && !field.iter().any(is_special) {
        line.extend_from_slice(field);
        return;
    }
    line.push(b'"');
    for byte in field {
        if *byte == b'"' {
            line.push(b'"');
        }
        line.push(*byte);
    }
    line.push(b'"');
}
