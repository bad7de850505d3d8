# SPDX-License-Identifier: Apache-2.0
"""Trains a classifier on prepared data, in this process: alone, or as one of several workers.

::

    OUT/checkpoints/step-NNNNNNNNN.ckpt   the last K
    OUT/tensorboard/events.out…           scalars of each epoch
    OUT/model.keras                       gives probabilities; loads with keras.saving.load_model
    OUT/train.json                        figures; written last

Worker 0 alone writes. All workers need the data, none but worker 0 the output folder."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..errors import UsageError, WorkloadError
from ..scan.job import Watch as Progress
from ..scan.measured import Measured
from .checkpoint import Checkpoint
from .cluster import Cluster, check_port, devices, strategy
from .data import Loader, Prepared, Split
from .feed import Chunk, Feed, Shape, sizes
from .metrics import Endpoint, Metrics
from .plan import Plan
from .render import epoch_line
from .resources import Sampler
from .stopping import Interrupted, Stop
from .train_epoch import Part, milliseconds, scalars
from .train_output import FIGURES, MODEL, Output
from .watch import Seat, Timing, Watch, deadline

SCHEMA = 1
#: Seconds that an error of TensorFlow waits for the watch to tell which worker was lost: longer than a silent one is noticed.
SETTLE = 20.0


@dataclass
class Course:
    """How far training is, beside its arrays: what checkpoints tell. JSON.

    Attributes:
        epochs: Figures of those that ended.
        part: Sums of the epoch that has not ended.
        best: The epoch of the least validation loss, and that loss.
        resumed: Steps at which it was gone on with.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    part: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """Where a training runs.

    Attributes:
        cluster: The workers.
        progress: Told how far it is.
        on_lost: Called from a thread when another worker is lost: must end the process.
    """

    cluster: Cluster = field(default_factory=Cluster)
    progress: Progress = field(default_factory=Progress)
    on_lost: Callable[[str], None] = lambda why: os._exit(1)


def train(plan: Plan, setting: Setting | None = None) -> dict[str, Any]:
    """Trains.

    Returns:
        What ``train.json`` holds; in workers other than 0 their own figures.

    Raises:
        UsageError: The options do not fit the data, the output folder or the host.
        Interrupted: A signal came; the checkpoint is written.
        WorkloadError: A worker was not there or differs, or something could not be read or written.
    """
    setting = setting or Setting()
    plan.check()
    plan.check_workers(setting.cluster.workers)
    metrics = Metrics(setting.cluster.index, setting.cluster.workers)
    with Stop() as stop, Endpoint(plan.metrics, metrics), Sampler() as sampler:
        data = _Data(plan, setting.cluster)
        output = Output(plan, _identity(plan, data)) if setting.cluster.index == 0 else None
        watch = Watch(_seat(plan, setting.cluster, data), setting.on_lost, Timing(join=plan.join_timeout))
        # TensorFlow takes seconds to import, in which there are no heartbeats.
        from . import loop  # noqa: F401

        gpus = devices(plan.device, plan.threads)
        check_port(setting.cluster)
        course, start = _join(watch, output)
        try:
            if output is not None:
                output.begin()
            training = _Training(plan, setting, data, stop, metrics)
            training.begin(gpus, course, start, output)
            training.run()
            return _finish(training, watch, sampler)
        except BaseException as error:
            if isinstance(error, Interrupted) and stop.held:
                # All stop after the same step: the others wait until worker 0 has written the checkpoint. Before training it
                # is this worker alone, and the others are told.
                watch.done(None)
                watch.release()
                raise
            if _is_tensorflow(error):
                watch.settle(SETTLE)
            watch.fail(str(error) or type(error).__name__)
            watch.close()
            if _is_tensorflow(error):
                raise WorkloadError(f"TensorFlow failed: {error}; the temporary folder is {tempfile.gettempdir()}") from error
            raise


