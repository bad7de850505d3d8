# SPDX-License-Identifier: Apache-2.0
"""How long a reduction would take, and what it would ask of a store: from layouts of real files, a latency model and
assumptions with names. Pure: nothing is read here.

::

    given files ─ repeated up to the volume ─ pieces.tasks                 as a job divides them
                                                  │ tasks of pieces
    coalesce.requests                             ▼
    ranges of a piece ─▶ its requests ─ first byte and rate of each, drawn from the model ─▶ seconds to read it
                                                  │
    a task: a piece is computed while those ahead of it are opened and read, as far as work.py looks ahead
    a batch: its tasks in turn on the cores; the next batch begins when all have ended
    the job: plan, then its batches

What is simulated is one batch, several times with other draws; where it has very many pieces, one of a smaller cluster
with as much work for each core. The sum of all batches is drawn from these."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..scan.layout import HEAD, TAIL, THREADS
from ..scan.pieces import FILE_WEIGHT, Batch, FileLayout, Piece, tasks
from ..scan.source import WASTE
from ..scan.work import AHEAD, FILES, PIECES
from .coalesce import Range, Sizes, requests

Floats = NDArray[np.float64]

#: Pieces, clusters and requests of a batch that are simulated at most.
MOST_PIECES, MOST_CLUSTERS, MOST_REQUESTS = 12_000, 250_000, 100_000
#: Requests that one process has under way at most.
STREAMS = 64


class Model(Protocol):
    """A latency model: :class:`storescope.Model`."""

    @property
    def cold_connection(self) -> float:
        """What a new connection costs more, in seconds."""
        ...

    @property
    def nic(self) -> float | None:
        """The ceiling of a node's network interface in bytes a second."""
        ...

    @property
    def requests_per_second(self) -> float | None:
        """The store's limit."""
        ...

    def draw(self, count: int, seed: int) -> tuple[Sequence[float], Sequence[float]]:
        """Of ``count`` requests the time to the first byte in seconds, and the rate of the body in bytes a second."""
        ...


@dataclass(frozen=True)
class Sample:
    """A real file, as its metadata tells it.

    Attributes:
        ranges: For each cluster of the layout, the byte ranges of its baskets, pages or column chunks.
    """

    layout: FileLayout
    ranges: tuple[tuple[Range, ...], ...]


@dataclass(frozen=True)
class Assumptions:
    """What is assumed of the job and of the machines.

    Attributes:
        volume: Bytes of all files, as a data set's size is published; a part of them is read.
        cores: Cores that reduce events: one task each.
        cores_per_node: Cores that share a network interface.
        events_per_cpu_s: Events that one core reads, decompresses and cuts in a second, where it never waits. ``None``:
            the CPU is left out, and the figures are those of the storage alone.
        file_size: Files have about this size: the given ones are lengthened by their own clusters. ``None``: as they
            are.
        piece_target: Bytes to read that a piece has about.
        batch_target: Bytes to read that a batch has about.
        task_target: Bytes to read that a task has at most, about.
        plan_cpu_s: CPU time to make sense of one file's metadata, in the plan. In the tasks it is part of the events'.
        written_per_event: Bytes of the output's rows for each event that is read. ``None``: not counted.
        read_gap: The setting of this name, in bytes.
        read_waste: The setting of this name, in percent.
        rounds: How often a batch is simulated.
        seed: Of the draws.
    """

    volume: int
    cores: int
    cores_per_node: int = 8
    events_per_cpu_s: float | None = None
    file_size: int | None = None
    piece_target: int = 16 << 20
    batch_target: int = 256 << 30
    task_target: int = 512 << 20
    plan_cpu_s: float = 0.0
    written_per_event: float | None = None
    read_gap: int = 1 << 20
    read_waste: int = WASTE
    rounds: int = 20
    seed: int = 1


#: What is assumed besides, as it is printed.
NOT_COUNTED = (
    "starting the engine, and sending tasks and layouts to workers",
    "the driver's own work: dividing files into tasks and adding up reports, one batch after the other",
    "the time to compress and write the pairs",
    "retries, throttled requests beyond the model's limit, and lost workers",
    "other users of the nodes' network and of the store",
)


