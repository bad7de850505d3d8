# SPDX-License-Identifier: Apache-2.0
"""A standalone cluster of Spark's: a master and workers, each a process, from the folder of an installed pyspark. And what
its executors need, packed as docs/WORKLOADS.md says."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

SECONDS = 90
#: Python with nothing installed: the one that the virtual environment was made of.
BARE_PYTHON = str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))
#: What docs/WORKLOADS.md has packed, beside the wheel.
PACKED = ("uproot", "awkward", "numpy", "pyarrow", "fsspec", "xxhash", "cramjam", "pyyaml")


@contextmanager
def standalone(folder: Path, workers: int = 2, cores: int = 1) -> Iterator[str]:
    """Starts it, and gives the master's URL; at the end all its processes are stopped."""
    processes: list[subprocess.Popen] = []
    try:
        master = _daemon(folder / "master", "master.Master", [], processes)
        url = _said(folder / "master", r"Starting Spark master at (spark://\S+)", master)
        for number in range(workers):
            place = folder / f"worker-{number}"
            options = ["--cores", str(cores), "--memory", "900m", "--work-dir", str(place / "work"), url]
            worker = _daemon(place, "worker.Worker", options, processes)
            _said(place, r"(Successfully registered) with master", worker)
        yield url
    finally:
        _stop(processes)


def _daemon(place: Path, name: str, options: list[str], processes: list[subprocess.Popen]) -> subprocess.Popen:
    place.mkdir(parents=True)
    home = Path(pyspark.__file__).parent
    command = [home / "bin/spark-class", f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", "--port", "0"]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_", "PYTHON"))},
        "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_DIRS": str(place / "local"),
    }
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--webui-port", "0", *options], env=environment, cwd=place, stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )
    processes.append(process)
    return process


def _said(place: Path, pattern: str, process: subprocess.Popen) -> str:
    deadline = time.monotonic() + SECONDS
    while not (found := re.search(pattern, (place / "log").read_text())):
        assert process.poll() is None and time.monotonic() < deadline, (place / "log").read_text()[-4000:]
        time.sleep(0.1)
    return found[1]


def _stop(processes: list[subprocess.Popen]) -> None:
    for process in reversed(processes):
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        try:
            # Executors are of their worker's session.
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def pack(folder: Path) -> Path:
    """``deps.tar.gz`` of what executors need: this environment's versions, by pip."""
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in PACKED]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", folder / "deps", wheel(), *versions],
        check=True,
    )
    packed = folder / "deps.tar.gz"
    with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
        archive.add(folder / "deps", ".")
    return packed


def wheel() -> str:
    """The wheel that ``storescope`` was installed from."""
    told = importlib.metadata.distribution("storescope").read_text("direct_url.json")
    assert told, "storescope was not installed from a file"
    return json.loads(told)["url"].removeprefix("file://")
