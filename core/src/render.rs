//! Values as text: exact, the same for CSV, observations and messages.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};

use crate::calendar::{push_date, push_time, push_timestamp};
use crate::spec::{Logical, Unit};

const EXCERPT_BYTES: usize = 120;

/// The beginning of a value for a message, on one line.
pub fn excerpt(raw: &[u8]) -> String {
    let shown = String::from_utf8_lossy(raw.get(..raw.len().min(EXCERPT_BYTES)).unwrap_or_default());
    let shown = shown.replace(|c: char| c.is_control(), " ");
    if raw.len() > EXCERPT_BYTES { format!("{shown}…") } else { shown }
}

pub fn type_name(logical: &Logical) -> String {
    match logical {
        Logical::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Logical::Time(_) => "time of day".into(),
        Logical::Timestamp { utc: true, .. } => "UTC timestamp".into(),
        Logical::Timestamp { .. } => "timestamp without a zone".into(),
        Logical::List(item) => format!("list of {}", type_name(item)),
        other => format!("{other:?}").to_lowercase(),
    }
}

pub fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

pub fn push_uuid(out: &mut Vec<u8>, uuid: &[u8]) {
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        push_hex(out, &[*byte]);
    }
}

pub fn push_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    crate::calendar::push_digits(out, value.unsigned_abs(), 1);
}

/// The shortest text that reads back as the same value: `NaN`, `inf`, `-inf`, `-0` included.
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    let plain = value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&value.abs());
    let text = if plain { value.to_string() } else { format!("{value:e}") };
    out.extend_from_slice(text.as_bytes());
}

pub fn push_f32(out: &mut Vec<u8>, value: f32) {
    let plain = value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&value.abs());
    let text = if plain { value.to_string() } else { format!("{value:e}") };
    out.extend_from_slice(text.as_bytes());
}

/// Puts the point into the digits of an unscaled decimal.
fn push_decimal(out: &mut Vec<u8>, unscaled: &str, scale: u8) {
    let digits = match unscaled.strip_prefix('-') {
        Some(digits) => {
            out.push(b'-');
            digits.as_bytes()
        }
        None => unscaled.as_bytes(),
    };
    let scale = usize::from(scale);
    let missing = (scale + 1).saturating_sub(digits.len());
    let mut padded = vec![b'0'; missing];
    padded.extend_from_slice(digits);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.extend_from_slice(whole);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

/// Appends the canonical text of a value that is not NULL; lists as JSON text.
pub fn push_value(out: &mut Vec<u8>, logical: &Logical, array: &ArrayRef, row: usize) {
    match logical {
        Logical::Bool => out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" }),
        Logical::Int16 => push_int(out, i64::from(array.as_primitive::<Int16Type>().value(row))),
        Logical::Int32 => push_int(out, i64::from(array.as_primitive::<Int32Type>().value(row))),
        Logical::Int64 => push_int(out, array.as_primitive::<Int64Type>().value(row)),
        Logical::UInt64 => crate::calendar::push_digits(out, array.as_primitive::<UInt64Type>().value(row), 1),
        Logical::Float32 => push_f32(out, array.as_primitive::<Float32Type>().value(row)),
        Logical::Float64 => push_f64(out, array.as_primitive::<Float64Type>().value(row)),
        Logical::Decimal { precision, scale } if *precision <= 38 => {
            push_decimal(out, &array.as_primitive::<Decimal128Type>().value(row).to_string(), *scale);
        }
        Logical::Decimal { scale, .. } => {
            push_decimal(out, &array.as_primitive::<Decimal256Type>().value(row).to_string(), *scale);
        }
        Logical::Date => push_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        Logical::Time(Unit::Us) => push_time(out, array.as_primitive::<Time64MicrosecondType>().value(row), 6),
        Logical::Time(Unit::Ns) => push_time(out, array.as_primitive::<Time64NanosecondType>().value(row), 9),
        Logical::Timestamp { unit: Unit::Us, utc } => {
            push_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row), 6, *utc);
        }
        Logical::Timestamp { unit: Unit::Ns, utc } => {
            push_timestamp(out, array.as_primitive::<TimestampNanosecondType>().value(row), 9, *utc);
        }
        Logical::String | Logical::Json | Logical::Enum | Logical::Interval => {
            out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes());
        }
        Logical::Binary => push_hex(out, array.as_binary::<i32>().value(row)),
        Logical::Uuid => push_uuid(out, array.as_fixed_size_binary().value(row)),
        Logical::List(item) => push_json_list(out, item, &array.as_list::<i32>().value(row)),
    }
}

/// Numbers, booleans and JSON documents stand bare; everything else is a JSON string.
fn push_json_list(out: &mut Vec<u8>, item: &Logical, items: &ArrayRef) {
    let is_bare = matches!(
        item,
        Logical::Bool
            | Logical::Int16
            | Logical::Int32
            | Logical::Int64
            | Logical::UInt64
            | Logical::Decimal { .. }
            | Logical::Json
    );
    let is_float = matches!(item, Logical::Float32 | Logical::Float64);
    let mut text = Vec::new();
    out.push(b'[');
    for row in 0..items.len() {
        if row > 0 {
            out.push(b',');
        }
        if items.is_null(row) {
            out.extend_from_slice(b"null");
            continue;
        }
        text.clear();
        push_value(&mut text, item, items, row);
        let is_number = is_float && text.last().is_some_and(u8::is_ascii_digit);
        if is_bare || is_number { out.extend_from_slice(&text) } else { push_json_string(out, &text) }
    }
    out.push(b']');
}

fn push_json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                push_hex(out, &[*byte]);
            }
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}
