// SPDX-License-Identifier: Apache-2.0
//! The two text forms: Prometheus 0.0.4 and OpenMetrics 1.0. Classic histograms, since neither has another kind.

use super::family::{BOUNDS_SECONDS, Family, Samples, cumulative, labels};
use crate::timing::{Distribution, Key};
use std::fmt::Write;

/// Which text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Prometheus,
    OpenMetrics,
}

pub(super) fn write(families: &[Family<'_>], dialect: Dialect) -> String {
    let mut text = String::new();
    for family in families {
        head(&mut text, family, dialect);
        let name = family.name;
        match &family.samples {
            Samples::Histogram(samples) => {
                for (key, distribution) in samples {
                    histogram(&mut text, name, *key, distribution);
                }
            }
            Samples::Bytes(samples) => {
                for (key, sum) in samples {
                    line(&mut text, &format!("{name}_total{{{}}}", spelled(*key)), sum);
                }
            }
            Samples::Counter(value) => line(&mut text, &format!("{name}_total"), value),
            Samples::Gauge(value) => line(&mut text, name, value),
            Samples::Info(version) => {
                line(&mut text, &format!("{name}{{version=\"{version}\"}}"), &1);
            }
        }
    }
    if dialect == Dialect::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn head(text: &mut String, family: &Family<'_>, dialect: Dialect) {
    let Family { name, help, unit, samples } = family;
    let (kind, suffix) = match samples {
        Samples::Histogram(_) => ("histogram", ""),
        Samples::Bytes(_) | Samples::Counter(_) => ("counter", "_total"),
        Samples::Gauge(_) | Samples::Info(_) => ("gauge", ""),
    };
    // OpenMetrics names a counter without its suffix.
    let suffix = if dialect == Dialect::OpenMetrics { "" } else { suffix };
    write!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n")
        .expect("writing to memory");
    if dialect == Dialect::OpenMetrics && !unit.is_empty() {
        writeln!(text, "# UNIT {name} {unit}").expect("writing to memory");
    }
}

fn histogram(text: &mut String, name: &str, key: Key, distribution: &Distribution) {
    let labels = spelled(key);
    for (bound, count) in BOUNDS_SECONDS.iter().zip(cumulative(distribution)) {
        line(text, &format!("{name}_bucket{{{labels},le=\"{bound:?}\"}}"), &count);
    }
    line(text, &format!("{name}_bucket{{{labels},le=\"+Inf\"}}"), &distribution.count());
    line(text, &format!("{name}_sum{{{labels}}}"), &(distribution.sum() as f64 / 1e9));
    line(text, &format!("{name}_count{{{labels}}}"), &distribution.count());
}

fn spelled(key: Key) -> String {
    labels(key).map(|(name, value)| format!("{name}=\"{value}\"")).join(",")
}

fn line(text: &mut String, series: &str, value: &dyn std::fmt::Display) {
    writeln!(text, "{series} {value}").expect("writing to memory");
}
