# SPDX-License-Identifier: Apache-2.0
"""The output folder of a training. No TensorFlow."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError, WorkloadError
from ..places import Folder
from .checkpoint import Checkpoint, Checkpoints
from .plan import Plan

MODEL, FIGURES = "model.keras", "train.json"
#: What is in an output folder, of a training and of its evaluation: ``--overwrite`` removes nothing else.
_OURS = (
    "checkpoints", "tensorboard", MODEL, FIGURES, "result.json", "run.hlog", "roc.png", "confusion.png", "scores.png",
    "training.png",
)


class Output:
    """The output folder, as worker 0 has it: empty, or with checkpoints to go on from.

    Args:
        plan: What is asked for.
        identity: What must be the same in a training that is gone on with.

    Raises:
        UsageError: The folder holds something, and neither ``--resume`` nor ``--overwrite`` was given, or what it holds
            is not a training's.
    """

    def __init__(self, plan: Plan, identity: dict[str, Any]) -> None:
        self.folder = Folder(plan.out, plan.settings)
        self.identity = identity
        self.checkpoints = Checkpoints(self.folder, plan.keep)
        self.found: Checkpoint | None = None
        self._old = False
        if plan.resume:
            self.found = self.checkpoints.newest(self.identity)
            if self.found is not None:
                self._refuse_fewer(plan, self.found)
        elif self.folder.files():
            if not plan.overwrite:
                raise UsageError(f"{plan.out}: is not empty; give --resume to go on, --overwrite, or another --out")
            self._refuse(plan)
            self._old = True

    def _refuse_fewer(self, plan: Plan, found: Checkpoint) -> None:
        begun = found.epoch + bool(found.step)
        if plan.epochs < begun:
            raise UsageError(
                f"--epochs {plan.epochs}: {self.folder.path(found.name)} is in epoch {begun}; give at least {begun}, or train anew"
            )

    def _refuse(self, plan: Plan) -> None:
        """Refuses to remove what no training has written."""
        strange = next((name for name in self.folder.files() if name.split("/")[0].removesuffix(".part") not in _OURS), None)
        if strange is not None:
            raise UsageError(f"{plan.out}: holds more than a training's output ({strange}); give another --out")
        for name, url in (("--data", plan.data), ("--cache", plan.cache)):
            if url is not None and self.folder.holds(url):
                raise UsageError(f"{plan.out}: holds {name} {url}, which --overwrite would remove; give another --out")

    def begin(self) -> None:
        """Removes an earlier training: once nothing else can be refused."""
        if self._old:
            self.folder.clear()

    def write(self, name: str, data: bytes) -> None:
        """Writes a file; says which where it could not."""
        try:
            self.folder.write(name, data)
        except OSError as error:
            raise WorkloadError(
                f"{self.folder.path(name)}: was not written: {error}. The checkpoints are kept: make room and give --resume"
            ) from error
