# SPDX-License-Identifier: Apache-2.0
"""What an engine does, and what passes between it and the job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ..errors import BadFile
from ..places import Folder, SourceFile
from ..settings import StoreSettings
from .kernel import Kernel, Sum
from .measured import Measured
from .pieces import Batch, FileLayout


K = TypeVar("K", bound=Kernel, covariant=True)


@dataclass(frozen=True)
class Job(Generic[K]):
    """What all tasks of a job need to know. It pickles and is small.

    Attributes:
        kernel: What is read, and what becomes of it.
        tree: The name of the tree in ROOT files.
        settings: How stores are opened.
        skip: A bad file is skipped, not an error.
        piece_target: Bytes to read that a piece has about.
    """

    kernel: K
    tree: str = "Events"
    settings: StoreSettings = field(default_factory=StoreSettings)
    skip: bool = False
    piece_target: int = 16 << 20


@dataclass
class BatchReport:
    """What a batch came to, once its rows are written.

    Attributes:
        summaries: By data set. Files that were skipped have no part in them.
        measured: By data set; what the reading of skipped files cost is in it.
        skipped: Files that turned out to be bad while they were read: their number in the plan, and why.
    """

    number: int
    summaries: dict[str, Sum]
    measured: dict[str, Measured]
    skipped: dict[int, str]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`from_json` reads it."""
        return {
            "batch": self.number,
            "summaries": {name: summary.to_json() for name, summary in self.summaries.items()},
            "measured": {name: measured.to_json() for name, measured in self.measured.items()},
            "skipped": {str(number): why for number, why in self.skipped.items()},
        }

    @classmethod
    def from_json(cls, told: dict[str, Any], kernel: Kernel) -> BatchReport:
        """What :meth:`to_json` wrote."""
        return cls(
            told["batch"],
            {name: kernel.sum_from_json(summary) for name, summary in told["summaries"].items()},
            {name: Measured.from_json(measured) for name, measured in told["measured"].items()},
            {int(number): why for number, why in told["skipped"].items()},
        )


#: Called with the number of events that are done since the last call, from the thread that called the engine.
Progress = Callable[[int], None]


class Engine(Protocol):
    """Runs tasks somewhere. Used in a ``with``: processes and sessions end with it."""

    #: As ``--engine`` names it.
    name: str
    #: Tasks that run at once.
    slots: int
    #: Bytes to read that a batch has about, where the user does not say.
    batch_target: int

    def __enter__(self) -> Engine: ...

    def __exit__(self, *error: object) -> None: ...

    def require(self, out: Folder, inputs: Sequence[str]) -> None:
        """Refuses, before anything is read or written, what it could not write to or read from.

        Raises:
            UsageError: Something is missing, such as a jar.
        """
        ...

    def layouts(
        self, files: Sequence[tuple[str, SourceFile]], job: Job[Any], progress: Progress
    ) -> Iterator[FileLayout | BadFile]:
        """The layout of each (data set, file), in their order, or why it is bad. ``progress`` counts files."""
        ...

    def measured_plan(self) -> Measured:
        """What :meth:`layouts` has cost."""
        ...

    def run(self, batch: Batch, job: Job[Any], out: Folder, progress: Progress) -> BatchReport:
        """Reads a batch and writes its rows to ``out/ROWS/batch=NNNNN/dataset=NAME/*.parquet``, where ROWS is the
        kernel's folder.

        What lies below ``batch=NNNNN`` before is removed first; nothing is there when it fails. A bad file raises
        :class:`BadFile`, or is skipped as a whole."""
        ...

    def versions(self) -> dict[str, str]:
        """Versions of what it runs on, for the result."""
        ...


def batch_folder(out: Folder, batch: Batch, kernel: Kernel) -> Folder:
    """Where a batch's rows are."""
    return out / f"{kernel.folder}/batch={batch.number:05}"
