// SPDX-License-Identifier: Apache-2.0
//! Log records for Java's slf4j: they wait for the Java thread that also completes reads, which writes them to the logger.

use crate::completions;
use std::sync::Mutex;
use storescope_bindings::lock::locked;
use storescope_bindings::log::{Record, RecordQueue, install as install_sink, want_debug};
use tracing::Level;

static WAITING: Mutex<Vec<Record>> = Mutex::new(Vec::new());

/// Records of the crate wait for Java from now on.
pub(crate) fn install() {
    install_sink(CompletionsThread);
}

/// The records that wait, and whether debug ones are wanted from now on: `W` or `D`, then the text.
pub(crate) fn take(debug: bool) -> Vec<Option<String>> {
    want_debug(debug);
    let records = std::mem::take(&mut *locked(&WAITING));
    let told = records.into_iter().map(|record| {
        let mark = if record.level() <= Level::WARN { 'W' } else { 'D' };
        Some(format!("{mark}{}", record.into_text()))
    });
    told.collect()
}

/// Wakes the Java thread that takes completions.
struct CompletionsThread;

impl RecordQueue for CompletionsThread {
    fn queue(&self, record: Record) {
        locked(&WAITING).push(record);
        completions::nudge();
    }
}
