# SPDX-License-Identifier: Apache-2.0
"""The local engine through a whole job: results, bad files, dead workers, Ctrl-C, and a store that stumbles."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import reduction_files as made
from reduction_files import FORMATS

from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.scan import job as jobs
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.settings import StoreSettings


@pytest.fixture(scope="module")
def engine():
    """Two processes, for all tests that break none."""
    with LocalEngine(2) as running:
        yield running


@pytest.fixture
def faults(server):
    """Adds faults that end with the test."""
    yield server.fault
    server.admin("DELETE", "/faults")


def until(true, seconds=60):
    """Looks again and again whether something is true."""
    tick = threading.Event()
    for _ in range(seconds * 50):
        if true():
            return
        tick.wait(0.02)
    raise AssertionError("it did not come true")


def same(one, other):
    """Two jobs' results, to the event."""
    assert one.summaries["data"].flow == other.summaries["data"].flow
    assert one.summaries["data"].mean_mass == other.summaries["data"].mean_mass
    for name, counts in one.summaries["data"].histograms.items():
        assert counts.tolist() == other.summaries["data"].histograms[name].tolist()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_job_on_a_store(engine, settings, place, tmp_path, seen, kind):
    """Out of one bucket, into another folder of it; equal to the same job on a disk by another number of processes."""
    files = made.make(f"{place}/in", settings, events=24_000, files=3, format=kind, branches=100, cluster=2000)
    before = len(seen())
    finished = jobs.run(
        engine, [jobs.Dataset("data", tuple(files))], made.job(settings), Folder(f"{place}/out", settings)
    )
    lines = [line for line in seen()[before:] if "dimuon-" in line["target"]]
    local = made.make(
        str(tmp_path / "in"), StoreSettings(), events=24_000, files=3, format=kind, branches=100, cluster=2000
    )
    with LocalEngine(1) as one:
        oracle = made.reduce(one, local, tmp_path / "out")
    same(finished, oracle)
    assert finished.summaries["data"].flow.events == 24_000 and finished.summaries["data"].pairs > 1000
    written = Folder(f"{place}/out", settings)
    parts = [name for name in written.files() if name.startswith("pairs/")]
    assert {os.path.dirname(name) for name in parts} == {"pairs/batch=00000/dataset=data"}
    assert sum(pq.read_metadata(written._fs.open(written.path(part))).num_rows for part in parts) == len(
        made.rows(tmp_path / "out")
    )
    both = finished.plan.snapshot + finished.measured["data"].snapshot
    assert both.requests == len(lines)
    assert both.bytes_received == sum(line["bytes_out"] for line in lines)


def test_rows_have_the_schema_and_the_compression(engine, tmp_path):
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=4000, files=2)
    made.reduce(engine, files, tmp_path / "out")
    paths = sorted((tmp_path / "out/pairs").rglob("*.parquet"))
    assert len(paths) > 1
    for path in paths:
        assert pq.read_schema(path).names == ["file", *made.Cuts().output()]
        group = pq.read_metadata(path)
        assert group.num_row_groups <= 1 or group.row_group(0).column(0).compression == "ZSTD"
    assert pq.read_metadata(paths[0]).row_group(0).column(0).compression == "ZSTD"
    table = made.rows(tmp_path / "out")
    assert set(table["dataset"].to_pylist()) == {"data"} and set(table["file"].to_pylist()) == {0, 1}


def test_several_data_sets_in_one_job(engine, tmp_path):
    one = made.make(str(tmp_path / "one"), StoreSettings(), events=3000, files=2, seed=1)
    two = made.make(str(tmp_path / "two"), StoreSettings(), events=2000, files=1, seed=2, format="parquet")
    sets = [jobs.Dataset("one", tuple(one)), jobs.Dataset("t w/o=2", tuple(two)), jobs.Dataset("none", ())]
    finished = jobs.run(engine, sets, made.job(), Folder(str(tmp_path / "out"), StoreSettings()))
    assert {name: summary.flow.events for name, summary in finished.summaries.items()} == {
        "one": 3000,
        "t w/o=2": 2000,
        "none": 0,
    }
    table = made.rows(tmp_path / "out")
    counts = {name: table["dataset"].to_pylist().count(name) for name in ("one", "t w/o=2")}
    assert counts == {name: finished.summaries[name].pairs for name in counts} and min(counts.values()) > 50


