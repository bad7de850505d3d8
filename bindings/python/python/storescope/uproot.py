# SPDX-License-Identifier: Apache-2.0
"""ROOT files from object storage, read by uproot: :class:`Source` and :func:`install`.

.. code-block:: python

    import storescope.uproot, uproot

    storescope.uproot.install()                  # oci:// and s3:// are read by storescope from now on
    with uproot.open("oci://bucket@namespace/file.root:Events") as tree:
        tree.arrays(["nMuon", "Muon_pt"])

    uproot.open(url, handler=storescope.uproot.Source)  # the same for one call, without install

Settings of :func:`storescope.open_store` may stand beside the URL as keywords, as other options of uproot do; those of
ocifs and s3fs are understood where they mean something here. uproot's ``timeout`` is the time in seconds without a byte
of an answer after which a request is given up, and tried again (``first_byte_timeout`` and ``stall_timeout``).

**In other processes.** A ``handler`` travels with the call to each worker, and lists of files are expanded by storescope
alone: neither needs anything registered. What :func:`install` did is carried into the processes that this one starts by
multiprocessing from then on: those of concurrent.futures (coffea's ``FuturesExecutor``), joblib, loky, dask's local
workers. Workers that are started otherwise must call it themselves.

**How bytes are foreseen.** uproot asks for many small things one after the other: the key of each basket before the
first array of an ``iterate`` whose step is a memory size, each page list and each page of an RNTuple, and each step
only when the one before was used. Where all those bytes are stands in tables that uproot has parsed by then, so they
are handed to the reading engine (:meth:`storescope.Reader.hint`) before uproot asks, in the order in which it will:

===============================  =====================================================================
uproot begins to                 and is on its way
===============================  =====================================================================
open a file                      its first 64 KiB; then the list of keys that its header names, if it lies beyond; where
                                 that is at the file's end, with up to 96 KiB before it (a quarter of a smaller file),
                                 since trees lie there: as much as the last file of the bucket needed
iterate over a ``TTree``         the baskets of the branches and entries asked for
count entries by memory size     the keys of those baskets
look at an RNTuple's clusters    all page lists
iterate over an ``RNTuple``      the pages of the columns and clusters asked for
read ``arrays`` of an RNTuple    the same; column by column where the arrays are virtual
===============================  =====================================================================

Never more than 64 MiB are on their way for one loop, so that a loop which is left early has cost no more than that.

Which branches are meant is learned where uproot itself has found it out: in seven of its functions (``_hooks`` below),
wrapped when the first source is made. The wrappers do nothing for sources of others. The first key alone, seen from
:meth:`Source.chunk`, would tell neither the other branches nor where the entries end, and would have to guess from
numbers which tree they belong to; ``iterate`` and ``arrays`` alone would have to parse the expressions a second time.
Where a future uproot has other functions, a warning on the logger ``storescope.uproot`` says what is not foreseen; all
is read as before, only later.
"""

from __future__ import annotations

import errno
import functools
import inspect
import itertools
import logging
import os
import struct
import threading
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

try:
    import uproot
except ImportError as error:
    raise ImportError("storescope.uproot needs uproot: pip install 'storescope[uproot]'") from error

import uproot._util
import uproot.behaviors.RNTuple
import uproot.behaviors.TBranch
import uproot.models.RNTuple
import uproot.reading
import uproot.source.chunk
from fsspec.core import has_magic  # type: ignore[import-untyped]
from uproot.source.futures import TrivialFuture
from uproot.version import __version__ as uproot_version

import storescope
from storescope._storescope import _redacted

from ._inherited import INHERITED
from ._storescope import _surroundings
from ._uproot_clusters import Cluster, Range, clusters, columns_of, located, numbers_of, pages
from .fsspec import OciFileSystem, S3FileSystem

if TYPE_CHECKING:
    import queue
    from collections.abc import Iterator

    from .fsspec import StoreFileSystem

__all__ = ["Cluster", "Source", "clusters", "install", "uninstall"]

