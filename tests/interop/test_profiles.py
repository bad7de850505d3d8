# SPDX-License-Identifier: Apache-2.0
"""The profiles of the emulator's configuration file, each by itself: Oracle's SDK for Go takes nothing from DEFAULT, so
a section must hold all that a client needs. Oracle's SDK for Python is given a file of that one section."""

from __future__ import annotations

import configparser
from pathlib import Path

import oci
import pytest

API_KEY = {"user", "tenancy", "region", "fingerprint", "key_file"}
SESSION = {"tenancy", "region", "fingerprint", "key_file", "security_token_file"}
KEYS = {
    "DEFAULT": API_KEY,
    "WRONG": API_KEY,
    "SESSION": SESSION,
    "EXPIRED": SESSION,
    "DELEGATED": API_KEY | {"delegation_token_file"},
}


def section(server, profile: str) -> dict[str, str]:
    """A profile's own values: none that another has."""
    parser = configparser.RawConfigParser(default_section="none of these")
    parser.read(server.oci["config_file"])
    return dict(parser[profile])


def client(server, tmp_path, profile: str):
    """Of a file that has this section and no other."""
    file = tmp_path / "config"
    values = section(server, profile)
    file.write_text("[ALONE]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    file.chmod(0o600)
    config = oci.config.from_file(str(file), "ALONE")
    assert config.items() >= values.items()
    options = {"service_endpoint": server.oci["endpoint"], "retry_strategy": oci.retry.NoneRetryStrategy()}
    if "security_token_file" in values:
        token = Path(config["security_token_file"]).read_text().strip()
        key = oci.signer.load_private_key_from_file(config["key_file"])
        signer = oci.auth.signers.SecurityTokenSigner(token, key)
        return oci.object_storage.ObjectStorageClient(config, signer=signer, **options)
    if "delegation_token_file" in values:
        options["signer"] = Delegated(config)
    return oci.object_storage.ObjectStorageClient(config, **options)


class Delegated(oci.signer.Signer):
    """A signer with a delegation token; those of the SDK are of instances and resources."""

    def __init__(self, config: dict[str, str]):
        super().__init__(config["tenancy"], config["user"], config["fingerprint"], config["key_file"])
        self.token = Path(config["delegation_token_file"]).read_text().strip()
        generic = ["date", "(request-target)", "host", "opc-obo-token"]
        body = ["content-length", "content-type", "x-content-sha256"]
        self.create_signers(self.api_key, self.private_key, generic, body)

    def do_request_sign(self, request, enforce_content_headers=True):
        request.headers["opc-obo-token"] = self.token
        return super().do_request_sign(request, enforce_content_headers)


@pytest.mark.parametrize("profile", KEYS)
def test_a_profile_is_whole_by_itself(server, profile):
    values = section(server, profile)
    assert set(values) == KEYS[profile]
    assert values["region"] == server.oci["region"]
    assert values["tenancy"] == section(server, "DEFAULT")["tenancy"]
    for name in values:
        if name.endswith("_file"):
            assert Path(values[name]).is_file(), name


@pytest.mark.parametrize(
    ("profile", "refused"),
    [("DEFAULT", False), ("WRONG", True), ("SESSION", False), ("EXPIRED", True), ("DELEGATED", False)],
)
def test_a_client_of_one_section_is_answered(server, tmp_path, seen, profile, refused):
    alone = client(server, tmp_path, profile)
    if refused:
        with pytest.raises(oci.exceptions.ServiceError) as caught:
            alone.get_namespace()
        assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")
    else:
        assert alone.get_namespace().data == server.oci["namespace"]
    assert [line["status"] for line in seen("Oracle-PythonSDK")] == [401 if refused else 200]