def _is_tensorflow(error: BaseException) -> bool:
    from .models import tf

    return isinstance(error, tf.errors.OpError)


class _Data:
    """The events that this worker reads."""

    def __init__(self, plan: Plan, cluster: Cluster) -> None:
        self.prepared = Prepared.open(plan.data, plan.settings, plan.format)
        manifest = self.prepared.manifest
        if plan.kind.particles and not manifest.max_particles:
            raise UsageError(
                f"{plan.data}: holds event features alone, and --model {plan.model} reads particles: run trainer prepare with "
                "particles, or train --model hlf"
            )
        most = plan.particles or manifest.max_particles
        if most > manifest.max_particles:
            raise UsageError(f"--particles {most}: the data of {plan.data} have {manifest.max_particles} an event at most")
        self.particles = most if plan.kind.particles else 0
        split = Split(
            split="train", batch=plan.batch, streams=plan.streams, worker=cluster.index, workers=cluster.workers, seed=plan.seed,
            shuffle=True, particles=self.particles, event_features=plan.kind.event_features, prefetch=plan.prefetch,
            cache=plan.cache,
        )
        self.train = Loader(self.prepared, split, plan.settings)
        self.test = Loader(self.prepared, replace(split, split="test", shuffle=False), plan.settings) if plan.validate else None
        if not self.train.events:
            raise UsageError(f"{plan.data}: has no training events; prepare data with more events, or a smaller part for the test")
        if self.test is not None and not self.test.events:
            raise UsageError(
                f"{plan.data}: has no test events, so that an epoch cannot end with their loss; give --validate 0, or prepare data "
                "with a part of them for the test"
            )

    @property
    def fingerprint(self) -> str:
        """Of the data."""
        return self.prepared.manifest.fingerprint


def _identity(plan: Plan, data: _Data) -> dict[str, Any]:
    """What must be the same where a training is gone on with."""
    return {
        "model": plan.model, "parameters": plan.kind.parameters, "particles": data.particles, "data": data.fingerprint,
        "batch": plan.batch, "streams": plan.streams, "seed": plan.seed, "dropout": plan.dropout if plan.kind.dropped else 0.0,
    }


def _seat(plan: Plan, cluster: Cluster, data: _Data) -> Seat:
    identity = {
        **_identity(plan, data), "version": __version__, "tensorflow": _version("tensorflow", "tensorflow-cpu"),
        "workers": cluster.workers, "epochs": plan.epochs, "rates": plan.rates, "patience": plan.patience,
        "validate": plan.validate, "checkpoint_every": plan.checkpoint_every,
    }
    return Seat(cluster.index, cluster.workers, cluster.watch, cluster.addresses, identity)


def _version(*names: str) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def _join(watch: Watch, output: Output | None) -> tuple[Course, tuple[int, int, int]]:
    """Waits for all workers; worker 0 tells where training begins."""
    news: dict[str, Any] | None = None
    if output is not None:
        found = output.found or Checkpoint({}, 0, 0, 0)
        news = {"course": found.told, "start": [found.epoch, found.step, found.steps]}
    news = watch.join(news)
    assert news is not None
    course = Course(**news["course"])
    epoch, step, steps = news["start"]
    if steps:
        course.resumed.append(steps)
    return course, (epoch, step, steps)


