# SPDX-License-Identifier: Apache-2.0
"""The files of a finished job: they fit their schema, their numbers add up, and others can read them."""

from __future__ import annotations

import json
import os
import subprocess
from copy import deepcopy
from datetime import UTC, datetime

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

import serving
import storescope
from storescope_workloads.cli import cli
from storescope_workloads.errors import WorkloadError
from storescope_workloads.places import Folder, SourceFile
from storescope_workloads.reduction import spectrum
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.job import Dataset, Finished, Skipped
from storescope_workloads.scan.pieces import Cluster, FileLayout
from storescope_workloads.reduction.result import Rows, histograms, render, result, schema, snapshot, write
from storescope_workloads.reduction.summary import EDGES, CutFlow, Summary
from storescope_workloads.scan.measured import Measured
from storescope_workloads.settings import StoreSettings

STARTED = datetime(2026, 11, 30, 12, 0, 5, 999, UTC)
JOB = Job(Reduction(Cuts()))
ROWS = Rows(3, 45_678)


@pytest.fixture(scope="module")
def requested(server, settings):
    """Snapshots of 40 requests to the emulator and of 2."""
    store = storescope.open_store(f"oci://workloads@{server.oci['namespace']}/result/", **settings.options())
    store.put("a", bytes(100_000))
    with storescope.profile() as many:
        for start in range(40):
            store.get_range("a", start, start + 1000)
    with storescope.profile() as few:
        store.get("a"), store.get("a")
    return many.snapshot(), few.snapshot()


def summary(masses: np.ndarray, events: int) -> Summary:
    """Of events of which some fell to each of three cuts, and those with the masses passed."""
    left = events - len(masses)
    removed = {"two_muons": left - left // 4 - 3, "leading_pt": left // 4, "opposite_sign": 3}
    return Summary.of(CutFlow(events, removed, 2 * events, {"muon_pt": events, "muon_global": 7}), masses)


@pytest.fixture
def finished(requested) -> Finished:
    """Two data sets in a store, of one of which two files were skipped."""
    many, few = requested
    random = np.random.default_rng(1)
    peak = np.concatenate([random.normal(91.19, 2.5, 4000), random.uniform(1, 200, 500), [3.09] * 50, [310.0, 0.1]])
    files = [SourceFile(f"oci://b@n/{name}.root", 1000, "e") for name in "abcd"]
    layouts = [
        FileLayout("data", files[0].url, 1000, "e", "ttree", "Events", (Cluster(0, 9000, 500),)),
        FileLayout("data", files[1].url, 1000, "e", "ttree", "Events", (Cluster(0, 700, 50),)),
        FileLayout("dy", files[3].url, 1000, "e", "ttree", "Events", (Cluster(0, 1000, 500),)),
    ]
    return Finished(
        datasets=(Dataset("data", tuple(files[:3])), Dataset("dy", (files[3],), "mc", 3531.15)),
        layouts=layouts,
        skipped=[
            Skipped("data", files[2].url, "is truncated", None),
            Skipped("data", files[1].url, "was replaced", 700),
        ],
        summaries={"data": summary(peak, 9000), "dy": summary(random.normal(91.19, 2.5, 400), 1000)},
        measured={
            "data": Measured(3, 4.0, 2.0, 1.0, 30_000, 41_000, many),
            "dy": Measured(1, 1.0, 0.5, 0.25, 150_000, 1, few),
        },
        plan=Measured(2, 0.5, 0.1, 0.4, 0, 5000, few),
        plan_s=0.5,
        run_s=2.5,
        batches=2,
        resumed=0,
        versions={"spark": "4.1.4"},
    )


@pytest.fixture
def told(finished) -> dict:
    return result(finished, JOB, "spark", STARTED, ROWS)


def check(told: dict) -> None:
    jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker()).validate(told)


