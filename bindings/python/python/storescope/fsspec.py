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
import os
import sys
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec  # type: ignore[import-untyped]
from fsspec.asyn import get_loop, sync_wrapper  # type: ignore[import-untyped]
from fsspec.callbacks import DEFAULT_CALLBACK  # type: ignore[import-untyped]
from fsspec.registry import _registry, register_implementation  # type: ignore[import-untyped]
from fsspec.utils import isfilelike  # type: ignore[import-untyped]

from ._errors import BucketNotFoundError, InvalidError
from ._file import ObjectReader, ObjectWriter
from ._inherited import INHERITED
from ._storescope import ObjectMeta, Store, _surroundings, create_bucket, delete_bucket, list_buckets, settings

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
    from types import ModuleType

    class AsyncFileSystem:
        """fsspec tells no types: what is not said here may be anything."""

        def __init__(self, **options: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        async def _cat(self, path: Any, **options: Any) -> Any: ...
        async def _find(self, path: str, **options: Any) -> Any: ...
        def _walk(self, path: str, **options: Any) -> Any: ...
        def walk(self, path: str, **options: Any) -> Any: ...
        def mv(self, path1: Any, path2: Any, **options: Any) -> None: ...

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

__all__ = ["OciFileSystem", "S3FileSystem", "StoreFile", "StoreFileSystem", "StoreMap", "StoreWriteFile", "register"]

# Larger files are read and written piece by piece.
_AT_ONCE = 64 << 20
_PIECE = 8 << 20

_SETTINGS = frozenset(row["name"] for row in settings())
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

    def _at(self, path: str) -> tuple[Store, str]:
        bucket, key = self.split(path)
        return self.store(bucket), key

    def _object(self, path: str) -> tuple[Store, str]:
        store, key = self._at(path)
        if not key:
            raise IsADirectoryError(f"{path} is a bucket")
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
            except BucketNotFoundError as missing:
                # Here the bucket is what was asked about.
                raise FileNotFoundError(errno.ENOENT, str(missing), path) from missing
            return _directory(path)
        try:
            return _file(path, await store.head_async(key))
        except FileNotFoundError as missing:
            if await store.list_async(key + "/", limit=1):
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
        on_error = _omit_missing if on_error == "omit" else on_error
        async for found in super()._walk(path, maxdepth=maxdepth, topdown=topdown, on_error=on_error, **kwargs):
            yield found

    def walk(
        self, path: str, maxdepth: int | None = None, topdown: bool = True, on_error: Any = "omit", **kwargs: Any
    ) -> Any:
        on_error = _omit_missing if on_error == "omit" else on_error
        return super().walk(path, maxdepth=maxdepth, topdown=topdown, on_error=on_error, **kwargs)

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        entries = await self._entries(path)
        return entries if detail else sorted(entry["name"] for entry in entries)

    async def _entries(self, path: str) -> list[dict[str, Any]]:
        if not path:
            names = await asyncio.to_thread(list_buckets, self._service_url(), **self.store_options)
            return [_directory(self._bucket_path(name)) for name in names]
        store, key = self._at(path)
        below = key and key + "/"
        bucket = self.split(path)[0]
        found = await store.list_async(below, delimiter=True)
        entries = []
        for entry in found:
            if isinstance(entry, str):
                entries.append(_directory(f"{bucket}/{entry[:-1]}"))
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
        below = key and key + "/"
        bucket = self.split(root)[0]
        found: dict[str, dict[str, Any]] = {}
        for entry in await store.list_async(below + prefix):
            assert isinstance(entry, ObjectMeta), "prefixes are told with a delimiter only"
            name = f"{bucket}/{entry.key}"
            if withdirs:
                parent = name.rpartition("/")[0]
                while len(parent) > len(root) and parent not in found:
                    found[parent] = _directory(parent)
                    parent = parent.rpartition("/")[0]
            if not name.endswith("/"):
                found[name] = _file(name, entry)
        if withdirs and found:
            found[root] = _directory(root)
        if not found and key and not prefix and await self._isfile(root):
            found[root] = await self._info(root)
        return dict(sorted(found.items())) if kwargs.get("detail") else sorted(found)

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

    def sign(self, path: str, expiration: int = 100, **_: Any) -> str:
        raise NotImplementedError("storescope makes no signed URLs")

    # Bytes out.

    async def _cat(
        self, path: Any, recursive: bool = False, on_error: str = "raise", batch_size: int | None = None, **kwargs: Any
    ) -> Any:
        # "omit" leaves out what is not there. What could not be looked for is raised.
        if on_error != "omit":
            return await super()._cat(path, recursive=recursive, on_error=on_error, batch_size=batch_size, **kwargs)
        found = await super()._cat(path, recursive=recursive, on_error="return", batch_size=batch_size, **kwargs)
        return _present(found) if isinstance(found, dict) else found

    def get_mapper(self, root: str = "", **kwargs: Any) -> StoreMap:
        return StoreMap(root, self, **kwargs)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
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

    async def _get_file(self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, **_: Any) -> None:
        if isfilelike(lpath):
            await self._receive(rpath, lpath, callback)
            return
        if os.path.isdir(lpath):
            return
        try:
            with open(lpath, "wb") as file:
                await self._receive(rpath, file, callback)
        except BaseException as error:
            os.unlink(lpath)
            if isinstance(error, FileNotFoundError) and await self._isdir(rpath):
                os.makedirs(lpath, exist_ok=True)
                return
            raise

    async def _receive(self, path: str, file: Any, callback: Any) -> None:
        store, key = self._object(path)
        with store.reader(key, policy="sequential") as reader:
            place = 0
            while True:
                part = await reader.read_at_async(place, place + _PIECE)
                if place == 0:
                    callback.set_size(reader.size)
                file.write(part)
                callback.relative_update(len(part))
                place += len(part)
                if place >= reader.size:
                    return

    # Bytes in.

    async def _pipe_file(self, path: str, value: Any, mode: Any = "overwrite", **kwargs: Any) -> None:
        store, key = self._object(path)
        about = _about(kwargs)
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
        size = os.path.getsize(lpath)
        callback.set_size(size)
        about = _about(kwargs)
        with open(lpath, "rb") as file:
            before = _stamp(file)
            if size <= _PIECE:
                data = b"".join(_pieces(file, before))
                await store.put_async(key, data, mode=mode, **about)
                callback.relative_update(size)
            else:
                writer = store.writer(key, mode=mode, size=size, **about)
                await asyncio.to_thread(_write, writer, _pieces(file, before), callback)

    async def _cp_file(self, path1: str, path2: str, **_: Any) -> None:
        (store, key), (target, name) = self._object(path1), self._object(path2)
        await store.copy_async(key, name, to=target)

    async def _mv_file(self, path1: str, path2: str, **_: Any) -> None:
        (store, key), (target, name) = self._object(path1), self._object(path2)
        if store == target:
            await store.rename_async(key, name)
        else:
            await store.copy_async(key, name, to=target)
            await store.delete_async(key)

    mv_file: Callable[..., None] = sync_wrapper(_mv_file)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        names = isinstance(path1, str) and isinstance(path2, str) and not path2.endswith("/")
        if names and not recursive and self.isfile(path1) and not self.isdir(path2):
            if self._strip_protocol(path1) != self._strip_protocol(path2):
                self.mv_file(path1, path2)
        else:
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)

    async def _rm_file(self, path: str, **_: Any) -> None:
        store, key = self._object(path)
        await store.delete_async(key)

    async def _rm(
        self,
        path: Any,
        recursive: bool = False,
        batch_size: int | None = None,
        maxdepth: int | None = None,
        **_: Any,
    ) -> None:
        paths = await self._expand_path(path, recursive=recursive, maxdepth=maxdepth)
        keys: dict[str, list[str]] = defaultdict(list)
        for found in paths:
            bucket, key = self.split(found)
            keys[bucket].append(key)
        for bucket, of_bucket in keys.items():
            store = self.store(bucket)
            if recursive:
                # Objects that stand for directories go with them.
                marks = [f"{key}/" for key in of_bucket if key]
                of_bucket = [key for key in of_bucket if key] + marks
            for key, error in await store.delete_many_async(of_bucket):
                if error is not None and not (recursive and isinstance(error, FileNotFoundError)):
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
        elif await self.store(bucket).list_async(key + "/", limit=1):
            raise OSError(f"{path} is not empty")
        else:
            raise FileNotFoundError(path)

    rmdir: Callable[..., None] = sync_wrapper(_rmdir)

    # Files.

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: Any = None,
        autocommit: bool = True,
        cache_options: Any = None,
        *,
        policy: str = "adaptive",
        size: int | None = None,
        etag: str | None = None,
        **kwargs: Any,
    ) -> StoreFile | StoreWriteFile:
        """`policy`, `size` and `etag` are those of `Store.reader`; with `size` known, opening costs no request."""
        store, key = self._object(path)
        path = self._strip_protocol(path)
        if mode == "rb":
            if size is None:
                head = store.head(key)
                size, etag = head.size, head.etag
            return StoreFile(self, path, store.reader(key, size=size, etag=etag, policy=policy))
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"mode: expected rb, wb, xb or ab, not {mode!r}")
        condition: Any = "create" if mode == "xb" else "overwrite"
        before = None
        if mode == "xb" and self.exists(path):
            raise FileExistsError(f"{path} exists")
        if mode == "ab" and self.exists(path):
            head = store.head(key)
            before = store.get(key, if_match=head.etag)
            condition = {"update": head.etag}
        file = StoreWriteFile(self, path, store.writer(key, mode=condition, **_about(kwargs)), autocommit)
        if before:
            file.write(before)
        return file


