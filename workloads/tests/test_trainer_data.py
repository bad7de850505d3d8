# SPDX-License-Identifier: Apache-2.0
"""Batches of prepared data: each event once, with its own values; what that asks of a store; and shards that are bad."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import storescope
from storescope import tfrecord

from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer import data as loading
from storescope_workloads.trainer import example
from storescope_workloads.trainer.events import Events
from storescope_workloads.trainer.data import Loader, Prepared, Split
from storescope_workloads.trainer.shards import FORMATS, MANIFEST, Manifest, Scalers, Shard, row_schema, write_manifest

MOST = 9
SCALERS = Scalers((0.0,) * 14, (1.0,) * 14, (0.0,) * 19, (1.0,) * 19)


def hlf_of(events):
    return (np.asarray(events)[:, None] * 16 + np.arange(14)).astype(np.float32)


def counts_of(events):
    """Particles of each event: 0 is among them."""
    return np.asarray(events) * 7 % (MOST + 1)


def particles_of(event):
    """The transverse momenta, in column 4, are in no order."""
    particles = (np.arange(counts_of([event])[0] * 19) + event).astype(np.float32).reshape(-1, 19)
    particles[:, 4] = (np.arange(len(particles)) * 4 + event) % 13
    return particles


def kept_of(event, room):
    """Those that are left where only so many are read: the last, which is the lepton, and the hardest of the others."""
    particles = particles_of(event)
    others = sorted(range(len(particles) - 1), key=lambda at: -particles[at, 4])[: room - 1]
    return particles[sorted([*others, len(particles) - 1])] if len(particles) else particles


def table_of(first, count, particles, noise=0):
    """Events ``first`` …, each with values of its own. ``noise``: so many random particles in their place."""
    events = np.arange(first, first + count)
    hlf = pa.FixedSizeListArray.from_arrays(pa.array(hlf_of(events).ravel()), type=row_schema(False).field("hlf").type)
    columns = [pa.array(events), pa.array((events % 3).astype(np.int8)), hlf]
    if particles:
        values = [particles_of(event).ravel() for event in events]
        if noise:
            rng = np.random.default_rng(first)
            values = [rng.random(noise * 19, np.float32) for _ in events]
        offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
        kind = row_schema(True).field("particles").type
        flat = np.concatenate([*values, np.empty(0, np.float32)])
        columns.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=kind))
    return pa.Table.from_arrays(columns, schema=row_schema(particles))


def parquet_of(table, group=None):
    """With checksums of pages, as ``trainer prepare`` writes them."""
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=group or max(1, len(table)), write_page_checksum=True, compression="zstd")
    return file.getvalue()


def tfrecord_of(table):
    batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return tfrecord.frame(example.encode(Events.from_batch(batches[0])))


def make(folder, counts, particles=True, *, group=None, noise=0, formats=FORMATS, tests=(5,)):
    """Prepared data of shards with so many events each; event numbers begin with 0. Returns the manifest."""
    most = (noise or MOST) if particles else 0
    first, shards = 0, {}
    for split, of_split in (("train", counts), ("test", tests)):
        shards[split] = []
        for number, count in enumerate(of_split):
            table = table_of(first, count, particles, noise)
            first += count
            name = f"{split}/part-{number:05}"
            content = {"parquet": lambda t: parquet_of(t, group), "tfrecord": tfrecord_of}
            told = {form: content[form](table) for form in formats}
            for form, body in told.items():
                folder.write(f"{name}.{form}", body)
            labels = np.bincount(table["label"].to_numpy(), minlength=3)
            shards[split].append(Shard(name, tuple(map(int, labels)), {form: len(body) for form, body in told.items()}))
    manifest = Manifest(tuple(formats), 1, most, SCALERS, tuple(shards["train"]), tuple(shards["test"]), {})
    write_manifest(folder, manifest)
    return manifest


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path, place, settings):
    return Folder(str(tmp_path / "in"), StoreSettings()) if request.param == "disk" else Folder(place, settings)


@pytest.fixture
def disk(tmp_path):
    return Folder(str(tmp_path / "in"), StoreSettings())


@pytest.fixture
def remote(place, settings):
    return Folder(place, settings)


@pytest.fixture
def faults(server):
    """Adds faults that end with the test."""
    yield server.fault
    server.admin("DELETE", "/faults")


def loader(folder, form=None, **split):
    return Loader(Prepared.open(folder.url, folder.settings, form), Split(**split), folder.settings)


def events_of(batches):
    return [int(event) for batch in batches for event in batch.event]


def same(one, other):
    """Whether two batches are equal, value by value."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("hlf", "particles", "mask", "label", "event", "total")]
    return all((a is None and b is None) or np.array_equal(a, b) for a, b in pairs)


