# SPDX-License-Identifier: Apache-2.0
"""The estimate: its arithmetic on models whose draws are known, and its figures beside a measured run."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import storescope
from storescope_workloads.cli import cli
from storescope_workloads.errors import UsageError, WorkloadError
from storescope_workloads.places import Folder, find
from storescope_workloads.reduction.coalesce import Sizes, requests
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import Job
from storescope_workloads.reduction.estimate import Assumptions, Sample, estimate, hinted, lengthened
from storescope_workloads.scan.pieces import Batch, Cluster, Clusters, FileLayout, fingerprint, tasks
from storescope_workloads.scan.source import WASTE
from storescope_workloads.reduction.survey import survey
from storescope_workloads.text import show_bytes, show_time
from storescope_workloads.settings import StoreSettings

MB = 10**6


@dataclass(frozen=True)
class Constant:
    """A store without chance."""

    first_byte: float = 0.02
    rate: float = 10e6
    cold_connection: float = 0.0
    nic: float | None = None
    requests_per_second: float | None = None

    def draw(self, count: int, seed: int) -> tuple[list[float], list[float]]:
        return [self.first_byte] * count, [self.rate] * count


def sample(
    clusters: int = 1, *, entries: int = 1000, baskets: int = 1, size: int = 1 * MB, hole: int = 4 * MB
) -> Sample:
    """A file of clusters of baskets of `size` bytes with holes of `hole` bytes between."""
    ranges, at = [], 1000
    for _ in range(clusters):
        of_cluster = []
        for _ in range(baskets):
            of_cluster.append((at, at + size))
            at += size + hole
        ranges.append(tuple(of_cluster))
    made = tuple(Cluster(number * entries, (number + 1) * entries, baskets * size) for number in range(clusters))
    return Sample(FileLayout("data", "a.root", at, "1", "ttree", "Events", made, ((0, 1),)), tuple(ranges))


def assumed(of: Sample, *, files: int = 1, **more) -> Assumptions:
    given = {"cores": 1, "cores_per_node": 1, "rounds": 3, "piece_target": 1, "read_waste": 25}
    return Assumptions(volume=files * of.layout.size, **{**given, **more})


def assumed_with(of: Sample, **more) -> Assumptions:
    return replace(assumed(of), **more)


# The planner's model.

SIZES = Sizes(gap=1 << 20, waste_percent=25, part=4 << 20)


def test_holes_are_read_through_while_they_are_small_and_few():
    near = [(0, MB), (MB + 1000, 2 * MB), (2 * MB + 200_000, 3 * MB)]
    assert requests(near, SIZES) == [(0, 3 * MB)]
    assert requests([(0, MB), (MB + (1 << 20) + 1, 4 * MB)], SIZES) == [(0, MB), (MB + (1 << 20) + 1, 4 * MB)]
    # 400,000 bytes are asked for: a hole of 90,000 is within a quarter of them, a second is not. Holes up to the size
    # of a request's own head are free.
    far = [(0, 100_000), (190_000, 290_000), (290_500, 390_500), (480_501, 580_501)]
    assert requests(far, SIZES) == [(0, 390_500), (480_501, 580_501)]


def test_long_ranges_are_cut_into_equal_parts():
    cut = requests([(7, 7 + (10 << 20))], SIZES)
    assert [stop - start for start, stop in cut] == [3495253, 3495253, 3495254]
    assert requests([(7, 7 + (6 << 20))], SIZES) == [(7, 7 + (6 << 20))]


def test_no_byte_is_asked_for_twice_and_none_is_left_out():
    source = random.Random(1)
    for _ in range(200):
        asked = [(start, start + source.randrange(400)) for start in (source.randrange(5000) for _ in range(20))]
        sizes = Sizes(gap=source.randrange(200), waste_percent=25, part=source.randrange(1, 900))
        made = requests(asked, sizes)
        assert all(one[1] <= other[0] for one, other in zip(made, made[1:], strict=False))
        wanted = {byte for start, stop in asked for byte in range(start, stop)}
        held = {byte for start, stop in made for byte in range(start, stop)}
        assert wanted <= held
        assert all(stop - start <= sizes.part + sizes.part // 2 for start, stop in made)


def test_the_sizes_follow_the_store():
    assert Sizes.by(0.027, 60e6, 1 << 20, 25) == Sizes(1 << 20, 25, 4 << 20)
    assert Sizes.by(0.001, 60e6, 1 << 20, 25).gap == 60_000
    assert Sizes.by(0.2, 60e6, 1 << 20, 10) == Sizes(1 << 20, 10, 16 << 20)
    assert Sizes.by(0.001, float("inf"), 1 << 20, 25).gap == 1 << 20


# The job's model.


def test_one_piece_is_opened_and_read():
    of = sample()
    told = estimate([of], Constant(cold_connection=0.005), assumed(of))
    # The plan opens the file, the task again: a request each; the piece is one request of a megabyte.
    assert told.requests == {"list": 1, "plan": 1, "open": 1, "data": 1}
    assert told.plan_s == pytest.approx(0.02, rel=1e-3)
    assert told.wall_s["median"] == pytest.approx(0.02 + 0.025 + 0.02 + 0.1, rel=1e-4)
    assert told.bytes_received == 1 * MB + 2 and told.files == 1 and told.events == 1000


def test_pieces_are_read_while_others_are_computed():
    # Three tasks of three pieces: the file is opened in each. Of the reads, a tenth of a second and a first byte, only
    # the first of each task shows where computing takes longer.
    of = sample(9)
    slow = estimate([of], Constant(), assumed(of, events_per_cpu_s=2000.0, piece_target=MB))
    assert slow.requests["open"] == 3
    assert slow.wall_s["median"] == pytest.approx(0.02 + 3 * (0.02 + 0.12 + 3 * 0.5), rel=1e-4)
    # Without computing, each task's first two pieces are asked for at once, and the third when the first is there.
    quick = estimate([of], Constant(), assumed(of, piece_target=MB - 1))
    assert quick.wall_s["median"] == pytest.approx(0.02 + 3 * (0.02 + 0.12 + 0.12), rel=1e-4)
    assert slow.wait_share == pytest.approx(0.14 / 1.64, rel=1e-3) and quick.wait_share == 1.0


def test_the_look_ahead_is_that_of_the_work():
    of = sample(9)
    batch = Batch(0, ((0, of.layout), (1, of.layout)))
    (task,) = tasks(batch, MB, 1, 1)
    # Pieces of the target's size: the next one, and one more while they are not more than two targets.
    assert hinted(task, MB)[:4] == [3, 4, 5, 6] and hinted(task, MB)[-1] == 18
    assert hinted(task, MB // 2)[:3] == [2, 3, 4]
    assert hinted(task, 100 * MB)[:2] == [16, 17]


def test_the_slowest_request_of_a_piece_counts():
    of = sample(1, baskets=8)
    one = estimate([of], Constant(), assumed(of))
    assert one.requests["data"] == 8
    assert one.wall_s["median"] == pytest.approx(0.04 + 0.12, rel=1e-4), "they are asked for at once"


def test_more_requests_than_may_be_under_way_take_turns():
    of = sample(6, baskets=640, size=1000, hole=2000)
    told = estimate([of], Constant(rate=float("inf")), assumed(of, read_waste=0))
    assert told.requests["data"] == 6 * 640
    assert told.bounds_s["first_byte"] == pytest.approx(6 * 10 * 0.02, rel=0.1) and told.bound == "first_byte"
    assert told.wall_s["median"] >= told.bounds_s["first_byte"]


def test_cores_share_the_work_and_the_least_times_are_told():
    of = sample(40)
    told = estimate([of], Constant(), assumed(of, files=100, cores=10, events_per_cpu_s=1000.0))
    assert told.bounds_s["cpu"] == pytest.approx(100 * 40 * 1.0 / 10) and told.bound == "cpu"
    # While a piece is cut the next is on its way: two first bytes, or two bodies, take the time of one.
    assert told.bounds_s["first_byte"] == pytest.approx(100 * 40 * 0.02 / 10 / 2, rel=0.2)
    assert told.bounds_s["stream"] == pytest.approx(100 * 40 * 0.1 / 10 / 2, rel=0.2)
    assert told.bounds_s["cpu"] <= told.wall_s["median"] < 1.05 * told.bounds_s["cpu"]


LAYOUTS = {
    "one cluster": [sample()],
    "small clusters": [sample(60, size=1000, hole=2000)],
    "many baskets": [sample(6, baskets=200, size=1000, hole=2_000_000)],
    "large pieces": [sample(3, size=40 * MB)],
    "two files": [sample(1), sample(9)],
}
MODELS = {name: storescope.Model(name) for name in ("s3-standard", "oci-native")} | {
    "constant": Constant(cold_connection=0.01),
    "interface": Constant(nic=5e6),
    "limit": Constant(requests_per_second=50.0),
    "bodies": Constant(first_byte=0.0, rate=1e6),
}


@pytest.mark.parametrize("of", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("more", [{}, {"cores": 7, "files": 40}, {"cores": 3, "files": 30, "piece_target": 5 * MB}])
def test_no_bound_is_longer_than_the_job(of, model, more):
    for rate in (None, 1e3, 1e6):
        told = estimate(of, model, assumed(of[0], events_per_cpu_s=rate, **more))
        assert max(told.bounds_s.values()) <= told.wall_s["median"] * (1 + 1e-9), told
        assert told.bounds_s[told.bound] == max(told.bounds_s.values()) > 0


def test_output_is_counted_where_a_run_tells_of_it():
    of = sample(4)
    assert estimate([of], Constant(), assumed(of, files=10)).bytes_written is None
    assert estimate([of], Constant(), assumed(of, files=10, written_per_event=4.5)).bytes_written == 10 * 4000 * 4.5


def test_a_slow_interface_is_what_bounds():
    of = sample(10, baskets=4)
    free = estimate([of], Constant(), assumed(of, files=50, cores=16, cores_per_node=8))
    slow = estimate([of], Constant(nic=1e6), assumed(of, files=50, cores=16, cores_per_node=8))
    assert slow.bounds_s["nic"] == pytest.approx(slow.bytes_received / 2e6) and slow.bound == "nic"
    assert free.wall_s["median"] < slow.bounds_s["nic"] <= slow.wall_s["median"]
    # A single piece takes as long as its bytes take through the interface, once its file is open.
    of = sample()
    assert estimate([of], Constant(nic=1e6), assumed(of)).wall_s["median"] == pytest.approx(0.02 + 0.02 + 1.0, rel=1e-4)


def test_the_stores_limit_of_requests_is_what_bounds():
    of = sample(10)
    told = estimate([of], Constant(requests_per_second=2.0), assumed(of, files=10, cores=100))
    assert told.bound == "requests"
    assert told.wall_s["median"] == told.bounds_s["requests"] == sum(told.requests.values()) / 2


def test_twice_the_volume_takes_twice_as_long_and_asks_for_twice_as_much():
    of = sample(4)
    one, two = (
        estimate([of], Constant(), assumed(of, files=files, cores=8, batch_target=100 * MB))
        for files in (10_000, 20_000)
    )
    assert two.requests["data"] == 2 * one.requests["data"] and two.batches == 2 * one.batches
    assert two.wall_s["median"] == pytest.approx(2 * one.wall_s["median"], rel=0.01)


def test_a_large_batch_is_simulated_in_a_smaller_one(monkeypatch):
    of = sample(4)
    whole = assumed(of, files=1000, cores=50)
    told = estimate([of], Constant(), whole)
    monkeypatch.setattr("storescope_workloads.reduction.estimate.MOST_PIECES", 400)
    shrunk = estimate([of], Constant(), whole)
    assert shrunk.requests["data"] == told.requests["data"] == 4000
    assert shrunk.wall_s["median"] == pytest.approx(told.wall_s["median"], rel=0.1)
    assert shrunk.bounds_s == pytest.approx(told.bounds_s, rel=0.05)
    # Fewer cores than one cannot be simulated: the time is that of their work.
    few = estimate([of], Constant(), replace(whole, cores=2))
    assert few.wall_s["median"] == pytest.approx(25 * told.wall_s["median"], rel=0.1)


def test_several_given_files_stand_for_the_volume_in_turn():
    small, large = sample(1), sample(9)
    volume = 10 * (small.layout.size + large.layout.size)
    told = estimate([small, large], Constant(), assumed_with(small, volume=volume))
    assert told.files == 20 and told.events == 10 * 10_000
    assert told.requests["data"] == 100


def test_a_file_is_lengthened_by_its_own_clusters():
    of = sample(2)
    long = lengthened(of, 3 * of.layout.size)
    assert long.layout.entries == 6000 and long.layout.size == 3 * of.layout.size
    assert [cluster.start for cluster in long.layout.clusters] == [0, 1000, 2000, 3000, 4000, 5000]
    assert long.ranges[4][0] == (of.ranges[0][0][0] + 2 * of.layout.size, of.ranges[0][0][1] + 2 * of.layout.size)
    assert lengthened(of, 1) == of
    few = estimate([of], Constant(), assumed_with(of, volume=30 * of.layout.size, file_size=10 * of.layout.size))
    assert few.files == 3 and few.requests["data"] == 60 and few.requests["open"] < 60


def test_equal_seeds_give_equal_figures():
    of = sample(4)
    assert estimate([of], Constant(), assumed(of, files=50)) == estimate([of], Constant(), assumed(of, files=50))


def test_what_cannot_be_estimated_is_refused():
    of = sample()
    empty = Sample(replace(of.layout, clusters=()), ())
    with pytest.raises(UsageError, match="nothing to estimate from"):
        estimate([empty], Constant(), assumed(of))
    with pytest.raises(UsageError, match="cores: must be at least 1"):
        estimate([of], Constant(), assumed(of, cores=0))


def test_bytes_and_times_are_shown_with_three_digits():
    assert [show_bytes(count) for count in (0, 999, 1000, 123_456, 5.6e15)] == [
        "0 B", "999 B", "1 kB", "123 kB", "5.6 PB",
    ]
    assert [show_time(seconds) for seconds in (0.0123, 4.5678, 250 * 60, 3 * 86400, 86400 * 2000)] == [
        "12.3 ms", "4.57 s", "4.17 h", "3 d", "2,000 d",
    ]


# The plan.


def layouts(count: int, clusters: int):
    made = Clusters(Cluster(number * 10, (number + 1) * 10, 2_100_000) for number in range(clusters))
    return (FileLayout("d", f"oci://lake@ns/{number}.root", 2 * 10**9, "e", "ttree", "Events", made) for number in range(count))


def test_a_plans_digest_holds_one_file_at_a_time():
    tracemalloc.start()
    try:
        fingerprint(layouts(2000, 98), {"cuts": 1})
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_plans_digest_is_that_of_its_files_and_what_is_settled():
    (of, other) = layouts(2, 3)
    told = fingerprint([of, other], {"a": 1})
    assert told == fingerprint([replace(of), pickle.loads(pickle.dumps(other))], {"a": 1})
    changed = {
        "dataset": "e", "url": "oci://lake@ns/9.root", "size": 1, "version": "f", "format": "rntuple", "tree": "T",
        "clusters": (Cluster(0, 30, 6_300_000),),
    }
    others = [fingerprint([replace(of, **{name: value}), other], {"a": 1}) for name, value in changed.items()]
    others += [fingerprint(files, {"a": 1}) for files in ([other, of], [of], [of, other, other])]
    others += [fingerprint([of, other], {"a": 2})]
    assert len({told, *others}) == 1 + len(others)
    # What only tells how to open a file faster is no part of it.
    assert told == fingerprint([replace(of, opening=((0, 9),)), other], {"a": 1})


def test_clusters_are_packed():
    given = (Cluster(0, 10, 5), Cluster(10, 30, 7), Cluster(30, 31, 0))
    of = FileLayout("d", "a.root", 100, "e", "ttree", "Events", given)
    assert tuple(of.clusters) == given and len(of.packed) == 16 * len(given) and (of.entries, of.needed) == (31, 12)
    assert (of.clusters[0], of.clusters[1], of.clusters[-1], of.clusters[1:]) == (*given, [*given[1:]])
    with pytest.raises(IndexError):
        of.clusters[3]
    empty = replace(of, clusters=())
    assert (empty.entries, empty.needed, list(empty.clusters)) == (0, 0, [])
    for wrong in ((Cluster(1, 2, 0),), (Cluster(0, 2, 0), Cluster(3, 4, 0))):
        with pytest.raises(ValueError, match="follow each other"):
            Clusters(wrong)


# Beside what happens.


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    """Files of 12 clusters, of which a small part is read."""
    folder = tmp_path_factory.mktemp("generated")
    arguments = ["--events", "60000", "--files", "2", "--cluster", "2500", "--branches", "100", "--processes", "1"]
    run_command(["generate", "dimuon", *arguments, "--out", str(folder)])
    return folder


def run_command(arguments: list[str], code: int = 0, warned: str = "") -> str:
    """Runs the command line in this process; what it printed. `warned` is in what it told beside."""
    ran = CliRunner().invoke(cli, arguments)
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        assert isinstance(ran.exception, WorkloadError), ran.exception
        assert ran.exception.code == code, ran.exception
        return str(ran.exception)
    assert ran.exit_code == code, ran.output
    assert warned in ran.stderr, ran.stderr
    return ran.stdout if code == 0 else ran.output


def stored(generated: Path, place: str, settings: StoreSettings) -> tuple[str, list[str]]:
    """The files in the store, and the options that open it."""
    store = storescope.open_store(place + "/", **settings.options())
    for file in sorted(generated.glob("*.root")):
        store.put(file.name, file.read_bytes())
    options = [word for name, value in settings.options().items() for word in (f"--{name.replace('_', '-')}", value)]
    return f"{place}/*.root", options


def test_the_readers_requests_are_those_of_the_model(generated, place, settings, seen):
    pattern, _ = stored(generated, place, settings)
    file = find(pattern, settings)[0]
    (of,) = survey([file], Job(Reduction(Cuts()), settings=settings), lambda done: None)
    spans = [wanted for of_cluster in of.ranges for wanted in of_cluster]
    expected = requests(spans, Sizes.by(FIRST_BYTE, RATE, 1 << 20, WASTE))
    assert 3 < len(expected) < len(spans), "some are joined, and not all"
    before = len(seen())
    # A store of its own: it knows nothing yet of this one's answers, and goes by its defaults.
    store = storescope.open_store(place + "/", read_waste=WASTE, **settings.options())
    with store.reader(file.url.rpartition("/")[2], size=file.size, etag=file.version, policy="vector") as reader:
        reader.hint(spans)
        for start, stop in spans:
            assert len(reader.read_at(start, stop)) == stop - start
    asked = [line for line in seen()[before:] if line["method"] == "GET"]
    assert sorted(span_of(line) for line in asked) == expected


#: What the reader goes by before it has measured a store: seconds, and bytes a second.
FIRST_BYTE, RATE = 0.027, 60e6


def span_of(line: dict) -> tuple[int, int]:
    first, last = line["range"].removeprefix("bytes=").split("-")
    return int(first), int(last) + 1


@pytest.mark.parametrize("piece", ["256KiB", "64KiB"])
def test_an_estimate_is_what_a_run_asks_for(generated, place, settings, tmp_path, piece, seen):
    pattern, options = stored(generated, place, settings)
    out = str(tmp_path / "out") if piece == "256KiB" else f"{place}/out"
    run_command(["reduce", pattern, "--out", out, "--processes", "2", "--piece", piece, *options])
    measured = json.loads(Folder(out, settings).read("result.json"))
    volume = sum(file.stat().st_size for file in generated.glob("*.root"))
    before = len(seen())
    told = json.loads(run_command([
        "estimate", pattern, "--volume", str(volume), "--cores", "2", "--model", "s3-standard", "--piece", piece,
        "--from", out, "--json", *options,
    ], warned="of CPU time alone"))
    assert (told["files"], told["events"], told["bytes_needed"]) == (2, 60_000, measured["io"]["bytes_needed"])
    work = measured["io"]["work"]
    estimated = told["requests"]["open"] + told["requests"]["data"]
    # The emulator answers at once: the reader measures that, and reads through smaller holes than at s3-standard.
    assert estimated == pytest.approx(work["requests"], rel=0.05)
    assert told["bytes_received"] == pytest.approx(measured["io"]["bytes_received"], rel=0.03)
    time, told_assumed = measured["time"], told["assumptions"]
    assert told_assumed["events_per_cpu_s"] == time["events_per_cpu_s"]
    assert told_assumed["plan_cpu_s"] == time["plan_cpu_s"] / 2 > 0
    sizes = [size for name, size in Folder(out, settings).sizes().items() if name.endswith(".parquet") and "pairs/" in name]
    assert told["bytes_written"] == measured["output"]["bytes"] == sum(sizes) > 0
    rate = told["cpu_rate"]
    assert (rate["engine"], rate["events"], rate["origin"]) == ("local", 60_000, f"measured by {out}, engine local")
    assert rate["cpu_s"] == time["task_cpu_s"] - time["plan_cpu_s"] and "of CPU time alone" in told["warning"]
    # Nothing of the data was read for it.
    read = sum(line["bytes_out"] for line in seen()[before:] if line["method"] == "GET" and "/o/" in line["target"])
    assert 0 < read < min(measured["io"]["bytes_needed"], 0.1 * volume)


def test_the_text_names_every_assumption(generated, tmp_path):
    text = run_command([
        "estimate", str(generated / "*.root"), "--volume", "1PB", "--cores", "800", "--model", "oci-native",
        "--file-size", "2GB", "--events-per-second-per-core", "300000", "--target", "250min", "--rounds", "2",
    ])
    for words in (
        "1 PB in 5", "cores         800", "model         oci-native",
        "300,000 events/s  of one core that never waits (given)", "file size     2 GB", "read_waste    10 %", "not counted",
        "target 4.17 h: missed", "cpu bounds it", "cores would be needed", "bytes written      not counted",
        "look-ahead    33.6 MB", "of 8 files and 16 pieces at most", "streams       64", "plan threads  16",
        "output        not known", "driver ", "simulation    2 rounds", "seed 1", "the time to compress and write the pairs",
    ):
        assert words in text, (words, text)
    arguments = ["--volume", "1TB", "--cores", "8", "--model", "s3-warm", "--rounds", "2"]
    storage = run_command(["estimate", str(generated / "*.root"), *arguments])
    assert "CPU           not counted" in storage and "bounds it" in storage


@pytest.fixture
def measured(generated, tmp_path) -> Callable[..., str]:
    """Writes a result.json with what it is given; its place."""

    def write(**more: object) -> str:
        time = {"events_per_cpu_s": 4e5, "plan_cpu_s": 0.5, "task_cpu_s": 30.5}
        result = {
            "schema": 1, "workload": "dimuon-reduction", "engine": "local", "cuts": Cuts().to_dict(),
            "datasets": [{"files": {"planned": 10}}], "events": {"in": 12_000_500, "skipped": 500}, "time": time,
            "output": {"files": 1, "bytes": 48_000_000},
        }
        time |= more.pop("time", {})  # type: ignore[arg-type]
        (tmp_path / "result.json").write_text(json.dumps({**result, **more}))
        return str(tmp_path / "result.json")

    return write


def test_what_a_run_measured_is_named_with_its_engine(generated, measured):
    given = ["estimate", str(generated / "*.root"), "--volume", "1TB", "--cores", "8", "--model", "s3-warm", "--rounds", "2"]
    text = run_command([*given, "--from", measured()])
    for words in (
        "result.json, engine local)", "from 12,000,000 events in 30 s of CPU time", "plan CPU      50 ms",
        "output        4 B", "bytes written ",
    ):
        assert words in text, (words, text)
    assert "the JVM" not in text
    told = json.loads(run_command([*given, "--json", "--target", "1min", "--from", measured(engine="spark")]))
    assert told["bytes_written"] == told["events"] * 4 and told["assumptions"]["plan_cpu_s"] == 0.05
    assert (told["model"], told["target_s"], told["target_met"], told["warning"]) == ("s3-warm", 60.0, False, None)
    assert [one["url"] for one in told["files_given"]] == sorted(map(str, generated.glob("*.root")))
    assert told["files_given"][0]["events"] == 30_000 and told["files_given"][0]["clusters"] == 12
    assert (told["streams"], told["plan_threads"]) == (64, 16)
    assert told["look_ahead"] == {"bytes": 2 << 24, "files": 8, "pieces": 16}
    text = run_command([*given, "--from", measured(engine="spark")])
    assert "engine spark)" in text and "what the JVM does beside them is not in it" in text


def test_a_rate_of_little_cpu_time_is_doubted(generated, measured):
    given = ["estimate", str(generated / "*.root"), "--volume", "1TB", "--cores", "8", "--model", "s3-warm", "--rounds", "2"]
    run_command([*given, "--from", measured(time={"task_cpu_s": 10.4})], warned="from 9.9 s of CPU time alone: below 10 s")
    ran = CliRunner().invoke(cli, [*given, "--from", measured()])
    assert ran.exit_code == 0 and "warning" not in ran.stderr


def test_a_rate_of_sql_is_refused(generated, measured):
    given = ["estimate", str(generated / "*.root"), "--volume", "1TB", "--cores", "8", "--model", "s3-warm"]
    assert "measured by the engine spark-sql" in run_command([*given, "--from", measured(engine="spark-sql")], code=2)


def test_what_a_process_imports_late_is_no_tasks_time():
    # In a process of its own: in this one all is imported.
    ran = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


LATE = """
import sys
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.work import _Task, _rows
import time
clock, real = [], time.process_time
time.process_time = lambda: clock.append(set(sys.modules)) or real()
before = set(sys.modules)
_Task([], Job(Reduction(Cuts())))
assert len(clock) == 1 and clock[0] > before, "nothing was imported before the clock was read"
import numpy as np, pyarrow as pa
pa.table({"a": pa.array(np.zeros(3)), "b": pa.array(["x"] * 3, pa.string())})
assert set(sys.modules) == clock[0], set(sys.modules) - clock[0]
"""


def test_a_model_of_ones_own_is_a_file(generated, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nttfb = "20ms"\nstream = "10MB/s"\nnic = "1MB/s"\n')
    arguments = ["--volume", "1TB", "--cores", "8", "--model", str(own), "--json", "--rounds", "2"]
    told = json.loads(run_command(["estimate", str(generated / "*.root"), *arguments]))
    assert told["bound"] == "nic" and told["bounds_s"]["nic"] == pytest.approx(told["bytes_received"] / 1e6)
    assert told["wall_s"]["median"] >= told["bounds_s"]["nic"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--model", "s4"], "there is no latency model"),
        (["--model", "missing.toml"], "No such file"),
        (["--model", "none", "--from", "nowhere"], "no such file"),
        (["--model", "none", "--from", "{here}/other.json"], "is no result.json"),
        (["--model", "none", "--from", "{here}/text.json"], "is no JSON"),
        (["--model", "none", "--from", "{here}/cuts.json"], "measured with other cuts"),
        (["--model", "none", "--from", "{here}/idle.json"], "nothing was read"),
        (["--model", "none", "--from", "x", "--events-per-second-per-core", "5"], "exclude each other"),
        (["--model", "none", "--volume", "much"], "is not a size"),
        (["--model", "none", "--target", "soon"], "is not a time"),
        (["--model", "none", "--cores", "0"], "--cores"),
        (["--model", "none"], "nothing takes time"),
        (["--model", "none", "--cuts", "missing.yaml"], "missing.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_estimated_says_why(generated, tmp_path, arguments, why):
    result = {"schema": 1, "workload": "dimuon-reduction", "engine": "local", "cuts": Cuts().to_dict(), "datasets": []}
    result |= {"events": {"in": 0, "skipped": 0}}
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "text.json").write_text("text")
    (tmp_path / "cuts.json").write_text(json.dumps({**result, "cuts": {}}))
    (tmp_path / "idle.json").write_text(json.dumps({**result, "time": {"events_per_cpu_s": None}}))
    arguments = [word.replace("{here}", str(tmp_path)) for word in arguments]
    given = ["estimate", str(generated / "*.root"), "--volume", "1TB", "--cores", "8", *arguments]
    assert why in run_command(given, code=2)


def test_a_bad_file_is_named(tmp_path):
    (tmp_path / "bad.root").write_bytes(b"text")
    arguments = ["--volume", "1TB", "--cores", "8", "--model", "none"]
    assert "bad.root" in run_command(["estimate", str(tmp_path / "bad.root"), *arguments], code=1)
    assert "no file matches" in run_command(["estimate", str(tmp_path / "none*.root"), *arguments], code=2)
