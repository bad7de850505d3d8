// SPDX-License-Identifier: Apache-2.0
//! DataFusion joins a partitioned table with another, by storescope through bindings/object_store and by object_store's own
//! AmazonS3: the same rows, and at most as many requests. The emulator's record counts them.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use std::path::PathBuf;
use std::sync::Arc;
use storescope::config::Secret;
use storescope::{Client, Config, StoreOptions};
use storescope_emulator::{Emulator, RecordLine};
use storescope_object_store::v013::ScopedStore;

const BUCKET: &str = "lake";
/// Where DataFusion finds the store, whichever it is.
const ROOT: &str = "s3://lake";

/// Ten columns, in three row groups a file, in four partitions; and a table of names.
const WRITE: &str = "
    COPY (
        SELECT id, id % 1000 AS name,
               id * 7919 AS a, id * 7907 AS b, id * 7901 AS c, sqrt(id) AS energy, id * 7883 AS d, id * 7879 AS e,
               id * 7877 AS f, id % 4 AS day
        FROM (SELECT value AS id FROM generate_series(0, 119999))
    )
    TO 's3://lake/events/' STORED AS PARQUET PARTITIONED BY (day)
    OPTIONS ('format.max_row_group_size' 10000, 'format.compression' 'uncompressed', 'format.dictionary_enabled' false);
    COPY (SELECT value AS name, value * 31 AS label FROM generate_series(0, 999))
    TO 's3://lake/names.parquet' STORED AS PARQUET";

const TABLES: &str = "
    CREATE EXTERNAL TABLE events STORED AS PARQUET PARTITIONED BY (day) LOCATION 's3://lake/events/';
    CREATE EXTERNAL TABLE names STORED AS PARQUET LOCATION 's3://lake/names.parquet'";

const JOINS: [&str; 3] = [
    // Far columns of all partitions.
    "SELECT n.label, count(*) AS events, max(e.f) AS most FROM events e JOIN names n ON e.name = n.name
     WHERE e.energy > 20 GROUP BY n.label ORDER BY n.label LIMIT 20",
    // One partition, near columns.
    "SELECT n.label, min(e.a) AS least FROM events e JOIN names n ON e.name = n.name
     WHERE e.day = '2' GROUP BY n.label ORDER BY n.label LIMIT 20",
    // All columns.
    "SELECT n.label, sum(e.id), sum(e.a), sum(e.b), sum(e.c), sum(e.energy), sum(e.d), sum(e.e), sum(e.f)
     FROM events e JOIN names n ON e.name = n.name GROUP BY n.label ORDER BY n.label LIMIT 20",
];

/// A session whose store this is. Its requests depend neither on the machine's cores nor on what a scan learns meanwhile.
fn session(store: Arc<dyn ObjectStore>) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(2)
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
    let session = SessionContext::new_with_config(config);
    session.register_object_store(&ROOT.parse().unwrap(), store);
    session
}

async fn run(session: &SessionContext, statements: &str) -> Vec<RecordBatch> {
    let mut last = Vec::new();
    for statement in statements.split(';') {
        last = session.sql(statement).await.unwrap().collect().await.unwrap();
    }
    last
}

/// What was asked, and what came of it.
struct Told {
    rows: String,
    requests: Vec<String>,
}

/// Each join in a session of its own.
async fn ask(emulator: &Emulator, store: &Arc<dyn ObjectStore>) -> Vec<Told> {
    let mut told = Vec::new();
    for join in JOINS {
        let session = session(Arc::clone(store));
        emulator.admin().clear_record();
        run(&session, TABLES).await;
        let rows = run(&session, join).await;
        let requests = emulator.record().iter().map(line).collect();
        told.push(Told { rows: pretty_format_batches(&rows).unwrap().to_string(), requests });
    }
    told
}

fn line(line: &RecordLine) -> String {
    let range = line.range.as_deref().unwrap_or("-");
    format!("{} {} {range} {:?}", line.method, line.target, line.status)
}

fn amazon_s3(emulator: &Emulator) -> Arc<dyn ObjectStore> {
    let s3 = emulator.ready().s3.as_ref().unwrap();
    let built = AmazonS3Builder::new()
        .with_endpoint(&s3.endpoint)
        .with_allow_http(true)
        .with_region(&s3.region)
        .with_access_key_id(&s3.access_key_id)
        .with_secret_access_key(&s3.secret_access_key)
        .with_bucket_name(BUCKET)
        .build();
    Arc::new(built.unwrap())
}

/// Nothing of this machine's environment reaches the client.
fn ours(url: &str, config: Config) -> Arc<dyn ObjectStore> {
    let client = Client::builder().config(config).build().unwrap();
    Arc::new(ScopedStore::new(client.store(&url.parse().unwrap(), StoreOptions::new()).unwrap()))
}

fn ours_by_s3(emulator: &Emulator) -> Arc<dyn ObjectStore> {
    let s3 = emulator.ready().s3.as_ref().unwrap();
    let config = Config::default()
        .endpoint(s3.endpoint.clone())
        .region(s3.region.clone())
        .access_key_id(s3.access_key_id.clone())
        .secret_access_key(Secret::from(s3.secret_access_key.clone()));
    ours("s3://lake/", config)
}

fn ours_by_oci(emulator: &Emulator) -> Arc<dyn ObjectStore> {
    let oci = &emulator.ready().oci;
    let config = Config::default()
        .endpoint(oci.endpoint.clone())
        .config_file(PathBuf::from(&oci.config_file));
    ours(&format!("oci://lake@{}/", oci.namespace), config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_costs_at_most_the_requests_of_amazon_s3() {
    let emulator = Emulator::builder().bucket(BUCKET).start().unwrap();
    let theirs = amazon_s3(&emulator);
    run(&session(Arc::clone(&theirs)), WRITE).await;
    let theirs = ask(&emulator, &theirs).await;
    for (api, ours) in [("s3", ours_by_s3(&emulator)), ("oci", ours_by_oci(&emulator))] {
        let ours = ask(&emulator, &ours).await;
        for (join, (ours, theirs)) in JOINS.iter().zip(ours.iter().zip(&theirs)) {
            println!(
                "{api}: {} requests, AmazonS3 {}: {join}",
                ours.requests.len(),
                theirs.requests.len()
            );
            assert_eq!(ours.rows, theirs.rows, "{api}: {join}");
            assert!(theirs.rows.lines().count() > 20, "{}", theirs.rows);
            assert!(
                ours.requests.len() <= theirs.requests.len(),
                "{api}: {join}\nours {:#?}\ntheirs {:#?}",
                ours.requests,
                theirs.requests
            );
        }
    }
}