def check(batch, room, event_features=True):
    """A batch holds what :func:`make` wrote."""
    assert batch.label.dtype == np.int8 and np.array_equal(batch.label, batch.event % 3)
    if event_features:
        assert batch.hlf.dtype == np.float32 and np.array_equal(batch.hlf, hlf_of(batch.event))
    else:
        assert batch.hlf is None
    if not room:
        assert batch.particles is None and batch.mask is None
        return
    assert batch.particles.shape == (len(batch), room, 19) and batch.particles.dtype == np.float32
    assert np.array_equal(batch.mask, np.arange(room) < counts_of(batch.event)[:, None])
    for event, particles in zip(batch.event, batch.particles, strict=True):
        expected = np.zeros((room, 19), np.float32)
        own = kept_of(int(event), room)
        expected[: len(own)] = own
        assert np.array_equal(particles, expected)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("room", "event_features"), [(0, True), (MOST + 3, True), (4, False), (MOST, True)])
def test_batches_hold_what_was_written(folder, form, room, event_features):
    make(folder, [40, 0, 23, 31, 1], group=7)
    ours = loader(folder, form, batch=12, streams=3, particles=room, event_features=event_features)
    assert (ours.events, ours.steps) == (95, 8)
    batches = list(ours.epoch(0))
    for batch in batches:
        check(batch, room, event_features)
    assert sorted(events_of(batches)) == list(range(95))
    assert [batch.total for batch in batches] == [len(batch) for batch in batches] == [12] * 7 + [11]
    tests = list(loader(folder, form, split="test", batch=4, streams=1, shuffle=False).epoch(0))
    assert events_of(tests) == [95, 96, 97, 98, 99]


@pytest.mark.parametrize("form", FORMATS)
def test_each_event_once_by_many_splits(disk, form):
    """The property of test_trainer_order.py, with files: streams cut shards and row groups, workers share streams."""
    draw = random.Random(form)
    for number in range(8):
        folder = disk / str(number)
        counts = [draw.choice([0, 1, draw.randint(0, 60)]) for _ in range(draw.randint(1, 6))]
        make(folder, counts, draw.random() < 0.5, group=draw.randint(1, 30))
        workers = draw.choice([1, 2, 3])
        streams = workers * draw.randint(1, 3)
        common = dict(batch=streams * draw.randint(1, 9), streams=streams, workers=workers, prefetch=draw.randint(0, 3))
        epoch = draw.randint(0, 9)
        of_all = [loader(folder, form, worker=worker, **common) for worker in range(workers)]
        seen = sum((events_of(one.epoch(epoch)) for one in of_all), [])
        assert sorted(seen) == list(range(sum(counts))), (counts, common)
        start = of_all[0].steps // 2
        tail = sum((events_of(one.epoch(epoch, start)) for one in of_all), [])
        before = sum((events_of(list(one.epoch(epoch))[:start]) for one in of_all), [])
        assert sorted(before + tail) == list(range(sum(counts)))


def test_one_two_and_four_workers_have_the_same_global_batches(folder):
    make(folder, [30, 50, 17, 80], group=16, formats=("parquet",))

    def steps(workers):
        common = dict(batch=16, streams=4, particles=5, workers=workers)
        of_all = [list(loader(folder, worker=worker, **common).epoch(1)) for worker in range(workers)]
        for of_step in zip(*of_all, strict=True):
            assert {batch.total for batch in of_step} == {sum(len(batch) for batch in of_step)}
        return [sorted(events_of(of_step)) for of_step in zip(*of_all, strict=True)]

    assert steps(1) == steps(2) == steps(4)


