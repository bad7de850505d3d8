# SPDX-License-Identifier: Apache-2.0
"""oci-cli: Oracle's command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from names import as_paths

AGENT = "Oracle-PythonCLI"


def run(server, *arguments, profile="DEFAULT", check=True):
    command = [
        str(Path(sys.executable).parent / "oci"), "--config-file", server.oci["config_file"],
        "--profile", profile, "--endpoint", server.oci["endpoint"], "os", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if check:
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None
    return done


@pytest.fixture(scope="module", autouse=True)
def wrong_key(server):
    before = len(server.record())
    refused = run(server, "ns", "get", profile="WRONG", check=False)
    assert refused.returncode != 0 and "401" in refused.stderr
    lines = server.record()[before:]
    assert lines and {line["status"] for line in lines} == {401}
    assert all(AGENT in line["user_agent"] for line in lines)


def test_objects(server, seen, tmp_path):
    bucket = ["-bn", "demo", "-ns", server.oci["namespace"]]
    prefix = f"cli-{os.urandom(4).hex()}/"
    body = os.urandom(25_000_000)
    (tmp_path / "big").write_bytes(body)
    run(
        server, "object", "put", *bucket, "--name", prefix + "a b",
        "--file", str(tmp_path / "big"), "--part-size", "10", "--parallel-upload-count", "3",
    )  # fmt: skip
    there = run(
        server, "object", "put", *bucket, "--name", prefix + "a b", "--file", str(tmp_path / "big"),
        "--no-overwrite", "--no-multipart", check=False,
    )  # fmt: skip
    assert there.returncode != 0 or "already exists" in there.stderr + there.stdout
    run(
        server, "object", "rename", *bucket, "--source-name", prefix + "a b",
        "--new-name", prefix + "ü/moved",
    )  # fmt: skip
    run(
        server, "object", "get", *bucket, "--name", prefix + "ü/moved",
        "--file", str(tmp_path / "back"),
    )  # fmt: skip
    assert (tmp_path / "back").read_bytes() == body
    run(
        server, "object", "get", *bucket, "--name", prefix + "ü/moved", "--range", "bytes=9999990-10000009",
        "--file", str(tmp_path / "part"),
    )  # fmt: skip
    assert (tmp_path / "part").read_bytes() == body[9_999_990:10_000_010]
    copied = run(
        server, "object", "copy", *bucket, "--source-object-name", prefix + "ü/moved",
        "--destination-bucket", "demo", "--destination-object-name", prefix + "copy",
    )  # fmt: skip
    work = run(server, "work-request", "get", "--work-request-id", copied["opc-work-request-id"])
    assert work["data"]["status"] == "COMPLETED"
    head = run(server, "object", "head", *bucket, "--name", prefix + "copy")
    assert head["content-length"] == str(len(body))
    listed = run(server, "object", "list", *bucket, "--prefix", prefix)
    assert [o["name"] for o in listed["data"]] == [prefix + "copy", prefix + "ü/moved"]
    assert run(server, "object", "head", *bucket, "--name", prefix + "a b", check=False).returncode != 0
    run(server, "object", "delete", *bucket, "--name", prefix + "copy", "--force")
    run(server, "object", "bulk-delete", *bucket, "--prefix", prefix, "--force")
    assert "data" not in (run(server, "object", "list", *bucket, "--prefix", prefix) or {})
    lines = seen()
    assert all(AGENT in line["user_agent"] for line in lines)
    assert len(lines) >= 15
    assert sum("uploadPartNum" in line["target"] for line in lines) == 3
    assert any(line["range"] == "bytes=9999990-10000009" and line["status"] == 206 for line in lines)


def test_a_tree(server, seen, tmp_path):
    bucket = ["-bn", "demo", "-ns", server.oci["namespace"]]
    prefix = f"cli-{os.urandom(4).hex()}/"
    tree, back = tmp_path / "tree", tmp_path / "back"
    names = as_paths()
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(name.encode())
    run(server, "object", "bulk-upload", *bucket, "--src-dir", str(tree), "--prefix", prefix, "--overwrite")
    listed = run(server, "object", "list", *bucket, "--prefix", prefix, "--all")
    assert sorted(o["name"] for o in listed["data"]) == sorted(prefix + name for name in names)
    run(server, "object", "bulk-download", *bucket, "--download-dir", str(back), "--prefix", prefix)
    for name in names:
        assert (back / prefix / name).read_bytes() == name.encode()
    run(server, "object", "bulk-delete", *bucket, "--prefix", prefix, "--force")
    assert len(seen(AGENT)) >= 3 * len(names)
