# SPDX-License-Identifier: Apache-2.0
"""The source by uproot's contract, against a reader that counts: no server, no clock."""

from __future__ import annotations

import gc
import logging
import pickle
import queue
import struct
import subprocess
import sys
import threading

import pytest
import uproot
import uproot_fake
import uproot_files

import storescope.uproot
from storescope import _uproot_hooks, _uproot_plan, _uproot_source, _uproot_stores
from storescope.uproot import BEFORE_KEYS, END, HEAD, Source

pytestmark = pytest.mark.timeout(60)

URL = "oci://bucket@namespace/"
COLUMNS = ["Muon_pt", "met"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    fake = uproot_fake.FakeStore(tmp_path)
    monkeypatch.setattr(_uproot_source, "store_of", lambda base, settings: fake)
    monkeypatch.setattr(_uproot_source, "_before_keys", {})
    return fake


@pytest.fixture
def tree(store):
    return uproot_files.write_tree(store.folder / "tree.root").name


@pytest.fixture
def ntuple(store):
    return uproot_files.write_ntuple(store.folder / "ntuple.root").name


def opened(name, **options):
    return opened_as(name, "Events", **options)


def opened_as(name, object_path, **options):
    return uproot.open({URL + name: object_path}, handler=Source, **options)


def local(store, name):
    return uproot.open({store.folder / name: "Events"})


def all_of(notifications, count):
    return [notifications.get(timeout=10) for _ in range(count)]


# The contract of a source.


def test_chunks_have_exactly_the_ranges_asked_for_and_are_notified_once_each(store):
    (store.folder / "x").write_bytes(bytes(range(256)) * 10)
    source, notifications = Source(URL + "x"), queue.Queue()
    ranges = [(0, 10), (2000, 2560), (5, 300), (7, 7), (2550, 2600), (9000, 9010)]
    chunks = source.chunks(ranges, notifications)
    assert [(chunk.start, chunk.stop) for chunk in chunks] == ranges
    assert {id(chunk) for chunk in all_of(notifications, len(ranges))} == {id(c) for c in chunks}
    data = (store.folder / "x").read_bytes()
    for (start, stop), chunk in zip(ranges[:4], chunks, strict=False):
        assert chunk.raw_data.tobytes() == data[start:stop]
    for chunk in chunks[4:]:
        with pytest.raises(OSError, match="expected Chunk of length"):
            chunk.wait()
    assert notifications.empty()
    assert source.chunks([], notifications) == []


def test_counters_and_size(store):
    (store.folder / "x").write_bytes(bytes(5000))
    source = Source(URL + "x")
    source.chunk(0, 403)
    source.chunks([(10, 20), (30, 50)], queue.Queue())
    assert source.performance_counters.asdict() == {
        "num_requests": 2,
        "num_requested_chunks": 3,
        "num_requested_bytes": 433,
    }
    assert (source.num_bytes, source.file_path) == (5000, URL + "x")


def test_making_a_source_does_no_io_and_opening_fetches_the_first_bytes(store):
    (store.folder / "x").write_bytes(bytes(3 << 20))
    source = Source(URL + "x")
    reader = store.last
    assert (reader.hints, reader.reads) == ([], [])
    source.chunk(0, 403)
    assert reader.hints == [[(0, HEAD)]]
    source.chunk(0, 403)
    assert (len(reader.hints), reader.waits) == (1, [])


def root_file(path, size, keys, large=False):
    """The first bytes of a file of ROOT's, and no others: its list of 100 keys is there."""
    name = 70
    header = struct.pack(">4sii", b"root", 1_062_400 if large else 62_400, 100)
    wide = "q" if large else "i"
    header += struct.pack(f">{wide}{wide}iiiBi{wide}i", size, size - 50, 50, 1, name, 4, 101, size - 50, 50)
    directory = struct.pack(f">hIIii{wide}{wide}{wide}", 1005 if large else 5, 0, 0, 100, name, 100, 0, keys)
    path.write_bytes((header.ljust(100 + name, b"\0") + directory).ljust(size, b"\0"))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("size", "keys", "fetched"),
    [
        # At the end: with what lies before them, where trees are.
        (3 << 20, (3 << 20) - 5_000, [((3 << 20) - 5_000 - BEFORE_KEYS, 3 << 20)]),
        (3 << 20, (3 << 20) - END - 100, [((3 << 20) - END - 100 - BEFORE_KEYS, 3 << 20)]),
        # In the midst.
        (3 << 20, (3 << 20) - END - 101, [((3 << 20) - END - 101, (3 << 20) - END + 7)]),
        (3 << 20, HEAD - 50, [(HEAD, HEAD + 58)]),
        # Among the first bytes.
        (3 << 20, HEAD - 100, []),
        # A small file: what is before the keys is a quarter of it at most, and nothing twice.
        (300_000, 290_000, [(215_000, 300_000)]),
        (HEAD + 20_000, HEAD + 15_000, [(HEAD, HEAD + 20_000)]),
        (HEAD, HEAD - 5_000, []),
        # No list of keys can be there.
        (3 << 20, 4 << 20, []),
        (3 << 20, 0, []),
    ],
)
def test_what_is_fetched_of_a_file_is_where_its_header_says(store, size, keys, fetched, large):
    root_file(store.folder / "x", size, keys, large)
    Source(URL + "x").chunk(0, 403)
    assert [r for hint in store.last.hints[1:] for r in hint] == fetched
    assert store.last.hints[0] == [(0, HEAD)]


