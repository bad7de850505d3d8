// SPDX-License-Identifier: Apache-2.0
//! The native API of OCI Object Storage (version 20160918): `/n/{namespace}/b/{bucket}/o/{object}`.
//!
//! ```text
//!  operation ─▶ target (encoded once, signed as it is) ─▶ Signer ─▶ Transport ─▶ checked answer (answer.rs)
//!                    │ first use: profile, key, region → endpoint (realm.rs); namespace asked for if the URL has none
//! ```
//!
//! Facts of the protocol are those recorded from Oracle's clients (Python SDK 2.189, Java SDK 3.94): which headers are
//! signed, that `etag` is unquoted, that listings answer `nextStartWith` inclusively.

pub(super) mod answer;
mod promises;
mod realm;

use super::promise::Promise;
use super::{
    Abilities, About, Answer, Attempt, Backend, BucketPage, Checksum, CommitRequest, Copied,
    CopyRequest, GetRange, GetReply, GetRequest, ListPage, ListRequest, ObjectMeta, Part,
    PartRequest, Place, PutMode, PutRequest, RenameRequest, ServiceId, Upload, UploadPage,
    UploadRequest, etag, exists, metadata,
    unsaid::{Seen, explained},
};
use crate::auth::{self, Again, Presented, Signed, Signer};
use crate::config::{Auth, Config, Profile};
use crate::error::{Error, ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Operation, Phase, RequestId};
use crate::transport::{BaseUrl, Endpoint, RequestBody, Response, Sending, Transport};
use crate::url::{Scheme, StoreUrl, encode_into};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri};
use serde_json::json;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::OnceCell;

/// Names that one batch removes (spec §3).
const BATCH: usize = 1000;

/// A part has at most 50 GiB, an object at most 10,000 of them. The service states no least part that it enforces
/// (spec §3.4); S3's does.
const ABILITIES: Abilities = Abilities {
    rename: true,
    delete_many: BATCH,
    conditional_copies: true,
    copies_parts_above: None,
    least_part: 1,
    most_part: 50 << 30,
    parts: 10_000,
    ordered_listings: true,
    ends_listings: true,
};

/// Documents (listings, errors) longer than this are refused: 1,000 entries take less than 2 MiB.
const DOCUMENT_LIMIT: usize = 16 << 20;

pub(crate) struct Oci {
    url: StoreUrl,
    config: Config,
    transport: Arc<Transport>,
    service: OnceCell<Service>,
    /// Asked of the service, where the URL does not say it.
    namespace: OnceCell<String>,
    /// `/n/{namespace}/b/{bucket}/o/`, encoded, below the endpoint's path.
    objects: OnceCell<String>,
    /// Whether objects of the bucket may be read: a listing needs another permission, and shows nothing.
    seen: Seen,
}

