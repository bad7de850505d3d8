# SPDX-License-Identifier: Apache-2.0
"""An epoch under way: sums over its steps, and the figures they give."""

from __future__ import annotations

import time
from typing import Any

from .steptimes import StepTimes


class Part:
    """Sums over the part of an epoch that is done."""

    def __init__(self, sums: dict[str, Any]) -> None:
        self.sums: dict[str, Any] = {
            "loss": 0.0, "correct": 0.0, "events": 0.0, "wait_s": 0.0, "steps": 0, "wall_s": 0.0, "times": {}, **sums
        }
        self._times = StepTimes(self.sums["times"])
        self._last = time.monotonic()

    def totals(self) -> Any:
        """As the stepper has them."""
        from .loop import Totals

        return Totals(self.sums["loss"], self.sums["correct"], self.sums["events"], 0.0, self.sums["wait_s"])

    def stepped(self, steps: int) -> float:
        """Steps were taken since the last, or since :meth:`resume`: in so many seconds."""
        now = time.monotonic()
        taken = now - self._last
        self._times.add(taken, steps)
        self.sums["wall_s"] += taken
        self._last = now
        return taken

    def resume(self) -> None:
        """What happened since the last steps was no training."""
        self._last = time.monotonic()

    def take(self, totals: Any, step: int) -> None:
        """Sets the sums to the stepper's."""
        self.sums |= {
            "loss": totals.loss, "correct": totals.correct, "events": totals.events, "wait_s": totals.wait_s, "steps": step,
            "times": self._times.counts,
        }

    def figures(self) -> dict[str, Any]:
        """Of the whole epoch; ``wait_s`` of all workers added."""
        sums = self.sums
        events = max(sums["events"], 1.0)
        return {
            "loss": sums["loss"] / events, "accuracy": sums["correct"] / events, "events": int(sums["events"]),
            "steps": sums["steps"], "wall_s": sums["wall_s"], "wait_s": sums["wait_s"], "times": sums["times"],
            "ms": milliseconds([sums]),
        }


def milliseconds(sums: list[dict[str, Any]]) -> dict[str, float | None]:
    """The mean of a step and quantiles, of some epochs."""
    steps = sum(one["steps"] for one in sums)
    mean = 1e3 * sum(one["wall_s"] for one in sums) / steps if steps else None
    return {"mean": mean, **sum((StepTimes(one["times"]) for one in sums), StepTimes()).quantiles()}


def scalars(told: dict[str, Any], workers: int) -> dict[str, float]:
    """What TensorBoard shows of an epoch."""
    wall = max(told["wall_s"], 1e-9)
    found = {
        "train/loss": told["loss"], "train/accuracy": told["accuracy"], "test/loss": told["test_loss"],
        "test/accuracy": told["test_accuracy"], "learning_rate": told["learning_rate"], "rate/events_per_s": told["events"] / wall,
        "rate/wait_share": told["wait_s"] / wall / workers, "rate/ms_per_step": told["ms"]["mean"], "epoch": told["epoch"],
    }
    return {name: value for name, value in found.items() if value is not None}
