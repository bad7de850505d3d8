# SPDX-License-Identifier: Apache-2.0
"""``trainer prepare``: which events it takes, how it scales and orders them, what it writes, and what it refuses."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from storescope import tfrecord

import prepare_files as made
from storescope_workloads import spark as sessions
from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.places import Folder, find
from storescope_workloads.scan.job import Watch
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer import example, prepare_local, prepare_spark, prepare_work, spill
from storescope_workloads.trainer import prepare as prepare_job
from storescope_workloads.trainer.arrange import arrange
from storescope_workloads.trainer.choice import Rule, _events_of, choose, event_numbers, order_hashes, rank_hashes
from storescope_workloads.trainer.events import Events, ends_of
from storescope_workloads.trainer.features import CLASSES, EVENT_FEATURES, MOST_PARTICLES, PARTICLE_FEATURES
from storescope_workloads.trainer.prepare import Options, prepare
from storescope_workloads.trainer.prepare_command import prepare as command
from storescope_workloads.trainer.prepare_local import LocalEngine
from storescope_workloads.trainer.prepare_work import write
from storescope_workloads.trainer.scalers import Moments, exact_sums, fit, scaled
from storescope_workloads.trainer.shards import read_manifest, row_schema

# The JVM's sockets are closed when Python ends; Spark 3.5 compares versions by distutils.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:distutils Version:DeprecationWarning")

LOCAL = StoreSettings()
SHARD = 40_000


@pytest.fixture(scope="module")
def events():
    return made.sample()


@pytest.fixture
def ingested(tmp_path, events):
    """A folder as trainer ingest leaves it: 120, 200 and 150 events of the three classes."""
    place = Folder(str(tmp_path / "in"), LOCAL)
    made.write_ingested(place, events)
    return place


def options(**given):
    rule = {"seed": 3, "shard": SHARD}
    rule |= {name: given.pop(name) for name in list(given) if name in ("seed", "test", "balance", "shard")}
    return Options(Rule(**rule), **given)


def run(source, out, processes=1, overwrite=False, watch=None, **given):
    with LocalEngine(processes) as engine:
        return prepare(engine, source.url, out, options(**given), overwrite, watch)


def read(out, split, kind="parquet"):
    """All events of a split, in order."""
    manifest = read_manifest(out)
    parts = []
    for shard in manifest.split(split):
        data = out.read(f"{shard.name}.{kind}")
        assert len(data) == shard.sizes[kind]
        if kind == "parquet":
            table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True).combine_chunks()
            assert table.schema.equals(row_schema(manifest.max_particles > 0))
            part = Events.concat([Events.from_batch(batch) for batch in table.to_batches()])
        else:
            part = example.decode(tfrecord.records(data), manifest.max_particles > 0)
        assert tuple(np.bincount(part.label, minlength=3)) == shard.events
        parts.append(part)
    return Events.concat(parts)


def digests(out):
    """Of all files but the report, which tells times."""
    return {name: hashlib.sha256(out.read(name)).hexdigest() for name in out.files() if name != "prepare.json"}


def raw(events):
    """Ingested events by their number: label, features, particles."""
    return {
        int(number): (CLASSES.index(name), one.hlf[row], one.particles[row])
        for name, files in events.items()
        for one in files
        for row, number in enumerate(one.event())
    }


# Which events.


def test_classes_are_balanced_and_each_is_split_exactly(ingested, tmp_path, events):
    told = run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), test=0.25)
    assert told["events"] == {
        "qcd": {"in": 120, "train": 90, "test": 30, "left_out": 0},
        "ttbar": {"in": 200, "train": 90, "test": 30, "left_out": 80},
        "wjets": {"in": 150, "train": 90, "test": 30, "left_out": 30},
    }
    train, test = read(out, "train"), read(out, "test")
    assert np.bincount(train.label).tolist() == [90] * 3 and np.bincount(test.label).tolist() == [30] * 3
    numbers = np.concatenate([train.event, test.event])
    known = raw(events)
    assert len(set(numbers.tolist())) == 360 and set(numbers.tolist()) <= set(known)
    assert [known[number][0] for number in train.event.tolist()] == train.label.tolist()
    # No block of one class: shuffled.
    assert (np.diff(train.label) != 0).mean() > 0.5 and (np.diff(train.event) < 0).any()


def test_without_balance_all_events_are_used(ingested, tmp_path, events):
    told = run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), balance=False)
    assert [told["events"][name]["left_out"] for name in CLASSES] == [0, 0, 0]
    assert [told["events"][name]["test"] for name in CLASSES] == [24, 40, 30]
    numbers = [*read(out, "train").event, *read(out, "test").event]
    assert sorted(numbers) == sorted(raw(events))


def test_another_seed_chooses_and_orders_otherwise(ingested, tmp_path):
    first, second = (Folder(str(tmp_path / name), LOCAL) for name in ("first", "second"))
    run(ingested, first, seed=3)
    run(ingested, second, seed=4)
    one, two = read(first, "train"), read(second, "train")
    assert len(one) == len(two) and set(one.event) != set(two.event)
    shared = np.isin(one.event, two.event).mean()
    assert 0.5 < shared < 0.95
    assert read_manifest(first).fingerprint != read_manifest(second).fingerprint


def test_no_test_events_where_none_are_wanted(ingested, tmp_path):
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), test=0.0)
    assert read_manifest(out).test == () and not [name for name in out.files() if name.startswith("test")]


def test_the_choice_is_that_of_the_lowest_hashes(events):
    rule = Rule(seed=9, test=0.2, shard=1000)
    numbers = [np.concatenate([one.event() for one in events[name]]) for name in CLASSES]
    hashes = [rank_hashes(9, label, own) for label, own in enumerate(numbers)]
    choice = choose(rule, [own.copy() for own in hashes], [100.0] * 3)
    for label, own in enumerate(numbers):
        ranks = np.argsort(np.argsort(hashes[label]))
        places = choice.place(own, label)
        is_test = places >= len(choice.borders["train"])
        assert np.array_equal(is_test, ranks < 24) and np.array_equal(places >= 0, ranks < 120)
        assert np.array_equal(_events_of(9, label, hashes[label]), own)
    # 288 training events of 100 bytes in shards of 1,000 bytes; no two sizes differ by more than one.
    sizes = [choice.size_of(number) for number in range(choice.shards)]
    assert len(choice.borders["train"]) == 29 and len(choice.borders["test"]) == 8
    assert set(sizes[:29]) == {9, 10} and sum(sizes[:29]) == 288 and sum(sizes[29:]) == 72


def test_hashes_are_spread_evenly():
    numbers = event_numbers(np.repeat(np.arange(4), 25_000), np.tile(np.arange(25_000), 4))
    for values in (rank_hashes(1, 0, numbers), order_hashes(1, numbers)):
        assert len(np.unique(values)) == 100_000
        counts, _ = np.histogram(values.astype(np.float64), 100, (0, 2.0**64))
        # 99 degrees of freedom: 99.9 % of chi squared are below 149.
        assert ((counts - 1000.0) ** 2 / 1000).sum() < 149
    share = np.corrcoef(rank_hashes(1, 0, numbers).astype(np.float64), order_hashes(1, numbers).astype(np.float64))[0, 1]
    assert abs(share) < 0.02


# Scalers.


def expected_scalers(events, chosen):
    """By numpy, in two passes over all values in float64."""
    known = raw(events)
    hlf = np.array([known[number][1] for number in chosen.tolist()], np.float64)
    particles = np.concatenate([known[number][2] for number in chosen.tolist()]).astype(np.float64)
    scale = particles.std(axis=0)
    return hlf.min(0), hlf.max(0) - hlf.min(0), particles.mean(0), np.where(scale > 0, scale, 1)


def test_scalers_are_fitted_to_training_events_alone(ingested, tmp_path, events):
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL))
    scalers = read_manifest(out).scalers
    train, test = read(out, "train"), read(out, "test")
    found = (scalers.event_shift, scalers.event_scale, scalers.particle_shift, scalers.particle_scale)
    for own, expected in zip(found, expected_scalers(events, train.event), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-13)
    # The old way, fitted to everything, gives others.
    everything = np.array(list(raw(events)))
    for own, wrong in zip(found, expected_scalers(events, everything), strict=True):
        assert not np.allclose(own, wrong, rtol=1e-6)
    assert train.hlf.min() == 0 and train.hlf.max() == 1
    # So test events may lie outside.
    assert test.hlf.min() < 0 or test.hlf.max() > 1


def test_padding_has_no_part_in_the_scalers_and_is_not_written(ingested, tmp_path, events):
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL))
    scalers, train, known = read_manifest(out).scalers, read(out, "train"), raw(events)
    own = [known[number][2] for number in train.event.tolist()]
    assert np.diff(train.offsets).tolist() == [len(particles) for particles in own]
    # Standardised with its padding, as the original does it, the mean would be another, and padding would not be zero.
    wrong = made.padded(own, 20).reshape(-1, len(PARTICLE_FEATURES)).astype(np.float64)
    assert not np.allclose(wrong.mean(0), scalers.particle_shift, rtol=0.05)
    np.testing.assert_allclose(train.particles.astype(np.float64).mean(0), 0, atol=1e-6)
    deviation = train.particles.astype(np.float64).std(0)
    np.testing.assert_allclose(deviation[:-1], 1, atol=1e-6)
    # A constant feature has scale 1, and is 0 then.
    assert scalers.particle_scale[-1] == 1 and deviation[-1] == 0 and (train.particles[:, -1] == 0).all()
    pads = (0 - np.array(scalers.particle_shift)) / np.array(scalers.particle_scale)
    assert (np.abs(pads[:-1]) > 1e-3).all()


def test_values_are_the_ingested_ones_scaled(ingested, tmp_path, events):
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL))
    scalers, known = read_manifest(out).scalers, raw(events)
    for split in ("train", "test"):
        found = read(out, split)
        for row, number in enumerate(found.event.tolist()):
            label, hlf, particles = known[number]
            expected = (hlf.astype(np.float64) - scalers.event_shift) / scalers.event_scale
            assert found.label[row] == label and np.array_equal(found.hlf[row], expected.astype(np.float32))
            lepton = particles[0]
            phi = np.abs(particles[:, made.PHI].astype(np.float64) - lepton[made.PHI])
            far = np.hypot(particles[:, made.ETA].astype(np.float64) - lepton[made.ETA], np.minimum(phi, 2 * np.pi - phi))
            order = [*sorted(range(1, len(particles)), key=lambda at: -far[at]), 0]
            expected = (particles[order].astype(np.float64) - scalers.particle_shift) / scalers.particle_scale
            own = found.particles[found.offsets[row] : found.offsets[row + 1]]
            assert np.array_equal(own, expected.astype(np.float32))


def test_moments_do_not_depend_on_order_or_blocks():
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 30, 500)
    values = (rng.normal(size=(counts.sum(), 19)) * 10.0 ** rng.integers(-12, 12, (counts.sum(), 19))).astype(np.float32)
    events = Events(np.arange(500), np.zeros(500, np.int8), rng.normal(size=(500, 14)).astype(np.float32), ends_of(counts), values)
    whole = fit(Moments.of(events))
    for blocks in (2, 7, 500):
        parts = np.array_split(rng.permutation(500), blocks)
        assert fit(sum((Moments.of(events.take(part)) for part in parts), Moments())) == whole


def test_sums_are_exact():
    values = np.array([[1e300, 1.0], [1.0, 2.0**-1074], [-1e300, -1.0], [2.0**-60, 3.5]])
    unit = 2**1126
    assert exact_sums(values) == (unit + 2**1066, 2**52 + unit * 7 // 2)


def test_a_deviation_far_below_the_mean_is_found():
    rng = np.random.default_rng(1)
    values = (1000 + rng.normal(0, 0.01, (20_000, 19))).astype(np.float32)
    hlf = np.zeros((400, 14), np.float32)
    events = Events(np.arange(400), np.zeros(400, np.int8), hlf, ends_of(np.full(400, 50)), values)
    scalers = fit(Moments.of(events))
    np.testing.assert_allclose(scalers.particle_scale, values.astype(np.float64).std(0), rtol=1e-6)
    assert scalers.event_scale == (1.0,) * 14 and np.array_equal(scaled(events, scalers).hlf, hlf)


# Particles.


def one_event(particles):
    particles = np.array(particles, np.float32)
    return Events(np.zeros(1, np.int64), np.zeros(1, np.int8), np.zeros((1, 14), np.float32), ends_of([len(particles)]), particles)


def particle(pt, eta, phi, tag):
    values = np.zeros(19)
    values[[made.PT, made.ETA, made.PHI, -1]] = pt, eta, phi, tag
    return values


def test_particles_are_ordered_across_the_border_of_phi():
    lepton = particle(30, 0, 3.1, 0)
    near, far = particle(1, 0, -3.1, 1), particle(1, 0, 2.0, 2)
    found = arrange(one_event([lepton, near, far]), 801).particles[:, -1]
    # Without the wrap the one beyond the border would be 6.2 away, and first.
    assert found.tolist() == [2, 1, 0]


def test_the_lepton_is_last_and_equal_distances_keep_their_order():
    lepton, same = particle(30, 0.5, 1, 0), particle(1, 0.5, 1, 1)
    one, two = particle(1, 1.5, 1, 2), particle(1, -0.5, 1, 3)
    assert arrange(one_event([lepton, same, one, two]), 801).particles[:, -1].tolist() == [2, 3, 1, 0]
    assert arrange(one_event([lepton, same, two, one]), 801).particles[:, -1].tolist() == [3, 2, 1, 0]


def test_the_hardest_particles_and_the_lepton_are_kept():
    lepton = particle(0.1, 0, 0, 0)
    others = [particle(pt, eta, 0, tag) for pt, eta, tag in ((5, 1, 1), (9, 3, 2), (5, 2, 3), (7, 4, 4))]
    assert arrange(one_event([lepton, *others]), 4).particles[:, -1].tolist() == [4, 2, 1, 0]
    assert arrange(one_event([lepton, *others]), 1).particles[:, -1].tolist() == [0]
    assert arrange(one_event([lepton, *others]), 5).particles[:, -1].tolist() == [4, 2, 3, 1, 0]


def test_events_with_many_and_few_particles_lie_together(events):
    parts = [one_event(own) for one in events["qcd"] for own in one.particles]
    together = arrange(Events.concat(parts), 5)
    for row, part in enumerate(parts):
        assert np.array_equal(together.slice(row, row + 1).particles, arrange(part, 5).particles)
    assert np.diff(together.offsets).max() == 5 and np.diff(together.offsets).min() < 5


def test_max_particles_limits_them_and_the_scalers_are_of_those_kept(ingested, tmp_path):
    told = run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), max_particles=4)
    train = read(out, "train")
    assert np.diff(train.offsets).max() == 4 and read_manifest(out).max_particles == 4
    np.testing.assert_allclose(train.particles.astype(np.float64).mean(0), 0, atol=1e-6)
    assert told["particles"]["out"] < told["particles"]["in"]


def test_without_particles_there_is_no_column_of_them(ingested, tmp_path):
    told = run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), max_particles=0, formats=("parquet", "tfrecord"))
    train = read(out, "train")
    assert train.particles is None and read_manifest(out).scalers.particle_shift == ()
    assert np.array_equal(read(out, "train", "tfrecord").hlf, train.hlf)
    # Nor were they read.
    assert told["io"]["sort"]["bytes_needed"] < told["input"]["bytes"] / 3


# The output.


def test_it_is_the_same_for_any_layout_and_any_number_of_processes(ingested, tmp_path, events, monkeypatch):
    monkeypatch.setattr(prepare_work, "AT_ONCE", 4000)
    monkeypatch.setattr(prepare_local, "BLOCK", 30_000)
    other = Folder(str(tmp_path / "other"), LOCAL)
    made.write_otherwise(other, events)
    outs = [Folder(str(tmp_path / name), LOCAL) for name in ("a", "b", "c")]
    formats = ("parquet", "tfrecord")
    run(ingested, outs[0], formats=formats)
    run(other, outs[1], formats=formats)
    run(other, outs[2], processes=2, formats=formats)
    first = digests(outs[0])
    assert len(read_manifest(outs[0]).train) >= 3 and f"{read_manifest(outs[0]).train[1].name}.tfrecord" in first
    assert digests(outs[1]) == first and digests(outs[2]) == first


def test_both_formats_hold_the_same_in_the_same_order(ingested, tmp_path):
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), formats=("parquet", "tfrecord"))
    for split in ("train", "test"):
        one, two = read(out, split), read(out, split, "tfrecord")
        for name in ("event", "label", "hlf", "offsets", "particles"):
            assert np.array_equal(getattr(one, name), getattr(two, name))


def test_shards_have_row_groups_and_checksums(ingested, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_work, "GROUP", 50)
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), shard=1 << 20)
    (shard,) = read_manifest(out).train
    data = out.read(f"{shard.name}.parquet")
    footer = pq.read_metadata(pa.BufferReader(data))
    assert [footer.row_group(number).num_rows for number in range(footer.num_row_groups)] == [50] * 5 + [38]
    assert footer.row_group(0).column(2).compression == "ZSTD"
    at = footer.row_group(2).column(3).data_page_offset + 200
    spoiled = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(OSError, match="CRC|checksum"):
        pq.read_table(pa.BufferReader(spoiled), page_checksum_verification=True)


def test_the_manifest_is_last_and_the_report_tells_counts_and_costs(ingested, place, settings, seen):
    out = Folder(f"{place}/out", settings)
    told = run(ingested, out)
    puts = [line["target"] for line in seen() if line["method"] == "PUT"]
    assert puts[-1].endswith("manifest.json") and puts[-2].endswith("prepare.json")
    assert json.loads(out.read("prepare.json")) == told
    assert told["time"]["events_per_cpu_s"] > 0 and told["input"]["files"] == 5
    assert told["io"]["write"]["requests"] == len(puts) - 3 and puts[0].endswith("_preparing")
    assert not out.exists("_preparing")
    manifest = read_manifest(out)
    assert manifest.source == {"events": told["events"], "test": 0.2, "balance": True, "shard_bytes": SHARD}
    assert told["output"]["shards"] == {"train": len(manifest.train), "test": len(manifest.test)}


def test_a_store_is_read_as_a_disk_is(place, settings, tmp_path, events, seen):
    source = Folder(f"{place}/in", settings)
    made.write_ingested(source, events)
    here = Folder(str(tmp_path / "in"), LOCAL)
    made.write_ingested(here, events)
    stored, local = Folder(f"{place}/out", settings), Folder(str(tmp_path / "out"), LOCAL)
    before = len(seen())
    told = run(source, stored)
    gets = [line for line in seen()[before:] if line["method"] == "GET" and "part-" in line["target"]]
    assert sum(told["io"][step]["requests"] for step in ("survey", "sort")) == len(gets)
    assert sum(told["io"][step]["bytes_received"] for step in ("survey", "sort")) == sum(line["bytes_out"] for line in gets)
    run(here, local)
    assert digests(stored) == digests(local)


def test_overwrite_removes_what_a_preparation_wrote_and_nothing_else(ingested, tmp_path):
    out = Folder(str(tmp_path / "out"), LOCAL)
    run(ingested, out, shard=2000, formats=("parquet", "tfrecord"))
    with pytest.raises(UsageError, match=r"is not empty \(\d+ files, such as .*--overwrite"):
        run(ingested, out)
    (tmp_path / "out/train/part-00099.parquet.part").write_bytes(b"left by a killed process")
    run(ingested, out, overwrite=True)
    shards = [*read_manifest(out).train, *read_manifest(out).test]
    assert sorted(out.files()) == sorted([*(f"{shard.name}.parquet" for shard in shards), "manifest.json", "prepare.json"])
    (tmp_path / "out/notes.txt").write_text("mine")
    before = out.files()
    with pytest.raises(UsageError, match=r"holds more than prepared data \(notes\.txt\)"):
        run(ingested, out, overwrite=True)
    assert out.files() == before


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_of_two_preparations_that_begin_at_once_one_ends(ingested, place, settings, ended, overwrite):
    """They would mix their shards: of one format and as many events these may be of equal sizes."""
    out, before = Folder(f"{place}/out", settings), {}

    class Other(Watch):
        """Finds the folder empty, too; and is done when the first begins to write, or has begun."""

        def stage(self, name, total, unit):
            if name == "survey":
                run(ingested, out, seed=9) if ended else out.create("_preparing", b"")
                before.update(digests(out))
            return super().stage(name, total, unit)

    if overwrite:
        # What is there is removed, as it is asked for.
        run(ingested, out, watch=Other(), overwrite=True)
        assert read_manifest(out).seed == 3 and not out.exists("_preparing")
        return
    with pytest.raises(UsageError, match="another preparation has written here meanwhile; give another --out"):
        run(ingested, out, watch=Other())
    assert digests(out) == before


def test_overwrite_keeps_what_is_there_where_the_input_is_bad(ingested, tmp_path):
    out = Folder(str(tmp_path / "out"), LOCAL)
    run(ingested, out)
    before = digests(out)
    (tmp_path / "in/events/batch=00000/dataset=qcd/part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadFile):
        run(ingested, out, overwrite=True)
    assert digests(out) == before


@pytest.mark.parametrize("name", ["", "/events/prepared", "/.."])
def test_the_input_is_no_output(ingested, tmp_path, name):
    out = Folder(os.path.normpath(f"{ingested.url}{name}"), LOCAL)
    before = Folder(str(tmp_path), LOCAL).files()
    with pytest.raises(UsageError, match="is the folder of the input, or one in it"):
        run(ingested, out, overwrite=True)
    assert Folder(str(tmp_path), LOCAL).files() == before


def test_progress_is_told_of_each_step(ingested, tmp_path):
    told = {}

    class Counting(Watch):
        def stage(self, name, total, unit):
            told[name] = [total, 0]

            def count(done):
                told[name][1] += done

            return count

    run(ingested, Folder(str(tmp_path / "out"), LOCAL), watch=Counting())
    assert told == {"survey": [5, 5], "sort": [470, 470], "write": [360, 360]}


# Bad input.


def broken(place, name, table, **options):
    """A file more, of which the ingest's own counts are not known."""
    made.write_table(place, f"events/batch=00000/dataset={name}/part-00009.parquet", table, **options)
    made.complete(place)


