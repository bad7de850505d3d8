# SPDX-License-Identifier: Apache-2.0
"""`credentials=`: a callable of the program's gives out what requests are signed with."""

from __future__ import annotations

import asyncio
import configparser
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import fsspec
import pytest
import uproot
import uproot_files
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import storescope
import storescope.fsspec
import storescope.uproot

# A program that hangs is not waited for longer.
HANGS = 60

THREADS = 16


@dataclass
class Given:
    """What a callable may return in place of a mapping."""

    key_id: str | None = None
    key: object = None
    pass_phrase: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    expires: object = None


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """Nothing else names who signs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def place(bucket, options):
    """A bucket's URL, and the options that say where it is."""
    return bucket, {name: options[name] for name in ("endpoint", "region")}


@pytest.fixture
def secret(server, service):
    """What is right to return, as a mapping."""
    return credentials_of(server, service)


def credentials_of(server, service, profile="DEFAULT"):
    if service == "s3":
        return {name: server.ready["s3"][name] for name in ("access_key_id", "secret_access_key")}
    read = configparser.ConfigParser()
    read.read(server.oci["config_file"])
    named = read[profile]
    return {
        "tenancy": named["tenancy"],
        "user": named["user"],
        "fingerprint": named["fingerprint"],
        "key": Path(named["key_file"]).read_text(),
        "pass_phrase": named.get("pass_phrase"),
    }


def wrong(server, service):
    if service == "s3":
        return {"access_key_id": "nobody", "secret_access_key": "nothing"}
    return credentials_of(server, service, "WRONG")


class Counting:
    """Gives the same each time, and counts."""

    def __init__(self, *given, before=None):
        self.given, self.before, self.times = given, before, 0

    def __call__(self):
        self.times += 1
        if self.before is not None:
            self.before()
        given = self.given[min(self.times, len(self.given)) - 1]
        if isinstance(given, BaseException):
            raise given
        return given


def opened(place, credentials, **more):
    url, options = place
    return storescope.open_store(f"{url}credentials/", credentials=credentials, **options, **more)


def test_a_mapping_is_signed_with_and_asked_for_once(place, secret):
    asked = Counting(secret)
    store = opened(place, asked)
    assert asked.times == 0, "nothing is asked before the first request"
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda number: store.put(f"k{number}", b"x"), range(3 * THREADS)))
    assert sorted(entry.key for entry in store.list())[:1] == ["k0"]
    assert opened(place, asked).get("k1") == b"x"
    assert asked.times == 1, "one question for all calls and stores"


def test_an_object_with_attributes_is_read_too(place, secret, service):
    if service == "s3":
        given = Given(**secret, expires=datetime.now(timezone.utc) + timedelta(hours=1))
    else:
        serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        key_id = "/".join(secret[name] for name in ("tenancy", "user", "fingerprint"))
        key = load_pem_private_key(secret["key"].encode(), None)
        given = Given(key_id=key_id, key=key, expires=time.time() + 3600)
    store = opened(place, lambda: given)
    store.put("object", b"x")
    assert store.get("object") == b"x"


def test_what_awss_token_service_answers_is_taken_as_it_is(server):
    keys = server.ready["s3"]
    answer = {
        "AccessKeyId": keys["access_key_id"],
        "SecretAccessKey": keys["secret_access_key"],
        "Expiration": "2099-01-01T00:00:00Z",
    }
    url, place = "s3://", {"endpoint": keys["endpoint"], "region": keys["region"]}
    assert storescope.list_buckets(url, credentials=lambda: answer, **place) is not None


def test_a_session_token_signs(server):
    read = configparser.ConfigParser()
    read.read(server.oci["config_file"])
    session = read["SESSION"]
    texts = {name: Path(session[file]).read_text() for name, file in (("token", "security_token_file"), ("key", "key_file"))}
    url = f"oci://@{server.oci['namespace']}"
    place = {"endpoint": server.oci["endpoint"], "region": server.oci["region"]}
    assert storescope.list_buckets(url, credentials=lambda: texts, **place) is not None


async def awaited(store, key="k"):
    return await store.get_async(key)


class OutOfOrder(Exception):
    pass


def test_what_it_raises_is_the_cause_and_it_is_asked_again(place, secret):
    raised = OutOfOrder("the vault is sealed")
    asked = Counting(raised, raised, raised, raised, secret)
    store = opened(place, asked)

    def awaits():
        return asyncio.run(awaited(store))

    for call in (lambda: store.get("k"), lambda: list(store.list()), lambda: store.put("k", b"x"), awaits):
        with pytest.raises(PermissionError, match="the vault is sealed") as told:
            call()
        assert told.value.__cause__ is raised
        assert told.value.attempts <= 1
    store.put("k", b"x")
    assert store.get("k") == b"x"
    assert asked.times == 5


