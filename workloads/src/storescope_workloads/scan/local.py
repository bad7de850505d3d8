# SPDX-License-Identifier: Apache-2.0
"""The engine ``local``: tasks in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from multiprocessing.synchronize import Event
from typing import Any

from ..errors import BadFile, WorkloadError
from ..places import Folder, SourceFile
from ..processes import begin, starting
from ..tidy import tidying
from .engine import BatchReport, Job, Progress, batch_folder
from .layout import layouts_of
from .measured import Measured
from .parts import Part, PartResult, finish, parts_of, run_part
from .pieces import Batch, FileLayout

#: Files whose layouts one call of a worker reads, at most.
FILES_AT_ONCE = 32
#: Bytes that a task reads at most, about: progress is told as tasks end.
TASK_TARGET = 256 << 20
#: Seconds that workers have to end by themselves.
PATIENCE = 5.0


class LocalEngine:
    """Runs tasks in ``processes`` processes of this machine; by default one for each core that this process may use.

    The processes are started by spawn. They end with the ``with``, and whenever this process ends.
    """

    name = "local"
    batch_target = 4 << 30

    def __init__(self, processes: int | None = None) -> None:
        self.slots = processes or len(os.sched_getaffinity(0))
        self._planned = Measured()
        self._workers = _Workers(self.slots)

    def __enter__(self) -> LocalEngine:
        try:
            self._workers.start()
        except BaseException:
            self._workers.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.stop()

    def require(self, out: Folder, inputs: Sequence[str]) -> None:
        """The wheel reads and writes all there is."""

    def layouts(
        self, files: Sequence[tuple[str, SourceFile]], job: Job[Any], progress: Progress
    ) -> Iterator[FileLayout | BadFile]:
        """The layouts of the files, in their order."""
        share = max(1, min(FILES_AT_ONCE, -(-len(files) // (4 * self.slots))))
        groups = [(files[place : place + share], job) for place in range(0, len(files), share)]
        self._planned = Measured()
        early: dict[int, list[FileLayout | BadFile]] = {}
        following = 0
        for number, (found, measured) in self._workers.run(layouts_of, groups, "the plan"):
            self._planned = self._planned + measured
            progress(len(found))
            early[number] = found
            while following in early:
                yield from early.pop(following)
                following += 1

    def measured_plan(self) -> Measured:
        """What the last call of :meth:`layouts` has cost."""
        return self._planned

    def run(self, batch: Batch, job: Job[Any], out: Folder, progress: Progress) -> BatchReport:
        """Reads a batch and writes its rows, a file for each task.

        Raises:
            BadFile: A file is at fault, and ``job.skip`` is not set.
            WorkloadError: The store is, or a worker died.
        """
        folder = batch_folder(out, batch, job.kernel)
        folder.clear()
        try:
            return self._run(batch, job, folder, progress)
        except BaseException:
            with tidying("workers were not ended"):
                self._workers.stop()
            with tidying(f"{folder.url} was not cleared"):
                folder.clear()
            raise

    def versions(self) -> dict[str, str]:
        """Nothing beside Python and its packages."""
        return {}

    def _run(self, batch: Batch, job: Job[Any], folder: Folder, progress: Progress) -> BatchReport:
        parts = parts_of(batch, job, self.slots, TASK_TARGET)
        results: dict[int, PartResult] = {}
        for number, result in self._workers.run(
            _run_part, [(part, job, folder) for part in parts], f"batch {batch.number}"
        ):
            if result.tally.bad and not job.skip:
                raise min(result.tally.bad.items())[1]
            results[number] = result
            progress(parts[number].events)
        return finish(batch, parts, [results[number] for number in range(len(parts))], job, folder)


# In a worker.

#: Set when the job has failed: work that goes on is of no use.
_ending: Event | None = None


def _begin(ending: Event) -> None:
    global _ending
    _ending = ending
    begin()


def _run_part(part: Part, job: Job[Any], folder: Folder) -> PartResult:
    return run_part(part, job, folder, lambda: _ending is not None and _ending.is_set())


# In the engine's process.


class _Workers:
    """A pool of processes that is started when it is needed, and ends at once."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None
        self._ending: Event | None = None
        self._processes: list[Any] = []

    def start(self) -> ProcessPoolExecutor:
        """The pool; its processes start, and import what they need beside each other."""
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            others = set(multiprocessing.active_children())
            self._ending = spawn.Event()
            self._pool = ProcessPoolExecutor(self._count, spawn, _begin, (self._ending,))
            with starting():
                for _ in range(self._count):
                    self._pool.submit(os.getpid)
            self._processes = [child for child in multiprocessing.active_children() if child not in others]
        return self._pool

    def stop(self) -> None:
        """Ends the processes: those that are at work have :data:`PATIENCE` seconds to end it."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if self._ending is not None:
            self._ending.set()
        pool.shutdown(wait=False, cancel_futures=True)
        wait_for([process.sentinel for process in self._processes], timeout=0)
        left = PATIENCE
        for process in self._processes:
            process.join(left)
            if process.is_alive():
                process.kill()
                left = 0.0
                process.join()
        self._processes = []

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], what: str
    ) -> Iterator[tuple[int, Any]]:
        """The number and the result of each call, as they end; a few more than there are processes are under way.

        The first failure is raised. A process that dies is a :class:`WorkloadError`."""
        pool = self.start()
        under_way: dict[Future[Any], int] = {}
        try:
            for number, call in enumerate(calls):
                under_way[pool.submit(function, *call)] = number
                if len(under_way) >= 2 * self._count:
                    yield from _ended(under_way)
            while under_way:
                yield from _ended(under_way)
        except BrokenProcessPool as error:
            raise WorkloadError(
                f"{what}: {self._death()}. What was complete before is kept: run it again with --resume"
            ) from error

    def _death(self) -> str:
        """How a process died."""
        for process in self._processes:
            code = _exit_code(process)
            if code == -signal.SIGKILL:
                return f"the worker process {process.pid} was killed (SIGKILL), as the kernel does when memory is full"
            if code is not None and code < 0 and code != -signal.SIGTERM:
                return f"the worker process {process.pid} died of {signal.Signals(-code).name}"
        return "a worker process ended before its work did"


def _exit_code(process: Any) -> int | None:
    """With what a process ended; ``None`` where it does not. The pool's own thread may be taking note of it just now."""
    deadline = time.monotonic() + PATIENCE
    process.join(PATIENCE)
    while process.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return process.exitcode  # type: ignore[no-any-return]


def _ended(under_way: dict[Future[Any], int]) -> list[tuple[int, Any]]:
    """Waits for one call at least; takes out those that ended."""
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    return [(under_way.pop(call), call.result()) for call in done]
