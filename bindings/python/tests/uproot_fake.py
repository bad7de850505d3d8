# SPDX-License-Identifier: Apache-2.0
"""A reader over a local file that tells what was asked of it: what a wait for a server is, is counted, not timed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Range = tuple[int, int]


class FakeStore:
    """Objects are the files of a folder, by name; ``readers`` are all that were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.readers: list[FakeReader] = []
        #: Parts are delivered when it is set.
        self.gate = threading.Event()
        self.gate.set()
        #: What a range ends in, by range.
        self.faults: dict[Range, Any] = {}

    def reader(self, key: str, **options: Any) -> FakeReader:
        reader = FakeReader(self, key, options)
        self.readers.append(reader)
        return reader

    def list(self, prefix: str, *, limit: int) -> list[str]:
        names = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()]
        return [name for name in names if name.startswith(prefix)][:limit]

    @property
    def last(self) -> FakeReader:
        return self.readers[-1]


class FakeReader:
    """Each read notes whether its bytes had been hinted at or read before; else somebody waited: ``waits``."""

    def __init__(self, store: FakeStore, key: str, options: dict[str, Any]) -> None:
        self.store = store
        self.key = key
        self.url = f"oci://bucket@namespace/{key}"
        self.options = options
        self.etag = options["etag"]
        self.size_told = options["size"]
        self.closed = 0
        #: Each hint, and each read that had to wait.
        self.hints: list[list[Range]] = []
        self.waits: list[Range] = []
        self.reads: list[Range] = []
        self.fetched = bytearray()
        self.handles: list[FakeHandle] = []

    @property
    def size(self) -> int:
        if self.size_told is None:
            self.size_told = len(self.data)
        return self.size_told

    def read_at(self, start: int, stop: int) -> memoryview:
        self._check()
        self._note(start, stop)
        if fault := self.store.faults.get((start, stop)):
            raise fault
        return memoryview(self.data[start:stop])

    def read_ranges(
        self, ranges: Sequence[Range], on_part: Callable[[int, Any], None]
    ) -> FakeHandle:
        self._check()
        waits = len(self.waits)
        for start, stop in ranges:
            self._note(start, stop)
        # They are asked for together.
        del self.waits[waits + 1 :]
        handle = FakeHandle(self, list(ranges), on_part)
        self.handles.append(handle)
        handle.start()
        return handle

    def hint(self, ranges: Sequence[Range]) -> None:
        self._check()
        self.hints.append(list(ranges))
        for start, stop in ranges:
            self._fetch(start, stop)

    def close(self) -> None:
        self.closed += 1

    @property
    def hinted(self) -> int:
        """The bytes of all hints, of a range that was named again once."""
        return sum(
            stop - start for start, stop in {wanted for hint in self.hints for wanted in hint}
        )

    @functools.cached_property
    def data(self) -> bytes:
        path = self.store.folder / self.key
        if not path.is_file():
            raise FileNotFoundError(2, "no such object", self.url)
        return path.read_bytes()

    def _check(self) -> None:
        if self.closed:
            raise OSError(f"{self.url} is closed")

    def _note(self, start: int, stop: int) -> None:
        assert type(start) is int
        assert type(stop) is int
        self.reads.append((start, stop))
        stop = min(stop, len(self.data))
        if not all(self.fetched[start:stop]) or len(self.fetched) < stop:
            self.waits.append((start, stop))
            self._fetch(start, stop)

    def _fetch(self, start: int, stop: int) -> None:
        if len(self.fetched) < stop:
            self.fetched.extend(bytes(stop - len(self.fetched)))
        self.fetched[start:stop] = b"\1" * (stop - start)


class FakeHandle:
    """Delivers parts from a thread of its own."""

    def __init__(
        self, reader: FakeReader, ranges: list[Range], on_part: Callable[[int, Any], None]
    ) -> None:
        self.reader = reader
        self.ranges = ranges
        self.on_part = on_part
        self.cancelled = threading.Event()
        self.thread = threading.Thread(target=self._deliver, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def cancel(self) -> None:
        self.cancelled.set()

    def _deliver(self) -> None:
        self.reader.store.gate.wait()
        data = self.reader.data
        for index, (start, stop) in enumerate(self.ranges):
            if self.cancelled.is_set():
                result: Any = OSError("cancelled")
            else:
                result = self.reader.store.faults.get((start, stop), memoryview(data[start:stop]))
            self.on_part(index, result)
