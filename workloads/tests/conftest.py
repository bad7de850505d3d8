# SPDX-License-Identifier: Apache-2.0
"""One emulator for all tests, a bucket of each service in it, and the real files beside the checkout."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest

import serving
import storescope
from storescope_workloads.settings import StoreSettings

pytest_plugins = ["strict"]

# A shell without job control starts `make test &` with Ctrl-C ignored, and so all that is started by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# No test has an account of its own, nor a configuration of Spark's.
for name in [name for name in os.environ if name.startswith(("STORESCOPE_", "OCI_", "AWS_", "HADOOP_", "SPARK_"))]:
    if name not in ("STORESCOPE_BIN", "STORESCOPE_SERVE", "STORESCOPE_JARS") and not name.startswith("STORESCOPE_TEST_"):
        del os.environ[name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
os.environ["MPLBACKEND"] = "agg"
# Requests and bytes are compared with the server's record: a hedge comes where the machine is slow, and what its loser was sent is
# received by none.
os.environ["STORESCOPE_HEDGE_AT"] = "0"

BUCKET = "workloads"
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def server():
    with serving.serve("--bucket", BUCKET) as running:
        yield running


@pytest.fixture(scope="session")
def settings(server) -> StoreSettings:
    """How the emulator's OCI side is opened."""
    return StoreSettings(**{name: server.oci[name] for name in ("endpoint", "config_file", "region")})


@pytest.fixture
def place(server) -> str:
    """The URL of a folder of its own for each test, without a slash at its end."""
    return f"oci://{BUCKET}@{server.oci['namespace']}/{uuid.uuid4().hex}"


@pytest.fixture
def store(place, settings):
    """The same as a store of the wheel."""
    return storescope.open_store(place + "/", **settings.options())


@pytest.fixture
def seen(server):
    """The requests since the test began."""
    before = len(server.record())
    return lambda: server.record()[before:]


@pytest.fixture(scope="session")
def real():
    """`real("nanoaod-v5-1000.root")`: the path of a real file."""

    def path(name: str) -> Path:
        found = DATA / name
        if not found.exists():
            message = f"{name} is not in ../shared/data"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)
        return found

    return path
