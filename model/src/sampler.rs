// SPDX-License-Identifier: Apache-2.0
//! Draws from a model, the same ones for the same seed on every machine.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Pareto};

use crate::{FirstByte, LEAST_RATE, Model, Rate, Stream};

/// What one request is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// From the end of the request to the first byte of the answer.
    pub ttfb: Duration,
    /// Bandwidth of the answer's body; `None` is no limit.
    pub bytes_per_second: Option<f64>,
}

/// A model's draws in a row, from a ChaCha8 stream: equal for equal models and seeds.
#[derive(Clone, Debug)]
pub struct Sampler {
    random: ChaCha8Rng,
    first_byte: Option<FirstByteDraw>,
    stream: Option<StreamDraw>,
}

impl Sampler {
    /// Starts the draws of a model at a seed.
    ///
    /// # Panics
    /// When [`Model::check`] refuses the model; those of [`Model::from_toml`] and
    /// [`Model::named`] are checked.
    pub fn new(model: &Model, seed: u64) -> Sampler {
        model.check().expect("the model was checked");
        Sampler {
            random: ChaCha8Rng::seed_from_u64(seed),
            first_byte: model.ttfb.as_ref().map(FirstByteDraw::new),
            stream: model.stream.as_ref().map(StreamDraw::new),
        }
    }

    /// The next request's fate.
    pub fn draw(&mut self) -> Draw {
        Draw {
            ttfb: match &self.first_byte {
                Some(first_byte) => first_byte.draw(&mut self.random),
                None => Duration::ZERO,
            },
            bytes_per_second: self.stream.as_ref().map(|stream| stream.draw(&mut self.random)),
        }
    }
}

#[derive(Clone, Debug)]
enum FirstByteDraw {
    Constant(Duration),
    Spread { shift: f64, body: LogNormal<f64>, cap: f64, tail: Option<TailDraw> },
}

/// The tail's probability, distribution and cap in seconds.
#[derive(Clone, Debug)]
struct TailDraw {
    probability: f64,
    pareto: Pareto<f64>,
    cap: f64,
}

impl FirstByteDraw {
    fn new(model: &FirstByte) -> FirstByteDraw {
        match model {
            FirstByte::Constant(duration) => FirstByteDraw::Constant(*duration),
            FirstByte::Spread(spread) => FirstByteDraw::Spread {
                shift: spread.shift.as_secs_f64(),
                body: log_normal(spread.median.as_secs_f64(), spread.sigma),
                cap: spread.cap.map_or(f64::INFINITY, |cap| cap.as_secs_f64()),
                tail: spread.tail.as_ref().map(|tail| TailDraw {
                    probability: tail.probability,
                    pareto: Pareto::new(tail.scale.as_secs_f64(), tail.shape)
                        .expect("a checked tail is positive"),
                    cap: tail.cap.map_or(f64::INFINITY, |cap| cap.as_secs_f64()),
                }),
            },
        }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Duration {
        match self {
            FirstByteDraw::Constant(duration) => *duration,
            FirstByteDraw::Spread { shift, body, cap, tail } => {
                let seconds = match tail {
                    Some(tail) if random.random_bool(tail.probability) => {
                        tail.pareto.sample(random).min(tail.cap)
                    }
                    _ => (shift + body.sample(random)).min(*cap),
                };
                // A day: what an uncapped tail may draw must still be a duration.
                Duration::from_secs_f64(seconds.min(86_400.0))
            }
        }
    }
}

#[derive(Clone, Debug)]
enum StreamDraw {
    Constant(f64),
    Spread { rate: LogNormal<f64>, cap: f64 },
}

impl StreamDraw {
    fn new(model: &Stream) -> StreamDraw {
        match model {
            Stream::Constant(rate) => StreamDraw::Constant(rate.bytes_per_second()),
            Stream::Spread(spread) => StreamDraw::Spread {
                rate: log_normal(spread.median.bytes_per_second(), spread.sigma),
                cap: spread.cap.map_or(f64::INFINITY, Rate::bytes_per_second),
            },
        }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> f64 {
        match self {
            StreamDraw::Constant(rate) => *rate,
            StreamDraw::Spread { rate, cap } => rate.sample(random).min(*cap).max(LEAST_RATE),
        }
    }
}

fn log_normal(median: f64, sigma: f64) -> LogNormal<f64> {
    LogNormal::new(median.ln(), sigma).expect("a checked sigma is finite and not negative")
}
