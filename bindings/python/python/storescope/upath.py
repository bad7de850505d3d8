# SPDX-License-Identifier: Apache-2.0
"""Objects as paths of universal_pathlib: `UPath("storescopeoci://bucket@namespace/key")`.

universal_pathlib finds this by an entry point of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upath import UPath

from . import fsspec  # noqa: F401  # registers the filesystems that paths stand on
from ._fsspec_names import omit_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from typing_extensions import Self

__all__ = ["StorePath"]


class StorePath(UPath):
    """An object or a folder of objects."""

    __slots__ = ()

    def walk(
        self, top_down: bool = True, on_error: Callable[[Exception], Any] | None = None, follow_symlinks: bool = False
    ) -> Iterator[tuple[Self, list[str], list[str]]]:
        # Without `on_error` only a folder that is not there is left out: what could not be looked for is raised.
        on_error = on_error or _omit_what_is_none
        return super().walk(top_down=top_down, on_error=on_error, follow_symlinks=follow_symlinks)


def _omit_what_is_none(error: Exception) -> None:
    if not isinstance(error, NotADirectoryError):
        omit_missing(error)
