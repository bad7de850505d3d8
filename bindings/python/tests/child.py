# SPDX-License-Identifier: Apache-2.0
"""What the tests run in processes of their own: `python child.py NAME`, with the store in STORE (JSON: url, options)."""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback

import storescope

LATE = "late"  # an object that the server answers for after a minute
told = []


def interrupted(store):
    """Ctrl-C in the middle of a read: KeyboardInterrupt within a second, and the process goes on."""

    def interrupt():
        begun.wait()
        print("reading", flush=True)
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGINT)
        sent.append(time.monotonic())

    sent, begun = [], threading.Event()
    threading.Thread(target=interrupt).start()
    try:
        # Not before: the start of a thread can be interrupted, too.
        begun.set()
        store.get(LATE)
    except KeyboardInterrupt:
        assert time.monotonic() - sent[0] < 1, "the interrupt took its time"
        assert store.get("k", if_match=None) == b"data"
        print("interrupted", flush=True)


def interrupted_in_wait_for_ranges(store):
    """The same for a file object."""
    store.reader(LATE).read_ranges([(0, 1)], lambda *part: told.append(part))
    file = store.open(LATE)
    threading.Timer(0, lambda: (sys.stdin.readline(), os.kill(os.getpid(), signal.SIGINT))).start()
    try:
        print("reading", flush=True)
        file.readinto(bytearray(10))
    except KeyboardInterrupt:
        print("interrupted", flush=True)


def exits_while_daemons_read(store):
    """The interpreter ends while threads wait: no hang, no crash."""
    for _ in range(4):
        threading.Thread(target=store.get, args=(LATE,), daemon=True).start()
        threading.Thread(target=lambda: list(store.list("x")) and None, daemon=True).start()
    print("reading", flush=True)
    sys.stdin.readline()


def exits_while_ranges_are_read(store):
    """Each callback is called once, also at the interpreter's end."""
    # Registered before the library's own would not see them: handlers run in reverse order.
    atexit._clear()
    atexit.register(lambda: print("told", len(told), {type(result).__name__ for _, result in told}, flush=True))
    atexit.register(storescope._storescope._at_exit)
    reader = store.reader(LATE)
    reader.read_ranges([(0, 1), (5, 6), (10**6, 10**6 + 1)], lambda *part: told.append(part))
    print("reading", flush=True)
    sys.stdin.readline()


def exits_with_everything_open(store):
    """Readers, writers and listings that nobody closed."""
    kept = [store.reader("k"), store.writer("w"), store.list(), store.open("k"), store.open("v", "wb")]
    kept[0].hint([(0, 2)])
    kept[1].write(bytes(40 << 20))
    next(kept[2])
    globals()["kept"] = kept
    print("reading", flush=True)
    sys.stdin.readline()


def exits_by_exception(store):
    """With a read in the background."""
    store.reader(LATE).read_ranges([(0, 1)], lambda *part: told.append(part))
    print("reading", flush=True)
    sys.stdin.readline()
    raise SystemExit(3)


def forks(store):
    """A child made by fork begins anew, while threads of the parent are at work."""
    busy, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            store.get("k")
            busy.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    reader, listing, writer = store.reader("k"), store.list(), store.writer("w")
    reader.read_at(0, 1)
    next(listing)
    writer.write(b"parent")
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert store.get("k") == b"data"
                assert reader.read_at(1, 3) == b"at"
                store.put(f"child {number}", b"x", mode="create")
                told.clear()
                done = threading.Event()
                reader.read_ranges([(0, 4)], lambda index, part: (told.append(bytes(part)), done.set()))
                assert done.wait(30) and told == [b"data"]
                for used in (lambda: list(listing), lambda: writer.write(b"child")):
                    try:
                        used()
                    except (RuntimeError, ValueError) as error:
                        assert "fork" in str(error)
                    else:
                        raise AssertionError("it is the parent's")
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(0 if store.get("k") == b"data" else 1)
                assert os.waitpid(grandchild, 0)[1] == 0
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                gc.collect()
                os._exit(status)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    stop.set()
    for thread in threads:
        thread.join()
    writer.close()
    assert statuses == [0] * 8 and busy, statuses
    assert store.get("w") == b"parent"
    print("forked", len([entry for entry in store.list("child")]), flush=True)


if __name__ == "__main__":
    # A shell that runs the tests in its background has its children ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    about = json.loads(os.environ["STORE"])
    globals()[sys.argv[1]](storescope.open_store(about["url"], **about["options"]))