def test_the_schema_is_one_and_describes_every_member():
    jsonschema.Draft202012Validator.check_schema(schema())

    def walk(node: object, at: str) -> None:
        if not isinstance(node, dict):
            return
        for name, member in node.get("properties", {}).items():
            described = member.get("description") or schema()["$defs"][member["$ref"].split("/")[-1]]["description"]
            assert described[-1] == ".", f"{at}.{name}"
            closed = node.get("additionalProperties") is False or node.get("unevaluatedProperties") is False
            assert closed or at == "$defs.io", at
            walk(member, f"{at}.{name}")
            walk(member.get("items"), f"{at}.{name}")
        assert set(node.get("required", ())) >= set(node.get("properties", ())), at

    walk(schema(), "")
    for name, member in schema()["$defs"].items():
        walk(member, f"$defs.{name}")


def test_it_fits_its_schema(told):
    check(told)
    check(json.loads(json.dumps(told, allow_nan=False)))
    assert (told["schema"], told["workload"], told["engine"]) == (1, "dimuon-reduction", "spark")
    assert told["started"] == "2026-11-30T12:00:05Z"
    assert told["versions"]["spark"] == "4.1.4" and told["versions"]["storescope"] == storescope.__version__
    assert told["cuts"] == Cuts().to_dict()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told.update(more=1),
        lambda told: told["io"].update(more=1),
        lambda told: told["io"]["plan"].pop("wait_s"),
        lambda told: told["datasets"][0]["io"].update(more=1),
        lambda told: told["datasets"][0]["physics"]["muons"].update(more=1),
        lambda told: told["physics"]["cut_flow"][0].update(removed=-1),
        lambda told: told["events"].update(out=1.5),
        lambda told: told["time"].pop("wall_s"),
        lambda told: told.update(started="yesterday"),
        lambda told: told["datasets"].clear(),
    ],
)
def test_what_does_not_fit_is_refused(told, spoil):
    spoilt = deepcopy(told)
    spoil(spoilt)
    with pytest.raises(jsonschema.ValidationError):
        check(spoilt)


def identities(told: dict) -> None:
    """What must hold of every result."""
    for one in [*told["datasets"], told]:
        events, physics = one["events"], one["physics"]
        assert events["in"] == events["out"] + events["cut"] + events["skipped"]
        assert physics["pairs"] == events["out"]
        passed = events["in"] - events["skipped"]
        for step in physics["cut_flow"]:
            passed -= step["removed"]
            assert step["passed"] == passed
        assert passed == events["out"]
        muons = physics["muons"]
        assert muons["in"] - sum(step["removed"] for step in muons["cut_flow"]) == muons["out"]
        if "files" in one:
            files = one["files"]
            assert files["planned"] == files["read"] + len(files["skipped"])
            assert events["skipped"] == sum(file["events"] or 0 for file in files["skipped"])
    for name in ("in", "out", "cut", "skipped"):
        assert told["events"][name] == sum(one["events"][name] for one in told["datasets"])
    for at, step in enumerate(told["physics"]["cut_flow"]):
        assert step["removed"] == sum(one["physics"]["cut_flow"][at]["removed"] for one in told["datasets"])
    io = told["io"]
    for name in ("requests", "bytes_received", "bytes_asked", "bytes_wasted"):
        if io["work"][name] is not None:
            assert io[name] == io["plan"][name] + io["work"][name]
            assert io["work"][name] == sum(one["io"][name] or 0 for one in told["datasets"])
    for name in ("bytes_needed", "bytes_read"):
        assert io[name] == io["plan"][name] + io["work"][name]
    assert told["time"]["wall_s"] == told["time"]["plan_s"] + told["time"]["run_s"]


def test_its_numbers_add_up(told):
    identities(told)
    data, mc = told["datasets"]
    assert data["events"] == {"in": 9700, "out": 4552, "cut": 4448, "skipped": 700}
    assert data["files"]["skipped"][1] == {"url": "oci://b@n/b.root", "why": "was replaced", "events": 700}
    assert mc["cross_section_pb"] == 3531.15 and mc["kind"] == "mc"
    assert [step["cut"] for step in data["physics"]["cut_flow"]] == Cuts().event_cuts()
    assert told["events"]["in"] == 10_700


