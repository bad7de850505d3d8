# SPDX-License-Identifier: Apache-2.0
"""ocifs, the fsspec filesystem of Oracle."""

import os

import pytest
from ocifs import OCIFileSystem

from names import as_paths


def filesystem(server, profile="DEFAULT"):
    return OCIFileSystem(
        config=server.oci["config_file"],
        profile=profile,
        config_kwargs={"service_endpoint": server.oci["endpoint"]},
        skip_instance_cache=True,
    )


def is_ocifs(line):
    return "ocifs" in line["user_agent"].lower()


@pytest.fixture(scope="module", autouse=True)
def wrong_key(server):
    before = len(server.record())
    with pytest.raises(Exception, match="NotAuthenticated|Unauthorized|401|authentication"):
        filesystem(server, "WRONG").ls(f"demo@{server.oci['namespace']}/")
    lines = server.record()[before:]
    assert lines and {line["status"] for line in lines} == {401}
    assert all(is_ocifs(line) for line in lines)


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
        file.seek(-5, os.SEEK_END)
        assert file.read() == body[-5:]
    big = f"{root}/big"
    assert fs.cat_ranges([big, big], [3, 5_000_000], [9, 5_000_100]) == [body[3:9], body[5_000_000:5_000_100]]
    names = as_paths()
    for name in names:
        fs.pipe_file(f"{root}/{name}", name.encode())
    bucket = root.split("/")[0]
    found = {path.split("/", 1)[1] for path in fs.find(root)}
    assert found == {f"{root}/{name}"[len(bucket) + 1 :] for name in [*names, "big"]}
    for name in names:
        assert fs.cat_file(f"{root}/{name}") == name.encode()
        assert fs.info(f"{root}/{name}")["size"] == len(name.encode())
    fs.copy(f"{root}/a b", f"{root}/copied")
    assert fs.cat_file(f"{root}/copied") == b"a b"
    fs.mv(f"{root}/copied", f"{root}/moved+here")
    fs.invalidate_cache()
    assert fs.cat_file(f"{root}/moved+here") == b"a b"
    assert not fs.exists(f"{root}/copied")
    fs.rm(f"{root}/50%")
    fs.invalidate_cache()
    assert not fs.exists(f"{root}/50%")
    fs.rm(root, recursive=True)
    fs.invalidate_cache()
    assert fs.find(root) == []
    lines = seen()
    assert len(lines) >= 6 * len(names) and all(is_ocifs(line) for line in lines)
    assert sum("uploadPartNum" in line["target"] for line in lines) == 2, "a part of 5 MiB, and the rest"
    assert sum(line["status"] == 206 for line in lines) >= 3
    assert any("copyObject" in line["target"] and line["status"] == 202 for line in lines)
