// SPDX-License-Identifier: Apache-2.0
//! A write by parts, through one writer.
//!
//! ```text
//!  put_part ─▶ waiting: 3 │ 4 │ 5 ─▶ step: the writer takes 2 ─▶ storescope's Writer ─▶ parts of `part_size`
//!     └ future: drives steps, whoever's they are, until its own part was taken
//! ```
//!
//! It promises: parts are in the order of their hand-over, whichever future is polled first, and however often one is
//! dropped: a step belongs to the upload, and whoever waits next goes on with it. An upload that is dropped, and its
//! parts' futures with it, drops the writer, which aborts.

use super::super::object_store::path::Path;
use super::super::object_store::{
    Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart,
};
use super::super::put_result;
use super::error;
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, BoxFuture, Shared, abortable};
use futures_util::lock::Mutex as Lock;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storescope::Writer;

pub(super) struct Upload {
    location: Path,
    work: Arc<Work>,
    handed_over: u64,
}

struct Work {
    /// `None` once the upload has ended.
    writer: Arc<Lock<Option<Writer>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<PutPayload>,
    /// Parts that the writer has.
    taken: u64,
    step: Option<Step>,
    stopped: Option<Stop>,
}

/// The writer takes one part.
#[derive(Clone)]
struct Step {
    part: u64,
    done: Shared<BoxFuture<'static, Result<(), Stop>>>,
    abort: AbortHandle,
}

/// Why no more is written.
#[derive(Clone)]
enum Stop {
    Failed(storescope::Error),
    Ended,
}

impl Upload {
    pub(super) fn new(writer: Writer, location: Path) -> Upload {
        let writer = Arc::new(Lock::new(Some(writer)));
        let work = Arc::new(Work { writer, state: Mutex::default() });
        Upload { location, work, handed_over: 0 }
    }

    async fn writer(&self) -> Option<Writer> {
        self.work.writer.lock().await.take()
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        self.handed_over += 1;
        self.work.state().waiting.push_back(payload);
        let (work, part) = (Arc::clone(&self.work), self.handed_over);
        let location = self.location.clone();
        async move { work.taken(part).await.map_err(|stop| stop.told(&location)) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let taken = self.work.taken(self.handed_over).await;
        taken.map_err(|stop| stop.told(&self.location))?;
        let Some(writer) = self.writer().await else {
            return Err(Stop::Ended.told(&self.location));
        };
        match writer.finish().await {
            Ok(meta) => Ok(put_result(meta.etag)),
            Err(failure) => Err(error::of(failure, &self.location)),
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.work.stop().await;
        let Some(writer) = self.writer().await else { return Ok(()) };
        writer.abort().await.map_err(|failure| error::of(failure, &self.location))
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("location", &self.location)
            .field("parts", &self.handed_over)
            .finish_non_exhaustive()
    }
}

impl Work {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the writer has that many parts.
    async fn taken(&self, parts: u64) -> Result<(), Stop> {
        while let Some(step) = self.step_to(parts)? {
            let taken = step.done.await;
            self.state().stepped(step.part, taken);
        }
        Ok(())
    }

    /// The step under way, or the next one; `None` where that many parts were taken.
    fn step_to(&self, parts: u64) -> Result<Option<Step>, Stop> {
        let mut state = self.state();
        if state.taken >= parts {
            return Ok(None);
        }
        if let Some(stop) = &state.stopped {
            return Err(stop.clone());
        }
        if state.step.is_none() {
            let Some(payload) = state.waiting.pop_front() else { return Err(Stop::Ended) };
            let (done, abort) = abortable(write(Arc::clone(&self.writer), payload));
            let done = done.map(|done| done.unwrap_or(Err(Stop::Ended))).boxed().shared();
            state.step = Some(Step { part: state.taken + 1, done, abort });
        }
        Ok(state.step.clone())
    }

    /// Takes no more parts, the one under way included.
    async fn stop(&self) {
        let step = {
            let mut state = self.state();
            state.stopped.get_or_insert(Stop::Ended);
            state.waiting.clear();
            state.step.take()
        };
        if let Some(step) = step {
            step.abort.abort();
            // Lets go of the writer, whoever else holds the step.
            let _ = step.done.await;
        }
    }
}

impl State {
    /// Each of those who waited for a step tells that it is done; the first is heard.
    fn stepped(&mut self, part: u64, taken: Result<(), Stop>) {
        if self.step.as_ref().is_none_or(|step| step.part != part) {
            return;
        }
        self.step = None;
        match taken {
            Ok(()) => self.taken = part,
            Err(stop) => {
                self.waiting.clear();
                self.stopped = Some(stop);
            }
        }
    }
}

impl Stop {
    fn told(self, location: &Path) -> Error {
        match self {
            Stop::Failed(failure) => error::of(failure, location),
            Stop::Ended => {
                error::generic(format!("the upload of {location} was completed or aborted before"))
            }
        }
    }
}

async fn write(writer: Arc<Lock<Option<Writer>>>, payload: PutPayload) -> Result<(), Stop> {
    let mut writer = writer.lock().await;
    let Some(writer) = writer.as_mut() else { return Err(Stop::Ended) };
    for piece in payload {
        writer.write(piece).await.map_err(Stop::Failed)?;
    }
    Ok(())
}