def test_the_means_are_of_all_pairs(told, finished):
    pairs = [one["physics"]["pairs"] for one in told["datasets"]]
    means = [one["physics"]["mean_mass_gev"] for one in told["datasets"]]
    assert told["physics"]["mean_mass_gev"] == pytest.approx(np.average(means, weights=pairs), rel=1e-12)


def test_percentiles_are_those_of_all_requests_and_no_averages(told, requested):
    many, few = requested
    merged = many + few + few
    times = told["io"]["first_byte_ms"]
    assert times == {name: 1e3 * merged.quantile(at) for name, at in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}
    assert told["io"]["requests"] == 44 and told["io"]["work"]["requests"] == 42 and told["io"]["plan"]["requests"] == 2
    assert told["io"]["failures"] == {}


def test_over_read_and_waiting_are_ratios_of_sums(told):
    io, work = told["io"], told["io"]["work"]
    assert io["bytes_received"] == 40 * 1000 + 4 * 100_000 and io["bytes_needed"] == 180_000
    assert io["over_read"] == 440_000 / 180_000 and work["over_read"] == 240_000 / 180_000
    assert io["plan"]["over_read"] is None
    assert work["wait_share"] == 1.25 / 5.0 and io["wait_s"] == 1.65
    time = told["time"]
    assert (time["wall_s"], time["tasks"], time["task_wall_s"], time["task_cpu_s"]) == (3.0, 6, 5.5, 2.6)
    assert (time["plan_s"], time["plan_cpu_s"]) == (0.5, 0.1), "the plan's own, and none of the work's"
    assert told["output"] == {"files": 3, "bytes": 45_678}
    assert time["events_per_s"] == 10_000 / 3.0 and time["events_per_cpu_s"] == 10_000 / 2.5


def local(finished: Finished, *names: str) -> Finished:
    """The same job with the files of these data sets on a disk."""
    for name in names:
        finished.measured[name].snapshot = storescope.Snapshot()
    if len(names) == 2:
        finished.plan.snapshot = storescope.Snapshot()
    finished.datasets = tuple(
        Dataset(one.name, tuple(SourceFile("/data/a.root", 1, "1") for _ in one.files), one.kind, one.cross_section_pb)
        if one.name in names else one
        for one in finished.datasets
    )
    return finished


def test_local_files_make_no_requests(finished):
    told = result(local(finished, "data", "dy"), JOB, "local", STARTED, ROWS)
    check(told)
    identities(told)
    for io in (told["io"], told["io"]["plan"], told["io"]["work"], told["datasets"][0]["io"]):
        counts = ("requests", "failures", "bytes_asked", "bytes_received", "bytes_wasted", "over_read")
        assert all(io[name] is None for name in counts)
        assert io["first_byte_ms"] == {"p50": None, "p99": None, "p999": None}
    assert told["io"]["bytes_needed"] == 180_000 and told["io"]["bytes_read"] == 46_001
    assert "files are local" in render(told)


def test_where_some_files_are_local_there_is_no_over_read(finished):
    told = result(local(finished, "dy"), JOB, "local", STARTED, ROWS)
    check(told)
    identities(told)
    assert told["io"]["over_read"] is None and told["datasets"][1]["io"]["requests"] is None
    assert told["datasets"][0]["io"]["over_read"] == 40_000 / 30_000


def test_requests_that_no_one_counted_are_not_none(finished):
    # The engine spark-sql on a cluster: the plan's requests are known, and those of one of the data sets.
    finished.measured["dy"].snapshot = storescope.Snapshot()
    told = result(finished, JOB, "spark-sql", STARTED, ROWS)
    check(told)
    identities(told)
    for io in (told["io"], told["io"]["work"], told["datasets"][1]["io"]):
        assert io["requests"] is io["bytes_received"] is io["over_read"] is io["first_byte_ms"]["p50"] is None
    assert told["io"]["plan"]["requests"] == 2 and told["datasets"][0]["io"]["requests"] == 40
    # A data set of which nothing is to be read makes no request.
    finished.measured["dy"].needed = 0
    assert result(finished, JOB, "spark", STARTED, ROWS)["datasets"][1]["io"]["requests"] == 0


