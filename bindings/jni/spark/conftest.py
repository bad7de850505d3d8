# SPDX-License-Identifier: Apache-2.0
"""One emulator for all tests, one Spark in this process, and what the emulator says afterwards.

`STORESCOPE_JARS` names the jars under judgement, with colons between, as on a class path."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

import core_site
import jobs
import serving

pytest_plugins = ["strict"]

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# No test has an account of its own, nor a configuration of Hadoop's.
for name in [name for name in os.environ if name.startswith(("OCI_", "AWS_", "HADOOP_", "SPARK_"))]:
    del os.environ[name]

BUCKET = "spark"
AGENT = "(jvm)"


@dataclass(frozen=True)
class Place:
    """A folder in the store, and what is in it by the word of the command line, which is not the jar."""

    server: serving.Server
    url: str

    def under(self, name: str) -> Place:
        return Place(self.server, f"{self.url}/{name}")

    def objects(self) -> list[str]:
        """All names below, but for markers of directories."""
        names = (entry["name"] for entry in self._told("ls", "--recursive"))
        return sorted(name for name in names if not name.endswith("/"))

    def files(self) -> list[str]:
        """The data files among them, by their last names."""
        return [name.rsplit("/", 1)[-1] for name in self.objects() if name.endswith(".parquet")]

    def text(self, name: str) -> str:
        """What an object holds."""
        return self._run("cat", f"{self.url}/{name}")

    def uploads(self) -> list[dict]:
        """Uploads by parts that were begun below and neither finished nor aborted."""
        return self._told("uploads")

    def _told(self, command: str, *options: str) -> list[dict]:
        return [json.loads(line) for line in self._run(command, self.url + "/", *options, "--json").splitlines()]

    def _run(self, *command: str) -> str:
        environment = {
            **os.environ,
            "STORESCOPE_ENDPOINT": self.server.oci["endpoint"],
            "STORESCOPE_CONFIG_FILE": self.server.oci["config_file"],
        }
        ran = subprocess.run([serving.binary(), *command], env=environment, capture_output=True, text=True, check=True)
        return ran.stdout


@pytest.fixture(scope="session")
def server():
    with serving.serve("--bucket", BUCKET) as running:
        yield running


@pytest.fixture
def place(server):
    """A folder of its own for each test, in which no upload may be left but those that it says it leaves."""
    made = Place(server, f"oci://{BUCKET}@{server.oci['namespace']}/{uuid.uuid4().hex}")
    yield made
    assert made.uploads() == []


@pytest.fixture(scope="session")
def spark(server, tmp_path_factory):
    """Spark with the jars on its class path and a core-site.xml as Oracle's documentation has it."""
    site = tmp_path_factory.mktemp("conf")
    core_site.write(site / "core-site.xml", core_site.oci(server))
    session = jobs.session(site, "local[2,4]")
    yield session
    session.stop()


@pytest.fixture
def seen(server):
    """The requests of the jar since the test began."""
    before = len(server.record())
    return lambda: [line for line in server.record()[before:] if AGENT in (line["user_agent"] or "")]


@pytest.fixture
def run(server, tmp_path):
    """Runs a function of jobs.py in a Python and a JVM of its own: `run("function", site, argument=…)`. What it
    returns."""

    def in_its_own(job: str, site: dict[str, str], *, seconds: int = 120, **arguments) -> object:
        core_site.write(tmp_path / "conf/core-site.xml", site)
        result = tmp_path / "result.json"
        result.unlink(missing_ok=True)
        ran = subprocess.run(
            [jobs.PYTHON, str(Path(jobs.__file__)), job, str(tmp_path / "conf"), str(result), json.dumps(arguments)],
            capture_output=True, text=True, timeout=seconds,
        )
        assert ran.returncode == 0, (ran.stdout + ran.stderr)[-8000:]
        return json.loads(result.read_text())

    return in_its_own
