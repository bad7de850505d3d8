# SPDX-License-Identifier: Apache-2.0
"""What these tests share: one server for all of them."""

import os

import pytest

import serving

pytest_plugins = ["strict"]

# The SDKs honour proxies of the environment; nothing here may leave the machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# The SDK would take these before the CA that a test gives to its session; and no test has an account of its own.
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "AWS_PROFILE", "OCI_CLI_PROFILE"):
    os.environ.pop(name, None)
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
# The SDK's own retries would hide a fault of the server.
os.environ["OCI_SDK_DEFAULT_RETRY_ENABLED"] = "false"


@pytest.fixture(scope="session")
def server():
    with serving.serve() as running:
        yield running


@pytest.fixture
def seen(server):
    """The requests since the test began, asked for by user agent."""
    before = len(server.record())

    def since(agent=""):
        return [line for line in server.record()[before:] if agent in (line["user_agent"] or "")]

    return since
