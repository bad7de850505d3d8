# SPDX-License-Identifier: Apache-2.0
"""The faults of tests/faults.json while the wheel reads and writes, as a store and as a filesystem, by both services.

A cell is a fault and an operation, with an object of its own. It ends with the right bytes or with an exception of the right
class whose message names operation and object, within the stated time. The object is the old one or the new one, whole. No
upload is left. The histograms count what failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import itertools
import json
import re
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import serving
import storescope

FAULTS: list[dict[str, Any]] = json.loads((Path(__file__).parents[3] / "tests/faults.json").read_text()) + [
    {"name": "403", "actions": [{"status": {"status": 403}}], "right": ["permission denied"]},
    {"name": "404 of the bucket", "actions": [{"status": {"status": 404, "code": "BucketNotFound"}}], "right": ["bucket not found"]},
]
READS = ("get", "range", "ranges", "awaited", "reader", "stream")
# What else may be right, by operation. What is gone while an object is read has changed since. An upload that is gone is aborted,
# and an object that is not the upload's was there before. A HEAD does not say whose its 404 is, where the bucket was seen before.
ALSO: dict[str, dict[str, str]] = {
    "404": {**dict.fromkeys(READS, "changed"), "commit": "precondition", "abort": "ok"},
    "404 of the bucket": {"head": "not_found", "exists": "not_found"},
}
# Seconds that a store asks for before the next request.
ASKED = {"429 with Retry-After": 1}

TRIES, PATIENCE = 3, 1.5
QUICK = {
    "attempts": TRIES,
    "backoff_base": 0.001,
    "backoff_cap": 0.01,
    "connect_timeout": PATIENCE,
    "first_byte_timeout": PATIENCE,
    "stall_timeout": PATIENCE,
    "retry_budget": 10_000,
    "hedge_at": 0,
    "part_size": "5MiB",
}
# A call gives up after this time. The rest is for a busy machine, on which many cells run at a time.
MOST_SECONDS = TRIES * PATIENCE + 5
AT_ONCE = 24

OLD = bytes(range(256)) * 1200
# Two parts.
NEW = bytes(reversed(range(256))) * (21 << 10)
SPANS = [(1000, 50_000), (200_000, 200_100), (300_000, len(OLD))]

# By the kind of error; those of other kinds are StoreError itself. Each is an OSError, too.
CLASSES: dict[str, type[Exception]] = {
    "not_found": FileNotFoundError,
    "bucket_not_found": storescope.BucketNotFoundError,
    "unauthenticated": PermissionError,
    "permission_denied": PermissionError,
    "timeout": TimeoutError,
    "precondition": storescope.PreconditionError,
    "changed": storescope.ObjectChangedError,
    "invalid_range": ValueError,
}


class Inside(Exception):
    """What ends the `with` of a write."""


@dataclass(frozen=True)
class Operation:
    """`act(face, key)`: whether the bytes were right. `method` and `query`: of the requests that are struck."""

    act: Callable[[Any, str], Any]
    method: str | None = "GET"
    query: str = ""
    writes: bool = False


def look(act: Callable[[Any, str], Any]) -> Operation:
    # A HEAD that is refused is asked about by a GET: each request is struck.
    return Operation(act, method=None)


def write(act: Callable[[Any, str], Any], method: str, query: str = "") -> Operation:
    return Operation(act, method, query, writes=True)


def same(parts: list[Any]) -> bool:
    return [bytes(part) for part in parts] == [OLD[start:stop] for start, stop in SPANS]


def by_reader(store: storescope.Store, key: str) -> bool:
    with store.reader(key, policy="random") as reader:
        return same([reader.read_at(*span) for span in SPANS])


def by_stream(file: Any) -> bool:
    with file:
        return b"".join(iter(lambda: file.read(64 << 10), b"")) == OLD


def by_parts(file: Any) -> bool:
    with file:
        for start in range(0, len(NEW), 1 << 20):
            file.write(NEW[start : start + (1 << 20)])
    return True


def given_up(file: Any) -> bool:
    with contextlib.suppress(Inside), file:
        file.write(NEW)
        raise Inside
    return True


async def awaited(store: storescope.Store, key: str) -> bool:
    return bytes(await store.get_async(key)) == OLD and same(await store.get_ranges_async(key, SPANS))


def ranges_of_fsspec(fs: Any, path: str) -> bool:
    starts, stops = zip(*SPANS, strict=True)
    return same(fs.cat_ranges([path] * len(SPANS), list(starts), list(stops), on_error="raise"))


STORE = {
    "get": Operation(lambda store, key: bytes(store.get(key)) == OLD),
    "range": Operation(lambda store, key: same([store.get_range(key, *span) for span in SPANS])),
    "ranges": Operation(lambda store, key: same(store.get_ranges(key, SPANS))),
    "awaited": Operation(lambda store, key: asyncio.run(awaited(store, key))),
    "reader": Operation(by_reader),
    "stream": Operation(lambda store, key: by_stream(store.open(key))),
    "head": look(lambda store, key: store.head(key).size == len(OLD)),
    "exists": look(lambda store, key: store.exists(key)),
    "put": write(lambda store, key: store.put(key, NEW).size == len(NEW), "PUT"),
    "part": write(lambda store, key: by_parts(store.writer(key)), "PUT"),
    "commit": write(lambda store, key: by_parts(store.open(key, "wb")), "POST", "?uploadId"),
    "abort": write(lambda store, key: given_up(store.writer(key)), "DELETE"),
}

FSSPEC = {
    "get": Operation(lambda fs, path: fs.cat_file(path) == OLD),
    "range": Operation(lambda fs, path: same([fs.cat_file(path, *span) for span in SPANS])),
    "ranges": Operation(ranges_of_fsspec),
    "stream": Operation(lambda fs, path: by_stream(fs.open(path))),
    "head": look(lambda fs, path: fs.info(path)["size"] == len(OLD)),
    "exists": look(lambda fs, path: fs.exists(path)),
    "put": write(lambda fs, path: fs.pipe_file(path, NEW) is None, "PUT"),
    "part": write(lambda fs, path: by_parts(fs.open(path, "wb")), "PUT"),
    "commit": write(lambda fs, path: by_parts(fs.open(path, "wb")), "POST", "?uploadId"),
    "abort": write(lambda fs, path: given_up(fs.open(path, "wb")), "DELETE"),
}


class Store:
    """A store, and what the operations are asked of."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.store = storescope.open_store(url, **options)

    def at(self, key: str) -> tuple[Any, str]:
        return self.store, key


