//! The rows of a file as lines of CSV: the key columns, then the row's hash as in `_rivet_row_hash`.

use arrow_array::ArrayRef;

use crate::canonical::hash_row;
use crate::csv_file::{CsvOptions, push_field};
use crate::error::{CoreError, Result, UNREADABLE_FILE};
use crate::render::push_value;
use crate::spec::{Codec, Logical};

pub struct KeyLines {
    keys: Vec<usize>,
    options: CsvOptions,
    lines: Vec<u8>,
}

impl KeyLines {
    /// `names` are the file's columns, as `push` will get them.
    pub fn new<'a>(keys: &[String], names: impl Iterator<Item = &'a str> + Clone) -> Result<Self> {
        let find = |key: &String| {
            let message = format!("key column '{key}' is not in the file");
            let found = names.clone().position(|name| name == key);
            found.ok_or_else(|| CoreError::new(UNREADABLE_FILE, message).at_column(key))
        };
        Ok(KeyLines {
            keys: keys.iter().map(find).collect::<Result<_>>()?,
            options: CsvOptions::new(Codec::None, None, None, Some(false), None)?,
            lines: Vec::new(),
        })
    }

    /// The lines since the last call; None when there are none.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let lines = std::mem::take(&mut self.lines);
        (!lines.is_empty()).then_some(lines)
    }

    pub fn push(&mut self, columns: &[(&Logical, &ArrayRef)], rows: usize) {
        let mut scratch = Vec::new();
        let mut cell = Vec::new();
        for row in 0..rows {
            for (logical, array) in self.keys.iter().filter_map(|index| columns.get(*index)) {
                if array.is_valid(row) {
                    cell.clear();
                    push_value(&mut cell, logical, array, row);
                    push_field(&mut self.lines, &cell, &self.options);
                }
                self.lines.push(self.options.delimiter);
            }
            let hash = hash_row(columns, row, &mut scratch) as i64;
            self.lines.extend_from_slice(hash.to_string().as_bytes());
            self.lines.push(b'\n');
        }
    }
}
