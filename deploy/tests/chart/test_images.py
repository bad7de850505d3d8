# SPDX-License-Identifier: Apache-2.0
"""The image of the command line, built by buildah without a registry: on a root file system of Debian's packages
(STORESCOPE_TEST_ROOT, a tar file of mmdebstrap), with the binary that the other tests use. It is started, and serves one request."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from charts import CHART
from serving import binary

ROOT = Path(__file__).resolve().parents[3]
BASE = "localhost/debian-packages"
IMAGE = f"localhost/storescope:{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"


def buildah(*arguments, **options):
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image():
    made = buildah("from", "scratch")
    buildah("add", made, os.environ["STORESCOPE_TEST_ROOT"], "/")
    buildah("commit", "--rm", made, BASE)
    # As `make dist` leaves it; without its debugging symbols.
    there = ROOT / "dist/storescope"
    there.parent.mkdir(exist_ok=True)
    kept = there.exists()
    if not kept:
        shutil.copy(binary(), there)
        subprocess.run(["strip", there], check=True)
    try:
        subprocess.run([ROOT / "deploy/images/build", "--base", BASE, "--prebuilt", "cli"], check=True, timeout=600)
    finally:
        if not kept:
            there.unlink()
    yield IMAGE
    buildah("rmi", "--force", IMAGE, BASE)


@pytest.fixture
def container(image):
    made = buildah("from", "--pull-never", image)
    yield made
    buildah("rm", made)


def test_configuration(image):
    told = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
    assert told["User"] == "10001:10001"
    assert told["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_what_is_inside(image):
    """The bill of materials names Debian's packages and the binary's crates."""
    told = json.loads((ROOT / "dist/storescope.spdx.json").read_text())
    assert told["spdxVersion"] == "SPDX-2.3"
    names = {package["name"] for package in told["packages"]}
    assert {"libc6", "storescope-cli", "hyper"} <= names
    assert len({package["SPDXID"] for package in told["packages"]}) == len(told["packages"])


def test_it_serves(container):
    """As the user of the image, from its own files."""
    process = subprocess.Popen(
        ["buildah", "run", container, "--", "storescope", "serve", "--port", "0", "--bucket", "lake"], stdout=subprocess.PIPE, text=True
    )
    try:
        ready = json.loads(process.stdout.readline())
        request = urllib.request.Request(
            ready["identity"]["endpoint"] + "/opc/v2/instance/", headers={"Authorization": "Bearer Oracle"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            assert answer.status == 200 and json.load(answer)
        listed = buildah(
            "run", "--env", f"STORESCOPE_OCI_ENDPOINT={ready['oci']['endpoint']}", "--env", "STORESCOPE_AUTH=instance_principal",
            "--env", f"STORESCOPE_METADATA_ENDPOINT={ready['identity']['endpoint']}/opc/v2", "--env",
            f"STORESCOPE_AUTH_ENDPOINT={ready['identity']['endpoint']}", container, "--", "storescope", "ls", "--json", "oci://@emulator",
        )
        assert "lake" in listed
    finally:
        process.terminate()
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
