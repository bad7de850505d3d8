# SPDX-License-Identifier: Apache-2.0
"""s5cmd: many small and few large objects, by aws-sdk-go."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import AWKWARD

AGENT = "S3Manager"


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
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def test_a_wrong_key_is_refused(server, seen):
    assert run(server, "ls", "s3://demo", secret="wrong", check=False).returncode != 0
    assert {line["status"] for line in seen("aws-sdk-go")} == {403}


def test_objects(server, seen, tmp_path):
    root = f"s3://demo/s5-{os.urandom(4).hex()}"
    tree, back = tmp_path / "tree", tmp_path / "back"
    # Characters that s5cmd takes for a pattern are left out.
    names = [name for name in AWKWARD if not set(name) & set("*?[") and "//" not in name]
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(name.encode())
    big = os.urandom(17_000_000)
    (tree / "big").write_bytes(big)
    run(server, "cp", "--part-size", "5", f"{tree}/*", f"{root}/")
    listed = run(server, "ls", f"{root}/*").stdout.splitlines()
    assert len(listed) == len(names) + 1
    run(server, "cp", f"{root}/*", f"{back}/")
    for name in names:
        assert (back / name).read_bytes() == name.encode()
    assert (back / "big").read_bytes() == big
    run(server, "mv", f"{root}/a b", f"{root}/moved")
    assert run(server, "cat", f"{root}/moved").stdout == "a b"
    run(server, "cp", f"{root}/moved", f"{root}/copied")
    run(server, "rm", f"{root}/*")
    assert run(server, "ls", f"{root}/*", check=False).stdout == ""
    lines = seen("aws-sdk-go")
    assert len(lines) >= 2 * len(names) + 8
    assert sum("partNumber" in line["target"] for line in lines) == 4