class FileSystem:
    """The same as a filesystem of fsspec."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        service, _, self.root = url.partition("://")
        self.fs = fsspec.filesystem(f"storescope+{service}", **options)

    def at(self, key: str) -> tuple[Any, str]:
        return self.fs, self.root + key


FACES: dict[str, tuple[Any, dict[str, Operation]]] = {"store": (Store, STORE), "fsspec": (FileSystem, FSSPEC)}


class Network:
    """Servers that are no stores: the faults below HTTP, by their names."""

    def __init__(self, folder: Path) -> None:
        # A port on which nothing listens, and the server that redirects lead to.
        self.vacant = socket.socket()
        self.vacant.bind(("127.0.0.1", 0))
        self.elsewhere = socket.create_server(("127.0.0.1", 0))
        self.elsewhere.setblocking(False)
        bundle = folder / "bundle.pem"
        here, store = x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("store.example")
        expired, other = served(folder / "expired.pem", here, 2020), served(folder / "other.pem", store, 2100)
        bundle.write_bytes((folder / "expired.pem").read_bytes() + (folder / "other.pem").read_bytes())
        self.options: dict[str, dict[str, Any]] = {
            "connect refused": {"endpoint": f"http://127.0.0.1:{self.vacant.getsockname()[1]}"},
            "DNS gone": {"endpoint": "http://no-such-host.invalid"},
            "certificate expired": {"endpoint": expired, "ca_bundle": bundle},
            "certificate of another host": {"endpoint": other, "ca_bundle": bundle},
        }

    def actions(self, fault: dict[str, Any]) -> list[Any]:
        there = f"http://127.0.0.1:{self.elsewhere.getsockname()[1]}"
        return json.loads(json.dumps(fault["actions"]).replace("http://HOST", there))

    def was_followed(self) -> bool:
        try:
            self.elsewhere.accept()
        except BlockingIOError:
            return False
        return True


def served(pem: Path, name: x509.GeneralName, until: int) -> str:
    """The URL of a TLS server whose own certificate, left in `pem`, is for a name and valid until a year."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "faults")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime.datetime(2019, 1, 1)).not_valid_after(datetime.datetime(until, 1, 1))
    builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = pem.with_suffix(".key")
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, plain))
    pem.write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    listener = socket.create_server(("127.0.0.1", 0))

    def shake_hands() -> None:
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                pass

    threading.Thread(target=shake_hands, daemon=True).start()
    return f"https://127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Table:
    """The cells of one face and one service."""

    server: serving.Server
    network: Network
    url: str
    options: dict[str, Any]
    face: str

    def __post_init__(self) -> None:
        self.make, self.operations = FACES[self.face]
        self.good = storescope.open_store(self.url, **self.options)
        self.quick = self.make(self.url, {**self.options, **QUICK})
        other = self.network.options.items()
        self.elsewhere = {name: self.make(self.url, {**self.options, **QUICK, **options}) for name, options in other}

    def run(self) -> list[str]:
        """What is wrong, cell by cell."""
        cells = list(itertools.product(FAULTS, self.operations))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda cell: self.cell(*cell), cells)
        return [f"{fault['name']} x {name}: {why}" for (fault, name), wrong in zip(cells, found, strict=True) for why in wrong]

    def cell(self, fault: dict[str, Any], name: str) -> list[str]:
        operation = self.operations[name]
        key = f"{self.face}.{re.sub('[^A-Za-z0-9]+', '-', fault['name'])}.{name}.bin"
        self.good.put(key, OLD)
        with self.struck(fault, operation, key) as face:
            began = time.monotonic()
            outcome, error = outcome_of(operation, *face.at(key))
            took = time.monotonic() - began
        wrong = list(complaints(fault, name, outcome, took))
        if isinstance(error, storescope.StoreError):
            wrong += complaints_of_error(error, key)
        if wrong and error is not None:
            wrong[-1] += f" ({error})"
        if operation.writes:
            wrong += self.complaints_of_object(fault, name, outcome, key)
        return wrong

    @contextlib.contextmanager
    def struck(self, fault: dict[str, Any], operation: Operation, key: str) -> Iterator[Any]:
        if "network" in fault:
            yield self.elsewhere[fault["name"]]
            return
        about = {"contains": key + operation.query, "count": fault.get("times", 1_000_000)}
        if operation.method:
            about["method"] = operation.method
        rules = [{**about, "action": action} for action in self.network.actions(fault)]
        numbers = json.loads(self.server.admin("POST", "/faults", rules))["ids"]
        try:
            yield self.quick
        finally:
            for number in numbers:
                self.server.admin("DELETE", f"/faults/{number}")

    def complaints_of_object(self, fault: dict[str, Any], name: str, outcome: str, key: str) -> Iterator[str]:
        found = bytes(self.good.get(key))
        # Where the request may have been done, an error may be told of a write that is there.
        undone = not fault.get("actions") or any(action == "reset" or "status" in action for action in fault["actions"])
        if name == "abort":
            right = [OLD]
        elif outcome == "ok":
            right = [NEW]
        else:
            right = [OLD] if undone or name == "part" else [OLD, NEW]
        if found not in right:
            yield f"{outcome}, and {len(found)} bytes are there: those of the {'new' if found == NEW else 'old'} object"
        self.good.delete(key)


