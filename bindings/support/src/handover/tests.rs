// SPDX-License-Identifier: Apache-2.0

use super::{Folder, Handed, Server, folder, take};
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use storescope::timing::bench::{record_attempt, record_one};
use storescope::timing::{Scope, Snapshot};
use tempfile::TempDir;

/// A number that no process has.
const NOBODY: u32 = 4_194_305;

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        super::taking::names_in(self.path())
    }
}

/// What is new, by task: how many values each recorded.
fn counts(handed: &[Handed]) -> Vec<(i64, u64)> {
    handed.iter().map(|one| (one.task, values(&one.recorded))).collect()
}

fn values(snapshot: &Snapshot) -> u64 {
    snapshot.iter().map(|(_, distribution)| distribution.count()).sum()
}

fn record(server: &Server, task: i64, count: u64) {
    for value in 1..=count {
        record_one(server.tasks().running(task).scope(), value * 1000);
    }
}

#[test]
fn a_worker_hands_over_what_is_new_and_once() {
    let place = Place::new();
    let server = Server::start(place.path(), process::id());
    assert_eq!(take(place.path()), []);
    let task = server.tasks().running(12);
    record_attempt(std::slice::from_ref(task.scope()), 0);
    task.waited(Duration::from_nanos(1_234_567_890));
    let handed = take(place.path());
    assert_eq!(handed.len(), 1);
    let Handed { task: id, waited, recorded } = &handed[0];
    assert_eq!((*id, *waited), (12, Duration::from_nanos(1_234_567_890)));
    let own = task.scope().snapshot();
    assert!(own.iter().eq(recorded.iter()), "sums, smallest and largest values are exact: {own:?}");
    assert_eq!(take(place.path()), []);
    record(&server, 13, 2);
    record(&server, 12, 3);
    assert_eq!(counts(&take(place.path())), [(13, 2), (12, 3)]);
    task.waited(Duration::from_millis(1));
    let handed = take(place.path());
    assert_eq!(
        handed,
        [Handed { task: 12, waited: Duration::from_millis(1), recorded: Snapshot::default() }]
    );
    server.leave();
    assert_eq!(place.names(), [] as [&str; 0], "nothing was left");
}

#[test]
fn a_folder_with_a_long_name_and_one_that_is_missing() {
    let place = Place::new();
    let long = place.file(&"blockmgr-".repeat(10)).join("x".repeat(200)).join("storescope");
    fs::create_dir_all(&long).unwrap();
    let server = Server::start(&long, process::id());
    record(&server, 1, 4);
    assert_eq!(counts(&take(&long)), [(1, 4)]);
    record(&server, 1, 2);
    server.leave();
    assert_eq!(counts(&take(&long)), [(1, 2)]);
    let missing = place.file("missing");
    let deaf = Server::start(&missing, process::id());
    record(&deaf, 1, 1);
    deaf.leave();
    assert_eq!(take(&missing), []);
    assert!(!missing.exists());
}

#[test]
fn two_workers_and_what_they_leave() {
    let place = Place::new();
    let (one, other) = (Server::start(place.path(), 101), Server::start(place.path(), 102));
    record(&one, 1, 1);
    record(&other, 2, 2);
    record(&other, 1, 3);
    assert_eq!(counts(&take(place.path())), [(1, 1), (2, 2), (1, 3)]);
    record(&one, 3, 5);
    record(&other, 4, 6);
    one.leave();
    one.leave();
    assert_eq!(place.names(), ["101.left", "102.sock"]);
    assert_eq!(counts(&take(place.path())), [(3, 5), (4, 6)]);
    assert_eq!((place.names(), take(place.path())), (vec!["102.sock".to_owned()], vec![]));
    other.leave();
    assert!(place.names().is_empty());
}

