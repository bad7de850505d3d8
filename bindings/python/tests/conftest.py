# SPDX-License-Identifier: Apache-2.0
"""One emulator for all tests, and a bucket of each service in it."""

from __future__ import annotations

import json
import os
import subprocess
import uuid

import pytest

import serving
import storescope

pytest_plugins = ["strict"]

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# No test has an account of its own.
for name in [name for name in os.environ if name.startswith(("STORESCOPE_", "OCI_", "AWS_"))]:
    if name not in ("STORESCOPE_BIN", "STORESCOPE_SERVE"):
        del os.environ[name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


@pytest.fixture(scope="session")
def server():
    with serving.serve() as running:
        yield running


def options_of(server: serving.Server, service: str) -> dict[str, object]:
    if service == "oci":
        return {name: server.oci[name] for name in ("endpoint", "config_file", "region")}
    s3 = server.ready["s3"]
    return {name: s3[name] for name in ("endpoint", "region", "access_key_id", "secret_access_key")}


def bucket_url(server: serving.Server, service: str, bucket: str) -> str:
    return f"oci://{bucket}@{server.oci['namespace']}/" if service == "oci" else f"s3://{bucket}/"


@pytest.fixture(scope="session", params=["oci", "s3"])
def service(request):
    return request.param


@pytest.fixture(scope="session")
def options(server, service):
    return options_of(server, service)


@pytest.fixture(scope="session")
def bucket(server, service, options):
    url = bucket_url(server, service, f"tests-{uuid.uuid4().hex[:12]}")
    storescope.create_bucket(url, **options)
    return url


@pytest.fixture
def store(bucket, options):
    """A prefix of its own for each test."""
    return storescope.open_store(f"{bucket}{uuid.uuid4().hex}/", **options)


@pytest.fixture
def seen(server):
    """The requests since the test began."""
    before = len(server.record())
    return lambda: server.record()[before:]


@pytest.fixture
def uploads(server, bucket):
    """The names of the uploads that were begun and not ended, by another client; it aborts them."""

    def names() -> list[str]:
        oci, name = server.oci, bucket.split("/")[2].partition("@")[0]
        command = [serving.binary(), "uploads", "--endpoint", oci["endpoint"], "--config-file", oci["config_file"], "--json"]
        command += ["--abort", "--older-than", "0s", f"oci://{name}@{oci['namespace']}/"]
        told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        return [json.loads(line)["name"] for line in told.stdout.splitlines()]

    return names
