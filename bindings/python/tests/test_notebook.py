# SPDX-License-Identifier: Apache-2.0
"""The notebook runs from its first cell to its last against an emulator, and shows what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import serving
import storescope

NOTEBOOKS = Path(__file__).resolve().parents[3] / "docs" / "notebooks"


def test_the_notebook_runs(tmp_path):
    with serving.serve("--model", "s3-standard") as server:
        options = {name: server.oci[name] for name in ("endpoint", "config_file", "region")}
        bucket = f"oci://notebook@{server.oci['namespace']}/"
        storescope.create_bucket(bucket, **options)
        environment = {
            **os.environ,
            **{f"STORESCOPE_{name.upper()}": value for name, value in options.items()},
            "STORESCOPE_NOTEBOOK_BUCKET": bucket,
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        # A copy: it is run where it lies, and writes there.
        copy = tmp_path / "root-from-oci.ipynb"
        copy.write_text((NOTEBOOKS / copy.name).read_text())
        ran = subprocess.run(
            [Path(sys.executable).with_name("jupyter-execute"), "--inplace", copy],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        sent = sum(line["bytes_out"] for line in server.record() if line["method"] == "GET")
    cells = json.loads(copy.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    shown = [output["data"] for output in outputs if "data" in output]
    assert sum("image/png" in data for data in shown) == 2, "the histogram and the percentiles"
    assert any("<polyline" in "".join(data.get("text/html", "")) for data in shown), "the profile shows itself"
    assert "requests" in str(shown[-1]["text/plain"]) and sent > 100_000
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_the_notebook_is_what_its_script_writes(tmp_path):
    kept = (NOTEBOOKS / "root-from-oci.ipynb").read_text()
    script = tmp_path / "make.py"
    script.write_text((NOTEBOOKS / "make.py").read_text())
    subprocess.run([sys.executable, script], check=True)
    assert (tmp_path / "root-from-oci.ipynb").read_text() == kept
