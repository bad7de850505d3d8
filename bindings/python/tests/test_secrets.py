# SPDX-License-Identifier: Apache-2.0
"""Nothing that the wheel tells holds a secret: reprs, exceptions with their causes and tracebacks, logs at their lowest level,
profiles, traces, what a process that crashes prints. And names do not reach a terminal with control characters."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
import uuid
import warnings
from pathlib import Path

import fsspec
import pytest

import needles
import serving
import storescope
import storescope.uproot
from conftest import bucket_url, options_of

PASSPHRASE = "a passphrase that is wrong"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLEsession/token+of=s3"
PASSWORD = "pa55word-of-the-proxy"


def state(server: serving.Server) -> Path:
    return Path(server.oci["config_file"]).parent


def oci(profile: str):
    return lambda server: ("oci", options_of(server, "oci") | {"profile": profile})


def key_content(server: serving.Server):
    """A key and a passphrase as options; the server does not know the key."""
    return "oci", {
        "endpoint": server.oci["endpoint"], "config_file": "/nowhere/config", "tenancy": "ocid1.tenancy.oc1..x",
        "user": "ocid1.user.oc1..x", "fingerprint": "00:11", "pass_phrase": PASSPHRASE,
        "key_content": (state(server) / "wrong_key.pem").read_text(),
    }  # fmt: skip


def half_a_key(server: serving.Server):
    service, options = key_content(server)
    return service, options | {"key_content": options["key_content"][:600]}


def exchanged(server: serving.Server):
    domain = server.identity["domain"]
    return "oci", {
        "endpoint": server.oci["endpoint"], "config_file": "/nowhere/config", "auth": "token_exchange",
        "identity_domain": server.identity["endpoint"], "identity_client_id": domain["client_id"],
        "identity_client_secret": domain["client_secret"], "subject_token_file": domain["subject_token_file"],
    }  # fmt: skip


def refused_exchange(server: serving.Server):
    service, options = exchanged(server)
    return service, options | {"identity_client_secret": SECRET}


def instance(server: serving.Server):
    endpoint = server.identity["endpoint"]
    return "oci", {
        "endpoint": server.oci["endpoint"], "config_file": "/nowhere/config", "auth": "instance_principal",
        "metadata_endpoint": f"{endpoint}/opc/v2", "auth_endpoint": endpoint,
    }  # fmt: skip


def s3(**changed: str):
    return lambda server: ("s3", options_of(server, "s3") | changed)


def proxied(server: serving.Server):
    proxy = f"http://user:{PASSWORD}@127.0.0.1:1"
    return "oci", options_of(server, "oci") | {"endpoint": "http://store.test", "http_proxy": proxy, "attempts": 1}


KINDS = {
    "api key": oci("DEFAULT"),
    "wrong key": oci("WRONG"),
    "session": oci("SESSION"),
    "expired": oci("EXPIRED"),
    "delegated": oci("DELEGATED"),
    "key content": key_content,
    "half a key": half_a_key,
    "exchanged": exchanged,
    "refused exchange": refused_exchange,
    "instance": instance,
    "access key": s3(),
    "session of s3": s3(session_token=TOKEN),
    "wrong secret": s3(secret_access_key=SECRET),
    "proxy": proxied,
}


# These are refused before the store could be too busy, and nothing is retried.
UNHEARD = {
    "wrong key", "expired", "key content", "half a key", "refused exchange", "session of s3", "wrong secret", "proxy",
}  # fmt: skip


@pytest.fixture
def secrets(server) -> needles.Needles:
    found = needles.Needles()
    found.add_files(state(server))
    for secret in (PASSPHRASE, SECRET, TOKEN, PASSWORD):
        found.add("an option", secret)
    found.add("the domain's secret", server.identity["domain"]["client_secret"])
    found.add("the key of s3", server.ready["s3"]["secret_access_key"])
    return found


class Heard(logging.Handler):
    """All that is logged, by whoever."""

    def __init__(self) -> None:
        super().__init__(0)
        self.text = io.StringIO()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s %(args)s"))

    def wait_for(self, text: str) -> None:
        """Records come by a thread of their own."""
        end = time.monotonic() + 30
        while text not in self.text.getvalue():
            assert time.monotonic() < end, self.text.getvalue()
            time.sleep(0.01)

    def emit(self, record: logging.LogRecord) -> None:
        self.text.write(self.format(record) + "\n")


@pytest.fixture
def heard():
    handler, root, ours = Heard(), logging.getLogger(), logging.getLogger("storescope")
    before = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(1)
    ours.setLevel(1)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before[0])
    ours.setLevel(before[1])


class Told:
    def __init__(self) -> None:
        self.text: list[str] = []

    def of(self, *things: object) -> None:
        self.text += [f"{thing!r} {thing!s}" for thing in things]

    def work(self, work) -> None:
        """What it gives, or how it fails: with the causes, and with what Python shows of the frames."""
        try:
            self.of(work())
        except Exception as error:
            self.of(error, error.__dict__, error.args, getattr(error, "causes", ""), getattr(error, "hint", ""))
            self.text += traceback.format_exception(error)


def all_that_is_told(kind, server, tmp_path) -> Told:
    service, options = kind(server)
    options = {"attempts": 2} | options
    told = Told()
    url = bucket_url(server, service, "demo") + uuid.uuid4().hex + "/"
    path = url.partition("://")[2]
    with storescope.profile("judged") as profile:
        store = storescope.open_store(url, **options)
        fs = fsspec.filesystem(f"storescope+{service}", skip_instance_cache=True, **options)
        told.of(store, fs, store.url)
        told.work(lambda: store.put("k", bytes(5000)))
        told.work(lambda: bytes(store.get("k")[:10]))
        told.work(lambda: store.get("absent"))
        told.work(lambda: store.head("absent"))
        told.work(lambda: list(store.list()))
        told.work(lambda: store.reader("k"))
        told.work(lambda: store.get_ranges("k", [(0, 10), (20, 30)]))
        told.work(lambda: asyncio.run(awaited(store)))
        told.work(lambda: fs.ls(path))
        told.work(lambda: read_file(fs, path + "k"))
        told.work(lambda: fs.cat_file(path + "absent"))
        told.work(lambda: opened_by_uproot(url + "k", options))
        told.work(lambda: storescope.open_store(url, no_such_setting=SECRET, **options))
        told.work(lambda: store.delete("k"))
        server.fault({"contains": "busy", "action": {"status": {"status": 503}}})
        told.work(lambda: store.get("busy"))
        server.admin("DELETE", "/faults")
    told.of(profile, profile.table(), profile.snapshot)
    told.text.append(profile._repr_html_())
    profile.save(tmp_path / "it.hlog")
    profile.report(tmp_path / "it.html")
    told.text += [file.read_text() for file in (tmp_path / "it.hlog", tmp_path / "it.html")]
    return told


def read_file(fs: fsspec.AbstractFileSystem, path: str) -> bytes:
    with fs.open(path) as file:
        return file.read(10)


def opened_by_uproot(url: str, options: dict) -> str:
    with storescope.uproot.Source(url, **options) as source:
        return repr(source)


async def awaited(store: storescope.Store) -> object:
    return await store.get_async("absent")


@pytest.mark.parametrize("name", KINDS)
def test_nothing_of_a_principal_is_told(server, secrets, heard, tmp_path, name):
    told = all_that_is_told(KINDS[name], server, tmp_path)
    if name not in UNHEARD:
        heard.wait_for("gave up")
    assert len(told.text) > 15
    for text in [*told.text, heard.text.getvalue()]:
        secrets.check(name, text)
        for proof in ("Signature version", 'signature="', "AWS4-HMAC", "ST$"):
            assert proof not in text, text
    gc.collect()


CRASHES = """
import faulthandler, json, os, sys, threading
import storescope
about = json.loads(os.environ["ABOUT"])
faulthandler.enable()
store = storescope.open_store(about["url"], **about["options"])
try:
    store.get("absent")
