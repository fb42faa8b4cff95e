//! One loop a column: the fields of a block of rows become values in the column's buffer.
//! What a wire form can become is decided here, in one place; a pair that is not listed is refused when the encoder opens.

use arrow_buffer::{BooleanBufferBuilder, NullBufferBuilder, i256};

use crate::calendar::{US_PER_DAY, push_date, push_time};
use crate::column::{Bytes, ColumnBuffer, Store};
use crate::error::{BUILDER, CoreError, PROTOCOL, Result, UNREPRESENTABLE, WIRE_MISMATCH};
use crate::render;
use crate::spec::{ColumnSpec, Logical, Unit, ZeroDates};
use crate::wire::pg_binary::{self, Numeric};
use crate::wire::{Fault, Parsed, text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Date,
    Time,
    Timestamp,
    Interval,
    Text,
    Bytea,
    Json,
    Jsonb,
    Uuid,
    Bits,
    Array(Box<Wire>),
}

impl Wire {
    fn parse(text: &str) -> Option<Wire> {
        Some(match text {
            "bool" => Wire::Bool,
            "int2" => Wire::Int2,
            "int4" => Wire::Int4,
            "int8" => Wire::Int8,
            "oid" => Wire::Oid,
            "float4" => Wire::Float4,
            "float8" => Wire::Float8,
            "numeric" => Wire::Numeric,
            "date" => Wire::Date,
            "time" => Wire::Time,
            "timestamp" | "timestamptz" => Wire::Timestamp,
            "interval" => Wire::Interval,
            "text" => Wire::Text,
            "bytea" | "bytes" => Wire::Bytea,
            "json" => Wire::Json,
            "jsonb" => Wire::Jsonb,
            "uuid" => Wire::Uuid,
            "bits" => Wire::Bits,
            _ => {
                let item = Wire::parse(text.strip_prefix("array<")?.strip_suffix('>')?)?;
                return if matches!(item, Wire::Array(_)) { None } else { Some(Wire::Array(Box::new(item))) };
            }
        })
    }

    /// What this wire form can become.
    fn becomes(&self, logical: &Logical) -> bool {
        use Logical as L;
        let is_number = matches!(
            logical,
            L::Int16 | L::Int32 | L::Int64 | L::UInt64 | L::Float32 | L::Float64 | L::Decimal { .. } | L::String
        );
        match self {
            Wire::Bool => matches!(logical, L::Bool | L::String),
            Wire::Int2 | Wire::Int4 | Wire::Int8 | Wire::Oid | Wire::Numeric => is_number,
            Wire::Float4 | Wire::Float8 => matches!(logical, L::Float32 | L::Float64 | L::String),
            Wire::Date => matches!(logical, L::Date | L::String),
            Wire::Time => matches!(logical, L::Time(_) | L::String),
            Wire::Timestamp => matches!(logical, L::Timestamp { .. } | L::String),
            Wire::Interval => matches!(logical, L::Interval | L::String),
            Wire::Text => !matches!(logical, L::List(_)),
            Wire::Bytea => matches!(logical, L::Binary | L::Uuid | L::String),
            Wire::Json | Wire::Jsonb => matches!(logical, L::Json | L::String),
            Wire::Uuid => matches!(logical, L::Uuid | L::String),
            Wire::Bits => matches!(logical, L::Bool | L::Int16 | L::Int32 | L::Int64 | L::UInt64 | L::Binary),
            Wire::Array(item) => matches!(logical, L::List(inner) if item.becomes(inner)),
        }
    }
}

/// The fields of one column in a block of rows.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub bytes: &'a [u8],
    pub starts: &'a [u32],
    /// Negative is NULL.
    pub lengths: &'a [i32],
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn get(&self, start: u32, length: i32) -> &'a [u8] {
        let start = start as usize;
        self.bytes.get(start..start.wrapping_add(length as usize)).unwrap_or_default()
    }

    /// Each value with whether it is NULL.
    pub fn values(&self) -> impl Iterator<Item = (&'a [u8], bool)> + '_ {
        self.iter().map(|(start, length)| (self.get(start, length.max(0)), length < 0))
    }

    fn iter(&self) -> impl Iterator<Item = (u32, i32)> + 'a {
        self.starts.iter().copied().zip(self.lengths.iter().copied())
    }
}

/// A value that was refused, and where it lies.
#[derive(Debug)]
pub struct Refusal {
    fault: Fault,
    start: u32,
    length: i32,
}

