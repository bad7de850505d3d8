// SPDX-License-Identifier: Apache-2.0
//! The cells of a run, one after another: objects, a warm-up, and what is measured.

use super::caller::Caller;
use super::drive::{Done, Phase, Watch};
use super::live;
use super::log::RequestLog;
use super::pattern::{Pattern, Walks};
use super::phase::{Stage, Stop};
use super::processes::Led;
use super::recorder::Failed;
use super::replay::Trace;
use super::rules::Warmup;
use super::sources::Mixed;
use super::stock::{Object, Stock};
use super::target::Target;
use super::task::{Op, Source};
use super::{Bench, Connections};
use crate::exit::{Ended, Exit};
use crate::progress::{self, Show};
use crate::session::Signals;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use storescope::Client;
use storescope::timing::Outcome;
use storescope_instrument::{About, Environment, Run, Setup};
use tokio::sync::watch;

/// How long writes by parts may take to be aborted after an interrupt.
const GRACE: Duration = Duration::from_secs(15);
/// The object that all reads of an emulator share.
const SHARED: u64 = 64 << 20;
/// Objects that are made where nobody says how many: so many, or so many bytes.
const PREPARED: u64 = 1_000;
const PREPARED_BYTES: u64 = 256 << 20;
/// Objects to be deleted where neither a count nor a rate says how many.
pub(super) const VICTIMS: u64 = 10_000;
/// Arrivals at random may be more than the rate says.
const SPARE: f64 = 1.2;

/// A bench under way.
pub(super) struct Sweep<'a> {
    /// What is measured now: one of the stages.
    pub(super) bench: &'a Bench,
    pub(super) stages: &'a [Bench],
    /// By whom this process is led.
    pub(super) led: Option<Led>,
    /// When all begin, until they have.
    pub(super) start_at: Option<SystemTime>,
    pub(super) trace: Option<Trace>,
    /// Whether nothing was there of what the trace writes: then it is the replay's, and is removed at the end.
    pub(super) owns_written: bool,
    pub(super) part_size: u64,
    pub(super) client: Client,
    pub(super) signals: Signals,
    pub(super) show: Show,
    pub(super) log: RequestLog,
    pub(super) target: Target,
    pub(super) stock: Stock,
}

/// What a bench came to.
#[derive(Debug)]
pub(super) struct Swept {
    pub(super) run: Run,
    interrupted: bool,
    /// The first call that failed for good.
    first: Option<Failed>,
    /// Why cells, or the removal of objects, failed.
    ended: Ended,
}

impl<'a> Sweep<'a> {
    /// Measures all cells, and removes what was made.
    pub(super) async fn run(mut self) -> Result<Swept, Exit> {
        let run = Run { about: self.about(), cells: Vec::new() };
        let mut swept = Swept { run, interrupted: false, first: None, ended: Ok(()) };
        let setups = self.all_setups();
        let mut objects = Objects::default();
        for (number, (bench, setup)) in setups.iter().enumerate() {
            let place = (number + 1, setups.len());
            self.bench = bench;
            match self.cell(setup, place, &mut objects, &mut swept).await {
                Ok(()) if !swept.interrupted => {}
                Ok(()) => break,
                Err(exit) if exit.is_interrupt() => {
                    swept.interrupted = true;
                    break;
                }
                Err(exit) if setups.len() == 1 => {
                    swept.ended = Err(exit);
                    break;
                }
                Err(exit) => {
                    let exit = exit.about(&format!("cell {} of {} ({setup})", place.0, place.1));
                    swept.run.about.notes.push(exit.message().to_owned());
                    let everybodys = exit.is_everybodys();
                    swept.ended = swept.ended.and(Err(exit));
                    if everybodys {
                        break;
                    }
                }
            }
        }
        if swept.interrupted {
            let measured = swept.run.cells.len();
            let note = format!(
                "interrupted: {measured} of {} cells, the last one cut short",
                setups.len()
            );
            swept.run.about.notes.push(note);
            // Writes by parts that were dropped are being aborted.
            self.settle().await;
        }
        let removed = self.remove().await;
        swept.ended = swept.ended.and(removed);
        Ok(swept)
    }

