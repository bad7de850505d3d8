// SPDX-License-Identifier: Apache-2.0
//! HdrHistogram interval logs, V2, through the `hdrhistogram` crate's own writer and reader.

use crate::timing::snapshot::Distribution;
use crate::timing::{Key, Snapshot};
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
    LogIteratorError, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Why a text is no interval log of ours.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HlogError {
    /// A line that is neither comment, header nor interval.
    #[error("line {line} of the histogram log does not parse")]
    Syntax {
        /// Counted from 1, comments included.
        line: usize,
    },
    /// A tag that names no key.
    #[error("the histogram log holds the tag {tag:?}, which is no key of storescope")]
    UnknownTag {
        /// The tag as it stands there.
        tag: String,
    },
    /// A histogram that does not decode.
    #[error("the histogram tagged {tag} does not decode: {reason}")]
    Histogram {
        /// Whose it is.
        tag: String,
        /// What the decoder says.
        reason: String,
    },
}

/// Begins the comment that tells a key's exact sum, smallest and largest value: the buckets have them within 0.78 %.
/// Readers of others skip comments.
const EXACT: &str = "#[Exact: ";

/// Stock readers divide the maximum by this: nanoseconds to milliseconds.
const MAX_VALUE_DIVISOR: f64 = 1e6;

pub(super) fn encode(snapshot: &Snapshot) -> String {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let start = snapshot.started_at().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!(
            "[StartTime: {:.3} (seconds since epoch), {}]",
            start.as_secs_f64(),
            httpdate::fmt_http_date(snapshot.started_at())
        ))
        .add_comment(concat!(
            "[storescope ",
            env!("CARGO_PKG_VERSION"),
            "; values in ns, bytes_* in bytes]"
        ))
        .with_max_value_divisor(MAX_VALUE_DIVISOR)
        .begin_log_with(&mut text, &mut serializer)
        .expect("writing to memory");
    for (key, distribution) in snapshot.iter() {
        let tag = key.to_string();
        log.write_histogram(
            &distribution.to_hdr(),
            start,
            snapshot.elapsed(),
            Some(Tag::new(&tag).expect("our tags hold no comma, space or line end")),
        )
        .expect("a histogram of ours serialises, and memory takes it");
    }
    let mut text = String::from_utf8(text).expect("the log is ASCII");
    for (key, distribution) in snapshot.iter() {
        let (sum, min, max) = (distribution.sum(), distribution.min(), distribution.max());
        writeln!(text, "{EXACT}{key} {sum} {min} {max}]").expect("writing to memory");
    }
    text
}

pub(super) fn decode(text: &str) -> Result<Snapshot, HlogError> {
    let mut deserializer = Deserializer::new();
    let mut snapshot: Option<Snapshot> = None;
    let mut intervals: BTreeMap<Key, usize> = BTreeMap::new();
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        match entry {
            Ok(LogEntry::Interval(interval)) => {
                let (key, one) = decode_interval(&interval, &mut deserializer)?;
                *intervals.entry(key).or_default() += 1;
                match &mut snapshot {
                    None => snapshot = Some(one),
                    Some(all) => all.merge(&one),
                }
            }
            Ok(_) => {}
            Err(LogIteratorError::ParseError { offset }) => {
                let line = text.get(..offset).map_or(0, |before| before.matches('\n').count()) + 1;
                return Err(HlogError::Syntax { line });
            }
        }
    }
    let mut snapshot = snapshot.unwrap_or_else(|| Snapshot::new(UNIX_EPOCH, Duration::ZERO, 0));
    for (key, exact) in exact_values(text) {
        // Where a tool dropped or added an interval, the buckets tell what there is to tell.
        if intervals.get(&key) == Some(&exact.intervals) {
            snapshot.set_exact(key, exact.sum, exact.min, exact.max);
        }
    }
    Ok(snapshot)
}

/// What the comments say of all intervals of a key.
struct Exact {
    intervals: usize,
    sum: u64,
    min: u64,
    max: u64,
}

/// Sum, smallest and largest value by key, where comments of ours tell them.
fn exact_values(text: &str) -> BTreeMap<Key, Exact> {
    let mut all: BTreeMap<Key, Exact> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(EXACT)?.strip_suffix(']')) {
        let mut words = line.split(' ');
        let key = words.next().and_then(Key::from_tag);
        let mut number = || words.next()?.parse::<u64>().ok();
        let (Some(key), Some(sum), Some(min), Some(max)) = (key, number(), number(), number())
        else {
            continue;
        };
        all.entry(key)
            .and_modify(|exact| {
                exact.intervals += 1;
                exact.sum = exact.sum.wrapping_add(sum);
                exact.min = exact.min.min(min);
                exact.max = exact.max.max(max);
            })
            .or_insert(Exact { intervals: 1, sum, min, max });
    }
    all
}

fn decode_interval(
    interval: &IntervalLogHistogram<'_>,
    deserializer: &mut Deserializer,
) -> Result<(Key, Snapshot), HlogError> {
    let tag = interval.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
    let Some(key) = Key::from_tag(&tag) else { return Err(HlogError::UnknownTag { tag }) };
    let failed = |reason: String| HlogError::Histogram { tag: tag.clone(), reason };
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        interval.encoded_histogram(),
    )
    .map_err(|e| failed(e.to_string()))?;
    let hdr: hdrhistogram::Histogram<u64> =
        deserializer.deserialize(&mut bytes.as_slice()).map_err(|e| failed(e.to_string()))?;
    let mut snapshot =
        Snapshot::new(UNIX_EPOCH + interval.start_timestamp(), interval.duration(), 0);
    snapshot.insert(key, Distribution::from_hdr(key.phase, &hdr));
    Ok((key, snapshot))
}