type Decoded = std::result::Result<(), Refusal>;

/// How one column is read.
#[derive(Debug)]
pub struct Decoder {
    name: String,
    wire: Wire,
    /// Where zero dates become NULL: how many did since they were last asked for.
    zero_dates: Option<u64>,
    /// Elements of arrays, gathered over a block.
    element_starts: Vec<u32>,
    element_lengths: Vec<i32>,
}

impl Decoder {
    pub fn new(spec: &ColumnSpec, logical: &Logical) -> Result<Self> {
        let Some(wire) = Wire::parse(&spec.wire) else {
            let message = format!("Wire form '{}' is not known to the core", spec.wire);
            return Err(CoreError::new(BUILDER, message).at_column(&spec.name));
        };
        if !wire.becomes(logical) {
            let message = format!("A value sent as {} cannot become {}", spec.wire, spec.logical);
            return Err(CoreError::new(WIRE_MISMATCH, message).at_column(&spec.name));
        }
        Ok(Decoder {
            name: spec.name.clone(),
            wire,
            zero_dates: (spec.zero_dates == ZeroDates::Null).then_some(0),
            element_starts: Vec::new(),
            element_lengths: Vec::new(),
        })
    }

    /// Reads the canonical text of any type but a list, or with `bytes` binary values as they are.
    pub fn of_text(name: &str, wire: &str) -> Result<Self> {
        let wire =
            Wire::parse(wire).ok_or_else(|| CoreError::new(BUILDER, format!("Wire form '{wire}' is not known")))?;
        Ok(Decoder {
            name: name.to_owned(),
            wire,
            zero_dates: None,
            element_starts: Vec::new(),
            element_lengths: Vec::new(),
        })
    }

    pub fn decode(&mut self, fields: Fields<'_>, out: &mut ColumnBuffer) -> Result<()> {
        let decoded = match self.wire.clone() {
            Wire::Array(item) => self.decode_lists(&item, fields, out),
            wire => decode_values(&wire, self.zero_dates.as_mut(), fields, out),
        };
        decoded.map_err(|refusal| self.explain(&refusal, fields.bytes, &out.logical))
    }

    /// Zero dates that became NULL since the last call.
    pub fn take_zero_dates(&mut self) -> u64 {
        self.zero_dates.as_mut().map_or(0, std::mem::take)
    }

    /// Finds the elements of all arrays first, then decodes them as one column.
    fn decode_lists(&mut self, item: &Wire, fields: Fields<'_>, out: &mut ColumnBuffer) -> Decoded {
        let Store::List { offsets, items } = &mut out.store else {
            return Ok(());
        };
        self.element_starts.clear();
        self.element_lengths.clear();
        let base = items.nulls.len();
        for (start, length) in fields.iter() {
            if length < 0 {
                out.nulls.append_null();
            } else {
                let (starts, lengths) = (&mut self.element_starts, &mut self.element_lengths);
                pg_binary::walk_array(fields.get(start, length), |at, size| {
                    starts.push(start + at as u32);
                    lengths.push(size);
                })
                .map_err(|fault| Refusal { fault, start, length })?;
                out.nulls.append_non_null();
            }
            offsets.push((base + self.element_starts.len()) as i32);
        }
        let elements = Fields { bytes: fields.bytes, starts: &self.element_starts, lengths: &self.element_lengths };
        decode_values(item, None, elements, items)
    }

