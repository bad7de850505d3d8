// SPDX-License-Identifier: Apache-2.0
//! What a command on many things came to: each thing told as it ends, the sum at the end.

use crate::escape;
use crate::exit::{Ended, Exit};
use crate::figures::size;
use crate::progress::note;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Counts what was done, skipped and failed. With `json`, each is a line on standard output.
#[derive(Debug)]
pub(crate) struct Tally {
    verb: &'static str,
    /// What stands in front of each word on standard error.
    label: String,
    json: bool,
    /// Whether nothing is really done.
    rehearsal: bool,
    begun: Instant,
    done: AtomicU64,
    /// Things that were removed beside what was done, where that may be.
    removed: Option<AtomicU64>,
    skipped: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    /// Whether there may be more than one thing, so that a sum says something.
    many: AtomicBool,
    /// The first failure, for a command on one thing.
    first: Mutex<Option<Exit>>,
    unwritten: Mutex<Option<std::io::Error>>,
    told: AtomicBool,
}

impl Tally {
    /// `verb`: what happens to the things, such as `copied`.
    pub(crate) fn new(verb: &'static str, json: bool) -> Tally {
        Tally {
            verb,
            label: String::new(),
            json,
            rehearsal: false,
            begun: Instant::now(),
            done: AtomicU64::new(0),
            removed: None,
            skipped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            many: AtomicBool::new(false),
            first: Mutex::new(None),
            unwritten: Mutex::new(None),
            told: AtomicBool::new(false),
        }
    }

    /// With `label: ` in front of each word on standard error.
    pub(crate) fn labelled(self, label: &str) -> Tally {
        Tally { label: format!("{label}: "), ..self }
    }

    /// Of what would be done.
    pub(crate) fn rehearsal(self, rehearsal: bool) -> Tally {
        Tally { rehearsal, ..self }
    }

    /// Counts removals apart.
    pub(crate) fn with_removals(self) -> Tally {
        Tally { removed: Some(AtomicU64::new(0)), ..self }
    }

    /// There may be more than one thing.
    pub(crate) fn expect_many(&self) {
        self.many.store(true, Relaxed);
    }

    /// So many bytes more.
    pub(crate) fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// One thing was done; `about` says what, as a JSON object.
    pub(crate) fn done(&self, about: Value) {
        self.done.fetch_add(1, Relaxed);
        self.line(&self.key(self.verb), about);
    }

    /// One thing was removed, beside what is done or as what is done.
    pub(crate) fn removed(&self, about: Value) {
        match &self.removed {
            Some(removed) => {
                removed.fetch_add(1, Relaxed);
                self.line(&self.key("removed"), about);
            }
            None => self.done(about),
        }
    }

    /// One thing was left as it was.
    pub(crate) fn skipped(&self, why: &str, mut about: Value) {
        self.skipped.fetch_add(1, Relaxed);
        about["why"] = why.into();
        self.line("skipped", about);
    }

    /// One thing failed.
    pub(crate) fn failed(&self, exit: Exit, mut about: Value) {
        self.failed.fetch_add(1, Relaxed);
        about["error"] = exit.message().into();
        let mut first = self.first.lock().expect("no holder panics");
        let one = first.is_none() && !self.many.load(Relaxed);
        if !one {
            note(&format!("storescope: {}{}", self.label, exit.message()));
        }
        first.get_or_insert(exit);
        drop(first);
        self.line("failed", about);
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// How many failed so far.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Whether everything was done so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.failed.load(Relaxed) == 0 && self.skipped.load(Relaxed) == 0
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> String {
        let bytes = self.bytes.load(Relaxed) as f64;
        let rate = bytes / 1e6 / self.begun.elapsed().as_secs_f64().max(1e-3);
        format!("{}, {}: {rate:.1} MB/s", self.counts(), size(bytes))
    }

    /// Tells the sum, once.
    pub(crate) fn tell(&self) {
        if !self.many.load(Relaxed) || self.told.swap(true, Relaxed) {
            return;
        }
        let (bytes, seconds) = (self.bytes.load(Relaxed), self.begun.elapsed().as_secs_f64());
        let moved = if bytes > 0 { format!("; {}", size(bytes as f64)) } else { String::new() };
        note(&format!("{}{}{moved} in {seconds:.2} s", self.label, self.counts()));
        if self.json {
            let mut sum = json!({
                "result": "summary",
                (self.key(self.verb)): self.done.load(Relaxed),
                "skipped": self.skipped.load(Relaxed),
                "failed": self.failed.load(Relaxed),
                "bytes": bytes,
                "elapsed_ms": (seconds * 1e3).round(),
            });
            if let Some(removed) = &self.removed {
                sum[self.key("removed")] = removed.load(Relaxed).into();
            }
            self.write(&sum);
        }
    }

    /// A failure of one of many is the command's; of a single thing, the failure is told by its own code.
    pub(crate) fn verdict(&self) -> Ended {
        if let Some(error) = self.unwritten.lock().expect("no holder panics").take() {
            return Err(error.into());
        }
        match self.first.lock().expect("no holder panics").take() {
            Some(_) if self.many.load(Relaxed) => Err(Exit::of_many()),
            Some(exit) => Err(exit),
            None => Ok(()),
        }
    }

    fn counts(&self) -> String {
        let Tally { verb, done, skipped, failed, .. } = self;
        let would = if self.rehearsal { "would be " } else { "" };
        let count = |number: &AtomicU64| number.load(Relaxed);
        let removed = self.removed.as_ref().map(count);
        let removed = removed.map(|count| format!("{count} {would}removed, ")).unwrap_or_default();
        format!(
            "{} {would}{verb}, {removed}{} skipped, {} failed",
            count(done),
            count(skipped),
            count(failed)
        )
    }

    /// A verb as JSON has it.
    fn key(&self, verb: &str) -> String {
        if self.rehearsal { format!("would_be_{verb}") } else { verb.to_owned() }
    }

    fn line(&self, result: &str, mut about: Value) {
        if self.json {
            about["result"] = result.into();
            self.write(&about);
        }
    }

    fn write(&self, line: &Value) {
        self.print(&escape::json(line));
    }

    /// Writes a line to standard output. A reader that is gone does not stop the work; it is told at the end.
    pub(crate) fn print(&self, line: &str) {
        if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
            self.unwritten.lock().expect("no holder panics").get_or_insert(error);
        }
    }
}

impl Default for Tally {
    fn default() -> Tally {
        Tally::new("done", false)
    }
}
