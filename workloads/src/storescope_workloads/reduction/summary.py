# SPDX-License-Identifier: Apache-2.0
"""What tasks send back: counts and histograms, which add up in any order. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Edges of the histograms of the pairs' mass, in GeV. ``linear``: 300 bins of 1 GeV. ``log``: 1,500 bins of equal width in
#: the logarithm from 0.25 to 300 GeV.
EDGES: dict[str, NDArray[np.float64]] = {
    "linear": np.linspace(0.0, 300.0, 301),
    "log": np.geomspace(0.25, 300.0, 1501),
}


@dataclass
class CutFlow:
    """Events that came in, and how many each cut removed, in the order of the cuts. So for muons: the cuts on muons look
    at all muons of all events."""

    events: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    muons: int = 0
    muons_removed: dict[str, int] = field(default_factory=dict)

    @property
    def passed(self) -> int:
        """Events that passed all cuts."""
        return self.events - sum(self.removed.values())

    @property
    def muons_passed(self) -> int:
        """Muons that passed all cuts on muons."""
        return self.muons - sum(self.muons_removed.values())

    def __add__(self, other: CutFlow) -> CutFlow:
        return CutFlow(
            self.events + other.events,
            _added(self.removed, other.removed),
            self.muons + other.muons,
            _added(self.muons_removed, other.muons_removed),
        )


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in dict.fromkeys([*one, *other])}


@dataclass
class Summary:
    """Counts and the masses' histograms of some events.

    Attributes:
        flow: Events in, and removed by each cut.
        mass_sums: Parts of the sum of the masses in GeV, a few. They add up to the exact sum of the pieces' sums, whatever the
            order in which pieces are added.
        histograms: Counts between :data:`EDGES`, and pairs below and above them, as ``{name: [counts…, below, above]}``.
    """

    flow: CutFlow = field(default_factory=CutFlow)
    mass_sums: list[float] = field(default_factory=list)
    histograms: dict[str, NDArray[np.int64]] = field(
        default_factory=lambda: {name: np.zeros(len(edges) + 1, np.int64) for name, edges in EDGES.items()}
    )

    @classmethod
    def of(cls, flow: CutFlow, masses: NDArray[np.float64]) -> Summary:
        """The summary of one piece: its cut flow and the masses of the pairs that passed."""
        made = cls(flow, [math.fsum(masses)])
        for name, edges in EDGES.items():
            counts, _ = np.histogram(masses, edges)
            outside = [np.count_nonzero(masses < edges[0]), np.count_nonzero(masses > edges[-1])]
            made.histograms[name] = np.concatenate([counts, outside]).astype(np.int64)
        return made

    @property
    def events(self) -> int:
        """Events that were read."""
        return self.flow.events

    @property
    def pairs(self) -> int:
        """Pairs that passed all cuts: one of each event."""
        return self.flow.passed

    #: The rows that come out are the pairs.
    rows = pairs

    def check(self) -> str | None:
        """What does not add up: a fault of the program."""
        counted = int(self.histograms["linear"].sum())
        return None if counted == self.pairs else f"{self.pairs} pairs, {counted} in the histogram"

    @property
    def mean_mass(self) -> float | None:
        """Mean mass of the pairs in GeV."""
        return math.fsum(self.mass_sums) / self.pairs if self.pairs else None

    def __add__(self, other: Summary) -> Summary:
        added = {name: self.histograms[name] + other.histograms[name] for name in EDGES}
        return Summary(self.flow + other.flow, _few([*self.mass_sums, *other.mass_sums]), added)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`from_json` reads it."""
        return {
            "events": self.flow.events,
            "removed": self.flow.removed,
            "muons": self.flow.muons,
            "muons_removed": self.flow.muons_removed,
            "mass_sums": [float(value).hex() for value in self.mass_sums],
            "histograms": {name: counts.tolist() for name, counts in self.histograms.items()},
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Summary:
        """What :meth:`to_json` wrote."""
        histograms = {name: np.array(counts, np.int64) for name, counts in told["histograms"].items()}
        sums = [float.fromhex(value) for value in told["mass_sums"]]
        flow = CutFlow(told["events"], dict(told["removed"]), told["muons"], dict(told["muons_removed"]))
        return cls(flow, sums, histograms)


def _few(parts: list[float]) -> list[float]:
    """The same sum, exactly, in as few parts as it takes (Shewchuk, 1997: none overlaps another)."""
    if len(parts) <= 8:
        return parts
    sums: list[float] = []
    for part in parts:
        kept = 0
        for other in sums:
            larger, smaller = (part, other) if abs(part) >= abs(other) else (other, part)
            part = larger + smaller
            lost = smaller - (part - larger)
            if lost:
                sums[kept] = lost
                kept += 1
        sums[kept:] = [part]
    return sums
