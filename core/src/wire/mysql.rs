//! `lenenc_text` rows: inside MySQL packets as they come after COM_QUERY, or bare, one after the other.
//! Control packets are handed on whole, with their four header bytes.

use std::collections::VecDeque;

use super::frames::{Framer, Frames, Input, NULL, RowShape, Stop};
use crate::error::{CoreError, PROTOCOL, Result};

const HEADER_BYTES: usize = 4;
/// A payload of this length goes on in the next packet.
const PAYLOAD_BYTES_MAX: usize = 0xff_ffff;
const EOF_PAYLOAD_BYTES: usize = 5;

const OK_HEADER: u8 = 0x00;
const NULL_HEADER: u8 = 0xfb;
const EOF_HEADER: u8 = 0xfe;
const ERR_HEADER: u8 = 0xff;

enum Lenenc {
    Null,
    /// Value and the bytes its encoding takes.
    Length(u64, usize),
    Incomplete,
    Invalid,
}

/// Reads a length; 0xFF never begins one.
#[inline(always)]
fn read_lenenc(bytes: &[u8], at: usize) -> Lenenc {
    let Some(&first) = bytes.get(at) else {
        return Lenenc::Incomplete;
    };
    let width = match first {
        0..=0xfa => return Lenenc::Length(first as u64, 1),
        NULL_HEADER => return Lenenc::Null,
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        ERR_HEADER => return Lenenc::Invalid,
    };
    let Some(field) = bytes.get(at + 1..at + 1 + width) else {
        return Lenenc::Incomplete;
    };
    let mut value = [0u8; 8];
    value[..width].copy_from_slice(field);
    Lenenc::Length(u64::from_le_bytes(value), 1 + width)
}

enum Row {
    /// The position after the row.
    End(usize),
    /// The row needs at least this many bytes after its start.
    Incomplete(usize),
}

#[inline(always)]
fn frame_fields(bytes: &[u8], from: usize, shape: &RowShape, frames: &mut Frames) -> Result<Row> {
    let mut at = from;
    for column in 0..shape.columns() {
        match read_lenenc(bytes, at) {
            Lenenc::Length(length, width) => {
                if length > shape.value_bytes_max as u64 || length > i32::MAX as u64 {
                    return Err(shape.too_large(column, length));
                }
                at += width;
                frames.set(column, at, length as i32);
                at += length as usize;
                if at > bytes.len() {
                    return Ok(Row::Incomplete(at - from));
                }
            }
            Lenenc::Null => {
                at += 1;
                frames.set(column, at, NULL);
            }
            Lenenc::Incomplete => return Ok(Row::Incomplete(at + 1 - from)),
            Lenenc::Invalid => return Err(broken()),
        }
    }
    Ok(Row::End(at))
}

#[cold]
fn broken() -> CoreError {
    CoreError::new(PROTOCOL, "A row of the source is malformed")
}

/// Rows without any frame around them.
#[derive(Debug, Default)]
pub struct BareRows;

impl Framer for BareRows {
    fn frame(
        &mut self,
        input: &mut Input<'_>,
        shape: &RowShape,
        frames: &mut Frames,
        _control: &mut VecDeque<Vec<u8>>,
    ) -> Result<Stop> {
        while !frames.is_full() {
            if input.position == input.bytes.len() {
                return Ok(Stop::Incomplete(1));
            }
            match frame_fields(input.bytes, input.position, shape, frames)? {
                Row::End(at) => input.position = at,
                Row::Incomplete(bytes) => return Ok(Stop::Incomplete(bytes)),
            }
            frames.end_row();
        }
        Ok(Stop::Full)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// The first packet of a response.
    #[default]
    Response,
    /// Column definitions still to come.
    Columns(u64),
    /// An EOF packet, unless the client deprecated it: then already a row or the end.
    AfterColumns,
    Rows,
}

/// MySQL packets; the responses of several statements may follow each other.
#[derive(Debug, Default)]
pub struct MysqlPackets {
    state: State,
}

/// One logical packet: its payload may have come in several.
struct Packet {
    payload: std::ops::Range<usize>,
    end: usize,
}

impl Framer for MysqlPackets {
    fn frame(
        &mut self,
        input: &mut Input<'_>,
        shape: &RowShape,
        frames: &mut Frames,
        control: &mut VecDeque<Vec<u8>>,
    ) -> Result<Stop> {
        while !frames.is_full() {
            let packet = match find_packet(input.bytes, input.position) {
                Ok(packet) => packet,
                Err(needed) => {
                    if matches!(self.state, State::Rows | State::AfterColumns) {
                        check_partial_row(&input.bytes[input.position..], shape)?;
                    }
                    return Ok(Stop::Incomplete(needed));
                }
            };
            let payload = join_payload(input.bytes, &packet);
            if self.is_row(&input.bytes[payload.clone()])? {
                let bytes = &input.bytes[..payload.end];
                match frame_fields(bytes, payload.start, shape, frames)? {
                    Row::End(at) if at == payload.end => frames.end_row(),
                    _ => return Err(broken()),
                }
            } else {
                self.accept_control(&input.bytes[payload.clone()], shape)?;
                control.push_back(input.bytes[input.position..payload.end].to_vec());
            }
            input.position = packet.end;
        }
        Ok(Stop::Full)
    }
}

impl MysqlPackets {
    fn is_row(&mut self, payload: &[u8]) -> Result<bool> {
        let Some(&first) = payload.first() else {
            return Err(CoreError::new(PROTOCOL, "The server sent an empty packet"));
        };
        if self.state == State::AfterColumns {
            if first == EOF_HEADER && payload.len() == EOF_PAYLOAD_BYTES {
                return Ok(false);
            }
            self.state = State::Rows;
        }
        // A row that begins with 0xFE has a first field of 16 MB or more: it never fits a single packet.
        let is_end = first == ERR_HEADER || (first == EOF_HEADER && payload.len() < PAYLOAD_BYTES_MAX);
        Ok(self.state == State::Rows && !is_end)
    }