@dataclass(frozen=True)
class Estimate:
    """What a job is estimated to take. Times in seconds.

    Attributes:
        files, events, bytes_needed: Of the whole volume.
        requests: By purpose: ``list``, ``plan`` (files opened for their layout), ``open`` (files opened by tasks),
            ``data``.
        bytes_received: On the wire, metadata and holes among them.
        bytes_written: Of the output's rows; ``None`` where no run tells how many an event makes.
        plan_s: The plan's wall time.
        idle_share: Of the cores' time, the part in which they are idle: others still run a batch's last tasks.
        wait_share: Of the tasks' time, the part in which they stand still for bytes: as ``result.json`` has it.
        wall_s: Median and the ends of the interval that holds 90 % of the simulated runs: ``p05``, ``median``, ``p95``.
        bounds_s: The least time that each resource alone allows: ``cpu`` (the cores' work), ``first_byte`` and
            ``stream`` (the same tasks with the same draws and the same look-ahead, where nothing takes time but first
            bytes, or but the bodies at the streams' rates), ``nic`` (bytes through the nodes' interfaces), ``requests``
            (the store's limit). None is longer than the job. What the model or the assumptions do not limit is 0.
    """

    files: int
    events: int
    bytes_needed: int
    requests: dict[str, int]
    bytes_received: int
    bytes_written: int | None
    plan_s: float
    idle_share: float
    wait_share: float
    wall_s: dict[str, float]
    bounds_s: dict[str, float]
    batches: int

    @property
    def bound(self) -> str:
        """The resource that takes longest."""
        return max(self.bounds_s, key=lambda name: self.bounds_s[name])

    def to_json(self, assumptions: Assumptions) -> dict[str, Any]:
        """As ``--json`` prints it."""
        wall = self.wall_s["median"]
        return {
            "assumptions": asdict(assumptions),
            "not_counted": list(NOT_COUNTED),
            **asdict(self),
            "bound": self.bound,
            "requests_all": sum(self.requests.values()),
            "over_read": self.bytes_received / self.bytes_needed if self.bytes_needed else None,
            "bytes_received_per_s": self.bytes_received / wall,
            "volume_per_s": assumptions.volume / wall,
            "requests_per_s": sum(self.requests.values()) / wall,
        }


def estimate(samples: Sequence[Sample], model: Model, assumed: Assumptions) -> Estimate:
    """Estimates the reduction of a volume of files like the given ones.

    Raises:
        UsageError: There is nothing to read in the files, or an assumption is impossible.
    """
    for name in ("volume", "cores", "cores_per_node", "piece_target", "batch_target", "task_target", "rounds"):
        if getattr(assumed, name) < 1:
            raise UsageError(f"{name.replace('_', ' ')}: must be at least 1")
    # Data sets are not told apart: their tasks would be, which makes a difference for small ones only.
    samples = [replace(sample, layout=replace(sample.layout, dataset="")) for sample in samples]
    if assumed.file_size:
        samples = [lengthened(sample, assumed.file_size) for sample in samples]
    if not any(sample.layout.needed for sample in samples):
        raise UsageError(
            "the given files hold no baskets, pages or column chunks of the columns that are read, or hold them in the "
            "tree's own metadata: there is nothing to estimate from"
        )
    return _Estimator(samples, model, assumed).estimate()


def lengthened(sample: Sample, size: int) -> Sample:
    """The same file with its clusters repeated, as often as it comes nearest to ``size`` bytes; at least once."""
    layout = sample.layout
    times = max(1, round(size / layout.size))
    clusters = tuple(
        cluster._replace(start=cluster.start + number * layout.entries, stop=cluster.stop + number * layout.entries)
        for number in range(times)
        for cluster in layout.clusters
    )
    ranges = tuple(
        tuple((start + number * layout.size, stop + number * layout.size) for start, stop in of_cluster)
        for number in range(times)
        for of_cluster in sample.ranges
    )
    return Sample(replace(layout, size=layout.size * times, clusters=clusters), ranges)


@dataclass(frozen=True)
class _Round:
    """One simulated batch: its wall time, how much of it a core is in use, and seconds over all tasks: of these with
    nothing but first bytes, with nothing but bodies, and of opening files."""

    wall: float
    busy: float
    first_byte: float
    stream: float
    opening: float