    /// One cell, into the run.
    async fn cell(
        &mut self,
        setup: &Setup,
        place: (usize, usize),
        objects: &mut Objects,
        swept: &mut Swept,
    ) -> Ended {
        let found = self.objects(setup, objects).await?;
        let warmup = self.warmup(setup);
        self.victims(setup, Self::calls_of(warmup, setup)).await?;
        let size = setup.size.unwrap_or(1);
        let walks = (self.bench.pattern != Pattern::Random)
            .then(|| Arc::new(Walks::new(self.bench.pattern, size, Arc::clone(&found))));
        let caller = Caller {
            store: self.target.store.clone(),
            seed: self.bench.seed,
            verify: self.bench.verify_data,
            walks,
            folder: Arc::clone(&self.stock.folder),
            readers: Arc::default(),
        };
        let phase = |stage, goal, seed, log| Phase {
            setup,
            cell: place,
            stage,
            goal,
            seed,
            source: self.source(&found, size, seed),
            caller: caller.clone(),
            log,
        };
        let ops: Vec<_> = self.bench.op.ops().collect();
        let seed = self.worker().seed(self.bench.seed);
        let warm = phase(Stage::WarmUp, warmup.goal(), !seed, self.log.of(&ops, true));
        let measured = phase(Stage::Measuring, self.goal(), seed, self.log.of(&ops, false));
        if warmup != Warmup::Count(0) {
            let done = self.phase(warm).await?;
            if done.interrupted {
                return Err(Exit::interrupted());
            }
            let note = warmup.note(&done.series).filter(|_| self.led.is_none());
            swept.run.about.notes.extend(note.map(|note| format!("{setup}: {note}")));
        }
        let before = self.client.metrics().retries();
        let done = self.phase(measured).await?;
        let retries = self.client.metrics().retries() - before;
        swept.interrupted |= done.interrupted;
        swept.first =
            swept.first.take().or(done.counts.first_error.as_ref().map(|(_, e)| e.clone()));
        self.note(setup, &done, &mut swept.run.about.notes);
        swept.run.cells.push(done.cell(setup.clone(), retries, self.bench.verify_data));
        Ok(())
    }

    async fn phase(&mut self, phase: Phase<'_>) -> Result<Done, Exit> {
        let (cell, stage) = (phase.cell.0, phase.stage);
        self.begin(cell, stage, phase.setup).await?;
        let mut stop = self.stop(cell, stage, phase.setup);
        let (progress, seen) = watch::channel(None);
        let stop = stop.as_mut().map(|stop| &mut **stop as &mut dyn Stop);
        let watch = Watch { signals: &mut self.signals, progress: &progress, stop };
        if self.led.is_some() {
            let told = tokio::spawn(Led::tell(seen));
            let done = phase.run(watch).await;
            drop(progress);
            // It ends with the last word.
            let _ = told.await;
            return Ok(done?);
        }
        Ok(live::shown(self.show, seen, phase.run(watch)).await?)
    }

    /// What a reader must know of a cell to believe it.
    fn note(&self, setup: &Setup, done: &Done, notes: &mut Vec<String>) {
        let mut note = |what: String| notes.push(format!("{setup}: {what}"));
        if done.ended.was_full {
            note(format!(
                "as many calls were under way as may be ({}): others began late (--concurrency)",
                setup.concurrency
            ));
        }
        if done.ended.dropped > 0 {
            note(format!(
                "{} calls had not ended a minute after the end, and were dropped",
                done.ended.dropped
            ));
        }
        if let Some(until) = self.bench.until.as_ref().filter(|_| self.led.is_none()) {
            note(until.told(&done.series));
        }
        let early = self.bench.op.has(Op::Delete)
            && self.trace.is_none()
            && self.bench.count.is_none()
            && done.elapsed < self.bench.duration();
        if early && !done.interrupted {
            note(
                "it ended when all objects that were prepared were deleted (--prepare)".to_owned(),
            );
        }
    }

    /// The cells of all stages.
    fn all_setups(&mut self) -> Vec<(&'a Bench, Setup)> {
        let mut all = Vec::new();
        for bench in self.stages {
            self.bench = bench;
            let setups = match &self.trace {
                Some(trace) => vec![self.trace_setup(trace)],
                None => self.setups(),
            };
            all.extend(setups.into_iter().map(|setup| (bench, self.share_of(setup))));
        }
        all
    }

