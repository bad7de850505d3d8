# SPDX-License-Identifier: Apache-2.0
"""Python workers that read by the wheel: their requests are those of their stage. Run by a Python that has the wheel, too."""

from __future__ import annotations

import pytest

import core_site
import plugin_wheel_jobs
from plugin_told import Told

READS = 5


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,1024]"])
def test_what_python_workers_read_is_their_stages(run, place, tmp_path, master):
    (tmp_path / "object").write_bytes(bytes(1 << 20))
    place.put(tmp_path / "object", "object")
    before = len(place.server.record())
    options = {"endpoint": place.server.oci["endpoint"], "config_file": place.server.oci["config_file"], "hedge_at": "0"}
    told = run(
        "by_wheel", core_site.oci(place.server), module=plugin_wheel_jobs, url=place.url, report=str(tmp_path), options=options,
        reads=READS, master=master,
    )  # fmt: skip
    assert told["rows"] == 4000
    lines = place.server.record()[before:]
    by_wheel = [line for line in lines if "(python)" in line["user_agent"]]
    report = Told(tmp_path, told["application"])
    assert len(by_wheel) >= READS
    assert report.sums()[0] == len(lines)
    (stage,) = [stage for stage in report.stages if stage["bytes"] >= len(by_wheel) << 20]
    assert stage["tasks"]["waited_ms"] > 0
