# SPDX-License-Identifier: Apache-2.0
"""Bytes into objects."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from fsspec.callbacks import DEFAULT_CALLBACK  # type: ignore[import-untyped]
from fsspec.utils import stringify_path  # type: ignore[import-untyped]

from ._fsspec_calls import sync_wrapper
from ._fsspec_files import PIECE
from ._fsspec_keywords import about_object, take_no_other
from ._fsspec_names import prefix_below
from ._fsspec_read import FileSystemReads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Larger values are written piece by piece.
_AT_ONCE = 64 << 20


class FileSystemWrites(FileSystemReads):
    """Writes and copies objects."""

    async def _pipe_file(self, path: str, value: Any, mode: Any = "overwrite", **kwargs: Any) -> None:
        store, key = self._object(path)
        about = about_object(key, kwargs)
        if isinstance(value, str):
            raise TypeError("value: expected bytes, not str: encode it, or use write_text")
        if memoryview(value).nbytes > _AT_ONCE:
            await asyncio.to_thread(_write, store.writer(key, mode=mode, **about), [value], DEFAULT_CALLBACK)
        else:
            await store.put_async(key, value, mode=mode, **about)

    async def _put_file(
        self, lpath: Any, rpath: str, callback: Any = DEFAULT_CALLBACK, mode: Any = "overwrite", **kwargs: Any
    ) -> None:
        if os.path.isdir(lpath):
            return
        store, key = self._object(rpath)
        about = about_object(key, kwargs)
        size = os.path.getsize(lpath)
        callback.set_size(size)
        with open(lpath, "rb") as file:
            before = _stamp(file)
            if size <= PIECE:
                data = b"".join(_pieces(file, before))
                await store.put_async(key, data, mode=mode, **about)
                callback.relative_update(size)
            else:
                writer = store.writer(key, mode=mode, size=size, **about)
                await asyncio.to_thread(_write, writer, _pieces(file, before), callback)

    async def _put(self, lpath: Any, rpath: Any, recursive: bool = False, **kwargs: Any) -> Any:
        # A list that is no list of names is what fsspec takes a path that is no `str` for.
        return await super()._put(stringify_path(lpath), stringify_path(rpath), recursive=recursive, **kwargs)

    async def _touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty object. `truncate=False`: only where there is none; an object cannot be given a new time."""
        is_new = not truncate or not await self._exists(path)
        try:
            await self._pipe_file(path, b"", mode="overwrite" if truncate else "create", **kwargs)
        except FileExistsError:
            raise NotImplementedError(
                "an object's time is that of its last write: storescope does not change it; "
                "touch(truncate=True) makes the object empty"
            ) from None
        if is_new:
            self._made_empty.append(self._strip_protocol(path))

    touch: Callable[..., None] = sync_wrapper(_touch)

    async def _cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        take_no_other(kwargs)
        (store, key), (target, name) = self._object(path1), self._object(path2)
        try:
            await store.copy_async(key, name, to=target)
        except FileNotFoundError:
            # A directory is there by what it holds: as in `mkdir`, there is nothing to do.
            if not await store.list_async(prefix_below(key), limit=1):
                raise


def _stamp(file: Any) -> tuple[int, int]:
    """What tells a file from itself after a change."""
    now = os.fstat(file.fileno())
    return now.st_size, now.st_mtime_ns


def _pieces(file: Any, before: tuple[int, int]) -> Iterator[bytes]:
    """The bytes of a file, which must be in the end what it was: an error leaves the object as it was."""
    yield from iter(lambda: file.read(PIECE), b"")
    if _stamp(file) != before:
        raise OSError(f"{file.name} changed while it was read: nothing was written")


def _write(writer: Any, pieces: Iterable[Any], callback: Any) -> None:
    with writer:
        for piece in pieces:
            callback.relative_update(writer.write(piece))
