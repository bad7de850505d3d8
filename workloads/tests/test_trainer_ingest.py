# SPDX-License-Identifier: Apache-2.0
"""``trainer ingest``: files in, rows and counts out, by processes and by Spark; resumed, overwritten; and wrong inputs."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trigger_events as made
from click.testing import CliRunner
from pyspark import cloudpickle

from storescope_workloads import spark as sessions
from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.places import Folder, SourceFile
from storescope_workloads.scan import parts, spark_parts
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.job import Dataset, Output, run
from storescope_workloads.scan.layout import layout_of
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.scan.spark_parts import SparkPartsEngine
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.ingest import RESULT, Counts, Ingestion, cut_flow
from storescope_workloads.trainer.ingest_command import datasets_of, ingest, render
from storescope_workloads.trainer.selection import REASONS

# The JVM's sockets are closed when Python ends.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
# What is defined here is not in Spark's workers.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

LOCAL = StoreSettings()
COLUMNS = {"file": pa.int32(), "entry": pa.int64(), "hlf": pa.list_(pa.float32(), 14), "particles": pa.list_(pa.float32())}


@pytest.fixture(scope="module")
def engine():
    """Two processes, for all tests that break none."""
    with LocalEngine(2) as running:
        yield running


@pytest.fixture(scope="module")
def spark(settings):
    """Spark without the jar."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STORESCOPE_JARS", raising=False)
        running = sessions.session("local[2]", {"spark.driver.host": "localhost"}, None, settings, "test")
    yield running
    running.stop()


def job_of(settings=LOCAL, **given):
    """Pieces so small that files have several."""
    return Job(Ingestion(), settings=settings, **{"tree": "Delphes", "piece_target": 60_000, **given})


def source(path):
    found = os.stat(path)
    return SourceFile(str(path), found.st_size, str(found.st_mtime_ns))


def one_file(engine, path, out, **given):
    """A job of one file, as a class."""
    return run(engine, [Dataset("qcd", (source(path),))], job_of(**given), Folder(str(out), LOCAL))


def rows(out, settings=LOCAL):
    """All rows of a job, in the order of classes, files and entries, with the class."""
    folder = Folder(str(out), settings)
    tables = []
    for name in folder.files():
        if name.startswith("events/") and name.endswith(".parquet"):
            table = pq.ParquetFile(io.BytesIO(folder.read(name))).read()
            assert dict(zip(table.schema.names, table.schema.types, strict=True)) == COLUMNS
            dataset = name.split("/")[2].removeprefix("dataset=")
            tables.append(table.append_column("dataset", pa.array([dataset] * len(table), pa.string())))
    order = [("dataset", "ascending"), ("file", "ascending"), ("entry", "ascending")]
    return pa.concat_tables(tables).sort_by(order).combine_chunks()


def assert_rows(table, events):
    """The rows of one file's events are what the oracle makes of them."""
    wanted = {number: found for number, found in enumerate(map(made.oracle, events)) if not isinstance(found, str)}
    assert table["entry"].to_pylist() == list(wanted)
    features, particles = zip(*wanted.values(), strict=True)
    np.testing.assert_allclose(np.array(table["hlf"].to_pylist()), np.array(features), rtol=1e-5, atol=2e-5)
    assert [len(values) for values in table["particles"].to_pylist()] == [19 * len(values) for values in particles]
    found = table["particles"].combine_chunks().flatten().to_numpy()
    np.testing.assert_allclose(found, np.concatenate(particles).ravel(), rtol=1e-5, atol=1e-5)


# Files to rows.


@pytest.mark.parametrize("kind", ["ttree", "parquet"])
def test_rows_are_what_the_oracle_makes_of_the_events(engine, tmp_path, kind):
    events = made.random_events(150, seed=4, particles=30)
    path = made.write(tmp_path / "in", events, kind)
    finished = one_file(engine, path, tmp_path / "out")
    table = rows(tmp_path / "out")
    assert_rows(table, events)
    counts = finished.summaries["qcd"]
    assert (counts.events, counts.rows) == (150, len(table))
    assert {reason: counts.cut[reason] for reason in REASONS} == {
        reason: [made.oracle(event) for event in events].count(reason) for reason in REASONS
    }
    assert sum(counts.kept.values()) * 19 == sum(map(len, table["particles"].to_pylist()))
    # Columns that are not read are none of the bytes that are needed.
    assert 0 < finished.measured["qcd"].needed < path.stat().st_size


