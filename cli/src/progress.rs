// SPDX-License-Identifier: Apache-2.0
//! How far work has got, told on standard error once it takes longer than two seconds.

use crate::escape;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

/// Shorter work says nothing.
const AFTER: Duration = Duration::from_secs(2);

/// What stands on the terminal, to be cleared before anything else is written there.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

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
    /// On a terminal, or where it is `wanted`. A terminal on which no line can be written over gets lines.
    pub(crate) fn new(wanted: bool) -> Show {
        let terminal = std::io::stderr().is_terminal();
        let can_overwrite = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        match (terminal, wanted) {
            (true, _) if can_overwrite => Show::Terminal,
            (true, _) | (false, true) => Show::Lines,
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
    if show == Show::Lines {
        eprintln!("{text}");
        return;
    }
    let mut shown = SHOWN.lock().expect("no holder panics");
    let bar = shown.get_or_insert_with(|| {
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("it is a template");
        ProgressBar::new_spinner().with_style(style.tick_chars("|/-\\ "))
    });
    bar.set_message(text.to_owned());
    bar.tick();
}

fn clear() {
    if let Some(bar) = SHOWN.lock().expect("no holder panics").take() {
        bar.finish_and_clear();
    }
}

/// Clears the line when the work has ended, or was dropped.
struct Cleared;

impl Drop for Cleared {
    fn drop(&mut self) {
        clear();
    }
}
