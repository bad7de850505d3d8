# SPDX-License-Identifier: Apache-2.0
"""Oracle's Python SDK against the emulator, signatures on, over http and over TLS.

Over each transport the client first comes with a wrong key and must be refused, then everything it
does with the right one must work as it works against the service: every status and code below is
the service's (SDK source, documentation, or a probe of the live service), not this emulator's
idea. The last test counts in the server's record that the SDK really did it.
"""

from __future__ import annotations

import base64
import collections
import email.utils
import hashlib
import io
import json
import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import oci
import pytest
from oci.circuit_breaker import NoCircuitBreakerStrategy
from oci.exceptions import ServiceError
from oci.object_storage import ObjectStorageClient
from oci.object_storage.models import CreateBucketDetails

FIXTURES = Path(__file__).parents[2] / "fixtures"
VECTORS = json.loads((FIXTURES / "oci-signing.json").read_text())

# Each of the 35 names that the signing vectors hold, and what spec and SDKs differ on.
VECTOR_NAMES = [
    vector["object_name"] for vector in VECTORS["vectors"] if re.fullmatch(r"get-object-\d\d", vector["id"])
]
OTHER_NAMES = [
    "/", "//", "a//", "dir/.", "dir/..", "./x", "../x", "%2F", "%2e%2e", "%", "%%", "%zz", "+", "a+b c", " lead",
    "trail ", "(p)'q'", "!*", "[x]^|\\", "<>{}`\"#?", "?a=b&c=d", "#f", "é", "e\u0301", "日本語", "🦀", "\u202e", "\x01", "\x7f",
    "a&b=c;d:e@f,g$h", "~", "-._~", "o/b/n/u", "x" * 1024, "é" * 512,
]  # fmt: skip
AWKWARD_NAMES = VECTOR_NAMES + [name for name in OTHER_NAMES if name not in VECTOR_NAMES]

# At least so many requests of each kind over each transport, or the SDK was not at work.
COMMITTED = {"GET": 550, "HEAD": 80, "PUT": 130, "POST": 10, "DELETE": 95}


@dataclass(frozen=True)
class Transport:
    """The server by one of its endpoints."""

    name: str
    endpoint: str
    server: object

    def client(self, profile: str, **options) -> ObjectStorageClient:
        config = oci.config.from_file(self.server.oci["config_file"], profile)
        if "security_token_file" in config:
            token = Path(config["security_token_file"]).expanduser().read_text().strip()
            key = oci.signer.load_private_key_from_file(config["key_file"])
            options["signer"] = oci.auth.signers.SecurityTokenSigner(token, key)
        options.setdefault("retry_strategy", oci.retry.NoneRetryStrategy())
        client = ObjectStorageClient(
            config, service_endpoint=self.endpoint, circuit_breaker_strategy=NoCircuitBreakerStrategy(), **options
        )
        client.base_client.session.verify = self.server.oci["ca_bundle"]
        return client

    def seen(self) -> list[dict]:
        """What the server recorded on this transport."""
        return [line for line in self.server.record() if line["tls"] == (self.name == "tls")]


@pytest.fixture(scope="module", params=["http", "tls"])
def transport(request, server) -> Transport:
    name = request.param
    endpoint = server.oci["endpoint" if name == "http" else "tls_endpoint"]
    assert endpoint.startswith({"http": "http://", "tls": "https://"}[name])
    return Transport(name, endpoint, server)


@pytest.fixture(scope="module")
def refused_first(transport) -> ServiceError:
    """The same ids with another key: nothing below counts unless this is refused."""
    before = len(transport.seen())
    with pytest.raises(ServiceError) as caught:
        transport.client("WRONG").get_namespace()
    lines = transport.seen()[before:]
    assert [(line["status"], line["target"]) for line in lines] == [(401, "/n")]
    return caught.value


@pytest.fixture(scope="module")
def client(transport, refused_first) -> ObjectStorageClient:
    return transport.client("DEFAULT")


@pytest.fixture(scope="module")
def namespace(client, transport) -> str:
    return transport.server.oci["namespace"]


@pytest.fixture(scope="module")
def bucket(client, namespace, transport):
    name = f"judged-{transport.name}"
    create_bucket(client, transport, name)
    yield Bucket(client, namespace, name)
    for entry in client.list_objects(namespace, name).data.objects:
        client.delete_object(namespace, name, entry.name)
    client.delete_bucket(namespace, name)


