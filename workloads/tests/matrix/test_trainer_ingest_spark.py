# SPDX-License-Identifier: Apache-2.0
"""``trainer ingest`` by the command on the emulator: on Spark 4 and 3.5 the rows and counts of the local engine, from ROOT and
from parquet; on a cluster whose executors are killed; and in memory that does not grow with the events.

`STORESCOPE_TEST_SPARK35_PYTHON` names a Python with the wheel, this package and pyspark 3.5."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trigger_events as made
from pyspark import cloudpickle

import cluster
import storescope
from storescope_workloads import spark as sessions
from storescope_workloads.places import Folder
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.job import run
from storescope_workloads.scan.spark_parts import SparkPartsEngine
from storescope_workloads.trainer.ingest import Ingestion
from storescope_workloads.trainer.ingest_command import datasets_of

# The JVM's sockets are closed when Python ends; Spark 3.5 compares versions by distutils.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:distutils Version:DeprecationWarning")
# What is defined here is not in the executors.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

EVENTS = 400
RUN = "from storescope_workloads.trainer.ingest_command import ingest; ingest()"


def spark35() -> str:
    path = os.environ.get("STORESCOPE_TEST_SPARK35_PYTHON")
    assert path, "set STORESCOPE_TEST_SPARK35_PYTHON to a Python with pyspark 3.5, the wheel and the package"
    return path


#: The Python that each version of Spark is in.
PYTHONS: dict[str, Callable[[], str]] = {"4": lambda: sys.executable, "3.5": spark35}


class Sample:
    """The sample in the emulator, of ROOT files and of parquet."""

    def __init__(self, server: Any, settings: Any, folder: Path) -> None:
        self.settings = settings
        self._options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.options().items()]
        self.base = f"oci://workloads@{server.oci['namespace']}/{uuid.uuid4().hex}"
        self._store = storescope.open_store(self.base + "/", **settings.options())
        for kind in ("ttree", "parquet"):
            made.write_classes(folder / kind, EVENTS, kind, files=2, particles=60)
            for path in sorted((folder / kind).rglob("*.*")):
                self._store.put(str(path.relative_to(folder)), path.read_bytes())

    def ingest(self, kind: str, python: str = sys.executable, *words: str) -> tuple[dict[str, Any], pa.Table]:
        """``ingest.json`` and the rows."""
        out = uuid.uuid4().hex
        inputs = [f"{self.base}/{kind}", "--out", f"{self.base}/{out}", "--piece", "256KiB", *words, *self._options]
        path = [str(Path(__file__).resolve().parents[2] / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYSPARK_PYTHON": python}
        environment.pop("STORESCOPE_JARS", None)
        command = [python, "-c", RUN, *inputs]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220)
        assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
        return json.loads(bytes(self._store.get(f"{out}/ingest.json"))), self.rows(out)

    def rows(self, out: str) -> pa.Table:
        tables = []
        for entry in self._store.list(f"{out}/events/"):
            table = pq.ParquetFile(io.BytesIO(bytes(self._store.get(entry.key)))).read()
            name = entry.key.split("dataset=")[1].split("/")[0]
            tables.append(table.append_column("dataset", pa.array([name] * len(table), pa.string())))
        order = [(name, "ascending") for name in ("dataset", "file", "entry")]
        return pa.concat_tables(tables).sort_by(order).combine_chunks()


@pytest.fixture(scope="module")
def sample(server, settings, tmp_path_factory) -> Sample:
    return Sample(server, settings, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def expected(sample) -> tuple[dict[str, Any], pa.Table]:
    """The engine local on TTrees, which other tests hold against the oracle."""
    told, rows = sample.ingest("ttree")
    assert told["events"]["in"] == 3 * EVENTS and told["events"]["out"] == len(rows) > EVENTS / 2
    return told, rows


def assert_same(found: tuple[dict[str, Any], pa.Table], expected: tuple[dict[str, Any], pa.Table]) -> None:
    assert found[0]["events"] == expected[0]["events"] and found[0]["particles"] == expected[0]["particles"]
    assert [one["cut_flow"] for one in found[0]["classes"]] == [one["cut_flow"] for one in expected[0]["classes"]]
    assert found[1].equals(expected[1])


def test_parquet_gives_what_root_gives(sample, expected):
    assert_same(sample.ingest("parquet"), expected)


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("kind", ["ttree", "parquet"])
def test_on_spark(sample, expected, version, kind):
    found = sample.ingest(kind, PYTHONS[version](), "--engine", "spark", "--master", "local[2]")
    assert found[0]["engine"] == "spark" and found[0]["versions"]["spark"].startswith(version + ".")
    assert_same(found, expected)


# A cluster.


@pytest.fixture(scope="module")
def spark(tmp_path_factory, settings):
    """Two executors whose Python has nothing but what is sent to it."""
    packed = cluster.pack(tmp_path_factory.mktemp("packed"))
    with cluster.standalone(tmp_path_factory.mktemp("cluster")) as master, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", cluster.BARE_PYTHON)
        patch.delenv("STORESCOPE_JARS", raising=False)
        conf = {
            "spark.driver.host": "127.0.0.1", "spark.executor.memory": "640m", "spark.ui.enabled": "false",
            "spark.archives": f"{packed}#deps", "spark.executorEnv.PYTHONPATH": "deps",
        }
        running = sessions.session(master, conf, None, settings, "test")
        yield running
        running.stop()


class Killing:
    """Work after whose first part a process is killed, once: the part's file is there, and nobody was told of it."""

    def __init__(self, work: Any, flag: Path, process: str) -> None:
        self.work, self.flag, self.process = work, flag, process
        self.schema = work.schema

    def __call__(self, batches: Any) -> Any:
        for batch in self.work(batches):
            try:
                self.flag.touch(exist_ok=False)
            except FileExistsError:
                yield batch
                continue
            os.kill(os.getpid() if self.process == "python" else java(), signal.SIGKILL)
            signal.pause()


