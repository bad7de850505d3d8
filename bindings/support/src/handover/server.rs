// SPDX-License-Identifier: Apache-2.0
//! The worker's side: a thread that hands over what is new, and what is left at the end.

use super::{Folder, LEFT, SOCKET, wire};
use crate::lock::locked;
use crate::tasks::Tasks;
use socket2::SockRef;
use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a handover under way may take once the worker ends. After that it is cut off.
const GRACE: Duration = Duration::from_millis(500);

/// How long the thread rests where a connection could not be accepted, such as for want of descriptors.
const REST: Duration = Duration::from_millis(100);

/// What one worker hands over. It listens from its start until [`leave`](Server::leave).
#[derive(Debug)]
pub struct Server(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tasks: Tasks,
    /// Of the worker's process.
    pid: u32,
    /// `None` where it could not be opened: nothing is handed over then.
    folder: Option<Folder>,
    listener: Option<UnixListener>,
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// It has ended: nothing is handed over any more.
    closed: bool,
    /// Who gets something now.
    to: Option<UnixStream>,
}

impl Server {
    /// Begins to listen in `folder` for the process `pid`. Where that fails it is logged, and what is recorded is left as a
    /// file at the end.
    pub fn start(folder: &Path, pid: u32) -> Server {
        let told = |error: io::Error| {
            let folder = folder.display();
            tracing::warn!(
                "no executor can ask this worker what its tasks read: listen in {folder}: {error}"
            );
        };
        let folder = Folder::open(folder).map_err(told).ok();
        let listener = folder.as_ref().and_then(|folder| listen(folder, pid).map_err(told).ok());
        let (tasks, state, idle) = (Tasks::new(), Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { tasks, pid, folder, listener, state, idle });
        if shared.listener.is_some() {
            let serving = Arc::clone(&shared);
            let thread = thread::Builder::new().name("storescope-handover".to_owned());
            if let Err(error) = thread.spawn(move || serving.serve()) {
                told(error);
                shared.unlink();
            }
        }
        Server(shared)
    }

    /// The tasks whose records it hands over.
    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// Ends it: what was not handed over is left as a file. A second time it does nothing.
    pub fn leave(&self) {
        let shared = &*self.0;
        if shared.close() && shared.is_idle_within(GRACE) {
            shared.leave().unwrap_or_else(|error| {
                tracing::warn!("what the last tasks of this worker read is lost: {error}");
            });
        }
        shared.unlink();
    }
}

/// Listens. Under its name the socket is seen once it does: a name without a listener would be taken for a dead worker's.
fn listen(folder: &Folder, pid: u32) -> io::Result<UnixListener> {
    let (hidden, shown) = (format!("{pid}.new"), format!("{pid}.{SOCKET}"));
    // Of a process that had this number before.
    let _ = fs::remove_file(folder.file(&hidden));
    let listener = UnixListener::bind(folder.file(&hidden))?;
    fs::rename(folder.file(&hidden), folder.file(&shown))?;
    Ok(listener)
}

impl Shared {
    fn serve(&self) {
        let Some(listener) = &self.listener else { return };
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    // Who did not get it asks again.
                    let handed = self.hand_over(&stream);
                    tracing::trace!("asked what its tasks read: {handed:?}");
                }
                Err(_) if locked(&self.state).closed => return,
                Err(_) => thread::sleep(REST),
            }
        }
    }

    fn hand_over(&self, mut stream: &UnixStream) -> io::Result<()> {
        let handle = stream.try_clone()?;
        {
            let mut state = locked(&self.state);
            if state.closed {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            state.to = Some(handle);
        }
        let fresh = self.tasks.fresh();
        let sent = stream.write_all(&wire::encode(&fresh));
        let taken = sent.and_then(|()| wire::wait_until_taken(&mut stream));
        if taken.is_ok() {
            self.tasks.took(fresh);
        }
        locked(&self.state).to = None;
        self.idle.notify_all();
        taken
    }

    /// Takes no connections from now on; whether it did before.
    fn close(&self) -> bool {
        let was_open = !std::mem::replace(&mut locked(&self.state).closed, true);
        if let Some(listener) = self.listener.as_ref().filter(|_| was_open) {
            // It ends the thread's wait, and the listener as well where a child made by fork holds it.
            let _ = SockRef::from(listener).shutdown(Shutdown::Both);
        }
        was_open
    }

    /// Waits for the handover under way. One that takes longer is cut off: both sides see then whether it was confirmed.
    fn is_idle_within(&self, limit: Duration) -> bool {
        let wait = |state| {
            let busy = |state: &mut State| state.to.is_some();
            let waited = self.idle.wait_timeout_while(state, limit, busy);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let state = wait(locked(&self.state));
        if let Some(stream) = &state.to {
            let _ = stream.shutdown(Shutdown::Both);
        }
        wait(state).to.is_none()
    }

    /// Writes what is left, whole before it is seen under its name.
    fn leave(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let fresh = self.tasks.fresh();
        if fresh.is_empty() {
            return Ok(());
        }
        let (hidden, shown) = (format!("{}.part", self.pid), format!("{}.{LEFT}", self.pid));
        fs::write(folder.file(&hidden), wire::encode(&fresh))?;
        fs::rename(folder.file(&hidden), folder.file(&shown))?;
        self.tasks.took(fresh);
        Ok(())
    }

    fn unlink(&self) {
        if let (Some(folder), Some(_)) = (&self.folder, &self.listener) {
            // Whoever found that nobody listens may have removed it.
            let _ = fs::remove_file(folder.file(&format!("{}.{SOCKET}", self.pid)));
        }
    }
}
