# SPDX-License-Identifier: Apache-2.0
"""What every part of a filesystem stands on: its options, its stores, its paths."""

from __future__ import annotations

import errno
import os
import warnings
from collections import deque
from typing import Any, ClassVar

from fsspec.asyn import get_loop  # type: ignore[import-untyped]
from fsspec.registry import _registry  # type: ignore[import-untyped]
from fsspec.utils import stringify_path  # type: ignore[import-untyped]

from ._fsspec_calls import mirror
from ._fsspec_names import directory_of
from ._fsspec_options import OF_FSSPEC, SECRETS, common_option
from ._fsspec_typed import AsyncFileSystem
from ._storescope import Store, _surroundings

_warned: set[str] = set()


class _Surroundings:
    """A class attribute: a number for the environment and the files of settings, as they are when it is asked for."""

    def __get__(self, instance: object, owner: type) -> int:
        return _surroundings()


class FileSystemBase(AsyncFileSystem):
    """Options, stores and paths."""

    scheme: ClassVar[str]
    protocol: ClassVar[tuple[str, ...]] = ()
    cachable = True
    # fsspec keeps instances by their options and these attributes. What is not among the options comes from the
    # environment: where that has changed, another instance is made.
    surroundings: ClassVar[Any] = _Surroundings()
    _extra_tokenize_attributes = ("surroundings",)
    sep = "/"
    root_marker = ""
    # fsspec would, with twins of its own.
    mirror_sync_methods = False

    def __init__(self, *, asynchronous: bool = False, loop: Any = None, batch_size: int | None = None, **options: Any):
        own = {name: options.pop(name) for name in OF_FSSPEC.intersection(options)}
        super().__init__(asynchronous=asynchronous, loop=loop, batch_size=batch_size, **own)
        # For pickle and the cache of instances: what was given.
        self.store_options: dict[str, Any] = self._translated(options)
        self._stores: dict[str, Store] = {}
        # The last objects that were made here without a byte.
        self._made_empty: deque[str] = deque(maxlen=1000)
        mirror(self)

    @staticmethod
    def _translate(name: str, value: Any) -> dict[str, Any] | None:
        """An option by our names; `None` where it means nothing here."""
        return common_option(name, value)

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
        ours = isinstance(registered, type) and issubclass(registered, FileSystemBase)
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
        return directory_of(path)

    @classmethod
    def _parent(cls, path: str) -> str:
        path = cls._strip_protocol(path)
        return directory_of(path[: path.removesuffix("/").rfind("/") + 1])

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

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """As fsspec has it; without `include_password`, without any option that holds a secret."""
        told = super().to_dict(include_password=include_password)
        if not include_password:
            for name, value in self.storage_options.items():
                if not SECRETS.isdisjoint(type(self)._translate(name, value) or ()):
                    told.pop(name, None)
        return told
