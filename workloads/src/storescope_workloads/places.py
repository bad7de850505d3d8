# SPDX-License-Identifier: Apache-2.0
"""Files and folders by URL: ``oci://``, ``s3://`` (by storescope's fsspec filesystem) and local paths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Any

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]
from fsspec.core import has_magic  # type: ignore[import-untyped]
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
from storescope.fsspec import OciFileSystem, S3FileSystem

from .errors import UsageError
from .settings import StoreSettings

_STORES = {"oci": OciFileSystem, "s3": S3FileSystem}


def scheme_of(url: str) -> str:
    """``oci``, ``s3`` or ``file``; another scheme is a :class:`UsageError`."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        return "file"
    if scheme not in (*_STORES, "file"):
        raise UsageError(f"{url}: the scheme {scheme}:// is not known; use oci://bucket@namespace/key, s3://bucket/key or a path")
    return scheme


def is_store(url: str) -> bool:
    """Whether it is an object, not a local file."""
    return scheme_of(url) in _STORES


def filesystem(url: str, settings: StoreSettings) -> tuple[AbstractFileSystem, str]:
    """The filesystem of a URL, and the path in it."""
    scheme = scheme_of(url)
    if scheme == "file":
        return LocalFileSystem(), os.path.abspath(url.removeprefix("file://"))
    return _STORES[scheme](**settings.options()), url.partition("://")[2]


def url_of(scheme: str, path: str) -> str:
    """The URL of a path in a filesystem: local ones stay paths."""
    return path if scheme == "file" else f"{scheme}://{path}"


@dataclass(frozen=True)
class SourceFile:
    """A file to read, as the listing told it: ``size`` in bytes, ``version`` the ETag, of a local file its time of change."""

    url: str
    size: int
    version: str


def _source(scheme: str, info: dict[str, Any]) -> SourceFile:
    version = str(os.stat(info["name"]).st_mtime_ns) if scheme == "file" else str(info.get("etag") or info.get("ETag") or "")
    return SourceFile(url_of(scheme, info["name"]), int(info["size"]), version)


def find(pattern: str, settings: StoreSettings) -> list[SourceFile]:
    """The files that a URL or a glob names, sorted by name. None at all is an error that names the pattern.

    A name that is there goes before a pattern that it would be."""
    scheme = scheme_of(pattern)
    fs, path = filesystem(pattern, settings)
    found = [] if has_magic(path) and not fs.exists(path) else _named(fs, pattern, path)
    if not found and has_magic(path):
        found = [info for _, info in sorted(fs.glob(path, detail=True).items()) if _is_file(info)]
    if not found:
        raise UsageError(f"{pattern}: no file matches")
    return [_source(scheme, info) for info in found]


def _is_file(info: dict[str, Any]) -> bool:
    """Whether a listing's entry can be read: links of a disk are what they point to."""
    return bool(info["type"] == "file" or (info.get("islink") and os.path.isfile(info["name"])))


def _named(fs: AbstractFileSystem, url: str, path: str) -> list[dict[str, Any]]:
    try:
        info = fs.info(path)
    except FileNotFoundError:
        return []
    if not _is_file(info):
        raise UsageError(f"{url}: is a folder; name its files by a pattern, such as {url.rstrip('/')}/*.root or *.parquet")
    return [info]


class Folder:
    """A folder for output. Files in it are whole or not there.

    Args:
        url: ``oci://bucket@namespace/prefix``, ``s3://bucket/prefix`` or a path. Nothing is made before a file is written.
        settings: How the store is opened.
    """

    def __init__(self, url: str, settings: StoreSettings) -> None:
        self.url = url.rstrip("/") or url
        self.settings = settings
        self._scheme = scheme_of(url)
        self._fs, path = filesystem(self.url, settings)
        self._path = path.rstrip("/")

    def __truediv__(self, name: str) -> Folder:
        return Folder(f"{self.url}/{name}", self.settings)

    def files(self) -> list[str]:
        """Names of all files below, relative to the folder, sorted; empty where there is no folder."""
        try:
            found = self._fs.find(self._path)
        except FileNotFoundError:
            return []
        names = sorted(str(name)[len(self._path) + 1 :] for name in found)
        if names == [""]:
            raise UsageError(f"{self.url}: is a file, not a folder")
        return names

    def sizes(self) -> dict[str, int]:
        """Bytes of each of :meth:`files`."""
        try:
            found = self._fs.find(self._path, detail=True)
        except FileNotFoundError:
            return {}
        return {str(name)[len(self._path) + 1 :]: int(info["size"]) for name, info in sorted(found.items())}

    def holds(self, url: str) -> bool:
        """Whether a file is below the folder, links of a disk followed. A bucket's other names are not known here."""
        if scheme_of(url) != self._scheme:
            return False
        if self._scheme == "file":
            folder, path = os.path.realpath(self._path), os.path.realpath(url.removeprefix("file://"))
        else:
            folder, path = self._path, url.partition("://")[2]
        return path == folder or path.startswith(f"{folder.rstrip('/')}/")

    def clear(self) -> None:
        """Removes all files below. The top of a bucket, or of a disk, is refused."""
        if self._path.strip("/").count("/") < 1:
            raise UsageError(f"{self.url}: is not cleared, since it is the top of a store or a disk; name a folder below it")
        if self.files():
            self._fs.rm(self._path, recursive=True)

    def remove(self, name: str) -> None:
        """Removes one file."""
        self._fs.rm_file(f"{self._path}/{name}")

    def exists(self, name: str) -> bool:
        """Whether the file is there. A store that cannot be asked is an error."""
        return bool(self._fs.exists(f"{self._path}/{name}"))

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        return bytes(self._fs.cat_file(f"{self._path}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Writes a file, replacing one of this name."""
        with self.open(name) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> None:
        """Writes a file that must not be there yet: of two that try, one fails.

        Raises:
            FileExistsError: It is there.
        """
        path = f"{self._path}/{name}"
        if self._scheme != "file":
            self._fs.pipe_file(path, data, mode="create")
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)

    def open(self, name: str, attempt: str = "") -> IO[bytes]:
        """A file to write, for a ``with``: it is there when the block ends, and only if it ends without an error.

        Args:
            attempt: Different for writers that may write one file at once, of which one replaces the other's.
        """
        path = f"{self._path}/{name}"
        if self._scheme != "file":
            return self._fs.open(path, "wb")  # type: ignore[no-any-return]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return _Replacing(path, attempt)  # type: ignore[return-value]

    def path(self, name: str) -> str:
        """The URL of a file in it; of a local one the path."""
        return url_of(self._scheme, f"{self._path}/{name}")


class _Replacing:
    """A local file that takes its name when it is whole."""

    def __init__(self, path: str, attempt: str) -> None:
        self._path, self._part = path, f"{path}{attempt}.part"
        self._file = open(self._part, "wb")

    def __enter__(self) -> IO[bytes]:
        return self._file

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._file.close()
            if kind is None:
                os.replace(self._part, self._path)
                return
        except BaseException:
            os.unlink(self._part)
            raise
        os.unlink(self._part)