@dataclass(frozen=True)
class Bucket:
    """A bucket's operations, its names left out."""

    client: ObjectStorageClient
    namespace: str
    name: str

    def put(self, key: str, body, **options):
        return self.client.put_object(self.namespace, self.name, key, body, **options)

    def get(self, key: str, **options):
        return self.client.get_object(self.namespace, self.name, key, **options)

    def head(self, key: str, **options):
        return self.client.head_object(self.namespace, self.name, key, **options)

    def delete(self, key: str, **options):
        return self.client.delete_object(self.namespace, self.name, key, **options)

    def list(self, **options):
        return self.client.list_objects(self.namespace, self.name, **options).data

    def names(self, **options) -> list[str]:
        return [entry.name for entry in self.list(**options).objects]


def create_bucket(client, transport, name, **options):
    details = CreateBucketDetails(name=name, compartment_id=transport.server.oci["compartment"], **options)
    return client.create_bucket(transport.server.oci["namespace"], details)


def error(call, *arguments, **options) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **options)
    return caught.value


def refused(status: int, code: str | None, call, *arguments, **options) -> ServiceError:
    """The SDK's own error class, with status, code and the id that support asks for."""
    caught = error(call, *arguments, **options)
    assert (caught.status, caught.code) == (status, code), caught
    assert caught.request_id
    assert caught.message or code is None
    return caught


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


# Who is asking


def test_a_wrong_key_is_refused_before_all_else(refused_first):
    assert (refused_first.status, refused_first.code) == (401, "NotAuthenticated")
    assert refused_first.message.startswith("The required information to complete authentication was not provided")
    assert refused_first.request_id


def test_a_wrong_key_is_refused_for_every_operation(transport, refused_first):
    wrong = transport.client("WRONG")
    namespace = transport.server.oci["namespace"]
    refused(401, "NotAuthenticated", create_bucket, wrong, transport, "never")
    refused(401, "NotAuthenticated", wrong.list_objects, namespace, "never")
    refused(401, "NotAuthenticated", wrong.put_object, namespace, "never", "k", b"body")
    refused(401, "NotAuthenticated", wrong.get_object, namespace, "never", "k")
    refused(401, "NotAuthenticated", wrong.delete_object, namespace, "never", "k")
    refused(401, None, wrong.head_object, namespace, "never", "k")


def test_a_session_token_is_taken(transport, refused_first):
    session = transport.client("SESSION")
    namespace = session.get_namespace().data
    bucket = f"session-{transport.name}"
    create_bucket(session, transport, bucket)
    session.put_object(namespace, bucket, "k", b"by token")
    assert session.get_object(namespace, bucket, "k").data.content == b"by token"
    session.delete_object(namespace, bucket, "k")
    session.delete_bucket(namespace, bucket)


def test_an_expired_token_is_refused(transport, refused_first):
    refused(401, "NotAuthenticated", transport.client("EXPIRED").get_namespace)


def test_a_token_with_another_key_is_refused(transport, refused_first):
    config = oci.config.from_file(transport.server.oci["config_file"], "SESSION")
    token = Path(config["security_token_file"]).expanduser().read_text().strip()
    wrong = oci.config.from_file(transport.server.oci["config_file"], "WRONG")
    key = oci.signer.load_private_key_from_file(wrong["key_file"])
    client = transport.client("WRONG", signer=oci.auth.signers.SecurityTokenSigner(token, key))
    refused(401, "NotAuthenticated", client.get_namespace)


def test_the_tls_certificate_is_the_ca_bundles(transport, refused_first):
    if transport.name == "http":
        assert not any(line["tls"] for line in transport.seen())
        return
    client = transport.client("DEFAULT")
    client.base_client.session.verify = True
    with pytest.raises(oci.exceptions.RequestException) as caught:
        client.get_namespace()
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)


# Buckets


def test_the_namespace(client, transport):
    assert client.get_namespace().data == transport.server.oci["namespace"]


