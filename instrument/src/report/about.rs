// SPDX-License-Identifier: Apache-2.0
//! What was run, where and when.

use super::html::{Escaped, put};
use super::names::setup;
use super::units::{bytes, count, counted, number, time};
use crate::run::Run;

pub(super) fn draw(out: &mut String, runs: &[Run]) {
    out.push_str("<section><h2>Environment</h2>\n");
    for (at, run) in runs.iter().enumerate() {
        if runs.len() > 1 {
            put!(out, "<h3>Run {}</h3>", at + 1);
        }
        out.push_str("<dl>");
        for (name, value) in facts(run).into_iter().filter(|(_, value)| !value.is_empty()) {
            put!(out, "<dt>{name}</dt><dd>{}</dd>", Escaped(&value));
        }
        out.push_str("</dl>\n");
    }
    out.push_str("</section>\n");
}

fn facts(run: &Run) -> Vec<(&'static str, String)> {
    let (about, machine) = (&run.about, &run.about.environment);
    let started = jiff::Timestamp::try_from(about.started_at)
        .map_or_else(|_| String::new(), |at| format!("{at:.0}"));
    let sum = run.sum();
    let cells = run.cells.iter().map(|cell| setup(&cell.setup)).collect::<Vec<_>>();
    let clock = if run.is_job() {
        "monotonic, of each executor"
    } else if about.processes > 1 {
        "monotonic, one of each process; their starts by the system's clocks"
    } else {
        "monotonic, of one process"
    };
    vec![
        ("Target", about.url.clone()),
        ("Model", about.model.clone().unwrap_or_default()),
        ("Command", about.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")),
        (
            "Setup",
            if run.is_job() {
                format!("a job of {}", counted(cells.len() as u64, "stage"))
            } else if cells.len() > 1 {
                format!("{} cells: {} … {}", cells.len(), cells[0], cells[cells.len() - 1])
            } else {
                cells.concat()
            },
        ),
        // Nothing of a job is drawn.
        ("Seed", if run.is_job() { String::new() } else { about.seed.to_string() }),
        ("Started", started),
        ("Processes", count(about.processes.into())),
        ("Clock", clock.to_owned()),
        ("CPU time", if sum.cpu.is_zero() { String::new() } else { cpu(&sum) }),
        ("Lateness of starts", lateness(&sum, run)),
        (
            "Time explained by phases",
            sum.attributed_in_99_percent.map_or_else(String::new, |share| {
                format!("at least {} % in 99 % of calls", number(share * 100.0))
            }),
        ),
        (
            "Bytes verified",
            sum.verified_bytes.map_or_else(String::new, |verified| bytes(verified as f64)),
        ),
        ("Machine", machine.processor.clone()),
        (
            "Processors",
            if machine.processors > 0 {
                counted(machine.processors.into(), "processor")
            } else {
                String::new()
            },
        ),
        (
            "Memory",
            if machine.memory > 0 {
                format!("{} GiB", number(machine.memory as f64 / f64::from(1 << 30)))
            } else {
                String::new()
            },
        ),
        ("System", machine.system.trim().to_owned()),
        ("Version", format!("storescope {}", about.version)),
    ]
}

fn cpu(sum: &crate::run::Cell) -> String {
    let seconds = sum.cpu.as_secs_f64();
    let gigabytes = super::measures::payload(sum) as f64 / 1e9;
    let mut text = format!("{} s", number(seconds));
    if gigabytes > 0.01 {
        put!(&mut text, ", {} s a GB", number(seconds / gigabytes));
    }
    text
}

fn lateness(sum: &crate::run::Cell, run: &Run) -> String {
    let mut late = sum.lateness.clone();
    for cell in &run.cells {
        late.merge(&cell.lateness);
    }
    if late.count() == 0 {
        return String::new();
    }
    format!(
        "p50 {}, p99 {}, max {}",
        time(late.quantile(0.5)),
        time(late.quantile(0.99)),
        time(late.max())
    )
}

/// A word of a command line as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@+%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