/// What the first request finds out.
#[derive(Debug)]
struct Service {
    endpoint: Arc<Endpoint>,
    /// The endpoint's path, which all targets lie below.
    base: String,
    host: HeaderValue,
    /// None signs nothing.
    signer: Option<Signer>,
    compartment: Option<String>,
    /// Where the settings or the profile name it.
    region: Option<String>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    /// The tenancy's namespace.
    Namespace,
    /// The buckets of the namespace.
    Buckets,
    Bucket,
    /// The objects of the bucket.
    Objects,
    Object(&'a str),
    /// Something to be done in the bucket.
    Action(&'static str),
    /// The writes by parts of the bucket.
    Uploads,
    /// Those of an object.
    Upload(&'a str),
    /// A work request of the service.
    Work(&'a str),
    /// Why it failed.
    WorkErrors(&'a str),
}

/// What a request carries besides its target and signature.
#[derive(Debug, Default)]
struct Parts {
    headers: HeaderMap,
    /// Whether a Range is among them.
    ranged: bool,
    query: String,
    body: Payload,
    /// Whether the body is JSON and signed.
    document: bool,
}

impl Parts {
    fn new() -> Parts {
        Parts { headers: HeaderMap::with_capacity(8), ..Parts::default() }
    }

    /// Carries JSON.
    fn carry(&mut self, document: &serde_json::Value) {
        self.body = document.to_string().into();
        self.document = true;
    }
}

impl std::fmt::Debug for Oci {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A path may hold the token of a pre-authenticated request.
        f.debug_struct("Oci").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Oci {
    pub(crate) fn new(url: &StoreUrl, config: Config, transport: &Arc<Transport>) -> Oci {
        Oci {
            url: url.with_key(""),
            config,
            transport: Arc::clone(transport),
            service: OnceCell::new(),
            namespace: OnceCell::new(),
            objects: OnceCell::new(),
            seen: Seen::default(),
        }
    }

    async fn service(&self) -> Result<&Service, Failure> {
        if let Some(service) = self.service.get() {
            return Ok(service);
        }
        let made = self.service.get_or_try_init(|| async {
            // Files are read, and a key may have to be decrypted.
            let mut config = self.config.clone();
            if let Some(origin) = self.url.origin() {
                config = config.oci_endpoint(origin.to_owned());
            }
            if self.url.token().is_some() {
                config.auth = Auth::None;
            }
            let namespace = self.url.namespace().map(str::to_owned);
            let loaded =
                tokio::task::spawn_blocking(move || load(&config, namespace.as_deref())).await;
            let Loaded { url, principal, compartment, region } =
                loaded.map_err(|e| Failure::new(ErrorKind::Config).source(e))??;
            let (origin, base) = (url.origin(), url.path().to_owned());
            let signer =
                principal.map(|principal| Signer::new(principal, origin.authority(), &self.config));
            let host = HeaderValue::from_str(origin.authority())
                .map_err(|e| Failure::new(ErrorKind::Config).source(e))?;
            let endpoint = self.transport.endpoint(origin);
            Ok(Service { endpoint, base, host, signer, compartment, region })
        });
        Box::pin(made).await
    }

    /// The namespace: the URL's, or asked of the service, once.
    async fn namespace(&self, timer: &AttemptTimer) -> Result<&str, Failure> {
        if let Some(known) = self.url.namespace().or(self.namespace.get().map(String::as_str)) {
            return Ok(known);
        }
        let asked = self.namespace.get_or_try_init(|| self.ask_namespace(timer));
        Ok(Box::pin(asked).await?)
    }

    /// Boxed: asking for the namespace is itself a request, and a request may have to ask for the namespace.
    fn ask_namespace(&self, timer: &AttemptTimer) -> Answer<'_, String> {
        let attempt = Attempt { timer: timer.another(Operation::GetNamespace), fresh: false };
        Box::pin(async move {
            let promise = &promises::GET_NAMESPACE;
            let read = |headers: &HeaderMap, document: &[u8]| {
                answer::parsed::<String>(promise, headers, document)
            };
            self.answered(attempt, promise, Target::Namespace, |_, _| Ok(()), read).await
        })
    }

    /// The request target, path only, as it is signed and sent.
    async fn target(
        &self,
        service: &Service,
        target: Target<'_>,
        timer: &AttemptTimer,
    ) -> Result<String, Failure> {
        if let (Target::Object(key), Some(objects)) = (target, self.objects.get()) {
            answer::check_name(key)?;
            let mut path = String::with_capacity(objects.len() + key.len() + 32);
            path.push_str(objects);
            encode_into(&mut path, key);
            return Ok(path);
        }
        let mut path = service.base.clone();
        match target {
            Target::Namespace => {
                path.push_str("/n/");
                return Ok(path);
            }
            Target::Work(id) | Target::WorkErrors(id) => {
                path.push_str("/workRequests/");
                encode_into(&mut path, id);
                if let Target::WorkErrors(_) = target {
                    path.push_str("/errors");
                }
                return Ok(path);
            }
            _ => {}
        }
        if let Some(token) = self.url.token() {
            path.extend(["/p/", token]);
        }
        path.push_str("/n/");
        encode_into(&mut path, self.namespace(timer).await?);
        path.push_str("/b");
        if let Target::Buckets = target {
            return Ok(path);
        }
        path.push('/');
        encode_into(&mut path, self.bucket()?);
        match target {
            Target::Objects => path.push_str("/o"),
            Target::Object(key) => {
                answer::check_name(key)?;
                path.push_str("/o/");
                self.objects.get_or_init(|| std::future::ready(path.clone())).await;
                encode_into(&mut path, key);
            }
            Target::Action(name) => path.extend(["/actions/", name]),
            Target::Uploads => path.push_str("/u"),
            Target::Upload(key) => {
                answer::check_name(key)?;
                path.push_str("/u/");
                encode_into(&mut path, key);
            }
            _ => {}
        }
        Ok(path)
    }

    fn bucket(&self) -> Result<&str, Failure> {
        self.url.bucket().ok_or_else(|| {
            Failure::new(ErrorKind::InvalidInput)
                .message("the URL names no bucket: oci://bucket@namespace/")
        })
    }

    /// Signs and sends; an answer that is not a success becomes a failure with what the service said. Each way out
    /// records the attempt. The client request id of the answer stands beside it.
    ///
    /// A read of an object that was read before is sent here and now; the future waits for its answer.
    fn exchange<'a>(
        &'a self,
        attempt: Attempt,
        method: Method,
        target: Target<'a>,
        fill: impl FnOnce(&mut Parts, &Service) -> Result<(), Failure> + Send + 'a,
    ) -> Exchange<'a> {
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
                    timer.discard();
                    Exchanging::Rest(Box::pin(std::future::ready(Err(unsent(failure)))))
                }
            },
            None => Exchanging::Rest(Box::pin(async move {
                let prepared = self.prepare(&mut timer, &method, target, fill).await;
                let (service, prepared) = match prepared {
                    Ok(prepared) => prepared,
                    Err(failure) => {
                        timer.discard();
                        return Err(unsent(failure));
                    }
                };
                match self.send(method, service, prepared, timer, fresh) {
                    Exchanging::Sending(sending, presented) => {
                        concluded(sending.await, presented, id).await
                    }
                    Exchanging::Rest(rest) => rest.await,
                }
            })),
        };
        Exchange { state, id }
    }

