// SPDX-License-Identifier: Apache-2.0
//! The interpreter's end, for threads that Python does not wait for.
//!
//! Once Python finalizes, CPython before 3.14 ends any other thread that takes the GIL by `pthread_exit`, which unwinds the
//! thread's stack. A Rust frame on it ends the process: by an abort, or, where the library brings an unwinder of its own
//! (as zig links the wheels that are given out), by a segmentation fault, which PyO3's guards for the two functions that
//! attach a thread do not prevent either. Three rules keep every frame of this crate away from that:
//!
//! 1. What runs Python code, or may, holds an [`Inside`]. The end waits until no thread does.
//! 2. What frees the GIL does it by [`detached`]. After the end a thread does not come back from there.
//! 3. What may run Python code for long, a callback or a handler of `logging`, runs on a thread of Python's own, with no
//!    Rust frame beneath it (`dispatch.rs`).
//!
//! Calls under way end by an exception as soon as the interpreter ends, so that their threads leave the locks they hold:
//! handlers of `atexit` that run after ours may want them. Later calls are refused in the same way.

use pyo3::exceptions::{PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How long the end waits for threads that need nothing but the processor and the GIL. A limit only so that Python code
/// which blocks where none is expected does not keep the process alive for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interpreter is ending: calls are refused. It is set with the GIL held.
static ENDING: AtomicBool = AtomicBool::new(false);

/// No thread but the one that ends the interpreter runs Python code from here any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// The thread that ends the interpreter.
static ENDED_BY: OnceLock<ThreadId> = OnceLock::new();

/// Blocking calls under way.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Threads that hold an [`Inside`], but for those that are [`detached`] meanwhile.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many of them this thread holds.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Begins the end, with the GIL held.
pub(crate) fn begin(_: Python<'_>) {
    ENDED_BY.get_or_init(|| thread::current().id());
    ENDING.store(true, SeqCst);
}

/// Whether it has begun. What fails from then on may fail for that reason alone.
pub(crate) fn has_begun() -> bool {
    ENDING.load(SeqCst)
}

/// Waits until the calls under way have ended. The GIL must be free.
pub(crate) fn wait_for_calls() {
    wait_until(|| CALLS.load(SeqCst) == 0);
}

/// Ends it: from now on no thread comes back. The GIL must be free.
pub(crate) fn close() {
    // Each thread counts itself first and looks at this then: it sees it closed, or is seen.
    CLOSED.store(true, SeqCst);
    wait_until(|| INSIDE.load(SeqCst) == 0);
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Forgets the parent's threads, in a child made by fork.
pub(crate) fn forked() {
    CALLS.store(0, SeqCst);
    INSIDE.store(usize::from(DEPTH.get() > 0), SeqCst);
}

/// Fails once the interpreter ends.
pub(crate) fn refuse(py: Python<'_>) -> PyResult<()> {
    if has_begun() { Err(refusal(py)) } else { Ok(()) }
}

/// What ends a thread without a word; not where it would end a loop of asyncio, nor where the interpreter is ended.
pub(crate) fn refusal(py: Python<'_>) -> PyErr {
    if is_ended_here() || runs_a_loop(py).unwrap_or(false) {
        PyRuntimeError::new_err("storescope: the interpreter is ending")
    } else {
        PySystemExit::new_err(())
    }
}

/// No Python code runs for it: the thread may be one that would not come back.
fn runs_a_loop(py: Python<'_>) -> PyResult<bool> {
    let modules = py.import("sys")?.getattr("modules")?;
    let events = modules.get_item("_asyncio").or_else(|_| modules.get_item("asyncio.events"))?;
    Ok(!events.call_method0("_get_running_loop")?.is_none())
}

/// Whether this is the thread that ends the interpreter.
pub(crate) fn is_ended_here() -> bool {
    ENDED_BY.get() == Some(&thread::current().id())
}

/// What is awaited in place of a call, once the interpreter ends.
static REFUSED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Makes ready what is told at the end, where nothing is imported any more.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let _inside = Inside::enter(py)?;
    REFUSED.import(py, "storescope._calls", "REFUSED")?;
    Ok(())
}

/// The refusal of a call that is awaited.
pub(crate) fn refused_awaitable(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    match REFUSED.get(py) {
        Some(refused) if !is_ended_here() => Ok(refused.clone_ref(py).into_bound(py)),
        _ => Err(refusal(py)),
    }
}

/// A blocking call under way.
pub(crate) struct BlockingCall;

impl BlockingCall {
    /// Begins one, unless the interpreter ends.
    pub(crate) fn begin(py: Python<'_>) -> PyResult<BlockingCall> {
        refuse(py)?;
        CALLS.fetch_add(1, SeqCst);
        Ok(BlockingCall)
    }
}

impl Drop for BlockingCall {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, SeqCst);
    }
}

/// Held while Python code runs, or may run, above a frame of this crate: calls of anything that is not built in, imports,
/// exceptions of a class of ours, buffers of others.
pub(crate) struct Inside(());

impl Inside {
    /// Fails after the end.
    pub(crate) fn enter(py: Python<'_>) -> PyResult<Inside> {
        if DEPTH.get() == 0 {
            INSIDE.fetch_add(1, SeqCst);
            if CLOSED.load(SeqCst) && !is_ended_here() {
                INSIDE.fetch_sub(1, SeqCst);
                return Err(refusal(py));
            }
        }
        DEPTH.set(DEPTH.get() + 1);
        Ok(Inside(()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() == 0 {
            INSIDE.fetch_sub(1, SeqCst);
        }
    }
}

/// Runs `wait` without the GIL. After the end the thread does not come back.
pub(crate) fn detached<T: Send>(py: Python<'_>, wait: impl FnOnce() -> T + Send) -> T {
    let depth = DEPTH.replace(0);
    let _back = Back(depth);
    if depth > 0 {
        INSIDE.fetch_sub(1, SeqCst);
    }
    py.detach(|| {
        let _returning = Returning;
        wait()
    })
}

/// Counts the thread from before it asks for the GIL ...
struct Returning;

impl Drop for Returning {
    fn drop(&mut self) {
        INSIDE.fetch_add(1, SeqCst);
        if CLOSED.load(SeqCst) && !is_ended_here() {
            INSIDE.fetch_sub(1, SeqCst);
            loop {
                thread::park();
            }
        }
    }
}

/// ... until it has it.
struct Back(usize);

impl Drop for Back {
    fn drop(&mut self) {
        if self.0 == 0 {
            INSIDE.fetch_sub(1, SeqCst);
        }
        DEPTH.set(self.0);
    }
}
