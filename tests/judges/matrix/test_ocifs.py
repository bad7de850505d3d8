# SPDX-License-Identifier: Apache-2.0
"""ocifs, the fsspec filesystem of Oracle."""

import os

import pytest
from ocifs import OCIFileSystem

from conftest import AWKWARD

AGENT = "ocifs"


def filesystem(server, profile="DEFAULT"):
    return OCIFileSystem(
        config=server.oci["config_file"],
        profile=profile,
        config_kwargs={"service_endpoint": server.oci["endpoint"]},
        skip_instance_cache=True,
    )


def test_a_wrong_key_is_refused(server, seen):
    with pytest.raises(Exception):
        filesystem(server, "WRONG").ls(f"demo@{server.oci['namespace']}/")
    statuses = {line["status"] for line in seen()}
    assert statuses == {401}


def test_files(server, seen):
    fs = filesystem(server)
    root = f"demo@{server.oci['namespace']}/ocifs-{os.urandom(4).hex()}"
    body = os.urandom(12_000_000)
    with fs.open(f"{root}/big", "wb") as file:
        file.write(body)
    assert fs.cat_file(f"{root}/big") == body
    with fs.open(f"{root}/big", "rb") as file:
        file.seek(7_000_000)
        assert file.read(1000) == body[7_000_000:7_001_000]
    names = [name for name in AWKWARD if "//" not in name]
    for name in names:
        fs.pipe_file(f"{root}/{name}", name.encode())
    found = {path.rsplit(root.split("@")[0], 1)[-1] for path in fs.find(root)}
    assert len(found) == len(names) + 1
    for name in names:
        assert fs.cat_file(f"{root}/{name}") == name.encode()
    fs.copy(f"{root}/a b", f"{root}/copied")
    assert fs.cat_file(f"{root}/copied") == b"a b"
    fs.rm(root, recursive=True)
    fs.invalidate_cache()
    assert fs.find(root) == []
    lines = seen()
    assert len(lines) >= 30 and all("ocifs" in line["user_agent"].lower() for line in lines)
    assert any("uploadPartNum" in line["target"] for line in lines)