def test_a_class_that_is_missing_or_empty_is_named(tmp_path, events):
    source, out = Folder(str(tmp_path / "in"), LOCAL), Folder(str(tmp_path / "out"), LOCAL)
    made.write_ingested(source, {name: files for name, files in events.items() if name != "wjets"})
    with pytest.raises(UsageError, match="holds no events of the class wjets .*: ingest events of all"):
        run(source, out)
    broken(source, "wjets", made.rows(4, 0).table())
    with pytest.raises(UsageError, match="class wjets: its 1 files hold no events: ingest more"):
        run(source, out)
    broken(source, "wjets", made.rows(4, 1).table())
    with pytest.raises(UsageError, match="none is a test event with --test 0.2"):
        run(source, out)
    assert out.files() == []


def test_an_ingest_that_did_not_finish_is_refused(ingested, tmp_path):
    ingested.remove("ingest.json")
    with pytest.raises(UsageError, match=r"ingest\.json is missing"):
        run(ingested, Folder(str(tmp_path / "out"), LOCAL))


def test_a_file_that_is_missing_is_noticed_by_the_ingests_counts(ingested, tmp_path):
    ingested.remove("events/batch=00000/dataset=qcd/part-00001.parquet")
    with pytest.raises(WorkloadError, match=r"class qcd: has 70 events where ingest\.json tells 120: files are missing"):
        run(ingested, out := Folder(str(tmp_path / "out"), LOCAL))
    assert out.files() == []


