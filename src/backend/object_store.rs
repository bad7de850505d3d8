// SPDX-License-Identifier: Apache-2.0
//! Any `object_store::ObjectStore` as a store: files, memory, other clouds; timed like the others.
//!
//! What it promises is what the store beneath does, and no more: it retries by itself, names that its `Path` cannot
//! hold are refused, and conditions or attributes that it does not know are `Unsupported`. Its requests are not ours, so
//! an attempt has the phases `ttfb` (until the answer's head) and `body`, and no connection.

use super::{
    Abilities, Attempt, Backend, BucketPage, CommitRequest, GetReply, GetRequest, ListPage,
    ListRequest, Part, PartRequest, PutRequest, RequestFuture, ServiceId, UploadRequest, refused,
};
use crate::auth::AuthRetry;
use crate::error::{ErrorKind, Failure};
use crate::payload::Payload;
use crate::timing::{AttemptTimer, Outcome, Phase, RequestId};
use crate::transport::Body;
use crate::types::{About, GetRange, ObjectMeta, PutMode, Upload};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, MultipartUpload, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, UpdateVersion,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, futures::Notified};

const ABILITIES: Abilities = Abilities {
    rename: false,
    delete_many: 0,
    conditional_copies: true,
    copies_parts_above: None,
    // What object_store asks of all parts but the last.
    least_part: 5 << 20,
    most_part: 5 << 30,
    parts: 10_000,
    ordered_listings: true,
    ends_listings: true,
};

#[derive(Debug)]
pub(crate) struct Wrapped {
    store: Arc<dyn ObjectStore>,
    uploads: Mutex<HashMap<String, Arc<Assembly>>>,
}

/// A write by parts. object_store numbers parts by the order in which they are handed over.
#[derive(Debug)]
struct Assembly {
    state: tokio::sync::Mutex<Handed>,
    moved: Notify,
}

#[derive(Debug)]
struct Handed {
    upload: Box<dyn MultipartUpload>,
    last: u32,
}

impl Wrapped {
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> Wrapped {
        Wrapped { store, uploads: Mutex::default() }
    }

    fn assembly(&self, id: &str) -> Result<Arc<Assembly>, Failure> {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.get(id).cloned().ok_or_else(|| {
            Failure::new(ErrorKind::NotFound).message(format!("there is no upload {id:?}"))
        })
    }

