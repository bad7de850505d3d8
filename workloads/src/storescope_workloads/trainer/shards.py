# SPDX-License-Identifier: Apache-2.0
"""Prepared data: shards of events in a folder, and the manifest that describes them.

::

    FOLDER/manifest.json             written last: a folder without it is not complete
    FOLDER/train/part-00000.parquet  and .tfrecord, where both formats were asked for: the same events in the same order
    FOLDER/test/part-00000.parquet

A parquet shard has the columns of :func:`row_schema`; a TFRecord shard holds one ``tf.train.Example`` an event with features of
the same names. Particles are not padded: ``particles`` holds n × 19 values, of n particles one after another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from ..errors import UsageError, WorkloadError
from ..places import Folder
from .features import CLASSES, EVENT_FEATURES, PARTICLE_FEATURES

MANIFEST = "manifest.json"
SCHEMA = 1
#: How shards are stored; the formats are also the endings of their names.
FORMATS = ("parquet", "tfrecord")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Shard:
    """A shard.

    Attributes:
        name: In the folder, without the ending: ``train/part-00000``.
        events: Of each class, in the order of :data:`CLASSES`.
        sizes: Bytes of its file in each format.
    """

    name: str
    events: tuple[int, ...]
    sizes: dict[str, int]

    @property
    def count(self) -> int:
        """Its events."""
        return sum(self.events)


@dataclass(frozen=True)
class Scalers:
    """How features were scaled: ``(value - shift) / scale``, fitted on training events alone.

    Attributes:
        event_shift: The least value of each event feature.
        event_scale: The difference of the largest and the least; 1 where they are equal.
        particle_shift: The mean of each particle feature over the particles of events, padding not counted.
        particle_scale: Its standard deviation; 1 where it is 0.
    """

    event_shift: tuple[float, ...]
    event_scale: tuple[float, ...]
    particle_shift: tuple[float, ...]
    particle_scale: tuple[float, ...]


@dataclass(frozen=True)
class Manifest:
    """What is in a folder of prepared data.

    Attributes:
        formats: Those of :data:`FORMATS` that each shard has.
        seed: Chose the events, the split and the order.
        max_particles: Particles that an event has at most; 0: the shards have no column of particles.
        scalers: How values were scaled.
        train: Shards of training events, in the order of their numbers.
        test: Shards of test events.
        source: Where the events came from, and how many of each class there were before balancing.
    """

    formats: tuple[str, ...]
    seed: int
    max_particles: int
    scalers: Scalers
    train: tuple[Shard, ...]
    test: tuple[Shard, ...]
    source: dict[str, Any]

    def split(self, name: str) -> tuple[Shard, ...]:
        """The shards of ``train`` or ``test``."""
        return {"train": self.train, "test": self.test}[name]

    @property
    def fingerprint(self) -> str:
        """A digest of all of it: checkpoints name the data that they were made with."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`from_json` reads it."""
        return {
            "schema": SCHEMA,
            "classes": list(CLASSES),
            "event_features": list(EVENT_FEATURES),
            "particle_features": list(PARTICLE_FEATURES),
            **asdict(self),
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Manifest:
        """What :meth:`to_json` wrote."""
        scalers = Scalers(**{name: tuple(values) for name, values in told["scalers"].items()})
        train, test = (
            tuple(Shard(shard["name"], tuple(shard["events"]), dict(shard["sizes"])) for shard in told[split])
            for split in SPLITS
        )
        return cls(tuple(told["formats"]), told["seed"], told["max_particles"], scalers, train, test, told["source"])


def row_schema(particles: bool) -> pa.Schema:
    """The columns of a parquet shard. ``event`` is unique in the data; ``label`` is an index of :data:`CLASSES`."""
    columns = [
        pa.field("event", pa.int64(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("hlf", pa.list_(pa.field("element", pa.float32(), nullable=False), len(EVENT_FEATURES)), nullable=False),
    ]
    if particles:
        columns.append(pa.field("particles", pa.list_(pa.field("element", pa.float32(), nullable=False)), nullable=False))
    return pa.schema(columns)


def read_manifest(folder: Folder) -> Manifest:
    """The manifest of a folder.

    Raises:
        WorkloadError: There is none, or it is of another version: names the folder and what to do.
    """
    try:
        told = json.loads(folder.read(MANIFEST))
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder.url}: holds no prepared data ({MANIFEST} is missing): run storescope-workloads trainer prepare, which "
            "writes it last"
        ) from error
    names = {"classes": CLASSES, "event_features": EVENT_FEATURES, "particle_features": PARTICLE_FEATURES}
    if told.get("schema") != SCHEMA or any(tuple(told[name]) != expected for name, expected in names.items()):
        raise WorkloadError(f"{folder.url}: {MANIFEST} was written by another version; run trainer prepare again")
    return Manifest.from_json(told)


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Writes the manifest: the last file of a folder."""
    folder.write(MANIFEST, (json.dumps(manifest.to_json(), indent=1, allow_nan=False) + "\n").encode())