    #[cold]
    fn explain(&self, refusal: &Refusal, bytes: &[u8], logical: &Logical) -> CoreError {
        let start = refusal.start as usize;
        let raw = bytes.get(start..start + refusal.length.max(0) as usize).unwrap_or_default();
        let (wire, logical) = match (&self.wire, logical) {
            (Wire::Array(_), Logical::List(_)) if refusal.fault == Fault::Unrepresentable && is_array_header(raw) => {
                let message = "An array of more than one dimension cannot be stored as a list";
                return CoreError::new(UNREPRESENTABLE, message)
                    .at_column(&self.name)
                    .cure(format!("Select it as text in a `query:`: \"{}\"::text", self.name));
            }
            (Wire::Array(item), Logical::List(inner)) => (item.as_ref(), inner.as_ref()),
            (wire, logical) => (wire, logical),
        };
        let shown = show(wire, raw);
        let target = render::type_name(logical);
        match refusal.fault {
            // Any bytes are right on these wires; it is the value that does not fit the column's type.
            Fault::Malformed if !matches!(wire, Wire::Text | Wire::Bytea) => {
                let message = format!("A value of {} bytes is not the binary form of {wire:?}", raw.len());
                CoreError::new(PROTOCOL, message).at_column(&self.name)
            }
            Fault::Malformed => CoreError::new(UNREPRESENTABLE, format!("Value '{shown}' is not a {target}"))
                .at_column(&self.name)
                .cure("Set the column's type to string under `columns:`, or correct the value at the source"),
            Fault::Unrepresentable => {
                CoreError::new(UNREPRESENTABLE, format!("Value '{shown}' cannot be stored as {target} without changing it"))
                    .at_column(&self.name)
                    .cure("Set the column's type to one that holds it, or to string, under `columns:`")
            }
            Fault::ZeroDate => CoreError::new(UNREPRESENTABLE, format!("Value '{shown}' is no date"))
                .at_column(&self.name)
                .cure("Allow zero dates to become NULL, set the column's type to string under `columns:`, or correct the value"),
        }
    }
}

fn is_array_header(raw: &[u8]) -> bool {
    matches!(pg_binary::walk_array(raw, |_, _| {}), Err(Fault::Unrepresentable))
}

/// The value as a person would write it.
fn show(wire: &Wire, raw: &[u8]) -> String {
    let mut out = Vec::new();
    let shown = match wire {
        Wire::Text | Wire::Json => return render::excerpt(raw),
        Wire::Jsonb => return render::excerpt(raw.get(1..).unwrap_or_default()),
        Wire::Numeric => Numeric::parse(raw).and_then(|numeric| numeric.append_text(&mut out)),
        Wire::Int2 | Wire::Int4 | Wire::Int8 | Wire::Oid => {
            read_int(wire)(raw).map(|value| out.extend_from_slice(value.to_string().as_bytes()))
        }
        Wire::Float4 => pg_binary::parse_float4(raw).map(|v| render::push_f64(&mut out, f64::from(v))),
        Wire::Float8 => pg_binary::parse_float8(raw).map(|v| render::push_f64(&mut out, v)),
        Wire::Date | Wire::Time | Wire::Timestamp => append_temporal_text(wire, false, raw, &mut out),
        _ => Err(Fault::Malformed),
    };
    match shown {
        Ok(()) => render::excerpt(&out),
        Err(_) => {
            let mut hex = b"0x".to_vec();
            render::push_hex(&mut hex, raw.get(..raw.len().min(32)).unwrap_or_default());
            String::from_utf8_lossy(&hex).into_owned()
        }
    }
}

fn decode_values(wire: &Wire, zero_dates: Option<&mut u64>, fields: Fields<'_>, out: &mut ColumnBuffer) -> Decoded {
    let ColumnBuffer { logical, store, nulls } = out;
    let each = Each { fields, nulls, zero_dates };
    match store {
        Store::Bool(bits) => {
            let parse: fn(&[u8]) -> Parsed<bool> = match wire {
                Wire::Bits => |raw| to_bool(text::parse_bits(raw)?),
                Wire::Text => text::parse_bool,
                _ => pg_binary::parse_bool,
            };
            each.bits(bits, parse)
        }
        Store::I16(values) => match wire {
            Wire::Int2 => each.fixed(values, pg_binary::parse_int2),
            _ => each.fixed(values, narrow(wire)),
        },
        Store::I32(values) if *logical == Logical::Date => match wire {
            Wire::Text => each.fixed(values, text::parse_date),
            _ => each.fixed(values, pg_binary::parse_date),
        },
        Store::I32(values) => match wire {
            Wire::Int4 => each.fixed(values, pg_binary::parse_int4),
            Wire::Text => each.fixed(values, |raw| text::parse_i64(raw).and_then(to_int)),
            _ => each.fixed(values, narrow(wire)),
        },
        Store::I64(values) => decode_i64(wire, logical, each, values),
        Store::U64(values) => match wire {
            Wire::Text => each.fixed(values, text::parse_u64),
            Wire::Bits => each.fixed(values, text::parse_bits),
            Wire::Numeric => each.fixed(values, |raw| to_int(Numeric::parse(raw)?.to_decimal128(38, 0)?)),
            _ => each.fixed(values, narrow(wire)),
        },
        Store::F32(values) => match wire {
            Wire::Float4 => each.fixed(values, pg_binary::parse_float4),
            _ => each.fixed(values, read_f32(wire)),
        },
        Store::F64(values) => match wire {
            Wire::Float8 => each.fixed(values, pg_binary::parse_float8),
            _ => each.fixed(values, read_f64(wire)),
        },
        Store::I128(values) => decode_i128(wire, logical, each, values),
        Store::I256(values) => decode_i256(wire, logical, each, values),
        Store::Uuid(bytes) => match wire {
            Wire::Uuid => each.uuids(bytes, pg_binary::parse_uuid),
            Wire::Bytea => each.uuids(bytes, text::parse_uuid_bytes),
            _ => each.uuids(bytes, text::parse_uuid),
        },
        Store::Bytes(bytes) => decode_bytes(wire, logical, each, bytes),
        Store::List { .. } => Ok(()),
    }
}