@pytest.mark.parametrize("kind", FORMATS)
def test_files_without_events_or_muons(engine, tmp_path, kind):
    none = made.source(made.write(tmp_path / "in/none", kind))
    empty = made.source(made.write(tmp_path / "in/empty", kind, made.columns([0] * 10)))
    pairs = made.source(made.write(tmp_path / "in/pairs", kind, made.columns([2, 0, 2])))
    finished = made.reduce(engine, [none, empty, pairs, none], tmp_path / "out")
    assert (finished.summaries["data"].flow.events, finished.summaries["data"].pairs) == (13, 2)
    assert abs(finished.summaries["data"].mean_mass - 91.2) < 1e-4
    only = made.reduce(engine, [none, empty], tmp_path / "other")
    assert (only.summaries["data"].flow.events, only.summaries["data"].pairs, only.summaries["data"].mean_mass) == (
        10,
        0,
        None,
    )
    nothing = made.reduce(engine, [none], tmp_path / "third")
    assert nothing.summaries["data"].flow.events == 0 and nothing.batches in (0, 1)
    for out in ("other", "third"):
        table = made.rows(tmp_path / out)
        assert len(table) == 0 and set(table.column_names) == {"batch", "dataset", "file", *made.Cuts().output()}


def test_the_plan_of_many_files_takes_few_requests(engine, settings, place, seen):
    """The plan's requests grow as the files do, one for each where they are alike; not faster."""
    counts = {}
    for number in (8, 40):
        files = made.make(f"{place}/{number}", settings, events=number * 100, files=number)
        before = len(seen())
        layouts = list(engine.layouts([("data", file) for file in files], made.job(settings), lambda done: None))
        counts[number] = len(seen()) - before
        assert [layout.url for layout in layouts] == [file.url for file in files]
    # The first file of each of the two processes takes four.
    assert counts[40] <= 40 + 2 * 3


def test_progress_adds_up(engine, tmp_path):
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=4000, files=5)
    told = {}

    class Watch(jobs.Watch):
        def stage(self, name, total, unit):
            told[name] = [total, 0]

            def progress(done):
                told[name][1] += done

            return progress

    made.reduce(engine, files, tmp_path / "out", watch=Watch())
    assert told == {"plan": [5, 5], "reduce": [4000, 4000]}


# Bad files.


