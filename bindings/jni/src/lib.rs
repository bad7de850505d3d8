// SPDX-License-Identifier: Apache-2.0
//! The native half of the jar: what `io.github.storescope.hadoop.Native` declares.
//!
//! ```text
//!  Java's thread ─▶ a native method here ─▶ the core's call, polled on that thread until it ends ─▶ answer or exception
//!                └▶ readRanges: a task on the runtime ─▶ completions ─▶ Java's thread `storescope-completions`
//! ```
//!
//! It promises: a handle that is closed, or is none, is an exception ([`opened`]); a panic is one, too ([`throw`]); an
//! interrupted thread comes back ([`runtime`]); nothing is allocated on Java's heap for a read; the runtime's threads are
//! unknown to the JVM, which ends as if they were not there.

mod arguments;
mod clients;
mod completions;
mod credentials;
mod gathered;
mod handles;
mod java;
mod listing;
mod log;
mod natives;
mod opened;
mod raised;
mod reader;
mod reader_cache;
mod runtime;
mod scopes;
mod settings;
mod statistics;
mod store;
mod throw;
mod writer;

use crate::credentials::{Provider, Thrown};
use crate::gathered::{Gathered, Key, Sums, Told};
use crate::listing::OpenListing;
use crate::natives::natives;
use crate::opened::Opened;
use crate::raised::{Raised, Result};
use crate::reader::OpenReader;
use crate::reader_cache::ReaderCache;
use crate::runtime::{wait, wait_for};
use crate::scopes::{ForeignCall, OpenScope};
use crate::store::{OpenStore, RenamedTree};
use crate::writer::OpenWriter;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use jni::objects::{
    JByteArray, JByteBuffer, JIntArray, JLongArray, JObject, JObjectArray, JString, JThrowable,
};
use jni::sys::{JNI_VERSION_1_8, JavaVM, jboolean, jint, jlong};
use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use storescope::{Client, PutMode, PutOptions, ReadPolicy, Upload};
use storescope_bindings::credentials::Told as Credential;
use storescope_bindings::handover;
use storescope_instrument::report;

/// How long the end of the JVM waits for the metrics, and for each trace.
const FLUSH_GRACE: Duration = Duration::from_secs(5);

/// Called when the library is loaded: looks up the classes that are used later, and begins to keep log records for Java. An
/// exception that this leaves is thrown by the load.
#[allow(unsafe_code)]
// SAFETY: the one symbol of this name, with the signature that JNI gives it.
#[unsafe(no_mangle)]
extern "system" fn JNI_OnLoad(vm: *mut JavaVM, _: *mut c_void) -> jint {
    let vm = {
        // SAFETY: the JVM hands over its own.
        unsafe { jni::JavaVM::from_raw(vm) }
    };
    let looked = vm.attach_current_thread(java::look_up);
    log::install();
    if looked.is_ok() { JNI_VERSION_1_8 } else { jni::sys::JNI_ERR }
}

