// SPDX-License-Identifier: Apache-2.0
//! The operations: how each is prepared, done and examined, and which requests are its own.

use crate::common::pattern;
use crate::common::scripted::Api;
use futures_util::{StreamExt, TryStreamExt};
use storescope::{
    CopyOptions, DeleteOptions, Error, ErrorKind, GetOptions, ListEntry, ListOptions, ObjectMeta,
    PutOptions, ReadOptions, RenameOptions, Result, Store, Upload, UploadedPart,
};
use storescope_emulator::{Action, Fault};

/// The object of every cell, and the name that copies and renames give it.
const KEY: &str = "k";
const TO: &str = "to";
/// What a listing tells, two names a page, and a batch removes.
const NAMES: [&str; 4] = ["l1", "l2", "l3", "l4"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Get,
    ReadRanges,
    Stream,
    Head,
    List,
    Put,
    Write,
    Part,
    Commit,
    Abort,
    Delete,
    DeleteMany,
    Rename,
    Copy,
}

/// Each with its name, and what it does.
pub(super) const OPS: [(Op, &str, &str); 14] = [
    (Op::Get, "get", "`Store::get` of the whole object"),
    (Op::ReadRanges, "read_ranges", "`Reader::read_ranges` of two near ranges: one request"),
    (Op::Stream, "stream", "`Reader::stream` of a range"),
    (Op::Head, "head", "`Store::head`"),
    (Op::List, "list page 2", "`Store::list`: the fault meets the second page"),
    (Op::Put, "put", "`Store::put` over an object"),
    (Op::Write, "write", "`Store::writer`, two parts: the fault meets the parts"),
    (Op::Part, "part", "`Store::put_part`"),
    (Op::Commit, "commit", "`Store::complete_upload`"),
    (Op::Abort, "abort", "`Store::abort_upload`"),
    (Op::Delete, "delete", "`Store::delete`"),
    (Op::DeleteMany, "batch delete", "`Store::delete_many` of four objects"),
    (Op::Rename, "rename", "`Store::rename`: on S3 the fault meets the copy"),
    (Op::Copy, "copy", "`Store::copy` in the bucket"),
];

/// What is there before an operation.
pub(super) struct Prepared {
    api: Api,
    meta: ObjectMeta,
    upload: Option<Upload>,
    parts: Vec<UploadedPart>,
}

/// How an operation ended.
pub(super) enum Ended {
    /// A success whose answer is right; the part that it wrote.
    Right(Option<UploadedPart>),
    /// A success, and wrong.
    Wrong(String),
    Failed(Error),
}

fn old() -> Vec<u8> {
    pattern(4_000)
}

fn new() -> Vec<u8> {
    let mut bytes = pattern(5_000);
    bytes.reverse();
    bytes
}

/// One part and some bytes: the smallest part of S3 has 5 MiB.
fn long(api: Api) -> Vec<u8> {
    let mut bytes = pattern(if api == Api::S3 { (5 << 20) + 1_000 } else { 65_000 });
    bytes.reverse();
    bytes
}

/// The bytes of a part of a writer; S3 takes the smallest that it allows.
pub(super) const PART_SIZE: u64 = 64_000;

impl Op {
    /// A fault that meets the requests of this operation on a bucket, and no others.
    pub(super) fn aim(self, api: Api, bucket: &str, action: Action) -> Fault {
        let oci = api == Api::Oci;
        let prefix = if oci { format!("/n/emulator/b/{bucket}/") } else { format!("/{bucket}") };
        let fault = Fault::new(action).prefix(&prefix);
        let object = if oci { "/o/k" } else { "/k" };
        match self {
            Op::Get | Op::ReadRanges | Op::Stream => fault.method("GET").contains(object),
            // A HEAD whose refusal is not plain is explained by a GET.
            Op::Head => fault.contains(object),
            Op::List => {
                fault.method("GET").contains(if oci { "start=" } else { "continuation-token=" })
            }
            Op::Put => fault.method("PUT").contains(object),
            Op::Write | Op::Part => {
                fault.method("PUT").contains(if oci { "uploadPartNum=" } else { "partNumber=" })
            }
            Op::Commit => fault.method("POST").contains("uploadId="),
            Op::Abort => fault.method("DELETE").contains("uploadId="),
            Op::Delete => fault.method("DELETE").contains(object),
            Op::DeleteMany => {
                fault.method("POST").contains(if oci { "batchDeleteObjects" } else { "delete" })
            }
            Op::Rename if oci => fault.method("POST").contains("renameObject"),
            Op::Copy if oci => fault.method("POST").contains("copyObject"),
            Op::Rename | Op::Copy => fault.method("PUT").contains("/to"),
        }
    }

