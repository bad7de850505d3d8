// SPDX-License-Identifier: Apache-2.0
//! What plans cost, exactly: a store of first byte 27 ms median and 117 ms p99, 60 MB/s a stream and 1 GB/s in all, in
//! paused time, twenty seeds each. And what goes wrong under a reader, where only a simulation can time it.

use super::{ReadOptions, ReadPolicy, Reader};
use crate::context::Target;
use crate::sim::{Fault, SimBackend};
use crate::timing::{Level, Operation, Outcome, Phase};
use crate::{Client, Config, ErrorKind, GetOptions, Store};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use storescope_model::{Model, Rate, Stream};
use tokio::time::Instant;

mod giving_up;
mod trouble;

const SEEDS: u64 = 20;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn model() -> Model {
    Model {
        stream: Some(Stream::Constant(Rate::from_bytes_per_second(60e6))),
        nic: Some(Rate::from_bytes_per_second(1e9)),
        ..Model::named("s3-standard").unwrap()
    }
}

struct World {
    sim: SimBackend,
    client: Client,
    store: Store,
}

impl World {
    fn new(seed: u64) -> World {
        World::with(&model(), seed, |config| config)
    }

    fn with(model: &Model, seed: u64, settings: impl FnOnce(Config) -> Config) -> World {
        fastrand::seed(seed);
        let config = settings(Config::default());
        let sim = SimBackend::new(model, seed);
        let client = Client::builder().config(config.clone()).build().unwrap();
        let url = "oci://bucket@namespace/".parse().unwrap();
        let store =
            Store::new(Target::new(client.context(), Arc::new(sim.clone()), &url, &config, &[]));
        World { sim, client, store }
    }

    fn reader(&self, policy: ReadPolicy) -> Reader {
        self.store.reader("k", ReadOptions::new().policy(policy))
    }

    fn requests(&self) -> usize {
        self.sim.served().len()
    }

    fn bytes_sent(&self) -> u64 {
        self.sim.served().iter().map(|served| served.sent).sum()
    }
}

fn is_right(bytes: &[u8], range: Range<u64>) -> bool {
    bytes == SimBackend::bytes(range)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    sorted[((sorted.len() as f64 * quantile).ceil() as usize).clamp(1, sorted.len()) - 1]
}

// ---- sequential ----------------------------------------------------------------------------------------------------

const SCAN: u64 = 512 * MIB;

/// Bytes at the rate of all streams, and one median first byte.
fn ideal() -> f64 {
    SCAN as f64 / 1e9 + 0.027
}

#[tokio::test(start_paused = true)]
async fn a_stream_comes_near_the_ideal() {
    scan(true).await;
    scan(false).await;
}

async fn scan(size_known: bool) {
    let mut ratios = Vec::new();
    for seed in 0..SEEDS {
        let world = World::new(seed);
        world.sim.object("k", SCAN);
        let options = ReadOptions::new().policy(ReadPolicy::Sequential);
        let options = if size_known { options.size(SCAN) } else { options };
        let reader = world.store.reader("k", options);
        let begun = Instant::now();
        let mut stream = reader.stream(..);
        let mut at = 0;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.unwrap();
            assert!(seed > 0 || is_right(&bytes, at..at + bytes.len() as u64), "at {at}");
            at += bytes.len() as u64;
        }
        assert_eq!(at, SCAN);
        ratios.push(seconds(begun) / ideal());
        assert_eq!(world.bytes_sent(), SCAN, "nothing is asked for twice");
        if seed == 0 {
            let (_, window) = world.client.context().admission().held();
            let (requests, streams) = (world.requests(), world.sim.most_streams());
            println!("stream: {requests} requests, {streams} streams, window {} MiB", window / MIB);
        }
    }
    let ratios = sorted(ratios);
    let (median, worst) = (quantile(&ratios, 0.5), quantile(&ratios, 1.0));
    let known = if size_known { "known" } else { "unknown" };
    println!(
        "stream of 512 MiB, size {known}, ÷ ideal {:.3} s: median {median:.3}, worst {worst:.3}",
        ideal()
    );
    assert!(median <= 1.15 && worst <= 1.4);
}

