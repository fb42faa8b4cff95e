//! Canonical bytes: what checksums, row hashes and uniqueness are computed over. They depend on the value and its type alone.
//!
//! | type | canonical bytes |
//! |---|---|
//! | bool | one byte, 0 or 1 |
//! | int16, int32, int64, uint64, float32, float64 | little endian, 2, 4 or 8 bytes; a float's bits as they are |
//! | date | int32 of days since 1970-01-01 |
//! | time, timestamp | int64 of its unit |
//! | decimal | the unscaled value, little endian: 8 bytes to precision 18, 16 to 38, else 32 |
//! | string, json, enum, interval, binary | the bytes |
//! | uuid | its 16 bytes |
//! | list | for each element: 0 for NULL, or 1, its length as uint32, its canonical bytes |
//!
//! A row is, for each column in order: 0 for NULL, or 1, the length as uint32 (little endian), the canonical bytes. A row's hash is the
//! xxh3-128 of that; `_rivet_row_hash` is its low 64 bits as a signed integer. A column's checksum is the wrapping sum of the xxh3-64
//! of each value that is not NULL.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::NullBuffer;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::spec::{Logical, Unit};

/// The precision up to which a decimal's canonical bytes are eight.
const SMALL_DECIMAL: u8 = 18;

/// Appends the canonical bytes of a value that is not NULL.
pub fn push_canonical(out: &mut Vec<u8>, logical: &Logical, array: &ArrayRef, row: usize) {
    match logical {
        Logical::Bool => out.push(u8::from(array.as_boolean().value(row))),
        Logical::Int16 => out.extend_from_slice(&array.as_primitive::<Int16Type>().value(row).to_le_bytes()),
        Logical::Int32 => out.extend_from_slice(&array.as_primitive::<Int32Type>().value(row).to_le_bytes()),
        Logical::Int64 => out.extend_from_slice(&array.as_primitive::<Int64Type>().value(row).to_le_bytes()),
        Logical::UInt64 => out.extend_from_slice(&array.as_primitive::<UInt64Type>().value(row).to_le_bytes()),
        Logical::Float32 => out.extend_from_slice(&array.as_primitive::<Float32Type>().value(row).to_le_bytes()),
        Logical::Float64 => out.extend_from_slice(&array.as_primitive::<Float64Type>().value(row).to_le_bytes()),
        Logical::Date => out.extend_from_slice(&array.as_primitive::<Date32Type>().value(row).to_le_bytes()),
        Logical::Time(Unit::Us) => {
            out.extend_from_slice(&array.as_primitive::<Time64MicrosecondType>().value(row).to_le_bytes());
        }
        Logical::Time(Unit::Ns) => {
            out.extend_from_slice(&array.as_primitive::<Time64NanosecondType>().value(row).to_le_bytes());
        }
        Logical::Timestamp { unit: Unit::Us, .. } => {
            out.extend_from_slice(&array.as_primitive::<TimestampMicrosecondType>().value(row).to_le_bytes());
        }
        Logical::Timestamp { unit: Unit::Ns, .. } => {
            out.extend_from_slice(&array.as_primitive::<TimestampNanosecondType>().value(row).to_le_bytes());
        }
        Logical::Decimal { precision, .. } if *precision <= SMALL_DECIMAL => {
            out.extend_from_slice(&(array.as_primitive::<Decimal128Type>().value(row) as i64).to_le_bytes());
        }
        Logical::Decimal { precision, .. } if *precision <= 38 => {
            out.extend_from_slice(&array.as_primitive::<Decimal128Type>().value(row).to_le_bytes());
        }
        Logical::Decimal { .. } => {
            out.extend_from_slice(&array.as_primitive::<Decimal256Type>().value(row).to_le_bytes());
        }
        Logical::String | Logical::Json | Logical::Enum | Logical::Interval => {
            out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes());
        }
        Logical::Binary => out.extend_from_slice(array.as_binary::<i32>().value(row)),
        Logical::Uuid => out.extend_from_slice(array.as_fixed_size_binary().value(row)),
        Logical::List(item) => {
            let items = array.as_list::<i32>().value(row);
            for element in 0..items.len() {
                push_tagged(out, item, &items, element);
            }
        }
    }
}

/// Appends tag, length and canonical bytes of a value that may be NULL.
pub fn push_tagged(out: &mut Vec<u8>, logical: &Logical, array: &ArrayRef, row: usize) {
    if array.is_null(row) {
        out.push(0);
        return;
    }
    out.push(1);
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    push_canonical(out, logical, array, row);
    let length = (out.len() - length_at - 4) as u32;
    if let Some(field) = out.get_mut(length_at..length_at + 4) {
        field.copy_from_slice(&length.to_le_bytes());
    }
}

/// The xxh3-128 of a row over `columns`; `scratch` is only kept for its memory.
pub fn hash_row(columns: &[(&Logical, &ArrayRef)], row: usize, scratch: &mut Vec<u8>) -> u128 {
    scratch.clear();
    for (logical, array) in columns {
        push_tagged(scratch, logical, array, row);
    }
    xxh3_128(scratch)
}

