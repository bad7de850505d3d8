# SPDX-License-Identifier: Apache-2.0
"""No output of the command line holds what it signs with: keys, passphrases, tokens, passwords, and signatures that
another could send again.

Every kind of principal succeeds and fails, with the log at its lowest level. Searched are standard output and error, all
files that commands write (runs, reports, logs of histograms, traces, pushes to an OTLP receiver), the scrape endpoint, and
what a process that is aborted leaves.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import resource
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

import exporting
import needles
import serving

PASSPHRASE = "correct horse battery+staple/\"'"
PASSWORD = "pa55word-of-the-proxy"
S3_TOKEN = "FwoGZXIvYXdzEXAMPLEsession/token+of=s3"
WRONG_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@dataclasses.dataclass
class Kind:
    """A principal by its environment, and what of it is secret besides the server's files."""

    environment: dict[str, str]
    secrets: tuple[str, ...] = ()
    works: bool = True
    signs: bool = True
    url: str = ""


@pytest.fixture(scope="module")
def server() -> Iterator[serving.Server]:
    """One of its own: tokens are made to expire."""
    with serving.serve("--bucket", "secrets") as running:
        yield running


@dataclasses.dataclass
class Place:
    server: serving.Server
    store: needles.Relay
    identity: needles.Relay
    s3: needles.Relay
    folder: Path

    @property
    def state(self) -> Path:
        return Path(self.server.oci["config_file"]).parent

    @property
    def relays(self) -> tuple[needles.Relay, ...]:
        return self.store, self.identity, self.s3


@pytest.fixture
def place(server, tmp_path) -> Iterator[Place]:
    with (
        needles.relayed(server.oci["endpoint"]) as store,
        needles.relayed(server.identity["endpoint"]) as identity,
        needles.relayed(server.ready["s3"]["endpoint"]) as s3,
    ):
        for what in ("session", "resource", "delegation", "service_account"):
            server.admin("POST", "/principals/rotate", {"what": what})
        yield Place(server, store, identity, s3, tmp_path)


# The kinds


def profile(name: str, works: bool = True):
    def make(place: Place) -> Kind:
        environment = {"STORESCOPE_CONFIG_FILE": place.server.oci["config_file"], "STORESCOPE_PROFILE": name}
        return Kind(environment, works=works)

    return make


def of_another_key(place: Place) -> Kind:
    """An old token, whose key was replaced with the new session's."""
    kind = profile("EXPIRED", works=False)(place)
    kind.signs = False
    return kind


