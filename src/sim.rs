// SPDX-License-Identifier: Apache-2.0
//! A store in tokio's paused time: answers by a latency model, bodies at the rate of a stream under a ceiling of all
//! streams, faults by the request's number. What a plan costs is exact here, to the runtime's millisecond.
//!
//! ```text
//!  get ─▶ a connection (an idle one, or a cold one) ─▶ sleep the first byte drawn ─▶ Body::from_stream
//!           chunk by chunk: due = last + chunk ÷ rate of the stream, then through the link that all streams share
//! ```
//!
//! Bytes tell their place and the object's version, so that any mix of two is seen. They are slices of one buffer.

use crate::auth::AuthRetry;
use crate::backend::{
    Abilities, Attempt, Backend, BucketPage, GetReply, GetRequest, ListPage, ListRequest,
    PutRequest, RequestFuture, ServiceId,
};
use crate::error::{ErrorKind, Failure};
use crate::timing::{Connection, Phase, instant_at, now_ns};
use crate::transport::Body;
use crate::types::ObjectMeta;
use bytes::Bytes;
use futures_util::stream;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storescope_model::{Model, Sampler};

/// Bytes sent at once.
const CHUNK: u64 = 128 << 10;
/// What a socket takes while its reader does not read.
const RECEIVE_WINDOW: u64 = 1 << 20;
/// The length after which bytes repeat: a prime, so that nothing aligned repeats with it.
const PERIOD: u64 = 1_048_573;

/// The bytes of every object, once; a version begins elsewhere in them.
static BYTES: LazyLock<Bytes> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes: Vec<u8> = (0..PERIOD).map(|_| random.u8(..)).collect();
    bytes.extend_from_within(..CHUNK as usize);
    bytes.into()
});

/// What happens to some requests.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Waits so long before the first byte, beside what was drawn.
    StallHead(Duration),
    /// Waits so long in the middle of the body.
    StallBody(Duration),
    /// Answers so.
    Status(u16),
    /// Answers 503 and asks the client to wait so long.
    RetryAfter(Duration),
    /// Breaks after so many bytes of the body.
    BreakAfter(u64),
    /// The object is replaced before the request is looked at.
    Replace,
}

/// Which faults a request gets, by its number and the range it asks for.
type Faults = dyn Fn(usize, &Range<u64>) -> Option<Fault> + Send + Sync;

/// One request as the store saw it.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) method: &'static str,
    /// Bytes of the body sent.
    pub(crate) sent: u64,
}

/// The simulated store.
#[derive(Clone)]
pub(crate) struct SimBackend(Arc<Mutex<Sim>>);

struct Sim {
    objects: BTreeMap<String, Object>,
    sampler: Sampler,
    cold: Duration,
    /// Nanoseconds that a byte takes on the link.
    link_ns: f64,
    /// When the link is free, in `now_ns`.
    link_free: f64,
    idle_connections: u32,
    served: Vec<Served>,
    most_streams: usize,
    streams: usize,
    faults: Box<Faults>,
}

#[derive(Clone, Copy, Debug)]
struct Object {
    size: u64,
    version: u64,
}

impl SimBackend {
    /// An empty store that behaves as the model says.
    pub(crate) fn new(model: &Model, seed: u64) -> SimBackend {
        SimBackend(Arc::new(Mutex::new(Sim {
            objects: BTreeMap::new(),
            sampler: Sampler::new(model, seed),
            cold: model.cold_connection.unwrap_or_default(),
            link_ns: model.nic.map_or(0.0, |nic| 1e9 / nic.bytes_per_second()),
            link_free: 0.0,
            idle_connections: 0,
            served: Vec::new(),
            most_streams: 0,
            streams: 0,
            faults: Box::new(|_, _| None),
        })))
    }

    /// Puts an object of so many bytes.
    pub(crate) fn object(&self, key: &str, size: u64) {
        self.lock().objects.insert(key.to_owned(), Object { size, version: 1 });
    }

    /// Sets what happens to requests from now on.
    pub(crate) fn faults(
        &self,
        faults: impl Fn(usize, &Range<u64>) -> Option<Fault> + Send + Sync + 'static,
    ) {
        self.lock().faults = Box::new(faults);
    }

    /// The requests so far.
    pub(crate) fn served(&self) -> Vec<Served> {
        self.lock().served.clone()
    }

    /// How many bodies were sent at once at most.
    pub(crate) fn most_streams(&self) -> usize {
        self.lock().most_streams
    }

