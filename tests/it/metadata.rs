// SPDX-License-Identifier: Apache-2.0
//! Metadata comes back as it was given, in any form in which servers have it.

use crate::common::server::{Asked, answering};
use crate::common::{self, BUCKET, client, emulator, pattern, store_at, store_elsewhere, stores};
use storescope::{CopyOptions, ErrorKind, GetOptions, PutOptions, RenameOptions, Store};

/// Values that no header can hold as they are, or that look as if they were encoded.
const ODD: [(&str, &str); 8] = [
    ("umlaut", "\u{fc}ber"),
    (
        "long",
        "\u{65e5}\u{672c}\u{8a9e} \u{1f980} \u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}",
    ),
    ("control", "a\tb\nc\u{7f}"),
    ("blanks", "  a  "),
    ("encoded", "=?UTF-8?B?w7w=?="),
    ("half", "=?UTF-8?Q?x"),
    ("empty", ""),
    ("plain", "a b; c=\"d\""),
];

fn odd() -> PutOptions {
    ODD.iter().fold(PutOptions::new(), |options, (name, value)| options.metadata(*name, *value))
}

async fn is_odd(store: &Store, key: &str, how: &str) {
    let head = store.head(key).await.unwrap();
    let got = store.get(key, GetOptions::new()).await.unwrap();
    for meta in [&head, got.meta()] {
        for (name, value) in ODD {
            let told = meta.metadata.get(name).map(String::as_str);
            // Some servers drop a header without a value.
            let dropped = value.is_empty() && told.is_none();
            assert!(told == Some(value) || dropped, "{how} {name}: {told:?}");
        }
    }
}

#[tokio::test]
async fn metadata_comes_back_as_it_was_given() {
    let emulator = emulator();
    let stores = stores(&emulator);
    for (api, store) in &stores {
        store.put("put", pattern(10), odd()).await.unwrap();
        is_odd(store, "put", api).await;
        let mut writer = store.writer("parts", odd());
        writer.write(pattern((16 << 20) + 1)).await.unwrap();
        writer.finish().await.unwrap();
        is_odd(store, "parts", api).await;
        store.copy("put", (store, "copy"), CopyOptions::new()).await.unwrap();
        is_odd(store, "copy", api).await;
        // Changed: what was read goes with what is new.
        let meta = store.head("copy").await.unwrap();
        let more = PutOptions::new().like(&meta).metadata("more", "\u{fc}");
        store.put("more", pattern(10), more).await.unwrap();
        is_odd(store, "more", api).await;
        assert_eq!(store.head("more").await.unwrap().metadata["more"], "\u{fc}", "{api}");
        store.rename("more", "renamed", RenameOptions::new()).await.unwrap();
        is_odd(store, "renamed", api).await;
    }
    // Both APIs of one service, and from one service to the other.
    for (from_api, from) in &stores {
        for (to_api, to) in &stores {
            is_odd(to, "put", &format!("{from_api} seen by {to_api}")).await;
            if from_api != to_api {
                let key = format!("{from_api}-to-{to_api}");
                from.copy("put", (to, &key), CopyOptions::new()).await.unwrap();
                is_odd(to, &key, &key).await;
            }
        }
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn a_copy_by_parts_keeps_its_metadata() {
    let emulator = emulator();
    let config = common::s3_config(&emulator).copy_part_size(5_u64 << 20);
    let store = store_at(&client(config), &format!("s3://{BUCKET}/"));
    store.put("k", pattern((5 << 20) + 1), odd()).await.unwrap();
    store.copy("k", (&store, "to"), CopyOptions::new()).await.unwrap();
    is_odd(&store, "to", "by parts").await;
}

/// Servers that answer what AWS does, and servers that answer the bytes.
#[tokio::test]
async fn metadata_of_others_is_read() {
    let head = |prefix: &'static str| {
        move |_: &Asked| {
            let mut head = b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 0\r\n".to_vec();
            for (name, value) in [
                ("word", &b"=?UTF-8?B?w7xiZXI=?="[..]),
                ("quoted", b"=?utf-8?Q?=C3=BCber?="),
                ("utf8", "\u{fc}ber".as_bytes()),
                ("latin1", b"\xfcber"),
            ] {
                head.extend(format!("{prefix}{name}: ").into_bytes());
                head.extend(value);
                head.extend(b"\r\n");
            }
            head.extend(b"content-disposition: attachment; filename=\"\xc3\xbcber\"\r\n\r\n");
            head
        }
    };
    let emulator = emulator();
    let stores = [
        store_elsewhere(&emulator, answering(head("opc-meta-")), |config| config),
        #[cfg(feature = "s3")]
        store_at(
            &client(common::s3_elsewhere(answering(head("x-amz-meta-")))),
            &format!("s3://{BUCKET}/"),
        ),
    ];
    for store in stores {
        let meta = store.head("k").await.unwrap();
        for name in ["word", "quoted", "utf8", "latin1"] {
            assert_eq!(meta.metadata.get(name).map(String::as_str), Some("\u{fc}ber"), "{name}");
        }
        let disposition = meta.content_disposition.as_deref();
        assert_eq!(disposition, Some("attachment; filename=\"\u{fc}ber\""));
    }
}

#[tokio::test]
async fn metadata_that_cannot_come_back_is_refused_unsent() {
    let emulator = emulator();
    for (api, store) in stores(&emulator) {
        // By parts the bytes would be sent first.
        for by_parts in [false, true] {
            for (options, said) in [
                (PutOptions::new().metadata("a b", "v"), "\"a b\" cannot name"),
                (PutOptions::new().metadata("", "v"), "\"\" cannot name"),
                (PutOptions::new().metadata("\u{fc}", "v"), "cannot name"),
                (PutOptions::new().metadata("a", "1").metadata("A", "2"), "twice"),
                (PutOptions::new().metadata("storescope-write", "v"), "reserved"),
                (PutOptions::new().metadata("a", "x".repeat(9_000)), "2,048 bytes"),
                (
                    PutOptions::new().content_disposition("attachment; filename=\u{fc}"),
                    "filename*=",
                ),
                (PutOptions::new().content_type(" text/plain"), "content-type"),
                (PutOptions::new().cache_control("a\nb"), "cache-control"),
            ] {
                let error = if by_parts {
                    let mut writer = store.writer("k", options);
                    writer.write(pattern((16 << 20) + 1)).await.unwrap_err()
                } else {
                    store.put("k", pattern(10), options).await.unwrap_err()
                };
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{api}: {error}");
                assert!(error.to_string().contains(said), "{api} {said}: {error}");
            }
        }
        assert!(emulator.record().iter().all(|line| line.method != "PUT"), "{api}");
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn too_much_metadata_is_told_by_the_service() {
    let emulator = emulator();
    let store = store_at(&client(common::s3_config(&emulator)), &format!("s3://{BUCKET}/"));
    let much = || PutOptions::new().metadata("a", "x".repeat(2_100));
    let error = store.put("k", pattern(10), much()).await.unwrap_err();
    assert_eq!(error.code(), Some("MetadataTooLarge"), "{error}");
    assert!(error.to_string().contains("2,048 bytes"), "{error}");
    let mut writer = store.writer("k", much());
    let error = writer.write(pattern((16 << 20) + 1)).await.unwrap_err();
    assert_eq!(error.code(), Some("MetadataTooLarge"), "{error}");
}
