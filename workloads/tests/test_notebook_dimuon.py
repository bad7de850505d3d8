# SPDX-License-Identifier: Apache-2.0
"""The tutorial notebook runs from its first cell to its last against an emulator, and shows what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import storescope

import serving
from storescope_workloads.reduction.result import schema

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "dimuon.ipynb"


def test_the_notebook_runs(tmp_path):
    with serving.serve("--model", "s3-standard", "--bucket", "notebook") as server:
        options = {name: server.oci[name] for name in ("endpoint", "config_file", "region")}
        environment = {
            **os.environ,
            **{f"STORESCOPE_{name.upper()}": value for name, value in options.items()},
            "STORESCOPE_NOTEBOOK_BUCKET": f"oci://notebook@{server.oci['namespace']}/",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "workloads" / "src"), os.environ.get("PYTHONPATH", "")]),
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        # A copy: it is run where it lies, and writes there.
        copy = tmp_path / NOTEBOOK.name
        copy.write_text(NOTEBOOK.read_text())
        command = [Path(sys.executable).with_name("jupyter-execute"), "--inplace", copy]
        ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=220)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        requests = server.record()
    cells = json.loads(copy.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    text = "".join("".join(output.get("text", "")) for output in outputs)
    words = "60,000 events =", "opposite_sign", "Z found at", "on the wire", "recorded", "simulated", "1 PB in"
    for word in (*words, "assumed"):
        assert word in text, word
    shown = [output["data"] for output in outputs if "data" in output]
    assert sum("image/png" in data for data in shown) == 3, "the picture, the histogram and the percentiles"
    assert any("<polyline" in "".join(data.get("text/html", "")) for data in shown), "the profile shows itself"
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("reduced", "both")]
    for result in results:
        jsonschema.validate(result, schema(), jsonschema.Draft202012Validator)
    assert [result["events"]["in"] for result in results] == [60_000, 80_000]
    # The reads that the results tell of are among those that the server saw.
    gets = [line for line in requests if line["method"] == "GET" and "/o/" in line["target"]]
    assert len(gets) >= sum(result["io"]["requests"] for result in results) > 0
    assert storescope.Profile.load(tmp_path / "reduced" / "run.hlog").requests == results[0]["io"]["requests"]


def test_the_notebook_is_what_its_script_writes(tmp_path):
    script = tmp_path / "make.py"
    script.write_text(NOTEBOOK.with_name("make.py").read_text())
    subprocess.run([sys.executable, script], check=True)
    for name in ("dimuon.ipynb", "root-from-oci.ipynb"):
        assert (tmp_path / name).read_text() == NOTEBOOK.with_name(name).read_text()
