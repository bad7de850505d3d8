// SPDX-License-Identifier: Apache-2.0
//! Reads by one request: what an object is, and its bytes or one range of them.

use crate::attempt::{Call, ObjectBody};
use crate::backend::{GetReply, GetRequest, LazyMeta};
use crate::context::{Target, on_runtime};
use crate::error::{ErrorKind, Failure, Result};
use crate::options::GetOptions;
use crate::timing::Operation;
use crate::types::{GetRange, ObjectMeta};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

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

/// What the object is, without its bytes.
pub(crate) async fn head(target: &Target, key: &str) -> Result<ObjectMeta> {
    let call = target.begin(Operation::Head, key, None)?;
    on_runtime!(target.context(), head_by(target, call))
}

async fn head_by(target: &Target, mut call: Box<Call>) -> Result<ObjectMeta> {
    let key = Arc::clone(call.key());
    let head = call.head(&key).await;
    call.end(head).map(|meta| target.relative(meta))
}

/// Reads an object, or a range of it.
pub(crate) async fn get(target: &Target, key: &str, options: GetOptions) -> Result<GetResult> {
    let call = target.begin(Operation::Get, key, options.deadline)?;
    on_runtime!(target.context(), get_by(target, call, options))
}

async fn get_by(target: &Target, mut call: Box<Call>, options: GetOptions) -> Result<GetResult> {
    let (key, prefix) = (Arc::clone(call.key()), target.prefix().len());
    let request =
        GetRequest { key: Arc::clone(&key), range: options.range, if_match: options.if_match };
    if let Some(why) = request.range.as_ref().and_then(unreadable) {
        return Err(call.fail(Failure::new(ErrorKind::InvalidInput).message(why)));
    }
    let reply = match call.get(&request).await {
        Ok(reply) => reply,
        Err(failure) => return Box::pin(without_bytes(target, call, request, failure)).await,
    };
    let GetReply { meta, size, etag, range, body } = *reply;
    let whole = range == (0..size);
    let verify = options.verify.unwrap_or(target.verify()) && whole;
    let checksum = if verify { meta.get(&key[prefix..]).checksum } else { None };
    let body = ObjectBody::new(call, request, body, range.clone(), etag, checksum);
    Ok(GetResult { key, prefix, meta, range, body })
}

/// A read that failed, unless it was of an empty object: a ranged read of one answers 416.
async fn without_bytes(
    target: &Target,
    mut call: Box<Call>,
    request: GetRequest,
    failure: Failure,
) -> Result<GetResult> {
    let maybe_empty = failure.kind == ErrorKind::InvalidRange
        && request.range.as_ref().is_some_and(GetRange::means_empty);
    if !maybe_empty {
        return Err(call.fail(failure));
    }
    match call.head(&request.key).await {
        Ok(meta) if meta.size == 0 => {
            let (key, prefix) = (Arc::clone(&request.key), target.prefix().len());
            let body = ObjectBody::empty(*call, request);
            let meta = target.relative(meta).into();
            Ok(GetResult { key, prefix, meta, range: 0..0, body })
        }
        Ok(_) => Err(call.fail(failure)),
        Err(failure) => Err(call.fail(failure)),
    }
}

/// Why a range cannot be asked for.
fn unreadable(range: &GetRange) -> Option<String> {
    match range {
        GetRange::Bounded(range) if range.start >= range.end => {
            Some(format!("the range {}..{} holds no byte", range.start, range.end))
        }
        GetRange::Last(0) => Some("the last 0 bytes are none".to_owned()),
        _ => None,
    }
}
