# SPDX-License-Identifier: Apache-2.0
"""What the table of the S3 API says is honoured, asked for by boto3: each header, parameter and member does what it does
at S3, and what is wrong of it is S3's error."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import urllib.parse
import zlib

import awscrt.checksums
import boto3
import oci
import pytest
import requests
from botocore import UNSIGNED
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import serving

ACCOUNT, OTHER = "000000000000", "111122223333"
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
PART = 5 << 20


@pytest.fixture(scope="module", params=["memory", "folder"])
def server(request, tmp_path_factory):
    data = ["--data", str(tmp_path_factory.mktemp("data"))] if request.param == "folder" else []
    with serving.serve(*data) as running:
        yield running


def client(server, **config):
    s3 = server.ready["s3"]
    return boto3.client(
        "s3",
        endpoint_url=s3["endpoint"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key_id"],
        aws_secret_access_key=s3["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, **config),
    )


class Bucket:
    """A bucket's operations, its name left out."""

    def __init__(self, s3) -> None:
        self.s3, self.name = s3, f"members-{os.urandom(4).hex()}"
        s3.create_bucket(Bucket=self.name)

    def __getattr__(self, operation: str):
        return lambda **arguments: getattr(self.s3, operation)(**{"Bucket": self.name, **arguments})

    def source(self, key: str) -> dict:
        return {"Bucket": self.name, "Key": key}

    def body(self, key: str) -> bytes:
        return self.get_object(Key=key)["Body"].read()

    def upload(self, key: str, parts: list[bytes], **create) -> tuple[dict, list[dict]]:
        """An upload that is not complete, and its parts."""
        place = {"Key": key, "UploadId": self.create_multipart_upload(Key=key, **create)["UploadId"]}
        named = []
        for number, body in enumerate(parts, 1):
            algorithm = create.get("ChecksumAlgorithm")
            asked = {"ChecksumAlgorithm": algorithm} if algorithm else {}
            told = self.upload_part(**place, PartNumber=number, Body=body, **asked)
            sums = {name: told[name] for name in told if name in {f"Checksum{algorithm}" for algorithm in ALGORITHMS}}
            named.append({"PartNumber": number, "ETag": told["ETag"], **(sums if algorithm else {})})
        return place, named


@pytest.fixture
def bucket(server) -> Bucket:
    return Bucket(client(server))


def refused(status: int, code: str, call, *parts, **arguments) -> dict:
    with pytest.raises(ClientError) as caught:
        call(*parts, **arguments)
    answer = caught.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (status, code), answer
    return answer["Error"]


def checksum(algorithm: str, body: bytes) -> str:
    match algorithm:
        case "CRC32":
            digest = zlib.crc32(body).to_bytes(4, "big")
        case "CRC32C":
            digest = awscrt.checksums.crc32c(body).to_bytes(4, "big")
        case "CRC64NVME":
            digest = awscrt.checksums.crc64nvme(body).to_bytes(8, "big")
        case _:
            digest = hashlib.new(algorithm.lower(), body).digest()
    return base64.b64encode(digest).decode()


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


# Buckets, and who asks


def test_buckets(server, bucket):
    s3 = bucket.s3
    assert bucket.name in [found["Name"] for found in s3.list_buckets()["Buckets"]]
    assert [b["Name"] for b in s3.list_buckets(Prefix=bucket.name)["Buckets"]] == [bucket.name]
    other = Bucket(s3)
    pages = [s3.list_buckets(Prefix="members-", MaxBuckets=1)]
    while token := pages[-1].get("ContinuationToken"):
        pages.append(s3.list_buckets(Prefix="members-", MaxBuckets=1, ContinuationToken=token))
    assert {page["Buckets"][0]["Name"] for page in pages} >= {bucket.name, other.name}
    assert all(len(page["Buckets"]) == 1 for page in pages)
    assert [b["Name"] for b in s3.list_buckets(BucketRegion="us-ashburn-1", Prefix=other.name)["Buckets"]] == [other.name]
    assert bucket.get_bucket_location()["LocationConstraint"] == "us-ashburn-1"
    assert "Status" not in bucket.get_bucket_versioning()
    assert bucket.head_bucket()["BucketRegion"] == "us-ashburn-1"
    here = {"LocationConstraint": "us-ashburn-1"}
    s3.create_bucket(Bucket=f"{bucket.name}-a", CreateBucketConfiguration=here)
    there = {"LocationConstraint": "eu-west-1"}
    refused(400, "IllegalLocationConstraintException", s3.create_bucket, Bucket="b-elsewhere", CreateBucketConfiguration=there)
    s3.delete_bucket(Bucket=f"{bucket.name}-a")
    for name in ("b-elsewhere", f"{bucket.name}-a"):
        assert name not in [found["Name"] for found in s3.list_buckets()["Buckets"]]


