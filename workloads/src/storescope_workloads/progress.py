# SPDX-License-Identifier: Apache-2.0
"""How far a command is, on stderr: of whatever takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

from .scan.engine import Progress
from .scan.job import Watch

#: Seconds before something is shown; and between two lines where stderr is no terminal.
PATIENCE, PACE = 2.0, 10.0


class Bars(Watch):
    """A bar for each stage; where stderr is no terminal, a line now and then. For a ``with``, which ends the last."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def stage(self, name: str, total: int, unit: str) -> Progress:
        self._end()
        if not sys.stderr.isatty():
            return _Lines(name, total, unit)
        bar: tqdm[Any] = tqdm(
            total=total, desc=name, unit=f" {unit}", unit_scale=total >= 10_000, delay=PATIENCE, dynamic_ncols=True
        )
        self._bar = bar

        def count(done: int) -> None:
            bar.update(done)

        return count

    def note(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """Lines for a log: the first when it takes long, then every :data:`PACE` seconds."""

    def __init__(self, name: str, total: int, unit: str) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._done = 0
        self._due = time.monotonic() + PATIENCE

    def __call__(self, done: int) -> None:
        self._done += done
        now = time.monotonic()
        if now >= self._due:
            self._due = now + PACE
            print(f"{self._name}: {self._done:,} of {self._total:,} {self._unit}", file=sys.stderr, flush=True)
