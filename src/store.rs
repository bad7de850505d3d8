// SPDX-License-Identifier: Apache-2.0
//! One bucket and prefix: reads, writes, listings. Each method is one call: timed, retried, and told in one error.

use crate::attempt::{Call, ObjectBody, Repeat, is_transient, may_have_happened};
use crate::backend::{
    Backend, Bucket, Checksum, GetRange, GetReply, GetRequest, LazyMeta, ListPage, ListRequest,
    ObjectMeta, PutMode, PutRequest,
};
use crate::client::{Client, entered};
use crate::config::Config;
use crate::error::{ErrorKind, Failure, Result};
use crate::read::{Origin, ReadOptions, Reader};
use crate::timing::{Live, Operation, RequestId, Scope, Sink};
use crate::url::StoreUrl;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::stream;
use md5::{Digest, Md5};
use std::collections::{BTreeMap, VecDeque};
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
    live: Arc<Live>,
}

/// How to read an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GetOptions {
    range: Option<GetRange>,
    if_match: Option<String>,
    verify: Option<bool>,
    deadline: Option<Duration>,
}

impl GetOptions {
    /// The whole object.
    pub fn new() -> GetOptions {
        GetOptions::default()
    }

    /// Only these bytes.
    #[must_use]
    pub fn range(mut self, range: impl Into<GetRange>) -> GetOptions {
        self.range = Some(range.into());
        self
    }

    /// Only if the object still has this entity tag; else `Precondition`.
    #[must_use]
    pub fn if_match(mut self, etag: impl Into<String>) -> GetOptions {
        self.if_match = Some(etag.into());
        self
    }

    /// Whether to check a whole object against the store's checksum; without it, the setting `verify`.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> GetOptions {
        self.verify = Some(verify);
        self
    }

    /// Time for the whole call, its body included.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> GetOptions {
        self.deadline = Some(deadline);
        self
    }
}

/// The answer to a read: what the object is, and its bytes to come.
#[derive(Debug)]
pub struct GetResult {
    key: String,
    meta: LazyMeta,
    range: Range<u64>,
    body: ObjectBody,
}

impl GetResult {
    /// What the object is.
    pub fn meta(&self) -> &ObjectMeta {
        self.meta.get(&self.key)
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

/// How to write an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    mode: PutMode,
    checksum: ChecksumMode,
    content_type: Option<String>,
    content_encoding: Option<String>,
    metadata: BTreeMap<String, String>,
    deadline: Option<Duration>,
}

/// Which checksum is sent with a write, and compared with the answer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumMode {
    /// CRC32C, or none where the setting `verify` is off.
    #[default]
    Auto,
    /// CRC32C.
    Crc32c,
    /// MD5 (`Content-MD5`).
    Md5,
    /// None.
    Off,
}

impl PutOptions {
    /// Overwrites, with a CRC32C.
    pub fn new() -> PutOptions {
        PutOptions::default()
    }

    /// What to do where an object of that name exists.
    #[must_use]
    pub fn mode(mut self, mode: PutMode) -> PutOptions {
        self.mode = mode;
        self
    }

    /// Which checksum to send and compare.
    #[must_use]
    pub fn checksum(mut self, checksum: ChecksumMode) -> PutOptions {
        self.checksum = checksum;
        self
    }

    /// The media type; without it, `application/octet-stream`.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> PutOptions {
        self.content_type = Some(content_type.into());
        self
    }

    /// The content coding, told to readers as it is. The bytes are not encoded here.
    #[must_use]
    pub fn content_encoding(mut self, content_encoding: impl Into<String>) -> PutOptions {
        self.content_encoding = Some(content_encoding.into());
        self
    }

    /// An item of user metadata; names are case-insensitive and come back in lower case.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> PutOptions {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Time for the whole call.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> PutOptions {
        self.deadline = Some(deadline);
        self
    }
}

/// How to remove an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeleteOptions {
    if_match: Option<String>,
}

impl DeleteOptions {
    /// Whatever it holds.
    pub fn new() -> DeleteOptions {
        DeleteOptions::default()
    }

    /// Only if it still has this entity tag; else `Precondition`.
    #[must_use]
    pub fn if_match(mut self, etag: impl Into<String>) -> DeleteOptions {
        self.if_match = Some(etag.into());
        self
    }
}

