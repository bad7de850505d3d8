# SPDX-License-Identifier: Apache-2.0
"""The stores of the objects that URLs name, with the settings that stand beside them.

A part of :mod:`storescope.uproot`."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

import uproot.reading  # type: ignore[import-untyped]

from ._storescope import Store, _redacted, _surroundings
from .fsspec import OciFileSystem, S3FileSystem

if TYPE_CHECKING:
    from .fsspec import StoreFileSystem

logger = logging.getLogger("storescope.uproot")

#: The classes that read a scheme's objects.
CLASSES: dict[str, type[StoreFileSystem]] = {
    scheme: cls for cls in (OciFileSystem, S3FileSystem) for scheme in cls.protocol if scheme != "s3a"
}
#: Those that are ours alone, by which nobody else is meant.
LONG_SCHEMES = [scheme for scheme in CLASSES if scheme.startswith("storescope")]


def scheme_of(url: str) -> str:
    return url.partition("://")[0]


def split(url: str) -> tuple[str, str]:
    """The store's URL and the key."""
    scheme, _, rest = url.partition("://")
    authority, _, key = rest.partition("/")
    if scheme not in CLASSES or not key:
        raise ValueError(f"{_redacted(url)!r} names no object: oci://bucket@namespace/key or s3://bucket/key")
    return f"{CLASSES[scheme].scheme}://{authority}", key


def store_of(base: str, settings: tuple[tuple[str, Any], ...]) -> Store:
    """One store for the files of a bucket: they share its credentials and signatures. What is not among the settings comes
    from the environment: where that has changed, it is another store."""
    return _opened(base, settings, _surroundings())


@functools.lru_cache(maxsize=64)
def _opened(base: str, settings: tuple[tuple[str, Any], ...], surroundings: int) -> Store:
    return Store(base, **dict(settings))


def settings_of(path: str, options: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    """What is ours of uproot's options, and what is meant by those of ocifs and s3fs."""
    cls = CLASSES.get(scheme_of(path), OciFileSystem)
    settings: dict[str, Any] = {}
    strange = []
    for name, value in options.items():
        if name in uproot.reading.open.defaults or value is None:
            continue
        meant = cls._translate(name, value)
        if meant is None:
            strange.append(name)
        for our_name, our_value in (meant or {}).items():
            if our_name.startswith("?"):
                strange.append(our_name[1:])
            else:
                settings[our_name] = our_value
    if strange:
        logger.warning("neither storescope's nor uproot's, ignored: %s", ", ".join(sorted(strange)))
    if timeout is not None:
        settings = {"first_byte_timeout": timeout, "stall_timeout": timeout, **settings}
    return settings
