// SPDX-License-Identifier: Apache-2.0
//! Signed reads, kept for others of the same object while the signature is good.
//!
//! A signature covers date, target and host, and on S3 `x-amz-*`, but no Range: one serves all reads of an
//! object that are made by one method.

use super::clock::SKEW;
use crate::config::Config;
use crate::timing::{after, now_ns};
use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Signatures kept at most for each kind of read; beyond it the old ones go.
const MOST: usize = 4096;

/// The signed reads of one store; `I` is the identity that signed.
#[derive(Debug)]
pub(crate) struct SignatureCache<I> {
    reuse_for: Duration,
    is_on: AtomicBool,
    /// How often something was mended after a refusal.
    mends: AtomicU64,
    /// By the name of the object.
    reads: Mutex<[HashMap<Box<str>, Entry<I>>; ReadKind::COUNT]>,
}

#[derive(Debug)]
struct Entry<I> {
    read: Arc<SignedRead<I>>,
    until: u64,
}

/// A signed read of an object: what others of the same object may send.
#[derive(Debug)]
pub(crate) struct SignedRead<I> {
    pub(crate) uri: Uri,
    /// Those of the signature among them.
    pub(crate) headers: HeaderMap,
    /// Two identities are the same exactly when they are the same allocation.
    pub(crate) identity: Arc<I>,
}

/// Reads of an object that one signature serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadKind(usize);

impl ReadKind {
    const COUNT: usize = 4;

    /// The kind of a request by this method, if it reads. `checked` ones ask for the object's checksum by a header that
    /// is signed.
    pub(crate) fn of(method: &Method, checked: bool) -> Option<ReadKind> {
        match *method {
            Method::GET => Some(ReadKind(usize::from(checked))),
            Method::HEAD => Some(ReadKind(2 + usize::from(checked))),
            _ => None,
        }
    }
}

impl<I> SignatureCache<I> {
    pub(crate) fn new(config: &Config) -> SignatureCache<I> {
        SignatureCache {
            reuse_for: config.signature_reuse.min(SKEW),
            is_on: AtomicBool::new(!config.signature_reuse.is_zero()),
            mends: AtomicU64::new(0),
            reads: Mutex::new(std::array::from_fn(|_| HashMap::new())),
        }
    }

    /// The read of this object that the identity signed before, while it is good at the time `now`.
    pub(crate) fn get(
        &self,
        kind: ReadKind,
        key: &str,
        identity: &Arc<I>,
        now: u64,
    ) -> Option<Arc<SignedRead<I>>> {
        if !self.is_on.load(Relaxed) {
            return None;
        }
        let (read, until) = {
            let reads = self.reads();
            let entry = reads[kind.0].get(key)?;
            (Arc::clone(&entry.read), entry.until)
        };
        (Arc::ptr_eq(&read.identity, identity) && now < until).then_some(read)
    }

    /// Keeps a signed read for others of the same object, unless something was mended since `mends`, when it was signed.
    pub(crate) fn keep(
        &self,
        kind: ReadKind,
        key: &str,
        mends: u64,
        read: impl FnOnce() -> SignedRead<I>,
    ) {
        if !self.is_on.load(Relaxed) {
            return;
        }
        let now = now_ns();
        let entry = Entry { read: Arc::new(read()), until: after(now, self.reuse_for) };
        let mut reads = self.reads();
        if self.mends() != mends {
            return;
        }
        let reads = &mut reads[kind.0];
        if reads.len() >= MOST {
            reads.retain(|_, entry| now < entry.until);
            if reads.len() >= MOST {
                reads.clear();
            }
        }
        reads.insert(key.into(), entry);
    }

    /// Whether signatures are reused.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// How often something was mended after a refusal.
    pub(crate) fn mends(&self) -> u64 {
        self.mends.load(Relaxed)
    }

    /// Something was mended: what was signed before is not for reuse.
    pub(crate) fn mended(&self) {
        self.mends.fetch_add(1, Relaxed);
        self.clear();
    }

    pub(crate) fn clear(&self) {
        self.reads().iter_mut().for_each(HashMap::clear);
    }

    /// Turns reuse off; whether it was on.
    pub(crate) fn turn_off(&self) -> bool {
        self.is_on.swap(false, Relaxed)
    }

    fn reads(&self) -> MutexGuard<'_, [HashMap<Box<str>, Entry<I>>; ReadKind::COUNT]> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_served_by_its_kind_its_identity_and_its_age() {
        let cache = SignatureCache::new(&Config::default());
        let (identity, other) = (Arc::new(1), Arc::new(1));
        let kind = |method, checked| ReadKind::of(&method, checked).unwrap();
        let read = || SignedRead {
            uri: Uri::from_static("/k"),
            headers: HeaderMap::new(),
            identity: Arc::clone(&identity),
        };
        cache.keep(kind(Method::GET, true), "k", cache.mends(), read);
        let now = now_ns();
        let get = |kind, identity, now| cache.get(kind, "k", identity, now).is_some();
        assert!(get(kind(Method::GET, true), &identity, now));
        assert!(!get(kind(Method::GET, false), &identity, now), "asks for no checksum");
        assert!(!get(kind(Method::HEAD, true), &identity, now), "another method");
        assert!(!get(kind(Method::GET, true), &other, now), "another identity");
        assert!(!get(kind(Method::GET, true), &identity, after(now, SKEW)), "aged");
        assert!(ReadKind::of(&Method::PUT, false).is_none());
        let before = cache.mends();
        cache.mended();
        cache.keep(kind(Method::GET, true), "k", before, read);
        assert!(
            !get(kind(Method::GET, true), &identity, now),
            "signed before something was mended"
        );
    }
}
