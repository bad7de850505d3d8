# SPDX-License-Identifier: Apache-2.0
"""What calls of a filesystem take besides their paths."""

from __future__ import annotations

import mimetypes
from typing import Any

from ._fsspec_files import HEADERS
from ._fsspec_names import last_name

# Those of s3fs are the same in another spelling.
_OUR_NAMES = {**{name: name for name in HEADERS}, **{name.title().replace("_", ""): name for name in HEADERS}}

# Keywords of callers that say how, and not what: nothing is lost where they mean nothing here.
_HINTS = frozenset(("batch_size", "cache_options", "chunksize", "fill_cache", "max_concurrency", "on_error", "refresh"))


def take_no_other(kwargs: dict[str, Any]) -> None:
    """Refuses what would be ignored: bytes of another version, or a protection that is not asked for."""
    unknown = sorted(kwargs.keys() - _HINTS)
    if unknown:
        raise TypeError(f"storescope has no option {', '.join(unknown)} here")


def about_object(key: str | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a write says of its object; a content type that it does not say is guessed by the name of the key."""
    about = {_OUR_NAMES[name]: value for name, value in kwargs.items() if name in _OUR_NAMES}
    take_no_other({name: value for name, value in kwargs.items() if name not in _OUR_NAMES})
    if key and "content_type" not in about and (guessed := _guessed_type(key)):
        about["content_type"] = guessed
    return about


def _guessed_type(key: str) -> str | None:
    """A media type by a name. What is compressed has that of its compression: nobody decodes it on the way."""
    media, coding = mimetypes.guess_type(f"/{last_name(key)}")
    return media if coding is None else _OF_CODINGS.get(coding)


_OF_CODINGS = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
