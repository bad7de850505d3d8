# SPDX-License-Identifier: Apache-2.0
"""The command ``storescope-workloads trainer ingest``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ..errors import SKIPPED, UsageError
from ..options import store_options
from ..places import Folder, scheme_of
from ..progress import Bars
from ..text import show_bytes, show_count, show_number, show_time, table
from ..scan.command import Choice, engine_options, output_options, refuse_unused, spark_session, tell_skipped
from ..scan.engine import Engine, Job
from ..scan.inputs import found_files, refuse_shared
from ..scan.job import Dataset, Output, run
from ..settings import StoreSettings
from .features import CLASSES
from .ingest import RESULT, TREE, Ingestion, write

ENGINES = ("local", "spark")
#: Options that an engine has no use for.
_NOT_OF = {"local": ("master", "conf"), "spark": ("processes",)}
#: Endings of files that are events.
_ENDINGS = ("root", "parquet")


@click.command(
    epilog="""\b
    Examples:
      storescope-workloads trainer ingest oci://lake@my-namespace/trigger --out oci://lake@my-namespace/selected
      storescope-workloads trainer ingest --class qcd='in/qcd_*.root' --class ttbar='in/tt_*.root' \\
          --class wjets='in/w_*.root' --out selected
      storescope-workloads trainer ingest s3://lake/trigger --engine spark --master spark://host:7077 --out s3://lake/selected

    \b
    The output: events/ (parquet, by batch and class), ingest.json, run.hlog (storescope report OUT shows it).
    docs/TRAINER.md describes them, the selection and the features, and clusters.
    """
)
@click.argument("folder", required=False)
@click.option("--class", "classes", multiple=True, metavar="NAME=PATTERN",
              help=f"Files of a class ({', '.join(CLASSES)}), in place of FOLDER; may be repeated.")
@click.option("--out", required=True, metavar="FOLDER", help="Where the output goes.")
@click.option("--tree", default=TREE, show_default=True, help="The tree in ROOT files.")
@click.option("--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="Where the work is done.")
@engine_options
@click.option("--on-error", type=click.Choice(["fail", "skip"]), default="fail", show_default=True,
              help="What a bad file does: ends the job, or is left out as a whole and counted.")
@output_options
@click.option("--json", "as_json", is_flag=True, help=f"Print {RESULT} in place of the tables.")
@store_options
@click.pass_context
def ingest(ctx: click.Context, /, settings: StoreSettings, **given: Any) -> None:
    """Select events of three classes and make the features that classifiers train on.

    FOLDER holds the folders qcd, ttbar and wjets, as generate trigger writes them."""
    started = datetime.now(UTC)
    refuse_unused(ctx, given["engine"], _NOT_OF)
    datasets = datasets_of(given["folder"], given["classes"], settings)
    out = Folder(given["out"], settings)
    job = Job(Ingestion(), given["tree"], settings, given["on_error"] == "skip", given["piece"])
    choice = Choice(*(given[name] for name in ("engine", "processes", "master", "conf")))
    with Bars() as bars, engine_of(choice, job) as engine:
        finished = run(engine, datasets, job, Output(out, given["resume"], given["overwrite"], given["batch"]), bars)
    result = write(out, finished, job, choice.engine, started)
    click.echo(json.dumps(result, indent=2) if given["as_json"] else f"{render(result)}\n\nresult: {out.path(RESULT)}")
    tell_skipped(finished, RESULT)
    if finished.skipped:
        ctx.exit(SKIPPED)


def engine_of(choice: Choice, job: Job[Ingestion]) -> Engine:
    """The engine that was chosen; Spark is imported for its engine alone."""
    if choice.engine == "local":
        from ..scan.local import LocalEngine

        return LocalEngine(choice.processes)
    from ..scan.spark_parts import SparkPartsEngine

    return SparkPartsEngine(spark_session(choice, job.settings, "storescope-workloads trainer ingest"))


def datasets_of(folder: str | None, named: Sequence[str], settings: StoreSettings) -> list[Dataset]:
    """The files of the three classes, in the order of :data:`CLASSES`.

    Args:
        folder: Holds a folder for each class.
        named: ``NAME=PATTERN``, in place of ``folder``.

    Raises:
        UsageError: A class has no files, or is unknown; the scheme of ``folder`` is; or a file is in two classes.
    """
    if bool(folder) == bool(named):
        raise UsageError("name FOLDER, or the files of each class by --class NAME=PATTERN: one of the two")
    if folder:
        scheme_of(folder)
        made = [Dataset(name, _in_folder(f"{folder.rstrip('/')}/{name}", name, settings)) for name in CLASSES]
    else:
        patterns = _patterns(named)
        made = [Dataset(name, found_files(patterns[name], settings)) for name in CLASSES]
    refuse_shared(made, "--class")
    return made


def _patterns(named: Sequence[str]) -> dict[str, list[str]]:
    patterns: dict[str, list[str]] = {name: [] for name in CLASSES}
    for text in named:
        name, separator, pattern = text.partition("=")
        if not separator or not pattern or name not in patterns:
            raise UsageError(f"--class {text}: is not NAME=PATTERN with one of the names {', '.join(CLASSES)}")
        patterns[name].append(pattern)
    missing = [name for name in CLASSES if not patterns[name]]
    if missing:
        raise UsageError(f"no files are named of {', '.join(missing)}: give --class {missing[0]}=PATTERN, too")
    return patterns


def _in_folder(folder: str, name: str, settings: StoreSettings) -> tuple[Any, ...]:
    """The ROOT files or the parquet files of a class's folder."""
    try:
        files = found_files([f"{folder}/*"], settings)
    except UsageError as error:
        raise UsageError(
            f"the class {name} has no files: {folder} is not there, or is empty; name them by --class {name}=PATTERN"
        ) from error
    kinds = {ending: tuple(file for file in files if file.url.endswith(f".{ending}")) for ending in _ENDINGS}
    found = [ending for ending, ones in kinds.items() if ones]
    if len(found) != 1:
        what = "both ROOT files and parquet" if found else "no files whose names end in .root or .parquet"
        raise UsageError(f"the class {name}: {folder} holds {what}; name them by --class {name}=PATTERN")
    return kinds[found[0]]