class _Training:
    """A worker's training."""

    def __init__(self, plan: Plan, setting: Setting, data: _Data, stop: Stop, metrics: Metrics) -> None:
        self.plan, self.setting, self.data, self._stop, self._metrics = plan, setting, data, stop, metrics
        self.workers = setting.cluster.workers
        self.began = time.monotonic()
        self.trace_s = 0.0
        self.early = False
        self.wait_s = self.run_s = 0.0
        self.started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _most(self) -> int:
        """Steps of a call of TensorFlow at most. A step with particles is long enough to be called alone."""
        return self.plan.steps_per_call if self.replicas == 1 and not self.plan.kind.particles else 1

    def begin(self, gpus: list[str], course: Course, start: tuple[int, int, int], output: Output | None) -> None:
        """Makes the network and brings it to where training begins."""
        from .boards import Board
        from .loop import Stepper
        from .models import build

        self.gpus, self.course, self.output = gpus, course, output
        self.epoch, self.step, self.steps = start
        plan, data = self.plan, self.data
        # Before TensorFlow does anything else.
        with deadline(plan.join_timeout) if self.workers > 1 else nullcontext():
            made = strategy(self.setting.cluster, gpus)
        self._stop.install()
        self.network = build(plan.model, data.particles, plan.dropout, plan.seed)
        local = made.num_replicas_in_sync // self.workers
        size = -(-plan.batch // self.workers // local) * local
        self.shape = Shape(plan.kind, size, data.particles, plan.dropout, plan.seed)
        self.replicas = made.num_replicas_in_sync
        self.stepper = Stepper(self.network, made, self.workers, compiled=plan.kind.particles and not gpus)
        if plan.kind.particles:
            self.setting.progress.note(f"compiling the network for {data.particles} particles")
        self._trace()
        found = output.found if output is not None else None
        state = dict(found.arrays) if found else self.stepper.state()
        self.best = state.pop("best", state["weights"])
        if self.workers > 1:
            state = {name: self.stepper.share(array) for name, array in state.items()}
            self.best = self.stepper.share(self.best)
        self.stepper.load(state)
        if found:
            self.setting.progress.note(f"going on from epoch {self.epoch + 1}, step {self.step} of it")
        else:
            # Where it cannot be written, that is told now, and not after an epoch.
            self._save()
        self.board = Board(output.folder) if output is not None else None

    def _trace(self) -> None:
        """Makes TensorFlow compile, so that the first step of an epoch takes no longer than others."""
        began = time.monotonic()
        self.stepper.train(self.shape.nothing(), 0.0, 0)
        if self.data.test is not None:
            self.stepper.validate(self.shape.nothing())
        self.stepper.clear()
        self.trace_s = time.monotonic() - began

    def run(self) -> None:
        """Trains the epochs that are left."""
        began = time.monotonic()
        self._stop.hold()
        with ExitStack() as held:
            if self.board is not None:
                held.enter_context(self.board)
            while self.epoch < self.plan.epochs and not self._enough():
                self._one_epoch()
        if self.plan.patience and self.course.best:
            self.stepper.load({**self.stepper.state(), "weights": self.best})
        self.network.set_weights(self.stepper.state()["weights"])
        self.run_s = time.monotonic() - began

    def _enough(self) -> bool:
        best, patience = self.course.best, self.plan.patience
        self.early = bool(patience and best and self.epoch - 1 - best["epoch"] >= patience)
        return self.early

    def _one_epoch(self) -> None:
        part = Part(self.course.part)
        self._train_epoch(part)
        self.course.part = part.sums
        validation = self._validate()
        self._end_epoch(part, validation)
        self.epoch, self.step, self.course.part = self.epoch + 1, 0, {}
        self._save()
        if self.board is not None:
            _wrap(self.board.copy, f"{self.plan.out}/tensorboard")
        if self._asked():
            self._interrupt()

    def _train_epoch(self, part: Part) -> None:
        loader, every = self.data.train, self.plan.checkpoint_every
        before = self.steps - self.step
        self.stepper.clear(part.totals())
        progress = self.setting.progress.stage(f"epoch {self.epoch + 1} of {self.plan.epochs}", loader.events, "events")
        progress(int(part.sums["events"]))
        rate = self.plan.rate(self.epoch)
        if self.step >= loader.steps:
            return
        first = self.steps
        cut = sizes(self.step, loader.steps, self._most, every, before)
        with Feed(loader.epoch(self.epoch, self.step), cut, lambda batches, done: self.shape.chunk(batches, first + done)) as feed:
            while self.step < loader.steps:
                chunk = self._next(feed)
                if chunk is None:
                    self._pause(part)
                    continue
                self.stepper.train(chunk, rate, self.steps, (self._stop.asked, self._waited))
                self.step, self.steps = self.step + chunk.steps, self.steps + chunk.steps
                self._metrics.stepped(chunk.steps, chunk.own, part.stepped(chunk.steps), self._waited)
                progress(chunk.events)
                due = every and self.steps % every == 0 and self.step < loader.steps
                if self._asked() or due:
                    self._pause(part)
        part.take(self.stepper.totals(), self.step)

    def _next(self, feed: Feed) -> Chunk | None:
        waited = feed.wait_s
        # Workers stop together, after a step: one that waits for data cannot stop alone.
        chunk = feed.next((lambda: self._stop.asked) if self.workers == 1 else (lambda: False))
        self._waited = feed.wait_s - waited
        self.wait_s += self._waited
        return chunk

    def _asked(self) -> bool:
        """Whether to stop: the same in all workers after the same step."""
        return self._stop.asked if self.workers == 1 else self.stepper.totals().stop > 0

    def _pause(self, part: Part) -> None:
        """A checkpoint in an epoch; and the end, where a signal came."""
        part.take(self.stepper.totals(), self.step)
        self.course.part = part.sums
        self._save()
        if self._asked():
            self._interrupt()
        part.resume()

    def _interrupt(self) -> None:
        where = f"in epoch {self.epoch + 1}, after step {self.steps}"
        if self.output is None:
            raise Interrupted(f"interrupted {where}")
        name = self.output.folder.path(Checkpoint({}, self.epoch, self.step, self.steps).name)
        raise Interrupted(f"interrupted {where}: {name} holds all until there; go on with the same command and --resume")

    def _validate(self) -> dict[str, Any]:
        loader = self.data.test
        if loader is None:
            return {"test_loss": None, "test_accuracy": None}
        asked = self._asked()
        self.stepper.clear()
        began = time.monotonic()
        steps = min(max(math.ceil(self.plan.validate * loader.steps), 1), loader.steps)
        progress = self.setting.progress.stage(f"validate {self.epoch + 1}", loader.events, "events")
        cut = sizes(0, steps, self._most, None, 0)
        with Feed(loader.epoch(0), cut, lambda batches, done: self.shape.chunk(batches, done, train=False)) as feed:
            while not asked and (chunk := self._next(feed)) is not None:
                self.stepper.validate(chunk, (self._stop.asked, self._waited))
                progress(chunk.events)
                asked = self._asked()
        if asked or self._stop.asked and self.workers == 1:
            self._save()
            self._interrupt()
        totals = self.stepper.totals()
        return {
            "test_loss": totals.loss / totals.events, "test_accuracy": totals.correct / totals.events,
            "test_events": int(totals.events), "test_s": round(time.monotonic() - began, 4), "test_wait_s": round(totals.wait_s, 4),
        }

    def _end_epoch(self, part: Part, validation: dict[str, Any]) -> None:
        told = {"epoch": self.epoch + 1, "learning_rate": self.plan.rate(self.epoch), **part.figures(), **validation}
        for name in ("loss", "test_loss"):
            if not math.isfinite(told[name] or 0.0):
                raise WorkloadError(
                    f"epoch {self.epoch + 1}: the {name.replace('_', ' ')} is {told[name]}: training has diverged. Give a smaller "
                    "--learning-rate, or see whether the data have values that are no numbers"
                )
        self.course.epochs.append(told)
        self._metrics.epoch(told)
        self.setting.progress.note(epoch_line(told))
        loss = told["test_loss"]
        if loss is not None and (not self.course.best or loss < self.course.best["loss"]):
            self.course.best = {"epoch": self.epoch, "loss": loss}
            self.best = self.stepper.state()["weights"]
        if self.board is not None:
            self.board.scalars(self.steps, scalars(told, self.workers))

    def _save(self) -> None:
        if self.output is None:
            return
        # Without --patience, too: a resume may have it.
        arrays = {**self.stepper.state(), "best": self.best}
        told = vars(self.course)
        self.output.checkpoints.save(Checkpoint(self.output.identity, self.epoch, self.step, self.steps, told, arrays))


def _wrap(action: Callable[[], None], what: str) -> None:
    try:
        action()
    except OSError as error:
        raise WorkloadError(f"{what}: was not written: {error}. The checkpoints are kept: make room and give --resume") from error


def _finish(training: _Training, watch: Watch, sampler: Sampler) -> dict[str, Any]:
    """Worker 0 writes model and figures; the others give it theirs, and end when it has."""
    own = _own(training, sampler)
    reports = watch.done(own)
    if training.output is None:
        watch.release()
        return own
    _save_model(training)
    told = _told(training, reports)
    training.output.write(FIGURES, (json.dumps(told, indent=1, allow_nan=False) + "\n").encode())
    watch.release()
    return told


def _own(training: _Training, sampler: Sampler) -> dict[str, Any]:
    """What a worker tells of itself."""
    data = training.data
    read = sum((loader.measured for loader in (data.train, data.test) if loader is not None), Measured())
    return {
        "worker": {**sampler.figures(), "measured": replace(read, wall_s=training.run_s, wait_s=training.wait_s).to_json()},
        "opened": data.prepared.measured.to_json(),
        "process": {
            "worker": training.setting.cluster.index, "host": socket.gethostname(), "pid": os.getpid(),
            "wait_s": training.wait_s, "trace_s": training.trace_s, "loader_wait_s": read.wait_s,
        },
    }


def _save_model(training: _Training) -> None:
    assert training.output is not None
    with tempfile.TemporaryDirectory(prefix="storescope-model-") as folder:
        path = os.path.join(folder, MODEL)
        training.network.save(path)
        with open(path, "rb") as file:
            training.output.write(MODEL, file.read())


def _told(training: _Training, reports: list[dict[str, Any]]) -> dict[str, Any]:
    plan, course, data = training.plan, training.course, training.data
    chosen = plan.patience and course.best
    now = time.monotonic()
    return {
        "schema": SCHEMA,
        "started": training.started,
        "model": {"name": plan.model, "params": plan.kind.parameters, "particles": data.particles},
        "options": {"epochs": plan.epochs, "batch": plan.batch, "workers": training.workers, "seed": plan.seed},
        "plan": {name: value for name, value in plan.to_json().items() if name != "settings"},
        "data": {"url": plan.data, "format": data.prepared.format, "fingerprint": data.fingerprint},
        "epochs": [{name: value for name, value in epoch.items() if name != "times"} for epoch in course.epochs],
        "steps": {"first": _steps(course.epochs[:1]), "steady": _steps(course.epochs[1:])},
        "stopped_early": training.early,
        "weights_of_epoch": int(course.best["epoch"]) + 1 if chosen else len(course.epochs),
        "resumed": {"steps": course.resumed} if course.resumed else None,
        "time": {"plan_s": now - training.began - training.run_s, "run_s": training.run_s, "trace_s": training.trace_s},
        "devices": training.gpus or ["CPU"],
        "replicas": training.replicas,
        "workers": [report["worker"] for report in reports],
        "processes": [report["process"] for report in reports],
        "opened": sum((Measured.from_json(report["opened"]) for report in reports), Measured()).to_json(),
        "versions": {"tensorflow": _version("tensorflow", "tensorflow-cpu"), "keras": _version("keras")},
    }


def _steps(epochs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Sums over some epochs; nothing where there are none."""
    if not epochs:
        return None
    sums = {name: sum(epoch[name] for epoch in epochs) for name in ("steps", "events", "wall_s", "wait_s")}
    return {**sums, "ms": milliseconds(epochs)}
