# SPDX-License-Identifier: Apache-2.0
"""Which classifiers there are, what they read, and dropout. Pure numpy: no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A classifier.

    Attributes:
        name: As ``--model`` names it.
        parameters: Its weights and biases.
        event_features: Reads the 14 features of an event.
        particles: Reads its particles.
        dropped: Units that dropout acts on; 0 where there is none.
    """

    name: str
    parameters: int
    event_features: bool
    particles: bool
    dropped: int


#: By name. ``hlf``: event features, dense layers 50, 20, 10. ``sequence``: particles, a recurrent layer (GRU) of 50 units.
#: ``inclusive``: both, joined by a dense layer of 25.
KINDS = {
    kind.name: kind
    for kind in (
        Kind("hlf", 2_013, True, False, 0),
        Kind("sequence", 10_803, False, True, 50),
        Kind("inclusive", 12_353, True, True, 64),
    )
}


def keep_factors(kind: Kind, rate: float, seed: int, step: int, event: np.ndarray) -> np.ndarray:
    """Dropout's factor of each unit: 0 with probability ``rate``, else ``1 / (1 - rate)``.

    A factor is a hash of the seed, the step, the event and the unit: it does not depend on the other events of the batch.

    Args:
        step: Of the whole training, from 0.
        event: int64 (n,).

    Returns:
        float32 (n, units).
    """
    if rate == 0:
        return np.ones((len(event), kind.dropped), np.float32)
    salt = _mix(np.array([seed, step], np.uint64) + np.uint64(1))
    base = _mix(event.astype(np.uint64) ^ _mix(salt[:1] ^ (salt[1:] << np.uint64(1))))
    units = _mix(np.arange(1, kind.dropped + 1, dtype=np.uint64))
    drawn = _mix(base[:, None] ^ units[None, :]) >> np.uint64(40)
    kept = drawn >= np.uint64(round(rate * 2**24))
    return kept.astype(np.float32) * np.float32(1 / (1 - rate))


def _mix(values: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64: each bit of the result depends on all bits of a value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed
