# SPDX-License-Identifier: Apache-2.0
"""ROOT files to read: small ones made here, and real ones of ``../shared/data`` beside the checkout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import awkward
import numpy
import pytest
import uproot
import uproot.source.file

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"

#: What is read of each real file: the object, and branches or fields of several kinds.
REAL = {
    "cms-opendata-dimuon-100k.root": ("Events", ["nMuon", "Muon_pt", "Muon_charge"]),
    "nanoaod-dimuon.root": ("Events", None),
    "nanoaod-v15-ttbar.root": ("Events", ["nJet", "Jet_pt", "run", "MuonMVAID_*"]),
    "nanoaod-v5-1000.root": ("Events", ["nMuon", "Muon_*", "HLT_*", "luminosityBlock"]),
    "physlite-rntuple.root": ("EventData", None),
    "tree-1M-200-baskets.root": ("test", None),
}


def real(name: str) -> Path:
    """A real file; where it is missing the test is skipped, and fails where ``CI`` is true."""
    path = SHARED / name
    if not path.exists():
        told = f"{name} is not in ../shared/data"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    return path


def events(count: int, seed: int = 1) -> dict[str, Any]:
    """Events of a few kinds of columns, the same for the same seed."""
    rng = numpy.random.default_rng(seed)
    lengths = rng.poisson(2, count)
    values = rng.exponential(20, lengths.sum()).astype("f4")
    return {
        "run": numpy.full(count, 355_000, "u4"),
        "event": rng.integers(0, 1 << 40, count),
        "met": rng.exponential(30, count).astype("f4"),
        "Muon_pt": awkward.unflatten(values, lengths),
        "Muon_charge": awkward.unflatten(rng.choice([-1, 1], lengths.sum()).astype("i4"), lengths),
    }


def write_tree(path: Path, baskets: int = 10, entries: int = 2_000) -> Path:
    """A TTree of so many baskets a branch, each of so many entries."""
    with uproot.recreate(path) as file:
        for number in range(baskets):
            part = events(entries, number)
            if number == 0:
                file.mktree("Events", _types(part))
            file["Events"].extend(part)
    return path


def _types(part: dict[str, Any]) -> dict[str, Any]:
    return {name: array.dtype if hasattr(array, "dtype") else array.type for name, array in part.items()}


def write_uneven(path: Path, lengths: dict[str, int], entries: int = 200) -> Path:
    """A TTree of ``entries`` whose branches have two baskets of 100 entries; those of ``lengths`` have 0 or 100
    entries, as ROOT writes them where branches are filled one by one."""
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", _types(events(100)))
        for number in range(2):
            tree.extend(events(100, number))
        # What uproot writes at the end of each `extend`, of some branches alone.
        writer, sink = tree._cascading, tree._file.sink
        branches = writer._branch_data
        for name, length in lengths.items():
            writer._branch_data = [branch for branch in branches if branch.get("fName") == name]
            writer._num_entries, writer._num_baskets = length, length // 100
            writer.write_updates(sink)
        writer._branch_data, writer._num_entries = [], entries
        writer.write_updates(sink)
    return path


def write_ntuple(path: Path, clusters: int = 10, entries: int = 2_000) -> Path:
    """An RNTuple of so many clusters, each of so many entries."""
    with uproot.recreate(path) as file:
        ntuple = file.mkrntuple("Events", events(entries, 0))
        for number in range(1, clusters):
            ntuple.extend(events(entries, number))
    return path


def assert_same(one: Any, other: Any) -> None:
    """Equal, array for array: type, structure and values."""
    assert str(one.type) == str(other.type)
    assert awkward.array_equal(one, other, equal_nan=True)


class Noting(uproot.source.file.MemmapSource):
    """Reads a local file, and notes what uproot asks for."""

    asked: ClassVar[set[tuple[int, int]]] = set()

    def chunk(self, start: int, stop: int) -> Any:
        self.asked.add((int(start), int(stop)))
        return super().chunk(start, stop)

    def chunks(self, ranges: Any, notifications: Any) -> Any:
        self.asked.update(ranges)
        return super().chunks(ranges, notifications)


def bytes_asked_for(path: Path, object_path: str, read: Callable[[Any], Any]) -> int:
    """How many bytes of a local file uproot asks for when it does `read`, each of them once."""
    Noting.asked.clear()
    with uproot.open({path: object_path}, handler=Noting) as opened:
        read(opened)
    reached = total = 0
    for start, stop in sorted(Noting.asked):
        total += max(0, stop - max(start, reached))
        reached = max(reached, stop)
    return total
