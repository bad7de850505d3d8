// SPDX-License-Identifier: Apache-2.0
//! The gauges and counters of a client at one moment. They add up over clients.

/// Gauges and counters of a client ([`Metrics::totals`](super::Metrics::totals)), or of several added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls under way.
    pub calls_in_flight: u64,
    /// HTTP requests under way.
    pub attempts_in_flight: u64,
    /// Connections open, in use or idle.
    pub connections_open: u64,
    /// Bytes that readers hold of the budget.
    pub read_bytes_held: u64,
    /// Attempts that were made because an earlier one of the same call had failed.
    pub retries: u64,
    /// Requests sent because another's first byte was late.
    pub hedges: u64,
    /// Those of them that answered first.
    pub hedges_won: u64,
    /// What came of reading ahead.
    pub readahead: Readahead,
}

/// What came of reading ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readahead {
    /// Reads whose bytes, or some of them, were there already.
    pub hits: u64,
    /// Reads that had to wait for bytes that were on their way.
    pub late: u64,
    /// Bytes read ahead that nobody came for.
    pub wasted_bytes: u64,
}

impl Totals {
    /// Adds another client's.
    pub fn merge(&mut self, other: &Totals) {
        self.calls_in_flight += other.calls_in_flight;
        self.attempts_in_flight += other.attempts_in_flight;
        self.connections_open += other.connections_open;
        self.read_bytes_held += other.read_bytes_held;
        self.retries += other.retries;
        self.hedges += other.hedges;
        self.hedges_won += other.hedges_won;
        self.readahead.hits += other.readahead.hits;
        self.readahead.late += other.readahead.late;
        self.readahead.wasted_bytes += other.readahead.wasted_bytes;
    }

    /// The counters alone: what stays of a client that is gone.
    pub(crate) fn counters(self) -> Totals {
        Totals {
            calls_in_flight: 0,
            attempts_in_flight: 0,
            connections_open: 0,
            read_bytes_held: 0,
            ..self
        }
    }
}
