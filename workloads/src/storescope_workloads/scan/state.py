# SPDX-License-Identifier: Apache-2.0
"""What a job keeps in its output folder beside its rows: the plan's digest, its files, and which batches are complete."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..errors import UsageError
from ..places import Folder
from .engine import BatchReport
from .kernel import Kernel
from .pieces import FileLayout

#: The folder of what is for ``--resume`` alone.
STATE = "_job"
#: The files by their numbers, which the rows' column ``file`` holds.
FILES = "files.parquet"


class State:
    """The state of the job whose output goes to ``out``.

    Args:
        kernel: That of the job.
        resume: Go on with the job that is there.
        overwrite: Remove the job that is there, once the plan is made; what is no job's output is refused.
    """

    def __init__(self, out: Folder, kernel: Kernel, *, resume: bool, overwrite: bool) -> None:
        if resume and overwrite:
            raise UsageError("--resume and --overwrite exclude each other")
        self._out = out
        self._kernel = kernel
        self._resume = resume
        self._overwrite = overwrite

    def look(self, inputs: Sequence[str]) -> None:
        """Refuses what can be refused before the plan is made: a folder that is not empty, holds no job or not only a job's
        output, or holds an input file. Changes nothing."""
        names = self._out.files()
        if self._resume and f"{STATE}/plan.json" not in names:
            raise UsageError(f"{self._out.url}: holds no job to resume")
        if names and not self._resume and not self._overwrite:
            raise UsageError(f"{self._out.url}: is not empty ({_some(names)}); give --overwrite, --resume or another --out")
        if self._overwrite:
            strange = [name for name in names if not self._is_ours(name)]
            if strange:
                raise UsageError(f"{self._out.url}: holds more than a job's output ({_some(strange)}); give another --out")
            below = next((url for url in inputs if self._out.holds(url)), None)
            if below is not None:
                raise UsageError(f"{self._out.url}: holds the input {below}, which --overwrite would remove; give another --out")

    def _is_ours(self, name: str) -> bool:
        """Whether a job writes a file of this name. Its folder of rows may be that of another: the name is a common word."""
        top, _, below = name.partition("/")
        if not below:
            return top.removesuffix(".part") in {FILES, *self._kernel.results}
        return top == STATE or (top == self._kernel.folder and re.match(r"batch=\d+/", below) is not None)

    def begin(self, plan: str, layouts: Sequence[FileLayout]) -> dict[int, BatchReport]:
        """The batches that are complete, by number: none of a new job, whose plan is kept from now on.

        Raises:
            UsageError: The job to be resumed is another one; or another job has begun here meanwhile.
        """
        if self._resume:
            done = self._complete_of(plan)
            if not self._out.exists(FILES):
                # It was killed when it had just begun.
                self._write_files(layouts)
            return done
        if self._overwrite:
            self._clear()
        try:
            self._out.create(f"{STATE}/plan.json", json.dumps({"plan": plan}).encode())
        except FileExistsError as error:
            raise UsageError(f"{self._out.url}: another job has begun here meanwhile; give another --out") from error
        self._write_files(layouts)
        return {}

    def _write_files(self, layouts: Sequence[FileLayout]) -> None:
        with self._out.open(FILES) as file:
            pq.write_table(_table(layouts), file, compression="zstd", write_page_checksum=True)

    def _clear(self) -> None:
        """Removes what a job has written, its plan first: what is left after a failure is no job that could be resumed."""
        names = self._out.files()
        for name in sorted(names, key=lambda name: name != f"{STATE}/plan.json"):
            if "/" not in name or name == f"{STATE}/plan.json":
                self._out.remove(name)
        for folder in sorted({name.split("/")[0] for name in names if "/" in name}):
            (self._out / folder).clear()

    def complete(self, report: BatchReport) -> None:
        """A batch's rows are written."""
        self._write(f"batch-{report.number:05}", report.to_json())

    def _complete_of(self, plan: str) -> dict[int, BatchReport]:
        if self._read("plan.json")["plan"] != plan:
            raise UsageError(
                f"{self._out.url}: holds another job: files, their versions, cuts or sizes differ; give --overwrite, or "
                "another --out"
            )
        # Not what a killed process has left half-written.
        names = [name for name in self._out.files() if re.fullmatch(rf"{STATE}/batch-\d+\.json", name)]
        reports = [BatchReport.from_json(self._read(name.removeprefix(f"{STATE}/")), self._kernel) for name in names]
        return {report.number: report for report in reports}

    def _read(self, name: str) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self._out.read(f"{STATE}/{name}"))
        except ValueError as error:
            # A file of a disk is cut off where the machine went down.
            raise UsageError(
                f"{self._out.path(f'{STATE}/{name}')}: cannot be read ({error}), so that the job cannot be gone on with; give "
                "--overwrite, or another --out"
            ) from error
        return told

    def _write(self, name: str, told: dict[str, Any]) -> None:
        self._out.write(f"{STATE}/{name}.json", json.dumps(told).encode())


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} files, such as {names[0]}"


def _table(layouts: Sequence[FileLayout]) -> pa.Table:
    return pa.table(
        {
            "file": pa.array(range(len(layouts)), pa.int32()),
            "dataset": pa.array([layout.dataset for layout in layouts], pa.string()),
            "url": pa.array([layout.url for layout in layouts], pa.string()),
            "version": pa.array([layout.version for layout in layouts], pa.string()),
            "bytes": pa.array([layout.size for layout in layouts], pa.int64()),
            "events": pa.array([layout.entries for layout in layouts], pa.int64()),
        }
    )