/// What to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    delimiter: bool,
    start_after: Option<String>,
    end: Option<String>,
    page_size: Option<u32>,
}

impl ListOptions {
    /// All names, however deep.
    pub fn new() -> ListOptions {
        ListOptions::default()
    }

    /// Rolls up what lies below the next `/` into prefixes, as a folder is listed.
    #[must_use]
    pub fn delimiter(mut self, delimiter: bool) -> ListOptions {
        self.delimiter = delimiter;
        self
    }

    /// Only names after this one, in byte order.
    #[must_use]
    pub fn start_after(mut self, key: impl Into<String>) -> ListOptions {
        self.start_after = Some(key.into());
        self
    }

    /// Only names before this one, in byte order.
    #[must_use]
    pub fn end(mut self, key: impl Into<String>) -> ListOptions {
        self.end = Some(key.into());
        self
    }

    /// Names asked for at once; without it, the service's own (1,000).
    #[must_use]
    pub fn page_size(mut self, names: u32) -> ListOptions {
        self.page_size = Some(names);
        self
    }
}

/// An entry of a listing.
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
        let (url, verify) = (url.clone(), config.verify);
        Store(Arc::new(Shared { client, backend, url, sink, verify, live }))
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
        on_runtime!(self.0.client, self.get_call(call, key, options))
    }

    /// An object to read here and there, by ranges, or as a stream. No I/O.
    pub fn reader(&self, key: &str, options: ReadOptions) -> Reader {
        let Shared { client, backend, sink, live, .. } = &*self.0;
        let origin = Origin {
            client: client.clone(),
            backend: Arc::clone(backend),
            sink: sink.clone(),
            key: self.full(key),
            shown: key.to_owned(),
            live: Arc::clone(live),
        };
        Reader::new(origin, options)
    }

    /// The objects whose names begin with `prefix`, in byte order of their names, page by page.
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
            page_size: options.page_size,
        };
        Box::pin(stream::try_unfold(Listing::new(self.clone(), request), Listing::step))
    }

    /// Writes an object by one request.
    ///
    /// With [`PutMode::Create`] or [`PutMode::Update`] an answer that was lost is settled by looking at the object:
    /// what this call wrote is its success, what another wrote is `AlreadyExists` or `Precondition`. To tell the two
    /// apart, such writes keep an item of user metadata (`storescope-write`), which [`ObjectMeta::metadata`] leaves out.
    pub async fn put(
        &self,
        key: &str,
        body: impl Into<Bytes>,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let call = self.begin(Operation::Put, key, options.deadline)?;
        let body = body.into();
        on_runtime!(self.0.client, self.put_call(call, body, options))
    }

    /// Removes an object. One that is not there is `NotFound`; but where the answer was lost and the object is gone, it is
    /// taken to have been this call's doing.
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

    fn begin(
        &self,
        operation: Operation,
        key: &str,
        deadline: Option<Duration>,
    ) -> Result<Box<Call>> {
        let Shared { client, backend, sink, .. } = &*self.0;
        client.check_open()?;
        Ok(Call::begin(backend, client.policy(), sink, operation, self.full(key), deadline))
    }

    fn full(&self, key: &str) -> Arc<str> {
        match self.0.url.key() {
            "" => key.into(),
            prefix => [prefix, key].concat().into(),
        }
    }

    fn relative(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.key.drain(..self.0.url.key().len());
        meta
    }

    async fn head_call(&self, mut call: Box<Call>) -> Result<ObjectMeta> {
        let key = Arc::clone(call.key());
        let head = call.run(Repeat::Freely, |attempt| self.0.backend.head(&key, attempt)).await;
        call.end(head).map(|meta| self.relative(meta))
    }

    async fn get_call(
        &self,
        mut call: Box<Call>,
        key: &str,
        options: GetOptions,
    ) -> Result<GetResult> {
        let request = GetRequest {
            key: Arc::clone(call.key()),
            range: options.range,
            if_match: options.if_match,
        };
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
        let checksum = if verify { meta.get(key).checksum } else { None };
        let body = ObjectBody::new(call, request, body, range.clone(), etag, checksum);
        Ok(GetResult { key: key.to_owned(), meta, range, body })
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
                let body = ObjectBody::empty(*call, request);
                let meta = self.relative(meta);
                Ok(GetResult { key: meta.key.clone(), meta: meta.into(), range: 0..0, body })
            }
            Ok(_) => Err(call.fail(failure)),
            Err(failure) => Err(call.fail(failure)),
        }
    }

    async fn put_call(
        &self,
        mut call: Box<Call>,
        body: Bytes,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let checksum = match options.checksum {
            ChecksumMode::Auto if self.0.verify => Some(Checksum::Crc32c(crc32c::crc32c(&body))),
            ChecksumMode::Crc32c => Some(Checksum::Crc32c(crc32c::crc32c(&body))),
            ChecksumMode::Md5 => Some(Checksum::Md5(Md5::digest(&body).into())),
            ChecksumMode::Auto | ChecksumMode::Off => None,
        };
        let request = PutRequest {
            key: Arc::clone(call.key()),
            body,
            checksum,
            mark: (options.mode != PutMode::Overwrite).then(RequestId::next),
            mode: options.mode,
            content_type: options.content_type,
            content_encoding: options.content_encoding,
            metadata: options.metadata,
        };
        let written = match request.mode {
            PutMode::Overwrite => {
                call.run(Repeat::Freely, |attempt| self.0.backend.put(&request, attempt)).await
            }
            _ => self.put_conditionally(&mut call, &request).await,
        };
        call.end(written).map(|meta| self.relative(meta))
    }

    /// A conditional put, repeated only once it is known not to have happened.
    async fn put_conditionally(
        &self,
        call: &mut Call,
        request: &PutRequest,
    ) -> Result<ObjectMeta, Failure> {
        let mut unsettled = false;
        loop {
            let put =
                call.run(Repeat::IfUndone, |attempt| self.0.backend.put(request, attempt)).await;
            let failure = match put {
                Err(failure) if is_transient(&failure) && may_have_happened(&failure) => failure,
                // The try before may have arrived after it was looked for.
                Err(failure) if unsettled && failure.is_refusal() => failure,
                settled => return settled,
            };
            match self.look(call, request).await {
                Ok(Looked::Ours(meta)) => return Ok(*meta),
                Ok(Looked::Others(refusal)) => return Err(refusal),
                Ok(Looked::Undone) => {}
                Err(unseen) => return Err(unsettled_by(failure, unseen)),
            }
            unsettled = true;
            call.back_off(failure).await?;
        }
    }

    /// Whose is what stands there now?
    async fn look(&self, call: &mut Call, request: &PutRequest) -> Result<Looked, Failure> {
        let head =
            call.run(Repeat::Freely, |attempt| self.0.backend.head(&request.key, attempt)).await;
        let meta = match head {
            Ok(meta) => meta,
            Err(failure) if failure.kind == ErrorKind::NotFound => {
                return Ok(match request.mode {
                    PutMode::Update(_) => Looked::Others(
                        Failure::new(ErrorKind::Precondition)
                            .message("the object was deleted meanwhile"),
                    ),
                    _ => Looked::Undone,
                });
            }
            Err(failure) => return Err(failure),
        };
        if let PutMode::Update(before) = &request.mode
            && meta.etag.as_ref() == Some(before)
        {
            return Ok(Looked::Undone);
        }
        // The mark tells; the same bytes may well be another's (two who create a lock).
        if meta.mark.is_some() && meta.mark == request.mark.map(|mark| mark.to_string()) {
            return Ok(Looked::Ours(Box::new(meta)));
        }
        let kind = if request.mode == PutMode::Create {
            ErrorKind::AlreadyExists
        } else {
            ErrorKind::Precondition
        };
        Ok(Looked::Others(
            Failure::new(kind).message("another writer was first; our answer was lost"),
        ))
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
fn unsettled_by(mut failure: Failure, unseen: Failure) -> Failure {
    failure.message = format!(
        "{}; it may have taken effect: looking at the object failed ({})",
        failure.message,
        crate::Error::from(unseen)
    );
    failure
}

/// What a look at an object says of a write whose answer was lost.
enum Looked {
    Ours(Box<ObjectMeta>),
    Others(Failure),
    Undone,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", &self.0.url).finish_non_exhaustive()
    }
}

