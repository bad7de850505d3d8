// SPDX-License-Identifier: Apache-2.0
//! Numbers for scripts: one object a key. Times are nanoseconds and say so.

use crate::timing::{Distribution, Snapshot};
use serde_json::{Map, Value, json};

pub(super) fn encode(snapshot: &Snapshot) -> Value {
    let keys: Map<String, Value> = snapshot
        .iter()
        .map(|(key, distribution)| (key.to_string(), figures(distribution, key.phase.is_bytes())))
        .collect();
    json!({
        "schema": 1,
        "elapsed_ms": snapshot.elapsed().as_secs_f64() * 1e3,
        "dropped_keys": snapshot.dropped_keys(),
        "keys": keys,
    })
}

fn figures(distribution: &Distribution, bytes: bool) -> Value {
    let suffix = if bytes { "_bytes" } else { "_ns" };
    let mut figures = Map::new();
    figures.insert("count".into(), distribution.count().into());
    let mut put = |name: &str, value: u64| figures.insert(format!("{name}{suffix}"), value.into());
    put("sum", distribution.sum());
    put("min", distribution.min());
    put("max", distribution.max());
    for (name, quantile) in
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)]
    {
        put(name, distribution.quantile(quantile));
    }
    Value::Object(figures)
}