def render(result: dict[str, Any]) -> str:
    """``ingest.json`` as tables for people: the cut flow of each class, and what it cost."""
    classes = result["classes"]
    rows = [["", *(one["name"] for one in classes), "all"]]
    rows.append(_row("events", [one["events"]["in"] for one in classes]))
    if result["events"]["skipped"]:
        rows.append(_row("in skipped files", [one["events"]["skipped"] for one in classes]))
    for place, step in enumerate(classes[0]["cut_flow"]):
        removed = [one["cut_flow"][place]["removed"] for one in classes]
        if any(removed):
            rows.append(_row(f"cut: {step['cut']}", removed))
    rows.append(_row("selected", [one["events"]["out"] for one in classes]))
    shares = [_share(one["events"]) for one in (*classes, result)]
    rows.append(["selected %", *shares])
    rows.append(_row("particles", [sum(one["particles"]["kept"].values()) for one in classes]))
    rows.append(_row("particles beyond the limits", [sum(one["particles"]["cut_off"].values()) for one in classes]))
    return f"{table(rows)}\n\n{_cost(result)}"


def _row(name: str, counts: list[int]) -> list[str]:
    return [name, *map(show_count, counts), show_count(sum(counts))]


def _share(events: dict[str, int]) -> str:
    return f"{100 * events['out'] / events['in']:.1f}" if events["in"] else "-"


def _cost(result: dict[str, Any]) -> str:
    time, io, output = result["time"], result["io"], result["output"]
    waited = io["work"]["wait_share"]
    rows = [
        ["time", show_time(time["wall_s"])],
        ["events/s", show_number(time["events_per_s"], ",.0f")],
        ["events/s of a core", show_number(time["events_per_cpu_s"], ",.0f")],
        ["waiting for data", "-" if waited is None else f"{100 * waited:.1f} % of the tasks' time"],
        ["bytes needed", show_bytes(io["bytes_needed"])],
        ["bytes received", "-" if io["bytes_received"] is None else show_bytes(io["bytes_received"])],
        ["requests", show_count(io["requests"])],
        ["output", f"{show_bytes(output['bytes'])} in {show_count(output['files'])} files"],
    ]
    return table(rows)