class OciFileSystem(StoreFileSystem):
    """OCI Object Storage: `bucket@namespace/key`. Without `@namespace`, that of the option `namespace`, else the
    tenancy's own.
    """

    protocol: ClassVar[tuple[str, ...]] = ("storescopeoci", "storescope+oci", "oci")
    scheme = "oci"

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


class StoreFile(ObjectReader):
    """An object of a filesystem as a file that is read."""

    def __init__(self, fs: StoreFileSystem, path: str, reader: Any) -> None:
        super().__init__(reader)
        self.fs = fs
        self.path = path
        self.full_name: str = fs.unstrip_protocol(path)

    @property
    def size(self) -> int:
        return self.reader.size

    def info(self) -> dict[str, Any]:
        """What the object is, as `fs.info` tells it."""
        return self.fs.info(self.path)

    def cat_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of many ranges at once, in their order."""
        store, key = self.fs._at(self.path)
        return [bytes(part) for part in store.get_ranges(key, list(ranges))]

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.fs, self.path, self.reader, self.tell())


class StoreWriteFile(ObjectWriter):
    """An object of a filesystem as a file that is written. Within a transaction it is there once that ends."""

    def __init__(self, fs: StoreFileSystem, path: str, writer: Any, autocommit: bool = True) -> None:
        super().__init__(writer)
        self.fs = fs
        self.path = path
        self.full_name: str = fs.unstrip_protocol(path)
        self.autocommit = autocommit

    def close(self) -> None:
        if self.autocommit or self.closed:
            super().close()
        else:
            # The writer stays open until the transaction ends.
            super(ObjectWriter, self).close()

    def commit(self) -> None:
        """Make the object of what was written."""
        self.writer.close()

    def discard(self) -> None:
        """Give up what was written."""
        self.writer.abort()


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


def _reopened(fs: StoreFileSystem, path: str, reader: Any, place: int) -> StoreFile:
    file = StoreFile(fs, path, reader)
    file.seek(place)
    return file


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


def _about(kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a write says of its object, by our names or those of s3fs."""
    names = {"content_type": "content_type", "ContentType": "content_type", "metadata": "metadata", "Metadata": "metadata"}
    return {names[name]: value for name, value in kwargs.items() if name in names}


def _stamp(file: Any) -> tuple[int, int]:
    """What tells a file from itself after a change."""
    now = os.fstat(file.fileno())
    return now.st_size, now.st_mtime_ns


def _pieces(file: Any, before: tuple[int, int]) -> Iterator[bytes]:
    """The bytes of a file, which must be in the end what it was: an error leaves the object as it was."""
    yield from iter(lambda: file.read(_PIECE), b"")
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
