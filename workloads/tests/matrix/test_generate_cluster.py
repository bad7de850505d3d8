# SPDX-License-Identifier: Apache-2.0
"""A sample made on a standalone cluster whose executors' Python has nothing but what is sent to it, while one of them is
killed: the same files as on one machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import uproot

import cluster
from storescope_workloads import spark as sessions
from storescope_workloads.generate.job import Sample, run_local
from storescope_workloads.generate.spark import run_spark
from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings

# The JVM's sockets are closed when Python ends; Spark 3.5 compares versions by distutils.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:distutils Version:DeprecationWarning")

SAMPLE = Sample(240_000, 12, seed=5, branches=100, format="rntuple", cluster=8_000)


@pytest.fixture(scope="module")
def spark(tmp_path_factory, server):
    folder = tmp_path_factory.mktemp("cluster")
    account = server.ready["s3"]
    secrets = {"AWS_ACCESS_KEY_ID": account["access_key_id"], "AWS_SECRET_ACCESS_KEY": account["secret_access_key"]}
    with pytest.MonkeyPatch.context() as patch, cluster.standalone(folder) as master:
        patch.setenv("PYSPARK_PYTHON", cluster.BARE_PYTHON)
        for name, value in secrets.items():
            patch.setenv(name, value)
        conf = {
            "spark.driver.host": "127.0.0.1", "spark.executor.memory": "640m", "spark.ui.enabled": "false",
            "spark.archives": f"{cluster.pack(folder)}#deps", "spark.executorEnv.PYTHONPATH": "deps",
            **{f"spark.executorEnv.{name}": value for name, value in secrets.items()},
        }
        made = sessions.session(master, conf, None, StoreSettings(), "test")
        yield made
        made.stop()


def executors(driver_port: str) -> list[int]:
    """Processes of this driver's executors."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"CoarseGrainedExecutorBackend" in command and f"@127.0.0.1:{driver_port}\0".encode() in command:
            found.append(int(entry.name))
    return found


def test_a_cluster_writes_what_one_machine_writes_though_an_executor_dies(spark, server, tmp_path):
    account = server.ready["s3"]
    out = Folder(f"s3://workloads/generated-{os.getpid()}", StoreSettings(endpoint=account["endpoint"], region=account["region"]))
    killed = []

    def kill(events):
        if events and not killed:
            killed.append(executors(spark.sparkContext.getConf().get("spark.driver.port"))[0])
            os.kill(killed[0], signal.SIGKILL)

    written = run_spark(SAMPLE, out, spark, kill)
    assert killed and [one.number for one in written] == list(range(12)) and sum(one.events for one in written) == 240_000
    assert out.files() == [f"dimuon-{number:04}.root" for number in range(12)]
    here = Folder(str(tmp_path / "here"), StoreSettings())
    run_local(SAMPLE, here, 2, lambda events: None)
    for name in here.files():
        (tmp_path / name).write_bytes(out.read(name))
        ours, theirs = (uproot.open(path)["Events"].arrays() for path in (tmp_path / "here" / name, tmp_path / name))
        assert ours.fields == theirs.fields and len(ours) == len(theirs) == 20_000
        assert all(ours[field].to_list() == theirs[field].to_list() for field in ("event", "Muon_pt", "Electron_sip3d", "PV_chi2"))
