# SPDX-License-Identifier: Apache-2.0
"""Delta Lake and Iceberg on the store: a table's life, and two writers in two JVMs. Their jars come by pom.xml."""

from __future__ import annotations

import pytest

import core_site
import serving
import tables

ROUNDS = 6


@pytest.fixture(scope="module")
def server():
    """Its answers take some 25 ms: time enough for the other writer between a look at a name and its use."""
    from conftest import BUCKET

    with serving.serve("--bucket", BUCKET, "--model", "s3-warm") as running:
        yield running


kinds = pytest.mark.parametrize(
    "kind",
    [{"format": "delta"}, {"format": "delta", "log_store": "file system"}, {"format": "iceberg"}],
    ids=["delta", "delta by FileSystem.rename", "iceberg"],
)


@pytest.mark.timeout(400)
@kinds
def test_a_tables_life(run, place, kind):
    told = run("life", core_site.oci(place.server), module=tables, seconds=300, url=place.url, **kind)
    first = 1 if kind["format"] == "delta" else 0  # Delta's creation is a version of its own.
    assert told == {
        "merged": [1600, 1400],
        "then": [1000, 1500],
        "versions": first + 6,
        "rows": 1502,
        "kept": 1502,
        "forgotten": True,
    }
    if kind["format"] == "delta":
        assert [name for name in place.objects() if name.endswith(".checkpoint.parquet")]
    assert not [name for name in place.objects() if ".tmp" in name], "nothing half-written is left"


@pytest.mark.timeout(600)
@kinds
def test_of_two_writers_no_commit_is_lost(run, begin, place, tmp_path, kind):
    """Each append of both is there once, the counter stands at as many as were told that they counted, and who was not
    is told of a conflict."""
    site = core_site.oci(place.server)
    run("prepare", site, module=tables, url=place.url, **kind)
    writers = [
        begin(
            "write", site, module=tables, seconds=300, url=place.url, folder=str(tmp_path), me=me, writers=2,
            rounds=ROUNDS, **kind,
        )
        for me in range(2)
    ]
    ended = [writer() for writer in writers]
    assert [end["failures"] for end in ended] == [[], []]
    assert [end["appended"] for end in ended] == [ROUNDS, ROUNDS]
    counted = sum(end.get("counted", 0) for end in ended)
    conflicts = sum(end.get("counted in conflict", 0) for end in ended)
    assert counted + conflicts == 2 * ROUNDS
    assert conflicts > 0, "the writers never met"
    left = run("outcome", site, module=tables, url=place.url, **kind)
    first = 1 if kind["format"] == "delta" else 0
    assert left == {
        "rows": 2 * ROUNDS * tables.ROWS,
        "distinct": 2 * ROUNDS * tables.ROWS,
        "count": counted,
        "versions": [first + 2 * ROUNDS, first + 1 + counted],
    }
