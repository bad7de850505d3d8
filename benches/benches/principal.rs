// SPDX-License-Identifier: Apache-2.0
//! What it costs a request to ask who signs: an API key, a session token whose file is looked at each second, and an
//! identity that is renewed in the background (an instance's, a resource's, the program's own); by one thread, and by four
//! that ask for the same at once.
//!
//! Identities are held, as they are for all requests but the first. Times are those of the wall, in rounds by turns, and
//! include the loop; of four threads, the time of one call of one thread. Instructions by callgrind, of one thread.
//! `-- --rounds N --count N` set the size.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use storescope::auth_bench::Held;
use storescope::{Config, Credential, CredentialFuture, Credentials};
use storescope_benches::measure::{Median, by_turns, instructions};
use storescope_benches::report;
use tokio::runtime::{Builder, Runtime};

const BAR_NS: f64 = 150.0;
const THREADS: u64 = 4;

const ROWS: [(&str, Kind, u64); 7] = [
    ("API key", Kind::ApiKey, 1),
    ("API key, 4 threads", Kind::ApiKey, THREADS),
    ("session token in a file", Kind::Session, 1),
    ("session token in a file, 4 threads", Kind::Session, THREADS),
    ("renewed in the background", Kind::Renewed, 1),
    ("renewed in the background, 4 threads", Kind::Renewed, THREADS),
    ("tokio Instant::now", Kind::Clock, 1),
];

/// The rows that the bar is for: by one thread.
const JUDGED: [usize; 3] = [0, 2, 4];

#[derive(Clone, Copy)]
enum Kind {
    ApiKey,
    Session,
    Renewed,
    Clock,
}

/// Gives a key that ends in a day, so that a renewal is due, and none is made.
#[derive(Debug)]
struct Given(String);

impl Credentials for Given {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async {
            let made = Credential::api_key("tenancy", "user", "00:11", &self.0, None)?;
            Ok(made.ends(SystemTime::now() + Duration::from_hours(24)))
        })
    }
}

/// Principals of each kind, and the runtime that renews them.
struct World {
    runtime: Runtime,
    api_key: Held,
    session: Held,
    renewed: Held,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pem = pem();
        let (key, token) = (folder.path().join("key.pem"), folder.path().join("token"));
        std::fs::write(&key, &pem).expect("room");
        std::fs::write(&token, "header.e30.signature").expect("room");
        let config = Config::default()
            .config_file("/dev/null".into())
            .tenancy("tenancy".to_owned())
            .user("user".to_owned())
            .fingerprint("00:11".to_owned())
            .key_file(key);
        let session = config.clone().security_token_file(token);
        let given: Arc<dyn Credentials> = Arc::new(Given(pem));
        let held = |config: &Config, given| {
            runtime.block_on(Held::of(config, given)).expect("the identity is there")
        };
        let api_key = held(&config, None);
        let session = held(&session, None);
        let renewed = held(&config, Some(given));
        World { api_key, session, renewed, runtime, _folder: folder }
    }

    fn run(&self, (_, kind, threads): (&str, Kind, u64), count: u64) {
        let _entered = self.runtime.enter();
        let held = match kind {
            Kind::Clock => {
                for _ in 0..count {
                    black_box(tokio::time::Instant::now());
                }
                return;
            }
            Kind::ApiKey => &self.api_key,
            Kind::Session => &self.session,
            Kind::Renewed => &self.renewed,
        };
        if threads == 1 {
            return ask(held, count);
        }
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let _entered = self.runtime.enter();
                    ask(held, count);
                });
            }
        });
    }
}

/// A key that is the same each time: one that was made would cost another number of instructions each time.
fn pem() -> String {
    let vectors = include_str!("../../fixtures/oci-signing.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).expect("JSON");
    vectors["keys"]["main"]["private_pkcs8_pem"].as_str().expect("a key").to_owned()
}

fn ask(held: &Held, count: u64) {
    for _ in 0..count {
        assert!(black_box(held).is_there(), "it was not to end");
    }
}

fn main() {
    let world = World::new();
    if let Some(row) = report::argument::<usize>("--row") {
        return world.run(ROWS[row], report::argument("--times").expect("--times N"));
    }
    let rounds = report::argument("--rounds").unwrap_or(201);
    let count: u64 = report::argument("--count").unwrap_or(20_000);
    report::head(
        "principal",
        &format!("{rounds} rounds of {count} calls a thread, rows by turns."),
        &["storescope", "tokio"],
    );
    let times = by_turns(ROWS.len(), rounds, |row| {
        let begun = Instant::now();
        world.run(ROWS[row], count);
        begun.elapsed().as_secs_f64() * 1e9 / count as f64
    });
    println!("| who signs | ns a call | instructions |");
    println!("| --- | --- | --- |");
    for (row, (name, _, threads)) in ROWS.iter().enumerate() {
        let counted = (*threads == 1)
            .then(|| instructions(&["--row", &row.to_string(), "--times"], 10_000, 110_000))
            .flatten();
        let counted = counted.map_or("–".to_owned(), |count| format!("{count:.0}"));
        println!("| {name} | {:.1} | {counted} |", Median::of(times[row].iter().copied()));
    }
    println!("\nMedians, with their 95 % intervals.");
    for row in JUDGED {
        let median = Median::of(times[row].iter().copied());
        let what = format!("{} {median:.0} ns ≤ {BAR_NS} ns", ROWS[row].0);
        report::bar(&what, median.value <= BAR_NS);
    }
}
