# SPDX-License-Identifier: Apache-2.0
"""The tools that peers.py and generator.py run: how each is found, told what to do, and read.

All of them ask the same objects of one bucket by S3's API. An object is named as fio's http engine names a block:
`SIZE/o_OFFSET_SIZE`.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/interop"))
import serving  # noqa: E402
from ranks import nearest_rank  # noqa: E402

QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
OBJECTS = 64
TIMEOUT_SECONDS = 3600


class Missing(Exception):
    """A tool that is not there, and how to get it."""


@dataclass(frozen=True)
class Store:
    """The emulator's S3 API."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str

    @staticmethod
    def of(server: serving.Server) -> Store:
        s3 = server.ready["s3"]
        return Store(s3["endpoint"], s3["region"], s3["access_key_id"], s3["secret_access_key"])

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "NO_PROXY": "127.0.0.1",
        }

    def presigned(self, method: str, key: str, now: datetime.datetime | None = None) -> str:
        """A URL that needs no further signature for six hours."""
        stamp = (now or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
        host, path = urlsplit(self.endpoint).netloc, "/demo/" + quote(key)
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        query = "&".join(
            f"{name}={quote(value, safe='')}"
            for name, value in [
                ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
                ("X-Amz-Credential", f"{self.access_key_id}/{scope}"),
                ("X-Amz-Date", stamp),
                ("X-Amz-Expires", "21600"),
                ("X-Amz-SignedHeaders", "host"),
            ]
        )
        canonical = f"{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key_bytes = b"AWS4" + self.secret_access_key.encode()
        for part in (stamp[:8], self.region, "s3", "aws4_request", text):
            key_bytes = hmac.new(key_bytes, part.encode(), hashlib.sha256).digest()
        return f"{self.endpoint}{path}?{query}&X-Amz-Signature={key_bytes.hex()}"


@dataclass(frozen=True)
class Work:
    """So many calls of one operation on objects of one size, so many under way."""

    operation: str
    size: int
    count: int
    concurrency: int

    def __str__(self) -> str:
        size = f"{self.size >> 10} KiB"
        return f"{self.operation.upper()} of {size}, {self.count} calls, {self.concurrency} at a time"

    def keys(self, name: str) -> list[str]:
        below = str(self.size) if self.operation == "get" else f"{name}-{self.size}"
        return [f"{below}/o_{number * self.size}_{self.size}" for number in range(OBJECTS)]


@dataclass(frozen=True)
class Told:
    """What a tool said: quantiles in milliseconds of the first byte, of the whole, or of both."""

    count: int
    errors: int
    quantiles: dict[str, dict[str, float]]
    # The client request ids of what it counted, where it tells them.
    ids: frozenset[str] | None = None


@dataclass(frozen=True)
class Tool:
    name: str
    # How its requests are known in the record: the beginning of the user agent; None is none.
    agent: str | None
    measures: str
    # Raises Missing; gives the version.
    version: Callable[[], str]
    run: Callable[[Store, Work, Path], Told]

    def sent(self, line: dict[str, Any]) -> bool:
        agent = line["user_agent"]
        return agent is None if self.agent is None else (agent or "").startswith(self.agent)


def output(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Runs a command to its end; what it printed."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def program(name: str, variable: str, how: str) -> str:
    """A program by its variable in the environment, else by the path."""
    found = shutil.which(os.environ.get(variable, name))
    if not found:
        raise Missing(f"{name} is not there (PATH, or {variable}): {how}")
    return found


# fio


FIO_HOW = """its http engine needs a build with libcurl, which Debian's package has not:
  apt-get install libcurl4-openssl-dev libssl-dev zlib1g-dev && apt-get source fio && cd fio-* && ./configure && make fio
  export FIO=$PWD/fio"""


def fio_version() -> str:
    fio = program("fio", "FIO", FIO_HOW)
    if "engine http not" in subprocess.run([fio, "--enghelp=http"], capture_output=True, text=True).stdout:
        raise Missing(f"{fio} has no http engine: {FIO_HOW}")
    return output([fio, "--version"]).strip()


def fio_run(store: Store, work: Work, folder: Path) -> Told:
    """One job, and so one connection, for each request under way: the engine is synchronous."""
    each = work.count // work.concurrency
    prefix = work.keys("fio")[0].rpartition("/")[0]
    printed = output([
        program("fio", "FIO", FIO_HOW), "--name=peer", "--ioengine=http", "--http_mode=s3", "--https=off",
        f"--http_host={urlsplit(store.endpoint).netloc}", f"--http_s3_region={store.region}",
        f"--http_s3_keyid={store.access_key_id}", f"--http_s3_key={store.secret_access_key}",
        f"--filename=/demo/{prefix}/o", f"--rw={'randread' if work.operation == 'get' else 'randwrite'}",
        f"--bs={work.size}", f"--size={OBJECTS * work.size}", f"--io_size={each * work.size}", "--norandommap=1",
        f"--numjobs={work.concurrency}", "--thread", "--group_reporting", "--percentile_list=50:99:99.9",
        "--output-format=json",
    ])  # fmt: skip
    return fio_told(json.loads(printed[printed.index("{") :]), work.operation)


def fio_told(report: dict[str, Any], operation: str) -> Told:
    job = report["jobs"][0]
    side = job["read" if operation == "get" else "write"]
    percentiles = side["clat_ns"]["percentile"]
    whole = {name: percentiles[f"{100 * quantile:.6f}"] / 1e6 for name, quantile in QUANTILES.items()}
    return Told(side["total_ios"], 1 if job["error"] else 0, {"whole": whole})


# oha


def oha_version() -> str:
    how = "cargo install oha --locked --no-default-features --features native-tls"
    return output([program("oha", "OHA", how), "--version"]).strip()


def oha_run(store: Store, work: Work, folder: Path) -> Told:
    """URLs presigned beforehand, one for each object, taken at random."""
    urls, body = folder / "urls", folder / "body"
    method = work.operation.upper()
    urls.write_text("".join(store.presigned(method, key) + "\n" for key in work.keys("oha")))
    command = ["-n", str(work.count), "-c", str(work.concurrency), "--urls-from-file", str(urls), "-m", method]
    if work.operation == "put":
        body.write_bytes(os.urandom(work.size))
        command += ["-D", str(body)]
    return oha_told(json.loads(oha(*command)))


def oha(*options: str) -> str:
    """Its JSON. No answer is compressed, so it need not offer to take such."""
    return output([os.environ.get("OHA", "oha"), "--no-tui", "--output-format", "json", "--disable-compression", *options])


def oha_told(report: dict[str, Any]) -> Told:
    statuses: dict[str, int] = report["statusCodeDistribution"]
    good = sum(count for status, count in statuses.items() if status.startswith("2"))
    errors = sum(statuses.values()) - good + sum(report["errorDistribution"].values())
    parts = {"whole": "latencyPercentiles", "first byte": "firstBytePercentiles"}
    # A PUT's answer has no body, and so no first byte of one.
    told = {
        part: {name: report[key][name] * 1e3 for name in QUANTILES}
        for part, key in parts.items()
        if report[key].get("p50") is not None
    }
    return Told(good, errors, told)


# s3dlio


def s3dlio_version() -> str:
    try:
        import s3dlio  # noqa: F401
        import zstandard  # noqa: F401  its log is compressed
    except ImportError as error:
        raise Missing(f"{error}: pip install -r benches/instrument/requirements.txt") from error
    return f"s3dlio {metadata.version('s3dlio')}"


def s3dlio_run(store: Store, work: Work, folder: Path) -> Told:
    log = folder / "log.tsv.zst"
    log.unlink(missing_ok=True)
    worker = Path(__file__).with_name("s3dlio_worker.py")
    keys = ",".join(work.keys("s3dlio"))
    command = [sys.executable, str(worker), str(log), work.operation, str(work.size), str(work.count)]
    output([*command, str(work.concurrency), keys], store.environment())
    return s3dlio_told(log)


def s3dlio_told(log: Path) -> Told:
    """s3dlio prints no quantiles: those of its op-log, a line a call, by nearest rank."""
    import zstandard

    text = zstandard.ZstdDecompressor().stream_reader(log.read_bytes()).read().decode()
    names, *rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    calls = [dict(zip(names, row, strict=True)) for row in rows]
    good = [call for call in calls if not call["error"]]
    whole = sorted(int(call["duration_ns"]) / 1e6 for call in good)
    # Of a PUT it is the start.
    reads = [call for call in good if call["op"] == "GET" and call["first_byte"]]
    first = sorted(since(call["start"], call["first_byte"]) for call in reads)
    parts = {"whole": whole, "first byte": first}
    told = {
        part: {name: nearest_rank(samples, quantile) for name, quantile in QUANTILES.items()}
        for part, samples in parts.items()
        if samples
    }
    return Told(len(good), len(calls) - len(good), told)


def since(begin: str, end: str) -> float:
    """Milliseconds between two RFC 3339 times with nanoseconds."""

    def seconds(text: str) -> tuple[float, float]:
        whole, _, fraction = text.rstrip("Z").partition(".")
        return datetime.datetime.fromisoformat(whole).timestamp(), float(f"0.{fraction or 0}")

    (begun, part), (ended, end_part) = seconds(begin), seconds(end)
    return (ended - begun + end_part - part) * 1e3


# storescope


def storescope_version() -> str:
    return output([serving.binary(), "--version"]).strip()


def storescope_run(store: Store, work: Work, folder: Path) -> Told:
    out = folder / "storescope"
    shutil.rmtree(out, ignore_errors=True)
    where = work.keys("storescope")[0].rpartition("/")[0]
    output([
        serving.binary(), "bench", f"s3://demo/{where}/", "--op", work.operation, "--size", str(work.size),
        "--count", str(work.count), "--concurrency", str(work.concurrency), "--requests", "--json", "--out", str(out),
    ], store.environment())  # fmt: skip
    return storescope_told(out)


def storescope_told(out: Path) -> Told:
    report = json.loads((out / "run.json").read_text())
    lines = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
    ids = frozenset(line["client_request_id"] for line in lines if not line["warmup"])
    names = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms"}
    told = {
        part: {name: float(report[key][member]) for name, member in names.items()}
        for part, key in {"whole": "total", "first byte": "ttfb"}.items()
    }
    return Told(report["total"]["count"], sum(report["errors"].values()), told, ids)


TOOLS = [
    Tool(
        "storescope bench", "storescope/",
        "whole: from the call of the HTTP client to the last byte, signature included; first byte: from the request's last "
        "byte sent to the first of the answer. Upper bound of a bucket of 0.78 %. Its warm-up is not counted",
        storescope_version, storescope_run,
    ),
    Tool(
        "fio", None,
        "whole: completion latency of an I/O, signature and connection included; no first byte. Middle of a bucket of 1.6 %",
        fio_version, fio_run,
    ),
    Tool(
        "oha", "oha/",
        "whole: from the request, without its signature, to the last byte; first byte: to the first of the body; connecting "
        "included. Every sample is kept; a quantile is the sample above the nearest rank",
        oha_version, oha_run,
    ),
    Tool(
        "s3dlio", "aws-sdk-rust/",
        "whole: a call of the library, its HEAD and its retries included; first byte: of the answer. It prints no quantiles: "
        "these are those of its op-log, by nearest rank",
        s3dlio_version, s3dlio_run,
    ),
]  # fmt: skip
