# SPDX-License-Identifier: Apache-2.0
"""The requests that storescope makes for byte ranges that it is told at once: a model of its planner. Pure.

It follows ``src/read/plan.rs``: ranges that overlap are one, long ones are cut into parts, and holes are read through,
the smallest first, while each costs less than a request and all of them stay within a share of the bytes asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Range = tuple[int, int]

#: A hole of a request's own head costs nothing.
_FREE = 1 << 10
_LEAST_PART, _MOST_PART = 4 << 20, 16 << 20


@dataclass(frozen=True)
class Sizes:
    """What requests are planned by, in bytes.

    Attributes:
        gap: No larger hole is read through.
        waste_percent: Bytes of holes in percent of those asked for, at most.
        part: What a request of a long range has; none has more than half as much again.
    """

    gap: int
    waste_percent: int
    part: int

    @classmethod
    def by(cls, first_byte_s: float, bytes_per_s: float, read_gap: int, read_waste: int) -> Sizes:
        """As the reader chooses them for a store with this median first byte and this median rate of a stream, under
        the settings ``read_gap`` and ``read_waste`` (docs/CONFIG.md)."""
        per_request = first_byte_s * min(bytes_per_s, 1e12)
        part = min(max(int(per_request * 2.5), _LEAST_PART), _MOST_PART)
        return cls(min(read_gap, int(per_request)), read_waste, part)


def requests(ranges: Sequence[Range], sizes: Sizes) -> list[Range]:
    """The requests for these ranges, in order. They hold each byte once, and holes between the ranges."""
    pieces = [part for wanted in _disjoint(ranges) for part in _parts(wanted, sizes)]
    through = _holes(pieces, sizes)
    made: list[Range] = []
    for at, (start, stop) in enumerate(pieces):
        if made and through[at] and stop - made[-1][0] <= _most(sizes):
            made[-1] = made[-1][0], stop
        else:
            made.append((start, stop))
    return made


def _most(sizes: Sizes) -> int:
    return sizes.part + sizes.part // 2


def _disjoint(ranges: Sequence[Range]) -> list[Range]:
    """The ranges in order, each byte once: those that overlap are made one, those that only touch are not."""
    merged: list[Range] = []
    for start, stop in sorted(wanted for wanted in ranges if wanted[0] < wanted[1]):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], stop)
        else:
            merged.append((start, stop))
    return merged


def _parts(wanted: Range, sizes: Sizes) -> list[Range]:
    start, stop = wanted
    length = stop - start
    count = 1 if length <= _most(sizes) else -(-length // sizes.part)
    cuts = [start + length * number // count for number in range(count + 1)]
    return list(zip(cuts, cuts[1:], strict=False))


def _holes(pieces: Sequence[Range], sizes: Sizes) -> list[bool]:
    """For each piece, whether the hole before it is read through."""
    left = sum(stop - start for start, stop in pieces) * sizes.waste_percent // 100
    holes = sorted((pieces[at][0] - pieces[at - 1][1], at) for at in range(1, len(pieces)))
    through = [False] * len(pieces)
    for hole, at in holes:
        if hole > max(sizes.gap, _FREE):
            break
        if hole > _FREE:
            if hole > left:
                break
            left -= hole
        through[at] = True
    return through
