// SPDX-License-Identifier: Apache-2.0
//! How far work has got, told on standard error once it takes longer than two seconds.

use crate::escape;
use std::io::IsTerminal;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Shorter work says nothing.
const AFTER: Duration = Duration::from_secs(2);

/// Whether a line of progress stands on the terminal, to be cleared before anything else is written there.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Not at all.
    Never,
    /// By one line that is written over.
    Terminal,
    /// By a line now and then.
    Lines,
}

impl Show {
    /// On a terminal, or where it is `wanted`.
    pub(crate) fn new(wanted: bool) -> Show {
        match (std::io::stderr().is_terminal(), wanted) {
            (true, _) => Show::Terminal,
            (false, true) => Show::Lines,
            (false, false) => Show::Never,
        }
    }

    fn every(self) -> Duration {
        match self {
            Show::Terminal => Duration::from_millis(250),
            Show::Lines | Show::Never => AFTER,
        }
    }
}

/// Awaits `work`, and meanwhile shows how far it is.
pub(crate) async fn shown<T>(
    show: Show,
    text: impl Fn() -> String,
    work: impl Future<Output = T>,
) -> T {
    if show == Show::Never {
        return work.await;
    }
    let mut work = pin!(work);
    let _cleared = Cleared;
    let mut wait = AFTER;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(wait) => tell(show, &text()),
        }
        wait = show.every();
    }
}

/// Writes a line to standard error, in place of the progress that stands there. Names in it are escaped.
pub(crate) fn note(text: &str) {
    clear();
    eprintln!("{}", escape::lines(text));
}

fn tell(show: Show, text: &str) {
    if show == Show::Terminal {
        SHOWN.store(true, Relaxed);
        eprint!("\r{text}\x1b[K");
    } else {
        eprintln!("{text}");
    }
}

fn clear() {
    if SHOWN.swap(false, Relaxed) {
        eprint!("\r\x1b[K");
    }
}

/// Clears the line when the work has ended, or was dropped.
struct Cleared;

impl Drop for Cleared {
    fn drop(&mut self) {
        clear();
    }
}
