# SPDX-License-Identifier: Apache-2.0
"""ROOT itself on the same files: equal counts, by cut, and an equal mean mass.

`STORESCOPE_TEST_ROOT_PYTHON` names a Python with what `workloads/root-requirements.txt` asks for. The cuts are C++
(`rdataframe.py`) and share nothing with the package's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
EVENTS, FILES = 100_000, 3


@pytest.fixture(scope="session")
def root_python() -> str:
    path = os.environ.get("STORESCOPE_TEST_ROOT_PYTHON")
    assert path, "set STORESCOPE_TEST_ROOT_PYTHON to a Python with workloads/root-requirements.txt"
    return path


def by_root(python: str, files: list[Path], without: str = "") -> dict[str, float]:
    command = [python, str(HERE / "rdataframe.py"), *map(str, files), "--without", without]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout.splitlines()[-1])


def workloads(*words: object) -> None:
    command = [sys.executable, "-m", "storescope_workloads", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr[-4000:]


def by_us(files: list[Path], out: Path, *options: object) -> dict[str, object]:
    workloads("reduce", *files, "--out", out, "--engine", "local", *options)
    return json.loads((out / "result.json").read_text())


def assert_equal(ours: dict, root: dict) -> None:
    assert ours["events"]["in"] == root["events"]
    assert ours["physics"]["pairs"] == root["pairs"]
    for step in ours["physics"]["cut_flow"]:
        assert step["removed"] == root.get(step["cut"], 0), step["cut"]
    if root["pairs"]:
        assert ours["physics"]["mean_mass_gev"] == pytest.approx(root["mass_sum"] / root["pairs"], rel=1e-9)


@pytest.mark.parametrize("form", ["ttree", "rntuple"])
def test_generated(root_python, tmp_path, form):
    workloads("generate", "dimuon", "--events", EVENTS, "--files", FILES, "--format", form, "--out", tmp_path / "in")
    files = sorted((tmp_path / "in").glob("*.root"))
    assert len(files) == FILES
    root = by_root(root_python, files)
    assert root["events"] == EVENTS
    # A few in a hundred survive: equal counts of nothing would say nothing.
    assert root["pairs"] > EVENTS / 50
    assert all(root[cut] > 0 for cut in ("two_muons", "leading_pt", "leading_eta", "leading_isolation", "opposite_sign"))
    assert_equal(by_us(files, tmp_path / "out"), root)


@pytest.mark.parametrize("name", ["nanoaod-v5-1000.root", "nanoaod-v15-ttbar.root", "nanoaod-dimuon.root"])
def test_real_nanoaod(root_python, real, tmp_path, name):
    root = by_root(root_python, [real(name)])
    assert_equal(by_us([real(name)], tmp_path / "out"), root)


def test_open_data_without_isolation(root_python, real, tmp_path):
    """The open-data skim has neither isolation nor the global-muon bit: those cuts are switched off."""
    cuts = tmp_path / "cuts.yaml"
    cuts.write_text(yaml.safe_dump(WITHOUT))
    file = real("cms-opendata-dimuon-100k.root")
    root = by_root(root_python, [file], "isolation,global")
    assert root["pairs"] > 10_000
    assert_equal(by_us([file], tmp_path / "out", "--cuts", cuts), root)


#: The cuts that the skim cannot have, as `cuts.yaml` has them.
WITHOUT = {"muons": {"isolation_max": None, "global": False}, "leading": {"isolation_max": None}}
