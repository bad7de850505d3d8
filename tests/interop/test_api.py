# SPDX-License-Identifier: Apache-2.0
"""Nothing is accepted and ignored: every header, parameter and member of a body that boto3 and Oracle's SDK know stands
in the tables that the emulator reads, and each that is refused is sent. It is 501 by its name, and changes nothing."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import awscrt  # noqa: F401  boto3 takes CRC32C and CRC64NVME of it
import boto3
import oci
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from oci.circuit_breaker import NoCircuitBreakerStrategy
from oci.exceptions import ServiceError
from oci.object_storage import ObjectStorageClient, models

import serving
import tables
from tables import Member, OciModel, S3Model, Table

S3, OCI = Table.of("s3"), Table.of("oci")
S3_MODEL, OCI_MODEL = S3Model(), OciModel()
NAME = "x-storescope-refused"
BUCKET, KEY = "judged", "there"


# The tables are whole


@pytest.mark.parametrize("table, model", [(S3, S3_MODEL), (OCI, OCI_MODEL)], ids=["s3", "oci"])
def test_every_operation_and_member_stands_in_the_table(table, model):
    assert sorted(set(model.operations()) - set(table.served()) - set(table.refused())) == []
    missing = [
        member
        for operation in table.served()
        for member in model.members(operation)
        if verdict(table, member) is None
    ]
    assert missing == []


def test_a_member_that_is_new_is_missed():
    """What the judge above would say of a later release."""
    model = S3Model()
    members = model.input("PutObject")["members"]
    members["New"] = {"shape": "ACL", "location": "header", "locationName": "x-amz-new"}
    assert [m.name for m in model.members("PutObject") if verdict(S3, m) is None] == ["x-amz-new"]


def verdict(table: Table, member: Member) -> str | None:
    """What the table says of a member; what lies in a member of a body that is refused is, too."""
    while (row := table.find(member.operation, member.place, member.name)) is None:
        if member.place != "body" or "/" not in member.name:
            return None
        member = Member(member.operation, "body", member.name.rpartition("/")[0], member.argument)
        row = table.find(member.operation, "body", member.name)
        if row and row.verdict != "refused":
            return None
    return row.verdict


# What the protocols have beside the models: signatures, what clients add to every request, and checksums of documents.
BESIDE = {
    "s3": {("PutObjectTagging", "header"), ("DeleteObjects", "header"), ("CompleteMultipartUpload", "header"),
           ("CreateBucket", "header"), ("PutObject", "header"), ("UploadPart", "header"), ("GetObject", "header")},
    "oci": {("HeadBucket", "query")},
}  # fmt: skip


@pytest.mark.parametrize("api, table, model", [("s3", S3, S3_MODEL), ("oci", OCI, OCI_MODEL)], ids=["s3", "oci"])
def test_the_table_has_nothing_that_no_model_has(api, table, model):
    """A line that outlived its member would promise what no client can ask for."""
    known = {(m.operation, m.place, m.name) for name in table.served() for m in model.members(name)}
    stale = [
        (operation, row.place, name)
        for row in table.rows
        if row.place != "operation"
        for operation in row.operations
        if operation != "*"
        for name in row.names
        if (operation, row.place, name) not in known and (operation, row.place) not in BESIDE[api]
    ]
    assert stale == []
    assert set(table.served() + table.refused()) - set(model.operations()) <= {"PostObject"}


@pytest.mark.parametrize("table", [S3, OCI], ids=["s3", "oci"])
def test_what_is_honoured_is_shown_by_a_test(table):
    for row in table.rows:
        if row.verdict in ("honoured", "only"):
            file, _, name = row.shown.partition("::")
            assert name in names_in(file), row
        elif row.verdict == "no effect":
            assert row.shown, row
        else:
            assert (row.verdict, row.shown, row.values) == ("refused", "", ()), row
        assert bool(row.values) == (row.verdict == "only"), row


def names_in(file: str) -> set[str]:
    """The tests of a judge, or of a file of the emulator's own (`wire/NAME`)."""
    if file.startswith("wire/"):
        text = (tables.ROOT / "emulator/tests" / f"{file}.rs").read_text()
        return set(re.findall(r"#\[test\]\n(?:#\[[^\n]*\]\n)*fn (\w+)\(", text))
    return set(re.findall(r"^def (test_\w+)\(", (Path(__file__).parent / f"{file}.py").read_text(), re.MULTILINE))