def test_a_data_set_that_is_no_class_is_refused(ingested, tmp_path):
    broken(ingested, "zjets", made.rows(9, 5).table())
    with pytest.raises(UsageError, match="is of the data set 'zjets'; the classes are qcd, ttbar, wjets"):
        run(ingested, Folder(str(tmp_path / "out"), LOCAL))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table: table.drop_columns(["particles"]), "has no column particles; it has file, entry, hlf: is the folder"),
        (lambda table: table.set_column(0, "file", table["file"].cast(pa.int64())), "has the column file as int64, not as int32"),
        (lambda table: table.set_column(2, "hlf", pa.array([[1.0] * 14] * len(table))), "has the column hlf as list<.*double>, not"),
        (lambda table: table.set_column(2, "hlf", pa.array([[1.0] * 13] * len(table), pa.list_(pa.float32()))), "has 13 event features"),
        (lambda table: table.set_column(3, "particles", pa.array([[1.0] * 18] * len(table), pa.list_(pa.float32()))), "has 18 values of"),
        (lambda table: table.set_column(3, "particles", pa.array([[]] * len(table), pa.list_(pa.float32()))), "has 0 values of"),
        (lambda table: table.set_column(3, "particles", pa.nulls(len(table), pa.list_(pa.float32()))), r"without particles \(null\)"),
        (lambda table: table.set_column(1, "entry", pa.array([-1] * len(table))), "has numbers of files or entries that are none"),
    ],
)
def test_files_of_other_columns_are_named(ingested, tmp_path, change, why):
    broken(ingested, "qcd", change(made.rows(9, 5).table()))
    out = Folder(str(tmp_path / "out"), LOCAL)
    with pytest.raises(BadFile, match=why) as failed:
        run(ingested, out)
    assert failed.value.url.endswith("dataset=qcd/part-00009.parquet") and out.files() == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[:200], "does not end as parquet does"),
        (lambda data: b"", "does not end as parquet does"),
        (lambda data: data[:3000] + bytes(64) + data[3064:], "cannot be read"),
    ],
)
def test_corrupt_files_are_named_and_leave_nothing(ingested, tmp_path, spoil, why):
    name = "events/batch=00000/dataset=ttbar/part-00003.parquet"
    ingested.write(name, spoil(ingested.read(name)))
    out = Folder(str(tmp_path / "out"), LOCAL)
    with pytest.raises(BadFile, match=why) as failed:
        run(ingested, out)
    assert failed.value.url.endswith(name) and out.files() == []