def encrypted(place: Place) -> bytes:
    key = serialization.load_pem_private_key((place.state / "key.pem").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


def default_profile(place: Place) -> dict[str, str]:
    text = Path(place.server.oci["config_file"]).read_text().split("[DEFAULT]")[1].split("[")[0]
    return dict(re.findall(r"(?m)^(\w+)\s*=\s*(.+)$", text))


def passphrase_of_a_profile(place: Place, passphrase: str = PASSPHRASE) -> Kind:
    key, config = place.folder / "locked_key.pem", place.folder / "config"
    key.write_bytes(encrypted(place))
    key.chmod(0o600)
    values = default_profile(place) | {"key_file": str(key), "pass_phrase": passphrase}
    config.write_text("[DEFAULT]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    # These two are what the test wrote, and no output.
    pem = key.read_text()
    return Kind({"STORESCOPE_CONFIG_FILE": str(config)}, (passphrase, pem), works=passphrase == PASSPHRASE)


def wrong_passphrase(place: Place) -> Kind:
    kind = passphrase_of_a_profile(place, "another passphrase than that")
    kind.signs = False
    return kind


def key_in_the_environment(place: Place) -> Kind:
    values, pem = default_profile(place), encrypted(place).decode()
    environment = {f"STORESCOPE_{name.upper()}": values[name] for name in ("tenancy", "user", "fingerprint")}
    return Kind(environment | {"STORESCOPE_KEY_CONTENT": pem, "STORESCOPE_PASS_PHRASE": PASSPHRASE}, (PASSPHRASE, pem))


def malformed_key(place: Place) -> Kind:
    """Half a key: the error must not quote what does not parse."""
    values, pem = default_profile(place), (place.state / "key.pem").read_text()
    environment = {f"STORESCOPE_{name.upper()}": values[name] for name in ("tenancy", "user", "fingerprint")}
    half = "\n".join(pem.splitlines()[:8])
    return Kind(environment | {"STORESCOPE_KEY_CONTENT": half}, works=False, signs=False)


def malformed_file(place: Place) -> Kind:
    """A key pasted into the configuration file, where none can stand."""
    config = place.folder / "config"
    config.write_text("[DEFAULT]\nuser = ocid1.user.oc1..x\n" + (place.state / "key.pem").read_text())
    return Kind({"STORESCOPE_CONFIG_FILE": str(config)}, works=False, signs=False)


def by_environment(name: str, auth: str, **more: str):
    def make(place: Place) -> Kind:
        given = place.server.identity["environment"][name]
        here = {key: value.replace(place.server.identity["endpoint"], place.identity.endpoint) for key, value in given.items()}
        return Kind(here | {"STORESCOPE_AUTH": auth} | more)

    return make


def delegated_instance(place: Place) -> Kind:
    kind = by_environment("instance", "instance_obo_user")(place)
    kind.environment["STORESCOPE_DELEGATION_TOKEN_FILE"] = str(place.state / "delegation_token")
    return kind


def workload(place: Place) -> Kind:
    identity = place.server.identity
    return Kind(
        {
            "STORESCOPE_AUTH": "oke_workload_identity",
            "STORESCOPE_WORKLOAD_ENDPOINT": identity["tls_endpoint"],
            "STORESCOPE_SERVICE_ACCOUNT_TOKEN_FILE": identity["service_account_token_file"],
            "STORESCOPE_CA_BUNDLE": place.server.oci["ca_bundle"],
            **identity["environment"]["workload"],
        }
    )


def exchanged(works: bool):
    def make(place: Place) -> Kind:
        domain = place.server.identity["domain"]
        secret = domain["client_secret"] if works else WRONG_SECRET
        return Kind(
            {
                "STORESCOPE_AUTH": "token_exchange",
                "STORESCOPE_IDENTITY_DOMAIN": place.identity.endpoint,
                "STORESCOPE_IDENTITY_CLIENT_ID": domain["client_id"],
                "STORESCOPE_IDENTITY_CLIENT_SECRET": secret,
                "STORESCOPE_SUBJECT_TOKEN_FILE": domain["subject_token_file"],
            },
            (secret,),
            works=works,
        )

    return make


def access_key(token: str = "", secret: str = ""):
    def make(place: Place) -> Kind:
        s3 = place.server.ready["s3"]
        environment = {
            "STORESCOPE_S3_ENDPOINT": place.s3.endpoint,
            "STORESCOPE_S3_REGION": s3["region"],
            "STORESCOPE_ACCESS_KEY_ID": s3["access_key_id"],
            "STORESCOPE_SECRET_ACCESS_KEY": secret or s3["secret_access_key"],
        }
        if token:
            environment["STORESCOPE_SESSION_TOKEN"] = token
        secrets = (environment["STORESCOPE_SECRET_ACCESS_KEY"], *([token] if token else []))
        # The emulator takes no session tokens.
        return Kind(environment, secrets, works=not secret and not token, url="s3://secrets/")

    return make


def aws_file(place: Place) -> Kind:
    """By the AWS tools' file, read by aws-config."""
    s3, file = place.server.ready["s3"], place.folder / "credentials"
    lines = f"aws_access_key_id = {s3['access_key_id']}\naws_secret_access_key = {s3['secret_access_key']}\n"
    file.write_text(f"[default]\n{lines}")
    environment = {
        "STORESCOPE_S3_ENDPOINT": place.s3.endpoint,
        "STORESCOPE_S3_REGION": s3["region"],
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CONFIG_FILE": os.devnull,
    }
    return Kind(environment, (s3["secret_access_key"],), url="s3://secrets/")


def proxied(place: Place) -> Kind:
    """A proxy that is not there."""
    kind = profile("DEFAULT", works=False)(place)
    kind.environment |= {
        "STORESCOPE_HTTP_PROXY": f"http://user:{PASSWORD}@127.0.0.1:1",
        "STORESCOPE_ENDPOINT": "http://store.test",
    }
    kind.secrets, kind.signs = (PASSWORD,), False
    return kind


def password_in_an_endpoint(place: Place) -> Kind:
    kind = profile("DEFAULT", works=False)(place)
    kind.environment["STORESCOPE_ENDPOINT"] = f"http://user:{PASSWORD}@127.0.0.1:1"
    kind.secrets, kind.signs = (PASSWORD,), False
    return kind


KINDS = {
    "api key": profile("DEFAULT"),
    "wrong key": profile("WRONG", works=False),
    "session": profile("SESSION"),
    "expired": of_another_key,
    "delegated": profile("DELEGATED"),
    "passphrase": passphrase_of_a_profile,
    "wrong passphrase": wrong_passphrase,
    "key content": key_in_the_environment,
    "malformed key": malformed_key,
    "malformed file": malformed_file,
    "instance": by_environment("instance", "instance_principal"),
    "instance by the chain": by_environment("instance", "auto"),
    "delegated instance": delegated_instance,
    "resource 1.1": by_environment("resource_1.1", "resource_principal"),
    "resource 2.1": by_environment("resource_2.1", "resource_principal"),
    "resource 2.1.1": by_environment("resource_2.1.1", "resource_principal"),
    "resource 2.1.2": by_environment("resource_2.1.2", "resource_principal"),
    "resource 2.2": by_environment("resource_2.2", "resource_principal"),
    "workload": workload,
    "exchanged": exchanged(True),
    "refused exchange": exchanged(False),
    "access key": access_key(),
    "session of s3": access_key(token=S3_TOKEN),
    "wrong secret": access_key(secret=WRONG_SECRET),
    "aws file": aws_file,
    "proxy": proxied,
    "password in an endpoint": password_in_an_endpoint,
}


# Of these, each command that writes files is run, too: what it writes has nothing of a principal but by mistake.
WHOLE = {"api key", "session", "delegated", "exchanged", "access key"}


# What is run


class Runs:
    """Commands of one kind, and all that they told."""

    def __init__(self, place: Place, kind: Kind) -> None:
        self.place, self.kind = place, kind
        self.url = kind.url or f"oci://secrets@{place.server.oci['namespace']}/"
        self.work = place.folder / "work"
        self.work.mkdir()
        (self.work / "file").write_bytes(bytes(5000))
        self.told: list[tuple[str, bytes]] = []
        self.codes: list[int] = []

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.work),
            "RUST_LOG": "trace",
            "RUST_BACKTRACE": "full",
            "AWS_EC2_METADATA_DISABLED": "true",
            "STORESCOPE_ENDPOINT": self.place.store.endpoint,
            "STORESCOPE_AUTH_ENDPOINT": self.place.identity.endpoint,
            "STORESCOPE_ATTEMPTS": "2",
            "STORESCOPE_BACKOFF_CAP": "1ms",
            **self.kind.environment,
        }

    def run(self, *command: str) -> int:
        ran = subprocess.run([serving.binary(), *command], cwd=self.work, env=self.environment, capture_output=True, timeout=120)
        self.told += [(f"stdout of {command}", ran.stdout), (f"stderr of {command}", ran.stderr)]
        self.codes.append(ran.returncode)
        return ran.returncode

    def each_command(self) -> None:
        url = self.url
        # The first tells whether the principal is taken.
        self.run("cp", "-v", "file", f"{url}k")
        self.run("ls", "-v", "-l", url)
        self.run("stat", "-v", "--json", f"{url}k")
        self.run("cat", "-v", f"{url}absent")

    def faults(self) -> None:
        for status, code in ((503, "ServiceUnavailable"), (401, "NotAuthenticated")):
            action = {"status": {"status": status, "code": code, "message": "no"}}
            self.place.server.fault({"action": action, "contains": "k"})
            self.run("cat", "-v", f"{self.url}k")
            self.place.server.admin("DELETE", "/faults")

    def measured(self, otlp: str) -> None:
        """Everything that a run can leave."""
        options = [
            "--size", "1KiB", "--count", "400", "--out", "run", "--requests", "--scope-out", "scope.hlog", "--trace-out", "it.trace",
            "--metrics-log", "log.hlog", "--metrics-interval", "20ms", "--otlp-endpoint", otlp, "--metrics-endpoint", "0",
        ]  # fmt: skip
        if self.run("bench", "-v", self.url, *options) == 0:
            self.run("report", "run", "--out", "page.html")
            self.run("report", "run", "--json")
            self.run("trace", "it.trace", "--json")
            self.run("trace", "it.trace", "--csv", "-")

    @contextmanager
    def held(self) -> Iterator[tuple[subprocess.Popen, str]]:
        """A command whose request is not answered, and the address of its metrics."""
        self.place.server.fault({"contains": "held", "action": {"delay": {"ms": 600_000}}})
        address = f"127.0.0.1:{exporting.free_port()}"
        command = [serving.binary(), "cat", "-v", f"{self.url}held", "--metrics-endpoint", address]
        process = subprocess.Popen(
            command, cwd=self.work, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # A dump that the kernel writes holds all memory.
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        )  # fmt: skip
        try:
            yield process, address
        finally:
            process.kill()
            process.wait()
            self.place.server.admin("DELETE", "/faults")

    def scraped_and_aborted(self) -> None:
        with self.held() as (process, address):

            def is_up() -> bytes | None:
                assert process.poll() is None, process.communicate()
                try:
                    return exporting.get(f"http://{address}/metrics")
                except OSError:
                    return None

            self.told.append(("/metrics", exporting.wait_for("the endpoint is up", is_up)))
            for path in ("json", "hlog"):
                self.told.append((f"/{path}", exporting.get(f"http://{address}/{path}")))
            process.send_signal(signal.SIGABRT)
            out, err = process.communicate(timeout=60)
            assert process.returncode == -signal.SIGABRT
            self.told += [("stdout of the aborted", out), ("stderr of the aborted", err)]

    def files(self) -> Iterator[tuple[str, bytes]]:
        for file in self.work.rglob("*"):
            if file.is_file():
                yield str(file.relative_to(self.work)), file.read_bytes()


