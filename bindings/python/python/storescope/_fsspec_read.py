# SPDX-License-Identifier: Apache-2.0
"""Bytes out of objects."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from fsspec.callbacks import DEFAULT_CALLBACK  # type: ignore[import-untyped]
from fsspec.utils import isfilelike, stringify_path  # type: ignore[import-untyped]

from ._errors import InvalidError, NotFoundError
from ._fsspec_files import PIECE
from ._fsspec_keywords import take_no_other
from ._fsspec_lookup import FileSystemLookup
from ._fsspec_map import StoreMap
from ._fsspec_names import as_list, each_of, present, within
from ._local import arriving, rolled_back, write_all

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class FileSystemReads(FileSystemLookup):
    """Reads whole objects and ranges of them."""

    async def _cat(
        self,
        path: Any,
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> Any:
        if on_error == "omit":
            # What is not there is left out. What could not be looked for is raised.
            found = await self._cat(path, recursive, "return", batch_size, maxdepth, **kwargs)
            return present(found) if isinstance(found, dict) else found
        if not recursive and maxdepth is None:
            given = stringify_path(path)
            return await super()._cat(given, on_error=on_error, batch_size=batch_size, **kwargs)
        # fsspec would read the directories, too.
        files: dict[str, None] = {}
        for one in await self._expand_path(as_list(path)):
            files.update(dict.fromkeys(await self._find(one, maxdepth=maxdepth)))
        if not files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return await super()._cat(list(files), on_error=on_error, batch_size=batch_size, **kwargs)

    def get_mapper(self, root: str = "", **kwargs: Any) -> StoreMap:
        return StoreMap(root, self, **kwargs)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        take_no_other(kwargs)
        store, key = self._object(path)
        if start is None and end is None:
            return bytes(await store.get_async(key))
        start = start or 0
        if start < 0 and end is None:
            return bytes(await store.get_range_async(key, start))
        if start < 0 or (end is not None and end < 0):
            start, end = within((await store.head_async(key)).size, start, end)
        if end is not None and start >= end:
            return b""
        try:
            return bytes(await store.get_range_async(key, start, end))
        except InvalidError as error:
            # Past the end there is nothing; but that the object ends there is asked for.
            if error.kind != "invalid_range" or (await store.head_async(key)).size > start:
                raise
            return b""

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        # How large a hole is read through is the reader's to say: `max_gap` and `batch_size` mean nothing here.
        if not isinstance(paths, list):
            raise TypeError(f"paths: expected a list, not {type(paths).__name__}")
        starts, ends = each_of(starts, len(paths)), each_of(ends, len(paths))
        if not len(paths) == len(starts) == len(ends):
            raise ValueError(f"{len(paths)} paths, {len(starts)} starts and {len(ends)} ends")
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, path in enumerate(paths):
            numbers[path].append(number)
        results: list[Any] = [None] * len(paths)

        async def read(path: str, numbers: list[int]) -> None:
            spans = [(starts[number], ends[number]) for number in numbers]
            for number, result in zip(numbers, await self._ranges_of(path, spans), strict=True):
                results[number] = result

        await asyncio.gather(*(read(path, of_path) for path, of_path in numbers.items()))
        if on_error != "return":
            for result in results:
                if isinstance(result, Exception):
                    raise result
        return results

    async def _ranges_of(self, path: str, spans: list[tuple[int | None, int | None]]) -> list[Any]:
        """Bytes or exception of each range of an object."""
        try:
            store, key = self._object(path)
            ranges = [(start or 0, end) for start, end in spans if end is not None and end >= 0 and (start or 0) >= 0]
            if len(ranges) < len(spans):
                size = (await store.head_async(key)).size
                ranges = [within(size, start or 0, end) for start, end in spans]
            ranges = [(start, max(start, end)) for start, end in ranges]
            parts = await store.get_each_range_async(key, ranges)
        except Exception as error:
            return [error] * len(spans)
        # As of any file: past the end there is nothing.
        return [
            (b"" if part.kind == "invalid_range" else part) if isinstance(part, Exception) else bytes(part)
            for part in parts
        ]

    async def _get_file(
        self, rpath: str, lpath: Any = None, callback: Any = DEFAULT_CALLBACK, outfile: Any = None, **_: Any
    ) -> None:
        lpath = lpath if outfile is None else outfile
        if isfilelike(lpath):
            await self._receive(rpath, rolled_back(lpath), callback)
        elif os.path.isdir(lpath):
            if not await self._isdir(rpath):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(lpath))
        else:
            try:
                await self._receive(rpath, arriving(lpath), callback)
            except NotFoundError:
                if not await self._isdir(rpath):
                    raise
                os.makedirs(lpath, exist_ok=True)

    async def _receive(self, path: str, place: AbstractContextManager[Any], callback: Any) -> None:
        """Put the bytes of an object into the file of `place`, which is not entered before the first have come."""
        store, key = self._object(path)
        with store.reader(key, policy="sequential") as reader:
            part = await reader.read_at_async(0, PIECE)
            callback.set_size(reader.size)
            with place as file:
                at = 0
                while True:
                    write_all(file, part)
                    callback.relative_update(len(part))
                    at += len(part)
                    if at >= reader.size:
                        return
                    part = await reader.read_at_async(at, at + PIECE)
