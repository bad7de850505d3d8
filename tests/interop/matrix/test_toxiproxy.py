# SPDX-License-Identifier: Apache-2.0
"""The command line through toxiproxy (Shopify), which delays, slices, throttles, cuts and resets connections in either
direction. Each call ends with the right bytes or with an error of its kind, within the stated time, and leaves nothing
behind."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporting
import serving

SIZE = 9_000_000
BYTES = bytes((n % 251) ^ (n // 251 % 251) for n in range(SIZE))

# Limits that are small, so that each is reached: a call ends within the sum of what its attempts may take.
ATTEMPTS, CONNECT, FIRST_BYTE, STALL, CALL = 3, 1.0, 1.5, 1.5, 10.0
# The last attempt begins within CALL; what it left of an upload is aborted, which is a call of its own. And the process
# must start, on a machine that does other things, too.
PATIENCE = 2 * (CALL + CONNECT + FIRST_BYTE + STALL) + 5.0

SETTINGS = {
    "STORESCOPE_ATTEMPTS": str(ATTEMPTS),
    "STORESCOPE_CONNECT_TIMEOUT": f"{CONNECT}s",
    "STORESCOPE_FIRST_BYTE_TIMEOUT": f"{FIRST_BYTE}s",
    "STORESCOPE_STALL_TIMEOUT": f"{STALL}s",
    # A toxic that lets a kilobyte a second pass has stalled.
    "STORESCOPE_STALL_RATE": "20000",
    "STORESCOPE_CALL_TIMEOUT": f"{CALL}s",
    "STORESCOPE_BACKOFF_CAP": "200ms",
    "STORESCOPE_PART_SIZE": "5MiB",
}


class Toxiproxy:
    """A running proxy; its API by HTTP."""

    def __init__(self, port: int) -> None:
        self._api = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._api + path, data, {"content-type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def version(self) -> str:
        return self.ask("GET", "/version")["version"]

    def proxy(self, name: str, upstream: str) -> str:
        """The address of a proxy before a server."""
        return self.ask("POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})["listen"]

    def add(self, name: str, kind: str, stream: str, attributes: dict, toxicity: float = 1.0) -> None:
        toxic = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        self.ask("POST", f"/proxies/{name}/toxics", toxic)

    def heal(self) -> None:
        """Removes all toxics, and enables every proxy."""
        self.ask("POST", "/reset")


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[Toxiproxy]:
    binary = os.environ.get("STORESCOPE_TEST_TOXIPROXY")
    assert binary, "STORESCOPE_TEST_TOXIPROXY names toxiproxy's server (scripts/stages)"
    port = exporting.free_port()
    command = [binary, "-host", "127.0.0.1", "-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = Toxiproxy(port)

    def answers() -> str:
        assert process.poll() is None, f"{binary} ended with {process.returncode}"
        try:
            return made.version()
        except OSError:
            return ""

    try:
        assert exporting.wait_for("toxiproxy answers", answers)
        yield made
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server() -> Iterator[serving.Server]:
    with serving.serve("--bucket", "toxic") as running:
        yield running


@dataclasses.dataclass
class Place:
    """A store behind a proxy, and the store itself."""

    proxy: Toxiproxy
    name: str
    url: str
    behind: dict[str, str]
    direct: dict[str, str]
    folder: Path
    server: serving.Server

    def run(self, *command: str, behind: bool = True) -> tuple[subprocess.CompletedProcess, float]:
        keep = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        began = time.monotonic()
        ran = subprocess.run(
            [serving.binary(), *command], cwd=self.folder, capture_output=True, timeout=120,
            env=keep | SETTINGS | (self.behind if behind else self.direct),
        )  # fmt: skip
        return ran, time.monotonic() - began

    def well(self, *command: str) -> bytes:
        ran, _ = self.run(*command, behind=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="session", params=["oci", "s3"])
def place(request, toxiproxy, server, tmp_path_factory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "object").write_bytes(BYTES)
    if request.param == "oci":
        settings = {"STORESCOPE_CONFIG_FILE": server.oci["config_file"]}
        endpoint, url = server.oci["endpoint"], f"oci://toxic@{server.oci['namespace']}/"
    else:
        s3 = server.ready["s3"]
        settings = {
            "STORESCOPE_REGION": s3["region"],
            "STORESCOPE_ACCESS_KEY_ID": s3["access_key_id"],
            "STORESCOPE_SECRET_ACCESS_KEY": s3["secret_access_key"],
        }
        endpoint, url = s3["endpoint"], "s3://toxic/s3/"
    listen = toxiproxy.proxy(request.param, endpoint.removeprefix("http://"))
    behind = settings | {"STORESCOPE_ENDPOINT": f"http://{listen}"}
    made = Place(toxiproxy, request.param, url, behind, settings | {"STORESCOPE_ENDPOINT": endpoint}, folder, server)
    made.well("cp", "object", f"{url}object")
    yield made


# What the client does, and what it must leave


def get(place: Place) -> tuple[str, ...]:
    """The whole object, into a file."""
    (place.folder / "down").unlink(missing_ok=True)
    return "cp", f"{place.url}object", "down"


def got(place: Place, ran: subprocess.CompletedProcess) -> None:
    down = place.folder / "down"
    if ran.returncode == 0:
        assert down.read_bytes() == BYTES
    else:
        assert not down.exists()
        assert [file.name for file in place.folder.iterdir() if file.name.startswith(".storescope-")] == []


def ranged(place: Place) -> tuple[str, ...]:
    return "cat", f"{place.url}object", "--range", "1000000-1999999"


def got_range(place: Place, ran: subprocess.CompletedProcess) -> None:
    is_beginning(BYTES[1_000_000:2_000_000], ran)


def stream(place: Place) -> tuple[str, ...]:
    """The whole object, as it comes."""
    return "cat", f"{place.url}object"


def got_stream(place: Place, ran: subprocess.CompletedProcess) -> None:
    is_beginning(BYTES, ran)


def is_beginning(expected: bytes, ran: subprocess.CompletedProcess) -> None:
    """What was written before an error is right, too."""
    assert ran.stdout == expected if ran.returncode == 0 else expected.startswith(ran.stdout)


def upload(place: Place) -> tuple[str, ...]:
    """By parts."""
    return "cp", "-f", "object", f"{place.url}up/object"


def uploaded(place: Place, ran: subprocess.CompletedProcess) -> None:
    """The object, or nothing. Parts whose abort was cut, too, are listed, and can be removed."""
    listed = [line for line in place.well("ls", "-r", "--json", place.url).splitlines() if b"up/object" in line]
    if ran.returncode == 0:
        assert place.well("cat", f"{place.url}up/object") == BYTES
    for line in listed:
        assert json.loads(line)["size"] == SIZE
        place.well("rm", f"{place.url}up/object")
    left = place.well("uploads", "--json", place.url).splitlines()
    assert not left or ran.returncode != 0
    place.well("uploads", "--abort", "--older-than", "0s", place.url)
    assert place.well("uploads", "--json", place.url).splitlines() == []


OPERATIONS = {get: got, ranged: got_range, stream: got_stream, upload: uploaded}


# What the client says of a connection that broke, or that went on too slowly.
ERRORS = r"the connection broke|no connection|in time|timed out|within|stall|reset|closed"


@dataclasses.dataclass(frozen=True)
class Toxic:
    kind: str
    attributes: dict
    # Whether calls must succeed in spite of it.
    harmless: bool = False


TOXICS = [
    Toxic("latency", {"latency": 150, "jitter": 100}, harmless=True),
    Toxic("slicer", {"average_size": 4000, "size_variation": 2000, "delay": 10}, harmless=True),
    Toxic("bandwidth", {"rate": 4000}, harmless=True),
    Toxic("slow_close", {"delay": 300}, harmless=True),
    Toxic("reset_peer", {"timeout": 50}),
    Toxic("timeout", {"timeout": 0}),
    Toxic("timeout", {"timeout": 500}),
    Toxic("limit_data", {"bytes": 2_000_000}),
    # Slower than the least rate that counts as progress.
    Toxic("bandwidth", {"rate": 1}),
]


def named(toxic: Toxic) -> str:
    return "-".join([toxic.kind, *(str(value) for value in toxic.attributes.values())])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
@pytest.mark.parametrize("direction", ["downstream", "upstream"])
@pytest.mark.parametrize("toxic", TOXICS, ids=named)
def test_right_bytes_or_an_error_in_time(place, toxic, direction, operation):
    command = operation(place)
    place.proxy.heal()
    place.proxy.add(place.name, toxic.kind, direction, toxic.attributes)
    try:
        ran, seconds = place.run(*command)
    finally:
        place.proxy.heal()
    said = ran.stderr.decode()
    assert seconds < PATIENCE, f"{seconds:.1f} s: {said}"
    if toxic.harmless:
        assert ran.returncode == 0, said
    if ran.returncode != 0:
        assert ran.returncode == 1, said
        assert re.search(ERRORS, said, re.IGNORECASE), said
    OPERATIONS[operation](place, ran)


def test_most_connections_of_many_are_reset(place):
    """Three of four connections are cut, each after a part of its bytes: the read resumes where it was."""
    before = len(place.server.record())
    place.proxy.heal()
    place.proxy.add(place.name, "limit_data", "downstream", {"bytes": 3_000_000}, toxicity=0.75)
    try:
        ran, _ = place.run(*stream(place))
    finally:
        place.proxy.heal()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == BYTES
    assert len(place.server.record()) - before >= 2


def test_a_proxy_that_is_down_and_comes_back(place):
    """Down: an error that says so, at once. Up again: the next call works."""
    place.proxy.ask("POST", f"/proxies/{place.name}", {"enabled": False})
    ran, seconds = place.run("stat", f"{place.url}object")
    assert ran.returncode == 1 and b"nothing listens there" in ran.stderr, ran.stderr
    assert seconds < PATIENCE
    place.proxy.heal()
    ran, _ = place.run("stat", f"{place.url}object")
    assert ran.returncode == 0, ran.stderr


def test_the_toxics_bite(place):
    """The judge itself: what it lets through is slowed, and what it cuts is cut."""
    host, port = place.behind["STORESCOPE_ENDPOINT"].removeprefix("http://").split(":")
    place.proxy.heal()
    place.proxy.add(place.name, "latency", "downstream", {"latency": 700})
    began = time.monotonic()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert connection.recv(10).startswith(b"HTTP/1.1")
    assert time.monotonic() - began >= 0.7
    place.proxy.heal()
    place.proxy.add(place.name, "reset_peer", "downstream", {"timeout": 0})
    with socket.create_connection((host, int(port))) as connection, pytest.raises(OSError):
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert not connection.recv(10)
        raise ConnectionResetError("closed at once")
    place.proxy.heal()
