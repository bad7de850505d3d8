// SPDX-License-Identifier: Apache-2.0
//! S3, path or host style.
//!
//! ```text
//!  get · head · put · part · delete ─▶ our own request, SigV4 (signer.rs), reused for reads ─┐
//!  list · batches · uploads · copies · buckets ─▶ aws-sdk-s3 ─▶ connector.rs ────────────────┴▶ Transport
//!        endpoint, region, credentials of both: aws-config's chain, asked once (service.rs)
//! ```
//!
//! Reads and writes go past the SDK since its GET takes several times the CPU of ours (DESIGN.md has the figure). What
//! goes by it is a document in and a document out. Its retries, timeouts and checksums of its own choice are off:
//! `attempt` retries, `transport` times out, and a body is never `aws-chunked`.
//!
//! Facts of the protocol are those of the S3 API reference of 2006-03-01.

mod answer;
mod connector;
mod promises;
mod service;
mod signer;

use super::oci::answer::{etag, get, lacks, one_each, value};
use super::promise::Promise;
use super::{
    Abilities, About, Answer, Attempt, Backend, Bucket, BucketPage, Checksum, CommitRequest,
    Copied, CopyPartRequest, CopyRequest, GetRange, GetReply, GetRequest, ListPage, ListRequest,
    Next, ObjectMeta, Part, PartRequest, Place, PutMode, PutRequest, ServiceId, Upload, UploadPage,
    UploadRequest, etag as tags, exists, metadata,
    unsaid::{Seen, explained},
    unsent,
};
use crate::auth::Again;
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Phase, RequestId};
use crate::transport::{RequestBody, Response, Transport};
use crate::url::{Scheme, StoreUrl, encode_into, encode_path_into};
use answer::Told;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    BucketLocationConstraint, ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload,
    CompletedPart, CreateBucketConfiguration, Delete, EncodingType, MetadataDirective,
    ObjectIdentifier,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connector::Slot;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri};
use service::Service;
use signer::ToSign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// The longest object name, in bytes.
const NAME_LIMIT: usize = 1024;

/// The most that is copied by one request.
const COPY_LIMIT: u64 = 5 << 30;

const ABILITIES: Abilities = Abilities {
    rename: false,
    delete_many: 1000,
    // AWS judges conditions of copies, most other servers pass over them.
    conditional_copies: false,
    copies_parts_above: Some(COPY_LIMIT),
    least_part: 5 << 20,
    most_part: 5 << 30,
    parts: 10_000,
    ordered_listings: true,
    ends_listings: false,
};

/// What the names of directory buckets (S3 Express) end in. Their listings come in no order and know no `start-after`.
const DIRECTORY: &str = "--x-s3";

/// The attempt's name, as on OCI, whose S3 API knows it, too.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

#[derive(Debug)]
pub(crate) struct S3 {
    url: StoreUrl,
    config: Config,
    transport: Arc<Transport>,
    service: OnceCell<Service>,
    /// Whether the bucket is there. Where one may not read, S3 answers 403.
    seen: Seen,
    /// Whether the server writes entity tags without quotes, and so must be sent them.
    bare_tags: AtomicBool,
}

impl S3 {
    pub(crate) fn new(url: &StoreUrl, config: Config, transport: &Arc<Transport>) -> S3 {
        S3 {
            url: url.with_key(""),
            config,
            transport: Arc::clone(transport),
            service: OnceCell::new(),
            seen: Seen::default(),
            bare_tags: AtomicBool::new(false),
        }
    }

    async fn service(&self) -> Result<&Service, Failure> {
        if let Some(service) = self.service.get() {
            return Ok(service);
        }
        let made = self
            .service
            .get_or_try_init(|| Service::load(&self.config, self.url.bucket(), &self.transport));
        Box::pin(made).await
    }

    fn bucket(&self) -> Result<&str, Failure> {
        self.url.bucket().ok_or_else(|| {
            Failure::new(ErrorKind::InvalidInput).message("the URL names no bucket: s3://bucket/")
        })
    }

    fn is_directory(&self) -> bool {
        self.url.bucket().is_some_and(|bucket| bucket.ends_with(DIRECTORY))
    }