@pytest.mark.parametrize("kind", ["ttree", "parquet"])
def test_what_is_needed_is_the_columns_that_are_read(tmp_path, kind):
    """Names of columns have dots, which also divide the paths of parquet."""
    path = made.write(tmp_path / "in", made.random_events(100), kind)
    needed = layout_of("qcd", source(path), job_of()).needed
    filler = made.columns(made.random_events(100))["EFlowTrack.PT"]
    more = made.write(tmp_path / "more", made.random_events(100), kind, EFlowTrack__Filler=filler)
    assert layout_of("qcd", source(more), job_of()).needed == needed
    assert 0.5 * path.stat().st_size < needed < path.stat().st_size


def test_a_job_on_a_store_is_that_on_a_disk(engine, settings, place, tmp_path):
    local = made.write_classes(tmp_path / "in", 120, files=2, particles=30)
    stored = Folder(f"{place}/in", settings)
    for name in Folder(str(local), LOCAL).files():
        stored.write(name, (local / name).read_bytes())
    here = run(engine, datasets_of(str(local), (), LOCAL), job_of(), Folder(str(tmp_path / "out"), LOCAL))
    there = run(engine, datasets_of(stored.url, (), settings), job_of(settings), Folder(f"{place}/out", settings))
    assert rows(f"{place}/out", settings).equals(rows(tmp_path / "out"))
    assert {name: counts.to_json() for name, counts in there.summaries.items()} == {
        name: counts.to_json() for name, counts in here.summaries.items()
    }
    names = {str(Path(name).parent) for name in Folder(f"{place}/out/events", settings).files()}
    assert names == {f"batch=00000/dataset={name}" for name in made.CLASSES}
    assert sum(measured.snapshot.requests for measured in there.measured.values()) > 0


def test_pieces_and_batches_change_no_row(engine, tmp_path):
    path = made.write(tmp_path / "in", made.random_events(200, particles=30), cluster=20)
    for name, target in (("one", 1 << 30), ("many", 1)):
        one_file(engine, path, tmp_path / name, piece_target=target)
    assert rows(tmp_path / "one").equals(rows(tmp_path / "many"))


# The command.


def invoke(*words):
    return CliRunner().invoke(ingest, [str(word) for word in words], catch_exceptions=True, prog_name="ingest")


def store_options(settings):
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.options().items()]


def test_the_command_writes_a_result_last_and_tells_of_it(tmp_path, settings, place):
    made.write_classes(tmp_path / "in", 60, particles=20)
    ran = invoke(tmp_path / "in", "--out", f"{place}/out", "--processes", 1, "--piece", "64KiB", *store_options(settings))
    assert ran.exit_code == 0, ran.output
    out = Folder(f"{place}/out", settings)
    told = json.loads(out.read(RESULT))
    assert (told["schema"], told["workload"], told["engine"]) == (1, "trigger-ingest", "local")
    assert told["events"]["in"] == 180 == told["events"]["out"] + told["events"]["cut"] and told["events"]["skipped"] == 0
    assert [one["name"] for one in told["classes"]] == list(made.CLASSES)
    table = rows(f"{place}/out", settings)
    for one in told["classes"]:
        assert one["events"]["out"] == table["dataset"].to_pylist().count(one["name"])
        assert [step["cut"] for step in one["cut_flow"]] == list(REASONS)
        assert one["cut_flow"][-1]["passed"] == one["events"]["out"]
        assert sum(step["removed"] for step in one["cut_flow"]) == one["events"]["cut"]
    files = [name for name in out.files() if name.endswith(".parquet") and name.startswith("events")]
    assert told["output"]["files"] == len(files)
    assert told["io"].keys() >= {"requests", "bytes_needed", "bytes_read", "plan", "work", "first_byte_ms"}
    assert told["time"]["events_per_s"] > 0
    assert "selected" in ran.output and "events/s of a core" in ran.output and f"result: {out.path(RESULT)}" in ran.output
    assert render(told) in ran.output and "cut: no_lepton" in ran.output and "cut: overflow" not in ran.output