def test_who_asks(server, bucket):
    bucket.put_object(Key="k", Body=b"x")
    owned = {
        "head_bucket": {}, "get_bucket_location": {}, "get_bucket_versioning": {}, "list_objects": {}, "list_objects_v2": {},
        "get_object": {"Key": "k"}, "head_object": {"Key": "k"}, "get_object_tagging": {"Key": "k"},
        "put_object": {"Key": "k", "Body": b"y"}, "list_multipart_uploads": {}, "delete_object": {"Key": "gone"},
    }  # fmt: skip
    for operation, arguments in owned.items():
        getattr(bucket, operation)(**arguments, ExpectedBucketOwner=ACCOUNT)
        code = "403" if operation.startswith("head") else "AccessDenied"
        refused(403, code, getattr(bucket, operation), **arguments, ExpectedBucketOwner=OTHER)
    assert bucket.body("k") == b"y"
    copy = {"Key": "c", "CopySource": bucket.source("k")}
    bucket.copy_object(**copy, ExpectedSourceBucketOwner=ACCOUNT)
    refused(403, "AccessDenied", bucket.copy_object, **copy, ExpectedSourceBucketOwner=OTHER)
    s3 = server.ready["s3"]
    session = boto3.client(
        "s3", endpoint_url=s3["endpoint"], region_name=s3["region"], aws_access_key_id=s3["access_key_id"],
        aws_secret_access_key=s3["secret_access_key"], aws_session_token="none of ours",
    )  # fmt: skip
    refused(400, "InvalidToken", session.get_object, Bucket=bucket.name, Key="k")


def test_what_has_no_effect(bucket):
    bucket.put_object(Key="k", Body=b"x", RequestPayer="requester")
    assert bucket.get_object(Key="k", RequestPayer="requester")["Body"].read() == b"x"

    def add(request, **_):
        request.headers["x-amz-api-version"] = "2006-03-01"
        request.headers["x-amz-te"] = "append-md5"
        request.url += ("&" if "?" in request.url else "?") + "x-id=GetObject"

    bucket.s3.meta.events.register_last("before-sign.s3.GetObject", add)
    assert bucket.get_object(Key="k")["Body"].read() == b"x"


def test_what_is_taken_by_its_only_value(bucket):
    s3 = bucket.s3
    s3.create_bucket(
        Bucket=f"{bucket.name}-b", ACL="private", ObjectLockEnabledForBucket=False, ObjectOwnership="BucketOwnerEnforced",
        BucketNamespace="global",
    )  # fmt: skip
    s3.delete_bucket(Bucket=f"{bucket.name}-b")
    for acl in ("private", "bucket-owner-full-control"):
        bucket.put_object(Key="k", Body=b"x", ACL=acl, ServerSideEncryption="AES256", BucketKeyEnabled=False)
    bucket.copy_object(Key="c", CopySource=bucket.source("k"), ACL="private", BucketKeyEnabled=False)
    place = {"Key": "u", "UploadId": bucket.create_multipart_upload(Key="u", ACL="private", BucketKeyEnabled=False)["UploadId"]}
    bucket.abort_multipart_upload(**place)


def test_headers_in_a_query(server, bucket):
    """What presigners put into the query (those of Go and JavaScript do) is what the headers of these names are."""
    s3 = server.ready["s3"]
    keys = Credentials(s3["access_key_id"], s3["secret_access_key"])

    def put(**headers):
        query = urllib.parse.urlencode({f"x-amz-{name.replace('_', '-')}": value for name, value in headers.items()})
        request = AWSRequest("PUT", f"{s3['endpoint']}/{bucket.name}/k?{query}")
        S3SigV4QueryAuth(keys, "s3", s3["region"]).add_auth(request)
        return requests.put(request.url, data=b"hello")

    asked = {"storage_class": "STANDARD_IA", "meta_k": "v", "tagging": "a=1"}
    assert put(checksum_crc32=checksum("CRC32", b"hello"), **asked).status_code == 200
    head = bucket.head_object(Key="k", ChecksumMode="ENABLED")
    assert (head["StorageClass"], head["Metadata"], head["TagCount"]) == ("STANDARD_IA", {"k": "v"}, 1)
    assert head["ChecksumCRC32"] == checksum("CRC32", b"hello")
    for wrong, status, code in (
        ({"checksum_crc32": checksum("CRC32", b"other")}, 400, "BadDigest"),
        ({"acl": "public-read"}, 501, "NotImplemented"),
        ({"expected_bucket_owner": OTHER}, 403, "AccessDenied"),
        ({"meta_k": "x" * 2049}, 400, "MetadataTooLarge"),
    ):
        answer = put(**wrong)
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True), answer.text
    assert bucket.head_object(Key="k")["Metadata"] == {"k": "v"}


# Lists


