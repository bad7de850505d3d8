// SPDX-License-Identifier: Apache-2.0
//! Entry point of the fuzz target in `fuzz/` that reads traces of every format. Compiled for tests and under `cfg(fuzzing)`.

use crate::source::Source;
use crate::{CsvWriter, Entry, Options, Order, TraceReader};
use std::io::{self, Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The entries of a trace, up to what is wrong with it, are written as CSV and read again. What an empty column stands for may be
/// another value at first; what was read from CSV is read from CSV again as the same.
pub fn trace(data: &[u8]) {
    let Some(entries) = read(data, Order::AsWritten) else { return };
    let once = read(&written(&entries), Order::AsWritten).expect("a CSV that was written");
    assert_eq!(once.len(), entries.len());
    let twice = read(&written(&once), Order::AsWritten).expect("a CSV that was written");
    assert_eq!(twice, once);
    let sorted = read(data, Order::Sorted).expect("it was read before");
    assert!(sorted.is_sorted_by_key(|entry| entry.at_ns));
}

/// The entries before the first error; `None` where it is no trace.
fn read(data: &[u8], order: Order) -> Option<Vec<Entry>> {
    let source = Source::of(Cursor::new(data.to_vec()));
    let options = Options::new().order(order);
    let reader = TraceReader::of(source, Path::new("fuzzed"), &options).ok()?;
    Some(reader.map_while(Result::ok).collect())
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let memory = Memory::default();
    let mut csv = CsvWriter::new(Box::new(memory.clone()), false).expect("memory takes it");
    for entry in entries {
        csv.write(entry).expect("memory takes it");
    }
    csv.finish().expect("memory takes it");
    std::mem::take(&mut *memory.0.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What is written, shared.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn trace() {
        super::replay::replay("trace", super::trace);
    }
}