def test_a_resumed_job_has_no_rate(finished):
    finished.resumed = 1
    told = result(finished, JOB, "local", STARTED, ROWS)
    check(told)
    assert told["time"]["events_per_s"] is None and told["batches"] == {"all": 2, "resumed": 1}
    assert "1 of 2 batches were complete before" in render(told)


def test_a_job_without_events_has_no_means(finished):
    finished.summaries = {name: Summary() for name in finished.summaries}
    finished.measured = {name: Measured() for name in finished.measured}
    finished.layouts, finished.skipped, finished.plan = [], [], Measured()
    told = result(finished, JOB, "local", STARTED, ROWS)
    check(told)
    identities(told)
    physics = told["physics"]
    assert physics["pairs"] == 0
    assert physics["mean_mass_gev"] is physics["peak_gev"] is physics["z_median_gev"] is None
    assert not any(seen["found"] for seen in physics["resonances"])
    assert [step["cut"] for step in physics["cut_flow"]] == Cuts().event_cuts(), "though none of them saw an event"
    assert render(told)


def test_the_spectrums_figures_are_those_of_numpy():
    random = np.random.default_rng(5)
    peaks = random.normal(91.19, 2.4, 50_000), random.normal(3.097, 0.03, 400)
    masses = np.concatenate([*peaks, random.uniform(1, 150, 3000)])
    counts = Summary.of(CutFlow(len(masses)), masses).histograms
    at = np.histogram(masses, EDGES["linear"])[0].argmax()
    assert spectrum.peak(counts["linear"]) == at + 0.5
    window = masses[(masses > 81) & (masses < 101)]
    assert spectrum.median(counts["log"], (81.0, 101.0)) == pytest.approx(np.median(window), abs=0.02)
    seen = {found.resonance.name: found for found in spectrum.resonances(counts["log"])}
    assert {name for name, found in seen.items() if found.found} == {"J/ψ", "Z"}
    assert seen["J/ψ"].peak == pytest.approx(3.097, abs=0.05)
    assert seen["J/ψ"].pairs - seen["J/ψ"].background == pytest.approx(400, abs=30)


def test_the_median_of_the_z_is_that_of_81_to_101_gev(finished):
    # As many at 80.5 and at 101.5 as would shift it, were they in the window.
    masses = np.concatenate([np.full(100, 80.5), np.full(10, 90.0), np.full(11, 92.0), np.full(300, 101.5)])
    finished.summaries["dy"] = summary(masses, 1000)
    (_, told) = result(finished, JOB, "local", STARTED, ROWS)["datasets"]
    assert told["physics"]["z_median_gev"] == pytest.approx(92.0, abs=0.5)
    finished.summaries["dy"] = summary(np.concatenate([np.full(40, 81.5), np.full(10, 92.0), np.full(9, 100.5)]), 1000)
    (_, told) = result(finished, JOB, "local", STARTED, ROWS)["datasets"]
    assert told["physics"]["z_median_gev"] == pytest.approx(81.5, abs=0.5)


def test_a_flat_spectrum_has_no_resonance():
    random = np.random.default_rng(7)
    for masses in (random.uniform(1, 200, 100_000), np.exp(random.uniform(0, 5, 100_000))):
        counts = Summary.of(CutFlow(len(masses)), masses).histograms
        assert not [found.resonance.name for found in spectrum.resonances(counts["log"]) if found.found]


def test_histograms_hold_every_pair_and_weights(finished):
    told = histograms(finished, 5000.0)
    assert told["edges"] == {name: edges.tolist() for name, edges in EDGES.items()} and told["unit"] == "GeV"
    data, mc = told["datasets"]
    for one, pairs in ((data, 4552), (mc, 400)):
        for name in ("linear", "log"):
            counted = one["histograms"][name]
            assert len(counted["counts"]) == len(EDGES[name]) - 1
            assert sum(counted["counts"]) + counted["underflow"] + counted["overflow"] == pairs
    assert data["histograms"]["log"]["underflow"] == 1 and data["histograms"]["log"]["overflow"] == 1
    assert data["weight"] == 1.0 and mc["weight"] == 3531.15 * 5000.0 / 1000
    assert histograms(finished, None)["datasets"][1]["weight"] is None


