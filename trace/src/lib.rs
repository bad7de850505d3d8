// SPDX-License-Identifier: Apache-2.0
//! Traces of what a program asked of an object store.
//!
//! ```text
//!  storescope's capture ─ Line ─▶ Writer ─▶ FILE       JSON lines in zstd frames, at most so many bytes
//!
//!  FILE ─▶ TraceReader ─▶ Entry, Entry, …              told by content: a capture, `requests.jsonl` of `storescope bench`,
//!                                                      an op-log of s3dlio or warp, a CSV of offset, length, time
//! ```
//!
//! * `entry.rs`: an [`Entry`], the same for all formats. `reader.rs`: [`TraceReader`], its options and its order.
//! * `source.rs`: the bytes of a file, decompressed; where a file was cut off. `format/`: a parser for each format.
//! * `csv_writer.rs`: entries as CSV. `line.rs`: a line of a capture. `writer.rs`: the file of a capture. `names.rs`: names that are not to be known.
//!
//! It promises:
//! * a file that was cut off is read up to the cut, and [`TraceReader::cut_off`] tells where that is;
//! * an error names the file and the line;
//! * no more than one line is held in memory, except to sort ([`Order`]).

mod csv_writer;
mod entry;
mod error;
mod format;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod line;
mod names;
mod reader;
mod source;
mod writer;

pub use csv_writer::CsvWriter;
pub use entry::{Attempt, Connection, Entry, Level, Op};
pub use error::TraceError;
pub use format::Format;
pub use line::{AttemptLine, CallLine, Line, SCHEMA, Tally};
pub use names::Names;
pub use reader::{Options, Order, TraceReader};
pub use writer::{Writer, Written};
