// SPDX-License-Identifier: Apache-2.0
//! The process that leads: it starts the others, lets them begin together, shows their sum, and gathers their runs.

use super::super::phase::Progress;
use super::sum::Sum;
use super::words::{Order, PhaseNumber, Word};
use super::{Stage, Worker};
use crate::exit::Exit;
use crate::progress::note;
use crate::session::Signals;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};
use storescope_emulator::Ready;
use storescope_instrument::{Run, Series};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// From when all are ready until they begin: longer than an order takes to arrive.
const AHEAD: Duration = Duration::from_millis(100);

/// What is started.
#[derive(Debug)]
pub(in super::super) struct Lead<'a> {
    /// How many processes.
    pub(in super::super) count: u32,
    /// The command line of this process, without its program.
    pub(in super::super) arguments: Vec<OsString>,
    /// The emulator of all.
    pub(in super::super) emulator: Option<Ready>,
    /// Where their runs are written: `part-1`, `part-2`, …
    pub(in super::super) folder: &'a Path,
}

/// What they came to.
#[derive(Debug, Default)]
pub(in super::super) struct Gathered {
    /// The runs that were written, in the order of the processes.
    pub(in super::super) runs: Vec<Run>,
    /// Processes that left none, and why.
    pub(in super::super) failures: Vec<String>,
    /// Whether a signal came.
    pub(in super::super) interrupted: bool,
}

/// Whether enough has been seen of a phase, by the cell (from 1), and the sum of all processes.
pub(in super::super) trait Judge: FnMut(usize, Stage, &Series) -> bool {}

impl<F: FnMut(usize, Stage, &Series) -> bool> Judge for F {}

impl Lead<'_> {
    /// Runs them. SIGINT and SIGTERM are passed on: they end with what they have.
    pub(in super::super) async fn run(
        &self,
        judge: impl Judge,
        signals: &mut Signals,
        told: &watch::Sender<Option<Progress>>,
    ) -> Result<Gathered, Exit> {
        let (tell, events) = unbounded_channel();
        let mut children = Vec::new();
        for index in 1..=self.count {
            children.push(self.start(index, &tell).await?);
        }
        drop(tell);
        let sum = Sum::new(children.len());
        let mut led = Leading { children, sum, judge, enough: None, gathered: Gathered::default() };
        led.until_all_have_ended(events, signals, told).await;
        Ok(led.gathered)
    }

    async fn start(&self, index: u32, tell: &UnboundedSender<Event>) -> io::Result<Child> {
        let part = self.folder.join(format!("part-{index}"));
        let mut process = Command::new(std::env::current_exe()?)
            .args(&self.arguments)
            .arg(format!("--led={}", Worker::new(index, self.count)))
            .arg("--part")
            .arg(&part)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal is this process's to pass on: it would come twice.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = process.id().and_then(|id| Pid::from_raw(id as i32));
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let mut child = Child {
            of: Worker::new(index, self.count),
            pid,
            orders: process.stdin.take(),
            ready: None,
            part,
            last_note: None,
        };
        let (place, tell) = (index as usize - 1, tell.clone());
        tokio::spawn(async move {
            // Nobody hears any more: this process is ending.
            let say = |what| drop(tell.send(Event(place, what)));
            let words = each_line(stdout, |line| match serde_json::from_str(&line) {
                Ok(word) => say(What::Word(word)),
                Err(_) => say(What::Note(line)),
            });
            let notes = each_line(stderr, |line| say(What::Note(line)));
            tokio::join!(words, notes);
            let ended = process.wait().await;
            let _ = tell.send(Event(place, What::Ended(ended)));
        });
        child.order(&Order::Meet(Box::new(self.emulator.clone()))).await;
        Ok(child)
    }
}

/// Something of a process, by its place.
struct Event(usize, What);

enum What {
    Word(Word),
    Note(String),
    Ended(io::Result<ExitStatus>),
}

struct Child {
    of: Worker,
    /// `None` once it has ended.
    pid: Option<Pid>,
    orders: Option<ChildStdin>,
    /// The phase for which it is prepared.
    ready: Option<PhaseNumber>,
    part: PathBuf,
    last_note: Option<String>,
}

impl Child {
    /// Nothing where it has ended: that is told by itself.
    async fn order(&mut self, order: &Order) {
        let Some(orders) = &mut self.orders else { return };
        let line = serde_json::to_string(order).expect("numbers and texts") + "\n";
        let _ = orders.write_all(line.as_bytes()).await;
    }