@pytest.mark.parametrize("where", ["hlf", "particles"])
def test_values_that_are_not_finite_are_told_with_their_event(ingested, tmp_path, where):
    bad = made.rows(9, 8)
    if where == "hlf":
        bad.hlf[5, 3] = np.nan
        bad.hlf[6, 4] = np.inf
    else:
        bad.particles[5][-1, 2] = np.nan
        bad.particles[6][0, 0] = -np.inf
    broken(ingested, "wjets", bad.table())
    name = "the event feature MT" if where == "hlf" else "particles"
    expected = rf"part-00009.parquet: has values that are not finite .* in 2 of 8 events, such as {name} in entry 7 of input file 9"
    with pytest.raises(BadFile, match=expected):
        run(ingested, Folder(str(tmp_path / "out"), LOCAL))


def test_events_that_are_there_twice_are_refused(ingested, tmp_path):
    broken(ingested, "ttbar", made.rows(2, 3).table())
    with pytest.raises(WorkloadError, match=r"class ttbar: 3 events are there more than once, such as entry \d of file 2;"):
        run(ingested, Folder(str(tmp_path / "out"), LOCAL))


def test_a_file_of_two_classes_is_refused(ingested, tmp_path):
    broken(ingested, "wjets", made.rows(0, 3).table())
    with pytest.raises(WorkloadError, match="of input file 0 .* and so have files of the class qcd: these are of two runs"):
        run(ingested, Folder(str(tmp_path / "out"), LOCAL))


