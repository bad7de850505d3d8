# SPDX-License-Identifier: Apache-2.0
"""The command ``storescope-workloads trainer evaluate``."""

from __future__ import annotations

import json
from typing import Any

import click

from ..options import store_options
from ..places import Folder
from ..progress import Bars
from ..settings import StoreSettings
from .data import Prepared
from .evaluate import check_data, load
from .evaluate import evaluate as evaluate_model
from .result import RESULT, Training, render, write
from .shards import FORMATS


@click.command(
    epilog="""\b
    Examples:
      storescope-workloads trainer evaluate oci://lake@my-namespace/trigger/model
      storescope-workloads trainer evaluate model --data shards --format tfrecord

    \b
    The output, in FOLDER: result.json, roc.png, confusion.png, scores.png, training.png, run.hlog
    (storescope report FOLDER shows it). docs/TRAINER.md describes them.
    """
)
@click.argument("folder")
@click.option("--data", metavar="FOLDER", help="The prepared data, where they are not where the training had them.")
@click.option("--format", type=click.Choice(FORMATS), help="Format of the shards.  [default: that of the training]")
@click.option("--prefetch", type=click.IntRange(0), default=4, show_default=True, help="Shards that are read ahead.")
@click.option("--json", "as_json", is_flag=True, help=f"Print {RESULT} in place of the tables.")
@store_options
def evaluate(settings: StoreSettings, folder: str, **given: Any) -> None:
    """Score the test events with the model that trainer train left in FOLDER, and write what it is worth."""
    out = Folder(folder, settings)
    result = evaluate_folder(out, given["data"], given["format"], given["prefetch"])
    click.echo(json.dumps(result, indent=2) if given["as_json"] else f"{render(result)}\nresult: {out.path(RESULT)}")


def evaluate_folder(out: Folder, data: str | None = None, format: str | None = None, prefetch: int = 4) -> dict[str, Any]:
    """Evaluates the model of a folder, and writes its result there.

    Args:
        out: The folder of a training.
        data: The prepared data; ``None``: where the training had them.
        format: Of the shards; ``None``: that of the training.
        prefetch: Shards that are read ahead.

    Returns:
        What is in ``result.json``.
    """
    training = Training.read(out)
    told = training.told["data"]
    prepared = Prepared.open(data or told["url"], out.settings, format or told["format"])
    # Before TensorFlow is imported, which takes seconds.
    check_data(prepared, out.url, told["fingerprint"])
    scorer = load(out, training.told)
    with Bars() as bars:
        events = sum(shard.count for shard in prepared.manifest.test)
        evaluation = evaluate_model(scorer, prepared, out.settings, prefetch, bars.stage("evaluate", events, "events"))
    return write(out, training, scorer, evaluation, prepared)