def all_needles(place: Place, kind: Kind) -> needles.Needles:
    found = needles.Needles()
    found.add_files(place.state)
    found.add("the domain's secret", place.server.identity["domain"]["client_secret"])
    found.add("the key of s3", place.server.ready["s3"]["secret_access_key"])
    for secret in kind.secrets:
        if "PRIVATE KEY" in secret:
            found.add_key_or_token("a key", secret)
        else:
            found.add("a secret", secret)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_nothing_of_a_principal_is_told(place, name):
    kind = KINDS[name](place)
    runs = Runs(place, kind)
    # Before they are renewed or expire.
    secrets = all_needles(place, kind)
    with exporting.receiver() as receiver:
        runs.each_command()
        assert (runs.codes[0] == 0) == kind.works, runs.told
        if kind.works:
            runs.faults()
        if name in WHOLE:
            runs.measured(receiver.url)
            runs.scraped_and_aborted()
        place.server.admin("POST", "/principals/expire")
        runs.run("cat", "-v", f"{runs.url}k")
        pushed = list(receiver.bodies)
    assert bool(pushed) == (name in WHOLE)
    secrets.known += all_needles(place, kind).known
    proofs = set().union(*(relay.proofs() for relay in place.relays))
    assert bool(proofs) == kind.signs, proofs
    for proof in proofs:
        secrets.add("a proof that was sent", proof)
    assert sum(len(text) for _, text in runs.told) > 500
    for what, text in runs.told:
        secrets.check(what, text)
    for number, body in enumerate(pushed):
        secrets.check(f"push {number}", body)
    for what, text in runs.files():
        secrets.check(what, text)


