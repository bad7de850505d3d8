# SPDX-License-Identifier: Apache-2.0
"""Which workers there are, and how they watch each other. No TensorFlow."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from storescope_workloads.errors import UsageError, WorkloadError
from storescope_workloads.trainer.cluster import Cluster, Wanted, check_port, local, of_environment
from storescope_workloads.trainer.plan import Plan
from storescope_workloads.trainer.stopping import Interrupted
from storescope_workloads.trainer.supervise import gpu_of, run_local
from storescope_workloads.trainer.watch import Seat, Timing, Watch, split

FAST = Timing(join=20, silence=3, beat=0.2)


def config(workers=("a:1", "b:1"), index=0, kind="worker", job="worker") -> str:
    return json.dumps({"cluster": {job: list(workers)}, "task": {"type": kind, "index": index}})


def of(text: str) -> Cluster:
    return of_environment(Wanted(), {"TF_CONFIG": text})


def test_a_process_alone():
    assert of_environment(Wanted(), {}).workers == 1
    assert of_environment(Wanted(workers=1), {"TF_CONFIG": config()}).workers == 1
    # A Job of one completion, by the same command as a larger one.
    assert of_environment(Wanted(workers=1, service="s"), {"JOB_COMPLETION_INDEX": "0"}).workers == 1
    assert of(config(["a:2222"])).workers == 1


@pytest.mark.parametrize("visible, gpus", [
    (None, ["0", "1", "2"]), ("2,3", ["2", "3", "-1"]), ("GPU-a, GPU-b,", ["GPU-a", "GPU-b", "-1"]), ("", ["-1"] * 3),
])
def test_local_workers_use_the_gpus_that_are_left_to_the_command(visible, gpus):
    assert [gpu_of(index, visible) for index in range(3)] == gpus


def test_a_signal_while_local_workers_start(tmp_path, monkeypatch):
    """They have no handler yet: SIGTERM ends them. That is no failure of a worker."""
    started = []

    def start(*arguments, _start=subprocess.Popen, **options):
        started.append(_start([sys.executable, "-c", "import os; os.write(2, b'.'); os.read(0, 1)"], **options))
        if len(started) == 2:
            threading.Thread(target=signal_when_they_wait).start()
        return started[-1]

    def signal_when_they_wait():
        # The command has its handler, which passes the signal on.
        while signal.getsignal(signal.SIGINT) is before:
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(Interrupted, match="interrupted before training began") as caught:
        run_local(Plan(str(tmp_path / "data"), str(tmp_path / "out")), 2)
    assert caught.value.code == 130 and [process.returncode for process in started] == [-signal.SIGTERM] * 2


def test_tf_config():
    assert of(config(["a:2222", "b:2222", "c:2222"], 2)) == Cluster(("a:2222", "b:2222", "c:2222"), 2, "a:2223")
    # On one host the port after worker 0's is worker 1's.
    assert of(config(["a:2222", "a:2223"], 1)).watch == "a:2224"
    assert of(config(["[::1]:5", "[::1]:7"], 1)).watch == "[::1]:8"
    assert of_environment(Wanted(watch_port=9), {"TF_CONFIG": config()}).watch == "a:9"


@pytest.mark.parametrize("text, why", [
    ("{", "TF_CONFIG is not"),
    ("[]", "TF_CONFIG is not"),
    ('{"cluster": {}}', "TF_CONFIG is not"),
    (config(kind="chief"), "all tasks must be of the kind worker"),
    (config(job="ps"), "tasks of ps"),
    (config(index=2), "index 2 is not one of the 2 workers, 0 to 1"),
    (config(index="0"), "index '0'"),
    (config(index=True), "index True"),
    (config(index=-1), "index -1"),
    (config(["a:1", "a:1"]), "two workers have the same address"),
    (config(["a:1", "b"]), "'b' is not HOST:PORT"),
    (config(["a:1", "b:0"]), "'b:0' is not HOST:PORT"),
    (config(["a:1", "b:99999"]), "'b:99999' is not HOST:PORT"),
    (config([]), "is not a list of host:port"),
    (config([1, 2]), "is not a list of host:port"),
])
def test_a_wrong_tf_config(text, why):
    with pytest.raises(UsageError, match=why):
        of(text)


def test_a_job():
    job = {"JOB_COMPLETION_INDEX": "2", "HOSTNAME": "train-2"}
    assert of_environment(Wanted(3, service="svc"), job) == Cluster(
        ("train-0.svc:2222", "train-1.svc:2222", "train-2.svc:2222"), 2, "train-0.svc:2223")
    assert of_environment(Wanted(3, hosts="w{index}.x:77"), job).addresses == ("w0.x:77", "w1.x:77", "w2.x:77")
    assert of_environment(Wanted(3, hosts="w{index}.x"), job).addresses[1] == "w1.x:2222"
    # The Job goes before a TF_CONFIG that the image has.
    assert of_environment(Wanted(3, service="svc"), {**job, "TF_CONFIG": config()}).workers == 3


@pytest.mark.parametrize("wanted, job, why", [
    (Wanted(3, service="svc"), {}, "JOB_COMPLETION_INDEX; it is not set"),
    (Wanted(3, service="svc"), {"JOB_COMPLETION_INDEX": "x"}, "'x', which is no index"),
    (Wanted(3, service="svc"), {"JOB_COMPLETION_INDEX": "3", "HOSTNAME": "a-3"}, "index 3 is not one of the 3"),
    (Wanted(3, service="svc"), {"JOB_COMPLETION_INDEX": "1", "HOSTNAME": "other"}, "other, does not end with -1"),
    (Wanted(3, service="svc"), {"JOB_COMPLETION_INDEX": "1", "HOSTNAME": "train-11"}, "does not end with -1"),
    (Wanted(3), {"JOB_COMPLETION_INDEX": "1"}, "--service"),
    (Wanted(3, hosts="w.x:1"), {"JOB_COMPLETION_INDEX": "1"}, r"has no \{index\}"),
    (Wanted(service="svc"), {}, "need --workers"),
])
def test_a_wrong_job(wanted, job, why):
    with pytest.raises(UsageError, match=why):
        of_environment(wanted, job)


def test_local_workers_have_ports_of_their_own():
    clusters = local(4)
    addresses = {*clusters[0].addresses, clusters[0].watch}
    assert len(addresses) == 5 and [cluster.index for cluster in clusters] == [0, 1, 2, 3]
    for address in addresses:
        socket.create_server(split(address)).close()
    assert Cluster.from_json(json.loads(json.dumps(clusters[2].to_json()))) == clusters[2]


class Together:
    """Watches of workers in threads of this process."""

    def __init__(self, workers: int, timing: Timing = FAST) -> None:
        self.clusters = local(workers)
        self.lost: list[queue.Queue[str]] = [queue.Queue() for _ in range(workers)]
        self.watches = [self._watch(index, timing, {"data": "abc"}) for index in range(workers)]

    def _watch(self, index: int, timing: Timing, identity: dict[str, str]) -> Watch:
        cluster = self.clusters[index]
        seat = Seat(index, cluster.workers, cluster.watch, cluster.addresses, identity)
        return Watch(seat, self.lost[index].put, timing)

    def join(self, workers=None, news="news") -> list:
        """What each gets, or raises."""
        found: dict[int, object] = {}

        def one(index: int) -> None:
            try:
                found[index] = self.watches[index].join(news if index == 0 else None)
            except WorkloadError as error:
                found[index] = error

        threads = [threading.Thread(target=one, args=(index,)) for index in (workers or range(len(self.watches)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found[index] for index in sorted(found)]

    def close(self) -> None:
        for watch in self.watches:
            watch.close()


@pytest.fixture
def together():
    made: list[Together] = []

    def make(*args) -> Together:
        made.append(Together(*args))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_workers_join_and_end_together(together):
    three = together(3)
    assert three.join(news={"start": [1, 2, 3]}) == [{"start": [1, 2, 3]}] * 3
    for index in (2, 1):
        assert three.watches[index].done({"figures": index}) == []
    assert three.watches[0].done({"figures": 0}) == [{"figures": 0}, {"figures": 1}, {"figures": 2}]
    threads = [threading.Thread(target=watch.release) for watch in three.watches]
    for thread in threads[1:]:
        thread.start()
    # They wait for worker 0.
    threads[1].join(timeout=0.5)
    assert threads[1].is_alive()
    threads[0].start()
    for thread in threads:
        thread.join(timeout=5)
        assert not thread.is_alive()
    assert all(lost.empty() for lost in three.lost)


def test_a_heartbeat_keeps_a_silent_worker(together):
    two = together(2, Timing(join=20, silence=0.6, beat=0.1))
    two.join()
    with pytest.raises(queue.Empty):
        two.lost[0].get(timeout=1.5)
    assert two.lost[1].empty()


def test_workers_that_do_not_come_are_named(together):
    four = together(4, Timing(join=1, silence=3, beat=0.2))
    zero, two = four.join([0, 2])
    assert f"worker 1 ({four.clusters[0].addresses[1]}) and worker 3 ({four.clusters[0].addresses[3]}) did not connect" in str(zero)
    assert four.clusters[0].watch in str(zero) and "within 1 s" in str(zero)
    # The one that came hears it.
    assert "did not connect" in str(two) and str(two).startswith("worker 0 (")


def test_a_worker_that_cannot_reach_worker_0(together):
    two = together(2, Timing(join=1, silence=3, beat=0.2))
    (error,) = two.join([1])
    assert f"worker 1 could not reach worker 0 at {two.clusters[0].watch} within 1 s" in str(error)


def test_a_connection_to_itself_is_not_worker_0(together, monkeypatch):
    """The system may choose the port that is asked for as that of this end, where nothing listens yet."""
    two = together(2)
    connect, calls = socket.create_connection, []

    def itself(address, timeout):
        calls.append(address)
        return connect(address, timeout, source_address=address if len(calls) == 1 else None)

    monkeypatch.setattr(socket, "create_connection", itself)
    thread = threading.Thread(target=lambda: setattr(two, "found", two.join([1])))
    thread.start()
    while not calls:
        os.sched_yield()
    while len(calls) < 2:
        os.sched_yield()
    two.watches[0].join("news")
    thread.join()
    assert two.found == ["news"]


def test_a_port_of_tensorflow_that_is_taken():
    cluster = local(2)[1]
    check_port(cluster)
    with socket.create_server(("", split(cluster.addresses[1])[1])):
        with pytest.raises(WorkloadError, match=f"worker 1 cannot listen on the port of {cluster.addresses[1]}: .*another port"):
            check_port(cluster)
        check_port(Cluster())


def test_a_port_that_is_taken(together):
    two = together(2)
    with socket.create_server(split(two.clusters[0].watch)):
        (error,) = two.join([0])
    assert "cannot listen" in str(error) and "--watch-port" in str(error)


def test_a_worker_with_other_data_is_told_at_the_join(together):
    two = together(2)
    two.watches[1] = two._watch(1, FAST, {"data": "xyz"})
    errors = two.join()
    for error in errors:
        assert "worker 1 (" in str(error) and "data is 'xyz' there and 'abc' here" in str(error)


def test_two_workers_of_one_index(together):
    three = together(3)
    three.watches[2] = Watch(Seat(1, 3, three.clusters[0].watch, three.clusters[0].addresses, {"data": "abc"}), print, FAST)
    zero, *_ = three.join()
    assert "has the index of worker 1" in str(zero)


def test_a_failure_is_told_to_all(together):
    three = together(3)
    three.join()
    three.watches[1].fail("shards/part-00003.parquet: is corrupt")
    for index in (0, 2):
        told = three.lost[index].get(timeout=5)
        assert told.startswith("worker 1 (") and "failed: shards/part-00003.parquet: is corrupt" in told
    assert three.lost[1].empty()


def test_a_failure_of_worker_0_is_told_to_all(together):
    three = together(3)
    three.join()
    three.watches[0].fail("no space")
    for index in (1, 2):
        assert "worker 0 (" in (told := three.lost[index].get(timeout=5)) and "failed: no space" in told


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"{}\n", b"[1]\n", b'{"hello": {"worker": 9}}\n', b"\xff\n", b"x" * 200_000])
def test_what_is_no_worker_is_not_taken_for_one(together, sent):
    two = together(2)
    thread = threading.Thread(target=lambda: setattr(two, "joined", two.join([0])))
    thread.start()
    host, port = split(two.clusters[0].watch)
    while True:
        try:
            connection = socket.create_connection((host, port))
            break
        except ConnectionRefusedError:
            # The thread has not come so far.
            continue
    with connection:
        try:
            connection.sendall(sent)
            assert connection.recv(10) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert two.join([1]) == ["news"]
    thread.join()
    assert two.joined == ["news"]


_WORKER = """
import json, os, sys, threading
from storescope_workloads.trainer.plan import Plan
from storescope_workloads.trainer.stopping import Interrupted
from storescope_workloads.trainer.supervise import gpu_of, run_local
from storescope_workloads.trainer.watch import Seat, Timing, Watch
def lost(why):
    os.write(1, (json.dumps(why) + "\\n").encode())
    os._exit(1)
