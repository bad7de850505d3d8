// SPDX-License-Identifier: Apache-2.0
//! Faults: rules that say which requests go wrong, and how. They apply to requests whose
//! signature was good, in the order in which they were given; several may fire at once, and of
//! two that contradict each other the later wins. docs/EMULATOR.md shows each by `curl`.
//!
//! Here it is decided what is done to a request (`Plan`). It is carried out elsewhere: errors, resets
//! and ranges in `oci/` and `s3/`; delays and answers that are dropped in `service.rs`; other heads
//! and bodies in `reply.rs`; stalls, flipped bytes and bodies without end in `body.rs`; bodies that
//! are cut in `connection.rs`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A rule: the requests it matches, when it fires, and what it does.
///
/// Everything but the action may be left out; an empty matcher matches every request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Fault {
    /// Only this method, in capitals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only request targets that start so, compared raw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Only request targets that hold this, compared raw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// `true`: only on connections that have served a request; `false`: only on new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<bool>,
    /// Fires from the nth matching request on, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Fires so often at most. Without it: once where `nth` is given, else without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Fires for this share of the requests that are left, 0 to 1, drawn from `seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The seed of `probability`.
    #[serde(default)]
    pub seed: u64,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// A rule that fires for every request; narrow it by the methods below.
    pub fn new(action: Action) -> Fault {
        Fault {
            method: None,
            prefix: None,
            contains: None,
            reused: None,
            nth: None,
            count: None,
            probability: None,
            seed: 0,
            action,
        }
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Fault {
        self.method = Some(method.to_owned());
        self
    }

    /// Only targets that start so.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Fault {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// Only targets that hold this.
    #[must_use]
    pub fn contains(mut self, part: &str) -> Fault {
        self.contains = Some(part.to_owned());
        self
    }

    /// Only on connections that have (`true`) or have not (`false`) served a request.
    #[must_use]
    pub fn reused(mut self, reused: bool) -> Fault {
        self.reused = Some(reused);
        self
    }

    /// From the nth matching request on, once unless [`Fault::count`] says otherwise.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Fault {
        self.nth = Some(nth);
        self
    }

    /// So often at most.
    #[must_use]
    pub fn count(mut self, count: u64) -> Fault {
        self.count = Some(count);
        self
    }

    /// For this share of the requests, drawn from a seed.
    #[must_use]
    pub fn probability(mut self, share: f64, seed: u64) -> Fault {
        (self.probability, self.seed) = (Some(share), seed);
        self
    }

    /// What makes the rule impossible, if anything does.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.probability.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("probability is not between 0 and 1".into());
        }
        if self.nth == Some(0) {
            return Err("nth is counted from 1".into());
        }
        if let Action::Status { status, .. } = self.action
            && !(200..=599).contains(&status)
        {
            return Err("status is not between 200 and 599".into());
        }
        match &self.action {
            Action::Redirect { to } if !is_url_start(to) => {
                Err("to is not http://HOST or https://HOST".into())
            }
            Action::Headers { bytes } if *bytes > MAX_HEADERS => {
                Err(format!("bytes of headers are more than {MAX_HEADERS}"))
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, method: &str, target: &str, reused: bool) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.prefix.as_deref().is_none_or(|prefix| target.starts_with(prefix))
            && self.contains.as_deref().is_none_or(|part| target.contains(part))
            && self.reused.is_none_or(|wanted| wanted == reused)
    }

    fn limit(&self) -> u64 {
        self.count.unwrap_or(if self.nth.is_some() { 1 } else { u64::MAX })
    }
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// Answers an error without acting.
    Status {
        /// The status, 200 to 599.
        status: u16,
        /// The error's `code`; the usual one of the status by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// The error's `message`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Seconds for a `retry-after` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// Answers 429 TooManyRequests to the next `requests` matching requests: `count` by another
    /// name.
    Throttle {
        /// How many requests are turned away.
        requests: u64,
        /// Seconds for a `retry-after` header; OCI sends none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// Answers 401 NotAuthenticated to the next matching request, once, though its signature is
    /// good.
    UnauthorizedOnce,
    /// Waits before the first byte, beside what the model waits.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Resets the connection (RST) without acting or answering.
    Reset,
    /// Acts, then resets the connection without answering.
    DropResponse,
    /// Acts, sends the whole head and `bytes` bytes of the body, then resets the connection (RST).
    ResetAfter {
        /// Body bytes that are sent.
        bytes: u64,
    },
    /// Sends the whole head and `after` bytes of the body, then closes the connection.
    Truncate {
        /// Body bytes that are sent.
        after: u64,
    },
    /// Sends the head and `after` bytes of the body, then sends nothing for `ms`, or for ever.
    Stall {
        /// Body bytes that are sent first.
        after: u64,
        /// Milliseconds; for ever if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ms: Option<u64>,
    },
    /// Answers a ranged GET with 200 and the whole object.
    IgnoreRange,
    /// Answers a ranged GET with the bytes asked for and a `content-range` one byte further.
    WrongContentRange,
    /// Flips the bits of one byte of the body.
    Corrupt {
        /// Which byte, counted in the body; none if the body is shorter.
        offset: u64,
    },
    /// Answers a success with the `etag` of another object. An ETag inside a document stays.
    WrongEtag,
    /// Sends the first `to` bytes of the body only, with their `content-length`: the answer is whole
    /// and its body is not.
    Shorten {
        /// Body bytes that are sent.
        to: u64,
    },
    /// Acts, then puts bytes that are neither JSON nor XML in the place of the body, if there is one.
    Garbage,
    /// Sends a body that never ends: spaces follow the body, without a `content-length`.
    Endless,
    /// Adds so many bytes of headers to the answer.
    Headers {
        /// Bytes of the headers together, 64 MiB at most.
        bytes: u64,
    },
    /// Answers 307 without acting: the same target at another server.
    Redirect {
        /// `http://HOST` or `https://HOST`.
        to: String,
    },
}

/// Most bytes of headers that are added.
const MAX_HEADERS: u64 = 64 << 20;

/// Whether a target makes this a URL that a header can hold.
fn is_url_start(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// What the faults that fired do to one request.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent faults, any of which may fire")]
pub(crate) struct Plan {
    pub(crate) error: Option<InjectedError>,
    pub(crate) delay: Duration,
    pub(crate) reset: bool,
    pub(crate) drop_response: bool,
    pub(crate) truncate: Option<u64>,
    pub(crate) stall: Option<(u64, Option<Duration>)>,
    pub(crate) ignore_range: bool,
    pub(crate) wrong_content_range: bool,
    pub(crate) corrupt: Option<u64>,
    pub(crate) reset_after: Option<u64>,
    pub(crate) wrong_etag: bool,
    pub(crate) shorten: Option<u64>,
    pub(crate) garbage: bool,
    pub(crate) endless: bool,
    pub(crate) headers: u64,
}

/// An error to answer with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InjectedError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
    /// Where a redirect leads to.
    pub(crate) location: Option<String>,
}

/// A rule as `GET /faults` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FaultState {
    id: u64,
    /// Requests that matched.
    matched: u64,
    /// Requests to which it was done.
    fired: u64,
    #[serde(skip)]
    random: u64,
    #[serde(flatten)]
    fault: Fault,
}

