// SPDX-License-Identifier: Apache-2.0
//! Work requests: copies that were accepted, and how far they are. They are done at once unless
//! the admin API set a delay; the latest of those that ended are kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::identity::{COMPARTMENT, REGION};
use crate::reply::Reply;
use crate::request::{limit, page_name};
use crate::state::{BucketName, Condition, Object, new_etag};
use crate::storage::Storage;
use crate::target::Target;

/// Most work requests that have ended and are still told of; the oldest go first.
const MOST_ENDED: usize = 10_000;

/// A copy that was asked for and whose source was found: it holds the bytes from now on.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) source: (BucketName, String),
    pub(crate) target: (BucketName, String),
    /// What is to be written, until it was written or the copy was canceled.
    pub(crate) object: Option<Object>,
    pub(crate) condition: Condition,
}

/// The work requests of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Works(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    delay: Duration,
    works: BTreeMap<String, Work>,
    /// Those that ended, in that order.
    ended: VecDeque<String>,
}

impl State {
    /// Lets the oldest go when there are too many.
    fn end(&mut self, id: &str) {
        self.ended.push_back(id.to_owned());
        if self.ended.len() > MOST_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.works.remove(&oldest);
        }
    }
}

/// One copy.
#[derive(Clone, Debug)]
struct Work {
    copy: Copy,
    accepted: SystemTime,
    begun: Instant,
    delay: Duration,
    /// When it ended, and how; `Err(None)` is canceled.
    end: Option<(SystemTime, Result<(), Option<ApiError>>)>,
}

impl Works {
    /// How long copies take that are accepted from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Accepts a copy: the id of its work request, and how long the copy takes.
    pub(crate) fn accept(&self, copy: Copy, accepted: SystemTime) -> (String, Duration) {
        let id = format!("ocid1.objectstorageworkrequest.oc1.iad.{}", new_etag());
        let mut state = self.lock();
        let (begun, delay) = (Instant::now(), state.delay);
        state.works.insert(id.clone(), Work { copy, accepted, begun, delay, end: None });
        (id, delay)
    }

    /// Does a copy, unless it was canceled.
    pub(crate) fn finish(&self, id: &str, storage: &Storage, now: SystemTime) {
        let mut state = self.lock();
        if let Some(work) = state.works.get_mut(id).filter(|work| work.end.is_none()) {
            work.end = Some((now, work.copy.run(storage, now).map_err(Some)));
            state.end(id);
        }
    }

