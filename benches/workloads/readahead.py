# SPDX-License-Identifier: Apache-2.0
"""What a read-ahead costs where few of a file's columns are read: the original's defect, and this project's reads.

    STORESCOPE_BIN=…/storescope python readahead.py FILE.root [--tree Events] [--columns nMuon,Muon_pt,…]

The columns of the reduction are read by uproot in two orders: all of a column before the next, as a reader of one column at a
time does; and cluster by cluster, as they lie in the file. The bytes come through a file object with one buffer, as
hadoop-xrootd has it: a read outside of the buffer fetches what was asked for, and at least the read-ahead. Or through
``storescope.uproot.Source``. All must come to the same sums. Requests and bytes are those of the emulator's record."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward
import measuring
import uproot

import storescope
import storescope.uproot
from storescope_workloads.reduction.cuts import Cuts

KiB, MiB = 1 << 10, 1 << 20
#: What the reduction reads, where `--columns` does not say.
COLUMNS = Cuts().columns()


class BufferedFile:
    """An object as a file with one buffer.

    Args:
        store: Where it is.
        ahead: Bytes that a read outside of the buffer fetches at least; 0: what was asked for alone.
    """

    def __init__(self, store: storescope.Store, key: str, ahead: int) -> None:
        self._store, self._key, self._ahead = store, key, ahead
        self._size = store.head(key).size
        self._at = 0
        self._start, self._buffer = 0, memoryview(b"")

    def seek(self, position: int) -> int:
        self._at = position
        return position

    def read(self, length: int) -> memoryview:
        start, stop = self._at, min(self._at + length, self._size)
        if start < self._start or stop > self._start + len(self._buffer):
            end = min(max(stop, start + self._ahead), self._size)
            self._start, self._buffer = start, memoryview(self._store.get_range(self._key, start, end))
        self._at = stop
        return self._buffer[start - self._start : stop - self._start]


@dataclass(frozen=True)
class Policy:
    """How bytes are fetched: ``ahead`` bytes of read-ahead, or ``None``: by this project's source."""

    name: str
    ahead: int | None

    @contextmanager
    def open(self, base: str, key: str, options: dict[str, str]) -> Iterator[Any]:
        """The file, opened by uproot."""
        if self.ahead is None:
            with uproot.open(base + key, handler=storescope.uproot.Source, **options) as file:
                yield file
        else:
            store = storescope.open_store(base, **options)
            with uproot.open(BufferedFile(store, key, self.ahead)) as file:
                yield file


OURS = "storescope"
POLICIES = [
    Policy("exact", 0),
    Policy("64 KiB", 64 * KiB),
    Policy("128 KiB", 128 * KiB),
    Policy("1 MiB", 1 * MiB),
    Policy("4 MiB", 4 * MiB),
    Policy("32 MiB", 32 * MiB),
    Policy(OURS, None),
]


# The orders. Each answers a sum over all columns.


def by_columns(tree: Any, columns: list[str]) -> float:
    """All of a column before the next."""
    return sum(_sum(tree[column].array()) for column in columns)


def by_offset(tree: Any, columns: list[str]) -> float:
    """Cluster by cluster, the columns in the order of the file."""
    columns = sorted(columns, key=lambda column: int(tree[column].member("fBasketSeek")[0]))
    borders = clusters(tree, columns)
    total = 0.0
    for start, stop in zip(borders, borders[1:], strict=False):
        arrays = tree.arrays(columns, entry_start=start, entry_stop=stop)
        total += sum(_sum(arrays[column]) for column in columns)
    return total


def clusters(tree: Any, columns: list[str]) -> list[int]:
    """Entries at which baskets of all columns begin, and the end."""
    shared = set.intersection(*(set(map(int, tree[column].entry_offsets)) for column in columns))
    return sorted(shared)


def _sum(array: Any) -> float:
    return float(awkward.sum(awkward.values_astype(array, "float64")))


ORDERS: dict[str, Callable[[Any, list[str]], float]] = {"column at a time": by_columns, "offset": by_offset}


def needed_bytes(tree: Any, columns: list[str]) -> tuple[int, int]:
    """Bytes of the baskets of the columns, keys included, and how many baskets they are."""
    sizes = [int(size) for column in columns for size in tree[column].member("fBasketBytes")[: tree[column].num_baskets]]
    return sum(sizes), len(sizes)


@dataclass(frozen=True)
class Cost:
    """What a policy cost in one order: by the record, and in seconds from opening to the last sum."""

    requests: int
    received: int
    seconds: float
    total: float


def cost(server: Any, policy: Policy, order: str, key: str, tree: str, columns: list[str]) -> Cost:
    """Reads the columns once. ``server`` is a :class:`measuring.Server`."""
    options = {name: server.oci[name] for name in ("endpoint", "config_file", "region")}
    server.forget()
    began = time.perf_counter()
    with policy.open(server.url(""), key, options) as file:
        total = ORDERS[order](file[tree], columns)
    seconds = time.perf_counter() - began
    lines = [line for line in server.record() if line.method == "GET"]
    return Cost(len(lines), sum(line.bytes_out for line in lines), seconds, total)


def sweep(server: measuring.Server, file: Path, tree: str, columns: list[str], model: str) -> dict[tuple[str, str], Cost]:
    """The cost of every policy in every order. Sums that differ end it."""
    server.put(file, "sparse.root")
    costs = {}
    for policy in POLICIES:
        for order in ORDERS:
            server.model(model)
            costs[policy.name, order] = cost(server, policy, order, "sparse.root", tree, columns)
    sums = {round(cost.total, 3) for cost in costs.values()}
    if len(sums) != 1:
        raise SystemExit(f"the sums differ: {sums}")
    return costs


def report(costs: dict[tuple[str, str], Cost], needed: int) -> None:
    def cells(policy: str, order: str) -> list[str]:
        cost = costs[policy, order]
        return [f"{cost.requests}", f"{cost.received / 1e6:.1f}", f"×{cost.received / needed:.2f}", f"{cost.seconds:.2f}"]

    head = ["read-ahead"]
    for order in ORDERS:
        head += [f"{order}: requests", "MB", "× needed", "s"]
    rows = [[policy.name, *(cell for order in ORDERS for cell in cells(policy.name, order))] for policy in POLICIES]
    measuring.table(head, rows)
    for order in ORDERS:
        measuring.bar(f"{OURS}, {order}: bytes / needed", costs[OURS, order].received / needed, 1.3, at_most=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="a file with a TTree")
    parser.add_argument("--tree", default="Events")
    parser.add_argument("--columns", help="branches, with commas between")
    parser.add_argument("--model", default="s3-standard", help="for the seconds")
    asked = parser.parse_args()
    columns = asked.columns.split(",") if asked.columns else COLUMNS
    with uproot.open(asked.file) as file:
        tree = file[asked.tree]
        needed, baskets = needed_bytes(tree, columns)
        branches, entries = len(tree.keys()), tree.num_entries
    size = asked.file.stat().st_size
    measuring.heading(["uproot", "awkward"])
    print(
        f"{size / 1e6:.1f} MB, {entries:,} events, {branches} branches; {len(columns)} of them are read: {baskets} baskets, "
        f"{needed / 1e6:.2f} MB ({100 * needed / size:.1f} %). Model {asked.model}.\n"
    )
    with measuring.serve() as server:
        report(sweep(server, asked.file, asked.tree, columns, asked.model), needed)


if __name__ == "__main__":
    main()