def test_the_documentation_is_the_tables():
    """`python tests/interop/tables.py > docs/EMULATOR-API.md` makes it so."""
    assert (tables.ROOT / "docs/EMULATOR-API.md").read_text() == tables.document()


# S3


@pytest.fixture(scope="module")
def server():
    with serving.serve() as running:
        yield running


@pytest.fixture(scope="module")
def s3(server):
    ready = server.ready["s3"]
    made = boto3.client(
        "s3",
        endpoint_url=ready["endpoint"],
        region_name=ready["region"],
        aws_access_key_id=ready["access_key_id"],
        aws_secret_access_key=ready["secret_access_key"],
        config=Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 0}, inject_host_prefix=False, parameter_validation=False
        ),
    )
    made.create_bucket(Bucket=BUCKET)
    made.put_object(Bucket=BUCKET, Key=KEY, Body=b"hello", Metadata={"k": "v"})
    made.upload = made.create_multipart_upload(Bucket=BUCKET, Key=KEY)["UploadId"]
    made.upload_part(Bucket=BUCKET, Key=KEY, UploadId=made.upload, PartNumber=1, Body=b"part")
    return made


def s3_state(s3) -> list:
    """All that a request may have changed."""
    def plain(answer: dict) -> dict:
        headers = answer.pop("ResponseMetadata")["HTTPHeaders"]
        kept = {k: v for k, v in headers.items() if k not in ("date", "x-amz-request-id", "x-amz-id-2", "opc-request-id")}
        return {**answer, "headers": kept}

    place = {"Bucket": BUCKET, "Key": KEY}
    return [
        [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
        s3.list_objects_v2(Bucket=BUCKET).get("Contents"),
        plain(s3.head_object(**place)),
        s3.get_object(**place)["Body"].read(),
        s3.get_object_tagging(**place)["TagSet"],
        s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads"),
        s3.list_parts(**place, UploadId=s3.upload).get("Parts"),
    ]


def s3_arguments(s3, operation: str) -> dict:
    """What a call needs to do something."""
    known = {
        "Bucket": BUCKET,
        "Key": KEY,
        "Body": b"changed",
        "UploadId": s3.upload,
        "PartNumber": 1,
        "CopySource": {"Bucket": BUCKET, "Key": KEY},
        "Delete": {"Objects": [{"Key": KEY}]},
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "x"}]},
        "Tagging": {"TagSet": [{"Key": "k", "Value": "changed"}]},
        "ObjectAttributes": ["ETag"],
        "RequestRoute": "route",
        "RequestToken": "token",
    }
    shape = S3_MODEL.input(operation)
    needed = {*shape.get("required", ()), *(("Body",) if "Body" in shape["members"] else ())}
    made = {name: known[name] if name in known else value_of(shape["members"][name]["shape"]) for name in needed}
    if operation == "CreateBucket":
        made["Bucket"] = "another"
    return made


def value_of(shape: str, unlike: tuple[str, ...] = ()):
    """A value of a shape, which is none of these."""
    told = S3_MODEL.shapes[shape]
    match told["type"]:
        case "structure":
            return {name: value_of(told["members"][name]["shape"]) for name in told.get("required", ())}
        case "list":
            return [value_of(told["member"]["shape"])]
        case "map":
            return {"k": "v"}
        case "boolean":
            return True
        case "integer" | "long":
            return 1
        case "timestamp":
            return datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
        case "blob":
            return b"x"
        case _:
            return next((value for value in told.get("enum", ()) if value not in unlike), "x" * 32)


def s3_refusals() -> list[tuple[Member, object]]:
    """Each member that is refused, and each value of one that is taken with others only."""
    found = []
    for operation in S3.served():
        for member in filter(lambda member: member.argument, S3_MODEL.members(operation)):
            row = S3.find(operation, member.place, member.name)
            shape = S3_MODEL.shape_of(member)
            if row and row.verdict == "refused":
                found.append((member, None))
            elif row and row.verdict == "only":
                values = shape.get("enum") or ([True] if shape["type"] == "boolean" else ["other"])
                # boto3 has no MD5 as a checksum, and sends nothing.
                allowed = {value.lower() for value in (*row.values, "MD5")}
                found += [(member, value) for value in values if str(value).lower() not in allowed]
    return found


