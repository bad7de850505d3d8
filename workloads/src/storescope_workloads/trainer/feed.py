# SPDX-License-Identifier: Apache-2.0
"""Batches of a fixed shape, made in a thread ahead of the step that needs them. Pure numpy."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WorkloadError
from .features import EVENT_FEATURES, PARTICLE_FEATURES
from .kinds import Kind, keep_factors

#: Chunks that are ready ahead of the one in use.
AHEAD = 2
#: Seconds between two looks whether to stop, while there is nothing to do.
PACE = 0.2


@dataclass(frozen=True)
class Chunk:
    """The batches of some steps of this worker, one after another: ``k`` steps of ``n`` events.

    Attributes:
        inputs: By the network's names, each (k, n, ...).
        label: int32 (k, n).
        weight: float32 (k, n): 1, or 0 for what fills the batch up.
        total: float32 (k,): events of each step over all workers.
    """

    inputs: Mapping[str, np.ndarray]
    label: np.ndarray
    weight: np.ndarray
    total: np.ndarray

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.total)

    @property
    def events(self) -> int:
        """Events of its steps, over all workers."""
        return int(self.total.sum())

    @property
    def own(self) -> int:
        """Events of its steps, of this worker."""
        return int(self.weight.sum())


@dataclass(frozen=True)
class Shape:
    """What all chunks of a training have in common.

    Attributes:
        size: Events of this worker's batch, filled up.
        particles: Particles of an event, padding counted.
        dropout, seed: As :func:`keep_factors` takes them.
    """

    kind: Kind
    size: int
    particles: int = 0
    dropout: float = 0.0
    seed: int = 1

    def chunk(self, batches: list[Any], step: int, train: bool = True) -> Chunk:
        """Puts batches together.

        Args:
            batches: What the loader gave.
            step: Of the whole training: the number of the first of them.
            train: With dropout.
        """
        shape = (len(batches), self.size)
        label, weight = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        inputs = self._empty(shape)
        for at, batch in enumerate(batches):
            count = len(batch.label)
            label[at, :count], weight[at, :count] = batch.label, 1
            for name in inputs:
                if name != "keep":
                    inputs[name][at, :count] = getattr(batch, name)
            if self.kind.dropped:
                inputs["keep"][at, :count] = keep_factors(
                    self.kind, self.dropout if train else 0.0, self.seed, step + at, batch.event
                )
        return Chunk(inputs, label, weight, np.array([batch.total for batch in batches], np.float32))

    def nothing(self) -> Chunk:
        """A step of no events: leaves a state without moments as it is."""
        shape = (1, self.size)
        return Chunk(self._empty(shape), np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.ones(1, np.float32))

    def _empty(self, shape: tuple[int, int]) -> dict[str, np.ndarray]:
        inputs = {}
        if self.kind.event_features:
            inputs["hlf"] = np.zeros((*shape, len(EVENT_FEATURES)), np.float32)
        if self.kind.particles:
            inputs["particles"] = np.zeros((*shape, self.particles, len(PARTICLE_FEATURES)), np.float32)
            inputs["mask"] = np.zeros((*shape, self.particles), bool)
        if self.kind.dropped:
            inputs["keep"] = np.ones((*shape, self.kind.dropped), np.float32)
        return inputs


def sizes(start: int, steps: int, most: int, every: int | None, before: int) -> Iterator[int]:
    """Steps of each chunk of an epoch: at most so many, none across a checkpoint.

    Args:
        start: The epoch's first step that is left.
        steps: Of the epoch.
        every: Steps of the whole training between two checkpoints.
        before: Steps of the whole training before this epoch.
    """
    at = start
    while at < steps:
        size = min(most, steps - at)
        if every:
            size = min(size, every - (before + at) % every)
        yield size
        at += size


class Feed:
    """Chunks from batches. For a ``with``, which ends its thread.

    Args:
        batches: Of the steps that are left.
        sizes: Steps of each chunk: together as many as there are batches.
        make: Makes a chunk of batches; takes the number of steps before them, too.
    """

    def __init__(self, batches: Iterator[Any], sizes: Iterator[int], make: Callable[[list[Any], int], Chunk]) -> None:
        self._batches, self._sizes, self._make = batches, sizes, make
        self._ready: queue.Queue[Chunk | BaseException | None] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="feed", daemon=True)
        #: Seconds that :meth:`next` has waited.
        self.wait_s = 0.0

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(timeout=10)

    def next(self, stopped: Callable[[], bool] = lambda: False) -> Chunk | None:
        """The next chunk; ``None`` at the end, or when ``stopped`` says so while there is none yet."""
        began = time.perf_counter()
        try:
            while True:
                try:
                    found = self._ready.get(timeout=PACE)
                    break
                except queue.Empty:
                    if stopped():
                        return None
        finally:
            self.wait_s += time.perf_counter() - began
        if isinstance(found, BaseException):
            raise found
        return found

    def _fill(self) -> None:
        try:
            done = 0
            for size in self._sizes:
                batches: list[Any] = []
                for _ in range(size):
                    batch = next(self._batches, None)
                    if batch is None:
                        raise WorkloadError(f"the data ended after {done + len(batches)} steps of the epoch, which is too early: "
                                            "this is a fault of the program")
                    batches.append(batch)
                if not self._put(self._make(batches, done)):
                    return
                done += size
            self._put(None)
        except BaseException as error:
            self._put(error)
        finally:
            close = getattr(self._batches, "close", None)
            if close is not None:
                close()

    def _put(self, what: Chunk | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(what, timeout=PACE)
                return True
            except queue.Full:
                continue
        return False
