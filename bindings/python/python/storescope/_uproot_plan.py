# SPDX-License-Identifier: Apache-2.0
"""What a loop of uproot will read: how far ahead it is fetched, and what is kept because it is read again.

A part of :mod:`storescope.uproot`."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ._uproot_clusters import Range

#: What one loop may have on its way, in bytes.
AHEAD = 64 << 20
#: What is kept of a file because it will be read again, in bytes.
KEPT = 16 << 20


class Plan:
    """Ranges in the order in which they will be read, hinted at some way ahead of the reading."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._place: dict[Range, int] = {}
        for wanted in ranges:
            self._place.setdefault(wanted, len(self._place))
        self._ranges = list(self._place)
        #: The bytes before each range, and of all.
        self._before = [0, *itertools.accumulate(stop - start for start, stop in self._ranges)]
        self._read = 0
        self._hinted = 0

    def expects(self, wanted: Range) -> bool:
        return self._place.get(wanted, -1) >= self._read

    def has_hinted(self, wanted: Range) -> bool:
        return self._read <= self._place.get(wanted, -1) < self._hinted

    def read(self, ranges: Iterable[Range]) -> bool:
        """Notes what was read; whether any of it is of this plan."""
        places = [self._place[r] + 1 for r in ranges if r in self._place]
        self._read = max([self._read, *places])
        return bool(places)

    def due(self) -> list[Range]:
        """What to hint at now: nothing before half of what is ahead was read, so that near ranges share requests.

        What was hinted at before is named again: bytes that are there or on their way cost nothing, and those that
        had to make room come again."""
        read = self._before[self._read]
        if self._before[self._hinted] - read > AHEAD // 2 or self._hinted == len(self._ranges):
            return []
        self._hinted = max(self._read, bisect_right(self._before, read + AHEAD) - 1)
        return self._ranges[self._read : self._hinted]

    def is_done(self) -> bool:
        return self._read == len(self._ranges)


class Repeats:
    """Ranges that may be read more than once, such as a page that many columns share: they are kept from the first
    time to the last, the latest :data:`KEPT` bytes of them."""

    def __init__(self) -> None:
        self._left: Counter[Range] = Counter()
        self._data: dict[Range, Any] = {}
        self._bytes = 0

    def expect(self, ranges: Iterable[Range]) -> None:
        times = Counter(ranges)
        self._left.update({wanted: count - 1 for wanted, count in times.items() if count > 1})

    def has(self, wanted: Range) -> bool:
        return wanted in self._data

    def take(self, wanted: Range) -> Any:
        data = self._data.get(wanted)
        if data is not None:
            self._left[wanted] -= 1
            if self._left[wanted] == 0:
                del self._left[wanted], self._data[wanted]
                self._bytes -= len(data)
        return data

    def keep(self, wanted: Range, data: Any) -> None:
        if wanted not in self._left or wanted in self._data:
            return
        self._data[wanted] = data
        self._bytes += len(data)
        while self._bytes > KEPT:
            oldest = next(iter(self._data))
            self._bytes -= len(self._data.pop(oldest))
