# SPDX-License-Identifier: Apache-2.0
"""What tasks came to, so that files that turn out to be bad can be left out of the sums. Pure.

A summary takes some 14 kB. A tally holds three: of the files that lie in its task as a whole, and of its first and last,
parts of which may lie in other tasks and be bad there. Tallies are held packed, and are added up one at a time."""

from __future__ import annotations

import functools
import operator
import pickle
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import BadFile
from .engine import BatchReport
from .kernel import Sum
from .measured import Measured
from .work import Outcome, TaskReport


@dataclass
class Tally:
    """What one task came to.

    Attributes:
        whole: Of the good files between its first and its last; empty at the beginning.
        ends: Of its first and last file, by their numbers in the plan.
        bad: Files that could not be read, the same.
        report: What the task cost.
    """

    whole: Sum
    ends: dict[int, Sum] = field(default_factory=dict)
    bad: dict[int, BadFile] = field(default_factory=dict)
    report: TaskReport | None = None

    def __post_init__(self) -> None:
        self._empty = self.whole

    def add(self, told: Outcome | TaskReport) -> None:
        """Takes in what :func:`work` yields, in its order: the pieces of a file come one after the other."""
        if isinstance(told, TaskReport):
            self.report = told
            return
        file = told.piece.file
        if file not in self.ends:
            self._close()
            self.ends[file] = self._empty
        if told.error is not None:
            self.bad[file] = told.error
        elif told.summary is not None:
            self.ends[file] = self.ends[file] + told.summary

    def _close(self) -> None:
        """The last file is complete, and is not the first: no other task has a part of it."""
        if len(self.ends) > 1:
            file, summary = self.ends.popitem()
            if file not in self.bad:
                self.whole = self.whole + summary

    def pack(self) -> Packed:
        """As it is sent and held."""
        return Packed(self.bad, zlib.compress(pickle.dumps(self), 1))


@dataclass(frozen=True)
class Packed:
    """A tally in few bytes, beside its bad files."""

    bad: dict[int, BadFile]
    data: bytes

    def unpack(self) -> Tally:
        """The tally."""
        tally: Tally = pickle.loads(zlib.decompress(self.data))
        return tally


def batch_report(number: int, tallies: Sequence[Packed]) -> BatchReport:
    """The report of a batch from those of all its tasks, in their order."""
    bad: dict[int, BadFile] = {}
    for packed in tallies:
        for file, error in packed.bad.items():
            # Of a file that is bad in several tasks, what the first of them met.
            bad.setdefault(file, error)
    report = BatchReport(number, {}, {}, {file: bad[file].why for file in sorted(bad)})
    for packed in tallies:
        tally = packed.unpack()
        assert tally.report is not None, "a task that ended has a report"
        dataset = tally.report.dataset
        report.measured[dataset] = report.measured.get(dataset, Measured()) + tally.report.measured
        good = [summary for file, summary in tally.ends.items() if file not in bad]
        before = [report.summaries[dataset]] if dataset in report.summaries else []
        report.summaries[dataset] = functools.reduce(operator.add, [*before, tally.whole, *good])
    return report
