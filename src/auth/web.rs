// SPDX-License-Identifier: Apache-2.0
//! Requests for identities: to instance metadata, to the identity service, to an identity domain. Made by a transport
//! of their own, since neither the limits nor the figures of a store's requests are theirs.
//!
//! One request each, without retries: the call that waits for an identity retries, and so does the renewal in the
//! background.

use super::clock::Clock;
use super::retry::AuthRetry;
use super::secrets::{header, secret_body, secret_header, without_signature};
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Gauges, Operation, Recorders};
use crate::transport::{BaseUrl, RequestBody, Response, Transport};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue,
};
use hyper::{Method, Request, StatusCode, Uri};
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use storescope_sign::{PrivateKey, Rule, authorization, sha256, signing_string};
use zeroize::{Zeroize as _, Zeroizing};

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");
/// Our name for a request, found again in the service's log.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a link-local or cluster address may take to be connected to: it answers at once, or is not there.
const NEAR: Duration = Duration::from_secs(2);
/// How long the first byte of an answer may take.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER: usize = 256 << 10;
/// Characters of a refusal that are told.
const TOLD: usize = 200;

/// Asks services for identities.
#[derive(Debug)]
pub(super) struct Web {
    transport: Transport,
    clock: Clock,
}

/// A request.
pub(super) struct Ask<'a> {
    /// What is asked, as errors name it.
    pub(super) what: &'a str,
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, Zeroizing<String>)>,
    /// The body and its type.
    pub(super) body: Option<(&'static str, Zeroizing<Vec<u8>>)>,
    /// Who signs it, if anybody.
    pub(super) signed: Option<Signing<'a>>,
}

/// What a request is signed with.
#[derive(Clone, Copy)]
pub(super) struct Signing<'a> {
    pub(super) key_id: &'a str,
    pub(super) key: &'a PrivateKey,
    pub(super) rule: Rule,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The status, where the service refused.
    pub(super) status: Option<StatusCode>,
    failure: Failure,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal { status: None, failure }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        refusal.failure
    }
}

/// A success.
pub(super) struct Answer {
    what: String,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
    /// The server's clock.
    pub(super) date: Option<SystemTime>,
}

impl Web {
    pub(super) fn new(config: &Config, user_agent: &'static str) -> Web {
        let config = config.clone().bwlimit(0u64);
        let first_byte = config.first_byte_timeout.min(FIRST_BYTE);
        let config = config.first_byte_timeout(first_byte);
        let transport = Transport::new(&config, user_agent, &Arc::new(Gauges::default()));
        Web { transport, clock: Clock::new(&config) }
    }

    /// Asks addresses of this machine or cluster, which no proxy reaches. `ca` are the certificates to trust there.
    pub(super) fn near(config: &Config, user_agent: &'static str, ca: Option<&Path>) -> Web {
        Web::new(&Web::nearby(config, ca), user_agent)
    }

    /// The settings of such requests.
    pub(super) fn nearby(config: &Config, ca: Option<&Path>) -> Config {
        let timeout = config.connect_timeout.min(NEAR);
        let config = config.clone().http_proxy(None).https_proxy(None).connect_timeout(timeout);
        match ca {
            Some(ca) => config.ca_bundle(ca.to_owned()),
            None => config,
        }
    }