fn decode_i64(wire: &Wire, logical: &Logical, each: Each<'_>, values: &mut Vec<i64>) -> Decoded {
    let to_ns = |us: i64| us.checked_mul(1000).ok_or(Fault::Unrepresentable);
    match (logical, wire) {
        (Logical::Timestamp { unit: Unit::Us, .. }, Wire::Timestamp) => each.fixed(values, pg_binary::parse_timestamp),
        (Logical::Timestamp { unit: Unit::Ns, .. }, Wire::Timestamp) => {
            each.fixed(values, |raw| pg_binary::parse_timestamp(raw).and_then(to_ns))
        }
        (Logical::Timestamp { unit, utc }, _) => each.fixed(values, |raw| text::parse_timestamp(raw, *unit, *utc)),
        (Logical::Time(Unit::Us), Wire::Time) => each.fixed(values, pg_binary::parse_time),
        (Logical::Time(Unit::Ns), Wire::Time) => each.fixed(values, |raw| pg_binary::parse_time(raw).and_then(to_ns)),
        (Logical::Time(unit), _) => each.fixed(values, |raw| text::parse_time(raw, *unit)),
        (_, Wire::Int8) => each.fixed(values, pg_binary::parse_int8),
        (_, Wire::Text) => each.fixed(values, text::parse_i64),
        _ => each.fixed(values, narrow(wire)),
    }
}

fn decode_i128(wire: &Wire, logical: &Logical, each: Each<'_>, values: &mut Vec<i128>) -> Decoded {
    let Logical::Decimal { precision, scale } = *logical else {
        return Ok(());
    };
    match wire {
        Wire::Numeric => each.fixed(values, |raw| Numeric::parse(raw)?.to_decimal128(precision, scale)),
        Wire::Text => each.fixed(values, |raw| text::parse_decimal128(raw, precision, scale)),
        _ => {
            let read = read_int(wire);
            let limit = 10i128.pow(u32::from(precision));
            let factor = 10i128.pow(u32::from(scale));
            each.fixed(values, |raw| {
                let value = i128::from(read(raw)?).checked_mul(factor).ok_or(Fault::Unrepresentable)?;
                if value.abs() < limit { Ok(value) } else { Err(Fault::Unrepresentable) }
            })
        }
    }
}

fn decode_i256(wire: &Wire, logical: &Logical, each: Each<'_>, values: &mut Vec<i256>) -> Decoded {
    let Logical::Decimal { precision, scale } = *logical else {
        return Ok(());
    };
    match wire {
        Wire::Numeric => each.fixed(values, |raw| Numeric::parse(raw)?.to_decimal256(precision, scale)),
        Wire::Text => each.fixed(values, |raw| text::parse_decimal256(raw, precision, scale)),
        _ => {
            let read = read_int(wire);
            each.fixed(values, |raw| text::parse_decimal256(read(raw)?.to_string().as_bytes(), precision, scale))
        }
    }
}

