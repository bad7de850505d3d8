// SPDX-License-Identifier: Apache-2.0
//! The S3 API, on the same buckets and objects as the native one, by the crate `s3s`: it routes,
//! checks SigV4 (header, presigned, chunked) and reads and writes XML; what is done is here.
//!
//! ```text
//!  Exchange ─► signature ─► s3s ─► check: region, dialect, faults ─► operation ─► Reply ─► documents
//!      ▲                                                                │
//!      └── body, counted, shared so that what is not read can be drained └─ bytes as Payload
//! ```
//!
//! An ETag is the MD5 in hex, with `-N` of an object made of N parts; both APIs' conditions know
//! both kinds of ETag. Time is the emulator's clock alone: signatures are judged before `s3s` sees
//! them, and it is configured and requests are changed so that it judges no time. User metadata is
//! `x-amz-meta-*` here and `opc-meta-*` there, text as RFC 2047 has it.
#![allow(clippy::wildcard_imports, reason = "one input and one output an operation")]

mod attributes;
mod checksums;
mod documents;
mod gate;
mod lists;
mod metadata;
mod objects;
mod signature;
mod tags;
mod uploads;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use serde_json::{Map, Value};

use crate::S3Ready;
use crate::buckets;
use crate::connection::Connection;
use crate::content::Payload;
use crate::fault::Plan;
use crate::identity::{COMPARTMENT, REGION};
use crate::objects::text;
use crate::reply::{ApiError, Reply};
use crate::service::{Broken, Exchange, Ids, Server, raw_target, too_many_requests};
use crate::storage::Storage;
use crate::target::BucketName as Name;

use self::documents::{detailed, invalid_argument};
use self::signature::Claim;

/// The account that owns all buckets.
const ACCOUNT: &str = "000000000000";
/// Most bytes of a document.
const MAX_DOCUMENT: u64 = 20 << 20;
/// How far a request's date may be from the emulator's clock.
const SKEW: Duration = Duration::from_mins(15);

/// Whether this build serves the S3 API.
pub(crate) const IS_BUILT: bool = true;

/// The one pair of keys that is served.
#[derive(Clone)]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
}

impl Keys {
    fn generate() -> Keys {
        let mut bytes = [0_u8; 40];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        let id: Vec<String> = bytes[..10].iter().map(|byte| format!("{byte:02x}")).collect();
        Keys { access_key_id: id.concat(), secret_access_key: URL_SAFE_NO_PAD.encode(&bytes[10..]) }
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key_id {
            return Ok(self.secret_access_key.as_str().into());
        }
        Err(S3ErrorCode::InvalidAccessKeyId.into())
    }
}

/// The service that connections of this API are given. It holds the server, not the other way.
#[derive(Clone)]
pub(crate) struct Service {
    s3s: S3Service,
    keys: Arc<Keys>,
}

impl Service {
    #[expect(clippy::unnecessary_wraps, reason = "a build without the feature has none")]
    pub(crate) fn new(
        server: &Arc<Server>,
        oci_dialect: bool,
        regions: Vec<(String, String)>,
    ) -> Option<Service> {
        let keys = Keys::generate();
        let api = Arc::new(Shared {
            server: server.clone(),
            oci_dialect,
            regions: regions.into_iter().collect(),
        });
        let mut config = S3Config::default();
        // Skew is judged here, by the emulator's clock.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        let mut builder = S3ServiceBuilder::new(Api(api.clone()));
        builder.set_auth(keys.clone());
        builder.set_access(Api(api.clone()));
        builder.set_validation(Names(api));
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Some(Service { s3s: builder.build(), keys: Arc::new(keys) })
    }

    /// What clients need to know of the API at these endpoints.
    pub(crate) fn ready(&self, endpoint: String, tls_endpoint: String) -> S3Ready {
        S3Ready {
            endpoint,
            tls_endpoint,
            region: REGION.to_owned(),
            access_key_id: self.keys.access_key_id.clone(),
            secret_access_key: self.keys.secret_access_key.clone(),
        }
    }
}

/// Names of buckets by S3's rules; one that was made by the native API keeps its name.
struct Names(Arc<Shared>);

impl NameValidation for Names {
    fn validate_bucket_name(&self, name: &str) -> bool {
        is_legal_name(name) || self.0.storage().bucket(&self.0.name(name)).is_ok()
    }
}