def outcome_of(operation: Operation, face: Any, key: str) -> tuple[str, Exception | None]:
    try:
        right = operation.act(face, key)
    except OSError as error:
        kind = getattr(error, "kind", "not_found" if isinstance(error, FileNotFoundError) else "no kind")
        class_ = CLASSES.get(kind, storescope.StoreError)
        return kind if isinstance(error, class_) else f"{kind} as {type(error).__name__}", error
    except Exception as error:
        return type(error).__name__, error
    if right:
        return "ok", None
    # `exists` has no other way to say it.
    return ("not_found" if operation.method is None else "wrong bytes"), None


def complaints(fault: dict[str, Any], name: str, outcome: str, took: float) -> Iterator[str]:
    right = [kind.replace(" ", "_") for kind in fault["right"]]
    right += [kind for operation, kind in ALSO.get(fault["name"], {}).items() if operation == name]
    # A resolver may be late.
    right += ["timeout"] if fault["name"] == "DNS gone" else []
    if outcome not in right:
        yield f"{outcome}, and not {' or '.join(right)}"
    if took > MOST_SECONDS:
        yield f"took {took:.1f} s"
    if took < ASKED.get(fault["name"], 0):
        yield f"took {took:.1f} s, less than the server asked for"


def complaints_of_error(error: storescope.StoreError, key: str) -> Iterator[str]:
    if not error.operation or not str(error).startswith(error.operation):
        yield "the message does not begin with the operation"
    if key not in (error.object or "") or key not in str(error):
        yield "the message does not name the object"
    if "\n" in str(error):
        yield "the message has several lines"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    network = Network(tmp_path_factory.mktemp("certificates"))
    yield network
    network.vacant.close()
    network.elsewhere.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("face", FACES)
def test_every_cell_is_right_or_told(server, network, bucket, options, uploads, face):
    prefix = f"{uuid.uuid4().hex}/"
    table = Table(server, network, bucket + prefix, options, face)
    with storescope.profile(threads=True) as profile:
        wrong = table.run()
    assert wrong == [], f"{len(wrong)} of {len(FAULTS) * len(table.operations)} cells:\n" + "\n".join(wrong)
    # An abort that a fault may fail is told, and leaves its upload.
    once = {re.sub("[^A-Za-z0-9]+", "-", fault["name"]) for fault in FAULTS if fault.get("times") == 1 and fault["right"] == ["ok"]}
    left = [name.removeprefix(prefix) for name in uploads() if name.startswith(prefix)]
    assert [name for name in left if not name.endswith(".abort.bin") or name.split(".")[1] in once] == []
    assert not network.was_followed()
    counted = {"connect", "reset", "timeout", "auth", "not_found", "precondition", "server", "invalid"}
    # S3's 503 SlowDown counts as a server's error.
    counted |= {"throttled"} if bucket.startswith("oci:") else set()
    assert counted <= set(profile.snapshot().failures), profile.snapshot().failures
