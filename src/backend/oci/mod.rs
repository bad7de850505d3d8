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

mod answer;
mod realm;

use super::{
    Answer, Attempt, Backend, BucketPage, Checksum, GetRange, GetReply, GetRequest, ListPage,
    ListRequest, ObjectMeta, PutMode, PutRequest,
};
use crate::auth::{self, Again, Presented, Signed, Signer};
use crate::config::{Config, Profile};
use crate::error::{Error, ErrorKind, Failure};
use crate::timing::{AttemptTimer, Operation, Phase, RequestId};
use crate::transport::{Endpoint, Origin, RequestBody, Response, Sending, Transport};
use crate::url::{StoreUrl, encode_into};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::OnceCell;

/// Documents (listings, errors) longer than this are refused: 1,000 entries take less than 2 MiB.
const DOCUMENT_LIMIT: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct Oci {
    url: StoreUrl,
    config: Config,
    transport: Arc<Transport>,
    service: OnceCell<Service>,
    /// `/n/{namespace}`, encoded.
    namespace: OnceCell<String>,
    /// `/n/{namespace}/b/{bucket}/o/`, encoded.
    objects: OnceCell<String>,
}

/// What the first request finds out.
#[derive(Debug)]
struct Service {
    endpoint: Arc<Endpoint>,
    host: HeaderValue,
    signer: Signer,
    compartment: Option<String>,
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
}

/// What a request carries besides its target and signature.
#[derive(Debug, Default)]
struct Parts {
    headers: HeaderMap,
    /// Whether a Range is among them.
    ranged: bool,
    query: String,
    body: Bytes,
    /// Whether the body is JSON and signed.
    document: bool,
}

impl Parts {
    fn new() -> Parts {
        Parts { headers: HeaderMap::with_capacity(8), ..Parts::default() }
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
        }
    }

    async fn service(&self) -> Result<&Service, Failure> {
        if let Some(service) = self.service.get() {
            return Ok(service);
        }
        let made = self.service.get_or_try_init(|| async {
            // Files are read, and a key may have to be decrypted.
            let config = self.config.clone();
            let loaded = tokio::task::spawn_blocking(move || load(&config)).await;
            let Loaded { origin, principal, compartment } =
                loaded.map_err(|e| Failure::new(ErrorKind::Config).source(e))??;
            let signer = Signer::new(principal, origin.authority(), &self.config);
            let host = HeaderValue::from_str(origin.authority())
                .map_err(|e| Failure::new(ErrorKind::Config).source(e))?;
            Ok(Service { endpoint: self.transport.endpoint(&origin), host, signer, compartment })
        });
        Box::pin(made).await
    }

    /// `/n/{namespace}`: the URL's, or asked of the service, once.
    async fn namespace(&self, timer: &AttemptTimer) -> Result<&str, Failure> {
        if let Some(known) = self.namespace.get() {
            return Ok(known);
        }
        let target = self.namespace.get_or_try_init(|| async {
            let name = match self.url.namespace() {
                Some(name) => name.to_owned(),
                None => self.ask_namespace(timer).await?,
            };
            let mut target = String::from("/n/");
            encode_into(&mut target, &name);
            Ok::<_, Failure>(target)
        });
        Ok(Box::pin(target).await?)
    }

    /// Boxed: asking for the namespace is itself a request, and a request may have to ask for the namespace.
    fn ask_namespace(&self, timer: &AttemptTimer) -> Answer<'_, String> {
        let attempt = Attempt { timer: timer.another(Operation::GetNamespace), fresh: false };
        Box::pin(async move {
            let read = |_: &HeaderMap, document: &[u8]| {
                serde_json::from_slice(document).map_err(|e| answer::malformed("GetNamespace", e))
            };
            self.answered(attempt, Method::GET, Target::Namespace, |_, _| Ok(()), read).await
        })
    }

    /// The request target, path only, as it is signed and sent.
    async fn target(&self, target: Target<'_>, timer: &AttemptTimer) -> Result<String, Failure> {
        if let (Target::Object(key), Some(objects)) = (target, self.objects.get()) {
            answer::check_name(key)?;
            let mut path = String::with_capacity(objects.len() + key.len() + 32);
            path.push_str(objects);
            encode_into(&mut path, key);
            return Ok(path);
        }
        if let Target::Namespace = target {
            return Ok("/n/".to_owned());
        }
        let mut path = self.namespace(timer).await?.to_owned() + "/b";
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
        let (kept, presented) = service.signer.reuse(method, key, timer.now_or_mark())?;
        let parts = Parts { headers: kept.headers.clone(), ..Parts::default() };
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
        let mut path = self.target(target, timer).await?;
        let mut parts = Parts::new();
        fill(&mut parts, service)?;
        path.push_str(&parts.query);
        let body = parts.document.then_some(&parts.body[..]);
        let signed = service.signer.sign(method, &path, body, timer).await?;
        // `http::Uri` keeps every byte of a path and query; `url::Url` would not.
        let uri = Uri::from_maybe_shared(Bytes::from(path))
            .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e))?;
        if let Target::Object(key) = target {
            service.signer.keep(method, key, &uri, &signed, || headers_of_reads(service, &signed));
        }
        add_common_headers(&mut parts.headers, service, &signed);
        if let Some(sha256) = signed.content_sha256 {
            parts.headers.insert(CONTENT_SHA256, sha256);
        }
        Ok((service, Prepared { uri, parts, presented: signed.presented }))
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

    /// An exchange whose answer is read whole, and made into something by `read`.
    async fn answered<T>(
        &self,
        attempt: Attempt,
        method: Method,
        target: Target<'_>,
        fill: impl FnOnce(&mut Parts, &Service) -> Result<(), Failure> + Send,
        read: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let (response, id) = self.exchange(attempt, method, target, fill).await?;
        let Response { headers, body, .. } = response;
        let document = body.collect(DOCUMENT_LIMIT).await;
        named(document.and_then(|document| read(&headers, &document)), id)
    }
}