@pytest.mark.parametrize(
    ("given", "class_", "told"),
    [
        (None, TypeError, "gave NoneType"),
        ("text", TypeError, "gave str"),
        ({"access_key": "x"}, ValueError, "access_key means nothing"),
        ({"access_key_id": "x"}, ValueError, "secret_access_key is missing"),
        ({"key": "x"}, ValueError, "tenancy is missing"),
        ({"token": 3, "key": "x"}, TypeError, "token: expected text"),
        ({"access_key_id": "x", "secret_access_key": "y", "expires": datetime(2030, 1, 1)}, ValueError, "time zone"),
        (SystemExit(3), SystemExit, "3"),
    ],
)
def test_what_means_nothing_is_told(place, given, class_, told):
    with pytest.raises(PermissionError, match=told) as error:
        opened(place, Counting(given)).get("k")
    assert type(error.value.__cause__) is class_


def test_a_key_of_the_other_service_is_told(server, place, service):
    other = credentials_of(server, "oci" if service == "s3" else "s3")
    with pytest.raises(ValueError, match="gave an access key of S3|gave a key of OCI"):
        opened(place, lambda: other).get("k")


def test_only_a_plain_callable_is_taken(place):
    with pytest.raises(TypeError, match="credentials: expected a callable, not dict"):
        opened(place, {"access_key_id": "x"})

    async def later():
        return {}

    with pytest.raises(PermissionError, match="is asynchronous"):
        opened(place, later).get("k")


def test_a_refusal_leads_to_one_more_question(server, place, service, secret):
    asked = Counting(wrong(server, service), secret)
    store = opened(place, asked)
    store.put("k", b"x")
    assert asked.times == 2
    for_ever = Counting(wrong(server, service))
    with pytest.raises(PermissionError, match="credentials that the"):
        opened(place, for_ever).put("k", b"x")
    assert for_ever.times == 2, "once more, and not for ever"


@pytest.mark.timeout(120)
def test_it_is_asked_again_ahead_of_the_end_and_no_call_waits(place, secret, seen):
    # What ends at once is held for ten seconds, and renewed after five.
    second = threading.Event()
    asked = Counting({**secret, "expires": time.time() + 2}, {**secret, "expires": time.time() + 3600})
    asked.before = lambda: second.set() if asked.times == 2 else None
    store = opened(place, asked)
    store.put("k", b"x")
    while not second.is_set():
        assert store.get("k") == b"x"
    assert store.get("k") == b"x"
    assert all(line["status"] == 200 for line in seen() if "credentials/k" in line["target"])


def test_it_may_log_and_read_another_store_meanwhile(place, secret, caplog):
    caplog.set_level(logging.DEBUG)
    inner = opened(place, lambda: secret)
    inner.put("kept", json.dumps(secret).encode())

    def provide():
        logging.getLogger("storescope.test").warning("asked")
        return json.loads(bytes(inner.get("kept")))

    outer = opened(place, provide)
    assert len(outer.get("kept")) > 0
    assert asyncio.run(awaited(outer, "kept")) == inner.get("kept")
    assert "asked" in caplog.text


def of_this_module():
    return json.loads(os.environ["SECRET"])


def test_it_pickles_with_the_store_and_works_in_a_child(place, secret, monkeypatch):
    monkeypatch.setenv("SECRET", json.dumps(secret))
    store = opened(place, of_this_module)
    store.put("k", b"x")
    again = pickle.loads(pickle.dumps(store))
    assert again == store and again.get("k") == b"x"
    assert opened(place, lambda: secret) != store
    child = os.fork()
    if child == 0:
        os._exit(0 if store.get("k") == b"x" else 1)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(opened(place, lambda: secret))


def test_filesystems_and_uproot_take_it(place, secret, service, tmp_path):
    url, options = place
    asked = Counting(secret)
    fs = fsspec.filesystem(f"storescope+{service}", credentials=asked, **options)
    path = url.partition("://")[2] + "credentials/tree.root"
    fs.pipe(path, uproot_files.write_tree(tmp_path / "tree.root", baskets=1).read_bytes())
    assert fs.size(path) > 0
    with uproot.open({f"{url}credentials/tree.root": "Events"}, handler=storescope.uproot.Source, credentials=asked, **options) as tree:
        assert tree.num_entries == 2_000
    assert asked.times <= 2, "the options of uproot may mean another client"


PROGRAM = """
import json, os, sys, threading, time
import storescope

about = json.loads(os.environ["STORE"])
begun = threading.Event()

def blocks():
    begun.set()
    time.sleep(3600)

def burns():
    begun.set()
    while True:
        sum(range(1000))

def recurses():
    begun.set()
    return store.get("k")

store = storescope.open_store(about["url"], credentials=globals()[sys.argv[1]], **about["options"])
for _ in range(4):
    threading.Thread(target=store.get, args=("k",), daemon=True).start()
begun.wait()
print("asked", flush=True)
"""


@pytest.mark.parametrize("callable_", ["blocks", "burns", "recurses"])
def test_the_interpreter_ends_while_it_is_asked(place, callable_):
    url, options = place
    environment = {**os.environ, "STORE": json.dumps({"url": url, "options": options}), "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, "-c", PROGRAM, callable_]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANGS)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "asked", "")
