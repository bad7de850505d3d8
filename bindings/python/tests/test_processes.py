# SPDX-License-Identifier: Apache-2.0
"""Signals, forks, and interpreters that end in the middle of a read."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import storescope


@pytest.fixture
def child(server, store, options):
    """A child that runs one function of child.py. It is asked to go on once it says that it reads."""
    store.put("k", b"data")
    store.put("late", b"late")
    server.fault({"method": "GET", "contains": "late", "action": {"delay": {"ms": 60_000}}})
    started = []

    def run(name, until="reading"):
        environment = {**os.environ, "STORE": json.dumps({"url": store.url, "options": options}), "PYTHONFAULTHANDLER": "1"}
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py")), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        if until:
            assert process.stdout.readline().strip() == until, process.stderr.read()
        begun = time.monotonic()
        out, err = process.communicate("\n", timeout=60)
        return process.returncode, out, err, time.monotonic() - begun

    yield run
    for process in started:
        process.kill()
        with process:
            pass


def test_ctrl_c_ends_a_read_within_a_second(child):
    for name in ("interrupted", "interrupted_in_wait_for_ranges"):
        status, out, err, _ = child(name)
        assert (status, out) == (0, "interrupted\n"), err


@pytest.mark.parametrize("name", ["exits_while_daemons_read", "exits_with_everything_open"])
def test_an_interpreter_ends_while_reads_are_under_way(child, store, name, seen):
    # What was never closed was not written: that is said.
    unwritten = ["w", "v"] if name == "exits_with_everything_open" else []
    said = "".join(f"{store.url}{key} was not written: its writer was never closed\n" for key in unwritten)
    for _ in range(5):
        status, out, err, seconds = child(name)
        assert (status, out, err) == (0, "", said)
        assert seconds < 10
    # A write by parts that nobody closed was aborted.
    aborted = [line for line in seen() if line["method"] == "DELETE" and line["status"] in (200, 204)]
    assert len(aborted) == (5 if name == "exits_with_everything_open" else 0)
    assert sorted(entry.key for entry in store.list()) == ["k", "late"]


def test_a_callback_is_called_once_at_the_interpreters_end_too(child):
    status, out, err, _ = child("exits_while_ranges_are_read")
    assert (status, out, err) == (0, "told 3 {'StoreError'}\n", "")


def test_the_exit_status_is_the_programs_own(child):
    status, _, err, _ = child("exits_by_exception")
    assert (status, err) == (3, "")


def test_a_forked_child_begins_anew(child):
    status, out, err, _ = child("forks", until=None)
    assert (status, out) == (0, "forked 8\n"), err


def read_in_pool(store):
    return bytes(store.get("k")), os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_pools_of_multiprocessing(store, method):
    store.put("k", b"data")
    assert store.get("k") == b"data"
    with multiprocessing.get_context(method).Pool(2) as pool:
        got = pool.map(read_in_pool, [store] * 8)
    assert {data for data, _ in got} == {b"data"} and os.getpid() not in {pid for _, pid in got}


def test_names_of_requests_differ_in_parent_and_child(child, seen):
    child("forks", until=None)
    names = [line["client_request_id"] for line in seen()]
    assert len(names) == len(set(names))


def test_the_gil_is_free_while_a_read_waits(server, store):
    store.put("k", b"data")
    server.fault({"method": "GET", "contains": store.url.split("/")[-2], "count": 1, "action": {"delay": {"ms": 300}}})
    counted = 0
    done = threading.Event()
    thread = threading.Thread(target=lambda: (store.get("k"), done.set()))
    thread.start()
    while not done.is_set():
        counted += 1
    thread.join()
    assert counted > 1000


def test_retries_and_giving_up_reach_logging(server, store, bucket, options, caplog):
    store.put("k", b"data")
    status = {"status": {"status": 503}}
    quick = storescope.open_store(store.url, **options, backoff_base=0.001)
    server.fault({"method": "GET", "contains": store.url.split("/")[-2], "count": 2, "action": status})
    with caplog.at_level("DEBUG", "storescope"):
        assert quick.get("k") == b"data"
        wait_for_records(caplog, 2)
    assert {(record.name, record.levelname) for record in caplog.records} == {("storescope", "DEBUG")}
    caplog.clear()
    gives_up = storescope.open_store(store.url, **options, backoff_base=0.001, attempts=2)
    server.fault({"method": "GET", "contains": store.url.split("/")[-2], "count": 2, "action": status})
    with caplog.at_level("WARNING", "storescope"), pytest.raises(storescope.StoreError) as failed:
        gives_up.get("k")
    assert (failed.value.attempts, failed.value.status) == (2, 503)
    wait_for_records(caplog, 1)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "attempts" in record.getMessage()


def wait_for_records(caplog, count):
    deadline = time.monotonic() + 20
    while len(caplog.records) < count:
        assert time.monotonic() < deadline, f"{len(caplog.records)} records came"
        time.sleep(0.001)


def test_it_is_imported_quickly():
    script = "import time; begun = time.perf_counter(); import storescope; print(time.perf_counter() - begun)"
    times = [float(subprocess.check_output([sys.executable, "-c", script], text=True)) for _ in range(5)]
    assert min(times) < 0.1, times
