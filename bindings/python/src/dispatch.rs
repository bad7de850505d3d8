// SPDX-License-Identifier: Apache-2.0
//! The one thread that calls Python for what ends in the background.

use pyo3::prelude::*;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is done by one taking of the GIL at most, before other threads get their turn.
const BATCH: usize = 256;

type Job = Box<dyn FnOnce(Python<'_>) + Send>;

enum Order {
    Run(Job),
    /// Ends the thread; who sent it is told.
    Stop(Sender<()>),
}

/// Hands jobs to the thread. It never blocks.
#[derive(Clone)]
pub(crate) struct Dispatcher(Sender<Order>);

impl Dispatcher {
    pub(crate) fn start() -> std::io::Result<(Dispatcher, JoinHandle<()>)> {
        let (sender, orders) = channel();
        let thread = thread::Builder::new()
            .name("storescope-calls".to_owned())
            .spawn(move || work(&orders))?;
        Ok((Dispatcher(sender), thread))
    }

    /// Runs `job` with the GIL, after those before it.
    pub(crate) fn run(&self, job: impl FnOnce(Python<'_>) + Send + 'static) {
        // After the interpreter's end there is nobody to tell.
        let _ = self.0.send(Order::Run(Box::new(job)));
    }

    /// Does what is left and ends the thread, waiting at most `limit`. The caller must not hold the GIL.
    pub(crate) fn stop(&self, limit: Duration) {
        let (sender, stopped) = channel();
        if self.0.send(Order::Stop(sender)).is_ok() {
            let _ = stopped.recv_timeout(limit);
        }
    }
}

fn work(orders: &Receiver<Order>) {
    while let Ok(order) = orders.recv() {
        let first = match order {
            Order::Run(job) => job,
            Order::Stop(told) => return tell(&told),
        };
        let stop = Python::attach(|py| {
            first(py);
            for order in orders.try_iter().take(BATCH) {
                match order {
                    Order::Run(job) => job(py),
                    Order::Stop(told) => return Some(told),
                }
            }
            None
        });
        if let Some(told) = stop {
            return tell(&told);
        }
    }
}

fn tell(stopped: &Sender<()>) {
    // Who asked may have waited long enough.
    let _ = stopped.send(());
}
