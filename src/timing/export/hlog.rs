// SPDX-License-Identifier: Apache-2.0
//! HdrHistogram interval logs, V2, through the `hdrhistogram` crate's own writer and reader.

use crate::timing::snapshot::Distribution;
use crate::timing::{Key, Snapshot, encoded};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
    LogIteratorError, Tag,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// The end of the year 9999, since 1970: dates are written up to there.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Stock readers divide the maximum by this: nanoseconds to milliseconds.
const MAX_VALUE_DIVISOR: f64 = 1e6;

pub(super) fn encode(snapshot: &Snapshot) -> String {
    header(snapshot.started_at()) + &intervals(snapshot)
}

/// What stands before the intervals of a log that begins at `start`.
pub(in crate::timing) fn header(start: SystemTime) -> String {
    format!(
        "#[Histogram log format version 1.3]\n\
         #[StartTime: {:.3} (seconds since epoch), {}]\n\
         #[storescope {}; values in ns, bytes_* in bytes]\n\
         #[MaxValueDivisor: {MAX_VALUE_DIVISOR:.3}]\n",
        start.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        httpdate::fmt_http_date(start),
        env!("CARGO_PKG_VERSION"),
    )
}

/// A line for each key, and one with its exact values.
pub(in crate::timing) fn intervals(snapshot: &Snapshot) -> String {
    let start = snapshot.started_at().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
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
    let text = String::from_utf8(text).expect("the log is ASCII");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut text = String::new();
    for (line, (key, distribution)) in lines.zip(snapshot.iter()) {
        let (sum, min, max) = (distribution.sum(), distribution.min(), distribution.max());
        writeln!(text, "{line}\n{EXACT}{key} {sum} {min} {max}]").expect("writing to memory");
    }
    text
}

pub(super) fn decode(text: &str) -> Result<Snapshot, HlogError> {
    // A line without its end may be cut off. A text of one line is none of ours.
    let (whole, last) = text.split_at(text.rfind('\n').map_or(text.len(), |end| end + 1));
    let mut log = Log::default();
    log.read(whole)?;
    let cut = !last.is_empty() && log.read(&format!("{last}\n")).is_err();
    let mut snapshot = log.snapshot.unwrap_or_else(|| Snapshot::new(UNIX_EPOCH, Duration::ZERO, 0));
    for (key, exact) in exact_values(text) {
        // Where a tool dropped or added an interval, the buckets tell what there is to tell.
        if log.intervals.get(&key) == Some(&exact.intervals) {
            snapshot.set_exact(key, exact.sum, exact.min, exact.max);
        }
    }
    if cut {
        tracing::warn!("the last line of a histogram log is cut off and was left out");
        snapshot.set_cut_short();
    }
    Ok(snapshot)
}

/// What has been read of a log.
#[derive(Default)]
struct Log {
    snapshot: Option<Snapshot>,
    /// How many a key has.
    intervals: BTreeMap<Key, usize>,
}

