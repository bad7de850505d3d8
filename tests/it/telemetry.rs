// SPDX-License-Identifier: Apache-2.0
//! What a client tells of itself: the scrape endpoint, the interval log, OTLP pushes.

use crate::common::{World, block_on, ms, pattern, raw_server, read, until};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storescope::timing::{Level, Operation, Outcome, Phase, Snapshot};
use storescope::{Client, Config, ErrorKind, PutOptions};

const GRACE: Duration = Duration::from_secs(20);

fn client(settings: impl FnOnce(Config) -> Config) -> storescope::Result<Client> {
    Client::builder().config(settings(Config::default())).build()
}

fn listening(at: &str) -> storescope::Result<Client> {
    client(|mut config| {
        config.set("metrics_endpoint", at).unwrap();
        config
    })
}

fn address(client: &Client) -> SocketAddr {
    client.metrics_address().expect("it listens")
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Head and body of the answer to one request. By a thread's own socket: no runtime takes part.
fn ask(at: SocketAddr, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: {at}\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end..].to_vec())
}

fn get(at: SocketAddr, path: &str) -> String {
    let (head, body) = ask(at, "GET", path, "");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    String::from_utf8(body).unwrap()
}

fn puts(snapshot: &Snapshot) -> u64 {
    snapshot.attempts(Operation::Put, Phase::Total, Outcome::Ok).map_or(0, |times| times.count())
}

/// The same keys with the same counts and sums.
fn assert_alike(one: &Snapshot, other: &Snapshot) {
    assert!(one.iter().map(|(key, _)| key).eq(other.iter().map(|(key, _)| key)));
    for ((key, one), (_, other)) in one.iter().zip(other.iter()) {
        assert!(one.buckets().eq(other.buckets()) && one.sum() == other.sum(), "{key}");
    }
}

/// How many successful puts the text of an endpoint counts.
fn scraped_puts(text: &str) -> u64 {
    let wanted =
        "storescope_phase_seconds_count{level=\"attempt\",operation=\"put\",phase=\"total\"";
    let lines = text.lines().filter(|line| line.starts_with(wanted));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn the_endpoint_tells_what_the_client_recorded() {
    let world = World::with(|config| config.metrics_endpoint(storescope::config::Listen::from(0)));
    world.store.put("k", pattern(5_000), PutOptions::new()).await.unwrap();
    read(&world.store, "k").await.unwrap();
    let at = address(&world.client);
    assert!(at.ip().is_loopback());
    let text = get(at, "/metrics");
    assert_eq!(scraped_puts(&text), 1, "{text}");
    assert!(text.contains("\nstorescope_calls_in_flight 0\n"), "{text}");
    assert!(text.contains("\nstorescope_connections_open 1\n"), "{text}");
    let log = Snapshot::from_hlog(&get(at, "/hlog")).unwrap();
    let recorded = world.client.metrics().snapshot();
    assert_alike(&log, &recorded);
    let json: serde_json::Value = serde_json::from_str(&get(at, "/json")).unwrap();
    assert_eq!(json["keys"].as_object().unwrap().len(), recorded.iter().count());
    let put = recorded.iter().find(|(key, _)| key.phase == Phase::Ttfb).unwrap();
    assert_eq!(get(at, &format!("/hgrm/{}", put.0)), put.1.to_hgrm());
    assert!(get(at, "/").contains("/metrics"));
}

#[test]
fn the_form_is_negotiated_and_only_get_and_head_are_answered() {
    let client = listening("0").unwrap();
    let at = address(&client);
    let kind = |accept: &str| {
        let (head, _) = ask(at, "GET", "/metrics", &format!("accept: {accept}\r\n"));
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
        kind.unwrap().split(';').next().unwrap().to_owned()
    };
    assert_eq!(kind("*/*"), "text/plain");
    assert_eq!(kind("application/openmetrics-text;version=1.0.0"), "application/openmetrics-text");
    let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    assert_eq!(
        kind(&format!("text/plain;q=0.5\r\naccept: {native}")),
        "application/vnd.google.protobuf"
    );
    let (head, body) = ask(at, "HEAD", "/metrics", "");
    assert!(head.starts_with("http/1.1 200 ") && body.is_empty(), "{head}");
    let (head, _) = ask(at, "POST", "/metrics", "content-length: 0\r\n");
    assert!(head.starts_with("http/1.1 405 ") && head.contains("allow: get, head"), "{head}");
    assert!(ask(at, "GET", "/other", "").0.starts_with("http/1.1 404 "));
    let long = format!("x: {}\r\n", "y".repeat(20_000));
    assert!(ask(at, "GET", "/metrics", &long).0.starts_with("http/1.1 431 "));
}

#[test]
fn a_port_of_another_process_is_an_error_with_the_way_out_and_a_range_goes_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = listening(&port.to_string()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("range"), "{text}");
    let last = port.saturating_add(20);
    let client = listening(&format!("{port}-{last}")).unwrap();
    assert!((port + 1..=last).contains(&address(&client).port()));
    let error = listening("192.0.2.1:9464").unwrap_err();
    assert!(error.to_string().contains("192.0.2.1:9464"), "{error}");
}

