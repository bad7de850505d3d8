# SPDX-License-Identifier: Apache-2.0
"""Objects as files."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer as BufferLike

    from ._storescope import ObjectMeta, Reader, Store, Writer


# Bytes read at once where lines are read, or small pieces one after the other.
_LINES = 64 << 10
# Bytes taken at once of a file that is written as an object.
_PIECE = 8 << 20


class ObjectReader(io.RawIOBase):
    """An object as a binary file that is read. Reads are full, never short ones but at the end; `read_at` of the `reader`
    beneath may be used beside them, by any thread.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.name: str = reader.url
        self.mode = "rb"
        self._place = 0
        # A piece that was read to be cut, and where it begins; where the last read ended.
        self._line_at, self._line = 0, b""
        self._after = -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check()
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._check()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence)
        if start is None:
            if whence != os.SEEK_END:
                raise ValueError(f"whence: expected 0, 1 or 2, not {whence}")
            start = self.reader.size
        if start + offset < 0:
            raise ValueError(f"there is no place {start + offset}")
        self._place = start + offset
        return self._place

    def write(self, data: Any, /) -> int:
        raise io.UnsupportedOperation("not writable")

    def readinto(self, buffer: Any, /) -> int:
        self._check()
        size = memoryview(buffer).nbytes
        if self._goes_on(size):
            data = self._cut(size)
            memoryview(buffer).cast("B")[: len(data)] = data
            filled = len(data)
        else:
            filled = self._into(buffer)
        self._place += filled
        self._after = self._place
        return filled

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        if size is None or size < 0:
            return self.readall()
        size = min(size, self.reader.size - self._place)
        if size <= 0:
            return b""
        data = self._cut(size) if self._goes_on(size) else self._bytes(self._place, self._place + size)
        self._place += len(data)
        self._after = self._place
        return data

    def readall(self) -> bytes:
        return self.read(max(self.reader.size - self._place, 0))

    def readline(self, size: int | None = -1, /) -> bytes:
        self._check()
        line = b""
        while size is None or size < 0 or len(line) < size:
            if not self._fill(self._place):
                break
            start = self._place - self._line_at
            end = self._line.find(b"\n", start) + 1 or len(self._line)
            if size is not None and size >= 0:
                end = min(end, start + size - len(line))
            line += self._line[start:end]
            self._place = self._line_at + end
            if line.endswith(b"\n"):
                break
        return line

    def _bytes(self, start: int, stop: int) -> bytes:
        return bytes(self.reader.read_at(start, stop))

    def _into(self, buffer: Any) -> int:
        return self.reader.read_into(self._place, buffer)

    def _goes_on(self, size: int) -> bool:
        """Whether a read is cut from a larger piece: one of small ones in a row (a TextIOWrapper's), or of a small file."""
        if not 0 < size < _LINES:
            return False
        return self._place == self._after or self._holds(self._place) or self.reader.size <= _LINES

    def _cut(self, size: int) -> bytes:
        """Bytes from the place on, of larger pieces; fewer only at the end."""
        data = b""
        while len(data) < size and self._fill(self._place + len(data)):
            start = self._place + len(data) - self._line_at
            data += self._line[start : start + size - len(data)]
        return data

    def _holds(self, place: int) -> bool:
        return self._line_at <= place < self._line_at + len(self._line)

    def _fill(self, place: int) -> bool:
        """Reads the piece that begins there, or all of a small file, unless it is there; whether there is any."""
        if not self._holds(place):
            size = self.reader.size
            start = 0 if size <= _LINES else place
            end = min(start + _LINES, size)
            self._line_at, self._line = start, self._bytes(start, end) if place < end else b""
        return self._holds(place)

    def close(self) -> None:
        if not self.closed:
            self.reader.close()
        super().close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError(f"{self.name}: I/O operation on a closed file")


