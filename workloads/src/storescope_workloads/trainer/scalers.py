# SPDX-License-Identifier: Apache-2.0
"""Scalers of features: fitted on the training events alone, in any order of them, and applied to all. Pure.

Sums are exact: those of each event are rounded once, and are then added as integers. So the scalers do not depend on how events lie
in files, or on which process read which of them. Particles are counted as they are: there is no padding to be counted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .events import Events
from .features import EVENT_FEATURES, PARTICLE_FEATURES
from .shards import Scalers

#: Sums are integers in units of ``2**-UNIT``, of which all finite float64 are multiples.
_UNIT = 1126
_LOW = (1 << 26) - 1
#: Particles that are scaled at once, in float64.
_AT_ONCE = 1 << 16


def _nothing(count: int, value: float) -> NDArray[np.float32]:
    return np.full(count, value, np.float32)


@dataclass(frozen=True)
class Moments:
    """What scalers are fitted to. They add up, in any order; an empty one changes nothing. Pickles.

    Attributes:
        events: How many there were.
        least: The smallest value of each event feature.
        most: The largest.
        particles: How many there were.
        sums: Of each particle feature, the sum in units of ``2**-1126``.
        squares: The sums of the squares, the same.
        particle_least: The smallest value of each particle feature.
        particle_most: The largest.
    """

    events: int = 0
    least: NDArray[np.float32] = field(default_factory=lambda: _nothing(len(EVENT_FEATURES), np.inf))
    most: NDArray[np.float32] = field(default_factory=lambda: _nothing(len(EVENT_FEATURES), -np.inf))
    particles: int = 0
    sums: tuple[int, ...] = (0,) * len(PARTICLE_FEATURES)
    squares: tuple[int, ...] = (0,) * len(PARTICLE_FEATURES)
    particle_least: NDArray[np.float32] = field(default_factory=lambda: _nothing(len(PARTICLE_FEATURES), np.inf))
    particle_most: NDArray[np.float32] = field(default_factory=lambda: _nothing(len(PARTICLE_FEATURES), -np.inf))

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.events + other.events,
            np.minimum(self.least, other.least),
            np.maximum(self.most, other.most),
            self.particles + other.particles,
            tuple(one + two for one, two in zip(self.sums, other.sums, strict=True)),
            tuple(one + two for one, two in zip(self.squares, other.squares, strict=True)),
            np.minimum(self.particle_least, other.particle_least),
            np.maximum(self.particle_most, other.particle_most),
        )

    @classmethod
    def of(cls, events: Events) -> Moments:
        """Those of some events. Each has one particle at least, where there are any; values are finite."""
        if not len(events):
            return cls()
        least, most = events.hlf.min(axis=0), events.hlf.max(axis=0)
        if events.particles is None or events.offsets is None:
            return cls(len(events), least, most)
        sums, squares = _event_sums(events.particles, events.offsets)
        return cls(
            len(events), least, most, len(events.particles), exact_sums(sums), exact_sums(squares),
            events.particles.min(axis=0), events.particles.max(axis=0),
        )


def _event_sums(
    particles: NDArray[np.float32], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Terms of the sums of each feature and of its square. Those of an event depend on that event alone.

    Values are taken relative to the event's first particle, in 16 bits, so that a deviation far below the mean is not lost."""
    ends = offsets.tolist()
    counts = np.diff(offsets)[:, None].astype(np.float64)
    origins = (particles[offsets[:-1]].view(np.uint32) & np.uint32(0xFFFF_FF00)).view(np.float32).astype(np.float64)
    sums, squares = np.empty(origins.shape), np.empty(origins.shape)
    held = np.empty((int(counts.max()), particles.shape[1]))
    for row, (start, stop) in enumerate(zip(ends, ends[1:], strict=False)):
        values = held[: stop - start]
        np.subtract(particles[start:stop], origins[row], out=values)
        np.einsum("ij->j", values, out=sums[row])
        np.einsum("ij,ij->j", values, values, out=squares[row])
    # The products with counts are exact.
    return (
        np.concatenate([sums, counts * origins]),
        np.concatenate([squares, 2 * origins * sums, counts * (origins * origins)]),
    )


def exact_sums(values: NDArray[np.float64]) -> tuple[int, ...]:
    """The exact sum of each column of a table of finite numbers, in units of ``2**-1126``."""
    fractions, exponents = np.frexp(values)
    mantissas = (fractions * 2.0**53).astype(np.int64)
    sums = [0] * values.shape[1]
    for exponent in np.unique(exponents).tolist():
        own = np.where(exponents == exponent, mantissas, 0)
        # Two halves, so that 2^36 of them do not overflow.
        highs, lows = (own >> 26).sum(axis=0).tolist(), (own & _LOW).sum(axis=0).tolist()
        for column, (high, low) in enumerate(zip(highs, lows, strict=True)):
            sums[column] += ((high << 26) + low) << (exponent - 53 + _UNIT)
    return tuple(sums)


def fit(moments: Moments) -> Scalers:
    """The scalers of training events: of event features, the range; of particles, mean and standard deviation (of the whole, not of
    a sample). Without particles, those of particles are empty.

    Args:
        moments: Of one event at least.
    """
    shift, most = moments.least.astype(np.float64), moments.most.astype(np.float64)
    event_scale = tuple(float(scale) if scale > 0 else 1.0 for scale in most - shift)
    particles = [_mean_and_deviation(moments, column) for column in range(len(PARTICLE_FEATURES)) if moments.particles]
    return Scalers(
        tuple(shift.tolist()), event_scale, tuple(mean for mean, _ in particles), tuple(scale for _, scale in particles)
    )


def _mean_and_deviation(moments: Moments, column: int) -> tuple[float, float]:
    least = float(moments.particle_least[column])
    if least == float(moments.particle_most[column]):
        return least, 1.0
    unit = 1 << _UNIT
    mean = Fraction(moments.sums[column], moments.particles * unit)
    variance = Fraction(moments.squares[column], moments.particles * unit) - mean * mean
    deviation = math.sqrt(max(0.0, float(variance)))
    return float(mean), deviation if deviation > 0 else 1.0


def scaled(events: Events, scalers: Scalers) -> Events:
    """The events with scaled features. They are computed in float64 and rounded once."""
    hlf = _scaled(events.hlf, scalers.event_shift, scalers.event_scale)
    particles = events.particles
    if particles is not None:
        particles = _scaled(particles, scalers.particle_shift, scalers.particle_scale)
    return Events(events.event, events.label, hlf, events.offsets, particles)


def _scaled(values: NDArray[np.float32], shift: Any, scale: Any) -> NDArray[np.float32]:
    shift, scale = np.array(shift, np.float64), np.array(scale, np.float64)
    result = np.empty(values.shape, np.float32)
    for start in range(0, len(values), _AT_ONCE):
        part = values[start : start + _AT_ONCE].astype(np.float64)
        part -= shift
        part /= scale
        result[start : start + _AT_ONCE] = part
    return result
