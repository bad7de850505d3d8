# SPDX-License-Identifier: Apache-2.0
"""What goes wrong: Python's own exceptions where one fits, all of them `StoreError`."""

from __future__ import annotations

import errno
import re
import sys
from typing import Any


class StoreError(OSError):
    """A call that failed: its message is one line and says what to do; what lies beneath is in its notes."""

    kind: str = "other"
    """What kind of failure it was, such as `"not_found"`, `"throttled"`, `"connect"`."""
    operation: str | None = None
    """The operation that failed, such as `"get"`."""
    object: str | None = None
    """The URL of the object or bucket."""
    status: int | None = None
    """The HTTP status of the last answer."""
    code: str | None = None
    """The store's own code, such as `"ObjectNotFound"`."""
    request_id: str | None = None
    """The store's name for the last request: what its support asks for."""
    client_request_id: str | None = None
    """Our name for the last attempt, found again in the server's log."""
    attempts: int = 0
    """How many requests were made."""
    elapsed: float = 0.0
    """Seconds that the call took."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__, self.errno)


class NotFoundError(StoreError, FileNotFoundError):
    """The object is not there."""


class BucketNotFoundError(StoreError):
    """The bucket is not there, or this user may not know that it is: OCI answers both alike.

    It is no `FileNotFoundError`: whether the object is there was not found out.
    """


class ExistsError(StoreError, FileExistsError):
    """What was to be created is there already."""


class RefusedError(StoreError, PermissionError):
    """The store does not know who asks, or does not allow it."""


class StoreTimeoutError(StoreError, TimeoutError):
    """The store did not answer in time."""


class InvalidError(StoreError, ValueError):
    """What was asked for cannot be."""


class ObjectChangedError(StoreError):
    """The object changed while it was read."""


class PreconditionError(StoreError):
    """A condition (`if_match`, `{"update": etag}`) did not hold: another writer was first."""


_CLASSES: dict[str, tuple[type[StoreError], int | None]] = {
    "NotFound": (NotFoundError, errno.ENOENT),
    "BucketNotFound": (BucketNotFoundError, errno.EIO),
    "AlreadyExists": (ExistsError, errno.EEXIST),
    "Unauthenticated": (RefusedError, errno.EACCES),
    "PermissionDenied": (RefusedError, errno.EACCES),
    "Timeout": (StoreTimeoutError, errno.ETIMEDOUT),
    "Changed": (ObjectChangedError, None),
    "Precondition": (PreconditionError, None),
    "InvalidInput": (InvalidError, errno.EINVAL),
    "InvalidRange": (InvalidError, errno.EINVAL),
    "Config": (InvalidError, errno.EINVAL),
    "Misuse": (InvalidError, errno.EINVAL),
}


def _make(kind: str, message: str, about: dict[str, Any], beneath: list[str]) -> StoreError:
    class_, number = _CLASSES.get(kind, (StoreError, errno.EIO))
    error = class_(message)
    error.errno = number
    error.kind = re.sub("(?<!^)(?=[A-Z])", "_", kind).lower()
    error.__dict__.update(about)
    for cause in beneath:
        error.add_note(f"beneath: {cause}")
    # Python sets this for what is raised by `raise` alone.
    error.__context__ = sys.exc_info()[1]
    return error


def _restore(class_: type[StoreError], args: tuple[Any, ...], about: dict[str, Any], number: int | None) -> StoreError:
    error = class_(*args)
    error.errno = number
    error.__dict__.update(about)
    return error
