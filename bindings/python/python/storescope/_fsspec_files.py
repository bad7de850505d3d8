# SPDX-License-Identifier: Apache-2.0
"""Objects of filesystems as files: read, written, changed in place."""

from __future__ import annotations

import atexit
import io
import logging
import os
import tempfile
import weakref
from typing import TYPE_CHECKING, Any

from fsspec.caching import BaseCache  # type: ignore[import-untyped]

from ._errors import PreconditionError
from ._file import ObjectReader, ObjectWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._fsspec_base import FileSystemBase
    from ._storescope import ObjectMeta

_log = logging.getLogger("storescope")

# Bytes of one read or write of what is taken piece by piece.
PIECE = 8 << 20

# What a write says of its object, by our names.
HEADERS = ("content_type", "content_encoding", "content_language", "content_disposition", "cache_control", "metadata")


class _OfFileSystem(io.IOBase):
    """What fsspec's own files have beside those of `io`."""

    DEFAULT_BLOCK_SIZE = 5 << 20

    fs: FileSystemBase
    path: str
    mode: str
    autocommit = True
    # Of fsspec's kind of range reads: a file is all of its object.
    start = end = None

    def _is_of(self, mode: str, block_size: Any, kwargs: dict[str, Any]) -> None:
        self.mode = mode
        self.blocksize: int = block_size or self.DEFAULT_BLOCK_SIZE
        self.kwargs = kwargs

    @property
    def full_name(self) -> str:
        return str(self.fs.unstrip_protocol(self.path))

    @property
    def details(self) -> dict[str, Any]:
        """What the object is, as `fs.info` tells it."""
        info: dict[str, Any] = self.fs.info(self.path)
        return info

    @property
    def loc(self) -> int:
        """Where the file stands."""
        return self.tell()

    @loc.setter
    def loc(self, place: int) -> None:
        self.seek(place)

    def info(self) -> dict[str, Any]:
        raise ValueError("Info not available while writing")

    def metadata(self, refresh: bool = False, **kwargs: Any) -> dict[str, str]:
        return self.fs.metadata(self.path, refresh, **kwargs)

    def getxattr(self, xattr_name: str, **kwargs: Any) -> str | None:
        return self.fs.getxattr(self.path, xattr_name, **kwargs)

    def setxattr(self, copy_kwargs: Any = None, **kwargs: Any) -> None:
        self.fs.setxattr(self.path, copy_kwargs=copy_kwargs, **kwargs)

    def url(self, **kwargs: Any) -> str:
        return self.fs.url(self.path, **kwargs)

    def flush(self, force: bool = False) -> None:
        """Nothing: bytes are sent by parts, and seen when the file is closed."""
        if self.closed:
            raise ValueError("Flush on closed file")

    def readinto1(self, buffer: Any, /) -> int:
        read: int = self.readinto(buffer)  # type: ignore[attr-defined]
        return read

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> bytes:
        """The bytes up to the next `char`, and that; `blocks` bytes are read at once."""
        found = b""
        while part := bytes(self.read(blocks or self.blocksize)):
            # It may have begun in the part before.
            at = max(0, len(found) - len(char) + 1)
            found += part
            place = found.find(char, at)
            if place >= 0:
                end = place + len(char)
                self.seek(end - len(found), os.SEEK_CUR)
                return found[:end]
        return found

    def readable(self) -> bool:
        return "r" in self.mode and not self.closed

    def seekable(self) -> bool:
        return self.readable()

    def writable(self) -> bool:
        return self.mode != "rb" and not self.closed

    def __reduce__(self) -> Any:
        raise TypeError("a file that is written cannot be pickled")

    def __str__(self) -> str:
        return f"<{type(self).__name__} {self.full_name}>"

    __repr__ = __str__


class StoreFile(_OfFileSystem, ObjectReader):
    """An object of a filesystem as a file that is read."""

    def __init__(self, fs: FileSystemBase, path: str, reader: Any, block_size: int | None = None) -> None:
        super().__init__(reader)
        self.fs = fs
        self.path = path
        self._is_of("rb", block_size, {})
        self._details: dict[str, Any] | None = None
        self._closed = False
        # Another cache of fsspec may be put in its place: what is read then comes from there.
        self.cache: Any = BaseCache(self.blocksize, self._fetch_range, self.size)

    @property
    def size(self) -> int:
        return self.reader.size

    @property
    def details(self) -> dict[str, Any]:
        """What the object is, as `fs.info` tells it; of this version, where opening the file asked for it."""
        if self._details is None:
            self._details = super().details
        return self._details

    @details.setter
    def details(self, details: dict[str, Any]) -> None:
        self._details = details

    @property
    def closed(self) -> bool:
        return getattr(self, "_closed", True) or super().closed

    @closed.setter
    def closed(self, closed: bool) -> None:
        # fsspec's block cache closes a file so, after `close`.
        self._closed = closed

    def close(self) -> None:
        if self.closed:
            return
        close = getattr(self.cache, "close", None)
        if callable(close):
            close()
        super().close()
        self.cache = None

    def info(self) -> dict[str, Any]:
        return self.details

    def commit(self) -> None:
        """Nothing: it is read."""

    discard = commit

    def cat_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of many ranges at once, in their order."""
        store, key = self.fs._at(self.path)
        return [bytes(part) for part in store.get_ranges(key, list(ranges))]

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The bytes of a range, past any cache of fsspec."""
        return b"" if start >= min(end, self.size) else super()._bytes(start, end)

    def _bytes(self, start: int, stop: int) -> bytes:
        return super()._bytes(start, stop) if self._is_plain() else bytes(self.cache._fetch(start, stop))

    def _into(self, buffer: Any) -> int:
        if self._is_plain():
            return super()._into(buffer)
        view = memoryview(buffer).cast("B")
        stop = min(self._place + len(view), self.size)
        data = self._bytes(self._place, stop) if self._place < stop else b""
        view[: len(data)] = data
        return len(data)

    def _is_plain(self) -> bool:
        return type(self.cache) is BaseCache

    def _version(self) -> tuple[Any, ...]:
        return self.fs, self.path, self.reader.etag, self.size

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, StoreFile) and self._version() == other._version())

    def __hash__(self) -> int:
        return hash(self._version())

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.fs, self.path, self.reader, self.tell())


