# SPDX-License-Identifier: Apache-2.0
"""Objects of filesystems as a mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._fsspec_names import present
from ._fsspec_typed import FSMap

if TYPE_CHECKING:
    from collections.abc import Iterable


class StoreMap(FSMap):
    """Objects as a mapping, made by `fs.get_mapper`. Where fsspec's own takes each error for a missing key, this one raises
    what is not a missing object.
    """

    # By which users name it.
    __module__ = "storescope.fsspec"

    def clear(self) -> None:
        try:
            self.fs.rm(self.root, recursive=True)
        except FileNotFoundError:
            pass

    def getitems(self, keys: Iterable[str], on_error: str = "raise") -> dict[str, Any]:
        keys = list(keys)
        found = super().getitems(keys, on_error="return" if on_error == "omit" else on_error)
        return present(found, missing=KeyError) if on_error == "omit" else found

    def __delitem__(self, key: str) -> None:
        try:
            self.fs.rm_file(self._key_to_str(key))
        except FileNotFoundError as missing:
            raise KeyError(key) from missing

    def __reduce__(self) -> tuple[Any, ...]:
        return StoreMap, (self.root, self.fs, False, False, self.missing_exceptions)
