// SPDX-License-Identifier: Apache-2.0
//! What one process has once: a runtime, clients by their settings, handles, and what ends by itself.
//!
//! Java's threads wait here: a call is polled on the thread that made it, which sleeps while nothing is there and looks
//! now and then whether it was interrupted. The runtime's threads never call into Java, so none is attached to the JVM and
//! none keeps it from ending.

use crate::completions::Completions;
use crate::java;
use crate::log;
use crate::raised::{Raised, Result};
use crate::slots::Slots;
use crate::tails::Tails;
use jni::Env;
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use storescope::config::SETTINGS;
use storescope::{Client, Config, Face, StoreOptions};
use tokio::runtime::{Builder, Handle, Runtime};

/// How long a thread sleeps before it looks whether it was interrupted.
const SLICE: Duration = Duration::from_millis(50);

/// Names certificates that were given by [`Process::trust`], among the settings of a store.
const TRUSTED: &str = "trusted";

pub(crate) struct Process {
    runtime: Runtime,
    trusted: Mutex<Vec<Arc<[Vec<u8>]>>>,
    clients: Mutex<HashMap<Vec<(String, String)>, Client>>,
    pub(crate) slots: Slots,
    pub(crate) completions: Completions,
    pub(crate) tails: Tails,
}

impl Process {
    /// This process's own, made when first asked for and never ended.
    pub(crate) fn current() -> &'static Process {
        static CURRENT: OnceLock<Process> = OnceLock::new();
        CURRENT.get_or_init(|| {
            log::install();
            let cores = thread::available_parallelism().map_or(2, usize::from);
            let runtime = Builder::new_multi_thread()
                .worker_threads(cores.clamp(2, 8))
                .thread_name("storescope")
                .enable_all()
                .build()
                .expect("a runtime's threads can be started");
            Process {
                runtime,
                trusted: Mutex::default(),
                clients: Mutex::default(),
                slots: Slots::default(),
                completions: Completions::default(),
                tails: Tails::default(),
            }
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// The client with those settings of the list that are a client's, and the options of a store with the others.
    pub(crate) fn client(&self, settings: Vec<(String, String)>) -> Result<(Client, StoreOptions)> {
        let (store, mut client): (Vec<_>, Vec<_>) = settings.into_iter().partition(|(name, _)| {
            let setting = SETTINGS.iter().find(|setting| setting.name == name);
            name != TRUSTED && setting.is_none_or(|setting| setting.per_store)
        });
        client.sort();
        let options = store
            .into_iter()
            .fold(StoreOptions::new(), |options, (name, text)| options.set(&name, text));
        let known = locked(&self.clients).get(&client).cloned();
        if let Some(known) = known {
            return Ok((known, options));
        }
        let mut config = Config::from_env()?;
        let mut builder = Client::builder().runtime(self.handle().clone()).face(Face::Jvm);
        for (name, text) in &client {
            if name == TRUSTED {
                builder = builder.trusted_certificates(self.trusted(text)?);
            } else {
                config.set(name, text)?;
            }
        }
        let built = builder.config(config).build()?;
        Ok((locked(&self.clients).entry(client).or_insert(built).clone(), options))
    }

    /// Keeps certificates for the clients to come; the number that stands for them among a store's settings.
    pub(crate) fn trust(&self, der: Vec<Vec<u8>>) -> usize {
        let mut trusted = locked(&self.trusted);
        trusted.iter().position(|known| **known == *der).unwrap_or_else(|| {
            trusted.push(der.into());
            trusted.len() - 1
        })
    }

    fn trusted(&self, number: &str) -> Result<Vec<Vec<u8>>> {
        let trusted = locked(&self.trusted);
        let given = number.parse().ok().and_then(|number: usize| trusted.get(number));
        let unknown = || Raised::Told(format!("no certificates were given as number {number}"));
        given.map(|given| given.to_vec()).ok_or_else(unknown)
    }

    pub(crate) fn clients(&self) -> Vec<Client> {
        locked(&self.clients).values().cloned().collect()
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a call; an interrupt of the thread drops it.
pub(crate) fn wait<T>(
    env: &mut Env<'_>,
    call: impl Future<Output = storescope::Result<T>>,
) -> Result<T> {
    Ok(poll_on(Some(env), call)??)
}

/// The same for what is none of the core's calls.
pub(crate) fn wait_for<T>(env: &mut Env<'_>, call: impl Future<Output = T>) -> Result<T> {
    poll_on(Some(env), call)
}

/// Waits for what must come to its end, interrupted or not.
pub(crate) fn wait_through<T>(call: impl Future<Output = T>) -> Result<T> {
    poll_on(None, call)
}

fn poll_on<T>(mut env: Option<&mut Env<'_>>, call: impl Future<Output = T>) -> Result<T> {
    let _entered = Process::current().handle().enter();
    let mut call = pin!(call);
    let alarm = Alarm::of_this_thread();
    let waker = Waker::from(Arc::clone(&alarm));
    loop {
        if let Poll::Ready(ended) = poll_once(call.as_mut(), &waker) {
            return Ok(ended);
        }
        while !alarm.rung.swap(false, SeqCst) {
            if let Some(env) = &mut env
                && java::is_interrupted(env)?
            {
                return Err(Raised::Interrupted);
            }
            thread::park_timeout(SLICE);
        }
    }
}

fn poll_once<T>(call: Pin<&mut impl Future<Output = T>>, waker: &Waker) -> Poll<T> {
    call.poll(&mut Context::from_waker(waker))
}

/// Wakes a thread that sleeps in [`poll_on`].
struct Alarm {
    thread: Thread,
    rung: AtomicBool,
}

impl Alarm {
    /// One a thread: a late ring only costs a look.
    fn of_this_thread() -> Arc<Alarm> {
        thread_local! {
            static ALARM: Arc<Alarm> =
                Arc::new(Alarm { thread: thread::current(), rung: AtomicBool::new(false) });
        }
        ALARM.with(Arc::clone)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, SeqCst) {
            self.thread.unpark();
        }
    }
}
