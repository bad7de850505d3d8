# SPDX-License-Identifier: Apache-2.0
"""Small prepared data, for tests of training: three classes that their features tell apart."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.shards import Manifest, Scalers, Shard, row_schema, write_manifest

SCALERS = Scalers((0.0,) * 14, (1.0,) * 14, (0.0,) * 19, (1.0,) * 19)


def write_shards(
    url: str, train: tuple[int, ...] = (130, 97, 140), test: tuple[int, ...] = (60, 44), particles: int = 0, seed: int = 1,
    settings: StoreSettings | None = None,
) -> Manifest:
    """Writes a folder of parquet shards with so many events each.

    An event's first features are about 0.2, 0.5 or 0.8 by its class, and so is the mean of its particles' first."""
    folder, random, number = Folder(url, settings or StoreSettings()), np.random.default_rng(seed), 0
    splits: dict[str, tuple[Shard, ...]] = {}
    for split, counts in (("train", train), ("test", test)):
        shards = []
        for at, count in enumerate(counts):
            table, label = _events(random, count, number, particles)
            number += count
            name = f"{split}/part-{at:05}"
            with folder.open(f"{name}.parquet") as file:
                pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            size = folder.sizes()[f"{name}.parquet"]
            shards.append(Shard(name, tuple(int((label == one).sum()) for one in range(3)), {"parquet": size}))
        splits[split] = tuple(shards)
    manifest = Manifest(("parquet",), seed, particles, SCALERS, splits["train"], splits["test"], {})
    write_manifest(folder, manifest)
    return manifest


def _events(random: np.random.Generator, count: int, number: int, particles: int) -> tuple[pa.Table, np.ndarray]:
    label = random.integers(0, 3, count).astype(np.int8)
    hlf = random.random((count, 14)).astype(np.float32)
    hlf[:, :3] = (0.2 + 0.3 * label + 0.1 * random.normal(size=count))[:, None]
    schema = row_schema(particles > 0)
    columns = [
        pa.array(np.arange(number, number + count)), pa.array(label),
        pa.FixedSizeListArray.from_arrays(pa.array(hlf.ravel()), type=schema.field("hlf").type),
    ]
    if particles:
        sizes = random.integers(1, particles + 1, count)
        values = random.normal(size=(int(sizes.sum()), 19)).astype(np.float32)
        values[:, 0] += np.repeat(label - 1.0, sizes).astype(np.float32)
        offsets = np.concatenate([[0], np.cumsum(sizes * 19)]).astype(np.int32)
        columns.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()), type=schema.field("particles").type))
    return pa.Table.from_arrays(columns, schema=schema), label