def test_the_command_goes_on_or_begins_anew_only_where_it_is_told_to(tmp_path):
    made.write_classes(tmp_path / "in", 60, particles=15, files=2)
    words = (tmp_path / "in", "--out", tmp_path / "out", "--processes", 1, "--batch", "1B", "--json")
    first = json.loads(invoke(*words).stdout)
    assert first["batches"] == {"all": 6, "resumed": 0}
    before = rows(tmp_path / "out")
    refused = invoke(*words)
    assert isinstance(refused.exception, UsageError) and "--overwrite, --resume" in str(refused.exception)
    (tmp_path / "out/_job/batch-00003.json").unlink()
    (tmp_path / "out" / RESULT).unlink()
    again = json.loads(invoke(*words, "--resume").stdout)
    assert again["batches"] == {"all": 6, "resumed": 5} and again["events"] == first["events"]
    assert again["classes"][1]["cut_flow"] == first["classes"][1]["cut_flow"]
    assert rows(tmp_path / "out").equals(before)
    anew = json.loads(invoke(*words, "--overwrite").stdout)
    assert anew["batches"]["resumed"] == 0 and rows(tmp_path / "out").equals(before)


def test_options_of_another_engine_are_refused(tmp_path):
    for words, told in ((("--master", "local[1]"), "--master"), (("--engine", "spark", "--processes", 2), "--processes")):
        ran = invoke(tmp_path, "--out", tmp_path / "out", *words)
        assert isinstance(ran.exception, UsageError) and f"{told} is of no use" in str(ran.exception)


# Classes.


def test_classes_are_found_below_a_folder_or_named(tmp_path):
    made.write_classes(tmp_path, 3, files=2, particles=10)
    found = datasets_of(str(tmp_path), (), LOCAL)
    named = datasets_of(None, [f"{name}={tmp_path}/{name}/*1.root" for name in reversed(made.CLASSES)], LOCAL)
    assert [one.name for one in found] == [one.name for one in named] == list(made.CLASSES)
    assert [len(one.files) for one in found] == [2, 2, 2] and [len(one.files) for one in named] == [1, 1, 1]
    twice = datasets_of(None, [f"{name}={tmp_path}/{name}/*{n}.root" for name in made.CLASSES for n in (0, 1)], LOCAL)
    assert [len(one.files) for one in twice] == [2, 2, 2]


def test_a_class_that_is_missing_is_named(tmp_path):
    made.write_classes(tmp_path, 3, particles=10)
    for path in (tmp_path / "wjets").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match=r"the class wjets has no files: .*/wjets is not there.*--class wjets=PATTERN"):
        datasets_of(str(tmp_path), (), LOCAL)
    with pytest.raises(UsageError, match=r"no files are named of ttbar, wjets: give --class ttbar=PATTERN"):
        datasets_of(None, [f"qcd={tmp_path}/qcd/*"], LOCAL)
    with pytest.raises(UsageError, match=r"the scheme gs:// is not known"):
        datasets_of("gs://lake/trigger", (), LOCAL)
    with pytest.raises(UsageError, match=r"none\*: no file matches"):
        datasets_of(None, [f"{name}={tmp_path}/none*" for name in made.CLASSES], LOCAL)


def test_what_cannot_be_told_apart_is_refused(tmp_path):
    made.write_classes(tmp_path, 3, particles=10)
    made.write_classes(tmp_path, 3, particles=10, kind="parquet")
    with pytest.raises(UsageError, match="class qcd: .* holds both ROOT files and parquet"):
        datasets_of(str(tmp_path), (), LOCAL)
    with pytest.raises(UsageError, match="is in two data sets, qcd and ttbar"):
        datasets_of(None, [f"{name}={tmp_path}/qcd/*.root" for name in made.CLASSES], LOCAL)
    with pytest.raises(UsageError, match="--class dy=x: is not NAME=PATTERN"):
        datasets_of(None, ["dy=x"], LOCAL)
    for folder, named in ((None, ()), ("x", ["qcd=x"])):
        with pytest.raises(UsageError, match="one of the two"):
            datasets_of(folder, named, LOCAL)


# Inputs that are wrong.


@pytest.mark.parametrize("kind", ["ttree", "parquet"])
def test_a_file_without_a_branch_is_bad(engine, tmp_path, kind):
    path = made.write(tmp_path / "in", made.random_events(20, particles=10), kind, EFlowTrack__X=None)
    with pytest.raises(BadFile, match=r"has no EFlowTrack\.X.*Delphes writes"):
        one_file(engine, path, tmp_path / "out")


