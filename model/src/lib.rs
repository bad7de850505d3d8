// SPDX-License-Identifier: Apache-2.0
//! Latency models of object stores: how long a store waits before its first byte, and how fast
//! one of its streams runs.
//!
//! This crate owns the *description* ([`Model`]: named profiles and TOML) and the *draws* from it
//! ([`Sampler`]). It waits for nobody and knows no clock: the emulator waits in real time, a
//! simulation in virtual time, and a fit writes a model down; all three draw the same numbers
//! from the same seed.
//!
//! ```text
//!  TOML or a name ──► Model ──► Sampler(seed) ──► Draw { ttfb, bytes_per_second }   one a request
//! ```
//!
//! A model in TOML; every part may be left out, and what is left out costs nothing:
//!
//! ```
//! let model = storescope_model::Model::from_toml(r#"
//!     name = "my-store"
//!     stream = "60MB/s"            # or a table: median, sigma, cap
//!     cold_connection = "5ms"
//!     stall = { every = "60s", lasts = "3s" }
//!
//!     [ttfb]                       # or a constant: ttfb = "20ms"
//!     shift = "8ms"
//!     median = "19ms"
//!     sigma = 0.75
//!     tail = { probability = 2e-4, scale = "400ms", shape = 1.1, cap = "10s" }
//! "#)?;
//! assert_eq!(model.name, "my-store");
//! # Ok::<(), storescope_model::ModelError>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod profiles;
mod quantity;
mod sampler;
mod stall;

use std::time::Duration;

use serde::de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use quantity::{ParseQuantityError, Rate};
pub use sampler::{Draw, Sampler};
pub use stall::Stall;

/// The least bandwidth of a model, and of its draws, in bytes a second.
const LEAST_RATE: f64 = 1.0;

/// What a store costs in time: per request, per stream, per connection, per machine.
///
/// [`Model::default`] is the profile `none`: no delay and no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What the model is called; a profile's own name, or what the TOML says.
    #[serde(default)]
    pub name: String,
    /// Why the figures are a guess; `None` where a published distribution stands behind them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed: Option<String>,
    /// Extra wait of the first request on a new connection (the round trips of TCP and TLS that
    /// a loopback does not have).
    #[serde(
        default,
        with = "quantity::optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub cold_connection: Option<Duration>,
    /// Ceiling of the machine's network interface, all streams together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<Rate>,
    /// Requests a second above which the store answers 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Times in which the whole store stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Stall>,
    /// From the end of the request to the first byte of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttfb: Option<FirstByte>,
    /// Bandwidth of one response body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
}

impl Model {
    /// The named profile, or [`ModelError::Unknown`], which lists the names there are.
    ///
    /// | name | first byte | one stream | source |
    /// | --- | --- | --- | --- |
    /// | `none` | at once | no limit | |
    /// | `s3-standard` | 8 ms + lognormal(median 19 ms, σ 0.75), 2 in 10,000 Pareto from 400 ms to 10 s | lognormal(median 60 MB/s, σ 0.35), at most 95 MB/s | fits the published figures (Bodner et al. 2024, AnyBlob 2023, dvassallo 2019) |
    /// | `s3-warm` | 20 ms + lognormal(4.8 ms, σ 0.55) | as `s3-standard` | Lambda, one hot key of 64 KiB |
    /// | `s3-express` | 4 ms + lognormal(1 ms, σ 0.5) | as `s3-standard`, assumed | Bodner et al. 2024 |
    /// | `lan-minio` | 0.5 ms + lognormal(0.8 ms, σ 0.6) | no limit | assumed |
    /// | `oci-native` | 11 ms + lognormal(19 ms, σ 0.75) | as `s3-standard` | assumed |
    /// | `oci-s3compat` | `oci-native` × 1.5 | as `s3-standard` | assumed, from one published ratio |
    ///
    /// All but `none` and `lan-minio` cost 5 ms more on a cold connection (assumed: two round
    /// trips of 0.75 ms and the handshake's arithmetic).
    pub fn named(name: &str) -> Result<Model, ModelError> {
        profiles::named(name).ok_or_else(|| ModelError::Unknown { name: name.to_owned() })
    }

    /// The names [`Model::named`] knows.
    pub fn names() -> &'static [&'static str] {
        profiles::NAMES
    }

    /// Reads a model from TOML. Unknown fields, units and impossible values are errors that name
    /// the field.
    pub fn from_toml(text: &str) -> Result<Model, ModelError> {
        let model: Model =
            toml::from_str(text).map_err(|error| ModelError::Toml(Box::new(error)))?;
        model.check()?;
        Ok(model)
    }

    /// The model as TOML; [`Model::from_toml`] of it is the same model.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a model is a table of strings and numbers")
    }

    /// Whether the model costs nothing at all, so that nobody needs a timer for it.
    pub fn is_free(&self) -> bool {
        self.ttfb.is_none()
            && self.stream.is_none()
            && self.cold_connection.is_none()
            && self.nic.is_none()
            && self.requests_per_second.is_none()
            && self.stall.is_none()
    }

    /// Checks the values' ranges; [`Sampler::new`] asks for nothing else.
    pub fn check(&self) -> Result<(), ModelError> {
        if let Some(FirstByte::Spread(spread)) = &self.ttfb {
            positive("ttfb.median", spread.median.as_secs_f64())?;
            sigma("ttfb.sigma", spread.sigma)?;
            if let Some(tail) = &spread.tail {
                tail.check()?;
            }
        }
        match &self.stream {
            Some(Stream::Constant(rate)) => bandwidth("stream", *rate)?,
            Some(Stream::Spread(spread)) => {
                bandwidth("stream.median", spread.median)?;
                sigma("stream.sigma", spread.sigma)?;
                if let Some(cap) = spread.cap {
                    bandwidth("stream.cap", cap)?;
                }
            }
            None => {}
        }
        if let Some(nic) = self.nic {
            bandwidth("nic", nic)?;
        }
        if let Some(rate) = self.requests_per_second {
            positive("requests_per_second", rate)?;
        }
        self.stall.map_or(Ok(()), Stall::check)
    }
}