    /// The bytes that the first version of any object has there.
    pub(crate) fn bytes(range: Range<u64>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let piece = content(1, at, (range.end - at).min(CHUNK));
            at += piece.len() as u64;
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the request in: its number, when its first byte is due, what will happen to it.
    fn begin(&self, method: &'static str, range: Range<u64>) -> Taken {
        let mut sim = self.lock();
        let number = sim.served.len();
        let fault = (sim.faults)(number, &range);
        if matches!(fault, Some(Fault::Replace)) {
            sim.objects.values_mut().for_each(|object| object.version += 1);
        }
        let draw = sim.sampler.draw();
        let reused = sim.idle_connections > 0;
        sim.idle_connections -= u32::from(reused);
        let now = now_ns();
        sim.served.push(Served { method, sent: 0 });
        let mut wait = draw.ttfb;
        if !reused {
            wait += sim.cold;
        }
        if let Some(Fault::StallHead(stall)) = fault {
            wait += stall;
        }
        Taken {
            sim: self.clone(),
            number,
            reused,
            first_byte: now as f64 + wait.as_nanos() as f64,
            byte_ns: draw.bytes_per_second.map_or(0.0, |rate| 1e9 / rate),
            fault,
            whole: false,
            streaming: false,
        }
    }
}

/// A request under way. Dropped before its end, its connection is closed.
struct Taken {
    sim: SimBackend,
    number: usize,
    reused: bool,
    first_byte: f64,
    /// Nanoseconds that a byte takes in this stream.
    byte_ns: f64,
    fault: Option<Fault>,
    whole: bool,
    streaming: bool,
}

impl Taken {
    fn answer(&mut self, status: u16) {
        let mut sim = self.sim.lock();
        if status < 300 {
            self.streaming = true;
            sim.streams += 1;
            sim.most_streams = sim.most_streams.max(sim.streams);
        } else {
            drop(sim);
            self.whole = true;
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut sim = self.sim.lock();
        sim.idle_connections += u32::from(self.whole);
        sim.streams -= usize::from(self.streaming);
    }
}

/// A body under way.
struct Sending {
    taken: Taken,
    version: u64,
    at: u64,
    end: u64,
    /// When the last chunk was through, in nanoseconds.
    last: f64,
    /// The body breaks, or stalls, here.
    trouble: Option<u64>,
}

impl Sending {
    async fn step(mut self) -> Option<(Result<Bytes, Failure>, Sending)> {
        if self.at == self.end {
            return None;
        }
        if self.trouble.is_some_and(|at| self.at >= at) {
            self.trouble = None;
            match self.taken.fault {
                Some(Fault::StallBody(stall)) => {
                    self.last = self.last.max(now_ns() as f64) + stall.as_nanos() as f64;
                }
                _ => {
                    let broke = Failure::new(ErrorKind::Reset).message("the simulation broke it");
                    self.end = self.at;
                    return Some((Err(broke), self));
                }
            }
        }
        let end = self.trouble.unwrap_or(self.end).min(self.end);
        let chunk = content(self.version, self.at, (end - self.at).min(CHUNK));
        let length = chunk.len() as u64;
        let window = RECEIVE_WINDOW as f64 * self.taken.byte_ns;
        let due = self.last.max(now_ns() as f64 - window) + length as f64 * self.taken.byte_ns;
        until(due).await;
        let through = {
            let mut sim = self.taken.sim.lock();
            let spent = length as f64 * sim.link_ns;
            sim.link_free = sim.link_free.max(due - spent) + spent;
            sim.served[self.taken.number].sent += length;
            sim.link_free
        };
        until(through).await;
        self.last = through;
        self.at += length;
        self.taken.whole = self.at == self.end;
        Some((Ok(chunk), self))
    }
}

async fn until(nanoseconds: f64) {
    if nanoseconds > now_ns() as f64 {
        tokio::time::sleep_until(instant_at(nanoseconds.ceil() as u64)).await;
    }
}

/// At most `length` bytes of a version, from there on.
fn content(version: u64, at: u64, length: u64) -> Bytes {
    let start = ((at + version * 7_919) % PERIOD) as usize;
    BYTES.slice(start..start + length as usize)
}

fn status(status: u16) -> Failure {
    let kind = match status {
        404 => ErrorKind::NotFound,
        412 => ErrorKind::Precondition,
        416 => ErrorKind::InvalidRange,
        429 => ErrorKind::Throttled,
        _ => ErrorKind::Server,
    };
    let mut failure = Failure::new(kind);
    failure.status = Some(status);
    failure
}

fn unsupported<'a, T: Send + 'a>() -> RequestFuture<'a, T> {
    Box::pin(std::future::ready(Err(Failure::new(ErrorKind::Unsupported))))
}

impl SimBackend {
    async fn answer(
        &self,
        request: &GetRequest,
        mut attempt: Attempt,
    ) -> Result<Box<GetReply>, Failure> {
        let asked = request.range.clone().unwrap_or((0..u64::MAX).into());
        let shown = asked.of(u64::MAX).unwrap_or_default();
        if let Some(bytes) = asked.asked() {
            attempt.timer.asked(bytes);
        }
        let mut taken = self.begin("GET", shown);
        let connection = if taken.reused { Connection::Reused } else { Connection::New };
        attempt.timer.connected(connection);
        until(taken.first_byte).await;
        attempt.timer.lap(Phase::Ttfb);
        let object = self.lock().objects.get(&*request.key).copied();
        let tag = |object: Object| format!("v{}", object.version);
        let answered = match (&taken.fault, object) {
            (Some(Fault::Status(code)), _) => Err(status(*code)),
            (Some(Fault::RetryAfter(wait)), _) => {
                let mut busy = status(503);
                busy.retry_after = Some(*wait);
                Err(busy)
            }
            (_, None) => Err(status(404)),
            (_, Some(object)) if request.if_match.as_ref().is_some_and(|e| *e != tag(object)) => {
                Err(status(412))
            }
            (_, Some(object)) => {
                asked.of(object.size).map(|r| (r, object)).ok_or_else(|| status(416))
            }
        };
        let (range, object) = match answered {
            Ok(answered) => answered,
            Err(failure) => {
                taken.answer(failure.status.unwrap_or(500));
                attempt.timer.finish(failure.outcome());
                return Err(failure);
            }
        };
        taken.answer(206);
        let middle = range.start.midpoint(range.end);
        let trouble = match taken.fault {
            Some(Fault::StallBody(_)) => Some(middle),
            Some(Fault::BreakAfter(bytes)) => Some(range.start + bytes),
            _ => None,
        };
        let sending = Sending {
            version: object.version,
            at: range.start,
            end: range.end,
            last: taken.first_byte,
            taken,
            trouble,
        };
        let meta = ObjectMeta {
            key: request.key.to_string(),
            size: object.size,
            etag: Some(tag(object)),
            ..ObjectMeta::default()
        };
        let sent = Box::pin(stream::unfold(sending, Sending::step));
        let body = Body::from_stream(sent, attempt.timer).counted();
        let etag = Some(tag(object));
        Ok(Box::new(GetReply { meta: meta.into(), size: object.size, etag, range, body }))
    }
}

impl Backend for SimBackend {
    fn url(&self, key: &str) -> String {
        format!("sim://{key}")
    }

