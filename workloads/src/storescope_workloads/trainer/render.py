# SPDX-License-Identifier: Apache-2.0
"""A trained model's result as text for people: how good it is, how fast it was trained, what the reads cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..reduction.render import READS
from ..text import show_bytes, show_count, show_number, show_time, table
from .features import CLASSES

Result = dict[str, Any]



def epoch_line(epoch: dict[str, Any]) -> str:
    """A line of an epoch's figures, as ``train.json`` has them."""
    test = "" if epoch["test_loss"] is None else f"   test loss {epoch['test_loss']:.4f}, accuracy {epoch['test_accuracy']:.4f}"
    return (
        f"epoch {epoch['epoch']:>3}   loss {epoch['loss']:.4f}, accuracy {epoch['accuracy']:.4f}{test}   "
        f"{epoch['events'] / max(epoch['wall_s'], 1e-9):,.0f} events/s, {epoch['ms']['mean']:.2f} ms a step"
    )

def render(result: Result) -> str:
    """The tables of a ``result.json``: classes, epochs, reads, processes, times. Ends with a line feed."""
    parts = [_classes(result), _epochs(result), _reads(result), _workers(result), _times(result)]
    return "\n\n".join(parts) + "\n"


def summary(result: Result, steps: Sequence[tuple[str, int | None, float | None]]) -> str:
    """The end of a run: one line for each step of it, and what its model is worth. Ends with a line feed.

    Args:
        result: What is in ``result.json``.
        steps: Each step's name, the events that went through it, and its seconds; ``None`` where it was complete before.
    """
    rows = [["step", "events", "time", "events/s"]]
    for name, events, seconds in steps:
        taken = "complete before" if seconds is None else show_time(seconds)
        rate = "-" if not seconds or events is None else show_count(round(events / seconds))
        rows.append([name, show_count(events), taken, rate])
    waited, requests = result["wait_share"], result["io"]["requests"]
    areas = ", ".join(f"{name} {result['auc'][name]:.4f}" for name in CLASSES)
    lines = [
        f"AUC {areas}; accuracy {result['accuracy']:.4f}",
        f"training: {_pair(result['events_per_s'], _count)} events/s in the first epoch and after it; "
        f"waiting for data {_pair(waited, _share)}",
        "requests of the training: " + ("none, the data are local" if requests is None else f"{requests:,}"),
    ]
    return table(rows) + "\n\n" + "\n".join(lines) + "\n"


def _classes(result: Result) -> str:
    rows = [["true class", "AUC", "events", *(f"as {name}" for name in CLASSES)]]
    for row, name in enumerate(CLASSES):
        counts = result["confusion"][row]
        rows.append([name, f"{result['auc'][name]:.4f}", show_count(sum(counts)), *(show_count(count) for count in counts)])
    model = result["model"]
    error = f"; areas are known to {result['auc_error']:.1g}" if result["auc_error"] else ""
    return f"{table(rows)}\n{model['name']}, {model['params']:,} parameters: accuracy {result['accuracy']:.4f}{error}"


def _epochs(result: Result) -> str:
    rows = [["epoch", "events/s", "ms a step p50", "p99", "waited", "loss", "accuracy", "of test", "learning rate"]]
    for epoch in result["epochs"]:
        rows.append([
            str(epoch["epoch"]),
            _count(epoch["events_per_s"]),
            *(show_number(epoch["step_ms"][name], ".2f") for name in ("p50", "p99")),
            _share(epoch["wait_share"]),
            f"{epoch['loss']:.4f}",
            f"{epoch['accuracy']:.4f}",
            show_number(epoch["test_accuracy"], ".4f"),
            f"{epoch['learning_rate']:.2g}",
        ])
    return table(rows)


def _reads(result: Result) -> str:
    told = result["io"]
    rows = [READS, *(_read(name, told[name]) for name in ("plan", "work", "evaluation"))]
    if told["requests"] is None:
        return f"{table(rows)}\nthe data are local: there are no requests"
    kinds = told["failures"]
    failures = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{table(rows)}\nrequests of the training that failed and were repeated, or were given up: {failures or 'none'}"


def _read(name: str, io: Result) -> list[str]:
    times = io["first_byte_ms"]
    return [
        name,
        show_count(io["requests"]),
        show_bytes(io["bytes_needed"]),
        "-" if io["bytes_received"] is None else show_bytes(io["bytes_received"]),
        show_number(io["over_read"], ".3f"),
        show_time(io["wait_s"]),
        _share(io["wait_share"]),
        *(show_number(times[quantile], ".1f") for quantile in ("p50", "p99", "p999")),
    ]


def _workers(result: Result) -> str:
    rows = [["worker", "CPU time", "of wall time", "memory mean", "peak", "GPU", "used", "its memory"]]
    for number, worker in enumerate(result["workers"]):
        gpu = worker["gpu"]
        of_gpu = ["-"] * 3
        if gpu is not None:
            of_gpu = [_gpu(gpu), f"{gpu['utilisation_mean']:.0%}", show_bytes(gpu["memory_peak_bytes"])]
        rows.append([
            str(number),
            show_time(worker["cpu_s"]),
            f"{worker['cpu_s'] / worker['wall_s']:.0%}" if worker["wall_s"] else "-",
            show_bytes(worker["rss_mean_bytes"]),
            show_bytes(worker["rss_peak_bytes"]),
            *of_gpu,
        ])
    return table(rows)


def _gpu(gpu: Result) -> str:
    return gpu["name"] if gpu["devices"] == 1 else f"{gpu['devices']} × {gpu['name']}"


def _times(result: Result) -> str:
    time, output = result["time"], result["output"]
    whole, plan, run, evaluate, cpu = (
        show_time(time[name]) for name in ("wall_s", "plan_s", "run_s", "evaluate_s", "task_cpu_s")
    )
    return (
        f"{whole}: plan {plan}, run {run}; evaluation {evaluate}\n"
        f"{show_count(time['tasks'])} process{'' if time['tasks'] == 1 else 'es'} trained: {cpu} of CPU time\n"
        f"{_pair(result['events_per_s'], _count)} events/s in the first epoch and after it; "
        f"waiting for data {_pair(result['wait_share'], _share)}\n"
        f"the model is in {show_count(output['files'])} files of {show_bytes(output['bytes'])} in all"
    )


def _pair(values: Result, show: Any) -> str:
    return f"{show(values['first'])} and {show(values['steady'])}"


def _count(value: float | None) -> str:
    return "-" if value is None else show_count(round(value))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
