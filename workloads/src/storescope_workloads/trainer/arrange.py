# SPDX-License-Identifier: Apache-2.0
"""The order of an event's particles, and which of them are kept. Pure.

Particles are ordered by falling distance from the lepton, ΔR = √(Δη² + Δφ²) with Δφ within ±π: the lepton comes last. There is no
padding, so that none is ordered among them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .events import Events, ends_of
from .features import PARTICLE_FEATURES

_PT, _ETA, _PHI = (PARTICLE_FEATURES.index(name) for name in ("pT", "eta", "phi"))
#: Where the lepton and what is not kept are ordered: distances are ordered by their negative squares.
_LEPTON, _GONE = 1.0, 2.0


def arrange(events: Events, most: int) -> Events:
    """The same events, the particles of each in order: those farthest from the lepton first, the lepton last.

    Of particles at equal distances, those that came first stay first. Where an event has more than ``most`` particles, the lepton and
    the others of the highest pT are kept; of equal pT, those that came first.

    Args:
        events: The first particle of each is its lepton; each has one. Not scaled, finite.
        most: Particles of an event at most, 1 or more.
    """
    if events.particles is None or events.offsets is None or not len(events):
        return events
    counts = np.diff(events.offsets)
    places = np.arange(int(counts.max()))
    there = places < counts[:, None]
    keys = np.full(there.shape, _GONE)
    keys[there] = -_squared_distances(events.particles, events.offsets, counts)
    keys[:, 0] = _LEPTON
    crowded = np.flatnonzero(counts > most)
    if len(crowded):
        _drop_softest(keys, events, crowded, most)
        counts = np.minimum(counts, most)
    order = np.argsort(keys, axis=1, kind="stable")
    rows = (events.offsets[:-1, None] + order)[places < counts[:, None]]
    return Events(events.event, events.label, events.hlf, ends_of(counts), np.take(events.particles, rows, axis=0))


def _squared_distances(
    particles: NDArray[np.float32], offsets: NDArray[np.int64], counts: NDArray[Any]
) -> NDArray[np.float64]:
    angles = particles[:, (_ETA, _PHI)].astype(np.float64)
    eta, phi = (angles - np.repeat(angles[offsets[:-1]], counts, axis=0)).T
    phi = phi - 2 * math.pi * np.round(phi / (2 * math.pi))
    return eta * eta + phi * phi  # type: ignore[no-any-return]


def _drop_softest(keys: NDArray[np.float64], events: Events, crowded: NDArray[Any], most: int) -> None:
    """Marks what is not kept of events with too many particles."""
    assert events.particles is not None and events.offsets is not None
    for row in crowded.tolist():
        start, stop = events.offsets[row], events.offsets[row + 1]
        softness = -events.particles[start:stop, _PT].astype(np.float64)
        softness[0] = -np.inf
        keys[row, np.argsort(softness, kind="stable")[most:]] = _GONE
