# SPDX-License-Identifier: Apache-2.0
"""The work of one task: its pieces in turn, while the bytes of those that follow are on their way.

::

    main thread      read 0 ─ cut 0 ─ read 1 ─ cut 1 ─ read 2 ─ …      a read takes what is there
    hints            1, 2 ─── 3 ────── 4 ───── …                       before the read, as far as ``AHEAD`` bytes go
    openers          file of 2 ─ file of 4                             the next files, with their first hints

The same in a process of the local engine and in an executor of Spark."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import awkward as ak  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import storescope

from ..errors import BadFile
from .engine import Job
from .formats import Opened
from .kernel import BadColumn, Kernel, Sum
from .measured import Measured
from .pieces import Piece
from .read import blamed, open_file

#: What is on its way beside the piece that is read: bytes, in pieces' target sizes; files and pieces at most.
AHEAD, FILES, PIECES = 2, 8, 16


@dataclass
class Outcome:
    """What one piece came to.

    Attributes:
        rows: Columns ``file`` (int32, the file's number in the plan), ``dataset`` (string) and those of the kernel; ``None``
            where the file is bad.
        summary: The kernel's counts; ``None`` where the file is bad.
        error: Why the piece could not be read.
    """

    piece: Piece
    rows: pa.Table | None = None
    summary: Sum | None = None
    error: BadFile | None = None


@dataclass
class TaskReport:
    """What a task cost. The last that it yields."""

    dataset: str
    measured: Measured


def work(task: Sequence[Piece], job: Job[Any]) -> Iterator[Outcome | TaskReport]:
    """Reads and cuts the pieces of one data set, in their order; at last it tells what that cost.

    A bad file's other pieces are not read. Without ``job.skip`` it ends after the first bad one, with its report.

    Raises:
        WorkloadError: The store cannot be read.
    """
    running = _Task(task, job)
    try:
        for number in range(len(task)):
            # The caller's own reads and writes between two pieces are not the task's.
            outcome = running.profile.wrap(running.piece)(number)
            yield outcome
            if outcome.error is not None and not job.skip:
                break
            running.leave(number)
            del outcome
        running.close()
        yield TaskReport(task[0].dataset if task else "", running.measured())
    finally:
        running.close()


class _Task:
    def __init__(self, task: Sequence[Piece], job: Job[Any]) -> None:
        _warm_up(job.kernel)
        self.profile = storescope.profile("task")
        self._began = time.perf_counter(), time.process_time()
        self._pieces = task
        self._job = job
        self._columns = job.kernel.columns()
        self._openers = ThreadPoolExecutor(FILES, thread_name_prefix="open")
        #: The files that are open or being opened, by their number in the plan.
        self._files: dict[int, Future[Opened]] = {}
        self._opened: set[int] = set()
        self._bad: dict[int, BadFile] = {}
        #: The pieces before this one were hinted at.
        self._hinted = 0
        self._waited = 0.0
        self._needed = 0
        self._read = 0

    def piece(self, number: int) -> Outcome:
        """Reads and cuts one piece."""
        piece = self._pieces[number]
        if piece.file in self._bad:
            return Outcome(piece, error=self._bad[piece.file])
        self._look_ahead(number)
        try:
            table, summary = self._job.kernel.apply(self._events(piece), piece.start)
        except BadColumn as error:
            self._bad[piece.file] = BadFile(piece.url, str(error))
        except BadFile as error:
            self._bad[piece.file] = error
        else:
            return Outcome(piece, _rows(piece, table), summary)
        return Outcome(piece, error=self._bad[piece.file])

    def _events(self, piece: Piece) -> ak.Array:
        if piece.file not in self._files:
            self._expect(piece)
        began = time.perf_counter()
        opened = self._files[piece.file].result()
        if piece.file not in self._opened:
            # The opener computes, too: it waits for bytes no longer than this.
            self._opened.add(piece.file)
            self._waited += min(time.perf_counter() - began, opened.source.waited)
        before = opened.source.waited
        try:
            with blamed(piece.url):
                events = opened.read(piece.start, piece.stop)
        finally:
            self._waited += opened.source.waited - before
        if len(events) != piece.stop - piece.start:
            raise BadFile(piece.url, f"has {len(events):,} events where its metadata has {piece.stop - piece.start:,}")
        self._needed += piece.needed
        return events

    def _look_ahead(self, number: int) -> None:
        """Opens the files of this piece and those that follow, and hints at them, as far as there is room."""
        held, files = 0, {self._pieces[number].file}
        for place in range(number, min(number + PIECES, len(self._pieces))):
            piece = self._pieces[place]
            files.add(piece.file)
            if place > number + 1 and (held + piece.needed > AHEAD * self._job.piece_target or len(files) > FILES):
                break
            held += piece.needed if place > number else 0
            if place >= self._hinted:
                self._hinted = place + 1
                self._expect(piece)

    def _expect(self, piece: Piece) -> None:
        if piece.file in self._bad:
            return
        opening = self._files.get(piece.file)
        if opening is None:
            opening = self._openers.submit(
                self.profile.wrap(open_file), piece, self._columns, self._job.settings
            )
            self._files[piece.file] = opening
        opening.add_done_callback(self.profile.wrap(lambda done: _hint(done, piece)))

    def leave(self, number: int) -> None:
        """Closes the piece's file where it was the file's last."""
        piece = self._pieces[number]
        if number + 1 == len(self._pieces) or self._pieces[number + 1].file != piece.file:
            self._close(piece.file)

    def close(self) -> None:
        """Closes all files."""
        for opening in self._files.values():
            opening.cancel()
        self._openers.shutdown(wait=True, cancel_futures=True)
        for number in list(self._files):
            self._close(number)

    def _close(self, number: int) -> None:
        self._opened.discard(number)
        opening = self._files.pop(number, None)
        if opening is not None and opening.done() and not opening.cancelled() and opening.exception() is None:
            self._read += int(opening.result().source.num_requested_bytes)
            opening.result().close()

    def measured(self) -> Measured:
        """What it cost up to now."""
        wall, cpu = self._began
        return Measured(
            1,
            time.perf_counter() - wall,
            time.process_time() - cpu,
            self._waited,
            self._needed,
            self._read,
            self.profile.snapshot(),
        )


#: Kernels that were applied in this process, by name.
_warm: set[str] = set()


def _warm_up(kernel: Kernel) -> None:
    """Applies a kernel to its sample before a process's first task is timed: libraries import parts of themselves where they
    are used first (pyarrow: pandas), which is a third of a second of CPU time that no event takes."""
    if kernel.name not in _warm:
        kernel.apply(kernel.sample(), 0)
        _warm.add(kernel.name)


def _hint(opening: Future[Opened], piece: Piece) -> None:
    """A hint that fails costs time; the read says why."""
    if not opening.cancelled() and opening.exception() is None:
        # A corrupt file's ranges may be no numbers of bytes: errors of any class.
        with suppress(Exception):
            opening.result().hint(piece.start, piece.stop)


def _rows(piece: Piece, rows: pa.Table) -> pa.Table:
    dataset = pa.array([piece.dataset] * len(rows), pa.string())
    told = rows.add_column(0, "dataset", dataset)
    return told.add_column(0, "file", pa.array(np.full(len(rows), piece.file, np.int32)))
