// SPDX-License-Identifier: Apache-2.0
//! Durations and rates as people write them: `20ms`, `1.5 s`, `60MB/s`, `25Gbit/s`.
//!
//! What is printed is read back to the same value, so that a model survives its own TOML.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes a second. Written with a decimal or binary unit: `60MB/s`, `8MiB/s`, `25Gbit/s`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// A rate of so many bytes a second.
    pub const fn from_bytes_per_second(bytes: f64) -> Rate {
        Rate(bytes)
    }

    /// The rate in bytes a second.
    pub const fn bytes_per_second(self) -> f64 {
        self.0
    }
}

/// Text that is no duration or no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseQuantityError {
    text: String,
    wanted: &'static str,
}

/// Units of a rate; the first that divides the value exactly is the one printed.
const RATES: [(&str, f64); 8] = [
    ("GB/s", 1e9),
    ("MB/s", 1e6),
    ("kB/s", 1e3),
    ("B/s", 1.0),
    ("KiB/s", 1024.0),
    ("MiB/s", 1_048_576.0),
    ("Gbit/s", 1.25e8),
    ("Mbit/s", 1.25e5),
];

/// Units of a duration in nanoseconds.
const DURATIONS: [(&str, u64); 4] =
    [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

impl FromStr for Rate {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Rate, ParseQuantityError> {
        split(text)
            .and_then(|(value, unit)| {
                RATES.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| Rate(value * bytes))
            })
            .filter(|rate| rate.0.is_finite())
            .ok_or_else(|| ParseQuantityError {
                text: text.to_owned(),
                wanted: "a rate such as \"60MB/s\", \"8MiB/s\" or \"25Gbit/s\"",
            })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) = RATES[..3]
            .iter()
            .find(|(_, bytes)| self.0 >= *bytes && self.0 % bytes == 0.0)
            .unwrap_or(&RATES[3]);
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, ParseQuantityError> {
    split(text)
        .and_then(|(value, unit)| {
            let (_, nanos) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
            // A day is more than any request takes; beyond it the number is a slip.
            let total = value * *nanos as f64;
            (0.0..=86_400e9).contains(&total).then(|| Duration::from_nanos(total.round() as u64))
        })
        .ok_or_else(|| ParseQuantityError {
            text: text.to_owned(),
            wanted: "a duration such as \"20ms\", \"1.5s\" or \"300us\"",
        })
}

fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos() as u64;
    let (unit, size) = DURATIONS
        .iter()
        .find(|(_, size)| nanos >= *size && nanos % *size == 0)
        .unwrap_or(&DURATIONS[0]);
    format!("{}{unit}", nanos / size)
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_alphabetic())?;
    Some((text[..end].trim_end().parse().ok()?, &text[end..]))
}

/// Serde of a duration by its text.
pub(crate) mod duration {
    use super::{Deserialize, Deserializer, Duration, Serializer, format_duration, parse_duration};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_duration(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Serde of a duration that may be absent.
pub(crate) mod optional_duration {
    use super::{Deserializer, Duration, Serialize, Serializer, duration, format_duration};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(format_duration).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, nanos) in
            [("20 ms", 20_000_000), ("1.5s", 1_500_000_000), ("300us", 300_000), ("7ns", 7)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_nanos(nanos), "{text}");
        }
        for text in ["", "20", "ms", "-1ms", "20 minutes", "1e400s", "2d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for nanos in [0, 1, 999, 1_000, 1_234_567, 20_000_000, 60_000_000_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }
        for bytes in [1.0, 0.5, 1e3, 60e6, 95e6, 1.5e9, 3.125e9, 8_388_608.0, 12_345.678] {
            let rate = Rate::from_bytes_per_second(bytes);
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        }
    }

    #[test]
    fn rates_know_bits_and_binary_units() {
        assert_eq!("25Gbit/s".parse(), Ok(Rate::from_bytes_per_second(3.125e9)));
        assert_eq!("8 MiB/s".parse(), Ok(Rate::from_bytes_per_second(8_388_608.0)));
        assert_eq!(
            "60MB".parse::<Rate>().unwrap_err().to_string(),
            "\"60MB\" is not a rate such as \"60MB/s\", \"8MiB/s\" or \"25Gbit/s\""
        );
    }
}
