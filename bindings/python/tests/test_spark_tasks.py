# SPDX-License-Identifier: Apache-2.0
"""Python workers of Spark: what each task read and wrote is handed to the executor, once, and equals the server's record.

The workers are in spark_worker.py; PySpark itself is in test_pyspark.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import uproot_files
from handing import Handed, by_task, take, waits

import storescope

DATA = bytes(range(256)) * 12_000


class Worker:
    """A worker under way, and the folder in which it hands over."""

    def __init__(self, process: subprocess.Popen, folder: Path) -> None:
        self.process = process
        self.folder = folder

    def says(self) -> str:
        line = self.process.stdout.readline().strip()
        assert line, self.process.stderr.read()
        return line

    def go_on(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """Waits for its end; its status."""
        out, err = self.process.communicate("\n", timeout=60)
        assert (out, err) == ("", ""), (out, err)
        return self.process.returncode

    def names(self) -> list[str]:
        return sorted(os.listdir(self.folder))


@pytest.fixture
def folder(tmp_path):
    """Where the plugin of an executor collects, by a name as long as Spark's."""
    made = tmp_path / f"blockmgr-{'0123456789abcdef-' * 8}" / "storescope"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def work(store, options, folder):
    """Starts a function of spark_worker.py: `work("forks")`."""
    store.put("obj-k", DATA)
    started = []

    def start(name: str, **environment: str) -> Worker:
        surroundings = {
            **os.environ,
            "STORE": json.dumps({"url": store.url, "options": options}),
            "SPARK_LOCAL_DIRS": f"{folder.parent},/nowhere",
            # What the loser of a hedge was sent is received by none.
            "STORESCOPE_HEDGE_AT": "0",
            **environment,
        }
        command = [sys.executable, str(Path(__file__).with_name("spark_worker.py")), name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, env=surroundings, **pipes)
        started.append(process)
        return Worker(process, folder)

    yield start
    for process in started:
        process.kill()
        with process:
            pass


@pytest.fixture
def since(server):
    """The requests since it was last asked."""
    counted = len(server.record())

    def lines():
        nonlocal counted
        all_lines = server.record()
        new, counted = all_lines[counted:], len(all_lines)
        return new

    return lines


@pytest.fixture
def late(server, store):
    store.put("obj-tardy", b"late data")
    server.fault({"method": "GET", "contains": "obj-tardy", "action": {"delay": {"ms": 200}}})
    yield
    server.admin("DELETE", "/faults")


def settled(worker: Worker, since) -> tuple[list[dict], list[Handed]]:
    """The requests since the last time, and what was handed over: once they are as many, where they become so."""
    lines, handed = [], []
    begun = time.monotonic()
    while True:
        lines += since()
        handed += take(worker.folder)
        if sum(one.recorded.requests for one in handed) == len(lines) or time.monotonic() - begun > 10:
            return lines, handed


def assert_equals(recorded: storescope.Snapshot, lines: list[dict]) -> None:
    """A task's record has the requests and bytes that the server saw."""
    objects = [line for line in lines if "obj-" in line["target"].partition("?")[0]]
    assert recorded.requests == len(lines)
    assert recorded.bytes_received == sum(line["bytes_out"] for line in objects if line["method"] == "GET")
    sent = sum(line["bytes_in"] for line in objects if line["method"] == "PUT")
    # On S3 a body may come in signed chunks, which are longer.
    assert 0 <= sent - recorded.bytes_sent <= 0.1 * sent + 1000 * sum(line["method"] == "PUT" for line in objects)


def test_each_task_has_what_was_done_in_it(work, since):
    since()
    worker = work("tasks_in_a_row")
    worker.says()
    assert len(since()) == 1 and worker.names() == [], "no task has run"
    worker.go_on()
    worker.says()
    lines, handed = settled(worker, since)
    found = by_task(handed)
    assert list(found) == [7] and len(lines) > 25
    assert_equals(found[7], lines)
    assert {row["operation"] for row in found[7].rows()} >= {"get", "head", "put", "list", "list_buckets"}
    assert take(worker.folder) == []
    worker.go_on()
    worker.says()
    assert len(since()) == 1 and take(worker.folder) == [], "between two tasks"
    worker.go_on()
    worker.says()
    lines = since()
    found = by_task(take(worker.folder))
    assert list(found) == [8] and len(lines) == 4
    assert_equals(found[8], lines)
    worker.go_on()
    worker.says()
    assert by_task(take(worker.folder))[7].requests == len(since()) == 1
    assert worker.end() == 0
    assert worker.names() == []


def test_threads_of_uproot(work, since, store, tmp_path):
    uproot_files.write_tree(tmp_path / "t.root", baskets=10, entries=2_000)
    store.put("obj-tree.root", (tmp_path / "t.root").read_bytes())
    since()
    worker = work("reads_of_uproot")
    for number in (1, 2):
        worker.says()
        lines, handed = settled(worker, since)
        found = by_task(handed)
        assert list(found) == [number] and found[number].requests == len(lines) > 5
        assert 0 < waits(handed)[number] < 60
        worker.go_on()
    assert worker.end() == 0


