// SPDX-License-Identifier: Apache-2.0
//! The tracing span of each attempt.

use crate::common::{World, pattern, read, status};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use storescope::PutOptions;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Span = BTreeMap<String, String>;

/// Takes down the fields of spans, and when they close.
#[derive(Clone, Debug, Default)]
struct Spans {
    last: Arc<AtomicU64>,
    spans: Arc<Mutex<BTreeMap<u64, Span>>>,
}

struct Fields<'a>(&'a mut Span);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.to_string(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.to_string(), format!("{value:?}"));
    }
}

impl Spans {
    fn change(&self, id: &Id, change: impl FnOnce(&mut Span)) {
        change(self.spans.lock().unwrap().entry(id.into_u64()).or_default());
    }

    fn all(&self) -> Vec<Span> {
        self.spans.lock().unwrap().values().cloned().collect()
    }
}

impl Subscriber for Spans {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.is_span() && about.target().starts_with("storescope")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = Id::from_u64(self.last.fetch_add(1, Relaxed) + 1);
        self.change(&id, |span| attributes.record(&mut Fields(span)));
        id
    }

    fn record(&self, id: &Id, record: &Record<'_>) {
        self.change(id, |span| record.record(&mut Fields(span)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

async fn spans_of(world: &World) -> Vec<Span> {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    world.store.put("k", pattern(50_000), PutOptions::new()).await.unwrap();
    world.fault(status(503).count(1));
    read(&world.store, "k").await.unwrap();
    spans.all()
}

fn outcomes(spans: &[Span]) -> Vec<(&str, &str)> {
    spans.iter().map(|span| (span["operation"].as_str(), span["outcome"].as_str())).collect()
}

#[tokio::test]
async fn each_attempt_has_a_span_with_its_end_and_its_phases() {
    let world = World::impatient(3);
    let spans = spans_of(&world).await;
    assert_eq!(outcomes(&spans), [("put", "ok"), ("get", "server"), ("get", "ok")]);
    let lines = world.record();
    for (span, line) in spans.iter().zip(&lines) {
        assert_eq!(Some(&span["client_request_id"]), line.client_request_id.as_ref());
        assert_eq!((span["key"].as_str(), span["hedge"].as_str()), ("k", "false"));
    }
    let read = &spans[2];
    assert_eq!((read["connection"].as_str(), read["bytes"].as_str()), ("reused", "50000"));
    let ns = |name: &str| read[name].parse::<u64>().unwrap();
    let parts: u64 = read
        .keys()
        .filter(|name| name.ends_with("_ns") && *name != "total_ns")
        .map(|name| ns(name))
        .sum();
    assert!(ns("ttfb_ns") > 0 && read.contains_key("body_ns"), "{read:?}");
    assert!(parts <= ns("total_ns"), "{read:?}");
}

#[tokio::test]
async fn without_timing_a_span_still_tells_the_outcome() {
    let world = World::with(|config| config.timing(false).backoff_base(crate::common::ms(1)));
    let spans = spans_of(&world).await;
    assert_eq!(outcomes(&spans), [("put", "ok"), ("get", "server"), ("get", "ok")]);
    assert!(!spans[0].contains_key("total_ns"));
}
