# SPDX-License-Identifier: Apache-2.0
"""The work of preparing data, in a process of this machine or in an executor of Spark: the same functions.

::

    survey   numbers of events ──▶ their hashes, what the files hold             reads the columns file and entry
    sort     events ──▶ blocks of chosen events by shard; moments of features    reads all that is needed, once
    write    the events of a shard ──▶ in order, scaled, as a file of each format
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import storescope
from numpy.typing import NDArray
from storescope import tfrecord

from ..errors import BadFile, WorkloadError
from ..places import Folder
from ..scan.measured import Measured
from ..settings import StoreSettings
from . import example
from .arrange import arrange
from .choice import Choice, Hashes, event_numbers, order_hashes, rank_hashes
from .events import EVENT_BYTES, Events
from .features import CLASSES
from .prepare_input import EventFile, Group, Input, events_of, keys_of
from .scalers import Moments, scaled
from .shards import Scalers, Shard, row_schema

#: Events of a row group of a shard: with particles, and without.
GROUP, SMALL_GROUP = 1024, 4096
#: Bytes of events that are read at once.
AT_ONCE = 8 << 20


@dataclass(frozen=True)
class Job:
    """What all tasks need to know. It pickles and is small.

    Attributes:
        seed: Chooses events and their order.
        max_particles: Particles of an event at most; 0: none are read.
        formats: Those of :data:`.shards.FORMATS` that are written.
        out: Where shards go.
        settings: How the input is opened.
        attempt: Different for attempts at one shard that may run at once.
    """

    seed: int
    max_particles: int
    formats: tuple[str, ...]
    out: Folder
    settings: StoreSettings
    attempt: str = ""


@dataclass(frozen=True)
class Surveyed:
    """What a file holds.

    Attributes:
        groups: Its row groups.
        hashes: :func:`.choice.rank_hashes` of its events.
        files: The numbers of ingested files in it, each once.
    """

    groups: tuple[Group, ...]
    hashes: Hashes
    files: NDArray[np.int32]


@dataclass(frozen=True)
class Part:
    """Some row groups of a file, ``start`` up to ``stop``, with ``events`` and ``values`` of particles in all."""

    input: Input
    start: int
    stop: int
    events: int
    values: int

    @property
    def at_once(self) -> int:
        """Events that are read at once."""
        width = EVENT_BYTES + 4 * self.values / max(1, self.events)
        return int(min(65_536, max(64, AT_ONCE // width)))


@dataclass(frozen=True)
class Sorted:
    """What a task of sorting came to.

    Attributes:
        moments: Of its training events.
        counts: Of each class: events that were read, and that were chosen.
        particles: Particles of the chosen events: before their number was limited, and after.
        measured: What it cost.
    """

    moments: Moments = field(default_factory=Moments)
    counts: tuple[tuple[int, int], ...] = ((0, 0),) * len(CLASSES)
    particles: tuple[int, int] = (0, 0)
    measured: Measured = field(default_factory=Measured)

    def __add__(self, other: Sorted) -> Sorted:
        return Sorted(
            self.moments + other.moments,
            tuple((one[0] + two[0], one[1] + two[1]) for one, two in zip(self.counts, other.counts, strict=True)),
            (self.particles[0] + other.particles[0], self.particles[1] + other.particles[1]),
            self.measured + other.measured,
        )


class Meter:
    """Measures what runs in its ``with``."""

    def __init__(self) -> None:
        self.profile = storescope.profile("prepare")
        self.wait, self.needed, self.read = 0.0, 0, 0
        self._began = 0.0, 0.0
        self._cost = Measured()

    def __enter__(self) -> Meter:
        self._began = time.perf_counter(), time.process_time()
        self.profile.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.profile.__exit__(*error)
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        self._cost = Measured(1, wall, cpu, self.wait, self.needed, self.read, self.profile.snapshot())

    @property
    def measured(self) -> Measured:
        """What it cost; once the ``with`` has ended."""
        return self._cost

    def close(self, file: EventFile) -> None:
        """Closes a file, and counts what was read of it."""
        with file:
            self.wait += file.source.waited
            self.read += int(file.source.num_requested_bytes)


def survey(inputs: Sequence[Input], job: Job) -> tuple[list[Surveyed], Measured]:
    """What some files hold, in their order.

    Raises:
        BadFile: A file cannot be used.
        WorkloadError: The store cannot be read.
    """
    with Meter() as meter:
        found = [_survey(one, job, meter) for one in inputs]
    return found, meter.measured


def _survey(one: Input, job: Job, meter: Meter) -> Surveyed:
    file = EventFile(one.file, job.max_particles > 0, job.settings, keys_only=True)
    try:
        hashes, files = [], set()
        for number, group in enumerate(file.groups):
            file.hint(number)
            meter.needed += group.needed
            for batch in file.batches(number, 1 << 20):
                numbers, entries = keys_of(batch, file.url)
                hashes.append(rank_hashes(job.seed, one.label, event_numbers(numbers, entries)))
                files |= set(np.unique(numbers).tolist())
        merged = np.concatenate([np.zeros(0, np.uint64), *hashes])
        return Surveyed(tuple(file.groups), merged, np.array(sorted(files), np.int32))
    finally:
        meter.close(file)


@dataclass(frozen=True)
class Block:
    """Events on their way: the numbers of their shards, sorted, and the events, not scaled."""

    shards: NDArray[np.int32]
    events: Events


def sort(task: Sequence[Part], job: Job, choice: Choice, block: int) -> Iterator[Block | Sorted]:
    """Reads events, and gives those that are chosen, with their particles in order. At last it tells what the task came to.

    Args:
        block: Bytes of events that are given at once, about.

    Raises:
        BadFile: A file cannot be used, or was replaced since it was surveyed.
        WorkloadError: The store cannot be read.
    """
    sorter = _Sorter(job, choice, block)
    with Meter() as meter, _Opening(task, job, meter) as opening:
        for part in task:
            file = opening.next()
            for number in range(part.start, part.stop):
                file.hint(number + 1 if number + 1 < part.stop else len(file.groups))
                meter.needed += file.groups[number].needed
                for batch in file.batches(number, part.at_once):
                    sorter.add(events_of(batch, part.input.label, file.url), part.input.label)
                    if sorter.is_full:
                        yield sorter.take()
        if sorter.has_events:
            yield sorter.take()
    yield Sorted(sorter.moments, tuple((read, chosen) for read, chosen in sorter.counts), sorter.particles, meter.measured)


class _Sorter:
    """Events that are held until they are a block.

    Attributes:
        moments: Of all training events.
        counts: Of each class: events that came, and that were chosen.
        particles: Of chosen events: before their number was limited, and after.
    """

    def __init__(self, job: Job, choice: Choice, block: int) -> None:
        self._job, self._choice, self._block = job, choice, block
        self._held: list[Block] = []
        self._bytes = 0
        self.moments = Moments()
        self.counts = [[0, 0] for _ in CLASSES]
        self.particles = 0, 0

    @property
    def is_full(self) -> bool:
        """A block is to be taken."""
        return self._bytes >= self._block

    @property
    def has_events(self) -> bool:
        """There are events."""
        return bool(self._held)

    def add(self, events: Events, label: int) -> None:
        """Takes in events of one class."""
        places = self._choice.place(events.event, label)
        chosen = np.flatnonzero(places >= 0)
        self.counts[label][0] += len(events)
        self.counts[label][1] += len(chosen)
        if not len(chosen):
            return
        events, places = events.take(chosen), places[chosen]
        before = _particles(events)
        if self._job.max_particles:
            events = arrange(events, self._job.max_particles)
        self.particles = self.particles[0] + before, self.particles[1] + _particles(events)
        training = np.flatnonzero(places < len(self._choice.borders["train"]))
        self.moments += Moments.of(events.take(training))
        self._held.append(Block(places, events))
        self._bytes += events.nbytes

    def take(self) -> Block:
        """All that is held, which is held no longer."""
        shards = np.concatenate([block.shards for block in self._held])
        events = Events.concat([block.events for block in self._held])
        self._held, self._bytes = [], 0
        order = np.argsort(shards, kind="stable")
        return Block(shards[order], events.take(order))


def _particles(events: Events) -> int:
    return 0 if events.particles is None else len(events.particles)


class _Opening:
    """Opens the files of a task in turn: the next while one is read. For a ``with``."""

    def __init__(self, task: Sequence[Part], job: Job, meter: Meter) -> None:
        self._task, self._job, self._meter = task, job, meter
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="open")
        self._opening: list[Future[EventFile]] = []
        self._at = 0
        self._now: EventFile | None = None

    def __enter__(self) -> _Opening:
        self._submit()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for left in self._opening:
            if not left.cancelled() and left.exception() is None:
                self._meter.close(left.result())

    def next(self) -> EventFile:
        """The file of the next part, its first row group on its way. The one before is closed."""
        self._leave()
        opened = self._opening.pop(0).result()
        self._submit()
        self._now = opened
        return opened

    def _leave(self) -> None:
        if self._now is not None:
            self._meter.close(self._now)
            self._now = None

    def _submit(self) -> None:
        if self._at < len(self._task):
            self._opening.append(self._pool.submit(self._meter.profile.wrap(self._open), self._task[self._at]))
            self._at += 1

    def _open(self, part: Part) -> EventFile:
        file = EventFile(part.input.file, self._job.max_particles > 0, self._job.settings)
        if part.stop > len(file.groups):
            with file:
                raise BadFile(file.url, "was replaced since it was listed")
        file.hint(part.start)
        return file


@dataclass(frozen=True)
class Written:
    """A shard that is written, its number over both splits, and what that cost."""

    number: int
    shard: Shard
    measured: Measured


def name_of(choice: Choice, number: int) -> str:
    """The name of a shard, without the ending."""
    split, at = choice.split_of(number)
    return f"{split}/part-{at:05}"


def write(number: int, parts: Iterable[Events], job: Job, choice: Choice, scalers: Scalers) -> Written:
    """Writes a shard in each format: whole, or not there.

    Args:
        number: Of the shard, over both splits.
        parts: All its events, in any order, not scaled.

    Raises:
        WorkloadError: It could not be written, or events are missing.
    """
    with Meter() as meter:
        held = list(parts)
        count = sum(len(part) for part in held)
        if count != choice.size_of(number):
            raise WorkloadError(
                f"{name_of(choice, number)}: {count:,} events came for it of {choice.size_of(number):,}: an input was changed "
                "meanwhile, or this is a fault of the program; run it again"
            )
        events = Events.concat(held)
        del held
        shard = _write(name_of(choice, number), events, job, scalers)
    return Written(number, shard, meter.measured)


def _write(name: str, events: Events, job: Job, scalers: Scalers) -> Shard:
    order = np.argsort(order_hashes(job.seed, events.event))
    rows = GROUP if job.max_particles else SMALL_GROUP
    with ExitStack() as files:
        opened = [files.enter_context(_output(job.out, f"{name}.{kind}", job.attempt)) for kind in job.formats]
        made = [_WRITERS[kind](file, job.max_particles > 0) for kind, file in zip(job.formats, opened, strict=True)]
        writers = [files.enter_context(writer) for writer in made]
        for start in range(0, len(order), rows):
            ready = scaled(events.take(order[start : start + rows]), scalers)
            for writer in writers:
                writer.add(ready)
        sizes = {kind: writer.close() for kind, writer in zip(job.formats, writers, strict=True)}
    labels = np.bincount(events.label, minlength=len(CLASSES))
    return Shard(name, tuple(labels.tolist()), sizes)


@contextmanager
def _output(out: Folder, name: str, attempt: str) -> Iterator[IO[bytes]]:
    try:
        with out.open(name, attempt) as file:
            yield file
    except OSError as error:
        raise WorkloadError(f"{out.path(name)}: was not written: {error}") from error


class _Parquet:
    """Writes a parquet shard, a row group for each call."""

    def __init__(self, file: IO[bytes], particles: bool) -> None:
        self._file = file
        # Values of features hardly repeat.
        self._writer = pq.ParquetWriter(
            file, row_schema(particles), compression="zstd", write_page_checksum=True, use_dictionary=False,
            write_statistics=["event", "label"],
        )

    def add(self, events: Events) -> None:
        self._writer.write_batch(events.to_batch(), row_group_size=len(events))

    def leave(self) -> None:
        """Ends it, without its footer if it is not closed: the file is given up then."""
        self._writer.is_open = False

    def close(self) -> int:
        """Its size in bytes."""
        self._writer.close()
        return self._file.tell()


class _TFRecord:
    """Writes a TFRecord shard."""

    def __init__(self, file: IO[bytes], particles: bool) -> None:
        self._file = file

    def add(self, events: Events) -> None:
        self._file.write(tfrecord.frame(example.encode(events)))

    def close(self) -> int:
        """Its size in bytes."""
        return self._file.tell()


@contextmanager
def _parquet(file: IO[bytes], particles: bool) -> Iterator[_Parquet]:
    shard = _Parquet(file, particles)
    try:
        yield shard
    finally:
        shard.leave()


@contextmanager
def _tfrecord(file: IO[bytes], particles: bool) -> Iterator[_TFRecord]:
    yield _TFRecord(file, particles)


_WRITERS: dict[str, Any] = {"parquet": _parquet, "tfrecord": _tfrecord}
