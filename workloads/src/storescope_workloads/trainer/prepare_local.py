# SPDX-License-Identifier: Apache-2.0
"""The engine ``local`` of ``trainer prepare``: processes of this machine, and events on their way in files of a local disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence

from ..errors import WorkloadError
from ..scan.engine import Progress
from ..scan.measured import Measured
from .choice import Choice
from .pool import Pool
from .prepare_input import Input
from .prepare_work import Block, Job, Part, Sorted, Surveyed, Written, sort, survey, write
from .shards import Scalers
from .spill import Run, no_space, parts_of

#: Bytes of a block of a run: those that a process sorts by shards at once.
BLOCK = 16 << 20


class LocalEngine:
    """Runs tasks in processes of this machine; for a ``with``.

    A process holds a few blocks of 16 MiB, or a shard twice. All chosen events lie in the spill folder for a while, as large as they
    are in memory.

    Args:
        processes: By default one for each core that this process may use.
        spill: Folder for events on their way; without it that for temporary files (``TMPDIR``). A folder of its own is made there, and
            is removed at the end.
    """

    name = "local"

    def __init__(self, processes: int | None = None, spill: str | None = None) -> None:
        self.slots = processes or len(os.sched_getaffinity(0))
        self._pool = Pool(self.slots)
        self._parent = os.path.abspath(spill) if spill else None
        self._folder = ""
        self._runs: list[str] = []

    def __enter__(self) -> LocalEngine:
        try:
            self._folder = tempfile.mkdtemp(prefix="storescope-prepare-", dir=self._parent)
        except OSError as error:
            raise WorkloadError(f"{self._parent}: cannot hold events on their way: {error}; give another --spill") from error
        try:
            self._pool.__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._pool.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def survey(self, groups: Sequence[Sequence[Input]], job: Job, progress: Progress) -> Iterator[tuple[int, list[Surveyed], Measured]]:
        """What the files of each group hold: the number of the group, its files, the cost; as they end."""
        for number, (found, measured) in self._pool.run(survey, [(group, job) for group in groups], "the survey"):
            progress(len(groups[number]))
            yield number, found, measured

    def sort(self, tasks: Sequence[Sequence[Part]], job: Job, choice: Choice, progress: Progress) -> Sorted:
        """Sorts all events by their shards.

        Raises:
            WorkloadError: The disk has no space: names the folder.
        """
        self._refuse_small_disk(tasks, job, choice)
        self._runs = [os.path.join(self._folder, f"run-{number:05}") for number in range(len(tasks))]
        calls = [(task, job, choice, path) for task, path in zip(tasks, self._runs, strict=True)]
        done: dict[int, Sorted] = {}
        for number, result in self._pool.run(_sort, calls, "sorting events by shards"):
            done[number] = result
            progress(sum(part.events for part in tasks[number]))
        return sum((done[number] for number in range(len(tasks))), Sorted())

    def write(self, job: Job, choice: Choice, scalers: Scalers, progress: Progress) -> list[Written]:
        """Writes all shards; in the order of their numbers."""
        calls = [(number, self._runs, job, choice, scalers) for number in range(choice.shards)]
        written = []
        for _, one in self._pool.run(_write, calls, "writing shards"):
            written.append(one)
            progress(one.shard.count)
        return sorted(written, key=lambda one: one.number)

    def stop(self) -> None:
        """Ends all work: when this returns, nothing is written any more."""
        self._pool.stop()

    def versions(self) -> dict[str, str]:
        """Nothing beside Python and its packages."""
        return {}

    def _refuse_small_disk(self, tasks: Sequence[Sequence[Part]], job: Job, choice: Choice) -> None:
        found = sum(count.found for count in choice.counts)
        share = sum(choice.events.values()) / found
        needed = int(share * sum(65 * part.events + (4 * part.values if job.max_particles else 0) for task in tasks for part in task))
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            error = no_space(os.path.dirname(self._folder))
            raise WorkloadError(f"{error} (about {needed >> 20:,} MiB are needed, {free >> 20:,} MiB are free)")


def _sort(task: Sequence[Part], job: Job, choice: Choice, path: str) -> Sorted:
    result = Sorted()
    with Run(path) as run:
        for made in sort(task, job, choice, BLOCK):
            if isinstance(made, Block):
                run.add(made.shards, made.events)
            else:
                result = made
    return result


def _write(number: int, runs: Sequence[str], job: Job, choice: Choice, scalers: Scalers) -> Written:
    return write(number, parts_of(runs, number), job, choice, scalers)