#[tokio::test(start_paused = true)]
async fn reads_in_a_row_are_followed() {
    let mut ratios = Vec::new();
    for seed in 0..SEEDS {
        let world = World::new(seed);
        world.sim.object("k", SCAN);
        let reader = world.reader(ReadPolicy::Adaptive);
        let begun = Instant::now();
        for at in (0..SCAN).step_by(MIB as usize) {
            let bytes = reader.read_at(at..at + MIB).await.unwrap();
            assert!(bytes.len() as u64 == MIB && (seed > 0 || is_right(&bytes, at..at + MIB)));
        }
        ratios.push(seconds(begun) / ideal());
        assert_eq!(world.bytes_sent(), SCAN, "nothing is asked for twice");
        if seed == 0 {
            let (_, window) = world.client.context().admission().held();
            let (requests, streams) = (world.requests(), world.sim.most_streams());
            let ahead = world.client.metrics().readahead();
            println!(
                "adaptive: {requests} requests, {streams} streams, window {} MiB, {ahead:?}",
                window / MIB
            );
        }
    }
    let ratios = sorted(ratios);
    let (median, worst) = (quantile(&ratios, 0.5), quantile(&ratios, 1.0));
    println!("512 reads of 1 MiB ÷ ideal: median {median:.3}, worst {worst:.3}");
    assert!(median <= 1.5);
}

// ---- random --------------------------------------------------------------------------------------------------------

fn random_ranges(seed: u64, count: usize, length: u64, size: u64) -> Vec<Range<u64>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let starts = (0..count).map(|_| random.u64(0..size - length));
    starts.map(|start| start..start + length).collect()
}

/// Without hedges, so that request by request the same is drawn for both.
#[tokio::test(start_paused = true)]
async fn random_reads_are_never_slower_than_plain_gets_and_waste_nothing() {
    let size = 4096 * MIB;
    let (mut reads, mut slower) = (0, 0.0f64);
    for seed in 0..SEEDS {
        let ranges = random_ranges(seed, 200, 64 * KIB, size);
        let ours = World::with(&model(), seed, |config| config.hedge_at(0u32));
        ours.sim.object("k", size);
        let reader = ours.reader(ReadPolicy::Adaptive);
        let plain = World::with(&model(), seed, |config| config.hedge_at(0u32));
        plain.sim.object("k", size);
        for range in &ranges {
            let begun = Instant::now();
            let got = plain.store.get("k", GetOptions::new().range(range.clone())).await.unwrap();
            got.bytes().await.unwrap();
            let gotten = seconds(begun);
            let begun = Instant::now();
            let bytes = reader.read_at(range.clone()).await.unwrap();
            assert!(is_right(&bytes, range.clone()));
            slower = slower.max(seconds(begun) - gotten);
            reads += 1;
        }
        assert_eq!(ours.requests(), ranges.len());
        // Where two ranges overlap, the second asks for the rest alone.
        assert!(ours.bytes_sent() <= ranges.len() as u64 * 64 * KIB, "no byte in vain");
    }
    println!("{reads} random reads: slower than a plain GET by {:.3} ms at most", slower * 1e3);
    // The runtime's timers count milliseconds; the two are not begun at the same fraction of one.
    assert!(slower <= 0.001);
}

// ---- patterns ------------------------------------------------------------------------------------------------------

