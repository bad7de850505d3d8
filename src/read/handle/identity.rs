// SPDX-License-Identifier: Apache-2.0
//! Which object is read: its name, and the size, ETag and metadata that all of its bytes must belong to. The first answer
//! pins them, unless the caller did; one that differs is an object that has changed, and stays so.

use crate::attempt::Call;
use crate::backend::{GetRequest, etag as tags};
use crate::context::Target;
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::timing::{Operation, Recorders};
use crate::types::{GetRange, ObjectMeta};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The object that a handle reads.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) target: Target,
    /// Its full name, and the one its reader knows it by.
    pub(crate) key: Arc<str>,
    pub(crate) shown: String,
}

impl Object {
    /// A call that asks for some of it, made for calls that keep their own time.
    pub(super) fn fetch(&self, recorders: &Recorders, begun: u64) -> Box<Call> {
        let (backend, policy) = (self.target.backend(), self.target.context().policy());
        Call::fetch(backend, policy, recorders, Arc::clone(&self.key), begun)
    }
}

/// The object, and what is known of it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) object: Object,
    meta: OnceLock<ObjectMeta>,
    pinned: Mutex<Pinned>,
}

#[derive(Debug)]
struct Pinned {
    size: Option<u64>,
    etag: Option<String>,
    /// Whether an answer has told them, rather than the caller.
    told: bool,
    /// The object has changed: nothing can be read any more.
    changed: Option<Error>,
}

impl Identity {
    /// An object of which the caller knows so much.
    pub(super) fn new(object: Object, size: Option<u64>, etag: Option<String>) -> Identity {
        let pinned = Pinned { size, etag, told: false, changed: None };
        Identity { object, meta: OnceLock::new(), pinned: Mutex::new(pinned) }
    }

    /// The object's size, once it is known. Fails once the object has changed.
    pub(super) fn size(&self) -> Result<Option<u64>> {
        let pinned = self.pinned();
        pinned.changed.clone().map_or(Ok(pinned.size), Err)
    }

    /// The same, of an object that may have changed since.
    pub(super) fn known_size(&self) -> Option<u64> {
        self.pinned().size
    }

    /// What an answer has told of the object.
    pub(super) fn meta(&self) -> Option<&ObjectMeta> {
        self.meta.get()
    }

    /// A request for some of its bytes, of this version of it.
    pub(super) fn request(&self, range: Range<u64>) -> GetRequest {
        let pinned = self.pinned();
        // All of it is asked for without a range: S3 tells a checksum then.
        let whole = range.start == 0 && pinned.size == Some(range.end);
        GetRequest {
            key: Arc::clone(&self.object.key),
            range: (!whole).then(|| range.into()),
            if_match: pinned.etag.clone(),
        }
    }

    /// A request for its last bytes.
    pub(super) fn request_last(&self, bytes: u64) -> GetRequest {
        GetRequest {
            key: Arc::clone(&self.object.key),
            range: Some(GetRange::Last(bytes)),
            if_match: self.pinned().etag.clone(),
        }
    }

    /// Compares what an answer says of the object with what is known, or learns it.
    pub(super) fn identify(
        &self,
        size: u64,
        etag: Option<&String>,
        meta: Option<&ObjectMeta>,
    ) -> Result<(), Failure> {
        let mut pinned = self.pinned();
        let differs = tags::differ(pinned.etag.as_deref(), etag.map(String::as_str));
        if pinned.size.is_some_and(|known| known != size) || differs {
            let was = format!(
                "it had {:?} bytes and ETag {:?}, and has {size} and {etag:?}",
                pinned.size, pinned.etag
            );
            return Err(Failure::new(ErrorKind::Changed).message(was));
        }
        pinned.size = Some(size);
        pinned.told = true;
        if pinned.etag.is_none() {
            pinned.etag = etag.cloned();
        }
        drop(pinned);
        if let Some(meta) = meta {
            let mut meta = meta.clone();
            meta.key.clone_from(&self.object.shown);
            let _ = self.meta.set(meta);
        }
        Ok(())
    }

    /// Whether a request for bytes from `start` on that failed so tells that the object has changed.
    pub(super) fn contradicts(&self, failure: ErrorKind, start: u64) -> bool {
        let pinned = self.pinned();
        match failure {
            ErrorKind::Precondition => true,
            ErrorKind::NotFound => pinned.told,
            // It was asked for before the size was known, or it was there.
            ErrorKind::InvalidRange => pinned.told && pinned.size.is_some_and(|size| start < size),
            _ => false,
        }
    }

    /// Remembers that the object has changed: whatever is read from now on fails so.
    pub(super) fn told_changed(&self, error: Error) -> Error {
        if error.is_changed() {
            self.pinned().changed.get_or_insert(error.clone());
        }
        error
    }

    /// Asks what the object is, without its bytes.
    pub(super) async fn look(&self, recorders: &Recorders) -> Result<()> {
        let Object { target, key, .. } = &self.object;
        let (backend, policy) = (target.backend(), target.context().policy());
        let mut call =
            Call::begin(backend, policy, recorders, Operation::Head, Arc::clone(key), None);
        let head = call.head(key).await;
        match head.and_then(|meta| self.identify(meta.size, meta.etag.as_ref(), Some(&meta))) {
            Ok(()) => call.end(Ok(())),
            Err(failure) => Err(self.told_changed(call.fail(failure))),
        }
    }

    fn pinned(&self) -> MutexGuard<'_, Pinned> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
