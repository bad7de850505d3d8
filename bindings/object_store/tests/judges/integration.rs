// SPDX-License-Identifier: Apache-2.0
//! object_store's own integration functions.
//!
//! Not among them, since they judge what is not this trait: `list_paginated` (`PaginatedListStore`), `multipart`,
//! `multipart_with_opts` and `multipart_put_part_out_of_order` (`MultipartStore`) are of traits for callers that keep
//! page tokens and upload ids themselves, and storescope's public face has neither; `response_extensions` is of
//! object_store's own HTTP client.

use super::ScopedStore;
use super::object_store::integration;
use super::object_store::{DynObjectStore, Error};
use crate::world::{Api, Key, World};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// Runs a judge with a wrong key, which must fail and be refused by the server, then with the right one, which must
/// pass by at least so many requests of ours.
async fn judged(api: Api, at_least: usize, judge: impl AsyncFn(&DynObjectStore)) {
    let world = World::new(api);
    let wrong = ScopedStore::new(world.store(Key::Wrong));
    let failed = AssertUnwindSafe(judge(&wrong)).catch_unwind().await;
    assert!(failed.is_err(), "passed with a wrong key");
    let refused = world.take_record();
    assert!(
        refused.iter().all(|line| line.status == Some(world.refusal())) && !refused.is_empty(),
        "not refused: {refused:?}"
    );
    judge(&ScopedStore::new(world.store(Key::Right))).await;
    let record = world.take_record();
    let ours = |agent: &Option<String>| {
        agent.as_deref().is_some_and(|agent| agent.starts_with("storescope/"))
    };
    assert!(record.iter().all(|line| ours(&line.user_agent)), "{record:?}");
    assert!(record.len() >= at_least, "{} requests", record.len());
}

/// A test of each API for each judge, with the number of requests that it makes at least.
macro_rules! judges {
    ($($name:ident >= $requests:literal: |$store:ident| $judge:expr;)+) => {
        mod oci {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                judged(Api::Oci, $requests, async |$store: &DynObjectStore| $judge).await;
            })+
        }

        mod s3 {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                judged(Api::S3, $requests, async |$store: &DynObjectStore| $judge).await;
            })+
        }
    };
}

judges! {
    put_get_delete_list >= 100: |store| integration::put_get_delete_list(store).await;
    put_get_attributes >= 4: |store| integration::put_get_attributes(store).await;
    get_opts >= 10: |store| integration::get_opts(store).await;
    put_opts >= 100: |store| integration::put_opts(store, true).await;
    stream_get >= 15: |store| integration::stream_get(store).await;
    list_uses_directories_correctly >= 10: |store| {
        integration::list_uses_directories_correctly(store).await;
    };
    list_with_delimiter >= 10: |store| integration::list_with_delimiter(store).await;
    list_with_offset_exclusivity >= 10: |store| {
        integration::list_with_offset_exclusivity(store).await;
    };
    get_nonexistent_object >= 2: |store| {
        let missing = integration::get_nonexistent_object(store, None).await.unwrap_err();
        assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
    };
    rename_and_copy >= 8: |store| integration::rename_and_copy(store).await;
    copy_if_not_exists >= 8: |store| integration::copy_if_not_exists(store).await;
    copy_rename_nonexistent_object >= 4: |store| {
        integration::copy_rename_nonexistent_object(store).await;
    };
    multipart_race_condition >= 15: |store| {
        integration::multipart_race_condition(store, true).await;
    };
    multipart_out_of_order >= 6: |store| integration::multipart_out_of_order(store).await;
}
