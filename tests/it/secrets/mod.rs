// SPDX-License-Identifier: Apache-2.0
//! Nothing that the library tells holds what it signs with: keys, passphrases, tokens, and signatures that another could
//! send again. Every kind of principal succeeds and fails while all that there is to hear is listened to: errors with
//! their chains, `Debug`, logs of every crate at their lowest level, snapshots in every format, traces.

mod kinds;
mod needles;

use crate::common::{self, BUCKET, all_text, client, impatient, pattern, read, status, store_at};
use futures_util::StreamExt as _;
use kinds::Kind;
use needles::{Needles, Relay};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storescope::config::Secret;
use storescope::timing::prometheus_text;
use storescope::{
    Client, Config, Credential, DeleteOptions, ListOptions, PutOptions, ReadOptions, RenameOptions,
    Store, StoreOptions, StoreUrl,
};
use storescope_emulator::{Action, Fault};
use storescope_trace::{Options, TraceReader};

/// What this thread logs, of every crate and at every level, spans included.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl Everything {
    fn note(&self, about: &tracing::Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("\n{} {} {}", about.level(), about.target(), about.name()));
        record(&mut line);
        self.0.lock().unwrap().push_str(&line.0);
    }
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Everything {
    /// The AWS SDK logs its requests with their signatures at `TRACE` (SECURITY.md).
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        *about.level() <= tracing::Level::DEBUG || !about.target().starts_with("aws_")
    }

    fn new_span(&self, about: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.note(about.metadata(), |line| about.record(line));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, fields: &tracing::span::Record<'_>) {
        let mut line = Line("\n".to_owned());
        fields.record(&mut line);
        self.0.lock().unwrap().push_str(&line.0);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.note(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What was told, each with what told it.
#[derive(Default)]
struct Told(Vec<(String, String)>);

impl Told {
    fn of(&mut self, what: impl Into<String>, text: impl Into<String>) {
        self.0.push((what.into(), text.into()));
    }

    fn failure<T>(&mut self, what: &str, outcome: storescope::Result<T>) {
        if let Err(error) = outcome {
            self.of(format!("the error of {what}"), all_text(&error));
            self.of(format!("the line of {what}"), std::io::Error::from(error).to_string());
        }
    }
}

/// Every kind of call, whatever it answers.
async fn calls(store: &Store, told: &mut Told) -> bool {
    let put = store.put("dir/k", pattern(3_000), PutOptions::new()).await;
    let works = put.is_ok();
    told.failure("put", put);
    told.failure("get", read(store, "dir/k").await);
    told.failure("get of a range", common::read_range(store, "dir/k", 5..10).await);
    told.failure("get of it again", common::read_range(store, "dir/k", 7..10).await);
    told.failure("head", store.head("dir/k").await);
    told.failure("head of what is absent", store.head("absent").await);
    let reader = store.reader("dir/k", ReadOptions::new());
    told.of("a reader", format!("{reader:?}"));
    let mut listed = store.list("dir/", ListOptions::new());
    while let Some(entry) = listed.next().await {
        told.failure("list", entry);
    }
    told.failure("rename", store.rename("dir/k", "dir/l", RenameOptions::new()).await);
    told.failure("delete", store.delete("dir/l", DeleteOptions::new()).await);
    works
}

fn debug(kind: &Kind, client: &Client, store: &Store, told: &mut Told) {
    let Kind { config, options, url, .. } = kind;
    told.of("Debug of the settings", format!("{config:?} {config:#?} {options:?} {options:#?}"));
    told.of("Debug of the client", format!("{client:?} {client:#?}"));
    told.of("Debug of the store", format!("{store:?} {store:#?} {url:?} {url}"));
    told.of("the metrics", format!("{:?} {:#?}", client.metrics(), client.metrics().snapshot()));
    let builder = Client::builder().config(config.clone());
    told.of("Debug of a builder", format!("{builder:?}"));
}

fn exports(client: &Client, told: &mut Told) {
    let snapshot = client.metrics().snapshot();
    assert!(!snapshot.is_empty());
    told.of("JSON", snapshot.to_json().to_string());
    told.of(".hlog", snapshot.to_hlog());
    told.of("Prometheus", prometheus_text(&snapshot));
    #[cfg(feature = "report")]
    told.of("the report", snapshot.to_html("a run"));
}

/// Makes a kind of principal succeed, and fail in each way, and gives all that was told of it.
async fn all_that_is_told(kind: &Kind, folder: &std::path::Path) -> Told {
    let mut told = Told::default();
    let trace = folder.join(kind.name);
    let config = impatient(kind.config.clone(), 2).trace(trace.clone());
    let client = client(config);
    let store = client.store(&kind.url, kind.options.clone()).unwrap();
    let works = calls(&store, &mut told).await;
    assert_eq!(works, kind.works, "{}", kind.name);
    for fault in [status(503), status(401), Fault::new(Action::Reset)] {
        let fault = kind.emulator.fault(fault);
        calls(&store, &mut told).await;
        kind.emulator.admin().remove_fault(fault);
    }
    kind.emulator.admin().expire_tokens();
    calls(&store, &mut told).await;
    debug(kind, &client, &store, &mut told);
    exports(&client, &mut told);
    drop(store);
    Client::flush_traces(Duration::from_secs(10));
    let traced = TraceReader::open_with(&trace, &Options::new()).unwrap();
    let traced: Vec<String> = traced.map(|entry| format!("{:?}", entry.unwrap())).collect();
    assert!(!kind.works || !traced.is_empty(), "{}", kind.name);
    told.of("the trace", traced.join("\n"));
    told
}

async fn nothing_of_it_is_told(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let log = Everything::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let mut told = all_that_is_told(&kind, folder.path()).await;
    drop(guard);
    told.of("the log", log.0.lock().unwrap().clone());
    let mut needles = kind.needles();
    let sent = needles.add_sent(&kind.relays);
    // A pre-authenticated request is its own proof, and without a key there is none.
    assert_eq!(sent > 0, kind.signs, "{}: {sent} proofs were sent", kind.name);
    let heard: usize = told.0.iter().map(|(_, text)| text.len()).sum();
    assert!(heard > 10_000, "{}: only {heard} bytes were told", kind.name);
    for (what, text) in &told.0 {
        if let Some(found) = needles.found_in(text) {
            panic!("{}: {what} holds {found}: {text}", kind.name);
        }
    }
}

macro_rules! kinds {
    ($($test:ident: $kind:expr;)+) => {
        $(
            #[tokio::test]
            async fn $test() {
                nothing_of_it_is_told($kind).await;
            }
        )+
    };
}

kinds! {
    an_api_key: kinds::profile("DEFAULT", true);
    a_wrong_api_key: kinds::profile("WRONG", false);
    a_session_token: kinds::profile("SESSION", true);
    an_expired_token: kinds::profile("EXPIRED", false);
    a_delegation_token: kinds::profile("DELEGATED", true);
    an_encrypted_key_and_its_passphrase: kinds::encrypted();
    an_instance: kinds::instance();
    a_delegated_instance: kinds::delegated_instance();
    a_workload: kinds::workload();
    an_exchanged_token: kinds::exchanged(true);
    a_refused_exchange: kinds::exchanged(false);
    a_pre_authenticated_request: kinds::pre_authenticated();
    a_proxy_with_a_password: kinds::proxied();
}

#[cfg(feature = "s3")]
kinds! {
    an_access_key: kinds::access_key(None, true);
    a_session_of_s3: kinds::access_key(Some("FwoGZXIvYXdzEXAMPLEsession/token+of=s3"), true);
    a_wrong_access_key: kinds::access_key(None, false);
}

/// Runs in a process of its own, whose environment says who signs.
#[tokio::test]
#[ignore = "run by `a_resource_of_each_version`"]
async fn a_resource() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let mut told = Told::default();
    let config = impatient(Config::from_env().unwrap(), 2);
    let store = store_at(&client(config.clone()), &variable("TEST_URL"));
    let log = Everything::default();
    let guard = tracing::subscriber::set_default(log.clone());
    assert!(calls(&store, &mut told).await, "{:?}", told.0);
    told.failure("a bucket that is not there", {
        let other = variable("TEST_URL").replace(BUCKET, "absent");
        read(&store_at(&client(config.clone()), &other), "k").await
    });
    drop(guard);
    told.of("the settings", format!("{config:?}"));
    told.of("the log", log.0.lock().unwrap().clone());
    // By the other process, which knows the secrets.
    for (what, text) in told.0 {
        println!("{what}: {text}");
    }
}

#[test]
fn a_resource_of_each_version() {
    let emulator = common::emulator();
    let identity = &emulator.ready().identity;
    let home = tempfile::tempdir().unwrap();
    let mut ran = 0;
    for (name, variables) in &identity.environment {
        if !name.starts_with("resource_") || name == "resource_3.0" {
            continue;
        }
        let store = Relay::to(&emulator.ready().oci.endpoint);
        let relay = Relay::to(&identity.endpoint);
        let here = |value: &String| value.replace(&identity.endpoint, &relay.endpoint());
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "secrets::a_resource", "--ignored", "--nocapture"])
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, here(value))))
            .env("HOME", home.path())
            .env("RUST_BACKTRACE", "full")
            .env("STORESCOPE_AUTH", "resource_principal")
            .env("STORESCOPE_ENDPOINT", store.endpoint())
            .env("TEST_URL", common::bucket_url(&emulator))
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(output.status.success(), "{name}: {told}");
        let mut needles = Needles::default();
        for value in variables.values() {
            // A value, or the file that has it.
            let file = std::fs::read_to_string(value);
            needles.add_key_or_token(name, file.as_deref().unwrap_or_default());
        }
        assert!(needles.add_sent(&[store, relay]) > 0, "{name}");
        if let Some(found) = needles.found_in(&told) {
            panic!("{name}: {found} in {told}");
        }
        ran += 1;
    }
    assert!(ran >= 5, "{ran}");
}