/// The rules of the name of a general purpose bucket.
fn is_legal_name(name: &str) -> bool {
    let reserved_start = ["xn--", "sthree-", "amzn-s3-demo-"];
    let reserved_end = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    s3s::path::check_bucket_name(name)
        && !reserved_start.iter().any(|start| name.starts_with(start))
        && !reserved_end.iter().any(|end| name.ends_with(end))
}

struct Api(Arc<Shared>);

struct Shared {
    server: Arc<Server>,
    oci_dialect: bool,
    /// Buckets of other regions.
    regions: HashMap<String, String>,
}

/// What an exchange and the service that works for it tell each other.
#[derive(Clone)]
struct Ticket(Arc<TicketState>);

struct TicketState {
    target: String,
    reused: bool,
    throttled: bool,
    plan: Mutex<Plan>,
    /// The request's body, if it is a document.
    document: Option<Bytes>,
    /// It is an operation that the service knows.
    known: AtomicBool,
    /// The request's body broke off.
    broken: AtomicBool,
}

impl Ticket {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request's body on its way to the service: counted for the record.
struct Tap {
    body: Arc<Mutex<Incoming>>,
    connection: Arc<Connection>,
    id: u64,
    ticket: Ticket,
}

impl http_body::Body for Tap {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.connection.amend(self.id, |line| line.bytes_in += length);
            }
            Some(Err(_)) => self.ticket.0.broken.store(true, Ordering::Relaxed),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }
}

impl Exchange<'_> {
    /// Lets the service do it, and makes its answer ours. Its errors are answers already.
    pub(crate) async fn act_by_s3(
        &mut self,
        s3: &Service,
    ) -> Result<Result<Reply, ApiError>, Broken> {
        let mut parts = match signature::judged(self.parts, &s3.keys, self.server.clock.wall()) {
            Ok(parts) => parts,
            Err(error) => return self.refuse_by_s3(error).await,
        };
        gate::take_headers_from_query(&mut parts);
        let document = if gate::has_document(&parts) {
            match self.read_body(MAX_DOCUMENT).await? {
                Ok(document) => Some(document),
                Err(failed) => return self.refuse_by_s3(error(failed)).await,
            }
        } else {
            None
        };
        let ticket = Ticket(Arc::new(TicketState {
            target: raw_target(self.parts).to_owned(),
            reused: self.reused,
            throttled: self.throttled,
            plan: Mutex::default(),
            document: document.clone(),
            known: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }));
        let body = Tap {
            body: self.body.clone(),
            connection: self.connection.clone(),
            id: self.id,
            ticket: ticket.clone(),
        };
        parts.extensions.insert(ticket.clone());
        let body = document.map_or_else(|| s3s::Body::http_body_unsync(body), s3s::Body::from);
        let request = http::Request::from_parts(parts, body);
        let answered = s3.s3s.call(request).await;
        if ticket.0.broken.load(Ordering::Relaxed) {
            return Err(Broken("the request broke off"));
        }
        self.plan = std::mem::take(&mut *ticket.plan());
        if self.plan.reset {
            self.connection.reset();
            return Err(Broken("the connection is reset by a fault"));
        }
        let Ok(response) = answered else {
            return Err(Broken("the S3 service failed"));
        };
        let is_known = ticket.0.known.load(Ordering::Relaxed);
        if response.status() == StatusCode::NOT_IMPLEMENTED && !is_known {
            return self.refuse_by_s3(gate::unknown(self.parts)).await;
        }
        let reply = reply(response, self.parts, &self.ids).await?;
        self.refuse(reply).await.map(Ok)
    }

    /// Answers a request that the service does not get.
    async fn refuse_by_s3(&mut self, error: S3Error) -> Result<Result<Reply, ApiError>, Broken> {
        let response =
            error.to_http_response().map_err(|_| Broken("an answer cannot be written"))?;
        let reply = reply(response, self.parts, &self.ids).await?;
        self.refuse(reply).await.map(Ok)
    }
}

