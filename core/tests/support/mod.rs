//! Randomness with a printed seed, rows in both encodings, and an encoder driven to its end.

#![allow(dead_code, clippy::unwrap_used)]

use rivet_core::encoder::Encoder;
use rivet_core::error::CoreError;
use rivet_core::read::FileReader;
use rivet_core::spec::{ColumnSpec, EncoderSpec};
use serde_json::{Value, json};

/// splitmix64
pub struct Random(u64);

impl Random {
    /// The seed comes from RIVET_TEST_SEED or the clock, in CI it is always the same; it is printed: cargo shows it when a test fails.
    pub fn open(name: &str) -> Self {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let default = if std::env::var("CI").is_ok_and(|ci| ci == "true") { 20_261_121 } else { clock };
        let seed = std::env::var("RIVET_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
        println!("{name}: RIVET_TEST_SEED={seed}");
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

pub const LOGICALS: [&str; 27] = [
    "bool",
    "int16",
    "int32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "decimal(9,2)",
    "decimal(18,0)",
    "decimal(38,10)",
    "decimal(76,20)",
    "date",
    "time_us",
    "time_ns",
    "timestamp_us",
    "timestamp_us_utc",
    "timestamp_ns",
    "timestamp_ns_utc",
    "string",
    "binary",
    "json",
    "uuid",
    "enum",
    "interval",
    "list<string>",
    "list<int32>",
    "list<decimal(10,2)>",
];

pub const WIRES: [&str; 23] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "text",
    "bytea",
    "json",
    "jsonb",
    "uuid",
    "bytes",
    "bits",
    "array<text>",
    "array<int4>",
    "array<numeric>",
];

pub fn spec(framing: &str, columns: Value, format: Value, more: Value) -> EncoderSpec {
    let mut spec = json!({ "framing": framing, "columns": columns, "format": format, "createdBy": "test" });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

pub fn parquet() -> Value {
    json!({ "kind": "parquet", "codec": "zstd", "rowGroupBytes": 1 << 20 })
}

#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    pub files: Vec<Vec<u8>>,
    pub parts: Vec<Value>,
    pub slice: Value,
    pub control: Vec<Vec<u8>>,
}

/// Gives the input in pieces of `piece` bytes.
pub fn encode(spec: EncoderSpec, input: &[u8], piece: usize) -> Result<Outcome, CoreError> {
    let mut encoder = Encoder::new(spec)?;
    let mut outcome = Outcome::default();
    let mut file = Vec::new();
    for chunk in input.chunks(piece.max(1)) {
        encoder.room(chunk.len())?.copy_from_slice(chunk);
        encoder.wrote(chunk.len())?;
        drain(&mut encoder, &mut outcome, &mut file);
    }
    outcome.slice = serde_json::from_str(&encoder.finish(true)?).unwrap();
    drain(&mut encoder, &mut outcome, &mut file);
    assert!(file.is_empty(), "bytes without a part");
    Ok(outcome)
}

fn drain(encoder: &mut Encoder, outcome: &mut Outcome, file: &mut Vec<u8>) {
    while let Some(control) = encoder.take_control() {
        outcome.control.push(control);
    }
    loop {
        if let Some(piece) = encoder.take_output() {
            file.extend_from_slice(&piece);
        } else if let Some(part) = encoder.take_part() {
            outcome.parts.push(serde_json::from_str(&part).unwrap());
            outcome.files.push(std::mem::take(file));
        } else {
            return;
        }
    }
}

/// Reads a finished file back, giving what is needed in pieces of at most `piece` bytes.
pub fn read_back(file: &[u8], columns: &[ColumnSpec], piece: usize) -> Result<Value, CoreError> {
    let mut reader = FileReader::new(file.len() as u64, columns, None)?;
    while let Some(need) = reader.need() {
        let length = (need.length as usize).min(piece);
        reader.give(&file[need.offset as usize..need.offset as usize + length])?;
    }
    Ok(serde_json::from_str(&reader.finish()?).unwrap())
}

pub fn pg_row(fields: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut body = (fields.len() as u16).to_be_bytes().to_vec();
    for field in fields {
        match field {
            None => body.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(bytes) => {
                body.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                body.extend_from_slice(bytes);
            }
        }
    }
    pg_message(b'D', &body)
}

pub fn pg_message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

pub fn lenenc(bytes: Option<&[u8]>) -> Vec<u8> {
    let Some(bytes) = bytes else { return vec![0xfb] };
    let mut out = match bytes.len() {
        0..=0xfa => vec![bytes.len() as u8],
        0xfb..=0xffff => [&[0xfc][..], &(bytes.len() as u16).to_le_bytes()].concat(),
        0x1_0000..=0xff_ffff => [&[0xfd][..], &(bytes.len() as u32).to_le_bytes()[..3]].concat(),
        _ => [&[0xfe][..], &(bytes.len() as u64).to_le_bytes()].concat(),
    };
    out.extend_from_slice(bytes);
    out
}

pub fn lenenc_row(fields: &[Option<Vec<u8>>]) -> Vec<u8> {
    fields.iter().flat_map(|field| lenenc(field.as_deref())).collect()
}

/// A payload in as many packets as it needs.
pub fn mysql_packets(payload: &[u8], sequence: &mut u8) -> Vec<u8> {
    const MAX: usize = 0xff_ffff;
    let mut out = Vec::new();
    let mut pieces: Vec<&[u8]> = payload.chunks(MAX).collect();
    if payload.len().is_multiple_of(MAX) {
        pieces.push(&[]);
    }
    for piece in pieces {
        out.extend_from_slice(&(piece.len() as u32).to_le_bytes()[..3]);
        out.push(*sequence);
        *sequence = sequence.wrapping_add(1);
        out.extend_from_slice(piece);
    }
    out
}

/// A whole response to COM_QUERY.
pub fn mysql_response(columns: usize, rows: &[Vec<u8>], deprecate_eof: bool) -> Vec<u8> {
    let mut sequence = 1;
    let mut out = mysql_packets(&[columns as u8], &mut sequence);
    for _ in 0..columns {
        out.extend(mysql_packets(b"\x03defand so on", &mut sequence));
    }
    if !deprecate_eof {
        out.extend(mysql_packets(&[0xfe, 0, 0, 2, 0], &mut sequence));
    }
    for row in rows {
        out.extend(mysql_packets(row, &mut sequence));
    }
    let end: &[u8] = if deprecate_eof { &[0xfe, 0, 0, 2, 0, 0, 0] } else { &[0xfe, 0, 0, 2, 0] };
    out.extend(mysql_packets(end, &mut sequence));
    out
}
