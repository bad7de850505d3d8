# SPDX-License-Identifier: Apache-2.0
"""Tasks whose rows go to one parquet file each, by the wheel: in a process of the local engine, or in an executor of Spark.

A file's name is the number of its task, and its bytes are a function of the task's pieces: a task that runs twice replaces its
file with the same bytes. A file is whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from storescope import StoreError

from ..errors import WorkloadError
from ..places import Folder
from .engine import BatchReport, Job
from .pieces import Batch, Piece, tasks
from .rows import dataset_folder, fill_empty
from .tally import Packed, Tally, batch_report
from .work import Outcome, work

#: Rows, tables of them, and bytes of them in memory, that a task holds before it writes them.
ROWS, TABLES, BYTES = 500_000, 1000, 32 << 20


@dataclass(frozen=True)
class Part:
    """A task and the file that its rows go to."""

    name: str
    task: list[Piece]

    @property
    def events(self) -> int:
        """The events that it reads."""
        return sum(piece.stop - piece.start for piece in self.task)


@dataclass(frozen=True)
class PartResult:
    """What it came to, and whether there is a file of rows."""

    tally: Packed
    has_rows: bool


class Ending(Exception):
    """The job ends: what a task would come to is of no use."""


def parts_of(batch: Batch, job: Job[Any], slots: int, target: int) -> list[Part]:
    """A batch as parts.

    Args:
        slots: Tasks that run at once: there are three for each where there are pieces enough.
        target: Bytes to read that a task has at most, about; the kernel may ask for less.
    """
    target = min(target, job.kernel.task_target or target)
    rounds = max(3, -(-batch.weight // (target * slots)))
    return [
        Part(f"{dataset_folder(task[0].dataset)}/part-{number:05}.parquet", task)
        for number, task in enumerate(tasks(batch, job.piece_target, slots, rounds))
    ]


def run_part(
    part: Part, job: Job[Any], folder: Folder, ended: Callable[[], bool] = lambda: False, attempt: str = ""
) -> PartResult:
    """Runs a task and writes its rows.

    Args:
        ended: Asked before each piece: true where the job has ended.
        attempt: Different for attempts of one task that may run at once.

    Raises:
        Ending: The job has ended.
        WorkloadError: The store is at fault. A bad file is in the tally.
    """
    tally = Tally(job.kernel.empty())
    with Rows(folder, part.name, attempt) as rows:
        for told in work(part.task, job):
            if ended():
                raise Ending
            tally.add(told)
            if isinstance(told, Outcome) and told.rows is not None:
                rows.add(told.rows.drop_columns(["dataset"]))
    return PartResult(tally.pack(), rows.any)


def finish(batch: Batch, parts: Sequence[Part], results: Sequence[PartResult], job: Job[Any], folder: Folder) -> BatchReport:
    """The report of a batch whose parts are all written. Rows of files that turned out to be bad are taken out of them."""
    report = batch_report(batch.number, [result.tally for result in results])
    for part, result in zip(parts, results, strict=True):
        if result.has_rows and any(piece.file in report.skipped for piece in part.task):
            _leave_out(folder, part.name, list(report.skipped))
    fill_empty(folder, (layout.dataset for _, layout in batch.files), job.kernel)
    return report


def _leave_out(folder: Folder, name: str, files: list[int]) -> None:
    """Writes a file of rows anew, without those of some input files."""
    source = pq.ParquetFile(pa.BufferReader(folder.read(name)))
    with folder.open(name) as file, _writer(file, source.schema_arrow) as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            kept = table.filter(pc.invert(pc.is_in(table["file"], pa.array(files, pa.int32()))))
            if len(kept):
                writer.write_table(kept)


def _writer(file: IO[bytes], schema: pa.Schema) -> pq.ParquetWriter:
    """Writes parquet as all rows are written: compressed, its pages with checksums. Lists are of measured values, of which a
    dictionary would take time and space."""
    plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
    return pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True, use_dictionary=plain)


class Rows:
    """A parquet file that is written as rows come; there is none where no table came.

    Raises:
        WorkloadError: It cannot be written: names it. There is none then.
    """

    def __init__(self, folder: Folder, name: str, attempt: str = "") -> None:
        self._folder, self._name, self._attempt = folder, name, attempt
        #: A table came.
        self.any = False
        self._held: list[pa.Table] = []
        self._count = self._bytes = 0
        self._file: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Rows:
        return self

    def add(self, table: pa.Table) -> None:
        """Takes rows, and writes those that it holds where they are many: a row group."""
        self.any = True
        self._held.append(table)
        self._count += len(table)
        self._bytes += table.nbytes
        if self._count >= ROWS or len(self._held) >= TABLES or self._bytes >= BYTES:
            with self._writing():
                self._write()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise  # It names the object.
        except OSError as error:
            raise WorkloadError(
                f"{self._folder.path(self._name)}: was not written: {error}. Batches that are complete are kept: run it again "
                "with --resume"
            ) from error

    def _write(self) -> None:
        table = pa.concat_tables(self._held)
        self._held, self._count, self._bytes = [], 0, 0
        if self._writer is None:
            self._file = self._folder.open(self._name, self._attempt)
            self._writer = _writer(self._file.__enter__(), table.schema)
        self._writer.write_table(table)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._writing():
            self._leave(kind, error, trace)

    def _leave(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None and self._held:
                self._write()
            if kind is None and self._writer is not None:
                self._writer.close()
        except BaseException as failed:
            kind, error, trace = type(failed), failed, failed.__traceback__
            raise
        finally:
            if self._writer is not None:
                # One that was not closed would write a footer when it is deleted, to a file that is closed by then.
                self._writer.is_open = False
            if self._file is not None:
                self._file.__exit__(kind, error, trace)
