// SPDX-License-Identifier: Apache-2.0
//! How times and histograms stand in JSON: milliseconds with a nanosecond's digits, histograms by their text.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use storescope::timing::Distribution;

/// The quantiles that are told everywhere, by their names in JSON.
pub const QUANTILES: [(&str, f64); 4] =
    [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999)];

/// Milliseconds with six decimals.
pub(crate) fn rounded(number: f64) -> Value {
    ((number * 1e6).round() / 1e6).into()
}

/// Nanoseconds as milliseconds.
pub(crate) fn ms(nanoseconds: u64) -> Value {
    rounded(nanoseconds as f64 / 1e6)
}

/// Count, quantiles, largest value and mean, in milliseconds.
pub(crate) fn figures(times: Option<&Distribution>) -> Map<String, Value> {
    let mut figures = Map::new();
    figures.insert("count".into(), times.map_or(0, Distribution::count).into());
    let Some(times) = times.filter(|times| times.count() > 0) else { return figures };
    for (name, quantile) in QUANTILES {
        // A bucket ends above the largest value that it holds.
        figures.insert(name.into(), ms(times.quantile(quantile).min(times.max())));
    }
    figures.insert("max_ms".into(), ms(times.max()));
    figures.insert("mean_ms".into(), rounded(times.mean() / 1e6));
    figures
}

/// Serde of a duration, in milliseconds.
pub(crate) mod milliseconds {
    use super::{Deserialize, Deserializer, Serialize, Serializer, rounded};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        rounded(value.as_secs_f64() * 1e3).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let milliseconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(milliseconds / 1e3).map_err(serde::de::Error::custom)
    }
}

/// Serde of a histogram of nanoseconds (or of bytes a second), by its text.
pub(crate) mod times {
    use super::{Deserialize, Deserializer, Distribution, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Distribution, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.encode())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Distribution, D::Error> {
        Distribution::decode(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Serde of a histogram of nanoseconds as its figures, and itself as `histogram`.
pub(crate) mod told {
    use super::{Deserialize, Deserializer, Distribution, Serialize, Serializer, figures};

    pub(crate) fn serialize<S: Serializer>(value: &Distribution, to: S) -> Result<S::Ok, S::Error> {
        let mut told = figures(Some(value));
        told.insert("histogram".into(), value.encode().into());
        told.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Distribution, D::Error> {
        #[derive(Deserialize)]
        struct Told {
            #[serde(with = "super::times")]
            histogram: Distribution,
        }
        Told::deserialize(from).map(|told| told.histogram)
    }
}
