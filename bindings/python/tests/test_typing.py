# SPDX-License-Identifier: Apache-2.0
"""What the stubs say is what there is, and all of it is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_the_stubs_say_what_there_is(tmp_path):
    checked = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "storescope", "--allowlist", str(allowed(tmp_path))],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "no issues found" in checked.stdout


def allowed(folder):
    """What differs, and why."""
    names = [
        # PEP 688 gives it to classes of C from 3.12 on.
        r"storescope\._storescope\.Buffer\.__buffer__",
        # fsspec tells no types, its metaclass among them.
        r"storescope\.fsspec\.(Store|Oci|S3)FileSystem",
        r"storescope\.fsspec\.(AsyncFileSystem|FSMap).*",
    ]
    file = folder / "allowed"
    file.write_text("\n".join(names) + "\n")
    return file


def test_all_that_is_public_is_typed(tmp_path):
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal", "--verifytypes", "storescope"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        # The interpreter that it asks is the first there.
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        timeout=300,
    )
    report = json.loads(checked.stdout)["typeCompleteness"]
    unknown = [symbol["name"] for symbol in report["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    assert unknown == [] and report["completenessScore"] == 1.0 and checked.returncode == 0
    assert report["exportedSymbolCounts"]["withKnownType"] > 50
