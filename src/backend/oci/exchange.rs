// SPDX-License-Identifier: Apache-2.0
//! One exchange with the service: sign, send, and wait for the answer. A read of an object that was read before is sent
//! with the signature and headers that it had then.

use super::request_target::RequestTarget;
use super::service::Service;
use super::{Oci, refusal};
use crate::auth::{Presented, Signed};
use crate::backend::http::promise::Promise;
use crate::backend::{Attempt, http, unsent};
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Phase, RequestId};
use crate::transport::{RequestBody, Response, Sending};
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");
const DELEGATION_TOKEN: HeaderName = HeaderName::from_static("opc-obo-token");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");

/// What a request carries besides its target and signature.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) headers: HeaderMap,
    /// Whether a Range is among them.
    pub(super) ranged: bool,
    pub(super) query: String,
    pub(super) body: Payload,
    /// Whether the body is JSON and signed.
    document: bool,
}

impl Parts {
    fn new() -> Parts {
        Parts { headers: HeaderMap::with_capacity(8), ..Parts::default() }
    }

    /// Carries JSON.
    pub(super) fn carry(&mut self, document: &serde_json::Value) {
        self.body = document.to_string().into();
        self.document = true;
    }
}

impl Oci {
    /// Signs and sends; an answer that is not a success becomes a failure with what the service said. Each way out
    /// records the attempt. The client request id of the answer stands beside it.
    ///
    /// A read of an object that was read before is sent here and now; the future waits for its answer.
    pub(super) fn exchange<'a>(
        &'a self,
        attempt: Attempt,
        method: Method,
        target: RequestTarget<'a>,
        fill: impl FnOnce(&mut Parts, &Service) -> Result<(), Failure> + Send + 'a,
    ) -> PendingResponse<'a> {
        let Attempt { mut timer, fresh } = attempt;
        let id = timer.client_request_id();
        let state = match self.prepared_before(&method, target, &timer) {
            Some((service, mut prepared)) => match fill(&mut prepared.parts, service) {
                Ok(()) => {
                    if !prepared.parts.ranged {
                        prepared.parts.headers.remove(header::RANGE);
                    }
                    self.send(method, service, prepared, timer, fresh)
                }
                Err(failure) => {
                    State::Rest(Box::pin(std::future::ready(Err(unsent(failure, timer)))))
                }
            },
            None => State::Rest(Box::pin(async move {
                let prepared = self.prepare(&mut timer, &method, target, fill).await;
                let (service, prepared) = match prepared {
                    Ok(prepared) => prepared,
                    Err(failure) => return Err(unsent(failure, timer)),
                };
                match self.send(method, service, prepared, timer, fresh) {
                    State::Sending(sending, presented) => {
                        concluded(sending.await, presented, id).await
                    }
                    State::Rest(rest) => rest.await,
                }
            })),
        };
        PendingResponse { state, id }
    }

    /// Target, signature and common headers of a read of an object that was read before, while they are good.
    fn prepared_before(
        &self,
        method: &Method,
        target: RequestTarget<'_>,
        timer: &AttemptTimer,
    ) -> Option<(&Service, Prepared)> {
        let (service, RequestTarget::Object(key)) = (self.service.get()?, target) else {
            return None;
        };
        let (kept, presented) = service.signer.as_ref()?.reuse(method, key, timer.now_or_mark())?;
        let parts = Parts { headers: kept.headers.clone(), ..Parts::default() };
        let presented = Some(presented);
        Some((service, Prepared { uri: kept.uri.clone(), parts, presented }))
    }

    async fn prepare(
        &self,
        timer: &mut AttemptTimer,
        method: &Method,
        target: RequestTarget<'_>,
        fill: impl FnOnce(&mut Parts, &Service) -> Result<(), Failure> + Send,
    ) -> Result<(&Service, Prepared), Failure> {
        let service = self.service().await?;
        let mut path = self.target(service, target, timer).await?;
        let mut parts = Parts::new();
        fill(&mut parts, service)?;
        path.push_str(&parts.query);
        let document = parts.body.piece(0).filter(|_| parts.document);
        let body = parts.document.then(|| document.map_or(&[][..], |document| &document[..]));
        let signed = match &service.signer {
            Some(signer) => Some(signer.sign(method, &path, body, timer).await?),
            None => None,
        };
        // `http::Uri` keeps every byte of a path and query; `url::Url` would not.
        let uri = Uri::from_maybe_shared(Bytes::from(path))
            .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e))?;
        if let (RequestTarget::Object(key), Some(signer), Some(signed)) =
            (target, &service.signer, &signed)
        {
            signer.keep(method, key, &uri, signed, || headers_of_reads(service, signed));
        }
        add_common_headers(&mut parts.headers, service, signed.as_ref());
        let presented = signed.map(|signed| {
            if let Some(sha256) = signed.content_sha256 {
                parts.headers.insert(CONTENT_SHA256, sha256);
            }
            signed.presented
        });
        Ok((service, Prepared { uri, parts, presented }))
    }

    fn send<'a>(
        &'a self,
        method: Method,
        service: &'a Service,
        prepared: Prepared,
        mut timer: Box<AttemptTimer>,
        fresh: bool,
    ) -> State<'a> {
        let Prepared { uri, parts, presented } = prepared;
        let request = request(method, uri, parts, timer.client_request_id());
        timer.lap(Phase::Prepare);
        let sending = self.transport.send(&service.endpoint, request, timer, fresh);
        State::Sending(sending, presented)
    }

    /// An exchange whose answer is read whole, held against what is promised, and made into something by `read`.
    pub(super) async fn answered<T>(
        &self,
        attempt: Attempt,
        promise: &'static Promise,
        target: RequestTarget<'_>,
        fill: impl FnOnce(&mut Parts, &Service) -> Result<(), Failure> + Send,
        read: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let exchanged = self.exchange(attempt, promise.method.clone(), target, fill).await;
        let (response, id) = exchanged.inspect_err(|failure| {
            if failure.kind == ErrorKind::BucketNotFound {
                self.seen.no();
            }
        })?;
        http::whole(promise, response, id, read).await
    }
}

