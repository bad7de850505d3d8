// SPDX-License-Identifier: Apache-2.0
//! The admin API: the record, the faults, the model, principals and policies, over plain HTTP and
//! in process. It is
//! not signed, not recorded, and no fault or model touches it. docs/EMULATOR.md describes it.
//!
//! It listens on loopback unless another address was asked for, and refuses what a browser sends
//! for a web page: requests with an `Origin`, and on loopback those for a host of another name,
//! which a page reaches by DNS rebinding.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{DATE, HOST, HeaderMap, HeaderValue, ORIGIN};
use http::uri::Authority;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;
use storescope_model::{Model, ModelError};

use crate::body::{Pace, PacedBody};
use crate::error::{ApiError, StartError};
use crate::fault::Fault;
use crate::identity::{NewUser, Policy, Rotated, User};
use crate::record::RecordLine;
use crate::reply::Reply;
use crate::request::parse_json;
use crate::server::Server;
use crate::target::Target;

/// Most bytes of an admin request's body.
const MAX_BODY: usize = 1 << 20;
/// Most seconds that the clock is shifted.
const MAX_OFFSET: i64 = 10 * 365 * 24 * 3600;
/// Most seconds that a token lives.
const MAX_LIFETIME: u64 = 365 * 24 * 3600;

/// The admin API in process; clones steer the same emulator.
#[derive(Clone)]
pub struct Admin(pub(crate) Arc<Server>);