    /// Target, signature and common headers of a read of an object that was read before, while they are good.
    fn prepared_before(
        &self,
        method: &Method,
        target: Target<'_>,
        timer: &AttemptTimer,
    ) -> Option<(&Service, Prepared)> {
        let (service, Target::Object(key)) = (self.service.get()?, target) else { return None };
        let (kept, presented) = service.signer.as_ref()?.reuse(method, key, timer.now_or_mark())?;
        let parts = Parts { headers: kept.headers.clone(), ..Parts::default() };
        let presented = Some(presented);
        Some((service, Prepared { uri: kept.uri.clone(), parts, presented }))
    }

    async fn prepare(
        &self,
        timer: &mut AttemptTimer,
        method: &Method,
        target: Target<'_>,
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
        if let (Target::Object(key), Some(signer), Some(signed)) =
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
    ) -> Exchanging<'a> {
        let Prepared { uri, parts, presented } = prepared;
        let request = request(method, uri, parts, timer.client_request_id());
        timer.lap(Phase::Prepare);
        let sending = self.transport.send(&service.endpoint, request, timer, fresh);
        Exchanging::Sending(sending, presented)
    }

    /// An exchange whose answer is read whole, held against what is promised, and made into something by `read`.
    async fn answered<T>(
        &self,
        attempt: Attempt,
        promise: &'static Promise,
        target: Target<'_>,
        fill: impl FnOnce(&mut Parts, &Service) -> Result<(), Failure> + Send,
        read: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let exchanged = self.exchange(attempt, promise.method.clone(), target, fill).await;
        let (response, id) = exchanged.inspect_err(|failure| {
            if failure.kind == ErrorKind::BucketNotFound {
                self.seen.no();
            }
        })?;
        let Response { status, headers, body } = response;
        let document = body.collect(DOCUMENT_LIMIT).await;
        let read = document.and_then(|document| {
            promise.check_head(status, &headers)?;
            read(&headers, &document)
        });
        named(read, id)
    }
}

/// A signed request and its answer to come.
#[must_use = "dropped, the request is cancelled"]
struct Exchange<'a> {
    state: Exchanging<'a>,
    id: RequestId,
}

enum Exchanging<'a> {
    Sending(Sending<'a>, Option<Presented>),
    /// What is rarer, and may be larger: preparation that has to wait, and refusals.
    Rest(Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>),
}