fn decode_bytes(wire: &Wire, logical: &Logical, each: Each<'_>, bytes: &mut Bytes) -> Decoded {
    match wire {
        Wire::Text | Wire::Bytea | Wire::Json | Wire::Bits => each.copied(bytes, |raw| Ok(raw)),
        Wire::Jsonb => each.copied(bytes, |raw| match raw {
            [1, json @ ..] => Ok(json),
            _ => Err(Fault::Malformed),
        }),
        Wire::Interval => each.written(bytes, pg_binary::append_interval),
        Wire::Numeric => each.written(bytes, |raw, out| Numeric::parse(raw)?.append_text(out)),
        Wire::Uuid => each.written(bytes, |raw, out| {
            let uuid = pg_binary::parse_uuid(raw)?;
            render::push_uuid(out, &uuid);
            Ok(())
        }),
        Wire::Bool => each.written(bytes, |raw, out| {
            out.extend_from_slice(if pg_binary::parse_bool(raw)? { b"true" } else { b"false" });
            Ok(())
        }),
        Wire::Float4 => each.written(bytes, |raw, out| {
            render::push_f32(out, pg_binary::parse_float4(raw)?);
            Ok(())
        }),
        Wire::Float8 => each.written(bytes, |raw, out| {
            render::push_f64(out, pg_binary::parse_float8(raw)?);
            Ok(())
        }),
        Wire::Date | Wire::Time | Wire::Timestamp => {
            let utc = matches!(logical, Logical::Timestamp { utc: true, .. });
            each.written(bytes, |raw, out| append_temporal_text(wire, utc, raw, out))
        }
        _ => {
            let read = read_int(wire);
            each.written(bytes, |raw, out| {
                out.extend_from_slice(read(raw)?.to_string().as_bytes());
                Ok(())
            })
        }
    }
}

/// Dates and clocks of PostgreSQL as text, `infinity` included.
fn append_temporal_text(wire: &Wire, utc: bool, raw: &[u8], out: &mut Vec<u8>) -> Parsed<()> {
    match wire {
        Wire::Time => push_time(out, pg_binary::parse_clock(raw)?, 6),
        Wire::Date => match pg_binary::parse_int4(raw)? {
            i32::MAX => out.extend_from_slice(b"infinity"),
            i32::MIN => out.extend_from_slice(b"-infinity"),
            _ => push_date(out, i64::from(pg_binary::parse_date(raw)?)),
        },
        _ => match pg_binary::parse_int8(raw)? {
            i64::MAX => out.extend_from_slice(b"infinity"),
            i64::MIN => out.extend_from_slice(b"-infinity"),
            us => push_pg_timestamp(out, us, utc),
        },
    }
    Ok(())
}

/// The last years of PostgreSQL's timestamps have no microseconds since 1970 in 64 bits, but they have a text.
fn push_pg_timestamp(out: &mut Vec<u8>, us: i64, utc: bool) {
    push_date(out, us.div_euclid(US_PER_DAY) + i64::from(pg_binary::EPOCH_DAYS));
    out.push(b'T');
    push_time(out, us.rem_euclid(US_PER_DAY), 6);
    if utc {
        out.push(b'Z');
    }
}

fn read_int(wire: &Wire) -> fn(&[u8]) -> Parsed<i64> {
    match wire {
        Wire::Int2 => |raw| pg_binary::parse_int2(raw).map(i64::from),
        Wire::Int4 => |raw| pg_binary::parse_int4(raw).map(i64::from),
        Wire::Oid => pg_binary::parse_oid,
        Wire::Text => text::parse_i64,
        Wire::Bits => |raw| text::parse_bits(raw).and_then(to_int),
        Wire::Numeric => |raw| to_int(Numeric::parse(raw)?.to_decimal128(38, 0)?),
        _ => pg_binary::parse_int8,
    }
}

/// Any integer wire form into a narrower integer, in range or refused.
fn narrow<T: TryFrom<i64>>(wire: &Wire) -> impl Fn(&[u8]) -> Parsed<T> + use<T> {
    let read = read_int(wire);
    move |raw| read(raw).and_then(to_int)
}

fn to_int<T: TryFrom<V>, V>(value: V) -> Parsed<T> {
    T::try_from(value).map_err(|_| Fault::Unrepresentable)
}

fn to_bool(value: u64) -> Parsed<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::Unrepresentable),
    }
}

fn numeric_text(raw: &[u8]) -> Parsed<Vec<u8>> {
    let mut out = Vec::new();
    Numeric::parse(raw)?.append_text(&mut out)?;
    Ok(out)
}

type Read<T> = Box<dyn Fn(&[u8]) -> Parsed<T>>;