impl Log {
    fn read(&mut self, text: &str) -> Result<(), HlogError> {
        for entry in IntervalLogIterator::new(text.as_bytes()) {
            match entry {
                Ok(LogEntry::Interval(interval)) => {
                    let (key, one) = decode_interval(&interval)?;
                    *self.intervals.entry(key).or_default() += 1;
                    match &mut self.snapshot {
                        None => self.snapshot = Some(one),
                        Some(all) => all.merge(&one),
                    }
                }
                Ok(_) => {}
                Err(LogIteratorError::ParseError { offset }) => {
                    let before = text.get(..offset).unwrap_or_default();
                    return Err(HlogError::Syntax { line: before.matches('\n').count() + 1 });
                }
            }
        }
        Ok(())
    }
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

fn decode_interval(interval: &IntervalLogHistogram<'_>) -> Result<(Key, Snapshot), HlogError> {
    let tag = interval.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
    let Some(key) = Key::from_tag(&tag) else { return Err(HlogError::UnknownTag { tag }) };
    let failed = |reason: String| HlogError::Histogram { tag: tag.clone(), reason };
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        interval.encoded_histogram(),
    )
    .map_err(|e| failed(e.to_string()))?;
    let hdr = encoded::histogram(&bytes).map_err(failed)?;
    let (start, duration) = (interval.start_timestamp(), interval.duration());
    if start.checked_add(duration).is_none_or(|end| end > LATEST) {
        return Err(failed("its interval ends after the year 9999".to_owned()));
    }
    let mut snapshot = Snapshot::new(UNIX_EPOCH + start, duration, 0);
    snapshot.insert(key, Distribution::from_hdr(key.phase, &hdr));
    Ok((key, snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{Operation, Outcome, Phase, Scope};

    fn log(intervals: usize) -> (String, Scope) {
        let scope = Scope::new("test");
        let mut before = scope.snapshot();
        let mut text = header(before.started_at());
        for number in 0..intervals {
            for operation in [Operation::Get, Operation::Put] {
                scope.record_value(operation, Phase::Send, Outcome::Ok, 1_000_001 + number as u64);
            }
            let now = scope.snapshot();
            text += &super::intervals(&now.since(&before));
            before = now;
        }
        (text, scope)
    }

    fn counts(snapshot: &Snapshot) -> Vec<u64> {
        snapshot.iter().map(|(_, distribution)| distribution.count()).collect()
    }

    #[test]
    fn intervals_of_a_key_are_added_up() {
        let (text, scope) = log(3);
        let read = Snapshot::from_hlog(&text).unwrap();
        assert!(!read.is_cut_short());
        assert_eq!(counts(&read), [3, 3]);
        let sums =
            |snapshot: &Snapshot| -> Vec<u64> { snapshot.iter().map(|(_, d)| d.sum()).collect() };
        assert_eq!(sums(&read), sums(&scope.snapshot()));
    }

    #[test]
    fn a_log_that_is_cut_anywhere_is_read_up_to_there() {
        let (text, _) = log(2);
        let ends: Vec<usize> = text
            .match_indices("\nTag=")
            .map(|(at, _)| text[at + 1..].find('\n').unwrap() + at + 1)
            .collect();
        assert_eq!(ends.len(), 4);
        let first = text.find("Tag=").unwrap();
        for cut in first..=text.len() {
            let read =
                Snapshot::from_hlog(&text[..cut]).unwrap_or_else(|e| panic!("at {cut}: {e}"));
            // The payload's own checksum comes last, and its reader does not miss the end of it.
            if ends.iter().any(|end| (end - 4..*end).contains(&cut)) {
                continue;
            }
            let whole = ends.iter().filter(|end| cut >= **end).count() as u64;
            assert_eq!(counts(&read).iter().sum::<u64>(), whole, "cut at {cut}");
            let line = text[..cut].rsplit('\n').next().unwrap();
            let torn = line.starts_with('T') && !ends.contains(&cut);
            assert_eq!(read.is_cut_short(), torn, "cut at {cut}: {line}");
        }
    }

    #[test]
    fn a_time_that_no_date_can_tell_is_an_error() {
        let (text, _) = log(1);
        let line = text.lines().find(|line| line.starts_with("Tag=")).unwrap();
        let mut columns: Vec<&str> = line.split(',').collect();
        for (start, duration) in [
            ("18446744073709551615.0", "1.0"),
            ("1.0", "18446744073709551615.999999999"),
            ("253402300799.5", "1.0"),
        ] {
            (columns[1], columns[2]) = (start, duration);
            let error = Snapshot::from_hlog(&format!("{}\n", columns.join(","))).unwrap_err();
            assert!(error.to_string().contains("after the year 9999"), "{error}");
        }
    }

    #[test]
    fn counts_of_hostile_logs_are_cut_to_what_can_be_written() {
        let (text, _) = log(1);
        let line = text.lines().find(|line| line.starts_with("Tag=")).unwrap();
        let mut hdr = hdrhistogram::Histogram::<u64>::new_with_bounds(500, 1_000_000, 2).unwrap();
        hdr.record_n(1_000, i64::MAX as u64).unwrap();
        hdr.record_n(2_000, i64::MAX as u64).unwrap();
        let mut bytes = Vec::new();
        hdrhistogram::serialization::Serializer::serialize(
            &mut V2DeflateSerializer::new(),
            &hdr,
            &mut bytes,
        )
        .unwrap();
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
        let columns: Vec<&str> = line.split(',').take(4).collect();
        let one = format!("{},{encoded}\n", columns.join(","));
        let read = Snapshot::from_hlog(&one.repeat(3)).unwrap();
        assert_eq!(counts(&read), [u64::MAX]);
        let again = Snapshot::from_hlog(&read.to_hlog()).unwrap();
        let buckets = again.iter().next().unwrap().1.buckets().map(|(_, _, count)| count);
        assert!(buckets.eq([i64::MAX as u64; 2]));
    }

    #[test]
    fn a_broken_line_that_is_not_the_last_and_a_text_that_is_no_log_are_errors() {
        let (text, _) = log(2);
        let at = text.rfind("Tag=").unwrap();
        let broken = format!("{}\n{}", &text[..at + 40], &text[at..]);
        assert!(matches!(Snapshot::from_hlog(&broken), Err(HlogError::Syntax { .. })));
        assert!(Snapshot::from_hlog("hello").is_err());
    }
}