    /// Signs and sends one of our own requests; an answer that is not a success becomes a failure with what the service
    /// said. Each way out records the attempt. The client request id of the answer stands beside it.
    async fn exchange(
        &self,
        attempt: Attempt,
        ours: Ours<'_>,
    ) -> Result<(Response, RequestId), Failure> {
        let Attempt { mut timer, fresh } = attempt;
        let id = timer.client_request_id();
        let prepared = self.prepare(&mut timer, ours, id).await;
        let (service, request) = match prepared {
            Ok(prepared) => prepared,
            Err(mut failure) => {
                timer.discard();
                failure.unsent = true;
                return Err(failure);
            }
        };
        timer.lap(Phase::Prepare);
        let sent = self.transport.send(&service.endpoint, request, timer, fresh).await;
        let mut failure = match sent {
            Ok(response) if response.status.is_success() => {
                self.seen.yes();
                self.note_tag(&response.headers);
                return Ok((response, id));
            }
            Ok(response) => Box::pin(answer::refusal(response)).await,
            Err(failure) => failure,
        };
        self.judge(&mut failure);
        failure.client_request_id = Some(id.to_string());
        Err(failure)
    }

    /// What a refusal says of the bucket; and one without a code may be of the clock.
    fn judge(&self, failure: &mut Failure) {
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

    /// Learns the form in which the server writes its tags.
    fn note_tag(&self, headers: &HeaderMap) {
        let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
        if let Some(tag) = tag
            && !tags::is_quoted(tags::strong(tag))
        {
            self.bare_tags.store(true, Relaxed);
        }
    }

    /// A tag, perhaps of a listing, in the form in which the server writes it in headers.
    fn in_its_form<'a>(&self, tag: &'a str) -> &'a str {
        if self.bare_tags.load(Relaxed) && tags::is_quoted(tag) { tags::opaque(tag) } else { tag }
    }

    /// If-Match and If-None-Match of a write.
    fn conditions(&self, mode: &PutMode) -> Result<(Option<String>, Option<String>), Failure> {
        Ok(match mode {
            PutMode::Overwrite => (None, None),
            PutMode::Create => (None, Some("*".to_owned())),
            PutMode::Update(tag) => {
                let tag = self.in_its_form(tag);
                tags::required(tag)?;
                (Some(tag.to_owned()), None)
            }
        })
    }

    /// The tag that a copy's source must have, where that can be asked.
    fn source_tag(&self, tag: Option<&String>) -> Option<String> {
        let tag = self.in_its_form(tag?);
        tags::condition(tag).map(|_| tag.to_owned())
    }

    async fn prepare(
        &self,
        timer: &mut AttemptTimer,
        ours: Ours<'_>,
        id: RequestId,
    ) -> Result<(&Service, Request<RequestBody>), Failure> {
        let Ours { promise, key, query, signed, unsigned, body } = ours;
        let method = promise.method.clone();
        let service = self.service().await?;
        check_name(key)?;
        let mut headers = unsigned;
        let checked = signed.contains_key(CHECKSUM_MODE);
        let reusable = query.is_empty() && matches!(method, Method::GET | Method::HEAD);
        let reused = match &service.signer {
            Some(signer) if reusable => signer.reuse(&method, key, checked, &mut headers),
            _ => None,
        };
        let uri = match reused {
            Some(uri) => {
                headers.extend(signed);
                uri
            }
            None => {
                self.sign(
                    timer,
                    service,
                    &method,
                    key,
                    query,
                    signed,
                    &body,
                    &mut headers,
                    reusable,
                )
                .await?
            }
        };
        headers.insert(header::HOST, service.host.clone());
        let id = HeaderValue::from_bytes(&id.hex()).expect("digits can stand in a header");
        headers.insert(CLIENT_REQUEST_ID, id);
        if method == Method::PUT {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let mut request = Request::new(RequestBody::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok((service, request))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    async fn sign(
        &self,
        timer: &mut AttemptTimer,
        service: &Service,
        method: &Method,
        key: &str,
        query: String,
        mut signed: HeaderMap,
        body: &Payload,
        headers: &mut HeaderMap,
        reusable: bool,
    ) -> Result<Uri, Failure> {
        let checked = signed.contains_key(CHECKSUM_MODE);
        let mut path = service.base.clone();
        path.push('/');
        encode_path_into(&mut path, key);
        path.push_str(&query);
        let url = [service.origin.as_str(), &path].concat();
        let uri = Uri::from_maybe_shared(Bytes::from(path))
            .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e))?;
        if let Some(signer) = &service.signer {
            signed.insert(header::HOST, service.host.clone());
            let to_sign =
                ToSign { method, url: &url, headers: &signed, body: service.signable(body) };
            let signature = signer.sign(to_sign, timer).await?;
            for (name, value) in &signature.headers {
                headers.insert(name.clone(), value.clone());
            }
            if reusable {
                signer.keep(method, key, checked, &uri, signature);
            }
        }
        headers.extend(signed);
        Ok(uri)
    }

    /// An exchange whose answer's head says everything; it is held against what is promised.
    async fn headed<T>(
        &self,
        attempt: Attempt,
        ours: Ours<'_>,
        read: impl FnOnce(&HeaderMap) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let promise = ours.promise;
        let (response, id) = self.exchange(attempt, ours).await?;
        let Response { status, headers, body } = response;
        let ended = body.collect(answer::DOCUMENT_LIMIT).await;
        named(
            ended.and_then(|_| promise.check_head(status, &headers)).and_then(|()| read(&headers)),
            id,
        )
    }

    /// Sends a request of the SDK's, in the attempt's name.
    async fn asked<T, E, S>(
        &self,
        attempt: Attempt,
        promise: &'static Promise,
        send: impl FnOnce(&Service, &str, Named) -> S + Send,
    ) -> Result<T, Failure>
    where
        E: std::error::Error + Send + Sync + 'static,
        S: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let Attempt { timer, fresh } = attempt;
        let id = timer.client_request_id().to_string();
        let slot = Slot::new(timer, fresh, promise);
        let answered = async {
            let service = self.service().await?;
            let travelling = slot.clone();
            let named: Named = Box::new(move |request| request.add_extension(travelling.clone()));
            let bucket = self.url.bucket().unwrap_or_default();
            Box::pin(send(service, bucket, named)).await.map_err(|error| refused(error, &slot))
        };
        match answered.await {
            Ok(answer) => {
                self.seen.yes();
                Ok(answer)
            }
            Err(mut failure) => {
                if let Some(timer) = slot.unused() {
                    timer.discard();
                    failure.unsent = true;
                }
                self.judge(&mut failure);
                failure.client_request_id = Some(id);
                Err(failure)
            }
        }
    }
}

