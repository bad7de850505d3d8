# SPDX-License-Identifier: Apache-2.0
"""Parts of PromQL that dashboards and rules share: metrics by their labels, native histograms, shares. No I/O.

Targets have the labels ``namespace``, ``application_id``, ``executor_id`` and ``bucket``: docs/DASHBOARDS.md says who sets them."""

from __future__ import annotations

#: The choices of a dashboard.
CHOSEN = 'namespace=~"$namespace",application_id=~"$application",executor_id=~"$executor"'
#: Those of figures that the Spark driver tells of the whole application.
APPLICATION = 'namespace=~"$namespace",application_id=~"$application"'
#: The window of a rate in a dashboard.
RATE = "[$__rate_interval]"

#: Outcomes of attempts that say that something went wrong, apart from throttling.
FAILED = "server|timeout|reset|connect|invalid"
#: Phases that make up an attempt.
PARTS = "queue|prepare|sign|pool|dns|connect|tls|send|ttfb|body|paused"


def times(level: str, phase: str, more: str = "", chosen: str = CHOSEN) -> str:
    """The histogram of a phase. ``phase`` is a regular expression."""
    labels = ",".join(filter(None, [chosen, f'level="{level}"', f'phase=~"{phase}"', more]))
    return f"storescope_phase_seconds{{{labels}}}"


FIRST_BYTE = times("attempt", "ttfb", 'operation="get",outcome="ok"')
ATTEMPTS = times("attempt", "total")
CALLS = times("call", "total")


def merged(histogram: str, by: str = "", window: str = RATE) -> str:
    """A rate of histograms, added up over all series, or over those that have the same labels."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({histogram}{window}))"


def quantile(of: float, histogram: str, by: str = "", window: str = RATE) -> str:
    """A quantile of merged native histograms."""
    return f"histogram_quantile({of}, {merged(histogram, by, window)})"


def count(histogram: str, by: str = "", window: str = RATE) -> str:
    """Values a second of native histograms."""
    return f"histogram_count({merged(histogram, by, window)})"


def total(histogram: str, by: str = "", window: str = RATE) -> str:
    """The sum of values a second: of times, how many go on at the same time in the mean."""
    return f"histogram_sum({merged(histogram, by, window)})"


def bytes_of(phase: str, operation: str = "get", chosen: str = CHOSEN) -> str:
    """The counter of bytes of attempts. ``operation`` is a regular expression."""
    return f'storescope_bytes_total{{{chosen},level="attempt",operation=~"{operation}",phase="{phase}"}}'


def counter(name: str, more: str = "", chosen: str = CHOSEN) -> str:
    """A metric of the dashboard's choice."""
    return f"{name}{{{','.join(filter(None, [chosen, more]))}}}"


def rate(metric: str, by: str = "", window: str = RATE) -> str:
    """A counter a second, added up."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{window}))"


def share(part: str, whole: str) -> str:
    """A part of a whole; nothing where there is no whole."""
    return f"{part} / ({whole} > 0)"


def or_zero(part: str, whole: str) -> str:
    """A part, or 0 for each whole without one."""
    return f"({part} or {whole} * 0)"