    /// Everything below `/workRequests`.
    pub(crate) fn answer(
        &self,
        method: &str,
        (id, part): (&str, &str),
        target: &Target,
        now: SystemTime,
    ) -> Result<Reply, ApiError> {
        let mut state = self.lock();
        let work = state.works.get_mut(id).ok_or_else(|| {
            ApiError::new(StatusCode::NOT_FOUND, "NotFound", "There is no such work request")
        })?;
        match (method, part) {
            ("GET", "") => {
                let reply = Reply::json(StatusCode::OK, &work.describe(id));
                Ok(if work.end.is_none() { reply.with_text("retry-after", "1") } else { reply })
            }
            ("GET", "errors") => paged(work.errors(), target),
            ("GET", "logs") => paged(work.logs(), target),
            ("DELETE", "") if work.end.is_none() => {
                work.end = Some((now, Err(None)));
                work.copy.forget();
                state.end(id);
                Ok(Reply::empty(StatusCode::ACCEPTED))
            }
            ("DELETE", "") => Err(ApiError::new(
                StatusCode::CONFLICT,
                "IncorrectState",
                "The work request has ended",
            )),
            _ => Err(ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                format!("{method} is not allowed here"),
            )),
        }
    }

    /// ListWorkRequests: all are of the one compartment that the S3 API and copies know.
    pub(crate) fn list(&self, target: &Target) -> Result<Reply, ApiError> {
        let compartment = target.query("compartmentId").ok_or_else(|| {
            let why = "The query parameter compartmentId is missing";
            ApiError::bad_request("MissingParameter", why)
        })?;
        let state = self.lock();
        let works = state.works.iter().filter(|_| compartment == COMPARTMENT);
        paged(works.map(|(id, work)| work.describe(id)).collect(), target)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copy {
    /// Does it, once.
    fn run(&mut self, storage: &Storage, now: SystemTime) -> Result<(), ApiError> {
        let Some(object) = self.object.take() else { return Ok(()) };
        let object = Object { created: now, modified: now, ..object };
        storage.put(&self.target.0, &self.target.1, object, &self.condition).map(drop)
    }

    /// Lets go of the bytes: it is not to be done.
    fn forget(&mut self) {
        self.object = None;
    }
}

/// A page of a list, from the place that the one before it told.
fn paged(mut told: Vec<Value>, target: &Target) -> Result<Reply, ApiError> {
    let (limit, page) = (limit(target)?, target.query("page").map(page_name).transpose()?);
    let start = match page.map(|page| page.parse::<usize>()) {
        None => 0,
        Some(Ok(start)) => start,
        Some(Err(_)) => {
            return Err(ApiError::bad_request("InvalidPage", "The page is not one of ours"));
        }
    };
    let start = start.min(told.len());
    told.drain(..start);
    let more = told.len() > limit;
    told.truncate(limit);
    let reply = Reply::json(StatusCode::OK, &told);
    let next = URL_SAFE_NO_PAD.encode((start + limit).to_string());
    Ok(if more { reply.with_text("opc-next-page", &next) } else { reply })
}

impl Work {
    fn describe(&self, id: &str) -> Value {
        let percent = match self.end {
            Some((_, Ok(()))) => 100.0,
            _ => {
                let passed =
                    self.begun.elapsed().as_secs_f64() / self.delay.as_secs_f64().max(1e-9);
                (passed * 100.0).min(99.0).round()
            }
        };
        let resource = |action: &str, (bucket, object): &(BucketName, String)| {
            let BucketName { namespace, name } = bucket;
            json!({
                "actionType": action,
                "entityType": "object",
                "identifier": object,
                "entityUri": format!("/n/{namespace}/b/{name}/o/{object}"),
                "metadata": {
                    "REGION": REGION,
                    "NAMESPACE": namespace,
                    "BUCKET": name,
                    "OBJECT": object,
                },
            })
        };
        json!({
            "operationType": "COPY_OBJECT",
            "status": match &self.end {
                None => "IN_PROGRESS",
                Some((_, Ok(()))) => "COMPLETED",
                Some((_, Err(Some(_)))) => "FAILED",
                Some((_, Err(None))) => "CANCELED",
            },
            "id": id,
            "compartmentId": COMPARTMENT,
            "resources": [
                resource("READ", &self.copy.source),
                resource("WRITTEN", &self.copy.target),
            ],
            "percentComplete": percent,
            "timeAccepted": rfc3339(self.accepted),
            "timeStarted": rfc3339(self.accepted),
            "timeFinished": self.end.as_ref().map(|(time, _)| rfc3339(*time)),
        })
    }

    fn errors(&self) -> Vec<Value> {
        let error = |(time, result): &(SystemTime, Result<(), Option<ApiError>>)| {
            let error = result.as_ref().err()?.as_ref()?;
            Some(json!({
                "code": error.code,
                "message": error.message,
                "timestamp": rfc3339(*time),
            }))
        };
        self.end.as_ref().and_then(error).into_iter().collect()
    }

    fn logs(&self) -> Vec<Value> {
        let line = |message: &str, time| json!({ "message": message, "timestamp": rfc3339(time) });
        let accepted = line("The copy was accepted.", self.accepted);
        let ended = self.end.as_ref().map(|(time, _)| line("The copy has ended.", *time));
        std::iter::once(accepted).chain(ended).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_ended_go_first() {
        let mut state = State::default();
        for number in 0..=MOST_ENDED {
            state.end(&number.to_string());
        }
        assert_eq!(state.ended.len(), MOST_ENDED);
        assert_eq!(state.ended.front().map(String::as_str), Some("1"));
    }
}
