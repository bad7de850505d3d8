// SPDX-License-Identifier: Apache-2.0
//! The runtime of a process.

use std::io;
use std::thread;
use tokio::runtime::{Builder, Runtime};

/// Starts a runtime for all clients of the process: two to eight worker threads, by the number of cores.
pub fn start() -> io::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, 8))
        .thread_name("storescope")
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use super::start;
    use std::thread;

    #[test]
    fn tasks_run_on_named_threads() {
        let runtime = start().expect("threads start");
        let name = runtime.spawn(async { thread::current().name().map(str::to_owned) });
        let name = runtime.block_on(name).expect("the task ends");
        assert_eq!(name.as_deref(), Some("storescope"));
    }
}
