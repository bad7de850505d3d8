# SPDX-License-Identifier: Apache-2.0
"""What a job does with events: the columns that it reads, the rows that it makes, and what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import awkward as ak  # type: ignore[import-untyped]
import pyarrow as pa  # type: ignore[import-untyped]

from ..errors import WorkloadError


class BadColumn(WorkloadError):
    """A column that a kernel cannot be applied to: which, what it is and what it should be."""


class Sum(Protocol):
    """Counts of some events. They add up, in any order; an empty one changes nothing. Pickles."""

    @property
    def events(self) -> int:
        """Events that were read."""
        ...

    @property
    def rows(self) -> int:
        """Rows that came out."""
        ...

    def __add__(self, other: Self) -> Self: ...

    def check(self) -> str | None:
        """What in it does not add up, or ``None``: a fault of the program."""
        ...

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`Kernel.sum_from_json` reads it."""
        ...


class Kernel(Protocol):
    """Turns events into rows. It pickles and is small."""

    @property
    def name(self) -> str:
        """As progress and Spark show it: ``reduce``."""
        ...

    @property
    def advice(self) -> str:
        """What the user may do where a file lacks columns, as a sentence without its full stop."""
        ...

    @property
    def folder(self) -> str:
        """The folder of its rows in a job's output: ``pairs``."""
        ...

    @property
    def results(self) -> frozenset[str]:
        """The files that its command writes beside the rows, by the first part of their names."""
        ...

    @property
    def task_target(self) -> int | None:
        """Bytes to read that a task has at most, where the size of the file that a task's rows go to matters; ``None``:
        as the engine has it."""
        ...

    def columns(self) -> list[str]:
        """The columns of the files that it reads."""
        ...

    def check_types(self, types: Mapping[str, str]) -> None:
        """Checks that columns are what it needs, before anything of them is read.

        Args:
            types: The type of each column as awkward writes it for one event: ``var * float32``, ``uint32``, ``string``.

        Raises:
            BadColumn: Of the first that is missing or wrong.
        """
        ...

    def apply(self, events: ak.Array, start: int) -> tuple[pa.Table, Any]:
        """The rows of some events, with the columns of :meth:`schema`, and their :class:`Sum`.

        Args:
            events: Records with the fields of :meth:`columns`.
            start: The number of the first of them in its file.

        Raises:
            BadColumn: Values are not what the types told.
        """
        ...

    def schema(self) -> pa.Schema:
        """The columns of its rows. The job puts ``file`` and ``dataset`` before them."""
        ...

    def empty(self) -> Any:
        """The :class:`Sum` of no events."""
        ...

    def sum_from_json(self, told: dict[str, Any]) -> Any:
        """What :meth:`Sum.to_json` wrote."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """All that the rows depend on, as JSON has it: a job that is resumed must have the same."""
        ...

    def sample(self) -> ak.Array:
        """A few events. A process applies the kernel to them before its first task is timed, since libraries import parts
        of themselves where they are used first."""
        ...