#[tokio::test]
async fn clients_of_one_address_share_it_and_no_counter_falls() {
    let listen = storescope::config::Listen::from(free_port());
    let first = World::with(|config| config.metrics_endpoint(listen));
    let second = World::with(|config| config.metrics_endpoint(listen));
    let at = address(&first.client);
    assert_eq!(address(&second.client), at);
    for world in [&first, &second, &second] {
        world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    }
    assert_eq!(scraped_puts(&get(at, "/metrics")), 3);
    drop(second);
    assert_eq!(scraped_puts(&get(at, "/metrics")), 3, "what a client recorded stays");
    drop(first);
    assert!(TcpStream::connect(at).is_err(), "the last client closes it");
    // And the port can be had again at once.
    assert_eq!(address(&client(|config| config.metrics_endpoint(listen)).unwrap()), at);
}

#[test]
fn the_endpoint_needs_no_runtime_of_the_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async { listening("0").unwrap() });
    let at = address(&client);
    get(at, "/metrics");
    drop(runtime);
    get(at, "/metrics");
    block_on(client.shutdown(GRACE)).unwrap();
    assert_eq!(client.metrics_address(), None);
    assert!(TcpStream::connect(at).is_err(), "shutdown closes it");
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_waiting_for_long() {
    let client = listening("0").unwrap();
    let at = address(&client);
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(at).unwrap()).collect();
    assert!(get(at, "/metrics").contains("storescope_build_info"));
    drop(idle);
}

fn log_of(path: &Path) -> Snapshot {
    Snapshot::from_hlog(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_interval_log_holds_all_that_ran_once_the_client_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.hlog");
    let logged = |config: Config| config.metrics_log(path.clone()).metrics_interval(ms(5));
    let world = World::with(logged);
    for _ in 0..20 {
        world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    }
    until("an interval is written", || puts(&log_of(&path)) > 0).await;
    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    let recorded = world.client.metrics().snapshot();
    drop(world);
    let log = log_of(&path);
    assert_eq!(puts(&log), 21);
    assert_alike(&log, &recorded);
    // Others append to it.
    let world = World::with(logged);
    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    world.client.shutdown(GRACE).await.unwrap();
    assert_eq!(puts(&log_of(&path)), 22);
}

#[test]
fn what_cannot_work_is_told_when_the_client_is_built() {
    let told = |settings: &[(&str, &str)]| {
        let built = client(|mut config| {
            for (name, text) in settings {
                config.set(name, text).unwrap();
            }
            config
        });
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    let error = told(&[("metrics_log", "/nowhere/run.hlog")]);
    assert!(error.contains("metrics_log=/nowhere/run.hlog"), "{error}");
    assert!(told(&[("metrics_log", "/dev/full")]).contains("space"));
    let error = told(&[("otlp_endpoint", "collector:4318")]);
    assert!(error.contains("otlp_endpoint"), "{error}");
    let error = told(&[("otlp_endpoint", "http://h:1"), ("metrics_interval", "0s")]);
    assert!(error.contains("metrics_interval"), "{error}");
}

/// Heads and bodies of requests.
type Sent = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A receiver that answers with `status`, and what it was sent.
fn receiver(status: u16) -> (SocketAddr, Sent) {
    let sent = Sent::default();
    let seen = Arc::clone(&sent);
    let at = raw_server(move |mut stream| {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).unwrap() == 0 {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        seen.lock().unwrap().push((head, body));
        write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
    });
    (at, sent)
}

#[tokio::test]
async fn metrics_are_pushed_each_interval_and_at_the_end() {
    let (at, sent) = receiver(200);
    let pushing =
        |config: Config| config.otlp_endpoint(format!("http://{at}/otlp/")).metrics_interval(ms(5));
    let world = World::with(pushing);
    until("a push came", || !sent.lock().unwrap().is_empty()).await;
    world.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    world.client.shutdown(GRACE).await.unwrap();
    let sent = sent.lock().unwrap();
    let (head, body) = sent.last().unwrap();
    assert!(head.starts_with("post /otlp/v1/metrics http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let holds = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("http.client.request.duration") && holds("storescope.phase.duration"));
    // What is pushed is no request to the store.
    let attempts = world.client.metrics().snapshot().outcomes(Level::Attempt, Operation::Put);
    assert_eq!(attempts.values().sum::<u64>(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_down_or_refuses_stops_nothing() {
    let (at, sent) = receiver(400);
    let pushing = |url: String| World::with(|config| config.otlp_endpoint(url));
    let refused = pushing(format!("http://{at}"));
    assert!(!refused.client.flush_metrics(GRACE).await.unwrap());
    assert_eq!(sent.lock().unwrap().len(), 1);
    let port = free_port();
    let down = pushing(format!("http://127.0.0.1:{port}/v1/metrics"));
    assert!(!down.client.flush_metrics(GRACE).await.unwrap());
    down.store.put("k", &b"x"[..], PutOptions::new()).await.unwrap();
    down.client.shutdown(GRACE).await.unwrap();
    let none = World::new();
    assert!(none.client.flush_metrics(GRACE).await.unwrap());
}
