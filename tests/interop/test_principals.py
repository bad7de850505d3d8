# SPDX-License-Identifier: Apache-2.0
"""Oracle's Python SDK as every principal that it knows, against the emulator's identity endpoints.

Each principal is refused first: with what it must not get a token for, with its token and another key, and with a token
that has expired. Then it reads an object. The last test counts in the server's record what the SDK asked for.
"""

from __future__ import annotations

import base64
import collections
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import oci
import pytest
from cryptography import x509
from oci._vendor import requests
from oci.auth import auth_utils
from oci.auth.rpt_path_providers import StringRptPathProvider
from oci.auth.signers import (
    InstancePrincipalsDelegationTokenSigner,
    InstancePrincipalsSecurityTokenSigner,
    SecurityTokenSigner,
    get_oke_workload_identity_resource_principal_signer,
    get_resource_principals_signer,
    resource_principals_signer,
)
from oci.auth.signers.oauth_exhange_token_signer import OauthExchangeTokenSigner
from oci.auth.signers.token_exchange_signer import TokenExchangeSigner
from oci.circuit_breaker import NoCircuitBreakerStrategy
from oci.exceptions import ServiceError
from oci.object_storage import ObjectStorageClient
from oci.object_storage.models import CreateBucketDetails

import serving

SHARED = Path(__file__).parents[3] / "shared" / "vectors" / "oci-auth-exchanges.json"
BODY = b"read by a principal"

# At least so many requests of each kind, or the SDK was not at work.
COMMITTED = {
    "GET /opc/v2/identity/cert.pem": 10,
    "GET /opc/v2/identity/key.pem": 10,
    "GET /opc/v2/identity/intermediate.pem": 10,
    "GET /opc/v2/instance/region": 5,
    "POST /v1/x509": 7,
    "GET /20180711/resourcePrincipalToken/": 1,
    "GET /20180711/resourcePrincipalTokenV2/": 2,
    "GET /20180711/resourcePrincipalTokenV212/": 1,
    "POST /v1/resourcePrincipalSessionToken": 4,
    "POST /v1/authentication/refresh": 1,
    "POST /oauth2/v1/token": 2,
    "POST /v1/oauth2/scoped": 2,
    "POST /resourcePrincipalSessionTokens": 2,
    "GET /n/": 20,
}


@pytest.fixture(scope="module")
def server():
    """One of its own: tokens are made to expire."""
    with serving.serve() as running:
        of_profile(running).put_object(running.oci["namespace"], "demo", "object", BODY)
        yield running


