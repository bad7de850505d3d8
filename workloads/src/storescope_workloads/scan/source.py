# SPDX-License-Identifier: Apache-2.0
"""The bytes of one version of a file, of a store or a disk, as uproot reads them: and the seconds that this took."""

from __future__ import annotations

import io
import os
import queue
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import storescope.uproot
import uproot.source.chunk  # type: ignore[import-untyped]
from uproot.source.futures import TrivialFuture  # type: ignore[import-untyped]

from ..places import is_store
from ..settings import StoreSettings

Range = tuple[int, int]

#: Holes that are read through, in percent of the bytes asked for (``read_waste`` of docs/CONFIG.md).
WASTE = 10


class ChangedError(OSError):
    """A local file was replaced since it was listed."""


def source_of(url: str, size: int, version: str, settings: StoreSettings) -> StoreSource | DiskSource:
    """The bytes of a file as it was listed. Does no I/O for an object; opens a local file."""
    if is_store(url):
        return StoreSource(url, size=size, etag=version or None, read_waste=WASTE, **settings.options())
    return DiskSource(url.removeprefix("file://"), size=size, version=version)


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes in as few ranges as there are, sorted."""
    made: list[Range] = []
    for start, stop in sorted(ranges):
        if made and start <= made[-1][1]:
            made[-1] = made[-1][0], max(made[-1][1], stop)
        elif start < stop:
            made.append((start, stop))
    return made


class StoreSource(storescope.uproot.Source):
    """An object, of the version that ``etag`` names.

    Attributes:
        waited: Seconds in which reads, and uproot's loops over arriving baskets, stood still.
        asked: The ranges that :meth:`chunk` was asked for while it is opened, in their order; ``None`` after that.
    """

    def __init__(self, file_path: str, **options: Any) -> None:
        super().__init__(file_path, **options)
        self.waited = 0.0
        self.asked: list[Range] | None = []

    def chunk(self, start: int, stop: int) -> Any:
        """The bytes from ``start`` up to ``stop``, fewer where the object ends before. Waits for them."""
        if self.asked is not None:
            self.asked.append((int(start), int(stop)))
        return self._timed(super().chunk)(start, stop)

    def chunks(self, ranges: list[Range], notifications: queue.Queue[Any]) -> list[Any]:
        """Chunks of these ranges, filled in the background."""
        # uproot waits in this queue for each basket, and unpacks those that came meanwhile.
        notifications.get = self._timed(notifications.get)  # type: ignore[method-assign]
        return super().chunks(ranges, notifications)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.waited += time.perf_counter() - began

        return timed


class DiskSource(uproot.source.chunk.Source):  # type: ignore[misc]
    """A local file, of the size and the time of change (``st_mtime_ns``) that were listed.

    Attributes:
        waited: Seconds in which reads stood still.
        asked: The ranges that :meth:`chunk` was asked for while it is opened, in their order; ``None`` after that.
    """

    def __init__(self, path: str, *, size: int, version: str) -> None:
        super().__init__()
        self._file = -1
        self._file_path = path
        self._num_bytes = size
        self._version = version
        self.waited = 0.0
        self.asked: list[Range] | None = []
        self._file = os.open(path, os.O_RDONLY)

    def __enter__(self) -> DiskSource:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.closed:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.__exit__()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._file < 0

    def hint(self, ranges: Sequence[Range]) -> None:
        """Asks the kernel to read ahead."""
        for start, stop in joined(ranges):
            os.posix_fadvise(self._file, start, stop - start, os.POSIX_FADV_WILLNEED)

    def chunk(self, start: int, stop: int) -> Any:
        """The bytes from ``start`` up to ``stop``, fewer where the file ends before."""
        if self.asked is not None:
            self.asked.append((int(start), int(stop)))
        return self._chunk(start, stop)

    def chunks(self, ranges: list[Range], notifications: queue.Queue[Any]) -> list[Any]:
        """Chunks of these ranges, read at once."""
        chunks = [self._chunk(start, stop) for start, stop in ranges]
        for chunk in chunks:
            notifications.put(chunk)
        return chunks

    def _chunk(self, start: int, stop: int) -> Any:
        began = time.perf_counter()
        data = TrivialFuture(self._read(int(start), int(stop)))
        self.waited += time.perf_counter() - began
        return uproot.source.chunk.Chunk(self, start, stop, data)

    def _read(self, start: int, stop: int) -> bytes:
        self._num_requests += 1
        self._num_requested_chunks += 1
        self._num_requested_bytes += stop - start
        parts = []
        while start < stop and (part := os.pread(self._file, stop - start, start)):
            parts.append(part)
            start += len(part)
        now = os.fstat(self._file)
        if now.st_size != self._num_bytes or str(now.st_mtime_ns) != self._version:
            raise ChangedError("the file was changed since it was listed")
        return parts[0] if len(parts) == 1 else b"".join(parts)


class AsFile(io.RawIOBase):
    """A source as a file that pyarrow reads. What it gives shares the memory of the source."""

    def __init__(self, source: StoreSource | DiskSource) -> None:
        self._source = source
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._place = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: int(self._source.num_bytes)}[whence] + offset
        return self._place

    def read(self, size: int | None = -1, /) -> memoryview:
        left = int(self._source.num_bytes) - self._place
        size = left if size is None or size < 0 else min(size, left)
        if size <= 0:
            return memoryview(b"")
        data = memoryview(self._source.chunk(self._place, self._place + size).raw_data)
        self._place += len(data)
        return data
