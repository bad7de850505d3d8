# SPDX-License-Identifier: Apache-2.0
"""Prometheus, started over targets with the labels that the chart gives them, and asked.

The environment names what judges: `STORESCOPE_TEST_PROMETHEUS` (the binary; promtool beside it), `STORESCOPE_TEST_SPARK_PYTHON` and
`STORESCOPE_TEST_TRAINER_PYTHON` (interpreters with PySpark, and with the wheel and TensorFlow), `STORESCOPE_JARS`,
`STORESCOPE_BIN`."""

from __future__ import annotations

import json
import math
import os
import random
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAIT_SECONDS = 180
#: What the variables of a dashboard stand for.
VARIABLES = {"$namespace": ".*", "$application": ".*", "$executor": ".*", "$__rate_interval": "1m", "$__range": "5m"}


def needed(name: str) -> str:
    """What the environment must name."""
    value = os.environ.get(name)
    assert value, f"set {name}: deploy/tests/judges.py says to what"
    return value


def promtool() -> str:
    """The tool beside the Prometheus that is named."""
    found = Path(needed("STORESCOPE_TEST_PROMETHEUS")).with_name("promtool")
    assert found.exists(), f"{found} is missing"
    return str(found)


def free_ports(count: int) -> range:
    """Ports one after another that nobody listens on."""
    for _ in range(100):
        first = random.randrange(20_000, 32_000)
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return range(first, first + count)
    raise AssertionError(f"there are no {count} free ports one after another")


def wait_for(what: str, condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """The first true thing that `condition` answers."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return found


def expanded(query: str) -> str:
    """A query as Grafana sends it where all is chosen."""
    for name in sorted(VARIABLES, key=len, reverse=True):
        query = query.replace(name, VARIABLES[name])
    assert "$" not in query, query
    return query


@dataclass(frozen=True)
class Sample:
    """A series of an answer. The value of a native histogram is its count."""

    labels: dict[str, str]
    value: float
    is_histogram: bool


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    address: str

    def ask(self, query: str) -> list[Sample]:
        """What it answers now."""
        url = f"http://{self.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                told = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        return [_sample(row) for row in told]

    def timed(self, query: str) -> tuple[list[Sample], float]:
        """Waits until it answers with a number, then asks again and takes the time: the shortest of three."""
        found = wait_for(f"data of {query}", lambda: [one for one in self.ask(query) if math.isfinite(one.value)])
        seconds = []
        for _ in range(3):
            began = time.monotonic()
            self.ask(query)
            seconds.append(time.monotonic() - began)
        return found, min(seconds)


def _sample(row: dict[str, Any]) -> Sample:
    histogram = row.get("histogram")
    value = float(histogram[1]["count"] if histogram else row["value"][1])
    return Sample(row["metric"], value, histogram is not None)


@dataclass(frozen=True)
class Target:
    """What is scraped: an address and path, and the labels that the chart's relabelling gives it."""

    job: str
    address: str
    path: str
    labels: dict[str, str]


@contextmanager
def scraping(folder: Path, targets: list[Target], rules: list[Path]) -> Iterator[Prometheus]:
    """A Prometheus with native histograms that has scraped each target several times."""
    folder.mkdir()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": f"{target.job}-{number}", "metrics_path": target.path, "honor_labels": True,
                "static_configs": [{"targets": [target.address], "labels": target.labels}],
            }
            for number, target in enumerate(targets)
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    server = Prometheus(f"127.0.0.1:{free_ports(1)[0]}")
    command = [
        needed("STORESCOPE_TEST_PROMETHEUS"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={server.address}", "--enable-feature=native-histograms",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for("Prometheus is ready", lambda: _is_ready(server))
            for target in targets:
                wait_for(
                    f"five scrapes of {target}",
                    lambda target=target: server.ask(f'sum_over_time(up{{instance="{target.address}"}}[1m]) >= 5'),
                )
            yield server
        finally:
            process.kill()
            process.wait()


def _is_ready(server: Prometheus) -> bool:
    try:
        with urllib.request.urlopen(f"http://{server.address}/-/ready", timeout=5):
            return True
    except OSError:
        return False
