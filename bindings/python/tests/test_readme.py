# SPDX-License-Identifier: Apache-2.0
"""The README's examples run, and print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import serving
import storescope

README = Path(__file__).parent.parent / "README.md"


def test_the_examples(tmp_path):
    text = README.read_text()
    assert len(re.findall(r"^>>> ", text, re.MULTILINE)) > 15
    with serving.serve("--namespace", "my-namespace") as server:
        options = {name: server.oci[name] for name in ("endpoint", "config_file", "region")}
        storescope.create_bucket("oci://lake@my-namespace/", **options)
        environment = {**os.environ, **{f"STORESCOPE_{name.upper()}": value for name, value in options.items()}}
        ran = subprocess.run(
            [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "-o", "IGNORE_EXCEPTION_DETAIL", str(README)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert (tmp_path / "run.hlog").read_text().startswith("#")
