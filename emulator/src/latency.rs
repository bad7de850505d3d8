// SPDX-License-Identifier: Apache-2.0
//! The latency model at work: what each request is drawn, and the network interface that all
//! answers share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use storescope_model::{Model, Sampler, Stall};

/// The latency model at work.
pub(crate) struct Latency {
    seed: u64,
    state: Mutex<Option<ActiveModel>>,
}

/// A model that costs something.
struct ActiveModel {
    sampler: Sampler,
    cold_connection: Duration,
    nic: Option<Arc<Nic>>,
    requests: Option<RequestRate>,
    stalls: Option<Stalls>,
}

/// The model's stalls, counted from when the model was set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stalls {
    stall: Stall,
    since: Instant,
}

/// A bucket of one second's requests.
struct RequestRate {
    per_second: f64,
    left: f64,
    refilled: Instant,
}

/// What one request is given.
#[derive(Default)]
pub(crate) struct Drawn {
    pub(crate) wait: Duration,
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) nic: Option<Arc<Nic>>,
    pub(crate) throttled: bool,
    pub(crate) stalls: Option<Stalls>,
}

impl Drawn {
    /// When what began then and takes so long is done; `None` if the model does not delay it.
    pub(crate) fn due(&self, begin: Instant, work: Duration) -> Option<Instant> {
        (self.stalls.is_some() || !work.is_zero()).then(|| end(self.stalls, begin, work))
    }
}

impl Stalls {
    /// When the store runs: now, or at the end of a stall.
    pub(crate) fn over(self) -> Instant {
        end(Some(self), Instant::now(), Duration::ZERO)
    }
}

/// When what begins then and takes so long is done, with the stalls in between.
pub(crate) fn end(stalls: Option<Stalls>, begin: Instant, work: Duration) -> Instant {
    match stalls {
        None => begin + work,
        Some(Stalls { stall, since }) => {
            since + stall.end(begin.saturating_duration_since(since), work)
        }
    }
}

impl Latency {
    pub(crate) fn new(model: &Model, seed: u64) -> Latency {
        Latency { seed, state: Mutex::new(ActiveModel::new(model, seed)) }
    }

    /// Changes the model; its draws begin at the emulator's seed.
    pub(crate) fn set(&self, model: &Model) {
        *self.lock() = ActiveModel::new(model, self.seed);
    }

    /// What the next request is given; `first` is the first of its connection.
    pub(crate) fn draw(&self, first: bool) -> Drawn {
        let mut state = self.lock();
        let Some(active) = &mut *state else { return Drawn::default() };
        let draw = active.sampler.draw();
        let cold = if first { active.cold_connection } else { Duration::ZERO };
        Drawn {
            wait: draw.ttfb + cold,
            bytes_per_second: draw.bytes_per_second,
            nic: active.nic.clone(),
            throttled: active.requests.as_mut().is_some_and(|requests| !requests.take()),
            stalls: active.stalls,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<ActiveModel>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveModel {
    fn new(model: &Model, seed: u64) -> Option<ActiveModel> {
        if model.is_free() {
            return None;
        }
        let now = Instant::now();
        let stalls = model.stall.map(|stall| Stalls { stall, since: now });
        Some(ActiveModel {
            sampler: Sampler::new(model, seed),
            cold_connection: model.cold_connection.unwrap_or_default(),
            nic: model.nic.map(|nic| Arc::new(Nic::new(nic.bytes_per_second(), stalls))),
            requests: model.requests_per_second.map(|per_second| RequestRate {
                per_second,
                left: per_second.max(1.0),
                refilled: now,
            }),
            stalls,
        })
    }
}

impl RequestRate {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let refill = (now - self.refilled).as_secs_f64() * self.per_second;
        (self.left, self.refilled) = ((self.left + refill).min(self.per_second.max(1.0)), now);
        let admitted = self.left >= 1.0;
        if admitted {
            self.left -= 1.0;
        }
        admitted
    }
}

/// The machine's network interface: bytes of all streams queue up for it.
#[derive(Debug)]
pub(crate) struct Nic {
    bytes_per_second: f64,
    stalls: Option<Stalls>,
    free_at: Mutex<Instant>,
}

impl Nic {
    fn new(bytes_per_second: f64, stalls: Option<Stalls>) -> Nic {
        Nic { bytes_per_second, stalls, free_at: Mutex::new(Instant::now()) }
    }

    pub(crate) fn bytes_per_second(&self) -> f64 {
        self.bytes_per_second
    }

    /// When so many bytes that queue up now have passed.
    pub(crate) fn reserve(&self, bytes: u64) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free_at.max(Instant::now());
        let work = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *free_at = end(self.stalls, start, work);
        *free_at
    }
}
