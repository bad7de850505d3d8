# SPDX-License-Identifier: Apache-2.0
"""Local files that bytes of objects go to: whole, or as they were."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# By process: a child made by fork leaves its parent's alone.
_partials: set[tuple[int, str]] = set()


@contextlib.contextmanager
def arriving(path: Any) -> Iterator[Any]:
    """A file that takes the place of the one at `path` at the end, and is removed where that is an exception.

    A link is followed, and the mode of a file that was there is kept. What is no file (a pipe, a device, a descriptor
    such as `/dev/stdout`) is written as it is.
    """
    path = os.fsdecode(path)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    if there is not None and (not stat.S_ISREG(there.st_mode) or _is_descriptor(path)):
        with open(path, "wb") as file:
            yield file
        return
    if there is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    place = os.path.realpath(path)
    # The CLI's name for what is not whole yet, which its copies of trees leave out.
    partial = os.path.join(os.path.dirname(place), f".storescope-{secrets.token_hex(10)}.part")
    try:
        file = open(partial, "xb")
    except OSError as error:
        error.filename = path
        raise
    known = (os.getpid(), partial)
    _partials.add(known)
    try:
        with file:
            # Tells the CLI's `downloads` that it is under way. Not every file system has locks.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if there is not None:
                _become(file.fileno(), there)
            yield file
        os.replace(partial, place)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    finally:
        _partials.discard(known)


def remove_partials() -> None:
    """Remove what has not arrived: called when the interpreter ends."""
    for process, partial in list(_partials):
        if process == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(partial)


def _become(descriptor: int, there: os.stat_result) -> None:
    """Give a file the owner and the mode of another."""
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, there.st_uid, there.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))


def _is_descriptor(path: str) -> bool:
    """Whether a path leads over `/dev/stdout`, `/dev/fd` or `/proc/self/fd`: whoever holds the descriptor writes to that
    very file, and would not see another in its place.
    """
    while True:
        folder = os.path.realpath(os.path.dirname(path))
        if folder == "/dev" or folder.startswith("/proc/"):
            return True
        if not os.path.islink(path):
            return False
        path = os.path.join(folder, os.readlink(path))


@contextlib.contextmanager
def rolled_back(file: Any) -> Iterator[Any]:
    """A caller's file: where an exception is the end, what was appended is cut off again, if the file can do that."""
    start = None
    with contextlib.suppress(AttributeError, OSError, ValueError):
        start = file.tell()
        if file.seek(0, os.SEEK_END) != start:
            file.seek(start)
            start = None
    try:
        yield file
    except BaseException:
        if start is not None:
            with contextlib.suppress(AttributeError, OSError, ValueError):
                file.seek(start)
                file.truncate()
        raise


def write_all(file: Any, data: Any) -> None:
    """Write all of it, also to an unbuffered file, which takes what there is room for."""
    if not isinstance(file, io.RawIOBase):
        file.write(data)
        return
    left = memoryview(data)
    while left:
        taken = file.write(left)
        if taken is None:
            raise BlockingIOError(errno.EAGAIN, "the file takes no more without blocking")
        left = left[taken:]
