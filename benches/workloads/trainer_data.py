# SPDX-License-Identifier: Apache-2.0
"""The first epoch of a training from object storage: beside the local disk, and beside tf.data over s3fs.

    STORESCOPE_BIN=…/storescope python trainer_data.py --files DIR [--rounds 3] [--only hlf,particles]

Each row trains one epoch of the same shards with the same network and batches of 128, by turns, in a process of its own whose
TensorFlow is imported and whose network was called before the time begins. It ends with the last step, and holds the opening
of the folder. *Waiting* is the time in which the folder was opened, and in which the loop of steps stood in `next()` of its
batches, in all rows alike. *At equal steps*: the rates if the steps of all rows took the same time."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring
import numpy as np

from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.data import Loader, Prepared, Split
from storescope_workloads.trainer.events import Events, ends_of
from storescope_workloads.trainer.shards import Manifest, Scalers, Shard, write_manifest

BATCH, STREAMS = 128, 4
DISK, OCI, S3, PEER = "local disk", "storescope oci://", "storescope s3://", "tf.data, s3fs"
SETTINGS = {
    DISK: "`Loader`, defaults, files on the local disk and in its page cache",
    OCI: "`Loader`, defaults: 4 streams, 4 shards ahead",
    S3: "the same",
    PEER: "`interleave` of shards, `cycle_length=8`, `num_parallel_calls` and `prefetch` `AUTOTUNE`, `deterministic=False`; "
    "each shard by `fsspec.parquet.open_parquet_file` with its columns, decoded, shuffled and padded as `Loader` does it; "
    "`max_pool_connections=64`",
}


@dataclass(frozen=True)
class Sample:
    """Shards to be read: events, shards and particles of each event."""

    name: str
    events: int
    shards: int
    particles: int

    @property
    def about(self) -> str:
        return f"{self.particles} particles, GRU of 50" if self.particles else "event features, Dense 50/20/10"


SAMPLES = {
    sample.name: sample for sample in (Sample("hlf", 400_000, 32, 0), Sample("particles", 10_240, 32, 100))
}


def made(out: Path, sample: Sample) -> Path:
    """The sample as parquet in a folder; one that is there already is taken. Values are random: nothing compresses."""
    url = out / f"trainer-{sample.name}-{sample.events}-{sample.shards}-{sample.particles}"
    if (url / "manifest.json").exists():
        return url
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, rng, each = Folder(str(url), StoreSettings()), np.random.default_rng(7), sample.events // sample.shards
    shards = []
    for number in range(sample.shards):
        label = rng.integers(0, 3, each).astype(np.int8)
        offsets = particles = None
        if sample.particles:
            counts = rng.integers(sample.particles // 2, sample.particles * 2, each).clip(max=sample.particles)
            offsets, particles = ends_of(counts), rng.normal(size=(int(counts.sum()), 19)).astype(np.float32)
        event = np.arange(number * each, (number + 1) * each)
        events = Events(event, label, rng.random((each, 14), np.float32), offsets, particles)
        name = f"train/part-{number:05}"
        with folder.open(f"{name}.parquet") as file:
            table = pa.Table.from_batches([events.to_batch()])
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
        size = (url / f"{name}.parquet").stat().st_size
        shards.append(Shard(name, tuple(map(int, np.bincount(label, minlength=3))), {"parquet": size}))
    scalers = Scalers((0.0,) * 14, (1.0,) * 14, (0.0,) * 19, (1.0,) * 19)
    write_manifest(folder, Manifest(("parquet",), 7, sample.particles, scalers, tuple(shards), (), {}))
    return url


# In the process of one row.


def network(particles: int) -> Any:
    """A step of training: takes event features, particles and mask, labels; returns the loss."""
    import keras
    import tensorflow as tf

    hlf = keras.Input((14,))
    inputs, hidden = [hlf], hlf
    if particles:
        values, mask = keras.Input((particles, 19)), keras.Input((particles,), dtype="bool")
        inputs = [hlf, values, mask]
        hidden = keras.layers.Dense(25, "relu")(keras.layers.Concatenate()([keras.layers.GRU(50)(values, mask=mask), hlf]))
    else:
        for width in (50, 20, 10):
            hidden = keras.layers.Dense(width, "relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    signature = [tf.TensorSpec((None, 14), tf.float32)]
    if particles:
        signature += [tf.TensorSpec((None, particles, 19), tf.float32), tf.TensorSpec((None, particles), tf.bool)]

    @tf.function(input_signature=[*signature, tf.TensorSpec((None,), tf.int8)])
    def step(*given: Any) -> Any:
        *values, label = given
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(label, model(values, training=True)))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True))
        return loss

    return step


def ours(url: str, particles: int) -> tuple[Iterator[tuple[Any, ...]], Loader]:
    settings = StoreSettings()
    loader = Loader(Prepared.open(url, settings), Split(batch=BATCH, streams=STREAMS, particles=particles), settings)
    wanted = ["hlf", "particles", "mask", "label"] if particles else ["hlf", "label"]
    return (tuple(getattr(batch, name) for name in wanted) for batch in loader.epoch(0)), loader


def peer(url: str, particles: int) -> Iterator[tuple[Any, ...]]:
    """tf.data over s3fs, by the settings that both recommend."""
    import fsspec.parquet
    import s3fs
    import tensorflow as tf

    fs = s3fs.S3FileSystem(config_kwargs={"max_pool_connections": 64})
    manifest = json.loads(fs.cat_file(f"{url}/manifest.json"))
    paths = [f"{url}/{shard['name']}.parquet" for shard in manifest["train"]]
    columns = ["event", "label", "hlf", *(["particles"] if particles else [])]

    def shard(path: bytes) -> Iterator[tuple[Any, ...]]:
        import pyarrow.parquet as pq

        with fsspec.parquet.open_parquet_file(path.decode(), fs=fs, columns=columns, engine="pyarrow") as file:
            table = pq.read_table(file, columns=columns, use_threads=False)
        events = Events.from_batch(table.combine_chunks().to_batches()[0])
        rows = np.random.default_rng(1).permutation(len(events))
        for start in range(0, len(rows), BATCH):
            yield padded(events.take(rows[start : start + BATCH]), particles)

    signature = [tf.TensorSpec((None, 14), tf.float32)]
    if particles:
        signature += [tf.TensorSpec((None, particles, 19), tf.float32), tf.TensorSpec((None, particles), tf.bool)]
    signature.append(tf.TensorSpec((None,), tf.int8))

    def of_path(path: Any) -> Any:
        return tf.data.Dataset.from_generator(shard, args=(path,), output_signature=tuple(signature))

    data = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths), seed=1)
    data = data.interleave(of_path, cycle_length=8, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
    return iter(data.prefetch(tf.data.AUTOTUNE))


def padded(events: Events, particles: int) -> tuple[Any, ...]:
    if not particles or events.offsets is None or events.particles is None:
        return events.hlf, events.label
    counts = np.diff(events.offsets)
    mask = np.arange(particles) < counts[:, None]
    values = np.zeros((len(events), particles, 19), np.float32)
    values[mask] = events.particles
    return events.hlf, values, mask, events.label


def child(row: str, url: str, particles: int) -> dict[str, float]:
    """Trains an epoch, and tells what it took."""
    step = network(particles)
    empty = [np.zeros((BATCH, 14), np.float32)]
    if particles:
        empty += [np.zeros((BATCH, particles, 19), np.float32), np.ones((BATCH, particles), np.bool_)]
    for _ in range(3):
        float(step(*empty, np.zeros(BATCH, np.int8)))
    if row == PEER:
        # As what the other rows read with, it is imported before the time begins.
        import fsspec.parquet  # noqa: F401
        import pyarrow.parquet  # noqa: F401
        import s3fs  # noqa: F401
    loader = None
    began = time.perf_counter()
    if row == PEER:
        batches = peer(url, particles)
    else:
        batches, loader = ours(url, particles)
    opened = time.perf_counter() - began
    waited, first, events, steps = 0.0, None, 0, 0
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        first = first if first is not None else time.perf_counter() - began
        if batch is None:
            break
        float(step(*batch))
        events, steps = events + int(batch[-1].shape[0]), steps + 1
    seconds = time.perf_counter() - began
    told = {"seconds": seconds, "open": opened, "first": first, "waited": waited, "events": events, "steps": steps}
    if loader is not None:
        told |= {"blocked": loader.measured.wait_s, "assembled": loader.assemble_s}
    return told


# The parent.


def measured(server: measuring.Server, row: str, folder: Path, sample: Sample, model: str) -> dict[str, float]:
    below = f"{sample.name}/"
    url = {DISK: str(folder), OCI: server.url(below), S3: server.url(below, "s3"), PEER: server.url(below, "s3")}[row]
    server.model(model)
    server.forget()
    environment = {**server.environment(), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, "--child", json.dumps([row, url.rstrip("/"), sample.particles])]
    ran = measuring.run(command, environment)
    traffic = measuring.Traffic.below(server.record(), below)
    told = json.loads(ran.stdout.splitlines()[-1])
    if told["events"] != sample.events:
        raise SystemExit(f"{row}: {told['events']:,} events of {sample.events:,}")
    return {**told, "requests": traffic.requests, "received": traffic.received, "cpu": ran.cpu}


def at_equal_steps(outcomes: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """The rate of each row beside the local disk's, as it is where steps take the same time: the median of all. What else the
    machine does changes the time of steps, whatever they read."""
    every = [one for told in outcomes.values() for one in told]
    step = statistics.median((one["seconds"] - one["waited"] - one["open"]) / one["steps"] for one in every)
    seconds = {
        row: statistics.median(step * one["steps"] + one["waited"] + one["open"] for one in told) for row, told in outcomes.items()
    }
    return {row: seconds[DISK] / took for row, took in seconds.items()}


def line(row: str, told: Sequence[dict[str, float]], base: float, equal: float) -> list[str]:
    rates = [one["events"] / one["seconds"] for one in told]

    def milliseconds(name: str) -> str:
        return measuring.spread([1e3 * one[name] for one in told], 0) if name in told[0] else ""

    return [
        row,
        measuring.spread(rates, 0),
        f"{statistics.median(rates) / base:.2f}",
        f"{equal:.2f}",
        measuring.spread([100 * (one["waited"] + one["open"]) / one["seconds"] for one in told], 1),
        measuring.spread([100 * one["blocked"] / one["seconds"] for one in told], 1) if "blocked" in told[0] else "",
        milliseconds("open"),
        milliseconds("first"),
        measuring.spread([1e3 * (one["seconds"] - one["waited"] - one["open"]) / one["steps"] for one in told], 2),
        f"{statistics.median(one['requests'] for one in told):.0f}",
        f"{statistics.median(one['received'] for one in told) / 1e6:.1f}",
        measuring.spread([one["cpu"] for one in told], 1),
    ]


def report(sample: Sample, outcomes: dict[str, list[dict[str, float]]], folder: Path) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    print(f"### {sample.name}: {sample.about}\n")
    print(f"{sample.events:,} events in {sample.shards} shards of {size / sample.shards / 1e6:.2f} MB.\n")
    rates = {row: statistics.median(one["events"] / one["seconds"] for one in told) for row, told in outcomes.items()}
    equal = at_equal_steps(outcomes)
    head = ["", "events/s", "× local disk", "at equal steps", "waiting, %", "of it blocked, %", "open, ms", "first batch, ms"]
    head += ["ms a step without waiting", "requests", "MB", "CPU, s"]
    measuring.table(head, [line(row, told, rates[DISK], equal[row]) for row, told in outcomes.items()])
    for row in (OCI, S3):
        # By round, so that what else the machine does meets both.
        pairs = [base["seconds"] / one["seconds"] for one, base in zip(outcomes[row], outcomes[DISK], strict=True)]
        print(f"{row} / {DISK}, round by round: {measuring.spread(pairs)}.\n")
        measuring.bar(f"{row} / {DISK}", rates[row] / rates[DISK], 0.9, at_most=False)
        measuring.bar(f"{row} / {DISK}, at equal steps", equal[row], 0.9, at_most=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help="where the samples are kept for the next time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="s3-standard")
    parser.add_argument("--only", default=",".join(SAMPLES), help="samples, with commas between")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of events")
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(*json.loads(asked.child))))
        return
    measuring.heading(["storescope", "tensorflow-cpu", "keras", "pyarrow", "s3fs", "fsspec"])
    print(f"Batches of {BATCH}, model {asked.model}, {asked.rounds} rounds; median, least and most.\n")
    print("\n".join(f"* *{row}*: {about}" for row, about in SETTINGS.items()) + "\n")
    with measuring.serve() as server:
        for name in asked.only.split(","):
            whole = SAMPLES[name]
            each = max(1, int(whole.events * asked.scale) // whole.shards)
            sample = Sample(name, each * whole.shards, whole.shards, whole.particles)
            folder = made(asked.files, sample)
            server.put(folder, f"{name}/")
            outcomes: dict[str, list[dict[str, float]]] = {row: [] for row in SETTINGS}
            for number, row in measuring.turns(list(SETTINGS), asked.rounds):
                told = measured(server, row, folder, sample, asked.model)
                outcomes[row].append(told)
                text = f"{name} {number} {row}: {told['seconds']:.2f} s, waited {told['waited']:.2f} s"
                print(text, file=sys.stderr, flush=True)
            report(sample, outcomes, folder)
            print(f"Load at the end: {os.getloadavg()[0]:.1f}.\n")


if __name__ == "__main__":
    main()