def test_the_files_of_a_folder_are_read_by_the_command_line(finished, tmp_path):
    out = Folder(str(tmp_path / "out"), StoreSettings())
    out.write("pairs/batch=00000/dataset=data/part-00000.parquet", bytes(1000))
    out.write("pairs/batch=00001/dataset=dy/part-00000.parquet", bytes(234))
    out.write("pairs/batch=00001/_SUCCESS", b"x")
    told = write(out, finished, JOB, "local", STARTED, 5000.0)
    assert {name for name in out.files() if not name.startswith("pairs/")} == {
        "histograms.json", "result.json", "run.hlog", "spectrum.png",
    }
    assert told["output"] == {"files": 2, "bytes": 1234}
    assert json.loads(out.read("result.json")) == told
    weights = [one["weight"] for one in json.loads(out.read("histograms.json"))["datasets"]]
    assert json.loads(out.read("histograms.json")) == histograms(finished, 5000.0)
    assert weights == [1.0, 3531.15 * 5000.0 / 1000]
    assert out.read("spectrum.png").startswith(b"\x89PNG")
    assert out.read("run.hlog").decode() == snapshot(finished).to_hlog()
    reported = report(tmp_path / "out", "--json")
    keys = json.loads(reported)["keys"]
    assert sum(keys[name]["count"] for name in keys if name.startswith("attempt/get/total/ok/")) == 44
    report(tmp_path / "out")
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")


def report(*arguments: object) -> str:
    command = [serving.binary(), "report", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_local_jobs_log_is_read_by_the_command_line(finished, tmp_path):
    write(Folder(str(tmp_path), StoreSettings()), local(finished, "data", "dy"), JOB, "local", STARTED, None)
    assert json.loads(report(tmp_path, "--json")) is not None


def test_the_files_go_to_a_store(finished, place, settings, store):
    told = write(Folder(place, settings), finished, JOB, "local", STARTED, None)
    assert json.loads(bytes(store.get("result.json"))) == told
    assert storescope.Snapshot(store.get("run.hlog").decode()).requests == snapshot(finished).requests == 44


def test_people_read_what_passed_and_what_it_cost(told):
    text = render(told)
    lines = text.splitlines()
    assert "10,700 events = 4,952 passed + 5,048 cut + 700 of skipped files" in lines
    assert any(line.split() == ["two_muons", "3,780", "6,220", "62.20%"] for line in lines), text
    assert any(line.startswith("data") and "1 of 3" in line and "9,700" in line for line in lines)
    work = next(line for line in lines if line.startswith("work")).split()
    assert work[:7] == ["work", "42", "180", "kB", "240", "kB", "1.333"]
    assert "Z found at" in text
    assert all(len(line) <= 140 for line in lines)


def test_requests_and_bytes_are_those_that_the_server_saw(server, place, settings, tmp_path, seen):
    options = [word for name, value in settings.options().items() for word in (f"--{name.replace('_', '-')}", value)]
    run(["generate", "dimuon", "--events", "15000", "--files", "3", "--cluster", "2500", "--out", place, *options])
    before = len(seen())
    server.fault({"method": "GET", "contains": "dimuon-", "action": {"throttle": {"requests": 4}}})
    run(["reduce", f"{place}/*.root", "--out", str(tmp_path / "out"), "--processes", "2", *options])
    told = json.loads((tmp_path / "out" / "result.json").read_text())
    check(told)
    identities(told)
    # Listings are not a task's.
    gets = [line for line in seen()[before:] if line["method"] == "GET" and "dimuon-" in line["target"]]
    assert sum(line["status"] == 429 for line in gets) == 4
    assert told["io"]["failures"].get("throttled") == 4
    assert told["io"]["requests"] == len(gets)
    assert told["io"]["bytes_received"] == sum(line["bytes_out"] for line in gets if line["status"] in (200, 206))
    # What was refused had been asked for.
    assert told["io"]["bytes_needed"] < told["io"]["bytes_received"] < told["io"]["bytes_asked"]


def reduced(*arguments: object, code: int = 0):
    """Runs `reduce` in this process."""
    ran = CliRunner().invoke(cli, ["reduce", *map(str, arguments)])
    if isinstance(ran.exception, WorkloadError):
        assert ran.exception.code == code, ran.exception
        return str(ran.exception)
    assert ran.exit_code == code, ran.output + str(ran.exception)
    return ran


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--master", "local[2]"], "--master is of no use with --engine local"),
        (["--conf", "a=b"], "--conf is of no use with --engine local"),
        (["--jars", "a.jar"], "--jars is of no use with --engine local"),
        (["--engine", "spark", "--processes", "2"], "--processes is of no use with --engine spark"),
        (["--engine", "spark-sql", "--processes", "2"], "--processes is of no use with --engine spark-sql"),
    ],
)
def test_options_that_would_be_ignored_are_errors(tmp_path, arguments, option):
    assert option in reduced(tmp_path / "none.root", "--out", tmp_path / "out", *arguments, code=2)


