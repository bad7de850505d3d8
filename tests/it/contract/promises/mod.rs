// SPDX-License-Identifier: Apache-2.0
//! What every backend promises, written once over the public face. A backend's tests are made from it by
//! `backend_contract!`, given a function that sets up a [`Fixture`].

mod listings;
mod objects;
mod writes;

pub(crate) use {listings::*, objects::*, writes::*};

use futures_util::TryStreamExt;
use std::any::Any;
use storescope::{
    Client, ErrorKind, GetOptions, ListEntry, ListOptions, PutOptions, Store, StoreOptions,
    StoreUrl,
};

/// Which protocol a backend speaks, where they promise different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Oci,
    /// Does not say whether what was deleted had been there.
    S3,
    /// object_store: no status, no request of ours.
    Wrapped,
}

/// An empty bucket of some backend, and what a test cannot do through it.
pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) dialect: Dialect,
    /// A store that is handed over, where no URL names it.
    pub(crate) handed: Option<Store>,
    /// The bucket.
    pub(crate) url: StoreUrl,
    /// The service that the bucket belongs to.
    pub(crate) service: StoreUrl,
    /// From now on the byte at this place of every body is another.
    pub(crate) corrupt: Box<dyn Fn(u64)>,
    /// Requests that reached the server so far.
    pub(crate) requests: Box<dyn Fn() -> usize>,
    /// What has to live as long.
    pub(crate) _server: Box<dyn Any>,
}

impl Fixture {
    fn store(&self) -> Store {
        if let Some(store) = &self.handed {
            return store.clone();
        }
        self.client.store(&self.url, StoreOptions::new()).unwrap()
    }

    /// The part of the bucket below a prefix.
    fn below(&self, prefix: &str) -> Store {
        self.client.store(&self.url.with_key(prefix), StoreOptions::new()).unwrap()
    }

    fn missing(&self) -> Store {
        let bucket = self.url.bucket().unwrap();
        let url = self.url.to_string().replacen(bucket, "no-such-bucket", 1);
        self.client.store(&url.parse().unwrap(), StoreOptions::new()).unwrap()
    }
}

/// One `#[tokio::test]` for each promise.
macro_rules! backend_contract {
    ($fixture:path) => {
        backend_contract! { @each $fixture:
            an_object_comes_back_with_what_was_told_of_it,
            an_empty_object_reads_as_empty,
            ranges_are_exact,
            a_range_past_the_end_is_invalid,
            a_range_of_nothing_asks_for_nothing,
            a_read_may_ask_for_an_etag,
            create_writes_once,
            update_replaces_what_it_names,
            of_many_creators_one_succeeds,
            listings_are_those_of_a_sorted_map,
            a_listing_pages_through_what_was_put,
            awkward_names_are_exact,
            a_store_below_a_prefix_sees_nothing_else,
            deleting_removes_and_says_what_was_missing,
            a_conditional_delete_spares_what_changed,
            a_missing_bucket_is_not_a_missing_object,
            names_have_at_most_1024_bytes,
            names_the_service_does_not_take_are_refused_unsent,
            content_encoding_is_never_decoded,
            every_checksum_mode_writes,
            corrupt_bytes_are_never_a_whole_object,
            buckets_come_and_go,
            pieces_are_one_object,
            a_write_by_parts_is_one_object,
            a_small_write_goes_by_one_request,
            a_write_by_parts_may_be_conditional,
            a_writer_that_is_dropped_leaves_nothing,
            a_source_that_fails_writes_nothing,
            a_source_of_another_size_writes_nothing,
            a_file_goes_up,
            uploads_that_were_left_are_found_and_aborted,
            a_rename_moves_what_was_there,
            a_copy_is_what_its_source_is,
            a_copy_reaches_another_bucket,
            many_are_removed_at_once,
            what_readers_are_told_comes_back,
        }
    };
    (@each $fixture:path: $($name:ident,)+) => {
        $(#[tokio::test]
        async fn $name() {
            crate::contract::promises::$name($fixture()).await;
        })+
    };
}
pub(crate) use backend_contract;

async fn put(store: &Store, key: &str, bytes: &[u8]) -> String {
    let meta = store.put(key, bytes.to_vec(), PutOptions::new()).await.unwrap();
    meta.etag.expect("a write answers an ETag")
}

async fn read(store: &Store, key: &str, options: GetOptions) -> Result<Vec<u8>, ErrorKind> {
    let got = store.get(key, options).await.map_err(|e| e.kind())?;
    let range = got.range();
    let bytes = got.bytes().await.map_err(|e| e.kind())?;
    assert_eq!(range.end - range.start, bytes.len() as u64);
    Ok(bytes.to_vec())
}

async fn whole(store: &Store, key: &str) -> Result<Vec<u8>, ErrorKind> {
    read(store, key, GetOptions::new()).await
}

async fn keys(store: &Store, prefix: &str, options: ListOptions) -> Vec<String> {
    let entries: Vec<ListEntry> = store.list(prefix, options).try_collect().await.unwrap();
    entries.into_iter().map(name).collect()
}

fn name(entry: ListEntry) -> String {
    match entry {
        ListEntry::Object(meta) => meta.key,
        ListEntry::Prefix(prefix) => prefix,
        other => panic!("{other:?}"),
    }
}