@pytest.mark.parametrize("where", ["disk", "store"])
def test_a_file_that_is_replaced_meanwhile_is_named_and_leaves_nothing(tmp_path, place, settings, events, where):
    source = Folder(str(tmp_path / "in"), LOCAL) if where == "disk" else Folder(f"{place}/in", settings)
    made.write_ingested(source, events, compression="none")
    name = "events/batch=00000/dataset=ttbar/part-00003.parquet"
    size = source.sizes()[name]

    class Replacing(Watch):
        def stage(self, stage, total, unit):
            if stage == "sort":
                other = made.rows(3, 140)
                other.hlf += 1
                made.write_table(source, name, other.table(), compression="none")
            return lambda done: None

    out = Folder(f"{source.url}-out", source.settings)
    with pytest.raises(BadFile, match="was replaced since it was listed") as failed:
        run(source, out, watch=Replacing())
    # Of the same size: it is the version that tells.
    assert source.sizes()[name] == size
    assert failed.value.url.endswith(name) and out.files() == []


def test_shards_are_never_empty(ingested, tmp_path):
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), shard=1, test=0.05)
    manifest = read_manifest(out)
    assert len(manifest.test) == 18 and {shard.count for shard in (*manifest.train, *manifest.test)} == {1}


# Failures.


def test_no_space_for_events_on_their_way_names_the_folder(ingested, tmp_path, monkeypatch):
    class Full:
        def __init__(self, *given, **options):
            self._file = open(*given, **options)

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "spill").mkdir()
    monkeypatch.setattr(spill, "open", Full, raising=False)
    out = Folder(str(tmp_path / "out"), LOCAL)
    with pytest.raises(WorkloadError, match=rf"{tmp_path}/spill/storescope-prepare-\w+: there is no space left .* --spill or TMPDIR"):
        with LocalEngine(1, str(tmp_path / "spill")) as engine:
            prepare(engine, ingested.url, out, options())
    assert out.files() == [] and list((tmp_path / "spill").iterdir()) == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_read(ingested, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 10))
    monkeypatch.setattr(prepare_local, "_sort", None)
    with pytest.raises(WorkloadError, match=r"there is no space left .* \(about 0 MiB are needed, 0 MiB are free\)"):
        run(ingested, Folder(str(tmp_path / "out"), LOCAL))


