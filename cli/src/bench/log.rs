// SPDX-License-Identifier: Apache-2.0
//! `requests.jsonl`.

use crate::exit::{Ended, Exit};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use storescope::timing::{Operation, Phase, Scope};

/// `requests.jsonl`: each attempt by its client request id, to be compared with the server's own record.
#[derive(Clone, Debug)]
pub(super) struct RequestLog(Option<Arc<Mutex<BufWriter<File>>>>);

impl RequestLog {
    /// Of nothing.
    pub(super) fn none() -> RequestLog {
        RequestLog(None)
    }

    pub(super) fn create(path: &Path) -> Result<RequestLog, Exit> {
        let file = File::create(path)
            .map_err(|e| Exit::usage(format!("cannot write {}: {e}", path.display())))?;
        Ok(RequestLog(Some(Arc::new(Mutex::new(BufWriter::new(file))))))
    }

    pub(super) fn watch(&self, scope: &Scope, operation: Operation, warmup: bool) {
        let Some(log) = self.0.clone() else { return };
        scope.observe(move |event| {
            if event.operation != operation {
                return;
            }
            let line = serde_json::json!({
                "client_request_id": event.client_request_id.to_string(),
                "outcome": event.outcome.as_str(),
                "ttfb_ns": event.phase_ns(Phase::Ttfb),
                "total_ns": event.total_ns,
                "warmup": warmup,
            });
            // A full disk is told when the log is flushed at the end.
            let _ = writeln!(log.lock().expect("no holder panics"), "{line}");
        });
    }

    pub(super) fn flush(&self) -> Ended {
        match &self.0 {
            Some(log) => Ok(log.lock().expect("no holder panics").flush()?),
            None => Ok(()),
        }
    }
}