impl Admin {
    /// Adds a fault and returns its id.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.0.faults.add(fault)
    }

    /// How many requests a fault matched so far, and to how many of them it was done; `None` if there is none of this id. A
    /// request counts when its head has been read and its signature was good, before it acts.
    pub fn fault_counts(&self, id: u64) -> Option<(u64, u64)> {
        self.0.faults.counts(id)
    }

    /// Removes a fault; false if there is none of this id.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.0.faults.remove(id)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// Changes the latency model; its draws begin at the emulator's seed again.
    pub fn set_model(&self, model: &Model) -> Result<(), ModelError> {
        model.check()?;
        self.0.latency.set(model);
        Ok(())
    }

    /// How long copies take from now on; at first they are done at once.
    pub fn set_copy_delay(&self, delay: Duration) {
        self.0.works.set_delay(delay);
    }

    /// The requests that ended, in the order in which they ended; with `since`, only those of a
    /// greater id.
    pub fn record(&self, since: Option<u64>) -> Vec<RecordLine> {
        self.0.record.lines(since)
    }

    /// Forgets the requests that ended; the file keeps them.
    pub fn clear_record(&self) {
        self.0.record.clear();
    }

    /// Security tokens given out from now on live so long, at least a second; files are not
    /// rewritten.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.0.identity.set_lifetime(lifetime);
    }

    /// Refuses every security token given out so far, those in files too.
    pub fn expire_tokens(&self) {
        self.0.identity.expire();
    }

    /// Puts a new key or token in the place of one, under the same path.
    pub fn rotate(&self, what: Rotated) -> Result<(), StartError> {
        self.0.identity.rotate(what, self.0.clock.wall())
    }

    /// Shifts the clock that clients see, in the place of what
    /// [`Builder::clock_offset`](crate::Builder::clock_offset) set.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.0.clock.set_offset(seconds);
    }

    /// Adds a user with an API key of its own and a profile in the configuration file.
    pub fn add_user(&self, user: &NewUser) -> Result<User, StartError> {
        let user = self.0.identity.add_user(user)?;
        self.0.add_storage(&user.namespace);
        Ok(user)
    }

    /// From now on principals may do what these statements allow, and nothing else; without
    /// statements, everything in the namespace of their own tenancy.
    pub fn set_policies(&self, policies: Option<Vec<Policy>>) {
        self.0.identity.policies.set(policies);
    }

    /// Answers a request to a listener at `address`.
    pub(crate) async fn serve(
        self,
        request: Request<Incoming>,
        address: IpAddr,
    ) -> Result<Response<PacedBody>, Infallible> {
        let (parts, body) = request.into_parts();
        let reply = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => check_caller(&parts.headers, address)
                .and_then(|()| {
                    let body = body.to_bytes();
                    // A new key takes a tenth of a second.
                    tokio::task::block_in_place(|| {
                        self.answer(parts.method.as_str(), &parts.uri, &body)
                    })
                })
                .unwrap_or_else(Reply::from),
            Err(error) => ApiError::bad_request("CannotParseRequest", error.to_string()).into(),
        };
        let timer = self.0.timer.clone();
        let mut response = Response::new(PacedBody::new(reply.body, Pace::default(), timer));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        let date = HeaderValue::try_from(httpdate::fmt_http_date(self.0.clock.wall()));
        response.headers_mut().insert(DATE, date.expect("dates are ASCII"));
        Ok(response)
    }

    fn answer(&self, method: &str, uri: &http::Uri, body: &[u8]) -> Result<Reply, ApiError> {
        let done = || Ok(Reply::empty(StatusCode::NO_CONTENT));
        match (method, uri.path()) {
            ("GET", "/health") => Ok(Reply::json(StatusCode::OK, &json!({"status": "ok"}))),
            ("GET", "/record") => {
                let since = query_number(uri, "since")?;
                Ok(Reply::json(StatusCode::OK, &self.record(since)))
            }
            ("DELETE", "/record") => {
                self.clear_record();
                done()
            }
            ("GET", "/faults") => Ok(Reply::json(StatusCode::OK, &self.0.faults.states())),
            ("POST", "/faults") => self.post_faults(body),
            ("DELETE", "/faults") => {
                self.clear_faults();
                done()
            }
            ("DELETE", path) if path.starts_with("/faults/") => {
                let id = path["/faults/".len()..].parse();
                if id.is_ok_and(|id| self.remove_fault(id)) { done() } else { Err(not_found()) }
            }
            ("PUT", "/copy_delay") => {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Delay {
                    ms: u64,
                }
                let Delay { ms } = parse_json(body)?;
                self.set_copy_delay(Duration::from_millis(ms));
                done()
            }
            ("PUT", "/model") => {
                let text = std::str::from_utf8(body)
                    .map_err(|error| ApiError::bad_request("InvalidModel", error.to_string()))?;
                self.set_model(&read_model(text)?).map_err(invalid_model)?;
                done()
            }
            (method, path) => match self.answer_identity(method, path, body)? {
                Some(value) if value.is_null() => done(),
                Some(value) => Ok(Reply::json(StatusCode::OK, &value)),
                None => Err(not_found()),
            },
        }
    }

    /// Principals, users, policies and the clock; none if it is another path. Null is an empty
    /// answer.
    fn answer_identity(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Option<serde_json::Value>, ApiError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Lifetime {
            seconds: u64,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rotate {
            what: Rotated,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Offset {
            offset_s: i64,
        }
        let failed = |error: StartError| match error {
            StartError::User(why) => ApiError::bad_request("InvalidUser", why),
            error => ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                error.to_string(),
            ),
        };
        let identity = &self.0.identity;
        match (method, path) {
            ("PUT", "/principals/lifetime") => {
                let Lifetime { seconds } = parse_json(body)?;
                self.set_token_lifetime(Duration::from_secs(seconds.min(MAX_LIFETIME)));
            }
            ("POST", "/principals/expire") => self.expire_tokens(),
            ("POST", "/principals/rotate") => {
                let Rotate { what } = parse_json(body)?;
                self.rotate(what).map_err(failed)?;
            }
            ("PUT", "/clock") => {
                let Offset { offset_s } = parse_json(body)?;
                if offset_s.unsigned_abs() > MAX_OFFSET.unsigned_abs() {
                    let why = format!("offset_s is beyond {MAX_OFFSET} seconds");
                    return Err(ApiError::bad_request("InvalidParameter", why));
                }
                self.set_clock_offset(offset_s);
            }
            ("GET", "/users") => return Ok(Some(json!(identity.users()))),
            ("POST", "/users") => {
                let user = self.add_user(&parse_json(body)?).map_err(failed)?;
                return Ok(Some(json!(user)));
            }
            ("GET", "/policies") => return Ok(Some(json!(identity.policies.all()))),
            ("PUT", "/policies") => self.set_policies(Some(parse_json(body)?)),
            ("DELETE", "/policies") => self.set_policies(None),
            _ => return Ok(None),
        }
        Ok(Some(serde_json::Value::Null))
    }

    /// One rule or an array of rules; none is added unless all are possible.
    fn post_faults(&self, body: &[u8]) -> Result<Reply, ApiError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Values {
            Many(Vec<serde_json::Value>),
            One(serde_json::Value),
        }
        let invalid = |why: String| ApiError::bad_request("InvalidFault", why);
        let values = match serde_json::from_slice(body).map_err(|e| invalid(e.to_string()))? {
            Values::Many(values) => values,
            Values::One(value) => vec![value],
        };
        let faults = values
            .into_iter()
            .map(|value| {
                let fault: Fault =
                    serde_json::from_value(value).map_err(|e| invalid(e.to_string()))?;
                fault.check().map_err(invalid)?;
                Ok(fault)
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        let ids: Vec<u64> = faults.into_iter().map(|fault| self.fault(fault)).collect();
        Ok(Reply::json(StatusCode::OK, &json!({ "ids": ids })))
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// Refuses what a browser sends for a web page: the page may be anybody's.
fn check_caller(headers: &HeaderMap, address: IpAddr) -> Result<(), ApiError> {
    let refused = |message: String| Err(ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message));
    if headers.contains_key(ORIGIN) {
        return refused("The admin API takes no requests of web pages (header Origin)".to_owned());
    }
    if !address.is_loopback() {
        return Ok(());
    }
    // HTTP/1.0 has no Host; a browser always sends one.
    let Some(host) = headers.get(HOST) else { return Ok(()) };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    if authority.as_ref().is_some_and(|authority| is_loopback(authority.host())) {
        return Ok(());
    }
    let host = String::from_utf8_lossy(host.as_bytes());
    refused(format!(
        "The admin API listens on loopback and is not called {host}: ask for it by its address, or \
         start the emulator with --admin-address"
    ))
}

/// Whether a host is `localhost` or an address of loopback.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// A model's name, or its TOML.
fn read_model(text: &str) -> Result<Model, ApiError> {
    let name = text.trim().trim_matches('"');
    if Model::names().contains(&name) || !text.contains('=') {
        return Model::named(name).map_err(invalid_model);
    }
    Model::from_toml(text).map_err(invalid_model)
}

#[expect(clippy::needless_pass_by_value, reason = "a function of map_err")]
fn invalid_model(error: ModelError) -> ApiError {
    ApiError::bad_request("InvalidModel", error.to_string())
}

fn query_number(uri: &http::Uri, name: &str) -> Result<Option<u64>, ApiError> {
    let target = Target::parse(uri.path_and_query().map_or("", |target| target.as_str()));
    let number = target.query(name).map(str::parse).transpose();
    number.map_err(|_| ApiError::bad_request("InvalidParameter", format!("{name} is no number")))
}

fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "NotFound", "The admin API has no such path")
}
