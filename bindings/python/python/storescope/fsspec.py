# SPDX-License-Identifier: Apache-2.0
"""Stores as fsspec filesystems: `storescopeoci://bucket@namespace/key`, `storescopes3://bucket/key`.

The two protocols are there once the package is installed, in every process, and every library takes them for URLs; the
same with a `+` (`storescope+oci://`, `storescope+s3://`) is not in all libraries' patterns. `register("oci", "s3")` takes
over the short names, too. It lasts for the process, and those that it starts by multiprocessing from then on: of
concurrent.futures, joblib, loky, dask's local workers. Workers that are started otherwise must call it themselves.

`oci` belongs to the package ocifs in fsspec's own table, and ocifs registers itself when it is imported: without more,
that import would fail once we have the name, or would take it back. `register` sees to both: whoever imports ocifs
afterwards gets it, and `oci://` stays with us.

Listings are not cached. Where a bucket is written by others, what `ls` says is what is there.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import importlib.abc
import importlib.machinery
import mimetypes
import os
import sys
import warnings
from collections import defaultdict, deque
from glob import has_magic
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec  # type: ignore[import-untyped]
from fsspec.asyn import _run_coros_in_chunks, get_loop, sync_wrapper  # type: ignore[import-untyped]
from fsspec.caching import caches  # type: ignore[import-untyped]
from fsspec.callbacks import DEFAULT_CALLBACK  # type: ignore[import-untyped]
from fsspec.compression import compr  # type: ignore[import-untyped]
from fsspec.core import get_compression  # type: ignore[import-untyped]
from fsspec.registry import _registry, register_implementation  # type: ignore[import-untyped]
from fsspec.utils import isfilelike, other_paths, stringify_path  # type: ignore[import-untyped]

from ._errors import BucketNotFoundError, InvalidError, NotFoundError
from ._file import CompressedWriter, TextWriter
from ._fsspec_files import HEADERS, PIECE, StoreFile, StoreUpdateFile, StoreWriteFile, headers_of
from ._inherited import INHERITED
from ._local import arriving, rolled_back, write_all
from ._storescope import ObjectMeta, Store, _surroundings, create_bucket, delete_bucket, list_buckets, settings

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType

    class AsyncFileSystem:
        """fsspec tells no types: what is not said here may be anything."""

        def __init__(self, **options: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        async def _find(self, path: str, **options: Any) -> Any: ...
        async def _glob(self, path: str, **options: Any) -> Any: ...
        async def _put(self, lpath: Any, rpath: Any, **options: Any) -> Any: ...
        async def _cat(self, path: Any, **options: Any) -> Any: ...
        async def _expand_path(self, path: Any, **options: Any) -> list[str]: ...
        async def _walk(self, path: str, **options: Any) -> Any:
            yield
        def open(self, path: str, mode: str, **options: Any) -> Any: ...
        def to_dict(self, *, include_password: bool = True) -> dict[str, Any]: ...

    class FSMap(MutableMapping[str, Any]):
        root: str
        fs: Any
        missing_exceptions: tuple[type[Exception], ...]

        def __init__(self, root: str, fs: Any, check: bool = False, create: bool = False, missing_exceptions: Any = None): ...
        def getitems(self, keys: Iterable[str], on_error: str = "raise") -> dict[str, Any]: ...
        def __getitem__(self, key: str) -> Any: ...
        def __setitem__(self, key: str, value: Any) -> None: ...
        def __delitem__(self, key: str) -> None: ...
        def __iter__(self) -> Iterator[str]: ...
        def __len__(self) -> int: ...
        def _key_to_str(self, key: str) -> str: ...

else:
    from fsspec.asyn import AsyncFileSystem
    from fsspec.mapping import FSMap

__all__ = [
    "OciFileSystem",
    "S3FileSystem",
    "StoreFile",
    "StoreFileSystem",
    "StoreMap",
    "StoreUpdateFile",
    "StoreWriteFile",
    "register",
]

# Larger values are written piece by piece.
_AT_ONCE = 64 << 20

_SETTINGS = frozenset(row["name"] for row in settings())
_SECRETS = frozenset(row["name"] for row in settings() if row["secret"])
_warned: set[str] = set()


class _Surroundings:
    """A class attribute: a number for the environment and the files of settings, as they are when it is asked for."""

    def __get__(self, instance: object, owner: type) -> int:
        return _surroundings()


class StoreFileSystem(AsyncFileSystem):
    """What both services have in common; use `OciFileSystem` or `S3FileSystem`.

    Parameters
    ----------
    options:
        The options of `storescope.open_store`, by their names. Those of ocifs or s3fs are taken where they mean
        something here; the others are ignored, and a warning says once which.
    timeout: float
        Seconds without a byte of an answer after which a request is given up (and tried again).
    """

    scheme: ClassVar[str]
    protocol: ClassVar[tuple[str, ...]] = ()
    cachable = True
    # fsspec keeps instances by their options and these attributes. What is not among the options comes from the
    # environment: where that has changed, another instance is made.
    surroundings: ClassVar[Any] = _Surroundings()
    _extra_tokenize_attributes = ("surroundings",)
    sep = "/"
    root_marker = ""

    def __init__(self, *, asynchronous: bool = False, loop: Any = None, batch_size: int | None = None, **options: Any):
        own = {name: options.pop(name) for name in _OF_FSSPEC.intersection(options)}
        super().__init__(asynchronous=asynchronous, loop=loop, batch_size=batch_size, **own)
        # For pickle and the cache of instances: what was given.
        self.store_options: dict[str, Any] = self._translated(options)
        self._stores: dict[str, Store] = {}
        # The last objects that were made here without a byte.
        self._made_empty: deque[str] = deque(maxlen=1000)

    @staticmethod
    def _translate(name: str, value: Any) -> dict[str, Any] | None:
        """An option by our names; `None` where it means nothing here."""
        return _common(name, value)

    def _translated(self, given: dict[str, Any]) -> dict[str, Any]:
        """The options by our names."""
        taken: dict[str, Any] = {}
        ignored = []
        for name, value in given.items():
            if value is None:
                continue
            meant = type(self)._translate(name, value)
            if meant is None:
                ignored.append(name)
            for our_name, our_value in (meant or {}).items():
                if our_name.startswith("?"):
                    ignored.append(our_name[1:])
                else:
                    taken.setdefault(our_name, our_value)
        new = [name for name in ignored if name not in _warned]
        if new:
            _warned.update(new)
            warnings.warn(
                f"{type(self).__name__} has no use for {', '.join(sorted(new))}; storescope.settings() lists its options",
                stacklevel=4,
            )
        return taken

    _pid: int
    _loop: Any

    @property
    def loop(self) -> Any:
        if self._pid != os.getpid():
            # A child made by fork has a loop of its own.
            self._pid = os.getpid()
            self._loop = None if self.asynchronous else get_loop()
        return self._loop

    @property
    def fsid(self) -> str:
        where = self.store_options.get("endpoint") or self.store_options.get("region") or "default"
        return f"{self.scheme}_{where}"

    def store(self, bucket: str) -> Store:
        """The `storescope.Store` of a bucket, named as in paths."""
        store = self._stores.get(bucket)
        if store is None:
            store = self._stores[bucket] = Store(self._bucket_url(bucket), **self.store_options)
        return store

    def unstrip_protocol(self, name: str) -> str:
        """A path as a URL: by the short name where it is ours (`register`), else by one that every library takes."""
        if name.startswith(tuple(f"{protocol}://" for protocol in self.protocol)):
            return name
        registered = _registry.get(self.scheme)
        ours = isinstance(registered, type) and issubclass(registered, StoreFileSystem)
        return f"{self.scheme if ours else self.protocol[0]}://{name}"

    def split(self, path: str) -> tuple[str, str]:
        """Bucket and key of a path."""
        bucket, _, key = self._strip_protocol(path).partition("/")
        if not bucket:
            raise ValueError(f"{path!r} names no bucket")
        return bucket, key

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """The path without its protocol, and without the slash at its end that says "directory". One that ends in two is
        the directory of an empty name, and keeps them.
        """
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        path = stringify_path(path)
        for protocol in cls.protocol:
            for mark in (f"{protocol}://", f"{protocol}::"):
                path = path.removeprefix(mark)
        return _directory_of(path)

    @classmethod
    def _parent(cls, path: str) -> str:
        path = cls._strip_protocol(path)
        return _directory_of(path[: path.removesuffix("/").rfind("/") + 1])

    def __contains__(self, path: str) -> bool:
        return bool(self.exists(path))

    def _at(self, path: str) -> tuple[Store, str]:
        bucket, key = self.split(path)
        return self.store(bucket), key

    def _object(self, path: str) -> tuple[Store, str]:
        store, key = self._at(path)
        if not key:
            raise IsADirectoryError(errno.EISDIR, "this is a bucket, and no object", path)
        return store, key

    def _bucket_url(self, bucket: str) -> str:
        return f"{self.scheme}://{bucket}/"

    def _service_url(self) -> str:
        return f"{self.scheme}://"

    # What is there.

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if not path:
            return _directory("")
        store, key = self._at(path)
        if not key:
            try:
                await store.list_async(limit=1)
            except BucketNotFoundError as error:
                # Here the bucket is what was asked about.
                raise FileNotFoundError(errno.ENOENT, str(error), path) from error
            return _directory(path)
        try:
            if not key.endswith("/"):
                return _file(path, await store.head_async(key))
            missing: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        except FileNotFoundError as error:
            missing = error
        if await store.list_async(_below(key), limit=1):
            return _directory(path)
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
        on_error = _omit_missing if on_error == "omit" else on_error
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
                place = inside.get(name, f"{_below(path)}{name}")
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
            return [_directory(self._bucket_path(name)) for name in names]
        store, key = self._at(path)
        below = _below(key)
        bucket = self.split(path)[0]
        found = await store.list_async(below, delimiter=True)
        entries = []
        for entry in found:
            if isinstance(entry, str):
                entries.append(_directory(_directory_of(f"{bucket}/{entry}")))
            elif entry.key != below:  # else it stands for the directory itself
                entries.append(_file(f"{bucket}/{entry.key}", entry))
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
        below = _below(key)
        bucket = self.split(root)[0]
        found: dict[str, dict[str, Any]] = {}
        for entry in await store.list_async(below + prefix):
            assert isinstance(entry, ObjectMeta), "prefixes are told with a delimiter only"
            name = f"{bucket}/{entry.key}"
            if withdirs:
                parent = self._parent(name) if not name.endswith("/") else _directory_of(name)
                while len(parent) > len(root) and parent not in found:
                    found[parent] = _directory(parent)
                    parent = self._parent(parent)
            if not name.endswith("/"):
                found[name] = _file(name, entry)
        if withdirs and found:
            found[root] = _directory(root)
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

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """As fsspec has it; without `include_password`, without any option that holds a secret."""
        told = super().to_dict(include_password=include_password)
        if not include_password:
            for name, value in self.storage_options.items():
                if not _SECRETS.isdisjoint(type(self)._translate(name, value) or ()):
                    told.pop(name, None)
        return told

    # What s3fs has besides.

    async def _metadata(self, path: str, refresh: bool = False, **kwargs: Any) -> dict[str, str]:
        """The user metadata of an object."""
        _take_no_other(kwargs)
        store, key = self._object(path)
        return (await store.head_async(key)).metadata

    metadata: Callable[..., dict[str, str]] = sync_wrapper(_metadata)

    async def _getxattr(self, path: str, attr_name: str, **kwargs: Any) -> str | None:
        """An item of the user metadata of an object; `None` where it has none of this name."""
        metadata = await self._metadata(path, **kwargs)
        name = attr_name.lower()
        return metadata.get(name, metadata.get(name.replace("_", "-")))

    getxattr: Callable[..., str | None] = sync_wrapper(_getxattr)

    def setxattr(self, path: str, copy_kwargs: Any = None, **attributes: Any) -> None:
        raise NotImplementedError(
            "storescope does not change the metadata of an object that is there: write it anew with metadata={...}, "
            "as fs.pipe_file(path, fs.cat_file(path), metadata={...}) does"
        )

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        raise NotImplementedError(f"storescope makes no signed URLs: {self._signs}")

    def url(self, path: str, expires: int = 3600, **kwargs: Any) -> str:
        return self.sign(path, expiration=expires, **kwargs)

    _signs: ClassVar[str]

    def _explain_no_buckets(self) -> None:
        """Says why a listing of buckets may be empty although there are some."""

    async def open_async(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        raise NotImplementedError(
            "storescope has no files of asyncio: await fs._cat_file(path, start, end), or a reader of "
            "storescope.open_store(...), whose read_at_async does the same with readahead"
        )

    # Bytes out.

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
            return _present(found) if isinstance(found, dict) else found
        if not recursive and maxdepth is None:
            given = stringify_path(path)
            return await super()._cat(given, on_error=on_error, batch_size=batch_size, **kwargs)
        # fsspec would read the directories, too.
        files: dict[str, None] = {}
        for one in await self._expand_path(_listed(path)):
            files.update(dict.fromkeys(await self._find(one, maxdepth=maxdepth)))
        if not files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return await super()._cat(list(files), on_error=on_error, batch_size=batch_size, **kwargs)

    def get_mapper(self, root: str = "", **kwargs: Any) -> StoreMap:
        return StoreMap(root, self, **kwargs)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        _take_no_other(kwargs)
        store, key = self._object(path)
        if start is None and end is None:
            return bytes(await store.get_async(key))
        start = start or 0
        if start < 0 and end is None:
            return bytes(await store.get_range_async(key, start))
        if start < 0 or (end is not None and end < 0):
            start, end = _within((await store.head_async(key)).size, start, end)
        if end is not None and start >= end:
            return b""
        try:
            return bytes(await store.get_range_async(key, start, end))
        except InvalidError as error:
            if error.kind != "invalid_range":
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
        starts, ends = _each(starts, len(paths)), _each(ends, len(paths))
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
                ranges = [_within(size, start or 0, end) for start, end in spans]
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

    # Bytes in.

    async def _pipe_file(self, path: str, value: Any, mode: Any = "overwrite", **kwargs: Any) -> None:
        store, key = self._object(path)
        about = _about(key, kwargs)
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
        about = _about(key, kwargs)
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
        _take_no_other(kwargs)
        (store, key), (target, name) = self._object(path1), self._object(path2)
        try:
            await store.copy_async(key, name, to=target)
        except FileNotFoundError:
            # A directory is there by what it holds: as in `mkdir`, there is nothing to do.
            if not await store.list_async(_below(key), limit=1):
                raise

    # Moves and removals. Each object goes once, and what is asked is known before the first of them does.

    async def _mv_file(self, path1: str, path2: str, **_: Any) -> None:
        await self._move(self._strip_protocol(path1), self._strip_protocol(path2))

    async def _move(self, path1: str, path2: str) -> None:
        # The slash at the end of a name that stands for a directory belongs to it.
        (bucket, _, key), (other, _, name) = path1.partition("/"), path2.partition("/")
        if not key or not name:
            raise IsADirectoryError(errno.EISDIR, "this is a bucket, and no object", path2 if key else path1)
        store, target = self.store(bucket), self.store(other)
        if store == target:
            await store.rename_async(key, name)
        else:
            await store.copy_async(key, name, to=target)
            await store.delete_async(key)

    mv_file: Callable[..., None] = sync_wrapper(_mv_file)

    async def _mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move objects, and directories with `recursive`. Names are paired as by `copy`; a directory that is empty but
        for its mark goes, too.
        """
        _take_no_other(kwargs)
        moves = {source: target for source, target in await self._moves(path1, path2, recursive, maxdepth)}
        moves = {source: target for source, target in moves.items() if source != target}
        _check_moves(moves)
        batch_size = batch_size or self.batch_size
        coroutines = [self._move(source, target) for source, target in moves.items()]
        await _run_coros_in_chunks(coroutines, batch_size=batch_size, nofiles=True)

    mv: Callable[..., None] = sync_wrapper(_mv)

    async def _moves(
        self, path1: Any, path2: Any, recursive: bool, maxdepth: int | None
    ) -> list[tuple[str, str]]:
        """From which name to which each object goes."""
        path1, path2 = stringify_path(path1), stringify_path(path2)
        if isinstance(path1, str) and isinstance(path2, str):
            into = path2.endswith("/") or await self._isdir(path2)
            return await self._moves_of(path1, self._strip_protocol(path2), into, recursive, maxdepth)
        if isinstance(path2, str):
            # Many things go into a directory, each by its own name.
            pairs = [(one, f"{_below(self._strip_protocol(path2))}{_name(self._strip_protocol(one))}") for one in path1]
        else:
            pairs = list(zip(path1, path2, strict=True))
        moves = [
            await self._moves_of(stringify_path(source), self._strip_protocol(target), False, recursive, maxdepth)
            for source, target in pairs
        ]
        return [move for of_one in moves for move in of_one]

    async def _moves_of(
        self, path: str, target: str, into: bool, recursive: bool, maxdepth: int | None
    ) -> list[tuple[str, str]]:
        roots, by_pattern = await self._meant(path, recursive)
        names = {root: None for root in roots}
        for root, info in roots.items():
            if info["type"] == "directory" or recursive:
                names.update(dict.fromkeys(await self._all_below(root, maxdepth)))
        single = len(names) == 1
        # As fsspec pairs the names of a copy.
        exists = single if by_pattern else into and not path.endswith("/")
        moves = []
        for name, other in zip(names, other_paths(list(names), target, exists=exists), strict=True):
            if roots.get(name, _A_FILE)["type"] == "file":
                moves.append((name, other))
            elif other.startswith(_below(name)):
                raise ValueError(f"{name} would be moved into itself, to {other}: nothing was moved")
        return moves

    async def _meant(self, path: str, recursive: bool) -> tuple[dict[str, dict[str, Any]], bool]:
        """What is to be moved or removed: names with what is known of them, and whether a pattern was meant. Where there
        is an object or directory of exactly this name, no pattern is.
        """
        name = self._strip_protocol(path)
        try:
            info = await self._info(name)
        except FileNotFoundError:
            if not has_magic(name):
                raise
            info = None
        if info is not None:
            if info["type"] == "directory" and not recursive:
                what = "directory" if "/" in name else "bucket"
                raise IsADirectoryError(errno.EISDIR, f"this is a {what}: recursive=True takes all of it", name)
            return {name: info}, False
        found: dict[str, dict[str, Any]] = await self._glob(path, detail=True)
        meant = {name: info for name, info in found.items() if recursive or info["type"] == "file"}
        if not meant:
            what = "only directories match" if found else "nothing matches"
            raise FileNotFoundError(errno.ENOENT, f"{what} this pattern", name)
        return meant, True

    async def _all_below(self, path: str, maxdepth: int | None = None) -> list[str]:
        """The names of all objects below a directory. Those that stand for directories are among them, with a slash."""
        store, key = self._at(path)
        bucket, below = self.split(path)[0], _below(key)
        keys = [entry.key for entry in await store.list_async(below) if isinstance(entry, ObjectMeta)]
        return [
            f"{bucket}/{one}" for one in keys if maxdepth is None or one.removeprefix(below).count("/") < maxdepth
        ]

    async def _rm_file(self, path: str, **_: Any) -> None:
        store, key = self._object(path)
        try:
            await store.delete_async(key)
        except FileNotFoundError:
            if await store.list_async(_below(key), limit=1):
                raise IsADirectoryError(errno.EISDIR, "this is a directory, and no object", path) from None
            raise

    async def _rm(
        self,
        path: Any,
        recursive: bool = False,
        batch_size: int | None = None,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Remove objects, and directories with `recursive`. A name that an object or directory has is no pattern;
        without `recursive` a pattern means objects alone. Nothing is removed where a path or a pattern means nothing;
        names in a list are not looked for first, and S3 does not tell which were not there.
        """
        _take_no_other(kwargs)
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        # Each with whether it is an error that it is not there: what was found and is gone was removed by another.
        names: dict[str, bool] = {}
        for one in map(stringify_path, _listed(path)):
            if isinstance(path, list | tuple | set) and not recursive and not has_magic(one):
                names[self._strip_protocol(one)] = True
                continue
            roots, by_pattern = await self._meant(one, recursive)
            names.update({root: not by_pattern for root, info in roots.items() if info["type"] == "file"})
            if recursive:
                for root in roots:
                    names.update(dict.fromkeys(await self._all_below(root, maxdepth), False))
        keys: dict[str, list[str]] = defaultdict(list)
        for name in names:
            bucket, _, key = name.partition("/")
            if not key:
                raise IsADirectoryError(errno.EISDIR, "this is a bucket: rmdir removes an empty one", name)
            keys[bucket].append(key)
        for bucket, of_bucket in keys.items():
            for key, error in await self.store(bucket).delete_many_async(of_bucket):
                if error is not None and (names[f"{bucket}/{key}"] or not isinstance(error, FileNotFoundError)):
                    raise error

    # Buckets.

    async def _mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        bucket, key = self.split(path)
        if not key:
            await asyncio.to_thread(create_bucket, self._bucket_url(bucket), **self.store_options)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        # `fsspec.open` asks for this before each write: who may write into a bucket need not be allowed to make one.
        if self.split(path)[1] or (exist_ok and await self._exists(path)):
            return
        try:
            await self._mkdir(path)
        except FileExistsError:
            if not exist_ok:
                raise

    async def _rmdir(self, path: str) -> None:
        bucket, key = self.split(path)
        if not key:
            await asyncio.to_thread(delete_bucket, self._bucket_url(bucket), **self.store_options)
        elif await self.store(bucket).list_async(_below(key), limit=1):
            raise OSError(f"{path} is not empty")
        else:
            raise FileNotFoundError(path)

    rmdir: Callable[..., None] = sync_wrapper(_rmdir)

    # Files.

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: Any = None,
        cache_options: Any = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """As fsspec has it. What compresses or encodes what is written closes the object beneath it, or aborts it where
        its `with` ends by an exception.
        """
        if "+" in mode and compression is not None:
            raise ValueError(f"{mode!r}: what is compressed is not changed in place")
        if mode in ("rb", "r", "rt") or ("b" in mode and compression is None):
            return super().open(
                path, mode, block_size=block_size, cache_options=cache_options, compression=compression, **kwargs
            )
        of_text = {name: kwargs.pop(name) for name in ("encoding", "errors", "newline") if name in kwargs}
        compression = get_compression(self._strip_protocol(path), compression)
        binary = mode.replace("t", "").replace("b", "") + "b"
        file = super().open(path, binary, block_size=block_size, cache_options=cache_options, **kwargs)
        try:
            if compression is not None:
                file = CompressedWriter(file, compr[compression](file, mode=binary[0]))
            return file if "b" in mode else TextWriter(file, **of_text)
        except BaseException:
            file.abort()
            raise

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: Any = None,
        autocommit: bool = True,
        cache_options: Any = None,
        *,
        cache_type: str | None = None,
        policy: str | None = None,
        size: int | None = None,
        etag: str | None = None,
        **kwargs: Any,
    ) -> StoreFile | StoreWriteFile | StoreUpdateFile:
        """`policy`, `size` and `etag` are those of `Store.reader`; with `size` known, opening costs no request. With a
        `cache_type` bytes are read by that cache of fsspec, else by the reader, which reads ahead by itself.
        """
        store, key = self._object(path)
        path = self._strip_protocol(path)
        block_size = None if block_size == "default" else block_size
        if mode == "rb":
            _take_no_other(kwargs)
            details = None
            if size is None:
                details = _file(path, _opened(store, key, path))
                size, etag = details["size"], details["ETag"]
            policy = policy or ("random" if cache_type else "adaptive")
            file = StoreFile(self, path, store.reader(key, size=size, etag=etag, policy=policy), block_size)
            file._details = details
            if cache_type:
                file.cache = caches[cache_type](file.blocksize, file._fetch_range, size, **(cache_options or {}))
            return file
        if mode in ("r+b", "rb+"):
            _take_no_other(kwargs)
            if not autocommit:
                raise ValueError(f"{path}: a transaction has no files that are changed in place")
            return StoreUpdateFile(self, path, _opened(store, key, path), block_size)
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"mode: expected rb, r+b, wb, xb or ab, not {mode!r}")
        about = _about(key, kwargs)
        condition: Any = "create" if mode == "xb" else "overwrite"
        before = None
        if mode == "xb" and self.exists(path):
            raise FileExistsError(f"{path} exists")
        if mode == "ab":
            # Another that appends meanwhile is noticed.
            condition = "create"
            if self.exists(path):
                head = store.head(key)
                before = store.get(key, if_match=head.etag)
                condition = {"update": head.etag}
                about = {**headers_of(head), **_about(None, kwargs)}
        written = StoreWriteFile(self, path, store.writer(key, mode=condition, **about), autocommit)
        written._is_of(mode, block_size, kwargs)
        if before:
            written.write(before)
        return written


class OciFileSystem(StoreFileSystem):
    """OCI Object Storage: `bucket@namespace/key`. Without `@namespace`, that of the option `namespace`, else the
    tenancy's own.
    """

    protocol: ClassVar[tuple[str, ...]] = ("storescopeoci", "storescope+oci", "oci")
    scheme = "oci"
    _signs = "a pre-authenticated request is what OCI has for that, as `oci os preauth-request create` makes it"

    def __init__(self, *args: Any, namespace: str | None = None, **options: Any) -> None:
        self.namespace = namespace
        super().__init__(*args, **options)

    def _bucket_url(self, bucket: str) -> str:
        if self.namespace and "@" not in bucket:
            bucket = f"{bucket}@{self.namespace}"
        return super()._bucket_url(bucket)

    def _service_url(self) -> str:
        return f"oci://@{self.namespace}" if self.namespace else "oci://"

    def _bucket_path(self, name: str) -> str:
        return f"{name}@{self.namespace}" if self.namespace else name

    def _explain_no_buckets(self) -> None:
        where = self.store_options.get("compartment", "the tenancy's root compartment")
        warnings.warn(
            f"no bucket in {where}: OCI lists those of one compartment at a time, which the option compartment names",
            stacklevel=2,
        )

    @staticmethod
    def _translate(name: str, value: Any) -> dict[str, Any] | None:
        if name == "config":
            if isinstance(value, dict):
                if not value:
                    return {}
                raise ValueError("config: expected the path of a configuration file; write the dict into one")
            return {"config_file": value}
        if name == "iam_type":
            return {"auth": {"oke_principal": "oke_workload_identity"}.get(value, value)}
        if name == "compartment_id":
            return {"compartment": value}
        if name == "config_kwargs":
            known = {"service_endpoint": "endpoint"}
            return _picked(name, value, known)
        if name == "anon":
            return {"auth": "none"} if value else {}
        return _common(name, value)


class S3FileSystem(StoreFileSystem):
    """S3, and what speaks it: `bucket/key`."""

    protocol: ClassVar[tuple[str, ...]] = ("storescopes3", "storescope+s3", "s3", "s3a")
    scheme = "s3"
    _signs = "boto3's `generate_presigned_url` does, with the same credentials"

    def _bucket_path(self, name: str) -> str:
        return name

    @staticmethod
    def _translate(name: str, value: Any) -> dict[str, Any] | None:
        if name == "anon":
            return {"auth": "none"} if value else {}
        if name == "profile":
            return {"aws_profile": value}
        if name == "config_kwargs":
            taken = _picked(
                name,
                {key: item for key, item in value.items() if key not in ("s3", "retries", "read_timeout")},
                {"max_pool_connections": "max_connections", "connect_timeout": "connect_timeout", "region_name": "region"},
            )
            if "read_timeout" in value:
                taken.update(_common("timeout", value["read_timeout"]) or {})
            style = value.get("s3", {}).get("addressing_style")
            if style in ("path", "virtual"):
                taken["s3_path_style"] = style == "path"
            retries = value.get("retries", {})
            if attempts := retries.get("total_max_attempts", retries.get("max_attempts")):
                taken["attempts"] = attempts
            return taken
        if name == "client_kwargs":
            known = {
                "region_name": "region",
                "endpoint_url": "endpoint",
                "aws_access_key_id": "access_key_id",
                "aws_secret_access_key": "secret_access_key",
                "aws_session_token": "session_token",
            }
            if isinstance(value.get("verify"), str):
                known["verify"] = "ca_bundle"
            return _picked(name, value, known)
        if name in _OF_S3FS:
            return {_OF_S3FS[name]: value}
        return _common(name, value)


# fsspec's own options of any filesystem.
_OF_FSSPEC = frozenset(
    ("use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache", "auto_mkdir", "block_size")
)

_OF_S3FS = {
    "key": "access_key_id",
    "username": "access_key_id",
    "secret": "secret_access_key",
    "password": "secret_access_key",
    "token": "session_token",
    "endpoint_url": "endpoint",
}


def _common(name: str, value: Any) -> dict[str, Any] | None:
    if name == "timeout":
        return {"first_byte_timeout": value, "stall_timeout": value}
    return {name: value} if name in _SETTINGS else None


def _picked(name: str, value: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """Options within an option; what is not known is named for the warning."""
    return {known.get(key, f"?{name}[{key}]"): item for key, item in value.items()}


class StoreMap(FSMap):
    """Objects as a mapping, made by `fs.get_mapper`. Where fsspec's own takes each error for a missing key, this one raises
    what is not a missing object.
    """

    def clear(self) -> None:
        try:
            self.fs.rm(self.root, recursive=True)
        except FileNotFoundError:
            pass

    def getitems(self, keys: Iterable[str], on_error: str = "raise") -> dict[str, Any]:
        keys = list(keys)
        found = super().getitems(keys, on_error="return" if on_error == "omit" else on_error)
        return _present(found, missing=KeyError) if on_error == "omit" else found

    def __delitem__(self, key: str) -> None:
        try:
            self.fs.rm_file(self._key_to_str(key))
        except FileNotFoundError as missing:
            raise KeyError(key) from missing

    def __reduce__(self) -> tuple[Any, ...]:
        return StoreMap, (self.root, self.fs, False, False, self.missing_exceptions)


def _present(found: dict[str, Any], missing: type[Exception] = FileNotFoundError) -> dict[str, Any]:
    """What is there. An error that does not say that something is missing is raised."""
    for value in found.values():
        if isinstance(value, BaseException) and not isinstance(value, missing):
            raise value
    return {name: value for name, value in found.items() if not isinstance(value, BaseException)}


def _directory_of(prefix: str) -> str:
    """The path of the directory of all names with a prefix. That of an empty name keeps its slash: `a//`."""
    return prefix if prefix.endswith("//") else prefix.removesuffix("/")


def _below(path: str) -> str:
    """What the names of all that is in a directory begin with, its path given or its key."""
    return path if not path or path.endswith("/") else f"{path}/"


def _name(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def _listed(path: Any) -> Any:
    return [path] if isinstance(path, str | os.PathLike) else path


def _check_moves(moves: dict[str, str]) -> None:
    """Refuses moves that would lose an object, before the first is made."""
    targets: dict[str, str] = {}
    for source, target in moves.items():
        if other := targets.get(target):
            raise ValueError(f"{other} and {source} would both become {target}: nothing was moved")
        targets[target] = source
    for source, target in moves.items():
        if target in moves:
            raise ValueError(f"{source} would become {target}, which is to be moved itself: nothing was moved")


def _opened(store: Store, key: str, path: str) -> ObjectMeta:
    """What an object is, that is to be opened."""
    try:
        return store.head(key)
    except FileNotFoundError:
        if next(store.list(_below(key), limit=1), None) is None:
            raise
    raise IsADirectoryError(errno.EISDIR, "this is a directory, and no object", path)


_A_FILE = {"type": "file"}


def _directory(path: str) -> dict[str, Any]:
    return {"name": path, "size": 0, "type": "directory", "LastModified": None, "ETag": None}


def _file(path: str, meta: ObjectMeta) -> dict[str, Any]:
    info = {"name": path, "size": meta.size, "type": "file", "LastModified": meta.last_modified, "ETag": meta.etag}
    if meta.content_type is not None:
        info["ContentType"] = meta.content_type
    if meta.metadata:
        info["metadata"] = meta.metadata
    return info


def _omit_missing(error: Exception) -> None:
    """What a walk does with a folder that cannot be listed."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _within(size: int, start: int, end: int | None) -> tuple[int, int]:
    """A range as a slice of so many bytes."""
    start, end, _ = slice(start, end).indices(size)
    return start, end


def _each(value: Any, count: int) -> list[Any]:
    return list(value) if hasattr(value, "__iter__") else [value] * count


# Those of s3fs are the same in another spelling.
_OUR_NAMES = {**{name: name for name in HEADERS}, **{name.title().replace("_", ""): name for name in HEADERS}}

# Keywords of callers that say how, and not what: nothing is lost where they mean nothing here.
_HINTS = frozenset(("batch_size", "cache_options", "chunksize", "fill_cache", "max_concurrency", "on_error", "refresh"))


def _take_no_other(kwargs: dict[str, Any]) -> None:
    """Refuses what would be ignored: bytes of another version, or a protection that is not asked for."""
    unknown = sorted(kwargs.keys() - _HINTS)
    if unknown:
        raise TypeError(f"storescope has no option {', '.join(unknown)} here")


def _about(key: str | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a write says of its object; a content type that it does not say is guessed by the name of the key."""
    about = {_OUR_NAMES[name]: value for name, value in kwargs.items() if name in _OUR_NAMES}
    _take_no_other({name: value for name, value in kwargs.items() if name not in _OUR_NAMES})
    if key and "content_type" not in about and (guessed := _guessed_type(key)):
        about["content_type"] = guessed
    return about


def _guessed_type(key: str) -> str | None:
    """A media type by a name. What is compressed has that of its compression: nobody decodes it on the way."""
    media, coding = mimetypes.guess_type(f"/{_name(key)}")
    return media if coding is None else _OF_CODINGS.get(coding)


_OF_CODINGS = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


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


def register(*protocols: str, clobber: bool = True) -> None:
    """Make fsspec open these protocols (`"oci"`, `"s3"`, `"s3a"`) by this package.

    With `clobber=False` it raises `ValueError` where another class has the name already.
    """
    for protocol in protocols:
        classes = {"oci": OciFileSystem, "s3": S3FileSystem, "s3a": S3FileSystem}
        if protocol not in classes:
            raise ValueError(f"there is no {protocol!r} to register: expected oci, s3 or s3a")
        register_implementation(protocol, classes[protocol], clobber=clobber)
        if protocol == "oci" and not any(isinstance(finder, _Ocifs) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Ocifs())
        INHERITED.carry(protocols={protocol})


# As the entry points of the package do, for a process that has it on its path only; and libraries ask what is registered.
for _class in (OciFileSystem, S3FileSystem):
    for _protocol in _class.protocol:
        if _protocol.startswith("storescope"):
            register_implementation(_protocol, _class, clobber=True)


class _Ocifs(importlib.abc.MetaPathFinder):
    """Lets ocifs be imported although `oci` is ours: its import registers the name, and fails where another has it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != "ocifs":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _AsideFor(spec.loader)
        return spec


class _AsideFor(importlib.abc.Loader):
    """Runs a module while `oci` is nobody's, and takes the name again."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        ours = _registry.pop("oci", None)
        try:
            self.loader.exec_module(module)
        finally:
            if ours is not None:
                fsspec.register_implementation("oci", ours, clobber=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
