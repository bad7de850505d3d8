// SPDX-License-Identifier: Apache-2.0
//! `requests.jsonl`. `storescope_trace` reads it: `bench --trace` replays it.

use super::task::Op;
use crate::exit::{Ended, Exit};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use storescope::timing::{AttemptEvent, Operation, Phase};

/// `requests.jsonl`: each attempt by its client request id, to be compared with the server's own record.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestLog {
    file: Option<Arc<Mutex<BufWriter<File>>>>,
    operations: Vec<Operation>,
    warmup: bool,
    clock: WallClock,
}

/// The wall clock, read once: it may be set meanwhile.
#[derive(Clone, Copy, Debug)]
struct WallClock(Duration, Instant);

impl Default for WallClock {
    fn default() -> WallClock {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallClock(unix, Instant::now())
    }
}

impl WallClock {
    /// The time so many nanoseconds ago, since 1970.
    fn ago(self, nanoseconds: u64) -> Duration {
        (self.0 + self.1.elapsed()).saturating_sub(Duration::from_nanos(nanoseconds))
    }
}

impl RequestLog {
    /// Of nothing.
    pub(super) fn none() -> RequestLog {
        RequestLog::default()
    }

    pub(super) fn create(path: &Path) -> Result<RequestLog, Exit> {
        let file = File::create(path)
            .map_err(|e| Exit::usage(format!("cannot write {}: {e}", path.display())))?;
        Ok(RequestLog {
            file: Some(Arc::new(Mutex::new(BufWriter::new(file)))),
            ..RequestLog::default()
        })
    }

    /// The same file, for the attempts of one phase.
    pub(super) fn of(&self, ops: &[Op], warmup: bool) -> RequestLog {
        let operations = ops.iter().map(|op| op.operation()).collect();
        RequestLog { file: self.file.clone(), operations, warmup, clock: self.clock }
    }

    pub(super) fn note(&self, event: &AttemptEvent<'_>) {
        let Some(file) = &self.file else { return };
        // What a call does beside: parts are of writes by parts.
        if !self.operations.contains(&event.operation) && event.operation != Operation::PutPart {
            return;
        }
        let line = serde_json::json!({
            "client_request_id": event.client_request_id.to_string(),
            "start_unix_ns": self.clock.ago(event.total_ns).as_nanos() as u64,
            "operation": event.operation.as_str(),
            "key": event.key,
            "offset": event.offset,
            "length": event.length,
            "bytes": event.bytes,
            "outcome": event.outcome.as_str(),
            "ttfb_ns": event.phase_ns(Phase::Ttfb),
            "total_ns": event.total_ns,
            "warmup": self.warmup,
        });
        // A full disk is told when the log is flushed at the end.
        let _ = writeln!(file.lock().expect("no holder panics"), "{line}");
    }

    pub(super) fn flush(&self) -> Ended {
        match &self.file {
            Some(file) => Ok(file.lock().expect("no holder panics").flush()?),
            None => Ok(()),
        }
    }
}