#[test]
fn what_did_not_arrive_as_a_whole_stays() {
    let place = Place::new();
    let server = Server::start(place.path(), process::id());
    let socket = place.file(&format!("{}.sock", process::id()));
    // Much enough that it does not fit between the two.
    for task in 0..200 {
        record_attempt(std::slice::from_ref(server.tasks().running(task).scope()), 0);
    }
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    drop(stream);
    // All of it, but not confirmed.
    let stream = UnixStream::connect(&socket).unwrap();
    let last = BufReader::new(&stream).lines().map(Result::unwrap).find(|line| line == "end");
    assert!(last.is_some());
    drop(stream);
    // Confirmed by another word.
    let mut stream = UnixStream::connect(&socket).unwrap();
    BufReader::new(&stream).lines().map(Result::unwrap).find(|line| line == "end").unwrap();
    stream.write_all(b"thanks").unwrap();
    drop(stream);
    assert_eq!(take(place.path()).len(), 200);
    assert_eq!(take(place.path()), []);
}

#[test]
fn a_handover_that_never_ends_is_cut_off_where_the_worker_ends() {
    let place = Place::new();
    let server = Server::start(place.path(), NOBODY);
    record(&server, 1, 7);
    let mut slow = UnixStream::connect(place.file(&format!("{NOBODY}.sock"))).unwrap();
    let mut first = [0; 4];
    slow.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"task");
    server.leave();
    assert_eq!(place.names(), [format!("{NOBODY}.left")]);
    assert_eq!(counts(&take(place.path())), [(1, 7)]);
    assert_eq!(slow.write_all(b"taken\n").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_confirmation_that_was_sent_counts_also_where_the_worker_ends() {
    let place = Place::new();
    let server = Arc::new(Server::start(place.path(), NOBODY));
    record(&server, 1, 7);
    let mut slow = UnixStream::connect(place.file(&format!("{NOBODY}.sock"))).unwrap();
    BufReader::new(&slow).lines().map(Result::unwrap).find(|line| line == "end").unwrap();
    let ending = thread::spawn({
        let server = Arc::clone(&server);
        move || server.leave()
    });
    slow.write_all(b"taken\n").unwrap();
    ending.join().unwrap();
    assert!(place.names().is_empty(), "it was taken: nothing is left");
}

#[test]
fn sockets_of_the_dead_are_removed_and_those_of_the_busy_are_not() {
    let place = Place::new();
    let refused = place.file("1.sock");
    drop(UnixListener::bind(&refused).unwrap());
    // Somebody holds the listener of a process that is gone; another process has no time.
    let _held = UnixListener::bind(place.file(&format!("{NOBODY}.sock"))).unwrap();
    let busy = place.file(&format!("{}.sock", process::id()));
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&busy).unwrap()).unwrap();
    listener.listen(16).unwrap();
    let begun = Instant::now();
    assert_eq!(take(place.path()), []);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(place.names(), [format!("{}.sock", process::id())]);
    // So many ask that there is no place for one more.
    let waiting: Vec<Socket> = std::iter::from_fn(|| {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&SockAddr::unix(&busy).unwrap()).ok().map(|()| socket)
    })
    .collect();
    assert!(waiting.len() > 10);
    let begun = Instant::now();
    assert_eq!(take(place.path()), []);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(busy.exists());
}

#[test]
fn what_is_no_handover_is_given_up() {
    let hlog = {
        let scope = Scope::new("s");
        record_one(&scope, 5);
        scope.snapshot().to_hlog()
    };
    let whole = format!("task 5 waited 6 length {}\n{hlog}end\n", hlog.len());
    let cut = &hlog[..hlog.rfind("#[Exact").unwrap() - 10];
    for (bytes, is_good) in [
        (whole.clone().into_bytes(), true),
        (b"end\n".to_vec(), true),
        (whole.as_bytes()[..whole.len() - 4].to_vec(), false),
        (whole.as_bytes()[..40].to_vec(), false),
        (format!("task 5 waited 6 length {}\n{cut}end\n", cut.len()).into_bytes(), false),
        (b"".to_vec(), false),
        (b"\n".to_vec(), false),
        (b"task 5 waited -6 length 0\nend\n".to_vec(), false),
        (b"task 99999999999999999999 waited 6 length 0\nend\n".to_vec(), false),
        (b"task 5 waited 6 length 18446744073709551615\nend\n".to_vec(), false),
        (b"task 5 waited 6 length 3\nabcend\n".to_vec(), false),
        (b"task 5 waited 6 length 3\n\xff\xfe\xfdend\n".to_vec(), false),
        (vec![b'x'; 100_000], false),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), false),
    ] {
        let place = Place::new();
        fs::write(place.file("5.left"), &bytes).unwrap();
        fs::write(place.file("5.part"), b"under way").unwrap();
        fs::write(place.file("note"), b"of others").unwrap();
        let told = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let listener = UnixListener::bind(place.file(&format!("{}.sock", process::id()))).unwrap();
        let worker = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            // The other side may have read enough.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            (answer, listener)
        });
        let handed = take(place.path());
        let (answer, listener) = worker.join().unwrap();
        assert_eq!(answer == b"taken\n", is_good, "{told}");
        assert!(!place.file("5.left").exists() && place.file("note").exists(), "{told}");
        if !is_good {
            assert_eq!(handed, [], "{told}");
        } else if told.starts_with("task") {
            let one = Handed {
                task: 5,
                waited: Duration::from_nanos(6),
                recorded: Snapshot::from_hlog(&hlog).unwrap(),
            };
            assert_eq!(handed, [one.clone(), one], "by the socket, and what was left");
        }
        drop(listener);
    }
}

