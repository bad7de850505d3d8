# SPDX-License-Identifier: Apache-2.0
"""Which events a step reads. Pure: no I/O, and the same on every machine and with every numpy.

::

    shards of the split, shuffled      5 5 5 5 2 2 2 0 0 0 0 0 4 4 1 1 1 1 3 3      E events
    streams, cut at v * E // V         └── stream 0 ───┘└── stream 1 ──┘└── …
    a step                             the next batch // V events of each stream

A shard that two streams share is cut between two of its rows; each stream shuffles its own part. So a stream reads nothing of
the other's row groups. Which worker reads a stream changes nothing of it: 1, 2 and 4 workers have the same global batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

#: What a draw is for; draws of different kinds are independent.
_SHARDS, _ROWS = 0, 1


@dataclass(frozen=True)
class Part:
    """Rows of one shard that a stream reads one after another.

    Attributes:
        shard: The shard's number in its split.
        start: Its first row, as the file has them.
        stop: The row behind its last.
        place: How many events of the stream are before it.
    """

    shard: int
    start: int
    stop: int
    place: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Order:
    """The order of a split's events, in all epochs.

    Attributes:
        counts: Events of each shard.
        batch: Events of a step, over all streams. A multiple of ``streams``.
        streams: Into how many streams an epoch is cut.
        seed: Chooses the order, together with the epoch.
        shuffle: Whether it differs from that of the files.
    """

    counts: tuple[int, ...]
    batch: int
    streams: int
    seed: int = 1
    shuffle: bool = True

    @cached_property
    def events(self) -> int:
        """Events of an epoch."""
        return sum(self.counts)

    @property
    def share(self) -> int:
        """Events that a step takes of each stream, as long as there are any."""
        return self.batch // self.streams

    @cached_property
    def _lengths(self) -> list[int]:
        return [stop - start for start, stop in map(self.bounds, range(self.streams))]

    @cached_property
    def steps(self) -> int:
        """Steps of an epoch: those of its longest stream."""
        return -(-max(self._lengths) // self.share)

    def bounds(self, stream: int) -> tuple[int, int]:
        """Where a stream begins and ends in the sequence of all events."""
        return stream * self.events // self.streams, (stream + 1) * self.events // self.streams

    def taken(self, stream: int, step: int) -> int:
        """How many events a step takes of a stream."""
        return min(max(self._lengths[stream] - step * self.share, 0), self.share)

    def total(self, step: int) -> int:
        """How many events a step has, over all streams."""
        return sum(self.taken(stream, step) for stream in range(self.streams))

    def shards(self, epoch: int) -> list[int]:
        """The numbers of all shards, in the order of an epoch."""
        if not self.shuffle:
            return list(range(len(self.counts)))
        return [int(number) for number in _permutation(len(self.counts), self.seed, epoch, _SHARDS)]

    def parts(self, stream: int, epoch: int) -> list[Part]:
        """What a stream reads in an epoch, in its order. None is empty."""
        first, last = self.bounds(stream)
        parts = []
        shards = self.shards(epoch)
        ends = list(accumulate(self.counts[shard] for shard in shards))
        for shard, end in zip(shards, ends, strict=True):
            begin = end - self.counts[shard]
            start, stop = max(first, begin), min(last, end)
            if start < stop:
                parts.append(Part(shard, start - begin, stop - begin, start - first))
        return parts

    def rows(self, part: Part, epoch: int) -> NDArray[np.int64]:
        """The rows of a part in the order in which they are used, counted from its own first."""
        if not self.shuffle:
            return np.arange(len(part))
        return _permutation(len(part), self.seed, epoch, _ROWS, part.shard, part.start)


@dataclass(frozen=True)
class Slice:
    """Rows of a part that a step takes; ``is_last``: none of the part is left then."""

    part: Part
    rows: NDArray[np.int64]
    is_last: bool


class Feed:
    """What the steps of some streams take, one step after another.

    Attributes:
        parts: All that they will take, in the order in which it is needed.
    """

    def __init__(self, order: Order, epoch: int, start: int, streams: Sequence[int]) -> None:
        self._order, self._epoch = order, epoch
        #: How many events of each stream were taken, and its parts that are not used up, the last one first.
        self._taken = {stream: start * order.share for stream in streams}
        self._left: dict[int, list[Part]] = {}
        self._rows: dict[int, NDArray[np.int64]] = {}
        needed = []
        for stream in streams:
            parts = [part for part in order.parts(stream, epoch) if part.place + len(part) > start * order.share]
            needed += [(max(start, part.place // order.share), stream, part.place, part) for part in parts]
            self._left[stream] = parts[::-1]
        self.parts = [part for *_, part in sorted(needed, key=lambda told: told[:3])]

    def take(self, step: int) -> list[Slice]:
        """What a step takes, stream by stream."""
        slices = []
        for stream in self._left:
            wanted = self._order.taken(stream, step)
            while wanted:
                part = self._left[stream][-1]
                if stream not in self._rows:
                    self._rows[stream] = self._order.rows(part, self._epoch)
                first = self._taken[stream] - part.place
                rows = self._rows[stream][first : first + wanted]
                is_last = first + len(rows) == len(part)
                slices.append(Slice(part, rows, is_last))
                self._taken[stream] += len(rows)
                wanted -= len(rows)
                if is_last:
                    self._left[stream].pop()
                    del self._rows[stream]
        return slices


def _permutation(count: int, *key: int) -> NDArray[np.int64]:
    """0 … ``count`` - 1, shuffled by a key of numbers that are not negative.

    By a bit generator's raw draws: numpy keeps these from version to version, and ``Generator.permutation`` not. A run that
    goes on with another numpy would see events twice otherwise."""
    draws = np.random.PCG64(np.random.SeedSequence(key)).random_raw(count)
    return np.argsort(draws, kind="stable").astype(np.int64, copy=False)
