# SPDX-License-Identifier: Apache-2.0
"""Paths of filesystems, and what is told of an object or a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._storescope import ObjectMeta


def directory_of(prefix: str) -> str:
    """The path of the directory of all names with a prefix. That of an empty name keeps its slash: `a//`."""
    return prefix if prefix.endswith("//") else prefix.removesuffix("/")


def prefix_below(path: str) -> str:
    """What the names of all that is in a directory begin with, its path given or its key."""
    return path if not path or path.endswith("/") else f"{path}/"


def last_name(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def as_list(path: Any) -> Any:
    return [path] if isinstance(path, str | os.PathLike) else path


def directory_info(path: str) -> dict[str, Any]:
    return {"name": path, "size": 0, "type": "directory", "LastModified": None, "ETag": None}


def file_info(path: str, meta: ObjectMeta) -> dict[str, Any]:
    info = {"name": path, "size": meta.size, "type": "file", "LastModified": meta.last_modified, "ETag": meta.etag}
    if meta.content_type is not None:
        info["ContentType"] = meta.content_type
    if meta.metadata:
        info["metadata"] = meta.metadata
    return info


def omit_missing(error: Exception) -> None:
    """What a walk does with a folder that cannot be listed."""
    if not isinstance(error, FileNotFoundError):
        raise error


def within(size: int, start: int, end: int | None) -> tuple[int, int]:
    """A range as a slice of so many bytes."""
    start, end, _ = slice(start, end).indices(size)
    return start, end


def each_of(value: Any, count: int) -> list[Any]:
    return list(value) if hasattr(value, "__iter__") else [value] * count


def present(found: dict[str, Any], missing: type[Exception] = FileNotFoundError) -> dict[str, Any]:
    """What is there. An error that does not say that something is missing is raised."""
    for value in found.values():
        if isinstance(value, BaseException) and not isinstance(value, missing):
            raise value
    return {name: value for name, value in found.items() if not isinstance(value, BaseException)}