    /// Makes what the operation is about.
    pub(super) async fn prepare(self, api: Api, store: &Store) -> Result<Prepared> {
        store.put(KEY, old(), PutOptions::new()).await?;
        let meta = store.head(KEY).await?;
        let mut prepared = Prepared { api, meta, upload: None, parts: Vec::new() };
        if matches!(self, Op::List | Op::DeleteMany) {
            for name in NAMES {
                store.put(name, name.as_bytes(), PutOptions::new()).await?;
            }
        }
        if matches!(self, Op::Part | Op::Commit | Op::Abort) {
            let upload = store.begin_upload(KEY, PutOptions::new()).await?;
            if self == Op::Commit {
                prepared.parts.push(store.put_part(&upload, 1, new()).await?);
            }
            prepared.upload = Some(upload);
        }
        Ok(prepared)
    }

    pub(super) async fn perform(self, store: &Store, prepared: &Prepared) -> Ended {
        match self.done(store, prepared).await {
            Ok(Done::Plain | Done::Told { right: true, .. }) => Ended::Right(None),
            Ok(Done::Part(part)) => Ended::Right(Some(part)),
            Ok(Done::Told { what, .. }) => Ended::Wrong(what),
            Err(error) => Ended::Failed(error),
        }
    }

    async fn done(self, store: &Store, prepared: &Prepared) -> Result<Done> {
        let Prepared { api, meta, upload, parts } = prepared;
        let upload = || upload.as_ref().expect("prepared");
        let reader = || store.reader(KEY, ReadOptions::new().meta(meta));
        match self {
            Op::Get => {
                let bytes = store.get(KEY, GetOptions::new()).await?.bytes().await?;
                Ok(Done::bytes(&bytes, &old()))
            }
            Op::ReadRanges => {
                let ranges = [10..1_000, 1_500..2_500];
                let read = reader().read_ranges(&ranges).all().await?;
                Ok(Done::bytes(&read.concat(), &[&old()[10..1_000], &old()[1_500..2_500]].concat()))
            }
            Op::Stream => {
                let reader = reader();
                let (mut stream, mut bytes) = (reader.stream(100..3_900), Vec::new());
                while let Some(piece) = stream.next().await {
                    bytes.extend_from_slice(&piece?);
                }
                Ok(Done::bytes(&bytes, &old()[100..3_900]))
            }
            Op::Head => {
                let size = store.head(KEY).await?.size;
                Ok(Done::Told { right: size == meta.size, what: format!("{size} bytes") })
            }
            Op::List => listed(store).await,
            Op::Put => store.put(KEY, new(), PutOptions::new()).await.map(|_| Done::Plain),
            Op::Write => {
                let mut writer = store.writer(KEY, PutOptions::new());
                writer.write(long(*api)).await?;
                writer.finish().await.map(|_| Done::Plain)
            }
            Op::Part => store.put_part(upload(), 1, new()).await.map(Done::Part),
            Op::Commit => store.complete_upload(upload(), parts.clone()).await.map(|_| Done::Plain),
            Op::Abort => store.abort_upload(upload()).await.map(|()| Done::Plain),
            Op::Delete => store.delete(KEY, DeleteOptions::new()).await.map(|()| Done::Plain),
            Op::DeleteMany => {
                let keys = futures_util::stream::iter(NAMES.map(str::to_owned)).boxed();
                let results: Vec<_> = store.delete_many(keys).collect().await;
                results.into_iter().try_for_each(|(_, result)| result).map(|()| Done::Plain)
            }
            Op::Rename => {
                let known = RenameOptions::new().source(meta.clone());
                store.rename(KEY, TO, known).await.map(|_| Done::Plain)
            }
            Op::Copy => {
                let known = CopyOptions::new().source(meta.clone());
                store.copy(KEY, (store, TO), known).await.map(|_| Done::Plain)
            }
        }
    }

