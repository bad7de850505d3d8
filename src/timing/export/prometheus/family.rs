// SPDX-License-Identifier: Apache-2.0
//! What is exposed, whichever the form: metric families, from histograms and gauges.

use crate::timing::{Distribution, Key, Snapshot, Totals};

/// A metric and all its samples.
#[derive(Debug)]
pub(super) struct Family<'a> {
    /// Without the suffix `_total` of a counter.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// The unit that the name ends in; empty where it has none.
    pub(super) unit: &'static str,
    pub(super) samples: Samples<'a>,
}

#[derive(Debug)]
pub(super) enum Samples<'a> {
    /// Of times in nanoseconds.
    Histogram(Vec<(Key, &'a Distribution)>),
    /// Sums of bytes by key.
    Bytes(Vec<(Key, u64)>),
    Counter(u64),
    Gauge(u64),
    /// Always 1, with this version as its label.
    Info(&'static str),
}

impl Samples<'_> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Samples::Histogram(samples) => samples.is_empty(),
            Samples::Bytes(samples) => samples.is_empty(),
            Samples::Counter(_) | Samples::Gauge(_) | Samples::Info(_) => false,
        }
    }
}

/// The families of one snapshot.
pub(super) fn of_snapshot(snapshot: &Snapshot) -> Vec<Family<'_>> {
    let times = snapshot.iter().filter(|(key, _)| !key.phase.is_bytes());
    let bytes = snapshot.iter().filter(|(key, _)| key.phase.is_bytes());
    vec![
        Family {
            name: "storescope_phase_seconds",
            help: "Time of a phase of calls and attempts.",
            unit: "seconds",
            samples: Samples::Histogram(times.map(|(key, times)| (*key, times)).collect()),
        },
        Family {
            name: "storescope_bytes",
            help: "Payload bytes asked for, delivered and discarded.",
            unit: "bytes",
            samples: Samples::Bytes(bytes.map(|(key, bytes)| (*key, bytes.sum())).collect()),
        },
        counter(
            "storescope_dropped_values",
            "Values not recorded because the histograms' memory was spent; never failures.",
            snapshot.dropped_keys(),
        ),
    ]
}

/// The families of gauges and counters.
pub(super) fn of_totals(totals: &Totals) -> Vec<Family<'static>> {
    let Totals { readahead, .. } = totals;
    vec![
        gauge("storescope_calls_in_flight", "Calls under way.", "", totals.calls_in_flight),
        gauge(
            "storescope_attempts_in_flight",
            "HTTP requests under way.",
            "",
            totals.attempts_in_flight,
        ),
        gauge(
            "storescope_connections_open",
            "Connections open, in use or idle.",
            "",
            totals.connections_open,
        ),
        gauge(
            "storescope_read_held_bytes",
            "Bytes that readers hold of the read budget.",
            "bytes",
            totals.read_bytes_held,
        ),
        counter(
            "storescope_retries",
            "Attempts made because an earlier one failed.",
            totals.retries,
        ),
        counter("storescope_hedges", "Requests sent because another was late.", totals.hedges),
        counter("storescope_hedges_won", "Hedges that answered first.", totals.hedges_won),
        counter(
            "storescope_readahead_hits",
            "Reads whose bytes, or some of them, had been read ahead.",
            readahead.hits,
        ),
        counter(
            "storescope_readahead_late",
            "Reads that waited for bytes already under way.",
            readahead.late,
        ),
        Family {
            name: "storescope_readahead_wasted_bytes",
            help: "Bytes read ahead and never read.",
            unit: "bytes",
            samples: Samples::Counter(readahead.wasted_bytes),
        },
        Family {
            name: "storescope_build_info",
            help: "The version of storescope.",
            unit: "",
            samples: Samples::Info(env!("CARGO_PKG_VERSION")),
        },
    ]
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family<'static> {
    Family { name, help, unit: "", samples: Samples::Counter(value) }
}

fn gauge(
    name: &'static str,
    help: &'static str,
    unit: &'static str,
    value: u64,
) -> Family<'static> {
    Family { name, help, unit, samples: Samples::Gauge(value) }
}

/// A key's labels, in the order in which they are exposed.
pub(super) fn labels(key: Key) -> [(&'static str, &'static str); 6] {
    let Key { level, operation, phase, outcome, size, connection } = key;
    [
        ("level", level.as_str()),
        ("operation", operation.as_str()),
        ("phase", phase.as_str()),
        ("outcome", outcome.as_str()),
        ("size", size.as_str()),
        ("connection", connection.as_str()),
    ]
}

/// Upper bounds of classic buckets, in seconds: those that OpenTelemetry advises for `http.client.request.duration`.
pub(super) const BOUNDS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// How many values are at most each of these bounds. One of our buckets that straddles a bound counts above it.
pub(super) fn cumulative(distribution: &Distribution) -> [u64; BOUNDS_SECONDS.len()] {
    let mut counts = [0; BOUNDS_SECONDS.len()];
    for (_, highest, count) in distribution.buckets() {
        let first = BOUNDS_SECONDS.partition_point(|bound| bound * 1e9 < highest as f64);
        for below in &mut counts[first..] {
            *below += count;
        }
    }
    counts
}
