// SPDX-License-Identifier: Apache-2.0
//! `run`: a file of commands, one a line, by one client.

use crate::buckets::{Mb, Rb};
use crate::cp::{Cp, Mv};
use crate::du::Du;
use crate::exit::{Ended, Exit};
use crate::objects::{Ls, Stat};
use crate::progress::note;
use crate::rm::Rm;
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::sync::Sync;
use crate::tally::Tally;
use clap::Args;
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storescope::Client;

/// Run a file of commands, one a line, side by side over one client and its connections.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope run nightly.txt
  storescope run nightly.txt --dry-run          what would be copied and removed
  generate | storescope run - --concurrency 32

A line is what would stand behind `storescope`, quoted as for a POSIX shell; # begins a comment:

  cp 'reports/may 1.csv' s3://lake/reports/     # variables and local wildcards are not expanded
  rm 's3://lake/tmp/*.csv'
  sync --delete site s3://lake/site

A line may be cp, mv, rm, sync, ls, stat, du, mb or rb. Settings (--endpoint, -v) are given to
`run`, for all lines. All lines are read and checked before the first runs: if one is invalid, none runs
and the exit code is 2. Lines run side by side, in no order: what must follow belongs in another
file, or use --concurrency 1. A line that fails does not stop the others: its error is printed with
its number, and the exit code is 1.")]
pub(crate) struct Run {
    /// The file, or - for standard input.
    file: PathBuf,

    /// Run each line with --dry-run: nothing is written.
    #[arg(long = "dry-run")]
    rehearse: bool,

    /// Lines under way at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,

    /// One JSON object for each line when it has ended, and one for the sum. What a line itself prints follows its own
    /// --json.
    #[arg(long)]
    json: bool,
}

impl Run {
    /// Runs the lines; `parse` makes a task of the words of one.
    pub(crate) fn run(self, settings: &Settings, parse: impl Parse) -> Ended {
        let lines = self.lines(parse)?;
        let tally = Arc::new(Tally::new("done", self.json));
        tally.expect_many();
        session::run_told(settings, &tally, async |client: &Client| {
            let run = stream::iter(&lines).map(|line| line.run(client, &tally));
            run.buffer_unordered(self.concurrency as usize).for_each(std::future::ready).await;
            Ok(())
        })
    }

    /// All lines, or what is wrong with any of them.
    fn lines(&self, mut parse: impl Parse) -> Result<Vec<Line>, Exit> {
        let shown = self.file.display();
        let text =
            contents(&self.file).map_err(|e| Exit::failed(format!("cannot read {shown}: {e}")))?;
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let (mut lines, mut wrong) = (Vec::new(), 0);
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match Line::parse(&mut parse, at + 1, line, self.rehearse) {
                Ok(None) => {}
                Ok(Some(line)) => lines.push(line),
                Err(why) => {
                    wrong += 1;
                    note(&format!("storescope: {shown}:{}: {why}", at + 1));
                }
            }
        }
        match wrong {
            0 => Ok(lines),
            1 => Err(Exit::usage("one line cannot be run; none was")),
            _ => Err(Exit::usage(format!("{wrong} lines cannot be run; none was"))),
        }
    }
}

fn contents(file: &Path) -> std::io::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return std::fs::read(file);
    }
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

/// Makes a task of the words of a line, or says why that cannot be.
pub(crate) trait Parse: FnMut(Vec<OsString>) -> Result<Task, String> {}

impl<F: FnMut(Vec<OsString>) -> Result<Task, String>> Parse for F {}

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    number: usize,
    text: String,
    pub(crate) task: Task,
}

impl Line {
    /// `None` for a line without words.
    pub(crate) fn parse(
        parse: &mut impl Parse,
        number: usize,
        line: &[u8],
        rehearse: bool,
    ) -> Result<Option<Line>, String> {
        let words = shlex::bytes::split(line).ok_or("a quote that does not end")?;
        if words.is_empty() {
            return Ok(None);
        }
        let mut task = parse(words.into_iter().map(OsString::from_vec).collect())?;
        if rehearse {
            task.rehearse();
        }
        task.check().map_err(|exit| exit.message().to_owned())?;
        let text = String::from_utf8_lossy(line).trim().to_owned();
        Ok(Some(Line { number, text, task }))
    }

    async fn run(&self, client: &Client, all: &Tally) {
        let Line { number, text, task } = self;
        let tally = task.tally().unwrap_or_default().labelled(&format!("line {number}"));
        let tally = Arc::new(tally);
        let ended = task.work(client, &tally).await;
        tally.tell();
        let about = json!({ "line": number, "command": text });
        match ended.and(tally.verdict()) {
            Ok(()) => all.done(about),
            Err(exit) if exit.message().is_empty() => {
                all.failed(Exit::failed(format!("line {number}: not all of it was done")), about);
            }
            Err(exit) => all.failed(exit.about(&format!("line {number}")), about),
        }
    }
}

/// The commands that a line may hold.
#[derive(Debug)]
pub(crate) enum Task {
    Cp(Cp),
    Mv(Mv),
    Rm(Rm),
    Sync(Sync),
    Ls(Ls),
    Stat(Stat),
    Du(Du),
    Mb(Mb),
    Rb(Rb),
}

impl Task {
    /// Nothing that writes is to be done.
    fn rehearse(&mut self) {
        match self {
            Task::Cp(cp) => cp.rehearse(),
            Task::Mv(mv) => mv.rehearse(),
            Task::Rm(rm) => rm.rehearse(),
            Task::Sync(sync) => sync.rehearse(),
            Task::Mb(mb) => mb.rehearse(),
            Task::Rb(rb) => rb.rehearse(),
            Task::Ls(_) | Task::Stat(_) | Task::Du(_) => {}
        }
    }
}

/// Calls one method of whichever command it is.
macro_rules! each {
    ($task:ident, $command:ident => $call:expr) => {
        match $task {
            Task::Cp($command) => $call,
            Task::Mv($command) => $call,
            Task::Rm($command) => $call,
            Task::Sync($command) => $call,
            Task::Ls($command) => $call,
            Task::Stat($command) => $call,
            Task::Du($command) => $call,
            Task::Mb($command) => $call,
            Task::Rb($command) => $call,
        }
    };
}

impl Work for Task {
    fn check(&self) -> Ended {
        each!(self, command => command.check())
    }

    fn tally(&self) -> Option<Tally> {
        each!(self, command => command.tally())
    }

    async fn work(&self, client: &Client, tally: &Arc<Tally>) -> Ended {
        each!(self, command => command.work(client, tally).await)
    }
}
