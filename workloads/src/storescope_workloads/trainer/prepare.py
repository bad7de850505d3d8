# SPDX-License-Identifier: Apache-2.0
"""``trainer prepare``: from the events that ``trainer ingest`` wrote to shards for training.

::

    IN/events/…/dataset=CLASS/*.parquet
      ── survey ──▶ which events are used, for training or test, in which shard    (two columns are read)
      ── sort ────▶ the chosen events by shard; the scalers, of training events    (each event is read once)
      ── write ───▶ OUT/train/part-NNNNN.parquet, OUT/test/…, prepare.json, manifest.json

The output depends on the events, their numbers, the seed and the options; not on the engine, the number of processes, or how the
events lie in files. Folder and names: :mod:`.shards`."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Protocol

import numpy as np
from storescope import Snapshot

from .. import __version__
from ..errors import UsageError, WorkloadError
from ..places import Folder, is_store
from ..scan.engine import Progress
from ..scan.job import Watch
from ..scan.measured import Measured
from ..tidy import tidying
from .choice import Choice, Rule, choose
from .events import EVENT_BYTES
from .features import CLASSES, MOST_PARTICLES, PARTICLE_FEATURES
from .prepare_input import COMPLETE, EVENTS, Input, find_inputs, told_counts
from .prepare_work import Job, Part, Sorted, Surveyed, Written
from .scalers import fit
from .shards import FORMATS, MANIFEST, Manifest, Scalers, write_manifest

#: What a preparation cost; written before the manifest.
REPORT = "prepare.json"
_MEANWHILE = "another preparation has written here meanwhile; give another --out"
#: There while a preparation goes on, so that no other begins in the folder; where one was killed, it stays.
CLAIM = "_preparing"
WORKLOAD = "trigger-prepare"
SCHEMA = 1
#: Files that one task surveys, and bytes that one task of sorting reads, at most.
SURVEY_TASK, SORT_TASK = 64, 256 << 20
#: All that a preparation writes. A killed process may have left files that are not whole.
_OURS = re.compile(
    rf"((train|test)/part-\d+\.({'|'.join(FORMATS)})|{re.escape(MANIFEST)}|{re.escape(REPORT)})((\.\d+)?\.part)?|{CLAIM}"
)


class Engine(Protocol):
    """Runs the tasks somewhere. Used in a ``with``."""

    #: As ``--engine`` names it.
    name: str
    #: Tasks that run at once.
    slots: int

    def survey(self, groups: Sequence[Sequence[Input]], job: Job, progress: Progress) -> Iterator[tuple[int, list[Surveyed], Measured]]:
        """What the files of each group hold: the number of the group, its files, the cost. ``progress`` counts files."""
        ...

    def sort(self, tasks: Sequence[Sequence[Part]], job: Job, choice: Choice, progress: Progress) -> Sorted:
        """Sorts the chosen events by their shards, and holds them for :meth:`write`. ``progress`` counts events that are read."""
        ...

    def write(self, job: Job, choice: Choice, scalers: Scalers, progress: Progress) -> list[Written]:
        """Writes all shards; in the order of their numbers. ``progress`` counts events that are written."""
        ...

    def stop(self) -> None:
        """Ends all work of a preparation that has failed: when this returns, nothing is written any more."""
        ...

    def versions(self) -> dict[str, str]:
        """Versions of what it runs on."""
        ...


@dataclass(frozen=True)
class Options:
    """What is made.

    Attributes:
        rule: Which events are chosen, and how many a shard holds.
        max_particles: Particles of an event at most: the lepton and those of the highest pT. 0: none.
        formats: Those of :data:`.shards.FORMATS` that each shard is written in.

    Raises:
        UsageError: There is no such choice.
    """

    rule: Rule = field(default_factory=Rule)
    max_particles: int = MOST_PARTICLES
    formats: tuple[str, ...] = ("parquet",)

    def __post_init__(self) -> None:
        if not 0 <= self.rule.test < 1:
            raise UsageError(f"--test {self.rule.test:g}: must be 0 or more, and below 1")
        if not 0 <= self.max_particles <= MOST_PARTICLES:
            raise UsageError(f"--max-particles {self.max_particles}: must be between 0 and {MOST_PARTICLES}")
        if not self.formats or any(kind not in FORMATS for kind in self.formats):
            raise UsageError(f"--format: must be one or more of {', '.join(FORMATS)}")


def prepare(
    engine: Engine, source: str, out: Folder, options: Options, overwrite: bool = False, watch: Watch | None = None
) -> dict[str, Any]:
    """Prepares data.

    Args:
        engine: Where the work is done; entered.
        source: The folder that ``trainer ingest`` wrote.
        out: Where the shards go, and how stores are opened. Must be empty, unless:
        overwrite: A preparation that is there is removed, once the input is found good.

    Returns:
        What is in ``prepare.json``.

    Raises:
        UsageError: The folders cannot be used, or a class has too few events.
        BadFile: A file of the input is at fault.
        WorkloadError: Something failed. What was written of the shards is removed.
    """
    return _Preparation(engine, source, out, options, watch or Watch()).run(overwrite)


class _Preparation:
    def __init__(self, engine: Engine, source: str, out: Folder, options: Options, watch: Watch) -> None:
        self._engine, self._source, self._out, self._options, self._watch = engine, source, out, options, watch
        self._job = Job(options.rule.seed, options.max_particles, options.formats, out, out.settings)
        self._started = datetime.now(UTC)
        self._times = [time.monotonic()]

    def run(self, overwrite: bool) -> dict[str, Any]:
        """All of it."""
        inputs = self._look(overwrite)
        surveyed, survey_cost = self._survey(inputs)
        _check_found(told_counts(self._source, self._out.settings), inputs, surveyed)
        choice = _choose(self._options, inputs, surveyed)
        self._lap()
        if overwrite:
            _clear(self._out)
        self._claim()
        try:
            tasks = plan(inputs, surveyed, self._engine.slots)
            del surveyed
            found = self._engine.sort(tasks, self._job, choice, self._stage("sort", sum(one.found for one in choice.counts)))
            _check_sorted(choice, found)
            self._lap()
            scalers = fit(found.moments)
            written = self._engine.write(self._job, choice, scalers, self._stage("write", sum(choice.events.values())))
            _check_written(self._out, choice, written)
            _remove_parts(self._out)
            self._lap()
            return self._finish(inputs, choice, scalers, _Costs(survey_cost, found, written))
        except BaseException:
            with tidying("work was not ended"):
                self._engine.stop()
            with tidying(f"{self._out.url} was not cleared"):
                _clear(self._out)
            raise

    def _look(self, overwrite: bool) -> list[Input]:
        """Refuses what can be refused before anything is read; the input's files."""
        source = Folder(self._source, self._out.settings)
        if source.url == self._out.url or (source / EVENTS).holds(self._out.path("x")) or self._out.holds(source.path(EVENTS)):
            raise UsageError(f"{self._out.url}: is the folder of the input, or one in it; give another --out")
        names = self._out.files()
        strange = [name for name in names if not _OURS.fullmatch(name)]
        if names and not overwrite:
            raise UsageError(f"{self._out.url}: is not empty ({_some(names)}); give --overwrite, or another --out")
        if strange:
            raise UsageError(f"{self._out.url}: holds more than prepared data ({_some(strange)}); give another --out")
        return find_inputs(self._source, self._out.settings)

    def _claim(self) -> None:
        """Of two preparations that find the folder empty, one goes on."""
        try:
            self._out.create(CLAIM, b"")
        except FileExistsError as error:
            raise UsageError(f"{self._out.url}: {_MEANWHILE}") from error
        if self._out.files() != [CLAIM]:
            self._out.remove(CLAIM)
            raise UsageError(f"{self._out.url}: {_MEANWHILE}")

    def _survey(self, inputs: Sequence[Input]) -> tuple[list[Surveyed], Measured]:
        share = max(1, min(SURVEY_TASK, -(-len(inputs) // (4 * self._engine.slots))))
        groups = [inputs[start : start + share] for start in range(0, len(inputs), share)]
        found: dict[int, list[Surveyed]] = {}
        cost = Measured()
        for number, files, measured in self._engine.survey(groups, self._job, self._stage("survey", len(inputs), "files")):
            found[number] = files
            cost = cost + measured
        return [one for number in range(len(groups)) for one in found[number]], cost

    def _finish(self, inputs: Sequence[Input], choice: Choice, scalers: Scalers, costs: _Costs) -> dict[str, Any]:
        """Writes the report, and the manifest at last."""
        shards = [one.shard for one in costs.written]
        first = len(choice.borders["train"])
        counts = {name: count.to_json() for name, count in zip(CLASSES, choice.counts, strict=True)}
        rule = self._options.rule
        source = {"events": counts, "test": rule.test, "balance": rule.balance, "shard_bytes": rule.shard}
        manifest = Manifest(
            self._options.formats, rule.seed, self._options.max_particles, scalers, tuple(shards[:first]), tuple(shards[first:]), source
        )
        told = self._report(inputs, choice, costs, manifest)
        self._out.write(REPORT, (json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
        write_manifest(self._out, manifest)
        with tidying(f"{self._out.path(CLAIM)} was not removed"):
            self._out.remove(CLAIM)
        return told

    def _report(self, inputs: Sequence[Input], choice: Choice, costs: _Costs, manifest: Manifest) -> dict[str, Any]:
        names = ("survey_s", "sort_s", "write_s")
        times = {name: stop - start for name, start, stop in zip(names, self._times, self._times[1:], strict=False)}
        wall, found = sum(times.values()), sum(count.found for count in choice.counts)
        whole = costs.survey + costs.found.measured + costs.written_cost
        rule = self._options.rule
        return {
            "schema": SCHEMA,
            "workload": WORKLOAD,
            "engine": self._engine.name,
            "versions": {**_versions(), **self._engine.versions()},
            "host": {"cores": os.cpu_count() or 1, "platform": platform.platform()},
            "started": self._started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "options": {**asdict(rule), "max_particles": self._options.max_particles, "formats": list(self._options.formats)},
            "input": {"url": self._source, "files": len(inputs), "bytes": sum(one.file.size for one in inputs)},
            "events": manifest.source["events"],
            "particles": {"in": costs.found.particles[0], "out": costs.found.particles[1]},
            "io": {name: _io(cost, self._source, self._out.url) for name, cost in costs.each()},
            "time": {
                "wall_s": wall, **times, "tasks": whole.tasks, "task_wall_s": whole.wall_s, "task_cpu_s": whole.cpu_s,
                "events_per_s": found / wall, "events_per_cpu_s": found / whole.cpu_s if whole.cpu_s else None,
                "chosen_per_s": sum(choice.events.values()) / wall,
                "chosen_per_cpu_s": sum(choice.events.values()) / whole.cpu_s if whole.cpu_s else None,
            },
            "output": {
                "url": self._out.url,
                "shards": {"train": len(manifest.train), "test": len(manifest.test)},
                "bytes": {kind: sum(one.shard.sizes[kind] for one in costs.written) for kind in self._options.formats},
            },
        }

    def _stage(self, name: str, total: int, unit: str = "events") -> Progress:
        return self._watch.stage(name, total, unit)

    def _lap(self) -> None:
        self._times.append(time.monotonic())


@dataclass(frozen=True)
class _Costs:
    """What the three steps came to."""

    survey: Measured
    found: Sorted
    written: list[Written]

    @property
    def written_cost(self) -> Measured:
        """What writing all shards cost."""
        return sum((one.measured for one in self.written), Measured())

    def each(self) -> list[tuple[str, Measured]]:
        """By the names of the steps."""
        return [("survey", self.survey), ("sort", self.found.measured), ("write", self.written_cost)]


def _choose(options: Options, inputs: Sequence[Input], surveyed: Sequence[Surveyed]) -> Choice:
    """The choice. The hashes of the files are dropped."""
    _refuse_mixed(inputs, surveyed)
    hashes, widths = [], []
    for label, name in enumerate(CLASSES):
        own = [found for one, found in zip(inputs, surveyed, strict=True) if one.label == label]
        events = sum(group.events for found in own for group in found.groups)
        if not events:
            raise UsageError(
                f"class {name}: its {len(own)} files hold no events: ingest more of it, or with a looser selection; all of "
                f"{', '.join(CLASSES)} are needed"
            )
        values = sum(group.values for found in own for group in found.groups)
        most = options.max_particles * len(PARTICLE_FEATURES)
        hashes.append(np.concatenate([found.hashes for found in own]))
        widths.append(EVENT_BYTES + 4 * min(most, values / events))
    return choose(options.rule, hashes, widths)


def _check_found(told: dict[str, int], inputs: Sequence[Input], surveyed: Sequence[Surveyed]) -> None:
    """As many events were found as the ingest says that it has written."""
    for name, count in told.items():
        own = [found for one, found in zip(inputs, surveyed, strict=True) if CLASSES[one.label] == name]
        events = sum(group.events for found in own for group in found.groups)
        if events != count:
            what = "files are missing" if events < count else "files of another run are there"
            raise WorkloadError(f"class {name}: has {events:,} events where {COMPLETE} tells {count:,}: {what}; ingest again")


def _refuse_mixed(inputs: Sequence[Input], surveyed: Sequence[Surveyed]) -> None:
    """A file that was ingested is of one class."""
    labels: dict[int, int] = {}
    for one, found in zip(inputs, surveyed, strict=True):
        for file in found.files.tolist():
            if labels.setdefault(file, one.label) != one.label:
                raise WorkloadError(
                    f"{one.file.url}: has events of input file {file} (column file), and so have files of the class "
                    f"{CLASSES[labels[file]]}: these are of two runs of trainer ingest; give the output of one"
                )


def plan(inputs: Sequence[Input], surveyed: Sequence[Surveyed], slots: int) -> list[list[Part]]:
    """Tasks of about equal bytes: whole row groups, in the order of the files."""
    needed = [[8 * group.events + 4 * group.values for group in found.groups] for found in surveyed]
    share = max(1, min(SORT_TASK, -(-sum(map(sum, needed)) // (4 * slots))))
    tasks: list[list[Part]] = [[]]
    held = 0
    for one, found, sizes in zip(inputs, surveyed, needed, strict=True):
        start = 0
        for number, size in enumerate(sizes):
            held += size
            if held >= share or number + 1 == len(sizes):
                groups = found.groups[start : number + 1]
                events, values = sum(group.events for group in groups), sum(group.values for group in groups)
                tasks[-1].append(Part(one, start, number + 1, events, values))
                start = number + 1
            if held >= share:
                tasks.append([])
                held = 0
    return [task for task in tasks if task]


def _check_sorted(choice: Choice, found: Sorted) -> None:
    """As many events were read and chosen as the survey has found."""
    for name, count, (read, chosen) in zip(CLASSES, choice.counts, found.counts, strict=True):
        if (read, chosen) != (count.found, count.train + count.test):
            raise WorkloadError(
                f"class {name}: the counts do not add up: {read:,} events were read of {count.found:,}, {chosen:,} chosen of "
                f"{count.train + count.test:,}. This is a fault of the program"
            )


def _check_written(out: Folder, choice: Choice, written: Sequence[Written]) -> None:
    """All shards are there, and hold all events that were chosen."""
    for split in ("train", "test"):
        shards = [one.shard for one in written if one.shard.name.startswith(f"{split}/")]
        told = tuple(sum(shard.events[label] for shard in shards) for label in range(len(CLASSES)))
        if told != tuple(getattr(count, split) for count in choice.counts):
            raise WorkloadError(f"{out.url}: the counts of {split} events do not add up: {told}. This is a fault of the program")
    sizes = out.sizes()
    for one in written:
        for kind, size in one.shard.sizes.items():
            found = sizes.get(f"{one.shard.name}.{kind}")
            if found != size:
                raise WorkloadError(
                    f"{out.path(f'{one.shard.name}.{kind}')}: has {'no' if found is None else f'{found:,}'} bytes, not {size:,}: a path "
                    "must be of a disk that all processes share; or another job writes there"
                )


def _remove_parts(out: Folder) -> None:
    """Removes what attempts have left on a disk that were killed while they wrote."""
    for name in out.files():
        if _OURS.fullmatch(name) and name.endswith(".part"):
            with tidying(f"{out.path(name)} was not removed"):
                out.remove(name)


def _clear(out: Folder) -> None:
    """Removes what a preparation has written, its manifest first, and its claim at last."""
    names = [name for name in out.files() if _OURS.fullmatch(name)]
    for name in sorted(names, key=lambda name: (name == CLAIM, name != MANIFEST)):
        out.remove(name)


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} files, such as {names[0]}"


def _versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in ("storescope", "numpy", "pyarrow")}
    return {"workloads": __version__, "python": platform.python_version(), **found}


def _io(cost: Measured, source: str, out: str) -> dict[str, Any]:
    """What a step read and asked of stores; ``None`` where none is involved."""
    stored = is_store(source) or is_store(out)
    seen: Snapshot = cost.snapshot
    names = ("requests", "failures", "bytes_asked", "bytes_received", "bytes_wasted")
    quantiles = {name: seen.quantile(at) if stored and seen else None for name, at in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}
    return {
        **{name: getattr(seen, name) if stored else None for name in names},
        "bytes_needed": cost.needed,
        "bytes_read": cost.read,
        "wait_s": cost.wait_s,
        "wait_share": cost.wait_s / cost.wall_s if cost.wall_s else None,
        "first_byte_ms": {name: None if seconds is None else seconds * 1e3 for name, seconds in quantiles.items()},
    }