#[test]
fn a_worker_that_talks_nonsense_is_asked_once() {
    let place = Place::new();
    let socket = place.file(&format!("{}.sock", process::id()));
    let listener = UnixListener::bind(&socket).unwrap();
    let worker = thread::spawn(move || listener.accept().unwrap().0.write_all(b"hello\n"));
    assert_eq!(take(place.path()), []);
    worker.join().unwrap().unwrap();
    assert!(!socket.exists());
}

#[test]
fn nothing_is_lost_nor_taken_twice_while_tasks_record() {
    const TASKS: i64 = 30;
    const EACH: u64 = 500;
    let place = Place::new();
    let server = Server::start(place.path(), process::id());
    let over = AtomicBool::new(false);
    let mut handed = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for task in 0..TASKS {
                record(&server, task, EACH);
                server.tasks().running(task).waited(Duration::from_nanos(10));
            }
            over.store(true, SeqCst);
        });
        let mut takes = 0;
        while !over.load(SeqCst) || takes < 3 {
            handed.extend(take(place.path()));
            takes += 1;
        }
    });
    record(&server, TASKS, 1);
    server.leave();
    handed.extend(take(place.path()));
    for task in 0..TASKS {
        let of_task = || handed.iter().filter(|one| one.task == task);
        assert_eq!(of_task().map(|one| values(&one.recorded)).sum::<u64>(), EACH, "task {task}");
        assert_eq!(of_task().map(|one| one.waited.as_nanos()).sum::<u128>(), 10, "task {task}");
    }
    assert_eq!(counts(&handed).last(), Some(&(TASKS, 1)));
}

#[test]
fn a_socket_of_an_earlier_process_of_this_number_is_replaced() {
    let place = Place::new();
    let name = format!("{}.sock", process::id());
    drop(UnixListener::bind(place.file(&name)).unwrap());
    fs::write(place.file(&format!("{}.new", process::id())), b"").unwrap();
    let server = Server::start(place.path(), process::id());
    record(&server, 1, 1);
    assert_eq!(counts(&take(place.path())), [(1, 1)]);
    server.leave();
    assert!(place.names().is_empty());
}

#[test]
fn the_folder_is_in_the_first_of_sparks() {
    let place = Place::new();
    let local = |dirs: &str| folder(OsStr::new(&dirs.replace('~', place.path().to_str().unwrap())));
    fs::create_dir_all(place.file("one/storescope")).unwrap();
    fs::create_dir_all(place.file("two")).unwrap();
    assert_eq!(local("~/one"), Some(place.file("one/storescope")));
    assert_eq!(local("~/one,~/two"), Some(place.file("one/storescope")));
    for none in ["~/two,~/one", "~/three", "", ",~/one"] {
        assert_eq!(local(none), None, "{none}");
    }
    fs::write(place.file("two/storescope"), b"a file").unwrap();
    assert_eq!(local("~/two"), None);
    assert!(Folder::open(&place.file("three")).is_err());
}
