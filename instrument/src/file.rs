// SPDX-License-Identifier: Apache-2.0
//! The files of a run: `run.json` (figures, setup, histograms of calls, series, bands) and `run.hlog` (every attempt and
//! call by key: HdrHistogram lines, the cells one after another behind a comment each, so that other readers see their sum).
//! A report holds both.

use crate::job;
use crate::run::{About, Cell, Run, Setup};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use storescope::timing::{HlogError, Snapshot};

/// The version of `run.json`. Members may be added under it; a change of meaning is another version.
const SCHEMA: u64 = 1;

/// Begins the comment in front of a cell's lines in `run.hlog`.
const CELL: &str = "#[Cell ";

/// Begins a block that a report holds a file of a run in; its number, and `json` or `hlog`, follow.
const BLOCK: &str = "<script type=\"text/plain\" id=\"storescope-run-";
const BLOCK_BEGINS: &str = "\">";
const BLOCK_ENDS: &str = "</script>";

/// Why a run cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file that cannot be read, or is not there.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without a run.
    #[error("{} holds no run: there is no run.json and no run.hlog in it", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no run, or was cut off.
    #[error("{} is no run of storescope bench: {why}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of a newer version.
    #[error("{} has schema {found}, and this version reads {SCHEMA}: use a newer storescope", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// A report of several runs, where one was asked for.
    #[error("{} holds {count} runs, and one is needed here: give the folder of one", path.display())]
    Several {
        /// Which.
        path: PathBuf,
        /// How many runs it holds.
        count: usize,
    },
    /// A histogram log that cannot be read.
    #[error("{}: {source}", path.display())]
    Hlog {
        /// Which.
        path: PathBuf,
        /// Why.
        source: HlogError,
    },
}

impl Run {
    /// Reads a run: a folder that holds `run.json` and `run.hlog`, either of those files, a report, or any histogram log
    /// of ours (then a run of one cell that knows only its attempts). A report must hold one run.
    pub fn read(path: &Path) -> Result<Run, RunError> {
        let mut runs = Run::read_all(path)?;
        match (runs.pop(), runs.len()) {
            (Some(run), 0) => Ok(run),
            (_, rest) => Err(RunError::Several { path: path.to_owned(), count: rest + 1 }),
        }
    }

    /// The same, and all runs of a report that holds several. Never none.
    pub fn read_all(path: &Path) -> Result<Vec<Run>, RunError> {
        let file = if path.is_dir() { folders_file(path)? } else { path.to_owned() };
        let text = read(&file)?;
        if text.trim_start().starts_with('<') {
            return of_report(&file, &text);
        }
        read_one(&file, &text).map(|run| vec![run])
    }

    /// Writes `run.json` and `run.hlog` into a folder, which is made. Each is written beside its name and then moved there:
    /// what was there before stays whole until then.
    pub fn write(&self, folder: &Path) -> Result<(), RunError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| RunError::Write { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        for (name, text) in [("run.hlog", self.to_hlog()), ("run.json", self.to_json_text())] {
            let (path, part) = (folder.join(name), folder.join(format!("{name}.part")));
            std::fs::write(&part, text)
                .and_then(|()| std::fs::rename(&part, &path))
                .map_err(failed(&path))?;
        }
        Ok(())
    }

