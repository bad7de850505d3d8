# SPDX-License-Identifier: Apache-2.0
"""What the plugin tells beside what sparkMeasure counts of the same application, by its jar among STORESCOPE_JARS."""

from __future__ import annotations

import json

import core_site
import plugin_jobs
from plugin_told import Told

# Files of a table, and what is read of a file's end at a time.
FILES, END = 4, 64 << 10


def test_sparkmeasure_counts_the_same_tasks_and_bytes(run, place, tmp_path):
    told = run(
        "beside", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path),
        measured=str(tmp_path / "measured.json"),
    )  # fmt: skip
    assert told["lines"] == told["rows"] == 20_000
    theirs = {stage["stageId"]: stage for stage in json.loads((tmp_path / "measured.json").read_text())}
    report = Told(tmp_path, told["application"])
    ours = {int(stage["setup"]["name"].split()[1].split(".")[0]): stage for stage in report.stages}
    assert theirs.keys() == ours.keys() and len(ours) >= 4
    for number, their in theirs.items():
        stage = ours[number]
        assert stage["tasks"]["succeeded"] == their["numTasks"]
        # Ours begins where Spark tells plugins of the task: what the task's code takes to be read is in it. Theirs are whole
        # milliseconds, cut off for each task; on a busy machine some go by between the two.
        longest = sum(their[name] for name in ("executorRunTime", "executorDeserializeTime", "resultSerializationTime"))
        assert their["executorRunTime"] <= stage["tasks"]["run_ms"] <= longest + 50 * their["numTasks"]
        # Theirs is what Spark took; ours what came over the wire. The end of a file of parquet comes once, and is taken twice.
        received = stage["bytes"] * (1 - (stage["over_read"] or 0)) if their["bytesRead"] else 0
        assert their["bytesRead"] - FILES * END <= received <= their["bytesRead"]
    (text, parquet) = (number for number, their in theirs.items() if their["bytesRead"])
    assert ours[text]["bytes"] == theirs[text]["bytesRead"] and theirs[parquet]["bytesRead"] > 1_000_000