@dataclass(frozen=True)
class _Asked:
    """The requests of many pieces, or of many files: their bytes in a row, and where those of each begin."""

    bytes: Floats
    begin: NDArray[np.int64]

    @classmethod
    def of(cls, sizes: Sequence[Sequence[int]]) -> _Asked:
        """Of the bytes of each request of each piece."""
        return cls(
            np.array([count for of_one in sizes for count in of_one], np.float64),
            np.cumsum([0, *(len(of_one) for of_one in sizes)]),
        )

    def longest(self, times: Floats) -> Floats:
        """For each piece the longest of its requests' times; 0 where it has none."""
        return np.asarray(np.maximum.reduceat(np.append(times, 0.0), self.begin[:-1]) * (np.diff(self.begin) > 0))

    def sums(self, values: Floats) -> Floats:
        """For each piece the sum of its requests' values."""
        return np.asarray(np.add.reduceat(np.append(values, 0.0), self.begin[:-1]) * (np.diff(self.begin) > 0))


class _Estimator:
    def __init__(self, samples: Sequence[Sample], model: Model, assumed: Assumptions) -> None:
        self.samples = samples
        self.model = model
        self.assumed = assumed
        first_byte, rate = (float(np.median(values)) for values in model.draw(1001, assumed.seed))
        self._sizes = Sizes.by(first_byte, rate, assumed.read_gap, assumed.read_waste)
        self._of_pieces: dict[tuple[int, int, int], list[int]] = {}
        self.openings = [self._opening(sample.layout) for sample in samples]

    def estimate(self) -> Estimate:
        assumed, written = self.assumed, self.assumed.written_per_event
        layouts = [sample.layout for sample in self.samples]
        size, needed, entries = (
            float(np.mean([getattr(layout, name) for layout in layouts])) for name in ("size", "needed", "entries")
        )
        opens = float(np.mean([len(of_one) for of_one in self.openings]))
        files = max(1, round(assumed.volume / size))
        # The whole job may be less than a batch.
        in_batch = min(float(files), max(1.0, assumed.batch_target / (needed + FILE_WEIGHT)))
        share = min(1.0, self._most_files(needed) / in_batch)
        batch = _Simulated(self, max(1, round(in_batch * share)), max(1, round(assumed.cores * share)))
        rounds = [batch.run(assumed.seed + number) for number in range(assumed.rounds)]
        batches, scale = max(1, round(files / in_batch)), files / batch.files
        # A smaller batch on fewer cores has as much for each core, but for what is rounded.
        longer = (in_batch / assumed.cores) / (batch.files / batch.cores)
        made = {
            "list": -(-files // 1000),
            "plan": round(files * opens),
            "open": round(len(batch.opening.bytes) * scale),
            "data": round(len(batch.data.bytes) * scale),
        }
        of_batch = float(batch.data.bytes.sum() + batch.opening.bytes.sum())
        received = round(of_batch * scale + files * float(np.mean([sum(of_one) for of_one in self.openings])))
        plan = self._plan_s(files, float(np.mean([one.opening for one in rounds])) / batch.opens)
        bounds = self._bounds_s(rounds, batch.computing, scale, received, sum(made.values()))
        if not any(bounds.values()):
            raise UsageError("nothing takes time: the model has no latency and no limit, and the CPU is not counted")
        return Estimate(
            files=files,
            events=round(files * entries),
            bytes_needed=round(files * needed),
            requests=made,
            bytes_received=received,
            bytes_written=round(files * entries * written) if written is not None else None,
            plan_s=plan,
            idle_share=1.0 - float(np.mean([one.busy / one.wall if one.wall else 1.0 for one in rounds])),
            wait_share=max(0.0, 1.0 - batch.computing / (float(np.mean([one.busy for one in rounds])) * batch.cores)),
            wall_s=self._wall_s([one.wall * longer for one in rounds], files / in_batch, plan, bounds),
            bounds_s=bounds,
            batches=batches,
        )

    def of_piece(self, sample: int, start: int, stop: int) -> list[int]:
        """The bytes of each request for some entries of a sample."""
        at = sample, start, stop
        if at not in self._of_pieces:
            chosen = self.samples[sample]
            ranges = [
                wanted
                for cluster, of_cluster in zip(chosen.layout.clusters, chosen.ranges, strict=True)
                if start <= cluster.start < stop
                for wanted in of_cluster
            ]
            self._of_pieces[at] = [end - begin for begin, end in requests(ranges, self._sizes)]
        return self._of_pieces[at]

    def _opening(self, layout: FileLayout) -> list[int]:
        """The bytes of each request to open a file, which are sent at once."""
        ranges = layout.opening or ((0, min(HEAD, layout.size)), (max(0, layout.size - TAIL), layout.size))
        return [stop - start for start, stop in requests(ranges, self._sizes)]

    def _most_files(self, needed: float) -> float:
        """Files that are simulated at most."""
        clusters, made = (
            float(np.mean(counts))
            for counts in (
                [len(sample.layout.clusters) for sample in self.samples],
                [len(self.of_piece(at, 0, sample.layout.entries)) for at, sample in enumerate(self.samples)],
            )
        )
        pieces = max(1.0, min(clusters, needed / self.assumed.piece_target))
        return min(MOST_PIECES / pieces, MOST_CLUSTERS / max(1.0, clusters), MOST_REQUESTS / max(1.0, made))

    def _plan_s(self, files: int, open_s: float) -> float:
        """Each core looks at its files, :data:`THREADS` at once."""
        of_a_core = -(-files // self.assumed.cores)
        return max(-(-of_a_core // THREADS) * open_s, of_a_core * self.assumed.plan_cpu_s)

    def _wall_s(
        self, walls: Sequence[float], batches: float, plan: float, bounds: dict[str, float]
    ) -> dict[str, float]:
        """Median and interval of the whole job: sums of batches that are drawn from the simulated ones."""
        random = np.random.default_rng(self.assumed.seed)
        count = max(1, round(batches))
        if count == 1:
            sums = np.asarray(walls)
        elif count <= 1000:
            sums = random.choice(walls, (1000, count)).sum(axis=1)
        else:
            sums = random.normal(np.mean(walls) * count, np.std(walls) * count**0.5, 1000)
        least = max(bounds["nic"], bounds["requests"])
        quantiles = np.quantile(sums, (0.05, 0.5, 0.95)) * (batches / count)
        low, middle, high = (max(least, plan + value) for value in quantiles)
        return {"p05": float(low), "median": float(middle), "p95": float(high)}

    def _bounds_s(
        self, rounds: Sequence[_Round], computing: float, scale: float, received: int, made: int
    ) -> dict[str, float]:
        assumed, nic, limit = self.assumed, self.model.nic, self.model.requests_per_second
        nodes = -(-assumed.cores // assumed.cores_per_node)
        share = scale / assumed.cores
        return {
            "cpu": computing * share,
            "first_byte": _least([one.first_byte for one in rounds]) * share,
            "stream": _least([one.stream for one in rounds]) * share,
            "nic": received / (nic * nodes) if nic else 0.0,
            "requests": made / limit if limit else 0.0,
        }


def _least(seconds: Sequence[float]) -> float:
    """Of chance, what half of all runs take and the mean of many batches takes."""
    return float(min(np.mean(seconds), np.median(seconds)))


class _Times:
    """How long requests take, in seconds: first ``count`` for data, then those that open files."""

    def __init__(self, seconds: Floats, count: int) -> None:
        self.data, self.opening = seconds[:count], seconds[count:]


class _Simulated:
    """A batch of files like the given ones, on some cores: what it asks for, and how long that takes.

    Attributes:
        files: How many they are.
        cores: On which they are read.
        data: The requests for each piece.
        opening: The requests to open files, for each time that a task opens one.
    """

    def __init__(self, estimator: _Estimator, files: int, cores: int) -> None:
        self._estimator = estimator
        self.cores = cores
        assumed, samples = estimator.assumed, estimator.samples
        batch = Batch(0, tuple((number, samples[number % len(samples)].layout) for number in range(files)))
        turns = max(3, -(-batch.weight // (assumed.task_target * cores)))
        self._tasks = tasks(batch, assumed.piece_target, cores, turns)
        self._hints = [hinted(task, assumed.piece_target) for task in self._tasks]
        pieces = [piece for task in self._tasks for piece in task]
        opened = [piece.file for task in self._tasks for piece in {piece.file: piece for piece in task}.values()]
        self.data = _Asked.of([estimator.of_piece(one.file % len(samples), one.start, one.stop) for one in pieces])
        self.opening = _Asked.of([estimator.openings[number % len(samples)] for number in opened])
        entries = np.array([piece.stop - piece.start for piece in pieces], np.float64)
        self._computing = entries / assumed.events_per_cpu_s if assumed.events_per_cpu_s else np.zeros(len(pieces))
        self.files = files

    @property
    def computing(self) -> float:
        """Seconds that the cores compute, all tasks together."""
        return float(self._computing.sum())

    @property
    def opens(self) -> int:
        """How often tasks open a file."""
        return len(self.opening.begin) - 1

    def run(self, seed: int) -> _Round:
        """Simulates it once."""
        model, count = self._estimator.model, len(self.data.bytes)
        first_byte, rate = (np.asarray(drawn) for drawn in model.draw(count + len(self.opening.bytes), seed))
        body = np.concatenate([self.data.bytes, self.opening.bytes]) / rate
        whole, sending = _Times(first_byte + body, count), self._sending()
        times = self._task_times(whole, sending, self._computing.tolist(), model.cold_connection)
        none = [0.0] * len(sending)
        wait = self._task_times(_Times(first_byte, count), none, none)
        stream = self._task_times(_Times(body, count), none, none)
        wall, busy = _scheduled(times, self.cores), sum(times) / self.cores
        opening = float(self.opening.longest(whole.opening).sum())
        return _Round(wall, busy, sum(wait), sum(stream), opening)

    def _task_times(
        self, requests: _Times, sending: list[float], computing: list[float], cold: float = 0.0
    ) -> list[float]:
        """How long each task takes where its requests, its share of the interface and its pieces take so long."""
        reading = self.data.longest(requests.data).tolist()
        streams = (self.data.sums(requests.data) / STREAMS).tolist()
        opening = self.opening.longest(requests.opening).tolist()
        times, piece, file = [], 0, 0
        for task, hints in zip(self._tasks, self._hints, strict=True):
            numbers = {number: file + at for at, number in enumerate(dict.fromkeys(one.file for one in task))}
            now = sent = streamed = 0.0
            opened: dict[int, float] = {}
            ready: list[float] = []
            for at in range(len(task)):
                for ahead in range(len(ready), hints[at]):
                    number = task[ahead].file
                    if number not in opened:
                        opened[number] = now + opening[numbers[number]] + (cold if at == 0 else 0.0)
                    begun = max(now, opened[number])
                    # Pieces share the core's part of its node's interface, and the requests that it may have under way.
                    sent = max(sent, begun) + sending[piece + ahead]
                    streamed = max(streamed, begun) + streams[piece + ahead]
                    ready.append(max(begun + reading[piece + ahead], sent, streamed))
                now = max(now, ready[at]) + computing[piece + at]
            times.append(now)
            piece, file = piece + len(task), file + len(numbers)
        return times

    def _sending(self) -> list[float]:
        """For each piece the seconds that its bytes take through the share that a core has of its node's interface."""
        nic = self._estimator.model.nic
        if nic is None:
            return [0.0] * len(self._computing)
        sharing = min(self._estimator.assumed.cores_per_node, self._estimator.assumed.cores)
        return [float(count) * sharing / nic for count in self.data.sums(self.data.bytes)]


def hinted(task: Sequence[Piece], piece_target: int) -> list[int]:
    """For each piece of a task, how many pieces from the first on have been asked for when it is waited for: as
    ``work.py`` looks ahead."""
    reached: list[int] = []
    for number, first in enumerate(task):
        held, files, upto = 0, {first.file}, number
        for place in range(number, min(number + PIECES, len(task))):
            files.add(task[place].file)
            if place > number + 1 and (held + task[place].needed > AHEAD * piece_target or len(files) > FILES):
                break
            held += task[place].needed if place > number else 0
            upto = place + 1
        reached.append(max(upto, reached[-1] if reached else 0))
    return reached


def _scheduled(times: Sequence[float], cores: int) -> float:
    """The wall time of tasks that are started in their order, each on the first core that is free."""
    free = [0.0] * cores
    for time in times:
        heapq.heapreplace(free, free[0] + time)
    return max(free)
