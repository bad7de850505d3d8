# SPDX-License-Identifier: Apache-2.0
"""The trigger classifier from end to end on this machine, in two minutes: `make demo-trainer`.

A store with the latency of S3 in a process of its own; events of three classes are written to it, read, prepared there, and the
event-feature model is trained from it. STORESCOPE_BIN names the `storescope` binary. The model and its result stay in
workloads/demo-output/trainer."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent / "demo-output" / "trainer"
#: Events of each class in the sample.
EVENTS = 8_000


def main() -> int:
    shutil.rmtree(OUTPUT, ignore_errors=True)
    command = [os.environ["STORESCOPE_BIN"], "serve", "--model", "s3-standard", "--bucket", "demo"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        oci = json.loads(server.stdout.readline())["oci"]
        # Nothing of an account of this user's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("STORESCOPE_", "OCI_", "AWS_"))}
        environment |= {f"STORESCOPE_{name.upper()}": oci[name] for name in ("endpoint", "config_file")}
        return show(f"oci://demo@{oci['namespace']}/trigger", environment)
    finally:
        server.terminate()
        server.wait()


def show(data: str, environment: dict[str, str]) -> int:
    """All steps, with the events in the store and the model on the disk."""
    command = ["trainer", "run", "--model", "hlf", "--events", str(EVENTS), "--seed", "1", "--data", data, "--out", str(OUTPUT)]
    print("$", shlex.join(["storescope-workloads", *command]), flush=True)
    return subprocess.run([sys.executable, "-m", "storescope_workloads", *command], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
