# SPDX-License-Identifier: Apache-2.0
"""The dashboard of requests to object storage: of Spark's executors, of trainers, of any process with ``metrics_endpoint``."""

from __future__ import annotations

from grafana import Bars, Dashboard, Heatmap, Panel, Query, Stat, Variable
from metrics import (
    ATTEMPTS, CALLS, FAILED, FIRST_BYTE, PARTS, bytes_of, count, counter, merged, or_zero, quantile, rate, share, times, total,
)  # fmt: skip

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
VARIABLES = (
    Variable("namespace", "Namespace", "storescope_build_info", "namespace"),
    Variable("application", "Application", 'storescope_build_info{namespace=~"$namespace"}', "application_id"),
    Variable(
        "executor", "Executor", 'storescope_build_info{namespace=~"$namespace",application_id=~"$application"}', "executor_id"
    ),
)
_WRITES = "put|put_part"
_DELIVERED, _DISCARDED = bytes_of("bytes_delivered"), bytes_of("bytes_discarded")


def outcomes(names: str, by: str = "") -> str:
    """Attempts a second that ended so; 0 where none did."""
    return or_zero(count(times("attempt", "total", f'outcome=~"{names}"'), by), count(ATTEMPTS, by))


def over_read(by: str = "") -> str:
    """The share of the bytes received that nobody asked for."""
    return share(or_zero(rate(_DISCARDED, by), rate(_DELIVERED, by)), rate(_DELIVERED, by))


def glance() -> list[Panel]:
    """One number each."""
    return [
        Stat("Requests/s", "Attempts: retries and hedges count.", [Query(count(ATTEMPTS))], "reqps"),
        Stat("Bytes read/s", "Received by the client.", [Query(rate(_DELIVERED))], "Bps"),
        Stat("First byte p50", "Of reads that ended well, all executors merged.", [Query(quantile(0.5, FIRST_BYTE))], "s"),
        Stat("First byte p99", "Of reads that ended well, all executors merged.", [Query(quantile(0.99, FIRST_BYTE))], "s"),
        Stat(
            "Failed requests", "Share of attempts that failed or were throttled.",
            [Query(share(outcomes(f"throttled|{FAILED}"), count(ATTEMPTS)))], "percentunit",
        ),
        Stat("Over-read", "Share of the bytes received that nobody asked for.", [Query(over_read())], "percentunit"),
    ]  # fmt: skip


def heat_maps() -> list[Panel]:
    """Native histograms over time."""
    return [
        Heatmap(
            "First byte, all reads", "From the last byte of a GET sent to the first byte of its answer. Two bands mean two kinds of "
            "answers: cold and warm, near and far, throttled and not.", [Query(merged(FIRST_BYTE))], "s",
        ),
        Heatmap("Whole requests", "Attempts from queue to last byte, all operations.", [Query(merged(ATTEMPTS))], "s"),
        Heatmap(
            "Whole calls", "What the caller asked for, with its retries. Where it is shorter than the requests, reading ahead hides them.",
            [Query(merged(CALLS))], "s",
        ),
    ]  # fmt: skip


def percentiles() -> list[Panel]:
    """Quantiles of histograms that were added up, never averaged."""
    return [
        Panel(
            "First byte, merged percentiles", "Of the merged histograms of all executors: the true percentiles to 4.4 %.",
            [Query(quantile(of, FIRST_BYTE), name) for name, of in QUANTILES.items()], "s",
        ),
        Panel(
            "Whole requests p99 by operation", "Attempts that ended well.",
            [Query(quantile(0.99, times("attempt", "total", 'outcome="ok"'), "operation"), "{{operation}}")], "s",
        ),
        Panel(
            "First byte p99 by bucket", "The bucket that a pod's label names.",
            [Query(quantile(0.99, FIRST_BYTE, "bucket"), "{{bucket}}")], "s",
        ),
        Panel(
            "First byte p99 by executor", "One line above the others is a slow node or a slow network path.",
            [Query(quantile(0.99, FIRST_BYTE, "executor_id"), "{{executor_id}}")], "s", width=16,
        ),
        Bars(
            "Slowest executors", "First byte p99 over the time shown: the ten slowest.",
            [Query(f'topk(10, {quantile(0.99, FIRST_BYTE, "executor_id", "[$__range]")})', "{{executor_id}}")], "s",
        ),
    ]  # fmt: skip


