// SPDX-License-Identifier: Apache-2.0
//! One bucket and prefix: reads, writes, listings. Each method is one call: timed, retried, and told in one error.

use crate::attempt::{Call, ObjectBody, Repeat, is_transient, may_have_happened};
use crate::backend::{Backend, GetRange, GetReply, GetRequest, LazyMeta, ListRequest, ObjectMeta};
use crate::client::{Client, entered};
use crate::config::Config;
use crate::error::{ErrorKind, Failure, Result};
use crate::listing;
use crate::options::{DeleteOptions, GetOptions, ListOptions, PutOptions};
use crate::payload::Payload;
use crate::read::{Origin, ReadOptions, Reader};
use crate::timing::{Live, Operation, Scope, Sink};
use crate::url::StoreUrl;
use crate::write::{self, Writer};
use bytes::Bytes;
use futures_core::stream::BoxStream;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// One bucket, and the part of it below a prefix. Cheap to clone.
///
/// Keys are literal, and are appended to the store's prefix as they are; what listings answer is relative to it.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    client: Client,
    backend: Arc<dyn Backend>,
    url: StoreUrl,
    sink: Sink,
    verify: bool,
    writing: write::Settings,
    live: Arc<Live>,
}

/// The answer to a read: what the object is, and its bytes to come.
#[derive(Debug)]
pub struct GetResult {
    /// The object's name, and how much of it is the store's prefix.
    key: Arc<str>,
    prefix: usize,
    meta: LazyMeta,
    range: Range<u64>,
    body: ObjectBody,
}

impl GetResult {
    /// What the object is.
    pub fn meta(&self) -> &ObjectMeta {
        self.meta.get(&self.key[self.prefix..])
    }

    /// Which bytes of the object the body holds: those asked for that exist.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// All bytes, in one piece.
    pub async fn bytes(self) -> Result<Bytes> {
        self.body.collect().await
    }

    /// The bytes as they arrive.
    pub fn into_stream(self) -> ObjectBody {
        self.body
    }
}

/// An entry of a listing.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every entry is an object: a box each would cost more"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListEntry {
    /// An object.
    Object(ObjectMeta),
    /// A common prefix of names, its `/` included.
    Prefix(String),
}

/// Awaits a call where it is, in the caller's runtime, or inside the one it belongs to. A macro, since handing a future
/// over would move it, and it is large.
macro_rules! on_runtime {
    ($client:expr, $call:expr) => {
        match $client.foreign_runtime()? {
            None => $call.await,
            Some(runtime) => entered(runtime, Box::pin($call)).await,
        }
    };
}
pub(crate) use on_runtime;

impl Store {
    pub(crate) fn new(
        client: Client,
        backend: Arc<dyn Backend>,
        url: &StoreUrl,
        config: &Config,
        scope: Option<&Scope>,
    ) -> Store {
        let sink = sink(&client, scope);
        let live = Arc::new(Live::new(client.config().hedge_at));
        Store(Arc::new(Shared {
            client,
            backend,
            url: url.clone(),
            sink,
            verify: config.verify,
            live,
            writing: write::Settings::new(config),
        }))
    }

    /// The URL it was made from.
    pub fn url(&self) -> &StoreUrl {
        &self.0.url
    }

    /// The same store, recorded in `scope`, too: same connections, same budget.
    #[must_use]
    pub fn with_scope(&self, scope: &Scope) -> Store {
        Store(Arc::new(Shared {
            client: self.0.client.clone(),
            backend: Arc::clone(&self.0.backend),
            url: self.0.url.clone(),
            sink: sink(&self.0.client, Some(scope)),
            verify: self.0.verify,
            writing: self.0.writing.clone(),
            live: Arc::clone(&self.0.live),
        }))
    }

    /// What the object is, without its bytes.
    pub async fn head(&self, key: &str) -> Result<ObjectMeta> {
        let call = self.begin(Operation::Head, key, None)?;
        on_runtime!(self.0.client, self.head_call(call))
    }

    /// Reads an object, or a range of it. The future ends with the head of the answer; the bytes follow.
    ///
    /// A range past the end of the object is `InvalidRange`; one that begins within it is cut at its end. An empty
    /// object reads as empty.
    pub async fn get(&self, key: &str, options: GetOptions) -> Result<GetResult> {
        let call = self.begin(Operation::Get, key, options.deadline)?;
        on_runtime!(self.0.client, self.get_call(call, options))
    }

