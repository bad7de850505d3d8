// SPDX-License-Identifier: Apache-2.0
//! The bytes of a trace, decompressed. A file that ends in the middle of a zstd frame ends there, and says so.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

/// What a zstd frame begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How a source has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Arc<State>);

#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    last: AtomicU8,
}

impl Ending {
    /// Whether it was cut off in the middle of a zstd frame.
    pub(crate) fn is_cut(&self) -> bool {
        self.0.cut.load(Relaxed)
    }

    /// Whether its last line is whole.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_cut() && self.0.last.load(Relaxed) == b'\n'
    }
}

/// A file's text.
pub(crate) struct Source {
    inner: Box<dyn Read + Send>,
    ending: Ending,
}

impl Source {
    pub(crate) fn open(path: &Path) -> io::Result<BufReader<Source>> {
        Source::of(BufReader::with_capacity(1 << 18, File::open(path)?))
    }

    /// The text of what is read, compressed or not.
    pub(crate) fn of(mut from: impl BufRead + Send + 'static) -> io::Result<BufReader<Source>> {
        let inner: Box<dyn Read + Send> = if from.fill_buf()?.starts_with(&ZSTD) {
            Box::new(zstd::Decoder::with_buffer(from)?)
        } else {
            Box::new(from)
        };
        Ok(BufReader::with_capacity(1 << 18, Source { inner, ending: Ending::default() }))
    }

    pub(crate) fn ending(&self) -> Ending {
        self.ending.clone()
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                if let Some(last) = buffer[..read].last() {
                    self.ending.0.last.store(*last, Relaxed);
                }
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.ending.0.cut.store(true, Relaxed);
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }
}
