# SPDX-License-Identifier: Apache-2.0
"""A program of sixteen threads that read and write, while the garbage collector runs, calls are interrupted and tasks are
cancelled: `python stress.py SECONDS SEED`, with the store in STORE (JSON: url, options). Each byte that is read is compared.

Its last line is JSON: what was done, what was interrupted, and what the process held when the threads had begun and when they
had ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import queue
import random
import resource
import signal
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import storescope

SIZE = 3 << 20
OBJECTS = 6
NAMES = 64
PATIENCE = 60

# The bytes of each object, by its name: a number.
DATA = [random.Random(number).randbytes(SIZE) for number in range(OBJECTS)]


class Interrupted(KeyboardInterrupt):
    """Raised by the handler of the signal."""


class Stress:
    def __init__(self, url: str, options: dict[str, Any], seconds: float, seed: int) -> None:
        self.store = storescope.open_store(url, **options)
        self.until = time.monotonic() + seconds
        self.seed = seed
        self.done: Counter[str] = Counter()
        self.names = itertools.count()
        self.lock = threading.Lock()
        self.failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        # What was opened and must be gone in the end.
        self.opened: weakref.WeakSet[Any] = weakref.WeakSet()

    def over(self) -> bool:
        return time.monotonic() >= self.until or not self.failures.empty()

    def count(self, what: str, many: int = 1) -> None:
        with self.lock:
            self.done[what] += many

    def watched(self, opened: Any) -> Any:
        with self.lock:
            self.opened.add(opened)
        return opened

    def check(self, what: str, got: Any, wanted: bytes) -> None:
        if bytes(got) != wanted:
            self.failures.put(f"{what}: wrong bytes")
        self.count(what)
        self.count("bytes", len(wanted))

    # What a thread does once, by its own generator of random numbers.

    def range(self, chance: random.Random) -> None:
        number, start, stop = some_range(chance)
        self.check("range", self.store.get_range(str(number), start, stop), DATA[number][start:stop])

    def ranges(self, chance: random.Random) -> None:
        number = chance.randrange(OBJECTS)
        spans = [some_range(chance)[1:] for _ in range(chance.randrange(1, 20))]
        got = self.store.get_ranges(str(number), spans)
        for part, (start, stop) in zip(got, spans, strict=True):
            self.check("ranges", part, DATA[number][start:stop])

    def whole(self, chance: random.Random) -> None:
        number = chance.randrange(OBJECTS)
        self.check("get", self.store.get(str(number)), DATA[number])

    def reader(self, chance: random.Random) -> None:
        number = chance.randrange(OBJECTS)
        reader = self.watched(self.store.reader(str(number)))
        for _ in range(8):
            _, start, stop = some_range(chance)
            if chance.random() < 0.5:
                self.check("reader", reader.read_at(start, stop), DATA[number][start:stop])
            else:
                room = bytearray(stop - start)
                filled = reader.read_into(start, room)
                self.check("read_into", room[:filled], DATA[number][start:stop])
        # The others are dropped unclosed.
        if chance.random() < 0.5:
            reader.close()

    def stream(self, chance: random.Random) -> None:
        number = chance.randrange(OBJECTS)
        with self.watched(self.store.open(str(number))) as file:
            for at in range(0, SIZE, 256 << 10):
                self.check("stream", file.read(256 << 10), DATA[number][at : at + (256 << 10)])

    def parts(self, chance: random.Random) -> None:
        """Ranges by callback, each told once; some reads are cancelled."""
        number = chance.randrange(OBJECTS)
        spans = [some_range(chance)[1:] for _ in range(12)]
        told: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        with self.watched(self.store.reader(str(number))) as reader:
            reading = reader.read_ranges(spans, lambda *about: told.put(about))
            cancelled = chance.random() < 0.3
            if cancelled:
                reading.cancel()
            results = dict(told.get(timeout=PATIENCE) for _ in spans)
        if sorted(results) != list(range(len(spans))) or not told.empty():
            self.failures.put("parts: a range was not told once")
        for index, result in results.items():
            if isinstance(result, OSError):
                if not cancelled:
                    raise result
                self.count("cancelled")
            else:
                start, stop = spans[index]
                self.check("parts", result, DATA[number][start:stop])

    def write(self, chance: random.Random) -> None:
        """An object of one request or of parts, or one that is given up; then what is there."""
        # A name that was interrupted is used again only when its request is over.
        name, number = f"written/{next(self.names) % NAMES}", chance.randrange(OBJECTS)
        content = DATA[number] * chance.choice([1, 1, 2])
        writer = self.watched(self.store.writer(name))
        gives_up = chance.random() < 0.3
        with contextlib.suppress(ZeroDivisionError), writer:
            for at in range(0, len(content), 1 << 20):
                writer.write(content[at : at + (1 << 20)])
            if gives_up:
                raise ZeroDivisionError
        if gives_up:
            self.count("given up")
        else:
            self.check("write", self.store.get(name), content)

    def fails(self, chance: random.Random) -> None:
        try:
            self.store.get("missing")
        except FileNotFoundError:
            self.count("missing")

    # Threads.

    def thread(self, name: str, works: list[Callable[[random.Random], None]]) -> None:
        chance = random.Random(f"{self.seed} {name}")
        try:
            while not self.over():
                chance.choice(works)(chance)
        except BaseException as error:
            self.failures.put(f"{name}: {error!r}")

    def loop(self, name: str) -> None:
        """A loop of asyncio whose tasks are cancelled."""
        chance = random.Random(f"{self.seed} {name}")

        async def read() -> None:
            number, start, stop = some_range(chance)
            self.check("awaited", await self.store.get_range_async(str(number), start, stop), DATA[number][start:stop])

        async def read_many() -> None:
            number = chance.randrange(OBJECTS)
            spans = [some_range(chance)[1:] for _ in range(6)]
            got = await self.store.get_ranges_async(str(number), spans)
            for part, (start, stop) in zip(got, spans, strict=True):
                self.check("awaited", part, DATA[number][start:stop])

        async def work() -> None:
            while not self.over():
                tasks = [asyncio.create_task(chance.choice([read, read_many])()) for _ in range(12)]
                await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
                for task in tasks[::2]:
                    task.cancel()
                for ended in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(ended, asyncio.CancelledError):
                        self.count("tasks cancelled")
                    elif ended is not None:
                        raise ended

        try:
            asyncio.run(work())
        except BaseException as error:
            self.failures.put(f"{name}: {error!r}")

    def collector(self) -> None:
        while not self.over():
            gc.collect()
            self.count("collections")

    def interrupter(self, ready: threading.Semaphore) -> None:
        """Interrupts the main thread again once it is back at work."""
        chance = random.Random(self.seed)
        while not self.over():
            if ready.acquire(timeout=1):
                time.sleep(chance.uniform(0, 0.02))
                os.kill(os.getpid(), signal.SIGINT)

    def interrupted(self, ready: threading.Semaphore) -> None:
        """The main thread's work: reads and writes that signals break off."""
        chance = random.Random(f"{self.seed} main")
        works = [self.range, self.ranges, self.whole, self.reader, self.stream, self.write]
        while True:
            try:
                ready.release()
                while not self.over():
                    chance.choice(works)(chance)
                return
            except Interrupted:
                self.count("interrupts")
            except OSError as error:
                # A write that was given up by a signal has no second try.
                self.failures.put(f"main: {error!r}")

    def threads(self, ready: threading.Semaphore) -> list[threading.Thread]:
        def thread(target: Callable[..., None], *arguments: Any) -> threading.Thread:
            return threading.Thread(target=target, args=arguments)

        reads = [self.range, self.ranges, self.whole, self.reader, self.stream, self.fails]
        return [
            *(thread(self.thread, f"reads {n}", reads) for n in range(5)),
            *(thread(self.thread, f"parts {n}", [self.parts]) for n in range(3)),
            *(thread(self.thread, f"writes {n}", [self.write]) for n in range(2)),
            *(thread(self.loop, f"loop {n}") for n in range(3)),
            thread(self.collector),
            thread(self.interrupter, ready),
        ]

    def run(self) -> dict[str, Any]:
        for number in range(OBJECTS):
            self.store.put(str(number), DATA[number])
        signal.signal(signal.SIGINT, self.on_signal)
        ready = threading.Semaphore(0)
        threads = self.threads(ready)
        for thread in threads:
            thread.start()
        warm = threading.Timer(0.2 * (self.until - time.monotonic()), lambda: first.update(self.held()))
        first: dict[str, int] = {}
        warm.start()
        self.interrupted(ready)
        for thread in [*threads, warm]:
            thread.join()
        gc.collect()
        failures = []
        while not self.failures.empty():
            failures.append(self.failures.get())
        return {"done": dict(self.done), "failures": failures, "first": first, "last": self.held()}

    def on_signal(self, *_: Any) -> None:
        if not self.over():
            raise Interrupted

    def held(self) -> dict[str, int]:
        """What the process holds."""
        with self.lock:
            opened = len(self.opened)
        return {
            "opened": opened,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": len(os.listdir("/proc/self/task")),
            "mib": int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20,
        }


def some_range(chance: random.Random) -> tuple[int, int, int]:
    length = chance.choice([1, 100, 5_000, 300_000])
    start = chance.randrange(SIZE - length)
    return chance.randrange(OBJECTS), start, start + length


if __name__ == "__main__":
    about = json.loads(os.environ["STORE"])
    print(json.dumps(Stress(about["url"], about["options"], float(sys.argv[1]), int(sys.argv[2])).run()))
