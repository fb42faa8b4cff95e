//! The two row encodings: how rows are found in the bytes of a source, and how their values are decoded.

pub mod frames;
pub mod mysql;
pub mod pg;
pub mod pg_binary;
pub mod text;

/// Why one value cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not what the wire form says; the bytes are wrong.
    Malformed,
    /// Well formed, but the column's type cannot hold it.
    Unrepresentable,
    /// A date with a zero year, month or day.
    ZeroDate,
}

pub type Parsed<T> = std::result::Result<T, Fault>;
