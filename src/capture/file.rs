// SPDX-License-Identifier: Apache-2.0
//! Which file a trace goes to. Clients of one process that name the same one share its writer, which lives as long as the
//! process. A file that is there already is never touched: it may be another process's.

use super::Trace;
use crate::error::{ErrorKind, Failure, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storescope_trace::{Names, Writer};

/// Names that are tried where a file is there already.
const TRIES: u32 = 1000;

/// By the setting's text: the file may have another name.
type Traces = Vec<(PathBuf, Arc<Trace>)>;

static TRACES: Mutex<Traces> = Mutex::new(Vec::new());

fn traces() -> MutexGuard<'static, Traces> {
    TRACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All traces of this process.
pub(super) fn all() -> Vec<Arc<Trace>> {
    traces().iter().map(|(_, trace)| trace).filter(|trace| trace.is_ours()).cloned().collect()
}

/// The trace of this process that the setting names, started where there is none.
pub(super) fn shared(
    setting: &Path,
    start: impl FnOnce(Writer) -> Result<Trace>,
    (limit, names): (u64, Names),
) -> Result<Arc<Trace>> {
    let mut traces = traces();
    let known = traces.iter().find(|(known, trace)| known == setting && trace.is_ours());
    if let Some((_, trace)) = known {
        return Ok(Arc::clone(trace));
    }
    let trace = Arc::new(start(create(setting, limit, names)?)?);
    traces.push((setting.to_owned(), Arc::clone(&trace)));
    Ok(trace)
}

/// Makes the file: under its name, else with the process's id behind it, else with a number, too.
fn create(setting: &Path, limit: u64, names: Names) -> Result<Writer> {
    let process = std::process::id();
    let asked = named(setting, process);
    for number in 0..TRIES {
        let path = match number {
            0 => asked.clone(),
            1 => appended(&asked, &format!(".{process}")),
            _ => appended(&asked, &format!(".{process}.{number}")),
        };
        match Writer::create(&path, limit, names) {
            Ok(writer) => {
                if number > 0 {
                    tracing::warn!(
                        "the trace goes to {}: {} is there already",
                        path.display(),
                        asked.display()
                    );
                }
                return Ok(writer);
            }
            Err(error) if error.io_kind() == Some(io::ErrorKind::AlreadyExists) => {}
            Err(error) => {
                return Err(Failure::new(ErrorKind::Config)
                    .message(error.to_string())
                    .hint("set trace (STORESCOPE_TRACE) to a file in a folder that can be written, or to nothing")
                    .into());
            }
        }
    }
    let all = format!("trace={}: files of all names that are tried are there", asked.display());
    Err(Failure::new(ErrorKind::Config).message(all).hint("remove them, or name another").into())
}

/// The name with the process's id in place of `%p`.
fn named(setting: &Path, process: u32) -> PathBuf {
    match setting.to_str() {
        Some(text) if text.contains("%p") => text.replace("%p", &process.to_string()).into(),
        _ => setting.to_owned(),
    }
}

fn appended(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