fn sink(client: &Client, scope: Option<&Scope>) -> Sink {
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

/// A listing under way.
struct Listing {
    store: Store,
    request: Option<ListRequest>,
    page: VecDeque<ListEntry>,
    /// The last prefix given out: a page that begins inside a rolled-up prefix names it again.
    last_prefix: Option<String>,
}

impl Listing {
    fn new(store: Store, request: ListRequest) -> Listing {
        Listing { store, request: Some(request), page: VecDeque::new(), last_prefix: None }
    }

    async fn step(mut self) -> Result<Option<(ListEntry, Listing)>> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Ok(Some((entry, self)));
            }
            let Some(request) = self.request.take() else { return Ok(None) };
            self.next_page(request).await?;
        }
    }

    async fn next_page(&mut self, mut request: ListRequest) -> Result<()> {
        let Shared { client, backend, url, sink, .. } = &*self.store.0;
        client.check_open()?;
        let mut call = Call::begin(
            backend,
            client.policy(),
            sink,
            Operation::List,
            request.prefix.as_str().into(),
            None,
        );
        let prefix = &mut self.last_prefix;
        let run = async {
            let page = call.run(Repeat::Freely, |attempt| backend.list(&request, attempt)).await;
            let read = page.and_then(|page| {
                let next = page.next.clone();
                if let Some(next) =
                    next.as_ref().filter(|next| request.start.as_ref() >= Some(next))
                {
                    return Err(misread(format!("the listing does not get past {next:?}")));
                }
                Ok((merged(page, url.key(), prefix)?, next))
            });
            call.end(read)
        };
        let (page, next) = client.run(run).await?;
        self.page = page;
        if let Some(next) = next {
            request.start = Some(next);
            request.start_after = None;
            self.request = Some(request);
        }
        Ok(())
    }
}