impl Future for Exchange<'_> {
    type Output = Result<(Response, RequestId), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        loop {
            match &mut self.state {
                Exchanging::Sending(sending, presented) => {
                    match ready!(Pin::new(sending).poll(cx)) {
                        Ok(response) if response.status.is_success() => {
                            return Poll::Ready(Ok((response, id)));
                        }
                        refused => {
                            let rest = concluded(refused, presented.clone(), id);
                            self.state = Exchanging::Rest(Box::pin(rest));
                        }
                    }
                }
                Exchanging::Rest(rest) => {
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
        Ok(response) => answer::refusal(response).await,
        Err(failure) => failure,
    };
    match failure.kind {
        ErrorKind::Unauthenticated => failure.presented = presented,
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

/// A failure before anything was sent.
fn unsent(mut failure: Failure) -> Failure {
    failure.unsent = true;
    failure
}

/// What a request is sent to, with its headers and body, and what it was signed with, if it was.
struct Prepared {
    uri: Uri,
    parts: Parts,
    presented: Option<Presented>,
}

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");
const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("opc-checksum-algorithm");
const DELEGATION_TOKEN: HeaderName = HeaderName::from_static("opc-obo-token");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");

/// Stands in the headers of kept reads where each request puts a value of its own, so that the map need not grow.
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

/// Inserts a header, which stands among the first if it is there: to look at their names is less than to hash its own.
fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    match headers.iter_mut().find(|(known, _)| **known == name) {
        Some((_, old)) => *old = value,
        None => {
            headers.insert(name, value);
        }
    }
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

/// Gives a failure after the head the id of its request.
fn named<T>(result: Result<T, Failure>, id: RequestId) -> Result<T, Failure> {
    result.map_err(|mut failure| {
        failure.client_request_id.get_or_insert_with(|| id.to_string());
        failure
    })
}

fn request(method: Method, uri: Uri, parts: Parts, id: RequestId) -> Request<RequestBody> {
    let Parts { mut headers, body, document, .. } = parts;
    let id = HeaderValue::from_bytes(&id.hex()).expect("digits can stand in a header");
    set(&mut headers, CLIENT_REQUEST_ID, id);
    if document {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if document || method == Method::PUT {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let mut request = Request::new(RequestBody::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

struct Loaded {
    url: BaseUrl,
    /// Nobody, where requests go unsigned.
    principal: Option<Box<dyn auth::Principal>>,
    compartment: Option<String>,
    region: Option<String>,
}

fn load(config: &Config, namespace: Option<&str>) -> Result<Loaded, Error> {
    let profile = Profile::load(config)?;
    let principal = match config.auth {
        Auth::None => None,
        _ => Some(auth::load(config, &profile)?),
    };
    let region = config.region_of(Scheme::Oci).or_else(|| profile.get("region"));
    let region = region.map(realm::region);
    let endpoint = match (config.endpoint_of(Scheme::Oci), &region) {
        (Some(endpoint), _) => endpoint.to_owned(),
        (None, Some(region)) if config.realm_endpoint => realm::own_endpoint(region, namespace),
        (None, Some(region)) => realm::endpoint(region),
        (None, None) => {
            let mend = "set region (STORESCOPE_REGION) or endpoint (STORESCOPE_ENDPOINT)";
            return Err(profile.lacks("region", mend));
        }
    };
    let compartment =
        config.compartment.clone().or_else(|| profile.get("tenancy").map(str::to_owned));
    Ok(Loaded { url: BaseUrl::parse(&endpoint)?, principal, compartment, region })
}

impl Backend for Oci {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn service(&self) -> ServiceId {
        let endpoint = self.url.origin().or_else(|| self.config.endpoint_of(Scheme::Oci));
        ServiceId::Oci(endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()))
    }

    fn url(&self, key: &str) -> String {
        self.url.with_key(key).to_string()
    }

    fn after_unauthorized(&self, failure: &Failure) -> Again {
        let signer = self.service.get().and_then(|service| service.signer.as_ref());
        match (signer, &failure.presented) {
            (Some(signer), Some(presented)) => {
                signer.after_unauthorized(presented, failure.server_date)
            }
            _ => Again::No("the store does not take unsigned requests".to_owned()),
        }
    }

    fn get<'a>(
        &'a self,
        request: &'a GetRequest,
        mut attempt: Attempt,
    ) -> Answer<'a, Box<GetReply>> {
        if let Some(asked) = request.range.as_ref().and_then(GetRange::asked) {
            attempt.timer.asked(asked);
        }
        let fill = |parts: &mut Parts, _: &Service| {
            if let Some(range) = &request.range {
                set(&mut parts.headers, header::RANGE, range.header());
                parts.ranged = true;
            }
            if let Some(tag) = request.if_match.as_deref().and_then(etag::condition) {
                parts.headers.insert(header::IF_MATCH, tag);
            }
            Ok(())
        };
        let promise = &promises::GET_OBJECT;
        let method = promise.method.clone();
        let exchange = self.exchange(attempt, method, Target::Object(&request.key), fill);
        Box::pin(exchange.map(|answered| {
            let (response, id) = answered.inspect_err(|failure| self.seen.refused(failure))?;
            let got = named(answer::get(promise, request, response, answer::meta), id)?;
            self.seen.yes();
            Ok(got)
        }))
    }

    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> Answer<'a, ObjectMeta> {
        let read = move |headers: &HeaderMap, _: &[u8]| {
            let size = answer::length(headers).ok_or_else(|| answer::lacks("Content-Length"))?;
            Ok(answer::meta(key, size, headers))
        };
        Box::pin(async move {
            let sink = attempt.timer.sink().clone();
            let (promise, target) = (&promises::HEAD_OBJECT, Target::Object(key));
            let head = self.answered(attempt, promise, target, |_, _| Ok(()), read).await;
            match head {
                Ok(meta) => {
                    self.seen.yes();
                    Ok(meta)
                }
                // A 401 is mended by what it was signed with, which is known.
                Err(failure) if failure.kind == ErrorKind::Unauthenticated => Err(failure),
                Err(failure) => explained(self, key, &self.seen, sink, failure).await,
            }
        })
    }

    fn put<'a>(&'a self, request: &'a PutRequest, mut attempt: Attempt) -> Answer<'a, ObjectMeta> {
        attempt.timer.uploads(request.body.len());
        let fill = |parts: &mut Parts, _: &Service| {
            condition(&mut parts.headers, &request.mode)?;
            checksum_headers(&mut parts.headers, request.checksum)?;
            about_headers(&mut parts.headers, &request.about)?;
            parts.body = request.body.clone();
            Ok(())
        };
        let read = |headers: &HeaderMap, _: &[u8]| {
            answer::check_stored(request.checksum, headers)?;
            let told = answer::meta(&request.key, request.body.len(), headers);
            let checksum = told.checksum.or(request.checksum);
            Ok(request.about.told(ObjectMeta { checksum, ..told }))
        };
        Box::pin(async move {
            let target = Target::Object(&request.key);
            let put = self.answered(attempt, &promises::PUT_OBJECT, target, fill, read).await;
            put.map_err(|failure| exists(failure, &request.mode))
        })
    }

    fn delete<'a>(
        &'a self,
        key: &'a str,
        if_match: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, ()> {
        let fill = move |parts: &mut Parts, _: &Service| {
            if let Some(etag) = if_match {
                parts.headers.insert(header::IF_MATCH, etag::required(etag)?);
            }
            Ok(())
        };
        let (promise, target) = (&promises::DELETE_OBJECT, Target::Object(key));
        Box::pin(self.answered(attempt, promise, target, fill, |_, _| Ok(())))
    }

    fn list<'a>(&'a self, request: &'a ListRequest, attempt: Attempt) -> Answer<'a, ListPage> {
        let fill = |parts: &mut Parts, _: &Service| {
            let page_size = request.page_size.map(|size| size.to_string());
            parts.query = query(&[
                ("prefix", (!request.prefix.is_empty()).then_some(request.prefix.as_str())),
                ("delimiter", request.delimiter.then_some("/")),
                ("start", request.start.as_deref()),
                ("startAfter", request.start_after.as_deref()),
                ("end", request.end.as_deref()),
                ("limit", page_size.as_deref()),
                ("fields", Some("name,size,etag,md5,timeModified")),
            ]);
            Ok(())
        };
        let promise = &promises::LIST_OBJECTS;
        let read = |headers: &HeaderMap, document: &[u8]| {
            Ok(answer::list(answer::parsed(promise, headers, document)?))
        };
        Box::pin(self.answered(attempt, promise, Target::Objects, fill, read))
    }

    fn place<'a>(&'a self, timer: &'a AttemptTimer) -> Answer<'a, Place> {
        Box::pin(async move {
            let service = self.service().await?;
            let region = service.region.clone().ok_or_else(|| {
                Failure::new(ErrorKind::Config)
                    .message("a copy must name the region of its target: set region")
            })?;
            let namespace = self.namespace(timer).await?.to_owned();
            Ok(Place { region, namespace, bucket: self.bucket()?.to_owned() })
        })
    }

    fn rename<'a>(
        &'a self,
        request: &'a RenameRequest,
        attempt: Attempt,
    ) -> Answer<'a, ObjectMeta> {
        let fill = |parts: &mut Parts, _: &Service| {
            answer::check_name(&request.to)?;
            let mut document = json!({ "sourceName": *request.from, "newName": *request.to });
            if let Some(etag) = source_tag(request.from_etag.as_ref()) {
                document["srcObjIfMatchETag"] = json!(etag);
            }
            match &request.mode {
                PutMode::Overwrite => {}
                PutMode::Create => document["newObjIfNoneMatchETag"] = json!("*"),
                PutMode::Update(etag) => {
                    etag::required(etag)?;
                    document["newObjIfMatchETag"] = json!(etag);
                }
            }
            parts.carry(&document);
            Ok(())
        };
        let read = |headers: &HeaderMap, _: &[u8]| Ok(answer::meta(&request.to, 0, headers));
        Box::pin(async move {
            let target = Target::Action("renameObject");
            let renamed =
                self.answered(attempt, &promises::RENAME_OBJECT, target, fill, read).await;
            renamed.map_err(|failure| match failure.code.as_deref() {
                // The source's condition, not the target's: with `Create` the target has no If-Match.
                Some("IfMatchFailed") if request.mode == PutMode::Create => failure,
                _ => exists(failure, &request.mode),
            })
        })
    }

    fn copy<'a>(&'a self, request: &'a CopyRequest, attempt: Attempt) -> Answer<'a, Copied> {
        Box::pin(async move {
            let place = request.target.place(&attempt.timer).await;
            let Place { region, namespace, bucket } = match place {
                Ok(place) => place,
                Err(mut failure) => {
                    attempt.timer.discard();
                    failure.unsent = true;
                    return Err(failure);
                }
            };
            let fill = |parts: &mut Parts, _: &Service| {
                answer::check_name(&request.to)?;
                let mut document = json!({
                    "sourceObjectName": *request.from,
                    "destinationRegion": region,
                    "destinationNamespace": namespace,
                    "destinationBucket": bucket,
                    "destinationObjectName": *request.to,
                });
                if let Some(etag) = source_tag(request.from_etag.as_ref()) {
                    document["sourceObjectIfMatchETag"] = json!(etag);
                }
                match &request.mode {
                    PutMode::Overwrite => {}
                    PutMode::Create => document["destinationObjectIfNoneMatchETag"] = json!("*"),
                    PutMode::Update(etag) => {
                        etag::required(etag)?;
                        document["destinationObjectIfMatchETag"] = json!(etag);
                    }
                }
                parts.carry(&document);
                Ok(())
            };
            let target = Target::Action("copyObject");
            let read = |headers: &HeaderMap, _: &[u8]| answer::accepted(headers);
            let copied = self.answered(attempt, &promises::COPY_OBJECT, target, fill, read).await;
            copied.map_err(|failure| exists(failure, &request.mode))
        })
    }

    fn copying<'a>(&'a self, work: &'a str, attempt: Attempt) -> Answer<'a, Copied> {
        let why = attempt.timer.another(Operation::Copy);
        Box::pin(async move {
            let nothing = |_: &mut Parts, _: &Service| Ok(());
            let promise = &promises::GET_WORK;
            let read = |headers: &HeaderMap, document: &[u8]| {
                Ok(answer::work(work, headers, answer::parsed(promise, headers, document)?))
            };
            let target = Target::Work(work);
            let Some(copied) = self.answered(attempt, promise, target, nothing, read).await? else {
                let asking = Attempt { timer: why, fresh: false };
                let (promise, target) = (&promises::LIST_WORK_ERRORS, Target::WorkErrors(work));
                let read = |headers: &HeaderMap, document: &[u8]| {
                    Ok(answer::work_failure(answer::parsed(promise, headers, document)?))
                };
                return Err(self.answered(asking, promise, target, nothing, read).await?);
            };
            why.discard();
            Ok(copied)
        })
    }

    fn delete_many<'a>(
        &'a self,
        keys: &'a [String],
        attempt: Attempt,
    ) -> Answer<'a, Vec<Result<(), Failure>>> {
        let fill = move |parts: &mut Parts, _: &Service| {
            let objects: Vec<_> = keys.iter().map(|key| json!({ "objectName": key })).collect();
            parts.carry(&json!({ "objects": objects, "isSkipDeletedResult": true }));
            Ok(())
        };
        let promise = &promises::BATCH_DELETE;
        let read = move |headers: &HeaderMap, document: &[u8]| {
            answer::deleted(keys, answer::parsed(promise, headers, document)?)
                .ok_or_else(|| promise.lacks_document(headers))
        };
        let target = Target::Action("batchDeleteObjects");
        Box::pin(self.answered(attempt, promise, target, fill, read))
    }

    fn begin_upload<'a>(
        &'a self,
        request: &'a UploadRequest,
        attempt: Attempt,
    ) -> Answer<'a, String> {
        let fill = |parts: &mut Parts, _: &Service| {
            answer::check_name(&request.key)?;
            condition(&mut parts.headers, &request.mode)?;
            if request.checksum {
                parts.headers.insert(CHECKSUM_ALGORITHM, HeaderValue::from_static("CRC32C"));
            }
            let about = &request.about;
            let metadata: std::collections::BTreeMap<_, _> = kept_metadata(about)?.collect();
            metadata::content("content-type", about.content_type())?;
            let mut document = json!({
                "object": *request.key,
                "contentType": about.content_type(),
                "metadata": metadata,
            });
            for (name, text) in about.headers() {
                metadata::content(name, text)?;
                document[answer::camel_case(name)] = json!(text);
            }
            parts.carry(&document);
            Ok(())
        };
        let promise = &promises::CREATE_UPLOAD;
        let read = |headers: &HeaderMap, document: &[u8]| {
            Ok(answer::parsed::<answer::Begun>(promise, headers, document)?.upload_id)
        };
        Box::pin(async move {
            let target = Target::Uploads;
            let begun = self.answered(attempt, promise, target, fill, read).await;
            begun.map_err(|failure| exists(failure, &request.mode))
        })
    }

    fn put_part<'a>(&'a self, request: &'a PartRequest, mut attempt: Attempt) -> Answer<'a, Part> {
        attempt.timer.uploads(request.body.len());
        let fill = |parts: &mut Parts, _: &Service| {
            let number = request.number.to_string();
            parts.query =
                query(&[("uploadId", Some(&request.upload.id)), ("uploadPartNum", Some(&number))]);
            checksum_headers(&mut parts.headers, request.checksum)?;
            parts.body = request.body.clone();
            Ok(())
        };
        let read = |headers: &HeaderMap, _: &[u8]| {
            answer::check_stored(request.checksum, headers)?;
            let etag = answer::etag(headers).ok_or_else(|| answer::lacks("ETag"))?;
            Ok(request.stored(etag))
        };
        let target = Target::Upload(&request.upload.key);
        Box::pin(self.answered(attempt, &promises::UPLOAD_PART, target, fill, read))
    }

    fn commit_upload<'a>(
        &'a self,
        request: &'a CommitRequest,
        attempt: Attempt,
    ) -> Answer<'a, ObjectMeta> {
        let CommitRequest { upload, parts: committed, crc32c, mode } = request;
        let fill = |parts: &mut Parts, _: &Service| {
            condition(&mut parts.headers, mode)?;
            parts.query = query(&[("uploadId", Some(&upload.id))]);
            let committed: Vec<_> = committed
                .iter()
                .map(|part| json!({ "partNum": part.number, "etag": part.etag }))
                .collect();
            parts.carry(&json!({ "partsToCommit": committed }));
            Ok(())
        };
        let read = |headers: &HeaderMap, _: &[u8]| {
            answer::check_stored(crc32c.map(Checksum::Crc32c), headers)?;
            let told = answer::meta(&upload.key, request.size(), headers);
            let checksum = told.checksum.or(crc32c.map(Checksum::Crc32c));
            Ok(ObjectMeta { checksum, ..told })
        };
        Box::pin(async move {
            let target = Target::Upload(&upload.key);
            let made = self.answered(attempt, &promises::COMMIT_UPLOAD, target, fill, read).await;
            made.map_err(|failure| exists(failure, mode))
        })
    }

    fn abort_upload<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> Answer<'a, ()> {
        let fill = |parts: &mut Parts, _: &Service| {
            parts.query = query(&[("uploadId", Some(&upload.id))]);
            Ok(())
        };
        let (promise, target) = (&promises::ABORT_UPLOAD, Target::Upload(&upload.key));
        Box::pin(self.answered(attempt, promise, target, fill, |_, _| Ok(())))
    }

    fn list_uploads<'a>(
        &'a self,
        prefix: &'a str,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, UploadPage> {
        let fill = move |parts: &mut Parts, _: &Service| {
            parts.query = query(&[("page", page)]);
            Ok(())
        };
        let promise = &promises::LIST_UPLOADS;
        // The service knows no prefix here.
        let read = move |headers: &HeaderMap, document: &[u8]| {
            let mut page = answer::uploads(answer::parsed(promise, headers, document)?, headers);
            page.uploads.retain(|upload| upload.key.starts_with(prefix));
            Ok(page)
        };
        Box::pin(self.answered(attempt, promise, Target::Uploads, fill, read))
    }

    fn has_parts<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> Answer<'a, bool> {
        let fill = |parts: &mut Parts, _: &Service| {
            parts.query = query(&[("uploadId", Some(&upload.id)), ("limit", Some("1"))]);
            Ok(())
        };
        let promise = &promises::LIST_PARTS;
        let read = |headers: &HeaderMap, document: &[u8]| {
            let parts: Vec<answer::Part> = answer::parsed(promise, headers, document)?;
            Ok(!parts.is_empty())
        };
        Box::pin(self.answered(attempt, promise, Target::Upload(&upload.key), fill, read))
    }

    fn create_bucket(&self, attempt: Attempt) -> Answer<'_, ()> {
        let fill = |parts: &mut Parts, service: &Service| {
            parts
                .carry(&json!({ "name": self.bucket()?, "compartmentId": service.compartment()? }));
            Ok(())
        };
        let promise = &promises::CREATE_BUCKET;
        let read = |headers: &HeaderMap, document: &[u8]| {
            let made: answer::Made = answer::parsed(promise, headers, document)?;
            match self.url.bucket() {
                Some(bucket) if bucket != made.name => Err(answer::misread(format!(
                    "the service answers that it made the bucket {:?}",
                    made.name
                ))),
                _ => Ok(()),
            }
        };
        Box::pin(async move {
            let created = self.answered(attempt, promise, Target::Buckets, fill, read).await;
            created.map_err(|mut failure| {
                if failure.code.as_deref() == Some("BucketAlreadyExists") {
                    failure.kind = ErrorKind::AlreadyExists;
                }
                failure
            })
        })
    }

    fn delete_bucket(&self, attempt: Attempt) -> Answer<'_, ()> {
        self.seen.no();
        let (promise, target) = (&promises::DELETE_BUCKET, Target::Bucket);
        Box::pin(self.answered(attempt, promise, target, |_, _| Ok(()), |_, _| Ok(())))
    }

    fn list_buckets<'a>(
        &'a self,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, BucketPage> {
        let fill = move |parts: &mut Parts, service: &Service| {
            parts.query = query(&[("compartmentId", Some(service.compartment()?)), ("page", page)]);
            Ok(())
        };
        let promise = &promises::LIST_BUCKETS;
        let read = |headers: &HeaderMap, document: &[u8]| {
            Ok(answer::buckets(answer::parsed(promise, headers, document)?, headers))
        };
        Box::pin(self.answered(attempt, promise, Target::Buckets, fill, read))
    }
}

