# SPDX-License-Identifier: Apache-2.0
"""What a training does: its options, checked. No TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import UsageError
from ..settings import StoreSettings
from .kinds import KINDS, Kind
from .metrics import parse

#: Learning rates by the first epoch they are for, for 128 events a step. Those of the original, 0:0.0005,3:0.0002,5:0.0001, are
#: for millions of events: a small sample does not get far with them.
RATES = "0:0.003,6:0.001,9:0.0003"
#: Events a step that rates are for.
RATE_BATCH = 128


@dataclass(frozen=True)
class Plan:
    """A training. It pickles, and has a form in JSON.

    Attributes:
        data: URL of prepared data.
        out: URL of the output folder.
        model: One of :data:`.kinds.KINDS`.
        epochs: How many.
        batch: Events of a step, over all workers.
        streams: The batch is made of so many parts; the number of workers divides it.
        seed: Chooses initial weights, the order of events and dropout.
        particles: Particles of an event that are read; all that the data have without it.
        dropout: Share of units.
        rates: Learning rates by epoch, as :func:`parse_rates` reads them.
        patience: Epochs without a better validation loss before training stops; 0: it does not stop early.
        validate: Share of the test events that each epoch ends with; 0: none.
        checkpoint_every: Steps between checkpoints, beside those at the end of each epoch.
        keep: Checkpoints that are kept.
        resume: Goes on from the newest checkpoint.
        overwrite: Removes an earlier training from the output folder.
        device: ``auto``, ``cpu`` or ``gpu``.
        threads: Of TensorFlow, in each process.
        format: Of the shards; the first that the data have without it.
        prefetch: Shards that are read ahead.
        cache: A local folder for shards, or none.
        steps_per_call: Steps of a call of TensorFlow, where one process trains.
        join_timeout: Seconds until all workers have joined.
        metrics: Where Prometheus reads a worker's figures, as :class:`.metrics.Endpoint` takes it.
        settings: How stores are opened.
    """

    data: str
    out: str
    model: str = "hlf"
    epochs: int = 12
    batch: int = 128
    streams: int = 4
    seed: int = 1
    particles: int | None = None
    dropout: float = 0.2
    rates: str = RATES
    patience: int = 0
    validate: float = 1.0
    checkpoint_every: int | None = None
    keep: int = 3
    resume: bool = False
    overwrite: bool = False
    device: str = "auto"
    threads: int | None = None
    format: str | None = None
    prefetch: int = 4
    cache: str | None = None
    steps_per_call: int = 50
    join_timeout: float = 120.0
    metrics: str | None = None
    settings: StoreSettings = field(default_factory=StoreSettings)

    @property
    def kind(self) -> Kind:
        """What the model reads."""
        return KINDS[self.model]

    def check(self) -> None:
        """Refuses what does not fit together.

        Raises:
            UsageError: Says what, and what to do.
        """
        if self.batch % self.streams:
            raise UsageError(f"--batch {self.batch}: is not a multiple of --streams {self.streams}; change one of them")
        if self.patience and not self.validate:
            raise UsageError("--patience needs validation: give --validate a share of the test events, such as 1")
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite contradict each other: give one of them")
        self.rate(0)
        if self.metrics is not None:
            parse(self.metrics)

    def check_workers(self, workers: int) -> None:
        """Refuses a number of workers that the batch cannot be divided among."""
        if self.streams % workers:
            raise UsageError(
                f"{workers} workers cannot share --streams {self.streams}: the number of workers must divide it; give --streams "
                f"{math.lcm(self.streams, workers)}, or another number of workers"
            )

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch: the schedule's for 128 events, times the batch / 128."""
        found = [rate for first, rate in parse_rates(self.rates) if first <= epoch]
        return found[-1] * self.batch / RATE_BATCH

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Plan:
        """What :meth:`to_json` wrote."""
        return cls(**{**told, "settings": StoreSettings(**told["settings"])})


def parse_rates(text: str) -> list[tuple[int, float]]:
    """Learning rates: ``0.001``, or by the first epoch of each: ``0:0.0005,3:0.0002``.

    Returns:
        Epoch and rate, in the order of epochs; the first is for epoch 0.

    Raises:
        UsageError: It is neither.
    """
    try:
        parts = [part.split(":") for part in text.split(",")]
        rates = [(0, float(parts[0][0]))] if len(parts) == 1 and len(parts[0]) == 1 else [
            (int(epoch), float(rate)) for epoch, rate in parts
        ]
    except ValueError:
        rates = []
    epochs = [epoch for epoch, _ in rates]
    if not rates or epochs[0] != 0 or epochs != sorted(set(epochs)) or not all(0 < rate < math.inf for _, rate in rates):
        raise UsageError(
            f"--learning-rate {text}: is neither a number above 0, such as 0.001, nor EPOCH:RATE,… in rising order from epoch 0, "
            "such as 0:0.0005,3:0.0002"
        )
    return rates