def test_another_tree_is_named(engine, tmp_path):
    path = made.write(tmp_path / "in", made.random_events(5, particles=10))
    with pytest.raises(BadFile, match=r"no tree 'Events': its trees are Delphes"):
        one_file(engine, path, tmp_path / "out", tree="Events")


@pytest.mark.parametrize("kind", ["ttree", "parquet"])
def test_a_branch_of_a_wrong_type_is_bad(engine, tmp_path, kind):
    path = made.write(tmp_path / "in", made.random_events(20, particles=10), kind, MissingET__MET=ak.Array(np.ones(20, "f4")))
    with pytest.raises(BadFile, match=r"MissingET\.MET has the type float\d+, but must be a list of numbers"):
        one_file(engine, path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["ttree", "parquet"])
def test_lists_of_different_lengths_are_bad(engine, tmp_path, kind):
    events = made.random_events(120, particles=10)
    wrong = ak.to_list(made.columns(events)["EFlowTrack.Eta"])
    wrong[77] = [*wrong[77], 1.0]
    path = made.write(tmp_path / "in", events, kind, EFlowTrack__Eta=ak.values_astype(ak.Array(wrong), "f4"))
    with pytest.raises(BadFile, match=r"EFlowTrack\.PT and EFlowTrack\.Eta have \d+ and \d+ values in one event"):
        one_file(engine, path, tmp_path / "out")
    assert not any(name.startswith("events") for name in Folder(str(tmp_path / "out"), LOCAL).files())
    finished = one_file(engine, path, tmp_path / "skipped", skip=True)
    assert [file.events for file in finished.skipped] == [120] and finished.summaries["qcd"].events == 0
    assert len(rows(tmp_path / "skipped")) == 0


@pytest.mark.parametrize("kind", ["ttree", "parquet"])
def test_files_without_events_give_columns_without_rows(engine, tmp_path, kind):
    none = made.write(tmp_path / "none", [], kind)
    cut = made.write(tmp_path / "cut", [made.event(MuonTight=[])] * 10, kind)
    for path, count in ((none, 0), (cut, 10)):
        counts = one_file(engine, path, tmp_path / f"out{count}").summaries["qcd"]
        assert (counts.events, counts.rows, counts.cut["no_lepton"]) == (count, 0, count)
        assert len(rows(tmp_path / f"out{count}")) == 0


def test_a_file_of_no_bytes_is_bad(engine, tmp_path):
    (tmp_path / "in").touch()
    with pytest.raises(BadFile, match="is empty"):
        one_file(engine, tmp_path / "in", tmp_path / "out")


def test_numbers_that_are_none_cut_their_events_alone(engine, tmp_path):
    """NaN, infinite, too large, null in parquet; no missing transverse energy."""
    good = made.event()
    events = [
        good,
        made.event(EFlowTrack=[*good["EFlowTrack"], dict(PT=np.nan)]),
        made.event(MuonTight=[dict(PT=np.inf, Eta=0.5, Phi=1)]),
        made.event(MissingET=[]),
        made.event(EFlowNeutralHadron=[dict(ET=4, Eta=200, Phi=1)]),
        made.event(MissingET=[dict(MET=-1, Phi=0)]),
        good,
    ]
    path = made.write(tmp_path / "in", events)
    counts = one_file(engine, path, tmp_path / "out").summaries["qcd"]
    assert {name: count for name, count in counts.cut.items() if count} == {"not_finite": 2, "no_met": 1, "overflow": 2}
    table = rows(tmp_path / "out")
    assert table["entry"].to_pylist() == [0, 6] and counts.kept["lepton"] == 2
    columns = made.columns([good] * 3)
    columns["Jet.PT"] = ak.Array([[50.0, 35.0], [50.0, None], [50.0, 35.0]])
    wrong = made.write(tmp_path / "null", [good] * 3, "parquet", Jet__PT=columns["Jet.PT"])
    counts = one_file(engine, wrong, tmp_path / "nulls").summaries["qcd"]
    assert (counts.rows, counts.cut["not_finite"]) == (2, 1)