/// A signed request and its answer to come.
#[must_use = "dropped, the request is cancelled"]
struct Exchange<'a> {
    state: Exchanging<'a>,
    id: RequestId,
}

enum Exchanging<'a> {
    Sending(Sending<'a>, Presented),
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
    presented: Presented,
    id: RequestId,
) -> Result<Response, Failure> {
    let mut failure = match answered {
        Ok(response) if response.status.is_success() => return Ok(response),
        Ok(response) => answer::refusal(response).await,
        Err(failure) => failure,
    };
    if failure.kind == ErrorKind::Unauthenticated {
        failure.presented = Some(presented);
    }
    failure.client_request_id = Some(id.to_string());
    Err(failure)
}

/// A failure before anything was sent.
fn unsent(mut failure: Failure) -> Failure {
    failure.unsent = true;
    failure
}

/// What a request is sent to, with its headers and body, and what it was signed with.
struct Prepared {
    uri: Uri,
    parts: Parts,
    presented: Presented,
}

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");

/// Stands in the headers of kept reads where each request puts a value of its own, so that the map need not grow.
const UNSET: HeaderValue = HeaderValue::from_static("");

/// The headers of all reads of an object that are made with one signature. The Range and the client request id are
/// still to be set. As large as hyper needs it to put a usual answer's headers into the same map.
fn headers_of_reads(service: &Service, signed: &Signed) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CLIENT_REQUEST_ID, UNSET);
    headers.insert(header::RANGE, UNSET);
    add_common_headers(&mut headers, service, signed);
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