natives! {
    "version" fn version(env) -> JString<'a> {
        Ok(JString::new(env, env!("CARGO_PKG_VERSION"))?)
    }

    "writeProfile" fn write_profile(env, path: JString<'a>) -> () {
        let path = java::string(env, &path)?;
        let whole = clients::snapshot();
        std::fs::write(&path, whole.to_hlog()).map_err(|e| Raised::Told(format!("the profile {path} cannot be written: {e}")))
    }

    "processStatistics" fn process_statistics(env) -> JString<'a> {
        Ok(JString::new(env, statistics::lines(&clients::snapshot()))?)
    }

    "processBuckets" fn process_buckets(env, level: JString<'a>, operation: JString<'a>, phase: JString<'a>) -> JLongArray<'a> {
        let (level, operation, phase) = (java::string(env, &level)?, java::string(env, &operation)?, java::string(env, &phase)?);
        java::longs(env, &statistics::buckets(&clients::snapshot(), &level, &operation, &phase))
    }

    "flush" fn flush(_env) -> () {
        // All at a time: a receiver that does not answer costs its grace once.
        let clients = clients::all();
        let pushed = join_all(clients.iter().map(|client| client.flush_metrics(FLUSH_GRACE)));
        runtime::handle().block_on(pushed);
        Client::flush_traces(FLUSH_GRACE);
        Ok(())
    }

    "takeLog" fn take_log(env, debug: jboolean) -> JObjectArray<'a, JString<'a>> {
        java::string_array(env, &log::take(debug))
    }

    "trust" fn trust(env, certificates: JObjectArray<'a, JByteArray<'a>>) -> jlong {
        Ok(clients::trust(java::byte_arrays(env, &certificates)?) as jlong)
    }

    "settings" fn settings_table(env) -> JObjectArray<'a, JString<'a>> {
        java::string_array(env, &settings::table())
    }

    "configFiles" fn config_files(env) -> JObjectArray<'a, JString<'a>> {
        java::string_array(env, &settings::config_files())
    }

    "openStore" fn open_store(env, url: JString<'a>, settings: JObjectArray<'a, JString<'a>>, scope: JString<'a>, credentials: jlong) -> jlong {
        let given = match credentials {
            0 => None,
            desk => Some((desk, Provider(opened::desk(desk)?))),
        };
        let settings = java::strings(env, &settings)?;
        let pairs = settings.chunks(2).filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())));
        let store = OpenStore::open(&java::string(env, &url)?, pairs.collect(), &java::string(env, &scope)?, given)?;
        Ok(opened::add(Opened::Store(Arc::new(store))))
    }

    "closeStore" fn close_store(_env, store: jlong) -> () {
        opened::remove(store);
        Ok(())
    }

    "openCredentials" fn open_credentials(_env) -> jlong {
        Ok(opened::add(Opened::Credentials(Arc::default())))
    }

    "awaitCredentials" fn await_credentials(_env, desk: jlong) -> jboolean {
        Ok(opened::desk(desk).is_ok_and(|desk| desk.await_question()))
    }

    "giveCredential" fn give_credential(env, desk: jlong, kind: JString<'a>, id: JString<'a>, secret: JString<'a>, more: JString<'a>, ends: jlong, on_behalf_of: JString<'a>) -> () {
        let given = Credential {
            kind: java::string(env, &kind)?,
            id: java::string(env, &id)?,
            secret: java::string(env, &secret)?,
            more: java::optional(env, &more)?,
            ends: u64::try_from(ends).ok().map(Duration::from_millis),
            on_behalf_of: java::optional(env, &on_behalf_of)?,
        };
        opened::desk(desk)?.answer(Ok(given));
        Ok(())
    }

    "failCredential" fn fail_credential(env, desk: jlong, number: jlong, text: JString<'a>) -> () {
        let text = java::string(env, &text)?;
        opened::desk(desk)?.answer(Err(Thrown { number, text }));
        Ok(())
    }

    "closeCredentials" fn close_credentials(_env, desk: jlong) -> () {
        if let Some(Opened::Credentials(desk)) = opened::remove(desk) {
            desk.close();
        }
        Ok(())
    }

    "openScope" fn open_scope(env, name: JString<'a>) -> jlong {
        let scope = OpenScope::new(java::string(env, &name)?);
        Ok(opened::add(Opened::Scope(Arc::new(scope))))
    }

    "closeScope" fn close_scope(_env, scope: jlong) -> () {
        opened::remove(scope);
        Ok(())
    }

    "storeWithin" fn store_within(_env, store: jlong, scope: jlong) -> jlong {
        let (scope, store) = (opened::scope(scope)?, opened::store(store)?);
        let within = scope.within(&store);
        Ok(opened::add(Opened::Store(Arc::new(within))))
    }

    "recordCall" fn record_call(_env, scope: jlong, operation: jint, outcome: jint, nanos: jlong, bytes: jlong) -> () {
        let call = ForeignCall::new(operation, outcome, nanos, bytes)
            .ok_or_else(|| Raised::Told(format!("no call of another client: {operation}, {outcome}")))?;
        // A stream may outlive its scope.
        if let Ok(scope) = opened::scope(scope) {
            scope.record_call(&call);
        }
        Ok(())
    }

    "takeScope" fn take_scope(env, scope: jlong) -> JByteArray<'a> {
        let new = opened::scope(scope)?.take();
        let text = if new.is_empty() { String::new() } else { new.to_hlog() };
        Ok(env.byte_array_from_slice(text.as_bytes())?)
    }

    "takeWorkers" fn take_workers(env, folder: JString<'a>) -> JObjectArray<'a, JString<'a>> {
        let handed = handover::take(Path::new(&java::string(env, &folder)?));
        let texts = handed.iter().flat_map(|of| {
            [of.task.to_string(), of.waited.as_nanos().to_string(), of.recorded.to_hlog()].map(Some)
        });
        java::string_array(env, &texts.collect::<Vec<_>>())
    }

    "openGathered" fn open_gathered(_env) -> jlong {
        Ok(opened::add(Opened::Gathered(Arc::new(Gathered::default()))))
    }

    "closeGathered" fn close_gathered(_env, gathered: jlong) -> () {
        opened::remove(gathered);
        Ok(())
    }

    "gather" fn gather(env, gathered: jlong, stage: jint, attempt: jint, executor: JString<'a>, sums: JLongArray<'a>, hlog: JByteArray<'a>) -> () {
        let [tasks, run, waited] = arguments::longs(env, &sums)?;
        let sums = Sums { tasks, run: Duration::from_nanos(run), waited: Duration::from_nanos(waited) };
        let length = hlog.len(env)? as i32;
        let hlog = String::from_utf8_lossy(&java::bytes(env, &hlog, 0, length)?).into_owned();
        opened::gathered(gathered)?.add(Key { stage, attempt }, &java::string(env, &executor)?, sums, &hlog)
    }

    "tellStage" fn tell_stage(env, gathered: jlong, stage: jint, attempt: jint, about: JString<'a>, numbers: JLongArray<'a>) -> () {
        let [job, wall, succeeded, failed, killed, speculative] = arguments::longs(env, &numbers)?;
        let about = java::string(env, &about)?;
        // From 1 on; 0 is none.
        let job = job.checked_sub(1).and_then(|job| u32::try_from(job).ok());
        let told = Told { about, job, wall: Duration::from_millis(wall), succeeded, failed, killed, speculative };
        opened::gathered(gathered)?.tell(Key { stage, attempt }, told);
        Ok(())
    }

    "report" fn gathered_report(env, gathered: jlong, url: JString<'a>, title: JString<'a>, started: jlong, notes: JObjectArray<'a, JString<'a>>) -> JObjectArray<'a, JString<'a>> {
        let started = UNIX_EPOCH + Duration::from_millis(started.max(0).unsigned_abs());
        let run = opened::gathered(gathered)?.run(&java::string(env, &url)?, started, java::strings(env, &notes)?);
        let page = report::page(std::slice::from_ref(&run), Some(&java::string(env, &title)?));
        java::string_array(env, &[Some(page), Some(run.to_json_text()), Some(run.to_hlog())])
    }

    "stageLines" fn stage_lines(env, gathered: jlong) -> JObjectArray<'a, JString<'a>> {
        let run = opened::gathered(gathered)?.run("", UNIX_EPOCH, Vec::new());
        let lines: Vec<_> = run.cells.iter().map(|cell| Some(cell.stage_line())).collect();
        java::string_array(env, &lines)
    }

    "stores" fn stores(_env) -> jint {
        Ok(opened::stores() as jint)
    }

    "handles" fn handles(_env) -> jint {
        Ok(opened::handles() as jint)
    }

    "renamesAtomically" fn renames_atomically(_env, store: jlong) -> jboolean {
        Ok(opened::store(store)?.store.renames_atomically())
    }

    "statistics" fn statistics(env, handle: jlong) -> JString<'a> {
        let scope = match opened::get(handle) {
            Some(Opened::Store(store)) => store.scope.clone(),
            Some(Opened::Reader(reader)) => reader.scope.clone(),
            Some(Opened::Writer(writer)) => writer.scope.clone(),
            _ => return Err(Raised::Closed("what was recorded of")),
        };
        Ok(JString::new(env, statistics::lines(&scope.snapshot()))?)
    }

    "head" fn head(env, store: jlong, key: JString<'a>) -> JObject<'a> {
        let (store, key) = (opened::store(store)?, java::string(env, &key)?);
        let meta = wait(env, store.head(&key))?;
        java::entry_or_null(env, meta)
    }

    "headWithTail" fn head_with_tail(env, store: jlong, key: JString<'a>, tail: jint) -> JObject<'a> {
        let (store, key) = (opened::store(store)?, java::string(env, &key)?);
        let tail = u64::from(tail.max(1).unsigned_abs());
        let meta = wait(env, ReaderCache::of_process().status(&store, &key, tail))?;
        java::entry_or_null(env, meta)
    }

    "first" fn first(env, store: jlong, prefix: JString<'a>, most: jint) -> JObject<'a> {
        let (store, prefix) = (opened::store(store)?, java::string(env, &prefix)?);
        let found = wait(env, store.first(&prefix, most.max(1).unsigned_abs()))?;
        java::entries(env, &found)
    }

    "openListing" fn open_listing(env, store: jlong, prefix: JString<'a>, start_after: JString<'a>, flat: jboolean, page_size: jint) -> jlong {
        let (store, prefix) = (opened::store(store)?, java::string(env, &prefix)?);
        let start_after = java::optional(env, &start_after)?;
        let listing = OpenListing::open(&store, &prefix, start_after, flat, page_size.max(0).unsigned_abs());
        Ok(opened::add(Opened::Listing(Arc::new(listing))))
    }

    "nextPage" fn next_page(env, listing: jlong) -> JObject<'a> {
        let listing = opened::listing(listing)?;
        match wait(env, listing.next())? {
            Some(page) => {
                ReaderCache::of_process().listed(&listing.store, &page);
                java::entries(env, &page)
            }
            None => Ok(JObject::null()),
        }
    }

    "closeListing" fn close_listing(_env, listing: jlong) -> () {
        opened::remove(listing);
        Ok(())
    }

    "put" fn put(env, store: jlong, key: JString<'a>, bytes: JByteArray<'a>, mode: jint) -> JObject<'a> {
        let (store, key) = (opened::store(store)?, java::string(env, &key)?);
        let length = bytes.len(env)? as i32;
        let body = Bytes::from(java::bytes(env, &bytes, 0, length)?);
        let options = writer::options(mode == MODE_CREATE, None, &[])?;
        let meta = wait(env, store.store.put(&key, body, options))?;
        java::entry(env, meta)
    }

    "delete" fn delete(env, store: jlong, key: JString<'a>) -> jboolean {
        let (store, key) = (opened::store(store)?, java::string(env, &key)?);
        wait(env, store.delete(&key))
    }

    "deleteMany" fn delete_many(env, store: jlong, keys: JObjectArray<'a, JString<'a>>, batched: jboolean) -> JObjectArray<'a, JString<'a>> {
        let (store, keys) = (opened::store(store)?, java::strings(env, &keys)?);
        let failed = wait_for(env, store.delete_many(keys, batched))?;
        let told: Vec<_> = failed.into_iter().map(|error| error.map(|error| Raised::Store(error).told().2)).collect();
        java::string_array(env, &told)
    }

    "deleteTree" fn delete_tree(env, store: jlong, prefix: JString<'a>, batched: jboolean) -> jlong {
        let (store, prefix) = (opened::store(store)?, java::string(env, &prefix)?);
        Ok(wait(env, store.delete_tree(&prefix, batched))? as jlong)
    }

    "rename" fn rename(env, store: jlong, from: JString<'a>, to: JString<'a>, size: jlong, etag: JString<'a>, mode: jint) -> JObject<'a> {
        let (store, from, to) = (opened::store(store)?, java::string(env, &from)?, java::string(env, &to)?);
        let known = u64::try_from(size).ok().zip(java::optional(env, &etag)?);
        let mode = if mode == MODE_CREATE { PutMode::Create } else { PutMode::Overwrite };
        let meta = wait(env, store.rename(&from, &to, known, mode))?;
        java::entry(env, meta)
    }

    "renameTree" fn rename_tree(env, store: jlong, from: JString<'a>, to: JString<'a>, width: jint, resumed: jboolean) -> jlong {
        let (store, from, to) = (opened::store(store)?, java::string(env, &from)?, java::string(env, &to)?);
        let tree = RenamedTree { from: &from, to: &to, resumed };
        let renamed = wait_for(env, store.rename_tree(tree, width.max(1) as usize))?;
        Ok(renamed? as jlong)
    }

    "openWriter" fn open_writer(env, store: jlong, key: JString<'a>, mode: jint, size: jlong, about: JObjectArray<'a, JString<'a>>) -> jlong {
        let (store, key) = (opened::store(store)?, java::string(env, &key)?);
        let about = java::strings(env, &about)?;
        let options = writer::options(mode == MODE_CREATE, u64::try_from(size).ok(), &about)?;
        let writer = OpenWriter::open(&store, &key, options);
        Ok(opened::add(Opened::Writer(Arc::new(writer))))
    }

    "write" fn write(env, writer: jlong, bytes: JByteArray<'a>, offset: jint, length: jint) -> () {
        let writer = opened::writer(writer)?;
        let bytes = Bytes::from(java::bytes(env, &bytes, offset, length)?);
        writer.write(env, bytes)
    }

    "finish" fn finish(env, writer: jlong) -> JObject<'a> {
        let open = opened::writer(writer)?;
        opened::remove(writer);
        let meta = open.finish(env)?;
        java::entry(env, meta)
    }

    "abort" fn abort(_env, writer: jlong) -> () {
        match opened::remove(writer) {
            Some(Opened::Writer(open)) => open.abort(),
            _ => Ok(()),
        }
    }

    "beginUpload" fn begin_upload(env, store: jlong, key: JString<'a>) -> JString<'a> {
        let (store, key) = (opened::store(store)?, java::string(env, &key)?);
        let upload = wait(env, store.store.begin_upload(&key, PutOptions::new()))?;
        Ok(JString::new(env, upload.id)?)
    }

    "putPart" fn put_part(env, store: jlong, key: JString<'a>, id: JString<'a>, number: jint, bytes: JByteArray<'a>, length: jint) -> JString<'a> {
        let (store, upload) = (opened::store(store)?, arguments::upload(env, &key, &id)?);
        let body = Bytes::from(java::bytes(env, &bytes, 0, length)?);
        let part = wait(env, store.store.put_part(&upload, number.unsigned_abs(), body))?;
        let crc = part.crc32c.map_or_else(String::new, |crc| crc.to_string());
        Ok(JString::new(env, format!("{}:{crc}:{}", part.size, part.etag))?)
    }

    "completeUpload" fn complete_upload(env, store: jlong, key: JString<'a>, id: JString<'a>, numbers: JIntArray<'a>, tags: JObjectArray<'a, JString<'a>>) -> JObject<'a> {
        let (store, upload) = (opened::store(store)?, arguments::upload(env, &key, &id)?);
        let tags = java::strings(env, &tags)?;
        let mut counted = vec![0; numbers.len(env)?];
        numbers.get_region(env, 0, &mut counted)?;
        let parts = counted.iter().zip(&tags).map(|(number, tag)| arguments::part(*number, tag)).collect::<Result<_>>()?;
        let meta = wait(env, store.store.complete_upload(&upload, parts))?;
        java::entry(env, meta)
    }

    "abortUpload" fn abort_upload(env, store: jlong, key: JString<'a>, id: JString<'a>) -> () {
        let (store, upload) = (opened::store(store)?, arguments::upload(env, &key, &id)?);
        wait(env, store.store.abort_upload(&upload))
    }

    "uploads" fn uploads(env, store: jlong, prefix: JString<'a>) -> JObjectArray<'a, JString<'a>> {
        let (store, prefix) = (opened::store(store)?, java::string(env, &prefix)?);
        let found: Vec<Upload> = wait(env, store.store.uploads(&prefix).try_collect())?;
        let pairs: Vec<_> = found.into_iter().flat_map(|upload| [Some(upload.key), Some(upload.id)]).collect();
        java::string_array(env, &pairs)
    }

    "openReader" fn open_reader(env, store: jlong, key: JString<'a>, size: jlong, etag: JString<'a>, policy: jint) -> jlong {
        let (store, key) = (opened::store(store)?, java::string(env, &key)?);
        let etag = java::optional(env, &etag)?;
        let policy = match policy {
            1 => ReadPolicy::Sequential,
            2 => ReadPolicy::Random,
            3 => ReadPolicy::Vector,
            4 => ReadPolicy::WholeFile,
            5 => ReadPolicy::Parquet,
            _ => ReadPolicy::Adaptive,
        };
        let reader = OpenReader::open(&store, key, u64::try_from(size).ok(), etag, policy);
        Ok(opened::add(Opened::Reader(Arc::new(reader))))
    }

    "readerStatus" fn reader_status(env, reader: jlong) -> JObject<'a> {
        let meta = opened::reader(reader)?.status(env)?;
        java::entry(env, meta)
    }

    "read" fn read(env, reader: jlong, position: jlong, into: JByteArray<'a>, offset: jint, length: jint) -> jint {
        let reader = opened::reader(reader)?;
        let position = arguments::place(position)?;
        Ok(reader.read(env, position, &into, offset, length)?.unwrap_or(-1))
    }

    "readDirect" fn read_direct(env, reader: jlong, position: jlong, into: JByteBuffer<'a>, offset: jint, length: jint) -> jint {
        let reader = opened::reader(reader)?;
        let memory = arguments::memory(env, &into, offset, length)?;
        #[allow(unsafe_code)]
        // SAFETY: the memory is that of the buffer, which its caller holds until this returns, and which only it writes.
        let into = unsafe { std::slice::from_raw_parts_mut(memory.start, memory.length) };
        Ok(reader.read_direct(env, arguments::place(position)?, into)?.unwrap_or(-1))
    }

    "readRanges" fn read_ranges(env, reader: jlong, offsets: JLongArray<'a>, lengths: JIntArray<'a>, into: JObjectArray<'a, JObject<'a>>, starts: JIntArray<'a>, first: jlong) -> () {
        let reader = opened::reader(reader)?;
        let count = offsets.len(env)?;
        let (mut at, mut long, mut from) = (vec![0; count], vec![0; count], vec![0; count]);
        offsets.get_region(env, 0, &mut at)?;
        lengths.get_region(env, 0, &mut long)?;
        starts.get_region(env, 0, &mut from)?;
        let mut ranges = Vec::with_capacity(count);
        let mut targets = Vec::with_capacity(count);
        for number in 0..count {
            let start = arguments::place(at[number])?;
            ranges.push(start..start + u64::from(long[number].max(0).unsigned_abs()));
            let buffer = into.get_element(env, number)?;
            targets.push(arguments::target(env, buffer, from[number], long[number])?);
        }
        reader.read_ranges(ranges, targets, first);
        Ok(())
    }

    "completed" fn completed(env, numbers: JLongArray<'a>, failures: JObjectArray<'a, JThrowable<'a>>) -> jint {
        completions::take(env, &numbers, &failures)
    }

    "unbuffer" fn unbuffer(_env, reader: jlong) -> () {
        opened::reader(reader)?.unbuffer();
        Ok(())
    }

    "closeReader" fn close_reader(_env, reader: jlong) -> () {
        if let Some(Opened::Reader(reader)) = opened::remove(reader) {
            reader.close();
        }
        Ok(())
    }
}

/// `Native.MODE_CREATE`.
const MODE_CREATE: jint = 1;
