// SPDX-License-Identifier: Apache-2.0
//! A bench by several processes: what they came to, as one run.

use super::phase::{Stage, Stop};
use super::processes::{Gathered, Lead};
use super::rules::Precise;
use super::{Bench, live, outcome, save};
use crate::child::Server;
use crate::exit::{Ended, Exit};
use crate::progress::note;
use crate::session::Signals;
use crate::settings::Settings;
use rustix::process::{Signal, getpid, kill_process};
use std::collections::BTreeMap;
use std::path::PathBuf;
use storescope_instrument::{Run, Series, merged_parts};
use tokio::sync::watch;

/// Leads so many processes, prints their sum and keeps it.
pub(super) fn lead(stages: &[Bench], count: u32, settings: &Settings) -> Ended {
    let bench = &stages[0];
    let server = bench.server()?;
    let parts = tempfile::Builder::new().prefix("storescope-bench-").tempdir()?;
    let folder: PathBuf = match &bench.out {
        Some(out) if bench.processes.keep_parts => out.clone(),
        _ => parts.path().to_owned(),
    };
    let lead = Lead {
        count,
        arguments: std::env::args_os().skip(1).collect(),
        emulator: server.as_ref().map(Server::ready).cloned(),
        folder: &folder,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rules = Rules::new(stages);
    let gathered = runtime.block_on(async {
        let (tell, seen) = watch::channel(None);
        let mut signals = Signals::listen()?;
        let run = lead.run(
            |cell, stage, series: &Series| rules.enough(cell, stage, series),
            &mut signals,
            &tell,
        );
        live::shown(settings.progress(), seen, run).await
    })?;
    let ended = told(bench, count, gathered, &rules);
    if matches!(ended, Err(NoSum(_))) && !bench.processes.keep_parts {
        // What was measured is never lost.
        let kept = parts.keep();
        note(&format!("the runs of the processes are in {}", kept.display()));
    }
    ended.unwrap_or_else(|NoSum(exit)| Err(exit))
}

/// Ends the work of this process as Ctrl-C does: the process that led it is gone.
pub(super) fn interrupt_this_process() {
    // Its own process: there is one.
    let _ = kill_process(getpid(), Signal::INT);
}

/// What the processes have measured cannot be added up.
struct NoSum(Exit);

/// Prints the sum and keeps it; what the bench ended with.
fn told(bench: &Bench, count: u32, found: Gathered, rules: &Rules<'_>) -> Result<Ended, NoSum> {
    let Gathered { runs, failures, interrupted } = found;
    let mut measured: Vec<_> = runs.into_iter().filter(|run| !run.cells.is_empty()).collect();
    let verdict = match (interrupted, failures.first()) {
        (true, _) => Err(Exit::interrupted()),
        (false, Some(why)) => Err(Exit::failed(why.clone())),
        (false, None) => Ok(()),
    };
    if measured.is_empty() {
        return Ok(verdict.and(Err(Exit::failed("no process has measured anything"))));
    }
    let (parts, cut) = (measured.len(), cut_to_the_same_cells(&mut measured));
    let mut run =
        merged_parts(&measured).map_err(|error| NoSum(Exit::failed(error.to_string())))?;
    run.about.notes.extend(cut);
    run.about.command = std::env::args().collect();
    run.about.notes.extend(rules.notes(&run));
    if parts < count as usize {
        run.about
            .notes
            .push(format!("the parts of {parts} of {count} processes: the others left none"));
    }
    run.about.notes.extend(failures);
    let saved = bench.out.as_deref().map_or(Ok(()), |out| save::write(&run, out));
    let words = bench.op.words();
    let printed = if bench.json { outcome::print_json(&run) } else { outcome::print(&run, words) };
    let sum = run.sum();
    let failed = match (sum.failed_calls, sum.first_error) {
        (0, _) => Ok(()),
        (failed, first) => Err(Exit::failed(format!(
            "{failed} {} failed, the first with: {}",
            words.1,
            first.unwrap_or_default()
        ))),
    };
    Ok(saved.and(printed.map_err(Exit::from)).and(verdict).and(failed))
}

/// Processes that were interrupted may have come to different cells: those that all have are left.
fn cut_to_the_same_cells(runs: &mut [Run]) -> Option<String> {
    let fewest = runs.iter().map(|run| run.cells.len()).min()?;
    let most = runs.iter().map(|run| run.cells.len()).max()?;
    for run in runs {
        run.cells.truncate(fewest);
    }
    (fewest < most)
        .then(|| format!("not all processes came to cell {}: it is left out", fewest + 1))
}

/// The rules of warm-up and end, applied to what all processes have done together.
struct Rules<'a> {
    stages: &'a [Bench],
    /// By cell and stage, what decides.
    stops: BTreeMap<(usize, bool), Option<Box<dyn Stop>>>,
    /// By cell, the warm-up as it was seen last.
    warmups: BTreeMap<usize, Series>,
}

impl Rules<'_> {
    fn new(stages: &[Bench]) -> Rules<'_> {
        Rules { stages, stops: BTreeMap::new(), warmups: BTreeMap::new() }
    }

    fn enough(&mut self, cell: usize, stage: Stage, series: &Series) -> bool {
        let Some(bench) = self.bench(cell) else { return false };
        let (warmup, until) = (bench.warmup, bench.until.clone());
        let is_warmup = stage == Stage::WarmUp;
        let stop = self.stops.entry((cell, is_warmup)).or_insert_with(|| {
            if is_warmup {
                return warmup.and_then(super::Warmup::stop);
            }
            until.map(|until| Box::new(Precise::new(until)) as Box<dyn Stop>)
        });
        let Some(stop) = stop else { return false };
        if is_warmup {
            self.warmups.insert(cell, series.clone());
        }
        stop.enough(series)
    }

    /// What a reader must know of the phases that rules ended.
    fn notes(&self, run: &Run) -> Vec<String> {
        let mut notes = Vec::new();
        for (number, cell) in run.cells.iter().enumerate() {
            let Some(bench) = self.bench(number + 1) else { continue };
            let series = self.warmups.get(&(number + 1));
            let warmup = bench.warmup.zip(series).and_then(|(warmup, series)| warmup.note(series));
            let until = bench.until.as_ref().map(|until| until.told(&cell.series));
            let about = |note| format!("{}: {note}", cell.setup);
            notes.extend(warmup.into_iter().chain(until).map(about));
        }
        notes
    }

    /// The stage that a cell, from 1, is of.
    fn bench(&self, cell: usize) -> Option<&Bench> {
        let mut left = cell.checked_sub(1)?;
        self.stages.iter().find(|stage| {
            let cells = stage.cells();
            let is_it = left < cells;
            left = left.saturating_sub(cells);
            is_it
        })
    }
}