/// An answer of the service as one of ours.
async fn reply(response: s3s::HttpResponse, asked: &Parts, ids: &Ids) -> Result<Reply, Broken> {
    let (mut parts, body) = response.into_parts();
    let mut reply = Reply::empty(parts.status);
    let is_head = asked.method == Method::HEAD;
    if parts.status != StatusCode::NOT_MODIFIED {
        let payload = match parts.extensions.remove::<Payload>() {
            Some(payload) => payload,
            None => {
                let collected = body.collect().await;
                let body = collected.map_err(|_| Broken("an answer cannot be written"))?;
                documents::document(body.to_bytes(), &mut parts.headers, asked, ids).into()
            }
        };
        reply.body = if is_head { Payload::default() } else { payload };
    }
    // Of a HEAD the length is told; of a body hyper counts it.
    if !(is_head && parts.status.is_success()) {
        parts.headers.remove(CONTENT_LENGTH);
    }
    parts.headers.remove(TRANSFER_ENCODING);
    // HeadObject knows no other status.
    if parts.status == StatusCode::OK && parts.headers.contains_key(CONTENT_RANGE) {
        reply.status = StatusCode::PARTIAL_CONTENT;
    }
    reply.headers = parts.headers;
    Ok(reply)
}

#[async_trait::async_trait]
impl S3Access for Api {
    /// What must be right beside the signature, and what faults there are.
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let bucket = cx.s3_path().get_bucket_name().map(str::to_owned);
        let operation = cx.s3_op().name().to_owned();
        if let Some(ticket) = cx.extensions_mut().get::<Ticket>() {
            ticket.0.known.store(true, Ordering::Relaxed);
        }
        // A form has its signature in its fields.
        let is_signed = cx.credentials().is_some();
        match cx.extensions_mut().get::<Claim>() {
            Some(claim) => self.0.check_region(bucket.as_deref(), &operation, claim)?,
            None if is_signed => {}
            None => self.0.check_public(bucket.as_deref(), &operation)?,
        }
        let has_nul = cx.s3_path().get_object_key().is_some_and(|key| key.contains('\0'));
        if has_nul {
            return Err(invalid_argument("Key", None, lists::NO_NULL.to_owned()));
        }
        if let Some(ticket) = cx.extensions_mut().get::<Ticket>() {
            lists::check(&operation, &ticket.0.target)?;
        }
        let method = cx.method().as_str().to_owned();
        if let Some(ticket) = cx.extensions_mut().get::<Ticket>() {
            self.0.check_faults(ticket, &method)?;
        }
        let ticket = cx.extensions_mut().get::<Ticket>().cloned();
        let target = ticket.as_ref().map_or("", |ticket| &ticket.0.target);
        gate::check(&operation, cx.headers(), target)?;
        if !is_signed {
            gate::check_unsigned(target)?;
        }
        let document = ticket.as_ref().and_then(|ticket| ticket.0.document.as_ref());
        let document = document.map_or(&[][..], |document| &document[..]);
        gate::check_document(&operation, cx.headers(), document)?;
        self.0.check_dialect(&operation, cx.headers())
    }
}

impl Shared {
    fn storage(&self) -> &Storage {
        &self.server.storage
    }

    fn now(&self) -> SystemTime {
        self.server.clock.wall()
    }

    fn name(&self, bucket: &str) -> Name {
        Name { namespace: self.storage().namespace().to_owned(), name: bucket.to_owned() }
    }

    fn check_public(&self, bucket: Option<&str>, operation: &str) -> S3Result<()> {
        let info = bucket.and_then(|bucket| self.storage().bucket(&self.name(bucket)).ok());
        let settings = info.map(|info| info.settings).unwrap_or_default();
        let reads = ["GetObject", "HeadObject"].contains(&operation);
        let lists = ["ListObjects", "ListObjectsV2", "HeadBucket"].contains(&operation);
        match settings.get("publicAccessType").and_then(Value::as_str) {
            Some("ObjectRead") if reads || lists => Ok(()),
            Some("ObjectReadWithoutList") if reads => Ok(()),
            _ => Err(S3ErrorCode::AccessDenied.into()),
        }
    }

    /// An answer that tells the region of its bucket.
    fn with_region<T>(&self, bucket: &str, answer: Answer<T>) -> Answer<T> {
        let mut answer = answer?;
        let region = self.regions.get(bucket).map_or(REGION, String::as_str);
        let region = [("x-amz-bucket-region", region.to_owned())];
        answer.headers.extend(header_map(&region)?);
        Ok(answer)
    }

