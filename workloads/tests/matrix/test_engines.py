# SPDX-License-Identifier: Apache-2.0
"""The engines on the formats, on Spark 4 and 3.5: the same events, counts by cut, histograms and mean mass.

`STORESCOPE_JARS` names the jar, `STORESCOPE_TEST_SPARK35_PYTHON` a Python with the wheel, this package and pyspark 3.5."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import serving

import storescope

EVENTS, FILES = 60_000, 3
ENDINGS = {"ttree": "root", "rntuple": "root", "parquet": "parquet"}
ON_SPARK = [("spark", "ttree"), ("spark", "rntuple"), ("spark", "parquet"), ("spark-sql", "parquet")]


def spark35() -> str:
    path = os.environ.get("STORESCOPE_TEST_SPARK35_PYTHON")
    assert path, "set STORESCOPE_TEST_SPARK35_PYTHON to a Python with pyspark 3.5, the wheel and the package"
    return path


#: The Python that each version of Spark is in.
PYTHONS: dict[str, Callable[[], str]] = {"4": lambda: sys.executable, "3.5": spark35}


class Sample:
    """The sample in the emulator, in every format."""

    def __init__(self, server: serving.Server, bucket: str) -> None:
        self._options = [f"--{name}={server.oci[key]}" for name, key in (("endpoint", "endpoint"), ("region", "region"))]
        self._options.append(f"--config-file={server.oci['config_file']}")
        self._base = f"oci://{bucket}@{server.oci['namespace']}/{uuid.uuid4().hex}"
        self._store = storescope.open_store(
            self._base + "/", endpoint=server.oci["endpoint"], config_file=server.oci["config_file"]
        )
        for form in ENDINGS:
            words = ("--events", EVENTS, "--files", FILES, "--format", form, "--out", f"{self._base}/{form}")
            self._run(sys.executable, "generate", "dimuon", *words)

    def reduce(self, engine: str, form: str, python: str = sys.executable) -> dict[str, Any]:
        """`result.json` and `histograms.json` of the reduction, and how many rows of pairs were written."""
        out = uuid.uuid4().hex
        more = [] if engine == "local" else ["--master", "local[2]"]
        inputs = f"{self._base}/{form}/*.{ENDINGS[form]}"
        self._run(python, "reduce", inputs, "--engine", engine, "--out", f"{self._base}/{out}", *more)
        result = json.loads(bytes(self._store.get(f"{out}/result.json")))
        return {**result, "histograms": json.loads(bytes(self._store.get(f"{out}/histograms.json"))), "rows": self._rows(out)}

    def _rows(self, out: str) -> int:
        import io

        import pyarrow.parquet as pq

        files = [entry.key for entry in self._store.list(f"{out}/pairs/") if entry.key.endswith(".parquet")]
        return sum(pq.read_metadata(io.BytesIO(bytes(self._store.get(key)))).num_rows for key in files)

    def _run(self, python: str, *words: object) -> None:
        command = [python, "-m", "storescope_workloads", *map(str, words), *self._options]
        path = [str(Path(__file__).resolve().parents[2] / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYSPARK_PYTHON": python}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220)
        assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"


@pytest.fixture(scope="module")
def sample(server) -> Sample:
    return Sample(server, "workloads")


@pytest.fixture(scope="module")
def expected(sample) -> dict[str, Any]:
    """The engine local on TTrees, which other tests hold against uproot, awkward and ROOT."""
    result = sample.reduce("local", "ttree")
    assert result["events"]["in"] == EVENTS
    assert result["rows"] == result["physics"]["pairs"] > EVENTS / 50
    return result


def assert_same(result: dict[str, Any], expected: dict[str, Any]) -> None:
    assert result["events"] == expected["events"]
    assert result["physics"]["cut_flow"] == expected["physics"]["cut_flow"]
    assert result["physics"]["mean_mass_gev"] == pytest.approx(expected["physics"]["mean_mass_gev"], rel=1e-9)
    counts, wanted = (told["histograms"]["datasets"][0]["histograms"] for told in (result, expected))
    assert counts == wanted
    assert result["rows"] == expected["rows"]


@pytest.mark.parametrize("form", ["rntuple", "parquet"])
def test_local(sample, expected, form):
    assert_same(sample.reduce("local", form), expected)


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize(("engine", "form"), ON_SPARK)
def test_on_spark(sample, expected, version, engine, form):
    result = sample.reduce(engine, form, PYTHONS[version]())
    assert result["engine"] == engine
    assert result["versions"]["spark"].startswith(version + ".")
    assert_same(result, expected)