impl Service {
    fn compartment(&self) -> Result<&str, Failure> {
        self.compartment.as_deref().ok_or_else(|| {
            Failure::new(ErrorKind::Config)
                .message("no compartment is known: set compartment, or tenancy in the profile")
        })
    }
}

/// `?a=b&c=d` of the parameters that have a value.
fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        encode_into(&mut query, value);
    }
    query
}

/// What a write demands of the object that is there.
fn condition(headers: &mut HeaderMap, mode: &PutMode) -> Result<(), Failure> {
    match mode {
        PutMode::Overwrite => {}
        PutMode::Create => {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        PutMode::Update(etag) => {
            headers.insert(header::IF_MATCH, etag::required(etag)?);
        }
    }
    Ok(())
}

/// The tag that a source must have, where that can be asked.
fn source_tag(tag: Option<&String>) -> Option<&str> {
    tag.map(String::as_str).filter(|tag| etag::condition(tag).is_some())
}

fn checksum_headers(headers: &mut HeaderMap, checksum: Option<Checksum>) -> Result<(), Failure> {
    match checksum {
        Some(Checksum::Crc32c(crc)) => {
            headers.insert(CHECKSUM_ALGORITHM, HeaderValue::from_static("CRC32C"));
            let crc = answer::value(STANDARD.encode(crc.to_be_bytes()))?;
            headers.insert(answer::CRC32C, crc);
        }
        Some(Checksum::Md5(md5)) => {
            headers.insert("content-md5", answer::value(STANDARD.encode(md5))?);
        }
        None => {}
    }
    Ok(())
}

fn about_headers(headers: &mut HeaderMap, about: &About) -> Result<(), Failure> {
    headers.insert(header::CONTENT_TYPE, metadata::content("content-type", about.content_type())?);
    for (name, text) in about.headers() {
        headers.insert(HeaderName::from_static(name), metadata::content(name, text)?);
    }
    for (name, text) in kept_metadata(about)? {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e))?;
        headers.insert(name, answer::value(text)?);
    }
    Ok(())
}

/// User metadata under the service's names, ours among them.
fn kept_metadata(about: &About) -> Result<impl Iterator<Item = (String, String)>, Failure> {
    let sent = metadata::sent(about)?;
    Ok(sent.into_iter().map(|(name, text)| (format!("opc-meta-{name}"), text)))
}