def call(s3, operation: str, arguments: dict) -> ClientError:
    with pytest.raises(ClientError) as caught:
        s3._make_api_call(operation, arguments)
    return caught.value


def check_refusal(error: ClientError, names: set[str], method: str = "GET") -> None:
    answer = error.response
    status, headers = (answer["ResponseMetadata"][key] for key in ("HTTPStatusCode", "HTTPHeaders"))
    assert (status, headers.get(NAME) in names) == (501, True), (answer, names)
    if method != "HEAD":
        assert answer["Error"]["Code"] == "NotImplemented"
        assert "not implemented" in answer["Error"]["Message"]
        elements = (answer["Error"].get(element) for element in ("Operation", "Header", "ArgumentName", "Element"))
        assert headers[NAME] in elements, answer


def inserted(s3, member: Member, value) -> dict:
    """The arguments of a call that has a member, wherever in them it stands."""
    arguments = s3_arguments(s3, member.operation)
    shape, within = S3_MODEL.input(member.operation), arguments
    for argument in member.argument[:-1]:
        shape = S3_MODEL.shapes[shape["members"][argument]["shape"]]
        below = within.setdefault(argument, {} if shape["type"] == "structure" else [{}])
        if shape["type"] == "list":
            shape, below = S3_MODEL.shapes[shape["member"]["shape"]], below[0]
        within = below
    last = member.argument[-1]
    target = shape["members"][last]["shape"]
    if value is None:
        within[last] = value_of(target)
    else:
        within[last] = [value] if S3_MODEL.shapes[target]["type"] == "list" else value
    return arguments


@pytest.mark.parametrize(
    "member, value", s3_refusals(), ids=lambda x: f"{x.operation}-{x.name}" if isinstance(x, Member) else str(x)
)
def test_s3_refuses_by_name(s3, member, value):
    before = s3_state(s3)
    error = call(s3, member.operation, inserted(s3, member, value))
    # boto3 adds the MD5 of a customer's key.
    names = {member.name, re.sub("customer-key$", "customer-key-md5", member.name)}
    check_refusal(error, names, S3_MODEL.model["operations"][member.operation]["http"]["method"])
    assert s3_state(s3) == before


# boto3 has no PostObject, and signs these for services of their own.
ELSEWHERE = {"PostObject", "ListDirectoryBuckets", "CreateSession", "WriteGetObjectResponse"}


@pytest.mark.parametrize("operation", sorted(set(S3.refused()) - ELSEWHERE))
def test_s3_refuses_operations_by_name(s3, operation):
    before = s3_state(s3)
    error = call(s3, operation, s3_arguments(s3, operation))
    _, _, query = S3_MODEL.model["operations"][operation]["http"]["requestUri"].partition("?")
    # Operations that came after the crate that routes are taken for older ones, with a parameter that these have not.
    parameters = re.findall(r"[\w-]+(?==|&|$)", query)
    unknown = {f"{method} ?{parameter}" for method in ("GET", "PUT", "POST") for parameter in parameters}
    check_refusal(error, {operation, *parameters} | unknown | ALIASES.get(operation, set()))
    assert s3_state(s3) == before


# Names of one operation by two paths of the model.
ALIASES = {
    "GetBucketLifecycle": {"GetBucketLifecycleConfiguration"},
    "PutBucketLifecycle": {"PutBucketLifecycleConfiguration"},
    "GetBucketNotification": {"GetBucketNotificationConfiguration"},
    "PutBucketNotification": {"PutBucketNotificationConfiguration"},
    "ListBucketAnalyticsConfigurations": {"GetBucketAnalyticsConfiguration"},
}


@pytest.mark.parametrize("operation", S3.served())
@pytest.mark.parametrize("place", ["header", "query", "presigned header"])
def test_s3_refuses_what_it_does_not_know(s3, operation, place):
    """What a later release brings is refused, not ignored."""
    name = {"header": "x-amz-new-thing", "query": "new-thing", "presigned header": "X-Amz-New-Thing"}[place]

    def add(request, **_):
        if place == "header":
            request.headers[name] = "1"
        else:
            request.url += ("&" if "?" in request.url else "?") + name + "=1"

    before = s3_state(s3)
    s3.meta.events.register_last(f"before-sign.s3.{operation}", add, unique_id="judge")
    try:
        error = call(s3, operation, s3_arguments(s3, operation))
    finally:
        s3.meta.events.unregister(f"before-sign.s3.{operation}", unique_id="judge")
    check_refusal(error, {name.lower()}, S3_MODEL.model["operations"][operation]["http"]["method"])
    assert s3_state(s3) == before


