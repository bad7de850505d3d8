# SPDX-License-Identifier: Apache-2.0
"""Runs `storescope-workloads` as a user does, in a process of its own, and joins what it says with what the server saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import measuring

import storescope

COMMAND = [sys.executable, "-m", "storescope_workloads"]
ENDINGS = {"ttree": "root", "rntuple": "root", "parquet": "parquet"}


@dataclass(frozen=True)
class Reduction:
    """A `reduce` to measure.

    Attributes:
        inputs: URLs or paths, globs among them.
        below: The prefix of the inputs' keys; empty where they are local files.
        out: A folder, in the store or local; a new one below it is made for each run.
        environment: Variables beside the server's.
    """

    engine: str
    inputs: tuple[str, ...]
    below: str
    out: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What one run came to: ``result.json``, what the server saw of its reads, and the command's own cost."""

    result: dict[str, Any]
    traffic: measuring.Traffic
    seconds: float
    cpu: float

    @property
    def pairs(self) -> int:
        return int(self.result["physics"]["pairs"])

    @property
    def mean_mass(self) -> float:
        return float(self.result["physics"]["mean_mass_gev"])

    @property
    def plan_s(self) -> float:
        return float(self.result["time"]["plan_s"])

    @property
    def run_s(self) -> float:
        return float(self.result["time"]["run_s"])

    @property
    def wait_s(self) -> float:
        """Seconds in which tasks stood still for bytes, those of the plan among them."""
        return float(self.result["io"]["wait_s"])

    @property
    def needed(self) -> int:
        return int(self.result["io"]["work"]["bytes_needed"])


def reduce(server: measuring.Server, job: Reduction, model: str) -> Outcome:
    """Runs it once, the model's draws from their beginning."""
    out = f"{job.out}/{uuid.uuid4().hex}"
    command = [*COMMAND, "reduce", *job.inputs, "--engine", job.engine, "--out", out, *job.options]
    jars = {name: os.environ[name] for name in ("STORESCOPE_JARS",) if name in os.environ}
    environment = {**server.environment(), **jars, **job.environment}
    server.model(model)
    server.forget()
    ran = measuring.run(command, environment)
    traffic = measuring.Traffic.below(server.record(), job.below) if job.below else measuring.Traffic(0, 0, 0)
    return Outcome(_result(server, out), traffic, ran.seconds, ran.cpu)


def _result(server: measuring.Server, out: str) -> dict[str, Any]:
    if "://" not in out:
        return json.loads(Path(out, "result.json").read_text())
    store = storescope.open_store(out + "/", endpoint=server.oci["endpoint"], config_file=server.oci["config_file"])
    return json.loads(bytes(store.get("result.json")))


def generate(out: Path, form: str, *, events: int, files: int, branches: int = 37) -> Path:
    """The sample as files in a folder; one that is there already is taken."""
    folder = out / f"{form}-{events}-{files}-{branches}"
    done = out / f"{folder.name}.done"
    if not done.exists():
        told = {"events": events, "files": files, "branches": branches, "format": form, "out": folder, "seed": 7}
        options = [word for name, value in told.items() for word in (f"--{name}", str(value))]
        subprocess.run([*COMMAND, "generate", "dimuon", *options], check=True, stdout=sys.stderr)
        done.touch()
    return folder


def same_physics(outcomes: Sequence[Outcome]) -> None:
    """Ends the benchmark where two runs came to other pairs, or to a mean that differs by more than 1e-9 of it."""
    pairs = {outcome.pairs for outcome in outcomes}
    means = [outcome.mean_mass for outcome in outcomes]
    if len(pairs) != 1 or max(means) - min(means) > 1e-9 * max(means):
        raise SystemExit(f"results differ: pairs {sorted(pairs)}, means {sorted(set(means))}")
