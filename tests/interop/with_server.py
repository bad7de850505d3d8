# SPDX-License-Identifier: Apache-2.0
"""Runs a command against a server: `python with_server.py [--data] -- COMMAND …`.

The command finds the server's ready line in STORESCOPE_READY; the server stops when the command ends, and the status
is the command's."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

import serving


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", action="store_true", help="keep objects in a folder, not in memory")
    parser.add_argument("command", nargs="+", help="what to run against it, after --")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interop-data-") as folder:
        with serving.serve(*(["--data", folder] if asked.data else [])) as server:
            environment = {**os.environ, "STORESCOPE_READY": json.dumps(server.ready, separators=(",", ":"))}
            return subprocess.run(asked.command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
