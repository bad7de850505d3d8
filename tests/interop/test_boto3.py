# SPDX-License-Identifier: Apache-2.0
"""boto3 against the emulator's S3 API: over http (checksums in headers) and TLS (checksums in trailers of chunked
bodies), in memory and in a folder. A wrong key is refused first, and the record says at the end that boto3 did it."""

from __future__ import annotations

import collections
import io
import os

import awscrt  # noqa: F401  boto3 takes CRC32C and CRC64NVME of it
import boto3
import pytest
import requests
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

import serving
from names import AWKWARD

AGENT = "Boto3/"
# At least so many requests of each kind against either store, or boto3 was not at work.
COMMITTED = {"PUT": 75, "GET": 75, "HEAD": 16, "POST": 20, "DELETE": 5}


@pytest.fixture(scope="module", params=["memory", "folder"])
def server(request, tmp_path_factory):
    data = ["--data", str(tmp_path_factory.mktemp("data"))] if request.param == "folder" else []
    with serving.serve(*data) as running:
        with pytest.raises(ClientError) as refused:
            client(running, secret="wrong").list_buckets()
        assert code(refused) == (403, "SignatureDoesNotMatch")
        assert [(line["status"], AGENT in line["user_agent"]) for line in running.record()] == [(403, True)]
        yield running
        lines = running.record()
        assert all(AGENT in line["user_agent"] or "python-requests" in line["user_agent"] for line in lines)
        done = collections.Counter(line["method"] for line in lines if AGENT in line["user_agent"])
        assert {method: done[method] for method, least in COMMITTED.items() if done[method] < least} == {}, done


def code(caught) -> tuple[int, str]:
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def client(server, tls=False, secret=None, **config):
    s3 = server.ready["s3"]
    return boto3.client(
        "s3",
        endpoint_url=s3["tls_endpoint" if tls else "endpoint"],
        verify=server.oci["ca_bundle"] if tls else None,
        region_name=s3["region"],
        aws_access_key_id=s3["access_key_id"],
        aws_secret_access_key=secret or s3["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, **config),
    )


@pytest.fixture(params=["http", "tls"])
def s3(server, request):
    made = client(server, request.param == "tls")
    made.bucket = f"boto-{os.urandom(4).hex()}"
    made.create_bucket(
        Bucket=made.bucket, CreateBucketConfiguration={"LocationConstraint": "us-ashburn-1"}
    )
    return made


def test_who_is_not_known_is_refused(server, seen):
    wrong = client(server, secret="wrong")
    for call in (
        lambda: wrong.put_object(Bucket="demo", Key="never", Body=b"x"),
        lambda: wrong.get_object(Bucket="demo", Key="never"),
        lambda: wrong.list_objects_v2(Bucket="demo"),
        lambda: wrong.delete_object(Bucket="demo", Key="never"),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert code(refused) == (403, "SignatureDoesNotMatch")
    assert [line["status"] for line in seen(AGENT)] == [403] * 4


def test_objects(s3, seen):
    for name in AWKWARD:
        s3.put_object(Bucket=s3.bucket, Key=name, Body=name.encode(), Metadata={"k": "v"})
    for name in AWKWARD:
        got = s3.get_object(Bucket=s3.bucket, Key=name)
        assert (got["Body"].read(), got["Metadata"]) == (name.encode(), {"k": "v"})
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=s3.bucket, PaginationConfig={"PageSize": 3}
    )
    found = [o["Key"] for page in pages for o in page["Contents"]]
    assert found == sorted(AWKWARD, key=str.encode)
    prefixes = sorted({name.split("/")[0] + "/" for name in AWKWARD if "/" in name}, key=str.encode)
    listed = s3.list_objects_v2(Bucket=s3.bucket, Delimiter="/")
    assert [p["Prefix"] for p in listed["CommonPrefixes"]] == prefixes
    pages = s3.get_paginator("list_objects").paginate(
        Bucket=s3.bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    both = [(p.get("Contents", []), p.get("CommonPrefixes", [])) for p in pages]
    assert sum(len(contents) for contents, _ in both) == len(AWKWARD) - len(prefixes)
    assert [p["Prefix"] for _, rolled in both for p in rolled] == prefixes
    part = s3.get_object(Bucket=s3.bucket, Key="ü/é", Range="bytes=1-2")
    assert part["Body"].read() == "ü/é".encode()[1:3]
    gone = s3.delete_objects(
        Bucket=s3.bucket, Delete={"Objects": [{"Key": name} for name in [*AWKWARD, "none"]]}
    )
    assert len(gone["Deleted"]) == len(AWKWARD) + 1 and "Errors" not in gone
    s3.delete_bucket(Bucket=s3.bucket)
    assert len(seen(AGENT)) >= 2 * len(AWKWARD) + 6


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_parts_and_checksums(s3, seen, algorithm):
    body = os.urandom(13_000_000)
    s3.upload_fileobj(
        io.BytesIO(body),
        s3.bucket,
        "big",
        ExtraArgs={"ChecksumAlgorithm": algorithm},
        Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20),
    )
    head = s3.head_object(Bucket=s3.bucket, Key="big", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-3"') and f"Checksum{algorithm}" in head
    back = io.BytesIO()
    s3.download_fileobj(s3.bucket, "big", back)
    assert back.getvalue() == body
    assert sum("partNumber" in line["target"] for line in seen(AGENT)) == 3


def test_parts_by_hand(s3):
    upload = s3.create_multipart_upload(Bucket=s3.bucket, Key="parts")["UploadId"]
    place = {"Bucket": s3.bucket, "Key": "parts", "UploadId": upload}
    s3.put_object(Bucket=s3.bucket, Key="source", Body=b"0123456789")
    two = s3.upload_part_copy(
        **place,
        PartNumber=2,
        CopySource={"Bucket": s3.bucket, "Key": "source"},
        CopySourceRange="bytes=3-5",
    )["CopyPartResult"]["ETag"]
    one = s3.upload_part(**place, PartNumber=1, Body=b"one")["ETag"]
    listed = s3.list_parts(**place, MaxParts=1)
    assert [p["PartNumber"] for p in listed["Parts"]] == [1] and listed["IsTruncated"]
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=s3.bucket)["Uploads"]] == ["parts"]
    parts = [{"PartNumber": 1, "ETag": one}, {"PartNumber": 2, "ETag": two}]
    with pytest.raises(ClientError) as wrong:
        s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts[::-1]})
    assert code(wrong) == (400, "InvalidPartOrder")
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=s3.bucket, Key="parts")["Body"].read() == b"one345"
    left = s3.create_multipart_upload(Bucket=s3.bucket, Key="left")["UploadId"]
    s3.abort_multipart_upload(Bucket=s3.bucket, Key="left", UploadId=left)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=s3.bucket)
    with pytest.raises(ClientError) as gone:
        s3.upload_part(Bucket=s3.bucket, Key="left", UploadId=left, PartNumber=1, Body=b"")
    assert code(gone) == (404, "NoSuchUpload")
    again = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert again["ETag"] == s3.head_object(Bucket=s3.bucket, Key="parts")["ETag"]
    with pytest.raises(ClientError) as other:
        s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts[:1]})
    assert code(other) == (404, "NoSuchUpload")