/// The wrapping sum of the hashes of all values that are not NULL.
pub fn checksum(logical: &Logical, array: &ArrayRef) -> u64 {
    match logical {
        Logical::Bool => {
            let values = array.as_boolean();
            let (no, yes) = (xxh3_64(&[0]), xxh3_64(&[1]));
            let trues = values.true_count() as u64;
            let falses = (values.len() - values.null_count()) as u64 - trues;
            yes.wrapping_mul(trues).wrapping_add(no.wrapping_mul(falses))
        }
        Logical::Int16 => sum::<Int16Type>(array, |v| xxh3_64(&v.to_le_bytes())),
        Logical::Int32 => sum::<Int32Type>(array, |v| hash_4(v as u32)),
        Logical::Int64 => sum::<Int64Type>(array, |v| hash_8(v as u64)),
        Logical::UInt64 => sum::<UInt64Type>(array, hash_8),
        Logical::Float32 => sum::<Float32Type>(array, |v| hash_4(v.to_bits())),
        Logical::Float64 => sum::<Float64Type>(array, |v| hash_8(v.to_bits())),
        Logical::Date => sum::<Date32Type>(array, |v| hash_4(v as u32)),
        Logical::Time(Unit::Us) => sum::<Time64MicrosecondType>(array, |v| hash_8(v as u64)),
        Logical::Time(Unit::Ns) => sum::<Time64NanosecondType>(array, |v| hash_8(v as u64)),
        Logical::Timestamp { unit: Unit::Us, .. } => sum::<TimestampMicrosecondType>(array, |v| hash_8(v as u64)),
        Logical::Timestamp { unit: Unit::Ns, .. } => sum::<TimestampNanosecondType>(array, |v| hash_8(v as u64)),
        Logical::Decimal { precision, .. } if *precision <= SMALL_DECIMAL => {
            sum::<Decimal128Type>(array, |v| hash_8(v as u64))
        }
        Logical::Decimal { precision, .. } if *precision <= 38 => {
            sum::<Decimal128Type>(array, |v| xxh3_64(&v.to_le_bytes()))
        }
        Logical::Decimal { .. } => sum::<Decimal256Type>(array, |v| xxh3_64(&v.to_le_bytes())),
        Logical::String | Logical::Json | Logical::Enum | Logical::Interval => {
            let values = array.as_string::<i32>();
            sum_bytes(values.offsets(), values.values(), values.nulls())
        }
        Logical::Binary => {
            let values = array.as_binary::<i32>();
            sum_bytes(values.offsets(), values.values(), values.nulls())
        }
        Logical::Uuid => {
            let values = array.as_fixed_size_binary();
            sum_where(values.nulls(), values.len(), |row| xxh3_64(values.value(row)))
        }
        Logical::List(_) => {
            let mut scratch = Vec::new();
            sum_where(array.nulls(), array.len(), |row| {
                scratch.clear();
                push_canonical(&mut scratch, logical, array, row);
                xxh3_64(&scratch)
            })
        }
    }
}

#[inline(never)]
fn sum<T: ArrowPrimitiveType>(array: &ArrayRef, hash: impl Fn(T::Native) -> u64) -> u64 {
    let values: &PrimitiveArray<T> = array.as_primitive();
    match values.nulls() {
        None => values.values().iter().fold(0, |sum, value| sum.wrapping_add(hash(*value))),
        Some(nulls) => values.values().iter().zip(nulls.iter()).fold(0, |sum, (value, valid)| {
            let hashed = hash(*value);
            if valid { sum.wrapping_add(hashed) } else { sum }
        }),
    }
}

#[inline(never)]
fn sum_bytes(offsets: &[i32], data: &[u8], nulls: Option<&NullBuffer>) -> u64 {
    let hash = |row: usize| {
        let value = data.get(offsets[row] as usize..offsets[row + 1] as usize);
        xxh3_64(value.unwrap_or_default())
    };
    sum_where(nulls, offsets.len().saturating_sub(1), hash)
}

fn sum_where(nulls: Option<&NullBuffer>, rows: usize, mut hash: impl FnMut(usize) -> u64) -> u64 {
    let mut sum = 0u64;
    match nulls {
        None => (0..rows).for_each(|row| sum = sum.wrapping_add(hash(row))),
        Some(nulls) => nulls.valid_indices().for_each(|row| sum = sum.wrapping_add(hash(row))),
    }
    sum
}

// xxh3-64 of eight and of four bytes, written out so that it can be inlined into the loops above. The constants are the
// words of the algorithm's secret that these lengths use; a test holds them against the library.
const SECRET_4_TO_8: u64 = 0x1cad_21f7_2c81_017c ^ 0xdb97_9083_e96d_d4de;

#[inline(always)]
fn rrmxmx(value: u64, length: u64) -> u64 {
    const PRIME: u64 = 0x9FB2_1C65_1E98_DF25;
    let mut hash = value ^ value.rotate_left(49) ^ value.rotate_left(24);
    hash = hash.wrapping_mul(PRIME);
    hash ^= (hash >> 35).wrapping_add(length);
    hash = hash.wrapping_mul(PRIME);
    hash ^ (hash >> 28)
}

#[inline(always)]
fn hash_8(value: u64) -> u64 {
    rrmxmx(value.rotate_left(32) ^ SECRET_4_TO_8, 8)
}

#[inline(always)]
fn hash_4(value: u32) -> u64 {
    let value = u64::from(value);
    rrmxmx((value | (value << 32)) ^ SECRET_4_TO_8, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inlined_hashes_equal_the_library() {
        for value in [0u64, 1, 42, u64::MAX, 0x0123_4567_89ab_cdef, 1 << 63] {
            assert_eq!(hash_8(value), xxh3_64(&value.to_le_bytes()), "{value:x}");
            assert_eq!(hash_4(value as u32), xxh3_64(&(value as u32).to_le_bytes()), "{value:x}");
        }
    }
}
