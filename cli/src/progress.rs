// SPDX-License-Identifier: Apache-2.0
//! How far work has got, told on standard error once it takes longer than two seconds.

use crate::escape;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::pin::pin;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

/// Shorter work says nothing.
const AFTER: Duration = Duration::from_secs(2);

/// What stands on the terminal, to be cleared before anything else is written there.
static SHOWN: Mutex<Option<Shown>> = Mutex::new(None);

/// What stands there.
enum Shown {
    /// A line; the cursor is at its end.
    Line(ProgressBar),
    /// Several lines; the cursor is at the front of the first, so that what anyone else writes goes over them.
    Block,
}

/// What is asked for by `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wanted {
    /// A line now and then, also where standard error is no terminal.
    Plain,
    /// Written over in place, where standard error is a terminal; a line now and then where it is not.
    Live,
    /// Nothing.
    None,
}

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
    /// As is `wanted`; without a wish, on a terminal alone. A terminal on which nothing can be written over gets lines.
    pub(crate) fn new(wanted: Option<Wanted>) -> Show {
        let terminal = std::io::stderr().is_terminal();
        let can_overwrite = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        match (wanted, terminal) {
            (Some(Wanted::None), _) | (None, false) => Show::Never,
            (Some(Wanted::Live) | None, true) if can_overwrite => Show::Terminal,
            _ => Show::Lines,
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

/// Shows a line in place of what stands there, or writes it.
pub(crate) fn tell(show: Show, text: &str) {
    if show == Show::Lines {
        eprintln!("{text}");
        return;
    }
    let mut shown = standing();
    if !matches!(*shown, Some(Shown::Line(_))) {
        remove(shown.take());
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("it is a template");
        let bar = ProgressBar::new_spinner().with_style(style.tick_chars("|/-\\ "));
        *shown = Some(Shown::Line(bar));
    }
    if let Some(Shown::Line(bar)) = &*shown {
        bar.set_message(text.to_owned());
        bar.tick();
    }
}

/// Shows these lines on the terminal, in place of those that stand there. They are narrower than it is.
pub(crate) fn block(lines: &[String]) {
    static PANICS: Once = Once::new();
    PANICS.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Not where it is held: this thread may hold it.
            if let Ok(mut shown) = SHOWN.try_lock() {
                remove(shown.take());
            }
            before(panic);
        }));
    });
    let mut shown = standing();
    if matches!(*shown, Some(Shown::Line(_))) {
        remove(shown.take());
    }
    let mut text = "\r".to_owned();
    for line in lines {
        let _ = write!(text, "{line}\u{1b}[K\r\n");
    }
    let _ = write!(text, "\u{1b}[J\u{1b}[{}A", lines.len().max(1));
    // A terminal that is gone is nothing to stop for.
    let _ = std::io::stderr().write_all(text.as_bytes());
    *shown = Some(Shown::Block);
}

/// Removes what stands on the terminal.
pub(crate) fn clear() {
    remove(standing().take());
}

fn standing() -> std::sync::MutexGuard<'static, Option<Shown>> {
    // What a panic left there is still to be cleared.
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(shown: Option<Shown>) {
    match shown {
        Some(Shown::Line(bar)) => bar.finish_and_clear(),
        Some(Shown::Block) => {
            let _ = std::io::stderr().write_all(b"\r\x1b[J");
        }
        None => {}
    }
}

/// Columns of the terminal; `None` where it does not tell.
pub(crate) fn width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// Clears what stands there when the work has ended, or was dropped.
pub(crate) struct Cleared;

impl Drop for Cleared {
    fn drop(&mut self) {
        clear();
    }
}
