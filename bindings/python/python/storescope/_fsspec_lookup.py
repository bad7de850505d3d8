# SPDX-License-Identifier: Apache-2.0
"""What is there: whether a path is a file or a directory, and what directories hold."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from typing import TYPE_CHECKING, Any

from ._errors import BucketNotFoundError
from ._fsspec_base import FileSystemBase
from ._fsspec_calls import sync_wrapper
from ._fsspec_keywords import take_no_other
from ._fsspec_names import directory_info, directory_of, file_info, omit_missing, prefix_below
from ._storescope import ObjectMeta, list_buckets

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable


class FileSystemLookup(FileSystemBase):
    """Looks up what is there."""

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if not path:
            return directory_info("")
        store, key = self._at(path)
        if not key:
            try:
                await store.list_async(limit=1)
            except BucketNotFoundError as error:
                # Here the bucket is what was asked about.
                raise FileNotFoundError(errno.ENOENT, str(error), path) from error
            return directory_info(path)
        try:
            if not key.endswith("/"):
                return file_info(path, await store.head_async(key))
            missing: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        except FileNotFoundError as error:
            missing = error
        if await store.list_async(prefix_below(key), limit=1):
            return directory_info(path)
        raise missing

    # fsspec takes any error for an absence in these. Here only "it is not there" is one: a refusal, a missing bucket or a
    # store that does not answer is raised.

    async def _isfile(self, path: str) -> bool:
        try:
            return bool((await self._info(path))["type"] == "file")
        except FileNotFoundError:
            return False

    async def _isdir(self, path: str) -> bool:
        try:
            return bool((await self._info(path))["type"] == "directory")
        except FileNotFoundError:
            return False

    async def _walk(
        self, path: str, maxdepth: int | None = None, topdown: bool = True, on_error: Any = "omit", **kwargs: Any
    ) -> Any:
        # fsspec's own drops what lies below an empty name: `a//b`.
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        path = self._strip_protocol(path)
        detail = kwargs.pop("detail", False)
        on_error = omit_missing if on_error == "omit" else on_error
        try:
            listing = await self._ls(path, detail=True, **kwargs)
        except OSError as error:
            if not callable(on_error):
                raise
            on_error(error)
            yield (path, {}, {}) if detail else (path, [], [])
            return
        found: dict[str, dict[str, Any]] = {"directory": {}, "file": {}}
        for info in listing:
            name = "" if info["name"] == path else info["name"].removesuffix("/").rpartition("/")[2]
            found[info["type"]][name] = info
        inside = {name: info["name"] for name, info in found["directory"].items()}
        dirs, files = found.values() if detail else map(list, found.values())
        if topdown:
            yield path, dirs, files
        if maxdepth is None or maxdepth > 1:
            deeper = None if maxdepth is None else maxdepth - 1
            # Who walks from the top may have taken names out of it, or put others into it.
            for name in list(dirs):
                place = inside.get(name, f"{prefix_below(path)}{name}")
                async for below in self._walk(
                    place, maxdepth=deeper, topdown=topdown, on_error=on_error, detail=detail, **kwargs
                ):
                    yield below
        if not topdown:
            yield path, dirs, files

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        entries = await self._entries(path)
        return entries if detail else sorted(entry["name"] for entry in entries)

    async def _entries(self, path: str) -> list[dict[str, Any]]:
        if not path:
            names = await asyncio.to_thread(list_buckets, self._service_url(), **self.store_options)
            if not names:
                self._explain_no_buckets()
            return [directory_info(self._bucket_path(name)) for name in names]
        store, key = self._at(path)
        below = prefix_below(key)
        bucket = self.split(path)[0]
        found = await store.list_async(below, delimiter=True)
        entries = []
        for entry in found:
            if isinstance(entry, str):
                entries.append(directory_info(directory_of(f"{bucket}/{entry}")))
            elif entry.key != below:  # else it stands for the directory itself
                entries.append(file_info(f"{bucket}/{entry.key}", entry))
        if not found and key:
            entries = [await self._info(path)]
        return entries

    async def _find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, prefix: str = "", **kwargs: Any
    ) -> Any:
        root = self._strip_protocol(path)
        if maxdepth is not None or not root:
            return await super()._find(path, maxdepth=maxdepth, withdirs=withdirs, **kwargs)
        store, key = self._at(root)
        below = prefix_below(key)
        bucket = self.split(root)[0]
        found: dict[str, dict[str, Any]] = {}
        for entry in await store.list_async(below + prefix):
            assert isinstance(entry, ObjectMeta), "prefixes are told with a delimiter only"
            name = f"{bucket}/{entry.key}"
            if withdirs:
                parent = self._parent(name) if not name.endswith("/") else directory_of(name)
                while len(parent) > len(root) and parent not in found:
                    found[parent] = directory_info(parent)
                    parent = self._parent(parent)
            if not name.endswith("/"):
                found[name] = file_info(name, entry)
        if withdirs and found:
            found[root] = directory_info(root)
        if not found and key and not prefix and await self._isfile(root):
            found[root] = await self._info(root)
        return dict(sorted(found.items())) if kwargs.get("detail") else sorted(found)

    async def _du(
        self, path: str, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any
    ) -> Any:
        found = await self._find(path, maxdepth=maxdepth, withdirs=withdirs, **{**kwargs, "detail": True})
        sizes = {name: info["size"] for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    def created(self, path: str) -> datetime.datetime | None:
        return self.info(path)["LastModified"]

    def modified(self, path: str) -> datetime.datetime | None:
        return self.info(path)["LastModified"]

    def checksum(self, path: str) -> int:
        return int(self.ukey(path), 16)

    def ukey(self, path: str) -> str:
        info = self.info(path)
        about = f"{self._strip_protocol(path)} {info.get('ETag')} {info['size']}"
        return hashlib.sha256(about.encode()).hexdigest()

    async def _metadata(self, path: str, refresh: bool = False, **kwargs: Any) -> dict[str, str]:
        """The user metadata of an object."""
        take_no_other(kwargs)
        store, key = self._object(path)
        return (await store.head_async(key)).metadata

    metadata: Callable[..., dict[str, str]] = sync_wrapper(_metadata)

    async def _getxattr(self, path: str, attr_name: str, **kwargs: Any) -> str | None:
        """An item of the user metadata of an object; `None` where it has none of this name."""
        metadata = await self._metadata(path, **kwargs)
        name = attr_name.lower()
        return metadata.get(name, metadata.get(name.replace("_", "-")))

    getxattr: Callable[..., str | None] = sync_wrapper(_getxattr)

    def _explain_no_buckets(self) -> None:
        """Says why a listing of buckets may be empty although there are some."""
