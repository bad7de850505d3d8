// SPDX-License-Identifier: Apache-2.0
//! OTLP metrics, protobuf: exponential histograms, cumulative since the client began. Attempts are
//! `http.client.request.duration` of OpenTelemetry's conventions, with what a key holds and no more; each phase is a
//! `storescope.phase.duration`.

use super::exponential::{Exponential, SCALE, ZERO_THRESHOLD_SECONDS};
use crate::timing::{Distribution, Key, Level, Operation, Outcome, Phase, Snapshot, Totals};
use prost::{Message, Oneof};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

const CUMULATIVE: i32 = 2;

/// What one push tells: all that was recorded up to a moment.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) totals: &'a Totals,
    /// `service.instance.id`: tells the streams of several clients apart.
    pub(crate) instance: &'a str,
}

impl Moment<'_> {
    /// As an `ExportMetricsServiceRequest`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let resource = [
            ("service.name", "storescope"),
            ("service.instance.id", self.instance),
            ("telemetry.sdk.name", "storescope"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        let scope = InstrumentationScope {
            name: "storescope".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource { attributes: resource.map(attribute).into() }),
                scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics: self.metrics() }],
            }],
        }
        .encode_to_vec()
    }

    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = vec![
            Metric::new(
                "http.client.request.duration",
                "Duration of HTTP client requests.",
                "s",
                self.histograms(&self.requests()),
            ),
            Metric::new(
                "storescope.phase.duration",
                "Time of a phase of calls and attempts.",
                "s",
                self.histograms(&self.phases()),
            ),
            Metric::new("storescope.bytes", "Payload bytes.", "By", self.bytes()),
        ];
        metrics.extend(self.counters());
        metrics.extend(self.gauges());
        // A metric without a point says nothing.
        metrics.retain(|metric| !metric.is_empty());
        metrics
    }

    /// The whole attempts by method and outcome, over all sizes and connections.
    fn requests(&self) -> Vec<(Vec<KeyValue>, Distribution)> {
        let mut by_name: BTreeMap<(Operation, Outcome), Distribution> = BTreeMap::new();
        let attempts = self
            .snapshot
            .iter()
            .filter(|(key, _)| key.level == Level::Attempt && key.phase == Phase::Total);
        for (key, times) in attempts {
            by_name
                .entry((key.operation, key.outcome))
                .and_modify(|sum| sum.merge(times))
                .or_insert_with(|| times.clone());
        }
        let named = |((operation, outcome), times): ((Operation, Outcome), Distribution)| {
            let mut attributes = vec![attribute(("storescope.operation", operation.as_str()))];
            attributes
                .extend(method(operation).map(|name| attribute(("http.request.method", name))));
            if outcome != Outcome::Ok {
                attributes.push(attribute(("error.type", outcome.as_str())));
            }
            (attributes, times)
        };
        by_name.into_iter().map(named).collect()
    }

    fn phases(&self) -> Vec<(Vec<KeyValue>, Distribution)> {
        let times = self.snapshot.iter().filter(|(key, _)| !key.phase.is_bytes());
        times.map(|(key, times)| (attributes(*key), times.clone())).collect()
    }

    fn histograms(&self, named: &[(Vec<KeyValue>, Distribution)]) -> Data {
        let points = named.iter().map(|(attributes, times)| {
            let counted = Exponential::of(times);
            let (offset, bucket_counts) = counted.dense();
            ExponentialHistogramDataPoint {
                attributes: attributes.clone(),
                start_time_unix_nano: self.start(),
                time_unix_nano: self.end(),
                count: times.count(),
                sum: Some(seconds(times.sum())),
                scale: SCALE,
                zero_count: counted.zero,
                positive: Some(Buckets { offset, bucket_counts }),
                min: Some(seconds(times.min())),
                max: Some(seconds(times.max())),
                zero_threshold: ZERO_THRESHOLD_SECONDS,
            }
        });
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: points.collect(),
            aggregation_temporality: CUMULATIVE,
        })
    }

    fn bytes(&self) -> Data {
        let bytes = self.snapshot.iter().filter(|(key, _)| key.phase.is_bytes());
        self.sum(bytes.map(|(key, bytes)| (attributes(*key), bytes.sum())).collect())
    }

    fn counters(&self) -> [Metric; 7] {
        let Totals { retries, hedges, hedges_won, readahead, .. } = *self.totals;
        [
            ("storescope.retries", "{attempt}", retries),
            ("storescope.hedges", "{attempt}", hedges),
            ("storescope.hedges.won", "{attempt}", hedges_won),
            ("storescope.readahead.hits", "{read}", readahead.hits),
            ("storescope.readahead.late", "{read}", readahead.late),
            ("storescope.readahead.wasted", "By", readahead.wasted_bytes),
            ("storescope.dropped", "{value}", self.snapshot.dropped_keys()),
        ]
        .map(|(name, unit, value)| Metric::new(name, "", unit, self.sum(vec![(vec![], value)])))
    }

    fn gauges(&self) -> [Metric; 4] {
        let totals = self.totals;
        [
            ("storescope.calls.in_flight", "{call}", totals.calls_in_flight),
            ("storescope.attempts.in_flight", "{attempt}", totals.attempts_in_flight),
            ("storescope.connections.open", "{connection}", totals.connections_open),
            ("storescope.read.held", "By", totals.read_bytes_held),
        ]
        .map(|(name, unit, value)| {
            let data_points = vec![self.point(vec![], value)];
            Metric::new(name, "", unit, Data::Gauge(Gauge { data_points }))
        })
    }

    fn sum(&self, named: Vec<(Vec<KeyValue>, u64)>) -> Data {
        let points = named.into_iter().map(|(attributes, value)| self.point(attributes, value));
        Data::Sum(Sum {
            data_points: points.collect(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        })
    }

    fn point(&self, attributes: Vec<KeyValue>, value: u64) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start(),
            time_unix_nano: self.end(),
            value: Some(Number::AsInt(value as i64)),
        }
    }

    fn start(&self) -> u64 {
        unix_ns(self.snapshot.started_at())
    }

    fn end(&self) -> u64 {
        unix_ns(self.snapshot.started_at() + self.snapshot.elapsed())
    }
}