    /// What `run.json` holds. The figures of all cells together stand at the top; with one cell they are its own.
    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("schema".into(), SCHEMA.into());
        all.extend(object(serde_json::to_value(&self.about)));
        let sum = self.sum();
        if let Some(first) = self.cells.first() {
            let same = |part: fn(&Setup) -> Value| {
                let value = part(&first.setup);
                self.cells.iter().all(|cell| part(&cell.setup) == value).then_some(value)
            };
            let operation = same(|setup| setup.operation().into());
            all.insert("operation".into(), operation.unwrap_or(Value::Null));
            all.insert("size".into(), same(|setup| setup.size.into()).unwrap_or(Value::Null));
            let concurrency = same(|setup| setup.concurrency.into());
            all.insert("concurrency".into(), concurrency.unwrap_or(Value::Null));
            let pattern = same(|setup| setup.pattern.clone().into());
            all.insert("pattern".into(), pattern.unwrap_or(Value::Null));
            all.extend(sum.figures());
            all.extend(job::figures(&sum, self.limit()));
            all.insert("failed_calls".into(), sum.failed_calls.into());
            all.insert("retries".into(), sum.retries.into());
            all.insert("attributed_in_99_percent".into(), sum.attributed_in_99_percent.into());
            all.insert("elapsed_ms".into(), crate::json::rounded(sum.elapsed.as_secs_f64() * 1e3));
        }
        let jobs: Vec<Value> = self.jobs().iter().map(|job| job.figures().into()).collect();
        if !jobs.is_empty() {
            all.insert("jobs".into(), jobs.into());
        }
        all.insert("cells".into(), self.cells.iter().map(cell_json).collect());
        Value::Object(all)
    }

    /// `run.json` as text.
    pub fn to_json_text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }

    /// What `run.hlog` holds.
    pub fn to_hlog(&self) -> String {
        let mut text = String::new();
        for (at, cell) in self.cells.iter().enumerate() {
            // The name of a trace may hold anything; a comment is one line.
            let setup = cell.setup.to_string().replace(char::is_control, " ");
            writeln!(text, "{CELL}{}: {setup}]", at + 1).expect("writing to memory");
            text.push_str(&cell.attempts.to_hlog());
        }
        text
    }
}

/// The blocks that a report holds runs in, so that [`Run::read_all`] finds them there: `run.json` and `run.hlog` of each,
/// by zlib and base64. They are data: no browser runs them, and nothing in them ends an element.
pub fn embedded(runs: &[Run]) -> String {
    let mut blocks = String::new();
    for (at, run) in runs.iter().enumerate() {
        for (file, text) in [("json", run.to_json().to_string()), ("hlog", run.to_hlog())] {
            let number = at + 1;
            writeln!(blocks, "{BLOCK}{number}-{file}{BLOCK_BEGINS}{}{BLOCK_ENDS}", packed(&text))
                .expect("writing to memory");
        }
    }
    blocks
}

/// The runs of a report.
fn of_report(path: &Path, html: &str) -> Result<Vec<Run>, RunError> {
    let no_run = |why: &str| RunError::Syntax { path: path.to_owned(), why: why.to_owned() };
    let block = |name: &str| -> Result<Option<String>, RunError> {
        let Some((_, rest)) = html.split_once(&format!("{BLOCK}{name}{BLOCK_BEGINS}")) else {
            return Ok(None);
        };
        let (packed, _) = rest
            .split_once(BLOCK_ENDS)
            .ok_or_else(|| no_run("it is cut off inside the run that it holds"))?;
        unpacked(packed).map(Some).map_err(|error| no_run(&error.to_string()))
    };
    let mut runs = Vec::new();
    while let Some(json) = block(&format!("{}-json", runs.len() + 1))? {
        let hlog = block(&format!("{}-hlog", runs.len() + 1))?
            .ok_or_else(|| no_run("it is cut off behind the figures of the run that it holds"))?;
        runs.push(parse(path, &json, Some((path, &hlog)))?);
    }
    if runs.is_empty() {
        return Err(no_run("it is HTML, and holds no run"));
    }
    Ok(runs)
}

fn packed(text: &str) -> String {
    let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let bytes = to.write_all(text.as_bytes()).and_then(|()| to.finish());
    BASE64.encode(bytes.expect("memory takes it"))
}

