// SPDX-License-Identifier: Apache-2.0
//! A process that is led: it begins each phase when all are ready, and tells how far it is.

use super::super::phase::{Progress, Stage, Stop};
use super::share;
use super::words::{Order, PhaseNumber, Told, Word};
use crate::exit::{Ended, Exit};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use storescope_emulator::Ready;
use storescope_instrument::Series;
use tokio::sync::{mpsc, watch};

/// The orders of the process that leads.
#[derive(Debug)]
pub(in super::super) struct Led {
    emulator: Box<Option<Ready>>,
    /// The phase to begin, and when.
    begin: watch::Receiver<(u32, SystemTime)>,
    /// The last phase of which enough was seen.
    enough: Arc<AtomicU32>,
}

impl Led {
    /// Hears the first order, and listens for others. `left` is called when no more can come.
    pub(in super::super) async fn meet(left: impl FnOnce() + Send + 'static) -> Result<Led, Exit> {
        let mut orders = orders();
        let Some(Order::Meet(emulator)) = orders.recv().await else {
            return Err(Exit::failed("the process that leads has ended: nothing was measured"));
        };
        let (tell, begin) = watch::channel((0, SystemTime::UNIX_EPOCH));
        let enough = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&enough);
        tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                match order {
                    Order::Begin { phase, unix_ns } => {
                        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_ns);
                        tell.send_replace((phase.number(), at));
                    }
                    Order::Enough(phase) => {
                        seen.fetch_max(phase.number(), Relaxed);
                    }
                    Order::Meet(_) => {}
                }
            }
            left();
        });
        Ok(Led { emulator, begin, enough })
    }

    /// The emulator of all.
    pub(in super::super) fn emulator(&self) -> Option<&Ready> {
        Option::as_ref(&self.emulator)
    }

    /// Waits until all are ready for a phase of a cell, from 1.
    pub(in super::super) async fn begin(&mut self, cell: usize, stage: Stage) -> Ended {
        let phase = PhaseNumber::new(cell, stage);
        say(&Word::Ready(phase));
        let heard = self.begin.wait_for(|(begun, _)| *begun >= phase.number()).await;
        let (_, at) = *heard.map_err(|_| Exit::interrupted())?;
        share::until(at).await;
        Ok(())
    }

    /// A rule that ends a phase when the process that leads has seen enough.
    pub(in super::super) fn stop(&self, cell: usize, stage: Stage) -> Box<dyn Stop> {
        Box::new(ToldEnough(PhaseNumber::new(cell, stage), Arc::clone(&self.enough)))
    }

    /// Tells each progress, until all is over.
    pub(in super::super) async fn tell(mut progress: watch::Receiver<Option<Progress>>) {
        let mut before: Option<(PhaseNumber, Duration)> = None;
        while progress.changed().await.is_ok() {
            let told = {
                let progress = progress.borrow_and_update();
                let Some(progress) = &*progress else { continue };
                let phase = PhaseNumber::new(progress.cell.0, progress.stage);
                let since =
                    before.filter(|before| before.0 == phase).map_or(Duration::ZERO, |b| b.1);
                let told = Told::new(progress, since);
                let end = progress.series.points().last().map(|point| point.at + point.length);
                before = Some((phase, end.unwrap_or(since)));
                told
            };
            say(&Word::Told(told));
        }
    }
}

struct ToldEnough(PhaseNumber, Arc<AtomicU32>);

impl Stop for ToldEnough {
    fn enough(&mut self, _: &Series) -> bool {
        self.1.load(Relaxed) >= self.0.number()
    }
}

/// What standard input says. Read by a thread: it may wait there when the process ends.
fn orders() -> mpsc::UnboundedReceiver<Order> {
    let (tell, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        for order in lines.map_while(|line| serde_json::from_str(&line).ok()) {
            if tell.send(order).is_err() {
                return;
            }
        }
    });
    orders
}

fn say(word: &Word) {
    let line = serde_json::to_string(word).expect("numbers and texts");
    // Who leads is gone: standard input tells.
    let _ = writeln!(std::io::stdout(), "{line}");
}
