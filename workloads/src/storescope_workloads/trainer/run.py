# SPDX-License-Identifier: Apache-2.0
"""All steps of the trigger classifier, one after another, each in a folder of its own.

::

    generate ──▶ DATA/sample/ ── ingest ──▶ DATA/events/ ── prepare ──▶ DATA/shards/ ── train ──▶ OUT/model/
                                                                                    evaluate ──▶ OUT/model/result.json

``OUT/run.json`` holds the options and the steps that are complete. Without ``--data``, DATA is OUT."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..errors import UsageError
from ..places import Folder
from ..progress import Bars
from .features import MOST_PARTICLES
from .plan import RATES, Plan

STATE = "run.json"
SCHEMA = 1
#: Events of a file of the sample, at most.
FILE = 20_000


@dataclass(frozen=True)
class Options:
    """What is made. Two runs with the same have the same events.

    Attributes:
        model: ``hlf``, ``sequence`` or ``inclusive``.
        events: Events of each class in the sample.
        seed: Of all steps.
        particles: Particles of an event at most; ``None``: all.
        test: Share of the events that is for the test.
        epochs: Of the training, at most.
        batch: Events of a step.
        rates: Learning rates by epoch, for 128 events a step.
        workers: Processes that train together.
    """

    model: str = "hlf"
    events: int = 20_000
    seed: int = 1
    particles: int | None = None
    test: float = 0.2
    epochs: int = 12
    batch: int = 128
    rates: str = RATES
    workers: int = 1


@dataclass(frozen=True)
class Step:
    """A step that is complete.

    Attributes:
        events: Events that went through it; of the training, each once for each epoch.
        seconds: How long it took; ``None`` where it was complete before.
    """

    events: int
    seconds: float | None


@dataclass
class Run:
    """A run of all steps.

    Args:
        options: What is made.
        out: Where the model and the state go.
        data: Where sample, events and shards go.
        processes: For the steps before the training; ``None``: one for each core.
        resume: Steps that are complete are not repeated.
        overwrite: What a run left in these folders is removed first.
        told: Called after each step with its name and what it came to.
    """

    options: Options
    out: Folder
    data: Folder
    processes: int | None = None
    resume: bool = False
    overwrite: bool = False
    told: Callable[[str, Step], None] = lambda name, step: None
    steps: dict[str, Step] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Does the steps that are not complete.

        Returns:
            What is in ``result.json``.

        Raises:
            UsageError: The folders cannot be used.
            WorkloadError: A step failed. What is complete stays, for ``resume``.
        """
        self._begin()
        for name, step in STEPS.items():
            if name not in self.steps:
                began = time.monotonic()
                events = step(self)
                self.steps[name] = Step(events, time.monotonic() - began)
                self._save()
            self.told(name, self.steps[name])
        return json.loads((self.out / "model").read("result.json"))  # type: ignore[no-any-return]

    @property
    def _folders(self) -> list[Folder]:
        return [*(self.data / name for name in ("sample", "events", "shards")), self.out / "model"]

    def _begin(self) -> None:
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite exclude each other")
        self._check()
        if self.resume:
            self._load()
            return
        if self.overwrite:
            self._clear()
        full = [folder.url for folder in self._folders if folder.files()]
        if full or self.out.exists(STATE):
            raise UsageError(
                f"{full[0] if full else self.out.path(STATE)}: is not empty, or of another run; give --resume to go on with "
                "that, --overwrite, or other folders"
            )
        self._save()

    def _check(self) -> None:
        """Refuses before the first step what the training would refuse after hours of others."""
        plan = plan_of(self)
        if plan.batch % plan.streams:
            raise UsageError(
                f"--batch {plan.batch}: is not a multiple of {plan.streams}, as the training of {self.options.workers} "
                f"process{'' if self.options.workers == 1 else 'es'} needs it; change --batch or --local-workers"
            )
        plan.check()

    def _clear(self) -> None:
        """Removes a run. Folders of which no run tells are left, and refused afterwards where they are not empty."""
        if not self.out.exists(STATE):
            return
        theirs = self._read()["data"]
        if theirs != self.data.url:
            raise UsageError(f"{self.out.url}: holds a run with its data in {theirs}; give that --data, or another --out")
        # The state first: what is left after a failure is no run that could be resumed.
        self.out.remove(STATE)
        for folder in self._folders:
            folder.clear()

    def _read(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self.out.read(STATE))
        except FileNotFoundError as error:
            raise UsageError(f"{self.out.url}: holds no run to resume ({STATE} is missing)") from error
        except ValueError as error:
            raise UsageError(f"{self.out.path(STATE)}: is not what trainer run writes ({error}); give another --out") from error
        if not isinstance(told, dict) or not {"schema", "options", "data", "steps"} <= told.keys():
            raise UsageError(f"{self.out.path(STATE)}: is not what trainer run writes; give another --out")
        return told

    def _load(self) -> None:
        told = self._read()
        ours = {**asdict(self.options), "data": self.data.url}
        theirs = {**told["options"], "data": told["data"]}
        different = [
            f"{name} is {theirs.get(name)!r} there and {value!r} here"
            for name, value in ours.items()
            if theirs.get(name) != value
        ]
        if told["schema"] != SCHEMA or different:
            why = "; ".join(different) or "it is of another version"
            raise UsageError(f"{self.out.url}: holds another run: {why}; give the same options, or other folders")
        self.steps = {name: Step(step["events"], None) for name, step in told["steps"].items()}

    def _save(self) -> None:
        told = {
            "schema": SCHEMA,
            "options": asdict(self.options),
            "data": self.data.url,
            "steps": {name: asdict(step) for name, step in self.steps.items()},
        }
        self.out.write(STATE, (json.dumps(told, indent=1) + "\n").encode())

    @property
    def cores(self) -> int:
        """Processes of the steps before the training."""
        return self.processes or len(os.sched_getaffinity(0))


