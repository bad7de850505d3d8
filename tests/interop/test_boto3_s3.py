# SPDX-License-Identifier: Apache-2.0
"""What boto3 makes of S3's errors, lists, versions and attributes as the emulator tells them: its parsers are made of
AWS's models, so an element that is misnamed or misplaced is not there."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta

import boto3
import botocore.auth
import botocore.compat
import botocore.parsers
import pytest
import requests
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ParamValidationError

import serving

AGENT = "Boto3/"
IDS = {"RequestId", "HostId"}


@pytest.fixture(scope="module")
def server():
    with serving.serve() as running:
        with pytest.raises(ClientError) as refused:
            client(running, secret="wrong").list_buckets()
        assert error(refused)["Code"] == "SignatureDoesNotMatch"
        yield running
        answered = [line for line in running.record() if AGENT in (line["user_agent"] or "")]
        assert len(answered) > 150, "boto3 was not at work"


def client(server, secret=None, **config):
    s3 = server.ready["s3"]
    return boto3.client(
        "s3",
        endpoint_url=s3["endpoint"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key_id"],
        aws_secret_access_key=secret or s3["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, **config),
    )


@pytest.fixture
def s3(server):
    made = client(server)
    made.bucket = f"boto-{os.urandom(4).hex()}"
    made.create_bucket(Bucket=made.bucket)
    return made


def error(caught) -> dict:
    """What an error says, but for the ids, which are those of the headers."""
    answer = caught.value.response
    metadata = answer["ResponseMetadata"]
    headers = metadata["HTTPHeaders"]
    told = answer["Error"]
    assert metadata["RequestId"] == headers["x-amz-request-id"] and metadata["HostId"] == headers["x-amz-id-2"]
    return {"status": metadata["HTTPStatusCode"]} | {name: told[name] for name in told if name not in IDS}


def refused(call, **arguments) -> dict:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return error(caught)


# Errors


def test_errors_are_those_of_the_model(server, s3):
    """Each has the fields that boto3 finds in S3's own."""
    here = {"Bucket": s3.bucket}
    gone = refused(s3.get_object, **here, Key="a b/ü&<>")
    assert gone == {
        "status": 404, "Code": "NoSuchKey", "Message": "The specified key does not exist.", "Key": "a b/ü&<>",
    }  # fmt: skip
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(**here, Key="none")
    with pytest.raises(s3.exceptions.NoSuchBucket) as none:
        s3.list_objects_v2(Bucket="none-such")
    assert error(none)["BucketName"] == "none-such"
    with pytest.raises(s3.exceptions.NoSuchUpload) as upload:
        s3.list_parts(**here, Key="k", UploadId="u")
    assert error(upload)["UploadId"] == "u"
    with pytest.raises(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(**here)
    s3.put_object(**here, Key="k", Body=b"0123456789")
    assert refused(s3.get_object, **here, Key="k", Range="bytes=10-") == {
        "status": 416, "Code": "InvalidRange", "Message": "The requested range is not satisfiable",
        "RangeRequested": "bytes=10-", "ActualObjectSize": "10",
    }  # fmt: skip
    assert refused(s3.get_object, **here, Key="k", IfMatch='"x"')["Condition"] == "If-Match"
    assert refused(s3.put_object, **here, Key="k", Body=b"", IfNoneMatch="*")["Condition"] == "If-None-Match"
    assert refused(s3.head_object, **here, Key="none") == {"status": 404, "Code": "404", "Message": "Not Found"}


def test_a_wrong_signature_is_shown_the_text_that_botocore_signed(server):
    signed = {}
    wrong = client(server, secret="wrong")

    class Auth(botocore.auth.S3SigV4Auth):
        def string_to_sign(self, request, canonical_request):
            signed["canonical"], signed["text"] = canonical_request, super().string_to_sign(request, canonical_request)
            return signed["text"]

    ready = server.ready["s3"]
    credentials = Credentials(ready["access_key_id"], "wrong")
    url = f"{ready['endpoint']}/demo/a%20b?prefix=%C3%BC%2F&list-type=2"
    request = AWSRequest("GET", url, headers={"x-amz-meta-a": "two   spaces"})
    Auth(credentials, "s3", ready["region"]).add_auth(request)
    answer = requests.get(url, headers=dict(request.headers), timeout=30)
    assert answer.status_code == 403
    parser = botocore.parsers.RestXMLParser()
    shape = wrong.meta.service_model.operation_model("GetObject").output_shape
    told = parser.parse({"body": answer.content, "headers": answer.headers, "status_code": 403}, shape)["Error"]
    assert told["Code"] == "SignatureDoesNotMatch"
    assert (told["CanonicalRequest"], told["StringToSign"]) == (signed["canonical"], signed["text"])
    assert bytes.fromhex(told["StringToSignBytes"]).decode() == signed["text"]
    assert bytes.fromhex(told["CanonicalRequestBytes"]).decode() == signed["canonical"]
    assert told["AWSAccessKeyId"] == ready["access_key_id"]
    assert request.headers["Authorization"].endswith("Signature=" + told["SignatureProvided"])


def test_who_is_not_known_and_what_is_not_good(server, s3):
    stranger = boto3.client(
        "s3",
        endpoint_url=server.ready["s3"]["endpoint"],
        region_name=server.ready["s3"]["region"],
        aws_access_key_id="nobody",
        aws_secret_access_key="x",
    )
    assert refused(stranger.list_buckets)["AWSAccessKeyId"] == "nobody"
    ready = server.ready["s3"]
    session = boto3.client(
        "s3",
        endpoint_url=ready["endpoint"],
        region_name=ready["region"],
        aws_access_key_id=ready["access_key_id"],
        aws_secret_access_key=ready["secret_access_key"],
        aws_session_token="t",
    )
    told = refused(session.list_buckets)
    assert (told["status"], told["Code"], told["Token-0"]) == (400, "InvalidToken", "t")
    elsewhere = boto3.client(
        "s3",
        endpoint_url=ready["endpoint"],
        region_name="mars-1",
        aws_access_key_id=ready["access_key_id"],
        aws_secret_access_key=ready["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}),
    )
    # botocore signs for the region that the error names, and is answered.
    assert elsewhere.list_objects_v2(Bucket=s3.bucket)["KeyCount"] == 0


def test_presigned_urls_for_a_week(server, s3):
    s3.put_object(Bucket=s3.bucket, Key="k", Body=b"hello")
    week = 7 * 24 * 3600

    def get(seconds: int) -> requests.Response:
        url = s3.generate_presigned_url("get_object", Params={"Bucket": s3.bucket, "Key": "k"}, ExpiresIn=seconds)
        return requests.get(url, timeout=30)

    assert get(week).content == b"hello"
    answer = get(week + 1)
    assert (answer.status_code, "<Code>AuthorizationQueryParametersError</Code>" in answer.text) == (400, True)
    put = s3.generate_presigned_url("put_object", Params={"Bucket": s3.bucket, "Key": "p"})
    answer = requests.put(put, data=b"x", headers={"x-amz-meta-added": "later"}, timeout=30)
    assert answer.status_code == 403 and "<HeadersNotSigned>x-amz-meta-added</HeadersNotSigned>" in answer.text
    with_it = {"Bucket": s3.bucket, "Key": "p", "Metadata": {"added": "before"}}
    put = s3.generate_presigned_url("put_object", Params=with_it)
    answer = requests.put(put, data=b"x", headers={"x-amz-meta-added": "before"}, timeout=30)
    assert answer.status_code == 200
    assert s3.head_object(Bucket=s3.bucket, Key="p")["Metadata"] == {"added": "before"}


@pytest.mark.parametrize("header", ["X-Amz-Date", "Date"])
def test_a_date_of_http(server, s3, header):
    """botocore signs with the date as ISO has it; S3 takes that of HTTP, too, in either header."""

    class Auth(botocore.auth.S3SigV4Auth):
        def _modify_request_before_signing(self, request):
            super()._modify_request_before_signing(request)
            del request.headers["X-Amz-Date"]
            request.headers[header] = botocore.compat.formatdate(usegmt=True)

    ready = server.ready["s3"]
    credentials = Credentials(ready["access_key_id"], ready["secret_access_key"])
    url = f"{ready['endpoint']}/{s3.bucket}?list-type=2"
    request = AWSRequest("GET", url)
    Auth(credentials, "s3", ready["region"]).add_auth(request)
    assert "GMT" in request.headers[header]
    answer = requests.get(url, headers=dict(request.headers), timeout=30)
    assert answer.status_code == 200, answer.text


# Lists

NAMES = ["a b+%", "a\nb", "a\rb", "a\r\nb", "d/ü", "d/\x7f", "x&<>\"'", "tab\t"]


def test_names_in_lists(server, s3):
    """boto3 asks for encoded names, and has them back as they were."""
    controls = ["c\x01", "c\x0b\x1f", "c\ufffe"]
    for name in [*NAMES, *controls]:
        s3.put_object(Bucket=s3.bucket, Key=name, Body=name.encode())
        assert s3.get_object(Bucket=s3.bucket, Key=name)["Body"].read() == name.encode()
    expected = sorted([*NAMES, *controls], key=str.encode)
    for list_names, field in [
        (s3.list_objects, "Contents"),
        (s3.list_objects_v2, "Contents"),
        (s3.list_object_versions, "Versions"),
    ]:
        assert [entry["Key"] for entry in list_names(Bucket=s3.bucket)[field]] == expected
    rolled = s3.list_objects_v2(Bucket=s3.bucket, Delimiter="\n", Prefix="a", StartAfter="a\nb")
    assert [entry["Prefix"] for entry in rolled["CommonPrefixes"]] == ["a\r\n"]
    assert (rolled["Delimiter"], rolled["StartAfter"]) == ("\n", "a\nb")
    # Raw: what XML can hold comes back as it was, and what it cannot is a reference that no parser of XML 1.0 takes.
    raw = boto3.client(
        "s3",
        endpoint_url=server.ready["s3"]["endpoint"],
        region_name=server.ready["s3"]["region"],
        aws_access_key_id=server.ready["s3"]["access_key_id"],
        aws_secret_access_key=server.ready["s3"]["secret_access_key"],
    )
    raw.meta.events.unregister("before-parameter-build.s3.ListObjectsV2", unique_id=None, handler=encoding_handler())
    listed = raw.list_objects_v2(Bucket=s3.bucket, Prefix="a")
    assert "EncodingType" not in listed
    assert [entry["Key"] for entry in listed["Contents"]] == [name for name in expected if name.startswith("a")]
    # To botocore a document that is none is a failure of the server.
    assert refused(raw.list_objects_v2, Bucket=s3.bucket, Prefix="c")["status"] == 500
    assert s3.list_objects_v2(Bucket=s3.bucket, Prefix="c")["KeyCount"] == 3
    gone = s3.delete_objects(Bucket=s3.bucket, Delete={"Objects": [{"Key": name} for name in NAMES]})
    assert "Errors" not in gone and sorted(one["Key"] for one in gone["Deleted"]) == sorted(NAMES)


def encoding_handler():
    """What makes botocore ask for encoded names."""
    from botocore import handlers

    return handlers.set_list_objects_encoding_type_url


def test_arguments_of_lists(s3):
    here = {"Bucket": s3.bucket}
    s3.put_object(**here, Key="k", Body=b"x")
    one = s3.list_objects(**here, Delimiter="", Prefix="", Marker="")
    assert (one["Prefix"], one["Marker"], one["MaxKeys"]) == ("", "", 1000) and "Delimiter" not in one
    assert set(one["Contents"][0]["Owner"]) == {"ID"}
    two = s3.list_objects_v2(**here, Delimiter="", Prefix="", StartAfter="")
    assert (two["Prefix"], two["StartAfter"], two["KeyCount"]) == ("", "", 1) and "Delimiter" not in two
    assert "Owner" not in two["Contents"][0] and "Owner" in s3.list_objects_v2(**here, FetchOwner=True)["Contents"][0]
    told = refused(s3.list_objects_v2, **here, ContinuationToken="")
    assert told == {
        "status": 400, "Code": "InvalidArgument", "Message": "The continuation token provided is incorrect",
        "ArgumentName": "continuation-token",
    }  # fmt: skip
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions):
        assert refused(call, **here, MaxKeys=-1)["ArgumentName"] == "maxKeys"
        assert refused(call, **here, EncodingType="xml")["ArgumentName"] == "encoding-type"
        none = call(**here, MaxKeys=0)
        assert (none["IsTruncated"], none["MaxKeys"]) == (False, 0)
        assert call(**here, MaxKeys=5000)["MaxKeys"] == 1000
    assert refused(s3.list_multipart_uploads, **here, MaxUploads=-1)["ArgumentName"] == "max-uploads"


def test_pages_of_every_list(s3):
    here = {"Bucket": s3.bucket}
    names = [f"d{n}/{m}" for n in range(3) for m in range(3)]
    for name in names:
        s3.put_object(**here, Key=name, Body=b"x")
        s3.create_multipart_upload(**here, Key=name)
    small = {"PaginationConfig": {"PageSize": 2}}
    for operation, field in [
        ("list_objects", "Contents"),
        ("list_objects_v2", "Contents"),
        ("list_object_versions", "Versions"),
        ("list_multipart_uploads", "Uploads"),
    ]:
        pages = list(s3.get_paginator(operation).paginate(**here, **small))
        assert [entry["Key"] for page in pages for entry in page[field]] == names, operation
        pages = list(s3.get_paginator(operation).paginate(**here, **small, Delimiter="/"))
        prefixes = [entry["Prefix"] for page in pages for entry in page["CommonPrefixes"]]
        assert (prefixes, len(pages)) == (["d0/", "d1/", "d2/"], 2), operation


def test_versions(s3):
    here = {"Bucket": s3.bucket}
    for name in ("a", "b"):
        s3.put_object(**here, Key=name, Body=b"x")
    assert "Status" not in s3.get_bucket_versioning(**here)
    versions = s3.list_object_versions(**here)
    told = [(one["Key"], one["VersionId"], one["IsLatest"], one["Size"]) for one in versions["Versions"]]
    assert told == [("a", "null", True, 1), ("b", "null", True, 1)] and "DeleteMarkers" not in versions
    assert s3.get_object(**here, Key="a", VersionId="null")["Body"].read() == b"x"
    other = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"
    invalid = {
        "status": 400, "Code": "InvalidArgument", "Message": "Invalid version id specified",
        "ArgumentName": "versionId", "ArgumentValue": other,
    }  # fmt: skip
    assert refused(s3.get_object, **here, Key="a", VersionId=other) == invalid
    assert refused(s3.delete_object, **here, Key="none", VersionId=other) == invalid
    gone = s3.delete_objects(
        **here, Delete={"Objects": [{"Key": "a", "VersionId": other}, {"Key": "b", "VersionId": "null"}]}
    )
    assert gone["Deleted"] == [{"Key": "b", "VersionId": "null"}]
    assert gone["Errors"] == [
        {"Key": "a", "VersionId": other, "Code": "NoSuchVersion", "Message": "The specified version does not exist."}
    ]
    assert s3.delete_object(**here, Key="a", VersionId="null")["VersionId"] == "null"
    assert "Versions" not in s3.list_object_versions(**here)


def test_buckets(server, s3):
    stem = f"list-{os.urandom(3).hex()}"
    names = [f"{stem}-{n}" for n in range(3)]
    for name in names:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": server.ready["s3"]["region"]})
    pages = list(s3.get_paginator("list_buckets").paginate(Prefix=stem, PaginationConfig={"PageSize": 2}))
    assert [[one["Name"] for one in page["Buckets"]] for page in pages] == [names[:2], names[2:]]
    assert {one["BucketRegion"] for page in pages for one in page["Buckets"]} == {server.ready["s3"]["region"]}
    assert pages[0]["Prefix"] == stem and set(pages[0]["Owner"]) == {"ID"}
    plain = s3.list_buckets()
    assert all("BucketRegion" not in one for one in plain["Buckets"])
    assert refused(s3.list_buckets, BucketRegion="eu-east-1")["Message"] == (
        "Argument value eu-east-1 is not a valid AWS Region"
    )
    there = {"LocationConstraint": "eu-west-1"}
    elsewhere = refused(s3.create_bucket, Bucket=f"{stem}-x", CreateBucketConfiguration=there)
    assert (elsewhere["status"], elsewhere["Code"]) == (400, "IllegalLocationConstraintException")
    for name in ("Bad_Bucket", "ab", "UPPER", "-ab", "192.168.5.4"):
        # Some of these botocore refuses itself.
        with pytest.raises((ClientError, ParamValidationError)) as caught:
            s3.create_bucket(Bucket=name)
        if isinstance(caught.value, ClientError):
            assert error(caught)["Code"] == "InvalidBucketName", name
    assert refused(s3.create_bucket, Bucket="Bad_Bucket") == {
        "status": 400, "Code": "InvalidBucketName", "Message": "The specified bucket is not valid.",
        "BucketName": "Bad_Bucket",
    }  # fmt: skip


# Uploads


def uploaded(s3, key: str, bodies: list[bytes], **options):
    place = {"Bucket": s3.bucket, "Key": key}
    upload = s3.create_multipart_upload(**place, **options)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        sums = {}
        if options.get("ChecksumAlgorithm") == "SHA256":
            sums = {"ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode()}
        put = s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body, **sums)
        parts.append({"PartNumber": number, "ETag": put["ETag"], **sums})
    complete = {**place, "UploadId": upload, "MultipartUpload": {"Parts": parts}}
    return complete, s3.complete_multipart_upload(**complete)


def test_a_complete_that_is_repeated(server):
    s3 = client(server, request_checksum_calculation="when_required")
    s3.bucket = "demo"
    complete, first = uploaded(s3, "twice", [b"one", b"two"])
    again = s3.complete_multipart_upload(**complete)
    assert (again["ETag"], again["Key"], again["Bucket"]) == (first["ETag"], "twice", "demo")
    fewer = complete | {"MultipartUpload": {"Parts": complete["MultipartUpload"]["Parts"][:1]}}
    for other in (fewer, complete | {"UploadId": "another"}, complete | {"Key": "another"}):
        assert refused(s3.complete_multipart_upload, **other)["Code"] == "NoSuchUpload"
    assert s3.get_object(Bucket="demo", Key="twice")["Body"].read() == b"onetwo"


def test_a_complete_whose_answer_is_lost_is_repeated_by_botocore_itself(server):
    """What the second answer is for: botocore's retry of a Complete that was done and never answered."""
    calm = boto3.client(
        "s3",
        endpoint_url=server.ready["s3"]["endpoint"],
        region_name=server.ready["s3"]["region"],
        aws_access_key_id=server.ready["s3"]["access_key_id"],
        aws_secret_access_key=server.ready["s3"]["secret_access_key"],
        config=Config(request_checksum_calculation="when_required", retries={"max_attempts": 3, "mode": "standard"}),
    )
    calm.bucket = "demo"
    server.fault({"method": "POST", "contains": "lost?uploadId", "count": 1, "action": "drop_response"})
    _, done = uploaded(calm, "lost", [b"one", b"two"])
    assert done["ResponseMetadata"]["RetryAttempts"] == 1
    assert calm.head_object(Bucket="demo", Key="lost")["ETag"] == done["ETag"]


def test_attributes(server):
    s3 = client(server, request_checksum_calculation="when_required")
    s3.bucket = "demo"
    asked = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    place = {"Bucket": "demo", "Key": "attributes"}
    s3.put_object(**place, Body=b"hello", ChecksumAlgorithm="CRC32C")
    told = s3.get_object_attributes(**place, ObjectAttributes=asked)
    assert (told["ETag"], told["ObjectSize"], told["StorageClass"]) == (hashlib.md5(b"hello").hexdigest(), 5, "STANDARD")
    assert told["Checksum"] == {"ChecksumCRC32C": "mnG7TA==", "ChecksumType": "FULL_OBJECT"}
    assert "ObjectParts" not in told
    assert abs(told["LastModified"] - datetime.now(UTC)) < timedelta(minutes=1)
    bodies = [b"one", b"two", b"three"]
    uploaded(s3, "attributes", bodies, ChecksumAlgorithm="SHA256")
    parts = s3.get_object_attributes(**place, ObjectAttributes=["ObjectParts"])["ObjectParts"]
    assert (parts["TotalPartsCount"], parts["IsTruncated"], parts["NextPartNumberMarker"]) == (3, False, 3)
    assert parts["Parts"] == [
        {"PartNumber": n, "Size": len(body), "ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode()}
        for n, body in enumerate(bodies, 1)
    ]
    marker, seen = 0, []
    while True:
        page = s3.get_object_attributes(
            **place, ObjectAttributes=["ObjectParts"], MaxParts=2, PartNumberMarker=marker
        )["ObjectParts"]
        seen += [part["PartNumber"] for part in page["Parts"]]
        if not page["IsTruncated"]:
            break
        marker = page["NextPartNumberMarker"]
    assert (seen, page["PartNumberMarker"]) == ([1, 2, 3], 2)
    uploaded(s3, "attributes", bodies)
    assert s3.get_object_attributes(**place, ObjectAttributes=asked)["ObjectParts"] == {"TotalPartsCount": 3}
    assert refused(s3.get_object_attributes, **place, ObjectAttributes=["Colour"])["ArgumentValue"] == "Colour"


def test_ranges_of_copies(s3):
    here = {"Bucket": s3.bucket}
    s3.put_object(**here, Key="source", Body=b"0123456789")
    place = {**here, "Key": "copy"}
    upload = s3.create_multipart_upload(**place)["UploadId"]

    def copy(bytes_: str):
        source = {"Bucket": s3.bucket, "Key": "source"}
        return s3.upload_part_copy(**place, UploadId=upload, PartNumber=1, CopySource=source, CopySourceRange=bytes_)

    for bytes_ in ("bytes=0-21", "0-2", "bytes=0", "bytes=hello-", "bytes=0-2,3-5", "bytes=5-2"):
        told = refused(copy, bytes_=bytes_)
        assert (told["status"], told["Code"], told["ArgumentValue"]) == (400, "InvalidArgument", bytes_)
    assert refused(copy, bytes_="bytes=10-12")["Code"] == "InvalidRequest"
    assert "Parts" not in s3.list_parts(**place, UploadId=upload)
    etag = copy("bytes=9-9")["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(
        **place, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    assert s3.get_object(**place)["Body"].read() == b"9"
