// SPDX-License-Identifier: Apache-2.0
//! Renames of 1,000 objects, 32 at a time, and the removal of 10,000, against the emulator at `s3-standard`: requests by
//! the server's record, and time on the wall. For OCI and S3.
//!
//! The objects come from a listing, whose metadata the renames are given, as a committer of jobs has it.
//! `-- --rounds N --model NAME` set the size.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use storescope::config::Secret;
use storescope::{Config, ListEntry, ListOptions, PutOptions, RenameOptions, Store};
use storescope_benches::client::store;
use storescope_benches::emulator::{self, Emulated};
use storescope_benches::measure::Median;
use storescope_benches::report;
use tokio::runtime::Builder;

const OBJECTS: usize = 10_000;
const RENAMED: usize = 1_000;
const AT_A_TIME: usize = 32;
const SIZE: usize = 1024;

/// What one round took, in seconds, and the requests it made.
struct Round {
    renames: (f64, BTreeMap<String, u64>),
    removals: (f64, BTreeMap<String, u64>),
}

fn main() {
    emulator::serve_if_asked();
    let rounds = report::argument("--rounds").unwrap_or(7);
    let model = report::argument("--model").unwrap_or_else(|| "s3-standard".to_owned());
    report::head(
        "moves",
        &format!(
            "{rounds} rounds at {model}: {RENAMED} renames, {AT_A_TIME} at a time, the source known from a listing; \
             {OBJECTS} removals by `delete_many`. The emulator in a process of its own, http."
        ),
        &["storescope", "storescope-emulator", "hyper", "tokio"],
    );
    let emulator = Emulated::start(&model, &["moves-oci", "moves-s3"]);
    println!("| API | what | requests by the server's record | wall, s |");
    println!("| --- | --- | --- | --- |");
    for (api, store) in [("OCI", oci(&emulator)), ("S3", s3(&emulator))] {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let ran: Vec<Round> =
            (0..rounds).map(|_| runtime.block_on(round(&emulator, &store))).collect();
        for (what, pick) in [
            (format!("rename of {RENAMED}"), (|round| &round.renames) as Pick),
            (format!("delete of {OBJECTS}"), |round| &round.removals),
        ] {
            let seconds = Median::of(ran.iter().map(|round| pick(round).0));
            println!("| {api} | {what} | {} | {seconds:.2} |", requests(&ran, pick));
        }
    }
    println!("\nMedians, with their 95 % intervals.");
}

type Pick = fn(&Round) -> &(f64, BTreeMap<String, u64>);

/// The requests of a round; those of each, where they differ.
fn requests(ran: &[Round], pick: Pick) -> String {
    let mut told: Vec<String> = ran
        .iter()
        .map(|round| {
            let kinds = pick(round).1.iter().map(|(kind, count)| format!("{count} {kind}"));
            kinds.collect::<Vec<_>>().join(" + ")
        })
        .collect();
    told.dedup();
    told.join("; ")
}

fn oci(emulator: &Emulated) -> Store {
    let ready = &emulator.ready().oci;
    let config = Config::default()
        .config_file(PathBuf::from(&ready.config_file))
        .endpoint(ready.endpoint.clone());
    store(config, &format!("oci://moves-oci@{}/", ready.namespace))
}

fn s3(emulator: &Emulated) -> Store {
    let ready = emulator.ready().s3.as_ref().expect("the emulator speaks S3");
    let config = Config::default()
        .endpoint(ready.endpoint.clone())
        .region(ready.region.clone())
        .access_key_id(ready.access_key_id.clone())
        .secret_access_key(Secret::from(ready.secret_access_key.clone()));
    store(config, "s3://moves-s3/")
}

/// Puts the objects, renames some, removes all.
async fn round(emulator: &Emulated, store: &Store) -> Round {
    let puts = stream::iter(0..OBJECTS).map(async |number| {
        let body = vec![number as u8; SIZE];
        store.put(&format!("job/_temporary/part-{number:05}"), body, PutOptions::new()).await
    });
    puts.buffer_unordered(64).map_ok(drop).try_collect::<()>().await.expect("objects are put");
    let listed: Vec<ListEntry> =
        store.list("job/", ListOptions::new()).try_collect().await.expect("objects are listed");
    let renames = listed.into_iter().take(RENAMED).map(|entry| {
        let ListEntry::Object(meta) = entry else { panic!("no delimiter was asked for") };
        let to = meta.key.replace("_temporary/", "");
        async move { store.rename(&meta.key.clone(), &to, RenameOptions::new().source(meta)).await }
    });
    emulator.clear_record();
    let begun = Instant::now();
    let renamed: Vec<_> =
        stream::iter(renames).buffer_unordered(AT_A_TIME).try_collect().await.expect("renamed");
    let renames = (begun.elapsed().as_secs_f64(), emulator.requests());
    assert_eq!(renamed.len(), RENAMED);

    let entries: Vec<ListEntry> =
        store.list("job/", ListOptions::new()).try_collect().await.expect("objects are listed");
    assert_eq!(entries.len(), OBJECTS);
    let keys = entries.into_iter().map(|entry| match entry {
        ListEntry::Object(meta) => meta.key,
        other => panic!("{other:?}: no delimiter was asked for"),
    });
    emulator.clear_record();
    let begun = Instant::now();
    let removed = store.delete_many(stream::iter(keys.collect::<Vec<_>>()).boxed());
    let removed: Vec<_> = removed.map(|(_, removed)| removed).try_collect().await.expect("removed");
    let removals = (begun.elapsed().as_secs_f64(), emulator.requests());
    assert_eq!(removed.len(), OBJECTS);
    Round { renames, removals }
}
