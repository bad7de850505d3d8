# SPDX-License-Identifier: Apache-2.0
"""Programs that end while their daemon threads are at work: `python exits.py WORK END PAUSE`, with the store in STORE (JSON:
url, options, and admin, the URL of the server's admin API)."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import urllib.request

# Registered before the library's own, they are called after it.
afterwards = []
atexit.register(lambda: [handler() for handler in afterwards])

import storescope  # noqa: E402

ABOUT = json.loads(os.environ.get("STORE", "{}"))
LATE = "late"  # an object that the server answers for after a minute
SHAKY = "shaky"  # one whose reads fail
NEVER = "never"  # one whose parts the server answers for after a minute


def opened(**more):
    return storescope.open_store(ABOUT["url"], **ABOUT["options"], **more)


def daemons(count, work, *arguments):
    for _ in range(count):
        threading.Thread(target=work, args=arguments, daemon=True).start()


def for_ever(call, *arguments):
    while True:
        call(*arguments)


def failing(call, *arguments):
    while True:
        try:
            call(*arguments)
        except OSError:
            pass


# What daemon threads do, over and over.


def reads(store):
    daemons(3, for_ever, store.get, "k")
    daemons(3, store.get, LATE)


def first_reads(store):
    # They have hardly begun when the interpreter ends.
    daemons(4, store.get, LATE)
    daemons(4, lambda: list(store.list("x")) and None)


def reads_of_a_reader(store):
    reader, into = store.reader("k"), bytearray(4)

    def read():
        reader.read_at(0, 2)
        reader.read_into(0, into)
        store.get_ranges("k", [(0, 1), (2, 3)])

    daemons(4, for_ever, read)


def listings(store):
    daemons(4, for_ever, lambda: list(store.list()))


def failures(store):
    daemons(4, failing, store.get, "missing")


def credentials(store):
    turns = itertools.count()

    def provide():
        time.sleep(0.01 * (next(turns) % 2))
        raise RuntimeError("none")

    given = opened(credentials=provide)
    daemons(4, failing, given.get, "k")


def callbacks(store):
    reader = store.reader("k")

    def read():
        told = threading.Semaphore(0)
        reader.read_ranges([(0, 1), (1, 2), (3, 4)], lambda *_: told.release())
        for _ in range(3):
            told.acquire()

    daemons(4, for_ever, read)


def loops(store):
    async def work():
        while True:
            reads = store.get_async("k"), store.get_async("missing"), store.get_ranges_async("k", [(0, 1), (2, 3)])
            await asyncio.gather(*reads, return_exceptions=True)

    daemons(3, lambda: asyncio.run(work()))


def writes(store):
    def write(number):
        with store.writer(f"written/{number}") as writer:
            writer.write(b"bytes")
            writer.write(bytearray(100))
        store.put(f"written/{number}", b"data")

    for number in range(3):
        daemons(1, for_ever, write, number)


def filesystem():
    from storescope.fsspec import OciFileSystem, S3FileSystem

    kind = OciFileSystem if ABOUT["url"].startswith("oci") else S3FileSystem
    return kind(**ABOUT["options"]), ABOUT["url"].partition("://")[2]


def fsspec(store):
    files, path = filesystem()

    def read():
        files.cat_file(path + "k")
        files.cat_ranges([path + "k"] * 2, [0, 1], [2, 3])
        with files.open(path + "k") as file:
            file.read(2)

    def write():
        with files.open(path + "by fsspec", "wb") as file:
            file.write(b"bytes")

    daemons(3, for_ever, read)
    daemons(1, for_ever, write)


def uproot(store):
    from storescope.uproot import Source

    source = Source(ABOUT["url"] + "k", **ABOUT["options"])

    def read():
        notifications = queue.Queue()
        source.chunk(0, 2)
        source.chunks([(0, 1), (2, 3)], notifications)
        for _ in range(2):
            notifications.get()

    daemons(4, for_ever, read)


def debug_records(store):
    class Handler(logging.Handler):
        def emit(self, record):
            record.getMessage()

    logging.getLogger().addHandler(Handler())
    logging.getLogger().setLevel(logging.DEBUG)
    daemons(4, failing, opened(backoff_base=0.0001).get, SHAKY)


WORK = (
    reads,
    first_reads,
    reads_of_a_reader,
    listings,
    failures,
    credentials,
    callbacks,
    loops,
    writes,
    fsspec,
    uproot,
    debug_records,
)


# How the program ends, and what its status is then.


def end_of_the_script():
    pass


def a_status():
    sys.exit(3)


def an_exception():
    raise KeyError("the end")


def an_interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        time.sleep(1)


def a_thread_that_exits():
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()


ENDS = {end_of_the_script: 0, a_status: 3, an_exception: 1, an_interrupt: -signal.SIGINT, a_thread_that_exits: 0}


# Programs that end at one certain moment. What Python runs there for the library is made slow, so that the interpreter ends
# in the middle of it; and its end is made slow, so that the thread finds it ended.


class Slow:
    """Runs for a while, and says when it begins."""

    def __init__(self, then=lambda *_: None):
        self.begun = threading.Event()
        self.then = then

    def __call__(self, *arguments):
        self.begun.set()
        time.sleep(0.3)
        return self.then(*arguments)


class AtLength:
    """Runs for longer than the library waits for it."""

    def __init__(self):
        self.begun = threading.Event()

    def __call__(self, *_):
        self.begun.set()
        for _ in range(30):
            time.sleep(0.1)


class LastObject:
    def __del__(self, sleep=time.sleep):
        sleep(0.6)


def in_the_middle_of(slow):
    sys.modules["the last"] = LastObject()
    slow.begun.wait()


def while_it_asks_for_the_level_of_records(store):
    logging.getLogger("storescope").isEnabledFor = slow = Slow(lambda level: False)
    daemons(1, store.get, "k")
    in_the_middle_of(slow)


def while_it_makes_an_exception(store):
    import storescope._errors as errors

    errors._make = slow = Slow(errors._make)
    daemons(1, failing, store.get, "missing")
    in_the_middle_of(slow)


def while_it_asks_for_a_path(store):
    class Path:
        __fspath__ = slow = Slow(lambda: "/nowhere")

    daemons(1, lambda: opened(ca_bundle=Path()))
    in_the_middle_of(Path.slow)


def while_it_makes_a_future(store):
    slow = Slow(lambda: None)

    async def work():
        loop = asyncio.get_running_loop()
        made = loop.create_future
        loop.create_future = lambda: (slow(), made())[1]
        await store.get_async("k")

    daemons(1, lambda: asyncio.run(work()))
    in_the_middle_of(slow)


def while_a_future_is_settled(store):
    class Future(asyncio.Future):
        set_result = slow = Slow()

    async def work():
        loop = asyncio.get_running_loop()
        loop.create_future = lambda: Future(loop=loop)
        await store.get_async("k")

    daemons(1, lambda: asyncio.run(work()))
    in_the_middle_of(Future.slow)


def while_a_future_is_cancelled(store):
    class Future(asyncio.Future):
        slow = Slow()

        def cancelled(self):
            self.slow()
            return super().cancelled()

    async def work():
        loop = asyncio.get_running_loop()
        loop.create_future = lambda: Future(loop=loop)
        store.get_async(LATE).cancel()
        await asyncio.sleep(60)

    daemons(1, lambda: asyncio.run(work()))
    in_the_middle_of(Future.slow)


def while_a_callback_runs(store):
    store.reader("k").read_ranges([(0, 1)] * 3, at_length := AtLength())
    in_the_middle_of(at_length)


def while_a_record_is_handled(store):
    logging.getLogger("storescope").addFilter(at_length := AtLength())
    logging.getLogger("storescope").setLevel(logging.DEBUG)
    daemons(1, failing, opened(backoff_base=0.0001).get, SHAKY)
    in_the_middle_of(at_length)


MOMENTS = (
    while_it_asks_for_the_level_of_records,
    while_it_makes_an_exception,
    while_it_asks_for_a_path,
    while_it_makes_a_future,
    while_a_future_is_settled,
    while_a_future_is_cancelled,
    while_a_callback_runs,
    while_a_record_is_handled,
)


# What handlers of `atexit` that are called after the library's own may wait for.


def a_lock_of_a_thread_that_reads(store):
    lock, held = threading.Lock(), threading.Event()

    def read():
        with lock:
            held.set()
            store.get(LATE)

    daemons(1, read)
    held.wait()
    afterwards.append(lambda: lock.acquire() and print("got the lock", flush=True))


def a_loop_of_a_thread(store):
    loop = asyncio.new_event_loop()
    daemons(1, loop.run_forever)

    async def read(key):
        return await store.get_async(key)

    pending = asyncio.run_coroutine_threadsafe(read(LATE), loop)
    assert asyncio.run_coroutine_threadsafe(read("k"), loop).result() == b"data"

    def handler():
        print(repr(pending.exception()), flush=True)
        print(repr(asyncio.run_coroutine_threadsafe(read("k"), loop).exception()), flush=True)

    afterwards.append(handler)


def itself(store):
    def handler():
        for call in (lambda: store.get("k"), lambda: opened(attempts=1).get("k")):
            try:
                call()
            except RuntimeError as error:
                print(repr(error), flush=True)

    afterwards.append(handler)


def the_library_for_the_first_time():
    # Before the library's own: it is registered later.
    atexit.register(lambda: print(bytes(opened().get("k")), flush=True))


def writes_by_parts(store):
    """The end finds a thread in the middle of a write of many parts: the server has begun to take one of them."""
    writer = store.writer(NEVER)
    daemons(1, for_ever, writer.write, bytes(8 << 20))
    while last_rule(NEVER)["fired"] == 0:
        time.sleep(0.001)


def last_rule(contains):
    """The last rule of the server's faults that is for such targets, with how often it fired."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(ABOUT["admin"] + "/faults", timeout=60) as answer:
        return [rule for rule in json.load(answer) if rule.get("contains") == contains][-1]


if __name__ == "__main__":
    # A shell that runs the tests in its background has its children ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work, end, pause = sys.argv[1:]
    if work == the_library_for_the_first_time.__name__:
        the_library_for_the_first_time()
    else:
        globals()[work](opened())
    print("working", flush=True)
    time.sleep(float(pause))
    globals()[end]()
