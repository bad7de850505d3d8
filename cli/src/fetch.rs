// SPDX-License-Identifier: Apache-2.0
//! A whole object on its way here: a small one by one request, a larger one by parts, several at a time; checked at its
//! end against what the store tells of it.

use bytes::Bytes;
use storescope::{
    ByteStream, ErrorKind, GetOptions, ObjectBody, ObjectMeta, ReadOptions, ReadPolicy, Reader,
    Result, Scheme, Store,
};

/// Objects up to here are one request.
const SMALL: u64 = 4 << 20;

/// The bytes of an object, in order.
#[derive(Debug)]
pub(crate) enum Fetch {
    /// All of it is one answer.
    Answer(Box<ObjectMeta>, ObjectBody),
    /// By parts.
    Parts(Reader, ByteStream),
}

impl Fetch {
    /// Begins. `size` is what a listing told, if there was one.
    pub(crate) async fn begin(store: &Store, key: &str, size: Option<u64>) -> Result<Fetch> {
        let mut options = ReadOptions::new().policy(ReadPolicy::Sequential);
        match size {
            Some(0..=SMALL) => return Fetch::whole(store, key).await,
            // The first part tells what there is to know.
            None if store.url().scheme() != Scheme::S3 => {}
            // S3 tells a checksum with no part.
            _ => match store.head(key).await {
                Ok(meta) => options = options.meta(&meta),
                // Who may not look may read: one answer holds all of it, and its checksum.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Fetch::whole(store, key).await;
                }
                Err(error) => return Err(error),
            },
        }
        let reader = store.reader(key, options);
        let stream = reader.stream(..);
        Ok(Fetch::Parts(reader, stream))
    }

    async fn whole(store: &Store, key: &str) -> Result<Fetch> {
        let got = store.get(key, GetOptions::new()).await?;
        Ok(Fetch::Answer(got.meta().clone().into(), got.into_stream()))
    }

    /// The next bytes; `None` at the end, when they were checked.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes>> {
        match self {
            Fetch::Answer(_, body) => body.next().await,
            Fetch::Parts(_, stream) => stream.next().await,
        }
    }

    /// What the object is.
    pub(crate) async fn meta(&self) -> Result<&ObjectMeta> {
        match self {
            Fetch::Answer(meta, _) => Ok(meta),
            Fetch::Parts(reader, _) => reader.meta().await,
        }
    }
}
