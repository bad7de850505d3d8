// SPDX-License-Identifier: Apache-2.0
//! `docs/FAULTS.md`, made of what was measured.

use super::fault::Spec;
use super::operation::OPS;
use super::{ATTEMPTS, Measured, WAIT, within};
use crate::common::scripted::{APIS, Api};
use std::fmt::Write as _;
use std::path::Path;

/// How the file differs from what was measured. Run with `STORESCOPE_BLESS=1` to write it anew.
pub(super) fn differences(specs: &[Spec], measured: &[Measured]) -> Vec<String> {
    // Without the feature `s3` half of the table is missing.
    if APIS.len() < 2 {
        return Vec::new();
    }
    let text = written(specs, measured);
    let path = Path::new("docs/FAULTS.md");
    if std::env::var_os("STORESCOPE_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let (old, new): (Vec<_>, Vec<_>) = (committed.lines().collect(), text.lines().collect());
    let missing = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let more = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    let mut lines: Vec<String> = missing.chain(more).collect();
    if committed != text {
        lines.insert(0, "docs/FAULTS.md differs; STORESCOPE_BLESS=1 writes it:".to_owned());
    }
    lines
}

fn written(specs: &[Spec], measured: &[Measured]) -> String {
    let mut text = String::new();
    head(&mut text, specs, measured);
    for api in APIS {
        let title = if api == Api::Oci { "OCI's native API" } else { "S3" };
        writeln!(text, "\n## {title}\n").unwrap();
        table(&mut text, specs, measured, api);
    }
    writeln!(text, "\n## The faults\n\n| fault | meaning | within |\n| --- | --- | --- |").unwrap();
    for spec in specs {
        let within = within(spec).as_secs();
        writeln!(text, "| {} | {} | {within} s |", spec.name, spec.meaning).unwrap();
    }
    writeln!(text, "\n## The operations\n\n| operation | call |\n| --- | --- |").unwrap();
    for (_, name, call) in OPS {
        writeln!(text, "| {name} | {call} |").unwrap();
    }
    text
}

fn head(text: &mut String, specs: &[Spec], measured: &[Measured]) {
    let well = measured.iter().filter(|cell| cell.outcome == "ok").count();
    let (cells, wait) = (measured.len(), WAIT.as_secs());
    write!(
        text,
        "# Faults

Made by a test (`tests/it/faults/`), which fails where a cell ends otherwise; `STORESCOPE_BLESS=1 cargo test --profile ci
--test it faults::` writes it anew. `tests/faults.json` lists the faults.

{faults} faults × {operations} operations × {apis} APIs are {cells} cells: {well} end well, {failed} in a typed error. Each has a
client of its own with `attempts` {ATTEMPTS}, and {wait} s for `first_byte_timeout` and `stall_timeout`.

A cell says how the call ends: `ok` with the right bytes, or the error's kind; `+2` means after two retries. A fault comes once,
unless its name says *for ever* or a second answer would be the same. Where an operation has no body, or asks for no range, a fault
of those cannot be seen, and the call is `ok`. The test holds of every cell:

* it ends within the time that the table of faults states;
* a client that no fault meets finds the objects whole, old or new, and none lost; no upload is left but that of the caller, who
  can abort it;
* the histograms hold the call under its outcome, and as many attempts as the store recorded requests;
* at most 16 MiB of an answer are read that is not an object's bytes;
* a redirect is not followed: the other server gets no connection.

With the default settings a store that answers 503 for ever is given up after 8 attempts and 7 waits, of at most 0.1, 0.2, 0.4 …
6.4 s: 12.7 s at most, 6.35 s on average. Where the store names the wait (`Retry-After`), after 7 such waits. However many
attempts are set, a call without progress ends within `call_timeout`, 10 minutes (`src/read/simulated/giving_up.rs`).
",
        faults = specs.len(),
        operations = OPS.len(),
        apis = APIS.len(),
        failed = cells - well,
    )
    .unwrap();
}

fn table(text: &mut String, specs: &[Spec], measured: &[Measured], api: Api) {
    let names: Vec<_> = OPS.iter().map(|(_, name, _)| *name).collect();
    writeln!(text, "| fault | {} |", names.join(" | ")).unwrap();
    writeln!(text, "| --- |{}", " --- |".repeat(names.len())).unwrap();
    for (fault, spec) in specs.iter().enumerate() {
        let row = measured.iter().filter(|cell| cell.cell.api == api && cell.cell.fault == fault);
        let shown: Vec<_> = row.map(Measured::shown).collect();
        assert!(shown.len() == OPS.len() && shown.iter().all(|cell| !cell.is_empty()), "{shown:?}");
        writeln!(text, "| {} | {} |", spec.name, shown.join(" | ")).unwrap();
    }
}
