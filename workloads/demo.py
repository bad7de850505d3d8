# SPDX-License-Identifier: Apache-2.0
"""The reduction from end to end on this machine, in a minute: `make demo-reduction`.

A store with the latency of S3 in a process of its own, a million events in eight files written to it, and reduced twice: by
processes, and by Spark. STORESCOPE_BIN names the `storescope` binary. The results stay in workloads/demo-output."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent / "demo-output"
EVENTS, FILES = 1_000_000, 8


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
        return show(f"oci://demo@{oci['namespace']}/dimuon", environment)
    finally:
        server.terminate()
        server.wait()


def show(data: str, environment: dict[str, str]) -> int:
    """Generates, and reduces by two engines."""
    commands = [
        ["generate", "dimuon", "--events", str(EVENTS), "--files", str(FILES), "--out", data],
        ["reduce", f"{data}/*.root", "--out", str(OUTPUT / "local")],
        ["reduce", f"{data}/*.root", "--engine", "spark", "--master", "local[2]", "--out", str(OUTPUT / "spark")],
    ]
    for command in commands:
        print("$", shlex.join(["storescope-workloads", *command]), flush=True)
        ran = subprocess.run([sys.executable, "-m", "storescope_workloads", *command], env=environment)
        if ran.returncode != 0:
            return ran.returncode
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