/// Gives an SDK's request its attempt.
type Named = Box<dyn Fn(&mut HttpRequest) + Send + Sync>;

/// One of our own requests.
struct Ours<'a> {
    promise: &'static Promise,
    key: &'a str,
    /// With its `?`.
    query: String,
    /// Headers that are signed.
    signed: HeaderMap,
    unsigned: HeaderMap,
    body: Payload,
}

impl<'a> Ours<'a> {
    fn new(promise: &'static Promise, key: &'a str) -> Ours<'a> {
        Ours {
            promise,
            key,
            query: String::new(),
            signed: HeaderMap::new(),
            unsigned: HeaderMap::with_capacity(12),
            body: Payload::default(),
        }
    }

    /// Asks for the object's checksum.
    fn checked(&mut self) {
        self.signed.insert(CHECKSUM_MODE, HeaderValue::from_static("ENABLED"));
    }

    fn condition(&mut self, on: &S3, mode: &PutMode) -> Result<(), Failure> {
        let (if_match, if_none_match) = on.conditions(mode)?;
        for (name, text) in [(header::IF_MATCH, if_match), (header::IF_NONE_MATCH, if_none_match)] {
            if let Some(text) = text {
                self.unsigned.insert(name, value(text)?);
            }
        }
        Ok(())
    }

    fn checksum(&mut self, checksum: Option<Checksum>) -> Result<(), Failure> {
        match checksum {
            Some(Checksum::Crc32c(crc)) => {
                self.signed.insert(
                    HeaderName::from_static(answer::CRC32C),
                    value(answer::show_crc32c(crc))?,
                );
            }
            Some(Checksum::Md5(md5)) => {
                self.signed.insert("content-md5", value(STANDARD.encode(md5))?);
            }
            None => {}
        }
        Ok(())
    }

    fn about(&mut self, about: &About) -> Result<(), Failure> {
        let content_type = metadata::content("content-type", about.content_type())?;
        self.signed.insert(header::CONTENT_TYPE, content_type);
        for (name, text) in about.headers() {
            self.unsigned.insert(HeaderName::from_static(name), metadata::content(name, text)?);
        }
        for (name, text) in metadata::sent(about)? {
            let name = HeaderName::try_from([answer::METADATA, &name].concat())
                .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e))?;
            self.signed.insert(name, value(text)?);
        }
        Ok(())
    }
}