def test_a_shard_that_cannot_be_written_is_named_and_none_stays(ingested, server, place, settings):
    refusal = {"status": {"status": 404, "code": "BucketNotFound"}}
    server.fault({"method": "PUT", "contains": "part-00002", "action": refusal})
    out = Folder(f"{place}/out", settings)
    try:
        with pytest.raises(WorkloadError, match=r"train/part-00002\.parquet: was not written: "):
            run(ingested, out)
    finally:
        server.admin("DELETE", "/faults")
    assert out.files() == []


def test_events_that_do_not_come_are_missed(ingested, tmp_path, monkeypatch):
    parts = prepare_local.parts_of
    monkeypatch.setattr(prepare_local, "parts_of", lambda *given: list(parts(*given))[1:])
    with pytest.raises(WorkloadError, match=r"train/part-00000: \d+ events came for it of \d+"):
        run(ingested, out := Folder(str(tmp_path / "out"), LOCAL))
    assert out.files() == []


def test_ctrl_c_leaves_nothing(ingested, tmp_path, monkeypatch):
    class Interrupting(Watch):
        def stage(self, name, total, unit):
            def count(done):
                if name == "write":
                    raise KeyboardInterrupt

            return count

    alive = []

    def clear(out):
        alive.append([process.is_alive() for process in engine._pool._processes])
        original(out)

    original = prepare_job._clear
    monkeypatch.setattr(prepare_job, "_clear", clear)
    out = Folder(str(tmp_path / "out"), LOCAL)
    with LocalEngine(2) as engine, pytest.raises(KeyboardInterrupt):
        prepare(engine, ingested.url, out, options(), watch=Interrupting())
    # Nothing is removed while somebody may still write.
    assert alive == [[False, False]] and out.files() == []


