# SPDX-License-Identifier: Apache-2.0
"""The clients of the matrix have everything twice: in memory, and in a folder. Each file's `wrong_key` comes first:
where it is not refused, nothing of that file passes."""

import os

import pytest

import serving

os.environ["OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING"] = "True"


@pytest.fixture(scope="session", params=["memory", "folder"])
def server(request, tmp_path_factory):
    data = ["--data", str(tmp_path_factory.mktemp("data"))] if request.param == "folder" else []
    with serving.serve(*data) as running:
        yield running
