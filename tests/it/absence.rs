// SPDX-License-Identifier: Apache-2.0
//! What a store could not find out is never told as "it is not there".

use crate::common::server::{Asked, answering};
use crate::common::{
    self, BUCKET, client, emulator, methods, pattern, read, refused, status, store_at,
    store_elsewhere, stores,
};
use futures_util::StreamExt;
use storescope::{
    CopyOptions, DeleteOptions, ErrorKind, GetOptions, ListOptions, PutOptions, ReadOptions,
};
use storescope_emulator::{Action, Fault};

#[tokio::test]
async fn an_absence_is_believed_once_the_bucket_was_seen() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        emulator.admin().clear_record();
        for asked in [&["HEAD", "GET"][..], &["HEAD"], &["HEAD"]] {
            emulator.admin().clear_record();
            let absent = store.head("absent").await.unwrap_err();
            assert!(absent.is_not_found(), "{api}: {absent}");
            assert_eq!(absent.attempts() as usize, asked.len(), "{api}: {absent}");
            assert_eq!(methods(&emulator), asked, "{api}");
        }
    }
    // However many ask at once.
    for (api, store) in stores(&emulator) {
        emulator.admin().clear_record();
        let heads = (0..8).map(|_| store.head("absent"));
        for absent in futures_util::future::join_all(heads).await {
            assert!(absent.unwrap_err().is_not_found(), "{api}");
        }
        let asked = methods(&emulator);
        assert_eq!(asked.iter().filter(|method| *method == "GET").count(), 1, "{api}: {asked:?}");
    }
    // A read shows it, too.
    for (api, store) in stores(&emulator) {
        store.put("k", pattern(10), PutOptions::new()).await.unwrap();
        read(&store, "k").await.unwrap();
        emulator.admin().clear_record();
        assert!(store.head("absent").await.unwrap_err().is_not_found(), "{api}");
        assert_eq!(methods(&emulator), ["HEAD"], "{api}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_removed_meanwhile_is_not_an_absence() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        assert!(store.head("absent").await.unwrap_err().is_not_found(), "{api}");
        // Any answer that says so counts, by whichever request.
        let gone = if api == "oci" { "BucketNotFound" } else { "NoSuchBucket" };
        emulator.fault(refused(404, gone).method("GET").count(2));
        let listed = store.list("", ListOptions::new()).next().await.unwrap().unwrap_err();
        assert_eq!(listed.kind(), ErrorKind::BucketNotFound, "{api}: {listed}");
        emulator.fault(status(404).method("HEAD").count(1));
        let head = store.head("absent").await.unwrap_err();
        assert_eq!(head.kind(), ErrorKind::BucketNotFound, "{api}: {head}");
        assert_eq!(head.code(), Some(gone), "{api}: {head}");
        emulator.admin().clear_faults();
    }
}

/// A proxy, or an endpoint that is no object store.
#[tokio::test]
async fn anothers_404_is_no_absence() {
    let page = |_: &Asked| {
        let body = "<html>Not Found</html>";
        format!(
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let emulator = emulator();
    let stores = [
        store_elsewhere(&emulator, answering(page), |config| config),
        #[cfg(feature = "s3")]
        store_at(&client(common::s3_elsewhere(answering(page))), &format!("s3://{BUCKET}/")),
    ];
    for store in stores {
        for error in [
            store.head("k").await.unwrap_err(),
            store.get("k", GetOptions::new()).await.unwrap_err(),
            store.list("", ListOptions::new()).next().await.unwrap().unwrap_err(),
            store.reader("k", ReadOptions::new()).read_at(0..1).await.unwrap_err(),
            store.copy("k", (&store, "to"), CopyOptions::new()).await.unwrap_err(),
        ] {
            assert!(!error.is_not_found(), "{error}");
            assert_eq!(error.status(), Some(404), "{error}");
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidData);
        }
    }
}

/// Looking at what became of a request whose answer was lost must not take a missing bucket for a missing object.
#[tokio::test]
async fn a_bucket_that_cannot_be_seen_settles_nothing() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        let gone = if api == "oci" { "BucketNotFound" } else { "NoSuchBucket" };
        emulator.fault(Fault::new(Action::DropResponse).method("DELETE").count(1));
        emulator.fault(refused(404, gone).method("HEAD"));
        emulator.fault(refused(404, gone).method("GET"));
        let error = store.delete("k", DeleteOptions::new()).await.unwrap_err();
        assert!(!error.is_not_found(), "{api}: {error}");
        assert!(error.to_string().contains("it may have taken effect"), "{api}: {error}");
        emulator.admin().clear_faults();
    }
}
