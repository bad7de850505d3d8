# SPDX-License-Identifier: Apache-2.0
"""rclone, by its backends oos (native, OCI signatures) and s3."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from names import as_paths

AGENT = "rclone/"
REFUSED = {"oos": 401, "s3": 403}
PART = 5 << 20


class Rclone:
    def __init__(self, server, backend, folder, wrong=False):
        oci, s3 = server.oci, server.ready["s3"]
        if backend == "oos":
            settings = {
                "type": "oracleobjectstorage", "provider": "user_principal_auth",
                "namespace": oci["namespace"], "compartment": oci["compartment"],
                "region": oci["region"], "endpoint": oci["endpoint"],
                "config_file": oci["config_file"],
                "config_profile": "WRONG" if wrong else "DEFAULT",
            }  # fmt: skip
        else:
            settings = {
                "type": "s3", "provider": "Other", "endpoint": s3["endpoint"],
                "region": s3["region"], "access_key_id": s3["access_key_id"],
                "secret_access_key": "wrong" if wrong else s3["secret_access_key"],
                "force_path_style": "true",
            }  # fmt: skip
        lines = [f"{key} = {value}" for key, value in settings.items()]
        self.config = folder / "rclone.conf"
        self.config.write_text("\n".join(["[x]", *lines, ""]))

    def __call__(self, *arguments, check=True):
        command = [
            str(Path(sys.executable).parent / "rclone"), "--config", str(self.config),
            "--retries", "1", "--low-level-retries", "1", *arguments,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, timeout=120)
        if check:
            assert done.returncode == 0, done.stderr.decode()
        return done


@pytest.fixture(scope="module", params=["oos", "s3"])
def backend(request):
    return request.param


@pytest.fixture(scope="module", autouse=True)
def wrong_key(server, backend, tmp_path_factory):
    before = len(server.record())
    refused = Rclone(server, backend, tmp_path_factory.mktemp("wrong"), wrong=True)("lsf", "x:demo", check=False)
    assert refused.returncode != 0
    lines = server.record()[before:]
    assert lines and {line["status"] for line in lines} == {REFUSED[backend]}
    assert all(AGENT in line["user_agent"] for line in lines)


def test_a_tree_goes_there_and_back(server, backend, seen, tmp_path):
    rclone = Rclone(server, backend, tmp_path)
    tree, back = tmp_path / "tree", tmp_path / "back"
    names = as_paths()
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(name.encode())
    big = os.urandom(23_000_000)
    (tree / "big").write_bytes(big)
    at = f"x:demo/rclone-{os.urandom(4).hex()}"
    chunks = [f"--{backend}-upload-cutoff", "10M", f"--{backend}-chunk-size", "5M"]
    rclone("copy", str(tree), f"{at}/tree", *chunks)
    listed = json.loads(rclone("lsjson", "-R", "--files-only", f"{at}/tree").stdout)
    sizes = {entry["Path"]: entry["Size"] for entry in listed}
    assert sizes == {**{name: len(name.encode()) for name in names}, "big": len(big)}
    rclone("check", "--download", str(tree), f"{at}/tree")
    rclone("copy", f"{at}/tree", str(back))
    digest = lambda path: hashlib.md5(path.read_bytes()).hexdigest()  # noqa: E731
    for name in [*names, "big"]:
        assert digest(back / name) == digest(tree / name), name
    part = rclone("cat", "--offset", "2", "--count", "2", f"{at}/tree/ü/é").stdout
    assert part == "ü/é".encode()[2:4]
    part = rclone("cat", "--offset", str(PART - 5), "--count", "10", f"{at}/tree/big").stdout
    assert part == big[PART - 5 : PART + 5]
    rclone("moveto", f"{at}/tree/a b", f"{at}/moved/a+b")
    assert rclone("cat", f"{at}/moved/a+b").stdout == b"a b"
    assert b"a b\n" not in rclone("lsf", f"{at}/tree").stdout.splitlines(keepends=True)
    rclone("copyto", f"{at}/moved/a+b", f"{at}/copied")
    assert rclone("cat", f"{at}/copied").stdout == b"a b"
    rclone("delete", f"{at}/tree/50%")
    assert b"50%\n" not in rclone("lsf", f"{at}/tree").stdout.splitlines(keepends=True)
    rclone("purge", at)
    assert rclone("lsf", "-R", at, check=False).stdout == b""
    lines = seen()
    assert all(AGENT in line["user_agent"] for line in lines)
    assert len(lines) >= 4 * len(names)
    parts = [line for line in lines if line["method"] == "PUT" and "partnum" in line["target"].lower()]
    assert len(parts) == 5, "five parts of 5 MiB"
    ranges = [line["range"] for line in lines if line["status"] == 206]
    assert any(asked and asked.startswith(f"bytes={PART - 5}-") for asked in ranges), ranges


def test_an_upload_that_was_left_is_cleaned_up(server, backend, seen, tmp_path):
    """What a broken run leaves behind is found and aborted by rclone's own housekeeping."""
    rclone = Rclone(server, backend, tmp_path)
    (tmp_path / "big").write_bytes(os.urandom(12_000_000))
    wanted = "&uploadPartNum=2" if backend == "oos" else "partNumber=2"
    leave = [f"--{backend}-leave-parts-on-error"]
    chunks = [f"--{backend}-upload-cutoff", "6M", f"--{backend}-chunk-size", "5M"]
    server.fault({"method": "PUT", "contains": wanted, "count": 1, "action": {"status": {"status": 400}}})
    broken = rclone("copyto", str(tmp_path / "big"), "x:demo/left", *chunks, *leave, check=False)
    assert broken.returncode != 0
    assert rclone("lsf", "x:demo/left", check=False).stdout == b""
    left = json.loads(rclone("backend", "list-multipart-uploads", "x:demo").stdout)
    assert len(left["demo"]) == 1, left
    rclone("backend", "cleanup", "-o", "max-age=1ns", "x:demo")
    left = json.loads(rclone("backend", "list-multipart-uploads", "x:demo").stdout)
    assert not left["demo"], left
    assert any(line["method"] == "DELETE" for line in seen(AGENT))