def test_jars_of_the_environment_are_for_any_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("STORESCOPE_JARS", "a.jar")
    assert "no file matches" in reduced(tmp_path / "none.root", "--out", tmp_path / "out", code=2)


def test_the_default_cuts_are_printed_as_they_are_read():
    text = reduced("--print-cuts").stdout
    assert Cuts.load(text) == Cuts() and "pt_min: 25.0" in text


def test_a_file_of_cuts_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "cuts.yaml").write_bytes(b"\xff")
    (tmp_path / "other.yaml").write_text("muon: {}")
    for name, why in (("none.yaml", "cannot be read"), ("cuts.yaml", "cannot be read"), ("other.yaml", "known key")):
        (tmp_path / "a.root").write_bytes(b"")
        told = reduced(tmp_path / "a.root", "--out", tmp_path / "out", "--cuts", tmp_path / name, code=2)
        assert str(tmp_path / name) in told and why in told


def test_skipped_files_are_told_and_the_luminosity_that_they_had(tmp_path):
    run(["generate", "dimuon", "--events", "2000", "--processes", "1", "--out", str(tmp_path / "in")])
    for number in range(23):
        (tmp_path / "in" / f"bad-{number:02}.root").write_bytes(b"text")
    (tmp_path / "samples.yaml").write_text("luminosity_pb: 10\ndatasets: [{name: mu, files: in/*.root}]\n")
    (tmp_path / "mc.yaml").write_text(
        "luminosity_pb: 10\ndatasets: [{name: mu, files: in/dimuon*.root}, {name: dy, kind: mc, files: in/bad*.root}]\n"
    )
    given = ["--processes", "1", "--on-error", "skip", "--overwrite", "--out", tmp_path / "out", "--datasets"]
    ran = reduced(*given, tmp_path / "samples.yaml", code=3)
    assert ran.stderr.count("bad-") == 20 and "and 3 more" in ran.stderr
    assert "luminosity_pb is still 10" in ran.stderr and "luminosity_pb is still" not in ran.stdout
    ran = reduced(*given, tmp_path / "mc.yaml", code=3)
    assert "and 3 more" in ran.stderr and "luminosity_pb is still" not in ran.stderr


def test_needed_bytes_of_embedded_baskets_are_explained(told):
    assert "needed is 0" not in render(told)
    for io in (told["io"], told["io"]["work"]):
        io["bytes_needed"], io["over_read"] = 0, None
    assert "needed is 0: the baskets are in the tree's own metadata" in render(told)
    assert "pairs in 3 files of 45.7 kB in all" in render(told)


def run(arguments: list[str]) -> None:
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == 0, ran.output + str(ran.exception)