    /// A request must be signed for the region of its bucket.
    fn check_region(&self, bucket: Option<&str>, operation: &str, claim: &Claim) -> S3Result<()> {
        let elsewhere = bucket.and_then(|bucket| self.regions.get_key_value(bucket));
        let region = elsewhere.map_or(REGION, |(_, region)| region.as_str());
        if claim.region() == region || operation == "GetBucketLocation" {
            return Ok(());
        }
        let mut error = match elsewhere {
            Some((bucket, _)) => detailed(
                S3Error::with_message(
                    S3ErrorCode::PermanentRedirect,
                    "The bucket you are attempting to access must be addressed using the \
                     specified endpoint. Please send all future requests to this endpoint.",
                ),
                &[("Bucket", bucket)],
            ),
            None => claim.wrong_region(region),
        };
        let mut told = error.headers().cloned().unwrap_or_default();
        let value = HeaderValue::try_from(region).map_err(S3Error::internal_error)?;
        told.insert("x-amz-bucket-region", value);
        error.set_headers(told);
        Err(error)
    }

    fn check_faults(&self, ticket: &Ticket, method: &str) -> S3Result<()> {
        let plan = self.server.faults.plan(method, &ticket.0.target, ticket.0.reused);
        let answer = plan.answer.clone();
        let reset = plan.reset;
        *ticket.plan() = plan;
        if reset {
            return Err(S3ErrorCode::InternalError.into());
        }
        if let Some(answer) = answer {
            let status = StatusCode::from_u16(answer.status).unwrap_or_default();
            let message = answer.message.clone();
            let mut error = error(ApiError::new(status, &answer.code, answer.message));
            error.set_message(message);
            if let Some(seconds) = answer.retry_after {
                let retry_after = [("retry-after", seconds.to_string())];
                error.set_headers(header_map(&retry_after)?);
            }
            return Err(error);
        }
        if ticket.0.throttled {
            return Err(error(too_many_requests()));
        }
        Ok(())
    }

    /// What OCI's S3 API refuses and others take.
    fn check_dialect(&self, operation: &str, headers: &HeaderMap) -> S3Result<()> {
        if !self.oci_dialect {
            return Ok(());
        }
        let refuse = |code, message| Err(S3Error::with_message(code, message));
        let chunked = text(headers, "x-amz-content-sha256")
            .is_some_and(|hash| hash.starts_with("STREAMING-"));
        if chunked {
            return refuse(S3ErrorCode::NotImplemented, "AWS chunked encoding not supported.");
        }
        let sent = |name| headers.contains_key(name);
        let good = ["content-md5", "x-amz-checksum-sha256", "x-amz-checksum-crc32c"];
        if operation == "DeleteObjects"
            && (sent("x-amz-checksum-crc32") || !good.into_iter().any(sent))
        {
            return refuse(
                S3ErrorCode::InvalidRequest,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-sha256 \
                 OR x-amz-checksum-crc32c",
            );
        }
        Ok(())
    }
}

/// An error of the store as this API tells it, in the words of this API where it has a code of its own.
fn error(error: ApiError) -> S3Error {
    let own = |code: S3ErrorCode| S3Error::new(code);
    let condition = |name| detailed(own(S3ErrorCode::PreconditionFailed), &[("Condition", name)]);
    let mut told = match error.code.as_str() {
        "BucketNotFound" => own(S3ErrorCode::NoSuchBucket),
        "ObjectNotFound" => own(S3ErrorCode::NoSuchKey),
        "UploadNotFound" => own(S3ErrorCode::NoSuchUpload),
        "IfMatchFailed" => condition("If-Match"),
        "IfNoneMatchFailed" => condition("If-None-Match"),
        "BucketAlreadyExists" => own(S3ErrorCode::BucketAlreadyOwnedByYou),
        "BucketNotEmpty" | "PreauthenticatedRequestStillExists" => own(S3ErrorCode::BucketNotEmpty),
        "InvalidUploadPart" => own(S3ErrorCode::InvalidPart),
        "InvalidBucketName" => own(S3ErrorCode::InvalidBucketName),
        "NotRestored" => own(S3ErrorCode::InvalidObjectState),
        other => {
            let code = match other {
                "TooManyRequests" => "SlowDown",
                "InternalServerError" => "InternalError",
                "NotAuthenticated" => "AccessDenied",
                other => other,
            };
            let code = S3ErrorCode::from_bytes(code.as_bytes());
            S3Error::with_message(code.unwrap_or(S3ErrorCode::InternalError), error.message)
        }
    };
    told.set_status_code(match error.code.as_str() {
        "NotRestored" => StatusCode::FORBIDDEN,
        "TooManyRequests" => StatusCode::SERVICE_UNAVAILABLE,
        _ => error.status,
    });
    told
}

