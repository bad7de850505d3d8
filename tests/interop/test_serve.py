# SPDX-License-Identifier: Apache-2.0
"""`storescope serve` by its options, as clients that were not made here see them."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import signal
import socket
import subprocess
import threading
from urllib.parse import urlsplit

import boto3
import oci
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import serving


def native(server, profile="DEFAULT"):
    return oci.object_storage.ObjectStorageClient(
        oci.config.from_file(server.oci["config_file"], profile),
        service_endpoint=server.oci["endpoint"],
        retry_strategy=oci.retry.NoneRetryStrategy(),
    )


def s3(server):
    ready = server.ready["s3"]
    return boto3.client(
        "s3",
        endpoint_url=ready["endpoint"],
        region_name=ready["region"],
        aws_access_key_id=ready["access_key_id"],
        aws_secret_access_key=ready["secret_access_key"],
        config=Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 0}, max_pool_connections=20, read_timeout=30
        ),
    )


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def refused(*options: str) -> tuple[int, str]:
    """How a server ends that does not start."""
    done = subprocess.run(serving.serve_command(*options), capture_output=True, text=True, timeout=serving.READY_SECONDS)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_ports_and_names_are_those_asked_for():
    ports = free_ports(6)
    options = ["--tls-port", "--s3-port", "--s3-tls-port", "--identity-port", "--identity-tls-port", "--admin-port"]
    given = list(itertools.chain.from_iterable((option, str(port)) for option, port in zip(options, ports, strict=True)))
    buckets = ["--bucket", "near", "--bucket", "far", "--s3-bucket-region", "far=eu-frankfurt-1"]
    with serving.serve(*given, *buckets, "--namespace", "ours") as server:
        ready = server.ready
        told = [ready["oci"]["tls_endpoint"]]
        told += [ready[of][name] for of in ("s3", "identity") for name in ("endpoint", "tls_endpoint")]
        assert [urlsplit(url).port for url in [*told, ready["admin"]]] == ports
        client = native(server)
        assert client.get_namespace().data == server.oci["namespace"] == "ours"
        assert [b.name for b in client.list_buckets("ours", server.oci["compartment"]).data] == ["far", "near"]
        s3(server).head_bucket(Bucket="near")
        # No follow-up of botocore's own: what the server said.
        far = boto3.session.Session().client(
            "s3",
            endpoint_url=ready["s3"]["endpoint"],
            region_name="eu-frankfurt-1",
            aws_access_key_id=ready["s3"]["access_key_id"],
            aws_secret_access_key=ready["s3"]["secret_access_key"],
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )
        assert far.head_bucket(Bucket="far")["BucketRegion"] == "eu-frankfurt-1"
        statuses = [(line["target"], line["status"]) for line in server.record()]
        assert ("/far", 200) in statuses and ("/near", 200) in statuses


def test_a_taken_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, why = refused("--s3-port", str(port))
    assert code == 1 and f"127.0.0.1:{port}" in why


@pytest.mark.parametrize(
    "options",
    [
        ("--data-limit", "1MB"),
        ("--s3-dialect", "swift"),
        ("--s3-bucket-region", "far"),
        ("--model", "no-such-model"),
        ("--namespace", ""),
    ],
)
def test_options_that_are_none(options):
    code, why = refused(*options)
    assert code == 2 and why


def test_a_bucket_that_cannot_be_made_is_told():
    code, why = refused("--bucket", "not/a name")
    assert code == 1 and "not/a name" in why


def test_a_folder_has_one_server_and_a_limit(tmp_path):
    folder = ["--data", str(tmp_path / "data")]
    with serving.serve(*folder, "--data-limit", "1MB") as server:
        client, namespace = native(server), server.oci["namespace"]
        client.put_object(namespace, "demo", "a", b"a" * 600_000)
        for name in ("a", "b"):
            with pytest.raises(oci.exceptions.ServiceError) as full:
                client.put_object(namespace, "demo", name, b"b" * 600_000)
            assert (full.value.status, full.value.code) == (507, "InsufficientStorage")
        with pytest.raises(ClientError) as full:
            s3(server).put_object(Bucket="demo", Key="b", Body=b"b" * 600_000)
        assert full.value.response["Error"]["Code"] == "InsufficientStorage"
        assert client.get_object(namespace, "demo", "a").data.content == b"a" * 600_000
        code, why = refused(*folder)
        assert code == 1 and "another emulator uses the data folder" in why
    with serving.serve(*folder) as server:
        client, namespace = native(server), server.oci["namespace"]
        assert [o.name for o in client.list_objects(namespace, "demo").data.objects] == ["a"]
        client.put_object(namespace, "demo", "b", b"b" * 600_000)


def test_a_state_folder_has_one_server(tmp_path):
    folder = ["--state", str(tmp_path)]
    with serving.serve(*folder) as server:
        code, why = refused(*folder)
        assert code == 1 and "another emulator uses the state folder" in why and str(tmp_path) in why
        assert native(server).get_namespace().data == "emulator"
    with serving.serve(*folder) as server:
        assert native(server).get_namespace().data == "emulator"


def test_what_is_unsigned_stays_on_this_machine():
    def hosts(server):
        urls = server.oci["endpoint"], server.ready["admin"], server.identity["endpoint"]
        return tuple(urlsplit(url).hostname for url in urls)

    with serving.serve("--address", "0.0.0.0") as server:
        assert hosts(server) == ("0.0.0.0", "127.0.0.1", "127.0.0.1")
    with serving.serve("--admin-address", "0.0.0.0") as server:
        assert hosts(server) == ("127.0.0.1", "0.0.0.0", "127.0.0.1")
    with serving.serve("--identity-address", "0.0.0.0") as server:
        assert hosts(server) == ("127.0.0.1", "127.0.0.1", "0.0.0.0")
    with serving.serve("--address", "::1") as server:
        assert hosts(server) == ("::1", "::1", "::1")


def test_sigkill_keeps_what_was_answered(tmp_path):
    """boto3 writes from several threads, one of them by parts, and the server is killed under it."""
    command = serving.serve_command("--data", str(tmp_path))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    answered: dict[str, int] = {}
    enough = threading.Event()

    def body(key: str, version: int) -> bytes:
        return (f"{key} {version} ".encode() * 40_000)[: 150_000 + version]

    def write(key: str, by_parts: bool) -> int:
        """The version that was on its way at the end."""
        client = s3(server)
        for version in itertools.count(1):
            try:
                if by_parts:
                    upload = client.create_multipart_upload(Bucket="demo", Key=key)["UploadId"]
                    place = {"Bucket": "demo", "Key": key, "UploadId": upload}
                    whole = body(key, version)
                    parts = [
                        {"PartNumber": n, "ETag": client.upload_part(**place, PartNumber=n, Body=part)["ETag"]}
                        for n, part in [(1, whole[:70_000]), (2, whole[70_000:])]
                    ]
                    client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
                else:
                    client.put_object(Bucket="demo", Key=key, Body=body(key, version))
            except (BotoCoreError, ClientError):
                return version
            answered[key] = version
            if sum(answered.values()) > 60:
                enough.set()
        return 0

    try:
        server = serving.Server(json.loads(serving.ready_line(process)), process.pid)
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            running = {key: threads.submit(write, key, key == "parts") for key in ("parts", "a", "b", "c")}
            assert enough.wait(60)
            process.send_signal(signal.SIGKILL)
            under_way = {key: done.result(60) for key, done in running.items()}
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with serving.serve("--data", str(tmp_path)) as again:
        client = s3(again)
        assert set(answered) == set(under_way)
        for key, version in answered.items():
            got = client.get_object(Bucket="demo", Key=key)["Body"].read()
            assert got in (body(key, version), body(key, under_way[key])), key
        left = client.list_multipart_uploads(Bucket="demo").get("Uploads", [])
        assert [upload["Key"] for upload in left] in ([], ["parts"])