    fn forget(&self, id: &str) {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    async fn get_range(
        &self,
        request: &GetRequest,
        path: &Path,
    ) -> Result<object_store::GetResult, Failure> {
        let options = GetOptions {
            range: request.range.as_ref().map(range),
            if_match: request.if_match.clone(),
            ..GetOptions::default()
        };
        match self.store.get_opts(path, options).await {
            Ok(got) => Ok(got),
            Err(error) => {
                let past_the_end = match (&request.range, &error) {
                    (Some(asked), object_store::Error::Generic { .. }) => {
                        let size = self.store.head(path).await.map(|meta| meta.size);
                        size.is_ok_and(|size| asked.of(size).is_none())
                    }
                    _ => false,
                };
                let mut failure = failure(error);
                if past_the_end {
                    failure.kind = ErrorKind::InvalidRange;
                }
                Err(failure)
            }
        }
    }

    async fn list_page(&self, request: &ListRequest) -> Result<ListPage, Failure> {
        // object_store lists below whole segments; what begins with the rest of the prefix is picked here.
        let folder = request.prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let below = if folder.is_empty() { None } else { Some(path(folder)?) };
        let wanted = |name: &str| {
            name.starts_with(&request.prefix)
                && request.start_after.as_deref().is_none_or(|after| name > after)
                && request.end.as_deref().is_none_or(|end| name < end)
        };
        let mut prefixes = BTreeSet::new();
        let found: Vec<_> = if request.delimiter {
            let listed = self.store.list_with_delimiter(below.as_ref()).await.map_err(failure)?;
            let rolled = listed.common_prefixes.iter().map(|prefix| format!("{prefix}/"));
            prefixes.extend(rolled.filter(|name| wanted(name)));
            listed.objects
        } else {
            self.store.list(below.as_ref()).try_collect().await.map_err(failure)?
        };
        let mut objects: Vec<_> = found
            .into_iter()
            .filter(|meta| wanted(meta.location.as_ref()))
            .map(|meta| described(&meta, &Attributes::new()))
            .collect();
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(ListPage { objects, prefixes: prefixes.into_iter().collect(), next: None })
    }
}

/// A name as object_store has it, where it can.
fn path(key: &str) -> Result<Path, Failure> {
    let unfit = || {
        Failure::new(ErrorKind::InvalidInput)
            .message(format!("object_store has no path for the name {key:?}"))
            .hint("names have no empty segment, and none that is `.` or `..`")
    };
    let path = Path::parse(key).map_err(|e| unfit().source(e))?;
    if key.is_empty() || path.as_ref() != key { Err(unfit()) } else { Ok(path) }
}

fn range(range: &GetRange) -> object_store::GetRange {
    match range {
        GetRange::Bounded(range) => object_store::GetRange::Bounded(range.clone()),
        GetRange::From(start) => object_store::GetRange::Offset(*start),
        GetRange::Last(bytes) => object_store::GetRange::Suffix(*bytes),
    }
}

fn failure(error: object_store::Error) -> Failure {
    use object_store::Error;
    let kind = match &error {
        Error::NotFound { .. } => ErrorKind::NotFound,
        Error::AlreadyExists { .. } => ErrorKind::AlreadyExists,
        Error::Precondition { .. } | Error::NotModified { .. } => ErrorKind::Precondition,
        Error::InvalidPath { .. } => ErrorKind::InvalidInput,
        Error::NotSupported { .. } | Error::NotImplemented { .. } => ErrorKind::Unsupported,
        Error::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        Error::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        _ => ErrorKind::Server,
    };
    Failure::new(kind).message(error.to_string()).source(error)
}

fn described(meta: &object_store::ObjectMeta, attributes: &Attributes) -> ObjectMeta {
    let mut about = About::default();
    for (attribute, value) in attributes {
        let value = value.as_ref().to_owned();
        match attribute {
            Attribute::ContentType => about.content_type = Some(value),
            Attribute::ContentEncoding => about.content_encoding = Some(value),
            Attribute::ContentLanguage => about.content_language = Some(value),
            Attribute::ContentDisposition => about.content_disposition = Some(value),
            Attribute::CacheControl => about.cache_control = Some(value),
            Attribute::Metadata(name) => {
                about.metadata.insert(name.to_ascii_lowercase(), value);
            }
            _ => {}
        }
    }
    ObjectMeta {
        key: meta.location.to_string(),
        size: meta.size,
        etag: meta.e_tag.clone(),
        last_modified: Some(meta.last_modified.into()),
        content_type: about.content_type,
        content_encoding: about.content_encoding,
        content_language: about.content_language,
        content_disposition: about.content_disposition,
        cache_control: about.cache_control,
        version: meta.version.clone(),
        metadata: about.metadata,
        ..ObjectMeta::default()
    }
}

fn attributes(about: &About) -> Attributes {
    let mut attributes = Attributes::new();
    let mut set = |attribute, value: &Option<String>| {
        if let Some(value) = value {
            attributes.insert(attribute, AttributeValue::from(value.clone()));
        }
    };
    set(Attribute::ContentType, &about.content_type);
    set(Attribute::ContentEncoding, &about.content_encoding);
    set(Attribute::ContentLanguage, &about.content_language);
    set(Attribute::ContentDisposition, &about.content_disposition);
    set(Attribute::CacheControl, &about.cache_control);
    // The store beneath retries by itself, so no answer is lost that a mark would settle.
    for (name, value) in about.metadata.clone() {
        attributes.insert(Attribute::Metadata(name.into()), AttributeValue::from(value));
    }
    attributes
}

fn payload(payload: &Payload) -> PutPayload {
    payload.pieces().iter().cloned().collect()
}

/// Times an operation of the store beneath, whose answer has no body.
async fn timed<T>(
    mut timer: Box<AttemptTimer>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timer.lap(Phase::Prepare);
    let done = work.await;
    timer.lap(Phase::Ttfb);
    timer.finish(done.as_ref().map_or_else(Failure::outcome, |_| Outcome::Ok));
    done
}

impl Backend for Wrapped {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn service(&self) -> ServiceId {
        ServiceId::Other
    }

    fn url(&self, key: &str) -> String {
        format!("{}/{key}", self.store)
    }

    fn after_unauthorized(&self, _: &Failure) -> AuthRetry {
        AuthRetry::GiveUp("check the credentials of the wrapped store".to_owned())
    }

