# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM of the command line: what was begun is cleaned up, however often they come."""

import subprocess
import sys

_THREE = """
import os, signal
from storescope_workloads.cli import _Interrupt

def send(number):
    os.kill(os.getpid(), number)

handler = _Interrupt()
signal.signal(signal.SIGINT, handler)
signal.signal(signal.SIGTERM, handler)
try:
    send(signal.SIGTERM)
except KeyboardInterrupt:
    print("interrupted", flush=True)
try:
    send(signal.SIGINT)
finally:
    print("cleaned up", flush=True)
send(signal.SIGTERM)
print("never", flush=True)
"""


def test_a_second_interrupt_lets_the_clean_up_end_and_a_third_ends_the_process():
    ran = subprocess.run([sys.executable, "-c", _THREE], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 130, ran.stderr
    assert ran.stdout.splitlines() == ["interrupted", "cleaned up"]
    assert "a third interrupt ends the process at once" in ran.stderr