def test_lists(bucket):
    for name in ("a b", "d/1", "d/2", "e"):
        bucket.put_object(Key=name, Body=b"x")

    def names(page):
        return [o["Key"] for o in page.get("Contents", [])], [p["Prefix"] for p in page.get("CommonPrefixes", [])]

    for call in (bucket.list_objects, bucket.list_objects_v2):
        assert names(call()) == (["a b", "d/1", "d/2", "e"], [])
        assert names(call(Prefix="d/")) == (["d/1", "d/2"], [])
        assert names(call(Delimiter="/")) == (["a b", "e"], ["d/"])
        assert names(call(MaxKeys=1)) == (["a b"], [])
        assert call(EncodingType="url")["EncodingType"] == "url"
    assert names(bucket.list_objects(Marker="d/1")) == (["d/2", "e"], [])
    assert names(bucket.list_objects_v2(StartAfter="d/1")) == (["d/2", "e"], [])
    first = bucket.list_objects_v2(MaxKeys=2)
    assert names(bucket.list_objects_v2(ContinuationToken=first["NextContinuationToken"])) == (["d/2", "e"], [])
    assert all("Owner" in o for o in bucket.list_objects_v2(FetchOwner=True)["Contents"])
    assert not any("Owner" in o for o in bucket.list_objects_v2(FetchOwner=False)["Contents"])
    versions = bucket.list_object_versions(Prefix="d/", MaxKeys=1, KeyMarker="d/1")["Versions"]
    assert [(v["Key"], v["VersionId"], v["IsLatest"]) for v in versions] == [("d/2", "null", True)]
    assert [p["Prefix"] for p in bucket.list_object_versions(Delimiter="/")["CommonPrefixes"]] == ["d/"]


def test_lists_of_uploads(bucket):
    ids = {name: bucket.create_multipart_upload(Key=name)["UploadId"] for name in ("a", "d/1", "d/2", "e")}

    def pages(**asked):
        told = [bucket.list_multipart_uploads(**asked)]
        while told[-1]["IsTruncated"]:
            marker = {"KeyMarker": told[-1]["NextKeyMarker"], "UploadIdMarker": told[-1].get("NextUploadIdMarker", "")}
            told.append(bucket.list_multipart_uploads(**asked, **marker))
        uploads = [u["Key"] for page in told for u in page.get("Uploads", [])]
        return uploads, [p["Prefix"] for page in told for p in page.get("CommonPrefixes", [])], len(told)

    assert pages() == (["a", "d/1", "d/2", "e"], [], 1)
    assert pages(Prefix="d/") == (["d/1", "d/2"], [], 1)
    assert pages(Delimiter="/") == (["a", "e"], ["d/"], 1)
    assert pages(Delimiter="/", MaxUploads=1) == (["a", "e"], ["d/"], 3)
    assert pages(MaxUploads=3) == (["a", "d/1", "d/2", "e"], [], 2)
    for name, upload in ids.items():
        bucket.abort_multipart_upload(Key=name, UploadId=upload)


# Reads


def test_conditions_of_reads(bucket):
    etag = bucket.put_object(Key="k", Body=b"x")["ETag"]
    told = bucket.head_object(Key="k")["LastModified"]
    before, after = told - datetime.timedelta(hours=1), told + datetime.timedelta(seconds=1)
    for call in (bucket.get_object, bucket.head_object):
        for good in ({"IfMatch": etag}, {"IfNoneMatch": '"other"'}, {"IfModifiedSince": before}, {"IfUnmodifiedSince": after}):
            assert call(Key="k", **good)["ETag"] == etag
        for wrong, status in (
            ({"IfMatch": '"other"'}, 412),
            ({"IfNoneMatch": etag}, 304),
            ({"IfModifiedSince": told}, 304),
            ({"IfUnmodifiedSince": before}, 412),
        ):
            with pytest.raises(ClientError) as caught:
                call(Key="k", **wrong)
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status, wrong


def test_ranges_and_parts(bucket):
    whole = os.urandom(PART) + b"the end"
    bucket.put_object(Key="whole", Body=b"0123456789")
    place, named = bucket.upload("parts", [whole[:PART], whole[PART:]], ChecksumAlgorithm="CRC32")
    bucket.complete_multipart_upload(**place, MultipartUpload={"Parts": named})
    head = bucket.head_object(Key="whole", Range="bytes=2-4")
    assert (head["ContentLength"], head["ContentRange"], status(head)) == (3, "bytes 2-4/10", 206)
    for call, code in ((bucket.get_object, "InvalidPartNumber"), (bucket.head_object, "416")):
        one, two = (call(Key="parts", PartNumber=number, ChecksumMode="ENABLED") for number in (1, 2))
        assert (one["ContentRange"], status(one), one["PartsCount"]) == (f"bytes 0-{PART - 1}/{len(whole)}", 206, 2)
        assert two["ContentRange"] == f"bytes {PART}-{len(whole) - 1}/{len(whole)}"
        assert (two["ContentLength"], two["ChecksumCRC32"], two["ChecksumType"]) == (7, checksum("CRC32", b"the end"), "COMPOSITE")
        assert one["ETag"] == two["ETag"] == bucket.head_object(Key="parts")["ETag"]
        assert "PartsCount" not in call(Key="parts")
        only = call(Key="whole", PartNumber=1)
        assert (only["ContentLength"], only["ContentRange"], status(only)) == (10, "bytes 0-9/10", 206)
        assert "PartsCount" not in only
        for key, number in (("whole", 2), ("parts", 3)):
            error = refused(416, code, call, Key=key, PartNumber=number)
            assert code == "416" or error["ActualPartCount"] == str(number - 1)
    assert bucket.get_object(Key="parts", PartNumber=1)["Body"].read() == whole[:PART]
    assert bucket.get_object(Key="parts", PartNumber=2)["Body"].read() == b"the end"
    assert bucket.get_object(Key="whole", PartNumber=1)["Body"].read() == b"0123456789"
    refused(400, "InvalidArgument", bucket.get_object, Key="parts", PartNumber=10001)
    refused(400, "InvalidRequest", bucket.get_object, Key="parts", PartNumber=1, Range="bytes=0-1")
    # A copy is whole: it has no parts, and the MD5 of all its bytes.
    bucket.copy_object(Key="copy", CopySource=bucket.source("parts"))
    head = bucket.head_object(Key="copy", ChecksumMode="ENABLED")
    assert (head["ETag"], head["ChecksumCRC32"]) == (f'"{hashlib.md5(whole).hexdigest()}"', checksum("CRC32", whole))
    assert head["ChecksumType"] == "FULL_OBJECT"
    refused(416, "InvalidPartNumber", bucket.get_object, Key="copy", PartNumber=2)


