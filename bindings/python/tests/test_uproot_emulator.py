# SPDX-License-Identifier: Apache-2.0
"""uproot on objects of both services: equal to the local read, few requests, and the error that a user expects."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import uproot
import uproot_files

import storescope
import storescope.uproot
from storescope.uproot import Source

pytestmark = pytest.mark.timeout(120)

COLUMNS = ["Muon_pt", "met"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Files of which the ends are a small part."""
    folder = tmp_path_factory.mktemp("made")
    uproot_files.write_tree(folder / "tree.root", baskets=40, entries=5_000)
    uproot_files.write_ntuple(folder / "ntuple.root", clusters=40, entries=5_000)
    assert all(path.stat().st_size > 3 << 20 for path in folder.iterdir())
    return folder


@pytest.fixture(scope="module")
def kept(bucket, options, made):
    """The bucket's URL, and those files in it."""
    store = storescope.open_store(bucket, **options)
    for path in made.iterdir():
        store.put(path.name, path.read_bytes())
    return bucket


@pytest.fixture
def admin(server):
    """The server's admin API; faults end with the test."""

    def call(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(server.ready["admin"] + path, data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    yield call
    call("DELETE", "/faults")


def opened(url, options, object_path="Events"):
    return uproot.open({url: object_path}, handler=Source, **options)


def of(lines, name):
    return [line for line in lines if name in line["target"] and line["method"] == "GET"]


# Equal to the local read.


@pytest.mark.parametrize("name", uproot_files.REAL)
def test_real_files_equal_the_local_read(bucket, options, seen, name):
    path = uproot_files.real(name)
    storescope.open_store(bucket, **options).put(name, path.read_bytes())
    object_path, columns = uproot_files.REAL[name]
    with opened(bucket + name, options, object_path) as ours:
        with uproot.open({path: object_path}) as theirs:
            read = theirs.arrays(filter_name=columns)
        uproot_files.assert_same(ours.arrays(filter_name=columns), read)
        counted = ours.file.source.num_requests
        # What is near enough to share a request, the store's speed decides: some of these have hundreds of baskets.
        baskets = sum(getattr(ours[name], "num_baskets", 0) for name in ours.keys(filter_name=columns))
    requests = of(seen(), name)
    assert counted > 0
    assert 0 < len(requests) <= 10 + baskets // 4
    assert all(line["user_agent"].endswith("(python)") for line in requests)
    assert sum(line["bytes_out"] for line in requests) <= 1.25 * path.stat().st_size + 250_000


@pytest.mark.parametrize("step", ["100 MB", 5_000])
@pytest.mark.parametrize("name", ["tree.root", "ntuple.root"])
def test_iterating_costs_few_requests_and_few_bytes(kept, options, made, seen, name, step):
    with uproot.open({made / name: "Events"}) as theirs:
        expected = list(theirs.iterate(COLUMNS, step_size=step))
    with opened(kept + name, options) as ours:
        steps = list(ours.iterate(COLUMNS, step_size=step))
    assert len(steps) == len(expected)
    for one, other in zip(steps, expected, strict=True):
        uproot_files.assert_same(one, other)
    lines = of(seen(), name)
    asked = uproot_files.bytes_asked_for(
        made / name, "Events", lambda events: list(events.iterate(COLUMNS, step_size=step))
    )
    assert sum(line["bytes_out"] for line in lines) <= 1.25 * asked + 250_000
    # 40 baskets or clusters; a page list for each cluster besides.
    assert len(lines) <= 100


def test_a_part_of_the_entries_costs_a_part_of_the_bytes(kept, options, seen):
    with opened(kept + "tree.root", options) as ours:
        some = list(ours.iterate(COLUMNS, entry_start=50_000, entry_stop=60_000, step_size="1 MB"))
        needed = sum(
            ours[name].basket_compressed_bytes(n)
            for name in (*COLUMNS, "nMuon_pt")
            for n in (10, 11)
        )
    assert sum(len(step) for step in some) == 10_000
    # Both ends, the tree's own bytes, and the baskets.
    assert sum(line["bytes_out"] for line in of(seen(), "tree.root")) < 400_000 + 1.25 * needed


def test_threads_share_a_file(kept, options, made):
    with opened(kept + "tree.root", options) as ours, uproot.open(made / "tree.root") as file:
        expected = {name: file["Events"][name].array() for name in ("met", "event", "Muon_pt")}
        with ThreadPoolExecutor(6) as pool:
            read = pool.map(
                lambda name: (name, ours[name].array(array_cache=None)), [*expected] * 4
            )
            for name, array in read:
                uproot_files.assert_same(array, expected[name])


def test_executors_of_uproot_are_served(kept, options, made):
    with (
        ThreadPoolExecutor(3) as one,
        ThreadPoolExecutor(3) as other,
        opened(kept + "tree.root", options) as ours,
    ):
        with uproot.open({made / "tree.root": "Events"}) as theirs:
            expected = theirs.arrays(COLUMNS)
        found = ours.arrays(COLUMNS, decompression_executor=one, interpretation_executor=other)
        uproot_files.assert_same(found, expected)


def test_a_pickled_tree_reads_in_another_process(kept, options, made, tmp_path):
    with opened(kept + "tree.root", options) as ours:
        (tmp_path / "tree.pickle").write_bytes(pickle.dumps(ours))
        expected = len(ours["met"].array()), float(ours["met"].array().to_numpy().sum())
    script = """
import pickle, sys
tree = pickle.load(open(sys.argv[1], "rb"))
met = tree["met"].array()
print(len(met), float(met.to_numpy().sum()), tree.file.source.num_requests > 0)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "tree.pickle")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == [*map(str, expected), "True"], ran.stderr


# Bad input.


def test_a_missing_object(bucket, options):
    with pytest.raises(FileNotFoundError, match=r"nothing\.root"):
        opened(bucket + "nothing.root", options)


def test_not_a_root_file(bucket, options):
    store = storescope.open_store(bucket, **options)
    store.put("parquet", b"PAR1" * 1000)
    with pytest.raises(ValueError, match="not a ROOT file"):
        opened(bucket + "parquet", options)
    store.put("empty", b"")
    with pytest.raises(OSError, match="expected Chunk of length"):
        opened(bucket + "empty", options)


@pytest.mark.parametrize("name", ["tree.root", "ntuple.root"])
@pytest.mark.parametrize("part", [0.0001, 0.01, 0.5, 0.9])
def test_a_truncated_file(bucket, options, made, name, part):
    whole = (made / name).read_bytes()
    storescope.open_store(bucket, **options).put("short.root", whole[: int(len(whole) * part)])
    with pytest.raises(OSError, match="expected Chunk of length"):
        list(opened(bucket + "short.root", options).iterate(COLUMNS))


@pytest.mark.parametrize("name", ["tree.root", "ntuple.root"])
def test_a_file_that_is_replaced_while_it_is_read(bucket, options, made, name):
    store = storescope.open_store(bucket, **options)
    store.put("replaced.root", (made / name).read_bytes())
    with opened(bucket + "replaced.root", options) as ours:
        ours.arrays("met")
        store.put("replaced.root", (made / name).read_bytes()[:-1] + b"x")
        with pytest.raises(storescope.ObjectChangedError):
            ours.arrays("event")
        with pytest.raises(storescope.ObjectChangedError):
            pickle.loads(pickle.dumps(ours.file.source)).chunk(2_000_000, 2_000_010)


def test_a_file_that_is_deleted_while_it_is_read(bucket, options, made):
    store = storescope.open_store(bucket, **options)
    store.put("deleted.root", (made / "tree.root").read_bytes())
    with opened(bucket + "deleted.root", options) as ours:
        store.delete("deleted.root")
        with pytest.raises(OSError, match=r"deleted\.root"):
            ours.arrays("event")


def test_a_closed_file(kept, options):
    with opened(kept + "tree.root", options) as ours:
        pass
    with pytest.raises(OSError, match="is closed"):
        ours.arrays(COLUMNS)


def test_a_wrong_key_is_refused(kept, options, service):
    wrong = {"profile": "WRONG"} if service == "oci" else {"secret_access_key": "wrong"}
    with pytest.raises(PermissionError):
        opened(kept + "tree.root", {**options, **wrong})


@pytest.mark.parametrize(
    "action", ["reset", {"truncate": {"after": 10_000}}, {"status": {"status": 503}}]
)
def test_a_fault_or_two_is_got_over(kept, options, made, admin, action):
    rule = {"method": "GET", "contains": "tree.root", "nth": 2, "count": 2, "action": action}
    (number,) = admin("POST", "/faults", rule)["ids"]
    with opened(kept + "tree.root", options) as ours, uproot.open(made / "tree.root") as file:
        uproot_files.assert_same(ours.arrays(COLUMNS), file["Events"].arrays(COLUMNS))
    assert [rule["fired"] for rule in admin("GET", "/faults") if rule["id"] == number] == [2]


# An end in the middle of a read. Each script opens the file, says so, and reads when it is told to: by then the server
# stalls for ever.

OPEN = """
import json, sys, threading, queue, uproot, storescope.uproot
url, options = sys.argv[1], json.loads(sys.argv[2])
def opened():
    return uproot.open({url: "Events"}, handler=storescope.uproot.Source, **options)
def wait_to_be_told():
    print("ready", flush=True)
    sys.stdin.readline()
"""
READS = {
    "opening": "wait_to_be_told()\nread = opened",
    "arrays": "tree = opened()\nwait_to_be_told()\nread = lambda: tree.arrays(['event'])",
    "a key": "tree = opened()\nwait_to_be_told()\nread = lambda: tree.num_entries_for('1 MB', ['event'])",
    "iterate": "tree = opened()\nwait_to_be_told()\nread = lambda: list(tree.iterate(['event']))",
}


def stalled(script, url, options, admin):
    """The script in a process of its own, once the server has stalled its reading."""
    command = [sys.executable, "-c", script, url, json.dumps(options)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n", child.stderr.read()
    rule = {"method": "GET", "contains": "tree.root", "action": {"stall": {"after": 10}}}
    (number,) = admin("POST", "/faults", rule)["ids"]
    child.stdin.write("go\n")
    child.stdin.flush()
    while not any(fault["id"] == number and fault["fired"] for fault in admin("GET", "/faults")):
        assert child.poll() is None, child.stderr.read()
    return child


@pytest.mark.parametrize("read", READS)
def test_an_interrupt_in_the_middle_returns_within_a_second(kept, options, admin, read):
    script = f"""{OPEN}
{READS[read]}
try:
    read()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    child = stalled(script, kept + "tree.root", options, admin)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "interrupted\n", child.stderr.read()
    assert time.monotonic() - began < 1
    _, errors = child.communicate(timeout=20)
    assert (child.returncode, errors) == (0, "")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("read", READS)
def test_an_interpreter_that_exits_in_the_middle_exits(kept, options, admin, read):
    script = f"""{OPEN}
{READS[read]}
threading.Thread(target=read, daemon=True).start()
sys.stdin.readline()
"""
    child = stalled(script, kept + "tree.root", options, admin)
    began = time.monotonic()
    _, errors = child.communicate("exit\n", timeout=20)
    assert child.returncode == 0
    # A thread may say that its reading ended.
    assert "panicked" not in errors
    assert time.monotonic() - began < 5


def test_a_file_closed_in_the_middle_ends_the_reading(kept, options, admin):
    script = f"""{OPEN}
tree = opened()
wait_to_be_told()
told = queue.Queue()
def read():
    try:
        told.put(tree.arrays(["event"]))
    except OSError as error:
        told.put(error)
threading.Thread(target=read, daemon=True).start()
sys.stdin.readline()
tree.file.close()
print(told.get(timeout=10), flush=True)
"""
    child = stalled(script, kept + "tree.root", options, admin)
    output, errors = child.communicate("close\n", timeout=30)
    assert "is closed" in output
    assert (child.returncode, errors) == (0, "")
