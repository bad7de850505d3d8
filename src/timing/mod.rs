// SPDX-License-Identifier: Apache-2.0
//! Where the time goes: every call and every attempt, phase by phase, in histograms that merge.
//!
//! ```text
//!  AttemptTimer / CallTimer ── drop or finish ──▶ Scope ─▶ parent Scope ─▶ … ─▶ the Client's scope (root)
//!        phases on the stack                       │ a group (level · operation · outcome)
//!                                                  │ a histogram (phase · size · connection), made at its first record
//!                                                  ▼
//!                                             Snapshot ── merge · since · quantile ──▶ .hlog · .hgrm · JSON · Prometheus · OTLP
//!                                                └─ Collector: what each interval brought, appended to a log
//! ```
//!
//! * `key.rs`: phases, operations, outcomes, and the place of each in a table. `record.rs`, `call.rs`: the two timers.
//! * `scope.rs`, `histogram.rs`, `snapshot.rs`, `export/`: the boxes of the drawing. `lease.rs`: which shard a thread writes.
//!   `sync.rs`: what they are shared by.
//! * `collector.rs`: interval logs, written in the background. `totals.rs`: gauges and counters at one moment.
//! * `event.rs`: an attempt's id, what an observer sees of it, and what a trace takes (`Tap`). `socket.rs`: when bytes went through a socket.
//!   `clock.rs`: the one clock. `span.rs`: an attempt's tracing span.
//! * `encoded.rs`: histograms of files and other processes, checked before they are read.
//! * `live.rs`: quantiles of the latest answers, for hedges and reads; the histograms are not asked.
//!
//! It owns the clock readings once they are taken, the histograms and their export; it knows nobody above it.
//! It promises:
//! * a *call* is what a caller asked for, an *attempt* one HTTP request made for it; both end exactly once, and one
//!   that is dropped ends as `cancelled`: nothing that was started goes unrecorded;
//! * failures have histograms of their own and are never dropped; successes are dropped (and the drops counted) only
//!   when a scope has spent its memory;
//! * snapshots merge by adding counts. Percentiles are never averaged.

mod call;
mod clock;
mod collector;
mod encoded;
mod event;
mod export;
mod histogram;
mod key;
mod lease;
mod live;
mod record;
mod scope;
mod snapshot;
mod socket;
mod span;
mod sync;
mod totals;

pub(crate) use call::CallTimer;
pub(crate) use clock::{after, instant_at, now_ns};
pub use collector::Collector;
pub use event::{AttemptEvent, RequestId};
pub(crate) use event::{CallEvent, Subject, Tap};
pub(crate) use export::Moment;
pub use export::{Exposition, HlogError, prometheus_text};
pub use key::{Connection, Key, Level, Operation, Outcome, Phase, SizeClass};
pub(crate) use live::Live;
pub(crate) use record::{AttemptTimer, Recorders};
pub(crate) use scope::{Gauges, Held};
pub use scope::{Metrics, Scope};
pub use snapshot::{DecodeError, Distribution, Snapshot};
pub(crate) use socket::SocketTimes;
pub use totals::{Readahead, Totals};

/// Entry points for this crate's own benchmarks; no part of the public promise.
#[doc(hidden)]
pub mod bench {
    use super::{Operation, Outcome, Phase, Scope, record};

    /// Records one value into one histogram of `scope`.
    #[inline]
    pub fn record_one(scope: &Scope, value: u64) {
        scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, value);
    }

    /// Records an attempt with the phases of a ranged GET on a reused connection into `scopes`.
    pub fn record_attempt(scopes: &[Scope], start_ns: u64) {
        record::bench_attempt(scopes, start_ns);
    }
}
