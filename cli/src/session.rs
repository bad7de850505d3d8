// SPDX-License-Identifier: Apache-2.0
//! What a command runs on: a runtime, a client of the settings, and an ear for signals.
//!
//! SIGINT or SIGTERM drops the command's work where it is, which aborts its uploads; the client's shutdown waits until
//! they are; what ran is told, and the process ends with 130. A second signal does not wait.

use crate::exit::{Ended, Exit};
use crate::progress;
use crate::settings::Settings;
use crate::tally::Tally;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use storescope::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// How long the aborts of uploads may take once a signal has come.
const GRACE: Duration = Duration::from_secs(15);

/// How long a push of the client's metrics (`otlp_endpoint`) may take when the command has ended.
const FLUSH: Duration = Duration::from_secs(5);

/// How long the work may take to stop: it is blocked where nobody reads what it writes to standard output.
const STOP: Duration = Duration::from_secs(1);

/// What a command does by a client: as a process of its own, or as one line of many (`run`).
pub(crate) trait Work {
    /// Refuses what can be seen to make no sense before anything is asked of a store.
    fn check(&self) -> Ended {
        Ok(())
    }

    /// What it counts, where it works on many things.
    fn tally(&self) -> Option<Tally> {
        None
    }

    /// Does it. `tally` is what [`Work::tally`] gave.
    async fn work(&self, client: &Client, tally: &Arc<Tally>) -> Ended;
}

/// Runs a command by itself.
pub(crate) fn perform(settings: &Settings, command: &impl Work) -> Ended {
    command.check()?;
    match command.tally() {
        Some(tally) => {
            let tally = Arc::new(tally);
            run_told(settings, &tally, async |client| command.work(client, &tally).await)
        }
        None => run(settings, async |client| command.work(client, &Arc::default()).await),
    }
}

/// Runs a command's work, and saves what the client recorded.
pub(crate) fn run(settings: &Settings, work: impl AsyncFnOnce(&Client) -> Ended) -> Ended {
    Session::new(settings, None)?.run(work)
}

/// Runs work on many things: what it came to is told by `tally`, also when it is interrupted.
pub(crate) fn run_told(
    settings: &Settings,
    tally: &Arc<Tally>,
    work: impl AsyncFnOnce(&Client) -> Ended,
) -> Ended {
    let session = Session::new(settings, Some(Arc::clone(tally)))?;
    let show = settings.progress();
    let work =
        async |client: &Client| progress::shown(show, || tally.progress(), work(client)).await;
    let ended = session.run(work);
    tally.tell();
    ended?;
    tally.verdict()
}

struct Session {
    settings: Settings,
    runtime: tokio::runtime::Runtime,
    client: Client,
    tally: Option<Arc<Tally>>,
}

impl Session {
    fn new(settings: &Settings, tally: Option<Arc<Tally>>) -> Result<Session, Exit> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Session { settings: settings.clone(), runtime, client: settings.client()?, tally })
    }

    fn run(self, work: impl AsyncFnOnce(&Client) -> Ended) -> Ended {
        let (stop, stopped) = channel();
        let (dropped, gone) = channel();
        let signals = {
            let _entered = self.runtime.enter();
            Signals::listen()?
        };
        // On a thread of its own: a write to a pipe that nobody reads must not keep a signal waiting.
        let (client, saved, tally) =
            (self.client.clone(), self.settings.clone(), self.tally.clone());
        self.runtime.spawn(watch(signals, stop, gone, client, saved, tally));
        let ended = self.runtime.block_on(async {
            let ended = tokio::select! {
                ended = work(&self.client) => ended,
                Ok(()) = stopped => Err(Exit::interrupted()),
            };
            if matches!(&ended, Err(exit) if exit.is_interrupt()) {
                // The work is dropped: its uploads are being aborted. The watcher ends the process.
                let _ = dropped.send(());
                std::future::pending::<()>().await;
            }
            ended
        });
        self.settings.save(&self.client)?;
        // What cannot be written or pushed has been logged.
        let _ = self.runtime.block_on(self.client.flush_metrics(FLUSH));
        self.runtime.shutdown_background();
        ended
    }
}

/// Waits for a signal, and ends the process in good order.
async fn watch(
    mut signals: Signals,
    stop: Sender<()>,
    gone: Receiver<()>,
    client: Client,
    settings: Settings,
    tally: Option<Arc<Tally>>,
) {
    signals.next().await;
    let _ = stop.send(());
    tokio::select! {
        () = wind_up(gone, &client) => {}
        () = signals.next() => {}
    }
    if let Some(tally) = tally {
        tally.tell();
    }
    let exit = settings.save(&client).err().unwrap_or_else(Exit::interrupted);
    std::process::exit(exit.told().into());
}

async fn wind_up(gone: Receiver<()>, client: &Client) {
    let _ = tokio::time::timeout(STOP, gone).await;
    if let Err(error) = client.shutdown(GRACE).await {
        progress::note(&format!("storescope: {error}; `storescope uploads` lists what is left"));
    }
}

/// SIGINT and SIGTERM, heard from now on.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Must be called on a runtime.
    pub(crate) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of either.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
