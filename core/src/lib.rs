//! Rows of a database as they came from the wire become Parquet or CSV, and what was seen on the way is told.
//!
//! This file alone knows WebAssembly: a few exported functions over numbers, with JSON for specifications and reports.
//! A function that can fail returns a negative number; the error is then in the result, as JSON.

mod calendar;
mod canonical;
mod column;
mod crc32c;
mod csv_file;
mod csv_values;
mod decode;
pub mod encoder;
pub mod error;
mod key_lines;
mod observe;
mod output;
mod parquet_file;
pub mod read;
mod read_csv;
mod render;
pub mod spec;
mod wire;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod exports {
    use std::cell::RefCell;

    use serde::Deserialize;

    use crate::encoder::Encoder;
    use crate::error::{BUILDER, CoreError, Result};
    use crate::read::Reader;
    use crate::spec::{ColumnSpec, EncoderSpec, FormatSpec};

    const FAILED: i32 = -1;
    const NOTHING: i32 = 0;
    const SOMETHING: i32 = 1;

    enum Slot {
        Free,
        Encoder(Box<Encoder>),
        Reader(Reader),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ReaderSpec {
        file_bytes: f64,
        columns: Vec<ColumnSpec>,
        #[serde(default)]
        keys: Option<Vec<String>>,
        format: Option<FormatSpec>,
    }

    #[derive(Default)]
    struct State {
        slots: Vec<Slot>,
        /// Bytes on their way in or out; valid until the next call.
        result: Vec<u8>,
    }

    thread_local! {
        static STATE: RefCell<State> = RefCell::default();
    }

    fn with_state(act: impl FnOnce(&mut State) -> Result<i32>) -> i32 {
        STATE.with_borrow_mut(|state| match act(state) {
            Ok(value) => value,
            Err(error) => {
                state.result = serde_json::to_vec(&error).unwrap_or_default();
                FAILED
            }
        })
    }

    impl State {
        fn open(&mut self, slot: Slot) -> i32 {
            let free = self.slots.iter().position(|slot| matches!(slot, Slot::Free));
            let index = free.unwrap_or_else(|| {
                self.slots.push(Slot::Free);
                self.slots.len() - 1
            });
            self.slots[index] = slot;
            index as i32
        }

        fn encoder(&mut self, handle: i32) -> Result<&mut Encoder> {
            match self.slots.get_mut(handle as usize) {
                Some(Slot::Encoder(encoder)) => Ok(encoder),
                _ => Err(CoreError::new(BUILDER, "The encoder is closed")),
            }
        }

        fn reader(&mut self, handle: i32) -> Result<&mut Reader> {
            match self.slots.get_mut(handle as usize) {
                Some(Slot::Reader(reader)) => Ok(reader),
                _ => Err(CoreError::new(BUILDER, "The reader is closed")),
            }
        }

        fn answer(&mut self, bytes: Option<Vec<u8>>) -> i32 {
            match bytes {
                Some(bytes) => {
                    self.result = bytes;
                    SOMETHING
                }
                None => NOTHING,
            }
        }
    }

    fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
        serde_json::from_slice(json)
            .map_err(|error| CoreError::new(BUILDER, format!("The specification cannot be read: {error}")))
    }