def _reopened(fs: FileSystemBase, path: str, reader: Any, place: int) -> StoreFile:
    file = StoreFile(fs, path, reader)
    file.seek(place)
    return file


class StoreWriteFile(_OfFileSystem, ObjectWriter):
    """An object of a filesystem as a file that is written. Within a transaction it is there once that ends."""

    def __init__(self, fs: FileSystemBase, path: str, writer: Any, autocommit: bool = True) -> None:
        super().__init__(writer)
        self.fs = fs
        self.path = path
        self._is_of("wb", None, {})
        self.autocommit = autocommit

    def commit(self) -> None:
        """Make the object of what was written. One that was open when its transaction ended is not made."""
        if self.autocommit:
            super().commit()
        elif self.closed:
            self.writer.commit()
        else:
            self.abort()
            raise OSError(f"{self.full_name} was not written: it was not closed when its transaction ended")

    def discard(self) -> None:
        """Give up what was written."""
        self.abort()

    def _end(self) -> None:
        if self.mode == "xb" and self.tell() == 0:
            self.fs._made_empty.append(self.path)
        # Within a transaction the writer stays open until that ends.
        if self.autocommit:
            super()._end()


class StoreUpdateFile(StoreWriteFile):
    """An object of a filesystem as a file that is read and written in place: a local copy, of which the object is made
    as that of any file that is written. Where it is not, one that this filesystem made empty before is removed: nothing
    was to come of it but this file.
    """

    def __init__(self, fs: FileSystemBase, path: str, head: ObjectMeta, block_size: int | None = None) -> None:
        self._copy = tempfile.TemporaryFile()
        store, key = fs._object(path)
        condition: Any = {"update": head.etag}
        super().__init__(fs, path, store.writer(key, mode=condition, **headers_of(head)))
        self._is_of("r+b", block_size, {})
        self._changed = False
        # What is to be removed where nothing is made.
        self._made = (store, key, head.etag) if head.size == 0 and path in fs._made_empty else None
        self._process = os.getpid()
        _being_updated.add(self)
        try:
            self._fetch(store.reader(key, size=head.size, etag=head.etag, policy="sequential"))
        except BaseException:
            self.abort()
            raise

    def _fetch(self, reader: Any) -> None:
        with reader:
            for place in range(0, reader.size, PIECE):
                self._copy.write(reader.read_at(place, min(place + PIECE, reader.size)))
        self._copy.seek(0)

    @property
    def size(self) -> int:
        self._copy.flush()
        return os.fstat(self._copy.fileno()).st_size

    def tell(self) -> int:
        return self._copy.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._copy.seek(offset, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        return self._copy.read(-1 if size is None else size)

    def readinto(self, buffer: Any, /) -> int:
        return self._copy.readinto(buffer)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._copy.readline(-1 if size is None else size)

    def write(self, data: Any, /) -> int:
        if self._discards:
            return memoryview(data).nbytes
        self._changed = True
        return self._copy.write(data)

    def truncate(self, size: int | None = None, /) -> int:
        self._changed = True
        return self._copy.truncate(size)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._forget()

    def _finish(self) -> None:
        try:
            super()._finish()
        finally:
            self._forget()

    def _end(self) -> None:
        if not self._changed:
            self._made = None
            self.writer.abort()
            return
        self._copy.seek(0)
        for piece in iter(lambda: self._copy.read(PIECE), b""):
            self.writer.write(piece)
        self.writer.commit()
        self._made = None

    def _discard(self) -> None:
        super()._discard()
        self._forget()

    def _dealloc_warn(self, source: Any) -> None:
        self._discards = True
        if self._changed or self._made:
            self.writer._give_up()
        else:
            self.writer.abort()
        self._forget()

    def _forget(self) -> None:
        """Drop the local copy, and the object that was made for it."""
        self._copy.close()
        made, self._made = self._made, None
        # A child made by fork leaves its parent's alone.
        if made and self._process == os.getpid():
            store, key, etag = made
            try:
                store.delete(key, if_match=etag)
            except (PreconditionError, FileNotFoundError):
                # Another has written it since, or removed it.
                pass
            except OSError as error:
                _log.error("%s was made empty and could not be removed: %s", self.name, error)


_being_updated: weakref.WeakSet[StoreUpdateFile] = weakref.WeakSet()


@atexit.register
def _end_updates() -> None:
    for file in [file for file in _being_updated if not file.closed]:
        file._dealloc_warn(file)


def headers_of(meta: ObjectMeta) -> dict[str, Any]:
    """What a write says so that its object has all that another has."""
    return {name: value for name in HEADERS if (value := getattr(meta, name)) is not None}
