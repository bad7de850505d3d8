# SPDX-License-Identifier: Apache-2.0
"""Objects opened as files."""

from __future__ import annotations

import errno
from typing import Any

from fsspec.caching import caches  # type: ignore[import-untyped]
from fsspec.compression import compr  # type: ignore[import-untyped]
from fsspec.core import get_compression  # type: ignore[import-untyped]

from ._file import CompressedWriter, TextWriter
from ._fsspec_files import StoreFile, StoreUpdateFile, StoreWriteFile, headers_of
from ._fsspec_keywords import about_object, take_no_other
from ._fsspec_move import FileSystemMoves
from ._fsspec_names import file_info, prefix_below
from ._storescope import ObjectMeta, Store


class FileSystemFiles(FileSystemMoves):
    """Opens files."""

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
            take_no_other(kwargs)
            details = None
            if size is None:
                details = file_info(path, _opened(store, key, path))
                size, etag = details["size"], details["ETag"]
            policy = policy or ("random" if cache_type else "adaptive")
            file = StoreFile(self, path, store.reader(key, size=size, etag=etag, policy=policy), block_size)
            file._details = details
            if cache_type:
                file.cache = caches[cache_type](file.blocksize, file._fetch_range, size, **(cache_options or {}))
            return file
        if mode in ("r+b", "rb+"):
            take_no_other(kwargs)
            if not autocommit:
                raise ValueError(f"{path}: a transaction has no files that are changed in place")
            return StoreUpdateFile(self, path, _opened(store, key, path), block_size)
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"mode: expected rb, r+b, wb, xb or ab, not {mode!r}")
        about = about_object(key, kwargs)
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
                about = {**headers_of(head), **about_object(None, kwargs)}
        written = StoreWriteFile(self, path, store.writer(key, mode=condition, **about), autocommit)
        written._is_of(mode, block_size, kwargs)
        if before:
            written.write(before)
        return written


def _opened(store: Store, key: str, path: str) -> ObjectMeta:
    """What an object is, that is to be opened."""
    try:
        return store.head(key)
    except FileNotFoundError:
        if next(store.list(prefix_below(key), limit=1), None) is None:
            raise
    raise IsADirectoryError(errno.EISDIR, "this is a directory, and no object", path)