def spoil(path, how):
    data = Path(path).read_bytes()
    if how == "basket":
        with open(path, "r+b") as file:
            file.seek(len(data) // 3)
            file.write(b"\xa5" * (len(data) // 3))
    elif how == "truncated":
        Path(path).write_bytes(data[: len(data) // 2])
    elif how == "other":
        made.write(Path(path), "ttree", {"x": made.np.zeros(3)})


def test_an_engine_that_lacks_something_leaves_no_output(tmp_path):
    """Such as Spark without the jar: nothing was read, and the corrected command finds an empty folder."""

    class Lacking(LocalEngine):
        def require(self, out, inputs):
            assert out.url == str(tmp_path / "out") and len(inputs) == 2
            raise UsageError("give --jars")

    files = made.make(str(tmp_path / "in"), StoreSettings(), events=100, files=2)
    with pytest.raises(UsageError, match="give --jars"), Lacking(1) as lacking:
        made.reduce(lacking, files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["basket", "truncated", "other"])
def test_a_bad_file_ends_the_job_or_is_left_out_as_a_whole(engine, tmp_path, how):
    """Some of its pieces are good, and lie in other tasks."""
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=16_000, files=4)
    good = made.reduce(engine, [file for number, file in enumerate(files) if number != 1], tmp_path / "good")
    spoil(files[1].url, how)
    files[1] = made.source(files[1].url)
    with pytest.raises(BadFile) as told:
        made.reduce(engine, files, tmp_path / "out")
    assert told.value.url == files[1].url and "pairs/batch=00000" not in str(
        Folder(str(tmp_path / "out"), StoreSettings()).files()
    )
    finished = made.reduce(engine, files, tmp_path / "skipped", made.job(skip=True))
    same(finished, good)
    assert [(left.dataset, left.url, left.events) for left in finished.skipped] == [
        ("data", files[1].url, 4000 if how == "basket" else None)
    ]
    # Several tasks met it, each at another place of the file.
    assert finished.skipped[0].why.split(":")[:2] == told.value.why.split(":")[:2]
    names = ["mass_gev", "pt1", "pt2", "phi1"]
    left, wanted = made.rows(tmp_path / "skipped"), made.rows(tmp_path / "good")
    assert left.select(names).equals(wanted.select(names))
    assert set(left["file"].to_pylist()) == ({0, 2, 3} if how == "basket" else {0, 1, 2})


class Replacing(jobs.Watch):
    """Replaces files when the plan is made and the work begins."""

    def __init__(self, replace):
        self._replace = replace

    def stage(self, name, total, unit):
        if name == "reduce":
            self._replace()
        return lambda done: None


@pytest.mark.parametrize("where", ["disk", "store"])
@pytest.mark.parametrize("skip", [False, True])
def test_a_file_that_is_replaced_between_plan_and_read(engine, settings, tmp_path, place, where, skip):
    folder, settings = (str(tmp_path / "in"), StoreSettings()) if where == "disk" else (place, settings)
    files = made.make(folder, settings, events=8000, files=3)
    inputs = Folder(folder, settings)
    watch = Replacing(lambda: inputs.write("dimuon-0001.root", inputs.read("dimuon-0002.root")))
    job = made.job(settings, skip=skip)
    if not skip:
        with pytest.raises(BadFile, match="was replaced since it was listed"):
            made.reduce(engine, files, tmp_path / "out", job, watch=watch)
        return
    finished = made.reduce(engine, files, tmp_path / "out", job, watch=watch)
    assert [(left.url, left.why) for left in finished.skipped] == [(files[1].url, "was replaced since it was listed")]
    assert finished.summaries["data"].flow.events == 8000 - finished.skipped[0].events
    assert set(made.rows(tmp_path / "out")["file"].to_pylist()) == {0, 2}


def test_all_files_are_bad(engine, tmp_path):
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=4000, files=2)
    for number, file in enumerate(files):
        spoil(file.url, "basket")
        files[number] = made.source(file.url)
    finished = made.reduce(engine, files, tmp_path / "out", made.job(skip=True))
    assert finished.summaries["data"].flow.events == 0
    assert [left.events for left in finished.skipped] == [2000, 2000]


def test_a_store_that_refuses_ends_the_job_even_with_skip(engine, settings, place, tmp_path, faults):
    files = made.make(place, settings, events=4000, files=3)
    action = {"status": {"status": 403, "code": "NotAllowed", "message": "no"}}
    watch = Replacing(lambda: faults({"method": "GET", "contains": "dimuon-0001", "action": action}))
    with pytest.raises(WorkloadError, match="dimuon-0001") as told:
        made.reduce(engine, files, tmp_path / "out", made.job(settings, skip=True), watch=watch)
    assert not isinstance(told.value, BadFile)


def test_bursts_of_429_give_the_same_result(engine, settings, place, tmp_path, faults, server):
    files = made.make(place, settings, events=12_000, files=4)
    calm = made.reduce(engine, files, tmp_path / "calm", made.job(settings))
    faults(
        {
            "method": "GET",
            "contains": "dimuon-",
            "nth": 3,
            "count": 40,
            "probability": 0.5,
            "seed": 3,
            "action": {"status": {"status": 429, "code": "TooManyRequests", "message": "slow down"}},
        }
    )
    throttled = made.reduce(engine, files, tmp_path / "throttled", made.job(settings))
    same(calm, throttled)
    assert made.rows(tmp_path / "calm").equals(made.rows(tmp_path / "throttled"))
    assert (
        sum(throttled.measured["data"].snapshot.failures.values()) + sum(throttled.plan.snapshot.failures.values()) > 5
    )


def test_a_folder_that_cannot_be_cleared_does_not_hide_why_it_should(engine, tmp_path, monkeypatch):
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=4000, files=2)
    spoil(files[1].url, "basket")
    files[1] = made.source(files[1].url)
    clear, cleared = Folder.clear, []

    def once(folder):
        cleared.append(folder.url)
        if len(cleared) > 1:
            raise PermissionError("the folder cannot be cleared")
        clear(folder)

    monkeypatch.setattr(Folder, "clear", once)
    with pytest.raises(BadFile):
        made.reduce(engine, files, tmp_path / "out")
    assert len(cleared) == 2


# Workers that die.


class Killing(jobs.Watch):
    """Kills the workers, at the first part of the second batch that has ended."""

    def __init__(self, engine, number):
        self._engine, self._number = engine, number
        self.killed = False

    def stage(self, name, total, unit):
        done = 0

        def progress(more):
            nonlocal done
            done += more
            if name == "reduce" and done > total // 3 and not self.killed:
                self.killed = True
                os.kill(self._engine._workers._processes[0].pid, self._number)

        return progress


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_ends_the_job_and_resume_finishes_it(tmp_path, number):
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=24_000, files=3)
    job = made.job(piece_target=10_000)
    needed = 24_000 * 5
    others = set(multiprocessing.active_children())
    with LocalEngine(2) as engine:
        whole = made.reduce(engine, files, tmp_path / "whole", job, batch_target=needed)
        assert whole.batches == 3
        with pytest.raises(WorkloadError) as told:
            made.reduce(engine, files, tmp_path / "out", job, batch_target=needed, watch=Killing(engine, number))
        what = "was killed (SIGKILL)" if number == signal.SIGKILL else "died of SIGSEGV"
        assert what in str(told.value) and "batch 1" in str(told.value) and "--resume" in str(told.value)
        left = Folder(str(tmp_path / "out"), StoreSettings()).files()
        assert {name.split("/")[1] for name in left if name.startswith("pairs/")} == {"batch=00000"}
        with pytest.raises(UsageError, match="--resume"):
            made.reduce(engine, files, tmp_path / "out", job, batch_target=needed)
        # The same engine goes on, with new processes.
        again = made.reduce(engine, files, tmp_path / "out", job, batch_target=needed, resume=True)
    assert (again.resumed, again.batches) == (1, 3)
    same(again, whole)
    assert made.rows(tmp_path / "out").equals(made.rows(tmp_path / "whole"))
    assert set(multiprocessing.active_children()) == others


SCRIPT = """
import os, sys, time
import reduction_files as made
from storescope_workloads.scan import job as jobs
from storescope_workloads.scan.local import LocalEngine

class Watch(jobs.Watch):
    def stage(self, name, total, unit):
        def progress(done):
            if name == "reduce":
                print(*[process.pid for process in engine._workers._processes], flush=True)
                time.sleep(600)
        return progress

if __name__ == "__main__":
    files = [made.source(path) for path in sys.argv[2:]]
    with LocalEngine(2) as engine:
        made.reduce(engine, files, sys.argv[1], made.job(piece_target=1), watch=Watch())
"""


def is_there(process):
    """Whether a process is: one that has ended and was not waited for is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_where_the_job_is_ended(tmp_path, number):
    """Ctrl-C goes to all processes of a terminal."""
    files = made.make(str(tmp_path / "in"), StoreSettings(), events=8000, files=2)
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "out"), *(file.url for file in files)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as running:
        workers = [int(pid) for pid in running.stdout.readline().split()]
        assert len(workers) == 2 and all(is_there(worker) for worker in workers)
        if number == signal.SIGINT:
            os.killpg(running.pid, number)
        else:
            running.send_signal(number)
        try:
            until(lambda: running.poll() is not None, 30)
            until(lambda: not any(is_there(worker) for worker in workers), 30)
        finally:
            for worker in filter(is_there, workers):
                os.kill(worker, signal.SIGKILL)
        errors = running.stderr.read()
    if number == signal.SIGINT:
        assert errors.count("KeyboardInterrupt") == 1 and "Process SpawnProcess" not in errors
        assert not list((tmp_path / "out/pairs").rglob("*.parquet"))
