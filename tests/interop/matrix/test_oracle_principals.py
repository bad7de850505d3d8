# SPDX-License-Identifier: Apache-2.0
"""Oracle's SDKs for Go and Java as each principal, beside ours: the same environment, the same identity endpoints.

Each is refused first (tokens that have expired, another key), then reads an object, and what it asked of the identity
endpoints is compared with what the command line asked: the same exchanges, by the server's record.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import oci
import pytest

import serving

BODY = b"read by a principal"
OBJECT = "principals/object"

# Where stage principals-matrix left the two programs.
GO = os.environ.get("STORESCOPE_TEST_GO_PRINCIPALS")
JAVA = os.environ.get("STORESCOPE_TEST_JAVA_PRINCIPALS")

# What renews nothing by itself is renewed by the test.
RENEWED = {"resource_2.2": "resource", "resource_3.0": "resource", "session": "session"}


@dataclass(frozen=True)
class Sdk:
    name: str
    agent: str
    # Those that it knows, by the names of the ready line's `environment`.
    principals: tuple[str, ...]

    def command(self, principal: str) -> list[str]:
        kind = principal.partition("_")[0]
        program = {"Go": GO, "Java": JAVA}[self.name]
        assert program, f"the program of the {self.name} SDK is missing: run this by scripts/stages principals-matrix"
        return [program, kind] if self.name == "Go" else ["java", "-cp", program, "io.storescope.interop.Principals", kind]


SDKS = (
    Sdk("Go", "Oracle-GoSDK/", ("instance", "resource_2.2", "session", "DEFAULT")),
    Sdk("Java", "Oracle-JavaSDK/", ("instance", "resource_2.1.1", "resource_2.2", "resource_3.0", "session", "DEFAULT")),
)
CASES = [(sdk, principal) for sdk in SDKS for principal in sdk.principals]

AUTH = {
    "instance": "instance_principal",
    "session": "security_token",
    "DEFAULT": "api_key",
}


@pytest.fixture(scope="module")
def server():
    """One of its own: tokens are made to expire."""
    with serving.serve() as running:
        config = oci.config.from_file(running.oci["config_file"])
        client = oci.object_storage.ObjectStorageClient(config, service_endpoint=running.oci["endpoint"])
        client.put_object(running.oci["namespace"], "demo", OBJECT, BODY)
        yield running


def environment(server, principal: str, home: Path) -> dict[str, str]:
    clean = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "JAVA_HOME") if name in os.environ}
    return {
        **clean,
        "HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "OCI_SDK_DEFAULT_CIRCUITBREAKER_ENABLED": "false",
        **server.identity["environment"].get(principal, {}),
        "STORE_ENDPOINT": server.oci["endpoint"],
        "STORE_NAMESPACE": server.oci["namespace"],
        "STORE_BUCKET": "demo",
        "STORE_OBJECT": OBJECT,
        "STORE_CONFIG_FILE": server.oci["config_file"],
    }


def by_sdk(server, sdk: Sdk, principal: str, home: Path, **changed: str) -> subprocess.CompletedProcess:
    variables = environment(server, principal, home) | changed
    if sdk.name == "Java" and principal == "instance":
        # It appends names to the variable as it is.
        variables["OCI_METADATA_BASE_URL"] += "/"
    return subprocess.run(sdk.command(principal), env=variables, capture_output=True, timeout=120)


def by_ours(server, principal: str, home: Path) -> bytes:
    variables = environment(server, principal, home)
    variables["STORESCOPE_AUTH"] = AUTH.get(principal, "resource_principal")
    variables["STORESCOPE_ENDPOINT"] = server.oci["endpoint"]
    if principal in ("session", "DEFAULT"):
        variables["STORESCOPE_CONFIG_FILE"] = server.oci["config_file"]
        variables["STORESCOPE_PROFILE"] = {"session": "SESSION"}.get(principal, principal)
    url = f"oci://demo@{server.oci['namespace']}/{OBJECT}"
    done = subprocess.run([serving.binary(), "cat", url], env=variables, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def exchanges(lines: list[dict]) -> set[str]:
    """What was asked of the identity endpoints: methods and targets, each once. Which parts of metadata are looked at, and
    how often, is each one's own affair."""
    targets = {f"{line['method']} {line['target']}" for line in lines if not line["target"].startswith("/n/")}
    return {target for target in targets if not re.match("GET /opc/v2/instance", target)}


def test_an_sdk_is_refused_with_a_wrong_key(server, seen, tmp_path):
    for sdk in SDKS:
        done = by_sdk(server, sdk, "WRONG", tmp_path)
        assert done.returncode != 0 and b"NotAuthenticated" in done.stderr, done.stderr
        lines = [line for line in seen(sdk.agent) if line["target"].startswith("/n/")]
        assert lines and {line["status"] for line in lines} == {401}


@pytest.mark.parametrize(("sdk", "principal"), CASES, ids=lambda value: getattr(value, "name", value))
def test_it_gets_the_same_principal_as_ours(server, seen, tmp_path, sdk, principal):
    before = len(seen())
    done = by_sdk(server, sdk, principal, tmp_path)
    assert (done.returncode, done.stdout) == (0, BODY), done.stderr.decode()
    of_sdk = seen()[before:]
    objects = [line for line in of_sdk if line["target"].startswith("/n/")]
    assert objects and all(sdk.agent in line["user_agent"] for line in objects)
    before = len(seen())
    assert by_ours(server, principal, tmp_path) == BODY
    of_ours = seen()[before:]
    assert exchanges(of_ours) == exchanges(of_sdk)
    assert {line["status"] for line in of_ours} <= {200, 206}


@pytest.mark.parametrize(("sdk", "principal"), CASES, ids=lambda value: getattr(value, "name", value))
def test_tokens_that_have_expired_are_renewed(server, seen, tmp_path, sdk, principal):
    server.admin("POST", "/principals/expire")
    if principal in RENEWED:
        # Both have the old one, until it is renewed where they found it.
        refused = by_sdk(server, sdk, principal, tmp_path)
        assert refused.returncode != 0
        server.admin("POST", "/principals/rotate", {"what": RENEWED[principal]})
    assert by_sdk(server, sdk, principal, tmp_path).stdout == BODY
    assert by_ours(server, principal, tmp_path) == BODY


def test_a_resource_with_another_key_is_refused(server, tmp_path):
    wrong = str(Path(server.oci["config_file"]).with_name("wrong_key.pem"))
    for sdk in SDKS:
        if "resource_2.1.1" not in sdk.principals:
            continue
        done = by_sdk(server, sdk, "resource_2.1.1", tmp_path, OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM=wrong)
        assert done.returncode != 0, done.stdout
