//! Stands in for the `zstd` crate where `parquet` uses it: every column's compressor shares one context.
//! A context holds megabytes of tables; one for each column of a wide table would dwarf the data itself.

pub use zstd_safe;

use std::ops::RangeInclusive;

/// The levels zstd accepts.
pub fn compression_level_range() -> RangeInclusive<zstd_safe::CompressionLevel> {
    zstd_safe::min_c_level()..=zstd_safe::max_c_level()
}

/// One-shot compression of whole buffers.
pub mod bulk {
    use std::cell::RefCell;
    use std::io;
    use std::marker::PhantomData;

    use zstd_safe::{CCtx, DCtx, WriteBuf};

    thread_local! {
        static COMPRESS: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
        static DECOMPRESS: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    }

    fn to_io(code: usize) -> io::Error {
        io::Error::other(zstd_safe::get_error_name(code))
    }

    fn busy() -> io::Error {
        io::Error::other("zstd context is in use")
    }

    /// Frees the shared contexts: their size follows the highest level used.
    pub fn release() {
        COMPRESS.with_borrow_mut(|context| *context = None);
        DECOMPRESS.with_borrow_mut(|context| *context = None);
    }

    pub struct Compressor<'a> {
        level: i32,
        lifetime: PhantomData<&'a ()>,
    }

    impl Compressor<'_> {
        pub fn new(level: i32) -> io::Result<Self> {
            Ok(Compressor { level, lifetime: PhantomData })
        }

        pub fn compress_to_buffer<C: WriteBuf + ?Sized>(&mut self, source: &[u8], into: &mut C) -> io::Result<usize> {
            COMPRESS.with(|shared| {
                let mut shared = shared.try_borrow_mut().map_err(|_| busy())?;
                if shared.is_none() {
                    *shared = CCtx::try_create();
                }
                let context = shared.as_mut().ok_or_else(|| io::Error::other("zstd context cannot be created"))?;
                context.compress(into, source, self.level).map_err(to_io)
            })
        }
    }

    pub struct Decompressor<'a> {
        lifetime: PhantomData<&'a ()>,
    }

    impl Decompressor<'_> {
        pub fn new() -> io::Result<Self> {
            Ok(Decompressor { lifetime: PhantomData })
        }

        pub fn decompress_to_buffer<C: WriteBuf + ?Sized>(&mut self, source: &[u8], into: &mut C) -> io::Result<usize> {
            DECOMPRESS.with(|shared| {
                let mut shared = shared.try_borrow_mut().map_err(|_| busy())?;
                if shared.is_none() {
                    *shared = DCtx::try_create();
                }
                let context = shared.as_mut().ok_or_else(|| io::Error::other("zstd context cannot be created"))?;
                context.decompress(into, source).map_err(to_io)
            })
        }
    }
}