/// A signed request and its answer to come.
#[must_use = "dropped, the request is cancelled"]
pub(super) struct PendingResponse<'a> {
    state: State<'a>,
    id: RequestId,
}

enum State<'a> {
    Sending(Sending<'a>, Option<Presented>),
    /// What is rarer, and may be larger: preparation that has to wait, and refusals.
    Rest(Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>),
}

impl Future for PendingResponse<'_> {
    type Output = Result<(Response, RequestId), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        loop {
            match &mut self.state {
                State::Sending(sending, presented) => match ready!(Pin::new(sending).poll(cx)) {
                    Ok(response) if response.status.is_success() => {
                        return Poll::Ready(Ok((response, id)));
                    }
                    refused => {
                        let rest = concluded(refused, presented.clone(), id);
                        self.state = State::Rest(Box::pin(rest));
                    }
                },
                State::Rest(rest) => {
                    return rest.as_mut().poll(cx).map_ok(|response| (response, id));
                }
            }
        }
    }
}

/// The end of an exchange: what the service said, if it is not a success.
async fn concluded(
    answered: Result<Response, Failure>,
    presented: Option<Presented>,
    id: RequestId,
) -> Result<Response, Failure> {
    let mut failure = match answered {
        Ok(response) if response.status.is_success() => return Ok(response),
        Ok(response) => refusal::read(response).await,
        Err(failure) => failure,
    };
    match failure.kind {
        ErrorKind::Unauthenticated => {
            failure.presented = presented.map(|presented| Arc::new(presented) as _);
        }
        ErrorKind::BucketNotFound if presented.is_none() => {
            failure.hint = Some(
                "the request was not signed (auth=none): check bucket, namespace and region, and that the bucket is public"
                    .to_owned(),
            );
        }
        _ => {}
    }
    failure.client_request_id = Some(id.to_string());
    Err(failure)
}

/// What a request is sent to, with its headers and body, and what it was signed with, if it was.
struct Prepared {
    uri: Uri,
    parts: Parts,
    presented: Option<Presented>,
}

/// Stands in the headers of signed reads where each request puts a value of its own, so that the map need not grow.
const UNSET: HeaderValue = HeaderValue::from_static("");

/// The headers of all reads of an object that are made with one signature. The Range and the client request id are
/// still to be set. As large as hyper needs it to put a usual answer's headers into the same map.
fn headers_of_reads(service: &Service, signed: &Signed) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CLIENT_REQUEST_ID, UNSET);
    headers.insert(header::RANGE, UNSET);
    add_common_headers(&mut headers, service, Some(signed));
    headers
}

fn add_common_headers(headers: &mut HeaderMap, service: &Service, signed: Option<&Signed>) {
    headers.insert(header::HOST, service.host.clone());
    if let Some(signed) = signed {
        headers.insert(header::DATE, signed.date.clone());
        headers.insert(header::AUTHORIZATION, signed.authorization.clone());
        if let Some(token) = &signed.delegation {
            headers.insert(DELEGATION_TOKEN, token.clone());
        }
    }
}

/// The request of these parts. Documents go by POST.
fn request(method: Method, uri: Uri, parts: Parts, id: RequestId) -> Request<RequestBody> {
    let Parts { mut headers, body, document, .. } = parts;
    http::set(&mut headers, CLIENT_REQUEST_ID, http::client_request_id(id));
    if document {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    http::request(method, uri, headers, body)
}
