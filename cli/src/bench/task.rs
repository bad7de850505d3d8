// SPDX-License-Identifier: Apache-2.0
//! What is called: one task after another, from whatever knows the next.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use storescope::timing::Operation;
use tokio::sync::watch;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub(super) enum Op {
    /// A read of a range of an object.
    Get,
    /// A write of a new object by one request.
    Put,
    /// The metadata of an object.
    Head,
    /// A page of a listing.
    List,
    /// The removal of an object.
    Delete,
    /// A copy inside the store.
    Copy,
    /// A write of a new object by parts.
    Multipart,
}

impl Op {
    /// All of them, in the order of the enum.
    pub(super) const ALL: [Op; 7] =
        [Op::Get, Op::Put, Op::Head, Op::List, Op::Delete, Op::Copy, Op::Multipart];

    /// The call it is, as histograms name it.
    pub(super) fn operation(self) -> Operation {
        match self {
            Op::Get => Operation::Get,
            Op::Put => Operation::Put,
            Op::Head => Operation::Head,
            Op::List => Operation::List,
            Op::Delete => Operation::Delete,
            Op::Copy => Operation::Copy,
            Op::Multipart => Operation::Upload,
        }
    }

    /// What one is called in a sentence.
    pub(super) fn word(self) -> &'static str {
        match self {
            Op::Get => "read",
            Op::Put => "write",
            Op::Head => "head",
            Op::List => "listing",
            Op::Delete => "delete",
            Op::Copy => "copy",
            Op::Multipart => "write by parts",
        }
    }

    /// What several are called.
    pub(super) fn words(self) -> &'static str {
        match self {
            Op::Get => "reads",
            Op::Put => "writes",
            Op::Head => "heads",
            Op::List => "listings",
            Op::Delete => "deletes",
            Op::Copy => "copies",
            Op::Multipart => "writes by parts",
        }
    }

    /// Its value of `--op`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Op::Get => "get",
            Op::Put => "put",
            Op::Head => "head",
            Op::List => "list",
            Op::Delete => "delete",
            Op::Copy => "copy",
            Op::Multipart => "multipart",
        }
    }

    /// Whether its calls move payload of `--size`.
    pub(super) fn is_sized(self) -> bool {
        matches!(self, Op::Get | Op::Put | Op::Copy | Op::Multipart)
    }
}

/// One call to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// When it is to begin, since the cell began; without it, the arrivals say when, or the call before it has ended.
    pub(super) at: Option<Duration>,
    pub(super) op: Op,
    /// The object's name in the bucket; of a listing, the prefix.
    pub(super) key: Arc<str>,
    /// What is read of the object; without it, all of it.
    pub(super) range: Option<Range<u64>>,
    /// Bytes that are read or written, as far as they are known beforehand.
    pub(super) size: u64,
    /// The new object's name, of a copy; without it, one of the bench's own.
    pub(super) to: Option<Arc<str>>,
    /// Whether a read goes through the reading engine, by the reader of its object.
    pub(super) by_reader: bool,
    /// Its place among the calls of an object that are made one after another.
    pub(super) turn: Option<Turn>,
}

/// A place in a line: calls that must not overtake each other.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    line: Arc<Line>,
    number: u64,
}

/// Calls that are made one after another: how many have been.
#[derive(Debug, Default)]
pub(super) struct Line(watch::Sender<u64>);

impl Line {
    /// The place behind so many others.
    pub(super) fn turn(self: &Arc<Line>, number: u64) -> Turn {
        Turn { line: Arc::clone(self), number }
    }
}

impl Turn {
    /// Waits until those before have been made; the next one's turn comes when this is dropped.
    pub(super) async fn come(self) -> Made {
        let mut done = self.line.0.subscribe();
        // The line outlives this borrow of it: it cannot be closed.
        let _ = done.wait_for(|done| *done >= self.number).await;
        Made(self.line)
    }
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Made(Arc<Line>);

impl Drop for Made {
    fn drop(&mut self) {
        self.0.0.send_modify(|done| *done += 1);
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Turn) -> bool {
        self.number == other.number
    }
}

impl Eq for Turn {}

/// Knows the next call. It is asked by many workers at a time, and must be quick.
pub(super) trait Source: Send + Sync {
    /// The next call; `None` when there are no more.
    fn next(&self) -> Option<Task>;
}
