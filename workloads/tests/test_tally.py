# SPDX-License-Identifier: Apache-2.0
"""What tasks came to: small however many files a task has, added up one at a time, bad files left out of the sums."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import reduction_files as made

from storescope_workloads.errors import BadFile
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.scan.pieces import Piece
from storescope_workloads.reduction.summary import CutFlow, Summary
from storescope_workloads.scan.measured import Measured
from storescope_workloads.scan.tally import Packed, Tally, batch_report
from storescope_workloads.scan.work import Outcome, TaskReport


def outcome(file, events=10, bad=False):
    piece = Piece("data", file, f"f{file}", 1, "v", "ttree", "Events", 0, events, 1)
    if bad:
        return Outcome(piece, error=BadFile(piece.url, "is bad"))
    return Outcome(piece, summary=Summary.of(CutFlow(events, {"x": events - 1}), np.array([91.0 + file])))


def tally(*outcomes):
    made = Tally(Summary())
    for told in [*outcomes, TaskReport("data", Measured(tasks=1))]:
        made.add(told)
    return made


def report(*tallies):
    return batch_report(0, [tally.pack() for tally in tallies])


def test_a_tally_of_many_files_is_as_small_as_that_of_three():
    many = tally(*(outcome(file) for file in range(500)))
    assert list(many.ends) == [0, 499] and many.whole.flow.events == 4980
    assert len(many.pack().data) < 3 * len(tally(*(outcome(file) for file in range(3))).pack().data)
    assert report(many).summaries["data"].flow.events == 5000
    assert report(many).summaries["data"].pairs == 500


@pytest.mark.parametrize("bad", [2, 3, 4])
def test_a_file_that_is_bad_in_one_task_is_left_out_of_all(bad):
    """Tasks of files 0 to 2, 2 to 4, 4 to 6; each bad file at one of its pieces."""
    tasks = [[0, 1, 2], [2, 3, 3, 4], [4, 5, 6]]
    place = {2: (1, 0), 3: (1, 2), 4: (2, 0)}[bad]
    told = report(*(
        tally(*(outcome(file, bad=(task, index) == place) for index, file in enumerate(files)))
        for task, files in enumerate(tasks)
    ))
    good = [file for files in tasks for file in files if file != bad]
    assert told.skipped == {bad: "is bad"} and told.measured["data"].tasks == 3
    assert told.summaries["data"].flow.events == 10 * len(good)
    assert told.summaries["data"].mean_mass == pytest.approx(91.0 + np.mean(good))


def test_tallies_are_unpacked_one_at_a_time(monkeypatch):
    there, most = weakref.WeakSet(), []
    unpack = Packed.unpack

    def counted(packed):
        made = unpack(packed)
        there.add(made.whole)
        most.append(len(there))
        return made

    # To be held by weak references, a summary must be hashable.
    monkeypatch.setattr(Summary, "__hash__", object.__hash__)
    monkeypatch.setattr(Packed, "unpack", counted)
    assert report(*(tally(outcome(file)) for file in range(50))).summaries["data"].flow.events == 500
    assert len(most) == 50 and max(most) <= 3


def test_many_small_files_in_few_tasks(tmp_path):
    """Through an engine: each file is a cluster of some events."""
    files = [made.source(made.write(tmp_path / f"in/{number}.parquet", "parquet", made.columns([2] * 3))) for number in range(60)]
    with LocalEngine(1) as engine:
        told = made.reduce(engine, files, tmp_path / "out")
    assert (told.summaries["data"].flow.events, told.summaries["data"].pairs) == (180, 180)
    assert len(made.rows(tmp_path / "out")) == 180
