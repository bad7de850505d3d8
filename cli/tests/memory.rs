// SPDX-License-Identifier: Apache-2.0
//! The reading engine's budget is hard: by an allocator that counts, not by the budget's own counter; the
//! server in a process of its own.

use peak_alloc::PeakAlloc;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use storescope::{Client, Config, PutOptions, ReadOptions, Store, StoreOptions};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const BUDGET: usize = 64 * MIB;
/// What may be held beside the budget, and beside what the callers were handed.
const SLACK: usize = 16 * MIB;
const READERS: usize = 64;
/// At most: each holds up to 128 KiB that were received and not taken, all of it where the machine is busy.
const CONNECTIONS: u32 = 32;
/// Bytes of a read: what each caller holds.
const STEP: u64 = 64 << 10;

#[test]
fn readers_hold_no_more_than_the_budget() {
    let server = Server::start();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let size = 24 * MIB as u64;
        let store = server.store(BUDGET);
        store.put("object", vec![7; size as usize], PutOptions::new()).await.unwrap();
        let held = peak(&store, size).await;
        let loose = peak(&server.store(4 * BUDGET), size).await;
        println!(
            "{READERS} readers held {} MiB of {}, and {} of {}",
            held / MIB,
            BUDGET / MIB,
            loose / MIB,
            4 * BUDGET / MIB
        );
        // The measure sees what it is to see: where there is more room, more is held.
        assert!(loose > BUDGET + SLACK, "{loose}");
        assert!(held <= BUDGET + SLACK + READERS * STEP as usize, "{held}");
    });
}

/// The most that was allocated, beside what was before, while each of the readers read the object from end to end.
async fn peak(store: &Store, size: u64) -> usize {
    let idle = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let readers = (0..READERS).map(|_| {
        let reader = store.reader("object", ReadOptions::new().size(size));
        tokio::spawn(async move {
            for at in (0..size).step_by(STEP as usize) {
                assert_eq!(reader.read_at(at..at + STEP).await.unwrap().len() as u64, STEP);
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    ALLOCATOR.peak_usage() - idle
}

struct Server {
    child: Child,
    ready: serde_json::Value,
    _state: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let state = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_storescope"))
            .args(["serve", "--port", "0", "--state"])
            .arg(state.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, ready: serde_json::from_str(&line).unwrap(), _state: state }
    }

    /// The bucket, by a client of its own.
    fn store(&self, budget: usize) -> Store {
        let oci = &self.ready["oci"];
        let text = |name: &str| oci[name].as_str().unwrap().to_owned();
        let config = Config::default()
            .endpoint(text("endpoint"))
            .config_file(std::path::PathBuf::from(text("config_file")))
            .max_connections(CONNECTIONS)
            .read_budget(budget as u64);
        let client = Client::builder().config(config).build().unwrap();
        let url = format!("oci://demo@{}/", text("namespace"));
        client.store(&url.parse().unwrap(), StoreOptions::new()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is this test's own child; an error says that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
