# SPDX-License-Identifier: Apache-2.0
"""The servers of others start, serve and stop: judged by boto3, before anything of ours is pointed at them."""

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

import others

SCRIPT = Path(others.__file__)


@pytest.mark.parametrize("name", others.SERVERS)
def test_a_server_serves_and_stops(name):
    with others.SERVERS[name]() as other:
        s3 = boto3.client(
            "s3",
            endpoint_url=other.endpoint,
            region_name=other.region,
            aws_access_key_id=other.access_key_id,
            aws_secret_access_key=other.secret_access_key,
            # rclone's server sends the whole object's checksum with a range of it.
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 0},
                response_checksum_validation="when_required",
            ),
        )
        s3.create_bucket(Bucket="judged")
        s3.put_object(Bucket="judged", Key="a b/ü", Body=b"0123456789")
        assert s3.get_object(Bucket="judged", Key="a b/ü", Range="bytes=2-4")["Body"].read() == b"234"
        assert [o["Key"] for o in s3.list_objects_v2(Bucket="judged")["Contents"]] == ["a b/ü"]
        s3.close()
    place = urlsplit(other.endpoint)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((place.hostname, place.port), timeout=5)


@pytest.mark.parametrize("name", others.SERVERS)
def test_a_command_finds_it(name):
    code = "import os, urllib.request as r; e = os.environ; print(e['STORESCOPE_TEST_S3_SERVER'], end=' ')\n"
    code += "try: print(r.urlopen(e['STORESCOPE_TEST_S3_ENDPOINT']).status)\n"
    code += "except r.HTTPError as error: print(error.code)\n"
    code += "raise SystemExit(3)"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), name, "--", sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    # A request that is not signed: rclone refuses it, moto serves everybody.
    answered = {"rclone": "400", "moto": "200"}
    assert (done.returncode, done.stdout) == (3, f"{name} {answered[name]}\n"), done.stderr