    fn after_unauthorized(&self, _: &Failure) -> AuthRetry {
        AuthRetry::GiveUp("a simulation asks nobody".to_owned())
    }

    fn get<'a>(
        &'a self,
        request: &'a GetRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, Box<GetReply>> {
        Box::pin(self.answer(request, attempt))
    }

    fn head<'a>(&'a self, key: &'a str, mut attempt: Attempt) -> RequestFuture<'a, ObjectMeta> {
        Box::pin(async move {
            let mut taken = self.begin("HEAD", 0..0);
            until(taken.first_byte).await;
            attempt.timer.lap(Phase::Ttfb);
            let object = self.lock().objects.get(key).copied();
            let Some(object) = object else {
                taken.answer(404);
                let failure = status(404);
                attempt.timer.finish(failure.outcome());
                return Err(failure);
            };
            taken.answer(200);
            taken.whole = true;
            attempt.timer.finish(crate::timing::Outcome::Ok);
            let etag = Some(format!("v{}", object.version));
            Ok(ObjectMeta { key: key.to_owned(), size: object.size, etag, ..Default::default() })
        })
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            rename: false,
            conditional_copies: false,
            delete_many: 0,
            copies_parts_above: None,
            least_part: 1,
            most_part: u64::MAX,
            parts: 1,
            ordered_listings: true,
            ends_listings: true,
        }
    }

    fn service(&self) -> ServiceId {
        ServiceId::Other
    }

    fn put<'a>(&'a self, _: &'a PutRequest, _: Attempt) -> RequestFuture<'a, ObjectMeta> {
        unsupported()
    }

    fn delete<'a>(&'a self, _: &'a str, _: Option<&'a str>, _: Attempt) -> RequestFuture<'a, ()> {
        unsupported()
    }

    fn list<'a>(&'a self, _: &'a ListRequest, _: Attempt) -> RequestFuture<'a, ListPage> {
        unsupported()
    }

    fn create_bucket(&self, _: Attempt) -> RequestFuture<'_, ()> {
        unsupported()
    }

    fn delete_bucket(&self, _: Attempt) -> RequestFuture<'_, ()> {
        unsupported()
    }

    fn list_buckets<'a>(&'a self, _: Option<&'a str>, _: Attempt) -> RequestFuture<'a, BucketPage> {
        unsupported()
    }
}

impl std::fmt::Debug for SimBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimBackend")
    }
}