def test_a_pre_authenticated_request_is_not_told(place):
    """Its URL is the proof: nothing shows it, but the command line that named it."""
    owner = Runs(place, profile("DEFAULT")(place))
    owner.run("cp", "file", f"{owner.url}k")
    token = "Rf6bKsTokenOfAPreAuthenticatedRequestXyz0123"
    namespace = place.server.oci["namespace"]
    par = f"{place.store.endpoint}/p/{token}/n/{namespace}/b/secrets/o/k"
    secrets = needles.Needles()
    secrets.add("the token", token)
    owner.kind = Kind({"STORESCOPE_AUTH": "none"})
    owner.told.clear()
    for command in (["cat"], ["stat"], ["stat", "--json"], ["ls"], ["du"], ["bench", "--size", "1KiB", "--count", "3"]):
        assert owner.run(*command, "-v", par) != 0
    for command in (["cp", par, "down"], ["mv", par, "down"], ["cp", "-r", par, "down"], ["cp", "file", par], ["rm", par]):
        assert owner.run(*command, "-v") != 0
    # What does not parse is not quoted either.
    assert owner.run("cat", f"{place.store.endpoint}/p/{token}/n/") != 0
    for what, text in owner.told:
        secrets.check(re.sub(token, "TOKEN", what), text)