logger = logging.getLogger("storescope.uproot")

#: What is fetched of a file's beginning when it is opened, in bytes.
HEAD = 64 << 10
#: What is fetched before a list of keys at the file's end, in bytes: where nothing is known of such files, and at most.
BEFORE_KEYS = 96 << 10
BEFORE_KEYS_MOST = 1 << 20
#: What uproot reads with a list of keys, in bytes.
BEHIND_KEYS = 8
#: A list of keys that so many bytes follow at most is at the file's end; streamers and free segments follow.
END = 64 << 10
#: What one loop may have on its way, in bytes.
AHEAD = 64 << 20
#: What is kept of a file because it will be read again, in bytes.
KEPT = 16 << 20


class Source(uproot.source.chunk.Source):  # type: ignore[misc]
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
        _place_hooks()
        self._file_path = file_path
        self._settings = _settings(file_path, options, timeout)
        self._open(size=size, etag=etag)

    def _open(self, *, size: int | None, etag: str | None, begun: bool = False) -> None:
        self._size, self._etag = size, etag
        self._reader = self._new_reader(size=size, etag=etag)
        self._keys_reader: storescope.Reader | None = None
        #: The keys of baskets that are fetched apart from their baskets, and by `_keys_reader`.
        self._keys: set[Range] = set()
        self._closed = False
        #: Whether the first bytes were read.
        self._begun = begun
        #: Whether what uproot reads first is guessed.
        self._guesses = True
        self._lock = threading.Lock()
        self._under_way: set[_Gather] = set()
        self._plans: deque[_Plan] = deque(maxlen=8)
        self._repeats = _Repeats()
        #: The list of keys, where it is at the file's end and nothing before it was read yet.
        self._keys_at_end: Range | None = None

    def _new_reader(self, *, size: int | None, etag: str | None) -> storescope.Reader:
        base, key = _split(self._file_path)
        store = _store(base, tuple(sorted(self._settings.items())))
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
        _place_hooks()
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
            self._repeats = _Repeats()
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
            plan = _Plan(fresh)
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
                before = _before_keys.get(_split(self._file_path)[0]) or min(BEFORE_KEYS, size // 4)
                start, end = start - before, size
            self._reader.hint([(max(HEAD, start), end)])
        return data

    def _check_directory(self) -> None:
        """Raises where what is not there as an object is a directory."""
        base, key = _split(self._file_path)
        store = _store(base, tuple(sorted(self._settings.items())))
        if next(iter(store.list(key.removesuffix("/") + "/", limit=1)), None) is not None:
            raise IsADirectoryError(errno.EISDIR, "this is a directory, and no object", _redacted(self._file_path))

    def _learn(self, start: int, stop: int) -> None:
        """Notes how far before the list of keys the first object begins that is read: files of a data set are alike."""
        at_end = self._keys_at_end
        if at_end is None or stop <= HEAD or start >= at_end[0]:
            return
        self._keys_at_end = None
        if stop <= at_end[0] and (before := at_end[0] - start) <= BEFORE_KEYS_MOST:
            _before_keys[_split(self._file_path)[0]] = min(before * 9 // 8, BEFORE_KEYS_MOST)

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
        if not self._done.wait(timeout):
            raise TimeoutError(f"no bytes within {timeout} s")
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


class _Plan:
    """Ranges in the order in which they will be read, hinted at some way ahead of the reading."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._place: dict[Range, int] = {}
        for wanted in ranges:
            self._place.setdefault(wanted, len(self._place))
        self._ranges = list(self._place)
        #: The bytes before each range, and of all.
        self._before = [0, *itertools.accumulate(stop - start for start, stop in self._ranges)]
        self._read = 0
        self._hinted = 0

    def expects(self, wanted: Range) -> bool:
        return self._place.get(wanted, -1) >= self._read

    def has_hinted(self, wanted: Range) -> bool:
        return self._read <= self._place.get(wanted, -1) < self._hinted

    def read(self, ranges: Iterable[Range]) -> bool:
        """Notes what was read; whether any of it is of this plan."""
        places = [self._place[r] + 1 for r in ranges if r in self._place]
        self._read = max([self._read, *places])
        return bool(places)

    def due(self) -> list[Range]:
        """What to hint at now: nothing before half of what is ahead was read, so that near ranges share requests.

        What was hinted at before is named again: bytes that are there or on their way cost nothing, and those that
        had to make room come again."""
        read = self._before[self._read]
        if self._before[self._hinted] - read > AHEAD // 2 or self._hinted == len(self._ranges):
            return []
        self._hinted = max(self._read, bisect_right(self._before, read + AHEAD) - 1)
        return self._ranges[self._read : self._hinted]

    def is_done(self) -> bool:
        return self._read == len(self._ranges)


class _Repeats:
    """Ranges that may be read more than once, such as a page that many columns share: they are kept from the first
    time to the last, the latest :data:`KEPT` bytes of them."""

    def __init__(self) -> None:
        self._left: Counter[Range] = Counter()
        self._data: dict[Range, Any] = {}
        self._bytes = 0

    def expect(self, ranges: Iterable[Range]) -> None:
        times = Counter(ranges)
        self._left.update({wanted: count - 1 for wanted, count in times.items() if count > 1})

    def has(self, wanted: Range) -> bool:
        return wanted in self._data

    def take(self, wanted: Range) -> Any:
        data = self._data.get(wanted)
        if data is not None:
            self._left[wanted] -= 1
            if self._left[wanted] == 0:
                del self._left[wanted], self._data[wanted]
                self._bytes -= len(data)
        return data

    def keep(self, wanted: Range, data: Any) -> None:
        if wanted not in self._left or wanted in self._data:
            return
        self._data[wanted] = data
        self._bytes += len(data)
        while self._bytes > KEPT:
            oldest = next(iter(self._data))
            self._bytes -= len(self._data.pop(oldest))


def install(*schemes: str) -> None:
    """Makes :class:`Source` uproot's choice for ``schemes``, and for the long ones: ``storescopeoci://``,
    ``storescopes3://``.

    Args:
        schemes: ``"oci"``, ``"s3"``; without any, both. They are registered with fsspec, too
            (:func:`storescope.register`), for what stands around uproot and takes the same URLs.

    A ``handler`` given to a call goes before it. Calls add up; :func:`uninstall` takes all back. Processes that are
    started by multiprocessing afterwards inherit it.

    Raises:
        ValueError: for another scheme.
        RuntimeError: where this uproot chooses its sources in an unknown way; ``handler=`` works all the same.
    """
    short = schemes or ("oci", "s3")
    for scheme in short:
        if scheme not in ("oci", "s3"):
            raise ValueError(f"storescope reads oci:// and s3://, not {scheme!r}")
    with _changes:
        choice: Any = getattr(uproot._util, "file_path_to_source_class", None)
        if not _takes(choice, ("file_path_or_object", "options")):
            raise RuntimeError(
                f"uproot {uproot_version} chooses its sources in a way that storescope does not know: "
                "pass handler=storescope.uproot.Source instead"
            )
        storescope.register(*short)
        if not _schemes:
            uproot._util.file_path_to_source_class = _choosing(choice)
        _schemes.update(short, _LONG)
    INHERITED.carry(schemes=short)


def uninstall() -> None:
    """Takes :func:`install` back: uproot chooses its sources as before. Open files go on; fsspec's registry stays."""
    with _changes:
        _schemes.clear()
        INHERITED.forget_schemes()
        # Where somebody has wrapped our choice since, it stays below theirs and chooses nothing.
        choice = getattr(uproot._util, "file_path_to_source_class", None)
        if before := getattr(choice, "_before_storescope", None):
            uproot._util.file_path_to_source_class = before


_changes = threading.Lock()
#: The classes that read a scheme's objects.
_CLASSES: dict[str, type[StoreFileSystem]] = {
    scheme: cls for cls in (OciFileSystem, S3FileSystem) for scheme in cls.protocol if scheme != "s3a"
}
_LONG = [scheme for scheme in _CLASSES if scheme.startswith("storescope")]
#: The schemes that :func:`install` was asked for.
_schemes: set[str] = set()


def _choosing(choice: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(choice)
    def choose(file_path_or_object: Any, options: dict[str, Any]) -> Any:
        if options.get("handler") is None:
            path = file_path_or_object
            path = uproot._util.regularize_path(path) if isinstance(path, os.PathLike) else path
            if isinstance(path, str) and _scheme(path) in _schemes:
                options = {**options, "handler": Source}
        return choice(file_path_or_object, options)

    choose._before_storescope = choice  # type: ignore[attr-defined]
    return choose


def _expanding(function: Callable[..., Any]) -> Callable[..., Any]:
    """uproot expands a URL by fsspec, before it asks a handler: by whichever package has the scheme's name there. A URL
    that is read here is listed here."""

    @functools.wraps(function)
    def expand(files: Any, parse_colon: bool, *rest: Any, **options: Any) -> Any:
        path, object_path = files, None
        if isinstance(files, os.PathLike):
            path, parse_colon = uproot._util.regularize_path(files), False
        if not isinstance(path, str) or not _is_read_here(path, options):
            return function(files, parse_colon, *rest, **options)
        if parse_colon:
            path, object_path = uproot._util.file_object_path_split(path)
        return ((name, object_path, None) for name in _names(path, options))

    return expand


def _is_read_here(path: str, options: dict[str, Any]) -> bool:
    handler = options.get("handler")
    if handler is None:
        return _scheme(path) in _schemes
    return isinstance(handler, type) and issubclass(handler, Source) and _scheme(path) in _CLASSES


def _names(path: str, options: dict[str, Any]) -> Iterator[str]:
    """The URLs of the objects that a pattern names."""
    scheme, _, rest = path.partition("://")
    if not has_magic(rest):
        yield path
        return
    others = {name: value for name, value in options.items() if name not in ("handler", "timeout")}
    fs = _CLASSES[scheme](**_settings(path, others, options.get("timeout")))
    for name, info in sorted(fs.glob(rest, detail=True).items()):
        if info["type"] == "file":
            yield f"{scheme}://{name}"


def _scheme(url: str) -> str:
    return url.partition("://")[0]


def _split(url: str) -> tuple[str, str]:
    """The store's URL and the key."""
    scheme, _, rest = url.partition("://")
    authority, _, key = rest.partition("/")
    if scheme not in _CLASSES or not key:
        raise ValueError(f"{_redacted(url)!r} names no object: oci://bucket@namespace/key or s3://bucket/key")
    return f"{_CLASSES[scheme].scheme}://{authority}", key


def _store(base: str, settings: tuple[tuple[str, Any], ...]) -> storescope.Store:
    """One store for the files of a bucket: they share its credentials and signatures. What is not among the settings comes
    from the environment: where that has changed, it is another store."""
    return _opened(base, settings, _surroundings())


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


@functools.lru_cache(maxsize=64)
def _opened(
    base: str, settings: tuple[tuple[str, Any], ...], surroundings: int
) -> storescope.Store:
    return storescope.open_store(base, **dict(settings))


def _settings(path: str, options: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    """What is ours of uproot's options, and what is meant by those of ocifs and s3fs."""
    cls = _CLASSES.get(_scheme(path), OciFileSystem)
    settings: dict[str, Any] = {}
    strange = []
    for name, value in options.items():
        if name in uproot.reading.open.defaults or value is None:
            continue
        meant = cls._translate(name, value)
        if meant is None:
            strange.append(name)
        for our_name, our_value in (meant or {}).items():
            if our_name.startswith("?"):
                strange.append(our_name[1:])
            else:
                settings[our_name] = our_value
    if strange:
        logger.warning("neither storescope's nor uproot's, ignored: %s", ", ".join(sorted(strange)))
    if timeout is not None:
        settings = {"first_byte_timeout": timeout, "stall_timeout": timeout, **settings}
    return settings


# What uproot is about to read: each function below is called with what one of uproot's functions is called with, and
# tells the source. An error in it is told once, and costs time, never a result.


def _foresee_baskets(
    hasbranches: Any, step_size: Any, entry_start: int, entry_stop: int, chosen: Any
) -> None:
    if source := _source_of(hasbranches):
        baskets = sorted(_baskets(hasbranches, entry_start, entry_stop, chosen))
        source._expect([basket for _, basket in baskets])


def _foresee_keys(
    hasbranches: Any, target_num_bytes: Any, entry_start: int, entry_stop: int, chosen: Any
) -> None:
    if source := _source_of(hasbranches):
        length = uproot.reading._key_format_big.size
        baskets = _baskets(hasbranches, entry_start, entry_stop, chosen)
        source._expect_keys(
            [((start, start + length), (start, stop)) for _, (start, stop) in baskets]
        )


def _baskets(
    hasbranches: Any, entry_start: int, entry_stop: int, chosen: Any
) -> Iterable[tuple[int, Range]]:
    """The baskets that are not embedded in the tree: the entry each begins with, and its bytes."""
    for branch in hasbranches.itervalues(recursive=True):
        if branch.cache_key not in chosen:
            continue
        entries = branch.entry_offsets
        for number, basket in branch.entries_to_ranges_or_baskets(entry_start, entry_stop):
            if isinstance(basket, tuple):
                yield entries[number], (int(basket[0]), int(basket[1]))


def _foresee_page_lists(ntuple: Any) -> None:
    source = _source_of(ntuple)
    if source and not ntuple._page_list_envelopes:
        groups = ntuple.footer.cluster_group_records
        source.hint([located(group.page_list_link.locator) for group in groups])


def _foresee_column(
    ntuple: Any,
    col_idx: int,
    cluster_start: int,
    cluster_stop: int,
    missing_element_padding: int = 0,
    array_cache: Any = None,
    access_log: Any = None,
) -> None:
    if source := _source_of(ntuple):
        numbers = range(cluster_start, cluster_stop)
        source._expect(pages(ntuple, [col_idx], numbers, _cached(array_cache)))


def _foresee_steps(ntuple: Any, akform: Any, step: int, entry_start: int, entry_stop: int) -> None:
    source = _source_of(ntuple)
    if source is None:
        return
    # A cluster at the border of two steps is read again where uproot's cache of arrays has dropped it by then.
    columns, wanted = columns_of(akform), []
    cached = _cached(ntuple._file.array_cache)
    for start in range(entry_start, entry_stop, step):
        numbers = numbers_of(ntuple, start, min(start + step, entry_stop))
        wanted += pages(ntuple, columns, numbers, cached)
    source._expect(wanted)


def _foresee_arrays(ntuple: Any, akform: Any, entries: slice, array_cache: Any) -> None:
    if source := _source_of(ntuple):
        start, stop, _ = entries.indices(int(ntuple.num_entries))
        cache = ntuple._file.array_cache if array_cache == "inherit" else array_cache
        numbers = numbers_of(ntuple, start, stop)
        source._expect(pages(ntuple, columns_of(akform), numbers, _cached(cache)))


def _cached(array_cache: Any) -> Any:
    """What can be asked whether it holds an array."""
    return array_cache if hasattr(array_cache, "__contains__") else ()


def _source_of(model: Any) -> Source | None:
    """The source of a tree, a branch or an RNTuple, if it is one of ours."""
    source = getattr(getattr(model, "_file", None), "_source", None)
    return source if isinstance(source, Source) else None


def _tell(foresee: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    try:
        foresee(*args, **kwargs)
    except Exception:
        level = logging.DEBUG if foresee in _told else logging.WARNING
        _told.add(foresee)
        logger.log(level, "uproot %s: what it reads is not foreseen", uproot_version, exc_info=True)


_told: set[Callable[..., None]] = set()


def _before(foresee: Callable[..., None]) -> Callable[..., Any]:
    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            _tell(foresee, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return wrap


def _knowing_steps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def regularize(ntuple: Any, akform: Any, step_size: Any, start: int, stop: int) -> Any:
        step = function(ntuple, akform, step_size, start, stop)
        _tell(_foresee_steps, ntuple, akform, step, start, stop)
        return step

    return regularize


def _knowing_entries(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def arrays(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("virtual") or kwargs.get("interpreter", "cpu") != "cpu":
            return function(self, *args, **kwargs)
        entries = slice(kwargs.get("entry_start"), kwargs.get("entry_stop"))
        _eager.asked = entries, kwargs.get("array_cache", "inherit")
        try:
            return function(self, *args, **kwargs)
        finally:
            _eager.asked = None

    return arrays


def _knowing_form(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def to_akform(self: Any, *args: Any, **kwargs: Any) -> Any:
        akform, path = function(self, *args, **kwargs)
        asked, _eager.asked = getattr(_eager, "asked", None), None
        if asked is not None:
            _tell(_foresee_arrays, self.ntuple, akform, *asked)
        return akform, path

    return to_akform


#: What the call of ``arrays`` asks for that this thread is in, until its form is known.
_eager = threading.local()

#: Whose function, its name, its first parameters, and how it is to be wrapped. Once they are, the list is empty.
_hooks: list[tuple[str, str, tuple[str, ...], Callable[..., Any]]] = [
    (
        "behaviors.TBranch",
        "_regularize_step_size",
        ("hasbranches", "step_size", "entry_start", "entry_stop", "branchid_interpretation"),
        _before(_foresee_baskets),
    ),
    (
        "behaviors.TBranch",
        "_hasbranches_num_entries_for",
        ("hasbranches", "target_num_bytes", "entry_start", "entry_stop", "branchid_interpretation"),
        _before(_foresee_keys),
    ),
    (
        "models.RNTuple.Model_ROOT_3a3a_RNTuple",
        "page_list_envelopes",
        ("self",),
        _before(_foresee_page_lists),
    ),
    (
        "models.RNTuple.Model_ROOT_3a3a_RNTuple",
        "read_cluster_range",
        ("self", "col_idx", "cluster_start", "cluster_stop"),
        _before(_foresee_column),
    ),
    (
        "behaviors.RNTuple",
        "_regularize_step_size",
        ("ntuple", "akform", "step_size", "entry_start", "entry_stop"),
        _knowing_steps,
    ),
    ("behaviors.RNTuple.HasFields", "arrays", ("self",), _knowing_entries),
    ("behaviors.RNTuple.HasFields", "to_akform", ("self",), _knowing_form),
]


def _takes(function: Any, parameters: tuple[str, ...]) -> bool:
    """Whether a function is the one known: these are its first parameters."""
    try:
        return tuple(inspect.signature(function).parameters)[: len(parameters)] == parameters
    except (TypeError, ValueError):
        return False


def _place_hooks() -> None:
    with _changes:
        left, _hooks[:] = list(_hooks), []
    for owner_path, name, parameters, wrap in left:
        owner: Any = uproot
        for part in owner_path.split("."):
            owner = getattr(owner, part, None)
        known = vars(owner).get(name) if owner is not None else None
        function = known.fget if isinstance(known, property) else known
        if not _takes(function, parameters):
            logger.warning(
                "uproot %s: %s.%s is not as known, what it reads is not foreseen",
                uproot_version,
                owner_path,
                name,
            )
            continue
        wrapped = wrap(function)
        setattr(owner, name, property(wrapped) if isinstance(known, property) else wrapped)


def _place_expansion() -> None:
    known = getattr(uproot._util, "_regularize_files_inner", None)
    if _takes(known, ("files", "parse_colon", "counter", "HasBranches", "steps_allowed")):
        uproot._util._regularize_files_inner = _expanding(known)
    else:
        logger.warning(
            "uproot %s: _util._regularize_files_inner is not as known, fsspec expands lists of files",
            uproot_version,
        )


_place_expansion()
