# SPDX-License-Identifier: Apache-2.0
"""One emulator for all tests, one Spark in this process, and what the emulator says afterwards.

`STORESCOPE_JARS` names the jars under judgement, with colons between, as on a class path."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

import core_site
import documented
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

    def put(self, file: Path, name: str) -> None:
        """Makes an object of a file."""
        self._run("cp", str(file), f"{self.url}/{name}")

    def put_all(self, folder: Path, name: str) -> None:
        """Makes an object of each file of a folder."""
        self._run("cp", "-r", str(folder), f"{self.url}/{name}/")

    def uploads(self) -> list[dict]:
        """Uploads by parts that were begun below and neither finished nor aborted."""
        return self._told("uploads")

    def sweep(self) -> None:
        """Removes what a job that was killed left below: its uploads, and what lies in `_temporary`."""
        self._run("uploads", self.url + "/", "--abort", "--older-than", "0s")
        if any("/_temporary/" in name for name in self.objects()):
            self._run("rm", "--recursive", self.url + "/_temporary")

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
def begin(server, tmp_path):
    """Starts a function of a module of jobs in a Python and a JVM of its own: `begin("function", site, argument=…)`. The
    call that waits for its end, and gives what it returned."""
    begun = []

    def in_its_own(job: str, site: dict[str, str], *, module=jobs, seconds: int = 120, **arguments):
        core_site.write(tmp_path / "conf/core-site.xml", site)
        result, log = tmp_path / f"result-{len(begun)}.json", tmp_path / f"log-{len(begun)}"
        with log.open("w") as output:
            process = subprocess.Popen(
                [jobs.PYTHON, module.__file__, job, str(tmp_path / "conf"), str(result), json.dumps(arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )
        begun.append(process)

        def ended() -> object:
            status = process.wait(seconds)
            assert status == 0, log.read_text()[-8000:]
            return json.loads(result.read_text())

        return ended

    yield in_its_own
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def run(begin):
    """The same, and waits: `run("function", site, argument=…)`."""
    return lambda job, site, **arguments: begin(job, site, **arguments)()


@pytest.fixture(scope="session")
def examples():
    """The commands of docs/HADOOP.md, in their order."""
    found = documented.examples()
    assert len(found) > 5
    return found


@pytest.fixture
def folder(tmp_path):
    """A folder as a reader of docs/HADOOP.md has it, and a server with the bucket of its examples."""
    with serving.serve("--namespace", documented.NAMESPACE, "--bucket", documented.BUCKET) as running:
        yield documented.Folder(tmp_path / "reader", running, jobs.jars(), jobs.PYTHON)


@pytest.fixture
def reader(folder, examples):
    """Runs an example behind those of its section, and shows that it prints what the document says, and that the jar did
    it."""

    def follows(example, change=lambda script: script):
        before = len(folder.server.record())
        ran = folder.run(change(example.script()))
        assert ran.returncode == 0, (ran.stdout + ran.stderr)[-8000:]
        if example.output:
            assert ran.stdout.splitlines() == list(example.output), ran.stderr[-4000:]
        seen = folder.server.record()[before:]
        assert seen and all(AGENT in line["user_agent"] and line["status"] < 500 for line in seen)

    return follows


@pytest.fixture
def cluster(tmp_path):
    """A master and a worker on each of two addresses: Spark puts a second attempt on another host than the first."""
    import pyspark

    daemons = []

    def daemon(name: str, line: str, host: str, *options: str) -> str:
        """Starts one, and gives what its log says where the pattern is."""
        log = tmp_path / f"{name.rsplit('.', 1)[1]}-{host}.log"
        spark_class = Path(pyspark.__file__).parent / "bin/spark-class"
        command = [str(spark_class), name, "--host", host, "--port", "0", "--webui-port", "0", *options]
        with log.open("w") as output:
            daemons.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT))
        jobs.wait_for(lambda: re.search(line, log.read_text()))
        return re.search(line, log.read_text()).group(1)

    try:
        master = daemon("org.apache.spark.deploy.master.Master", r"Starting Spark master at (spark://\S+)", "127.0.0.1")
        for host in ("127.0.0.1", "127.0.0.2"):
            worker = ["-c", "1", "-m", "1g", "-d", str(tmp_path / host), master]
            daemon("org.apache.spark.deploy.worker.Worker", r"registered with master (spark://\S+)", host, *worker)
        yield master
    finally:
        for process in daemons:
            process.terminate()
            process.wait()