fn add_common_headers(headers: &mut HeaderMap, service: &Service, signed: &Signed) {
    headers.insert(header::HOST, service.host.clone());
    headers.insert(header::USER_AGENT, HeaderValue::from_static(crate::USER_AGENT));
    headers.insert(header::DATE, signed.date.clone());
    headers.insert(header::AUTHORIZATION, signed.authorization.clone());
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
    let mut request = Request::new(RequestBody::full(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

struct Loaded {
    origin: Origin,
    principal: Box<dyn auth::Principal>,
    compartment: Option<String>,
}

fn load(config: &Config) -> Result<Loaded, Error> {
    let profile = Profile::load(config, |name| std::env::var(name).ok())?;
    let principal = auth::load(config, &profile)?;
    let endpoint = match &config.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => {
            let region =
                config.region.as_deref().or_else(|| profile.get("region")).ok_or_else(|| {
                    profile.error("names no region; add `region = …`, or set region or endpoint")
                })?;
            realm::endpoint(region)
        }
    };
    let compartment =
        config.compartment.clone().or_else(|| profile.get("tenancy").map(str::to_owned));
    Ok(Loaded { origin: Origin::parse(&endpoint)?, principal, compartment })
}

impl Backend for Oci {
    fn url(&self, key: &str) -> String {
        self.url.with_key(key).to_string()
    }

    fn after_unauthorized(&self, failure: &Failure) -> Again {
        match (self.service.get(), &failure.presented) {
            (Some(service), Some(presented)) => {
                service.signer.after_unauthorized(presented, failure.server_date)
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
            if let Some(etag) = &request.if_match {
                parts.headers.insert(header::IF_MATCH, answer::value(etag.to_owned())?);
            }
            Ok(())
        };
        let exchange = self.exchange(attempt, Method::GET, Target::Object(&request.key), fill);
        Box::pin(exchange.map(|answered| {
            let (response, id) = answered?;
            named(answer::get(request, response), id)
        }))
    }

    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> Answer<'a, ObjectMeta> {
        let read = move |headers: &HeaderMap, _: &[u8]| {
            let size = answer::length(headers).ok_or_else(|| answer::lacks("Content-Length"))?;
            Ok(answer::meta(key, size, headers))
        };
        let target = Target::Object(key);
        Box::pin(self.answered(attempt, Method::HEAD, target, |_, _| Ok(()), read))
    }

    fn put<'a>(&'a self, request: &'a PutRequest, mut attempt: Attempt) -> Answer<'a, ObjectMeta> {
        attempt.timer.uploads(request.body.len() as u64);
        let fill = |parts: &mut Parts, _: &Service| {
            parts.headers = put_headers(request)?;
            parts.body = request.body.clone();
            Ok(())
        };
        let read = |headers: &HeaderMap, _: &[u8]| {
            answer::check_stored(request, headers)?;
            let told = answer::meta(&request.key, request.body.len() as u64, headers);
            Ok(ObjectMeta {
                checksum: told.checksum.or(request.checksum),
                content_type: Some(content_type(request).to_owned()),
                content_encoding: request.content_encoding.clone(),
                metadata: request.metadata.clone(),
                ..told
            })
        };
        Box::pin(async move {
            let target = Target::Object(&request.key);
            let put = self.answered(attempt, Method::PUT, target, fill, read).await;
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
                parts.headers.insert(header::IF_MATCH, answer::value(etag.to_owned())?);
            }
            Ok(())
        };
        Box::pin(self.answered(attempt, Method::DELETE, Target::Object(key), fill, |_, _| Ok(())))
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
        let read = |_: &HeaderMap, document: &[u8]| answer::list(document);
        Box::pin(self.answered(attempt, Method::GET, Target::Objects, fill, read))
    }

    fn create_bucket(&self, attempt: Attempt) -> Answer<'_, ()> {
        let fill = |parts: &mut Parts, service: &Service| {
            let document = serde_json::json!({ "name": self.bucket()?, "compartmentId": service.compartment()? });
            parts.body = document.to_string().into();
            parts.document = true;
            Ok(())
        };
        Box::pin(async move {
            let created =
                self.answered(attempt, Method::POST, Target::Buckets, fill, |_, _| Ok(())).await;
            created.map_err(|mut failure| {
                if failure.code.as_deref() == Some("BucketAlreadyExists") {
                    failure.kind = ErrorKind::AlreadyExists;
                }
                failure
            })
        })
    }

    fn delete_bucket(&self, attempt: Attempt) -> Answer<'_, ()> {
        let target = Target::Bucket;
        Box::pin(self.answered(attempt, Method::DELETE, target, |_, _| Ok(()), |_, _| Ok(())))
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
        let read = |headers: &HeaderMap, document: &[u8]| answer::buckets(document, headers);
        Box::pin(self.answered(attempt, Method::GET, Target::Buckets, fill, read))
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

fn put_headers(request: &PutRequest) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(16);
    let mut put = |name: &'static str, text: &str| -> Result<(), Failure> {
        headers.insert(HeaderName::from_static(name), answer::value(text.to_owned())?);
        Ok(())
    };
    match &request.mode {
        PutMode::Overwrite => {}
        PutMode::Create => put("if-none-match", "*")?,
        PutMode::Update(etag) => put("if-match", etag)?,
    }
    match request.checksum {
        Some(Checksum::Crc32c(crc)) => {
            put("opc-checksum-algorithm", "CRC32C")?;
            put("opc-content-crc32c", &STANDARD.encode(crc.to_be_bytes()))?;
        }
        Some(Checksum::Md5(md5)) => put("content-md5", &STANDARD.encode(md5))?,
        None => {}
    }
    put("content-type", content_type(request))?;
    if let Some(encoding) = &request.content_encoding {
        put("content-encoding", encoding)?;
    }
    if let Some(mark) = request.mark {
        put(answer::MARK, &mark.to_string())?;
    }
    for (name, text) in &request.metadata {
        let name = HeaderName::try_from(format!("opc-meta-{name}")).map_err(|e| {
            Failure::new(ErrorKind::InvalidInput)
                .message(format!("{name:?} cannot name user metadata"))
                .source(e)
        })?;
        headers.insert(name, answer::value(text.to_owned())?);
    }
    Ok(headers)
}

fn content_type(request: &PutRequest) -> &str {
    request.content_type.as_deref().unwrap_or("application/octet-stream")
}

/// A condition that failed on a creation means that the object exists.
fn exists(mut failure: Failure, mode: &PutMode) -> Failure {
    if failure.status == Some(StatusCode::PRECONDITION_FAILED.as_u16()) && *mode == PutMode::Create
    {
        failure.kind = ErrorKind::AlreadyExists;
    }
    failure
}
