# SPDX-License-Identifier: Apache-2.0
"""Traces: what a Python program read is in the file that STORESCOPE_TRACE names, under the server's ids."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import pytest

import serving

DATA = bytes(range(256)) * 4000

READS = """
import fsspec, json, os, sys
about = json.loads(os.environ["STORE"])
fs = fsspec.filesystem("storescope+" + about["service"], **about["options"])
with fs.open(about["path"], "rb") as file:
    file.seek(500_000)
    assert len(file.read(1000)) == 1000
assert len(fs.cat_file(about["path"], 100, 300)) == 200
"""

FORKS = """
import json, os, storescope
about = json.loads(os.environ["STORE"])
store = storescope.open_store(about["url"], **about["options"])
store.get("k")
child = os.fork()
# Both go on, each with a trace of its own.
store = storescope.open_store(about["url"], **about["options"])
store.get("k")
if child:
    assert os.waitpid(child, 0)[1] == 0
    print(child)
"""

GOES_ON = """
import json, os, resource, storescope
about = json.loads(os.environ["STORE"])
# Python ignores the signal: a write beyond it fails, as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
store = storescope.open_store(about["url"], **about["options"])
for _ in range(1500):
    store.get_ranges("k", [(0, 10)])
print(len(store.get("k")))
"""


@pytest.fixture
def run(store, service, options, tmp_path):
    """Runs a program that is traced, and tells what it printed and said."""
    store.put("k", DATA)
    path = store.url.partition("://")[2] + "k"
    about = json.dumps({"service": service, "options": options, "url": store.url, "path": path})

    def run(program, **more):
        trace = {"STORESCOPE_TRACE": str(tmp_path / "trace"), "STORESCOPE_HEDGE_AT": "0"}
        environment = {**os.environ, "STORE": about, **trace, **more}
        ended = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout, ended.stderr

    return run


def lines(path, level):
    """The lines of a trace, as the command line tells them."""
    command = [serving.binary(), "trace", str(path), "--csv", "-", "--level", level]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(csv.DictReader(io.StringIO(told.stdout)))


def about(path):
    command = [serving.binary(), "trace", str(path), "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_what_fsspec_reads_is_what_the_server_saw(run, seen, tmp_path):
    run(READS)
    requests = [line for line in seen() if line["method"] != "PUT"]
    attempts = lines(tmp_path / "trace", "attempt")
    assert {line["client_request_id"] for line in attempts} == {line["client_request_id"] for line in requests}
    assert len(attempts) == len(requests) > 0
    gets = [line for line in attempts if line["operation"] == "get"]
    assert sum(int(line["bytes"]) for line in gets) == sum(r["bytes_out"] for r in requests if r["method"] == "GET")
    assert all(line["status"] == "206" and line["key"].endswith("/k") for line in gets)
    calls = lines(tmp_path / "trace", "call")
    assert any((line["offset"], line["length"]) == ("100", "200") for line in calls), calls
    told = about(tmp_path / "trace")
    assert told["ended_in_order"] and told["left_out"] == 0


def test_hashed_names(run, tmp_path):
    run(READS, STORESCOPE_TRACE_NAMES="hashed")
    calls = lines(tmp_path / "trace", "call")
    assert calls and not any(line["key"].endswith("/k") for line in calls)
    assert len({line["key"] for line in calls if line["operation"] == "read"}) == 1
    assert about(tmp_path / "trace")["names_hashed"]


def test_a_child_made_by_fork_has_a_file_of_its_own(run, tmp_path):
    child = int(run(FORKS)[0])
    parent, own = about(tmp_path / "trace"), about(tmp_path / f"trace.{child}")
    assert parent["levels"]["call"]["operations"]["get"]["count"] == 2
    assert own["levels"]["call"]["operations"]["get"]["count"] == 1
    assert parent["ended_in_order"] and own["ended_in_order"]


def test_a_full_disk_ends_the_trace_and_not_the_program(run, tmp_path):
    out, errors = run(GOES_ON)
    assert int(out) == len(DATA)
    assert errors.count("cannot be written any more") == 1, errors
    told = about(tmp_path / "trace")
    assert 0 < told["levels"]["attempt"]["count"] < 1500
