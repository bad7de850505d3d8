// SPDX-License-Identifier: Apache-2.0
//! Our own requests, past the SDK: signed, sent, and their answers. A read of an object that was read before is sent with
//! the signature that it had then.

use super::service::Service;
use super::signer::ToSign;
use super::{CLIENT_REQUEST_ID, S3, refusal};
use crate::auth::ReadKind;
use crate::backend::http::promise::Promise;
use crate::backend::{Attempt, http, unsent};
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Phase, RequestId};
use crate::transport::{RequestBody, Response};
use crate::url::encode_path_into;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Uri};

const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// One of our own requests.
pub(super) struct OwnRequest<'a> {
    promise: &'static Promise,
    key: &'a str,
    /// With its `?`.
    pub(super) query: String,
    /// Headers that are signed.
    pub(super) signed: HeaderMap,
    pub(super) unsigned: HeaderMap,
    pub(super) body: Payload,
}

impl<'a> OwnRequest<'a> {
    pub(super) fn new(promise: &'static Promise, key: &'a str) -> OwnRequest<'a> {
        OwnRequest {
            promise,
            key,
            query: String::new(),
            signed: HeaderMap::new(),
            unsigned: HeaderMap::with_capacity(12),
            body: Payload::default(),
        }
    }

    /// Asks for the object's checksum.
    pub(super) fn checked(&mut self) {
        self.signed.insert(CHECKSUM_MODE, HeaderValue::from_static("ENABLED"));
    }

    /// Which other reads its signature serves.
    fn kind(&self) -> Option<ReadKind> {
        let checked = self.signed.contains_key(CHECKSUM_MODE);
        ReadKind::of(&self.promise.method, checked).filter(|_| self.query.is_empty())
    }
}

impl S3 {
    /// Signs and sends one of our own requests; an answer that is not a success becomes a failure with what the service
    /// said. Each way out records the attempt. The client request id of the answer stands beside it.
    pub(super) async fn exchange(
        &self,
        attempt: Attempt,
        own: OwnRequest<'_>,
    ) -> Result<(Response, RequestId), Failure> {
        let Attempt { mut timer, fresh } = attempt;
        let id = timer.client_request_id();
        let prepared = self.prepare(&mut timer, own, id).await;
        let (service, request) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Err(unsent(failure, timer)),
        };
        timer.lap(Phase::Prepare);
        let sent = self.transport.send(&service.endpoint, request, timer, fresh).await;
        let mut failure = match sent {
            Ok(response) if response.status.is_success() => {
                self.seen.yes();
                self.note_tag(&response.headers);
                return Ok((response, id));
            }
            Ok(response) => Box::pin(refusal::read(response)).await,
            Err(failure) => failure,
        };
        self.judge(&mut failure);
        failure.client_request_id = Some(id.to_string());
        Err(failure)
    }

    /// What a refusal says of the bucket; and one without a code may be of the clock.
    pub(super) fn judge(&self, failure: &mut Failure) {
        self.seen.refused(failure);
        let signer = self.service.get().and_then(|service| service.signer.as_ref());
        if let (ErrorKind::PermissionDenied, None, Some(date), Some(signer)) =
            (failure.kind, &failure.code, failure.server_date, signer)
            && signer.is_skewed(date)
        {
            failure.kind = ErrorKind::Unauthenticated;
        }
        let unsigned = self.service.get().is_some_and(|service| service.signer.is_none());
        if unsigned && failure.kind == ErrorKind::PermissionDenied {
            failure.hint.get_or_insert_with(|| {
                "the request was not signed (auth=none): the bucket must allow it to everybody"
                    .to_owned()
            });
        }
    }

    async fn prepare(
        &self,
        timer: &mut AttemptTimer,
        mut own: OwnRequest<'_>,
        id: RequestId,
    ) -> Result<(&Service, Request<RequestBody>), Failure> {
        let service = self.service().await?;
        http::check_name(own.key)?;
        let kind = own.kind();
        let reused = match (&service.signer, kind) {
            (Some(signer), Some(kind)) => signer.reuse(kind, own.key, &mut own.unsigned),
            _ => None,
        };
        let uri = match reused {
            Some(uri) => uri,
            None => sign(timer, service, &mut own, kind).await?,
        };
        let OwnRequest { promise, signed, unsigned: mut headers, body, .. } = own;
        headers.extend(signed);
        headers.insert(header::HOST, service.host.clone());
        headers.insert(CLIENT_REQUEST_ID, http::client_request_id(id));
        Ok((service, http::request(promise.method.clone(), uri, headers, body)))
    }

    /// An exchange whose answer's head says everything; it is held against what is promised.
    pub(super) async fn headed<T>(
        &self,
        attempt: Attempt,
        own: OwnRequest<'_>,
        read: impl FnOnce(&HeaderMap) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let promise = own.promise;
        let (response, id) = self.exchange(attempt, own).await?;
        http::whole(promise, response, id, |headers, _| read(headers)).await
    }
}

/// The target of a request that is signed anew; the signature goes to its headers.
async fn sign(
    timer: &mut AttemptTimer,
    service: &Service,
    own: &mut OwnRequest<'_>,
    kind: Option<ReadKind>,
) -> Result<Uri, Failure> {
    let mut path = service.base.clone();
    path.push('/');
    encode_path_into(&mut path, own.key);
    path.push_str(&own.query);
    let url = [service.origin.as_str(), &path].concat();
    let uri = Uri::from_maybe_shared(Bytes::from(path))
        .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e))?;
    if let Some(signer) = &service.signer {
        own.signed.insert(header::HOST, service.host.clone());
        let body = service.signable(&own.body);
        let to_sign = ToSign { method: &own.promise.method, url: &url, headers: &own.signed, body };
        let signed = signer.sign(to_sign, timer).await?;
        for (name, value) in &signed.headers {
            own.unsigned.insert(name.clone(), value.clone());
        }
        if let Some(kind) = kind {
            signer.keep(kind, own.key, &uri, signed);
        }
    }
    Ok(uri)
}

/// The attempt, where its request could be built; else nothing was sent.
pub(super) fn sendable(filled: Result<(), Failure>, attempt: Attempt) -> Result<Attempt, Failure> {
    match filled {
        Ok(()) => Ok(attempt),
        Err(failure) => Err(unsent(failure, attempt.timer)),
    }
}