/// The method of an operation's requests, where OCI and S3 have the same.
fn method(operation: Operation) -> Option<&'static str> {
    Some(match operation {
        Operation::Get
        | Operation::List
        | Operation::ListBuckets
        | Operation::ListUploads
        | Operation::GetNamespace => "GET",
        Operation::Head => "HEAD",
        Operation::Put | Operation::PutPart => "PUT",
        Operation::Delete | Operation::DeleteBucket | Operation::AbortUpload => "DELETE",
        Operation::Upload | Operation::CommitUpload | Operation::DeleteMany => "POST",
        Operation::CreateBucket | Operation::Rename | Operation::Copy => return None,
    })
}

/// A key's attributes; what it is not split by is left out.
fn attributes(key: Key) -> Vec<KeyValue> {
    let Key { level, operation, phase, outcome, size, connection } = key;
    [
        ("storescope.level", level.as_str()),
        ("storescope.operation", operation.as_str()),
        ("storescope.phase", phase.as_str()),
        ("storescope.outcome", outcome.as_str()),
        ("storescope.size", size.as_str()),
        ("storescope.connection", connection.as_str()),
    ]
    .into_iter()
    .filter(|(_, value)| *value != "-")
    .map(attribute)
    .collect()
}

fn attribute((key, value): (&str, &str)) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn unix_ns(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

// The messages of opentelemetry-proto 1, as far as they are used here.

#[derive(Clone, PartialEq, Message)]
struct ExportMetricsServiceRequest {
    #[prost(message, repeated, tag = "1")]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct InstrumentationScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(oneof = "Data", tags = "5, 7, 10")]
    data: Option<Data>,
}

impl Metric {
    fn new(name: &str, description: &str, unit: &str, data: Data) -> Metric {
        Metric {
            name: name.to_owned(),
            description: description.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
        }
    }

    fn is_empty(&self) -> bool {
        match &self.data {
            None => true,
            Some(Data::Gauge(gauge)) => gauge.data_points.is_empty(),
            Some(Data::Sum(sum)) => sum.data_points.is_empty(),
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.is_empty(),
        }
    }
}

#[derive(Clone, PartialEq, Oneof)]
enum Data {
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    #[prost(message, tag = "7")]
    Sum(Sum),
    #[prost(message, tag = "10")]
    ExponentialHistogram(ExponentialHistogram),
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<NumberDataPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct Sum {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<NumberDataPoint>,
    #[prost(int32, tag = "2")]
    aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    is_monotonic: bool,
}

#[derive(Clone, PartialEq, Message)]
struct NumberDataPoint {
    #[prost(fixed64, tag = "2")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    time_unix_nano: u64,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
    #[prost(oneof = "Number", tags = "6")]
    value: Option<Number>,
}

#[derive(Clone, Copy, PartialEq, Eq, Oneof)]
enum Number {
    #[prost(sfixed64, tag = "6")]
    AsInt(i64),
}

#[derive(Clone, PartialEq, Message)]
struct ExponentialHistogram {
    #[prost(message, repeated, tag = "1")]
    data_points: Vec<ExponentialHistogramDataPoint>,
    #[prost(int32, tag = "2")]
    aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ExponentialHistogramDataPoint {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, optional, tag = "5")]
    sum: Option<f64>,
    #[prost(sint32, tag = "6")]
    scale: i32,
    #[prost(fixed64, tag = "7")]
    zero_count: u64,
    #[prost(message, optional, tag = "8")]
    positive: Option<Buckets>,
    #[prost(double, optional, tag = "12")]
    min: Option<f64>,
    #[prost(double, optional, tag = "13")]
    max: Option<f64>,
    #[prost(double, tag = "14")]
    zero_threshold: f64,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Buckets {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint64, repeated, tag = "2")]
    bucket_counts: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    StringValue(String),
}
