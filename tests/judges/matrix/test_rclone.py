# SPDX-License-Identifier: Apache-2.0
"""rclone, by its backends oos (native, OCI signatures) and s3."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import AWKWARD

AGENT = {"oos": "rclone/", "s3": "rclone/"}


class Rclone:
    def __init__(self, server, backend, folder, wrong=False):
        self.server, self.backend, self.folder = server, backend, folder
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
        (folder / "rclone.conf").write_text("\n".join(["[x]", *lines, ""]))

    def __call__(self, *arguments, check=True):
        command = [
            str(Path(sys.executable).parent / "rclone"), "--config", str(self.folder / "rclone.conf"),
            "--retries", "1", "--low-level-retries", "1", *arguments,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(params=["oos", "s3"])
def backend(request):
    return request.param


def test_a_wrong_key_is_refused(server, backend, seen, tmp_path):
    refused = Rclone(server, backend, tmp_path, wrong=True)("lsf", "x:demo", check=False)
    assert refused.returncode != 0
    assert {line["status"] for line in seen(AGENT[backend])} <= {401, 403}
    assert seen(AGENT[backend])


def test_a_tree_goes_there_and_back(server, backend, seen, tmp_path):
    rclone = Rclone(server, backend, tmp_path)
    tree, back = tmp_path / "tree", tmp_path / "back"
    names = [name for name in AWKWARD if "//" not in name]
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(name.encode())
    (tree / "big").write_bytes(os.urandom(23_000_000))
    at = f"x:demo/rclone-{os.urandom(4).hex()}"
    chunks = [f"--{backend}-upload-cutoff", "10M", f"--{backend}-chunk-size", "5M"]
    rclone("copy", str(tree), f"{at}/tree", *chunks)
    listed = json.loads(rclone("lsjson", "-R", "--files-only", f"{at}/tree").stdout)
    assert sorted(entry["Path"] for entry in listed) == sorted([*names, "big"])
    rclone("check", "--download", str(tree), f"{at}/tree")
    rclone("copy", f"{at}/tree", str(back))
    digest = lambda path: hashlib.md5(path.read_bytes()).hexdigest()  # noqa: E731
    for name in [*names, "big"]:
        assert digest(back / name) == digest(tree / name), name
    part = rclone("cat", "--offset", "2", "--count", "2", f"{at}/tree/ü/é").stdout
    assert part.encode() == "ü/é".encode()[2:4] or part
    rclone("moveto", f"{at}/tree/a b", f"{at}/moved/a+b")
    assert rclone("cat", f"{at}/moved/a+b").stdout == "a b"
    rclone("copyto", f"{at}/moved/a+b", f"{at}/copied")
    rclone("purge", at)
    assert rclone("lsf", "-R", at, check=False).stdout == ""
    lines = seen(AGENT[backend])
    assert len(lines) >= 3 * len(names)
    parts = [line for line in lines if "partnum" in line["target"].lower()]
    assert len(parts) == 5, "five parts of 5 MiB"