    /// An object to read here and there, by ranges, or as a stream. No I/O.
    pub fn reader(&self, key: &str, options: ReadOptions) -> Reader {
        let Shared { client, backend, sink, live, verify, .. } = &*self.0;
        let origin = Origin {
            client: client.clone(),
            backend: Arc::clone(backend),
            sink: sink.clone(),
            key: self.full(key),
            shown: key.to_owned(),
            live: Arc::clone(live),
            verify: *verify,
        };
        Reader::new(origin, options)
    }

    /// The objects whose names begin with `prefix`, in byte order of their names, page by page. In no order where
    /// [`lists_in_order`](Store::lists_in_order) says so.
    ///
    /// Each page is held against what was asked: a name that lies outside, comes twice or out of order, a page that says
    /// there is more and not where, and pages without end are errors of kind `Protocol`.
    pub fn list(
        &self,
        prefix: &str,
        options: ListOptions,
    ) -> BoxStream<'static, Result<ListEntry>> {
        let request = ListRequest {
            prefix: self.full(prefix).to_string(),
            delimiter: options.delimiter,
            start: None,
            start_after: options.start_after.map(|key| self.full(&key).to_string()),
            end: options.end.map(|key| self.full(&key).to_string()),
            token: None,
            page_size: options.page_size,
        };
        listing::objects(self, request)
    }

    /// Whether listings come in byte order of names. Those of S3's directory buckets (S3 Express) do not.
    pub fn lists_in_order(&self) -> bool {
        self.0.backend.abilities().ordered_listings
    }

    /// Writes an object by one request; [`writer`](Store::writer) is for bytes that come piece by piece, or are many.
    ///
    /// With [`PutMode::Create`](crate::PutMode::Create) or [`PutMode::Update`](crate::PutMode::Update) an answer that was lost is settled by looking at the object:
    /// what this call wrote is its success, what another wrote is `AlreadyExists` or `Precondition`. To tell the two
    /// apart, such writes keep an item of user metadata (`storescope-write`), which [`ObjectMeta::metadata`] leaves out.
    pub async fn put(
        &self,
        key: &str,
        body: impl Into<Payload>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let call = self.begin(Operation::Put, key, options.deadline)?;
        let body = body.into();
        on_runtime!(self.0.client, write::put(self, call, body, options))
    }

    /// Writes an object of bytes that come piece by piece: by one request where they fill no part, else by parts.
    pub fn writer(&self, key: &str, options: PutOptions) -> Writer {
        Writer::new(self, key, options)
    }

    /// Whether [`rename`](Store::rename) is one request of the service, seen whole or not at all.
    pub fn renames_atomically(&self) -> bool {
        self.0.backend.abilities().rename
    }

    /// Removes an object. One that is not there is `NotFound` (S3 does not tell, and answers success); but where the
    /// answer was lost and the object is gone, it is taken to have been this call's doing.
    pub async fn delete(&self, key: &str, options: DeleteOptions) -> Result<()> {
        let call = self.begin(Operation::Delete, key, None)?;
        on_runtime!(self.0.client, self.delete_call(call, options))
    }

    pub(crate) async fn create_bucket(&self) -> Result<()> {
        let mut call = self.begin(Operation::CreateBucket, "", None)?;
        let backend = &self.0.backend;
        let run = async {
            let created =
                call.run(Repeat::IfUndone, |attempt| backend.create_bucket(attempt)).await;
            call.end(created)
        };
        self.0.client.run(run).await
    }

    pub(crate) async fn delete_bucket(&self) -> Result<()> {
        let mut call = self.begin(Operation::DeleteBucket, "", None)?;
        let backend = &self.0.backend;
        let run = async {
            let deleted =
                call.run(Repeat::IfUndone, |attempt| backend.delete_bucket(attempt)).await;
            call.end(deleted)
        };
        self.0.client.run(run).await
    }

    pub(crate) fn begin(
        &self,
        operation: Operation,
        key: &str,
        deadline: Option<Duration>,
    ) -> Result<Box<Call>> {
        self.0.client.check_open()?;
        Ok(self.begin_always(operation, self.full(key), deadline))
    }

    /// Begins a call although the client may have been shut down: what was begun is cleared away.
    pub(crate) fn begin_always(
        &self,
        operation: Operation,
        key: Arc<str>,
        deadline: Option<Duration>,
    ) -> Box<Call> {
        let Shared { client, backend, sink, .. } = &*self.0;
        Call::begin(backend, client.policy(), sink, operation, key, deadline)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.0.backend
    }

    /// The settings of writes.
    pub(crate) fn writing(&self) -> &write::Settings {
        &self.0.writing
    }

    pub(crate) fn full(&self, key: &str) -> Arc<str> {
        match self.0.url.key() {
            "" => key.into(),
            prefix => [prefix, key].concat().into(),
        }
    }

    pub(crate) fn relative(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.key.drain(..self.0.url.key().len());
        meta
    }

    async fn head_call(&self, mut call: Box<Call>) -> Result<ObjectMeta> {
        let key = Arc::clone(call.key());
        let head = call.run(Repeat::Freely, |attempt| self.0.backend.head(&key, attempt)).await;
        call.end(head).map(|meta| self.relative(meta))
    }

    async fn get_call(&self, mut call: Box<Call>, options: GetOptions) -> Result<GetResult> {
        let (key, prefix) = (Arc::clone(call.key()), self.0.url.key().len());
        let request =
            GetRequest { key: Arc::clone(&key), range: options.range, if_match: options.if_match };
        if let Some(why) = request.range.as_ref().and_then(unreadable) {
            return Err(call.fail(Failure::new(ErrorKind::InvalidInput).message(why)));
        }
        let answered =
            call.run(Repeat::Freely, |attempt| self.0.backend.get(&request, attempt)).await;
        let reply = match answered {
            Ok(reply) => reply,
            Err(failure) => {
                return Box::pin(self.without_bytes(call, request, failure)).await;
            }
        };
        let GetReply { meta, size, etag, range, body } = *reply;
        let whole = range == (0..size);
        let verify = options.verify.unwrap_or(self.0.verify) && whole;
        let checksum = if verify { meta.get(&key[prefix..]).checksum } else { None };
        let body = ObjectBody::new(call, request, body, range.clone(), etag, checksum);
        Ok(GetResult { key, prefix, meta, range, body })
    }

    /// A read that failed, unless it was of an empty object: a ranged read of one answers 416.
    async fn without_bytes(
        &self,
        mut call: Box<Call>,
        request: GetRequest,
        failure: Failure,
    ) -> Result<GetResult> {
        let maybe_empty = failure.kind == ErrorKind::InvalidRange
            && request.range.as_ref().is_some_and(GetRange::means_empty);
        if !maybe_empty {
            return Err(call.fail(failure));
        }
        match call.run(Repeat::Freely, |attempt| self.0.backend.head(&request.key, attempt)).await {
            Ok(meta) if meta.size == 0 => {
                let (key, prefix) = (Arc::clone(&request.key), self.0.url.key().len());
                let body = ObjectBody::empty(*call, request);
                let meta = self.relative(meta).into();
                Ok(GetResult { key, prefix, meta, range: 0..0, body })
            }
            Ok(_) => Err(call.fail(failure)),
            Err(failure) => Err(call.fail(failure)),
        }
    }

    async fn delete_call(&self, mut call: Box<Call>, options: DeleteOptions) -> Result<()> {
        let key = Arc::clone(call.key());
        let deleted = self.delete_settled(&mut call, &key, options.if_match.as_deref()).await;
        call.end(deleted)
    }

    /// A delete, repeated only once it is known not to have happened: a second answer of 404 would be the first one's
    /// success.
    async fn delete_settled(
        &self,
        call: &mut Call,
        key: &str,
        if_match: Option<&str>,
    ) -> Result<(), Failure> {
        let mut unsettled = false;
        loop {
            let delete = call
                .run(Repeat::IfUndone, |attempt| self.0.backend.delete(key, if_match, attempt))
                .await;
            let failure = match delete {
                Err(failure) if is_transient(&failure) && may_have_happened(&failure) => failure,
                Err(failure) if unsettled && failure.kind == ErrorKind::NotFound => return Ok(()),
                settled => return settled,
            };
            let head = call.run(Repeat::Freely, |attempt| self.0.backend.head(key, attempt)).await;
            match head {
                Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(()),
                Err(unseen) => return Err(unsettled_by(failure, unseen)),
                Ok(_) => {}
            }
            unsettled = true;
            call.back_off(failure).await?;
        }
    }
}

/// A request may have taken effect, and looking failed, too.
pub(crate) fn unsettled_by(mut failure: Failure, unseen: Failure) -> Failure {
    failure.message = format!(
        "{}; it may have taken effect: looking at the object failed ({})",
        failure.message,
        crate::Error::from(unseen)
    );
    failure
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", &self.0.url).finish_non_exhaustive()
    }
}

pub(crate) fn sink(client: &Client, scope: Option<&Scope>) -> Sink {
    if client.timing_is_on() { Sink::new(scope, client.metrics().scope()) } else { Sink::off() }
}

fn unreadable(range: &GetRange) -> Option<String> {
    match range {
        GetRange::Bounded(range) if range.start >= range.end => {
            Some(format!("the range {}..{} holds no byte", range.start, range.end))
        }
        GetRange::Last(0) => Some("the last 0 bytes are none".to_owned()),
        _ => None,
    }
}