fn misread(why: String) -> Failure {
    Failure::new(ErrorKind::Protocol).message(why)
}

/// Objects and prefixes of a page in one order, names relative to the store's prefix.
fn merged(
    page: ListPage,
    below: &str,
    last_prefix: &mut Option<String>,
) -> Result<VecDeque<ListEntry>, Failure> {
    let relative = |name: &str| match name.strip_prefix(below) {
        Some(rest) => Ok(rest.to_owned()),
        None => Err(misread(format!("the listing of {below:?} names {name:?}"))),
    };
    let mut entries = Vec::with_capacity(page.objects.len() + page.prefixes.len());
    for prefix in &page.prefixes {
        if last_prefix.as_ref() != Some(prefix) {
            entries.push((prefix.clone(), ListEntry::Prefix(relative(prefix)?)));
        }
    }
    if let Some(newest) = page.prefixes.into_iter().max() {
        *last_prefix = Some(newest);
    }
    for mut object in page.objects {
        let name = std::mem::take(&mut object.key);
        object.key = relative(&name)?;
        entries.push((name, ListEntry::Object(object)));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// The buckets of a service, page by page.
pub(crate) fn buckets(
    client: Client,
    backend: Arc<dyn Backend>,
    scope: Option<&Scope>,
) -> BoxStream<'static, Result<Bucket>> {
    let sink = sink(&client, scope);
    let begin = (VecDeque::<Bucket>::new(), Some(None::<String>));
    Box::pin(stream::try_unfold(begin, move |(mut buckets, mut next)| {
        let (client, backend, sink) = (client.clone(), Arc::clone(&backend), sink.clone());
        async move {
            loop {
                if let Some(bucket) = buckets.pop_front() {
                    return Ok(Some((bucket, (buckets, next))));
                }
                let Some(page) = next.take() else { return Ok(None) };
                client.check_open()?;
                let mut call = Call::begin(
                    &backend,
                    client.policy(),
                    &sink,
                    Operation::ListBuckets,
                    "".into(),
                    None,
                );
                let run = async {
                    let page = call
                        .run(Repeat::Freely, |attempt| {
                            backend.list_buckets(page.as_deref(), attempt)
                        })
                        .await;
                    call.end(page)
                };
                let page = client.run(run).await?;
                buckets = page.buckets.into();
                next = page.next.map(Some);
            }
        }
    }))
}