    fn accept_control(&mut self, payload: &[u8], shape: &RowShape) -> Result<()> {
        let first = payload.first().copied().unwrap_or(ERR_HEADER);
        self.state = match self.state {
            _ if first == ERR_HEADER => State::Response,
            State::Response if first == OK_HEADER || first == NULL_HEADER => State::Response,
            State::Response => match read_lenenc(payload, 0) {
                Lenenc::Length(count, _) if count == shape.columns() as u64 => State::Columns(count),
                Lenenc::Length(count, _) => return Err(shape.wrong_count(count)),
                _ => return Err(CoreError::new(PROTOCOL, "The server's response is malformed")),
            },
            State::Columns(1) => State::AfterColumns,
            State::Columns(left) => State::Columns(left - 1),
            State::AfterColumns => State::Rows,
            State::Rows => State::Response,
        };
        Ok(())
    }
}

fn payload_bytes(bytes: &[u8], at: usize) -> Option<usize> {
    let header = bytes.get(at..at + HEADER_BYTES)?;
    Some(u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize)
}

/// The packet at `from`, or how many bytes it needs as far as is known.
fn find_packet(bytes: &[u8], from: usize) -> Result<Packet, usize> {
    let mut at = from;
    loop {
        let Some(length) = payload_bytes(bytes, at) else {
            return Err(at + HEADER_BYTES - from);
        };
        at += HEADER_BYTES + length;
        if at > bytes.len() {
            return Err(at - from);
        }
        if length < PAYLOAD_BYTES_MAX {
            return Ok(Packet { payload: from + HEADER_BYTES..at, end: at });
        }
    }
}

/// Moves the payloads of a packet that came in several pieces together, over the headers between them.
fn join_payload(bytes: &mut [u8], packet: &Packet) -> std::ops::Range<usize> {
    let start = packet.payload.start;
    let piece = PAYLOAD_BYTES_MAX + HEADER_BYTES;
    let mut from = start + piece;
    let mut end = packet.end.min(start + PAYLOAD_BYTES_MAX);
    while from <= packet.end {
        let to = packet.end.min(from + PAYLOAD_BYTES_MAX);
        bytes.copy_within(from..to, end);
        end += to - from;
        from += piece;
    }
    start..end
}

/// Refuses a value that is too long as soon as its length has arrived.
fn check_partial_row(bytes: &[u8], shape: &RowShape) -> Result<()> {
    let is_row = !matches!(bytes.get(HEADER_BYTES), None | Some(&ERR_HEADER));
    let is_end = bytes.get(HEADER_BYTES) == Some(&EOF_HEADER)
        && payload_bytes(bytes, 0).is_some_and(|length| length < PAYLOAD_BYTES_MAX);
    if !is_row || is_end {
        return Ok(());
    }
    // Positions count payload bytes only; a length that straddles two packets waits for the whole packet.
    let mut at = 0;
    for column in 0..shape.columns() {
        let physical = at + HEADER_BYTES * (1 + at / PAYLOAD_BYTES_MAX);
        let left_in_piece = PAYLOAD_BYTES_MAX - at % PAYLOAD_BYTES_MAX;
        let piece = bytes.get(physical..bytes.len().min(physical + left_in_piece)).unwrap_or_default();
        match read_lenenc(piece, 0) {
            Lenenc::Length(length, width) => {
                if length > shape.value_bytes_max as u64 || length > i32::MAX as u64 {
                    return Err(shape.too_large(column, length));
                }
                at += width + length as usize;
            }
            Lenenc::Null => at += 1,
            Lenenc::Incomplete => return Ok(()),
            Lenenc::Invalid => return Err(broken()),
        }
    }
    Ok(())
}