/// A bucket is made where the endpoint is: an unspecified constraint is that.
fn check_location(asked: Option<BucketLocationConstraint>, region: &str) -> S3Result<()> {
    let Some(asked) = asked.filter(|asked| asked.as_str() != region) else { return Ok(()) };
    Err(S3Error::with_message(
        S3ErrorCode::IllegalLocationConstraintException,
        format!(
            "The {} location constraint is incompatible for the region specific endpoint this \
             request was sent to.",
            asked.as_str()
        ),
    ))
}

fn header_map(headers: &[(&'static str, String)]) -> S3Result<HeaderMap> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::try_from(value).map_err(S3Error::internal_error)?;
            Ok((http::HeaderName::from_static(name), value))
        })
        .collect()
}

/// The plan of the faults for a request.
fn plan<T>(request: &S3Request<T>) -> Plan {
    request.extensions.get::<Ticket>().map(|ticket| ticket.plan().clone()).unwrap_or_default()
}

/// Fills the checksum fields of an output.
macro_rules! set_checksums {
    ($output:expr, $checksums:expr) => {
        for (algorithm, value) in $checksums {
            let value = Some(value.clone());
            match algorithm.as_str() {
                "crc32" => $output.checksum_crc32 = value,
                "crc32c" => $output.checksum_crc32c = value,
                "crc64nvme" => $output.checksum_crc64nvme = value,
                "sha1" => $output.checksum_sha1 = value,
                "sha256" => $output.checksum_sha256 = value,
                _ => {}
            }
        }
    };
}
use set_checksums;

type Answer<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Api {
    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> Answer<ListBucketsOutput> {
        lists::list_buckets(&self.0, request)
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> Answer<CreateBucketOutput> {
        let name = request.input.bucket;
        let named = request.input.create_bucket_configuration;
        let region = self.0.regions.get(&name).map_or(REGION, String::as_str);
        check_location(named.and_then(|named| named.location_constraint), region)?;
        buckets::new_bucket(&name, COMPARTMENT, &Map::new(), self.0.now())
            .and_then(|bucket| self.0.storage().create_bucket(bucket))
            .map_err(error)?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> Answer<DeleteBucketOutput> {
        let name = self.0.name(&request.input.bucket);
        self.0.storage().delete_bucket(&name, None).map_err(error)?;
        Ok(S3Response::with_status(DeleteBucketOutput {}, StatusCode::NO_CONTENT))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        let bucket = request.input.bucket;
        self.0.storage().bucket(&self.0.name(&bucket)).map_err(error)?;
        let region = self.0.regions.get(&bucket).map_or(REGION, String::as_str);
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(region.to_owned()),
            ..Default::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        let bucket = request.input.bucket;
        self.0.storage().bucket(&self.0.name(&bucket)).map_err(error)?;
        let region = self.0.regions.get(&bucket).map_or(REGION, String::as_str);
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: Some(region.to_owned().into()),
        }))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        self.0.storage().bucket(&self.0.name(&request.input.bucket)).map_err(error)?;
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        objects::get(&self.0, request)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        objects::head(&self.0, request)
    }

    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        attributes::get(&self.0, &request)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        objects::put(&self.0, request).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        objects::copy(&self.0, request).await
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        tags::get(&self.0, request)
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        tags::put(&self.0, request)
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        tags::delete(&self.0, request)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> Answer<DeleteObjectOutput> {
        objects::delete(&self.0, request)
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        objects::delete_many(&self.0, request)
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> Answer<ListObjectsOutput> {
        let bucket = request.input.bucket.clone();
        self.0.with_region(&bucket, lists::list(&self.0, request))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        let bucket = request.input.bucket.clone();
        self.0.with_region(&bucket, lists::list_v2(&self.0, request))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        lists::list_versions(&self.0, request)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        uploads::create(&self.0, request)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        uploads::put_part(&self.0, request).await
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        uploads::copy_part(&self.0, request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        uploads::complete(&self.0, request)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        uploads::abort(&self.0, request)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        uploads::list_parts(&self.0, request)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        uploads::list(&self.0, request)
    }
}
