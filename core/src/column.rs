//! Where decoded values wait: one buffer a column, turned into an Arrow array without copying.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, PrimitiveArray, StringArray, types::*,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, FieldRef, TimeUnit};

use crate::error::{CoreError, Result, UNREPRESENTABLE};
use crate::spec::{ColumnSpec, Logical, Unit};

pub const UUID_BYTES: usize = 16;
const CAPACITY_KEPT_BYTES: usize = 2 * 1024 * 1024;

/// Variable-length values, one after the other, and where each ends.
#[derive(Debug)]
pub struct Bytes {
    pub offsets: Vec<i32>,
    pub data: Vec<u8>,
}

impl Bytes {
    fn new() -> Self {
        Bytes { offsets: vec![0], data: Vec::new() }
    }

    /// Closes the value that was just appended to `data`.
    #[inline(always)]
    pub fn end_value(&mut self) {
        self.offsets.push(self.data.len() as i32);
    }
}

#[derive(Debug)]
pub enum Store {
    Bool(BooleanBufferBuilder),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    I256(Vec<i256>),
    Uuid(Vec<u8>),
    Bytes(Bytes),
    List { offsets: Vec<i32>, items: Box<ColumnBuffer> },
}

/// The values of one column that were decoded and not yet written.
#[derive(Debug)]
pub struct ColumnBuffer {
    pub logical: Logical,
    pub store: Store,
    pub nulls: NullBufferBuilder,
}

impl ColumnBuffer {
    pub fn new(logical: &Logical) -> Self {
        let store = match logical {
            Logical::Bool => Store::Bool(BooleanBufferBuilder::new(0)),
            Logical::Int16 => Store::I16(Vec::new()),
            Logical::Int32 | Logical::Date => Store::I32(Vec::new()),
            Logical::Int64 | Logical::Time(_) | Logical::Timestamp { .. } => Store::I64(Vec::new()),
            Logical::UInt64 => Store::U64(Vec::new()),
            Logical::Float32 => Store::F32(Vec::new()),
            Logical::Float64 => Store::F64(Vec::new()),
            Logical::Decimal { precision, .. } if *precision <= 38 => Store::I128(Vec::new()),
            Logical::Decimal { .. } => Store::I256(Vec::new()),
            Logical::Uuid => Store::Uuid(Vec::new()),
            Logical::String | Logical::Json | Logical::Enum | Logical::Interval | Logical::Binary => {
                Store::Bytes(Bytes::new())
            }
            Logical::List(item) => Store::List { offsets: vec![0], items: Box::new(ColumnBuffer::new(item)) },
        };
        ColumnBuffer { logical: logical.clone(), store, nulls: NullBufferBuilder::new(0) }
    }

    /// Takes the values out as an Arrow array; the buffer is empty afterwards. Fails when text is not UTF-8.
    pub fn take(&mut self, name: &str) -> Result<ArrayRef> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.store {
            Store::Bool(bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Store::I16(values) => Arc::new(PrimitiveArray::<Int16Type>::try_new(reuse(values), nulls)?),
            Store::I32(values) if self.logical == Logical::Date => {
                Arc::new(PrimitiveArray::<Date32Type>::try_new(reuse(values), nulls)?)
            }
            Store::I32(values) => Arc::new(PrimitiveArray::<Int32Type>::try_new(reuse(values), nulls)?),
            Store::I64(values) => to_i64_array(&self.logical, reuse(values), nulls)?,
            Store::U64(values) => Arc::new(PrimitiveArray::<UInt64Type>::try_new(reuse(values), nulls)?),
            Store::F32(values) => Arc::new(PrimitiveArray::<Float32Type>::try_new(reuse(values), nulls)?),
            Store::F64(values) => Arc::new(PrimitiveArray::<Float64Type>::try_new(reuse(values), nulls)?),
            Store::I128(values) => Arc::new(
                PrimitiveArray::<Decimal128Type>::try_new(reuse(values), nulls)?
                    .with_data_type(to_arrow(&self.logical)),
            ),
            Store::I256(values) => Arc::new(
                PrimitiveArray::<Decimal256Type>::try_new(reuse(values), nulls)?
                    .with_data_type(to_arrow(&self.logical)),
            ),
            Store::Uuid(bytes) => {
                let values = Buffer::from_vec(take_vec(bytes));
                Arc::new(FixedSizeBinaryArray::try_new(UUID_BYTES as i32, values, nulls)?)
            }
            Store::Bytes(bytes) => {
                let offsets = take_offsets(&mut bytes.offsets);
                let data = take_vec(&mut bytes.data);
                if self.logical == Logical::Binary {
                    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                    Arc::new(BinaryArray::try_new(offsets, Buffer::from_vec(data), nulls)?)
                } else {
                    Arc::new(to_text(name, offsets, data, nulls)?)
                }
            }
            Store::List { offsets, items } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(take_offsets(offsets)));
                let field = to_item_field(&items.logical);
                Arc::new(ListArray::try_new(field, offsets, items.take(name)?, nulls)?)
            }
        })
    }
}

/// Takes a vector and leaves one of like capacity, so that the next batch does not grow step by step.
fn take_vec<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len().min(CAPACITY_KEPT_BYTES / size_of::<T>()));
    std::mem::replace(values, next)
}