/// A server, or a proxy before it, that answers with the headers that it received.
#[tokio::test]
async fn a_server_that_repeats_the_signature_is_not_quoted() {
    use common::server::{answering, reply};
    let emulator = common::emulator();
    let endpoint = answering(|asked| {
        let proof = asked.header("authorization").unwrap_or_default();
        let token = asked.header("x-amz-security-token").unwrap_or_default();
        let said = format!("bad request; authorization: {proof} x-amz-security-token: {token}");
        let json = serde_json::json!({ "code": "BadRequest", "message": said }).to_string();
        let xml = said.replace('"', "&quot;");
        let xml = format!("<Error><Code>BadRequest</Code><Message>{xml}</Message></Error>");
        let body = if proof.starts_with("AWS4") { xml } else { json };
        reply("400 Bad Request", "", &body).unwrap().into_bytes()
    });
    for store in common::stores_of(&emulator, &endpoint) {
        let error = read(&store, "k").await.unwrap_err();
        let text = all_text(&error);
        assert!(error.to_string().contains("bad request"), "{text}");
        for mark in ["signature=\"", "Signature=", "ST$", "AWS4-HMAC"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
    }
}

#[test]
fn public_types_that_hold_secrets_do_not_show_them() {
    let emulator = common::emulator();
    let folder = kinds::folder(&emulator);
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (key, token) = (text("session_key.pem"), text("token"));
    let mut needles = Needles::default();
    needles.add_key_or_token("the key", &key);
    needles.add_key_or_token("the token", &token);
    needles.add("the passphrase", "correct-horse-battery");
    let session = Credential::session(&token, &key, None).unwrap().on_behalf_of(&token);
    let by_key = Credential::api_key("t", "u", "f", &key, Some("correct-horse-battery")).unwrap();
    let mut config = Config::default();
    for setting in storescope::config::SETTINGS.iter().filter(|setting| setting.secret) {
        config.set(setting.name, &key).unwrap();
    }
    let options = StoreOptions::new()
        .set("key_content", key.clone())
        .set("pass_phrase", "correct-horse-battery")
        .set("no_such_setting", token.clone());
    let url: StoreUrl = format!("https://host/p/{}/n/ns/b/b/o/k", token.trim()).parse().unwrap();
    let secret = Secret::from(key.clone());
    let bad = format!("https://host/p/{}/n", token.trim()).parse::<StoreUrl>().unwrap_err();
    let refused = Credential::session(&token, &key[..key.len() / 2], None).unwrap_err();
    let told = format!(
        "{session:?} {by_key:?} {config:?} {options:?} {url:?} {url} {secret:?} {} {}",
        all_text(&bad),
        all_text(&refused)
    );
    assert_eq!(needles.found_in(&told), None, "{told}");
}
