# SPDX-License-Identifier: Apache-2.0
"""One task: its rows against a plain read of the whole file, what was on its way when, and whose fault an error is."""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reduction_files as made
import storescope
import uproot
from reduction_files import FORMATS

from storescope_workloads.errors import BadFile, WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.scan import formats
from storescope_workloads.scan import work as working
from storescope_workloads.scan.layout import layouts_of
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.reduction.physics import Cuts, reduce
from storescope_workloads.scan.pieces import pieces
from storescope_workloads.scan.read import blamed
from storescope_workloads.scan.work import Outcome, TaskReport, work
from storescope_workloads.settings import StoreSettings


@pytest.fixture
def faults(server):
    """Adds faults that end with the test."""
    yield server.fault
    server.admin("DELETE", "/faults")


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path, place):
    return str(tmp_path / "in") if request.param == "disk" else place


def settings_for(folder, settings):
    return settings if "://" in folder else StoreSettings()


def planned(files, job):
    """One task of all files' pieces."""
    layouts, _ = layouts_of([("data", file) for file in files], job)
    return [piece for number, layout in enumerate(layouts) for piece in pieces(number, layout, job.piece_target)]


def ran(task, job):
    """The outcomes, and the report."""
    *outcomes, report = work(task, job)
    assert all(isinstance(outcome, Outcome) for outcome in outcomes) and isinstance(report, TaskReport)
    return outcomes, report


def whole(path, kind):
    """A file's columns, read by the library itself."""
    if kind == "parquet":
        table = pq.read_table(path, columns=Cuts().columns())
        return ak.Array({name: ak.drop_none(ak.from_arrow(table[name])) for name in table.column_names})
    with uproot.open({path: "Events"}) as tree:
        return tree.arrays(Cuts().columns()) if kind == "ttree" else tree.arrays(filter_name=Cuts().columns())


def without_cuts():
    """A job that lets every pair through."""
    cuts = Cuts.load(
        "muons: {pt_min: null, abs_eta_max: null, isolation_max: null, global: false}\n"
        "leading: {pt_min: null, abs_eta_max: null, isolation_max: null}\npair: {opposite_sign: false}\n"
    )
    return dataclasses.replace(made.job(), kernel=Reduction(cuts))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("clusters", [1, 2, 100])
