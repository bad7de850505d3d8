# SPDX-License-Identifier: Apache-2.0
"""What a spectrum of pair masses shows: its peak, the median of the Z, which resonances stand out. Counts only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .summary import EDGES

#: The counts of a histogram between :data:`EDGES`; what is below and above them may follow, and is not looked at.
Counts = NDArray[np.int64]

#: In GeV.
MUON_MASS = 0.1056584


@dataclass(frozen=True)
class Resonance:
    """A peak to look for: masses in GeV.

    Attributes:
        name: As it is printed.
        mass: The published mass.
        window: Where its pairs are.
        sides: Where there are pairs of the background alone, beside it.
    """

    name: str
    mass: float
    window: tuple[float, float]
    sides: tuple[tuple[float, float], tuple[float, float]]

    @property
    def place(self) -> float:
        """Where its pairs are: their mass is calculated as if muons had none, which matters for the light ones."""
        return float(np.sqrt(self.mass**2 - 4 * MUON_MASS**2))


#: The masses are those of the Particle Data Group. The windows are about three times the resolution of a muon
#: spectrometer (1 to 2 % of the mass); those of the Υ family touch, so that its background is taken below the first and
#: above the third.
RESONANCES = (
    Resonance("ω", 0.7827, (0.725, 0.785), ((0.62, 0.69), (0.82, 0.90))),
    Resonance("φ", 1.0195, (0.965, 1.03), ((0.85, 0.93), (1.06, 1.17))),
    Resonance("J/ψ", 3.0969, (2.95, 3.25), ((2.5, 2.8), (3.25, 3.5))),
    Resonance("ψ(2S)", 3.6861, (3.55, 3.82), ((3.3, 3.5), (3.9, 4.2))),
    Resonance("Υ(1S)", 9.4603, (9.20, 9.72), ((8.5, 9.1), (10.8, 11.6))),
    Resonance("Υ(2S)", 10.0233, (9.86, 10.19), ((8.5, 9.1), (10.8, 11.6))),
    Resonance("Υ(3S)", 10.3552, (10.19, 10.55), ((8.5, 9.1), (10.8, 11.6))),
    Resonance("Z", 91.1876, (86.0, 96.0), ((70.0, 80.0), (102.0, 112.0))),
)

#: A resonance is found where its pairs exceed the background by so many standard deviations, and by this share of it:
#: with millions of pairs the bend of a smooth background is significant too.
FOUND, SHARE = 5.0, 0.1


@dataclass(frozen=True)
class Found:
    """What was seen of a resonance in its window.

    Attributes:
        peak: The centre of the fullest bin, in GeV; ``None`` where there are no pairs.
        pairs: Pairs in the window.
        background: Pairs that would be there without it, by the density beside the window.
        deviation: The standard deviation of ``pairs - background`` if there is background alone: of the pairs in the
            window, and of those beside it, by which the background is known. At least 1.
    """

    resonance: Resonance
    peak: float | None
    pairs: int
    background: float
    deviation: float

    @property
    def significance(self) -> float:
        """Standard deviations by which the pairs exceed the background."""
        return (self.pairs - self.background) / self.deviation

    @property
    def found(self) -> bool:
        """Whether it stands out."""
        return self.significance >= FOUND and self.pairs >= (1 + SHARE) * self.background


def peak(linear: Counts) -> float | None:
    """The centre in GeV of the fullest bin of the histogram ``linear``, of equal ones the lowest; ``None`` without
    pairs."""
    return _fullest(linear, EDGES["linear"], (-np.inf, np.inf))


def median(log: Counts, window: tuple[float, float]) -> float | None:
    """The median in GeV of the pairs within ``window``, interpolated in the bin of the histogram ``log`` that it is in.

    The window's ends are moved to the nearest edges. ``None`` without pairs."""
    edges = EDGES["log"]
    first, last = (int(np.abs(edges - end).argmin()) for end in window)
    reached = np.concatenate([[0], np.cumsum(log[first:last])])
    if reached[-1] == 0:
        return None
    half = reached[-1] / 2
    at = int(np.searchsorted(reached, half)) - 1
    share = (half - reached[at]) / (reached[at + 1] - reached[at])
    low, high = edges[first + at], edges[first + at + 1]
    return float(low + share * (high - low))


def resonances(log: Counts) -> list[Found]:
    """What the histogram ``log`` shows of :data:`RESONANCES`."""
    return [_seen(log, resonance) for resonance in RESONANCES]


def _seen(log: Counts, resonance: Resonance) -> Found:
    beside = [_within(log, side) for side in resonance.sides]
    # Pairs by bin: bins are of equal width in the logarithm, in which a background is smoother than in GeV.
    pairs, bins = _within(log, resonance.window)
    ratio = bins / sum(bins for _, bins in beside)
    background = ratio * sum(count for count, _ in beside)
    deviation = math.sqrt(max(1.0, background * (1 + ratio)))
    return Found(resonance, _fullest(log, EDGES["log"], resonance.window), pairs, background, deviation)


def _within(log: Counts, window: tuple[float, float]) -> tuple[int, int]:
    """The pairs in the bins whose centres are within the window, and how many bins these are."""
    chosen = _chosen(EDGES["log"], window)
    return int(log[: len(chosen)][chosen].sum()), int(chosen.sum())


def _fullest(counts: Counts, edges: NDArray[np.float64], window: tuple[float, float]) -> float | None:
    chosen = _chosen(edges, window)
    inside = np.where(chosen, counts[: len(chosen)], 0)
    at = int(inside.argmax())
    return float((edges[at] + edges[at + 1]) / 2) if inside[at] else None


def _chosen(edges: NDArray[np.float64], window: tuple[float, float]) -> NDArray[np.bool_]:
    centres = (edges[:-1] + edges[1:]) / 2
    return (centres >= window[0]) & (centres < window[1])
