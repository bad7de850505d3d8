# SPDX-License-Identifier: Apache-2.0
"""The profiler against the server's record (truth.py), with fewer requests than its own run, and
the comparison itself against cases whose answer is known."""

from __future__ import annotations

import json

import pytest

import stalls
import truth

COUNT = 4_000


# Server and client are processes of one machine: what else runs there puts time between the byte written and the byte
# read, which is no error of either clock. One of three runs must be undisturbed; a profiler that is wrong is wrong in all.
RUNS = 3


# The other operations, and open loops, are in `scripts/stages truth`.
def test_the_report_is_the_servers_record(tmp_path):
    for run in range(RUNS):
        comparison = truth.measure(COUNT, "s3-standard", tmp_path / str(run))
        print(comparison.table())
        if all(row.agrees for row in comparison.rows):
            break
    comparison.check(COUNT)


def test_an_open_loop_tells_the_stall_that_a_closed_loop_hides(tmp_path):
    for run in range(RUNS):
        folder = tmp_path / str(run)
        folder.mkdir()
        found = stalls.measure(stalls.SCALED, folder)
        print(found)
        if found.apart <= stalls.RELATIVE:
            break
    found.check()


def test_the_queue_behind_a_stall():
    """Due every 10 ms: one takes 40, those behind it 5, each 5 less late than the one before."""
    assert stalls.due([5, 40, 5, 5, 5, 5, 5, 5, 5, 5], 100) == [5, 40, 35, 30, 25, 20, 15, 10, 5, 5]


@pytest.mark.parametrize("case", [stalls.SCALED, stalls.FULL], ids=["scaled", "full"])
def test_the_closed_form_is_the_queue(case):
    services = [case.service_ms] * case.count
    period = case.count // case.stalls
    for number in range(case.stalls):
        services[number * period + period // 2] += case.stall_ms
    times = sorted(stalls.due(services, case.rate))
    assert truth.nearest_rank(times, 0.99) == pytest.approx(case.p99_ms(), rel=1e-9)


@pytest.mark.parametrize(("response", "agrees"), [(1019, True), (981, True), (1021, False), (979, False)])
def test_two_per_cent_is_the_limit(response, agrees):
    found = stalls.Found(1000, 1000, response, 20)
    if agrees:
        found.check()
    else:
        with pytest.raises(AssertionError, match="apart"):
            found.check()


def test_a_service_time_with_the_queue_in_it_is_told():
    with pytest.raises(AssertionError, match="queue"):
        stalls.Found(1000, 1000, 1000, 900).check()


@pytest.mark.parametrize(
    ("samples", "quantile", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([1.0, 2.0, 3.0], 0.5, 2.0),
        (list(range(1, 1001)), 0.999, 999),
        (list(range(1, 1001)), 0.9, 900),
        ([7.0], 0.999, 7.0),
    ],
)
def test_nearest_rank(samples, quantile, expected):
    assert truth.nearest_rank(samples, quantile) == expected


def made_up(folder, off: float = 1.0, missing: int = 0):
    """A run of 1,000 attempts that took 100.1 … 200.0 ms to the first byte, and a record of it."""
    ids = [f"id-{number}" for number in range(1000)]
    ttfb = [100 + (number + 1) / 10 for number in range(1000)]
    attempts = [{"client_request_id": id, "warmup": False} for id in ids]
    warm = {"client_request_id": "warm", "warmup": True}
    (folder / "requests.jsonl").write_text("\n".join(json.dumps(line) for line in [warm, *attempts]))
    exact = {"count": 1000, "p50_ms": 150.0, "p90_ms": 190.0, "p99_ms": 199.0, "p999_ms": 199.9}
    told = {name: value if name == "count" else value * off for name, value in exact.items()}
    total = {name: value if name == "count" else value + 1 for name, value in exact.items()}
    (folder / "run.json").write_text(json.dumps({"ttfb": told, "total": total}))
    record = [
        {
            "client_request_id": id,
            "status": 206,
            "head_read_ns": 10**18,
            "first_byte_ns": 10**18 + round(ms * 1e6),
            "last_byte_ns": 10**18 + round(ms * 1e6) + 10**6,
        }
        for id, ms in zip(ids, ttfb, strict=True)
    ]
    record.append({**record[0], "client_request_id": "warm", "first_byte_ns": 10**18 + 10**10})
    return truth.compare(folder, record[missing:])


def test_a_true_report_agrees(tmp_path):
    comparison = made_up(tmp_path)
    comparison.check(1000)
    assert all(abs(row.report_ms - row.record_ms) < 1e-6 for row in comparison.rows)


@pytest.mark.parametrize(("off", "agrees"), [(1.009, True), (0.991, True), (1.011, False), (0.989, False)])
def test_one_per_cent_is_the_limit(tmp_path, off, agrees):
    comparison = made_up(tmp_path, off=off)
    if agrees:
        comparison.check(1000)
    else:
        with pytest.raises(AssertionError, match="apart"):
            comparison.check(1000)


def test_a_request_that_the_server_did_not_see_is_told(tmp_path):
    with pytest.raises(AssertionError, match="fewer than"):
        made_up(tmp_path, missing=1).check(1000)
    with pytest.raises(AssertionError, match="matched"):
        made_up(tmp_path, missing=1).check(999)