def test_a_bad_file_ends_the_job_or_is_left_out_as_a_whole(engine, tmp_path):
    made.write_classes(tmp_path / "in", 120, files=2, particles=20)
    whole = run(engine, datasets_of(str(tmp_path / "in"), (), LOCAL), job_of(), Folder(str(tmp_path / "whole"), LOCAL))
    path = tmp_path / "in/ttbar/trigger-0001.root"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    words = (tmp_path / "in", "--processes", 1, "--piece", "64KiB", "--json")
    failed = invoke(*words, "--out", tmp_path / "failed")
    assert isinstance(failed.exception, BadFile) and "ttbar/trigger-0001.root: is truncated" in str(failed.exception)
    ran = invoke(*words, "--out", tmp_path / "out", "--on-error", "skip")
    assert ran.exit_code == 3 and f"skipped: {path}: is truncated" in ran.stderr
    told = json.loads(ran.stdout)["classes"][1]
    assert told["files"]["read"] == 1 and told["files"]["skipped"][0]["url"] == str(path)
    good = rows(tmp_path / "whole")
    numbers = [number for number, layout in enumerate(whole.layouts) if layout.url != str(path)]
    assert rows(tmp_path / "out").select(["hlf", "particles"]).equals(
        good.filter(pa.compute.is_in(good["file"], pa.array(numbers, pa.int32()))).select(["hlf", "particles"])
    )


# Counts.


def test_counts_add_up_and_say_so():
    one = Counts(5, 2, dict.fromkeys(REASONS, 0) | {"pt": 3}, {"lepton": 2, "tracks": 9, "photons": 4, "neutrals": 3})
    both = one + Counts.from_json(json.loads(json.dumps(one.to_json())))
    assert both.check() is None and (both.events, both.rows, both.cut["pt"], both.kept["tracks"]) == (10, 4, 6, 18)
    assert one + Counts() == one
    assert [step["passed"] for step in cut_flow(one)][-1] == 2
    assert "5 events in, 1 out, 3 cut" in dataclasses.replace(one, rows=1).check()


def test_the_kernel_keeps_what_the_engines_ask_of_it():
    kernel = Ingestion()
    table, counts = kernel.apply(kernel.sample(), 7)
    assert counts.rows == 1 and table["entry"].to_pylist() == [7] and table.schema.equals(kernel.schema())


# Spark.


def same(finished, out, expected, wanted, settings=LOCAL):
    assert {name: counts.to_json() for name, counts in finished.summaries.items()} == {
        name: counts.to_json() for name, counts in expected.summaries.items()
    }
    assert rows(out, settings).equals(rows(wanted))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return made.write_classes(tmp_path_factory.mktemp("sample") / "in", 150, files=2, particles=30)


@pytest.fixture(scope="module")
def expected(sample, engine, tmp_path_factory):
    """The job by the local engine."""
    out = tmp_path_factory.mktemp("expected") / "out"
    return run(engine, datasets_of(str(sample), (), LOCAL), job_of(), Folder(str(out), LOCAL)), out


def test_spark_writes_the_rows_of_the_local_engine_without_a_jar(spark, sample, expected, settings, place, seen):
    stored = Folder(f"{place}/in", settings)
    for name in Folder(str(sample), LOCAL).files():
        stored.write(name, (sample / name).read_bytes())
    before = len(seen())
    out = Folder(f"{place}/out", settings)
    finished = run(SparkPartsEngine(spark), datasets_of(stored.url, (), settings), job_of(settings), out)
    same(finished, out.url, *expected, settings)
    lines = seen()[before:]
    assert not any("(jvm)" in line["user_agent"] for line in lines)
    assert sum(measured.snapshot.requests for measured in finished.measured.values()) > 0
    assert finished.versions.keys() == {"spark", "java", "hadoop", "python"}
    assert finished.batches == 1 and len([name for name in out.files() if name.endswith(".parquet")]) > 4


class Killed:
    """A kernel at whose first event the worker is killed, once."""

    def __init__(self, flag):
        self.flag = flag

    def __getattr__(self, name):
        return getattr(Ingestion(), name)

    def __reduce__(self):
        return Killed, (self.flag,)

    def apply(self, events, start):
        if start > 0 and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Ingestion().apply(events, start)


