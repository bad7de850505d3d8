// SPDX-License-Identifier: Apache-2.0
//! Objects by the traits of tokio and of `std::io`.

use crate::common::{World, until};
use std::io::{BufRead, Cursor, ErrorKind, Read, Seek, SeekFrom, Write as _};
use storescope::io::{BufReader, BufWriter};
use storescope::{PutOptions, ReadOptions, StoreOptions, blocking};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

/// Seeks, and how many bytes are read after each.
const STEPS: [(SeekFrom, usize); 9] = [
    (SeekFrom::Start(0), 100),
    (SeekFrom::Current(50), 10),
    (SeekFrom::Current(-20), 1_000),
    (SeekFrom::End(-1_000), 5_000),
    (SeekFrom::Start(2_999_999), 2),
    (SeekFrom::End(0), 10),
    (SeekFrom::Start(9_000_000), 10),
    (SeekFrom::Start(1_000_000), 2_000_000),
    (SeekFrom::Start(5), 0),
];

/// Where a seek of a file leads, and what is read there.
fn step(file: &mut (impl Read + Seek), to: SeekFrom, length: usize) -> (u64, Vec<u8>) {
    let at = Seek::seek(file, to).unwrap();
    let mut read = Vec::new();
    Read::read_to_end(&mut Read::take(file, length as u64), &mut read).unwrap();
    (at, read)
}

#[tokio::test]
async fn a_reader_reads_and_seeks_as_a_file_does() {
    let world = World::new();
    let bytes = world.object("k", 3_000_000).await;
    let mut file = Cursor::new(&bytes);
    let mut object = BufReader::new(world.store.reader("k", ReadOptions::new()));
    for (to, length) in STEPS {
        let at = AsyncSeekExt::seek(&mut object, to).await.unwrap();
        let mut read = Vec::new();
        let mut some = AsyncReadExt::take(&mut object, length as u64);
        AsyncReadExt::read_to_end(&mut some, &mut read).await.unwrap();
        assert!((at, read) == step(&mut file, to, length), "{to:?}");
        assert_eq!(object.position(), file.position(), "{to:?}");
    }
    for to in [SeekFrom::Current(-3_000_001), SeekFrom::End(-3_000_001)] {
        assert_eq!(
            AsyncSeekExt::seek(&mut object, to).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
    // The size is asked for where nothing was read yet.
    let mut unread = BufReader::new(world.store.reader("k", ReadOptions::new()));
    assert_eq!(AsyncSeekExt::seek(&mut unread, SeekFrom::End(-1)).await.unwrap(), 2_999_999);
    let mut absent = BufReader::new(world.store.reader("absent", ReadOptions::new()));
    assert_eq!(absent.read_u8().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        AsyncSeekExt::seek(&mut absent, SeekFrom::End(0)).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    world.store.put("lines", "one\ntwo\n", PutOptions::new()).await.unwrap();
    let lines = BufReader::new(world.store.reader("lines", ReadOptions::new()));
    let mut lines = AsyncBufReadExt::lines(lines);
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("one"));
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("two"));
    assert_eq!(lines.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn what_is_written_is_an_object_once_it_is_shut_down() {
    let world = World::with(|config| config.part_size(5_u64 << 20));
    let bytes = crate::common::pattern(12_000_000);
    let mut object = BufWriter::new(world.store.writer("k", PutOptions::new()));
    assert_eq!(tokio::io::copy(&mut &bytes[..], &mut object).await.unwrap(), 12_000_000);
    AsyncWriteExt::flush(&mut object).await.unwrap();
    assert!(world.store.head("k").await.unwrap_err().is_not_found() && object.meta().is_none());
    object.shutdown().await.unwrap();
    object.shutdown().await.unwrap();
    assert_eq!(object.meta().unwrap().size, 12_000_000);
    assert!(AsyncWriteExt::write(&mut object, b"more").await.is_err());
    let mut read = Vec::new();
    BufReader::new(world.store.reader("k", ReadOptions::new()))
        .read_to_end(&mut read)
        .await
        .unwrap();
    assert!(read == bytes);
    // Dropped before, it leaves nothing.
    let mut dropped = BufWriter::new(world.store.writer("dropped", PutOptions::new()));
    AsyncWriteExt::write_all(&mut dropped, &bytes).await.unwrap();
    drop(dropped);
    let aborted =
        || world.record().iter().any(|line| line.method == "DELETE" && line.status == Some(204));
    until("its upload is aborted", aborted).await;
    assert!(world.store.head("dropped").await.unwrap_err().is_not_found());
}

#[test]
fn blocking_readers_and_writers_are_those_of_std() {
    let emulator = crate::common::emulator();
    let client = crate::common::client(crate::common::config(&emulator).part_size(5_u64 << 20));
    let url = crate::common::bucket_url(&emulator).parse().unwrap();
    let store = blocking::Store::open(&client, &url, StoreOptions::new()).unwrap();
    let bytes = crate::common::pattern(3_000_000);
    let mut writer = store.writer("k", PutOptions::new());
    std::io::copy(&mut &bytes[..], &mut writer).unwrap();
    writer.write_all(b"").unwrap();
    assert_eq!(writer.written(), 3_000_000);
    assert_eq!(writer.finish().unwrap().size, 3_000_000);
    let mut file = Cursor::new(&bytes);
    let mut object = blocking::BufReader::new(store.reader("k", ReadOptions::new()));
    for (to, length) in STEPS {
        assert!(step(&mut object, to, length) == step(&mut file, to, length), "{to:?}");
    }
    store.put("lines", "one\ntwo\n", PutOptions::new()).unwrap();
    let lines = BufRead::lines(blocking::BufReader::new(store.reader("lines", ReadOptions::new())));
    assert_eq!(lines.collect::<Result<Vec<_>, _>>().unwrap(), ["one", "two"]);
}

#[test]
fn blocking_stores_have_the_calls_of_the_others() {
    let emulator = crate::common::emulator();
    let client = crate::common::client(crate::common::config(&emulator));
    let url = crate::common::bucket_url(&emulator).parse().unwrap();
    let store = blocking::Store::open(&client, &url, StoreOptions::new()).unwrap();
    store.put("a", "bytes", PutOptions::new()).unwrap();
    assert_eq!(store.rename("a", "b", storescope::RenameOptions::new()).unwrap().size, 5);
    assert_eq!(store.copy("b", (&store, "c"), storescope::CopyOptions::new()).unwrap().key, "c");
    let upload = store.begin_upload("d", PutOptions::new()).unwrap();
    let part = store.put_part(&upload, 1, "part").unwrap();
    let left = store.begin_upload("e", PutOptions::new()).unwrap();
    let uploads: Vec<_> = store.uploads("").map(|upload| upload.unwrap().key).collect();
    assert_eq!(uploads, ["d", "e"]);
    assert_eq!(store.complete_upload(&upload, vec![part]).unwrap().size, 4);
    store.abort_upload(&left).unwrap();
    assert_eq!(store.uploads("").count(), 0);
    store.writer("f", PutOptions::new()).abort().unwrap();
    let removed = store.delete_many(["b", "c", "d", "f"].map(str::to_owned)).unwrap();
    let gone: Vec<_> =
        removed.iter().map(|(key, removed)| (key.as_str(), removed.is_ok())).collect();
    assert_eq!(gone, [("b", true), ("c", true), ("d", true), ("f", false)]);
}
