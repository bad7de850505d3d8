# SPDX-License-Identifier: Apache-2.0
"""What the judges share: one server for all of them."""

import os

import pytest

import serving

# The SDKs honour proxies of the environment; nothing here may leave the machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# The SDK would take these before the CA that a test gives to its session.
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)
# The SDK's own retries would hide a fault of the server.
os.environ["OCI_SDK_DEFAULT_RETRY_ENABLED"] = "false"


@pytest.fixture(scope="session")
def server():
    with serving.serve() as running:
        yield running
