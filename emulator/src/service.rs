// SPDX-License-Identifier: Apache-2.0
//! One request from its head to its answer.
//!
//! ```text
//!  head read ─► draw ─► line opened ─► signature ─► faults ─► operation (body read where there
//!     is one) ─► wait until first byte is due ─► answer told to the connection ─► hyper
//! ```
//!
//! A body is asked for (`100 Continue`) only when its request's signature was found good. What is
//! refused before its body was read is answered at once, and the connection closed, if the client
//! waits for a 100; else the body is read and dropped first.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use storescope_model::{Model, Sampler};
use storescope_sign::{Authorization, Rule};

use crate::api::{OCI, Place, Refused};
use crate::body::{Nic, Pace, PacedBody};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::fault::{Answer, Faults, Plan};
use crate::identity::Identity;
use crate::intake::{Algorithm, Intake, Received};
use crate::record::{Record, RecordLine};
use crate::reply::{ApiError, Reply};
use crate::storage::Storage;
use crate::target::{BucketName, Route, Target};
use crate::timer::Timer;
use crate::works::Works;
use crate::{actions, buckets, objects, pars, s3, uploads};

/// Most bytes of a JSON body.
const MAX_JSON: u64 = 1 << 20;
/// Most bytes of one PutObject.
const MAX_PUT: u64 = 50 << 30;
/// Most bytes that are read only to be dropped.
const MAX_DRAIN: u64 = 64 << 20;

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");
const DELEGATION_TOKEN: &str = "opc-obo-token";

/// All that the requests of one emulator share.
pub(crate) struct Server {
    pub(crate) storage: Storage,
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) timer: Timer,
    pub(crate) record: Arc<Record>,
    pub(crate) faults: Faults,
    pub(crate) latency: Latency,
    pub(crate) works: Works,
    pub(crate) last_request: AtomicU64,
    pub(crate) last_connection: AtomicU64,
}

/// A connection that ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) &'static str);

impl Server {
    /// Answers one request of a connection, by the native API or by the other one.
    pub(crate) async fn serve(
        self: Arc<Server>,
        connection: Arc<Connection>,
        request: Request<Incoming>,
        s3: Option<s3::Service>,
    ) -> Result<Response<PacedBody>, Broken> {
        let head_read_ns = connection.last_read_ns();
        let first = connection.is_first_request();
        let drawn = self.latency.draw(first);
        let id = self.last_request.fetch_add(1, Ordering::Relaxed) + 1;
        let (parts, body) = request.into_parts();
        connection.open(line(id, &connection, &parts, drawn.wait, head_read_ns));

        let mut exchange = Exchange {
            server: &self,
            connection: &connection,
            id,
            parts: &parts,
            body: Arc::new(Mutex::new(body)),
            reused: !first,
            throttled: drawn.throttled,
            plan: Plan::default(),
            ids: Ids::new(s3.is_some()),
        };
        let has_body = !exchange.body().is_end_stream();
        let acted = match &s3 {
            None => exchange.act().await?.map(|reply| reply.for_method(&parts.method)),
            Some(s3) => exchange.act_by_s3(s3).await?,
        };
        let reply = match acted {
            Ok(reply) => reply,
            Err(error) => {
                let reply = exchange.refuse(error.into()).await?;
                if s3.is_some() { reply } else { reply.for_method(&parts.method) }
            }
        };
        let Exchange { plan, ids, .. } = exchange;
        if plan.drop_response {
            connection.reset();
            return Err(Broken("the answer is dropped by a fault"));
        }
        let wait = drawn.wait + plan.delay;
        if !wait.is_zero() {
            let read_ns = if has_body { connection.last_read_ns() } else { head_read_ns };
            self.timer.sleep_until(self.clock.instant(read_ns) + wait).await;
        }
        let length = reply.body.len();
        connection.answer(id, reply.status.as_u16(), length, plan.truncate);
        let pace = Pace {
            bytes_per_second: drawn.bytes_per_second,
            nic: drawn.nic,
            stall: plan.stall.filter(|(after, _)| *after < length),
            corrupt: plan.corrupt,
        };
        Ok(self.respond(reply, &parts, pace, ids))
    }

