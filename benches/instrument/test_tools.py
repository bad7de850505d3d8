# SPDX-License-Identifier: Apache-2.0
"""How the output of other tools is read, against values that are known."""

from __future__ import annotations

import datetime
import urllib.error
import urllib.request

import pytest

import peers
import tools
from tools import Store, Told, Work

WORK = Work("get", 4096, 3, 1)
OHA = {
    "statusCodeDistribution": {"200": 9, "503": 1},
    "errorDistribution": {"aborted due to deadline": 2},
    "latencyPercentiles": {"p50": 0.02, "p99": 0.03, "p99.9": 0.04},
    "firstBytePercentiles": {"p50": None, "p99": None, "p99.9": None},
}


def line(**fields):
    base = {"client_request_id": None, "user_agent": "oha/1", "method": "GET", "status": 200, "bytes_in": 0}
    return {**base, "bytes_out": 4096, "head_read_ns": 0, "first_byte_ns": 10**7, "last_byte_ns": 2 * 10**7, **fields}


def oha():
    return next(tool for tool in tools.TOOLS if tool.name == "oha")


def test_oha():
    told = tools.oha_told(OHA)
    assert (told.count, told.errors) == (9, 3)
    assert told.quantiles == {"whole": {"p50": 20.0, "p99": 30.0, "p99.9": 40.0}}


def test_fio():
    percentile = {"50.000000": 20_000_000, "99.000000": 30_000_000, "99.900000": 40_000_000}
    side = {"total_ios": 7, "clat_ns": {"percentile": percentile}}
    told = tools.fio_told({"jobs": [{"error": 0, "read": side}]}, "get")
    assert (told.count, told.errors, told.quantiles) == (7, 0, {"whole": {"p50": 20.0, "p99": 30.0, "p99.9": 40.0}})


def test_nanoseconds_between_times():
    assert tools.since("2026-12-01T00:36:23.999999000Z", "2026-12-01T00:36:24.000001500Z") == pytest.approx(0.0025, abs=1e-6)


def test_rows_are_of_the_tools_own_requests():
    told = Told(2, 0, {"whole": {"p50": 21.0, "p99": 20.0, "p99.9": 20.0}})
    lines = [line(), line(), line(user_agent="other"), line(method="HEAD", bytes_out=0)]
    (row,), others = peers.rows(oha(), WORK, told, lines)
    assert (row.apart("p50"), row.apart("p99"), others) == (1.0, 0.0, "1 HEAD")
    assert not row.agrees()


@pytest.mark.parametrize("told", [Told(3, 0, {}), Told(2, 1, {}), Told(0, 0, {})])
def test_a_count_that_is_not_the_records_is_an_error(told):
    with pytest.raises(RuntimeError, match="the record has 2"):
        peers.rows(oha(), WORK, told, [line(), line()])


def test_a_missing_tool_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("OHA", "/nowhere/oha")
    with pytest.raises(tools.Missing, match="cargo install oha"):
        oha().version()


def test_the_emulator_takes_a_presigned_url():
    with tools.serving.serve() as server:
        store = Store.of(server)
        request = urllib.request.Request(store.presigned("PUT", "a b/c"), method="PUT", data=b"x")
        with peers.opened(request) as answer:
            assert answer.status == 200
        with peers.opened(store.presigned("GET", "a b/c")) as answer:
            assert answer.read() == b"x"
        late = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=7)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            peers.opened(store.presigned("GET", "a b/c", late))