@pytest.mark.parametrize("form", FORMATS)
def test_a_restart_gives_the_rest_of_the_epoch(folder, form):
    make(folder, [30, 50, 17, 80], group=16)
    ours = loader(folder, form, batch=16, streams=4, particles=5)
    whole = list(ours.epoch(3))
    for start in (0, 1, 5, ours.steps - 1, ours.steps):
        tail = list(loader(folder, form, batch=16, streams=4, particles=5, prefetch=0).epoch(3, start))
        assert len(tail) == len(whole) - start and all(map(same, tail, whole[start:]))


def test_both_formats_give_the_same_batches(disk):
    make(disk, [30, 50, 17], group=16)
    one, other = (list(loader(disk, form, batch=8, particles=5).epoch(2)) for form in FORMATS)
    assert len(one) == len(other) and all(map(same, one, other))


def test_epochs_differ_and_seeds_repeat_them(disk):
    make(disk, [40, 40, 40], formats=("parquet",))
    first = events_of(loader(disk, seed=5).epoch(0))
    assert events_of(loader(disk, seed=5).epoch(0)) == first
    assert events_of(loader(disk, seed=5).epoch(1)) != first
    assert events_of(loader(disk, seed=6).epoch(0)) != first
    plain = loader(disk, shuffle=False, streams=1, batch=128)
    assert events_of(plain.epoch(0)) == events_of(plain.epoch(1)) == list(range(120))


def test_a_tf_dataset_gives_the_same_batches(remote):
    make(remote, [30, 50, 17], group=16, formats=("parquet",))
    ours = loader(remote, batch=16, streams=4, particles=5)
    expected = list(ours.epoch(1, 2))
    found = list(ours.dataset(1, 2).as_numpy_iterator())
    assert len(found) == len(expected) == int(ours.dataset(1, 2).cardinality())
    for one, other in zip(found, expected, strict=True):
        assert set(one) == {"hlf", "particles", "mask", "label", "event", "total"}
        for name, values in one.items():
            assert np.array_equal(values, getattr(other, name)), name
            assert name == "total" or values.dtype == getattr(other, name).dtype
    assert set(next(iter(loader(remote, streams=1, batch=1).dataset(0)))) == {"hlf", "label", "event", "total"}


def reads(lines):
    """The bytes that each request for a shard got, by target and range. A read that is late may be sent twice (`hedge_at`)."""
    found = {}
    for line in lines:
        if "part-" in line["target"]:
            key = line["target"], line["range"]
            found[key] = max(found.get(key, 0), line["bytes_out"])
    return found


