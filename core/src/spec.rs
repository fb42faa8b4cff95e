//! What the core is told, as it comes in JSON, and the logical types in their spelling.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::error::{BUILDER, CoreError, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    PgMessages,
    MysqlPackets,
    Rows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroDates {
    #[default]
    Fail,
    Null,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnSpec {
    pub name: String,
    #[serde(rename = "type")]
    pub logical: String,
    #[serde(default)]
    pub wire: String,
    #[serde(default)]
    pub hidden: bool,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub zero_dates: ZeroDates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    Zstd,
    Snappy,
    Gzip,
    Lz4,
    None,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum FormatSpec {
    Parquet {
        codec: Codec,
        level: Option<i32>,
        row_group_bytes: f64,
        row_group_rows: Option<f64>,
    },
    Csv {
        codec: Codec,
        level: Option<i32>,
        delimiter: Option<String>,
        header: Option<bool>,
        null: Option<String>,
    },
    /// No file is made: the rows are only observed.
    None,
}

#[derive(Debug, Clone, Deserialize)]
pub struct EdgeSpec {
    pub column: String,
    pub known: HashMap<String, u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UniqueSpec {
    pub column: String,
    pub max_entries: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    Md5,
    Crc32c,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncoderSpec {
    pub framing: Framing,
    pub columns: Vec<ColumnSpec>,
    pub format: FormatSpec,
    pub max_file_bytes: Option<f64>,
    pub max_value_bytes: Option<f64>,
    pub exported_at_us: Option<f64>,
    pub row_hash: Option<Vec<String>>,
    pub edge: Option<EdgeSpec>,
    #[serde(default)]
    pub min_max: Vec<String>,
    #[serde(default)]
    pub unique: Vec<UniqueSpec>,
    pub digests: Option<Vec<Digest>>,
    pub created_by: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Us,
    Ns,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logical {
    Bool,
    Int16,
    Int32,
    Int64,
    UInt64,
    Float32,
    Float64,
    Decimal { precision: u8, scale: u8 },
    Date,
    Time(Unit),
    Timestamp { unit: Unit, utc: bool },
    String,
    Binary,
    Json,
    Uuid,
    Enum,
    Interval,
    List(Box<Logical>),
}

impl Logical {
    /// Reads the spelling of `formatType`.
    pub fn parse(text: &str) -> Result<Logical> {
        Logical::try_parse(text)
            .ok_or_else(|| CoreError::new(BUILDER, format!("Type '{text}' is not known to the core")))
    }

    fn try_parse(text: &str) -> Option<Logical> {
        Some(match text {
            "bool" => Logical::Bool,
            "int16" => Logical::Int16,
            "int32" => Logical::Int32,
            "int64" => Logical::Int64,
            "uint64" => Logical::UInt64,
            "float32" => Logical::Float32,
            "float64" => Logical::Float64,
            "date" => Logical::Date,
            "time_us" => Logical::Time(Unit::Us),
            "time_ns" => Logical::Time(Unit::Ns),
            "timestamp_us" => Logical::Timestamp { unit: Unit::Us, utc: false },
            "timestamp_us_utc" => Logical::Timestamp { unit: Unit::Us, utc: true },
            "timestamp_ns" => Logical::Timestamp { unit: Unit::Ns, utc: false },
            "timestamp_ns_utc" => Logical::Timestamp { unit: Unit::Ns, utc: true },
            "string" => Logical::String,
            "binary" => Logical::Binary,
            "json" => Logical::Json,
            "uuid" => Logical::Uuid,
            "enum" => Logical::Enum,
            "interval" => Logical::Interval,
            _ => {
                if let Some(inner) = text.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>')) {
                    let item = Logical::try_parse(inner)?;
                    return if matches!(item, Logical::List(_)) { None } else { Some(Logical::List(Box::new(item))) };
                }
                let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
                let (precision, scale) = inner.split_once(',')?;
                let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
                if precision == 0 || precision > 76 || scale > precision {
                    return None;
                }
                Logical::Decimal { precision, scale }
            }
        })
    }

    /// True for every type whose values are kept as UTF-8 text.
    pub fn is_text(&self) -> bool {
        matches!(self, Logical::String | Logical::Json | Logical::Enum | Logical::Interval)
    }
}

/// A whole number that came as a JSON number; absent, negative or not finite means no limit.
pub fn to_limit(value: Option<f64>) -> Option<usize> {
    value.filter(|v| v.is_finite() && *v >= 0.0).map(|v| v as usize)
}