index, workers, address, names = json.loads(sys.argv[1])
watch = Watch(Seat(index, workers, address, tuple(names)), lost, Timing(join=30, silence=2, beat=0.2))
watch.join()
os.write(1, b"joined\\n")
# Where a collective would wait.
threading.Event().wait()
"""


def start(workers: int):
    return [
        subprocess.Popen([sys.executable, "-c", _WORKER, json.dumps([one.index, one.workers, one.watch, list(one.addresses)])],
                         stdout=subprocess.PIPE, text=True)
        for one in local(workers)
    ]


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_all_processes_end_where_one_is_lost(victim, how):
    """Killed: the connection breaks. Stopped: it is silent, as a host that has lost its network is."""
    processes = start(3)
    try:
        for process in processes:
            assert process.stdout.readline() == "joined\n"
        processes[victim].send_signal(how)
        began = time.monotonic()
        for index, process in enumerate(processes):
            if index != victim:
                told = json.loads(process.stdout.readline())
                assert process.wait(timeout=15) == 1
                assert f"worker {victim} (" in told and "was lost" in told
                if victim:
                    assert f"pid {processes[victim].pid}" in told and socket.gethostname() in told
        assert time.monotonic() - began < 15
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


def test_local_addresses_are_not_seen_from_outside():
    cluster = local(2)[0]
    watch = Watch(Seat(0, 2, cluster.watch, cluster.addresses), print, Timing(join=0.5))
    thread = threading.Thread(target=lambda: pytest.raises(WorkloadError, watch.join))
    thread.start()
    while watch._listener is None:
        os.sched_yield()
    assert watch._listener.getsockname()[0] == "127.0.0.1"
    thread.join()


def test_a_deadline_ends_what_no_thread_can_end():
    """PyDLL holds the interpreter's lock, as TensorFlow does while it waits for workers."""
    code = (
        "import ctypes\nfrom storescope_workloads.trainer.watch import deadline\n"
        "with deadline(60):\n    pass\nwith deadline(1):\n    ctypes.PyDLL(None).sleep(40)\n"
    )
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1 and time.monotonic() - began < 20
    assert "Timeout" in ended.stderr and "line 6" in ended.stderr