def test_what_was_opened_in_a_task_belongs_to_it_until_the_next(work, since):
    since()
    worker = work("threads_that_go_on")
    worker.says()
    lines, found = since(), by_task(take(worker.folder))
    assert list(found) == [1] and len(lines) >= 4
    assert_equals(found[1], lines)
    worker.go_on()
    worker.says()
    found = by_task(take(worker.folder))
    assert list(found) == [2] and found[2].requests == len(since()) == 1
    assert worker.end() == 0


def test_a_child_made_by_fork(work, since):
    since()
    worker = work("forks")
    child = worker.says()
    worker.says()
    assert worker.names() == sorted([f"{child}.left", f"{worker.process.pid}.sock"])
    handed = take(worker.folder)
    lines, found = since(), by_task(handed)
    assert {number: snapshot.requests for number, snapshot in found.items()} == {5: 5, 6: 1}
    assert len(lines) == 6
    assert_equals(found[5] + found[6], lines)
    assert len(handed) == 3, "two tasks of the child, one of its parent"
    assert worker.end() == 0


def test_workers_of_a_daemon(work):
    worker = work("a_daemon")
    for number in (1, 2):
        assert worker.says() == f"worker {number}"
        (name,) = worker.names()
        assert name != f"{worker.process.pid}.sock"
        assert {task: seen.requests for task, seen in by_task(take(worker.folder)).items()} == {number: number}
        worker.go_on()
    worker.says()
    assert worker.names() == []
    assert worker.end() == 0


@pytest.mark.usefixtures("late")
def test_waiting_is_what_a_stopwatch_says(work):
    worker = work("waits")
    watched = {int(number): seconds for number, seconds in json.loads(worker.says()).items()}
    worker.says()
    found = waits(take(worker.folder))
    # What the server made each wait, unless the machine was slow in between; of the third task, two threads at once.
    for number, seconds, threads in ((1, 0.6, 1), (2, 0.2, 1), (3, 0.4, 2), (4, 0.6, 1)):
        assert 0.75 * seconds < found[number] <= threads * watched[number], (number, watched, found)
    assert found[5] < 0.9, "a task that computes does not wait"
    assert worker.end() == 0


@pytest.mark.usefixtures("late")
def test_a_worker_that_is_killed_loses_what_it_had_not_handed_over(work):
    worker = work("a_call_under_way")
    worker.says()
    assert by_task(take(worker.folder))[1].requests >= 1
    worker.go_on()
    assert worker.process.wait(30) == -signal.SIGKILL
    (name,) = worker.names()
    with pytest.raises(ConnectionRefusedError):
        take(worker.folder)
    assert name == f"{worker.process.pid}.sock"
    killed = work("is_killed")
    killed.says()
    killed.go_on()
    assert killed.process.wait(30) == -signal.SIGKILL
    assert all(name.endswith(".sock") for name in killed.names())


def test_it_needs_no_gil(work):
    worker = work("holds_the_gil")
    worker.says()
    assert by_task(take(worker.folder))[1].requests == 1
    assert worker.end() == 0


@pytest.mark.parametrize(("name", "status"), [("ends_by_itself", 0), ("ends_as_workers_of_pyspark_do", 3)])
def test_a_worker_that_ends_leaves_it(work, name, status):
    worker = work(name)
    assert worker.end() == status
    assert worker.names() == [f"{worker.process.pid}.left"]
    assert by_task(take(worker.folder))[1].requests == 2
    assert worker.names() == []


def test_nothing_happens_without_the_folder(work, tmp_path):
    for local in (str(tmp_path), "", f"/nowhere,{tmp_path}"):
        worker = work("without_tasks", SPARK_LOCAL_DIRS=local)
        worker.says()
        assert worker.names() == []
        assert worker.end() == 0


def test_nothing_happens_without_pyspark(work):
    worker = work("without_pyspark")
    worker.says()
    assert worker.names() == []
    assert worker.end() == 0


def test_pyspark_while_it_is_imported(work):
    worker = work("half_imported")
    worker.says()
    assert by_task(take(worker.folder))[1].requests == 1
    assert worker.end() == 0


def test_a_folder_that_cannot_be_used_is_told_and_costs_nothing(work, folder):
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        # Root may write anywhere: the socket's name is taken by a folder instead.
        folder.chmod(0o700)
        folder.rmdir()
        folder.symlink_to("/proc/self")
    worker = work("ends_by_itself")
    out, err = worker.process.communicate(timeout=60)
    assert worker.process.returncode == 0 and out == ""
    assert "no executor can ask this worker what its tasks read" in err, err
