# SPDX-License-Identifier: Apache-2.0
"""Moves and removals. Each object goes once, and what is asked is known before the first of them does."""

from __future__ import annotations

import errno
from collections import defaultdict
from glob import has_magic
from typing import TYPE_CHECKING, Any

from fsspec.asyn import _run_coros_in_chunks  # type: ignore[import-untyped]
from fsspec.utils import other_paths, stringify_path  # type: ignore[import-untyped]

from ._fsspec_calls import sync_wrapper
from ._fsspec_keywords import take_no_other
from ._fsspec_names import as_list, last_name, prefix_below
from ._fsspec_write import FileSystemWrites
from ._storescope import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import Callable

_A_FILE = {"type": "file"}


class FileSystemMoves(FileSystemWrites):
    """Moves and removes objects and directories."""

    async def _mv_file(self, path1: str, path2: str, **_: Any) -> None:
        await self._move(self._strip_protocol(path1), self._strip_protocol(path2))

    async def _move(self, path1: str, path2: str) -> None:
        # The slash at the end of a name that stands for a directory belongs to it.
        (bucket, _, key), (other, _, name) = path1.partition("/"), path2.partition("/")
        if not key or not name:
            raise IsADirectoryError(errno.EISDIR, "this is a bucket, and no object", path2 if key else path1)
        store, target = self.store(bucket), self.store(other)
        if store == target:
            await store.rename_async(key, name)
        else:
            await store.copy_async(key, name, to=target)
            await store.delete_async(key)

    mv_file: Callable[..., None] = sync_wrapper(_mv_file)

    async def _mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move objects, and directories with `recursive`. Names are paired as by `copy`; a directory that is empty but
        for its mark goes, too.
        """
        take_no_other(kwargs)
        moves = {source: target for source, target in await self._moves(path1, path2, recursive, maxdepth)}
        moves = {source: target for source, target in moves.items() if source != target}
        _check_moves(moves)
        batch_size = batch_size or self.batch_size
        coroutines = [self._move(source, target) for source, target in moves.items()]
        await _run_coros_in_chunks(coroutines, batch_size=batch_size, nofiles=True)

    mv: Callable[..., None] = sync_wrapper(_mv)

    async def _moves(
        self, path1: Any, path2: Any, recursive: bool, maxdepth: int | None
    ) -> list[tuple[str, str]]:
        """From which name to which each object goes."""
        path1, path2 = stringify_path(path1), stringify_path(path2)
        if isinstance(path1, str) and isinstance(path2, str):
            into = path2.endswith("/") or await self._isdir(path2)
            return await self._moves_of(path1, self._strip_protocol(path2), into, recursive, maxdepth)
        if isinstance(path2, str):
            # Many things go into a directory, each by its own name.
            pairs = [(one, f"{prefix_below(self._strip_protocol(path2))}{last_name(self._strip_protocol(one))}") for one in path1]
        else:
            pairs = list(zip(path1, path2, strict=True))
        moves = [
            await self._moves_of(stringify_path(source), self._strip_protocol(target), False, recursive, maxdepth)
            for source, target in pairs
        ]
        return [move for of_one in moves for move in of_one]

    async def _moves_of(
        self, path: str, target: str, into: bool, recursive: bool, maxdepth: int | None
    ) -> list[tuple[str, str]]:
        roots, by_pattern = await self._meant(path, recursive)
        names = {root: None for root in roots}
        for root, info in roots.items():
            if info["type"] == "directory" or recursive:
                names.update(dict.fromkeys(await self._all_below(root, maxdepth)))
        single = len(names) == 1
        # As fsspec pairs the names of a copy.
        exists = single if by_pattern else into and not path.endswith("/")
        moves = []
        for name, other in zip(names, other_paths(list(names), target, exists=exists), strict=True):
            if roots.get(name, _A_FILE)["type"] == "file":
                moves.append((name, other))
            elif other.startswith(prefix_below(name)):
                raise ValueError(f"{name} would be moved into itself, to {other}: nothing was moved")
        return moves

    async def _meant(self, path: str, recursive: bool) -> tuple[dict[str, dict[str, Any]], bool]:
        """What is to be moved or removed: names with what is known of them, and whether a pattern was meant. Where there
        is an object or directory of exactly this name, no pattern is.
        """
        name = self._strip_protocol(path)
        try:
            info = await self._info(name)
        except FileNotFoundError:
            if not has_magic(name):
                raise
            info = None
        if info is not None:
            if info["type"] == "directory" and not recursive:
                what = "directory" if "/" in name else "bucket"
                raise IsADirectoryError(errno.EISDIR, f"this is a {what}: recursive=True takes all of it", name)
            return {name: info}, False
        found: dict[str, dict[str, Any]] = await self._glob(path, detail=True)
        meant = {name: info for name, info in found.items() if recursive or info["type"] == "file"}
        if not meant:
            what = "only directories match" if found else "nothing matches"
            raise FileNotFoundError(errno.ENOENT, f"{what} this pattern", name)
        return meant, True

    async def _all_below(self, path: str, maxdepth: int | None = None) -> list[str]:
        """The names of all objects below a directory. Those that stand for directories are among them, with a slash."""
        store, key = self._at(path)
        bucket, below = self.split(path)[0], prefix_below(key)
        keys = [entry.key for entry in await store.list_async(below) if isinstance(entry, ObjectMeta)]
        return [
            f"{bucket}/{one}" for one in keys if maxdepth is None or one.removeprefix(below).count("/") < maxdepth
        ]

    async def _rm_file(self, path: str, **_: Any) -> None:
        store, key = self._object(path)
        try:
            await store.delete_async(key)
        except FileNotFoundError:
            if await store.list_async(prefix_below(key), limit=1):
                raise IsADirectoryError(errno.EISDIR, "this is a directory, and no object", path) from None
            raise

    async def _rm(
        self,
        path: Any,
        recursive: bool = False,
        batch_size: int | None = None,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Remove objects, and directories with `recursive`. A name that an object or directory has is no pattern;
        without `recursive` a pattern means objects alone. Nothing is removed where a path or a pattern means nothing;
        names in a list are not looked for first, and S3 does not tell which were not there.
        """
        take_no_other(kwargs)
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        # Each with whether it is an error that it is not there: what was found and is gone was removed by another.
        names: dict[str, bool] = {}
        for one in map(stringify_path, as_list(path)):
            if isinstance(path, list | tuple | set) and not recursive and not has_magic(one):
                names[self._strip_protocol(one)] = True
                continue
            roots, by_pattern = await self._meant(one, recursive)
            names.update({root: not by_pattern for root, info in roots.items() if info["type"] == "file"})
            if recursive:
                for root in roots:
                    names.update(dict.fromkeys(await self._all_below(root, maxdepth), False))
        keys: dict[str, list[str]] = defaultdict(list)
        for name in names:
            bucket, _, key = name.partition("/")
            if not key:
                raise IsADirectoryError(errno.EISDIR, "this is a bucket: rmdir removes an empty one", name)
            keys[bucket].append(key)
        for bucket, of_bucket in keys.items():
            for key, error in await self.store(bucket).delete_many_async(of_bucket):
                if error is not None and (names[f"{bucket}/{key}"] or not isinstance(error, FileNotFoundError)):
                    raise error


def _check_moves(moves: dict[str, str]) -> None:
    """Refuses moves that would lose an object, before the first is made."""
    targets: dict[str, str] = {}
    for source, target in moves.items():
        if other := targets.get(target):
            raise ValueError(f"{other} and {source} would both become {target}: nothing was moved")
        targets[target] = source
    for source, target in moves.items():
        if target in moves:
            raise ValueError(f"{source} would become {target}, which is to be moved itself: nothing was moved")
