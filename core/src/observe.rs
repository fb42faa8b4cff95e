//! What is seen of each column while its values pass: NULLs, the longest value, a checksum, least and greatest, repetitions.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::canonical;
use crate::render::push_value;
use crate::spec::{Logical, Unit};

#[derive(Debug, Clone, Serialize)]
pub struct ObservedColumn {
    pub name: String,
    pub nulls: u64,
    pub longest: u64,
    /// NULLs that were zero dates in the source.
    #[serde(rename = "zeroDates", skip_serializing_if = "is_zero")]
    pub zero_dates: u64,
    pub checksum: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One value, held as a one-row array so that it can be compared and rendered exactly.
type Held = Option<ArrayRef>;

#[derive(Debug, Default, Clone)]
pub struct ColumnCounts {
    pub nulls: u64,
    pub longest: u64,
    pub zero_dates: u64,
    checksum: u64,
    min: Held,
    max: Held,
}

impl ColumnCounts {
    pub fn observe(&mut self, logical: &Logical, array: &ArrayRef, with_min_max: bool) {
        self.nulls += array.null_count() as u64;
        self.checksum = self.checksum.wrapping_add(canonical::checksum(logical, array));
        if with_min_max && let Some((least, greatest)) = find_edges(logical, array) {
            self.hold(logical, array.slice(least, 1), array.slice(greatest, 1));
        }
    }

    fn hold(&mut self, logical: &Logical, least: ArrayRef, greatest: ArrayRef) {
        if self.min.as_ref().is_none_or(|held| compare(logical, &least, 0, held, 0) == Ordering::Less) {
            self.min = Some(compact(logical, &least));
        }
        if self.max.as_ref().is_none_or(|held| compare(logical, &greatest, 0, held, 0) == Ordering::Greater) {
            self.max = Some(compact(logical, &greatest));
        }
    }

    /// Adds what another stretch of rows of the same column showed.
    pub fn add(&mut self, logical: &Logical, other: &ColumnCounts) {
        self.nulls += other.nulls;
        self.longest = self.longest.max(other.longest);
        self.zero_dates += other.zero_dates;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        if let (Some(least), Some(greatest)) = (&other.min, &other.max) {
            self.hold(logical, least.clone(), greatest.clone());
        }
    }

