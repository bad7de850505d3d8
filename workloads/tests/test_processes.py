# SPDX-License-Identifier: Apache-2.0
"""Processes of a pool: none is left when their parent ends, and Ctrl-C while they start is told once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HEAD = """
import multiprocessing, sys
from interrupted import interrupt_at_start
from storescope_workloads.generate.job import Sample, run_local
from storescope_workloads.places import Folder
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.settings import StoreSettings
"""
GENERATE = """
def told(events):
    if events:
        print(*[process.pid for process in multiprocessing.active_children()], flush=True)

if __name__ == "__main__":
    sample = Sample(400_000_000, 4, format="parquet", cluster=10_000)
    run_local(sample, Folder(sys.argv[1], StoreSettings()), 2, told)
"""
EARLY = {
    "reduce": """
if __name__ == "__main__":
    interrupt_at_start()
    with LocalEngine(2):
        multiprocessing.Event().wait(600)
""",
    "generate": """
if __name__ == "__main__":
    interrupt_at_start()
    run_local(Sample(400_000_000, 4), Folder(sys.argv[1], StoreSettings()), 2, lambda events: None)
""",
}


def start(tmp_path, script):
    (tmp_path / "script.py").write_text(HEAD + script)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    )


def is_there(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_generator_leaves_no_process(tmp_path):
    tick = threading.Event()
    with start(tmp_path, GENERATE) as running:
        workers = [int(pid) for pid in running.stdout.readline().split()]
        assert len(workers) == 2 and all(is_there(worker) for worker in workers)
        running.kill()
        running.wait()
        for _ in range(1500):
            if not any(is_there(worker) for worker in workers):
                break
            tick.wait(0.02)
        left = [worker for worker in workers if is_there(worker)]
        for worker in left:
            os.kill(worker, signal.SIGKILL)
    assert left == []


@pytest.mark.parametrize("what", EARLY)
def test_ctrl_c_while_processes_start_is_told_once(tmp_path, what):
    with start(tmp_path, EARLY[what]) as running:
        _, errors = running.communicate(timeout=120)
    assert running.returncode != 0 and errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback (most recent call last)") == 1, errors