def test_files_of_a_bucket_end_alike(store):
    """What was needed of one file's end is fetched of the next one's."""
    size, keys = 8 << 20, (8 << 20) - 1_000
    for name in "abcd":
        root_file(store.folder / name, size, keys)
    expected = [BEFORE_KEYS, 300_000 * 9 // 8, 20_000 * 9 // 8, 20_000 * 9 // 8]
    for name, before, tree in zip("abcd", expected, [300_000, 20_000, 5 << 20, 1], strict=True):
        source = Source(URL + name)
        source.chunk(0, 403)
        source.chunk(keys, keys + 100)
        assert store.last.hints[1] == [(keys - before, size)], name
        source.chunk(keys - tree, keys - tree + 1)
        # Only the first thing read there counts.
        source.chunk(keys - 50, keys - 10)


@pytest.mark.parametrize("name", uproot_files.REAL)
def test_the_list_of_keys_is_found_in_real_files(name):
    path = uproot_files.real(name)
    with uproot.open(path) as file:
        keys = file.fSeekKeys, file.fSeekKeys + file.fNbytesKeys
    assert _uproot_source._list_of_keys(path.read_bytes()[:4096]) == keys


@pytest.mark.parametrize("head", [b"", b"root", bytes(4096), b"root" + b"\xff" * 4092, b"root" + b"\x7f" * 4092])
def test_bytes_that_are_no_header_tell_nothing(head):
    assert _uproot_source._list_of_keys(head) is None


def test_a_directory_is_said_to_be_one(store):
    (store.folder / "d").mkdir()
    (store.folder / "d" / "x").write_bytes(bytes(500))
    for name in ("d", "d/"):
        with pytest.raises(IsADirectoryError, match="this is a directory, and no object"):
            Source(URL + name).chunk(0, 403)
    with pytest.raises(FileNotFoundError):
        Source(URL + "none").chunk(0, 403)


def test_no_secret_of_a_url_is_shown(store):
    for url in ("oci://user:secret@host", "https://user:secret@host/", "s3://user:secret@bucket"):
        with pytest.raises(ValueError, match="names no object") as told:
            Source(url)
        assert "secret" not in str(told.value)
    source = Source("oci://user:secret@host/key")
    assert "secret" not in repr(source)
    source.close()
    with pytest.raises(OSError, match="is closed") as told:
        source.chunk(0, 403)
    assert "secret" not in str(told.value)


def test_a_closed_source_says_so(store):
    (store.folder / "x").write_bytes(bytes(500))
    with Source(URL + "x") as source:
        assert not source.closed
        source.chunk(0, 403)
    source.close()
    assert source.closed
    for read in (
        lambda: source.chunk(0, 10),
        lambda: source.chunks([(0, 10)], queue.Queue()),
        lambda: source.num_bytes,
    ):
        with pytest.raises(OSError, match="is closed"):
            read()
    source.hint([(0, 10)])
    source._expect([(0, 10)])


def test_a_file_that_uproot_drops_is_closed(store, tree):
    opened(tree)
    gc.collect()
    assert store.last.closed


def test_closing_in_the_middle_notifies_all_that_is_left(store):
    (store.folder / "x").write_bytes(bytes(500))
    store.gate.clear()
    source, notifications = Source(URL + "x"), queue.Queue()
    chunks = source.chunks([(0, 10), (20, 30)], notifications)
    source.close()
    assert len(all_of(notifications, 2)) == 2
    for chunk in chunks:
        with pytest.raises(OSError, match="is closed"):
            chunk.wait()
    # What is delivered late is nobody's.
    handle = store.last.handles[0]
    store.gate.set()
    handle.thread.join(10)
    assert handle.cancelled.is_set()
    assert notifications.empty()


def test_each_failed_part_is_notified_and_raises_where_it_is_waited_for(store):
    (store.folder / "x").write_bytes(bytes(500))
    store.faults[(20, 30)] = PermissionError("not yours")
    source, notifications = Source(URL + "x"), queue.Queue()
    chunks = source.chunks([(0, 10), (20, 30)], notifications)
    assert len(all_of(notifications, 2)) == 2
    chunks[0].wait()
    with pytest.raises(PermissionError, match="not yours"):
        chunks[1].wait()


def test_a_reader_that_refuses_a_whole_call_notifies_all(store, monkeypatch):
    (store.folder / "x").write_bytes(bytes(500))

    def refuse(self, ranges, on_part):
        on_part(0, memoryview(b"0123456789"))
        raise RuntimeError("no memory")

    monkeypatch.setattr(uproot_fake.FakeReader, "read_ranges", refuse)
    source, notifications = Source(URL + "x"), queue.Queue()
    chunks = source.chunks([(0, 10), (20, 30)], notifications)
    assert len(all_of(notifications, 2)) == 2
    assert chunks[0].raw_data.tobytes() == b"0123456789"
    with pytest.raises(RuntimeError, match="no memory"):
        chunks[1].wait()


def test_a_future_can_be_waited_for_with_a_limit(store):
    (store.folder / "x").write_bytes(bytes(500))
    store.gate.clear()
    chunk = Source(URL + "x").chunks([(0, 10)], queue.Queue())[0]
    with pytest.raises(TimeoutError):
        chunk.future.result(timeout=0)
    store.gate.set()
    assert len(chunk.future.result(timeout=10)) == 10


def test_it_pickles_by_url_and_settings_and_stays_with_its_version(store):
    (store.folder / "x").write_bytes(bytes(5000))
    fresh = pickle.loads(pickle.dumps(Source(URL + "x", call_timeout=5)))
    assert (store.last.options["size"], fresh._settings) == (None, {"call_timeout": 5})
    fresh.chunk(0, 403)
    store.last.etag = "abc"
    again = pickle.loads(pickle.dumps(fresh))
    assert (store.last.options["size"], store.last.options["etag"]) == (5000, "abc")
    assert again.file_path == URL + "x"
    assert not again.closed
    # Opened before: the ends are not fetched again.
    again.chunk(0, 403)
    assert store.last.hints == []
    fresh.close()
    assert pickle.loads(pickle.dumps(fresh)).closed


def test_a_pickled_tree_reads_on(store, tree):
    with opened(tree) as events:
        copy = pickle.loads(pickle.dumps(events))
        uproot_files.assert_same(copy.arrays(COLUMNS), local(store, tree).arrays(COLUMNS))
    assert copy.file.source.num_requests > 0


def test_options_of_others_are_accepted(store, tree, caplog):
    with opened(tree, timeout=60, num_workers=3, use_threads=False) as events:
        settings = events.file.source._settings
    assert settings == {"first_byte_timeout": 60, "stall_timeout": 60}
    assert not caplog.records
    Source(URL + tree, endpont="x", call_timeout=1, timeout=2)
    assert "endpont" in caplog.text


@pytest.mark.parametrize("url", ["oci://bucket@namespace", "oci://bucket@namespace/", "file.root"])
def test_a_url_without_an_object_is_refused(url):
    with pytest.raises(ValueError, match="names no object"):
        Source(url)


def test_urls_are_taken_literally():
    split = _uproot_stores.split
    assert split("storescope+oci://b@n/a%20b/../c?d#e") == ("oci://b@n", "a%20b/../c?d#e")
    assert split("s3://b//a") == ("s3://b", "/a")


# Equal to the local read.


@pytest.mark.parametrize("library", ["ak", "np", "pd"])
def test_arrays_equal_the_local_ones(store, tree, ntuple, library):
    for name in (tree, ntuple):
        with opened(name) as ours, local(store, name) as theirs:
            one, other = (t.arrays(["met", "run"], library=library) for t in (ours, theirs))
        if library == "ak":
            uproot_files.assert_same(one, other)
        elif library == "pd":
            assert one.equals(other)
        else:
            assert all((one[field] == other[field]).all() for field in ("met", "run"))


@pytest.mark.parametrize("name", uproot_files.REAL)
def test_real_files_equal_the_local_read(store, name):
    path = uproot_files.real(name)
    (store.folder / name).symlink_to(path)
    object_path, filter_name = uproot_files.REAL[name]
    with uproot.open({URL + name: object_path}, handler=Source) as ours:
        with uproot.open({path: object_path}) as theirs:
            uproot_files.assert_same(
                ours.arrays(filter_name=filter_name), theirs.arrays(filter_name=filter_name)
            )
        assert ours.file.source.num_requests > 0


# What is foreseen.


def waits_after_open(store):
    reader = store.last
    del reader.waits[:]
    return reader


@pytest.mark.parametrize("step", ["100 MB", "20 kB", 2_000, 1_500, 100_000])
def test_iterating_over_a_tree_waits_for_nothing_that_was_not_foreseen(store, tree, step):
    with opened(tree) as ours, local(store, tree) as theirs:
        # Only what is foreseen is there: not what opening this small file brought.
        store.last.fetched.clear()
        reader = waits_after_open(store)
        at_open = reader.hinted
        steps = list(ours.iterate(COLUMNS, step_size=step))
        others = list(theirs.iterate(COLUMNS, step_size=step))
        branches = [theirs[name] for name in COLUMNS]
        baskets = sum(b.basket_compressed_bytes(n) for b in branches for n in range(b.num_baskets))
    assert len(steps) == len(others)
    for one, other in zip(steps, others, strict=True):
        uproot_files.assert_same(one, other)
    assert reader.waits == []
    keys = 34 * sum(branch.num_baskets for branch in branches)
    in_vain = reader.hinted - baskets - at_open
    assert in_vain <= (keys if isinstance(step, str) else 0)


def test_only_the_entries_asked_for_are_foreseen(store, tree):
    with opened(tree) as ours:
        reader = waits_after_open(store)
        before = reader.hinted
        met = ours["met"]
        wanted = [met.basket_compressed_bytes(n) for n in (3, 4)]
        steps = list(ours.iterate("met", entry_start=7_000, entry_stop=9_000, step_size=500))
    assert [len(step) for step in steps] == [500] * 4
    assert reader.hinted - before == sum(wanted)


def test_counting_entries_foresees_keys_alone(store, tree):
    with opened(tree) as ours, local(store, tree) as theirs:
        reader = store.last
        before = reader.hinted, len(reader.reads)
        assert ours.num_entries_for("20 kB", COLUMNS) == theirs.num_entries_for("20 kB", COLUMNS)
        baskets = sum(theirs[name].num_baskets for name in COLUMNS)
        # The keys have a reader of their own, of the same version.
        keys = store.last
        assert keys.options["size"] == reader.size
        assert (keys.waits, keys.hinted, len(keys.reads)) == ([], 34 * baskets, baskets)
        assert (reader.hinted, len(reader.reads)) == before
    assert reader.closed == keys.closed == 1


def test_keys_of_baskets_beyond_the_window_are_fetched_apart(store, tree, monkeypatch):
    monkeypatch.setattr(_uproot_plan, "AHEAD", 40_000)
    with opened(tree) as ours, local(store, tree) as theirs:
        reader = waits_after_open(store)
        found, expected = (list(t.iterate(["met", "event"])) for t in (ours, theirs))
        for one, other in zip(found, expected, strict=True):
            uproot_files.assert_same(one, other)
        keys = store.last
    assert keys is not reader
    assert 0 < keys.hinted < 34 * 20
    # One step is larger than the window: what is beyond it is asked for at once, when the step is.
    assert keys.waits == [] and len(reader.waits) == 1


def test_a_loop_has_no_more_than_its_window_on_the_way(store, tree, monkeypatch):
    window = 40_000
    monkeypatch.setattr(_uproot_plan, "AHEAD", window)
    with opened(tree) as ours:
        reader = waits_after_open(store)
        before = reader.hinted
        loop = ours.iterate(["met", "event"], step_size=2_000)
        next(loop)
        first = reader.hinted - before
        assert 0 < first <= window + 30_000
        for _ in loop:
            assert reader.waits == []
        assert reader.hinted - before > first


def test_two_loops_at_once_do_not_disturb_each_other(store, tree):
    with opened(tree) as ours:
        reader = waits_after_open(store)
        one = ours.iterate("met", step_size=1_000)
        other = ours.iterate(["met", "event"], step_size=3_000, entry_stop=6_000)
        next(one)
        assert len(list(other)) == 2
        assert len(list(one)) == 19
    assert reader.waits == []


@pytest.mark.parametrize("step", ["100 MB", "20 kB", 2_000, 1_500])
def test_iterating_over_an_ntuple_waits_for_nothing_that_was_not_foreseen(store, ntuple, step):
    with opened(ntuple) as ours, local(store, ntuple) as theirs:
        ours.field_names  # noqa: B018 header and footer are read now
        ours.footer  # noqa: B018
        store.last.fetched.clear()
        reader = waits_after_open(store)
        steps = list(ours.iterate(COLUMNS, step_size=step))
        others = list(theirs.iterate(COLUMNS, step_size=step))
    for one, other in zip(steps, others, strict=True):
        uproot_files.assert_same(one, other)
    assert reader.waits == []
    # The page lists, and all pages at once; of steps that share a cluster, those that are not in the cache.
    assert len(reader.hints) <= 2 + 2


def test_the_arrays_of_an_ntuple_are_foreseen_together(store, ntuple):
    with opened(ntuple) as ours, local(store, ntuple) as theirs:
        ours.footer  # noqa: B018
        store.last.fetched.clear()
        reader = waits_after_open(store)
        hints = len(reader.hints)
        some = {"filter_name": COLUMNS, "entry_start": 3_000, "entry_stop": 5_000}
        uproot_files.assert_same(ours.arrays(**some), theirs.arrays(**some))
        assert (reader.waits, len(reader.hints) - hints) == ([], 2)
        # What uproot has in its cache is not fetched again.
        hints, reads = len(reader.hints), len(reader.reads)
        uproot_files.assert_same(ours.arrays(**some), theirs.arrays(**some))
        assert (len(reader.hints), len(reader.reads)) == (hints, reads)


def test_a_page_that_columns_share_is_read_once(store):
    path = uproot_files.real("physlite-rntuple.root")
    (store.folder / path.name).symlink_to(path)
    with opened_as(path.name, "EventData") as ours:
        ours.arrays()
    reads = store.last.reads
    assert len(reads) == len(set(reads)) > 900


def test_virtual_arrays_of_an_ntuple_are_foreseen_by_column(store, ntuple):
    with opened(ntuple) as ours, local(store, ntuple) as theirs:
        ours.footer  # noqa: B018
        store.last.fetched.clear()
        reader = waits_after_open(store)
        virtual = ours.arrays(virtual=True)
        asked = reader.hinted
        uproot_files.assert_same(virtual[["met"]], theirs.arrays(["met"]))
        assert reader.waits == []
        assert reader.hinted > asked


def test_sources_of_others_are_left_alone(store, tree, ntuple):
    for name in (tree, ntuple):
        with local(store, name) as theirs:
            list(theirs.iterate(COLUMNS))
    assert store.readers == []


def test_an_uproot_with_other_functions_reads_all_the_same(store, tree):
    """In a process of its own: hooks are placed once."""
    script = f"""
import logging, sys, pathlib
sys.path.insert(0, {str(uproot_fake.__file__.rpartition("/")[0])!r})
import uproot, uproot_fake, uproot_files, storescope.uproot
logging.basicConfig(stream=sys.stdout)
import uproot.behaviors.TBranch as behaviors
def other(tree, step, *rest, _was=behaviors._regularize_step_size):
    return _was(tree, step, *rest)
behaviors._regularize_step_size = other
fake = uproot_fake.FakeStore(pathlib.Path({str(store.folder)!r}))
storescope._uproot_source.store_of = lambda base, settings: fake
with uproot.open({{"{URL}{tree}": "Events"}}, handler=storescope.uproot.Source) as tree:
    print("read", sum(len(step) for step in tree.iterate(["met"])))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert ran.returncode == 0, ran.stderr
    assert "_regularize_step_size is not as known" in ran.stdout
    assert "read 20000" in ran.stdout


def test_an_error_in_foreseeing_costs_no_result(store, tree, monkeypatch, caplog):
    def broken(*args):
        raise KeyError("fBasketSeek")

    monkeypatch.setattr(_uproot_hooks, "_baskets", broken)
    monkeypatch.setattr(_uproot_hooks, "_told", set())
    with caplog.at_level(logging.WARNING), opened(tree) as ours:
        assert sum(len(step) for step in ours.iterate(COLUMNS)) == 20_000
        assert sum(len(step) for step in ours.iterate(COLUMNS)) == 20_000
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 2, "once for each that failed"


# Bad input.


def test_a_missing_object(store):
    with pytest.raises(FileNotFoundError):
        uproot.open(URL + "nothing.root", handler=Source)


def test_not_a_root_file(store):
    (store.folder / "x").write_bytes(b"PAR1" * 1000)
    with pytest.raises(ValueError, match="not a ROOT file"):
        uproot.open(URL + "x", handler=Source)


@pytest.mark.parametrize("name", ["tree", "ntuple"])
@pytest.mark.parametrize("part", [0, 0.0001, 0.001, 0.02, 0.5, 0.9])
def test_a_truncated_file_is_the_error_that_it_is_on_a_disk(store, tree, ntuple, name, part):
    whole = (store.folder / f"{name}.root").read_bytes()
    (store.folder / "x").write_bytes(whole[: int(len(whole) * part)])
    errors = []
    for file, options in ((store.folder / "x", {}), (URL + "x", {"handler": Source})):
        with pytest.raises((OSError, ValueError)) as raised:
            list(uproot.open({file: "Events"}, **options).iterate(COLUMNS))
        errors.append(raised.type)
    assert errors[0] is errors[1]
    assert len(whole) * part < 403 or errors == [OSError] * 2


def test_an_error_in_the_middle_of_a_step_reaches_the_caller(store, tree):
    with opened(tree) as ours:
        basket = ours["met"].entries_to_ranges_or_baskets(4_000, 4_001)[0][1]
        store.faults[tuple(map(int, basket))] = ConnectionResetError("gone")
        steps = ours.iterate(COLUMNS, step_size=2_000)
        assert len(next(steps)) == 2_000
        assert len(next(steps)) == 2_000
        with pytest.raises(ConnectionResetError, match="gone"):
            next(steps)


def test_a_source_closed_while_arrays_are_read(store, tree):
    store.gate.clear()
    ours = opened(tree)
    ended = queue.Queue()

    def read():
        try:
            ended.put(ours.arrays(COLUMNS))
        except Exception as error:
            ended.put(error)

    thread = threading.Thread(target=read)
    thread.start()
    while not store.last.handles:
        pass
    ours.close()
    assert "is closed" in str(ended.get(timeout=10))
    thread.join()
    store.gate.set()


# install and uninstall.


@pytest.fixture
def registered(monkeypatch):
    schemes = []
    monkeypatch.setattr(storescope.uproot, "register", lambda *names: schemes.extend(names))
    yield schemes
    storescope.uproot.uninstall()


def test_install_and_uninstall(store, tree, registered):
    before = uproot._util.file_path_to_source_class
    storescope.uproot.install("oci")
    assert registered == ["oci"] and "s3" not in storescope.uproot._schemes
    storescope.uproot.install()
    assert registered == ["oci", "oci", "s3"]
    for scheme in ("oci", "s3", "storescopeoci", "storescopes3", "storescope+oci", "storescope+s3"):
        with uproot.open({f"{scheme}://bucket@namespace/{tree}": "Events"}) as ours:
            assert isinstance(ours.file.source, Source)
    with local(store, tree) as theirs:
        assert not isinstance(theirs.file.source, Source)
    with (store.folder / tree).open("rb") as file:
        assert uproot.open(file)["Events"].num_entries == 20_000
    storescope.uproot.uninstall()
    assert uproot._util.file_path_to_source_class is before


def test_a_handler_goes_before_what_is_installed(store, tree, registered):
    class Other(Source):
        pass

    storescope.uproot.install()
    with uproot.open(URL + tree, handler=Other) as file:
        assert type(file.file.source) is Other


def test_uninstall_below_a_wrapper_of_others_chooses_nothing(store, tree, registered, monkeypatch):
    before = uproot._util.file_path_to_source_class
    storescope.uproot.install()
    ours = uproot._util.file_path_to_source_class

    def theirs(file_path_or_object, options):
        return ours(file_path_or_object, options)

    monkeypatch.setattr(uproot._util, "file_path_to_source_class", theirs)
    storescope.uproot.uninstall()
    assert uproot._util.file_path_to_source_class is theirs
    chosen, _ = theirs(URL + tree, {"handler": None})
    assert not issubclass(chosen, Source)
    monkeypatch.setattr(uproot._util, "file_path_to_source_class", before)


def test_install_says_where_it_does_not_know_uproot(registered, monkeypatch):
    monkeypatch.setattr(uproot._util, "file_path_to_source_class", lambda path: path)
    with pytest.raises(RuntimeError, match="handler="):
        storescope.uproot.install()
    monkeypatch.delattr(uproot._util, "file_path_to_source_class")
    with pytest.raises(RuntimeError, match="handler="):
        storescope.uproot.install()
    assert registered == []


def test_install_refuses_other_schemes(registered):
    with pytest.raises(ValueError, match="http"):
        storescope.uproot.install("http")
