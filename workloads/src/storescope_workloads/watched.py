# SPDX-License-Identifier: Apache-2.0
"""Actions of Spark that are watched while they run, and are cancelled with what interrupts the watch."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import WorkloadError
from .spark import failure, spark_errors
from .tidy import tidying

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext

T = TypeVar("T")

#: What a task tells: units that are done, and an error that ends the job. It is an error that the user can act on, and no failure of
#: the task, which Spark would repeat.
Told = tuple[int, WorkloadError | None]

#: Seconds between two looks, and that cancelled tasks have to end.
PACE, PATIENCE = 0.2, 10.0


def run_watched(context: SparkContext, name: str, action: Callable[[], T], look: Callable[[str], None]) -> T:
    """Runs an action in a thread of its own, its jobs in a group of their own.

    Args:
        name: Of the jobs, as Spark shows them.
        look: Called in this thread again and again, and once when the action has ended, with the name of the group. What it
            raises cancels the jobs, and so does Ctrl-C; their tasks have ended then.

    Raises:
        WorkloadError: The action failed.
    """
    group = f"storescope-{uuid.uuid4().hex}"

    def act() -> T:
        context.setJobGroup(group, f"storescope-workloads: {name}", interruptOnCancel=True)
        return action()

    with spark_errors(), ThreadPoolExecutor(1) as pool:
        running = pool.submit(act)
        try:
            while not wait([running], timeout=PACE).done:
                look(group)
            if running.exception() is None:
                look(group)
        except BaseException:
            _cancel(context, group, running)
            raise
    try:
        return running.result()
    except Exception as error:
        raise failure(error) from error


class Watched:
    """Jobs of Spark whose tasks tell how far they are, by :attr:`told`. An error that one tells ends them, and so does Ctrl-C."""

    def __init__(self, context: SparkContext, name: str, total: int, progress: Callable[[int], None]) -> None:
        self.told: Accumulator[Told] = context.accumulator((0, None), _Telling())  # type: ignore[arg-type]
        self._context, self._name, self._total, self._progress = context, name, total, progress
        self._done = 0

    def run(self, action: Callable[[], T]) -> T:
        """Runs an action while it is watched.

        Raises:
            WorkloadError: As a task told it, or the job failed.
        """
        return run_watched(self._context, self._name, action, lambda group: self._look())

    def rest(self) -> None:
        """The units that no task told of."""
        self._count(self._total)

    def _look(self) -> None:
        done, error = self.told.value
        if error is not None:
            raise error
        self._count(done)

    def _count(self, done: int) -> None:
        # Tasks that ran twice have told twice.
        new = min(done, self._total) - self._done
        if new > 0:
            self._progress(new)
            self._done += new


class _Telling:
    """How they add up: an ``AccumulatorParam``."""

    def zero(self, value: Told) -> Told:
        return 0, None

    def addInPlace(self, one: Told, other: Told) -> Told:
        return one[0] + other[0], one[1] or other[1]


def _cancel(context: SparkContext, group: str, running: Future[Any]) -> None:
    while True:
        with tidying("jobs were not cancelled"):
            context.cancelJobGroup(group)
        # Jobs that have not begun are not cancelled by this: again, until the action has ended.
        if wait([running], timeout=0.5).done:
            break
    with tidying("tasks were not waited for"):
        _settle(context)


def _settle(context: SparkContext) -> None:
    """Waits for tasks that were cancelled: Spark stops loudly under those that still run."""
    tracker: Any = context._jsc.sc().statusTracker()
    deadline = time.monotonic() + PATIENCE
    while sum(info.numRunningTasks() for info in tracker.getExecutorInfos()) and time.monotonic() < deadline:
        time.sleep(0.1)