def test_s3_refuses_conditions_that_an_operation_has_not(s3):
    def add(request, **_):
        request.headers["If-Match"] = "x"

    before = s3_state(s3)
    for operation in ("UploadPart", "ListObjectsV2", "CreateMultipartUpload", "DeleteBucket", "PutObjectTagging"):
        s3.meta.events.register_last(f"before-sign.s3.{operation}", add, unique_id="judge")
        try:
            check_refusal(call(s3, operation, s3_arguments(s3, operation)), {"if-match"})
        finally:
            s3.meta.events.unregister(f"before-sign.s3.{operation}", unique_id="judge")
    assert s3_state(s3) == before


def test_s3_refuses_members_of_documents_that_it_does_not_know(s3):
    def add(params, **_):
        params["body"] = params["body"].replace(b"<Key>", b"<New>1</New><Key>")

    before = s3_state(s3)
    s3.meta.events.register("before-call.s3.DeleteObjects", add, unique_id="judge")
    try:
        error = call(s3, "DeleteObjects", s3_arguments(s3, "DeleteObjects"))
    finally:
        s3.meta.events.unregister("before-call.s3.DeleteObjects", unique_id="judge")
    assert error.response["Error"]["Code"] in ("MalformedXML", "BadDigest", "SignatureDoesNotMatch"), error.response
    assert s3_state(s3) == before


def test_forms_are_refused(s3):
    before = s3_state(s3)
    form = s3.generate_presigned_post(BUCKET, "posted")
    answer = requests.post(form["url"], data=form["fields"], files={"file": b"hello"})
    assert (answer.status_code, answer.headers[NAME]) == (501, "PostObject")
    assert s3_state(s3) == before


# OCI's native API


@pytest.fixture(scope="module")
def native(server):
    config = oci.config.from_file(server.oci["config_file"])
    made = ObjectStorageClient(
        config,
        service_endpoint=server.oci["endpoint"],
        retry_strategy=oci.retry.NoneRetryStrategy(),
        circuit_breaker_strategy=NoCircuitBreakerStrategy(),
    )
    made.namespace = server.oci["namespace"]
    made.create_bucket(
        made.namespace, models.CreateBucketDetails(name="native", compartment_id=server.oci["compartment"])
    )
    made.put_object(made.namespace, "native", KEY, b"hello")
    details = models.CreateMultipartUploadDetails(object=KEY)
    made.upload = made.create_multipart_upload(made.namespace, "native", details).data.upload_id
    made.upload_part(made.namespace, "native", KEY, made.upload, 1, b"part")
    return made


def native_state(native) -> list:
    place = (native.namespace, "native")
    head = native.head_object(*place, KEY).headers
    pars = native.list_preauthenticated_requests(*place).data
    return [
        [bucket.name for bucket in native.list_buckets(native.namespace, native.base_client.config["tenancy"]).data],
        str(native.get_bucket(*place).data),
        str(native.list_objects(*place, fields="name,size,etag,md5,timeModified,storageTier").data),
        {key: head[key] for key in head if key not in ("date", "opc-request-id", "opc-client-request-id")},
        str(native.list_multipart_uploads(*place).data),
        str(native.list_multipart_upload_parts(*place, KEY, native.upload).data),
        [par.id for par in pars],
    ]


def native_arguments(native, operation: str) -> dict:
    known = {
        "namespace_name": native.namespace,
        "bucket_name": "native",
        "object_name": KEY,
        "upload_id": native.upload,
        "upload_part_num": 1,
        "compartment_id": native.base_client.config["tenancy"],
    }
    node = OCI_MODEL.methods[operation]
    names = [argument.arg for argument in node.args.args[1:]]
    bodies = {m.argument[0]: m for m in OCI_MODEL.members(operation) if m.place == "body"}
    return {name: known.get(name, "x") if name not in bodies else body_of(operation, name) for name in names}


def body_of(operation: str, argument: str):
    doc = tables.ast.get_docstring(OCI_MODEL.methods[operation])
    model = re.search(rf":param oci\.object_storage\.models\.(\w+) {argument}:", doc)
    return getattr(models, model.group(1))() if model else b"changed"