def test_pieces_come_to_what_the_whole_files_do(folder, settings, tmp_path, kind, clusters):
    settings = settings_for(folder, settings)
    files = made.make(folder, settings, events=6100, files=2, format=kind, branches=100)
    job = made.job(settings)
    needed = layouts_of([("data", files[0])], job)[0][0].needed
    task = planned(files, dataclasses.replace(job, piece_target=max(1, needed * clusters // 7)))
    assert len(task) == {1: 14, 2: 8, 100: 2}[clusters]
    outcomes, report = ran(task, job)
    local = made.make(str(tmp_path / "oracle"), StoreSettings(), events=6100, files=2, format=kind, branches=100)
    oracles = [reduce(whole(file.url, kind), Cuts()) for file in local]
    table = pa.concat_tables([outcome.rows for outcome in outcomes])
    assert table.schema.names == ["file", "dataset", *Cuts().output()]
    assert table.schema.types[:2] == [pa.int32(), pa.string()] and set(table["dataset"].to_pylist()) == {"data"}
    assert len(table) > 100
    for number, oracle in enumerate(oracles):
        own = table.filter(pa.compute.equal(table["file"], number))
        for name, values in oracle.rows.items():
            assert np.array_equal(own[name].to_numpy(), values), name
        flows = [outcome.summary.flow for outcome in outcomes if outcome.piece.file == number]
        assert sum(flow.events for flow in flows) == 3050
        assert {name: sum(flow.removed[name] for flow in flows) for name in flows[0].removed} == oracle.flow.removed
    assert report.dataset == "data"
    assert report.measured.needed == sum(piece.needed for piece in task)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_task_of_a_store_cost(settings, place, seen, kind):
    """The emulator's record says the same as the task; little more is read than what is needed."""
    files = made.make(place, settings, events=24_000, files=2, format=kind, branches=100, cluster=4000)
    job = made.job(settings, piece_target=100_000)
    task = planned(files, job)
    before = len(seen())
    outcomes, report = ran(task, job)
    lines = seen()[before:]
    measured = report.measured
    opening = sum(
        stop - start for number in (0, 1) for start, stop in next(p for p in task if p.file == number).opening
    )
    assert measured.snapshot.requests == len(lines)
    assert measured.snapshot.bytes_received == sum(line["bytes_out"] for line in lines)
    assert {line["method"] for line in lines} == {"GET"}
    assert measured.needed + opening <= measured.snapshot.bytes_received <= 1.15 * measured.needed + opening
    assert measured.needed + opening <= measured.read <= 1.02 * (measured.needed + opening)
    assert (measured.tasks, report.dataset) == (1, "data")
    assert 0 <= measured.wait_s <= measured.wall_s and measured.cpu_s > 0


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_of_the_next_cluster_is_read(settings, place, seen, kind):
    """uproot reads one more cluster of an RNTuple than asked for."""
    files = made.make(place, settings, events=20_000, files=1, format=kind, branches=100, cluster=4000)
    task = planned(files, made.job(settings, piece_target=1))
    _, report = ran(task[:1], made.job(settings))
    assert task[0].stop == 4000 and report.measured.needed == task[0].needed
    opening = sum(stop - start for start, stop in task[0].opening)
    assert report.measured.read <= 1.02 * (task[0].needed + opening)


def covered(lines, name, start, stop):
    """Whether requests of an object asked for these bytes."""
    spans = sorted(
        tuple(int(place) for place in line["range"].removeprefix("bytes=").split("-"))
        for line in lines
        if line["target"].endswith(name) and line["range"]
    )
    for first, last in spans:
        start = max(start, last + 1) if first <= start else start
    return start >= stop


def until(true, seconds=60):
    """Looks again and again whether something is true."""
    tick = threading.Event()
    for _ in range(seconds * 50):
        if true():
            return
        tick.wait(0.02)
    raise AssertionError("it did not come true")


@pytest.mark.parametrize("kind", FORMATS)
def test_while_a_piece_is_cut_the_next_is_on_its_way(settings, place, seen, monkeypatch, kind):
    """Each piece's cuts begin when the bytes of the next piece, in the next file at last, were asked for. They would
    not be if that took a read of it: it is not read before these cuts end."""
    files = made.make(place, settings, events=6000, files=3, format=kind, cluster=1000)
    job = made.job(settings, piece_target=20_000)
    task = planned(files, job)
    assert [piece.file for piece in task] == [0, 0, 1, 1, 2, 2]
    places = {}
    for piece in task:
        opened = working.open_file(piece, job.kernel.columns(), settings)
        places[piece] = opened.ranges(piece.start, piece.stop)
        opened.close()
    before = len(seen())
    done = []

    def watched(kernel, events, start):
        number = len(done)
        if number + 1 < len(task):
            following = task[number + 1]
            name = following.url.rpartition("/")[2]
            until(lambda: all(covered(seen()[before:], name, *span) for span in places[following]))
        done.append(number)
        return apply(kernel, events, start)

    working._warm_up(job.kernel)
    apply = Reduction.apply
    monkeypatch.setattr(Reduction, "apply", watched)
    ran(task, job)
    assert done == list(range(6))


def test_the_callers_own_reads_are_not_the_tasks(settings, place, store):
    files = made.make(place, settings, events=4000, files=1, cluster=500)
    job = made.job(settings)
    task = planned(files, job)
    store.put("own", bytes(5_000_000))
    _, alone = ran(task, job)
    for told in work(task, job):
        if isinstance(told, Outcome):
            assert len(store.get("own")) == 5_000_000
        else:
            assert told.measured.snapshot.bytes_received < 1.1 * alone.measured.snapshot.bytes_received < 1_000_000


def test_a_task_that_is_left_closes_its_files(tmp_path):
    files = made.make(str(tmp_path), StoreSettings(), events=8000, files=4)
    job = made.job(piece_target=100_000)
    task = planned(files, job)

    def open_files():
        return [
            name for name in map(os.path.realpath, Path("/proc/self/fd").glob("*")) if name.startswith(str(tmp_path))
        ]

    going = work(task, job)
    next(going)
    until(lambda: len(open_files()) >= 2)
    going.close()
    assert open_files() == []
    assert len(ran(task, job)[0]) == len(task) and open_files() == []


def test_few_files_are_open_at_once(tmp_path):
    """However many small files a task has."""
    files = made.make(str(tmp_path), StoreSettings(), events=3000, files=30)
    job = made.job(piece_target=1 << 20)
    most = 0
    for told in work(planned(files, job), job):
        assert not isinstance(told, Outcome) or told.error is None
        most = max(most, sum(str(tmp_path) in os.path.realpath(name) for name in Path("/proc/self/fd").glob("*")))
    assert 1 < most <= working.FILES + 1


def test_no_pieces_cost_nothing():
    assert [told.measured.needed for told in work([], made.job())] == [0]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_without_muons(tmp_path, kind):
    path = made.write(tmp_path / "x", kind, made.columns([0, 0, 0]), made.columns([0]))
    outcomes, _ = ran(planned([made.source(path)], made.job()), made.job())
    assert sum(outcome.summary.flow.events for outcome in outcomes) == 4
    assert [len(outcome.rows) for outcome in outcomes] == [0] * len(outcomes)
    assert outcomes[0].rows.schema.names == ["file", "dataset", *Cuts().output()]


def test_nulls_in_parquet_are_events_without_muons(tmp_path):
    events = {name: ak.to_list(values) for name, values in made.columns([2, 1, 2]).items()}
    for values in events.values():
        values[0] = None
    pq.write_table(pa.table(events), tmp_path / "x.parquet")
    outcomes, _ = ran(planned([made.source(tmp_path / "x.parquet")], made.job()), made.job())
    assert (outcomes[0].summary.flow.events, outcomes[0].summary.pairs) == (3, 1)


def test_real_nanoaod_by_pieces(real):
    file = made.source(real("nanoaod-v5-1000.root"))
    job = without_cuts()
    outcomes, _ = ran(planned([file], job), job)
    with uproot.open({file.url: "Events"}) as tree:
        counts = tree["nMuon"].array()
    assert sum(outcome.summary.pairs for outcome in outcomes) == int(ak.sum(counts >= 2)) > 0


# Bad files.


def broken(folder, settings, task, how):
    """Does something to the second file of a task that was planned."""
    out = Folder(folder, settings)
    name = task[-1].url.rpartition("/")[2]
    data = bytearray(out.read(name))
    if how == "removed":
        out._fs.rm(f"{out._path}/{name}")
    elif how == "replaced":
        out.write(name, bytes(data))
    else:
        out.write(name, bytes(data[: len(data) // 2]))


WHY = {"removed": "is gone since it was listed", "replaced": "was replaced since it was listed"}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("how", ["removed", "replaced", "truncated"])
@pytest.mark.parametrize("skip", [False, True])
def test_a_file_that_is_not_as_planned(folder, settings, kind, how, skip):
    """The same bytes again are another version, too."""
    settings = settings_for(folder, settings)
    files = made.make(folder, settings, events=6000, files=3, format=kind)
    job = made.job(settings, skip=skip)
    task = planned(files, job)
    first, second, third = ([piece for piece in task if piece.file == number] for number in range(3))
    broken(folder, settings, second, how)
    outcomes, report = ran(first + second + third, job)
    errors = {outcome.piece: outcome.error for outcome in outcomes if outcome.error}
    assert set(errors) == set(second if skip else second[:1]) and len(second) > 1
    assert {error.why for error in errors.values()} == {WHY.get(how, "was replaced since it was listed")}
    assert {error.url for error in errors.values()} == {second[0].url}
    read = first + (third if skip else [])
    assert [outcome.piece for outcome in outcomes if outcome.rows is not None] == read
    assert report.measured.needed == sum(piece.needed for piece in read)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_is_replaced_between_two_of_its_pieces(folder, settings, kind):
    settings = settings_for(folder, settings)
    file = made.make(folder, settings, events=60_000, files=1, format=kind, cluster=2000)[0]
    job = made.job(settings, skip=True)
    task = planned([file], job)
    assert len(task) > working.PIECES + 5
    going = work(task, job)
    assert next(going).error is None
    out = Folder(folder, settings)
    name = file.url.rpartition("/")[2]
    out.write(name + ".new", bytes(reversed(out.read(name))))
    if "://" in folder:
        out._fs.mv(f"{out._path}/{name}.new", f"{out._path}/{name}")
    else:
        with open(file.url, "r+b") as old:
            old.write(out.read(name + ".new"))
    outcomes = [told for told in going if isinstance(told, Outcome)]
    assert outcomes[-1].error is not None and outcomes[-1].error.why == "was replaced since it was listed"
    # What was on its way before is right; nothing else is told.
    assert all(outcome.error is not None or outcome.summary.flow.events > 0 for outcome in outcomes)


@pytest.mark.parametrize("kind", FORMATS)
def test_wrong_bytes_in_a_basket(tmp_path, kind):
    """Data that does not unpack; the file beside it is read."""
    files = made.make(str(tmp_path), StoreSettings(), events=4000, files=2, format=kind)
    opened = working.open_file(planned(files[:1], made.job())[0], Cuts().columns(), StoreSettings())
    data = bytearray(Path(files[0].url).read_bytes())
    for start, stop in opened.ranges(500, 1000):
        data[start + (stop - start) // 2 : stop] = bytes(stop - start - (stop - start) // 2)
    Path(files[0].url).write_bytes(data)
    files[0] = made.source(files[0].url)
    job = made.job(skip=True, piece_target=1)
    outcomes, _ = ran(planned(files, job), job)
    wrong = [outcome for outcome in outcomes if outcome.piece.file == 0 and outcome.error]
    assert [outcome.piece.start for outcome in wrong] == [500, 1000, 1500]
    assert wrong[0].error.why.startswith("cannot be read: ") and len(wrong[0].error.why) < 600
    assert all(outcome.error is None for outcome in outcomes if outcome.piece.file == 1)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_hint_that_fails_changes_nothing(tmp_path, monkeypatch, caplog, kind):
    """Ranges of a corrupt RNTuple may be no offsets of files. Callbacks of futures log what they raise."""
    files = made.make(str(tmp_path), StoreSettings(), events=4000, files=2, format=kind)
    calm, _ = ran(planned(files, made.job()), made.job())
    hinted = []

    def fails(opened, start, stop):
        hinted.append(start)
        raise OverflowError("Python int too large to convert to C long")

    monkeypatch.setattr(formats.Opened, "hint", fails)
    outcomes, _ = ran(planned(files, made.job()), made.job())
    assert hinted and not caplog.records
    assert [outcome.rows for outcome in outcomes] == [outcome.rows for outcome in calm]


def of_ntuple(folder):
    """An RNTuple of three clusters that is open."""
    path = made.write(folder / "x.root", "rntuple", *[made.columns([2] * 100) for _ in range(3)])
    file = made.source(path)
    return working.open_file(planned([file], made.job())[0], Cuts().columns(), StoreSettings())


def test_a_read_that_fails_leaves_an_ntuples_clusters_as_they_are(tmp_path, monkeypatch):
    opened = of_ntuple(tmp_path)
    whole, clusters = opened.read(0, 300), opened._tree.cluster_summaries

    def fails(*_, **__):
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(type(opened._tree), "arrays", fails)
        with pytest.raises(OSError, match="no"):
            opened.read(0, 100)
    assert opened._tree.cluster_summaries is clusters
    assert ak.array_equal(opened.read(0, 300), whole)
    opened.close()


def test_an_uproot_that_holds_an_ntuples_clusters_elsewhere_reads_the_same(tmp_path, monkeypatch):
    opened = of_ntuple(tmp_path)
    before = opened.read(100, 200)
    clusters = opened._tree.cluster_summaries
    monkeypatch.setattr(type(opened._tree), "cluster_summaries", property(lambda tree: list(clusters)))
    del opened._tree._cluster_summaries
    assert ak.array_equal(opened.read(100, 200), before)
    assert not hasattr(opened._tree, "_cluster_summaries")
    opened.close()


def test_a_changed_page_of_parquet_is_found_by_its_checksum(tmp_path):
    """Bytes that are not compressed unpack whatever they are."""
    file = made.make(str(tmp_path), StoreSettings(), events=1000, files=1, format="parquet", compression="none")[0]
    metadata = pq.read_metadata(file.url).row_group(0)
    place = next(at for at in range(metadata.num_columns) if metadata.column(at).path_in_schema.startswith("Muon_pt"))
    column = metadata.column(place)
    data = bytearray(Path(file.url).read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 2] ^= 0x40
    Path(file.url).write_bytes(data)
    file = made.source(file.url)
    outcomes, _ = ran(planned([file], made.job()), made.job())
    assert "CRC checksum" in outcomes[0].error.why


def test_lists_that_differ_in_length_are_a_bad_file(tmp_path):
    events = {**made.columns([2, 2]), "Muon_eta": ak.Array(np.zeros((2, 3), "f4"))[:, :1] * 1}
    events["Muon_eta"] = ak.from_regular(events["Muon_eta"])
    files = [made.source(made.write(tmp_path / "x.root", "ttree", events))]
    outcomes, _ = ran(planned(files, made.job()), made.job())
    assert "Muon_pt and Muon_eta have 2 and 1 values in one event" in outcomes[0].error.why


# The store is at fault.


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("status", [(403, "NotAllowed"), (404, "BucketNotFound"), (401, "NotAuthenticated")])
def test_a_store_that_refuses_ends_the_job_even_where_bad_files_are_skipped(settings, place, faults, kind, status):
    files = made.make(place, settings, events=4000, files=2, format=kind)
    job = made.job(settings, skip=True)
    task = planned(files, job)
    action = {"status": {"status": status[0], "code": status[1], "message": "no"}}
    faults({"method": "GET", "contains": "dimuon-0001", "action": action})
    with pytest.raises(WorkloadError) as told:
        ran(task, job)
    assert not isinstance(told.value, BadFile) and "dimuon-0001" in str(told.value)


def test_a_store_that_throttles_to_the_end_ends_the_job(settings, place, faults, monkeypatch):
    monkeypatch.setenv("STORESCOPE_ATTEMPTS", "2")
    monkeypatch.setenv("STORESCOPE_BACKOFF_BASE", "1ms")
    files = made.make(place, settings, events=4000, files=1)
    job = made.job(settings, skip=True)
    task = planned(files, job)
    faults({"method": "GET", "contains": "dimuon-0000", "action": {"throttle": {"requests": 1000}}})
    with pytest.raises(WorkloadError) as told:
        ran(task, job)
    assert not isinstance(told.value, BadFile)
    assert isinstance(told.value.__cause__, storescope.StoreError) and told.value.__cause__.kind == "throttled"


def failure(error):
    """What comes of an error in reading x.root, by itself and as the cause of another."""
    with pytest.raises(WorkloadError) as told, blamed("x.root"):
        raise error
    with pytest.raises(WorkloadError) as through, blamed("x.root"):
        raise ValueError("cannot parse") from error
    assert isinstance(through.value, BadFile) == isinstance(told.value, BadFile)
    assert str(told.value).startswith("x.root: ")
    return told.value


@pytest.mark.parametrize(
    "name", ["EMFILE", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ECONNRESET"]
)
def test_a_machine_that_fails_is_no_bad_file(name):
    """Nor is a file server that is gone: with ``skip``, all of its files would be left out."""
    number = getattr(errno, name)
    assert not isinstance(failure(OSError(number, os.strerror(number))), BadFile)


def test_a_machine_out_of_threads_is_no_bad_file():
    assert not isinstance(failure(RuntimeError("can't start new thread")), BadFile)


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "I/O error"), PermissionError(errno.EACCES, "denied"), RuntimeError()]
)
def test_what_is_one_files_fault(error):
    assert isinstance(failure(error), BadFile)


def test_a_file_that_takes_all_memory_is_named():
    why = "^x.root: cannot be read: Unable to allocate 4.00 PiB .* more than this machine has$"
    with pytest.raises(BadFile, match=why), blamed("x.root"):
        np.empty(1 << 49)
    for error in (MemoryError(), MemoryError("std::bad_alloc")):
        with pytest.raises(WorkloadError, match="^x.root: memory ran out") as told, blamed("x.root"):
            raise error
        assert not isinstance(told.value, BadFile)


FAULTS = [
    {"action": {"throttle": {"requests": 6}}},
    {"nth": 2, "count": 4, "action": {"status": {"status": 503, "code": "ServiceUnavailable", "message": "busy"}}},
    {"nth": 3, "count": 3, "action": "reset"},
    {"nth": 2, "count": 5, "action": {"truncate": {"after": 1000}}},
]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", FAULTS, ids=["429", "503", "reset", "truncate"])
def test_a_store_that_stumbles_gives_the_same_result(settings, place, seen, faults, kind, fault):
    files = made.make(place, settings, events=6000, files=2, format=kind)
    job = made.job(settings)
    task = planned(files, job)
    before = len(seen())
    calm, _ = ran(task, job)
    calm_requests = len(seen()) - before
    faults({"method": "GET", "contains": "dimuon-", **fault})
    outcomes, report = ran(task, job)
    assert report.measured.snapshot.requests > calm_requests
    for one, other in zip(calm, outcomes, strict=True):
        assert one.rows.equals(other.rows) and one.summary.flow == other.summary.flow
