// SPDX-License-Identifier: Apache-2.0
//! Objects by tokio's traits, for code that reads or writes any stream of bytes: [`BufReader`] is `AsyncBufRead` and
//! `AsyncSeek`, [`BufWriter`] is `AsyncWrite`. Their twins of `std::io` are in [`blocking`](crate::blocking).

mod reader;
mod seek;
mod writer;

pub use reader::BufReader;
pub(crate) use seek::sought;
pub use writer::BufWriter;
