# SPDX-License-Identifier: Apache-2.0
"""What a trained model came to, as files: ``result.json``, ``run.hlog`` and the pictures.

``result.schema.json`` describes each member of ``result.json``; docs/TRAINER.md has it as a table. Members that the
reduction's result has, too, mean the same."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, replace
from importlib import metadata, resources
from typing import Any

from storescope import Snapshot

from .. import __version__
from ..errors import UsageError, WorkloadError
from ..places import Folder, is_store
from ..scan.account import Where, host, io, total
from ..scan.measured import Measured
from .data import Prepared
from .evaluate import Evaluation, Scorer, class_counts
from .render import render as render

#: The version of ``result.json``: another number means that members changed their meaning.
SCHEMA = 1
WORKLOAD = "trigger-classifier"
#: What ``trainer train`` leaves for it.
TRAINED = "train.json"
RESULT = "result.json"

_PACKAGES = ("storescope", "numpy", "pyarrow")
#: Options of the training that are told.
_OPTIONS = (
    "epochs", "batch", "streams", "seed", "dropout", "rates", "patience", "validate", "device", "threads", "prefetch", "cache",
    "steps_per_call",
)


@dataclass(frozen=True)
class Training:
    """What ``train.json`` tells.

    Attributes:
        told: Its content.
        opened: What it cost the workers to open the data, added.
        work: What the reads of the epochs cost the workers, added. ``wall_s``, ``cpu_s`` and ``wait_s`` are those of the
            workers themselves, not of threads that read ahead.
    """

    told: dict[str, Any]
    opened: Measured
    work: Measured

    @classmethod
    def read(cls, folder: Folder) -> Training:
        """Reads it from the folder of a training.

        Raises:
            WorkloadError: It is not there, or was written by another version; names the folder and what to do.
        """
        try:
            told = json.loads(folder.read(TRAINED))
        except FileNotFoundError as error:
            raise UsageError(
                f"{folder.url}: holds no finished training ({TRAINED} is missing): run storescope-workloads trainer train, "
                "which writes it at its end"
            ) from error
        if told.get("schema") != SCHEMA:
            raise WorkloadError(f"{folder.url}: {TRAINED} was written by another version; run trainer train again")
        return cls.of(told)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Training:
        """From its content."""
        work = total(Measured.from_json(worker["measured"]) for worker in told["workers"])
        cpu = sum(worker["cpu_s"] for worker in told["workers"])
        return cls(told, Measured.from_json(told["opened"]), replace(work, tasks=len(told["workers"]), cpu_s=cpu))

    @property
    def resumed(self) -> bool:
        """Whether it went on with another run's checkpoint."""
        return self.told["resumed"] is not None


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of ``result.json``."""
    text = resources.files(__package__).joinpath("result.schema.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def write(out: Folder, training: Training, scorer: Scorer, evaluation: Evaluation, prepared: Prepared) -> dict[str, Any]:
    """Writes the files of an evaluated model into its folder and returns what is in ``result.json``.

    ``result.json`` is written last: where it is, all the others are."""
    from .plots import save_all  # matplotlib takes its time

    told = result(out, training, scorer, evaluation, prepared)
    out.write("run.hlog", snapshot(training, evaluation).to_hlog().encode())
    save_all(told, out)
    out.write(RESULT, (json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    return told


def snapshot(training: Training, evaluation: Evaluation) -> Snapshot:
    """All requests for prepared data, of training and evaluation: what ``run.hlog`` holds."""
    return (training.opened + training.work + evaluation.opened + evaluation.measured).snapshot


def result(
    out: Folder, training: Training, scorer: Scorer, evaluation: Evaluation, prepared: Prepared
) -> dict[str, Any]:
    """What is in ``result.json``."""
    told = training.told
    workers = len(told["workers"])
    return {
        "schema": SCHEMA,
        "workload": WORKLOAD,
        "engine": "tensorflow",
        "versions": _versions(told["versions"]),
        "host": host(),
        "started": told["started"],
        "options": {name: told["plan"][name] for name in _OPTIONS} | {"workers": workers},
        "model": {
            "name": scorer.name,
            "params": scorer.params,
            "particles": scorer.particles,
            "source": scorer.source.rpartition("/")[2],
            "epochs": told["weights_of_epoch"],
            "stopped_early": told["stopped_early"],
        },
        "data": _data(prepared),
        "events": _events(training, prepared),
        **evaluation.curves.to_json(),
        "epochs": [_epoch(epoch, workers) for epoch in told["epochs"]],
        "steps": {name: _step_ms(steps) for name, steps in told["steps"].items()},
        "events_per_s": {name: _rate(steps, "events") for name, steps in told["steps"].items()},
        "wait_share": {name: _rate(steps, "wait_s", workers) for name, steps in told["steps"].items()},
        "devices": told["devices"],
        "workers": [_worker(*both) for both in zip(told["workers"], told["processes"], strict=True)],
        "io": _io(training, evaluation, prepared),
        "time": _time(training, evaluation, prepared),
        "output": _output(out),
    }


def _versions(trained: dict[str, str]) -> dict[str, str]:
    found = {name: metadata.version(name) for name in _PACKAGES}
    libraries = {name: trained[name] for name in ("tensorflow", "keras")}
    return {"workloads": __version__, "python": platform.python_version(), **found, **libraries}


def _data(prepared: Prepared) -> dict[str, Any]:
    manifest = prepared.manifest
    return {
        "url": prepared.folder.url,
        "fingerprint": manifest.fingerprint,
        "format": prepared.format,
        "max_particles": manifest.max_particles,
        "shards": {"train": len(manifest.train), "test": len(manifest.test)},
        "train": class_counts(manifest, "train"),
        "test": class_counts(manifest, "test"),
    }


def _events(training: Training, prepared: Prepared) -> dict[str, int]:
    """The events of all epochs.

    Raises:
        WorkloadError: Steps were taken with more or fewer than there are.
    """
    epochs = training.told["epochs"]
    every, used = sum(class_counts(prepared.manifest, "train").values()), [epoch["events"] for epoch in epochs]
    if set(used) - {every}:
        raise WorkloadError(
            f"{prepared.folder.url}: the counts do not add up: there are {every:,} training events, and epochs used "
            f"{', '.join(f'{count:,}' for count in used)}. This is a fault of the program"
        )
    return {"in": every * len(epochs), "out": sum(used), "cut": 0, "skipped": 0}


def _rate(steps: dict[str, Any] | None, of: str, workers: int = 1) -> float | None:
    """A sum over the wall time of the steps; of what all workers add, the mean of them."""
    return steps[of] / steps["wall_s"] / workers if steps and steps["wall_s"] else None


def _step_ms(steps: dict[str, Any] | None) -> dict[str, float | None]:
    return {name: None if steps is None else steps["ms"][name] for name in ("mean", "p50", "p90", "p99")}


def _epoch(told: dict[str, Any], workers: int) -> dict[str, Any]:
    plain = ("epoch", "events", "steps", "wall_s", "learning_rate", "loss", "accuracy", "test_loss", "test_accuracy")
    return {
        **{name: told[name] for name in plain},
        "events_per_s": _rate(told, "events"),
        "step_ms": _step_ms(told),
        "wait_share": _rate(told, "wait_s", workers),
    }


def _worker(used: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": told["host"],
        "wait_s": told["wait_s"],
        "compile_s": told["trace_s"],
        **{name: used[name] for name in ("wall_s", "cpu_s", "rss_mean_bytes", "rss_peak_bytes", "gpu")},
    }


def _io(training: Training, evaluation: Evaluation, prepared: Prepared) -> dict[str, Any]:
    stored = is_store(prepared.folder.url)
    at = Where(stored, stored)
    return {
        **io(training.opened + training.work, at),
        "plan": io(training.opened, at),
        "work": io(training.work, at),
        "evaluation": io(evaluation.opened + evaluation.measured, at),
    }


def _time(training: Training, evaluation: Evaluation, prepared: Prepared) -> dict[str, Any]:
    told = training.told
    opened, work = training.opened, training.work
    events, run = _events(training, prepared)["out"], told["time"]["run_s"]
    plan = told["time"]["plan_s"] + (opened.wall_s / opened.tasks if opened.tasks else 0.0)
    wall, cpu = plan + run, work.cpu_s
    whole = not training.resumed
    return {
        "wall_s": wall,
        "plan_s": plan,
        "plan_cpu_s": opened.cpu_s,
        "run_s": run,
        "tasks": work.tasks,
        "task_wall_s": sum(worker["wall_s"] for worker in told["workers"]),
        "task_cpu_s": cpu,
        "events_per_s": events / wall if whole and wall else None,
        "events_per_cpu_s": events / cpu if whole and cpu else None,
        "evaluate_s": evaluation.measured.wall_s,
    }


def _output(out: Folder) -> dict[str, int]:
    sizes = [size for name, size in out.sizes().items() if name == "model.keras" or name.startswith("checkpoints/")]
    return {"files": len(sizes), "bytes": sum(sizes)}