class ObjectWriter(io.RawIOBase):
    """An object as a binary file that is written. It is there once `close` has returned. It is not made where a `with`
    ends by an exception, its own or that of a wrapper around it; nor where nobody closes it, which an error of the
    logger `storescope` says.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.name: str = writer.url
        self.mode = "wb"
        # Whether what a wrapper still writes goes nowhere.
        self._discards = False

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        raise io.UnsupportedOperation("not readable")

    def tell(self) -> int:
        return self.writer.tell()

    def write(self, data: BufferLike, /) -> int:
        if self.closed:
            raise ValueError(f"{self.name}: I/O operation on a closed file")
        return memoryview(data).nbytes if self._discards else self.writer.write(data)

    def close(self) -> None:
        """Make the object of what was written.

        Where an exception is being handled that was not when the file was opened, abort, and raise that exception again:
        a wrapper that knows nothing but `close` ends a `with` so. `commit` makes the object nevertheless.
        """
        if not self.closed:
            try:
                if not self._discards and self.writer._closing():
                    self._end()
            finally:
                super().close()

    def commit(self) -> None:
        """Make the object of what was written, whatever exception is being handled."""
        self._finish()

    def abort(self) -> None:
        """Discard what was written."""
        self._discard()
        super().close()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None:
            self._finish()
        else:
            self.abort()

    def __del__(self) -> None:
        # io.IOBase would close it: an object of half its bytes.
        self._dealloc_warn(self)

    def _dealloc_warn(self, source: Any) -> None:
        """Called by the wrappers of `io` that nobody closed, before they flush and close what is beneath them."""
        self._discards = True
        self.writer._give_up()

    def _finish(self) -> None:
        """`close`, whatever exception is being handled."""
        if not self.closed:
            try:
                self._end()
            finally:
                super().close()

    def _end(self) -> None:
        self.writer.commit()

    def _discard(self) -> None:
        """Abort, and take nowhere what a wrapper writes when it is closed."""
        self._discards = True
        self.writer.abort()


class CompressedWriter(io.BufferedIOBase):
    """An object that is written through a compressor, most of which leave open what is beneath them. It is made, or not,
    as that of an `ObjectWriter`.
    """

    def __init__(self, beneath: ObjectWriter, compressor: Any) -> None:
        self.beneath = beneath
        self.compressor = compressor
        self.name = beneath.name
        self.mode = beneath.mode

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        place: int = self.compressor.tell()
        return place

    def write(self, data: BufferLike, /) -> int:
        if self.closed:
            raise ValueError(f"{self.name}: I/O operation on a closed file")
        written: int = self.compressor.write(data)
        return written

    def flush(self) -> None:
        # io.IOBase flushes what it closes, too.
        if not self.beneath.closed:
            self.compressor.flush()

    def close(self) -> None:
        self._ended_by(self.beneath.close)

    def commit(self) -> None:
        self._ended_by(self.beneath.commit)

    def abort(self) -> None:
        """Discard what was written."""
        self.beneath._discard()
        with contextlib.suppress(Exception):
            self.compressor.close()
        self.beneath.abort()
        super().close()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None:
            self._finish()
        else:
            self.abort()

    def __del__(self) -> None:
        self._dealloc_warn(self)
        with contextlib.suppress(Exception):
            self.compressor.close()

    def _dealloc_warn(self, source: Any) -> None:
        self.beneath._dealloc_warn(source)

    def _finish(self) -> None:
        self._ended_by(self.beneath._finish)

    def _ended_by(self, end: Callable[[], None]) -> None:
        if self.closed:
            return
        try:
            self.compressor.close()
            end()
        except BaseException:
            self.abort()
            raise
        super().close()


class TextWriter(io.TextIOWrapper):
    """An object that is written as text. It is made, or not, as that of an `ObjectWriter`."""

    def __init__(self, beneath: ObjectWriter | CompressedWriter, **options: Any) -> None:
        super().__init__(beneath, **options)  # type: ignore[type-var]
        self._beneath = beneath

    def commit(self) -> None:
        self._ended_by(self._beneath.commit)

    def abort(self) -> None:
        """Discard what was written."""
        self._beneath.abort()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None:
            self._ended_by(self._beneath._finish)
        else:
            self.abort()

    def _ended_by(self, end: Callable[[], None]) -> None:
        if self.closed:
            return
        try:
            self.flush()
            end()
        except BaseException:
            self.abort()
            raise


def _write_from(writer: Writer, file: Any) -> ObjectMeta | None:
    """Writes what a binary file gives, from where it stands to its end."""
    with writer:
        for piece in iter(lambda: file.read(_PIECE), b""):
            writer.write(piece)
        return writer.commit()


def _open(store: Store, key: str, mode: str, **options: Any) -> ObjectReader | ObjectWriter:
    if mode in ("rb", "r"):
        return ObjectReader(store.reader(key, **options))
    if mode in ("wb", "w"):
        return ObjectWriter(store.writer(key, **options))
    if mode in ("xb", "x"):
        return ObjectWriter(store.writer(key, mode="create", **options))
    raise ValueError(f"mode: expected rb, wb or xb, not {mode!r}")
