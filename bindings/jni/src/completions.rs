// SPDX-License-Identifier: Apache-2.0
//! Reads of ranges that have ended, and bytes for arrays on Java's heap: handed to a Java thread that asks, many at once.
//!
//! ```text
//!  runtime's thread ── direct buffer: copied there ───────────────┐
//!                   └─ heap array: the bytes wait in the queue ─▶ │ Java's thread copies them, and completes futures
//! ```
//!
//! References to Java's objects end on Java's threads, too.

use crate::java;
use crate::raised::{Raised, Result};
use bytes::Bytes;
use jni::Env;
use jni::objects::{JByteArray, JLongArray, JObject, JObjectArray, JThrowable};
use jni::refs::{Global, IntoAuto};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use storescope_bindings::lock::locked;

/// How long a Java thread waits here at most: it looks after other things then.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a batch has to tell at most before it does: a Java thread wakes for many at once.
const MOST_UNTOLD: usize = 64;

/// The process's own.
static QUEUE: Queue = Queue { events: Mutex::new(VecDeque::new()), arrived: Condvar::new() };

struct Queue {
    events: Mutex<VecDeque<Event>>,
    arrived: Condvar,
}

enum Event {
    /// Bytes for the heap array of a range, at this place of it.
    Copy(Arc<Inner>, usize, usize, Bytes),
    /// A range has ended, its copies perhaps not yet.
    End(Arc<Inner>, usize),
    /// A batch needs its buffers no more.
    Over(Arc<Inner>),
    /// Something else waits for a Java thread.
    Nudge,
}

/// Where the bytes of a range go.
pub(crate) enum Target {
    /// Memory of a direct buffer, which lives as long as the reference.
    Direct { memory: Memory, _alive: Global<JObject<'static>> },
    /// From this index of an array on.
    Heap { array: Global<JByteArray<'static>>, from: usize },
}

/// The memory of a direct buffer.
pub(crate) struct Memory {
    pub(crate) start: *mut u8,
    pub(crate) length: usize,
}

#[allow(unsafe_code)]
// SAFETY: the memory belongs to no thread; ranges of a batch go to memory of their own, each written by one task.
unsafe impl Send for Memory {}
#[allow(unsafe_code)]
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// The ranges of one call, and what happened to them since it was last told. Those that have not ended when it is dropped
/// are told to have been given up.
pub(crate) struct Batch {
    inner: Arc<Inner>,
    untold: Vec<Event>,
}

struct Inner {
    first: i64,
    targets: Vec<Target>,
    states: Vec<State>,
}

struct State {
    /// Whether its end was told.
    over: AtomicBool,
    /// Copies that wait or are made, by whichever of Java's threads, and the end itself: the last of them ends the range.
    left: AtomicUsize,
    raised: Mutex<Option<Raised>>,
}

impl Inner {
    /// One of the things that a range waited for is done. Whether it was the last.
    fn done(&self, number: usize) -> bool {
        self.states[number].left.fetch_sub(1, SeqCst) == 1
    }
}

impl Batch {
    pub(crate) fn new(first: i64, targets: Vec<Target>) -> Batch {
        let state = || State {
            over: AtomicBool::new(false),
            left: AtomicUsize::new(1),
            raised: Mutex::default(),
        };
        let states = targets.iter().map(|_| state()).collect();
        Batch { inner: Arc::new(Inner { first, targets, states }), untold: Vec::new() }
    }

    /// Bytes of a range have arrived, for this place of it.
    pub(crate) fn bytes(&mut self, number: usize, place: usize, bytes: Bytes) {
        match &self.inner.targets[number] {
            Target::Direct { memory, .. } => {
                if place + bytes.len() > memory.length {
                    return self.end(
                        number,
                        Err(Raised::Told("more bytes than the buffer holds".to_owned())),
                    );
                }
                #[allow(unsafe_code)]
                // SAFETY: the place lies inside the buffer, which its reference keeps; nobody else writes there until
                // the range's end is told.
                unsafe {
                    std::ptr::copy_nonoverlapping(
                        bytes.as_ptr(),
                        memory.start.add(place),
                        bytes.len(),
                    );
                }
            }
            Target::Heap { .. } => {
                self.inner.states[number].left.fetch_add(1, SeqCst);
                self.note(Event::Copy(Arc::clone(&self.inner), number, place, bytes));
            }
        }
    }

    pub(crate) fn end(&mut self, number: usize, ended: Result<()>) {
        let state = &self.inner.states[number];
        if !state.over.swap(true, SeqCst) {
            *locked(&state.raised) = ended.err();
            self.note(Event::End(Arc::clone(&self.inner), number));
        }
    }

    pub(crate) fn fail(&mut self, raised: &Raised) {
        for number in 0..self.inner.targets.len() {
            self.end(number, Err(raised.again()));
        }
    }

    fn note(&mut self, event: Event) {
        self.untold.push(event);
        if self.untold.len() >= MOST_UNTOLD {
            self.tell();
        }
    }

    /// Hands what has happened to a Java thread.
    pub(crate) fn tell(&mut self) {
        if !self.untold.is_empty() {
            locked(&QUEUE.events).extend(self.untold.drain(..));
            QUEUE.arrived.notify_one();
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.fail(&Raised::Closed("the stream"));
        self.untold.push(Event::Over(Arc::clone(&self.inner)));
        self.tell();
    }
}

/// Lets a Java thread that waits come back.
pub(crate) fn nudge() {
    locked(&QUEUE.events).push_back(Event::Nudge);
    QUEUE.arrived.notify_one();
}

/// Waits until something has ended, copies what goes to arrays, and fills in numbers and failures; how many.
pub(crate) fn take(
    env: &mut Env<'_>,
    numbers: &JLongArray<'_>,
    failures: &JObjectArray<'_, JThrowable<'_>>,
) -> Result<i32> {
    let most = numbers.len(env)?.min(failures.len(env)?);
    let mut ended: Vec<i64> = Vec::new();
    let mut patient = true;
    while ended.len() < most {
        let Some(event) = QUEUE.next(patient && ended.is_empty()) else { break };
        let (inner, number) = match event {
            Event::Copy(inner, number, place, bytes) => {
                if let Target::Heap { array, from } = &inner.targets[number] {
                    array.set_region(env, (from + place) as i32, java::signed(&bytes))?;
                }
                (inner, number)
            }
            Event::End(inner, number) => (inner, number),
            Event::Over(inner) => {
                drop(inner);
                continue;
            }
            Event::Nudge => {
                patient = false;
                continue;
            }
        };
        if !inner.done(number) {
            continue;
        }
        if let Some(raised) = locked(&inner.states[number].raised).take() {
            let failure = java::failure(env, &raised)?.auto();
            failures.set_element(env, ended.len(), &failure)?;
        }
        ended.push(inner.first + number as i64);
    }
    numbers.set_region(env, 0, &ended)?;
    Ok(ended.len() as i32)
}

impl Queue {
    fn next(&self, patient: bool) -> Option<Event> {
        let mut events = locked(&self.events);
        if patient && events.is_empty() {
            events = self
                .arrived
                .wait_timeout(events, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        events.pop_front()
    }
}