fn reuse<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(take_vec(values))
}

fn take_offsets(offsets: &mut Vec<i32>) -> Vec<i32> {
    let mut next = Vec::with_capacity(offsets.len());
    next.push(0);
    std::mem::replace(offsets, next)
}

fn to_i64_array(
    logical: &Logical,
    values: ScalarBuffer<i64>,
    nulls: Option<arrow_buffer::NullBuffer>,
) -> Result<ArrayRef> {
    Ok(match logical {
        Logical::Time(Unit::Us) => Arc::new(PrimitiveArray::<Time64MicrosecondType>::try_new(values, nulls)?),
        Logical::Time(Unit::Ns) => Arc::new(PrimitiveArray::<Time64NanosecondType>::try_new(values, nulls)?),
        Logical::Timestamp { unit: Unit::Us, .. } => Arc::new(
            PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?.with_data_type(to_arrow(logical)),
        ),
        Logical::Timestamp { unit: Unit::Ns, .. } => Arc::new(
            PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?.with_data_type(to_arrow(logical)),
        ),
        _ => Arc::new(PrimitiveArray::<Int64Type>::try_new(values, nulls)?),
    })
}

/// Validates all values at once, then that no value begins inside a character.
fn to_text(
    name: &str,
    offsets: Vec<i32>,
    data: Vec<u8>,
    nulls: Option<arrow_buffer::NullBuffer>,
) -> Result<StringArray> {
    if !is_text(&offsets, &data) {
        return Err(bad_text(name, &offsets, &data));
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    // SAFETY: the bytes are valid UTF-8 and every offset is a character boundary inside them, as checked above.
    #[allow(unsafe_code)]
    Ok(unsafe { StringArray::new_unchecked(offsets, Buffer::from_vec(data), nulls) })
}

/// A function of its own, small and hot.
#[inline(never)]
fn is_text(offsets: &[i32], data: &[u8]) -> bool {
    if data.is_ascii() {
        return true;
    }
    let is_boundary = |at: &i32| data.get(*at as usize).is_none_or(|byte| (*byte as i8) >= -0x40);
    simdutf8::basic::from_utf8(data).is_ok() && offsets.iter().all(is_boundary)
}

fn bad_text(name: &str, offsets: &[i32], data: &[u8]) -> CoreError {
    let culprit = offsets
        .windows(2)
        .filter_map(|pair| data.get(pair[0] as usize..pair[1] as usize))
        .find(|value| std::str::from_utf8(value).is_err())
        .unwrap_or_default();
    let message = format!("Value '{}' is not valid UTF-8", crate::render::excerpt(culprit));
    CoreError::new(UNREPRESENTABLE, message)
        .at_column(name)
        .cure("Repair the value at the source, or export the column as binary")
}

/// The Arrow type a logical type is stored as.
pub fn to_arrow(logical: &Logical) -> DataType {
    let unit = |unit: &Unit| {
        if *unit == Unit::Us { TimeUnit::Microsecond } else { TimeUnit::Nanosecond }
    };
    match logical {
        Logical::Bool => DataType::Boolean,
        Logical::Int16 => DataType::Int16,
        Logical::Int32 => DataType::Int32,
        Logical::Int64 => DataType::Int64,
        Logical::UInt64 => DataType::UInt64,
        Logical::Float32 => DataType::Float32,
        Logical::Float64 => DataType::Float64,
        Logical::Decimal { precision, scale } if *precision <= 38 => DataType::Decimal128(*precision, *scale as i8),
        Logical::Decimal { precision, scale } => DataType::Decimal256(*precision, *scale as i8),
        Logical::Date => DataType::Date32,
        Logical::Time(u) => DataType::Time64(unit(u)),
        Logical::Timestamp { unit: u, utc } => DataType::Timestamp(unit(u), utc.then(|| "UTC".into())),
        Logical::String | Logical::Json | Logical::Enum | Logical::Interval => DataType::Utf8,
        Logical::Binary => DataType::Binary,
        Logical::Uuid => DataType::FixedSizeBinary(UUID_BYTES as i32),
        Logical::List(item) => DataType::List(to_item_field(item)),
    }
}

fn extension_name(logical: &Logical) -> Option<&'static str> {
    match logical {
        Logical::Uuid => Some("arrow.uuid"),
        Logical::Json => Some("arrow.json"),
        _ => None,
    }
}

fn with_extension(field: Field, logical: &Logical, mut metadata: HashMap<String, String>) -> Field {
    if let Some(name) = extension_name(logical) {
        metadata.insert("ARROW:extension:name".into(), name.into());
        if *logical == Logical::Json {
            metadata.insert("ARROW:extension:metadata".into(), "{}".into());
        }
    }
    field.with_metadata(metadata)
}

fn to_item_field(item: &Logical) -> FieldRef {
    Arc::new(with_extension(Field::new("item", to_arrow(item), true), item, HashMap::new()))
}

/// The Arrow field of a column: always nullable, with its metadata and extension type.
pub fn to_field(spec: &ColumnSpec, logical: &Logical) -> Field {
    let metadata = spec.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    with_extension(Field::new(&spec.name, to_arrow(logical), true), logical, metadata)
}
