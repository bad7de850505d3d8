# SPDX-License-Identifier: Apache-2.0
"""What the table of OCI's native API says is honoured, asked for by Oracle's SDK: each header, parameter and member does
what it does at the service."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
from pathlib import Path

import awscrt.checksums
import oci
import pytest
import requests
from oci.circuit_breaker import NoCircuitBreakerStrategy
from oci.exceptions import ServiceError
from oci.object_storage import ObjectStorageClient, models

import serving

HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module", params=["memory", "folder"])
def server(request, tmp_path_factory):
    data = ["--data", str(tmp_path_factory.mktemp("data"))] if request.param == "folder" else []
    with serving.serve(*data) as running:
        yield running


@pytest.fixture(scope="module")
def client(server) -> ObjectStorageClient:
    return ObjectStorageClient(
        oci.config.from_file(server.oci["config_file"]),
        service_endpoint=server.oci["endpoint"],
        retry_strategy=oci.retry.NoneRetryStrategy(),
        circuit_breaker_strategy=NoCircuitBreakerStrategy(),
    )


class Bucket:
    """A bucket's operations, its names left out."""

    def __init__(self, server, client: ObjectStorageClient, **details) -> None:
        self.client, self.namespace, self.name = client, server.oci["namespace"], f"members-{os.urandom(4).hex()}"
        self.compartment = server.oci["compartment"]
        self.create(**details)

    def create(self, **details):
        details = {"name": self.name, "compartment_id": self.compartment, **details}
        return self.client.create_bucket(self.namespace, models.CreateBucketDetails(**details))

    def __getattr__(self, operation: str):
        return lambda *parts, **options: getattr(self.client, operation)(self.namespace, self.name, *parts, **options)

    def put(self, key: str, body: bytes = b"x", **options):
        return self.put_object(key, body, **options)

    def names(self) -> list[str]:
        return [found.name for found in self.list_objects().data.objects]

    def begin(self, key: str, details: dict | None = None, **options) -> str:
        made = models.CreateMultipartUploadDetails(object=key, **(details or {}))
        return self.create_multipart_upload(made, **options).data.upload_id

    def commit(self, key: str, upload: str, parts: dict[int, str], **options):
        named = [models.CommitMultipartUploadPartDetails(part_num=n, etag=etag) for n, etag in parts.items()]
        details = models.CommitMultipartUploadDetails(parts_to_commit=named)
        return self.commit_multipart_upload(key, upload, details, **options)


@pytest.fixture
def bucket(server, client) -> Bucket:
    return Bucket(server, client)


def refused(status: int, code: str | None, call, *parts, **options) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call(*parts, **options)
    assert (caught.value.status, caught.value.code) == (status, code), caught.value
    return caught.value


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def crc32c(body: bytes) -> str:
    return b64(awscrt.checksums.crc32c(body).to_bytes(4, "big"))


# The namespace and its buckets


def test_what_is_sent_with_everything(server, bucket):
    assert bucket.get_bucket(opc_client_request_id="me/7").headers["opc-client-request-id"] == "me/7"
    config = oci.config.from_file(server.oci["config_file"], "DELEGATED")
    token = Path(config["delegation_token_file"]).read_text().strip()
    plain, delegated = oci.signer.Signer.from_config(config), oci.signer.Signer.from_config(config)
    generic = ["date", "(request-target)", "host", "opc-obo-token"]
    delegated.create_signers(plain.api_key, plain.private_key, generic, [])
    for signer, sent, status in ((delegated, token, 200), (delegated, "another", 401), (plain, token, 401)):
        answer = requests.get(f"{server.oci['endpoint']}/n", headers={"opc-obo-token": sent}, auth=signer)
        assert answer.status_code == status, answer.text


def test_compartments(server, client, bucket):
    namespace, config = server.oci["namespace"], client.base_client.config
    for compartment in (server.oci["compartment"], config["tenancy"], "ocid1.compartment.oc1..another"):
        assert client.get_namespace(compartment_id=compartment).data == namespace
    refused(404, "NamespaceNotFound", client.get_namespace, compartment_id="ocid1.tenancy.oc1..another")
    refused(400, "InvalidParameter", client.get_namespace, compartment_id="none")
    assert bucket.name in [found.name for found in client.list_buckets(namespace, server.oci["compartment"]).data]
    assert client.list_buckets(namespace, config["tenancy"]).data == []


