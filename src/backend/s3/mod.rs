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
mod service;
mod signer;

use super::oci::answer::{etag, get, lacks, value};
use super::{
    Abilities, About, Answer, Attempt, Backend, Bucket, BucketPage, Checksum, CommitRequest,
    Copied, CopyPartRequest, CopyRequest, GetRange, GetReply, GetRequest, ListPage, ListRequest,
    Next, ObjectMeta, Part, PartRequest, Place, PutMode, PutRequest, ServiceId, Upload, UploadPage,
    UploadRequest, exists, unsent,
};
use crate::auth::Again;
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Phase, RequestId};
use crate::transport::{RequestBody, Response, Transport};
use crate::url::{Scheme, StoreUrl, encode_into, encode_path_into};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
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
};

/// The attempt's name, as on OCI, whose S3 API knows it, too.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("opc-client-request-id");
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

#[derive(Debug)]
pub(crate) struct S3 {
    url: StoreUrl,
    config: Config,
    transport: Arc<Transport>,
    service: OnceCell<Service>,
}

impl S3 {
    pub(crate) fn new(url: &StoreUrl, config: Config, transport: &Arc<Transport>) -> S3 {
        S3 {
            url: url.with_key(""),
            config,
            transport: Arc::clone(transport),
            service: OnceCell::new(),
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
            Ok(response) if response.status.is_success() => return Ok((response, id)),
            Ok(response) => Box::pin(answer::refusal(response)).await,
            Err(failure) => failure,
        };
        failure.client_request_id = Some(id.to_string());
        Err(failure)
    }

    async fn prepare(
        &self,
        timer: &mut AttemptTimer,
        ours: Ours<'_>,
        id: RequestId,
    ) -> Result<(&Service, Request<RequestBody>), Failure> {
        let Ours { method, key, query, signed, unsigned, body } = ours;
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

    /// An exchange whose answer's body says nothing.
    async fn headed<T>(
        &self,
        attempt: Attempt,
        ours: Ours<'_>,
        read: impl FnOnce(&HeaderMap) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let (response, id) = self.exchange(attempt, ours).await?;
        let Response { headers, body, .. } = response;
        let ended = body.collect(answer::DOCUMENT_LIMIT).await;
        named(ended.and_then(|_| read(&headers)), id)
    }

    /// Sends a request of the SDK's, in the attempt's name.
    async fn asked<T, E, S>(
        &self,
        attempt: Attempt,
        send: impl FnOnce(&Service, &str, Named) -> S + Send,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        S: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let Attempt { timer, fresh } = attempt;
        let id = timer.client_request_id().to_string();
        let slot = Slot::new(timer, fresh);
        let answered = async {
            let service = self.service().await?;
            let travelling = slot.clone();
            let named: Named = Box::new(move |request| request.add_extension(travelling.clone()));
            let bucket = self.url.bucket().unwrap_or_default();
            Box::pin(send(service, bucket, named)).await.map_err(|error| refused(error, &slot))
        };
        answered.await.map_err(|mut failure| {
            if let Some(timer) = slot.unused() {
                timer.discard();
                failure.unsent = true;
            }
            failure.client_request_id = Some(id);
            failure
        })
    }
}

/// Gives an SDK's request its attempt.
type Named = Box<dyn Fn(&mut HttpRequest) + Send + Sync>;

/// One of our own requests.
struct Ours<'a> {
    method: Method,
    key: &'a str,
    /// With its `?`.
    query: String,
    /// Headers that are signed.
    signed: HeaderMap,
    unsigned: HeaderMap,
    body: Payload,
}

