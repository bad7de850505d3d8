# SPDX-License-Identifier: Apache-2.0
"""Names of objects that clients encode each in their way, and which of them a client can hold."""

from __future__ import annotations

AWKWARD = [
    "a b", "a+b", "50%", "%2F", "ü/é", "e\u0301", "a//b", "x?y#z", "q=1&r=2", "[x]{y}", "~tilde!(1)*'", "🦀", "@:;,$",
    "n" * 200 + "/" + "n" * 200,
]  # fmt: skip


def as_paths(names: list[str] = AWKWARD) -> list[str]:
    """Those that are paths, too: no name of theirs has an empty part."""
    return [name for name in names if "//" not in name]