def test_secrets_are_no_options(place):
    """A command line is seen by every user of a machine."""
    helped = subprocess.run([serving.binary(), "ls", "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("key-content", "pass-phrase", "secret-access-key", "session-token", "identity-client-secret", "http-proxy"):
        assert f"--{name}" not in helped
        ran = subprocess.run([serving.binary(), "ls", f"--{name}", PASSPHRASE, "oci://b@n/"], capture_output=True, text=True)
        assert ran.returncode == 2
        # Told is the option, and not what was given for it.
        assert f"--{name}" in ran.stderr and PASSPHRASE not in ran.stderr, ran.stderr


PUBLIC = "http://203.0.113.1:9"  # for documentation (RFC 5737)


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("STORESCOPE_ENDPOINT", "oci://secrets@ns/"),
        ("STORESCOPE_OCI_ENDPOINT", "oci://secrets@ns/"),
        ("OCI_CLI_ENDPOINT", "oci://secrets@ns/"),
        ("STORESCOPE_S3_ENDPOINT", "s3://secrets/"),
        ("AWS_ENDPOINT_URL", "s3://secrets/"),
        ("AWS_ENDPOINT_URL_S3", "s3://secrets/"),
    ],
)
def test_no_variable_leads_to_a_public_address_without_tls(server, variable, url):
    environment = {"PATH": os.environ["PATH"], variable: PUBLIC, "STORESCOPE_CONFIG_FILE": server.oci["config_file"]}
    environment |= {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": WRONG_SECRET, "AWS_REGION": "us-east-1"}
    ran = subprocess.run([serving.binary(), "ls", url], env=environment, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (2, ""), ran
    assert "203.0.113.1" in ran.stderr and "plain_http" in ran.stderr


def test_tls_is_verified_whatever_the_environment_says(server):
    """By the switches of other tools, and by a setting whose name is alike: `verify` is of checksums."""
    before = len(server.record())
    environment = {
        "PATH": os.environ["PATH"],
        "STORESCOPE_ENDPOINT": server.oci["tls_endpoint"],
        "STORESCOPE_CONFIG_FILE": server.oci["config_file"],
        "STORESCOPE_VERIFY": "false",
        "STORESCOPE_PLAIN_HTTP": "true",
        "STORESCOPE_ATTEMPTS": "1",
    }
    switches = {
        "PYTHONHTTPSVERIFY": "0", "NODE_TLS_REJECT_UNAUTHORIZED": "0", "GIT_SSL_NO_VERIFY": "1", "SSL_NO_VERIFY": "1",
        "CURL_INSECURE": "1", "AWS_NO_VERIFY_SSL": "true", "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "", "AWS_CA_BUNDLE": "",
    }  # fmt: skip
    command = [serving.binary(), "ls", "oci://secrets@ns/"]
    ran = subprocess.run(command, env=environment | switches, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and "authorit" in ran.stderr, ran
    assert server.record()[before:] == []


def test_what_is_looked_for_is_found():
    """The search finds a secret in each of its forms."""
    secrets = needles.Needles()
    secrets.add("it", PASSPHRASE)
    for text in (
        f"a {PASSPHRASE} b",
        json.dumps({"a": PASSPHRASE}),
        repr({"a": PASSPHRASE}),
        urllib.request.quote(PASSPHRASE),
        PASSPHRASE.encode().hex(),
        needles.base64.b64encode(f"user:{PASSPHRASE} and more".encode()).decode(),
        needles.base64.urlsafe_b64encode(f"x{PASSPHRASE}".encode()).decode(),
    ):
        assert secrets.found_in(text), text
    assert not secrets.found_in("correct horse battery")
