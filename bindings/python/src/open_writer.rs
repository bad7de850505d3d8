// SPDX-License-Identifier: Apache-2.0
//! An object under writing, as the interpreter's end finds it.

use crate::fork::ProcessOwned;
use std::sync::Mutex;
use storescope_bindings::lock::locked;

/// The crate's writer, as long as it is open.
pub(crate) struct OpenWriter {
    pub(crate) url: String,
    pub(crate) state: Mutex<State>,
}

pub(crate) enum State {
    Open(Box<ProcessOwned<storescope::Writer>>),
    /// A thread waits in `write` or `close`.
    Busy,
    /// Its caller closed or aborted it.
    Closed,
    /// A write failed, by the error if it was the store's; or it was never closed.
    Lost(Option<storescope::Error>),
}

impl OpenWriter {
    pub(crate) fn new(writer: storescope::Writer, url: String) -> OpenWriter {
        OpenWriter { url, state: Mutex::new(State::open(writer)) }
    }

    /// Whether a thread waits with it.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(*locked(&self.state), State::Busy)
    }

    /// Logs a write that the interpreter's end has interrupted: its thread ends without a word.
    pub(crate) fn cut_off(&self) {
        let mut state = locked(&self.state);
        if matches!(*state, State::Busy | State::Lost(None)) {
            *state = State::Lost(None);
            drop(state);
            tracing::error!(target: "storescope::python", "{} was not written: the interpreter ended meanwhile", self.url);
        }
    }

    /// Takes a writer that was never closed, and logs that.
    pub(crate) fn give_up(&self) -> Option<storescope::Writer> {
        let mut state = locked(&self.state);
        if !matches!(*state, State::Open(_) | State::Busy) {
            return None;
        }
        let writer = match std::mem::replace(&mut *state, State::Lost(None)) {
            // A child made by fork says nothing of its parent's.
            State::Open(writer) => Some(writer.take()?),
            _ => None,
        };
        drop(state);
        tracing::error!(target: "storescope::python", "{} was not written: its writer was never closed", self.url);
        writer
    }
}

impl State {
    pub(crate) fn open(writer: storescope::Writer) -> State {
        State::Open(Box::new(ProcessOwned::new(writer)))
    }
}