except storescope.StoreError:
    pass
threading.Thread(target=lambda: store.get("held"), daemon=True).start()
if about["how"] == "abort":
    os.abort()
if about["how"] == "interrupt":
    os.kill(os.getpid(), 2)
    threading.Event().wait()
raise RuntimeError("uncaught") from None
"""


@pytest.mark.parametrize("how", ["abort", "interrupt", "uncaught"])
@pytest.mark.parametrize("name", ["session", "key content", "session of s3"])
def test_a_process_that_crashes_tells_no_secret(server, secrets, name, how):
    service, options = KINDS[name](server)
    about = {"url": bucket_url(server, service, "demo"), "options": options, "how": how}
    environment = {**os.environ, "ABOUT": json.dumps(about), "RUST_BACKTRACE": "full", "STORESCOPE_BACKOFF_CAP": "1ms"}
    ran = subprocess.run([sys.executable, "-X", "dev", "-c", CRASHES], env=environment, capture_output=True, timeout=60)
    assert ran.returncode == {"abort": -signal.SIGABRT, "interrupt": -signal.SIGINT, "uncaught": 1}[how], ran
    assert ran.stderr
    secrets.check(how, ran.stdout + ran.stderr)


def test_a_trace_and_metrics_hold_no_secret(server, secrets, tmp_path):
    program = (
        "import json, os, storescope\n"
        "about = json.loads(os.environ['ABOUT'])\n"
        "store = storescope.open_store(about['url'], **about['options'])\n"
        "store.put('k', bytes(100))\n"
        "store.get('k')\n"
    )
    for name in ("session", "delegated", "access key"):
        service, options = KINDS[name](server)
        about = {"url": bucket_url(server, service, "demo"), "options": options}
        trace, log = tmp_path / f"{name}.trace", tmp_path / f"{name}.hlog"
        environment = {
            **os.environ, "ABOUT": json.dumps(about), "STORESCOPE_TRACE": str(trace), "STORESCOPE_METRICS_LOG": str(log),
        }  # fmt: skip
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
        secrets.check(name, log.read_bytes())
        told = subprocess.run([serving.binary(), "trace", str(trace), "--csv", "-"], capture_output=True, check=True).stdout
        assert len(told.splitlines()) >= 3
        secrets.check(name, told)


# TLS


PUBLIC = "http://203.0.113.1:9"  # for documentation (RFC 5737)


@pytest.mark.parametrize("service", ["oci", "s3"])
def test_no_option_leads_to_a_public_address_without_tls(server, service):
    options = options_of(server, service) | {"endpoint": PUBLIC, "attempts": 1}
    url = bucket_url(server, service, "demo")
    store = storescope.open_store(url, **options)
    with pytest.raises(storescope.StoreError, match="plain_http") as refused:
        store.get("k")
    assert refused.value.kind == "config"
    fs = fsspec.filesystem(f"storescope+{service}", skip_instance_cache=True, **options)
    with pytest.raises(storescope.StoreError, match="plain_http"):
        fs.cat_file(url.partition("://")[2] + "k")


@pytest.mark.parametrize("option", [{"verify": False}, {"client_kwargs": {"verify": False}}, {"use_ssl": False}, {"plain_http": True}])
@pytest.mark.parametrize("service", ["oci", "s3"])
def test_no_option_turns_the_verification_of_certificates_off(server, service, option):
    """By the names of s3fs, too: what would do so there is refused, or means something else (`verify`: checksums)."""
    ready = server.oci if service == "oci" else server.ready["s3"]
    options = options_of(server, service) | {"endpoint": ready["tls_endpoint"], "attempts": 1} | option
    before = len(server.record())
    with pytest.raises((storescope.StoreError, TypeError, ValueError)), warnings.catch_warnings():
        # What means nothing here is warned of.
        warnings.simplefilter("ignore")
        fs = fsspec.filesystem(f"storescope+{service}", skip_instance_cache=True, **options)
        fs.cat_file(bucket_url(server, service, "demo").partition("://")[2] + "k")
    assert server.record()[before:] == []


# Names

EVIL = "e\x1b[2J\x07\u202egpj\u2066\x9b31m%1B%FF%0A"
UNSAFE = set("\x1b\x07\u202e\u2066\x9b\r\n")


def test_a_name_reaches_no_terminal_as_it_is(server, heard):
    for service in ("oci", "s3"):
        lines = "\r\nWARNING all is well" if service == "s3" else ""
        options = options_of(server, service) | {"attempts": 2}
        store = storescope.open_store(bucket_url(server, service, "demo"), **options)
        fs = fsspec.filesystem(f"storescope+{service}", skip_instance_cache=True, **options)
        store.put(f"t/{EVIL}{lines}", b"x")
        (meta,) = [meta for meta in store.list("t/") if EVIL in meta.key]
        # The name itself is exact; what is shown of it is harmless.
        assert meta.key == f"t/{EVIL}{lines}"
        assert not UNSAFE & set(repr(meta))
        with store.reader(meta.key) as reader, store.writer(f"w/{EVIL}") as writer:
            assert not UNSAFE & set(repr(reader)) and not UNSAFE & set(repr(writer))
        assert not UNSAFE & set(repr(storescope.open_store(f"{store.url}{EVIL}/", **options)))
        for work in (
            lambda: store.get(f"absent{EVIL}{lines}"),
            lambda: store.head(f"absent{EVIL}{lines}"),
            lambda: store.rename(f"absent{EVIL}{lines}", "x"),
            lambda: store.get_range(f"absent{EVIL}{lines}", 0, 10),
            lambda: fs.cat_file(f"demo/absent{EVIL}{lines}"),
        ):
            with pytest.raises(Exception) as caught:
                work()
            for shown in traceback.format_exception_only(caught.value):
                assert not UNSAFE & set(shown.rstrip("\n")) and not shown.startswith("WARNING"), f"{shown!r}"
        server.fault({"contains": "%1B", "action": {"status": {"status": 503, "message": f"said {EVIL}\nWARNING so"}}})
        with pytest.raises(storescope.StoreError) as caught:
            store.get(f"t/{EVIL}{lines}")
        server.admin("DELETE", "/faults")
        assert not UNSAFE & set(str(caught.value)), caught.value
        store.delete(f"t/{EVIL}{lines}")
    heard.wait_for("gave up")
    ours = [line for line in heard.text.getvalue().splitlines() if "storescope" in line]
    assert ours and not any(UNSAFE & set(line) for line in ours), ours
    assert not any(line.startswith("WARNING all") for line in heard.text.getvalue().splitlines())
