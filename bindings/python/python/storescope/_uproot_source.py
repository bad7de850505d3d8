# SPDX-License-Identifier: Apache-2.0
"""One object, as uproot reads it.

A part of :mod:`storescope.uproot`."""

from __future__ import annotations

import errno
import struct
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import uproot.source.chunk  # type: ignore[import-untyped]
from uproot.source.futures import TrivialFuture  # type: ignore[import-untyped]

from ._spark import waited
from ._storescope import Reader, _in_task, _redacted
from ._uproot_clusters import Range
from ._uproot_hooks import PrefetchingSource, place_hooks
from ._uproot_plan import Plan, Repeats
from ._uproot_stores import settings_of, split, store_of

if TYPE_CHECKING:
    import queue

#: What is fetched of a file's beginning when it is opened, in bytes.
HEAD = 64 << 10
#: What is fetched before a list of keys at the file's end, in bytes: where nothing is known of such files, and at most.
BEFORE_KEYS = 96 << 10
BEFORE_KEYS_MOST = 1 << 20
#: What uproot reads with a list of keys, in bytes.
BEHIND_KEYS = 8
#: A list of keys that so many bytes follow at most is at the file's end; streamers and free segments follow.
END = 64 << 10


class Source(uproot.source.chunk.Source, PrefetchingSource):  # type: ignore[misc]
    """One object, as uproot reads it. For the ``handler`` of :func:`uproot.open` and its like.

    Args:
        file_path: ``oci://bucket@namespace/key``, ``s3://bucket/key``, or either behind ``storescope`` or
            ``storescope+``. The key is taken literally.
        timeout: Seconds without a byte of an answer after which a request is given up, and tried again.
        size: The object's size in bytes, where it is known.
        etag: The version to read, as a listing or a HEAD told it: another is a
            :class:`storescope.ObjectChangedError` at the first read.
        options: Settings of :func:`storescope.open_store`; others, which are uproot's own, are ignored.

    Making one does no I/O. Reads are of one version of the object: one that is replaced meanwhile is an error. A
    pickled source opens the same version of the object where it is unpickled.
    """

    # By which users name it.
    __module__ = "storescope.uproot"

    def __init__(
        self,
        file_path: str,
        *,
        timeout: float | None = None,
        size: int | None = None,
        etag: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        place_hooks()
        self._file_path = file_path
        self._settings = settings_of(file_path, options, timeout)
        self._open(size=size, etag=etag)

    def _open(self, *, size: int | None, etag: str | None, begun: bool = False) -> None:
        self._size, self._etag = size, etag
        self._reader = self._new_reader(size=size, etag=etag)
        self._keys_reader: Reader | None = None
        #: The keys of baskets that are fetched apart from their baskets, and by `_keys_reader`.
        self._keys: set[Range] = set()
        self._closed = False
        #: Whether the first bytes were read.
        self._begun = begun
        #: Whether what uproot reads first is guessed.
        self._guesses = True
        self._lock = threading.Lock()
        self._under_way: set[_Gather] = set()
        self._plans: deque[Plan] = deque(maxlen=8)
        self._repeats = Repeats()
        #: The list of keys, where it is at the file's end and nothing before it was read yet.
        self._keys_at_end: Range | None = None

    def _new_reader(self, *, size: int | None, etag: str | None) -> Reader:
        base, key = split(self._file_path)
        store = store_of(base, tuple(sorted(self._settings.items())))
        # uproot tells what it will read: nothing is to be guessed from what it has read.
        return store.reader(key, size=size, etag=etag, policy="vector")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {_redacted(self._file_path)!r} at 0x{id(self):012x}>"

    def __getstate__(self) -> dict[str, Any]:
        version = {"size": self._size, "etag": self._etag, "begun": self._begun}
        if self._begun:
            version.update(size=self._reader.size, etag=self._reader.etag)
        return {
            "file_path": self._file_path,
            "settings": self._settings,
            "closed": self._closed,
            "version": version,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__init__()
        place_hooks()
        self._file_path = state["file_path"]
        self._settings = state["settings"]
        self._open(**state["version"])
        if state["closed"]:
            self.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        with self._lock:
            self._closed = True
            left, self._under_way = self._under_way, set()
            self._plans.clear()
            self._repeats = Repeats()
        for gather in left:
            gather.abandon(self._closed_error())
        for reader in (self._reader, self._keys_reader):
            if reader is not None:
                reader.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed. Reads after that are ``OSError``."""
        return self._closed

    @property
    def num_bytes(self) -> int:
        """The object's size in bytes."""
        self._check_open()
        return int(self._reader.size)

    def chunk(self, start: int, stop: int) -> uproot.source.chunk.Chunk:
        """The bytes from ``start`` up to ``stop``, fewer where the object ends before. Waits for them."""
        start, stop = int(start), int(stop)
        self._check_open()
        self._count([(start, stop)])
        if start == 0 and not self._begun:
            data = self._begin(stop)
        elif start >= stop or self._is_beyond(start):
            data = b""
        else:
            data = self._read(start, stop)
            self._learn(start, stop)
        self._was_read([(start, stop)])
        return uproot.source.chunk.Chunk(self, start, stop, TrivialFuture(data))

    def chunks(
        self, ranges: list[Range], notifications: queue.Queue[Any]
    ) -> list[uproot.source.chunk.Chunk]:
        """Chunks of exactly these ranges, filled in the background; each is put on ``notifications`` once, filled or
        failed: its error is raised where the chunk is waited for."""
        ranges = [(int(start), int(stop)) for start, stop in ranges]
        self._check_open()
        self._count(ranges)
        gather = _Gather(self, ranges, notifications)
        gather.begin()
        self._was_read(ranges)
        return gather.chunks

    def _expect(self, ranges: Iterable[Range]) -> None:
        """Says what will be read, in this order; it is fetched some way ahead of what is read of it."""
        with self._lock:
            fresh = [
                wanted
                for wanted in ranges
                if not self._repeats.has(wanted)
                and not any(plan.expects(wanted) for plan in self._plans)
            ]
            if not fresh or self._closed:
                return
            self._repeats.expect(fresh)
            plan = Plan(fresh)
            self._plans.append(plan)
            due = plan.due()
        self._reader.hint(due)

    def _expect_keys(self, keys: Sequence[tuple[Range, Range]]) -> None:
        """Says which keys of baskets will be read at once: each with the range of its basket.

        A key whose basket is not on its way is fetched by a reader of its own, so that the baskets, when their time
        comes, are whole: near ones share a request then."""
        with self._lock:
            apart = [
                key
                for key, basket in keys
                if not any(plan.has_hinted(basket) for plan in self._plans)
            ]
            if not apart or self._closed:
                return
            if self._keys_reader is None:
                self._keys_reader = self._new_reader(size=self._reader.size, etag=self._reader.etag)
            self._keys.update(apart)
        self._keys_reader.hint(apart)

    def hint(self, ranges: Sequence[Range]) -> None:
        """Says which byte ranges will be read next, in this order: they are fetched as there is room. Does not wait.

        Those that are not read are bytes fetched in vain. Before the first read it takes the place of all guesses of
        what uproot reads first. Of a closed source it does nothing."""
        if not self._begun:
            self._guesses = False
        if not self._closed:
            self._reader.hint(ranges)

    def _begin(self, stop: int) -> Any:
        """The first bytes. What uproot looks for next is fetched: where that is, they tell."""
        if self._guesses:
            self._reader.hint([(0, max(HEAD, stop))])
        try:
            data = self._reader.read_at(0, stop)
        except FileNotFoundError:
            self._check_directory()
            raise
        size = self._reader.size
        self._begun = True
        if not self._guesses:
            return data
        keys = _list_of_keys(self._reader.read_at(0, min(size, 4096))) if size > HEAD else None
        if keys is not None and HEAD < keys[1] <= size:
            start, end = keys[0], min(keys[1] + BEHIND_KEYS, size)
            if size - keys[1] <= END:
                self._keys_at_end = keys
                before = _before_keys.get(split(self._file_path)[0]) or min(BEFORE_KEYS, size // 4)
                start, end = start - before, size
            self._reader.hint([(max(HEAD, start), end)])
        return data

    def _check_directory(self) -> None:
        """Raises where what is not there as an object is a directory."""
        base, key = split(self._file_path)
        store = store_of(base, tuple(sorted(self._settings.items())))
        if next(iter(store.list(key.removesuffix("/") + "/", limit=1)), None) is not None:
            raise IsADirectoryError(errno.EISDIR, "this is a directory, and no object", _redacted(self._file_path))

    def _learn(self, start: int, stop: int) -> None:
        """Notes how far before the list of keys the first object begins that is read: files of a data set are alike."""
        at_end = self._keys_at_end
        if at_end is None or stop <= HEAD or start >= at_end[0]:
            return
        self._keys_at_end = None
        if stop <= at_end[0] and (before := at_end[0] - start) <= BEFORE_KEYS_MOST:
            _before_keys[split(self._file_path)[0]] = min(before * 9 // 8, BEFORE_KEYS_MOST)

    def _read(self, start: int, stop: int) -> Any:
        wanted = start, stop
        if wanted in self._keys and self._keys_reader is not None:
            self._keys.discard(wanted)
            return self._keys_reader.read_at(start, stop)
        with self._lock:
            data = self._repeats.take(wanted)
        if data is None:
            data = self._reader.read_at(start, stop)
            with self._lock:
                self._repeats.keep(wanted, data)
        return data

    def _was_read(self, ranges: Sequence[Range]) -> None:
        due: list[Range] = []
        with self._lock:
            for plan in reversed(self._plans):
                if plan.read(ranges):
                    due = plan.due()
                    if plan.is_done():
                        self._plans.remove(plan)
                    break
        if due:
            self._reader.hint(due)

    def _count(self, ranges: Sequence[Range]) -> None:
        self._num_requests += 1
        self._num_requested_chunks += len(ranges)
        self._num_requested_bytes += sum(stop - start for start, stop in ranges)

    def _is_beyond(self, start: int) -> bool:
        """Whether a range begins past the end: uproot finds a chunk that is too short, and says so."""
        return start > 0 and start >= self._reader.size

    def _check_open(self) -> None:
        if self._closed:
            raise self._closed_error()

    def _closed_error(self) -> OSError:
        return OSError(f"file {_redacted(self._file_path)!r} is closed")


class _Gather:
    """One call of :meth:`Source.chunks`. Every chunk is notified once, whatever happens: uproot waits for as many
    notifications as there are ranges, without a limit of time."""

    def __init__(
        self, source: Source, ranges: list[Range], notifications: queue.Queue[Any]
    ) -> None:
        self._source = source
        self._ranges = ranges
        self._notifications = notifications
        self._lock = threading.Lock()
        self._handle: Any = None
        self._futures = [_Future() for _ in ranges]
        self._left = len(ranges)
        self.chunks = [
            uproot.source.chunk.Chunk(source, start, stop, future)
            for (start, stop), future in zip(ranges, self._futures, strict=True)
        ]

    def begin(self) -> None:
        wanted = []
        for index, (start, stop) in enumerate(self._ranges):
            if start >= stop or self._source._is_beyond(start):
                self._fill(index, b"")
            else:
                wanted.append(index)
        if not wanted:
            return
        if _in_task():
            self._count_waits()
        with self._source._lock:
            self._source._under_way.add(self)
        try:
            self._handle = self._source._reader.read_ranges(
                [self._ranges[index] for index in wanted],
                lambda part, result: self._fill(wanted[part], result),
            )
        except Exception as error:
            self._fail(error)
        # It may have been closed meanwhile, before there was a handle.
        if self._source.closed:
            self.abandon(self._source._closed_error())

    def _count_waits(self) -> None:
        """As long as ranges are under way, what uproot waits for in its queue is waiting of the task of Spark."""
        get = self._notifications.get

        def counted(*args: Any, **kwargs: Any) -> Any:
            return waited(get, *args, **kwargs) if self._left else get(*args, **kwargs)

        setattr(self._notifications, "get", counted)

    def abandon(self, error: Exception) -> None:
        """No bytes are wanted any more: what has not come fails."""
        if self._handle is not None:
            self._handle.cancel()
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        for index in range(len(self._futures)):
            self._fill(index, error)

    def _fill(self, index: int, result: Any) -> None:
        """What one range came to; only the first word counts."""
        future = self._futures[index]
        with self._lock:
            if future.is_done():
                return
            future.set(result)
            self._left -= 1
            over = self._left == 0
        if over:
            with self._source._lock:
                self._source._under_way.discard(self)
        self._notifications.put(self.chunks[index])


class _Future:
    """Bytes that come, or an error."""

    __slots__ = ("_done", "_result")

    def __init__(self) -> None:
        self._done = threading.Event()
        self._result: Any = None

    def is_done(self) -> bool:
        return self._done.is_set()

    def set(self, result: Any) -> None:
        self._result = result
        self._done.set()

    def result(self, timeout: float | None = None) -> Any:
        if not self.is_done() and not waited(self._done.wait, timeout):
            raise TimeoutError(f"no bytes within {timeout} s")
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


#: How far before a list of keys trees began in the last file of each bucket, with something to spare.
_before_keys: dict[str, int] = {}


def _list_of_keys(head: Any) -> Range | None:
    """Where the list of keys of a file's root directory is, by the file's first bytes; `None` if they do not tell."""
    try:
        magic, version, begin = struct.unpack_from(">4sii", head)
        length_of_name = struct.unpack_from(">i", head, 36 if version >= 1_000_000 else 28)[0]
        at = begin + length_of_name
        version, length = struct.unpack_from(">h8xi", head, at)
        start = struct.unpack_from(">q" if version > 1000 else ">i", head, at + (34 if version > 1000 else 26))[0]
    except struct.error:
        return None
    return (start, start + length) if magic == b"root" and start > 0 and length > 0 else None
