// SPDX-License-Identifier: Apache-2.0
//! A trace as the one cell of a bench: its objects, its calls, and what it wrote.

use super::Connections;
use super::replay::{Pace, Trace, named};
use super::stock::Object;
use super::sweep::Sweep;
use super::task::Source;
use crate::exit::Exit;
use std::collections::BTreeMap;
use std::sync::Arc;
use storescope_instrument::{Arrivals, Setup};

impl Sweep<'_> {
    pub(super) fn trace_setup(&self, trace: &Trace) -> Setup {
        let bench = self.bench;
        let file = bench.replay.trace.as_deref().and_then(|path| path.file_name());
        let name = file.unwrap_or_default().to_string_lossy();
        let (pace, level) = (bench.replay.pace(), bench.replay.trace_level);
        Setup {
            name: None,
            mix: trace
                .mix()
                .iter()
                .map(|(op, n)| (op.operation().as_str().to_owned(), *n))
                .collect(),
            pattern: match pace {
                Pace::Times(speed) if bench.replay.speed.is_some() => {
                    format!("trace {name} ({level}) at {speed} times its speed")
                }
                _ => format!("trace {name} ({level})"),
            },
            size: None,
            concurrency: bench.concurrencies().iter().next().unwrap_or(1),
            rate: None,
            arrivals: matches!(pace, Pace::Times(_)).then_some(Arrivals::Trace),
            new_connections: bench.connections == Connections::New,
        }
    }

    /// The prefix below which the trace's names stand.
    fn trace_prefix(&self) -> String {
        self.target.url.key().to_owned()
    }

    /// The objects that the trace needs: made in an emulator, looked for elsewhere.
    pub(super) async fn trace_objects(&mut self) -> Result<Vec<Object>, Exit> {
        let (Some(trace), prefix) = (self.trace.clone(), self.trace_prefix()) else {
            return Ok(Vec::new());
        };
        if trace.has_names() && !prefix.is_empty() && !prefix.ends_with('/') {
            return Err(Exit::usage(format!(
                "{} is an object, and the trace is of several: name the prefix that they lie below, ending in /",
                self.target.url
            )));
        }
        let (stock, url, worker) = (self.stock.clone(), self.target.url.to_string(), self.worker());
        let is_emulator = self.bench.emulator.is_some();
        let objects = self
            .unless_interrupted(async {
                if is_emulator {
                    let made =
                        trace.made().map(|(key, size)| Object { key: named(&prefix, key), size });
                    let made: Vec<_> = made.collect();
                    if worker.index() == 1 {
                        stock.prepare_named(&made).await?;
                    }
                    return Ok(made);
                }
                let names = trace.needed().map(|(key, _)| key).chain(trace.written());
                let there: BTreeMap<_, _> =
                    stock.look(names.map(|key| named(&prefix, key))).await?;
                trace.check(&url, |key| there.get(&named(&prefix, key)).copied())?;
                Ok(there.into_iter().map(|(key, size)| Object { key, size }).collect())
            })
            .await?;
        self.owns_written = true;
        Ok(objects)
    }

    /// The trace's calls, as far as they are this process's.
    pub(super) fn replay(&self, trace: &Trace, objects: &[Object]) -> Arc<dyn Source> {
        let (prefix, worker) = (self.trace_prefix(), self.worker());
        let sizes: BTreeMap<_, _> =
            objects.iter().map(|object| (Arc::clone(&object.key), object.size)).collect();
        let size = |key: &str| sizes.get(&named(&prefix, key)).copied();
        Arc::new(trace.replay(&prefix, self.bench.replay.pace(), size, |key| worker.has(key)))
    }

    /// What the replay may have written, in full names. Nothing where it was refused: what is there is somebody's.
    pub(super) fn trace_written(&self) -> Vec<String> {
        let (Some(trace), prefix) = (&self.trace, self.trace_prefix()) else { return Vec::new() };
        if !self.owns_written {
            return Vec::new();
        }
        let mine = trace.written().filter(|key| self.worker().has(key));
        match self.bench.emulator {
            Some(_) => Vec::new(),
            None => mine.map(|key| named(&prefix, key).to_string()).collect(),
        }
    }
}
