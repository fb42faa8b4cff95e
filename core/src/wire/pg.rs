//! PostgreSQL backend messages: `D` messages are rows, every other message is handed on whole, with its type and length.

use std::collections::VecDeque;

use super::frames::{Framer, Frames, Input, NULL, RowShape, Stop};
use crate::error::{CoreError, PROTOCOL, Result};

const HEADER_BYTES: usize = 5;
/// The protocol's own limit for a message.
const MESSAGE_BYTES_MAX: usize = 0x3fff_ffff + 1;

#[derive(Debug, Default)]
pub struct PgMessages;

#[inline(always)]
fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
}

impl Framer for PgMessages {
    fn frame(
        &mut self,
        input: &mut Input<'_>,
        shape: &RowShape,
        frames: &mut Frames,
        control: &mut VecDeque<Vec<u8>>,
    ) -> Result<Stop> {
        let bytes: &[u8] = input.bytes;
        while !frames.is_full() {
            let from = input.position;
            let Some(length) = read_u32(bytes, from + 1) else {
                return Ok(Stop::Incomplete(HEADER_BYTES));
            };
            let length = length as usize;
            if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
                return Err(CoreError::new(PROTOCOL, format!("A server message claims a length of {length} bytes")));
            }
            let end = from + 1 + length;
            let is_row = bytes[from] == b'D';
            if end > bytes.len() {
                if is_row {
                    check_partial_row(&bytes[from + HEADER_BYTES..], shape)?;
                }
                return Ok(Stop::Incomplete(1 + length));
            }
            if is_row {
                frame_row(&bytes[..end], from + HEADER_BYTES, shape, frames)?;
            } else {
                control.push_back(bytes[from..end].to_vec());
            }
            input.position = end;
        }
        Ok(Stop::Full)
    }
}

/// `bytes` ends where the message ends.
#[inline(always)]
fn frame_row(bytes: &[u8], mut at: usize, shape: &RowShape, frames: &mut Frames) -> Result<()> {
    let Some(&[high, low]) = bytes.get(at..at + 2) else {
        return Err(broken());
    };
    let count = u16::from_be_bytes([high, low]) as usize;
    if count != shape.columns() {
        return Err(shape.wrong_count(count as u64));
    }
    at += 2;
    for column in 0..count {
        let Some(length) = read_u32(bytes, at) else {
            return Err(broken());
        };
        let length = length as i32;
        at += 4;
        frames.set(column, at, length);
        if length == NULL {
            continue;
        }
        let size = length as u32 as usize;
        if size > shape.value_bytes_max {
            return Err(shape.too_large(column, size as u64));
        }
        if length < 0 || size > bytes.len() - at {
            return Err(broken());
        }
        at += size;
    }
    if at != bytes.len() {
        return Err(broken());
    }
    frames.end_row();
    Ok(())
}

/// Refuses a value that is too long as soon as its length has arrived, before its bytes are waited for.
fn check_partial_row(body: &[u8], shape: &RowShape) -> Result<()> {
    let mut at = 2;
    for column in 0..shape.columns() {
        let Some(length) = read_u32(body, at) else {
            return Ok(());
        };
        at += 4;
        let length = length as i32;
        if length == NULL {
            continue;
        }
        if length < 0 {
            return Err(broken());
        }
        if length as usize > shape.value_bytes_max {
            return Err(shape.too_large(column, length as u64));
        }
        at += length as usize;
        if at > body.len() {
            return Ok(());
        }
    }
    Ok(())
}

#[cold]
fn broken() -> CoreError {
    CoreError::new(PROTOCOL, "A row message of the server is malformed")
}
