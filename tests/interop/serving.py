# SPDX-License-Identifier: Apache-2.0
"""The server under test, as a child process, and what it says it saw.

The command comes from the environment: `STORESCOPE_BIN` names the binary (`$STORESCOPE_BIN serve
--port 0` is run), and `STORESCOPE_SERVE`, a whole command line, goes before it. Where neither is
set the tests fail; they never skip.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 20


class NotConfigured(Exception):
    """Neither STORESCOPE_BIN nor STORESCOPE_SERVE is set."""


def binary() -> str:
    """The `storescope` binary."""
    if path := os.environ.get("STORESCOPE_BIN"):
        return path
    raise NotConfigured("set STORESCOPE_BIN to the storescope binary")


def serve_command(*options: str) -> list[str]:
    if command := os.environ.get("STORESCOPE_SERVE"):
        return [*shlex.split(command), *options]
    return [binary(), "serve", "--port", "0", *options]


@dataclass(frozen=True)
class Server:
    """A running server: the JSON line it printed when it was ready, and its process."""

    ready: dict
    pid: int

    @property
    def oci(self) -> dict:
        return self.ready["oci"]

    def record(self) -> list[dict]:
        """Every request whose answer has been seen, in the order in which they ended: JSON lines in
        the record's file, which is up to date once the admin API has been asked for it."""
        self.admin("GET", "/record")
        return [json.loads(line) for line in Path(self.ready["record"]).read_text().splitlines()]

    @property
    def identity(self) -> dict:
        return self.ready["identity"]

    def fault(self, fault: dict) -> None:
        """Asks for a fault in requests to come."""
        self.admin("POST", "/faults", fault)

    def admin(self, method: str, path: str, body: dict | list | None = None) -> str:
        """A call of the admin API; its answer as text."""
        request = urllib.request.Request(
            self.ready["admin"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        # No proxy of the environment stands between a test and 127.0.0.1.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=READY_SECONDS) as answer:
            return answer.read().decode()


@contextmanager
def serve(*options: str) -> Iterator[Server]:
    """Starts a server, and stops it as an operator would: SIGTERM, and it must end with success."""
    process = subprocess.Popen(serve_command(*options), stdout=subprocess.PIPE, text=True)
    try:
        yield Server(json.loads(ready_line(process)), process.pid)
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_SECONDS)
        assert status == 0, f"SIGTERM ended the server with status {status}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def ready_line(process: subprocess.Popen) -> str:
    readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    line = process.stdout.readline() if readable else ""
    assert line, f"{process.args} was not ready within {READY_SECONDS} s (status {process.poll()})"
    return line
