# SPDX-License-Identifier: Apache-2.0
"""Writes a file like CMS's NanoAOD, as a TTree or as an RNTuple: `python nanoaod.py nano.root [--ntuple]`.

70 branches: 22 of an event, and muons, jets and electrons with their counts. Each is written in so many pieces of equal
entries: 40 baskets a branch, or 40 clusters. Equal seeds make equal values in both."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward
import numpy
import uproot

ENTRIES = 400_000
PIECES = 40

#: Collections: how many there are in an event on average, and what of them is no float.
COLLECTIONS = {
    "Muon": (1.2, 15, {"charge": 2, "jetIdx": 6, "looseId": 2}),
    "Jet": (3.0, 18, {"nConstituents": 40, "jetId": 8, "hadronFlavour": 6}),
    "Electron": (1.0, 12, {"charge": 2, "cutBased": 5}),
}
FLOATS = [
    "pt",
    "eta",
    "phi",
    "mass",
    "dxy",
    "dz",
    "sip3d",
    "ip3d",
    "dxyErr",
    "dzErr",
    "pfRelIso03_all",
]
SCALARS = 22


def pieces(entries: int = ENTRIES, count: int = PIECES, seed: int = 7) -> Iterator[dict[str, Any]]:
    """So many pieces of so many entries in all, column by column; collections are records."""
    for number in range(count):
        yield piece(numpy.random.default_rng([seed, number]), entries // count)


def piece(rng: numpy.random.Generator, entries: int) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "run": numpy.full(entries, 362_760, "u4"),
        "luminosityBlock": numpy.repeat(rng.integers(1, 400, entries // 100 + 1), 100)[
            :entries
        ].astype("u4"),
        "event": rng.integers(0, 1 << 40, entries, dtype="u8"),
    }
    for trigger in range(6):
        columns[f"HLT_path{trigger}"] = rng.random(entries) < 0.1
    for scalar in range(SCALARS - len(columns)):
        columns[f"Event_float{scalar}"] = rng.exponential(40, entries).astype("f4")
    for name, (mean, width, whole) in COLLECTIONS.items():
        columns[name] = collection(rng, rng.poisson(mean, entries), width, whole)
    return columns


def collection(
    rng: numpy.random.Generator, counts: numpy.ndarray, width: int, whole: dict[str, int]
) -> Any:
    total = int(counts.sum())
    flat = {name: rng.integers(0, values, total).astype("i4") for name, values in whole.items()}
    for number in range(width - len(whole)):
        name = FLOATS[number] if number < len(FLOATS) else f"float{number}"
        flat[name] = rng.exponential(30, total).astype("f4")
    return awkward.unflatten(awkward.zip(flat), counts)


def flattened(columns: dict[str, Any]) -> dict[str, Any]:
    """The same with a column for each member of a collection, and one for its count."""
    flat: dict[str, Any] = {}
    for name, column in columns.items():
        if name not in COLLECTIONS:
            flat[name] = column
            continue
        flat[f"n{name}"] = awkward.to_numpy(awkward.num(column)).astype("i4")
        for member in column.fields:
            flat[f"{name}_{member}"] = column[member]
    return flat


def write(path: Path, *, ntuple: bool, entries: int = ENTRIES, count: int = PIECES) -> None:
    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
        target = None
        for columns in pieces(entries, count):
            if ntuple:
                columns = flattened(columns)
            if target is None:
                target = file.mkrntuple("Events", columns) if ntuple else tree(file, columns)
                if ntuple:
                    continue
            target.extend(columns)


def tree(file: Any, columns: dict[str, Any]) -> Any:
    types = {
        name: column.type if name in COLLECTIONS else column.dtype
        for name, column in columns.items()
    }
    types = {name: kind.content if name in COLLECTIONS else kind for name, kind in types.items()}
    return file.mktree("Events", types, counter_name=lambda name: f"n{name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--ntuple", action="store_true", help="an RNTuple, not a TTree")
    parser.add_argument("--entries", type=int, default=ENTRIES)
    asked = parser.parse_args()
    write(asked.file, ntuple=asked.ntuple, entries=asked.entries)
