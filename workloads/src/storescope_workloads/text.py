# SPDX-License-Identifier: Apache-2.0
"""Numbers and tables as text for people."""

from __future__ import annotations

from collections.abc import Sequence

_BYTES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_TIMES = (
    ("ms", 1e-3, 1.0),
    ("s", 1.0, 120.0),
    ("min", 60.0, 7200.0),
    ("h", 3600.0, 172_800.0),
    ("d", 86_400.0, float("inf")),
)


def table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of equal length in columns two spaces apart: the first ``left`` flush left, the others flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[:left] = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        lines.append("  ".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def show_bytes(count: float) -> str:
    """Three digits and a unit of powers of 1,000: ``1.23 GB``."""
    power = 0
    while abs(count) >= 999.5 and power + 1 < len(_BYTES):
        count /= 1000
        power += 1
    return f"{_three(count)} {_BYTES[power]}"


def show_time(seconds: float) -> str:
    """Three digits and the unit in which it is a handy number: ``12.3 ms``, ``4.56 s``, ``4.17 h``, ``3.1 d``."""
    unit, size = next((unit, size) for unit, size, until in _TIMES if seconds < until)
    return f"{_three(seconds / size)} {unit}"


def show_count(count: int | None) -> str:
    """Digits in groups of three; ``-`` for ``None``."""
    return "-" if count is None else f"{count:,}"


def show_number(value: float | None, form: str) -> str:
    """By a format such as ``.2f``; ``-`` for ``None``."""
    return "-" if value is None else format(value, form)


def _three(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