/// Gives a failure after the head the id of its request.
fn named<T>(result: Result<T, Failure>, id: RequestId) -> Result<T, Failure> {
    result.map_err(|mut failure| {
        failure.client_request_id.get_or_insert_with(|| id.to_string());
        failure
    })
}

/// Names the service does not take are refused before they are sent.
fn check_name(key: &str) -> Result<(), Failure> {
    let why = if key.is_empty() {
        "the object name is empty".to_owned()
    } else if key.len() > NAME_LIMIT {
        format!("the object name has {} bytes; the service takes {NAME_LIMIT}", key.len())
    } else {
        return Ok(());
    };
    Err(Failure::new(ErrorKind::InvalidInput).message(why))
}

/// What an SDK's request failed with. What the transport or the answer says is in the slot; the SDK sees no refusal.
fn refused<E>(error: SdkError<E, HttpResponse>, slot: &Slot) -> Failure
where
    E: std::error::Error + Send + Sync + 'static,
{
    if let Some(failure) = slot.failure() {
        return failure;
    }
    match error {
        unread @ (SdkError::ResponseError(_) | SdkError::ServiceError(_)) => {
            Failure::new(ErrorKind::Protocol).message("the answer does not parse").source(unread)
        }
        // Credentials that cannot be had, a region that is missing, a name that is none.
        other => Failure::new(ErrorKind::Config)
            .message(format!("the request could not be made: {}", causes(&other))),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn system_time(time: &DateTime) -> SystemTime {
    let seconds = u64::try_from(time.secs()).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, time.subsec_nanos())
}

impl Backend for S3 {
    fn abilities(&self) -> Abilities {
        Abilities { ordered_listings: !self.is_directory(), ..ABILITIES }
    }

    fn service(&self) -> ServiceId {
        let endpoint = self.config.endpoint_of(Scheme::S3);
        ServiceId::S3(endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()))
    }

    fn url(&self, key: &str) -> String {
        self.url.with_key(key).to_string()
    }

    fn after_unauthorized(&self, failure: &Failure) -> Again {
        match self.service.get().and_then(|service| service.signer.as_ref()) {
            Some(signer) => signer.after_unauthorized(failure),
            None => Again::No("the store does not take unsigned requests".to_owned()),
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
        Box::pin(async move {
            let mut ours = Ours::new(&promises::GET_OBJECT, &request.key);
            match &request.range {
                Some(range) => {
                    ours.unsigned.insert(header::RANGE, range.header());
                }
                None if self.config.verify => ours.checked(),
                None => {}
            }
            let tag = request.if_match.as_deref();
            if let Some(tag) = tag.and_then(|tag| tags::condition(self.in_its_form(tag))) {
                ours.unsigned.insert(header::IF_MATCH, tag);
            }
            let (response, id) = self.exchange(attempt, ours).await?;
            named(get(&promises::GET_OBJECT, request, response, answer::meta), id)
        })
    }

    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> Answer<'a, ObjectMeta> {
        let mut ours = Ours::new(&promises::HEAD_OBJECT, key);
        if self.config.verify {
            ours.checked();
        }
        let read = move |headers: &HeaderMap| {
            answer::head(key, headers).ok_or_else(|| lacks("Content-Length"))
        };
        Box::pin(async move {
            let sink = attempt.timer.sink().clone();
            match self.headed(attempt, ours, read).await {
                Ok(meta) => Ok(meta),
                // By the server's clock, without a code: it is tried again by that.
                Err(failure)
                    if failure.kind == ErrorKind::Unauthenticated
                        && failure.status == Some(403) =>
                {
                    Err(failure)
                }
                Err(failure) => explained(self, key, &self.seen, sink, failure).await,
            }
        })
    }

    fn put<'a>(&'a self, request: &'a PutRequest, mut attempt: Attempt) -> Answer<'a, ObjectMeta> {
        attempt.timer.uploads(request.body.len());
        Box::pin(async move {
            let mut ours = Ours::new(&promises::PUT_OBJECT, &request.key);
            let filled = ours
                .condition(self, &request.mode)
                .and_then(|()| ours.checksum(request.checksum))
                .and_then(|()| ours.about(&request.about));
            let attempt = sendable(filled, attempt)?;
            ours.body = request.body.clone();
            let read = |headers: &HeaderMap| {
                answer::check_stored(crc32c(request.checksum), text(headers, answer::CRC32C))?;
                let told = answer::meta(&request.key, request.body.len(), headers);
                let checksum = told.checksum.or(request.checksum);
                Ok(request.about.told(ObjectMeta { checksum, ..told }))
            };
            let put = self.headed(attempt, ours, read).await;
            put.map_err(|failure| exists(failure, &request.mode))
        })
    }

    fn delete<'a>(
        &'a self,
        key: &'a str,
        if_match: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut ours = Ours::new(&promises::DELETE_OBJECT, key);
            let filled = match if_match {
                Some(etag) => ours.condition(self, &PutMode::Update(etag.to_owned())),
                None => Ok(()),
            };
            let attempt = sendable(filled, attempt)?;
            self.headed(attempt, ours, |_| Ok(())).await
        })
    }

    fn list<'a>(&'a self, request: &'a ListRequest, attempt: Attempt) -> Answer<'a, ListPage> {
        Box::pin(async move {
            let start_after = request.start_after.clone().filter(|_| !self.is_directory());
            let listed = self
                .asked(attempt, &promises::LIST_OBJECTS, |service, bucket, named| {
                    service
                        .client
                        .list_objects_v2()
                        .bucket(bucket)
                        .encoding_type(EncodingType::Url)
                        .set_prefix((!request.prefix.is_empty()).then(|| request.prefix.clone()))
                        .set_delimiter(request.delimiter.then(|| "/".to_owned()))
                        .set_start_after(start_after.clone())
                        .set_continuation_token(request.token.clone())
                        .set_max_keys(request.page_size.map(|size| size as i32))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            page(listed)
        })
    }

    fn place<'a>(&'a self, _: &'a AttemptTimer) -> Answer<'a, Place> {
        Box::pin(async move {
            let region = self.service().await?.region.clone();
            Ok(Place { region, namespace: String::new(), bucket: self.bucket()?.to_owned() })
        })
    }

    fn copy<'a>(&'a self, request: &'a CopyRequest, attempt: Attempt) -> Answer<'a, Copied> {
        Box::pin(async move {
            let placed = async {
                check_name(&request.to)?;
                let target = request.target.place(&attempt.timer).await?;
                let conditions = self.conditions(&request.mode)?;
                Ok((target, source(self.bucket()?, &request.from), conditions))
            };
            let placed = placed.await;
            let (target, from, (if_match, if_none_match)) = match placed {
                Ok(placed) => placed,
                Err(failure) => return Err(unsent(failure, attempt)),
            };
            let from_tag = self.source_tag(request.from_etag.as_ref());
            let copied = self.asked(attempt, &promises::COPY_OBJECT, |service, _, named| {
                let operation = service
                    .client
                    .copy_object()
                    .bucket(&target.bucket)
                    .key(&*request.to)
                    .copy_source(from)
                    .set_copy_source_if_match(from_tag)
                    .set_if_match(if_match)
                    .set_if_none_match(if_none_match)
                    .metadata_directive(MetadataDirective::Copy)
                    .customize()
                    .mutate_request(named);
                let region = aws_sdk_s3::config::Region::new(target.region);
                let there = aws_sdk_s3::config::Config::builder().region(region);
                operation.config_override(there).send()
            });
            let copied = copied.await.map_err(|failure| exists(failure, &request.mode))?;
            let etag = copied.copy_object_result.and_then(|result| result.e_tag);
            let etag =
                etag.ok_or_else(|| promises::COPY_OBJECT.lacks("ETag", &HeaderMap::new()))?;
            Ok(Copied::Done(Some(answer::quoted(&etag))))
        })
    }

    fn delete_many<'a>(
        &'a self,
        keys: &'a [String],
        attempt: Attempt,
    ) -> Answer<'a, Vec<Result<(), Failure>>> {
        Box::pin(async move {
            let named = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
            let delete = named
                .collect::<Result<Vec<_>, _>>()
                .and_then(|objects| {
                    Delete::builder().set_objects(Some(objects)).quiet(true).build()
                })
                .map_err(|e| Failure::new(ErrorKind::InvalidInput).source(e));
            let delete = match delete {
                Ok(delete) => delete,
                Err(failure) => return Err(unsent(failure, attempt)),
            };
            // The SDK's own choice, crc32, is refused by OCI's S3 API even under when_required (spec §4.5).
            let deleted = self
                .asked(attempt, &promises::DELETE_OBJECTS, |service, bucket, named| {
                    service
                        .client
                        .delete_objects()
                        .bucket(bucket)
                        .delete(delete)
                        .checksum_algorithm(ChecksumAlgorithm::Crc32C)
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let failures = deleted.errors.unwrap_or_default().into_iter().map(|error| {
                let failure = not_deleted(error.code, error.message);
                (error.key.unwrap_or_default(), failure)
            });
            one_each(keys, failures.collect()).ok_or_else(|| {
                Failure::new(ErrorKind::Protocol)
                    .message("the answer to DeleteObjects tells of an object that was not named")
            })
        })
    }

    fn begin_upload<'a>(
        &'a self,
        request: &'a UploadRequest,
        attempt: Attempt,
    ) -> Answer<'a, String> {
        Box::pin(async move {
            let UploadRequest { key, checksum, about, .. } = request;
            let sent = check_name(key).and_then(|()| {
                metadata::content("content-type", about.content_type())?;
                about
                    .headers()
                    .try_for_each(|(name, text)| metadata::content(name, text).map(drop))?;
                metadata::sent(about)
            });
            let metadata = match sent {
                Ok(metadata) => metadata.into_iter().collect(),
                Err(failure) => return Err(unsent(failure, attempt)),
            };
            let (algorithm, kind) = (ChecksumAlgorithm::Crc32C, ChecksumType::FullObject);
            let begun = self
                .asked(attempt, &promises::CREATE_UPLOAD, |service, bucket, named| {
                    service
                        .client
                        .create_multipart_upload()
                        .bucket(bucket)
                        .key(&**key)
                        .content_type(about.content_type())
                        .set_content_encoding(about.content_encoding.clone())
                        .set_content_language(about.content_language.clone())
                        .set_content_disposition(about.content_disposition.clone())
                        .set_cache_control(about.cache_control.clone())
                        .set_metadata(Some(metadata))
                        .set_checksum_algorithm(checksum.then_some(algorithm))
                        .set_checksum_type(checksum.then_some(kind))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let lacking = || promises::CREATE_UPLOAD.lacks("UploadId", &HeaderMap::new());
            begun.upload_id.filter(|id| !id.is_empty()).ok_or_else(lacking)
        })
    }

    fn put_part<'a>(&'a self, request: &'a PartRequest, mut attempt: Attempt) -> Answer<'a, Part> {
        attempt.timer.uploads(request.body.len());
        Box::pin(async move {
            let mut ours = Ours::new(&promises::UPLOAD_PART, &request.upload.key);
            let attempt = sendable(ours.checksum(request.checksum), attempt)?;
            ours.query = format!("?partNumber={}&uploadId=", request.number);
            encode_into(&mut ours.query, &request.upload.id);
            ours.body = request.body.clone();
            let read = |headers: &HeaderMap| {
                answer::check_stored(crc32c(request.checksum), text(headers, answer::CRC32C))?;
                Ok(request.stored(etag(headers).ok_or_else(|| lacks("ETag"))?))
            };
            self.headed(attempt, ours, read).await
        })
    }

    fn copy_part<'a>(&'a self, request: &'a CopyPartRequest, attempt: Attempt) -> Answer<'a, Part> {
        Box::pin(async move {
            let CopyPartRequest { upload, number, from_bucket, from, from_etag, range } = request;
            let from_tag = self.source_tag(from_etag.as_ref());
            let copied = self
                .asked(attempt, &promises::COPY_PART, |service, bucket, named| {
                    service
                        .client
                        .upload_part_copy()
                        .bucket(bucket)
                        .key(&upload.key)
                        .upload_id(&upload.id)
                        .part_number(*number as i32)
                        .copy_source(source(from_bucket, from))
                        .set_copy_source_if_match(from_tag)
                        .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let etag = copied
                .copy_part_result
                .and_then(|result| result.e_tag)
                .ok_or_else(|| promises::COPY_PART.lacks("ETag", &HeaderMap::new()))?;
            Ok(Part { number: *number, etag, crc32c: None, size: range.end - range.start })
        })
    }

    fn commit_upload<'a>(
        &'a self,
        request: &'a CommitRequest,
        attempt: Attempt,
    ) -> Answer<'a, ObjectMeta> {
        Box::pin(async move {
            let parts = request.parts.iter().map(|part| {
                CompletedPart::builder()
                    .part_number(part.number as i32)
                    .e_tag(&part.etag)
                    .set_checksum_crc32_c(part.crc32c.map(answer::show_crc32c))
                    .build()
            });
            let parts =
                CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
            let (if_match, if_none_match) = match self.conditions(&request.mode) {
                Ok(conditions) => conditions,
                Err(failure) => return Err(unsent(failure, attempt)),
            };
            let whole = request.crc32c;
            let promise = &promises::COMPLETE_UPLOAD;
            let committed = self.asked(attempt, promise, |service, bucket, named| {
                service
                    .client
                    .complete_multipart_upload()
                    .bucket(bucket)
                    .key(&request.upload.key)
                    .upload_id(&request.upload.id)
                    .multipart_upload(parts)
                    .set_if_match(if_match)
                    .set_if_none_match(if_none_match)
                    .set_checksum_crc32_c(whole.map(answer::show_crc32c))
                    .set_checksum_type(whole.map(|_| ChecksumType::FullObject))
                    .customize()
                    .mutate_request(named)
                    .send()
            });
            let made = committed
                .await
                .map_err(|failure| exists(answer::conflicted(failure), &request.mode))?;
            answer::check_stored(whole, made.checksum_crc32_c())?;
            let etag = made.e_tag.ok_or_else(|| promise.lacks("ETag", &HeaderMap::new()))?;
            Ok(ObjectMeta {
                key: request.upload.key.clone(),
                size: request.size(),
                checksum: whole.map(Checksum::Crc32c),
                etag: Some(answer::quoted(&etag)),
                version: made.version_id,
                ..ObjectMeta::default()
            })
        })
    }

    fn abort_upload<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> Answer<'a, ()> {
        Box::pin(async move {
            let aborted = self.asked(attempt, &promises::ABORT_UPLOAD, |service, bucket, named| {
                let abort = service.client.abort_multipart_upload().bucket(bucket);
                abort
                    .key(&upload.key)
                    .upload_id(&upload.id)
                    .customize()
                    .mutate_request(named)
                    .send()
            });
            aborted.await.map(|_| ())
        })
    }

    fn list_uploads<'a>(
        &'a self,
        prefix: &'a str,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, UploadPage> {
        Box::pin(async move {
            // The two marks of the next page, in one text: no name holds NUL in XML.
            let marks = page.and_then(|page| page.split_once('\0'));
            let listed = self
                .asked(attempt, &promises::LIST_UPLOADS, |service, bucket, named| {
                    service
                        .client
                        .list_multipart_uploads()
                        .bucket(bucket)
                        .encoding_type(EncodingType::Url)
                        .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
                        .set_key_marker(marks.map(|(key, _)| key.to_owned()))
                        .set_upload_id_marker(
                            marks.map(|(_, id)| id.to_owned()).filter(|id| !id.is_empty()),
                        )
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let encoded = listed.encoding_type == Some(EncodingType::Url);
            let name = |text: String| answer::name(text, encoded);
            let uploads = listed.uploads.unwrap_or_default().into_iter().map(|upload| {
                let lacking =
                    || promises::LIST_UPLOADS.lacks("an upload's name", &HeaderMap::new());
                let (key, id) = upload.key.zip(upload.upload_id).ok_or_else(lacking)?;
                let begun = upload.initiated.as_ref().map(system_time);
                Ok(Upload { key: name(key)?, id, begun })
            });
            let uploads = uploads.collect::<Result<_, Failure>>()?;
            let mark = listed.next_key_marker.filter(|mark| !mark.is_empty());
            let next = match (listed.is_truncated, mark) {
                (Some(true), None) => Some(Next::Missing),
                (Some(true), Some(key)) => {
                    let id = listed.next_upload_id_marker.unwrap_or_default();
                    Some(Next::Token(format!("{}\0{id}", name(key)?)))
                }
                _ => None,
            };
            Ok(UploadPage { uploads, next })
        })
    }

    fn has_parts<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> Answer<'a, bool> {
        Box::pin(async move {
            let listed = self.asked(attempt, &promises::LIST_PARTS, |service, bucket, named| {
                let list = service.client.list_parts().bucket(bucket).key(&upload.key);
                list.upload_id(&upload.id).max_parts(1).customize().mutate_request(named).send()
            });
            // A truncated list names some, too: a server may pass over `max-parts`.
            let listed = listed.await?;
            if listed.upload_id() != Some(upload.id.as_str()) {
                return Err(lacks("UploadId"));
            }
            Ok(!listed.parts().is_empty() || listed.is_truncated() == Some(true))
        })
    }

    fn create_bucket(&self, attempt: Attempt) -> Answer<'_, ()> {
        Box::pin(async move {
            let attempt = sendable(self.bucket().map(|_| ()), attempt)?;
            let created =
                self.asked(attempt, &promises::CREATE_BUCKET, |service, bucket, named| {
                    // us-east-1 is where a bucket goes that names none, and must not be named.
                    let place = (service.region != "us-east-1").then(|| {
                        CreateBucketConfiguration::builder()
                            .location_constraint(BucketLocationConstraint::from(
                                service.region.as_str(),
                            ))
                            .build()
                    });
                    let create = service.client.create_bucket().bucket(bucket);
                    create
                        .set_create_bucket_configuration(place)
                        .customize()
                        .mutate_request(named)
                        .send()
                });
            created.await.map(|_| ())
        })
    }

    fn delete_bucket(&self, attempt: Attempt) -> Answer<'_, ()> {
        Box::pin(async move {
            let attempt = sendable(self.bucket().map(|_| ()), attempt)?;
            let deleted =
                self.asked(attempt, &promises::DELETE_BUCKET, |service, bucket, named| {
                    service
                        .client
                        .delete_bucket()
                        .bucket(bucket)
                        .customize()
                        .mutate_request(named)
                        .send()
                });
            deleted.await?;
            self.seen.no();
            Ok(())
        })
    }

    fn list_buckets<'a>(
        &'a self,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, BucketPage> {
        Box::pin(async move {
            let listed = self
                .asked(attempt, &promises::LIST_BUCKETS, |service, _, named| {
                    let list = service.client.list_buckets();
                    list.set_continuation_token(page.map(str::to_owned))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let buckets = listed.buckets.unwrap_or_default().into_iter().map(|bucket| {
                let lacking = || promises::LIST_BUCKETS.lacks("a bucket's name", &HeaderMap::new());
                let created = bucket.creation_date.as_ref().map(system_time);
                Ok(Bucket { name: bucket.name.ok_or_else(lacking)?, created })
            });
            let token = listed.continuation_token.filter(|token| !token.is_empty());
            Ok(BucketPage {
                buckets: buckets.collect::<Result<_, Failure>>()?,
                next: token.map(Next::Token),
            })
        })
    }
}

