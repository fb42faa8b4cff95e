//! The bytes of the file being written: digests over all of them, and pieces waiting to be taken.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use md5::{Digest as _, Md5};
use xxhash_rust::xxh3::Xxh3Default;

use crate::spec::Digest;

/// Small pieces are gathered to this size; a larger one is its own piece.
const PIECE_BYTES: usize = 256 * 1024;

/// Digests of a finished file.
#[derive(Debug)]
pub struct FileDigests {
    pub bytes: u64,
    pub xxh3: u64,
    pub md5: Option<[u8; 16]>,
    pub crc32c: Option<u32>,
}

enum Item {
    Piece(Vec<u8>),
    /// The end of a file, and what was seen in it.
    Part(String),
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: u64,
    xxh3: Xxh3Default,
    md5: Option<Md5>,
    crc32c: Option<u32>,
}

/// A shared writer: the encoder writes into it, the façade takes pieces out.
#[derive(Clone, Default)]
pub struct Output {
    state: Arc<Mutex<State>>,
    digests: [bool; 2],
}

impl Output {
    pub fn new(digests: &[Digest]) -> Self {
        let output = Output {
            state: Arc::default(),
            digests: [digests.contains(&Digest::Md5), digests.contains(&Digest::Crc32c)],
        };
        output.finish_digests();
        output
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn file_bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// The next bytes of the file whose part was not taken yet.
    pub fn take_piece(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        match state.items.pop_front()? {
            Item::Piece(piece) => Some(piece),
            part => {
                state.items.push_front(part);
                None
            }
        }
    }

    /// The next part, once all bytes of its file were taken.
    pub fn take_part(&self) -> Option<String> {
        let mut state = self.lock();
        match state.items.pop_front()? {
            Item::Part(part) => Some(part),
            piece => {
                state.items.push_front(piece);
                None
            }
        }
    }

    /// Marks the end of a file: what is written next belongs to another.
    pub fn push_part(&self, part: String) {
        self.lock().items.push_back(Item::Part(part));
    }

    /// The digests of the bytes since the last call; the next byte begins a new file.
    pub fn finish_digests(&self) -> FileDigests {
        let mut state = self.lock();
        let [with_md5, with_crc32c] = self.digests;
        let finished = FileDigests {
            bytes: state.bytes,
            xxh3: state.xxh3.digest(),
            md5: state.md5.take().map(|md5| md5.finalize().into()),
            crc32c: state.crc32c,
        };
        state.bytes = 0;
        state.xxh3 = Xxh3Default::new();
        state.md5 = with_md5.then(Md5::new);
        state.crc32c = with_crc32c.then_some(0);
        finished
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        state.bytes += bytes.len() as u64;
        state.xxh3.update(bytes);
        if let Some(md5) = &mut state.md5 {
            md5.update(bytes);
        }
        if let Some(crc) = state.crc32c {
            state.crc32c = Some(crate::crc32c::update(crc, bytes));
        }
        match state.items.back_mut() {
            Some(Item::Piece(piece)) if piece.len() + bytes.len() <= piece.capacity() => piece.extend_from_slice(bytes),
            _ => {
                let mut piece = Vec::with_capacity(bytes.len().max(PIECE_BYTES));
                piece.extend_from_slice(bytes);
                state.items.push_back(Item::Piece(piece));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
