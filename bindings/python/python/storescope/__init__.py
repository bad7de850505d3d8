# SPDX-License-Identifier: Apache-2.0
"""Object storage, OCI and S3, at the speed of its network, with every request timed.

>>> import storescope
>>> store = storescope.open_store("oci://lake@my-namespace/run-1/")    # doctest: +SKIP
>>> store.get_range("events.root", 0, 403)                             # doctest: +SKIP
<storescope.Buffer of 403 bytes>

Errors are Python's own where one fits (`FileNotFoundError`, `PermissionError`, `TimeoutError`, `FileExistsError`,
`ValueError`), and all of them are `StoreError` (an `OSError`), which tells request id, attempts and what to do.
"""

import atexit as _atexit
import logging as _logging  # Its own handler of atexit is registered before ours, and so called after it.
import os as _os
from typing import TYPE_CHECKING, Any

# Which module stands on which: FLOORS in tests/test_typing.py.
from . import _local, _storescope
from ._errors import BucketNotFoundError, ObjectChangedError, PreconditionError, StoreError
from ._file import ObjectReader, ObjectWriter
from ._profile import Profile, profile
from ._storescope import (
    Buffer,
    Listing,
    Model,
    ObjectMeta,
    RangesRead,
    Reader,
    Scope,
    Snapshot,
    Store,
    Writer,
    __version__,
    create_bucket,
    delete_bucket,
    list_buckets,
    settings,
)

__all__ = [
    "BucketNotFoundError",
    "Buffer",
    "Listing",
    "Model",
    "ObjectChangedError",
    "ObjectMeta",
    "ObjectReader",
    "ObjectWriter",
    "PreconditionError",
    "Profile",
    "RangesRead",
    "Reader",
    "Scope",
    "Snapshot",
    "Store",
    "StoreError",
    "Writer",
    "__version__",
    "create_bucket",
    "delete_bucket",
    "list_buckets",
    "open_store",
    "profile",
    "register",
    "settings",
]

_os.register_at_fork(after_in_child=_storescope._after_fork)
# The last to be registered is called first.
_atexit.register(_local.remove_partials)
_atexit.register(_storescope._at_exit)


def open_store(url: str, *, scope: Scope | None = None, **options: Any) -> Store:
    """Open one bucket, or the part of it below a prefix: `oci://bucket@namespace/prefix`, `s3://bucket/prefix`.

    No I/O: what is wrong with the configuration is told by the first call.

    Parameters
    ----------
    url:
        Everything after the first `/` behind the authority is a literal prefix of keys.
    scope:
        What to record requests in where no profile is active.
    options:
        `endpoint`, `region`, `config_file`, `profile`, `auth` and all others that `settings()` lists (docs/CONFIG.md):
        text, numbers, paths or bools. Times are seconds, or text such as `"250ms"`; sizes bytes, or text such as
        `"8MiB"`. What is not given is taken from the environment, as it is when the store is opened; after a failure that
        settings may mend, as it is then.

        `credentials`: a callable without arguments that gives out what requests are signed with, in place of what the
        settings name. It returns a mapping, or an object with attributes: for S3 `access_key_id`, `secret_access_key`,
        `session_token`; for OCI `key` (PEM), `pass_phrase`, and `key_id`, or `token` (of a session), or `tenancy`, `user`
        and `fingerprint`, and `delegation_token`; for both `expires` (an aware datetime, seconds since 1970, or ISO 8601).
        What AWS's security token service answers is taken as it is. It is called on a thread of its own: before the first
        request, again ahead of the end, and once where the store refuses; one call at a time for all stores of a client
        that have the same callable. What it raises is the `__cause__` of the caller's exception. It pickles with the store.

    Raises
    ------
    TypeError
        There is no such option.
    ValueError
        A URL or an option does not parse.
    """
    return Store(url, scope=scope, **options)


def register(*protocols: str, clobber: bool = True) -> None:
    """Make fsspec open these protocols (`"oci"`, `"s3"`) by `storescope.fsspec.StoreFileSystem`, in this process and those
    that it starts by multiprocessing.

    See `storescope.fsspec.register`.
    """
    from .fsspec import register as register_with_fsspec

    register_with_fsspec(*protocols, clobber=clobber)