/// The attempt, where its request could be built; else nothing was sent.
fn sendable(filled: Result<(), Failure>, attempt: Attempt) -> Result<Attempt, Failure> {
    match filled {
        Ok(()) => Ok(attempt),
        Err(failure) => Err(unsent(failure, attempt)),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn crc32c(checksum: Option<Checksum>) -> Option<u32> {
    match checksum {
        Some(Checksum::Crc32c(crc)) => Some(crc),
        _ => None,
    }
}

/// `x-amz-copy-source`: percent-encoded.
fn source(bucket: &str, key: &str) -> String {
    let mut source = format!("{bucket}/");
    encode_path_into(&mut source, key);
    source
}

fn not_deleted(code: Option<String>, message: Option<String>) -> Failure {
    answer::failure_inside(400, Told { code, message, region: None })
}

/// A page of a listing, names decoded.
fn page(
    listed: aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output,
) -> Result<ListPage, Failure> {
    let encoded = listed.encoding_type == Some(EncodingType::Url);
    let named = |name: Option<String>| {
        let lacking = || promises::LIST_OBJECTS.lacks("an object's name", &HeaderMap::new());
        answer::name(name.ok_or_else(lacking)?, encoded)
    };
    let objects = listed.contents.unwrap_or_default().into_iter().map(|object| {
        Ok(ObjectMeta {
            key: named(object.key)?,
            size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            etag: object.e_tag.as_deref().map(answer::quoted),
            last_modified: object.last_modified.as_ref().map(system_time),
            ..ObjectMeta::default()
        })
    });
    let objects = objects.collect::<Result<_, Failure>>()?;
    let prefixes = listed.common_prefixes.unwrap_or_default();
    let prefixes = prefixes.into_iter().map(|prefix| named(prefix.prefix));
    let token = listed.next_continuation_token.filter(|token| !token.is_empty());
    let next = match (listed.is_truncated, token) {
        (Some(true), None) => Some(Next::Missing),
        (Some(true) | None, token) => token.map(Next::Token),
        (Some(false), _) => None,
    };
    Ok(ListPage { objects, prefixes: prefixes.collect::<Result<_, _>>()?, next })
}