    /// The cells of a stage: every size by every concurrency by every rate.
    fn setups(&self) -> Vec<Setup> {
        let bench = self.bench;
        let sized = bench.pattern.is_sized() && bench.op.ops().any(Op::is_sized);
        let rates: Vec<_> = match &bench.rate {
            Some(rates) => rates.iter().map(Some).collect(),
            None => vec![None],
        };
        let pattern = match bench.op.single() {
            Some(Op::Put | Op::Multipart) => "new objects",
            Some(Op::List) => "a page",
            _ => bench.pattern.name(),
        };
        let mut setups = Vec::new();
        for size in bench.sizes(self.part_size).iter() {
            for concurrency in bench.concurrencies().iter() {
                setups.extend(rates.iter().map(|rate| Setup {
                    name: None,
                    mix: bench.op.weights(),
                    pattern: pattern.to_owned(),
                    size: sized.then_some(size),
                    concurrency,
                    rate: *rate,
                    arrivals: bench.arrivals(),
                    new_connections: bench.connections == Connections::New,
                }));
            }
        }
        setups
    }

    fn source(&self, objects: &Arc<Vec<Object>>, size: u64, seed: u64) -> Arc<dyn Source> {
        if let Some(trace) = &self.trace {
            return self.replay(trace, objects);
        }
        let folder = Arc::clone(&self.stock.folder);
        let made = self.bench.emulator.is_some() || self.bench.prepare.is_some();
        let prefix = if made { folder.objects_below() } else { self.target.url.key().to_owned() };
        Arc::new(Mixed::new(&self.bench.op, seed, (Arc::clone(objects), folder), &prefix, size))
    }

    /// The objects that a cell reads, copies or lists.
    async fn objects(
        &mut self,
        setup: &Setup,
        known: &mut Objects,
    ) -> Result<Arc<Vec<Object>>, Exit> {
        if self.trace.is_some() {
            return self.trace_objects().await.map(Arc::new);
        }
        let bench = self.bench;
        if bench.op.has(Op::Multipart) {
            self.check_parts(setup)?;
        }
        if !bench.op.has_any(&[Op::Get, Op::Head, Op::List, Op::Copy]) {
            return Ok(Arc::default());
        }
        let made = bench.emulator.is_some() || bench.prepare.is_some();
        let sizes = bench.prepared_sizes.clone();
        let size = match (bench.object_size, bench.shares_one_object()) {
            _ if sizes.is_some() => u64::MAX,
            (Some(size), _) => size,
            (None, true) => SHARED.max(bench.sizes(self.part_size).iter().max().unwrap_or(0)),
            (None, false) => setup.size.unwrap_or_else(|| self.size_of(bench)),
        };
        // What is there is found once, whatever is asked of it.
        let key = if made { size } else { 0 };
        if let Some(objects) = known.0.get(&key) {
            return Ok(Arc::clone(objects));
        }
        let (stock, url, worker) = (self.stock.clone(), self.target.url.clone(), self.worker());
        let work = async {
            let objects = if bench.shares_one_object() {
                share(&stock, url.key(), bench, size).await?
            } else if let Some(sizes) = &sizes {
                stock.prepare_each(&sizes[..worker.share(sizes.len() as u64) as usize]).await?
            } else if made {
                let count = (PREPARED_BYTES / size.max(1)).clamp(1, PREPARED);
                stock.prepare(worker.share(bench.prepare.unwrap_or(count)).max(1), size).await?
            } else if bench.op.single() == Some(Op::List) {
                Vec::new()
            } else {
                stock.find(&url).await?
            };
            if bench.verify_data && worker.index() == 1 {
                stock.check_ours(&objects).await?;
            }
            Ok(objects)
        };
        let objects = Arc::new(self.unless_interrupted(work).await?);
        known.0.insert(key, Arc::clone(&objects));
        Ok(objects)
    }

    fn size_of(&self, bench: &Bench) -> u64 {
        bench.sizes(self.part_size).iter().next().unwrap_or(1)
    }

    /// A write of less than two parts is none by parts.
    fn check_parts(&self, setup: &Setup) -> Ended {
        match setup.size {
            Some(size) if size <= self.part_size => Err(Exit::usage(format!(
                "{size} bytes are no more than one part of {}: raise --size, or lower --part-size",
                self.part_size
            ))),
            _ => Ok(()),
        }
    }

