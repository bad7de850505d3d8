# SPDX-License-Identifier: Apache-2.0
"""oci-cli: Oracle's command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import AWKWARD

AGENT = "Oracle-PythonCLI"


def run(server, *arguments, profile="DEFAULT", check=True):
    binary = Path(sys.executable).parent / "oci"
    command = [
        str(binary), "--config-file", server.oci["config_file"], "--profile", profile,
        "--endpoint", server.oci["endpoint"], "os", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if check:
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None
    return done


def test_a_wrong_key_is_refused(server, seen):
    refused = run(server, "ns", "get", profile="WRONG", check=False)
    assert refused.returncode != 0 and "401" in refused.stderr
    assert {line["status"] for line in seen(AGENT)} == {401}


def test_objects(server, seen, tmp_path):
    bucket = ["-bn", "demo", "-ns", server.oci["namespace"]]
    prefix = f"cli-{os.urandom(4).hex()}/"
    body = os.urandom(25_000_000)
    (tmp_path / "big").write_bytes(body)
    run(
        server, "object", "put", *bucket, "--name", prefix + AWKWARD[0],
        "--file", str(tmp_path / "big"), "--part-size", "10", "--parallel-upload-count", "3",
    )  # fmt: skip
    run(
        server, "object", "rename", *bucket, "--source-name", prefix + AWKWARD[0],
        "--new-name", prefix + "ü/moved",
    )  # fmt: skip
    run(
        server, "object", "get", *bucket, "--name", prefix + "ü/moved",
        "--file", str(tmp_path / "back"),
    )  # fmt: skip
    assert (tmp_path / "back").read_bytes() == body
    run(
        server, "object", "copy", *bucket, "--source-object-name", prefix + "ü/moved",
        "--destination-bucket", "demo", "--destination-object-name", prefix + "copy",
    )  # fmt: skip
    listed = run(server, "object", "list", *bucket, "--prefix", prefix)
    assert [o["name"] for o in listed["data"]] == [prefix + "copy", prefix + "ü/moved"]
    run(server, "object", "bulk-delete", *bucket, "--prefix", prefix, "--force")
    assert "data" not in (run(server, "object", "list", *bucket, "--prefix", prefix) or {})
    lines = seen(AGENT)
    assert len(lines) >= 12
    assert sum("uploadPartNum" in line["target"] for line in lines) == 3