def test_fields(client, bucket):
    bucket.update_bucket(models.UpdateBucketDetails(freeform_tags={"a": "b"}))
    listed = {b.name: b for b in client.list_buckets(bucket.namespace, bucket.compartment, fields=["tags"]).data}
    assert listed[bucket.name].freeform_tags == {"a": "b"}
    assert client.list_buckets(bucket.namespace, bucket.compartment).data[0].freeform_tags is None
    bucket.put("k", b"12345")
    told = bucket.get_bucket(fields=["approximateCount", "approximateSize", "autoTiering"]).data
    assert (told.approximate_count, told.approximate_size, told.auto_tiering) == (1, 5, "Disabled")
    assert bucket.get_bucket().data.approximate_count is None
    for call in (bucket.list_objects, bucket.list_object_versions):
        found = call(fields="size,md5").data
        one = (getattr(found, "objects", None) or found.items)[0]
        assert (one.name, one.size, one.md5) == ("k", 5, b64(hashlib.md5(b"12345").digest()))
        assert one.etag is None and one.storage_tier is None
        refused(400, "InvalidParameter", call, fields="new")
    version = bucket.list_object_versions().data.items[0]
    assert (version.size, version.version_id, version.is_delete_marker) == (None, bucket.head_object("k").headers["version-id"], False)
    assert version.time_modified is not None


def test_settings_of_buckets(server, client, bucket):
    def update(**details):
        return bucket.update_bucket(models.UpdateBucketDetails(**details))

    kept = {
        "metadata": {"k": "v"}, "public_access_type": "ObjectRead", "freeform_tags": {"a": "b"},
        "defined_tags": {"n": {"k": "v"}}, "compartment_id": "ocid1.compartment.oc1..another",
    }  # fmt: skip
    for made in (Bucket(server, client, storage_tier="Archive", **kept), bucket):
        if made is bucket:
            update(**kept, name=bucket.name, namespace=bucket.namespace)
        told = made.get_bucket().data
        assert {name: getattr(told, name) for name in kept} == kept
        assert told.storage_tier == ("Standard" if made is bucket else "Archive")
    Bucket(server, client, versioning="Disabled").delete_bucket()
    for as_it_is in (
        {"auto_tiering": "Disabled"}, {"object_events_enabled": False},
        {"is_bucket_key_enabled": False}, {"bucket_scope": "NAMESPACE"},
    ):  # fmt: skip
        update(**as_it_is)
        Bucket(server, client, **as_it_is).delete_bucket()
    for name in ("name", "namespace"):
        assert name in refused(501, "NotImplemented", update, **{name: "another"}).message
    refused(400, "MetadataTooLarge", update, metadata={"k": "x" * 4096})
    assert bucket.get_bucket().data.metadata == {"k": "v"}


# Objects


def test_lists(bucket):
    for name in ("a", "d/1", "d/2", "e"):
        bucket.put(name)

    def of(call, **asked):
        told = call(**asked).data
        return [o.name for o in getattr(told, "objects", None) or getattr(told, "items", None) or []], told.prefixes

    for call in (bucket.list_objects, bucket.list_object_versions):
        assert of(call, prefix="d/") == (["d/1", "d/2"], [])
        assert of(call, start="d/2") == (["d/2", "e"], [])
        assert of(call, start_after="d/2") == (["e"], [])
        assert of(call, end="d/2") == (["a", "d/1"], [])
        assert of(call, delimiter="/") == (["a", "e"], ["d/"])
        assert of(call, limit=1) == (["a"], [])
    page = bucket.list_object_versions(limit=3).headers["opc-next-page"]
    assert of(bucket.list_object_versions, page=page) == (["e"], [])

    uploads = [bucket.begin(name) for name in ("u1", "u2", "u3")]
    etags = [bucket.upload_part("u1", uploads[0], number, b"x").headers["etag"] for number in (1, 2, 3)]
    pars = [
        bucket.create_preauthenticated_request(
            models.CreatePreauthenticatedRequestDetails(
                name=name, object_name=name, access_type="ObjectRead", time_expires=datetime.datetime.now(datetime.timezone.utc) + HOUR
            )
        ).data.id
        for name in ("p/1", "p/2", "q")
    ]
    pages = (bucket.list_multipart_uploads, ()), (bucket.list_multipart_upload_parts, ("u1", uploads[0]))
    for call, place in (*pages, (bucket.list_preauthenticated_requests, ())):
        first = call(*place, limit=2)
        rest = call(*place, page=first.headers["opc-next-page"])
        assert (len(first.data), len(rest.data)) == (2, 1)
    assert [part.etag for part in bucket.list_multipart_upload_parts("u1", uploads[0]).data] == etags
    assert {par.id for par in bucket.list_preauthenticated_requests(object_name_prefix="p/").data} == set(pars[:2])