_TERMINATED = """
import os, signal, sys
from storescope_workloads import cli
from storescope_workloads.trainer import prepare_local

def write(*given):
    os.kill(os.getppid() if {children} else os.getpid(), signal.SIGTERM)
    signal.pause()

if {children}:
    prepare_local._write = write
else:
    prepare_local.LocalEngine.write = write
if __name__ == "__main__":
    sys.argv[1:] = {arguments!r}
    cli.main()
"""


@pytest.mark.parametrize("children", [False, True])
def test_sigterm_leaves_nothing(ingested, tmp_path, children):
    """As Ctrl-C does: events on their way are as large as all that are chosen."""
    (tmp_path / "spill").mkdir()
    arguments = ["trainer", "prepare", ingested.url, "--out", str(tmp_path / "out"), "--processes", "2", "--spill", str(tmp_path / "spill")]
    (tmp_path / "script.py").write_text(_TERMINATED.format(children=children, arguments=arguments))
    ran = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 130 and ran.stderr.rstrip().endswith("interrupted"), ran.stderr
    assert os.listdir(tmp_path / "spill") == [] and Folder(str(tmp_path / "out"), LOCAL).files() == []


def test_a_process_that_is_killed_is_told(ingested, tmp_path):
    with pytest.raises(WorkloadError, match=r"the survey: the worker process \d+ was killed \(SIGKILL\)"):
        with LocalEngine(2) as engine:
            engine._pool._processes[0].kill()
            engine._pool._processes[0].join()
            prepare(engine, ingested.url, Folder(str(tmp_path / "out"), LOCAL), options())


# The command.


def call(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_command_prints_counts_or_the_report(ingested, tmp_path):
    told = call(ingested.url, "--out", tmp_path / "a", "--processes", 1, "--shard", "40kB", "--format", "both")
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert lines[0].split() == ["class", "in", "train", "test", "left", "out"] and lines[2].split() == ["ttbar", "200", "96", "24", "80"]
    assert "of parquet" in lines[-1] and "of tfrecord" in lines[-1]
    told = call(ingested.url, "--out", tmp_path / "b", "--processes", 1, "--json", "--max-particles", 0, "--seed", 5)
    assert json.loads(told.stdout)["options"] == {
        "seed": 5, "test": 0.2, "balance": True, "shard": 64 << 20, "max_particles": 0, "formats": ["parquet"],
    }


def test_options_of_another_engine_are_refused(ingested, tmp_path):
    for given in (["--master", "local"], ["--engine", "spark", "--processes", "2"], ["--engine", "spark", "--spill", str(tmp_path)]):
        with pytest.raises(UsageError, match="is of no use with --engine"):
            call(ingested.url, "--out", tmp_path / "out", *given)
    assert call(ingested.url, "--out", tmp_path / "out", "--test", "1").exit_code == 2


# Attempts at one shard that run at once: by Spark's speculation, or where an executor is given up and goes on.


def test_attempts_at_one_shard_do_not_meet(ingested, tmp_path, monkeypatch):
    """The second begins and ends while the first writes: what is there is whole, and so it is when the first is killed."""
    held, formats = {}, ("parquet", "tfrecord")

    def keeping(number, parts, job, *given):
        held[number] = list(parts), given
        return write(number, held[number][0], job, *given)

    def attempt(name):
        parts, given = held[0]
        write(0, parts, prepare_work.Job(3, MOST_PARTICLES, formats, out, LOCAL, name), *given)

    monkeypatch.setattr(prepare_local, "write", keeping)
    run(ingested, out := Folder(str(tmp_path / "out"), LOCAL), formats=formats)
    expected = digests(out)

    def meanwhile(*given):
        monkeypatch.setattr(prepare_work, "scaled", scaled)
        attempt(".2")
        assert digests(out).items() >= expected.items()
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_work, "scaled", meanwhile)
    with pytest.raises(KeyboardInterrupt):
        attempt(".1")
    assert digests(out) == expected