def phases() -> list[Panel]:
    """What the time of a request is made of."""
    parts = times("attempt", PARTS)
    return [
        Panel(
            "Phases of a request, mean", "Queue: waiting for admission. ttfb: the store. body: the network. paused: the caller did "
            "not take the bytes.", [Query(f"{total(parts, 'phase')} / on () group_left () ({count(ATTEMPTS)} > 0)", "{{phase}}")], "s",
            width=12, stacked=True,
        ),
        Panel(
            "Phases of a request, p99", "Each phase by itself; they do not add up.",
            [Query(quantile(0.99, parts, "phase"), "{{phase}}")], "s", width=12,
        ),
    ]  # fmt: skip


def volume() -> list[Panel]:
    """Bytes and operations, by the titles of CERN's dashboard."""
    wrote = bytes_of("bytes_delivered", _WRITES)
    operations = {"read": 'operation="get"', "write": f'operation=~"{_WRITES}"'}
    return [
        Panel(
            "Cloud Storage bytes read/sec", "Received by the client, by executor.", [Query(rate(_DELIVERED, "executor_id"), "{{executor_id}}")],
            "Bps", stacked=True,
        ),
        Panel("Cloud Storage bytes written/sec", "Sent, by executor.", [Query(or_zero(rate(wrote, "executor_id"), rate(_DELIVERED, "executor_id")), "{{executor_id}}")], "Bps", stacked=True),
        Panel("Over-read by executor", "Share of the bytes received that nobody asked for.", [Query(over_read("executor_id"), "{{executor_id}}")], "percentunit"),
        *(
            Panel(
                f"Cloud Storage {name} ops/sec", "Attempts, by executor.",
                [Query(or_zero(count(times("attempt", "total", labels), "executor_id"), count(ATTEMPTS, "executor_id")), "{{executor_id}}")], "ops", stacked=True,
            )
            for name, labels in operations.items()
        ),
        Panel(
            "Read ahead", "Reads whose bytes were there, those that waited for bytes under way, and bytes that nobody came for.",
            [
                Query(rate(counter("storescope_readahead_hits_total")), "hits/s"),
                Query(rate(counter("storescope_readahead_late_total")), "late/s"),
                Query(rate(counter("storescope_readahead_wasted_bytes_total")), "wasted bytes/s"),
            ],
        ),
    ]  # fmt: skip


def failures() -> list[Panel]:
    """What went wrong."""
    return [
        Panel(
            "Requests that did not end well", "By outcome. throttled: 429, and 503 SlowDown; server: other 5xx.",
            [Query(count(times("attempt", "total", 'outcome!="ok"'), "outcome"), "{{outcome}}")], "reqps",
        ),
        Panel(
            "429 and 503", "Attempts a second. The store says: slower.",
            [Query(outcomes("throttled"), "throttled (429, SlowDown)"), Query(outcomes("server"), "server (503 and other 5xx)")], "reqps",
        ),
        Panel(
            "Retries and hedges", "Attempts made because one failed; second requests for late answers, and those that were first.",
            [
                Query(rate(counter("storescope_retries_total")), "retries"),
                Query(rate(counter("storescope_hedges_total")), "hedges"),
                Query(rate(counter("storescope_hedges_won_total")), "hedges won"),
            ],
            "reqps",
        ),
    ]  # fmt: skip


def concurrency() -> list[Panel]:
    """What goes on at the same time."""
    return [
        Panel(
            "In flight and queued", "Queued: attempts that wait for admission, the mean of the window (time in the queue a second).",
            [
                Query(f"sum({counter('storescope_calls_in_flight')})", "calls in flight"),
                Query(f"sum({counter('storescope_attempts_in_flight')})", "requests in flight"),
                Query(total(times("attempt", "queue")), "queued"),
            ],
        ),
        Panel(
            "In flight by executor", "Requests under way.", [Query(f"sum by (executor_id) ({counter('storescope_attempts_in_flight')})", "{{executor_id}}")],
            stacked=True,
        ),
        Panel(
            "Connections and memory", "Open connections; bytes that readers hold of the read budget.",
            [
                Query(f"sum({counter('storescope_connections_open')})", "connections"),
                Query(f"sum({counter('storescope_read_held_bytes')})", "bytes held"),
            ],
        ),
    ]  # fmt: skip


def dashboard() -> Dashboard:
    """All of it."""
    return Dashboard(
        "storage", "storescope / Storage", "Requests to object storage, as the clients measured them. Needs native histograms.",
        {
            "At a glance": glance(), "Heat maps": heat_maps(), "Percentiles": percentiles(), "Phases": phases(),
            "Cloud Storage": volume(), "Retries and errors": failures(), "Concurrency": concurrency(),
        },
        VARIABLES,
    )  # fmt: skip