def status(answer: dict) -> int:
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def test_versions(bucket):
    """There is one version, the null version."""
    bucket.put_object(Key="k", Body=b"x")
    assert bucket.get_object(Key="k", VersionId="null")["Body"].read() == b"x"
    assert bucket.get_object_tagging(Key="k", VersionId="null")["TagSet"] == []
    bucket.put_object_tagging(Key="k", VersionId="null", Tagging={"TagSet": []})
    bucket.delete_object_tagging(Key="k", VersionId="null")
    for call in (bucket.get_object, bucket.get_object_tagging, bucket.delete_object, bucket.delete_object_tagging):
        with pytest.raises(ClientError) as caught:
            call(Key="k", VersionId="another")
        assert caught.value.response["Error"]["Code"] == "InvalidArgument"
    assert bucket.body("k") == b"x"
    bucket.delete_object(Key="k", VersionId="null")
    assert "Contents" not in bucket.list_objects_v2()


def test_headers_that_are_asked_for(server, bucket):
    bucket.put_object(Key="k", Body=b"x", ContentType="text/plain", CacheControl="no-store")
    expires = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    asked = {
        "ResponseCacheControl": "max-age=1", "ResponseContentDisposition": "attachment", "ResponseContentEncoding": "br",
        "ResponseContentLanguage": "de", "ResponseContentType": "a/b", "ResponseExpires": expires,
    }  # fmt: skip
    for call in (bucket.get_object, bucket.head_object):
        told = call(Key="k", **asked)
        for name, value in asked.items():
            assert told[name.removeprefix("Response")] == value, name
        assert (call(Key="k")["ContentType"], call(Key="k")["CacheControl"]) == ("text/plain", "no-store")
    # Who does not sign may not ask for them, even of a bucket that anybody may read.
    asked = {"Bucket": bucket.name, "Key": "k", "ResponseContentType": "a/b"}
    signed = bucket.s3.generate_presigned_url("get_object", Params=asked)
    assert requests.get(signed).headers["content-type"] == "a/b"
    unsigned = Config(signature_version=UNSIGNED)
    nobody = boto3.client("s3", endpoint_url=server.ready["s3"]["endpoint"], region_name="us-ashburn-1", config=unsigned)
    make_public(server, bucket.name)
    assert nobody.get_object(Bucket=bucket.name, Key="k")["ContentType"] == "text/plain"
    refused(400, "InvalidRequest", nobody.get_object, **asked)


def make_public(server, name: str) -> None:
    details = oci.object_storage.models.UpdateBucketDetails(public_access_type="ObjectRead")
    native_of(server).update_bucket(server.oci["namespace"], name, details)


def test_attributes(bucket):
    place, named = bucket.upload("k", [b"x" * PART, b"y"], ChecksumAlgorithm="SHA256")
    bucket.complete_multipart_upload(**place, MultipartUpload={"Parts": named})
    told = bucket.get_object_attributes(Key="k", ObjectAttributes=["ETag", "ObjectSize", "ObjectParts"], MaxParts=1)
    assert (told["ObjectSize"], told["ETag"]) == (PART + 1, bucket.head_object(Key="k")["ETag"].strip('"'))
    assert [(part["PartNumber"], part["Size"]) for part in told["ObjectParts"]["Parts"]] == [(1, PART)]
    rest = bucket.get_object_attributes(Key="k", ObjectAttributes=["ObjectParts"], PartNumberMarker=1)
    assert [(part["PartNumber"], part["Size"]) for part in rest["ObjectParts"]["Parts"]] == [(2, 1)]


# Writes