def needed_of(folder, manifest, columns):
    """Bytes of the column chunks of all training shards, by pyarrow."""
    total = 0
    for shard in manifest.train:
        footer = pq.read_metadata(io.BytesIO(folder.read(f"{shard.name}.parquet")))
        for group in map(footer.row_group, range(footer.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                if column.path_in_schema.split(".")[0] in columns:
                    total += column.total_compressed_size
    return total


@pytest.mark.parametrize("room", [0, 40])
def test_requests_and_bytes_of_an_epoch_by_the_stores_record(remote, seen, room):
    """Event features alone: those columns and no particles, a request for each row group. All: the whole shard, in requests of
    4 MiB as the client makes them. Streams share no row group here."""
    counts, groups = [2000] * 4, 2
    manifest = make(remote, counts, group=1000, noise=40, formats=("parquet",), tests=())
    columns = ["event", "label", "hlf", *(["particles"] if room else [])]
    needed = needed_of(remote, manifest, columns)
    before = len(seen())
    ours = loader(remote, batch=100, streams=4, particles=room)
    opening = reads(seen()[before:])
    assert len(opening) == len(counts) and sum(opening.values()) <= len(counts) * 8192
    before = len(seen())
    assert len(events_of(ours.epoch(0))) == sum(counts)
    lines = seen()[before:]
    received = sum(reads(lines).values())
    assert len(reads(lines)) == len(counts) * (-(-needed // len(counts) // (4 << 20)) if room else groups)
    assert needed <= received <= 1.1 * needed
    measured = ours.measured
    assert (measured.needed, measured.read) == (needed, needed) and measured.tasks == 4
    assert measured.snapshot.requests >= len(reads(lines)) and measured.snapshot.bytes_received >= received
    assert measured.snapshot.bytes_received - measured.snapshot.bytes_wasted <= 1.1 * needed
    assert all("part-" in line["target"] for line in lines)
    assert 0 < measured.cpu_s and 0 <= measured.wait_s <= measured.wall_s


def test_a_stream_reads_its_own_row_groups_alone(remote, seen):
    """Four streams of one shard: together little more than the shard."""
    manifest = make(remote, [2000], group=125, noise=20, formats=("parquet",), tests=())
    needed = needed_of(remote, manifest, ["event", "label", "hlf", "particles"])
    ours = loader(remote, batch=100, streams=4, particles=20)
    before = len(seen())
    assert len(events_of(ours.epoch(0))) == 2000
    lines = reads(seen()[before:])
    assert len(lines) == 4 and sum(lines.values()) == needed
    before = len(seen())
    assert len(events_of(ours.epoch(0, ours.steps - 1))) == 100
    assert len(reads(seen()[before:])) == 4


def test_what_opening_costs_is_told_apart(remote, seen):
    make(remote, [50] * 3, formats=("parquet",))
    before = len(seen())
    prepared = Prepared.open(remote.url, remote.settings)
    lines = seen()[before:]
    assert 4 + 3 <= prepared.measured.snapshot.requests <= len(lines)
    assert len(reads(lines)) == 4 and len({line["target"] for line in lines}) == 4 + 3
    assert Loader(prepared, Split(), remote.settings).measured.snapshot.requests == 0


@contextmanager
def no_file_grows(size=0):
    """Whatever this process writes to a file beyond ``size`` bytes fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_written_to_disk(remote, form, tmp_path, monkeypatch):
    make(remote, [200] * 6)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with no_file_grows():
        with pytest.raises(OSError) as caught:
            (tmp_path / "probe").write_bytes(b"x")
        assert caught.value.errno == errno.EFBIG
        (tmp_path / "probe").unlink()
        seen = events_of(loader(remote, form, particles=5).epoch(0))
    assert len(seen) == 1200 and list(tmp_path.iterdir()) == []


def until(true, seconds=60):
    """Looks again and again whether something is true."""
    tick = threading.Event()
    for _ in range(seconds * 50):
        if true():
            return
        tick.wait(0.02)
    raise AssertionError("it did not come true")


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_so_many_shards_are_read_ahead_and_no_more(remote, seen, prefetch):
    """With two streams: their first shards and `prefetch` more, without that the second step is asked for."""
    make(remote, [20] * 12, formats=("parquet",), tests=())
    ours = loader(remote, batch=4, streams=2, prefetch=prefetch)
    before = len(seen())
    batches = ours.epoch(0)
    next(batches)
    expected = [part.shard for part in loading.Feed(ours.order, 0, 0, range(2)).parts][: 2 + prefetch]
    until(lambda: len(reads(seen()[before:])) >= 2 + prefetch)
    # A third would have been asked for beside these: threads are idle, and nothing else waits.
    threading.Event().wait(0.2)
    asked = [int(target.rpartition("part-")[2].removesuffix(".parquet")) for target, _ in reads(seen()[before:])]
    assert sorted(asked) == sorted(expected)
    assert len(events_of(batches)) == 240 - 4


def test_no_more_shards_are_in_memory(disk, monkeypatch):
    make(disk, [20] * 30, formats=("parquet",))
    alive, most = weakref.WeakSet(), 0
    before = loading.ShardReader.read

    class Noted(loading.Block):
        __eq__, __hash__ = object.__eq__, object.__hash__

    def noted(*args):
        block = before(*args)
        block = Noted(**vars(block))
        alive.add(block)
        return block

    monkeypatch.setattr(loading.ShardReader, "read", noted)
    for _ in loader(disk, batch=6, streams=3, prefetch=2).epoch(0):
        most = max(most, len(alive))
    assert 3 <= most <= 3 + 2
    assert len(alive) == 0


def test_seconds_of_waiting_are_told(remote, faults):
    make(remote, [20] * 3, formats=("parquet",))
    ours = loader(remote, batch=4, streams=1, prefetch=0)
    faults({"method": "GET", "contains": "part-", "action": {"delay": {"ms": 200}}})
    began = time.perf_counter()
    assert len(events_of(ours.epoch(0))) == 60
    assert 0.6 <= ours.measured.wait_s <= time.perf_counter() - began
    assert 0 < ours.assemble_s < time.perf_counter() - began - ours.measured.wait_s


def test_an_epoch_that_is_left_gives_up_what_is_on_its_way(remote, faults):
    make(remote, [20] * 8, formats=("parquet",))
    ours = loader(remote, batch=4, streams=1, shuffle=False, prefetch=3)
    faults({"method": "GET", "contains": "part-00002", "action": {"stall": {"after": 0}}})
    batches = ours.epoch(0)
    next(batches)
    began = time.perf_counter()
    batches.close()
    assert time.perf_counter() - began < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("shard")]


# Copies in a folder.


def test_a_cache_is_read_in_place_of_the_store(remote, seen, tmp_path):
    make(remote, [100] * 3, group=10)
    cache = tmp_path / "deep" / "cache"
    ours = loader(remote, batch=8, particles=5, cache=str(cache))
    expected = list(loader(remote, batch=8, particles=5).epoch(0))
    assert all(map(same, ours.epoch(0), expected))
    copies = {path.name.partition("-")[2]: path.read_bytes() for path in cache.iterdir()}
    assert copies == {f"part-{n:05}.parquet": remote.read(f"train/part-{n:05}.parquet") for n in range(3)}
    again = loader(remote, batch=8, particles=5, cache=str(cache))
    before = len(seen())
    assert all(map(same, again.epoch(0), expected)) and len(events_of(ours.epoch(1))) == 300
    assert len(seen()) == before


def test_a_copy_of_another_version_or_size_is_not_used(remote, seen, tmp_path):
    make(remote, [50] * 2, formats=("tfrecord",))
    first = loader(remote, cache=str(tmp_path))
    assert len(events_of(first.epoch(0))) == 100
    short = sorted(tmp_path.iterdir())[0]
    short.write_bytes(short.read_bytes()[:-1])
    before = len(seen())
    assert sorted(events_of(loader(remote, cache=str(tmp_path)).epoch(0))) == list(range(100))
    assert len({line["target"] for line in seen()[before:] if line["method"] == "GET" and "part-" in line["target"]}) == 1
    # The same size, another ETag.
    remote.write("train/part-00000.tfrecord", remote.read("train/part-00000.tfrecord"))
    before = len(seen())
    assert len(events_of(loader(remote, cache=str(tmp_path)).epoch(0))) == 100
    assert any(line["method"] == "GET" and line["target"].endswith("part-00000.tfrecord") for line in seen()[before:])
    assert len(list(tmp_path.iterdir())) == 3


def test_a_cache_without_space_is_named_and_holds_nothing_half_written(remote, tmp_path):
    manifest = make(remote, [500] * 2, formats=("parquet",))
    ours = loader(remote, cache=str(tmp_path / "cache"))
    with no_file_grows(manifest.train[0].sizes["parquet"] // 2):
        with pytest.raises(WorkloadError) as caught:
            list(ours.epoch(0))
    assert f"{tmp_path / 'cache'}: no space left" in str(caught.value) and "part-0000" in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(events_of(ours.epoch(0))) == 1000


def test_a_cache_that_is_no_folder_is_named(remote, tmp_path):
    make(remote, [5], formats=("parquet",))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkloadError, match=f"{tmp_path / 'file'}: the folder cannot be made"):
        loader(remote, cache=str(tmp_path / "file"))


def test_processes_that_share_a_cache_copy_a_shard_once(remote, seen, tmp_path):
    """And what a process that was killed has left is written anew."""
    make(remote, [300] * 2, formats=("parquet",))
    ours = loader(remote, cache=str(tmp_path), streams=2, batch=4)
    list(ours.epoch(0))
    names = sorted(tmp_path.iterdir())
    for path in names:
        path.unlink()
        path.with_name(f"{path.name}.part").write_bytes(b"left by a process that was killed" * 1000)
    before, found = len(seen()), []
    threads = [threading.Thread(target=lambda: found.append(len(events_of(ours.epoch(0))))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [600] * 4 and sorted(tmp_path.iterdir()) == names
    gets = [line["target"] for line in seen()[before:] if line["method"] == "GET" and "part-" in line["target"]]
    # One of them may have been sent twice because it was late.
    assert len(set(gets)) == 2 and len(gets) <= 3


# Bad input.


def test_an_empty_shard_is_right_where_the_manifest_says_so(folder):
    make(folder, [0, 5, 0])
    for form in FORMATS:
        assert len(events_of(loader(folder, form).epoch(0))) == 5
        empty = loader(folder, form, split="test", batch=4)
        assert empty.steps == 2
    make(folder, [0])
    assert loader(folder).steps == 0 and list(loader(folder).epoch(0)) == []


def told_otherwise(folder, manifest, number, **changes):
    """Writes the manifest with another word of a training shard."""
    train = list(manifest.train)
    train[number] = replace(train[number], **changes)
    write_manifest(folder, replace(manifest, train=tuple(train)))


def failure(folder, form, **split):
    """The error of opening or reading, and how many events were given before it."""
    given = 0
    try:
        for batch in loader(folder, form, **split).epoch(0):
            given += len(batch)
    except WorkloadError as error:
        return error, given
    raise AssertionError("no error")


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_shard_that_the_manifest_does_not_know_is_named(folder, form):
    manifest = make(folder, [10, 0, 10])
    told_otherwise(folder, manifest, 1, events=(1, 1, 1))
    error, _ = failure(folder, form)
    assert error.url.endswith(f"train/part-00001.{form}")
    assert "0 events where the manifest says 3" in str(error) or "has 0 bytes and, by the manifest, 3 events" in str(error)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("events", [(3, 3, 3), (4, 4, 3), (0, 0, 0)])
def test_a_number_of_events_other_than_the_manifests_is_named(folder, form, events):
    manifest = make(folder, [10, 10, 10])
    told_otherwise(folder, manifest, 1, events=events)
    error, _ = failure(folder, form)
    assert error.url.endswith(f"train/part-00001.{form}") and f"manifest" in str(error)


@pytest.mark.parametrize("form", FORMATS)
def test_other_classes_than_the_manifests_are_named(disk, form):
    manifest = make(disk, [9, 9])
    told_otherwise(disk, manifest, 1, events=(4, 3, 2))
    error, _ = failure(disk, form, streams=1, batch=1)
    assert error.url.endswith(f"part-00001.{form}") and "(3, 3, 3) events of qcd, ttbar, wjets" in str(error)


@pytest.mark.parametrize("form", FORMATS)
def test_another_size_is_named_before_anything_is_read(folder, seen, form):
    manifest = make(folder, [10, 10])
    sizes = {form: size + 1 for form, size in manifest.train[1].sizes.items()}
    told_otherwise(folder, manifest, 1, sizes=sizes)
    before = len(seen())
    with pytest.raises(BadFile, match=rf"part-00001.{form}: has [\d,]+ bytes where the manifest says"):
        Prepared.open(folder.url, folder.settings, form)
    assert reads(seen()[before:]) == {}


@pytest.mark.parametrize("form", FORMATS)
def test_a_shard_that_is_missing_is_named(folder, form):
    make(folder, [10, 10])
    folder.remove(f"test/part-00000.{form}")
    with pytest.raises(BadFile, match=f"test/part-00000.{form}: is missing"):
        Prepared.open(folder.url, folder.settings, form)


@pytest.mark.parametrize("form", FORMATS)
def test_shards_of_two_schemas(folder, form):
    """One of the shards has no particles, and then: another number of event features."""
    manifest = make(folder, [10, 10])
    plain = table_of(10, 10, False)
    content = parquet_of(plain) if form == "parquet" else tfrecord_of(plain)
    folder.write(f"train/part-00001.{form}", content)
    told_otherwise(folder, manifest, 1, sizes={form: len(content)})
    error, _ = failure(folder, form, particles=3)
    assert error.url.endswith(f"train/part-00001.{form}") and "particles" in str(error)


def test_columns_of_other_types(disk):
    manifest = make(disk, [10, 10], formats=("parquet",))
    table = table_of(10, 10, True)
    wide = table.set_column(2, "hlf", pa.array(np.arange(150.0).reshape(10, 15).tolist(), pa.list_(pa.float32(), 15)))
    for changed, told in [
        (wide, r"has the column hlf as .*\[15\].*not as"),
        (table.set_column(1, "label", table["label"].cast(pa.int64())), "has the column label as int64, not as int8"),
        (table.append_column("more", table["event"]), r"has other columns than the manifest says \(more\)"),
        (table.drop_columns("event"), "has no column event"),
    ]:
        body = parquet_of(changed)
        disk.write("train/part-00001.parquet", body)
        told_otherwise(disk, manifest, 1, sizes={"parquet": len(body)})
        with pytest.raises(BadFile, match=f"part-00001.parquet: {told}"):
            Prepared.open(disk.url, disk.settings)


def spoilt(body, place):
    return body[:place] + bytes([body[place] ^ 0x55]) + body[place + 1 :]


def test_each_flipped_byte_of_a_tfrecord_is_found(disk):
    """Whether it is of a length, a checksum or a value; and no event of the shard is given."""
    manifest = make(disk, [20, 12], formats=("tfrecord",))
    path = Path(disk.path("train/part-00001.tfrecord"))
    body = path.read_bytes()
    record = (len(body)) // 12
    places = [*range(0, 40, 2), *range(3 * record, 3 * record + 40, 3), *range(100, len(body), 197), len(body) - 1]
    for place in places:
        path.write_bytes(spoilt(body, place))
        error, given = failure(disk, None, streams=1, batch=1, shuffle=False)
        assert error.url == str(path) and "corrupt record at byte" in str(error) and "(record" in str(error), place
        assert given == manifest.train[0].count


def test_each_flipped_byte_of_parquet_is_found_or_changes_nothing(disk):
    """Pages have checksums. What a flip of the footer or of a page's header changes is told, or is no value."""
    make(disk, [20, 40], group=17, formats=("parquet",))
    path = Path(disk.path("train/part-00001.parquet"))
    body = path.read_bytes()
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    expected = list(loader(disk, streams=1, batch=4, particles=MOST).epoch(0))
    found = Counter()
    for place in [*range(4, footer, 61), *range(footer, len(body), 71), *range(len(body) - 8, len(body))]:
        path.write_bytes(spoilt(body, place))
        try:
            batches = list(loader(disk, streams=1, batch=4, particles=MOST).epoch(0))
        except BadFile as error:
            assert error.url == str(path) and "\n" not in str(error), place
            found["footer" if place >= footer else "pages"] += 1
        else:
            assert len(batches) == len(expected) and all(map(same, batches, expected)), place
    assert found["pages"] > 0.9 * (footer / 61) and found["footer"] > 5, found


def test_a_corrupt_page_is_named(remote):
    manifest = make(remote, [20, 40], formats=("parquet",))
    body = remote.read("train/part-00001.parquet")
    column = pq.read_metadata(io.BytesIO(body)).row_group(0).column(2)
    place = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 3
    remote.write("train/part-00001.parquet", spoilt(body, place))
    error, given = failure(remote, None, streams=1, batch=1, shuffle=False)
    assert isinstance(error, BadFile) and error.url.endswith("train/part-00001.parquet") and given == manifest.train[0].count
    assert "could not verify page integrity" in str(error).lower() or "crc" in str(error).lower()


@pytest.mark.parametrize("form", FORMATS)
def test_a_shard_that_is_replaced_while_training_is_named(folder, form):
    """By one of the same size."""
    make(folder, [20, 20, 20])
    ours = loader(folder, form, streams=1, batch=20, shuffle=False, prefetch=0)
    batches = ours.epoch(0)
    next(batches)
    name = f"train/part-00002.{form}"
    folder.write(name, folder.read(name))
    with pytest.raises(BadFile, match=f"part-00002.{form}: was replaced since it was listed"):
        list(batches)


@pytest.mark.parametrize("form", FORMATS)
def test_a_shard_that_is_removed_while_training_is_named(folder, form):
    make(folder, [20, 20, 20])
    ours = loader(folder, form, streams=1, batch=20, shuffle=False, prefetch=0)
    batches = ours.epoch(0)
    next(batches)
    folder.remove(f"train/part-00002.{form}")
    with pytest.raises(BadFile, match=f"part-00002.{form}: is gone since it was listed"):
        list(batches)


def test_a_store_that_throttles_is_waited_for(remote, faults, seen):
    make(remote, [20] * 6)
    faults({"contains": "part-", "action": {"throttle": {"requests": 8}}})
    before = len(seen())
    assert sorted(events_of(loader(remote, batch=4, particles=3).epoch(0))) == list(range(120))
    assert [line["status"] for line in seen()[before:]].count(429) == 8


STALLED = """
import sys, time
from storescope_workloads.errors import WorkloadError
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.events import Events
from storescope_workloads.trainer.data import Loader, Prepared, Split
url, endpoint, config_file, region = sys.argv[1:]
settings = StoreSettings(endpoint=endpoint, config_file=config_file, region=region)
prepared, given = Prepared.open(url, settings), 0
began = time.perf_counter()
try:
    for batch in Loader(prepared, Split(streams=1, batch=10, shuffle=False), settings).epoch(0):
        given += len(batch)
except WorkloadError as error:
    print(given, time.perf_counter() - began, error)
"""


@pytest.mark.parametrize("action", [{"stall": {"after": 100}}, {"delay": {"ms": 60_000}}])
def test_a_store_that_stalls_ends_the_epoch_with_the_objects_name(remote, faults, server, action):
    """Within the client's time-outs: these belong to a process."""
    make(remote, [20, 20, 200], formats=("parquet",))
    # The first reads are those of the footers.
    faults({"method": "GET", "contains": "part-00002", "nth": 2, "count": 100, "action": action})
    limits = {"STALL_TIMEOUT": "300ms", "FIRST_BYTE_TIMEOUT": "300ms", "ATTEMPTS": "2", "HEDGE_AT": "0", "BACKOFF_BASE": "10ms"}
    environment = {**os.environ, **{f"STORESCOPE_{name}": value for name, value in limits.items()}}
    command = [sys.executable, "-c", STALLED, remote.url, *(server.oci[name] for name in ("endpoint", "config_file", "region"))]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    given, seconds, told = ran.stdout.split(" ", 2)
    assert given == "40" and "part-00002" in told, told
    # Two attempts, of 0.3 s each; without the limits they would be eight, of 30 s each.
    assert float(seconds) < 20


def test_a_folder_that_is_not_complete(folder):
    make(folder, [5])
    folder.remove(MANIFEST)
    with pytest.raises(WorkloadError, match="holds no prepared data"):
        Prepared.open(folder.url, folder.settings)


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b'{"schema": 1}', b"\xff\xfe", b"null"], ids=["empty", "list", "keys", "bytes", "null"]
)
def test_a_manifest_that_cannot_be_read_is_named(disk, content):
    make(disk, [5])
    disk.write(MANIFEST, content)
    with pytest.raises(WorkloadError, match=f"{MANIFEST}|{disk.url}") as caught:
        Prepared.open(disk.url, disk.settings)
    assert "trainer prepare" in str(caught.value)


@pytest.mark.parametrize("name", ["classes", "event_features", "particle_features"])
def test_a_manifest_of_other_names_is_refused(disk, name):
    make(disk, [5])
    told = json.loads(disk.read(MANIFEST))
    told[name] = told[name][::-1]
    disk.write(MANIFEST, json.dumps(told).encode())
    with pytest.raises(WorkloadError, match="written by another version; run trainer prepare again"):
        Prepared.open(disk.url, disk.settings)


def test_shards_that_are_listed_twice_are_refused(disk):
    manifest = make(disk, [5, 5])
    write_manifest(disk, replace(manifest, train=(manifest.train[0],) * 2))
    with pytest.raises(WorkloadError, match="listed twice"):
        Prepared.open(disk.url, disk.settings)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"streams": 4, "workers": 3}, "4 streams are not shared evenly by 3 workers; use a multiple of 3"),
        ({"batch": 130, "streams": 4}, "a batch of 130 is not taken evenly from 4 streams; use a multiple of 4"),
        ({"worker": 2, "workers": 2}, "worker 2 is not one of 2"),
        ({"event_features": False}, "neither event features nor particles"),
        ({"particles": 10}, "the shards have no particles; run trainer prepare with particles"),
        ({"split": "validation"}, "'validation' is not known; use train or test"),
        ({"prefetch": -1}, "not negative"),
        ({"streams": 0}, "at least 1"),
    ],
)
def test_splits_that_cannot_be_had_say_what_to_do(disk, split, told):
    make(disk, [5], particles=False, formats=("parquet",))
    with pytest.raises(UsageError, match=told):
        loader(disk, **split)


def test_a_format_and_a_step_that_are_not_there(disk):
    make(disk, [5], formats=("parquet",))
    with pytest.raises(UsageError, match="has no shards as tfrecord: it has parquet"):
        Prepared.open(disk.url, disk.settings, "tfrecord")
    with pytest.raises(UsageError, match="epoch 0, step 3: epochs have the steps 0 … 2"):
        loader(disk, batch=4, streams=1).epoch(0, 3)