def test_conditions(bucket):
    etag = bucket.put("k", b"1", if_none_match="*").headers["etag"]
    for call in (bucket.get_object, bucket.head_object):
        code = None if call is bucket.head_object else "IfMatchFailed"
        assert call("k", if_match=etag).headers["etag"] == etag
        with pytest.raises(ServiceError) as failed:
            call("k", if_match="other")
        assert failed.value.status == 412, code
        with pytest.raises(ServiceError) as unchanged:
            call("k", if_none_match=etag)
        assert unchanged.value.status == 304

    def upload(at: str, **condition):
        """The condition at one of the three steps of an upload by parts."""
        step = {name: condition if name == at else {} for name in ("create", "part", "commit")}
        upload = bucket.begin("k", **step["create"])
        try:
            part = bucket.upload_part("k", upload, 1, b"2", **step["part"]).headers["etag"]
            return bucket.commit("k", upload, {1: part}, **step["commit"])
        except ServiceError:
            bucket.abort_multipart_upload("k", upload)
            raise

    writes = [lambda **condition: bucket.put("k", b"2", **condition)]
    writes += [lambda at=at, **condition: upload(at, **condition) for at in ("create", "part", "commit")]
    for write in writes:
        refused(412, "IfNoneMatchFailed", write, if_none_match="*")
        refused(412, "IfMatchFailed", write, if_match="other")
        assert bucket.head_object("k").headers["etag"] == etag
        write(if_match=etag)
        etag = bucket.head_object("k").headers["etag"]
    refused(412, "IfMatchFailed", bucket.delete_object, "k", if_match="other")
    bucket.delete_object("k", if_match=etag)
    assert bucket.names() == []


def test_versions(bucket):
    version = bucket.put("k", b"1").headers["version-id"]
    assert bucket.get_object("k", version_id=version).data.content == b"1"
    assert bucket.head_object("k", version_id=version).status == 200
    for call in (bucket.get_object, bucket.delete_object):
        refused(404, "ObjectNotFound", call, "k", version_id="another")
    refused(404, None, bucket.head_object, "k", version_id="another")
    assert bucket.names() == ["k"]
    bucket.delete_object("k", version_id=version)
    assert bucket.names() == []


def test_headers_that_are_asked_for(bucket):
    bucket.put("k", content_type="text/plain", cache_control="no-store")
    asked = {
        "content-disposition": "attachment", "cache-control": "max-age=1", "content-type": "a/b",
        "content-language": "de", "content-encoding": "identity", "expires": "Wed, 01 Jan 2031 00:00:00 GMT",
    }  # fmt: skip
    told = bucket.get_object("k", **{f"http_response_{name.replace('-', '_')}": value for name, value in asked.items()})
    assert {name: told.headers[name] for name in asked} == asked
    assert bucket.get_object("k").headers["cache-control"] == "no-store"


