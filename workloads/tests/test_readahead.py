# SPDX-License-Identifier: Apache-2.0
"""Few columns of many. A long read-ahead fetches the file many times over, which was the defect of the original's reads; the
project's own fetch little more than the baskets. `benches/workloads/readahead.py` measures it, and is run here on a small file."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import serving
import uproot

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches" / "workloads"))
import measuring  # noqa: E402
import readahead  # noqa: E402

EVENTS, CLUSTERS = 120_000, 6


@pytest.fixture(scope="module")
def sparse(server, tmp_path_factory) -> dict[str, object]:
    """A tree of 100 branches, of which the muons' are a tenth of the bytes, as an object; and what of it is needed."""
    path = tmp_path_factory.mktemp("sparse") / "sparse.root"
    rng = np.random.default_rng(5)
    with uproot.recreate(path, compression=None) as file:
        tree = None
        for _ in range(CLUSTERS):
            columns = events(rng, EVENTS // CLUSTERS)
            if tree is None:
                types = {name: values.type if isinstance(values, ak.Array) else values.dtype for name, values in columns.items()}
                types = {name: kind.content if isinstance(kind, ak.types.ArrayType) else kind for name, kind in types.items()}
                tree = file.mktree("Events", types, counter_name=lambda name: f"n{name}")
            tree.extend(columns)
    with uproot.open(path) as file:
        assert len(file["Events"].keys()) == 100
        needed, baskets = readahead.needed_bytes(file["Events"], readahead.COLUMNS)
    assert baskets == CLUSTERS * len(readahead.COLUMNS)
    bench = measuring.Server(serving.binary(), server.ready, "workloads")
    key = f"{uuid.uuid4().hex}/sparse.root"
    readahead.storescope.open_store(bench.url(""), **options(server)).put(key, path)
    return {"server": bench, "key": key, "needed": needed, "size": path.stat().st_size}


def events(rng: np.random.Generator, count: int) -> dict[str, object]:
    numbers = rng.poisson(1.2, count)
    total = int(numbers.sum())
    members = {name: rng.exponential(20, total).astype("f4") for name in ("pt", "eta", "phi", "mass", "pfRelIso04_all")}
    members |= {"charge": rng.choice([-1, 1], total).astype("i4"), "isGlobal": rng.random(total) < 0.9}
    fillers = {f"filler{number}": rng.random(count, "f4") for number in range(100 - 1 - len(members))}
    half = dict(list(fillers.items())[:50])
    return {**half, "Muon": ak.unflatten(ak.zip(members), numbers), **{k: v for k, v in fillers.items() if k not in half}}


def options(server) -> dict[str, str]:
    return {name: server.oci[name] for name in ("endpoint", "config_file", "region")}


def read(sparse, policy: str, order: str) -> readahead.Cost:
    chosen = next(known for known in readahead.POLICIES if known.name == policy)
    return readahead.cost(sparse["server"], chosen, order, sparse["key"], "Events", readahead.COLUMNS)


@pytest.mark.parametrize("order", readahead.ORDERS)
def test_ours_reads_little_more_than_is_needed(sparse, order):
    cost = read(sparse, readahead.OURS, order)
    assert sparse["needed"] <= cost.received <= 1.3 * sparse["needed"]
    assert cost.total == pytest.approx(read(sparse, "exact", order).total, rel=1e-12)


def test_a_long_readahead_reads_the_file_many_times(sparse):
    """One column at a time, each fetches nearly all of the file again."""
    cost = read(sparse, "32 MiB", "column at a time")
    assert cost.received > 2 * sparse["size"]
    assert cost.received > 10 * sparse["needed"]