/// The text of a block. What is no run may unfold to anything: it ends at a bound.
fn unpacked(packed: &str) -> std::io::Result<String> {
    const MOST: u64 = 1 << 30;
    let bytes = BASE64.decode(packed.trim()).map_err(std::io::Error::other)?;
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(&bytes[..]).take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

fn folders_file(folder: &Path) -> Result<PathBuf, RunError> {
    let files = ["run.json", "run.hlog"].map(|name| folder.join(name));
    let found = files.into_iter().find(|file| file.exists());
    found.ok_or_else(|| RunError::Empty { path: folder.to_owned() })
}

fn read(path: &Path) -> Result<String, RunError> {
    let bytes =
        std::fs::read(path).map_err(|source| RunError::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes)
        .map_err(|_| RunError::Syntax { path: path.to_owned(), why: "it is no text".to_owned() })
}

fn parse(file: &Path, json: &str, hlog: Option<(&Path, &str)>) -> Result<Run, RunError> {
    let no_run = |why: String| RunError::Syntax { path: file.to_owned(), why };
    let mut value: Value = serde_json::from_str(json).map_err(|e| no_run(e.to_string()))?;
    let schema = value["schema"].as_u64().ok_or_else(|| no_run("it tells no schema".into()))?;
    if schema > SCHEMA {
        return Err(RunError::Newer { path: file.to_owned(), found: schema });
    }
    let cells = match (value["cells"].take(), hlog) {
        // What an older version measured is in its log.
        (Value::Null, Some((path, text))) => return of_log(path, text),
        (Value::Null, None) => {
            return Err(no_run("it has no cells: an older version wrote it".into()));
        }
        (cells, _) => cells,
    };
    let about: About = serde_json::from_value(value).map_err(|e| no_run(e.to_string()))?;
    let cells: Vec<Cell> = serde_json::from_value(cells).map_err(|e| no_run(e.to_string()))?;
    let mut run = Run { about, cells };
    let Some((path, text)) = hlog else { return Ok(run) };
    let logs = by_cell(text);
    if logs.len() != run.cells.len() {
        let why = format!("it holds {} cells, and the run {}", logs.len(), run.cells.len());
        return Err(RunError::Syntax { path: path.to_owned(), why });
    }
    for (cell, log) in run.cells.iter_mut().zip(logs) {
        cell.attempts = Snapshot::from_hlog(log)
            .map_err(|source| RunError::Hlog { path: path.to_owned(), source })?;
    }
    Ok(run)
}

/// The parts of a log, a cell each. What begins a part in the middle of a line is in the name of one.
fn by_cell(text: &str) -> Vec<&str> {
    let begins = |at: &usize| *at == 0 || text.as_bytes()[at - 1] == b'\n';
    let mut starts: Vec<_> = text.match_indices(CELL).map(|(at, _)| at).filter(begins).collect();
    starts.push(text.len());
    starts.windows(2).map(|two| &text[two[0]..two[1]]).collect()
}

fn read_one(file: &Path, text: &str) -> Result<Run, RunError> {
    if text.trim_start().starts_with('{') {
        let hlog_file = file.with_extension("hlog");
        let hlog = if hlog_file.exists() { Some(read(&hlog_file)?) } else { None };
        return parse(file, text, hlog.as_deref().map(|text| (hlog_file.as_path(), text)));
    }
    let json_file = file.with_extension("json");
    if json_file.exists() {
        return parse(&json_file, &read(&json_file)?, Some((file, text)));
    }
    of_log(file, text)
}

/// A log by itself: one that the bindings or `--scope-out` wrote.
fn of_log(path: &Path, text: &str) -> Result<Run, RunError> {
    let snapshot = Snapshot::from_hlog(text)
        .map_err(|source| RunError::Hlog { path: path.to_owned(), source })?;
    let about = About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: Vec::new(),
        url: path.display().to_string(),
        model: None,
        seed: 0,
        started_at: snapshot.started_at(),
        environment: crate::environment::Environment::default(),
        processes: 1,
        notes: vec!["a histogram log alone: attempts, and nothing over time".to_owned()],
    };
    let mut cell = Cell::new(Setup::recorded());
    cell.elapsed = snapshot.elapsed();
    cell.attempts = snapshot;
    Ok(Run { about, cells: vec![cell] })
}

/// A cell as it is told: what it holds, and figures for those who only look.
fn cell_json(cell: &Cell) -> Value {
    let mut all = object(serde_json::to_value(cell));
    all.extend(cell.figures());
    all.extend(job::figures(cell, cell.limit()));
    Value::Object(all)
}

