# SPDX-License-Identifier: Apache-2.0
"""Python workers of Spark without Spark: `python spark_worker.py WORK`, with the store in STORE (JSON: url, options).

After each step a worker says so and waits until it is told to go on. `pyspark` is a stand-in with the one class that counts, which
holds its tasks as PySpark's own does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import tempfile
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import storescope

ABOUT = json.loads(os.environ["STORE"])
LATE = "obj-tardy"  # an object that the server answers for after a fifth of a second


class TaskContext:
    _taskContext = None
    _taskAttemptId = None

    @classmethod
    def get(cls):
        return cls._taskContext

    def taskAttemptId(self):
        return self._taskAttemptId


@contextlib.contextmanager
def task(number):
    begin(number)
    try:
        yield
    finally:
        TaskContext._taskContext = None


def begin(number):
    context = TaskContext()
    TaskContext._taskContext = context
    context._taskAttemptId = number


def step(told="done"):
    print(told, flush=True)
    sys.stdin.readline()


def filesystem(**more):
    from storescope.fsspec import OciFileSystem, S3FileSystem

    kind = OciFileSystem if ABOUT["url"].startswith("oci") else S3FileSystem
    return kind(**ABOUT["options"], **more), ABOUT["url"].partition("://")[2]


def tasks_in_a_row(store):
    fs, path = filesystem()
    store.get("obj-k")
    step()
    with task(7):
        all_kinds_of_calls(store, fs, path)
    step()
    store.head("obj-k")
    step()
    with task(8):
        store.get("obj-k")
        store.delete("obj-put")
        with storescope.profile() as profile:
            fs.cat_file(path + "obj-k")
            store.head("obj-k")
        assert (profile.requests, profile.unrecorded) == (2, 0)
    step()
    with task(7):
        store.get("obj-k")
    step()


def all_kinds_of_calls(store, fs, path):
    store.get("obj-k")
    store.get_range("obj-k", 1, 3)
    store.get_ranges("obj-k", [(0, 1), (2_000_000, 2_000_003)])
    store.head("obj-k")
    assert "none" not in store
    store.put("obj-put", bytes(10))
    list(store.list())
    with store.reader("obj-k", policy="random") as reader:
        reader.read_at(0, 10)
        reader.read_into(100, bytearray(10))
    with store.open("obj-k") as file:
        file.read()
    with store.open("obj-opened", "wb") as file:
        file.write(bytes(30))
    asyncio.run(awaited(store))
    fs.cat_file(path + "obj-k")
    fs.cat_ranges([path + "obj-k"] * 3, [0, 1_000_000, 2_000_000], [5, 1_000_005, 2_000_005])
    fs.pipe_file(path + "obj-piped", bytes(1000))
    with fs.open(path + "obj-written", "wb") as file:
        file.write(bytes(2000))
    with fs.open(path + "obj-k") as file:
        file.read()
    with tempfile.TemporaryDirectory() as folder:
        fs.get_file(path + "obj-k", f"{folder}/k")
        Path(folder, "up").write_bytes(bytes(77))
        fs.put_file(f"{folder}/up", path + "obj-up")
        store.put("obj-file", Path(folder, "up"))
    fs.ls(path, refresh=True)
    service = f"oci://@{ABOUT['url'].partition('@')[2].partition('/')[0]}" if ABOUT["url"].startswith("oci") else "s3://"
    storescope.list_buckets(service, **ABOUT["options"])


async def awaited(store):
    await asyncio.gather(*(store.get_range_async("obj-k", at, at + 10) for at in range(5)))
    await store.reader("obj-k").read_ranges_async([(0, 10), (1_000_000, 1_000_010)])


def reads_of_uproot(store):
    import uproot

    from storescope.uproot import Source

    def read(name, pool):
        with uproot.open({ABOUT["url"] + "obj-tree.root": "Events"}, handler=Source, **ABOUT["options"]) as tree:
            array = tree[name].array(array_cache=None, decompression_executor=pool, interpretation_executor=pool)
        assert len(array) == 20_000

    with ThreadPoolExecutor(3) as outer, ThreadPoolExecutor(2) as pool:
        for number in (1, 2):
            with task(number):
                list(outer.map(read, ["met", "Muon_pt", "event"], [pool] * 3))
            step()


def threads_that_go_on(store):
    """With what was opened in a task, after it, and in the next."""
    begin(1)
    reader, writer, listing = store.reader("obj-k", policy="random"), store.writer("obj-w"), store.list()
    reader.read_at(0, 10)
    TaskContext._taskContext = None
    with ThreadPoolExecutor(1) as pool:
        pool.submit(reader.read_at, 1_000_000, 1_000_010).result()
        writer.write(bytes(100))
        writer.close()
        list(listing)
        step()
        with task(2):
            pool.submit(reader.read_at, 2_000_000, 2_000_010).result()
        step()


def forks(store):
    """A child has what it did itself, and its parent what it did itself."""
    reader = None
    with task(5):
        store.get("obj-k")
        reader = store.reader("obj-k", policy="random")
        reader.read_at(0, 10)
        child = os.fork()
        if child == 0:
            store.head("obj-k")
            reader.read_at(1_000_000, 1_000_010)
            begin(6)
            store.head("obj-k")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        store.get("obj-k")
    print(child, flush=True)
    step()


def a_daemon(store):
    """As PySpark's: it has imported all, and each worker is a child."""
    for number in (1, 2):
        child = os.fork()
        if child == 0:
            with task(number):
                for _ in range(number):
                    store.head("obj-k")
            step(f"worker {number}")
            os._exit(0)
        os.waitpid(child, 0)
    step()


