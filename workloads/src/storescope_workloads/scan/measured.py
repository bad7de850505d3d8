# SPDX-License-Identifier: Apache-2.0
"""What tasks cost: adds up, in any order. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from storescope import Snapshot


@dataclass
class Measured:
    """What the work of some tasks cost.

    Attributes:
        tasks: How many they were.
        wall_s: Their wall time, added.
        cpu_s: The CPU time of the processes in them, added.
        wait_s: Seconds in which the work stood still for bytes.
        needed: Bytes of the baskets, pages or column chunks that were needed.
        read: Bytes that the readers asked for, metadata among them; from stores and disks alike.
        snapshot: Requests to stores; empty where files are local.
    """

    tasks: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    wait_s: float = 0.0
    needed: int = 0
    read: int = 0
    snapshot: Snapshot = field(default_factory=Snapshot)

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            self.tasks + other.tasks,
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            self.wait_s + other.wait_s,
            self.needed + other.needed,
            self.read + other.read,
            self.snapshot + other.snapshot,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`from_json` reads it."""
        return {**{name: value for name, value in vars(self).items() if name != "snapshot"}, "hlog": self.snapshot.to_hlog()}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Measured:
        """What :meth:`to_json` wrote."""
        plain = {name: value for name, value in told.items() if name != "hlog"}
        return cls(**plain, snapshot=Snapshot(told["hlog"]))
