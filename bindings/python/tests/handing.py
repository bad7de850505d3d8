# SPDX-License-Identifier: Apache-2.0
"""Takes what Python workers of Spark hand over, as the plugin in their executor does, by the words of docs/SPARK.md alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import storescope


@dataclass
class Handed:
    """What one worker recorded of one task since the last time."""

    task: int
    waited: float
    recorded: storescope.Snapshot


def take(folder: Path) -> list[Handed]:
    """All that is new of every worker, and all that is left."""
    found = []
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in sorted(os.listdir(folder)):
            if name.endswith(".sock"):
                found += ask(f"/proc/self/fd/{at}/{name}")
            elif name.endswith(".left"):
                with open(folder / name, "rb") as file:
                    found += parsed(file)
                (folder / name).unlink()
    finally:
        os.close(at)
    return found


def ask(path: str) -> list[Handed]:
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(10)
        connected.connect(path)
        with connected.makefile("rb") as file:
            found = list(parsed(file))
        connected.sendall(b"taken\n")
    return found


def parsed(file: BinaryIO) -> Iterator[Handed]:
    while (line := file.readline()) != b"end\n":
        word, task, waits, nanoseconds, length, count = line.split()
        assert (word, waits, length) == (b"task", b"waited", b"length"), line
        hlog = file.read(int(count))
        assert len(hlog) == int(count)
        yield Handed(int(task), int(nanoseconds) / 1e9, storescope.Snapshot(hlog.decode()))


def by_task(handed: list[Handed]) -> dict[int, storescope.Snapshot]:
    """What each task recorded, in all workers."""
    found: dict[int, storescope.Snapshot] = {}
    for one in handed:
        found[one.task] = found.get(one.task, storescope.Snapshot()) + one.recorded
    return found


def waits(handed: list[Handed]) -> dict[int, float]:
    """Seconds that each task waited, in all workers."""
    found: dict[int, float] = {}
    for one in handed:
        found[one.task] = found.get(one.task, 0.0) + one.waited
    return found
