// SPDX-License-Identifier: Apache-2.0
//! The reader of traces: one iterator over all formats.

use crate::entry::{Entry, Level};
use crate::error::TraceError;
use crate::format::{self, About, Format, Parser, Raw, Wrong};
use crate::line::Tally;
use crate::source::Source;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Entries that are looked at to find the earliest, where the rest is not.
const AHEAD: usize = 4096;

/// The order of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// By start. Logs are written when requests end, so that their starts go back and forth: they are sorted, for which all
    /// entries asked for are held in memory (about 200 bytes each). A CSV must be in order: one that goes backwards is an
    /// error.
    #[default]
    Started,
    /// By start, sorted whatever the format.
    Sorted,
    /// As they stand in the file: the whole is never in memory.
    AsWritten,
}

/// How a trace is read.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Options {
    level: Option<Level>,
    order: Order,
}

impl Options {
    /// Calls and attempts, by start.
    pub fn new() -> Options {
        Options::default()
    }

    /// Only calls, or only attempts, of a trace that has both: a capture, or the CSV made of one. Other formats have one
    /// level and are read whole.
    pub fn level(mut self, level: Level) -> Options {
        self.level = Some(level);
        self
    }

    /// The order of the entries.
    pub fn order(mut self, order: Order) -> Options {
        self.order = order;
        self
    }
}

/// Reads a trace: an iterator over its entries, which ends after the first error.
///
/// ```no_run
/// use storescope_trace::{Level, Options, TraceReader};
///
/// # fn main() -> Result<(), storescope_trace::TraceError> {
/// let mut calls = TraceReader::open_with("job.trace".as_ref(), &Options::new().level(Level::Call))?;
/// for entry in &mut calls {
///     let entry = entry?;
///     println!("{} ns: {} {} {:?}+{:?}", entry.at_ns, entry.operation, entry.key, entry.offset, entry.length);
/// }
/// if let Some(line) = calls.cut_off() {
///     eprintln!("the file was cut off in line {line}: what stands before it was read");
/// }
/// # Ok(()) }
/// ```
pub struct TraceReader {
    path: PathBuf,
    format: Format,
    options: Options,
    parser: Box<dyn Parser>,
    /// Entries that were read and not handed out.
    ready: VecDeque<Raw>,
    parsed: Vec<Raw>,
    base: Option<i128>,
    /// Start and line of the entry before.
    before: Option<(i128, u64)>,
    state: State,
    error: Option<TraceError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Reading,
    Over,
}

impl TraceReader {
    /// Opens a trace of any format, told by its content: its calls, where it has calls and attempts, by start.
    pub fn open(path: &Path) -> Result<TraceReader, TraceError> {
        TraceReader::open_with(path, &Options::new().level(Level::Call))
    }

    /// Opens a trace of any format, told by its content.
    pub fn open_with(path: &Path, options: &Options) -> Result<TraceReader, TraceError> {
        TraceReader::of(Source::open(path), path, options)
    }

    /// Reads a trace that is called `path`.
    pub(crate) fn of(
        text: io::Result<BufReader<Source>>,
        path: &Path,
        options: &Options,
    ) -> Result<TraceReader, TraceError> {
        let text = text.map_err(|e| TraceError::io(path, "cannot be read", e))?;
        let (format, parser) = format::open(text)
            .map_err(|Wrong { line, why }| TraceError::new(path, Some(line), why))?;
        Ok(TraceReader {
            path: path.to_owned(),
            format,
            options: options.clone(),
            parser,
            ready: VecDeque::new(),
            parsed: Vec::new(),
            base: format.is_relative().then_some(0),
            before: None,
            state: State::Fresh,
            error: None,
        })
    }

    /// What the file is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When the trace began, in nanoseconds since 1970, where the file tells it.
    pub fn started_unix_ns(&self) -> Option<u64> {
        self.about().started_unix_ns
    }

    /// Whether names are hashed: objects of these names are nowhere.
    pub fn has_hashed_names(&self) -> bool {
        self.about().names_hashed
    }

    /// The line in which the file was cut off, once all was read: what stands before it was handed out.
    pub fn cut_off(&self) -> Option<u64> {
        self.about().cut
    }

    /// What the capture says of itself in its last line, once all was read. `None` where the program has not ended in good
    /// order, or runs still, and for other formats.
    pub fn tally(&self) -> Option<Tally> {
        self.about().tally
    }

    fn about(&self) -> About {
        self.parser.about()
    }

    /// Reads until an entry is ready, or the end.
    fn fill(&mut self) -> Result<(), TraceError> {
        while self.ready.is_empty() && self.state != State::Over {
            self.read_line()?;
        }
        Ok(())
    }

    fn read_line(&mut self) -> Result<(), TraceError> {
        let more = self
            .parser
            .next(&mut self.parsed)
            .map_err(|Wrong { line, why }| TraceError::new(&self.path, Some(line), why))?;
        let level = self.options.level.filter(|_| self.parser.has_levels());
        let wanted = |raw: &Raw| level.is_none_or(|level| level == raw.entry.level);
        self.ready.extend(self.parsed.drain(..).filter(wanted));
        if !more {
            self.state = State::Over;
        }
        Ok(())
    }

    /// Prepares the order: everything is read, or enough to know about where time begins.
    fn begin(&mut self) {
        self.state = State::Reading;
        let sorts = match self.options.order {
            Order::Started => self.format.is_by_end(),
            Order::Sorted => true,
            Order::AsWritten => false,
        };
        let ahead = match (sorts, self.options.order) {
            (true, _) => usize::MAX,
            (false, Order::AsWritten) => AHEAD,
            (false, _) => 1,
        };
        while self.ready.len() < ahead && self.state != State::Over {
            if let Err(error) = self.read_line() {
                // What stands before it is handed out first.
                self.error = Some(error);
                self.state = State::Over;
            }
        }
        if sorts {
            self.ready.make_contiguous().sort_by_key(|raw| raw.at);
        }
        let earliest = self.ready.iter().map(|raw| raw.at).min();
        self.base = self.base.or(earliest);
    }

    fn check_order(&mut self, raw: &Raw) -> Result<(), TraceError> {
        if self.options.order == Order::Started
            && !self.format.is_by_end()
            && let Some((before, line)) = self.before
            && raw.at < before
        {
            let back = Duration::from_nanos(u64::try_from(before - raw.at).unwrap_or(u64::MAX));
            let why = format!(
                "time goes backwards by {back:?} (line {line} is later); sort the trace first"
            );
            return Err(TraceError::new(&self.path, Some(raw.line), why));
        }
        self.before = Some((raw.at, raw.line));
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Entry>, TraceError> {
        if self.state == State::Fresh {
            self.begin();
        }
        self.fill()?;
        let Some(raw) = self.ready.pop_front() else {
            return self.error.take().map_or(Ok(None), Err);
        };
        self.check_order(&raw)?;
        let since = (raw.at - self.base.unwrap_or(0)).max(0);
        Ok(Some(Entry { at_ns: u64::try_from(since).unwrap_or(u64::MAX), ..raw.entry }))
    }
}

impl Iterator for TraceReader {
    type Item = Result<Entry, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.state = State::Over;
            self.ready.clear();
            self.error = None;
        }
        next.transpose()
    }
}

impl fmt::Debug for TraceReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceReader")
            .field("path", &self.path)
            .field("format", &self.format)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
