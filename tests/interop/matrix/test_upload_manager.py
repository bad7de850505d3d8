# SPDX-License-Identifier: Apache-2.0
"""Oracle's Python SDK: its UploadManager, and the operations that move and remove objects."""

import base64
import datetime
import hashlib
import io
import os

import oci
import pytest
import requests

from names import AWKWARD

AGENT = "Oracle-PythonSDK"


def client(server, profile="DEFAULT"):
    config = oci.config.from_file(server.oci["config_file"], profile)
    return oci.object_storage.ObjectStorageClient(
        config,
        service_endpoint=server.oci["endpoint"],
        retry_strategy=oci.retry.NoneRetryStrategy(),
    )


@pytest.fixture(scope="module", autouse=True)
def wrong_key(server):
    before = len(server.record())
    with pytest.raises(oci.exceptions.ServiceError) as refused:
        client(server, "WRONG").get_namespace()
    assert refused.value.status == 401
    lines = server.record()[before:]
    assert [(line["status"], AGENT in line["user_agent"]) for line in lines] == [(401, True)]


@pytest.fixture
def store(server):
    made = client(server)
    bucket = f"um-{os.urandom(4).hex()}"
    made.create_bucket(
        server.oci["namespace"],
        oci.object_storage.models.CreateBucketDetails(
            name=bucket, compartment_id=server.oci["compartment"]
        ),
    )
    return made, server.oci["namespace"], bucket


def test_parts_in_parallel(store, seen, tmp_path):
    made, namespace, bucket = store
    body = os.urandom(21_000_000)
    path = tmp_path / "big"
    path.write_bytes(body)
    manager = oci.object_storage.UploadManager(made, allow_parallel_uploads=True, parallel_process_count=4)
    done = manager.upload_file(
        namespace, bucket, "dir/ü big", str(path), part_size=5 << 20, metadata={"k": "v"}
    )
    assert done.headers["opc-multipart-md5"].endswith("-5")
    got = made.get_object(namespace, bucket, "dir/ü big")
    assert got.data.content == body and got.headers["opc-meta-k"] == "v"
    part = made.get_object(namespace, bucket, "dir/ü big", range="bytes=5242870-5242890")
    assert part.data.content == body[5242870:5242891]
    assert made.list_multipart_uploads(namespace, bucket).data == []
    lines = seen(AGENT)
    assert sum("uploadPartNum" in line["target"] for line in lines) == 5
    assert sum(line["bytes_in"] for line in lines) >= len(body)


def test_a_stream(store, seen):
    made, namespace, bucket = store
    manager = oci.object_storage.UploadManager(made)
    body = os.urandom(11 << 20)
    manager.upload_stream(namespace, bucket, "stream", io.BytesIO(body), part_size=4 << 20)
    assert made.get_object(namespace, bucket, "stream").data.content == body
    assert len(seen(AGENT)) >= 6


def test_parts_by_hand(store):
    made, namespace, bucket = store
    models = oci.object_storage.models
    upload = made.create_multipart_upload(
        namespace, bucket, models.CreateMultipartUploadDetails(object="parts"), if_none_match="*"
    ).data
    etags = {}
    for number, body in [(3, b"ccc"), (1, b"old"), (1, b"aaa"), (2, b"bbb"), (9, b"no")]:
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        put = made.upload_part(
            namespace, bucket, "parts", upload.upload_id, number, body, content_md5=digest
        )
        assert put.headers["opc-content-md5"] == digest
        etags[number] = put.headers["etag"]
    listed = oci.pagination.list_call_get_all_results(
        made.list_multipart_upload_parts, namespace, bucket, "parts", upload.upload_id, limit=2
    ).data
    assert [part.part_number for part in listed] == [1, 2, 3, 9]
    commit = models.CommitMultipartUploadDetails(
        parts_to_commit=[
            models.CommitMultipartUploadPartDetails(part_num=n, etag=etags[n]) for n in (1, 2, 3)
        ],
        parts_to_exclude=[9],
    )
    made.commit_multipart_upload(namespace, bucket, "parts", upload.upload_id, commit)
    assert made.get_object(namespace, bucket, "parts").data.content == b"aaabbbccc"
    with pytest.raises(oci.exceptions.ServiceError) as twice:
        made.commit_multipart_upload(namespace, bucket, "parts", upload.upload_id, commit)
    assert twice.value.status == 404
    left = made.create_multipart_upload(
        namespace, bucket, models.CreateMultipartUploadDetails(object="left")
    ).data
    assert [u.object for u in made.list_multipart_uploads(namespace, bucket).data] == ["left"]
    made.abort_multipart_upload(namespace, bucket, "left", left.upload_id)
    assert made.list_multipart_uploads(namespace, bucket).data == []


def test_rename_copy_and_delete(store, seen):
    made, namespace, bucket = store
    models = oci.object_storage.models
    for name in AWKWARD:
        made.put_object(namespace, bucket, name, name.encode())
        new = f"moved/{name}"
        made.rename_object(
            namespace,
            bucket,
            models.RenameObjectDetails(
                source_name=name, new_name=new, new_obj_if_none_match_e_tag="*"
            ),
        )
        assert made.get_object(namespace, bucket, new).data.content == name.encode()
    copied = made.copy_object(
        namespace,
        bucket,
        models.CopyObjectDetails(
            source_object_name=f"moved/{AWKWARD[0]}",
            destination_region="us-ashburn-1",
            destination_namespace=namespace,
            destination_bucket=bucket,
            destination_object_name="copy",
        ),
    )
    work = copied.headers["opc-work-request-id"]
    ended = oci.wait_until(made, made.get_work_request(work), "status", "COMPLETED")
    assert ended.data.percent_complete == 100.0
    assert made.get_object(namespace, bucket, "copy").data.content == AWKWARD[0].encode()
    names = [o.name for o in made.list_objects(namespace, bucket).data.objects]
    assert sorted(names) == sorted([*(f"moved/{name}" for name in AWKWARD), "copy"])
    gone = made.batch_delete_objects(
        namespace,
        bucket,
        models.BatchDeleteObjectsDetails(
            objects=[models.BatchDeleteObjectIdentifier(object_name=n) for n in [*names, "none"]]
        ),
    ).data
    assert (len(gone.deleted), [f.object_name for f in gone.failed]) == (len(names), ["none"])
    assert made.list_objects(namespace, bucket).data.objects == []
    assert len(seen(AGENT)) >= 3 * len(AWKWARD)


def test_pre_authenticated_requests(server, store):
    made, namespace, bucket = store
    models = oci.object_storage.models
    made.put_object(namespace, bucket, "a b/c", b"hello")
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    par = made.create_preauthenticated_request(
        namespace,
        bucket,
        models.CreatePreauthenticatedRequestDetails(
            name="p", access_type="ObjectRead", object_name="a b/c", time_expires=later
        ),
    ).data
    assert requests.get(server.oci["endpoint"] + par.access_uri).content == b"hello"
    assert requests.get(par.full_path).content == b"hello"
    assert requests.put(par.full_path, data=b"x").status_code == 404
    assert [p.id for p in made.list_preauthenticated_requests(namespace, bucket).data] == [par.id]
    assert made.get_preauthenticated_request(namespace, bucket, par.id).data.name == "p"
    made.delete_preauthenticated_request(namespace, bucket, par.id)
    assert requests.get(par.full_path).status_code == 404
