# SPDX-License-Identifier: Apache-2.0
"""What the judges of the matrix share: one server, and names that are hard to get right."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import serving  # noqa: E402

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_PROFILE", "OCI_CLI_PROFILE"):
    os.environ.pop(name, None)
os.environ["OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING"] = "True"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"

# Names of objects that clients encode each in their way.
AWKWARD = ["a b", "a+b", "50%", "ü/é", "a//b", "x?y#z", "q=1&r=2", "[x]{y}", "~tilde!(1)*'", "🦀"]


@pytest.fixture(scope="session", params=["memory", "folder"])
def server(request, tmp_path_factory):
    """Everything twice: in memory, and in a folder."""
    data = ["--data", str(tmp_path_factory.mktemp("data"))] if request.param == "folder" else []
    with serving.serve(*data) as running:
        yield running


@pytest.fixture
def seen(server):
    """The requests since the test began, asked for by user agent."""
    before = len(server.record())

    def since(agent=""):
        lines = server.record()[before:]
        return [line for line in lines if agent in (line["user_agent"] or "")]

    return since