@pytest.fixture(autouse=True)
def own_world(server, monkeypatch):
    """No variable of one principal is another's, no file's token has expired in another test, and the SDK's default
    retries hide nothing."""
    for what in ("session", "resource", "delegation"):
        server.admin("POST", "/principals/rotate", {"what": what})
    for name in list(os.environ):
        if name.startswith(("OCI_RESOURCE_PRINCIPAL", "OCI_METADATA", "OCI_KUBERNETES", "KUBERNETES_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(oci.retry, "DEFAULT_RETRY_STRATEGY", oci.retry.NoneRetryStrategy())


def client(server, signer) -> ObjectStorageClient:
    return of_config(server, {"region": server.oci["region"]}, signer=signer)


def of_profile(server, profile: str = "DEFAULT") -> ObjectStorageClient:
    return of_config(server, oci.config.from_file(server.oci["config_file"], profile))


def of_config(server, config: dict, **options) -> ObjectStorageClient:
    return ObjectStorageClient(
        config,
        service_endpoint=server.oci["endpoint"],
        retry_strategy=oci.retry.NoneRetryStrategy(),
        circuit_breaker_strategy=NoCircuitBreakerStrategy(),
        **options,
    )


def read(server, signer) -> bytes:
    return client(server, signer).get_object(server.oci["namespace"], "demo", "object").data.content


def wrong_key(server):
    return oci.signer.load_private_key_from_file(Path(server.oci["config_file"]).with_name("wrong_key.pem"))


def set_variables(server, monkeypatch, name: str) -> dict[str, str]:
    variables = server.identity["environment"][name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return variables


# Each principal as users of the SDK make it


def instance(server, monkeypatch, kind=InstancePrincipalsSecurityTokenSigner, **options):
    variables = set_variables(server, monkeypatch, "instance")
    return kind(
        federation_endpoint=variables["OCI_CLI_FEDERATION_ENDPOINT"],
        retry_strategy=oci.retry.NoneRetryStrategy(),
        federation_client_retry_strategy=oci.retry.NoneRetryStrategy(),
        federation_client_circuit_breaker_strategy=NoCircuitBreakerStrategy(),
        **options,
    )


def delegated_instance(server, monkeypatch):
    token = Path(server.oci["config_file"]).with_name("delegation_token").read_text()
    return instance(server, monkeypatch, InstancePrincipalsDelegationTokenSigner, delegation_token=token)


def resource_by_files(server, monkeypatch):
    set_variables(server, monkeypatch, "resource_2.2")
    return get_resource_principals_signer()


def resource_by_values(server, monkeypatch):
    variables = set_variables(server, monkeypatch, "resource_2.2")
    for name in ("OCI_RESOURCE_PRINCIPAL_RPST", "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"):
        monkeypatch.setenv(name, Path(variables[name]).read_text())
    return get_resource_principals_signer()


def resource_by_key(version: str):
    def make(server, monkeypatch):
        set_variables(server, monkeypatch, f"resource_{version}")
        return get_resource_principals_signer()

    return make


def resource_by_instance(server, monkeypatch):
    """The SDK takes the endpoint of the instance's federation from the region alone, and asks 169.254.169.254 for a path
    that it is not given: both are given here."""
    variables = set_variables(server, monkeypatch, "resource_1.1")
    real = oci.regions.endpoint_for

    def endpoint_for(service, *arguments, **options):
        return server.identity["endpoint"] if service == "auth" else real(service, *arguments, **options)

    monkeypatch.setattr(oci.regions, "endpoint_for", endpoint_for)
    path = f"/20180711/resourcePrincipalToken/{variables['OCI_RESOURCE_PRINCIPAL_RPT_ID']}"
    return get_resource_principals_signer(resource_principal_token_path_provider=StringRptPathProvider(path))


def session(server, monkeypatch=None):
    config = oci.config.from_file(server.oci["config_file"], "SESSION")
    token = Path(config["security_token_file"]).read_text()
    return SecurityTokenSigner(token, oci.signer.load_private_key_from_file(config["key_file"]))


def domain(server, monkeypatch=None, **changed):
    of = server.identity["domain"]
    subject = Path(of["subject_token_file"]).read_text()
    given = {"jwt_or_func": lambda: subject, "client_id": of["client_id"], "client_secret": of["client_secret"]}
    return TokenExchangeSigner(**(given | changed), oci_domain_url=server.identity["endpoint"])


def scoped(server, monkeypatch):
    return OauthExchangeTokenSigner(
        instance(server, monkeypatch),
        scope="objectstorage_read_urn-emulator",
        target_compartment=server.oci["compartment"],
        oauth_token_endpoint=f"{server.identity['endpoint']}/v1/oauth2/scoped",
    )


def workload(server, monkeypatch, **options):
    set_variables(server, monkeypatch, "workload")
    # The SDK knows one port; the emulator has any.
    port = server.identity["tls_endpoint"].rsplit(":", 1)[1]
    monkeypatch.setattr(resource_principals_signer, "OCI_KUBERNETES_PROXYMUX_SERVICE_PORT", port)
    given = {"service_account_token_path": server.identity["service_account_token_file"]}
    return get_oke_workload_identity_resource_principal_signer(**(given | options))


@dataclass(frozen=True)
class Principal:
    name: str
    make: Callable
    # What must be renewed when all tokens have expired; where it is nothing, the SDK asks for another token after a 401.
    renewed: tuple[str, ...] = ()


PRINCIPALS = [
    Principal("instance", instance),
    Principal("delegated instance", delegated_instance, ("delegation",)),
    Principal("resource 1.1", resource_by_instance),
    Principal("resource 2.1", resource_by_key("2.1")),
    Principal("resource 2.1.1", resource_by_key("2.1.1")),
    Principal("resource 2.1.2", resource_by_key("2.1.2")),
    Principal("resource 2.2 by files", resource_by_files, ("resource",)),
    Principal("resource 2.2 by values", resource_by_values, ("resource",)),
    Principal("session", session, ("session",)),
    Principal("identity domain", domain),
    Principal("scoped", scoped),
    Principal("workload", workload),
]


@pytest.mark.parametrize("principal", PRINCIPALS, ids=lambda principal: principal.name)
def test_a_principal_is_refused_and_then_reads(server, seen, monkeypatch, principal):
    signer = principal.make(server, monkeypatch)
    token = signer.api_key.removeprefix("ST$")

    # Its token and another's key.
    with pytest.raises(ServiceError) as caught:
        read(server, SecurityTokenSigner(token, wrong_key(server)))
    assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")
    assert read(server, SecurityTokenSigner(token, signer.private_key)) == BODY
    assert read(server, signer) == BODY

    # Its token when it has expired.
    server.admin("POST", "/principals/expire")
    with pytest.raises(ServiceError) as caught:
        read(server, SecurityTokenSigner(token, signer.private_key))
    assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")
    for what in principal.renewed:
        server.admin("POST", "/principals/rotate", {"what": what})
        signer = principal.make(server, monkeypatch)
    if principal.make is domain:
        # Of these the SDK asks no other after a 401.
        signer.refresh_security_token()
    assert read(server, signer) == BODY
    assert signer.api_key.removeprefix("ST$") != token
    statuses = [line["status"] for line in seen() if line["target"].startswith("/n/")]
    assert statuses[:4] == [401, 200, 200, 401] and statuses[-1] == 200


def test_a_resource_whose_files_are_renewed_is_read_again(server, monkeypatch):
    signer = resource_by_files(server, monkeypatch)
    server.admin("POST", "/principals/expire")
    with pytest.raises(ServiceError) as caught:
        read(server, signer)
    assert caught.value.status == 401
    server.admin("POST", "/principals/rotate", {"what": "resource"})
    assert read(server, signer) == BODY


def test_metadata_wants_its_bearer(server, monkeypatch):
    monkeypatch.setattr(InstancePrincipalsSecurityTokenSigner, "METADATA_AUTH_HEADERS", {"Authorization": "Bearer Other"})
    with pytest.raises(Exception) as caught:
        instance(server, monkeypatch)
    assert "401" in str(caught.value)


def test_a_certificate_is_refused_with_another_key(server, monkeypatch):
    signer = instance(server, monkeypatch)
    key = wrong_key(server)
    monkeypatch.setattr(signer.leaf_certificate_retriever, "get_private_key", lambda: key)
    with pytest.raises(ServiceError) as caught:
        signer.refresh_security_token()
    assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")


def test_a_rotated_certificate_is_fetched_again(server, monkeypatch):
    signer = instance(server, monkeypatch)
    first = signer.leaf_certificate_retriever.get_certificate_as_certificate()
    server.admin("POST", "/principals/rotate", {"what": "instance"})
    server.admin("POST", "/principals/expire")
    assert read(server, signer) == BODY
    assert signer.leaf_certificate_retriever.get_certificate_as_certificate() != first


def test_a_resource_with_another_key_gets_no_token(server, monkeypatch):
    set_variables(server, monkeypatch, "resource_2.1.1")
    file = Path(server.oci["config_file"]).with_name("wrong_key.pem")
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", str(file))
    with pytest.raises(ServiceError) as caught:
        get_resource_principals_signer()
    assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")


def test_an_exchange_wants_the_secret_and_a_good_token(server):
    for changed, status in [({"client_secret": "wrong"}, 401), ({"jwt_or_func": "a.b.c"}, 400)]:
        with pytest.raises(requests.HTTPError) as caught:
            domain(server, **changed)
        assert caught.value.response.status_code == status


def test_a_pod_wants_its_own_token_and_the_clusters_authority(server, monkeypatch, tmp_path):
    old = Path(server.identity["service_account_token_file"]).read_text()
    server.admin("POST", "/principals/rotate", {"what": "service_account"})
    with pytest.raises(ServiceError) as caught:
        workload(server, monkeypatch, service_account_token=old)
    assert caught.value.status == 401
    # The certificate of another authority: that of the instance.
    set_variables(server, monkeypatch, "instance")
    other = tmp_path / "ca.crt"
    other.write_bytes(instance(server, monkeypatch).intermediate_certificate_retriever.get_certificate_raw())
    environment = server.identity["environment"]["workload"]
    monkeypatch.setitem(environment, "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH", str(other))
    with pytest.raises(requests.exceptions.SSLError):
        workload(server, monkeypatch)


def refresh(server, signer, token: str):
    """As Oracle's CLI refreshes a session."""
    return requests.post(
        f"{server.identity['endpoint']}/v1/authentication/refresh",
        headers={"content-type": "application/json"},
        data=json.dumps({"currentToken": token}),
        auth=signer,
    )


def test_a_session_is_refreshed_until_it_has_expired(server):
    server.admin("POST", "/principals/rotate", {"what": "session"})
    signer = session(server)
    token = signer.api_key.removeprefix("ST$")
    assert refresh(server, SecurityTokenSigner(token, wrong_key(server)), token).status_code == 401
    fresh = refresh(server, signer, token).json()["token"]
    assert fresh != token
    assert read(server, SecurityTokenSigner(fresh, signer.private_key)) == BODY
    server.admin("POST", "/principals/expire")
    refused = refresh(server, SecurityTokenSigner(fresh, signer.private_key), fresh)
    assert (refused.status_code, refused.json()["code"]) == (401, "NotAuthenticated")


def test_the_sdk_asks_again_before_a_short_token_ends(server, monkeypatch, seen):
    """A token that lives for less than the SDK's minute is renewed for each request."""
    server.admin("PUT", "/principals/lifetime", {"seconds": 30})
    try:
        signer = instance(server, monkeypatch)
        tokens = set()
        for _ in range(3):
            assert read(server, signer) == BODY
            tokens.add(signer.api_key)
    finally:
        server.admin("PUT", "/principals/lifetime", {"seconds": 1200})
    assert len(tokens) == 3
    assert all(line["status"] == 200 for line in seen())


def test_policies_refuse_by_bucket_and_verb(server, monkeypatch):
    signer = instance(server, monkeypatch)
    namespace, principal = server.oci["namespace"], server.identity["instance"]
    owner = of_profile(server)
    details = CreateBucketDetails(name="closed", compartment_id=server.oci["compartment"])
    owner.create_bucket(namespace, details)
    own = client(server, signer)

    def refused(code, call, *arguments):
        with pytest.raises(ServiceError) as caught:
            call(*arguments)
        assert (caught.value.status, caught.value.code) == (404, code)

    statement = {"principal": principal, "verb": "read", "resource": "objects", "bucket": "demo"}
    try:
        server.admin("PUT", "/policies", [statement])
        assert own.get_object(namespace, "demo", "object").data.content == BODY
        assert own.list_objects(namespace, "demo").data.objects
        refused("BucketNotFound", own.put_object, namespace, "demo", "object", b"x")
        refused("BucketNotFound", own.list_objects, namespace, "closed")
        refused("BucketNotFound", own.get_bucket, namespace, "demo")
        refused("NamespaceNotFound", own.list_buckets, namespace, server.oci["compartment"])
        assert owner.get_bucket(namespace, "closed").status == 200
    finally:
        server.admin("DELETE", "/policies")
    assert own.get_bucket(namespace, "closed").status == 200


def test_users_have_keys_and_tenancies_of_their_own(server):
    tenancy = "ocid1.tenancy.oc1..aaaaaaaaanother"
    user = json.loads(server.admin("POST", "/users", {"profile": "BOB", "tenancy": tenancy}))
    config = oci.config.from_file(server.oci["config_file"], "BOB")
    assert (config["tenancy"], config["user"], config["fingerprint"]) == (tenancy, user["user"], user["fingerprint"])
    bob = of_profile(server, "BOB")
    assert bob.get_namespace().data == user["namespace"] != server.oci["namespace"]
    with pytest.raises(ServiceError) as caught:
        bob.get_object(server.oci["namespace"], "demo", "object")
    assert (caught.value.status, caught.value.code) == (404, "BucketNotFound")


# What was recorded of the SDK and of a server that it was content with


def jwt_parts(token: str) -> tuple[dict, dict]:
    def part(text):
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    header, claims, _ = token.split(".")
    return part(header), part(claims)


def kind_of(exchange: dict) -> str:
    """Method and target, without what names one resource."""
    return re.sub(r"(/resourcePrincipalToken[^/]*/).*", r"\1", f"{exchange['method']} {exchange['target']}")


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict]:
    if not SHARED.exists():
        told = f"{SHARED.name} is not in ../shared/vectors"
        assert os.environ.get("CI") != "true", told
        pytest.skip(told)
    return {kind_of(exchange): exchange for exchange in json.loads(SHARED.read_text())}


class Answers:
    """What the SDK's sessions are answered, by kind."""

    def __init__(self, monkeypatch) -> None:
        self.seen: dict[str, requests.Response] = {}
        send = requests.Session.send

        def sent(session, request, **options):
            response = send(session, request, **options)
            self.seen[kind_of({"method": request.method.upper(), "target": request.path_url})] = response
            return response

        monkeypatch.setattr(requests.Session, "send", sent)


def test_answers_have_the_shape_of_those_recorded(server, monkeypatch, recorded):
    answers = Answers(monkeypatch)
    for make in (instance, resource_by_instance, resource_by_key("2.1.1"), workload):
        make(server, monkeypatch)
    assert set(answers.seen) >= set(recorded)
    for kind, exchange in recorded.items():
        ours, theirs = answers.seen[kind], exchange["response"]
        headers = dict(theirs["headers"])
        assert ours.status_code == theirs["status"], kind
        assert ours.headers["content-type"] == headers["content-type"], kind
        assert ours.headers["opc-request-id"].split(":")[0] == headers["opc-request-id"].split(":")[0]
        # The recording holds the first 600 characters of a body, and none of a key or a certificate.
        if theirs["body"] and len(theirs["body"]) < 600:
            assert ours.json().keys() == json.loads(theirs["body"]).keys(), kind
        elif theirs["body"]:
            assert ours.text[:2] == theirs["body"][:2], kind
    assert answers.seen["GET /opc/v2/instance/region"].text == "iad"


def test_requests_are_those_recorded(server, monkeypatch, recorded):
    """The SDK at hand asks the emulator for what it asked then: else the recording says nothing of it."""
    answers = Answers(monkeypatch)
    instance(server, monkeypatch)
    workload(server, monkeypatch)
    for kind in ("POST /v1/x509", "POST /resourcePrincipalSessionTokens"):
        ours, theirs = json.loads(answers.seen[kind].request.body), json.loads(recorded[kind]["body"])
        assert ours.keys() == theirs.keys(), kind
    text = answers.seen["POST /v1/x509"].request.headers["authorization"]
    assert f'headers="{recorded["POST /v1/x509"]["auth"]["params"]["headers"]}"' in text


def test_certificate_and_claims_have_the_shape_of_those_recorded(server, monkeypatch, recorded):
    signer = instance(server, monkeypatch)

    def described(certificate):
        names = [(part.oid.dotted_string, part.value.split(":")[0]) for part in certificate.subject]
        units = sorted(value for oid, value in names if oid == "2.5.4.11")
        return units, certificate.version, certificate.signature_hash_algorithm.name, certificate.public_key().key_size

    body = json.loads(recorded["POST /v1/x509"]["body"])
    theirs = x509.load_der_x509_certificate(base64.b64decode(body["certificate"]))
    ours = signer.leaf_certificate_retriever.get_certificate_as_certificate()
    assert described(ours) == described(theirs)
    ours.verify_directly_issued_by(signer.intermediate_certificate_retriever.get_certificate_as_certificate())
    assert auth_utils.get_tenancy_id_from_certificate(ours) == server.identity["tenancy"]

    headers = dict(recorded["POST /resourcePrincipalSessionTokens"]["headers"])
    their_header, their_claims = jwt_parts(headers["Authorization"].removeprefix("Bearer "))
    for made in (signer, resource_by_files(server, monkeypatch), workload(server, monkeypatch), domain(server)):
        header, claims = jwt_parts(made.api_key.removeprefix("ST$"))
        assert header.keys() == their_header.keys() and header["alg"] == their_header["alg"]
        assert claims.keys() >= their_claims.keys()
        assert {name: type(claims[name]) for name in their_claims} == {n: type(v) for n, v in their_claims.items()}
        assert json.loads(claims["jwk"]).keys() >= json.loads(their_claims["jwk"]).keys()


def test_the_sdk_did_it(server):
    """Last: what all tests above asked for."""
    counted = collections.Counter()
    for line in server.record():
        if line["status"] == 200:
            kind = kind_of(line)
            counted["GET /n/" if kind.startswith("GET /n/") else kind] += 1
    missing = {kind: (counted[kind], least) for kind, least in COMMITTED.items() if counted[kind] < least}
    assert not missing, f"{missing} of {counted}"