def test_headers_that_are_kept(bucket):
    kept = {
        "CacheControl": "max-age=5", "ContentDisposition": "inline", "ContentEncoding": "br", "ContentLanguage": "de",
        "ContentType": "text/x", "Metadata": {"k": "v"}, "ServerSideEncryption": "AES256", "WebsiteRedirectLocation": "/there",
        "Expires": datetime.datetime(2031, 5, 6, tzinfo=datetime.timezone.utc),
    }  # fmt: skip

    def check(key):
        for told in (bucket.head_object(Key=key), bucket.get_object(Key=key)):
            assert {name: told[name] for name in kept} == kept

    assert bucket.put_object(Key="put", Body=b"x", **kept)["ServerSideEncryption"] == "AES256"
    check("put")
    place, named = bucket.upload("parts", [b"x"], **kept)
    assert bucket.complete_multipart_upload(**place, MultipartUpload={"Parts": named})["ServerSideEncryption"] == "AES256"
    check("parts")
    bucket.put_object(Key="plain", Body=b"x")
    copied = bucket.copy_object(Key="copy", CopySource=bucket.source("plain"), MetadataDirective="REPLACE", **kept)
    assert copied["ServerSideEncryption"] == "AES256"
    check("copy")
    plain = bucket.head_object(Key="plain")
    assert not {"Expires", "ServerSideEncryption", "WebsiteRedirectLocation", "CacheControl"} & plain.keys()
    refused(400, "InvalidRedirectLocation", bucket.put_object, Key="x", Body=b"", WebsiteRedirectLocation="there")
    # Two KB of names and values, in every operation that has them.
    much = {"k": "x" * 2048}
    refused(400, "MetadataTooLarge", bucket.put_object, Key="x", Body=b"", Metadata=much)
    refused(400, "MetadataTooLarge", bucket.create_multipart_upload, Key="x", Metadata=much)
    copy = {"Key": "x", "CopySource": bucket.source("plain"), "MetadataDirective": "REPLACE"}
    refused(400, "MetadataTooLarge", bucket.copy_object, **copy, Metadata=much)
    assert "x" not in [found["Key"] for found in bucket.list_objects_v2()["Contents"]]


