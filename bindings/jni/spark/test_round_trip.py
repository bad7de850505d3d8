# SPDX-License-Identifier: Apache-2.0
"""One table written and read by the Spark that is installed, with the core-site.xml that Oracle documents."""

from __future__ import annotations

import re

import core_site

# The Hadoop in each Spark: the one that `make test` has, and the oldest that the jar runs on.
HADOOP = {"4.1.4": "3.4.2", "3.5.9": "3.3.4"}


def test_one_who_is_not_known_is_refused(run, place, seen):
    said = run("refused", core_site.oci(place.server, "WRONG"), url=place.url)
    assert "AccessDeniedException" in said and "NotAuthenticated" in said, said
    assert {line["status"] for line in seen()} == {401}
    assert place.objects() == []


def test_a_table_is_written_and_read(run, place, seen):
    import pyspark

    told = run("round_trip", core_site.oci(place.server), url=place.url)
    assert told.pop("classes")[-1] == "io.github.storescope.hadoop.StoreFileSystem"
    assert told == {
        "same": True,
        "hadoop": HADOOP[pyspark.__version__],
    }
    assert len(place.files()) == 4 and place.objects()[0].endswith("/_SUCCESS")
    requests = seen()
    assert len(requests) >= 20
    assert all(re.fullmatch(r"storescope/\S+ \(jvm\)", line["user_agent"]) for line in requests)
    assert all(line["status"] < 500 and line["status"] != 401 for line in requests)


def test_a_notebook_asks_the_file_system_itself(run, place):
    names = run("by_hand", core_site.oci(place.server), url=place.url)
    assert names == ["_SUCCESS", *sorted(place.files())]