def test_tasks_of_spark_write_by_the_names_of_their_attempts(ingested, tmp_path, monkeypatch):
    from pyspark import TaskContext

    names = []

    class Recording(Folder):
        def open(self, name, attempt=""):
            names.append((name, attempt))
            return super().open(name, attempt)

    def by_spark(number, parts, job, choice, scalers):
        blocks = [(number, part.to_batch().serialize().to_pybytes()) for part in parts]
        (written,) = prepare_spark._Write(SimpleNamespace(value=choice), job, scalers, SimpleNamespace(add=lambda told: None))(blocks)
        return written

    monkeypatch.setattr(TaskContext, "get", lambda: SimpleNamespace(taskAttemptId=lambda: 7))
    monkeypatch.setattr(prepare_local, "write", by_spark)
    run(ingested, Recording(str(tmp_path / "out"), LOCAL))
    assert ("train/part-00000.parquet", ".7") in names and all(attempt == ".7" for name, attempt in names if "/" in name)


def test_what_a_killed_attempt_left_is_removed(ingested, tmp_path):
    class Killed(Watch):
        def stage(self, name, total, unit):
            if name == "write":
                out.write("train/part-00000.parquet.12.part", b"PAR1")
            return super().stage(name, total, unit)

    out = Folder(str(tmp_path / "out"), LOCAL)
    run(ingested, out, watch=Killed())
    assert out.exists("train/part-00000.parquet") and not [name for name in out.files() if name.endswith(".part")]


# Spark.


@pytest.fixture(scope="module")
def spark(settings):
    made = sessions.session("local[2]", {}, None, settings, "test")
    yield made
    made.stop()


@pytest.fixture
def engine(spark):
    from storescope_workloads.trainer.prepare_spark import SparkEngine

    return SparkEngine(spark)


def test_spark_writes_the_same_bytes(engine, ingested, tmp_path, place, settings, events, seen):
    formats = ("parquet", "tfrecord")
    run(ingested, local := Folder(str(tmp_path / "local"), LOCAL), formats=formats)
    source, out = Folder(f"{place}/in", settings), Folder(f"{place}/out", settings)
    made.write_otherwise(source, events)
    before = len(seen())
    told = prepare(engine, source.url, out, options(formats=formats))
    # Each file is read as often as the report tells: nothing is read again for the scalers or the shards.
    gets = [line for line in seen()[before:] if line["method"] == "GET" and "part-" in line["target"]]
    assert sum(told["io"][step]["requests"] for step in ("survey", "sort")) == len(gets)
    assert sum(told["io"][step]["bytes_received"] for step in ("survey", "sort")) == sum(line["bytes_out"] for line in gets)
    assert digests(out) == digests(local)
    assert told["engine"] == "spark" and told["versions"].keys() >= {"spark", "java"}
    assert told["io"]["sort"]["requests"] > 0 and told["io"]["write"]["requests"] > 0


def test_spark_tells_a_bad_file_as_it_is_and_leaves_nothing(engine, ingested, tmp_path):
    bad = made.rows(9, 8)
    bad.hlf[5, 3] = np.nan
    broken(ingested, "wjets", bad.table())
    out = Folder(str(tmp_path / "out"), LOCAL)
    with pytest.raises(BadFile, match="the event feature MT in entry 7 of input file 9"):
        prepare(engine, ingested.url, out, options())
    assert out.files() == [] and engine.spark.sparkContext.statusTracker().getActiveStageIds() == []


def test_spark_writes_a_shard_anew_where_a_task_fails(engine, ingested, tmp_path, monkeypatch):
    """As one whose executor is lost: what was shuffled is there, and the shard is the same."""
    from storescope_workloads.trainer import prepare_spark

    class Once(prepare_spark._Write):
        def __call__(self, blocks):
            from pyspark import TaskContext

            if TaskContext.get().attemptNumber() == 0:
                raise RuntimeError("lost")
            return super().__call__(blocks)

    monkeypatch.setattr(prepare_spark, "_Write", Once)
    out, local = Folder(str(tmp_path / "out"), LOCAL), Folder(str(tmp_path / "local"), LOCAL)
    prepare(engine, ingested.url, out, options(shard=200_000))
    run(ingested, local, shard=200_000)
    assert digests(out) == digests(local)


def test_the_inputs_are_listed_in_order(ingested):
    assert [file.url.rpartition("dataset=")[2] for file in find(f"{ingested.url}/events/**/*.parquet", LOCAL)] == [
        "qcd/part-00000.parquet", "qcd/part-00001.parquet", "ttbar/part-00002.parquet", "ttbar/part-00003.parquet",
        "wjets/part-00004.parquet",
    ]


assert len(EVENT_FEATURES) == 14