def test_headers_that_are_kept(bucket):
    kept = {"content_type": "a/b", "content_language": "de", "content_encoding": "identity", "content_disposition": "inline", "cache_control": "max-age=1"}
    bucket.put("put", **kept, opc_meta={"k": "v"})
    upload = bucket.begin("parts", {**kept, "metadata": {"opc-meta-k": "v"}})
    bucket.commit("parts", upload, {1: bucket.upload_part("parts", upload, 1, b"x").headers["etag"]})
    for key in ("put", "parts"):
        for told in (bucket.get_object(key).headers, bucket.head_object(key).headers):
            assert {name: told[name.replace("_", "-")] for name in kept} == kept
            assert told["opc-meta-k"] == "v"
    much = "x" * 4096
    refused(400, "MetadataTooLarge", bucket.put, "x", opc_meta={"k": much})
    refused(400, "MetadataTooLarge", bucket.begin, "x", {"metadata": {"k": much}})
    copy = copy_details(bucket, destination_object_metadata={"k": much})
    refused(400, "MetadataTooLarge", bucket.copy_object, copy)
    bucket.put("just", opc_meta={"k": "x" * 4095})
    assert sorted(bucket.names()) == ["just", "parts", "put"]


def copy_details(bucket, **details):
    return models.CopyObjectDetails(
        **{
            "source_object_name": "put", "destination_region": "us-ashburn-1", "destination_namespace": bucket.namespace,
            "destination_bucket": bucket.name, "destination_object_name": "copy", **details,
        }
    )  # fmt: skip


def test_tiers(bucket):
    for tier in ("Standard", "InfrequentAccess", "Archive"):
        bucket.put(tier, storage_tier=tier)
        upload = bucket.begin(f"parts-{tier}", {"storage_tier": tier})
        bucket.commit(f"parts-{tier}", upload, {1: bucket.upload_part(f"parts-{tier}", upload, 1, b"x").headers["etag"]})
        for key in (tier, f"parts-{tier}"):
            assert bucket.head_object(key).headers["storage-tier"] == tier
    refused(400, "InvalidParameter", bucket.put, "x", storage_tier="new")

    def move(version=None):
        details = {"object_name": "Standard", "storage_tier": "Archive", "version_id": version}
        return bucket.update_object_storage_tier(models.UpdateObjectStorageTierDetails(**details))

    def restore(hours, version=None):
        details = models.RestoreObjectsDetails(object_name="Standard", hours=hours, version_id=version)
        return bucket.restore_objects(details)

    version = bucket.head_object("Standard").headers["version-id"]
    refused(404, "ObjectNotFound", move, "another")
    move(version)
    refused(409, "NotRestored", bucket.get_object, "Standard")
    refused(404, "ObjectNotFound", restore, 1, "another")
    refused(400, "InvalidParameter", restore, 241)
    restore(1, version)
    assert bucket.get_object("Standard").data.content == b"x"


def test_checksums(bucket):
    right = {
        "content_md5": b64(hashlib.md5(b"hello").digest()), "opc_content_crc32c": crc32c(b"hello"),
        "opc_content_sha256": b64(hashlib.sha256(b"hello").digest()),
        "opc_content_sha384": b64(hashlib.sha384(b"hello").digest()),
    }  # fmt: skip
    codes = {
        "content_md5": "UnmatchedContentMD5", "opc_content_crc32c": "UnmatchedContentCRC32C",
        "opc_content_sha256": "UnmatchedContentSHA256", "opc_content_sha384": "UnmatchedContentSHA384",
    }  # fmt: skip
    upload = bucket.begin("u", opc_checksum_algorithm="SHA256")
    calls = (
        lambda **options: bucket.put("k", b"hello", **options),
        lambda **options: bucket.upload_part("u", upload, 1, b"hello", **options),
    )
    for call in calls:
        for name, value in right.items():
            call(**{name: value})
            wrong = b64(bytes(len(base64.b64decode(value))))
            refused(400, codes[name], call, **{name: wrong})
        told = call(opc_checksum_algorithm="SHA256").headers
        assert told["opc-content-sha256"] == right["opc_content_sha256"]
        refused(400, "InvalidParameter", call, opc_checksum_algorithm="MD4")
    told = bucket.commit("u", upload, {1: bucket.list_multipart_upload_parts("u", upload).data[0].etag}).headers
    of_parts = b64(hashlib.sha256(hashlib.sha256(b"hello").digest()).digest())
    assert told["opc-multipart-sha256"] == f"{of_parts}-1"
    refused(400, "InvalidParameter", bucket.begin, "x", opc_checksum_algorithm="MD4")


# Actions


