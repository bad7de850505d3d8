# SPDX-License-Identifier: Apache-2.0
"""A training that no process ran, and the prepared data that it would have had: for tests of what becomes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storescope import Snapshot
from storescope_workloads.places import Folder
from storescope_workloads.scan.measured import Measured
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.shards import Manifest, Scalers, Shard, row_schema, write_manifest

SCALERS = Scalers((0.0,) * 14, (1.0,) * 14, (0.0,) * 19, (1.0,) * 19)
OPTIONS = {
    "data": "somewhere", "out": "elsewhere", "model": "hlf", "epochs": 5, "batch": 128, "streams": 4, "seed": 7, "particles": None,
    "dropout": 0.2, "rates": "0.001", "patience": 2, "validate": 1.0, "checkpoint_every": None, "keep": 3, "resume": False,
    "overwrite": False, "device": "auto", "threads": None, "format": None, "prefetch": 4, "cache": None, "steps_per_call": 50,
    "join_timeout": 120.0, "metrics": None,
}


def prepared_in(url: str, settings: StoreSettings, counts: list[list[int]], classes: tuple[int, ...] = (0, 1, 2)) -> Manifest:
    """Writes a folder of prepared data: a shard for each list of ``counts``, of so many events of each of ``classes``, in
    ``train`` and in ``test``. The first event feature tells the class, the second is the event's number."""
    folder, random, number = Folder(url, settings), np.random.default_rng(1), 0
    splits: dict[str, list[Shard]] = {}
    for split in ("train", "test"):
        splits[split] = []
        for at, of_shard in enumerate(counts):
            label = np.repeat(np.asarray(classes, np.int8), of_shard)
            random.shuffle(label)
            event = np.arange(number, number + len(label))
            number += len(label)
            hlf = random.random((len(label), 14)).astype(np.float32)
            hlf[:, 0], hlf[:, 1] = label, event
            table = pa.table([event, label, pa.FixedSizeListArray.from_arrays(hlf.ravel(), type=row_schema(False).field("hlf").type)],
                             schema=row_schema(False))
            name = f"{split}/part-{at:05}"
            with folder.open(f"{name}.parquet") as file:
                pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            size = folder.sizes()[f"{name}.parquet"]
            splits[split].append(Shard(name, tuple(int(np.sum(label == one)) for one in range(3)), {"parquet": size}))
    manifest = Manifest(("parquet",), 1, 0, SCALERS, tuple(splits["train"]), tuple(splits["test"]), {})
    write_manifest(folder, manifest)
    return manifest


def epoch(number: int, wall_s: float, wait_s: float) -> dict[str, Any]:
    """An epoch of ``train.json``: 10 steps of 128 events."""
    return {
        "epoch": number, "learning_rate": 0.001, "loss": 1.0 / number, "accuracy": 0.9 - 0.5 / number, **steps(wall_s, wait_s, 1),
        "test_loss": 1.1 / number, "test_accuracy": 0.89 - 0.5 / number, "test_events": 300, "test_s": 0.1, "test_wait_s": 0.01,
    }


def steps(wall_s: float, wait_s: float, epochs: int) -> dict[str, Any]:
    """Steps of ``train.json``, of some epochs; ``wait_s`` of all workers."""
    each = 1e3 * wall_s / (10 * epochs)
    ms = {"mean": each, "p50": each * 0.8, "p90": each * 2, "p99": each * 3}
    return {"steps": 10 * epochs, "events": 1280 * epochs, "wall_s": wall_s, "wait_s": wait_s, "ms": ms}


def trained(url: str, fingerprint: str, snapshots: list[Snapshot]) -> dict[str, Any]:
    """``train.json`` of three epochs. The requests are those that opened the data, and those of each worker's reads."""
    opened, *reads = snapshots
    workers = [
        {
            "wall_s": 4.0, "cpu_s": 5.0, "rss_mean_bytes": 400_000_000, "rss_peak_bytes": 500_000_000, "gpu": None,
            "measured": Measured(44, 3.5, 0.5, 0.7, 1_200_000, 1_300_000, read).to_json(),
        }
        for read in reads
    ]
    processes = [
        {"worker": number, "host": f"node-{number}", "pid": 17, "wait_s": 0.7, "trace_s": 0.25, "loader_wait_s": 1.0}
        for number in range(len(reads))
    ]
    return {
        "schema": 1,
        "started": "2026-11-30T12:00:05Z",
        "model": {"name": "hlf", "params": 2013, "particles": 0},
        "options": {"epochs": 5, "batch": 128, "workers": len(reads), "seed": 7},
        "plan": OPTIONS,
        "data": {"url": url, "format": "parquet", "fingerprint": fingerprint},
        "epochs": [epoch(1, 2.0, 2.0), epoch(2, 0.6, 0.1), epoch(3, 0.4, 0.1)],
        "steps": {"first": steps(2.0, 2.0, 1), "steady": steps(1.0, 0.2, 2)},
        "stopped_early": True,
        "weights_of_epoch": 2,
        "resumed": None,
        "time": {"plan_s": 0.5, "run_s": 3.25, "trace_s": 0.25},
        "devices": ["CPU"],
        "replicas": len(reads),
        "workers": workers,
        "processes": processes,
        # Of two workers.
        "opened": Measured(2, 0.5, 0.1, 0.3, 0, 10_000, opened).to_json(),
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
    }
