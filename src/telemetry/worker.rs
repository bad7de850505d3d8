// SPDX-License-Identifier: Apache-2.0
//! A thread with a runtime of its own.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::runtime::Builder;

/// Runs the future that `work` makes to its end, on a thread and runtime of its own. `work` is called inside that runtime;
/// what it fails with is returned.
pub(super) fn start<F: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> io::Result<F> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (started, starting) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let begun = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
            let future = {
                let _entered = runtime.enter();
                work()?
            };
            Ok((runtime, future))
        });
        match begun {
            Ok((runtime, future)) => {
                let _ = started.send(Ok(()));
                runtime.block_on(future);
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    })?;
    let died = || io::Error::other("the thread ended before it began");
    starting.recv().map_err(|_| died()).flatten()?;
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_elsewhere_and_its_failure_is_told() {
        let here = std::thread::current().id();
        let worked = start("worker", move || {
            assert_ne!(std::thread::current().id(), here);
            Ok(tokio::time::sleep(std::time::Duration::from_millis(1)))
        });
        worked.unwrap().join().unwrap();
        let failed = start("worker", || {
            Err::<std::future::Ready<()>, _>(io::Error::from(io::ErrorKind::AddrInUse))
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
