# SPDX-License-Identifier: Apache-2.0
"""Objects as files."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer as BufferLike

    from ._storescope import Reader, Store, Writer


# Bytes read at once where lines are read.
_LINES = 64 << 10


class ObjectReader(io.RawIOBase):
    """An object as a binary file that is read. Reads are full, never short ones but at the end; `read_at` of the `reader`
    beneath may be used beside them, by any thread.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.name: str = reader.url
        self.mode = "rb"
        self._place = 0
        # What was read to find the ends of lines, and where it begins.
        self._line_at, self._line = 0, b""

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

    def readinto(self, buffer: Any, /) -> int:
        self._check()
        filled = self.reader.read_into(self._place, buffer)
        self._place += filled
        return filled

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        if size is None or size < 0:
            return self.readall()
        left = self.reader.size - self._place
        if size == 0 or left <= 0:
            return b""
        data = bytes(self.reader.read_at(self._place, self._place + min(size, left)))
        self._place += len(data)
        return data

    def readall(self) -> bytes:
        return self.read(max(self.reader.size - self._place, 0))

    def readline(self, size: int | None = -1, /) -> bytes:
        self._check()
        line = b""
        while size is None or size < 0 or len(line) < size:
            if not self._line_at <= self._place < self._line_at + len(self._line):
                self._line_at, self._line = self._place, self._peek()
                if not self._line:
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

    def _peek(self) -> bytes:
        left = self.reader.size - self._place
        return bytes(self.reader.read_at(self._place, self._place + min(left, _LINES))) if left > 0 else b""

    def close(self) -> None:
        if not self.closed:
            self.reader.close()
        super().close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError(f"{self.name}: I/O operation on a closed file")


class ObjectWriter(io.RawIOBase):
    """An object as a binary file that is written. It is there once `close` has returned; one that is dropped unclosed, or
    whose `with` ends by an exception, is not made.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.name: str = writer.url
        self.mode = "wb"

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.writer.tell()

    def write(self, data: BufferLike, /) -> int:
        if self.closed:
            raise ValueError(f"{self.name}: I/O operation on a closed file")
        return self.writer.write(data)

    def abort(self) -> None:
        """Discard what was written."""
        self.writer.abort()
        super().close()

    def close(self) -> None:
        if not self.closed:
            try:
                self.writer.close()
            finally:
                super().close()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # io.IOBase would close it: an object of half its bytes.
        if not self.closed:
            self.abort()


def _open(store: Store, key: str, mode: str, **options: Any) -> ObjectReader | ObjectWriter:
    if mode in ("rb", "r"):
        return ObjectReader(store.reader(key, **options))
    if mode in ("wb", "w"):
        return ObjectWriter(store.writer(key, **options))
    if mode in ("xb", "x"):
        return ObjectWriter(store.writer(key, mode="create", **options))
    raise ValueError(f"mode: expected rb, wb or xb, not {mode!r}")