impl<'a> Ours<'a> {
    fn new(method: Method, key: &'a str) -> Ours<'a> {
        Ours {
            method,
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

    fn condition(&mut self, mode: &PutMode) -> Result<(), Failure> {
        match mode {
            PutMode::Overwrite => {}
            PutMode::Create => {
                self.unsigned.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
            }
            PutMode::Update(etag) => {
                self.unsigned.insert(header::IF_MATCH, value(etag.clone())?);
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
        self.signed.insert(header::CONTENT_TYPE, value(about.content_type().to_owned())?);
        for (name, text) in about.headers() {
            self.unsigned.insert(HeaderName::from_static(name), value(text.to_owned())?);
        }
        for (name, text) in &about.metadata {
            let name = HeaderName::try_from([answer::METADATA, name].concat()).map_err(|e| {
                Failure::new(ErrorKind::InvalidInput)
                    .message(format!("{name:?} cannot name user metadata"))
                    .source(e)
            })?;
            self.signed.insert(name, value(text.clone())?);
        }
        if let Some(mark) = about.mark {
            self.signed.insert(HeaderName::from_static(answer::MARK), value(mark.to_string())?);
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

/// What an SDK's request failed with.
fn refused<E>(error: SdkError<E, HttpResponse>, slot: &Slot) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some(failure) = slot.failure() {
        return failure;
    }
    match error {
        SdkError::ServiceError(refusal) => {
            let (raw, meta) = (refusal.raw(), refusal.err().meta());
            let header = |name: &'static str| raw.headers().get(name);
            answer::failure(
                raw.status().as_u16(),
                meta.code().map(str::to_owned),
                meta.message().map(str::to_owned),
                header,
            )
        }
        SdkError::ResponseError(e) => Failure::new(ErrorKind::Protocol)
            .message("the answer does not parse")
            .source(SdkError::<E, HttpResponse>::ResponseError(e)),
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
        ABILITIES
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
            let mut ours = Ours::new(Method::GET, &request.key);
            match &request.range {
                Some(range) => {
                    ours.unsigned.insert(header::RANGE, range.header());
                }
                None if self.config.verify => ours.checked(),
                None => {}
            }
            if let Some(etag) = &request.if_match
                && let Ok(etag) = HeaderValue::from_str(etag)
            {
                ours.unsigned.insert(header::IF_MATCH, etag);
            }
            let (response, id) = self.exchange(attempt, ours).await?;
            named(get(request, response, answer::meta), id)
        })
    }

    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> Answer<'a, ObjectMeta> {
        let mut ours = Ours::new(Method::HEAD, key);
        if self.config.verify {
            ours.checked();
        }
        let read = move |headers: &HeaderMap| {
            answer::head(key, headers).ok_or_else(|| lacks("Content-Length"))
        };
        Box::pin(self.headed(attempt, ours, read))
    }

    fn put<'a>(&'a self, request: &'a PutRequest, mut attempt: Attempt) -> Answer<'a, ObjectMeta> {
        attempt.timer.uploads(request.body.len());
        Box::pin(async move {
            let mut ours = Ours::new(Method::PUT, &request.key);
            let filled = ours
                .condition(&request.mode)
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
            let mut ours = Ours::new(Method::DELETE, key);
            let filled = match if_match {
                Some(etag) => ours.condition(&PutMode::Update(etag.to_owned())),
                None => Ok(()),
            };
            let attempt = sendable(filled, attempt)?;
            self.headed(attempt, ours, |_| Ok(())).await
        })
    }

    fn list<'a>(&'a self, request: &'a ListRequest, attempt: Attempt) -> Answer<'a, ListPage> {
        Box::pin(async move {
            let listed = self
                .asked(attempt, |service, bucket, named| {
                    service
                        .client
                        .list_objects_v2()
                        .bucket(bucket)
                        .encoding_type(EncodingType::Url)
                        .set_prefix((!request.prefix.is_empty()).then(|| request.prefix.clone()))
                        .set_delimiter(request.delimiter.then(|| "/".to_owned()))
                        .set_start_after(request.start_after.clone())
                        .set_continuation_token(request.token.clone())
                        .set_max_keys(request.page_size.map(|size| size as i32))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            page(listed, request.end.as_deref())
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
                Ok((target, source(self.bucket()?, &request.from)))
            };
            let placed = placed.await;
            let (target, from) = match placed {
                Ok(placed) => placed,
                Err(failure) => return Err(unsent(failure, attempt)),
            };
            let (if_match, if_none_match) = conditions(&request.mode);
            let copied = self.asked(attempt, |service, _, named| {
                let operation = service
                    .client
                    .copy_object()
                    .bucket(&target.bucket)
                    .key(&*request.to)
                    .copy_source(from)
                    .set_copy_source_if_match(request.from_etag.clone())
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
            Ok(Copied::Done(etag.as_deref().map(answer::quoted)))
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
                .asked(attempt, |service, bucket, named| {
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
            let failures: std::collections::HashMap<String, Failure> = deleted
                .errors
                .unwrap_or_default()
                .into_iter()
                .filter_map(|error| Some((error.key?, not_deleted(error.code, error.message))))
                .collect();
            Ok(keys.iter().map(|key| failures.get(key).cloned().map_or(Ok(()), Err)).collect())
        })
    }

    fn begin_upload<'a>(
        &'a self,
        request: &'a UploadRequest,
        attempt: Attempt,
    ) -> Answer<'a, String> {
        Box::pin(async move {
            let attempt = sendable(check_name(&request.key), attempt)?;
            let UploadRequest { key, checksum, about, .. } = request;
            let mark = about.mark.map(|mark| ("storescope-write".to_owned(), mark.to_string()));
            let metadata = about.metadata.clone().into_iter().chain(mark).collect();
            let (algorithm, kind) = (ChecksumAlgorithm::Crc32C, ChecksumType::FullObject);
            let begun = self
                .asked(attempt, |service, bucket, named| {
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
            begun.upload_id.ok_or_else(|| lacks("UploadId"))
        })
    }

    fn put_part<'a>(&'a self, request: &'a PartRequest, mut attempt: Attempt) -> Answer<'a, Part> {
        attempt.timer.uploads(request.body.len());
        Box::pin(async move {
            let mut ours = Ours::new(Method::PUT, &request.upload.key);
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
            let copied = self
                .asked(attempt, |service, bucket, named| {
                    service
                        .client
                        .upload_part_copy()
                        .bucket(bucket)
                        .key(&upload.key)
                        .upload_id(&upload.id)
                        .part_number(*number as i32)
                        .copy_source(source(from_bucket, from))
                        .set_copy_source_if_match(from_etag.clone())
                        .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let etag = copied
                .copy_part_result
                .and_then(|result| result.e_tag)
                .ok_or_else(|| lacks("ETag"))?;
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
            let (if_match, if_none_match) = conditions(&request.mode);
            let whole = request.crc32c;
            let committed = self.asked(attempt, |service, bucket, named| {
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
            let made = committed.await.map_err(|failure| exists(failure, &request.mode))?;
            answer::check_stored(whole, made.checksum_crc32_c())?;
            Ok(ObjectMeta {
                key: request.upload.key.clone(),
                size: request.size(),
                checksum: whole.map(Checksum::Crc32c),
                etag: made.e_tag.as_deref().map(answer::quoted),
                version: made.version_id,
                ..ObjectMeta::default()
            })
        })
    }

    fn abort_upload<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> Answer<'a, ()> {
        Box::pin(async move {
            let aborted = self.asked(attempt, |service, bucket, named| {
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
                .asked(attempt, |service, bucket, named| {
                    service
                        .client
                        .list_multipart_uploads()
                        .bucket(bucket)
                        .encoding_type(EncodingType::Url)
                        .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
                        .set_key_marker(marks.map(|(key, _)| key.to_owned()))
                        .set_upload_id_marker(marks.map(|(_, id)| id.to_owned()))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let next = listed
                .next_key_marker
                .zip(listed.next_upload_id_marker)
                .filter(|_| listed.is_truncated == Some(true));
            let uploads = listed.uploads.unwrap_or_default().into_iter().filter_map(|upload| {
                let key = answer::decoded(&upload.key?);
                let (id, begun) = (upload.upload_id?, upload.initiated.as_ref().map(system_time));
                Some(key.map(|key| Upload { key, id, begun }))
            });
            Ok(UploadPage {
                uploads: uploads.collect::<Result<_, _>>()?,
                next: next
                    .map(|(key, id)| answer::decoded(&key).map(|key| format!("{key}\0{id}")))
                    .transpose()?,
            })
        })
    }

    fn create_bucket(&self, attempt: Attempt) -> Answer<'_, ()> {
        Box::pin(async move {
            let attempt = sendable(self.bucket().map(|_| ()), attempt)?;
            let created = self.asked(attempt, |service, bucket, named| {
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
            let deleted = self.asked(attempt, |service, bucket, named| {
                service
                    .client
                    .delete_bucket()
                    .bucket(bucket)
                    .customize()
                    .mutate_request(named)
                    .send()
            });
            deleted.await.map(|_| ())
        })
    }

    fn list_buckets<'a>(
        &'a self,
        page: Option<&'a str>,
        attempt: Attempt,
    ) -> Answer<'a, BucketPage> {
        Box::pin(async move {
            let listed = self
                .asked(attempt, |service, _, named| {
                    let list = service.client.list_buckets();
                    list.set_continuation_token(page.map(str::to_owned))
                        .customize()
                        .mutate_request(named)
                        .send()
                })
                .await?;
            let buckets = listed.buckets.unwrap_or_default().into_iter().filter_map(|bucket| {
                let created = bucket.creation_date.as_ref().map(system_time);
                Some(Bucket { name: bucket.name?, created })
            });
            Ok(BucketPage { buckets: buckets.collect(), next: listed.continuation_token })
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

/// If-Match and If-None-Match of a write.
fn conditions(mode: &PutMode) -> (Option<String>, Option<String>) {
    match mode {
        PutMode::Overwrite => (None, None),
        PutMode::Create => (None, Some("*".to_owned())),
        PutMode::Update(etag) => (Some(etag.clone()), None),
    }
}

/// `x-amz-copy-source`: percent-encoded.
fn source(bucket: &str, key: &str) -> String {
    let mut source = format!("{bucket}/");
    encode_path_into(&mut source, key);
    source
}

fn not_deleted(code: Option<String>, message: Option<String>) -> Failure {
    let status = match code.as_deref() {
        Some("AccessDenied") => 403,
        Some("NoSuchBucket" | "NoSuchKey") => 404,
        Some("SlowDown" | "ServiceUnavailable") => 503,
        Some("InternalError") => 500,
        _ => 400,
    };
    answer::failure(status, code, message, |_| None)
}

/// A page of a listing, names decoded, cut at `end`.
fn page(
    listed: aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output,
    end: Option<&str>,
) -> Result<ListPage, Failure> {
    let before_end = |name: &String| end.is_none_or(|end| name.as_str() < end);
    let mut cut = false;
    let mut objects = Vec::new();
    for object in listed.contents.unwrap_or_default() {
        let Some(key) = object.key else { continue };
        let key = answer::decoded(&key)?;
        if !before_end(&key) {
            cut = true;
            continue;
        }
        objects.push(ObjectMeta {
            key,
            size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            etag: object.e_tag.as_deref().map(answer::quoted),
            last_modified: object.last_modified.as_ref().map(system_time),
            ..ObjectMeta::default()
        });
    }
    let mut prefixes = Vec::new();
    for prefix in listed.common_prefixes.unwrap_or_default() {
        let Some(prefix) = prefix.prefix else { continue };
        let prefix = answer::decoded(&prefix)?;
        if before_end(&prefix) {
            prefixes.push(prefix);
        } else {
            cut = true;
        }
    }
    let more = listed.is_truncated == Some(true) && !cut;
    let next = listed.next_continuation_token.filter(|_| more).map(Next::Token);
    Ok(ListPage { objects, prefixes, next })
}