def test_members_of_actions(server, client, bucket):
    etag = bucket.put("put", b"1", opc_meta={"k": "v"}).headers["etag"]

    def rename(**details):
        return bucket.rename_object(models.RenameObjectDetails(source_name="put", new_name="new", **details))

    refused(412, "IfMatchFailed", rename, src_obj_if_match_e_tag="other")
    refused(412, "IfMatchFailed", rename, new_obj_if_match_e_tag="other")
    rename(src_obj_if_match_e_tag=etag, new_obj_if_none_match_e_tag="*")
    bucket.put("put", b"1", opc_meta={"k": "v"})
    refused(412, "IfNoneMatchFailed", rename, new_obj_if_none_match_e_tag="*")

    head = bucket.head_object("put").headers
    other = Bucket(server, client)
    refused(412, "IfMatchFailed", bucket.copy_object, copy_details(bucket, source_object_if_match_e_tag="other"))
    refused(404, "ObjectNotFound", bucket.copy_object, copy_details(bucket, source_version_id="another"))
    refused(400, "InvalidParameter", bucket.copy_object, copy_details(bucket, destination_region="us-phoenix-1"))
    refused(404, "BucketNotFound", bucket.copy_object, copy_details(bucket, destination_namespace="another"))
    accepted = bucket.copy_object(
        copy_details(
            bucket, destination_bucket=other.name, source_object_if_match_e_tag=head["etag"], source_version_id=head["version-id"],
            destination_object_metadata={"n": "1"}, destination_object_storage_tier="InfrequentAccess",
            destination_object_if_none_match_e_tag="*",
        )
    )  # fmt: skip
    assert accepted.status == 202
    told = other.head_object("copy").headers
    assert (told["opc-meta-n"], "opc-meta-k" in told, told["storage-tier"]) == ("1", False, "InfrequentAccess")
    for condition in ({"destination_object_if_none_match_e_tag": "*"}, {"destination_object_if_match_e_tag": "other"}):
        work = bucket.copy_object(copy_details(bucket, destination_bucket=other.name, **condition))
        work = client.get_work_request(work.headers["opc-work-request-id"]).data
        assert work.status == "FAILED"

    etag = bucket.put("gone", b"1").headers["etag"]
    named = [{"object_name": "gone", "if_match": "other"}, {"object_name": "new", "if_match": None}]
    named = [models.BatchDeleteObjectIdentifier(**one) for one in named]
    told = bucket.batch_delete_objects(models.BatchDeleteObjectsDetails(objects=named)).data
    assert [one.object_name for one in told.deleted] == ["new"]
    assert [(one.object_name, one.status_code) for one in told.failed] == [("gone", 412)]
    named = [models.BatchDeleteObjectIdentifier(object_name="gone", if_match=etag)]
    details = models.BatchDeleteObjectsDetails(objects=named, is_skip_deleted_result=True)
    assert bucket.batch_delete_objects(details).data.deleted == []
    assert bucket.names() == ["put"]


def test_work_requests(server, client, bucket):
    bucket.put("put", b"1")
    ids = {bucket.copy_object(copy_details(bucket)).headers["opc-work-request-id"] for _ in range(3)}
    compartment = server.oci["compartment"]
    seen, page = set(), None
    while True:
        told = client.list_work_requests(compartment, limit=2, **({"page": page} if page else {}))
        assert len(told.data) <= 2
        seen |= {work.id for work in told.data}
        if not (page := told.headers.get("opc-next-page")):
            break
    assert seen >= ids
    assert client.list_work_requests("ocid1.compartment.oc1..another").data == []
    one = ids.pop()
    logs = client.list_work_request_logs(one, limit=1)
    assert len(logs.data) == 1
    assert len(client.list_work_request_logs(one, page=logs.headers["opc-next-page"]).data) == 1
    failed = bucket.copy_object(copy_details(bucket, destination_object_if_none_match_e_tag="*"))
    failed = failed.headers["opc-work-request-id"]
    assert [error.code for error in client.list_work_request_errors(failed, limit=1).data] == ["IfNoneMatchFailed"]
    for call in (client.list_work_request_logs, client.list_work_request_errors):
        refused(400, "InvalidPage", call, one, page="!")
        refused(412, "LimitTooHigh", call, one, limit=1001)
    refused(409, "IncorrectState", client.cancel_work_request, one)
