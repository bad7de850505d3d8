// SPDX-License-Identifier: Apache-2.0
//! The S3 backend against a server that is not ours: `rclone serve s3` and `moto`. `make test-matrix` starts them and
//! names the one that runs in `STORESCOPE_TEST_S3_SERVER`; without one, these tests are not run.

use super::promises::{self, Dialect, Fixture};
use crate::common::client;
use storescope::Config;
use storescope::config::Secret;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test-matrix`"))
}

fn is_moto() -> bool {
    variable("STORESCOPE_TEST_S3_SERVER") == "moto"
}

/// A new bucket of the server.
async fn fixture() -> Fixture {
    let config = Config::default()
        .endpoint(variable("STORESCOPE_TEST_S3_ENDPOINT"))
        .region("us-east-1".to_owned())
        .access_key_id(variable("AWS_ACCESS_KEY_ID"))
        .secret_access_key(Secret::from(variable("AWS_SECRET_ACCESS_KEY")));
    let client = client(config);
    let url = format!("s3://contract-{:016x}/", fastrand::u64(..)).parse().unwrap();
    client.create_bucket(&url, storescope::StoreOptions::new()).await.unwrap();
    Fixture {
        client,
        dialect: Dialect::S3,
        handed: None,
        url,
        service: "s3://".parse().unwrap(),
        corrupt: Box::new(|_| panic!("nobody else's server is broken")),
        requests: Box::new(|| 0),
        _server: Box::new(()),
    }
}

macro_rules! asked_of {
    ($both:tt $($name:ident,)+) => {
        $(#[tokio::test]
        #[ignore = "needs a server of others: make test-matrix"]
        async fn $name() {
            if asked_of!(@is $both) {
                promises::$name(fixture().await).await;
            }
        })+
    };
    (@is all) => { true };
    (@is moto) => { is_moto() };
}

asked_of! { all
    an_object_comes_back_with_what_was_told_of_it,
    a_range_past_the_end_is_invalid,
    deleting_removes_and_says_what_was_missing,
    content_encoding_is_never_decoded,
    pieces_are_one_object,
}

// rclone's server has no conditions, keeps parts in memory only, takes no empty segment in a name, and refuses the last
// bytes of an object that has fewer.
asked_of! { moto
    ranges_are_exact,
    an_empty_object_reads_as_empty,
    a_read_may_ask_for_an_etag,
    a_missing_bucket_is_not_a_missing_object,
    a_store_below_a_prefix_sees_nothing_else,
    listings_are_those_of_a_sorted_map,
    a_write_by_parts_is_one_object,
    a_writer_that_is_dropped_leaves_nothing,
    a_source_that_fails_writes_nothing,
    a_copy_is_what_its_source_is,
}
