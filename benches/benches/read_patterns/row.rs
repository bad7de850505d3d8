// SPDX-License-Identifier: Apache-2.0
//! A row of the table: a pattern, and a client's way to read it.

use crate::pattern::{AT_A_TIME, Pattern, Task, key};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// The size of the object that is read once before it counts.
pub(crate) const WARM_UP: u64 = 64 << 10;

/// What a client must know of the server.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Base URL of the native API.
    pub(crate) oci: String,
    pub(crate) namespace: String,
    pub(crate) config_file: PathBuf,
    /// Base URL of S3's API.
    pub(crate) s3: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// A client, fresh, with nothing sent yet.
pub(crate) trait Client: Send + Sync + 'static {
    type Object: Object;
    fn open(&self, key: &str) -> impl Future<Output = Self::Object> + Send;
}

/// One object under reading, by what the client has for reads here and there.
pub(crate) trait Object: Send + Sync + 'static {
    /// The bytes of a range, in one piece. Panics on any failure: a bench has none.
    fn read(&self, range: Range<u64>) -> impl Future<Output = Bytes> + Send;
}

pub(crate) struct Row {
    pub(crate) pattern: Pattern,
    pub(crate) client: &'static str,
    /// By what calls and settings.
    pub(crate) how: &'static str,
    pub(crate) open: Box<Open>,
}

type Open = dyn Fn(&Place, Arc<Task>) -> Opened;

/// What is done before, and what is measured. Polled on a runtime that was entered when it was opened.
pub(crate) struct Opened {
    pub(crate) warm_up: BoxFuture<'static, ()>,
    pub(crate) read: BoxFuture<'static, ()>,
}

pub(crate) fn row<C: Client, F: Future<Output = ()> + Send + 'static>(
    pattern: Pattern,
    client: &'static str,
    how: &'static str,
    connect: fn(&Place) -> C,
    read: fn(Arc<C>, Arc<Task>) -> F,
) -> Row {
    let open = move |place: &Place, task: Arc<Task>| {
        let client = Arc::new(connect(place));
        Opened { warm_up: warm_up(client.clone()).boxed(), read: read(client, task).boxed() }
    };
    Row { pattern, client, how, open: Box::new(open) }
}

/// One small read of another object: credentials, key and connection are there after it.
async fn warm_up<C: Client>(client: Arc<C>) {
    let bytes = client.open(&key(WARM_UP)).await.read(0..WARM_UP).await;
    assert_eq!(bytes.len() as u64, WARM_UP);
}

/// One range after the other.
pub(crate) async fn one_by_one<C: Client>(client: Arc<C>, task: Arc<Task>) {
    let object = client.open(&task.key).await;
    for range in task.ranges() {
        task.took_range(&range, &object.read(range.clone()).await);
    }
}

/// As many at a time as the pattern says.
pub(crate) async fn by_eight<C: Client>(client: Arc<C>, task: Arc<Task>) {
    at_a_time(&client.open(&task.key).await, &task, &task.ranges(), AT_A_TIME).await;
}

/// Ranges of an object, so many at a time, in whatever order they come.
pub(crate) async fn at_a_time(
    object: &impl Object,
    task: &Task,
    ranges: &[Range<u64>],
    count: usize,
) {
    let reads = ranges.iter().cloned().map(|range| async move {
        let bytes = object.read(range.clone()).await;
        (range, bytes)
    });
    // A list of futures, for a closure over references is not `Send` for every lifetime.
    let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(count);
    while let Some((range, bytes)) = reads.next().await {
        task.took_range(&range, &bytes);
    }
}

/// What readers of parquet read of a file's end before they know how long its footer is.
pub(crate) const TAIL: u64 = 64 << 10;

/// The footer, by one read of the file's end.
pub(crate) async fn footer(object: &impl Object, task: &Task) {
    let start = task.size - TAIL;
    let end = object.read(start..task.size).await;
    for range in &task.steps[0] {
        let (first, past) = ((range.start - start) as usize, (range.end - start) as usize);
        task.took_range(range, &end[first..past]);
    }
}

/// The parts of an object that is read from one end to the other.
pub(crate) fn parts(size: u64, part: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size).step_by(part as usize).map(move |at| at..(at + part).min(size))
}
