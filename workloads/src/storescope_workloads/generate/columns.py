# SPDX-License-Identifier: Apache-2.0
"""Columns of events as flat arrays, cut and joined. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .branches import Branch

#: By the branch's name. Most hold one value for each event. Those of a collection hold the values of all events, one
#: after another; ``nMuon`` or its like says how many belong to each event.
Columns = dict[str, NDArray[Any]]


def length(columns: Columns, branches: Sequence[Branch]) -> int:
    """How many events they are."""
    return len(columns[next(branch.name for branch in branches if not branch.collection)])


def offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Where each event's values begin, and where the last ends: one more than there are events."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def cut(columns: Columns, branches: Sequence[Branch], start: int, stop: int) -> Columns:
    """The events ``start`` to ``stop``, as views."""
    if start == 0 and stop == length(columns, branches):
        return columns
    ends = {
        branch.counts: (int(columns[branch.name][:start].sum()), int(columns[branch.name][:stop].sum()))
        for branch in branches
        if branch.counts
    }
    return {
        branch.name: columns[branch.name][slice(*ends[branch.collection]) if branch.collection else slice(start, stop)]
        for branch in branches
    }


def join(parts: Sequence[Columns], branches: Sequence[Branch]) -> Columns:
    """One after another."""
    if len(parts) == 1:
        return parts[0]
    return {branch.name: np.concatenate([part[branch.name] for part in parts]) for branch in branches}


def span(make: Callable[[int], Columns], size: int, branches: Sequence[Branch], start: int, stop: int) -> Columns:
    """The events ``start`` to ``stop`` of a sample.

    Args:
        make: The events of a chunk, by its number.
        size: Events in a chunk.
    """
    parts = []
    for number in range(start // size, -(-stop // size)):
        first = number * size
        parts.append(cut(make(number), branches, max(start - first, 0), min(stop - first, size)))
    return join(parts, branches)


def clusters(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """The entry ranges of a file's clusters."""
    for first in range(start, stop, size):
        yield first, min(first + size, stop)
