//! A block of framed rows: where each field lies in the input, column by column, so that decoding is one tight loop a column.

use crate::error::{COLUMNS_CHANGED, CoreError, Result, VALUE_TOO_LARGE};

/// The length that stands for NULL.
pub const NULL: i32 = -1;

const CELLS_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub struct Frames {
    pub columns: usize,
    pub rows: usize,
    capacity: usize,
    starts: Vec<u32>,
    lengths: Vec<i32>,
}

impl Frames {
    pub fn new(columns: usize) -> Self {
        let capacity = (CELLS_MAX / columns.max(1)).clamp(64, 2048);
        let cells = capacity * columns;
        Frames { columns, rows: 0, capacity, starts: vec![0; cells], lengths: vec![0; cells] }
    }

    pub fn is_full(&self) -> bool {
        self.rows == self.capacity
    }

    /// Notes field `column` of the row being framed; `end_row` makes the row count.
    #[inline(always)]
    pub fn set(&mut self, column: usize, start: usize, length: i32) {
        let cell = column * self.capacity + self.rows;
        if let (Some(s), Some(l)) = (self.starts.get_mut(cell), self.lengths.get_mut(cell)) {
            *s = start as u32;
            *l = length;
        }
    }

    #[inline(always)]
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    pub fn clear(&mut self) {
        self.rows = 0;
    }

    /// Starts and lengths of one column's fields.
    pub fn column(&self, column: usize) -> (&[u32], &[i32]) {
        let from = column * self.capacity;
        (&self.starts[from..from + self.rows], &self.lengths[from..from + self.rows])
    }

    /// Keeps the rows for which `keep` is true, in order.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut kept = 0;
        for (row, wanted) in keep.iter().enumerate().take(self.rows) {
            if !wanted {
                continue;
            }
            for column in 0..self.columns {
                let base = column * self.capacity;
                self.starts[base + kept] = self.starts[base + row];
                self.lengths[base + kept] = self.lengths[base + row];
            }
            kept += 1;
        }
        self.rows = kept;
    }
}

/// What a framing needs to know about the rows.
#[derive(Debug)]
pub struct RowShape {
    pub names: Vec<String>,
    /// No limit is `usize::MAX`.
    pub value_bytes_max: usize,
}

impl RowShape {
    pub fn columns(&self) -> usize {
        self.names.len()
    }

    #[cold]
    pub fn too_large(&self, column: usize, bytes: u64) -> CoreError {
        let name = self.names.get(column).map_or("?", String::as_str);
        let limit = self.value_bytes_max;
        let message = format!(
            "Column '{name}' holds a value of {bytes} bytes ({}), the limit is {}",
            mebibytes(bytes),
            mebibytes(limit as u64)
        );
        CoreError::new(VALUE_TOO_LARGE, message).at_column(name)
    }

    #[cold]
    pub fn wrong_count(&self, got: u64) -> CoreError {
        let wanted = self.columns();
        CoreError::new(COLUMNS_CHANGED, format!("A row has {got} columns, the plan has {wanted}"))
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// How far framing got.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The block of rows is full; there may be more.
    Full,
    /// The rest of the input is an incomplete message that will need this many bytes in all, as far as is known.
    Incomplete(usize),
}

/// What framing works on: `input[position..]` is what has not been framed yet.
pub struct Input<'a> {
    pub bytes: &'a mut [u8],
    pub position: usize,
}

pub trait Framer {
    /// Frames rows into `frames` until it is full or the input ends; other messages go to `control`, whole.
    fn frame(
        &mut self,
        input: &mut Input<'_>,
        shape: &RowShape,
        frames: &mut Frames,
        control: &mut std::collections::VecDeque<Vec<u8>>,
    ) -> Result<Stop>;
}