    /// Looks at what stands in the bucket by a client of its own, removes it, and says what should not be so. A part whose
    /// ETag was told wrong cannot be used.
    pub(super) async fn examine(
        self,
        store: &Store,
        prepared: &Prepared,
        ended: &Ended,
        etag_is_wrong: bool,
    ) -> Result<Vec<String>> {
        let done = matches!(ended, Ended::Right(_));
        let mut wrong = self.misplaced(store, prepared, done).await?;
        if let (Ended::Right(Some(part)), Some(upload)) = (ended, &prepared.upload) {
            match store.complete_upload(upload, vec![part.clone()]).await {
                Err(error) if etag_is_wrong && error.kind() == ErrorKind::Rejected => {}
                made => {
                    made?;
                    if found(store, KEY).await?.as_deref() != Some(&*new()) {
                        wrong.push("the part holds something else".to_owned());
                    }
                }
            }
        }
        // Its owner sweeps an upload that is not known to have ended.
        if let Some(upload) = prepared.upload.as_ref().filter(|_| !(done && self == Op::Abort)) {
            gone(store.abort_upload(upload).await)?;
        }
        let uploads: Vec<_> = store.uploads("").try_collect().await?;
        if !uploads.is_empty() {
            wrong.push(format!("uploads are left: {uploads:?}"));
        }
        for key in [KEY, TO] {
            gone(store.delete(key, DeleteOptions::new()).await)?;
        }
        Ok(wrong)
    }

    /// What is wrong with the objects after an operation that is done, or failed.
    async fn misplaced(
        self,
        store: &Store,
        prepared: &Prepared,
        done: bool,
    ) -> Result<Vec<String>> {
        let (at, to) = (found(store, KEY).await?, found(store, TO).await?);
        let is = |object: &Option<Vec<u8>>, bytes: &[u8]| object.as_deref() == Some(bytes);
        let (old, new, long) = (old(), new(), long(prepared.api));
        let kept = !done && is(&at, &old);
        let mut facts = match self {
            Op::Put | Op::Commit => vec![(kept || is(&at, &new), "it is neither old nor new")],
            Op::Write => vec![(kept || is(&at, &long), "it is neither old nor new")],
            Op::Delete => vec![(kept || at.is_none(), "it is not as it was")],
            Op::Rename => vec![
                (is(&at, &old) || is(&to, &old), "it is lost"),
                (!done || (at.is_none() && is(&to, &old)), "it was not renamed"),
                (to.is_none() || is(&to, &old), "its new name holds something else"),
            ],
            Op::Copy => vec![
                (is(&at, &old), "the source is not as it was"),
                (is(&to, &old) || (!done && to.is_none()), "it was not copied"),
            ],
            _ => vec![(is(&at, &old), "it is not as it was")],
        };
        if self == Op::DeleteMany {
            for name in NAMES {
                let left = found(store, name).await?;
                let kept = !done && is(&left, name.as_bytes());
                facts.push((kept || left.is_none(), "one of many is not as it was"));
            }
        }
        let wrong = facts.into_iter().filter(|(right, _)| !right);
        Ok(wrong.map(|(_, what)| format!("the object: {what}")).collect())
    }
}

/// A removal, or that there is nothing to remove.
fn gone(removed: Result<()>) -> Result<()> {
    match removed {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

enum Done {
    Plain,
    Part(UploadedPart),
    Told { right: bool, what: String },
}

impl Done {
    fn bytes(read: &[u8], right: &[u8]) -> Done {
        Done::Told { right: read == right, what: format!("{} wrong bytes", read.len()) }
    }
}

async fn listed(store: &Store) -> Result<Done> {
    let pages = store.list("l", ListOptions::new().page_size(2));
    let entries: Vec<ListEntry> = pages.try_collect().await?;
    let names: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            ListEntry::Object(meta) => &*meta.key,
            _ => "",
        })
        .collect();
    Ok(Done::Told { right: names == NAMES, what: format!("{names:?}") })
}

/// The bytes of an object, if it is there.
async fn found(store: &Store, key: &str) -> Result<Option<Vec<u8>>> {
    let read = async { store.get(key, GetOptions::new()).await?.bytes().await };
    match read.await {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