def test_checksums_of_bodies(server):
    """boto3 computes them; a wrong one is sent by hand."""
    bucket = Bucket(client(server, request_checksum_calculation="when_required"))
    upload = bucket.create_multipart_upload(Key="k")["UploadId"]
    puts = {
        "put_object": {"Key": "k", "Body": b"hello"},
        "upload_part": {"Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"hello"},
    }
    for operation, arguments in puts.items():
        call = getattr(bucket, operation)
        for algorithm in ALGORITHMS:
            name = f"Checksum{algorithm}"
            assert call(**arguments, **{name: checksum(algorithm, b"hello")})[name] == checksum(algorithm, b"hello")
            refused(400, "BadDigest", call, **arguments, **{name: checksum(algorithm, b"other")})
            error = refused(400, "InvalidRequest", call, **arguments, **{name: "AA=="})
            assert error["Message"] == f"Value for x-amz-checksum-{algorithm.lower()} header is invalid."
        two = {"ChecksumCRC32": checksum("CRC32", b"hello"), "ChecksumSHA1": checksum("SHA1", b"hello")}
        refused(400, "InvalidRequest", call, **arguments, **two)
        call(**arguments, ContentMD5=md5(b"hello"))
        refused(400, "BadDigest", call, **arguments, ContentMD5=md5(b"other"))
        refused(400, "InvalidDigest", call, **arguments, ContentMD5="AA==")
    documents = {
        "put_object_tagging": {"Key": "k", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
        "delete_objects": {"Delete": {"Objects": [{"Key": "gone"}]}},
    }
    for operation, arguments in documents.items():
        call = getattr(bucket, operation)
        for algorithm in ALGORITHMS:
            call(**arguments, ChecksumAlgorithm=algorithm)
            header = f"x-amz-checksum-{algorithm.lower()}"
            with sending(bucket.s3, operation, **{header: checksum(algorithm, b"other")}):
                refused(400, "BadDigest", call, **arguments)
        with sending(bucket.s3, operation, **{"Content-MD5": md5(b"other")}):
            refused(400, "BadDigest", call, **arguments)
    # Of a request without a body they are those of no bytes: Java's SDK sends them.
    for operation in ("get_object", "head_object", "get_object_tagging", "delete_object_tagging"):
        call = getattr(bucket, operation)
        with sending(bucket.s3, operation, **{"x-amz-checksum-crc32": checksum("CRC32", b"")}):
            call(Key="k")
        with sending(bucket.s3, operation, **{"x-amz-checksum-crc32": checksum("CRC32", b"other")}):
            refused(400, "400" if operation == "head_object" else "BadDigest", call, Key="k")
    with sending(bucket.s3, "put_object", **{"x-amz-sdk-checksum-algorithm": "CRC32"}):
        error = refused(400, "InvalidRequest", bucket.put_object, Key="k", Body=b"hello")
        assert "no corresponding" in error["Message"]
    with sending(bucket.s3, "delete_objects"):
        error = refused(400, "InvalidRequest", bucket.delete_objects, **documents["delete_objects"])
        assert error["Message"].startswith("Missing required header")


class sending:
    """These headers in place of the checksums that boto3 sends."""

    def __init__(self, s3, operation: str, **headers) -> None:
        self.event = f"before-sign.s3.{''.join(word.capitalize() for word in operation.split('_'))}"
        self.events, self.headers = s3.meta.events, headers

    def __enter__(self) -> None:
        def change(request, **_):
            own = ("x-amz-checksum-", "x-amz-sdk-checksum-")
            for name in [name for name in request.headers if name.lower().startswith(own)]:
                del request.headers[name]
            for name, value in self.headers.items():
                del request.headers[name]
                request.headers[name] = value

        self.events.register_last(self.event, change, unique_id="sending")

    def __exit__(self, *_) -> None:
        self.events.unregister(self.event, unique_id="sending")


def test_storage_classes(server, bucket):
    for asked, told in (("STANDARD", "STANDARD"), ("STANDARD_IA", "STANDARD_IA"), ("GLACIER", "GLACIER")):
        bucket.put_object(Key=f"put-{asked}", Body=b"x", StorageClass=asked)
        place, named = bucket.upload(f"parts-{asked}", [b"x"], StorageClass=asked)
        bucket.complete_multipart_upload(**place, MultipartUpload={"Parts": named})
        bucket.copy_object(Key=f"copy-{asked}", CopySource=bucket.source("put-STANDARD"), StorageClass=asked)
        for how in ("put", "parts", "copy"):
            head = bucket.head_object(Key=f"{how}-{asked}")
            assert head.get("StorageClass", "STANDARD") == told
        listed = {o["Key"]: o["StorageClass"] for o in bucket.list_objects_v2()["Contents"]}
        assert listed[f"put-{asked}"] == told
    tier = server_tier(server, bucket.name, "put-STANDARD_IA")
    assert (tier, server_tier(server, bucket.name, "put-GLACIER")) == ("InfrequentAccess", "Archive")
    refused(403, "InvalidObjectState", bucket.get_object, Key="put-GLACIER")
    # An object to itself, with another class.
    bucket.copy_object(Key="put-STANDARD", CopySource=bucket.source("put-STANDARD"), StorageClass="STANDARD_IA")
    assert bucket.head_object(Key="put-STANDARD")["StorageClass"] == "STANDARD_IA"
    restore(server, bucket.name, "put-GLACIER")
    assert bucket.body("put-GLACIER") == b"x"
    assert 'ongoing-request="false", expiry-date=' in bucket.head_object(Key="put-GLACIER")["Restore"]
    for call in (bucket.list_objects, bucket.list_objects_v2):
        listed = {o["Key"]: o for o in call(OptionalObjectAttributes=["RestoreStatus"])["Contents"]}
        assert listed["put-GLACIER"]["RestoreStatus"]["IsRestoreInProgress"] is False
        assert not any("RestoreStatus" in o for key, o in listed.items() if key != "put-GLACIER")
        assert not any("RestoreStatus" in o for o in call()["Contents"])


def native_of(server):
    return oci.object_storage.ObjectStorageClient(
        oci.config.from_file(server.oci["config_file"]), service_endpoint=server.oci["endpoint"]
    )


def server_tier(server, bucket: str, key: str) -> str:
    return native_of(server).head_object(server.oci["namespace"], bucket, key).headers["storage-tier"]


def restore(server, bucket: str, key: str) -> None:
    details = oci.object_storage.models.RestoreObjectsDetails(object_name=key, hours=1)
    native_of(server).restore_objects(server.oci["namespace"], bucket, details)


def test_tags(bucket):
    def tags(key):
        return {tag["Key"]: tag["Value"] for tag in bucket.get_object_tagging(Key=key)["TagSet"]}

    bucket.put_object(Key="k", Body=b"x", Tagging="a=1&b+c=d%2Fe")
    before = bucket.head_object(Key="k")
    assert (tags("k"), bucket.get_object(Key="k")["TagCount"]) == ({"a": "1", "b c": "d/e"}, 2)
    bucket.put_object_tagging(Key="k", Tagging={"TagSet": [{"Key": "ü", "Value": "-_.:/=+@"}]})
    assert tags("k") == {"ü": "-_.:/=+@"}
    after = bucket.head_object(Key="k")
    assert [after[name] for name in ("ETag", "LastModified")] == [before[name] for name in ("ETag", "LastModified")]
    bucket.copy_object(Key="same", CopySource=bucket.source("k"))
    bucket.copy_object(Key="new", CopySource=bucket.source("k"), Tagging="n=1", TaggingDirective="REPLACE")
    assert (tags("same"), tags("new")) == ({"ü": "-_.:/=+@"}, {"n": "1"})
    place, named = bucket.upload("parts", [b"x"], Tagging="p=1")
    bucket.complete_multipart_upload(**place, MultipartUpload={"Parts": named})
    assert tags("parts") == {"p": "1"}
    bucket.put_object(Key="k", Body=b"y")
    assert tags("k") == {} and "TagCount" not in bucket.get_object(Key="k")
    assert status(bucket.delete_object_tagging(Key="new")) == 204
    assert tags("new") == {}
    refused(404, "NoSuchKey", bucket.get_object_tagging, Key="gone")
    refused(404, "NoSuchKey", bucket.put_object_tagging, Key="gone", Tagging={"TagSet": []})
    for wrong in ("a=1&a=2", "aws:x=1", "a=%3C"):
        refused(400, "InvalidArgument", bucket.put_object, Key="x", Body=b"", Tagging=wrong)
    many = "&".join(f"{n}=" for n in range(11))
    refused(400, "BadRequest", bucket.put_object, Key="x", Body=b"", Tagging=many)
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    refused(400, "InvalidTag", bucket.put_object_tagging, Key="k", Tagging={"TagSet": twice})
    refused(400, "InvalidTag", bucket.put_object_tagging, Key="k", Tagging={"TagSet": [{"Key": "a" * 129, "Value": ""}]})
    assert tags("k") == {}


def test_conditions_of_writes(bucket):
    etag = bucket.put_object(Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    bucket.put_object(Key="source", Body=b"s")

    def complete(**condition):
        place, named = bucket.upload("k", [b"p"])
        try:
            return bucket.complete_multipart_upload(**place, MultipartUpload={"Parts": named}, **condition)
        except ClientError:
            bucket.abort_multipart_upload(**place)
            raise

    writes = {
        "put": lambda **condition: bucket.put_object(Key="k", Body=b"2", **condition),
        "copy": lambda **condition: bucket.copy_object(Key="k", CopySource=bucket.source("source"), **condition),
        "complete": complete,
    }
    for write in writes.values():
        refused(412, "PreconditionFailed", write, IfNoneMatch="*")
        refused(412, "PreconditionFailed", write, IfMatch='"other"')
        assert bucket.head_object(Key="k")["ETag"] == etag
        write(IfMatch=etag)
        etag = bucket.head_object(Key="k")["ETag"]


# Copies


def test_copies(bucket):
    sha1 = checksum("SHA1", b"0123456789")
    etag = bucket.put_object(Key="s", Body=b"0123456789", Metadata={"k": "v"}, ChecksumSHA1=sha1)["ETag"]
    told = bucket.head_object(Key="s")["LastModified"]
    before, after = told - datetime.timedelta(hours=1), told + datetime.timedelta(seconds=1)
    good = (
        {"CopySourceIfMatch": etag}, {"CopySourceIfNoneMatch": '"other"'},
        {"CopySourceIfModifiedSince": before}, {"CopySourceIfUnmodifiedSince": after},
    )  # fmt: skip
    wrong = (
        {"CopySourceIfMatch": '"other"'}, {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": told}, {"CopySourceIfUnmodifiedSince": before},
    )  # fmt: skip
    upload = bucket.create_multipart_upload(Key="u")["UploadId"]
    copy = {"Key": "c", "CopySource": bucket.source("s")}
    part = {"Key": "u", "UploadId": upload, "PartNumber": 1, "CopySource": bucket.source("s")}
    for call, arguments in ((bucket.copy_object, copy), (bucket.upload_part_copy, part)):
        for condition in good:
            call(**arguments, **condition)
        for condition in wrong:
            refused(412, "PreconditionFailed", call, **arguments, **condition)
    bucket.abort_multipart_upload(Key="u", UploadId=upload)
    kept = bucket.head_object(Key="c", ChecksumMode="ENABLED")
    assert (kept["Metadata"], kept["ChecksumSHA1"]) == ({"k": "v"}, sha1)
    for algorithm in ALGORITHMS:
        result = bucket.copy_object(**copy, ChecksumAlgorithm=algorithm)["CopyObjectResult"]
        assert result[f"Checksum{algorithm}"] == checksum(algorithm, b"0123456789")
    bucket.copy_object(**copy, Metadata={"n": "1"}, MetadataDirective="COPY")
    assert bucket.head_object(Key="c")["Metadata"] == {"k": "v"}
    bucket.copy_object(**copy, Metadata={"n": "1"}, MetadataDirective="REPLACE")
    assert bucket.head_object(Key="c")["Metadata"] == {"n": "1"}
    refused(400, "InvalidRequest", bucket.copy_object, Key="s", CopySource=bucket.source("s"))


# Uploads by parts


@pytest.mark.parametrize("algorithm, kind", [(a, k) for a in ALGORITHMS for k in ("COMPOSITE", "FULL_OBJECT")])
def test_checksums_of_uploads(bucket, algorithm, kind):
    bodies = [b"x" * PART, b"y"]
    asked = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
    if (algorithm == "CRC64NVME", kind) == (True, "COMPOSITE") or (algorithm.startswith("SHA"), kind) == (True, "FULL_OBJECT"):
        refused(400, "InvalidRequest", bucket.create_multipart_upload, Key="k", **asked)
        return
    place, named = bucket.upload("k", bodies, **asked)
    name = f"Checksum{algorithm}"
    if kind == "FULL_OBJECT":
        whole = checksum(algorithm, b"".join(bodies))
    else:
        digests = b"".join(base64.b64decode(checksum(algorithm, body)) for body in bodies)
        whole = f"{checksum(algorithm, digests)}-2"

    def complete(parts=named, **more):
        return bucket.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, **more)

    size = PART + 1
    other = "COMPOSITE" if kind == "FULL_OBJECT" else "FULL_OBJECT"
    wrong = {**named[0], name: checksum(algorithm, b"other")}
    refused(400, "InvalidPart", complete, [wrong, named[1]])
    refused(400, "BadDigest", complete, **{name: checksum(algorithm, b"other")})
    foreign = "CRC32" if algorithm != "CRC32" else "SHA1"
    refused(400, "BadDigest", complete, **{f"Checksum{foreign}": checksum(foreign, b"".join(bodies))})
    refused(400, "InvalidRequest", complete, ChecksumType=other)
    error = refused(400, "InvalidRequest", complete, MpuObjectSize=size + 1)
    assert str(size) in error["Message"]
    bare = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in named]
    if kind == "COMPOSITE":
        error = refused(400, "InvalidRequest", complete, bare)
        assert error["Message"].endswith("It was missing for part 1 in the request.")
    foreign_part = {"PartNumber": 1, "Body": bodies[0], f"Checksum{foreign}": checksum(foreign, bodies[0])}
    refused(400, "InvalidRequest", bucket.upload_part, **place, **foreign_part)
    assert "Contents" not in bucket.list_objects_v2()
    told = complete(**{name: whole}, ChecksumType=kind, MpuObjectSize=size)
    assert (told[name], told["ChecksumType"]) == (whole, kind)
    assert bucket.head_object(Key="k", ChecksumMode="ENABLED")[name] == whole
    assert bucket.body("k") == b"".join(bodies)


def test_an_upload_without_a_checksum_has_none_to_compare(bucket):
    place, named = bucket.upload("k", [b"x"])
    complete = {"MultipartUpload": {"Parts": named}, **place}
    refused(400, "InvalidRequest", bucket.complete_multipart_upload, **complete, ChecksumType="FULL_OBJECT")
    refused(400, "BadDigest", bucket.complete_multipart_upload, **complete, ChecksumCRC32=checksum("CRC32", b"x"))
    refused(400, "InvalidRequest", bucket.create_multipart_upload, Key="k", ChecksumType="FULL_OBJECT")
    bucket.complete_multipart_upload(**complete)
    assert bucket.body("k") == b"x"


# Deletes


def test_conditions_of_deletes(bucket):
    def put(key="k"):
        etag = bucket.put_object(Key=key, Body=b"12345")["ETag"]
        return etag, bucket.head_object(Key=key)["LastModified"]

    etag, told = put()
    then = told - datetime.timedelta(hours=1)
    for wrong in ({"IfMatch": '"other"'}, {"IfMatchSize": 4}, {"IfMatchLastModifiedTime": then}):
        refused(412, "PreconditionFailed", bucket.delete_object, Key="k", **wrong)
    assert bucket.body("k") == b"12345"
    for good in ({"IfMatch": etag}, {"IfMatch": "*"}, {"IfMatchSize": 5}, {"IfMatchLastModifiedTime": None}):
        _, told = put()
        bucket.delete_object(Key="k", **{name: told if value is None else value for name, value in good.items()})
        assert "Contents" not in bucket.list_objects_v2()
    bucket.delete_object(Key="k")
    refused(404, "NoSuchKey", bucket.delete_object, Key="k", IfMatch=etag)

    etag, told = put()
    for wrong in ({"ETag": '"other"'}, {"Size": 4}, {"LastModifiedTime": then}, {"VersionId": "another"}):
        answer = bucket.delete_objects(Delete={"Objects": [{"Key": "k", **wrong}]})
        assert [e["Code"] for e in answer["Errors"]] == ["NoSuchVersion" if "VersionId" in wrong else "PreconditionFailed"]
    assert bucket.body("k") == b"12345"
    for good in ({"ETag": etag}, {"Size": 5}, {"LastModifiedTime": None}, {"VersionId": "null"}):
        _, told = put()
        named = {"Key": "k", **{name: told if value is None else value for name, value in good.items()}}
        answer = bucket.delete_objects(Delete={"Objects": [named], "Quiet": "Size" in good})
        assert ("Errors" in answer, "Deleted" in answer) == (False, "Size" not in good)
        assert "Contents" not in bucket.list_objects_v2()

    place = {"Key": "u", "UploadId": bucket.create_multipart_upload(Key="u")["UploadId"]}
    begun = bucket.list_multipart_uploads()["Uploads"][0]["Initiated"]
    earlier = begun - datetime.timedelta(hours=1)
    refused(412, "PreconditionFailed", bucket.abort_multipart_upload, **place, IfMatchInitiatedTime=earlier)
    bucket.abort_multipart_upload(**place, IfMatchInitiatedTime=begun)
    assert "Uploads" not in bucket.list_multipart_uploads()
