# SPDX-License-Identifier: Apache-2.0
"""The dashboard of trainings: what steps wait for data, beside the reads that they wait for."""

from __future__ import annotations

from grafana import Dashboard, Heatmap, Panel, Query, Stat, Variable
from metrics import CHOSEN, FIRST_BYTE, RATE, bytes_of, count, counter, merged, quantile, rate, share, times
from storage import QUANTILES

_INFO = "storescope_trainer_worker_info"
VARIABLES = (
    Variable("namespace", "Namespace", _INFO, "namespace"),
    Variable("application", "Training", f'{_INFO}{{namespace=~"$namespace"}}', "application_id"),
    Variable("executor", "Worker", f'{_INFO}{{namespace=~"$namespace",application_id=~"$application"}}', "executor_id"),
)


def of(name: str) -> str:
    """A metric of the trainer."""
    return counter(f"storescope_trainer_{name}")


def buckets(name: str) -> str:
    """Classic buckets, merged."""
    return f"sum by (le) (rate({of(name + '_bucket')}{RATE}))"


def mean(name: str, by: str = "") -> str:
    """Of a histogram's values."""
    return share(rate(of(f"{name}_sum"), by), rate(of(f"{name}_count"), by))


def wait_share(by: str = "") -> str:
    """Of the steps' time."""
    return share(rate(of("data_wait_seconds_sum"), by), rate(of("step_seconds_sum"), by))


def glance() -> list[Panel]:
    """One number each."""
    return [
        Stat("Mean data wait a step", "Time for which a step had no batch.", [Query(mean("data_wait_seconds"))], "s"),
        Stat("Step time waiting for data", "Share of the steps' time, all workers.", [Query(wait_share())], "percentunit"),
        Stat("Steps/s", "Of the training: all workers take the same steps.", [Query(f"max(rate({of('steps_total')}{RATE}))")]),
        Stat("Events/s", "Of all workers.", [Query(rate(of("events_total")))]),
        Stat("Epochs", "That ended.", [Query(f"max({of('epoch')})")]),
        Stat("Test accuracy", "Of the last epoch.", [Query(f"max({of('test_accuracy')})")], "percentunit"),
    ]


def waits() -> list[Panel]:
    """What steps wait for."""
    return [
        Heatmap("Data wait a step", "One band at the bottom: data are there in time. A band above it: shards that come late.", [Query(buckets("data_wait_seconds"), "{{le}}")], "s"),
        Panel(
            "Data wait a step, percentiles", "Merged over all workers.",
            [Query(f"histogram_quantile({of_}, {buckets('data_wait_seconds')})", name) for name, of_ in QUANTILES.items()], "s",
        ),
        Panel("Share of step time waiting for data", "By worker. With several workers a step is as slow as the slowest.", [Query(wait_share("executor_id"), "worker {{executor_id}}")], "percentunit"),
        Panel(
            "Step time", "Wall time of a step, its wait included: mean and percentiles.",
            [
                Query(mean("step_seconds"), "mean"),
                *(Query(f"histogram_quantile({of_}, {buckets('step_seconds')})", name) for name, of_ in QUANTILES.items()),
            ],
            "s",
        ),
        Panel("Events/s by worker", "Of the worker's own part of each batch.", [Query(rate(of("events_total"), "executor_id"), "worker {{executor_id}}")], stacked=True),
        Panel(
            "Loss and accuracy", "Of the last epoch, over all workers.",
            [Query(f"max({of(name)})", name.replace("_", " ")) for name in ("loss", "accuracy", "test_loss", "test_accuracy")],
        ),
    ]  # fmt: skip


def reads() -> list[Panel]:
    """What the workers read meanwhile, by the wheel's endpoint."""
    return [
        Heatmap("First byte of the workers' reads", "Native histogram.", [Query(merged(FIRST_BYTE))], "s"),
        Panel("First byte p99 by worker", "One line above the others is a slow node.", [Query(quantile(0.99, FIRST_BYTE, "executor_id"), "worker {{executor_id}}")], "s"),
        Panel("Bytes read/s by worker", "Received by the client.", [Query(rate(bytes_of("bytes_delivered"), "executor_id"), "worker {{executor_id}}")], "Bps", stacked=True),
        Panel("Reads/s by worker", "Attempts.", [Query(count(times("attempt", "total", 'operation="get"'), "executor_id"), "worker {{executor_id}}")], "reqps", stacked=True),
        Panel("Requests in flight", "By worker.", [Query(f"sum by (executor_id) (storescope_attempts_in_flight{{{CHOSEN}}})", "worker {{executor_id}}")], stacked=True),
        Panel("Retries", "Attempts made because an earlier one failed.", [Query(rate(counter("storescope_retries_total"), "executor_id"), "worker {{executor_id}}")], "reqps"),
    ]  # fmt: skip


def dashboard() -> Dashboard:
    """All of it."""
    return Dashboard(
        "trainer", "storescope / Trainer", "Trainings: what a step waits for data, and the reads behind it.",
        {"At a glance": glance(), "Waiting for data": waits(), "Reads": reads()}, VARIABLES,
    )  # fmt: skip