def native_refusals() -> list[tuple[Member, object]]:
    found = []
    for operation in OCI.served():
        for member in filter(lambda member: member.argument, OCI_MODEL.members(operation)):
            row = OCI.find(operation, member.place, member.name)
            if row and row.verdict in ("refused", "only"):
                values = VALUES.get(member.name, ["x"])
                found += [(member, value) for value in values if member.place != "body" or is_known(member, value)]
    return found


def is_known(member: Member, value) -> bool:
    """Whether the SDK's own model lets a member have a value."""
    try:
        setattr(body_of(member.operation, member.argument[0]), member.argument[1], value)
    except ValueError:
        return False
    return True


# Values that the SDK's models know beside those that are honoured.
VALUES = {
    "objectEventsEnabled": [True],
    "isBucketKeyEnabled": [True],
    "versioning": ["Enabled", "Suspended"],
    "autoTiering": ["InfrequentAccess"],
    "bucketScope": ["REGION"],
}


def native_call(native, operation: str, arguments: dict) -> ServiceError:
    method = getattr(native, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())
    with pytest.raises(ServiceError) as caught:
        method(**arguments)
    return caught.value


def check_native(error: ServiceError, name: str, head: bool = False) -> None:
    assert (error.status, error.headers.get(NAME, name if not head else None)) == (501, name), error
    if not head:
        assert (error.code, name in error.message) == ("NotImplemented", True), error


@pytest.mark.parametrize(
    "member, value", native_refusals(), ids=lambda x: f"{x.operation}-{x.name}" if isinstance(x, Member) else str(x)
)
def test_oci_refuses_by_name(native, member, value):
    before = native_state(native)
    arguments = native_arguments(native, member.operation)
    if member.place == "body":
        setattr(arguments[member.argument[0]], member.argument[1], value)
    else:
        arguments[member.argument[0]] = value
    error = native_call(native, member.operation, arguments)
    check_native(error, member.name, head=member.operation.startswith("Head"))
    assert native_state(native) == before


@pytest.mark.parametrize("operation", sorted(OCI.refused()))
def test_oci_refuses_operations_by_name(native, operation):
    before = native_state(native)
    check_native(native_call(native, operation, native_arguments(native, operation)), operation)
    assert native_state(native) == before


@pytest.mark.parametrize("operation", OCI.served())
@pytest.mark.parametrize("place", ["header", "query"])
def test_oci_refuses_what_it_does_not_know(native, operation, place):
    before = native_state(native)
    places = {"namespaceName": native.namespace, "bucketName": "native", "objectName": KEY, "parId": "x", "workRequestId": "x"}
    path = re.sub(r"\{(\w+)\}", lambda match: places[match[1]], OCI_MODEL.text(operation, "resource_path"))
    method = OCI_MODEL.text(operation, "method")
    answer = requests.request(
        method,
        native.base_client.endpoint + path,
        params={"newThing": "1"} if place == "query" else {},
        headers={"opc-new-thing": "1"} if place == "header" else {},
        data=b"{}" if method in ("POST", "PUT") else None,
        auth=native.base_client.signer if operation not in ("PutObject", "UploadPart") else Unhashed(native),
    )
    name = {"header": "opc-new-thing", "query": "newThing"}[place]
    assert (answer.status_code, answer.headers[NAME]) == (501, name), answer.text
    assert native_state(native) == before


class Unhashed(requests.auth.AuthBase):
    """PutObject and UploadPart are signed without their body."""

    def __init__(self, native):
        self.signer = native.base_client.signer

    def __call__(self, request):
        return self.signer.do_request_sign(request, enforce_content_headers=False)


def test_oci_refuses_members_that_it_does_not_know(native):
    before = native_state(native)
    url = f"{native.base_client.endpoint}/n/{native.namespace}/b/native"
    for body, named in (
        ({"newThing": 1}, "newThing"),
        ({"storageTier": "Archive"}, "storageTier"),
    ):
        answer = requests.post(url, json=body, auth=native.base_client.signer)
        assert (answer.status_code, answer.json()["code"]) == (400, "InvalidParameter")
        assert named in answer.json()["message"]
    # A null is none: Java's SDK sends them.
    assert requests.post(url, json={"newThing": None}, auth=native.base_client.signer).status_code == 200
    after = native_state(native)
    assert [*before[:1], *before[2:]] == [*after[:1], *after[2:]]
