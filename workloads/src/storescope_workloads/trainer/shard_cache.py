# SPDX-License-Identifier: Apache-2.0
"""Copies of objects in a local folder: whole or not there, and used again for the same version alone."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import storescope

from ..errors import WorkloadError
from ..places import SourceFile, is_store
from ..scan.read import blamed
from ..settings import StoreSettings

#: The folder takes no more: the disk, a quota, or a limit of the process is reached.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Cache:
    """A folder of copies. Several processes may use one.

    A copy's name holds a digest of the object's URL, its size and its ETag: an object that is replaced has another. Copies are
    not removed: that is the user's.

    Args:
        folder: Is made where it is missing.

    Raises:
        WorkloadError: It cannot be made.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        with self._writing("the folder cannot be made"):
            self.folder.mkdir(parents=True, exist_ok=True)

    def copy_of(self, file: SourceFile, settings: StoreSettings) -> SourceFile:
        """The copy of an object; it is made where it is missing. A local file is its own copy.

        Raises:
            BadFile: The object is gone, or was replaced.
            WorkloadError: The store cannot be read, or the folder not be written: names both.
        """
        if not is_store(file.url):
            return file
        told = hashlib.sha256(f"{file.url}\n{file.size}\n{file.version}".encode()).hexdigest()[:20]
        path = self.folder / f"{told}-{file.url.rpartition('/')[2]}"
        if not _is_whole(path, file.size):
            self._make(path, file, settings)
        return SourceFile(str(path), file.size, str(path.stat().st_mtime_ns))

    def _make(self, path: Path, file: SourceFile, settings: StoreSettings) -> None:
        with self._part_of(path, file) as part:
            # Another process may have made it while this one waited.
            if _is_whole(path, file.size):
                return
            base, _, key = file.url.rpartition("/")
            with blamed(file.url):
                options: dict[str, Any] = {**settings.options()}
                data = storescope.open_store(f"{base}/", **options).get(key, if_match=file.version or None)
            with self._writing(f"{file.url} ({file.size:,} bytes) cannot be copied there"):
                os.ftruncate(part, 0)
                view = memoryview(data)
                while view:
                    view = view[os.write(part, view) :]
                os.replace(f"{path}.part", path)

    @contextmanager
    def _part_of(self, path: Path, file: SourceFile) -> Iterator[int]:
        """The file that a copy is written to, locked: of processes that want the same copy one makes it. What a killed process
        left is written anew."""
        name = f"{path}.part"
        while True:
            with self._writing(f"{file.url} cannot be copied there"):
                part = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(part, fcntl.LOCK_EX)
                # Before the lock was this process's, it may have got its last name, or be removed: there is another then.
                if _is_same(part, name):
                    yield part
                    return
            finally:
                with suppress(FileNotFoundError):
                    if _is_same(part, name):
                        os.unlink(name)
                os.close(part)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise WorkloadError(
                    f"{self.folder}: no space left: {what}; free some, name another folder for the cache, or train without one"
                ) from error
            raise WorkloadError(f"{self.folder}: {what}: {error.strerror}; name another folder for the cache") from error


def _is_whole(path: Path, size: int) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_size == size
    return False


def _is_same(file: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(name))
    except FileNotFoundError:
        return False