    fn respond(&self, reply: Reply, parts: &Parts, pace: Pace, ids: Ids) -> Response<PacedBody> {
        let Reply { status, headers, body, unsent, close } = reply;
        let mut response = Response::new(PacedBody::new(body, pace, self.timer.clone()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let own = response.headers_mut();
        let text = |text: String| HeaderValue::try_from(text).expect("dates and ids are ASCII");
        own.insert(DATE, text(httpdate::fmt_http_date(self.clock.wall())));
        let request_id = text(ids.request);
        if let Some(host_id) = ids.host {
            own.insert("x-amz-request-id", request_id.clone());
            own.insert("x-amz-id-2", text(host_id));
        }
        own.insert("opc-request-id", request_id);
        if let Some(id) = parts.headers.get(CLIENT_REQUEST_ID) {
            own.insert(CLIENT_REQUEST_ID, id.clone());
        }
        if let Some(length) = unsent {
            own.insert(CONTENT_LENGTH, length.into());
        }
        if close {
            own.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn line(
    id: u64,
    connection: &Connection,
    parts: &Parts,
    drawn: Duration,
    head_read_ns: u64,
) -> RecordLine {
    let header = |name| {
        let value = parts.headers.get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    RecordLine {
        id,
        client_request_id: header("opc-client-request-id")
            .or_else(|| header("amz-sdk-invocation-id")),
        connection: connection.number,
        tls: connection.tls,
        user_agent: header("user-agent"),
        method: parts.method.to_string(),
        target: raw_target(parts).to_owned(),
        range: header("range"),
        status: None,
        bytes_in: 0,
        bytes_out: 0,
        drawn_ttfb_ns: drawn.as_nanos() as u64,
        head_read_ns,
        first_byte_ns: None,
        last_byte_ns: None,
    }
}

/// The target byte for byte: hyper and http::Uri keep it.
pub(crate) fn raw_target(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// By what an answer is found again.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    /// In the shape of the service's: region key, and an opaque id.
    pub(crate) request: String,
    /// The second one that an answer of the S3 API has.
    pub(crate) host: Option<String>,
}

impl Ids {
    fn new(is_s3: bool) -> Ids {
        let mut bytes = [0_u8; 24 + 57];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        let (request, host) = bytes.split_at(24);
        Ids {
            request: format!("iad-1:{}", URL_SAFE_NO_PAD.encode(request)),
            host: is_s3.then(|| STANDARD.encode(host)),
        }
    }
}

/// A request while it is worked on.
pub(crate) struct Exchange<'a> {
    pub(crate) server: &'a Arc<Server>,
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) id: u64,
    pub(crate) parts: &'a Parts,
    /// Shared with the S3 service while that reads it.
    pub(crate) body: Arc<Mutex<Incoming>>,
    /// Whether the connection has served a request before.
    pub(crate) reused: bool,
    /// Whether the model's request rate is exceeded.
    pub(crate) throttled: bool,
    pub(crate) plan: Plan,
    pub(crate) ids: Ids,
}

impl Exchange<'_> {
    pub(crate) fn body(&self) -> MutexGuard<'_, Incoming> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies, asks the faults, and does the operation.
    async fn act(&mut self) -> Result<Result<Reply, ApiError>, Broken> {
        let target = Target::parse(raw_target(self.parts));
        let rule = target.route.rule(&self.parts.method);
        let authorization = match self.authorize(&target, rule) {
            Ok(authorization) => authorization,
            Err(error) => return Ok(Err(error)),
        };
        self.plan = self.server.faults.plan(
            self.parts.method.as_str(),
            raw_target(self.parts),
            self.reused,
        );
        if self.plan.reset {
            self.connection.reset();
            return Err(Broken("the connection is reset by a fault"));
        }
        if let Some(answer) = self.plan.answer.take() {
            return self.refuse(answer.into()).await.map(Ok);
        }
        if self.throttled {
            return Ok(Err(too_many_requests()));
        }
        if let Err(refused) = self.check_api(&target) {
            return self.refuse(refused.into()).await.map(Ok);
        }
        if rule == Rule::BodyExcluded {
            return self.upload(&target, authorization.as_ref()).await;
        }
        let body = match self.read_body(MAX_JSON).await? {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        let sha256 = || storescope_sign::sha256(&body);
        Ok(self
            .check_body(authorization.as_ref(), sha256)
            .and_then(|()| self.check_members(&target, &body))
            .and_then(|()| self.operate(&target, &body)))
    }

    /// Whether all that the head asks for is served.
    fn check_api(&self, target: &Target) -> Result<(), Refused> {
        let Some(operation) = target.route.operation(self.parts.method.as_str()) else {
            return Ok(());
        };
        OCI.check_operation(operation)?;
        OCI.check_headers(operation, &self.parts.headers, "opc-")?;
        target.pairs().try_for_each(|(name, value)| OCI.check(Place::Query, name, operation, value))
    }

    /// Whether all that a body asks for is served; one that is no JSON is refused where it is read.
    fn check_members(&self, target: &Target, body: &[u8]) -> Result<(), ApiError> {
        let operation = target.route.operation(self.parts.method.as_str());
        match (operation, serde_json::from_slice(body)) {
            (Some(operation), Ok(body)) => OCI.check_members(operation, "", &body),
            _ => Ok(()),
        }
    }

    /// Who asks: a signature that is good, or nobody where a token or a public bucket allows it.
    fn authorize(&self, target: &Target, rule: Rule) -> Result<Option<Authorization>, ApiError> {
        let Server { identity, clock, storage, .. } = &**self.server;
        let (now, method) = (clock.wall(), self.parts.method.as_str());
        if let Some(token) = &target.token {
            return pars::check_token(storage, token, method, target, now).map(|()| None);
        }
        if !self.parts.headers.contains_key(AUTHORIZATION)
            && pars::check_public(storage, method, target)?
        {
            return Ok(None);
        }
        let authorization = storescope_sign::verify(
            &self.signed_request(&|name| objects::text(&self.parts.headers, name)),
            rule,
            None,
            |key_id| identity.key(key_id, now),
            Some(now),
        )
        .map_err(|refusal| ApiError::not_authenticated(&refusal))?;
        // Unsigned, anybody between could have put it there.
        if let Some(token) = objects::text(&self.parts.headers, DELEGATION_TOKEN) {
            if !authorization.signs(DELEGATION_TOKEN) {
                return Err(ApiError::not_authenticated(&"opc-obo-token is not signed"));
            }
            if !identity.delegates(token, now) {
                return Err(ApiError::not_authenticated(&"opc-obo-token is not a good one"));
            }
        }
        Ok(Some(authorization))
    }

    /// Compares a body's hash with the signed one, if one was signed.
    fn check_body(
        &self,
        authorization: Option<&Authorization>,
        sha256: impl FnOnce() -> [u8; 32],
    ) -> Result<(), ApiError> {
        let Some(authorization) = authorization.filter(|signed| signs_body(signed)) else {
            return Ok(());
        };
        let header = |name: &str| objects::text(&self.parts.headers, name);
        authorization
            .check_body(&self.signed_request(&header), &sha256())
            .map_err(|refusal| ApiError::not_authenticated(&refusal))
    }

    fn signed_request<'r>(
        &'r self,
        header: &'r dyn Fn(&str) -> Option<&'r str>,
    ) -> storescope_sign::Request<'r> {
        storescope_sign::Request {
            method: self.parts.method.as_str(),
            target: raw_target(self.parts),
            header,
        }
    }

    /// PutObject and UploadPart.
    async fn upload(
        &mut self,
        target: &Target,
        authorization: Option<&Authorization>,
    ) -> Result<Result<Reply, ApiError>, Broken> {
        if let Err(error) = self.check_upload(target) {
            return Ok(Err(error));
        }
        let headers = &self.parts.headers;
        let mut digests = objects::digests(headers);
        if authorization.is_some_and(signs_body) && !digests.contains(&Algorithm::Sha256) {
            digests.push(Algorithm::Sha256);
        }
        let received = match self.receive(&digests).await? {
            Ok(received) => received,
            Err(error) => return Ok(Err(error)),
        };
        Ok(self.store(target, authorization, received))
    }

    /// What can be refused before the body is read.
    fn check_upload(&self, target: &Target) -> Result<(), ApiError> {
        let (Server { storage, .. }, headers) = (&**self.server, &self.parts.headers);
        let (Route::Object { bucket, name } | Route::Upload { bucket, name }) = &target.route
        else {
            return Err(not_served(raw_target(self.parts)));
        };
        let name = name.as_deref().ok_or_else(not_utf8)?;
        if !headers.contains_key(CONTENT_LENGTH) {
            return Err(ApiError::new(
                StatusCode::LENGTH_REQUIRED,
                "ContentLengthRequired",
                "The Content-Length header is required",
            ));
        }
        objects::check_name(name)?;
        if matches!(target.route, Route::Object { .. }) {
            objects::condition(headers)?;
            storage.bucket(bucket)?;
        } else {
            uploads::part_number(target)?;
            objects::condition(headers)?;
            storage.upload(bucket, (name, uploads::id(target)?))?;
        }
        Ok(())
    }

    fn store(
        &self,
        target: &Target,
        authorization: Option<&Authorization>,
        received: Received,
    ) -> Result<Reply, ApiError> {
        let (Server { storage, clock, .. }, headers) = (&**self.server, &self.parts.headers);
        self.check_body(authorization, || {
            let sha256 = received.digest(Algorithm::Sha256).and_then(|hash| hash.try_into().ok());
            sha256.expect("it is taken where a body is signed")
        })?;
        match &target.route {
            Route::Object { bucket, name: Some(name) } => {
                objects::put(storage, bucket, name, headers, received, clock.wall())
            }
            Route::Upload { bucket, name: Some(name) } => {
                let part = (name.as_str(), target);
                uploads::put_part(storage, bucket, part, headers, received, clock.wall())
            }
            _ => Err(not_served(raw_target(self.parts))),
        }
    }

    /// Every operation that has a small body or none.
    fn operate(&self, target: &Target, body: &[u8]) -> Result<Reply, ApiError> {
        let Server { storage, clock, works, .. } = &**self.server;
        let Parts { method, headers, .. } = self.parts;
        let now = clock.wall();
        match (&target.route, method.as_str()) {
            (Route::Namespace, "GET") => buckets::namespace(storage, target),
            (Route::NamespaceMetadata { namespace }, "GET") => {
                buckets::namespace_metadata(storage, namespace)
            }
            (Route::NotServed { .. }, _) => Err(not_served(raw_target(self.parts))),
            (Route::Buckets { namespace }, "GET") => buckets::list(storage, namespace, target),
            (Route::Buckets { namespace }, "POST") => {
                buckets::create(storage, namespace, body, now)
            }
            (Route::Bucket { bucket }, "GET" | "HEAD") => {
                buckets::get(storage, bucket, headers, target)
            }
            (Route::Bucket { bucket }, "POST") => buckets::update(storage, bucket, headers, body),
            (Route::Bucket { bucket }, "DELETE") => buckets::delete(storage, bucket, headers),
            (Route::Objects { bucket }, "GET") => objects::list(storage, bucket, target, now),
            (Route::ObjectVersions { bucket }, "GET") => {
                objects::list_versions(storage, bucket, target, now)
            }
            (Route::Object { name: None, .. } | Route::Upload { name: None, .. }, _) => {
                Err(not_utf8())
            }
            (Route::Object { bucket, name: Some(name) }, "GET" | "HEAD") => {
                objects::get(storage, bucket, name, (method, headers, target), &self.plan, now)
            }
            (Route::Object { bucket, name: Some(name) }, "DELETE") => {
                objects::delete(storage, bucket, name, (headers, target), now)
            }
            (Route::Uploads { bucket }, "POST") => {
                uploads::create(storage, bucket, headers, body, now)
            }
            (Route::Uploads { bucket }, "GET") => uploads::list(storage, bucket, target),
            (Route::Upload { bucket, name: Some(name) }, "GET") => {
                uploads::list_parts(storage, bucket, name, target)
            }
            (Route::Upload { bucket, name: Some(name) }, "POST") => {
                uploads::commit(storage, bucket, (name, target), headers, body, now)
            }
            (Route::Upload { bucket, name: Some(name) }, "DELETE") => {
                uploads::abort(storage, bucket, name, target)
            }
            (Route::Action { bucket, action }, "POST") => self.act_on(bucket, action, body),
            (Route::Pars { bucket }, "POST") => {
                pars::create(storage, bucket, body, &self.base(), now)
            }
            (Route::Pars { bucket }, "GET") => pars::list(storage, bucket, target),
            (Route::Par { bucket, id }, "GET") => pars::get(storage, bucket, id),
            (Route::Par { bucket, id }, "DELETE") => pars::delete(storage, bucket, id),
            (Route::WorkRequests, "GET") => works.list(target),
            (Route::WorkRequest { id, part }, method) => {
                works.answer(method, (id, part), target, now)
            }
            (Route::Unknown, _) => Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "NotFound",
                "This path is not one of the service",
            )),
            _ => Err(ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                format!("{method} is not allowed here"),
            )),
        }
    }

    /// POST to `/actions/`.
    fn act_on(&self, bucket: &BucketName, action: &str, body: &[u8]) -> Result<Reply, ApiError> {
        let (storage, now) = (&self.server.storage, self.server.clock.wall());
        match action {
            "renameObject" => actions::rename(storage, bucket, body, now),
            "copyObject" => actions::Copy::parse(storage, bucket, body, now)
                .map(|copy| Works::accept(self.server, copy)),
            "batchDeleteObjects" => actions::delete_batch(storage, bucket, body, now),
            "updateObjectStorageTier" => actions::set_tier(storage, bucket, body, now),
            "restoreObjects" => actions::restore(storage, bucket, body, now),
            _ => Err(not_served(action)),
        }
    }

    /// The address that the client used.
    fn base(&self) -> String {
        let scheme = if self.connection.tls { "https" } else { "http" };
        format!("{scheme}://{}", objects::text(&self.parts.headers, "host").unwrap_or_default())
    }

    /// Takes in the body of an upload; it breaks off with its connection.
    async fn receive(
        &mut self,
        digests: &[Algorithm],
    ) -> Result<Result<Received, ApiError>, Broken> {
        let length = self.body().size_hint().lower();
        if length > MAX_PUT {
            return Ok(Err(too_large(MAX_PUT)));
        }
        let mut intake = match Intake::begin(self.server.storage.folder(), length, digests) {
            Ok(intake) => intake,
            Err(error) => return Ok(Err(ApiError::storage(error))),
        };
        while let Some(data) = self.next_data().await? {
            if let Err(error) = intake.write(&data).await {
                return Ok(Err(ApiError::storage(error)));
            }
        }
        Ok(intake.finish().await.map_err(ApiError::storage))
    }

    /// Reads a small body whole; it breaks off with its connection.
    pub(crate) async fn read_body(&mut self, most: u64) -> Result<Result<Bytes, ApiError>, Broken> {
        let length = self.body().size_hint().lower();
        if length > most {
            return Ok(Err(too_large(most)));
        }
        let mut read = BytesMut::with_capacity(length as usize);
        while let Some(data) = self.next_data().await? {
            read.extend_from_slice(&data);
            if read.len() as u64 > most {
                return Ok(Err(too_large(most)));
            }
        }
        Ok(Ok(read.freeze()))
    }

    async fn next_data(&mut self) -> Result<Option<Bytes>, Broken> {
        while let Some(frame) =
            std::future::poll_fn(|cx| Pin::new(&mut *self.body()).poll_frame(cx)).await
        {
            let frame = frame.map_err(|_| Broken("the request broke off"))?;
            if let Ok(data) = frame.into_data() {
                let length = data.len() as u64;
                self.connection.amend(self.id, |line| line.bytes_in += length);
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Makes an answer that comes before the body was read fit for its connection.
    pub(crate) async fn refuse(&mut self, mut reply: Reply) -> Result<Reply, Broken> {
        let waits = self
            .parts
            .headers
            .get("expect")
            .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let mut drained = 0;
        while !self.body().is_end_stream() {
            if waits || drained > MAX_DRAIN {
                reply.close = true;
                self.connection.linger();
                break;
            }
            let Some(data) = self.next_data().await? else { break };
            drained += data.len() as u64;
        }
        Ok(reply)
    }
}

pub(crate) fn too_many_requests() -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequests",
        "The model's request rate is exceeded",
    )
}

