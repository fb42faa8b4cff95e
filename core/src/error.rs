//! Errors as the façade expects them: a stable code, what failed, where, and the cure when the core knows a better one than the table.

use serde::Serialize;

pub type Result<T, E = CoreError> = std::result::Result<T, E>;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoreError {
    pub code: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#where: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

pub const VALUE_TOO_LARGE: &str = "RIVET_VALUE_TOO_LARGE";
pub const UNREPRESENTABLE: &str = "RIVET_SOURCE_VALUE_UNREPRESENTABLE";
pub const WIRE_MISMATCH: &str = "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH";
pub const COLUMNS_CHANGED: &str = "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ";
pub const FORMAT_UNSUPPORTED: &str = "RIVET_CONFIG_FORMAT_COLUMN_UNSUPPORTED";
pub const PROTOCOL: &str = "RIVET_INTERNAL_SOURCE_INVARIANT";
pub const BUILDER: &str = "RIVET_INTERNAL_TYPE_BUILDER";
pub const CONVERTER: &str = "RIVET_INTERNAL_VALUE_CONVERTER";
pub const UNREADABLE_FILE: &str = "RIVET_VERIFY_CONTENT_UNMET";

impl CoreError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        CoreError { code, message: message.into(), r#where: None, cure: None }
    }

    pub fn at_column(mut self, name: &str) -> Self {
        self.r#where = Some(format!("column '{name}'"));
        self
    }

    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}

impl From<parquet::errors::ParquetError> for CoreError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        CoreError::new(CONVERTER, format!("The Parquet encoder failed: {error}"))
    }
}

impl From<arrow_schema::ArrowError> for CoreError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        CoreError::new(BUILDER, format!("A column could not be built: {error}"))
    }
}

impl From<std::io::Error> for CoreError {
    fn from(error: std::io::Error) -> Self {
        CoreError::new(CONVERTER, format!("The output could not be written: {error}"))
    }
}
