// SPDX-License-Identifier: Apache-2.0
//! The record: what each request was and when its bytes moved, in memory and as JSON lines.
//!
//! A line is made when the last byte of an answer is given to the socket, or when the connection
//! breaks. [`Record::lines`] holds the line of every answer whose last byte a client may have
//! seen: the write of a last byte and the push of its line happen under one shared lock, which
//! a reader takes exclusively.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use crate::folder::create_private;

/// Lines kept in memory; the oldest go first. The file keeps them all.
pub const RECORD_CAPACITY: usize = 200_000;

/// Lines on their way to the file: where it is slower than the requests, they wait for it.
const UNWRITTEN: usize = 10_000;

/// One request, as the emulator saw it. Times are Unix nanoseconds from one monotonic anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordLine {
    /// A running number, in the order in which heads were read.
    pub id: u64,
    /// `opc-client-request-id`, if one was sent.
    pub client_request_id: Option<String>,
    /// A number for each connection.
    pub connection: u64,
    /// Whether it came over TLS.
    pub tls: bool,
    /// `user-agent`, if one was sent.
    pub user_agent: Option<String>,
    /// The method.
    pub method: String,
    /// The request target, byte for byte.
    pub target: String,
    /// The `range` header as sent.
    pub range: Option<String>,
    /// Status of the answer; `None` if the connection broke before there was one.
    pub status: Option<u16>,
    /// Bytes of the request's body that came.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were given to the socket.
    pub bytes_out: u64,
    /// What the model asked to wait: the drawn first byte and, on a connection's first request,
    /// its cold cost. Faults are not in it.
    pub drawn_ttfb_ns: u64,
    /// When the bytes that completed the request's head were read.
    pub head_read_ns: u64,
    /// When the answer's first byte was given to the socket; an interim 100 is none.
    pub first_byte_ns: Option<u64>,
    /// When the answer's last byte was given to the socket; `None` if the answer broke off.
    pub last_byte_ns: Option<u64>,
}

/// All lines, and the file they go to.
#[derive(Debug)]
pub(crate) struct Record {
    lines: Mutex<VecDeque<RecordLine>>,
    finishing: RwLock<()>,
    file: Mutex<Option<SyncSender<Message>>>,
}

/// Writes the lines; closes the record and waits for the rest of them when it is dropped.
#[derive(Debug)]
pub(crate) struct RecordThread {
    record: Arc<Record>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Line(RecordLine),
    Flush(Sender<()>),
}

impl Record {
    pub(crate) fn create(path: &Path) -> std::io::Result<(Arc<Record>, RecordThread)> {
        // Targets hold the tokens of pre-authenticated requests and the signatures of presigned ones.
        let mut file = BufWriter::new(create_private(path)?);
        let (sender, receiver) = sync_channel(UNWRITTEN);
        let thread = std::thread::Builder::new()
            .name("emulator-record".into())
            .spawn(move || write_lines(&receiver, &mut file))?;
        let record = Arc::new(Record {
            lines: Mutex::default(),
            finishing: RwLock::default(),
            file: Mutex::new(Some(sender)),
        });
        Ok((record.clone(), RecordThread { record, thread: Some(thread) }))
    }

    /// Held from before a write to a socket until the line of an answer that it ended is pushed.
    pub(crate) fn finishing(&self) -> RwLockReadGuard<'_, ()> {
        self.finishing.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, line: RecordLine) {
        if let Some(file) = &*lock(&self.file) {
            // The writer ends only after the record is closed.
            let _ = file.send(Message::Line(line.clone()));
        }
        let mut lines = lock(&self.lines);
        if lines.len() == RECORD_CAPACITY {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines whose id is greater than `since`, in the order in which the requests ended. The
    /// file holds them too when this returns.
    pub(crate) fn lines(&self, since: Option<u64>) -> Vec<RecordLine> {
        drop(self.finishing.write().unwrap_or_else(PoisonError::into_inner));
        self.flush();
        lock(&self.lines)
            .iter()
            .filter(|line| since.is_none_or(|since| line.id > since))
            .cloned()
            .collect()
    }

    /// Forgets the lines in memory; the file keeps them.
    pub(crate) fn clear(&self) {
        drop(self.finishing.write().unwrap_or_else(PoisonError::into_inner));
        lock(&self.lines).clear();
    }

    /// Ends the file: its thread writes what is left and returns.
    fn close(&self) {
        lock(&self.file).take();
    }

    fn flush(&self) {
        let (done, flushed) = channel();
        if let Some(file) = &*lock(&self.file) {
            let _ = file.send(Message::Flush(done));
        }
        // An error is a record that is closed: its thread flushes at its end.
        let _ = flushed.recv();
    }
}

impl Drop for RecordThread {
    fn drop(&mut self) {
        self.record.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was told by its own hook.
            let _ = thread.join();
        }
    }
}

fn write_lines(receiver: &Receiver<Message>, file: &mut BufWriter<File>) {
    let mut next = receiver.recv().ok();
    while let Some(message) = next {
        let written = match message {
            Message::Line(line) => serde_json::to_writer(&mut *file, &line)
                .map_err(Into::into)
                .and_then(|()| file.write_all(b"\n")),
            Message::Flush(done) => {
                let flushed = file.flush();
                // Who asked may have gone.
                let _ = done.send(());
                flushed
            }
        };
        if let Err(error) = written {
            tracing::error!(%error, "the record cannot be written; it ends here");
            return;
        }
        next = match receiver.try_recv() {
            Ok(message) => Some(message),
            Err(_) => file.flush().ok().and_then(|()| receiver.recv().ok()),
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u64) -> RecordLine {
        RecordLine {
            id,
            client_request_id: None,
            connection: 1,
            tls: false,
            user_agent: None,
            method: "GET".to_owned(),
            target: "/n".to_owned(),
            range: None,
            status: Some(200),
            bytes_in: 0,
            bytes_out: 0,
            drawn_ttfb_ns: 0,
            head_read_ns: 0,
            first_byte_ns: None,
            last_byte_ns: None,
        }
    }

    #[test]
    fn memory_keeps_the_latest_and_the_file_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.jsonl");
        let (record, thread) = Record::create(&path).unwrap();
        let all = RECORD_CAPACITY as u64 + 1_000;
        for id in 1..=all {
            record.push(line(id));
        }
        let kept = record.lines(None);
        assert_eq!((kept.len(), kept[0].id), (RECORD_CAPACITY, 1_001));
        assert!(lock(&record.lines).capacity() <= RECORD_CAPACITY.next_power_of_two());
        drop(thread);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count() as u64, all);
    }
}
