# SPDX-License-Identifier: Apache-2.0
"""Interpreters that end while daemon threads are at work: none aborts, none hangs, and none says a word.

The programs are in exits.py. `EXITS` in the environment says how many end at no certain moment (`make test`: 22 for each
service; `make test-matrix`: a thousand, by each Python that is there).
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import exits

COUNT = int(os.environ.get("EXITS", "44")) // 2  # of each service
PROGRAM = Path(exits.__file__)
# A program that hangs is not waited for longer; a machine that is busy takes its time.
HANGS = 60
CUT_OFF = "the interpreter ended meanwhile"
NEVER_CLOSED = "its writer was never closed"


@pytest.fixture
def program(server, store, options):
    """Runs a program to its end: its status, output and errors."""
    for key in ("k", exits.LATE, exits.SHAKY):
        store.put(key, b"data")
    server.fault({"method": "GET", "contains": exits.LATE, "action": {"delay": {"ms": 60_000}}})
    server.fault({"method": "GET", "contains": exits.SHAKY, "action": {"status": {"status": 503}}})
    about = json.dumps({"url": store.url, "options": options, "admin": server.ready["admin"]})

    def run(work, end=exits.end_of_the_script, pause=0.0):
        command = [sys.executable, PROGRAM, work.__name__, end.__name__, str(pause)]
        environment = {**os.environ, "STORE": about, "PYTHONFAULTHANDLER": "1"}
        ended = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANGS
        )
        began, _, out = ended.stdout.partition("\n")
        assert began == "working", ended.stderr
        return ended.returncode, out, ended.stderr

    return run


@pytest.fixture
def busy():
    """A machine with something else to do: two processes that burn what they get."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.mark.timeout(120 + 4 * COUNT)
def test_interpreters_end_while_daemons_are_at_work(program, busy):
    chance = random.Random(12)
    cases = itertools.islice(itertools.cycle(exits.WORK), COUNT)
    cases = [(work, chance.choice(list(exits.ENDS)), chance.choice([0, 0.001, 0.01, 0.05])) for work in cases]
    with ThreadPoolExecutor(3) as at_once:
        ended = list(at_once.map(lambda case: program(*case), cases))
    told = [
        (work.__name__, end.__name__, pause, status, out, errors)
        for (work, end, pause), (status, out, errors) in zip(cases, ended, strict=True)
        if status != exits.ENDS[end] or out or last_line(errors) != said_of(end)
    ]
    assert told == [], f"{len(told)} of {COUNT}: {Counter((work, status) for work, _, _, status, *_ in told)}"


def said_of(end):
    """The last line that Python itself says of an end."""
    return {exits.an_exception: "KeyError: 'the end'", exits.an_interrupt: "KeyboardInterrupt"}.get(end, "")


def last_line(text):
    # A write that the end interrupts is told: where it stands still, or where its file is finalized with the interpreter.
    told = tuple(f"was not written: {why}" for why in (CUT_OFF, NEVER_CLOSED))
    text = "\n".join(line for line in text.splitlines() if not line.endswith(told))
    # What a daemon thread says is no part of a program's own end.
    return text if "Thread-" in text else text.strip().rpartition("\n")[2]


def test_an_interpreter_ends_in_the_middle_of_what_python_runs_for_us(program):
    # Each of them waits for most of its time.
    with ThreadPoolExecutor(len(exits.MOMENTS)) as at_once:
        ended = list(at_once.map(program, exits.MOMENTS))
    names = [moment.__name__ for moment in exits.MOMENTS]
    assert dict(zip(names, ended, strict=True)) == dict.fromkeys(names, (0, "", ""))


def test_handlers_of_atexit_get_locks_that_reading_threads_held(program):
    assert program(exits.a_lock_of_a_thread_that_reads) == (0, "got the lock\n", "")


def test_handlers_of_atexit_do_not_wait_for_loops_for_ever(program):
    ending = "RuntimeError('storescope: the interpreter is ending')\n"
    assert program(exits.a_loop_of_a_thread) == (0, 2 * ending, "")


def test_handlers_of_atexit_that_come_too_late_are_told_so(program):
    ending = "RuntimeError('storescope: the interpreter is ending')\n"
    assert program(exits.itself) == (0, 2 * ending, "")


def test_handlers_of_atexit_may_be_the_first_to_read(program):
    assert program(exits.the_library_for_the_first_time) == (0, "b'data'\n", "")


def test_a_write_in_the_middle_of_its_parts_is_aborted(program, server, store, seen):
    # The parts are on their way until the end.
    server.fault({"method": "PUT", "contains": exits.NEVER, "action": {"delay": {"ms": 60_000}}})
    assert program(exits.writes_by_parts) == (0, "", f"{store.url}{exits.NEVER} was not written: {CUT_OFF}\n")

    def of_never():
        return [(line["method"], line["status"]) for line in seen() if exits.NEVER in line["target"]]

    # The line of a request that broke off is made when the server sees that its connection is gone.
    deadline = time.monotonic() + HANGS
    while ("PUT", None) not in of_never():
        assert time.monotonic() < deadline, of_never()
        time.sleep(0.01)
    assert of_never().count(("DELETE", 204)) == 1, of_never()
    assert list(store.list(exits.NEVER)) == []