    /// Makes the objects that a cell deletes.
    async fn victims(&mut self, setup: &Setup, warmup: u64) -> Ended {
        let bench = self.bench;
        if !bench.op.has(Op::Delete) || self.trace.is_some() {
            return Ok(());
        }
        let measured = match (bench.count, setup.rate, bench.prepare) {
            (Some(count), ..) => self.worker().share(count),
            (None, Some(rate), _) => (rate * bench.duration().as_secs_f64() * SPARE).ceil() as u64,
            (None, None, Some(count)) => count,
            (None, None, None) => VICTIMS,
        };
        let count = bench.op.share(Op::Delete, warmup) + bench.op.share(Op::Delete, measured);
        let size = bench.object_size.unwrap_or_else(|| self.size_of(bench));
        let stock = self.stock.clone();
        self.unless_interrupted(async { stock.prepare_victims(count, size).await }).await
    }

    pub(super) async fn unless_interrupted<T>(
        &mut self,
        work: impl Future<Output = Result<T, Exit>>,
    ) -> Result<T, Exit> {
        tokio::select! {
            done = work => done,
            () = self.signals.next() => Err(Exit::interrupted()),
        }
    }

    async fn settle(&mut self) {
        let metrics = self.client.metrics();
        let settled = async {
            while metrics.calls_in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(GRACE, settled) => {}
            () = self.signals.next() => {}
        }
    }

    async fn remove(&mut self) -> Ended {
        let below = self.target.url.with_key(self.stock.folder.below());
        if self.bench.keep {
            progress::note(&format!("kept: what was written below {below}"));
            return Ok(());
        }
        let stock = self.stock.clone();
        let written = self.trace_written();
        let work = async { stock.remove().await.and(stock.remove_named(written).await) };
        let removed = self.unless_interrupted(work).await;
        match removed {
            Err(exit) if exit.is_interrupt() => {
                Err(exit.about(&format!("not all is removed that was written below {below}")))
            }
            removed => removed,
        }
    }

    fn about(&self) -> About {
        let bench = self.bench;
        let writes = bench.op.has_any(&[Op::Put, Op::Delete, Op::Copy, Op::Multipart]);
        let url = if (writes && self.trace.is_none()) || bench.prepare.is_some() {
            self.target.url.with_key(self.stock.folder.below()).to_string()
        } else {
            self.target.url.to_string()
        };
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: std::env::args().collect(),
            url,
            model: bench.emulator.clone(),
            seed: bench.seed,
            started_at: SystemTime::now(),
            environment: Environment::of_this_machine(),
            processes: 1,
            notes: Vec::new(),
        }
    }
}

/// Objects that were made or found, by their size; found ones have none.
#[derive(Default)]
struct Objects(BTreeMap<u64, Arc<Vec<Object>>>);

/// The one object that all reads share: a file, or made.
async fn share(stock: &Stock, key: &str, bench: &Bench, size: u64) -> Result<Vec<Object>, Exit> {
    if Show::new(None) == Show::Terminal {
        progress::note(&format!("uploading {key}"));
    }
    // All processes read the object that the first one makes.
    let makes = bench.processes.worker().index() == 1;
    let size = match &bench.upload {
        Some(file) if !makes => std::fs::metadata(file)?.len(),
        None if !makes => size,
        Some(file) => stock.store.put_file(key, file, storescope::PutOptions::new()).await?.size,
        None => {
            stock.put(key, size).await?;
            size
        }
    };
    if size == 0 {
        return Err(Exit::usage(format!("{key} is empty: there is nothing to read")));
    }
    Ok(vec![Object { key: key.into(), size }])
}

impl Swept {
    /// A run with calls that failed for good is not a success.
    pub(super) fn verdict(self, words: &str) -> Ended {
        if self.interrupted {
            return Err(Exit::interrupted());
        }
        self.ended?;
        let sum = self.run.sum();
        match self.first {
            None => Ok(()),
            Some(Failed::Store(error)) if !sum.outcomes().contains_key(&Outcome::Ok) => {
                Err(error.into())
            }
            Some(failed) => Err(Exit::failed(format!(
                "{} {words} failed, the first with: {failed}",
                sum.failed_calls
            ))),
        }
    }
}