def test_a_key_has_1024_bytes(s3):
    for longest in ("x" * 1024, "é" * 512):
        s3.put_object(Bucket=s3.bucket, Key=longest, Body=b"x")
        assert s3.list_objects_v2(Bucket=s3.bucket, Prefix=longest)["KeyCount"] == 1
        assert s3.get_object(Bucket=s3.bucket, Key=longest)["Body"].read() == b"x"
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=s3.bucket, Key="x" * 1025, Body=b"x")
    assert code(refused) == (400, "KeyTooLongError")


def test_copies_and_conditions(s3):
    s3.put_object(Bucket=s3.bucket, Key="a b", Body=b"1", Metadata={"k": "v"})
    source = {"Bucket": s3.bucket, "Key": "a b"}
    s3.copy_object(Bucket=s3.bucket, Key="c", CopySource=source)
    assert s3.head_object(Bucket=s3.bucket, Key="c")["Metadata"] == {"k": "v"}
    s3.copy_object(
        Bucket=s3.bucket, Key="c", CopySource=source, Metadata={"n": "1"}, MetadataDirective="REPLACE"
    )
    assert s3.head_object(Bucket=s3.bucket, Key="c")["Metadata"] == {"n": "1"}
    with pytest.raises(ClientError) as there:
        s3.put_object(Bucket=s3.bucket, Key="c", Body=b"2", IfNoneMatch="*")
    assert there.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    etag = s3.head_object(Bucket=s3.bucket, Key="c")["ETag"]
    s3.put_object(Bucket=s3.bucket, Key="c", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError) as changed:
        s3.get_object(Bucket=s3.bucket, Key="c", IfMatch=etag)
    assert changed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


def test_presigned(server, s3):
    verify = server.oci["ca_bundle"]
    for method, key in [("put_object", "ü é"), ("get_object", "ü é")]:
        url = s3.generate_presigned_url(method, Params={"Bucket": s3.bucket, "Key": key})
        if method == "put_object":
            assert requests.put(url, data=b"hello", verify=verify).status_code == 200
        else:
            assert requests.get(url, verify=verify).content == b"hello"
            forged = url.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601")
            assert requests.get(forged, verify=verify).status_code == 403


def test_the_dialect_of_oci():
    with serving.serve("--s3-dialect", "oci") as server:
        made = client(server, tls=True)
        with pytest.raises(ClientError) as refused:
            made.put_object(Bucket="demo", Key="x", Body=io.BytesIO(b"x"))
        assert refused.value.response["Error"]["Code"] == "NotImplemented"
        calm = client(server, tls=True, request_checksum_calculation="when_required")
        calm.put_object(Bucket="demo", Key="x", Body=io.BytesIO(b"x"))
        with pytest.raises(ClientError) as refused:
            calm.delete_objects(Bucket="demo", Delete={"Objects": [{"Key": "x"}]})
        assert refused.value.response["Error"]["Code"] == "InvalidRequest"
        calm.delete_objects(
            Bucket="demo", Delete={"Objects": [{"Key": "x"}]}, ChecksumAlgorithm="SHA256"
        )
        assert "Contents" not in calm.list_objects_v2(Bucket="demo")
