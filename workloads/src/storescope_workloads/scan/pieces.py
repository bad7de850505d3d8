# SPDX-License-Identifier: Apache-2.0
"""What is read by whom: files to batches, batches to tasks, tasks of pieces. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

#: What opening a file costs, as bytes that are read for it: its metadata, and the time to make sense of them (0.4 s of
#: CPU time for the 1,479 branches of a NanoAOD file, 10 ms for 37). Without it, any number of small files, or of those
#: whose baskets are in the tree itself, would be one task.
FILE_WEIGHT = 1 << 20


class Cluster(NamedTuple):
    """Entries ``start`` up to ``stop`` that are stored together, and the ``needed`` bytes of their baskets, pages or
    column chunks in the columns that are read."""

    start: int
    stop: int
    needed: int


class Clusters(Sequence[Cluster]):
    """A file's clusters, 16 bytes each: the driver holds those of all files of a job.

    Raises:
        ValueError: They are not without gaps from entry 0 on.
    """

    __slots__ = ("packed",)

    def __init__(self, clusters: Iterable[Cluster]) -> None:
        table = np.array(list(clusters), np.int64).reshape(-1, 3)
        if not np.array_equal(table[:, 0], np.concatenate([[0], table[:-1, 1]])[: len(table)]):
            raise ValueError("the clusters of a file must follow each other from entry 0 on")
        #: ``stop`` and ``needed`` of each.
        self.packed = np.ascontiguousarray(table[:, 1:]).tobytes()

    @property
    def _table(self) -> NDArray[np.int64]:
        return np.frombuffer(self.packed, np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.packed) // 16

    def __iter__(self) -> Iterator[Cluster]:
        start = 0
        for stop, needed in self._table.tolist():
            yield Cluster(start, stop, needed)
            start = stop

    @overload
    def __getitem__(self, at: int) -> Cluster: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Cluster]: ...
    def __getitem__(self, at: int | slice) -> Cluster | Sequence[Cluster]:
        if isinstance(at, slice):
            return list(self)[at]
        at = range(len(self))[at]
        table = self._table
        return Cluster(int(table[at - 1, 0]) if at else 0, int(table[at, 0]), int(table[at, 1]))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Clusters):
            return self.packed == other.packed
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Clusters({list(self)!r})"


@dataclass(frozen=True, slots=True)
class FileLayout:
    """What a file's metadata tells of it.

    Attributes:
        dataset: The name of the data set it belongs to.
        url: Where it is.
        size: In bytes.
        version: The ETag, or a local file's time of change: the file is read as it was when it was planned.
        format: ``ttree``, ``rntuple`` or ``parquet``.
        tree: The name of the tree in it; empty for parquet.
        clusters: In their order, without gaps; none where the tree is empty. Any sequence of them is held as
            :class:`Clusters`.
        opening: The byte ranges that opening the file asks for, so that who opens it again can have them fetched at once.
        types: Names and types of the columns that are read, in one text: files of equal texts are of equal types.
    """

    dataset: str
    url: str
    size: int
    version: str
    format: str
    tree: str
    clusters: Sequence[Cluster]
    opening: tuple[tuple[int, int], ...] = ()
    types: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.clusters, Clusters):
            object.__setattr__(self, "clusters", Clusters(self.clusters))

    @property
    def entries(self) -> int:
        """Events in the file."""
        return self.clusters[-1].stop if self.clusters else 0

    @property
    def needed(self) -> int:
        """Bytes of the columns that are read."""
        return int(np.frombuffer(self.packed, np.int64)[1::2].sum())

    @property
    def packed(self) -> bytes:
        """The clusters as :attr:`Clusters.packed` has them."""
        assert isinstance(self.clusters, Clusters)
        return self.clusters.packed


@dataclass(frozen=True, slots=True)
class Piece:
    """Entries ``start`` up to ``stop`` of one file, on borders of clusters. ``file`` is the file's number in the plan."""

    dataset: str
    file: int
    url: str
    size: int
    version: str
    format: str
    tree: str
    start: int
    stop: int
    needed: int
    opening: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Batch:
    """Whole files whose output is written, and recorded as complete, at once. ``files`` are (number in the plan, file)."""

    number: int
    files: tuple[tuple[int, FileLayout], ...]

    @property
    def needed(self) -> int:
        """Bytes of the columns that are read."""
        return sum(layout.needed for _, layout in self.files)

    @property
    def weight(self) -> int:
        """:attr:`needed`, and :data:`FILE_WEIGHT` for each file."""
        return self.needed + FILE_WEIGHT * len(self.files)


def batches(layouts: Sequence[FileLayout], target: int) -> list[Batch]:
    """Batches of about ``target`` bytes to read, with :data:`FILE_WEIGHT` for each file, in the files' order; a file is
    never divided."""
    made: list[Batch] = []
    held: list[tuple[int, FileLayout]] = []
    weight = 0
    for numbered in enumerate(layouts):
        held.append(numbered)
        weight += numbered[1].needed + FILE_WEIGHT
        if weight >= target:
            made.append(Batch(len(made), tuple(held)))
            held, weight = [], 0
    return [*made, Batch(len(made), tuple(held))] if held else made


def pieces(number: int, layout: FileLayout, target: int) -> list[Piece]:
    """A file's pieces of about ``target`` bytes to read. A cluster is never divided."""
    made = []
    start = needed = 0
    for index, cluster in enumerate(layout.clusters):
        needed += cluster.needed
        if needed >= target or index + 1 == len(layout.clusters):
            made.append(_piece(number, layout, start, cluster.stop, needed))
            start, needed = cluster.stop, 0
    return made


def _piece(number: int, layout: FileLayout, start: int, stop: int, needed: int) -> Piece:
    return Piece(
        layout.dataset,
        number,
        layout.url,
        layout.size,
        layout.version,
        layout.format,
        layout.tree,
        start,
        stop,
        needed,
        layout.opening,
    )


def tasks(batch: Batch, piece_target: int, slots: int, rounds: int = 3) -> list[list[Piece]]:
    """The batch's pieces as tasks: each of one data set, its pieces in the order of files and entries. In a task's
    weight each file that it opens has :data:`FILE_WEIGHT`.

    Args:
        piece_target: Bytes to read that a piece has about.
        slots: Tasks that run at once.
        rounds: Tasks per slot where there are pieces enough, so that a slow one does not hold up the others.
    """
    share = max(1, batch.weight) / max(1, slots * rounds)
    made: list[list[Piece]] = []
    for _, files in groupby(batch.files, key=lambda numbered: numbered[1].dataset):
        held: list[Piece] = []
        weight = 0
        for number, layout in files:
            for piece in pieces(number, layout, min(piece_target, max(1, int(share)))):
                weight += piece.needed + (0 if held and held[-1].file == number else FILE_WEIGHT)
                held.append(piece)
                if weight >= share:
                    made.append(held)
                    held, weight = [], 0
        if held:
            made.append(held)
    return made


def fingerprint(layouts: Iterable[FileLayout], settled: dict[str, Any]) -> str:
    """A digest of a plan: equal where the same files in the same versions are reduced by the same cuts.

    It holds one file at a time: a job may have a million."""
    digest = hashlib.sha256(json.dumps(settled, sort_keys=True).encode())
    for layout in layouts:
        named = (layout.dataset, layout.url, layout.size, layout.version, layout.format, layout.tree, len(layout.clusters))
        # Ends with a line feed, which JSON does not hold, and tells how many bytes follow.
        digest.update(b"\n" + json.dumps(named).encode() + b"\n")
        digest.update(layout.packed)
    return digest.hexdigest()