/// When the first byte comes.
#[derive(Clone, Debug, PartialEq)]
pub enum FirstByte {
    /// Always the same. In TOML: `ttfb = "20ms"`.
    Constant(Duration),
    /// A shifted lognormal with an optional heavy tail. In TOML: a table `[ttfb]`.
    Spread(FirstByteSpread),
}

/// `shift` + lognormal(`median`, `sigma`), at most `cap`; with the tail's probability the whole
/// of it is replaced by a draw from the tail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstByteSpread {
    /// What no request is faster than.
    #[serde(default, with = "quantity::duration")]
    pub shift: Duration,
    /// Median of the lognormal part, above the shift.
    #[serde(with = "quantity::duration")]
    pub median: Duration,
    /// Standard deviation of the lognormal part's logarithm.
    pub sigma: f64,
    /// The most that a draw which is not the tail's may be.
    #[serde(
        default,
        with = "quantity::optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub cap: Option<Duration>,
    /// The rare slow requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Tail>,
}

/// A Pareto tail: P(X > x) = (`scale` / x)^`shape`, at most `cap`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// How often a request falls into the tail, 0 to 1.
    pub probability: f64,
    /// The tail's smallest value.
    #[serde(with = "quantity::duration")]
    pub scale: Duration,
    /// The tail's exponent; smaller is heavier.
    pub shape: f64,
    /// The tail's largest value.
    #[serde(
        default,
        with = "quantity::optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub cap: Option<Duration>,
}

impl Tail {
    fn check(&self) -> Result<(), ModelError> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(ModelError::Field {
                field: "ttfb.tail.probability",
                why: format!("{} is not between 0 and 1", self.probability),
            });
        }
        positive("ttfb.tail.scale", self.scale.as_secs_f64())?;
        positive("ttfb.tail.shape", self.shape)
    }
}

/// How fast one response body runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Stream {
    /// Always the same. In TOML: `stream = "50MB/s"`.
    Constant(Rate),
    /// A lognormal with a cap. In TOML: a table `[stream]`.
    Spread(StreamSpread),
}

/// min(`cap`, lognormal(`median`, `sigma`)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSpread {
    /// Median of the lognormal.
    pub median: Rate,
    /// Standard deviation of its logarithm.
    pub sigma: f64,
    /// What no stream is faster than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Rate>,
}

/// A model that cannot be: not found, not TOML, or not a distribution.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No profile has this name.
    #[error("there is no latency model {name:?}; there are {}", profiles::NAMES.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The text is not TOML, or a field is missing, unknown or of another type: the source shows
    /// the line.
    #[error("the latency model cannot be read: {0}")]
    Toml(Box<toml::de::Error>),
    /// A field's value is impossible.
    #[error("{field} of the latency model: {why}")]
    Field {
        /// The field's path, such as `ttfb.sigma`.
        field: &'static str,
        /// What is wrong with its value.
        why: String,
    },
}

fn positive(field: &'static str, value: f64) -> Result<(), ModelError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(ModelError::Field { field, why: format!("{value} is not above 0") })
}

/// At least [`LEAST_RATE`]: the time that an object takes at less is more than a `Duration` holds.
fn bandwidth(field: &'static str, rate: Rate) -> Result<(), ModelError> {
    let rate = rate.bytes_per_second();
    if rate.is_finite() && rate >= LEAST_RATE {
        return Ok(());
    }
    Err(ModelError::Field { field, why: format!("{rate} B/s is less than {LEAST_RATE} B/s") })
}

fn sigma(field: &'static str, value: f64) -> Result<(), ModelError> {
    // e^(10·4.9) is already more than any cap: a larger sigma is a slip of the pen.
    if (0.0..=10.0).contains(&value) {
        return Ok(());
    }
    Err(ModelError::Field { field, why: format!("{value} is not between 0 and 10") })
}

impl Serialize for FirstByte {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FirstByte::Constant(duration) => quantity::duration::serialize(duration, serializer),
            FirstByte::Spread(spread) => spread.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FirstByte {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = FirstByte;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as \"20ms\" or a table with median and sigma")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FirstByte, E> {
                quantity::parse_duration(text).map(FirstByte::Constant).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FirstByte, A::Error> {
                FirstByteSpread::deserialize(MapAccessDeserializer::new(map))
                    .map(FirstByte::Spread)
                    .map_err(|error| A::Error::custom(format!("ttfb: {error}")))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Stream::Constant(rate) => rate.serialize(serializer),
            Stream::Spread(spread) => spread.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Stream;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a rate such as \"50MB/s\" or a table with median and sigma")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Stream, E> {
                text.parse().map(Stream::Constant).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Stream, A::Error> {
                StreamSpread::deserialize(MapAccessDeserializer::new(map))
                    .map(Stream::Spread)
                    .map_err(|error| A::Error::custom(format!("stream: {error}")))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