fn signs_body(authorization: &Authorization) -> bool {
    authorization.signs("x-content-sha256")
}

fn too_large(most: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLarge",
        format!("The body has more than {most} bytes"),
    )
}

/// An operation that no table names.
fn not_served(name: &str) -> ApiError {
    Refused { place: Place::Operation, name: name.to_owned() }.into()
}

fn not_utf8() -> ApiError {
    ApiError::bad_request("InvalidObjectName", "The object's name is not UTF-8")
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        let status =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Reply::from(ApiError::new(status, &answer.code, answer.message));
        match answer.retry_after {
            Some(seconds) => reply.with_text("retry-after", &seconds.to_string()),
            None => reply,
        }
    }
}

/// The latency model at work.
pub(crate) struct Latency {
    seed: u64,
    state: Mutex<Option<Active>>,
}

/// A model that costs something.
struct Active {
    sampler: Sampler,
    cold_connection: Duration,
    nic: Option<Arc<Nic>>,
    requests: Option<Requests>,
}

/// A bucket of one second's requests.
struct Requests {
    per_second: f64,
    left: f64,
    refilled: Instant,
}

/// What one request is given.
#[derive(Default)]
struct Drawn {
    wait: Duration,
    bytes_per_second: Option<f64>,
    nic: Option<Arc<Nic>>,
    throttled: bool,
}