    /// One request. A 401 whose date is far from ours is signed once more, by the server's clock.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, Refusal> {
        let refusal = match self.within_patience(&ask).await {
            Err(refusal) if refusal.status == Some(StatusCode::UNAUTHORIZED) => refusal,
            answered => return answered,
        };
        let date = refusal.failure.server_date.filter(|_| ask.signed.is_some());
        match date.and_then(|date| self.clock.correct(date)) {
            Some(AuthRetry::Retry) => self.within_patience(&ask).await,
            Some(AuthRetry::GiveUp(advice)) => {
                Err(Refusal { failure: refusal.failure.hint(advice), ..refusal })
            }
            None => Err(refusal),
        }
    }

    async fn within_patience(&self, ask: &Ask<'_>) -> Result<Answer, Refusal> {
        let id = format!("{:032X}", fastrand::u128(..));
        let sent = tokio::time::timeout(PATIENCE, self.send(ask, &id)).await;
        let sent = sent.unwrap_or_else(|_| {
            let why = format!("no answer within {PATIENCE:?}");
            Err(Failure::new(ErrorKind::Timeout).message(why).into())
        });
        sent.map_err(|mut refusal| {
            let failure = &mut refusal.failure;
            failure.message = format!("{} ({}): {}", ask.what, ask.url, failure.message);
            failure.client_request_id = Some(id);
            // Of the request that waits for the identity.
            failure.unsent = true;
            failure.stale_connection = false;
            refusal
        })
    }

    async fn send(&self, ask: &Ask<'_>, id: &str) -> Result<Answer, Refusal> {
        let base = BaseUrl::parse(&ask.url).map_err(Failure::from)?;
        let target = if base.path().is_empty() { "/" } else { base.path() };
        let mut headers = self.headers(ask, target, base.origin().authority()).await?;
        headers.insert(CLIENT_REQUEST_ID, header(id)?);
        let body = ask.body.as_ref().map_or(Bytes::new(), |(_, body)| secret_body(body.clone()));
        if ask.body.is_some() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let mut request = Request::new(RequestBody::new(Payload::from(body)));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = target
            .parse::<Uri>()
            .map_err(|e| Failure::new(ErrorKind::Config).message("is no URL").source(e))?;
        *request.headers_mut() = headers;
        let timer = AttemptTimer::start(&Recorders::off(), Operation::Get);
        // Minutes lie between two requests: a connection of the last one would be dead.
        let endpoint = self.transport.endpoint(base.origin());
        let response = self.transport.send(&endpoint, request, timer, true).await?;
        read(ask.what, response).await
    }

    async fn headers(&self, ask: &Ask<'_>, target: &str, host: &str) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, header(host)?);
        for (name, text) in &ask.headers {
            headers.insert(name, secret_header(text.clone())?);
        }
        if let Some((kind, _)) = &ask.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(signing) = ask.signed {
            let body = ask.body.as_ref().map(|(_, body)| body.as_slice());
            self.sign(&mut headers, signing, &ask.method, target, body).await?;
        }
        Ok(headers)
    }

    async fn sign(
        &self,
        headers: &mut HeaderMap,
        Signing { key_id, key, rule }: Signing<'_>,
        method: &Method,
        target: &str,
        body: Option<&[u8]>,
    ) -> Result<(), Failure> {
        headers.insert(DATE, header(&httpdate::fmt_http_date(self.clock.now()))?);
        let length = body.unwrap_or_default().len().to_string();
        if let Some(body) = body {
            headers.insert(CONTENT_SHA256, header(&STANDARD.encode(sha256(body)))?);
        }
        let find = |name: &str| match name {
            "content-length" => Some(length.as_str()),
            name => headers.get(name).and_then(|value| value.to_str().ok()),
        };
        let text = {
            let method = method.as_str();
            let request = storescope_sign::Request { method, target, header: &find };
            signing_string(&request, rule.signed_headers()).map_err(unsigned)?
        };
        let key = key.clone();
        let signature = tokio::task::spawn_blocking(move || key.sign(text.as_bytes()));
        let signature = signature.await.map_err(unsigned)?.map_err(unsigned)?;
        let signed = authorization(key_id, rule.signed_headers(), &signature);
        headers.insert(AUTHORIZATION, secret_header(Zeroizing::new(signed))?);
        Ok(())
    }
}

impl Answer {
    /// The answer as text.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.body).map_err(|_| self.strange("is no text"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The answer as JSON of this shape.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        // Of its errors, which may quote the text, only what was expected is told.
        serde_json::from_slice(&self.body).map_err(|_| {
            let expected = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
            self.strange(&format!("is not the JSON that is expected ({expected})"))
        })
    }

    /// A success that is not what it promises to be.
    pub(super) fn strange(&self, what: &str) -> Failure {
        let mut failure =
            Failure::new(ErrorKind::Protocol).message(format!("{}: the answer {what}", self.what));
        failure.unsent = true;
        failure
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("what", &self.what).finish_non_exhaustive()
    }
}

async fn read(what: &str, response: Response) -> Result<Answer, Refusal> {
    let (status, headers) = (response.status, response.headers);
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let body = private(response.body.collect(ANSWER).await?);
    if status == StatusCode::OK {
        return Ok(Answer { what: what.to_owned(), headers, body, date });
    }
    Err(Refusal { status: Some(status), failure: refused(status, &headers, &body, date) })
}

/// A copy that is cleared when it is dropped; what it was made of is cleared, where nobody else has it.
fn private(body: Bytes) -> Zeroizing<Vec<u8>> {
    let copy = Zeroizing::new(body.to_vec());
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
    copy
}

/// A status that is no success, with what the service said.
fn refused(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    date: Option<SystemTime>,
) -> Failure {
    let kind = match status.as_u16() {
        429 => ErrorKind::Throttled,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Unauthenticated,
    };
    let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let told = |names: [&str; 2]| {
        let told = names.into_iter().find_map(|name| said.get(name)?.as_str());
        told.map(|told| without_signature(told.chars().take(TOLD).collect()))
    };
    let mut message = format!("answered {}", status.as_u16());
    if let Some(code) = told(["code", "error"]) {
        message = format!("{message} {code}");
    }
    if let Some(text) = told(["message", "error_description"]) {
        message = format!("{message}: {text}");
    }
    let mut failure = Failure::new(kind).message(message);
    failure.server_date = date;
    let id = headers.get("opc-request-id").and_then(|id| id.to_str().ok());
    failure.request_id = id.map(str::to_owned);
    failure
}

fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(ErrorKind::Config).message("the request could not be signed").source(error)
}