    fn get<'a>(
        &'a self,
        request: &'a GetRequest,
        mut attempt: Attempt,
    ) -> RequestFuture<'a, Box<GetReply>> {
        attempt.asks(request.range.as_ref());
        let mut timer = attempt.timer;
        Box::pin(async move {
            let got = async { self.get_range(request, &path(&request.key)?).await };
            timer.lap(Phase::Prepare);
            let got = match got.await {
                Ok(got) => got,
                Err(failure) => {
                    timer.finish(failure.outcome());
                    return Err(failure);
                }
            };
            timer.lap(Phase::Ttfb);
            let meta = described(&got.meta, &got.attributes);
            let range = got.range.clone();
            let broken = |e| {
                let mut broken = failure(e);
                if broken.kind == ErrorKind::Server {
                    broken.kind = ErrorKind::Reset;
                }
                broken
            };
            let body = Body::from_stream(got.into_stream().map_err(broken).boxed(), timer);
            let (size, etag) = (meta.size, meta.etag.clone());
            Ok(Box::new(GetReply { meta: meta.into(), size, etag, range, body: body.counted() }))
        })
    }

    fn head<'a>(&'a self, key: &'a str, attempt: Attempt) -> RequestFuture<'a, ObjectMeta> {
        Box::pin(timed(attempt.timer, async move {
            let options = GetOptions { head: true, ..GetOptions::default() };
            let got = self.store.get_opts(&path(key)?, options).await.map_err(failure)?;
            Ok(described(&got.meta, &got.attributes))
        }))
    }

    fn put<'a>(
        &'a self,
        request: &'a PutRequest,
        mut attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta> {
        attempt.timer.uploads(request.body.len());
        Box::pin(timed(attempt.timer, async move {
            let mode = match &request.mode {
                PutMode::Overwrite => object_store::PutMode::Overwrite,
                PutMode::Create => object_store::PutMode::Create,
                PutMode::Update(etag) => object_store::PutMode::Update(UpdateVersion {
                    e_tag: Some(etag.clone()),
                    version: None,
                }),
            };
            let options = PutOptions {
                mode,
                attributes: attributes(&request.about),
                ..PutOptions::default()
            };
            let path = path(&request.key)?;
            let put = self.store.put_opts(&path, payload(&request.body), options);
            let put = put.await.map_err(failure)?;
            Ok(request.about.told(ObjectMeta {
                key: request.key.to_string(),
                size: request.body.len(),
                etag: put.e_tag,
                version: put.version,
                ..ObjectMeta::default()
            }))
        }))
    }

    fn delete<'a>(
        &'a self,
        key: &'a str,
        if_match: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, ()> {
        if if_match.is_some() {
            return refused(attempt, "conditional removal");
        }
        Box::pin(timed(attempt.timer, async move {
            self.store.delete(&path(key)?).await.map_err(failure)
        }))
    }

    fn list<'a>(
        &'a self,
        request: &'a ListRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ListPage> {
        Box::pin(timed(attempt.timer, self.list_page(request)))
    }

    fn begin_upload<'a>(
        &'a self,
        request: &'a UploadRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, String> {
        if request.mode != PutMode::Overwrite {
            return refused(attempt, "conditional writes by parts");
        }
        Box::pin(timed(attempt.timer, async move {
            let options = PutMultipartOptions {
                attributes: attributes(&request.about),
                ..PutMultipartOptions::default()
            };
            let path = path(&request.key)?;
            let begun = self.store.put_multipart_opts(&path, options);
            let upload = begun.await.map_err(failure)?;
            let id = RequestId::next().to_string();
            let state = tokio::sync::Mutex::new(Handed { upload, last: 0 });
            let assembly = Arc::new(Assembly { state, moved: Notify::new() });
            let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
            uploads.insert(id.clone(), assembly);
            Ok(id)
        }))
    }

    fn put_part<'a>(
        &'a self,
        request: &'a PartRequest,
        mut attempt: Attempt,
    ) -> RequestFuture<'a, Part> {
        attempt.timer.uploads(request.body.len());
        Box::pin(timed(attempt.timer, async move {
            let assembly = self.assembly(&request.upload.id)?;
            let put = loop {
                // Made before the look, so that what moves in between is heard.
                let moved: Notified<'_> = assembly.moved.notified();
                let mut handed = assembly.state.lock().await;
                if handed.last + 1 == request.number {
                    handed.last = request.number;
                    break handed.upload.put_part(payload(&request.body));
                }
                if handed.last >= request.number {
                    return Err(Failure::new(ErrorKind::Server)
                        .message("a part that failed cannot be sent to this store again"));
                }
                drop(handed);
                moved.await;
            };
            assembly.moved.notify_waiters();
            put.await.map_err(failure)?;
            Ok(request.stored(String::new()))
        }))
    }

    fn commit_upload<'a>(
        &'a self,
        request: &'a CommitRequest,
        attempt: Attempt,
    ) -> RequestFuture<'a, ObjectMeta> {
        Box::pin(timed(attempt.timer, async move {
            let id = &request.upload.id;
            let assembly = self.assembly(id)?;
            let made = assembly.state.lock().await.upload.complete().await.map_err(failure)?;
            self.forget(id);
            Ok(ObjectMeta {
                key: request.upload.key.clone(),
                size: request.size(),
                etag: made.e_tag,
                version: made.version,
                ..ObjectMeta::default()
            })
        }))
    }

    fn abort_upload<'a>(&'a self, upload: &'a Upload, attempt: Attempt) -> RequestFuture<'a, ()> {
        Box::pin(timed(attempt.timer, async move {
            let assembly = self.assembly(&upload.id)?;
            let aborted = assembly.state.lock().await.upload.abort().await;
            self.forget(&upload.id);
            aborted.map_err(failure)
        }))
    }

    fn create_bucket(&self, attempt: Attempt) -> RequestFuture<'_, ()> {
        refused(attempt, "buckets")
    }

    fn delete_bucket(&self, attempt: Attempt) -> RequestFuture<'_, ()> {
        refused(attempt, "buckets")
    }

    fn list_buckets<'a>(
        &'a self,
        _: Option<&'a str>,
        attempt: Attempt,
    ) -> RequestFuture<'a, BucketPage> {
        refused(attempt, "buckets")
    }
}