impl Latency {
    pub(crate) fn new(model: &Model, seed: u64) -> Latency {
        Latency { seed, state: Mutex::new(Active::new(model, seed)) }
    }

    /// Changes the model; its draws begin at the emulator's seed.
    pub(crate) fn set(&self, model: &Model) {
        *self.lock() = Active::new(model, self.seed);
    }

    fn draw(&self, first: bool) -> Drawn {
        let mut state = self.lock();
        let Some(active) = &mut *state else { return Drawn::default() };
        let draw = active.sampler.draw();
        let cold = if first { active.cold_connection } else { Duration::ZERO };
        Drawn {
            wait: draw.ttfb + cold,
            bytes_per_second: draw.bytes_per_second,
            nic: active.nic.clone(),
            throttled: active.requests.as_mut().is_some_and(|requests| !requests.take()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Active>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    fn new(model: &Model, seed: u64) -> Option<Active> {
        (!model.is_free()).then(|| Active {
            sampler: Sampler::new(model, seed),
            cold_connection: model.cold_connection.unwrap_or_default(),
            nic: model.nic.map(|nic| Arc::new(Nic::new(nic.bytes_per_second()))),
            requests: model.requests_per_second.map(|per_second| Requests {
                per_second,
                left: per_second.max(1.0),
                refilled: Instant::now(),
            }),
        })
    }
}

impl Requests {
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
