// SPDX-License-Identifier: Apache-2.0
//! Between two rounds: no fault is at work, no operation is under way, and all that was done is compared with what must be
//! there. No request may fail now.

use super::shared::{Shared, Side, Trouble};
use super::worker::Worker;
use crate::exit::Exit;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use storescope::{ListEntry, ListOptions, Upload};
use tokio::time::{Instant, sleep};

/// What runs in the background (reads ahead, aborts of uploads) ends within this.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// Compares everything.
pub(super) async fn check(shared: &Shared, workers: &mut [Worker]) {
    rest(shared).await;
    for worker in workers.iter_mut() {
        read_all(shared, worker).await;
    }
    for side in 0..shared.sides.len() {
        names(shared, workers, side).await;
    }
    let mut names = BTreeSet::new();
    for worker in workers {
        names.extend(worker.may_leave_uploads());
    }
    for (number, side) in shared.sides.iter().enumerate() {
        let may_be_left = |upload: &Upload| names.contains(&(number, upload.key.clone()));
        sweep(shared, side, may_be_left).await;
    }
    rest(shared).await;
}

/// Waits until nothing is under way. What still is then has been leaked.
pub(super) async fn rest(shared: &Shared) {
    let metrics = shared.client.metrics();
    let held =
        || (metrics.calls_in_flight(), metrics.attempts_in_flight(), metrics.read_bytes_held());
    let begun = Instant::now();
    while held() != (0, 0, 0) {
        if begun.elapsed() > PATIENCE {
            let (calls, attempts, bytes) = held();
            return shared.tally.wrong(format!(
                "at rest: {calls} calls and {attempts} attempts are under way, {bytes} bytes are held by readers"
            ));
        }
        sleep(LOOK).await;
    }
}

/// Reads every name of a worker, also those whose state was not known.
async fn read_all(shared: &Shared, worker: &mut Worker) {
    for slot in 0..worker.slots.len() {
        shared.tally.states.fetch_add(1, Relaxed);
        match worker.settle(slot).await {
            Ok(_) => {}
            Err(Trouble::Wrong(why)) => {
                shared.tally.wrong(format!("at rest: {}: {why}", worker.about));
            }
            Err(Trouble::GaveUp(error)) => {
                shared.tally.wrong(format!("at rest, without a fault: {error}"));
            }
        }
    }
}

/// Compares the listing of a whole bucket with what must be in it.
async fn names(shared: &Shared, workers: &[Worker], side: usize) {
    let Side { name, store, .. } = &shared.sides[side];
    let listed: storescope::Result<Vec<ListEntry>> =
        store.list("", ListOptions::new()).try_collect().await;
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return shared.tally.wrong(format!("at rest, without a fault: {error}")),
    };
    let mut found = BTreeMap::new();
    for entry in listed {
        if let ListEntry::Object(meta) = entry {
            found.insert(meta.key, meta.size);
        }
    }
    for common in shared.common.iter().filter(|common| common.side == side) {
        let size = found.remove(&common.key);
        if size != Some(common.body.size) {
            shared.tally.wrong(format!("at rest: {name}:{} is listed as {size:?}", common.key));
        }
    }
    for slot in workers.iter().flat_map(|worker| &worker.slots).filter(|slot| slot.side == side) {
        let size = found.remove(&slot.key);
        if !slot.belief.allows(size) {
            let (key, belief) = (&slot.key, &slot.belief);
            let what = format!("at rest: {name}:{key} is listed as {size:?}: it is {belief}");
            shared.tally.wrong(what);
        }
    }
    for key in found.into_keys() {
        shared.tally.wrong(format!("at rest: {name}:{key} is listed, which nobody made"));
    }
}

/// Finds uploads that were left. A write that failed may leave one, and a begin whose answer was lost; nothing else may. All are
/// aborted.
async fn sweep(shared: &Shared, side: &Side, may_be_left: impl Fn(&Upload) -> bool) {
    let left = match uploads(side).await {
        Ok(left) => left,
        Err(error) => return shared.tally.wrong(format!("at rest, without a fault: {error}")),
    };
    for upload in left {
        shared.tally.left.fetch_add(1, Relaxed);
        if !may_be_left(&upload) {
            let (name, key) = (side.name, &upload.key);
            let what = "an upload is left, and no write may have left it";
            shared.tally.wrong(format!("at rest: {name}:{key}: {what}"));
        }
        if let Err(error) = side.store.abort_upload(&upload).await {
            shared.tally.wrong(format!("at rest, without a fault: {error}"));
        }
    }
    match uploads(side).await {
        Ok(left) if left.is_empty() => {}
        Ok(left) => shared.tally.wrong(format!("at rest: uploads after their abort: {left:?}")),
        Err(error) => shared.tally.wrong(format!("at rest, without a fault: {error}")),
    }
}

async fn uploads(side: &Side) -> storescope::Result<Vec<Upload>> {
    side.store.uploads("").try_collect().await
}

/// Removes all objects of a bucket, and the bucket itself, which must be empty then.
pub(super) async fn remove(shared: &Shared, side: &Side) -> Result<(), Exit> {
    let entries: Vec<ListEntry> = side.store.list("", ListOptions::new()).try_collect().await?;
    let keys: Vec<String> = entries
        .into_iter()
        .filter_map(|entry| match entry {
            ListEntry::Object(meta) => Some(meta.key),
            _ => None,
        })
        .collect();
    let mut removed = side.store.delete_many(stream::iter(keys).boxed());
    while let Some((_, result)) = removed.next().await {
        result?;
    }
    let options = side.options.clone();
    Ok(shared.client.delete_bucket(side.store.url(), options).await?)
}
