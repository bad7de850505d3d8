// SPDX-License-Identifier: Apache-2.0
//! The protobuf form, `io.prometheus.client.MetricFamily`, each message behind its length. The only form that carries
//! native histograms. The classic buckets are there, too: a server that was not told to take native histograms uses those.

use super::family::{BOUNDS_SECONDS, Family, Samples, cumulative, labels};
use crate::timing::Distribution;
use crate::timing::export::exponential::{Exponential, SCALE, ZERO_THRESHOLD_SECONDS};
use prost::Message;

pub(super) fn write(families: &[Family<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for family in families {
        message(family).encode_length_delimited(&mut bytes).expect("writing to memory");
    }
    bytes
}

fn message(family: &Family<'_>) -> MetricFamily {
    let (kind, suffix, metric) = match &family.samples {
        Samples::Histogram(samples) => {
            let metrics = samples.iter().map(|(key, distribution)| Metric {
                histogram: Some(histogram(distribution)),
                ..Metric::with(&labels(*key))
            });
            (Kind::Histogram, "", metrics.collect())
        }
        Samples::Bytes(samples) => {
            let metrics = samples.iter().map(|(key, sum)| Metric {
                counter: Some(Counter { value: Some(*sum as f64) }),
                ..Metric::with(&labels(*key))
            });
            (Kind::Counter, "_total", metrics.collect())
        }
        Samples::Counter(value) => {
            let counter = Some(Counter { value: Some(*value as f64) });
            (Kind::Counter, "_total", vec![Metric { counter, ..Metric::default() }])
        }
        Samples::Gauge(value) => {
            let gauge = Some(Gauge { value: Some(*value as f64) });
            (Kind::Gauge, "", vec![Metric { gauge, ..Metric::default() }])
        }
        Samples::Info(version) => {
            let gauge = Some(Gauge { value: Some(1.0) });
            (Kind::Gauge, "", vec![Metric { gauge, ..Metric::with(&[("version", version)]) }])
        }
    };
    MetricFamily {
        name: Some(format!("{}{suffix}", family.name)),
        help: Some(family.help.to_owned()),
        kind: Some(kind as i32),
        metric,
    }
}

fn histogram(distribution: &Distribution) -> Histogram {
    let counted = Exponential::of(distribution);
    let bounds = BOUNDS_SECONDS.iter().zip(cumulative(distribution));
    let (positive_span, positive_delta) = spans(&counted);
    Histogram {
        sample_count: Some(distribution.count()),
        sample_sum: Some(distribution.sum() as f64 / 1e9),
        bucket: bounds
            .map(|(bound, count)| Bucket {
                cumulative_count: Some(count),
                upper_bound: Some(*bound),
            })
            .collect(),
        schema: Some(SCALE),
        zero_threshold: Some(ZERO_THRESHOLD_SECONDS),
        zero_count: Some(counted.zero),
        positive_span,
        positive_delta,
    }
}

/// Runs of neighbouring buckets; and each bucket's count less that of the one before.
fn spans(counted: &Exponential) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<BucketSpan>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut next, mut before) = (0, 0);
    for &(index, count) in &counted.buckets {
        // Prometheus numbers a bucket by its upper bound.
        let index = index + 1;
        match spans.last_mut() {
            Some(span) if index == next => *span.length.get_or_insert(0) += 1,
            _ => spans.push(BucketSpan { offset: Some(index - next), length: Some(1) }),
        }
        deltas.push(count as i64 - before);
        (next, before) = (index + 1, count as i64);
    }
    if spans.is_empty() {
        // A histogram without spans would be taken for a classic one.
        spans.push(BucketSpan { offset: Some(0), length: Some(0) });
    }
    (spans, deltas)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

// The messages of github.com/prometheus/client_model, as far as they are used here. Syntax proto2: nothing is packed.

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

impl Metric {
    fn with(labels: &[(&str, &str)]) -> Metric {
        let pair = |(name, value): &(&str, &str)| LabelPair {
            name: Some((*name).to_owned()),
            value: Some((*value).to_owned()),
        };
        Metric { label: labels.iter().map(pair).collect(), ..Metric::default() }
    }
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    pub(super) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(super) positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    upper_bound: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    pub(super) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) length: Option<u32>,
}
