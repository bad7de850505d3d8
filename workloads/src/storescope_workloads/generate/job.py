# SPDX-License-Identifier: Apache-2.0
"""Writes the files of a sample, by processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, WorkloadError
from ..places import Folder
from ..processes import begin, starting
from . import columns
from .columns import Columns
from .files import write
from .samples import AnySample, Sample

__all__ = ["Progress", "Sample", "Written", "refuse", "run_local", "write_file"]


@dataclass(frozen=True)
class Written:
    """A file that is written: its number, and what is in it."""

    number: int
    events: int
    bytes: int


#: Called with the number of events that are done since the last call.
Progress = Callable[[int], None]


def write_file(
    sample: AnySample, number: int, out: Folder, progress: Progress = lambda events: None, attempt: str = ""
) -> Written:
    """Makes one file of a sample.

    Args:
        attempt: Different for attempts at one file that may run at once.

    Raises:
        WorkloadError: It could not be written; names it. No part of it is there then.
    """
    start, stop = sample.span(number)
    try:
        size = write(out, sample.name(number), sample.layout, _clusters(sample, start, stop, progress), attempt)
    except OSError as error:
        raise WorkloadError(f"{out.path(sample.name(number))}: was not written: {error}") from error
    return Written(number, stop - start, size)


def _clusters(sample: AnySample, start: int, stop: int, progress: Progress) -> Iterator[Columns]:
    for first, last in columns.clusters(start, stop, sample.cluster):
        yield sample.columns(first, last)
        progress(last - first)


def refuse(sample: AnySample, out: Folder, overwrite: bool) -> None:
    """Looks at the folder before anything is written.

    Without ``overwrite`` it must be empty. With it, files of the sample's names are replaced. Files of another sample
    that would lie beside this one are an error: nothing is removed here.

    Raises:
        UsageError: The folder cannot be used.
    """
    names = out.files()
    if names and not overwrite:
        found = f"{len(names)} files, such as {names[0]}"
        raise UsageError(f"{out.url}: is not empty ({found}); give --overwrite, or another --out")
    own = {sample.name(number) for number in range(sample.count)}
    for name in names:
        if name not in own and re.fullmatch(sample.pattern, name):
            raise UsageError(
                f"{out.path(name)}: is of another sample and would stay beside this one; remove it, or give another --out"
            )


def run_local(sample: AnySample, out: Folder, processes: int, progress: Progress) -> list[Written]:
    """Writes all files by processes of this machine; returns them in the order of their numbers.

    Where it fails or is interrupted, files that are complete by then stay, and those that are being written are aborted
    at their next cluster.

    Raises:
        WorkloadError: A file could not be written, or a process died.
    """
    processes = min(processes, sample.count)
    if processes <= 1:
        return [write_file(sample, number, out, progress) for number in range(sample.count)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    shared = _Shared(context.Value("q", 0), context.Event())
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(shared, dict(os.environ)))
    try:
        with starting():
            futures = [pool.submit(_write_shared, sample, number, out) for number in range(sample.count)]
        _follow(futures, shared, progress)
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise WorkloadError("a process died while it wrote a file (out of memory?); complete files stay") from error
    finally:
        shared.stopped.set()
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Shared:
    """Between the processes: how many events are done, and whether all shall stop."""

    done: Any
    stopped: Any


def _follow(futures: list[Future[Written]], shared: _Shared, progress: Progress) -> None:
    """Waits until all are done or one has failed."""
    pending, told = set(futures), 0
    while pending:
        ended, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        now = shared.done.value
        progress(now - told)
        told = now
        for future in ended:
            future.result()


_shared: _Shared


def _begin(shared: _Shared, environment: dict[str, str]) -> None:
    """In a new process. Its environment is this process's as it is now: the fork server has that of the time it began.
    An interrupt goes to the first process, which tells the others."""
    global _shared
    begin()
    _shared = shared
    os.environ.clear()
    os.environ.update(environment)


class _Terminated(BaseException):
    """The pool ends this process, since another has died."""


def _write_shared(sample: AnySample, number: int, out: Folder) -> Written:
    def terminate(*_: object) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        return write_file(sample, number, out, _count)
    except _Terminated:
        os._exit(1)  # The file is given up by now, and the pool waits for the end of the process.
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _count(events: int) -> None:
    if _shared.stopped.is_set():
        raise InterruptedError("the job has ended")
    with _shared.done.get_lock():
        _shared.done.value += events
