# SPDX-License-Identifier: Apache-2.0
"""Sizes and times as the command line has them: ``64KiB``, ``8MB``, ``1PB``; ``250min``, ``4h``."""

from __future__ import annotations

import re

_BYTES = {"": 1, "B": 1}
_BYTES |= {f"{prefix}B": 1000 ** (power + 1) for power, prefix in enumerate("kMGTPE")}
_BYTES |= {"KB": 1000}
_BYTES |= {f"{prefix}iB": 1024 ** (power + 1) for power, prefix in enumerate("KMGTPE")}
_SECONDS = {"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86_400}


def parse_size(text: str) -> int:
    """Bytes; ``ValueError`` where it is none."""
    return int(_parse(text, _BYTES, "a size, such as 64KiB or 8MB"))


def parse_time(text: str) -> float:
    """Seconds; ``ValueError`` where it is no time."""
    return _parse(text, _SECONDS, "a time, such as 250min or 4h")


def _parse(text: str, units: dict[str, float] | dict[str, int], what: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not found or found[2] not in units or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is not {what}")
    return float(found[1]) * units[found[2]]
