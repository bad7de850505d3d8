// SPDX-License-Identifier: Apache-2.0
//! parquet's `ParquetObjectReader` reads a file through ours.
#![allow(
    deprecated,
    reason = "parquet 60 would have its users write that reader; it is the judge as long as it is there"
)]

use super::ScopedStore;
use super::arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use super::object_store::path::Path;
use super::object_store::{ObjectStore, ObjectStoreExt};
use super::parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use super::parquet::arrow::{ArrowWriter, ProjectionMask};
use super::parquet::errors::ParquetError;
use super::parquet::file::properties::WriterProperties;
use crate::world::{Api, Key, World};
use futures_util::TryStreamExt;
use std::sync::Arc;

const ROWS: usize = 40_000;
const GROUP: usize = 10_000;

fn table() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|n| n * 7919)));
    let energies: ArrayRef = Arc::new(Float64Array::from_iter(
        (0..ROWS).map(|n| (n % 5 != 0).then_some((n as f64).sqrt())),
    ));
    let names: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..ROWS).map(|n| format!("event {}", n % 1000))));
    RecordBatch::try_from_iter([("id", ids), ("energy", energies), ("name", names)]).unwrap()
}

fn file(table: &RecordBatch) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties)).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
    bytes
}

async fn open(
    store: ScopedStore,
    path: &Path,
) -> Result<ParquetRecordBatchStreamBuilder<ParquetObjectReader>, ParquetError> {
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    ParquetRecordBatchStreamBuilder::new(ParquetObjectReader::new(store, path.clone())).await
}

/// The chosen columns of all rows, a row group at a time.
async fn columns(store: ScopedStore, path: &Path, chosen: &[usize]) -> Vec<RecordBatch> {
    let builder = open(store, path).await.unwrap();
    assert_eq!(builder.metadata().num_row_groups(), ROWS / GROUP);
    let mask = ProjectionMask::roots(builder.parquet_schema(), chosen.iter().copied());
    let stream = builder.with_projection(mask).with_batch_size(GROUP).build().unwrap();
    stream.try_collect().await.unwrap()
}

async fn reads_what_was_written(api: Api, at_least: usize) {
    let world = World::new(api);
    let (store, path) =
        (ScopedStore::new(world.store(Key::Right)), Path::from("2026/events.parquet"));
    let table = table();
    store.put(&path, file(&table).into()).await.unwrap();
    world.take_record();

    let refused = open(ScopedStore::new(world.store(Key::Wrong)), &path).await;
    assert!(refused.is_err(), "opened with a wrong key");
    let record = world.take_record();
    assert!(record.iter().any(|line| line.status == Some(world.refusal())), "{record:?}");

    for chosen in [&[0, 1, 2][..], &[0, 2], &[1]] {
        let read = columns(store.clone(), &path, chosen).await;
        let expected: Vec<_> = (0..ROWS / GROUP)
            .map(|group| table.project(chosen).unwrap().slice(group * GROUP, GROUP))
            .collect();
        assert!(read == expected, "columns {chosen:?} are not what was written");
    }
    let record = world.take_record();
    let ours = record.iter().filter(|line| {
        let agent = line.user_agent.as_deref().unwrap_or_default();
        agent.starts_with("storescope/") && line.method == "GET" && line.status == Some(206)
    });
    let requests = ours.count();
    assert!(requests >= at_least, "{requests} ranged reads: {record:?}");
}

/// Three openings, each by its footer and its metadata; four row groups in each.
const REQUESTS: usize = 3 * (1 + ROWS / GROUP);

#[tokio::test]
async fn a_file_is_read_from_oci() {
    reads_what_was_written(Api::Oci, REQUESTS).await;
}

#[tokio::test]
async fn a_file_is_read_from_s3() {
    reads_what_was_written(Api::S3, REQUESTS).await;
}