    /// Where the last result lies.
    #[unsafe(no_mangle)]
    pub extern "C" fn result_at() -> *const u8 {
        STATE.with_borrow(|state| state.result.as_ptr())
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn result_bytes() -> usize {
        STATE.with_borrow(|state| state.result.len())
    }

    /// Frees the last result.
    #[unsafe(no_mangle)]
    pub extern "C" fn result_drop() {
        STATE.with_borrow_mut(|state| state.result = Vec::new());
    }

    /// Makes a result of `bytes` bytes for the caller to fill: an argument of the next call.
    #[unsafe(no_mangle)]
    pub extern "C" fn argument(bytes: usize) -> *mut u8 {
        STATE.with_borrow_mut(|state| {
            state.result = vec![0; bytes];
            state.result.as_mut_ptr()
        })
    }

    /// Opens an encoder for the specification in the argument; returns its handle.
    #[unsafe(no_mangle)]
    pub extern "C" fn encoder_open() -> i32 {
        with_state(|state| {
            let spec: EncoderSpec = parse(&std::mem::take(&mut state.result))?;
            let encoder = Encoder::new(spec)?;
            Ok(state.open(Slot::Encoder(Box::new(encoder))))
        })
    }

    /// Where `bytes` bytes of input may be written; 0 when that failed.
    #[unsafe(no_mangle)]
    pub extern "C" fn encoder_room(handle: i32, bytes: usize) -> *mut u8 {
        let mut at = std::ptr::null_mut();
        with_state(|state| {
            at = state.encoder(handle)?.room(bytes)?.as_mut_ptr();
            Ok(NOTHING)
        });
        at
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn encoder_wrote(handle: i32, bytes: usize) -> i32 {
        with_state(|state| state.encoder(handle)?.wrote(bytes).map(|()| NOTHING))
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn encoder_take_control(handle: i32) -> i32 {
        with_state(|state| {
            let control = state.encoder(handle)?.take_control();
            Ok(state.answer(control))
        })
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn encoder_take_output(handle: i32) -> i32 {
        with_state(|state| {
            let output = state.encoder(handle)?.take_output();
            Ok(state.answer(output))
        })
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn encoder_take_part(handle: i32) -> i32 {
        with_state(|state| {
            let part = state.encoder(handle)?.take_part();
            Ok(state.answer(part.map(String::into_bytes)))
        })
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn encoder_finish(handle: i32, empty_file: i32) -> i32 {
        with_state(|state| {
            let report = state.encoder(handle)?.finish(empty_file != 0)?;
            Ok(state.answer(Some(report.into_bytes())))
        })
    }

    /// Opens a reader for the specification in the argument; returns its handle.
    #[unsafe(no_mangle)]
    pub extern "C" fn reader_open() -> i32 {
        with_state(|state| {
            let spec: ReaderSpec = parse(&std::mem::take(&mut state.result))?;
            let reader = Reader::new(spec.file_bytes as u64, &spec.columns, spec.keys.as_deref(), spec.format)?;
            Ok(state.open(Slot::Reader(reader)))
        })
    }

    /// The range that is needed, as JSON, or nothing.
    #[unsafe(no_mangle)]
    pub extern "C" fn reader_need(handle: i32) -> i32 {
        with_state(|state| {
            let need = state.reader(handle)?.need();
            let need = need.and_then(|need| serde_json::to_vec(&need).ok());
            Ok(state.answer(need))
        })
    }

    /// Gives the bytes in the argument.
    #[unsafe(no_mangle)]
    pub extern "C" fn reader_give(handle: i32) -> i32 {
        with_state(|state| {
            let bytes = std::mem::take(&mut state.result);
            state.reader(handle)?.give(&bytes).map(|()| NOTHING)
        })
    }

    /// Lines of rows, when keys were asked for, or nothing.
    #[unsafe(no_mangle)]
    pub extern "C" fn reader_take_rows(handle: i32) -> i32 {
        with_state(|state| {
            let rows = state.reader(handle)?.take_rows();
            Ok(state.answer(rows))
        })
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn reader_finish(handle: i32) -> i32 {
        with_state(|state| {
            let report = state.reader(handle)?.finish()?;
            Ok(state.answer(Some(report.into_bytes())))
        })
    }

    /// Frees an encoder or a reader, and with the last one the memory that all of them share.
    #[unsafe(no_mangle)]
    pub extern "C" fn close(handle: i32) {
        STATE.with_borrow_mut(|state| {
            if let Some(slot) = state.slots.get_mut(handle as usize) {
                *slot = Slot::Free;
            }
            state.result = Vec::new();
        });
    }
}