def test_the_life_of_a_bucket(client, namespace, transport):
    name = f"life.of_a-Bucket-{transport.name}"
    compartment = transport.server.oci["compartment"]

    def listed():
        return [bucket.name for bucket in client.list_buckets(namespace, compartment).data]

    refused(404, "BucketNotFound", client.get_bucket, namespace, name)
    refused(404, None, client.head_bucket, namespace, name)
    assert name not in listed()

    made = create_bucket(client, transport, name, metadata={"made-by": "judge"}, storage_tier="Standard")
    assert (made.status, made.data.name, made.data.namespace) == (200, name, namespace)
    assert made.headers["etag"] == made.data.etag
    refused(409, "BucketAlreadyExists", create_bucket, client, transport, name)

    got = client.get_bucket(namespace, name).data
    assert (got.name, got.compartment_id, got.metadata) == (name, compartment, {"made-by": "judge"})
    assert (got.storage_tier, got.public_access_type, got.versioning) == ("Standard", "NoPublicAccess", "Disabled")
    assert got.time_created.tzinfo is not None
    assert abs(got.time_created.timestamp() - time.time()) < 300
    assert got.approximate_count is None
    assert client.head_bucket(namespace, name).headers["etag"] == got.etag
    assert name in listed()

    client.put_object(namespace, name, "in the way", b"")
    refused(409, "BucketNotEmpty", client.delete_bucket, namespace, name)
    client.delete_object(namespace, name, "in the way")
    assert client.delete_bucket(namespace, name).status == 204
    refused(404, "BucketNotFound", client.delete_bucket, namespace, name)
    assert name not in listed()


def test_buckets_are_listed_page_by_page(client, namespace, transport):
    names = [f"page-{transport.name}-{number}" for number in range(5)]
    for name in names:
        create_bucket(client, transport, name)
    listing = (client.list_buckets, namespace, transport.server.oci["compartment"])
    first = listing[0](*listing[1:], limit=2)
    assert len(first.data) == 2
    assert first.has_next_page
    every = oci.pagination.list_call_get_all_results(*listing, limit=2).data
    assert [bucket.name for bucket in every if bucket.name in names] == names
    for name in names:
        client.delete_bucket(namespace, name)


def test_a_bucket_that_is_not_there(client, namespace):
    for call, *arguments in [
        (client.list_objects, namespace, "absent"),
        (client.get_object, namespace, "absent", "k"),
        (client.put_object, namespace, "absent", "k", b"body"),
        (client.delete_object, namespace, "absent", "k"),
    ]:
        refused(404, "BucketNotFound", call, *arguments)


# Objects


def test_put_and_get(bucket):
    body = bytes(range(256)) * 257
    put = bucket.put("whole", body)
    assert put.headers["opc-content-md5"] == md5(body)
    assert uuid.UUID(put.headers["etag"])
    got = bucket.get("whole")
    assert (got.status, got.data.content) == (200, body)
    assert got.headers["etag"] == put.headers["etag"]
    assert int(got.headers["content-length"]) == len(body)
    assert got.headers["content-md5"] == md5(body)
    assert got.headers["accept-ranges"] == "bytes"
    assert email.utils.parsedate_to_datetime(got.headers["last-modified"])
    again = bucket.put("whole", body)
    assert again.headers["etag"] != put.headers["etag"], "a new ETag on every write, of equal bytes too"


def test_put_by_each_kind_of_body(bucket, tmp_path):
    body = b"0123456789" * 1000
    file = tmp_path / "body"
    file.write_bytes(body)
    with file.open("rb") as opened:
        bucket.put("file", opened)
    bucket.put("stream", io.BytesIO(body))
    bucket.put("bytes", body)
    bucket.put("text", body.decode())
    for key in ["file", "stream", "bytes", "text"]:
        assert bucket.get(key).data.content == body, key


def test_a_put_does_not_wait_for_100_continue(bucket):
    """The SDK holds a body for 3 s on https when no `100 Continue` comes; 2 s is well below."""
    start = time.monotonic()
    bucket.put("at once", b"body")
    assert time.monotonic() - start < 2


def test_a_large_object(bucket):
    body = (hashlib.sha256(b"large").digest() * 32768)[: 1_000_003] * 9
    put = bucket.put("large", body)
    assert put.headers["opc-content-md5"] == md5(body)
    got = bucket.get("large")
    assert hashlib.sha256(b"".join(got.data.iter_content(65536))).digest() == hashlib.sha256(body).digest()


def test_an_empty_object(bucket):
    bucket.put("empty", b"")
    assert bucket.get("empty").data.content == b""
    assert int(bucket.head("empty").headers["content-length"]) == 0
    refused(416, "InvalidRange", bucket.get, "empty", range="bytes=0-0")


