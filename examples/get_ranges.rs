// SPDX-License-Identifier: Apache-2.0
//! Reads many ranges of an object at once, and tells how long that took: what the wheel's `get_ranges` is compared with
//! (`benches/python/get_ranges.py`).
//!
//! ```text
//! cargo run --profile ci --example get_ranges -- oci://lake@ns/object 1000 65536 262144      # count, bytes, every so many
//! ```

use std::time::Instant;
use storescope::{Client, ReadOptions, StoreOptions, StoreUrl};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, count, bytes, every] = &arguments[..] else {
        return Err("expected: URL COUNT BYTES EVERY".into());
    };
    let (count, bytes, every): (u64, u64, u64) = (count.parse()?, bytes.parse()?, every.parse()?);
    let url: StoreUrl = url.parse()?;
    let store = Client::global()?.store(&url.with_key(""), StoreOptions::new())?;
    let ranges: Vec<_> = (0..count).map(|at| at * every..at * every + bytes).collect();
    for _ in 0..5 {
        let begun = Instant::now();
        let read = store.reader(url.key(), ReadOptions::new()).read_ranges(&ranges).all().await?;
        assert_eq!(read.iter().map(|bytes| bytes.len() as u64).sum::<u64>(), count * bytes);
        println!("{}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