# The steps. Each goes on with what a run before it has left, and returns how many events went through it.


def generate(run: Run) -> int:
    """The sample: each file is replaced."""
    from ..generate.job import refuse, run_local
    from ..generate.samples import TriggerSample

    sample = TriggerSample(run.options.events, files=-(-run.options.events // FILE), seed=run.options.seed)
    folder = run.data / "sample"
    refuse(sample, folder, overwrite=True)
    with Bars() as bars:
        written = run_local(sample, folder, run.cores, bars.stage("generate", sample.total, "events"))
    return sum(one.events for one in written)


def ingest(run: Run) -> int:
    """The selected events, by the engine ``local``."""
    from ..scan.engine import Job
    from ..scan.job import Output
    from ..scan.job import run as scan
    from ..scan.local import LocalEngine
    from .ingest import TREE, Ingestion, write
    from .ingest_command import datasets_of

    started = datetime.now(UTC)
    folder = run.data / "events"
    job = Job(Ingestion(), TREE, run.data.settings)
    datasets = datasets_of((run.data / "sample").url, (), run.data.settings)
    resume = folder.exists("_job/plan.json")
    with Bars() as bars, LocalEngine(run.cores) as engine:
        finished = scan(engine, datasets, job, Output(folder, resume), bars)
    return int(write(folder, finished, job, "local", started)["events"]["in"])


def prepare(run: Run) -> int:
    """The shards: what there is of them is replaced."""
    from .choice import Rule
    from .prepare import Options as Wanted
    from .prepare import prepare as make
    from .prepare_local import LocalEngine

    particles = 0 if run.options.model == "hlf" else run.options.particles or MOST_PARTICLES
    wanted = Wanted(Rule(run.options.seed, run.options.test), particles)
    with Bars() as bars, LocalEngine(run.cores) as engine:
        told = make(engine, (run.data / "events").url, run.data / "shards", wanted, overwrite=True, watch=bars)
    return sum(int(counts["in"]) for counts in told["events"].values())


def train(run: Run) -> int:
    """The model: goes on from the newest checkpoint."""
    from .train_command import train_with

    told = train_with(plan_of(run), run.options.workers)
    assert told is not None
    return sum(int(epoch["events"]) for epoch in told["epochs"])


def plan_of(run: Run) -> Plan:
    """The training of a run."""
    return Plan(
        data=(run.data / "shards").url,
        out=(run.out / "model").url,
        model=run.options.model,
        epochs=run.options.epochs,
        batch=run.options.batch,
        # As few as the workers can share.
        streams=math.lcm(4, run.options.workers),
        seed=run.options.seed,
        rates=run.options.rates,
        resume=True,
        settings=run.out.settings,
    )


def evaluate(run: Run) -> int:
    """The result."""
    from .evaluate_command import evaluate_folder

    return sum(sum(row) for row in evaluate_folder(run.out / "model")["confusion"])


#: In their order.
STEPS: dict[str, Callable[[Run], int]] = {
    "generate": generate,
    "ingest": ingest,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
}
