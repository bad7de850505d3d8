# SPDX-License-Identifier: Apache-2.0
"""A pool of processes of this machine. They end with it, and whenever this process ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..errors import WorkloadError
from ..processes import begin, starting

#: Seconds that processes have to end by themselves.
PATIENCE = 5.0


class Pool:
    """Runs functions in ``count`` processes, which are started by spawn; with one, in this process. For a ``with``."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        self._processes: list[Any] = []

    def __enter__(self) -> Pool:
        if self.count > 1:
            spawn = multiprocessing.get_context("spawn")
            others = set(multiprocessing.active_children())
            self._pool = ProcessPoolExecutor(self.count, spawn, begin)
            with starting():
                for _ in range(self.count):
                    self._pool.submit(os.getpid)
            self._processes = [child for child in multiprocessing.active_children() if child not in others]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the processes. What they are writing is given up; when this returns, they write no more."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        pool.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], what: str) -> Iterator[tuple[int, Any]]:
        """The number and the result of each call, as they end; a few more than there are processes are under way.

        Raises:
            WorkloadError: A process died; names ``what``. Else what the first call to fail has raised.
        """
        if self.count <= 1:
            yield from ((number, function(*call)) for number, call in enumerate(calls))
            return
        assert self._pool is not None, "the pool has ended"
        under_way: dict[Future[Any], int] = {}
        try:
            for number, call in enumerate(calls):
                under_way[self._pool.submit(_call, function, call)] = number
                if len(under_way) >= 2 * self.count:
                    yield from _ended(under_way)
            while under_way:
                yield from _ended(under_way)
        except BrokenProcessPool as error:
            raise WorkloadError(f"{what}: {self._death()}; run it again with fewer --processes") from error

    def _death(self) -> str:
        for process in self._processes:
            process.join(PATIENCE)
            if process.exitcode == -signal.SIGKILL:
                return f"the worker process {process.pid} was killed (SIGKILL), as the kernel does when memory is full"
        return "a worker process ended before its work did"


class _Terminated(BaseException):
    """The pool ends this process."""


def _call(function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    """In a process of the pool: what is being written when it is ended is given up in order."""

    def terminate(*_: object) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        return function(*given)
    except _Terminated:
        os._exit(1)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _ended(under_way: dict[Future[Any], int]) -> list[tuple[int, Any]]:
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    return [(under_way.pop(call), call.result()) for call in done]