/// The rules of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<(u64, Vec<FaultState>)>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> u64 {
        let (last, rules) = &mut *self.lock();
        *last += 1;
        rules.push(FaultState { id: *last, matched: 0, fired: 0, random: fault.seed, fault });
        *last
    }

    pub(crate) fn remove(&self, id: u64) -> bool {
        let rules = &mut self.lock().1;
        let before = rules.len();
        rules.retain(|rule| rule.id != id);
        rules.len() < before
    }

    pub(crate) fn clear(&self) {
        self.lock().1.clear();
    }

    pub(crate) fn states(&self) -> Vec<FaultState> {
        self.lock().1.clone()
    }

    /// Counts a request against every rule and says what is done to it.
    pub(crate) fn plan(&self, method: &str, target: &str, reused: bool) -> Plan {
        let mut plan = Plan::default();
        for rule in &mut self.lock().1 {
            if rule.fires(method, target, reused) {
                plan.add(&rule.fault.action, target);
            }
        }
        plan
    }

    /// How many requests a rule matched, and to how many of them it was done.
    pub(crate) fn counts(&self, id: u64) -> Option<(u64, u64)> {
        let rules = &self.lock().1;
        let rule = rules.iter().find(|rule| rule.id == id)?;
        Some((rule.matched, rule.fired))
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Vec<FaultState>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultState {
    fn fires(&mut self, method: &str, target: &str, reused: bool) -> bool {
        if !self.fault.matches(method, target, reused) {
            return false;
        }
        self.matched += 1;
        let limit = match self.fault.action {
            Action::Throttle { requests, .. } => requests,
            Action::UnauthorizedOnce => 1,
            _ => self.fault.limit(),
        };
        if self.matched < self.fault.nth.unwrap_or(1) || self.fired >= limit {
            return false;
        }
        if self.fault.probability.is_some_and(|share| self.draw() >= share) {
            return false;
        }
        self.fired += 1;
        true
    }

    /// SplitMix64 (Steele, Lea, Flood 2014) as a fraction of 1.
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Plan {
    fn add(&mut self, action: &Action, target: &str) {
        match action {
            Action::Status { status, code, message, retry_after } => {
                self.error = Some(InjectedError {
                    status: *status,
                    code: code.clone().unwrap_or_else(|| usual_code(*status).to_owned()),
                    message: message.clone().unwrap_or_else(|| "A fault was injected.".to_owned()),
                    retry_after: *retry_after,
                    location: None,
                });
            }
            Action::Throttle { retry_after, .. } => {
                self.error = Some(InjectedError {
                    status: 429,
                    code: usual_code(429).to_owned(),
                    message: "Too many requests for the user.".to_owned(),
                    retry_after: *retry_after,
                    location: None,
                });
            }
            Action::UnauthorizedOnce => {
                self.error = Some(InjectedError {
                    status: 401,
                    code: usual_code(401).to_owned(),
                    message: "The required information to complete authentication was not \
                              provided or was incorrect."
                        .to_owned(),
                    retry_after: None,
                    location: None,
                });
            }
            Action::Delay { ms } => self.delay += Duration::from_millis(*ms),
            Action::Reset => self.reset = true,
            Action::DropResponse => self.drop_response = true,
            Action::Truncate { after } => self.truncate = Some(*after),
            Action::Stall { after, ms } => {
                self.stall = Some((*after, ms.map(Duration::from_millis)));
            }
            Action::IgnoreRange => self.ignore_range = true,
            Action::WrongContentRange => self.wrong_content_range = true,
            Action::Corrupt { offset } => self.corrupt = Some(*offset),
            Action::ResetAfter { bytes } => self.reset_after = Some(*bytes),
            Action::WrongEtag => self.wrong_etag = true,
            Action::Shorten { to } => self.shorten = Some(*to),
            Action::Garbage => self.garbage = true,
            Action::Endless => self.endless = true,
            Action::Headers { bytes } => self.headers = *bytes,
            Action::Redirect { to } => self.error = Some(redirect(to, target)),
        }
    }
}

/// The answer that sends a client elsewhere, in S3's words.
fn redirect(to: &str, target: &str) -> InjectedError {
    InjectedError {
        status: 307,
        code: usual_code(307).to_owned(),
        message: "Please re-send this request to the specified temporary endpoint.".to_owned(),
        retry_after: None,
        location: Some(format!("{to}{target}")),
    }
}

fn usual_code(status: u16) -> &'static str {
    match status {
        307 => "TemporaryRedirect",
        400 => "InvalidParameter",
        401 => "NotAuthenticated",
        403 => "Forbidden",
        404 => "NotAuthorizedOrNotFound",
        405 => "MethodNotAllowed",
        409 => "IncorrectState",
        412 => "IfMatchFailed",
        413 => "RequestEntityTooLarge",
        416 => "InvalidRange",
        429 => "TooManyRequests",
        500 => "InternalServerError",
        501 => "NotImplemented",
        503 => "ServiceUnavailable",
        _ => "InjectedFault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(fault: Fault, requests: usize) -> Vec<bool> {
        let faults = Faults::default();
        faults.add(fault);
        (0..requests).map(|_| faults.plan("GET", "/n/x", false) != Plan::default()).collect()
    }

    #[test]
    fn nth_and_count_choose_the_requests() {
        let fault = || Fault::new(Action::Reset);
        assert_eq!(fired(fault(), 3), [true, true, true]);
        assert_eq!(fired(fault().nth(2), 4), [false, true, false, false]);
        assert_eq!(fired(fault().nth(2).count(2), 4), [false, true, true, false]);
        assert_eq!(fired(fault().count(1), 3), [true, false, false]);
        let throttle = Fault::new(Action::Throttle { requests: 2, retry_after: None });
        assert_eq!(fired(throttle, 3), [true, true, false]);
    }

    #[test]
    fn a_seed_repeats_its_probability() {
        let share = |seed| fired(Fault::new(Action::Reset).probability(0.3, seed), 10_000);
        assert_eq!(share(3), share(3));
        assert_ne!(share(3), share(4));
        // Three standard deviations of a binomial of 10,000 at 0.3 are 137.
        let hits = share(3).into_iter().filter(|hit| *hit).count();
        assert!((2_850..=3_150).contains(&hits), "{hits}");
    }

    #[test]
    fn matchers_narrow() {
        let faults = Faults::default();
        faults.add(Fault::new(Action::Reset).method("PUT").prefix("/n/a").contains("/o/"));
        faults.add(Fault::new(Action::Delay { ms: 5 }).reused(true));
        assert_eq!(faults.plan("GET", "/n/a/b/c/o/d", false), Plan::default());
        assert_eq!(faults.plan("PUT", "/n/b/b/c/o/d", false), Plan::default());
        assert!(faults.plan("PUT", "/n/a/b/c/o/d", false).reset);
        assert_eq!(faults.plan("GET", "/", true).delay, Duration::from_millis(5));
    }

    #[test]
    fn rules_are_read_from_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"method":"GET","nth":2,"action":{"status":{"status":503,"retry_after":1}}}"#,
        )
        .unwrap();
        assert_eq!(fault.nth, Some(2));
        assert!(fault.check().is_ok());
        assert!(serde_json::from_str::<Fault>(r#"{"action":"reset"}"#).is_ok());
        assert!(serde_json::from_str::<Fault>(r#"{"action":"reset","mehtod":"GET"}"#).is_err());
        assert!(Fault::new(Action::Reset).probability(2.0, 0).check().is_err());
        let nowhere = |to: &str| Fault::new(Action::Redirect { to: to.to_owned() }).check();
        assert!(nowhere("http://127.0.0.1:1").is_ok());
        assert!(nowhere("/elsewhere").is_err() && nowhere("https://a\nb").is_err());
        assert!(Fault::new(Action::Headers { bytes: MAX_HEADERS + 1 }).check().is_err());
    }

    #[test]
    fn a_rule_counts_what_it_matched_and_what_it_did() {
        let faults = Faults::default();
        let id = faults.add(Fault::new(Action::Reset).method("GET").nth(2));
        for method in ["GET", "PUT", "GET", "GET"] {
            faults.plan(method, "/n/x", false);
        }
        assert_eq!(faults.counts(id), Some((3, 1)));
        assert_eq!(faults.counts(id + 1), None);
    }

    #[test]
    fn a_redirect_keeps_the_target() {
        let faults = Faults::default();
        faults.add(Fault::new(Action::Redirect { to: "http://elsewhere".to_owned() }));
        let error = faults.plan("GET", "/n/x?y", false).error.unwrap();
        assert_eq!((error.status, &*error.code), (307, "TemporaryRedirect"));
        assert_eq!(error.location.as_deref(), Some("http://elsewhere/n/x?y"));
    }
}
