# SPDX-License-Identifier: Apache-2.0
"""One control plane for all tests, and a namespace of its own for each, of the Pod Security level `restricted`."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

import plane

pytest_plugins = ["strict"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    with plane.running(tmp_path_factory.mktemp("plane")) as running:
        running.kubectl("apply", "-f", str(Path(__file__).with_name("crds.yaml")))
        running.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crds", "--all")
        yield running


@pytest.fixture
def namespace(cluster):
    name = f"judge-{uuid.uuid4().hex[:8]}"
    level = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn", "audit")}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level}}
    cluster.kubectl("apply", "-f", "-", given=json.dumps(made))
    # What each namespace has without a release: made by controllers, after it.
    plane.wait_for("a namespace's own objects", lambda: {
        "configmap/kube-root-ca.crt", "serviceaccount/default"
    } <= cluster.everything(name))  # fmt: skip
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
