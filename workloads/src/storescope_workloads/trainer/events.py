# SPDX-License-Identifier: Apache-2.0
"""Some events as columns of numpy, and the same as Arrow has them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .features import EVENT_FEATURES, PARTICLE_FEATURES
from .shards import row_schema

#: Bytes of an event without its particles, and of a particle.
EVENT_BYTES, PARTICLE_BYTES = 8 + 1 + 4 * len(EVENT_FEATURES), 4 * len(PARTICLE_FEATURES)


@dataclass(frozen=True)
class Events:
    """Events with all that a shard holds of them.

    Attributes:
        event: Their numbers, int64.
        label: Their classes, int8: indexes of :data:`.features.CLASSES`.
        hlf: Event features, float32, n × 14.
        offsets: Where the particles of each event begin in :attr:`particles`, and the end of the last: int64, n + 1, from 0
            on; ``None`` where there are no particles.
        particles: Particles of all events, one event after the other: float32, m × 19; ``None`` with :attr:`offsets`.
    """

    event: NDArray[np.int64]
    label: NDArray[np.int8]
    hlf: NDArray[np.float32]
    offsets: NDArray[np.int64] | None = None
    particles: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.event)

    @property
    def nbytes(self) -> int:
        """Bytes of their values."""
        return EVENT_BYTES * len(self) + (0 if self.particles is None else self.particles.nbytes)

    def take(self, rows: NDArray[Any]) -> Events:
        """The events at some indexes, in their order."""
        offsets = particles = None
        if self.offsets is not None and self.particles is not None:
            counts = np.diff(self.offsets)[rows]
            offsets = ends_of(counts)
            places = np.repeat(self.offsets[:-1][rows] - offsets[:-1], counts) + np.arange(offsets[-1])
            particles = np.take(self.particles, places, axis=0)
        return Events(self.event[rows], self.label[rows], self.hlf[rows], offsets, particles)

    def slice(self, start: int, stop: int) -> Events:
        """The events ``start`` up to ``stop``; shares their memory."""
        rows = slice(start, stop)
        offsets = particles = None
        if self.offsets is not None and self.particles is not None:
            ends = self.offsets[start : stop + 1]
            offsets, particles = ends - ends[0], self.particles[ends[0] : ends[-1]]
        return Events(self.event[rows], self.label[rows], self.hlf[rows], offsets, particles)

    def to_batch(self) -> pa.RecordBatch:
        """A record batch with the columns of :func:`.shards.row_schema`; shares memory where that is possible.

        Raises:
            pyarrow.ArrowInvalid: There are more than 2^31 values of particles.
        """
        schema = row_schema(self.particles is not None)
        hlf = pa.FixedSizeListArray.from_arrays(pa.array(self.hlf.reshape(-1)), type=schema.field("hlf").type)
        columns = [pa.array(self.event), pa.array(self.label), hlf]
        if self.offsets is not None and self.particles is not None:
            ends = pa.array(self.offsets * len(PARTICLE_FEATURES)).cast(pa.int32())
            values = pa.array(self.particles.reshape(-1))
            columns.append(pa.ListArray.from_arrays(ends, values, type=schema.field("particles").type))
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> Events:
        """What :meth:`to_batch` made; shares its memory."""
        hlf = batch.column("hlf").flatten().to_numpy().reshape(-1, len(EVENT_FEATURES))
        offsets = particles = None
        if "particles" in batch.schema.names:
            lists = batch.column("particles")
            ends = lists.offsets.to_numpy().astype(np.int64) // len(PARTICLE_FEATURES)
            offsets = ends - ends[0]
            particles = lists.values.to_numpy().reshape(-1, len(PARTICLE_FEATURES))[ends[0] : ends[-1]]
        return cls(batch.column("event").to_numpy(), batch.column("label").to_numpy(), hlf, offsets, particles)

    @classmethod
    def concat(cls, parts: Sequence[Events]) -> Events:
        """One after the other; a copy.

        Args:
            parts: One at least; all with particles, or none.
        """
        event, label, hlf = (np.concatenate([getattr(part, name) for part in parts]) for name in ("event", "label", "hlf"))
        offsets = particles = None
        if parts[0].particles is not None:
            particles = np.concatenate([part.particles for part in parts if part.particles is not None])
            offsets = ends_of(np.concatenate([np.diff(part.offsets) for part in parts if part.offsets is not None]))
        return cls(event, label, hlf, offsets, particles)


def ends_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Where each of some lists begins when they lie one after the other, and the end of the last: n + 1."""
    ends = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=ends[1:])
    return ends