fn object(value: serde_json::Result<Value>) -> Map<String, Value> {
    match value.expect("tables of numbers and texts") {
        Value::Object(map) => map,
        other => unreachable!("a struct is an object, not {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Calls;
    use crate::series::Point;
    use std::time::Duration;
    use storescope::timing::Scope;

    pub(crate) fn run(cells: u32) -> Run {
        let about = About {
            version: "0.1.0".into(),
            command: vec!["storescope".into(), "bench".into()],
            url: "oci://demo@ns/</script><b>".into(),
            model: Some("s3-standard".into()),
            seed: 7,
            started_at: std::time::UNIX_EPOCH + Duration::from_hours(500_000),
            environment: crate::environment::Environment::of_this_machine(),
            processes: 1,
            notes: Vec::new(),
        };
        let cell = |number: u32| {
            let setup = Setup {
                mix: [("get".to_owned(), 1)].into(),
                pattern: "random".into(),
                size: Some(65_536),
                concurrency: number,
                ..Setup::recorded()
            };
            let mut cell = Cell::new(setup);
            let scope = Scope::new("test");
            (0..100 * u64::from(number)).for_each(|n| {
                storescope::timing::bench::record_attempt(std::slice::from_ref(&scope), n);
            });
            cell.attempts = scope.snapshot();
            cell.elapsed = Duration::from_millis(1_500);
            let mut calls = Calls::default();
            (1..=100).for_each(|n| {
                calls.count += 1;
                calls.response.record(n * 1_000_000);
                calls.service.record(n * 900_000);
            });
            cell.calls.insert("get".into(), calls);
            cell.series.push(Point::new(Duration::ZERO, Duration::from_secs(1)));
            cell
        };
        Run { about, cells: (1..=cells).map(cell).collect() }
    }

    #[test]
    fn a_run_is_read_back_from_its_folder_its_files_and_a_report() {
        for cells in [1, 3] {
            let (run, folder) = (run(cells), tempfile::tempdir().unwrap());
            run.write(folder.path()).unwrap();
            let report = folder.path().join("report.html");
            std::fs::write(
                &report,
                format!("<html>{}</html>", embedded(std::slice::from_ref(&run))),
            )
            .unwrap();
            let (json, hlog) = (folder.path().join("run.json"), folder.path().join("run.hlog"));
            for path in [folder.path(), &report, &json, &hlog] {
                let read = Run::read(path).unwrap();
                assert_eq!(read.to_json(), run.to_json(), "{}", path.display());
                assert_eq!(read.cells.len(), run.cells.len());
                for (read, wrote) in read.cells.iter().zip(&run.cells) {
                    assert_eq!(read.calls, wrote.calls);
                    assert!(read.attempts.iter().eq(wrote.attempts.iter()));
                }
            }
        }
    }

    #[test]
    fn a_report_holds_several_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        let mut runs = [run(1), run(2)];
        runs[1].cells[0].setup.pattern = "a\n</script><b>".into();
        let html = format!("<html>{}</html>", embedded(&runs));
        assert_eq!(html.matches("</script>").count(), 4);
        std::fs::write(&path, &html).unwrap();
        let read = Run::read_all(&path).unwrap();
        assert_eq!(read.len(), 2);
        for (read, wrote) in read.iter().zip(&runs) {
            assert_eq!(read.to_json(), wrote.to_json());
            assert_eq!(read.to_hlog(), wrote.to_hlog());
        }
        let told = Run::read(&path).unwrap_err().to_string();
        assert!(told.contains("holds 2 runs, and one is needed here"), "{told}");
        let cut = html.find("-2-hlog").unwrap();
        for (end, why) in [(cut, "behind the figures"), (cut + 200, "inside the run")] {
            std::fs::write(&path, &html[..end]).unwrap();
            let told = Run::read_all(&path).unwrap_err().to_string();
            assert!(told.contains("it is cut off") && told.contains(why), "{told}");
        }
        std::fs::write(&path, "<!doctype html><p>a page").unwrap();
        let told = Run::read_all(&path).unwrap_err().to_string();
        assert!(told.contains("it is HTML, and holds no run"), "{told}");
    }

    #[test]
    fn the_log_of_an_older_run_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(1);
        std::fs::write(folder.path().join("run.json"), "{\"schema\": 1, \"requests\": 100}")
            .unwrap();
        std::fs::write(folder.path().join("run.hlog"), run.cells[0].attempts.to_hlog()).unwrap();
        let read = Run::read(folder.path()).unwrap();
        assert!(read.cells[0].attempts.iter().eq(run.cells[0].attempts.iter()));
        assert!(read.about.notes[0].contains("a histogram log alone"));
    }

    #[test]
    fn what_is_no_run_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let told = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Run::read(&path).unwrap_err().to_string()
        };
        let whole = run(1).to_json_text();
        assert!(told(&whole[..whole.len() / 2]).contains("is no run of storescope bench: EOF"));
        let newer = whole.replacen("\"schema\": 1", "\"schema\": 2", 1);
        assert!(told(&newer).contains("has schema 2, and this version reads 1"));
        assert!(told("{}").contains("it tells no schema"));
        let missing = Run::read(&folder.path().join("nothing")).unwrap_err().to_string();
        assert!(missing.contains("cannot read") && missing.contains("nothing"), "{missing}");
    }
}