fn read_f64(wire: &Wire) -> Read<f64> {
    match wire {
        Wire::Text => Box::new(text::parse_f64),
        Wire::Float4 => Box::new(|raw| pg_binary::parse_float4(raw).map(f64::from)),
        Wire::Numeric => Box::new(|raw| text::parse_f64(&numeric_text(raw)?)),
        _ => {
            let read = read_int(wire);
            Box::new(move |raw| {
                let value = read(raw)?;
                let float = value as f64;
                if float as i128 == i128::from(value) { Ok(float) } else { Err(Fault::Unrepresentable) }
            })
        }
    }
}

fn read_f32(wire: &Wire) -> Read<f32> {
    match wire {
        Wire::Text => Box::new(text::parse_f32),
        Wire::Numeric => Box::new(|raw| text::parse_f32(&numeric_text(raw)?)),
        Wire::Float8 => Box::new(|raw| {
            let value = pg_binary::parse_float8(raw)?;
            let narrow = value as f32;
            if f64::from(narrow) == value || value.is_nan() { Ok(narrow) } else { Err(Fault::Unrepresentable) }
        }),
        _ => {
            let read = read_int(wire);
            Box::new(move |raw| {
                let value = read(raw)?;
                let float = value as f32;
                if float as i128 == i128::from(value) { Ok(float) } else { Err(Fault::Unrepresentable) }
            })
        }
    }
}

/// The loop over a block's fields: NULLs, zero dates and refusals are the same for every type.
/// Each type's loop is a function of its own: the engine then optimizes only those that a table needs.
struct Each<'a> {
    fields: Fields<'a>,
    nulls: &'a mut NullBufferBuilder,
    /// Counts the zero dates that become NULL; None refuses them.
    zero_dates: Option<&'a mut u64>,
}

impl Each<'_> {
    #[inline(always)]
    fn run<T: Default>(self, parse: impl Fn(&[u8]) -> Parsed<T>, mut push: impl FnMut(T)) -> Decoded {
        let Each { fields, nulls, mut zero_dates } = self;
        let has_nulls = fields.lengths.iter().any(|length| *length < 0);
        if !has_nulls && zero_dates.is_none() {
            for (start, length) in fields.iter() {
                match parse(fields.get(start, length)) {
                    Ok(value) => push(value),
                    Err(fault) => return Err(Refusal { fault, start, length }),
                }
            }
            nulls.append_n_non_nulls(fields.lengths.len());
            return Ok(());
        }
        for (start, length) in fields.iter() {
            if length < 0 {
                push(T::default());
                nulls.append_null();
                continue;
            }
            match parse(fields.get(start, length)) {
                Ok(value) => {
                    push(value);
                    nulls.append_non_null();
                }
                Err(fault) => {
                    let Some(count) = zero_dates.as_deref_mut().filter(|_| fault == Fault::ZeroDate) else {
                        return Err(Refusal { fault, start, length });
                    };
                    *count += 1;
                    push(T::default());
                    nulls.append_null();
                }
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn fixed<T: Default>(self, values: &mut Vec<T>, parse: impl Fn(&[u8]) -> Parsed<T>) -> Decoded {
        values.reserve(self.fields.lengths.len());
        self.run(parse, |value| values.push(value))
    }

    #[inline(never)]
    fn bits(self, bits: &mut BooleanBufferBuilder, parse: fn(&[u8]) -> Parsed<bool>) -> Decoded {
        self.run(parse, |value| bits.append(value))
    }

    #[inline(never)]
    fn uuids(self, bytes: &mut Vec<u8>, parse: fn(&[u8]) -> Parsed<[u8; 16]>) -> Decoded {
        self.run(parse, |value| bytes.extend_from_slice(&value))
    }

    /// Values that are a part of their wire bytes, copied as they are.
    #[inline(always)]
    fn copied(self, bytes: &mut Bytes, part: impl Fn(&[u8]) -> Parsed<&[u8]>) -> Decoded {
        self.written(bytes, |raw, out| {
            out.extend_from_slice(part(raw)?);
            Ok(())
        })
    }

    #[inline(never)]
    fn written(self, bytes: &mut Bytes, write: impl Fn(&[u8], &mut Vec<u8>) -> Parsed<()>) -> Decoded {
        let Each { fields, nulls, .. } = self;
        bytes.offsets.reserve(fields.lengths.len());
        for (start, length) in fields.iter() {
            if length < 0 {
                nulls.append_null();
            } else {
                let written = write(fields.get(start, length), &mut bytes.data);
                written.map_err(|fault| Refusal { fault, start, length })?;
                nulls.append_non_null();
            }
            bytes.end_value();
        }
        Ok(())
    }
}