def test_headers_and_metadata_come_back(bucket):
    body = b"with headers"
    bucket.put(
        "headers", body, content_type="application/x-root", content_language="en", content_encoding="gzip",
        content_disposition='attachment; filename="a b.root"', cache_control="no-store",
        opc_meta={"run": "380000", "Mixed-Case": "Value"},
    )  # fmt: skip
    for answer in [bucket.head("headers"), bucket.get("headers")]:
        assert answer.headers["content-type"] == "application/x-root"
        assert answer.headers["content-language"] == "en"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-disposition"] == 'attachment; filename="a b.root"'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["opc-meta-run"] == "380000"
        assert answer.headers["opc-meta-mixed-case"] == "Value"
        assert answer.headers["storage-tier"] == "Standard"
        assert answer.headers["version-id"]
        assert int(answer.headers["content-length"]) == len(body)


BODY = bytes(range(100, 200))


@pytest.mark.parametrize(
    ("asked", "expected", "content_range"),
    [
        ("bytes=0-9", BODY[:10], "bytes 0-9/100"),
        ("bytes=40-59", BODY[40:60], "bytes 40-59/100"),
        ("bytes=99-99", BODY[99:], "bytes 99-99/100"),
        ("bytes=90-", BODY[90:], "bytes 90-99/100"),
        ("bytes=-7", BODY[-7:], "bytes 93-99/100"),
        ("bytes=-1000", BODY, "bytes 0-99/100"),
        ("bytes=95-1000", BODY[95:], "bytes 95-99/100"),
        ("bytes=0-100", BODY, "bytes 0-99/100"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_range(bucket, asked, expected, content_range):
    bucket.put("ranges", BODY)
    got = bucket.get("ranges", range=asked)
    assert (got.status, got.data.content) == (206, expected)
    assert got.headers["content-range"] == content_range
    assert int(got.headers["content-length"]) == len(expected)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=1000-1001"])
def test_a_range_past_the_end(bucket, asked):
    bucket.put("ranges", BODY)
    refused(416, "InvalidRange", bucket.get, "ranges", range=asked)


def test_conditional_reads(bucket):
    etag = bucket.put("conditional", b"first").headers["etag"]
    for read in [bucket.get, bucket.head]:
        assert read("conditional", if_match=etag).status == 200
        assert read("conditional", if_none_match="another").status == 200
        assert error(read, "conditional", if_none_match=etag).status == 304
    refused(412, "IfMatchFailed", bucket.get, "conditional", if_match="another")
    refused(412, None, bucket.head, "conditional", if_match="another")
    refused(404, None, bucket.head, "not there", if_match="another")
    assert bucket.get("conditional", range="bytes=1-2", if_match=etag).data.content == b"ir"
    refused(412, "IfMatchFailed", bucket.get, "conditional", range="bytes=1-2", if_match="another")


def test_conditional_writes(bucket):
    first = bucket.put("once", b"first", if_none_match="*").headers["etag"]
    refused(412, "IfNoneMatchFailed", bucket.put, "once", b"second", if_none_match="*")
    refused(412, "IfMatchFailed", bucket.put, "once", b"second", if_match="another")
    assert bucket.get("once").data.content == b"first"
    second = bucket.put("once", b"second", if_match=first).headers["etag"]
    refused(412, "IfMatchFailed", bucket.delete, "once", if_match=first)
    assert bucket.get("once").data.content == b"second"
    assert bucket.delete("once", if_match=second).status == 204


def test_a_checksum_that_does_not_match_is_refused(bucket):
    assert bucket.put("checked", b"body", content_md5=md5(b"body")).headers["opc-content-md5"] == md5(b"body")
    caught = refused(400, "UnmatchedContentMD5", bucket.put, "mismatch", b"body", content_md5=md5(b"other"))
    assert md5(b"body") in caught.message and md5(b"other") in caught.message
    refused(404, "ObjectNotFound", bucket.get, "mismatch")


def test_crc32c(bucket):
    """The check value of CRC-32C over "123456789" is E3069283."""
    expected = base64.b64encode(bytes.fromhex("e3069283")).decode()
    put = bucket.put("crc", b"123456789", opc_checksum_algorithm="CRC32C", opc_content_crc32c=expected)
    assert put.headers["opc-content-crc32c"] == expected
    assert bucket.head("crc").headers["opc-content-crc32c"] == expected
    wrong = base64.b64encode(b"\0\0\0\0").decode()
    caught = error(bucket.put, "bad crc", b"123456789", opc_checksum_algorithm="CRC32C", opc_content_crc32c=wrong)
    assert caught.status == 400
    refused(404, "ObjectNotFound", bucket.get, "bad crc")


def test_delete(bucket):
    bucket.put("gone", b"body")
    assert bucket.delete("gone").status == 204
    caught = refused(404, "ObjectNotFound", bucket.delete, "gone")
    assert "gone" in caught.message
    refused(404, "ObjectNotFound", bucket.get, "gone")
    refused(404, None, bucket.head, "gone")


# Lists

LISTED = ["a/1", "a/2", "a/b/3", "a0", "b", "c/4", "z", "é", "日", "🦀"]


@pytest.fixture(scope="module")
def listed(client, namespace, transport):
    """A bucket that holds LISTED, which stands in the order of the names' UTF-8 bytes."""
    assert LISTED == sorted(LISTED, key=lambda name: name.encode())
    name = f"listed-{transport.name}"
    create_bucket(client, transport, name)
    bucket = Bucket(client, namespace, name)
    for key in reversed(LISTED):
        bucket.put(key, key.encode())
    yield bucket
    for key in LISTED:
        bucket.delete(key)
    client.delete_bucket(namespace, name)


def test_a_list_is_in_the_order_of_bytes(listed):
    page = listed.list()
    assert [entry.name for entry in page.objects] == LISTED
    assert (page.prefixes, page.next_start_with) == ([], None)


def test_a_list_with_a_prefix(listed):
    assert listed.names(prefix="a/") == ["a/1", "a/2", "a/b/3"]
    assert listed.names(prefix="a") == ["a/1", "a/2", "a/b/3", "a0"]
    assert listed.names(prefix="é") == ["é"]
    assert listed.names(prefix="nothing") == []
    assert listed.names(prefix="") == LISTED


def test_a_list_with_a_delimiter(listed):
    page = listed.list(delimiter="/")
    assert page.prefixes == ["a/", "c/"]
    assert [entry.name for entry in page.objects] == ["a0", "b", "z", "é", "日", "🦀"]
    below = listed.list(prefix="a/", delimiter="/")
    assert below.prefixes == ["a/b/"]
    assert [entry.name for entry in below.objects] == ["a/1", "a/2"]


def test_a_list_from_start_to_end(listed):
    assert listed.names(start="a/2") == LISTED[1:], "start is inclusive"
    assert listed.names(start="a/2x") == LISTED[2:]
    assert listed.names(start_after="a/2") == LISTED[2:]
    assert listed.names(end="b") == LISTED[:4], "end is exclusive"
    assert listed.names(start="a/2", end="c/4") == LISTED[1:5]
    assert listed.names(prefix="a/", start="a/2") == ["a/2", "a/b/3"]


@pytest.mark.parametrize("limit", range(1, len(LISTED) + 2))
def test_a_list_page_by_page(listed, limit):
    names, start, pages = [], None, 0
    while True:
        page = listed.list(limit=limit, **({"start": start} if start else {}))
        assert len(page.objects) <= limit
        names += [entry.name for entry in page.objects]
        pages += 1
        start = page.next_start_with
        if start is None:
            break
        assert start == LISTED[len(names)], "the first name that was not returned"
    assert (names, pages) == (LISTED, -(-len(LISTED) // limit))


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_the_sdks_own_pager(listed, limit):
    call = (listed.client.list_objects, listed.namespace, listed.name)
    every = oci.pagination.list_call_get_all_results(*call, limit=limit, delimiter="/").data
    assert sorted(set(every.prefixes)) == ["a/", "c/"]
    assert [entry.name for entry in every.objects] == ["a0", "b", "z", "é", "日", "🦀"]


def test_the_fields_of_a_list(listed):
    (bare,) = listed.list(prefix="a/1").objects
    assert (bare.name, bare.size, bare.etag, bare.md5, bare.time_created) == ("a/1", None, None, None, None)
    fields = "name,size,etag,md5,timeCreated,timeModified,storageTier"
    (full,) = listed.list(prefix="a/1", fields=fields).objects
    head = listed.head("a/1").headers
    assert (full.size, full.md5, full.etag) == (3, md5(b"a/1"), head["etag"])
    assert full.storage_tier == "Standard"
    assert full.time_modified.tzinfo is not None
    assert abs((full.time_modified - email.utils.parsedate_to_datetime(head["last-modified"])).total_seconds()) < 1.001


# Names


def test_the_vectors_hold_35_names():
    assert len(VECTOR_NAMES) == len(set(VECTOR_NAMES)) == 35


@pytest.mark.parametrize("name", AWKWARD_NAMES, ids=[ascii(name)[:40] for name in AWKWARD_NAMES])
def test_an_awkward_name(bucket, name):
    body = name.encode() + b" is here"
    put = bucket.put(name, body)
    got = bucket.get(name)
    assert got.data.content == body
    assert bucket.get(name, range="bytes=0-0").data.content == body[:1]
    assert bucket.head(name).headers["etag"] == put.headers["etag"] == got.headers["etag"]
    assert name in bucket.names(prefix=name)
    assert name in bucket.names(start=name, end=name + "\x01")
    assert bucket.delete(name).status == 204
    refused(404, "ObjectNotFound", bucket.get, name)
    assert name not in bucket.names(prefix=name)


def test_names_that_look_alike_are_distinct(bucket):
    """Each would be another's if a path were normalised, decoded twice or merged anywhere."""
    alike = ["x/y", "x//y", "/x/y", "x/./y", "x/z/../y", "x%2Fy", "x%252Fy", "x y", "x+y", "x%20y", "é", "e\u0301", "X/Y"]
    for name in alike:
        bucket.put(name, name.encode())
    for name in alike:
        assert bucket.get(name).data.content == name.encode(), name
    for name in alike:
        bucket.delete(name)


@pytest.mark.parametrize("name", ["x" * 1025, "é" * 513, "line\nfeed", "carriage\rreturn"])
def test_a_name_that_is_none(bucket, name):
    refused(400, "InvalidObjectName", bucket.put, name, b"body")


# Faults


def test_a_fault_reaches_the_caller_as_the_sdks_error(bucket, transport):
    bucket.put("faulty", b"body")
    for status, code in [(503, "ServiceUnavailable"), (429, "TooManyRequests"), (500, "InternalServerError")]:
        transport.server.fault({"contains": "faulty", "count": 1, "action": {"status": {"status": status}}})
        refused(status, code, bucket.get, "faulty")
        assert bucket.get("faulty").data.content == b"body"


def test_the_sdks_default_retries_get_over_a_fault(bucket, transport):
    bucket.put("retried", b"body")
    patient = transport.client("DEFAULT", retry_strategy=oci.retry.DEFAULT_RETRY_STRATEGY)
    before = len(transport.seen())
    transport.server.fault({"contains": "retried", "count": 1, "action": {"status": {"status": 503}}})
    assert patient.get_object(bucket.namespace, bucket.name, "retried").data.content == b"body"
    assert [line["status"] for line in transport.seen()[before:]] == [503, 200]


def test_a_connection_that_breaks_is_the_sdks_error(bucket, transport):
    bucket.put("broken", b"body" * 1000)
    transport.server.fault({"contains": "broken", "count": 1, "action": "reset"})
    with pytest.raises(oci.exceptions.RequestException):
        bucket.get("broken")
    transport.server.fault({"contains": "broken", "count": 1, "action": {"truncate": {"after": 1000}}})
    with pytest.raises(Exception, match="IncompleteRead|Connection broken|incomplete"):
        bucket.get("broken").data.content  # noqa: B018
    assert bucket.get("broken").data.content == b"body" * 1000


# And that it was the SDK


def test_zz_the_record_shows_the_sdk_at_work(transport, refused_first):
    lines = transport.seen()
    agents = {line["user_agent"].split("/")[0] for line in lines}
    assert agents == {"Oracle-PythonSDK"}
    done = collections.Counter(line["method"] for line in lines)
    assert {method: done[method] for method, least in COMMITTED.items() if done[method] < least} == {}, done
    assert lines[0]["status"] == 401, "the first was the wrong key's"
    assert any(line["target"].endswith("/o/..") and line["status"] == 204 for line in lines), "names reach it raw"
    reused = collections.Counter(line["connection"] for line in lines)
    assert max(reused.values()) > 100, "connections are kept"
