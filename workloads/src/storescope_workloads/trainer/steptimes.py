# SPDX-License-Identifier: Apache-2.0
"""How long steps took: a histogram that adds up. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

#: Buckets differ by 2 %.
_GROWTH = math.log(1.02)
#: The quantiles that are told.
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class StepTimes:
    """Milliseconds of steps, in buckets of 2 %.

    Args:
        counts: Steps by bucket, as :attr:`counts` has them.
    """

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        #: Steps by the number of their bucket, as text: JSON.
        self.counts: dict[str, int] = dict(counts or {})

    def add(self, seconds: float, steps: int) -> None:
        """Adds steps that took so long together."""
        bucket = str(round(math.log(max(1e3 * seconds / steps, 1e-6)) / _GROWTH))
        self.counts[bucket] = self.counts.get(bucket, 0) + steps

    def __add__(self, other: StepTimes) -> StepTimes:
        names = {*self.counts, *other.counts}
        return StepTimes({name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names})

    def quantiles(self) -> dict[str, float | None]:
        """``p50``, ``p90`` and ``p99``, to 1 %; ``None`` without steps."""
        return {name: self._quantile(share) for name, share in _QUANTILES.items()}

    def _quantile(self, share: float) -> float | None:
        wanted = share * sum(self.counts.values())
        seen = 0
        for bucket, count in sorted((int(bucket), count) for bucket, count in self.counts.items()):
            seen += count
            if seen >= wanted:
                return round(math.exp(bucket * _GROWTH), 4)
        return None
