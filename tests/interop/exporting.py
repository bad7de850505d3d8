# SPDX-License-Identifier: Apache-2.0
"""A process of ours that has made requests, is idle, and exports what it recorded by every way there is; and a receiver of
OTLP pushes."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

import serving

HEADS, PUTS = 600, 150
WAIT_SECONDS = 120
INTERRUPTED = 130
#: Our buckets are at most this wide, and schema 4 of Prometheus' native histograms has buckets of this width.
OURS, NATIVE = 1 / 128, 2 ** (1 / 16) - 1
#: Half of our narrowest bucket, in seconds: what it takes for any width in the table to be true.
NARROWEST = 128e-9


@dataclass
class Receiver:
    """An OTLP receiver: the bodies of all pushes."""

    url: str
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            good = self.path == "/v1/metrics" and self.headers["content-type"] == "application/x-protobuf"
            if good:
                received.bodies.append(body)
            self.send_response(200 if good else 400)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Receiver(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url: str, **headers: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=headers), timeout=WAIT_SECONDS) as answer:
        return answer.read()


def wait_for(what: str, condition):
    """The first true thing that `condition` answers."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"{what}: not within {WAIT_SECONDS} s"
        time.sleep(0.1)


@dataclass
class Exporting:
    """The process: all its requests but one have ended, and that one waits for its answer until the process is ended."""

    process: subprocess.Popen
    address: str
    folder: Path

    @property
    def interval_log(self) -> Path:
        return self.folder / "intervals.hlog"

    @property
    def whole_log(self) -> Path:
        """What it had recorded when it ended."""
        return self.folder / "whole.hlog"

    def get(self, path: str) -> str:
        return get(f"http://{self.address}{path}").decode()

    def end(self) -> None:
        """Interrupts it: its last request is cancelled, and it tells what it recorded."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        assert self.process.wait(WAIT_SECONDS) == INTERRUPTED


@contextmanager
def exporting(folder: Path, otlp_endpoint: str, address: str = "") -> Iterator[Exporting]:
    with serving.serve("--model", "lan-minio") as server:
        oci = server.oci
        options = ["--endpoint", oci["endpoint"], "--config-file", oci["config_file"], "--profile", oci["profile"]]
        bucket = f"oci://exports@{oci['namespace']}"
        (folder / "object").write_bytes(bytes(5000))
        for command in (["mb", bucket], ["cp", str(folder / "object"), f"{bucket}/object"]):
            subprocess.run([serving.binary(), *command, *options], check=True, timeout=WAIT_SECONDS)
        lines = [f"stat {bucket}/object"] * HEADS
        lines += [f"cp {folder}/object {bucket}/copy-{number}" for number in range(PUTS)]
        lines.insert(0, f"stat {bucket}/waits")
        server.fault({"contains": "waits", "action": {"delay": {"ms": 10 * WAIT_SECONDS * 1000}}})
        (folder / "commands").write_text("\n".join(lines))
        address = address or f"127.0.0.1:{free_port()}"
        command = [
            serving.binary(), "run", str(folder / "commands"), "--concurrency", "8", *options,
            "--metrics-endpoint", address, "--metrics-log", str(folder / "intervals.hlog"),
            "--metrics-interval", "200ms", "--otlp-endpoint", otlp_endpoint,
            "--scope-out", str(folder / "whole.hlog"), "--first-byte-timeout", "1h",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        running = Exporting(process, address, folder)
        try:
            wait_for("all requests but the last have ended", lambda: is_idle(running))
            yield running
            running.end()
        finally:
            process.kill()
            process.wait()


def is_idle(running: Exporting) -> bool:
    assert running.process.poll() is None, f"it ended with {running.process.returncode}"
    try:
        keys = json.loads(running.get("/json"))["keys"]
    except OSError:
        return False
    ended = {op: keys.get(f"call/{op}/total/ok/-/-", {}).get("count", 0) for op in ("head", "put")}
    return ended["head"] >= HEADS and ended["put"] >= PUTS


def histograms(log: Path) -> dict[str, HdrHistogram]:
    """The histograms of a log by tag, the intervals of a tag added up, as PyPI `hdrhistogram` reads them."""
    reader = HistogramLogReader(str(log), HdrHistogram(1, 3_600_000_000_000, 2))
    found: dict[str, HdrHistogram] = {}
    try:
        while histogram := reader.get_next_interval_histogram(range_end_time_sec=math.inf):
            tag = histogram.get_tag()
            if tag in found:
                found[tag].add(histogram)
            else:
                found[tag] = histogram
    finally:
        reader.close()
    return found


def value_at(histogram: HdrHistogram, quantile: float) -> int:
    """At the rank that ours takes, ceil(quantile × count): ports round it up, or half up."""
    count = histogram.get_total_count()
    rank = max(1, math.ceil(quantile * count))
    return histogram.get_value_at_percentile(100 * rank / count)


def exact(log: Path) -> dict[str, tuple[int, int, int]]:
    """Sum, smallest and largest value by tag: the comments of a log."""
    lines = (line.removeprefix("#[Exact: ").removesuffix("]") for line in log.read_text().splitlines() if line.startswith("#[Exact: "))
    found = {}
    for line in lines:
        tag, *numbers = line.split(" ")
        assert tag not in found, f"{tag} twice"
        found[tag] = tuple(map(int, numbers))
    return found


def labels(tag: str) -> dict[str, str]:
    """A tag's parts by the names of Prometheus' labels."""
    return dict(zip(("level", "operation", "phase", "outcome", "size", "connection"), tag.split("/"), strict=True))