def java() -> int:
    """The executor above this Python."""
    process = os.getpid()
    while b"CoarseGrainedExecutorBackend" not in Path(f"/proc/{process}/cmdline").read_bytes():
        process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return process


class KillingEngine(SparkPartsEngine):
    """Kills in the job that writes, not in that of the plan."""

    def __init__(self, spark: Any, flag: Path, process: str) -> None:
        super().__init__(spark)
        self.flag, self.process = flag, process

    def _map(self, work: Any, count: int, schema: Any) -> Any:
        return super()._map(Killing(work, self.flag, self.process) if "result" in schema.names else work, count, schema)


@pytest.mark.parametrize("process", ["python", "java"])
def test_a_process_that_is_killed_changes_nothing(spark, sample, settings, expected, tmp_path, process):
    job = Job(Ingestion(), "Delphes", settings, piece_target=256 << 10)
    sets = datasets_of(f"{sample.base}/ttree", (), settings)
    name = uuid.uuid4().hex
    finished = run(KillingEngine(spark, tmp_path / "killed", process), sets, job, Folder(f"{sample.base}/{name}", settings))
    assert (tmp_path / "killed").exists()
    assert sum(counts.events for counts in finished.summaries.values()) == 3 * EVENTS
    assert sample.rows(name).equals(expected[1])


# Memory.

MEASURED = """
import resource, sys
from storescope_workloads.trainer.ingest_command import ingest
ingest(sys.argv[1:], standalone_mode=False)
print(*(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)), file=sys.stderr)
"""


def test_memory_does_not_grow_with_the_events(tmp_path):
    """Ten times the events, in the processes and in the one that leads them."""
    path = made.write(tmp_path / "in.root", made.random_events(400, particles=350), cluster=200)
    peaks = []
    for files in (8, 80):
        for name in made.CLASSES:
            folder = tmp_path / f"{files}/{name}"
            folder.mkdir(parents=True)
            for number in range(files):
                os.link(path, folder / f"trigger-{number:04}.root")
        words = [f"--class={name}={tmp_path}/{files}/{name}/*.root" for name in made.CLASSES]
        words += ["--out", str(tmp_path / f"out-{files}"), "--processes", "1"]
        ran = subprocess.run([sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, timeout=230, check=True)
        peaks.append([int(number) for number in ran.stderr.split()[-2:]])
    assert all(later < 1.15 * earlier + 20_000 for earlier, later in zip(*peaks, strict=True)), peaks
