# SPDX-License-Identifier: Apache-2.0
"""What a task leaves to the next one in the same worker of Spark: imports from zip files work, and cost nothing between tasks."""

from __future__ import annotations

import subprocess
import sys
import zipfile

WORKER = """
import gc, importlib, sys, zipimport
from storescope_workloads.scan.spark import _spare_the_next

sys.path.insert(0, sys.argv[1])
import packed.first
read = 0
directory = zipimport._read_directory

def counted(path):
    global read
    read += 1
    return directory(path)

zipimport._read_directory = counted
for _ in range(3):
    _spare_the_next()
    # What PySpark does before each task.
    importlib.invalidate_caches()
assert read == 0, read
assert gc.get_freeze_count() > 10_000
import packed.second
assert packed.second.VALUE == 2
assert read == 0, read
"""


def test_no_zip_file_is_read_again_between_tasks(tmp_path):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("packed/__init__.py", "")
        archive.writestr("packed/first.py", "VALUE = 1")
        archive.writestr("packed/second.py", "VALUE = 2")
    command = [sys.executable, "-c", WORKER, str(tmp_path / "packed.zip")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
