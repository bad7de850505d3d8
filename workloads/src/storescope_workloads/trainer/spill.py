# SPDX-License-Identifier: Apache-2.0
"""Events on their way from the files that are read to the shards that are written: on a local disk.

A run is what one task wrote: blocks of events, sorted by the number of their shard, the columns of a block one after the other as they
are in memory. Beside it lies its index. A shard is read from its slice of each block, and nothing else is."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkloadError
from .events import Events, ends_of
from .features import EVENT_FEATURES, PARTICLE_FEATURES

#: The columns of a block: type, and values in a row. ``counts`` are those of particles.
_COLUMNS: dict[str, tuple[Any, int]] = {
    "event": (np.int64, 1),
    "label": (np.int8, 1),
    "hlf": (np.float32, len(EVENT_FEATURES)),
    "counts": (np.int32, 1),
    "particles": (np.float32, len(PARTICLE_FEATURES)),
}


@dataclass(frozen=True)
class _Block:
    """Where a block is.

    Attributes:
        shards: The numbers of the shards in it, rising.
        rows: The first event of each, and the end.
        particles: The first particle of each, and the end; ``None`` where there are none.
        starts: The first byte of each column.
    """

    shards: NDArray[np.int32]
    rows: NDArray[np.int64]
    particles: NDArray[np.int64] | None
    starts: dict[str, int]


class Run:
    """Writes a run; for a ``with``.

    Raises:
        WorkloadError: There is no space: names the folder.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open(path, "wb", buffering=0)
        self._blocks: list[_Block] = []
        self._end = 0

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is None:
            with open(_index(self._path), "wb", buffering=0) as file:
                self._write(file, pickle.dumps(self._blocks))

    def add(self, shards: NDArray[np.int32], events: Events) -> None:
        """Adds a block, sorted by ``shards``."""
        numbers, firsts = np.unique(shards, return_index=True)
        rows = np.append(firsts, len(shards)).astype(np.int64)
        starts = {name: self._column(getattr(events, name)) for name in ("event", "label", "hlf")}
        particles = None
        if events.offsets is not None and events.particles is not None:
            starts["counts"] = self._column(np.diff(events.offsets).astype(np.int32))
            starts["particles"] = self._column(events.particles)
            particles = events.offsets[rows]
        self._blocks.append(_Block(numbers, rows, particles, starts))

    def _column(self, values: NDArray[Any]) -> int:
        """Writes a column, and tells where."""
        start = self._end
        self._write(self._file, np.ascontiguousarray(values).reshape(-1).view(np.uint8))
        self._end += values.nbytes
        return start

    def _write(self, file: Any, data: Any) -> None:
        try:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise no_space(os.path.dirname(self._path)) from error
            raise WorkloadError(f"{self._path}: was not written: {error}") from error


def no_space(folder: str) -> WorkloadError:
    """What is told of a full disk."""
    return WorkloadError(
        f"{folder}: there is no space left for the events on their way to the shards; free some, or name another folder by --spill or "
        "TMPDIR"
    )


def parts_of(paths: Sequence[str], shard: int) -> Iterator[Events]:
    """The events of a shard in some runs, in their order."""
    for path in paths:
        with open(_index(path), "rb") as index:
            blocks: list[_Block] = pickle.load(index)
        with open(path, "rb", buffering=0) as file:
            for block in blocks:
                at = int(np.searchsorted(block.shards, shard))
                if at < len(block.shards) and block.shards[at] == shard:
                    yield _slice(file.fileno(), block, at)


def _index(path: str) -> str:
    return f"{path}.index"


def _slice(file: int, block: _Block, at: int) -> Events:
    """The events of one shard in a block."""
    rows = int(block.rows[at]), int(block.rows[at + 1])
    event, label, hlf = (_read(file, block, name, rows) for name in ("event", "label", "hlf"))
    hlf = hlf.reshape(-1, len(EVENT_FEATURES))
    if block.particles is None:
        return Events(event, label, hlf)
    particles = _read(file, block, "particles", (int(block.particles[at]), int(block.particles[at + 1])))
    offsets = ends_of(_read(file, block, "counts", rows))
    return Events(event, label, hlf, offsets, particles.reshape(-1, len(PARTICLE_FEATURES)))


def _read(file: int, block: _Block, name: str, rows: tuple[int, int]) -> NDArray[Any]:
    kind, width = _COLUMNS[name]
    values = np.empty((rows[1] - rows[0]) * width, kind)
    left, place = memoryview(values.view(np.uint8).data), block.starts[name] + rows[0] * width * values.itemsize
    while left:
        count = os.preadv(file, [left], place)
        if not count:
            raise WorkloadError("events on their way are missing: the spill folder was changed meanwhile; run it again")
        left, place = left[count:], place + count
    return values