    fn note(&mut self, line: String) {
        note(&format!("process {}: {line}", self.of));
        self.last_note = Some(line);
    }
}

struct Leading<J> {
    children: Vec<Child>,
    sum: Sum,
    judge: J,
    /// The phase that was ended.
    enough: Option<PhaseNumber>,
    gathered: Gathered,
}

impl<J: Judge> Leading<J> {
    async fn until_all_have_ended(
        &mut self,
        mut events: UnboundedReceiver<Event>,
        signals: &mut Signals,
        told: &watch::Sender<Option<Progress>>,
    ) {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event(place, what)) => self.heard(place, what).await,
                    None => return,
                },
                () = signals.next() => self.interrupt(),
            }
            if let Some(progress) = self.sum.progress(self.alive()) {
                told.send_replace(Some(progress));
            }
        }
    }

    async fn heard(&mut self, place: usize, what: What) {
        match what {
            What::Word(Word::Ready(phase)) => {
                self.children[place].ready = Some(phase);
                self.begin_when_ready().await;
            }
            What::Word(Word::Told(told)) => {
                self.sum.take(place, told);
                self.end_when_enough().await;
            }
            // Each says so; so does this one.
            What::Note(line) if self.is_ending() && line.ends_with(": interrupted") => {}
            What::Note(line) => self.children[place].note(line),
            What::Ended(status) => {
                self.ended(place, status);
                self.begin_when_ready().await;
            }
        }
    }

    async fn begin_when_ready(&mut self) {
        let alive = self.children.iter().filter(|child| child.pid.is_some());
        let Some(phase) = alive.map(|child| child.ready).min().flatten() else { return };
        let at = SystemTime::now() + AHEAD;
        let unix_ns =
            at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        for child in &mut self.children {
            child.order(&Order::Begin { phase, unix_ns }).await;
        }
        // Each is ready once for a phase.
        self.children.iter_mut().for_each(|child| child.ready = None);
    }

    async fn end_when_enough(&mut self) {
        let Some(phase) = self.sum.phase().filter(|phase| self.enough < Some(*phase)) else {
            return;
        };
        let series = self.sum.series(self.alive());
        if (self.judge)(phase.cell(), phase.stage(), &series) {
            self.enough = Some(phase);
            for child in &mut self.children {
                child.order(&Order::Enough(phase)).await;
            }
        }
    }

    fn ended(&mut self, place: usize, status: io::Result<ExitStatus>) {
        let child = &mut self.children[place];
        (child.pid, child.orders) = (None, None);
        let (run, is_well) =
            (Run::read(&child.part), status.as_ref().is_ok_and(ExitStatus::success));
        let said = child.last_note.clone().unwrap_or_else(|| match status {
            Ok(status) => format!("it ended with {status}"),
            Err(error) => error.to_string(),
        });
        let why = match run {
            Ok(run) => {
                // Calls that failed are told with the sum. One that was ended because of another has not failed.
                let failed_calls = run.cells.iter().any(|cell| cell.failed_calls > 0);
                let is_told = is_well || failed_calls || self.is_ending();
                self.gathered.runs.push(run);
                if is_told {
                    return;
                }
                said
            }
            Err(error) if child.part.join("run.json").exists() => error.to_string(),
            // It wrote nothing: what it said last is why.
            Err(_) => said,
        };
        if !self.gathered.interrupted {
            self.gathered
                .failures
                .push(format!("process {} failed: {why}", self.children[place].of));
        }
        // A sum without it would say less than was asked: the others end with what they have.
        self.children.iter_mut().for_each(|child| child.orders = None);
    }

    /// Whether the processes were told to end with what they have.
    fn is_ending(&self) -> bool {
        self.gathered.interrupted || !self.gathered.failures.is_empty()
    }

    fn interrupt(&mut self) {
        self.gathered.interrupted = true;
        for pid in self.children.iter().filter_map(|child| child.pid) {
            // One that has just ended needs no signal.
            let _ = kill_process(pid, Signal::INT);
        }
    }

    fn alive(&self) -> usize {
        self.children.iter().filter(|child| child.pid.is_some()).count()
    }
}

async fn each_line(from: Option<impl AsyncRead + Unpin>, tell: impl Fn(String)) {
    let Some(from) = from else { return };
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tell(line);
    }
}
