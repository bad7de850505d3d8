// SPDX-License-Identifier: Apache-2.0
//! Prometheus: one set of metric families (`family.rs`) in three forms (`text.rs`, `protobuf.rs`), the form chosen by the
//! scrape's Accept header (`accept.rs`).

mod accept;
mod family;
mod protobuf;
mod text;

use crate::timing::{Snapshot, Totals};

/// A form in which Prometheus reads metrics.
///
/// ```
/// use storescope::timing::Exposition;
/// assert_eq!(Exposition::accepted("text/plain;q=0.5"), Exposition::Text);
/// assert_eq!(Exposition::Text.content_type(), "text/plain; version=0.0.4; charset=utf-8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exposition {
    /// The classic text, 0.0.4: histograms of 14 buckets, at the bounds that OpenTelemetry advises for HTTP clients.
    Text,
    /// OpenMetrics 1.0 text: the same histograms.
    OpenMetrics,
    /// Protobuf, delimited: native histograms of schema 4 (buckets 4.4 % wide), and the classic buckets beside them.
    Protobuf,
}

impl Exposition {
    /// The form that a request with this `Accept` header is answered in: the highest q-value, else [`Exposition::Text`].
    pub fn accepted(accept: &str) -> Exposition {
        accept::chosen(accept)
    }

    /// The answer's `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Exposition::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// Histograms, and where they are given gauges and counters, in this form.
    pub fn write(self, snapshot: &Snapshot, totals: Option<&Totals>) -> Vec<u8> {
        let mut families = family::of_snapshot(snapshot);
        families.extend(totals.map(family::of_totals).into_iter().flatten());
        families.retain(|family| !family.samples.is_empty());
        match self {
            Exposition::Text => text::write(&families, text::Dialect::Prometheus).into_bytes(),
            Exposition::OpenMetrics => {
                text::write(&families, text::Dialect::OpenMetrics).into_bytes()
            }
            Exposition::Protobuf => protobuf::write(&families),
        }
    }
}

/// A snapshot as Prometheus' classic text. A bucket that straddles a bound counts above it, so a bound's count is at most
/// one bucket (0.78 %) low.
pub fn prometheus_text(snapshot: &Snapshot) -> String {
    text::write(&family::of_snapshot(snapshot), text::Dialect::Prometheus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{Operation, Outcome, Phase, Scope};
    use prost::Message;

    const VALUES_MS: [u64; 5] = [1, 6, 6, 27, 20_000];

    fn recorded() -> Snapshot {
        let scope = Scope::new("test");
        for milliseconds in VALUES_MS {
            scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, milliseconds * 1_000_000);
        }
        scope.record_value(Operation::Get, Phase::Send, Outcome::Ok, 0);
        scope.snapshot()
    }

    #[test]
    fn buckets_are_cumulative_and_end_in_the_count() {
        let text = prometheus_text(&recorded());
        let value = |bound: &str| {
            let line = text.lines().find(|line| line.contains(&format!("le=\"{bound}\""))).unwrap();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!((value("0.005"), value("0.01"), value("1.0"), value("10.0")), (2, 4, 5, 5));
        assert_eq!(value("+Inf"), 6);
    }

    #[test]
    fn openmetrics_names_counters_without_suffix_and_ends() {
        let totals = Totals { retries: 3, ..Totals::default() };
        let form = Exposition::OpenMetrics;
        let text = String::from_utf8(form.write(&recorded(), Some(&totals))).unwrap();
        assert!(text.contains("# TYPE storescope_retries counter\n"), "{text}");
        assert!(text.contains("\nstorescope_retries_total 3\n"), "{text}");
        assert!(text.contains("# UNIT storescope_phase_seconds seconds\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        let classic =
            String::from_utf8(Exposition::Text.write(&recorded(), Some(&totals))).unwrap();
        assert!(classic.contains("# TYPE storescope_retries_total counter\n"), "{classic}");
        assert!(!classic.contains("EOF") && !classic.contains("UNIT"), "{classic}");
    }

    #[test]
    fn native_histograms_hold_every_value() {
        let bytes = Exposition::Protobuf.write(&recorded(), Some(&Totals::default()));
        let mut rest = bytes.as_slice();
        let mut found = Vec::new();
        while !rest.is_empty() {
            let family = protobuf::MetricFamily::decode_length_delimited(&mut rest).unwrap();
            found.extend(family.metric.into_iter().filter_map(|metric| metric.histogram));
        }
        let [histogram] = &found[..] else { panic!("{found:?}") };
        assert_eq!(histogram.sample_count, Some(6));
        let sum = VALUES_MS.iter().sum::<u64>() as f64 / 1e3;
        assert!((histogram.sample_sum.unwrap() - sum).abs() < 1e-9);
        assert_eq!(histogram.zero_count, Some(1));
        // Deltas to counts, spans to upper bounds: each value's bucket must hold it.
        let mut counts = Vec::new();
        for delta in &histogram.positive_delta {
            counts.push(counts.last().copied().unwrap_or(0) + delta);
        }
        let mut bounds = Vec::new();
        let mut next = 0;
        for span in &histogram.positive_span {
            next += span.offset.unwrap();
            for _ in 0..span.length.unwrap() {
                bounds.push(2f64.powf(f64::from(next) / 16.0));
                next += 1;
            }
        }
        assert_eq!(counts, [1, 2, 1, 1]);
        for (bound, milliseconds) in bounds.iter().zip([1.0, 6.0, 27.0, 20_000.0]) {
            let seconds = milliseconds / 1e3;
            assert!(seconds <= *bound && *bound < seconds * 1.06, "{seconds} {bound}");
        }
    }
}
