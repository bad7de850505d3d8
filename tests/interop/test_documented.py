# SPDX-License-Identifier: Apache-2.0
"""The blocks of docs/EMULATOR.md that set a client's variables and a principal's: they are run as they stand, and clients
that have nothing else find the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import serving

DOC = Path(__file__).parents[2] / "docs" / "EMULATOR.md"

# Of the variables that the block sets, and no others.
CLIENTS = """
trap 'kill %1; wait' EXIT
storescope ls oci://@emulator > native
storescope ls s3:// > s3
storescope ls oci://@emulator --compartment ocid1.tenancy.oc1..another > nothing
echo hello > file
storescope cp file s3://demo/by-s3
storescope cp oci://demo@emulator/by-s3 back
cmp file back
PYTHON - <<'END'
import os

import boto3
import oci

s3 = boto3.client("s3")
assert s3.get_object(Bucket="demo", Key="by-s3")["Body"].read() == b"hello\\n"
native = oci.object_storage.ObjectStorageClient(
    oci.config.from_file(), service_endpoint=os.environ["OCI_CLI_ENDPOINT"]
)
namespace = native.get_namespace().data
assert native.get_object(namespace, "demo", "by-s3").data.content == b"hello\\n"
s3.create_bucket(Bucket="made-by-s3")
compartment = os.environ["STORESCOPE_COMPARTMENT"]
assert native.get_namespace_metadata(namespace).data.default_s3_compartment_id == compartment
there = "ocid1.compartment.oc1..there"
details = oci.object_storage.models.CreateBucketDetails(name="Elsewhere", compartment_id=there)
native.create_bucket(namespace, details)
listed = lambda of: [bucket.name for bucket in native.list_buckets(namespace, of).data]
assert listed(compartment) == ["demo", "made-by-s3"] and listed(there) == ["Elsewhere"]
assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["Elsewhere", "demo", "made-by-s3"]
END
"""


# The same for an instance, which has no configuration file.
INSTANCE = """
trap 'kill %1; wait' EXIT
echo hello > file
storescope cp file oci://demo@emulator/object
unset OCI_CONFIG_FILE OCI_CLI_CONFIG_FILE OCI_CLI_PROFILE
PYTHON - <<'END'
import os

import oci
from oci.auth.signers import InstancePrincipalsSecurityTokenSigner

signer = InstancePrincipalsSecurityTokenSigner(federation_endpoint=os.environ["OCI_CLI_FEDERATION_ENDPOINT"])
client = oci.object_storage.ObjectStorageClient({}, signer=signer, service_endpoint=os.environ["OCI_CLI_ENDPOINT"])
assert client.get_object("emulator", "demo", "object").data.content == b"hello\\n"
END
"""


def block(section: str) -> str:
    text = DOC.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return text.split("```sh\n")[1].split("```")[0]


def run(tmp_path, script: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "storescope").symlink_to(Path(serving.binary()).resolve())
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    environment = kept | {
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    script = "set -euo pipefail\n" + script.replace("PYTHON", sys.executable)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_block_of_variables(tmp_path):
    run(tmp_path, block("Clients") + CLIENTS)
    assert "demo" in (tmp_path / "native").read_text()
    assert "demo" in (tmp_path / "s3").read_text()
    assert (tmp_path / "nothing").read_text() == ""


def test_the_block_of_an_instance(tmp_path):
    run(tmp_path, block("Clients") + block("Principals") + INSTANCE)