def test_a_worker_that_is_killed_changes_nothing(spark, sample, expected, tmp_path):
    job = dataclasses.replace(job_of(piece_target=1), kernel=Killed(tmp_path / "flag"))
    finished = run(SparkPartsEngine(spark), datasets_of(str(sample), (), LOCAL), job, Folder(str(tmp_path / "out"), LOCAL))
    assert (tmp_path / "flag").exists()
    same(finished, tmp_path / "out", *expected)
    assert not [name for name in Folder(str(tmp_path / "out"), LOCAL).files() if name.endswith(".part")]


def test_a_part_that_is_run_again_writes_the_same_bytes(sample, tmp_path):
    layouts = [layout_of("qcd", source(path), job_of()) for path in sorted((sample / "qcd").iterdir())]
    batch = parts.Batch(0, tuple(enumerate(layouts)))
    (part, *_) = parts.parts_of(batch, job_of(), 1, 1 << 30)
    written = []
    for attempt in (".1", ".2"):
        parts.run_part(part, job_of(), Folder(str(tmp_path), LOCAL), attempt=attempt)
        (path,) = tmp_path.rglob("*.parquet")
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_tasks_read_no_more_than_the_kernel_says(sample):
    layouts = [layout_of("qcd", source(path), job_of()) for path in sorted((sample / "qcd").iterdir())]
    batch = parts.Batch(0, tuple(enumerate(layouts)))
    assert parts.parts_of(batch, job_of(), 1, 1 << 30) == parts.parts_of(batch, job_of(), 1, 1 << 20)
    kernel = type("Small", (Ingestion,), {"task_target": 1 << 16})()
    assert len(parts.parts_of(batch, Job(kernel, piece_target=1), 1, 1 << 30)) > 3


def test_a_bad_file_is_left_out_by_spark_as_by_the_local_engine(spark, engine, tmp_path):
    folder = made.write_classes(tmp_path / "in", 100, files=2, particles=20)
    path = folder / "qcd/trigger-0001.root"
    events = made.random_events(50, seed=1, particles=20)
    wrong = ak.to_list(made.columns(events)["Jet.Eta"])
    wrong[-1] = [*wrong[-1], 0.5]
    made.write(path, events, Jet__Eta=ak.values_astype(ak.Array(wrong), "f4"), cluster=5)
    sets = datasets_of(str(folder), (), LOCAL)
    job = job_of(piece_target=1)
    with pytest.raises(BadFile, match=r"qcd/trigger-0001.root: the columns Jet\.PT and Jet\.Eta"):
        run(SparkPartsEngine(spark), sets, job, Folder(str(tmp_path / "failed"), LOCAL))
    assert not any(name.startswith("events") for name in Folder(str(tmp_path / "failed"), LOCAL).files())
    job = dataclasses.replace(job, skip=True)
    wanted = run(engine, sets, job, Folder(str(tmp_path / "local"), LOCAL))
    found = run(SparkPartsEngine(spark), sets, job, Folder(str(tmp_path / "spark"), LOCAL))
    assert found.skipped == wanted.skipped and found.skipped[0].events == 50
    same(found, tmp_path / "spark", wanted, tmp_path / "local")


def test_rows_that_are_not_on_the_drivers_disk_end_the_job(spark, sample, tmp_path, monkeypatch):
    """As those of a cluster's executors are: here a part is removed before it is counted."""
    kept = spark_parts._remove_strange

    def lose(target, names):
        kept(target, names)
        target.remove(next(iter(sorted(names))))

    monkeypatch.setattr(spark_parts, "_remove_strange", lose)
    with pytest.raises(WorkloadError, match="rows are there of .* disk that the driver and all executors share"):
        run(SparkPartsEngine(spark), datasets_of(str(sample), (), LOCAL), job_of(), Folder(str(tmp_path / "out"), LOCAL))
    assert not any(name.startswith("events") for name in Folder(str(tmp_path / "out"), LOCAL).files())


def test_spark_goes_on_with_batches_that_are_not_complete(spark, sample, expected, tmp_path):
    sets, out = datasets_of(str(sample), (), LOCAL), Folder(str(tmp_path / "out"), LOCAL)
    assert run(SparkPartsEngine(spark), sets, job_of(), Output(out, batch_target=1)).batches == 6
    (tmp_path / "out/_job/batch-00002.json").unlink()
    again = run(SparkPartsEngine(spark), sets, job_of(), Output(out, resume=True, batch_target=1))
    assert again.resumed == 5
    same(again, tmp_path / "out", *expected)