def waits(store):
    """How long the calls of each task took, by a stopwatch around them."""
    import storescope.uproot  # Which takes its time.

    fs, path = filesystem()
    fs.cat_file(path + "obj-k")
    watched = {}

    @contextlib.contextmanager
    def stopwatch(number):
        with task(number):
            begun = time.perf_counter()
            yield
            watched[number] = time.perf_counter() - begun

    with stopwatch(1):
        for _ in range(3):
            store.get(LATE)
    with stopwatch(2):
        fs.cat_ranges([path + LATE] * 8, list(range(8)), list(range(1, 9)))
    with stopwatch(3), ThreadPoolExecutor(2) as pool:
        list(pool.map(store.get, [LATE] * 2))
    with stopwatch(4):
        waits_in_uproots_way()
    with task(5):
        time.sleep(1)
        store.head("obj-k")
    print(json.dumps(watched), flush=True)
    step()


def waits_in_uproots_way():
    """Chunks that come by a queue: three waits for the store, with work between."""
    import queue

    from storescope.uproot import Source

    with Source(ABOUT["url"] + LATE, **ABOUT["options"]) as source:
        source.hint([(0, 1)])
        source.chunk(0, 1)
        for number in (1, 2):
            notifications = queue.Queue()
            source.chunks([(number, number + 1)], notifications)
            assert len(notifications.get().raw_data) == 1


def a_call_under_way(store):
    """Which nobody waits for to the end."""
    begin(1)
    threading.Thread(target=store.get, args=(LATE,), daemon=True).start()
    store.head("obj-k")
    step()
    os.kill(os.getpid(), signal.SIGKILL)


def holds_the_gil(store):
    """All the time that it is asked."""
    with task(1):
        store.head("obj-k")
    print("done", flush=True)
    ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(1), 1)


def ends_by_itself(store):
    begin(1)
    store.head("obj-k")
    store.head("obj-k")


def ends_as_workers_of_pyspark_do(store):
    ends_by_itself(store)
    os._exit(3)


def is_killed(store):
    ends_by_itself(store)
    step()
    os.kill(os.getpid(), signal.SIGKILL)


def without_tasks(store):
    """Nothing is done for Spark."""
    end = os._exit
    with task(1):
        store.head("obj-k")
        with storescope.profile() as profile:
            store.head("obj-k")
    assert profile.requests == 1 and os._exit is end
    threads = {Path(f"/proc/self/task/{thread}/comm").read_text().strip() for thread in os.listdir("/proc/self/task")}
    # The kernel has the first 15 letters.
    assert not any(name.startswith("storescope-hand") for name in threads), threads
    step()


def without_pyspark(store):
    del sys.modules["pyspark"]
    without_tasks(store)


def half_imported(store):
    """A thread reads while another imports PySpark."""
    del sys.modules["pyspark"].TaskContext
    store.head("obj-k")
    sys.modules["pyspark"].TaskContext = TaskContext
    with task(1):
        store.head("obj-k")
    step()


if __name__ == "__main__":
    sys.modules["pyspark"] = types.ModuleType("pyspark")
    sys.modules["pyspark"].TaskContext = TaskContext
    globals()[sys.argv[1]](storescope.open_store(ABOUT["url"], **ABOUT["options"]))