    pub fn report(&self, name: &str, logical: &Logical) -> ObservedColumn {
        ObservedColumn {
            name: name.to_owned(),
            nulls: self.nulls,
            longest: self.longest,
            zero_dates: self.zero_dates,
            checksum: self.checksum.to_string(),
            min: render_held(logical, &self.min),
            max: render_held(logical, &self.max),
        }
    }
}

fn render_held(logical: &Logical, held: &Held) -> Option<String> {
    let array = held.as_ref()?;
    let mut text = Vec::new();
    push_value(&mut text, logical, array, 0);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A copy that does not keep the whole batch alive.
fn compact(logical: &Logical, one: &ArrayRef) -> ArrayRef {
    fn primitive<T: ArrowPrimitiveType>(one: &ArrayRef) -> ArrayRef {
        let array: &PrimitiveArray<T> = one.as_primitive();
        Arc::new(PrimitiveArray::<T>::from_value(array.value(0), 1).with_data_type(array.data_type().clone()))
    }
    match logical {
        Logical::Bool => Arc::new(BooleanArray::from(vec![one.as_boolean().value(0)])),
        Logical::Int16 => primitive::<Int16Type>(one),
        Logical::Int32 => primitive::<Int32Type>(one),
        Logical::Int64 => primitive::<Int64Type>(one),
        Logical::UInt64 => primitive::<UInt64Type>(one),
        Logical::Float32 => primitive::<Float32Type>(one),
        Logical::Float64 => primitive::<Float64Type>(one),
        Logical::Date => primitive::<Date32Type>(one),
        Logical::Time(Unit::Us) => primitive::<Time64MicrosecondType>(one),
        Logical::Time(Unit::Ns) => primitive::<Time64NanosecondType>(one),
        Logical::Timestamp { unit: Unit::Us, .. } => primitive::<TimestampMicrosecondType>(one),
        Logical::Timestamp { unit: Unit::Ns, .. } => primitive::<TimestampNanosecondType>(one),
        Logical::Decimal { precision, .. } if *precision <= 38 => primitive::<Decimal128Type>(one),
        Logical::Decimal { .. } => primitive::<Decimal256Type>(one),
        Logical::String | Logical::Json | Logical::Enum | Logical::Interval => {
            Arc::new(StringArray::from(vec![one.as_string::<i32>().value(0)]))
        }
        Logical::Binary => Arc::new(BinaryArray::from(vec![one.as_binary::<i32>().value(0)])),
        Logical::Uuid | Logical::List(_) => one.clone(),
    }
}

/// Rows of the least and greatest value; None without one, or for types that have no order here.
fn find_edges(logical: &Logical, array: &ArrayRef) -> Option<(usize, usize)> {
    if matches!(logical, Logical::List(_)) {
        return None;
    }
    let mut rows = (0..array.len()).filter(|row| array.is_valid(*row) && !is_nan(logical, array, *row));
    let first = rows.next()?;
    Some(rows.fold((first, first), |(least, greatest), row| {
        if compare(logical, array, row, array, least) == Ordering::Less {
            (row, greatest)
        } else if compare(logical, array, row, array, greatest) == Ordering::Greater {
            (least, row)
        } else {
            (least, greatest)
        }
    }))
}

fn is_nan(logical: &Logical, array: &ArrayRef, row: usize) -> bool {
    match logical {
        Logical::Float32 => array.as_primitive::<Float32Type>().value(row).is_nan(),
        Logical::Float64 => array.as_primitive::<Float64Type>().value(row).is_nan(),
        _ => false,
    }
}

/// Order of two values: numbers and times by value, text and bytes by byte.
fn compare(logical: &Logical, a: &ArrayRef, row_a: usize, b: &ArrayRef, row_b: usize) -> Ordering {
    macro_rules! by {
        ($type:ty) => {
            a.as_primitive::<$type>().value(row_a).cmp(&b.as_primitive::<$type>().value(row_b))
        };
    }
    match logical {
        Logical::Bool => a.as_boolean().value(row_a).cmp(&b.as_boolean().value(row_b)),
        Logical::Int16 => by!(Int16Type),
        Logical::Int32 => by!(Int32Type),
        Logical::Int64 => by!(Int64Type),
        Logical::UInt64 => by!(UInt64Type),
        Logical::Date => by!(Date32Type),
        Logical::Time(Unit::Us) => by!(Time64MicrosecondType),
        Logical::Time(Unit::Ns) => by!(Time64NanosecondType),
        Logical::Timestamp { unit: Unit::Us, .. } => by!(TimestampMicrosecondType),
        Logical::Timestamp { unit: Unit::Ns, .. } => by!(TimestampNanosecondType),
        Logical::Decimal { precision, .. } if *precision <= 38 => by!(Decimal128Type),
        Logical::Decimal { .. } => by!(Decimal256Type),
        Logical::Float32 => {
            a.as_primitive::<Float32Type>().value(row_a).total_cmp(&b.as_primitive::<Float32Type>().value(row_b))
        }
        Logical::Float64 => {
            a.as_primitive::<Float64Type>().value(row_a).total_cmp(&b.as_primitive::<Float64Type>().value(row_b))
        }
        Logical::String | Logical::Json | Logical::Enum | Logical::Interval => {
            a.as_string::<i32>().value(row_a).as_bytes().cmp(b.as_string::<i32>().value(row_b).as_bytes())
        }
        Logical::Binary => a.as_binary::<i32>().value(row_a).cmp(b.as_binary::<i32>().value(row_b)),
        Logical::Uuid => a.as_fixed_size_binary().value(row_a).cmp(b.as_fixed_size_binary().value(row_b)),
        Logical::List(_) => Ordering::Equal,
    }
}

/// The entries are hashes already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Counts values that repeat, by their 64-bit hash. Once `entries_max` distinct values are held, new ones are no longer added.
#[derive(Debug)]
pub struct Uniqueness {
    pub column: usize,
    pub duplicates: u64,
    pub complete: bool,
    entries_max: usize,
    seen: HashSet<u64, BuildHasherDefault<Identity>>,
}

impl Uniqueness {
    pub fn new(column: usize, entries_max: usize) -> Self {
        Uniqueness { column, duplicates: 0, complete: true, entries_max, seen: HashSet::default() }
    }

    pub fn observe(&mut self, logical: &Logical, array: &ArrayRef) {
        let mut scratch = Vec::new();
        for row in 0..array.len() {
            if array.is_null(row) {
                continue;
            }
            scratch.clear();
            canonical::push_canonical(&mut scratch, logical, array, row);
            let hash = xxh3_64(&scratch);
            if self.seen.contains(&hash) {
                self.duplicates += 1;
            } else if self.seen.len() < self.entries_max {
                self.seen.insert(hash);
            } else {
                self.complete = false;
            }
        }
    }
}