fn patterns() -> serde_json::Value {
    let path = "fixtures/patterns.json";
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn ranges_of(pairs: &serde_json::Value) -> Vec<Range<u64>> {
    let pair = |pair: &serde_json::Value| {
        let start = pair[0].as_u64().unwrap();
        start..start + pair[1].as_u64().unwrap()
    };
    pairs.as_array().unwrap().iter().map(pair).collect()
}

fn baskets() -> (u64, Vec<Range<u64>>) {
    let root = &patterns()["root"];
    let branches = root["branches"].as_object().unwrap().values();
    (root["size"].as_u64().unwrap(), branches.flat_map(ranges_of).collect())
}

fn check_root(world: &World, how: &str, baskets: &[Range<u64>], begun: Instant) {
    let needed: u64 = baskets.iter().map(|range| range.end - range.start).sum();
    let ratio = world.bytes_sent() as f64 / needed as f64;
    let (requests, time) = (world.requests(), seconds(begun));
    println!("root, {how}: {requests} requests, {ratio:.3} × the bytes, {time:.3} s");
    assert!(requests <= 12 && ratio <= 1.3);
}

#[tokio::test(start_paused = true)]
async fn baskets_at_once_or_hinted_are_few_requests() {
    let (size, baskets) = baskets();
    assert_eq!(baskets.len(), 35);
    for seed in 0..SEEDS {
        let world = World::new(seed);
        world.sim.object("k", size);
        let begun = Instant::now();
        let all = world.reader(ReadPolicy::Adaptive).read_ranges(&baskets).all().await.unwrap();
        for (bytes, range) in all.iter().zip(&baskets) {
            assert!(is_right(bytes, range.clone()));
        }
        check_root(&world, "at once", &baskets, begun);

        let world = World::new(seed);
        world.sim.object("k", size);
        let reader = world.reader(ReadPolicy::Adaptive);
        let begun = Instant::now();
        reader.hint(&baskets);
        for range in &baskets {
            assert!(is_right(&reader.read_at(range.clone()).await.unwrap(), range.clone()));
        }
        check_root(&world, "hinted", &baskets, begun);
        assert_eq!(world.client.metrics().readahead().wasted_bytes, 0);
    }
}

/// Runs of told ranges look as if they went on.
#[tokio::test(start_paused = true)]
async fn hints_disable_automatic_prefetch() {
    let world = World::new(1);
    world.sim.object("k", 256 * MIB);
    let run = |start: u64| (0..8).map(move |at| start * MIB + at * MIB / 4);
    let starts = [0, 40, 80, 120, 160, 200].into_iter().flat_map(run);
    let told: Vec<_> = starts.map(|start| start..start + MIB / 4).collect();
    let reader = world.reader(ReadPolicy::Adaptive);
    reader.hint(&told);
    for range in &told {
        assert!(is_right(&reader.read_at(range.clone()).await.unwrap(), range.clone()));
    }
    assert_eq!((world.requests(), world.bytes_sent()), (6, 12 * MIB));
}

#[tokio::test(start_paused = true)]
async fn far_ranges_are_all_asked_for_at_the_first_poll() {
    let world = World::new(1);
    world.sim.object("k", 1024 * MIB);
    let far: Vec<_> = (0..10).map(|number| number * 100 * MIB..number * 100 * MIB + MIB).collect();
    let mut ranges = world.reader(ReadPolicy::Adaptive).read_ranges(&far);
    assert!(ranges.next().now_or_never().is_none());
    assert_eq!(
        world.client.context().admission().held().0,
        10 * MIB,
        "with room, nobody stands in line"
    );
    assert_eq!(ranges.all().await.unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn columns_of_parquet_are_a_request_each_and_no_head() {
    let parquet = &patterns()["parquet"];
    let size = parquet["size"].as_u64().unwrap();
    let footer = ranges_of(&serde_json::json!([parquet["footer"]])).remove(0);
    let groups: Vec<_> = parquet["row_groups"].as_array().unwrap().iter().map(ranges_of).collect();
    let needed = parquet["bytes_needed"].as_u64().unwrap() + (footer.end - footer.start);
    for (seed, known) in (0..SEEDS).flat_map(|seed| [(seed, false), (seed, true)]) {
        let world = World::new(seed);
        world.sim.object("k", size);
        let options = ReadOptions::new().policy(ReadPolicy::Parquet);
        let options = if known { options.size(size) } else { options };
        let reader = world.store.reader("k", options);
        let begun = Instant::now();
        if known {
            // As readers do: the length of the footer first.
            let end = reader.read_at(size - 8..size).await.unwrap();
            assert!(is_right(&end, size - 8..size));
        }
        assert!(is_right(&reader.read_at(footer.clone()).await.unwrap(), footer.clone()));
        for group in &groups {
            for (bytes, range) in reader.read_ranges(group).all().await.unwrap().iter().zip(group) {
                assert!(is_right(bytes, range.clone()));
            }
        }
        let (requests, ratio) = (world.requests(), world.bytes_sent() as f64 / needed as f64);
        let heads = world.sim.served().iter().filter(|served| served.method == "HEAD").count();
        if seed == 0 {
            let time = seconds(begun);
            println!("parquet: {requests} requests, {ratio:.4} × the bytes, {time:.3} s");
        }
        assert!(requests <= 13 && ratio <= 1.05 && heads == 0);
    }
}

// ---- hedging -------------------------------------------------------------------------------------------------------

#[derive(Debug)]
struct Tail {
    p999: f64,
    median: f64,
    requests: usize,
}

/// Reads one after another, by clients of `seeds`, as long as a client lives: the quantiles of them all.
async fn tail(
    length: u64,
    count: usize,
    hedge_at: u32,
    stall: fn(Duration) -> Option<Fault>,
) -> Tail {
    let (mut times, mut requests) = (Vec::new(), 0);
    for seed in 0..SEEDS {
        let world = World::with(&model(), seed, |config| config.hedge_at(hedge_at));
        let size = 4096 * MIB;
        world.sim.object("k", size);
        let mut random = std::sync::Mutex::new(fastrand::Rng::with_seed(seed ^ 0xbeef));
        let one_in_a_hundred = move |_: usize, _: &Range<u64>| {
            let hit = random.get_mut().unwrap().u32(0..100) == 0;
            if hit { stall(Duration::from_secs(1)) } else { None }
        };
        let one_in_a_hundred = std::sync::Mutex::new(one_in_a_hundred);
        world.sim.faults(move |number, range| (one_in_a_hundred.lock().unwrap())(number, range));
        let reader = world.reader(ReadPolicy::Random);
        // A client that has no measurements, and has made too few requests for a hedge, is not what is asked about.
        for range in random_ranges(!seed, 200, 64 * KIB, size) {
            reader.read_at(range).await.unwrap();
        }
        for range in random_ranges(seed, count, length, size) {
            let begun = Instant::now();
            reader.read_at(range).await.unwrap();
            times.push(seconds(begun));
        }
        requests += world.requests();
    }
    let times = sorted(times);
    Tail { p999: quantile(&times, 0.999), median: quantile(&times, 0.5), requests }
}

#[tokio::test(start_paused = true)]
async fn hedges_take_the_stalls_out_of_the_tail() {
    for (length, count) in [(64 * KIB, 1_000), (8 * MIB, 50)] {
        let calm = tail(length, count, 0, |_| None).await;
        let off = tail(length, count, 0, |stall| Some(Fault::StallHead(stall))).await;
        let on = tail(length, count, 97, |stall| Some(Fault::StallHead(stall))).await;
        let body_off = tail(length, count, 0, |stall| Some(Fault::StallBody(stall))).await;
        let body_on = tail(length, count, 97, |stall| Some(Fault::StallBody(stall))).await;
        println!("reads of {} KiB, {} of them", length / KIB, count * SEEDS as usize);
        for (what, tail) in [
            ("no stalls, no hedges", &calm),
            ("1 % stalled 1 s before the first byte, no hedges", &off),
            ("the same, hedged at p97", &on),
            ("1 % stalled 1 s in mid-body, no hedges", &body_off),
            ("the same, hedged at p97", &body_on),
        ] {
            let Tail { p999, median, requests } = tail;
            println!("  p50 {median:.3} s, p99.9 {p999:.3} s, {requests} requests: {what}");
        }
        assert!(on.p999 <= calm.p999);
        assert!(on.requests as f64 <= off.requests as f64 * 1.05);
    }
}

// ---- the budget ----------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn many_readers_share_a_small_budget_and_none_starves() {
    let budget = 64 * MIB;
    let world = World::with(&model(), 1, |config| config.read_budget(budget));
    world.sim.object("k", 1024 * MIB);
    let readers = (0..64u64).map(|number| {
        let reader = world.reader(ReadPolicy::Adaptive);
        async move {
            let mut waits = Vec::new();
            for step in 0..16 {
                let start = number * 16 * MIB + step * MIB;
                let begun = Instant::now();
                let bytes = reader.read_at(start..start + MIB).await.unwrap();
                waits.push(seconds(begun));
                assert!(is_right(&bytes, start..start + MIB));
            }
            waits
        }
    });
    let waits = sorted(join_all(readers).await.concat());
    let (held, most) = world.client.context().admission().held();
    let (median, longest) = (quantile(&waits, 0.5), quantile(&waits, 1.0));
    println!(
        "64 readers, {} MiB: {} MiB held at most, waits: median {median:.3} s, longest {longest:.3} s, ratio {:.1}",
        budget / MIB,
        most / MIB,
        longest / median
    );
    assert!(most <= budget && held <= budget);
}

#[tokio::test(start_paused = true)]
async fn a_read_larger_than_the_budget_proceeds_in_parts() {
    let world = World::with(&model(), 1, |config| config.read_budget(16 * MIB));
    world.sim.object("k", 100 * MIB);
    let reader = world.reader(ReadPolicy::Random);
    let bytes = reader.read_at(0..100 * MIB).await.unwrap();
    assert!(is_right(&bytes, 0..100 * MIB));
    let mut into = vec![0; 100 * MIB as usize];
    assert_eq!(reader.read_into(0, &mut into).await.unwrap(), into.len());
    assert_eq!(into, bytes);
    let (held, most) = world.client.context().admission().held();
    assert!(most <= 16 * MIB && held == 0, "{held} {most}");
}
