// SPDX-License-Identifier: Apache-2.0
//! aws-sdk-s3 on our transport: its requests leave by our pool, timed like every other.

use super::answer;
use crate::backend::http::{self, promise::Promise};
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Operation, Phase, Recorders, RequestId};
use crate::transport::{Origin, RequestBody, Transport};
use aws_sdk_s3::error::{BoxError, ConnectorError};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use std::sync::{Arc, Mutex, PoisonError};

/// What the SDK calls: a client that hands every request to our transport.
#[derive(Clone, Debug)]
pub(super) struct Connector(Arc<Transport>);

/// What travels with an SDK's request: the attempt it belongs to, and what became of it.
#[derive(Clone, Debug, Default)]
pub(super) struct SdkAttempt(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    timer: Option<Box<AttemptTimer>>,
    fresh: bool,
    /// What the answer must hold; nothing for requests of the SDK's own.
    promise: Option<&'static Promise>,
    failure: Option<Failure>,
}

impl SdkAttempt {
    pub(super) fn new(
        timer: Box<AttemptTimer>,
        fresh: bool,
        promise: &'static Promise,
    ) -> SdkAttempt {
        let (timer, promise) = (Some(timer), Some(promise));
        SdkAttempt(Arc::new(Mutex::new(State { timer, fresh, promise, failure: None })))
    }

    /// The timer, where no request took it.
    pub(super) fn unused(&self) -> Option<Box<AttemptTimer>> {
        self.with(|state| state.timer.take())
    }

    /// What the transport failed with, or the answer.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.with(|state| state.failure.take())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connector {
    pub(super) fn new(transport: &Arc<Transport>) -> Connector {
        Connector(Arc::clone(transport))
    }

    async fn send(
        &self,
        request: HttpRequest,
        carried: &SdkAttempt,
    ) -> Result<HttpResponse, Failure> {
        let (timer, fresh, promise) =
            carried.with(|state| (state.timer.take(), state.fresh, state.promise));
        // A request of the SDK's own, for credentials, belongs to no attempt.
        let mut timer =
            timer.unwrap_or_else(|| AttemptTimer::start(&Recorders::off(), Operation::Get));
        let id = timer.client_request_id();
        let (origin, request) = match translated(request, id) {
            Ok(translated) => translated,
            Err(failure) => {
                timer.discard();
                return Err(failure);
            }
        };
        timer.lap(Phase::Prepare);
        let endpoint = self.0.endpoint(&origin);
        let response = self.0.send(&endpoint, request, timer, fresh).await?;
        let document = if response.status.is_success() {
            response.body.collect(http::DOCUMENT_LIMIT).await?
        } else {
            http::document_of(response.status, response.body).await?
        };
        // What keeps a connection alive until the answer is known.
        let document = document.slice_ref(document.trim_ascii_start());
        if let Some(promise) = promise {
            answer::check(promise, response.status, &response.headers, &document)?;
        }
        answered(response.status, &response.headers, document)
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        let carried = request.extension::<SdkAttempt>().cloned().unwrap_or_default();
        HttpConnectorFuture::new(async move {
            request.headers_mut().remove("expect");
            this.send(request, &carried).await.map_err(|failure| {
                let error: BoxError = crate::error::Error::from(failure.clone()).into();
                carried.with(|state| state.failure = Some(failure));
                ConnectorError::other(error, None)
            })
        })
    }
}

/// The SDK's request as one of ours: origin form, a Host, and our name.
fn translated(
    request: HttpRequest,
    id: RequestId,
) -> Result<(Origin, Request<RequestBody>), Failure> {
    let malformed = |e: BoxError| {
        Failure::new(ErrorKind::Protocol)
            .message("the SDK made a request that is none")
            .source(crate::error::Boxed(e))
    };
    let (parts, body) = request.try_into_http1x().map_err(|e| malformed(e.into()))?.into_parts();
    let bytes = body
        .bytes()
        .map(Bytes::copy_from_slice)
        .ok_or_else(|| malformed("its body is a stream".into()))?;
    let uri: Uri = parts.uri;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let origin = Origin::parse(&format!("{}://{authority}", uri.scheme_str().unwrap_or("https")))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers: HeaderMap = parts.headers;
    let host = HeaderValue::from_str(origin.authority()).map_err(|e| malformed(e.into()))?;
    headers.insert(HOST, host);
    // Not signed.
    headers.insert(super::CLIENT_REQUEST_ID, http::client_request_id(id));
    let method: Method = parts.method;
    let mut request = Request::new(RequestBody::new(Payload::from(bytes)));
    *request.method_mut() = method;
    *request.uri_mut() =
        Uri::from_maybe_shared(Bytes::from(path.to_owned())).map_err(|e| malformed(e.into()))?;
    *request.headers_mut() = headers;
    Ok((origin, request))
}

pub(super) fn answered(
    status: StatusCode,
    headers: &HeaderMap,
    document: Bytes,
) -> Result<HttpResponse, Failure> {
    let mut response = hyper::Response::new(SdkBody::from(document));
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    HttpResponse::try_from(response).map_err(|e| {
        Failure::new(ErrorKind::Protocol).message("the answer's headers are not text").source(e)
    })
}
