# SPDX-License-Identifier: Apache-2.0
"""The command ``storescope-workloads trainer run``."""

from __future__ import annotations

import json
from typing import Any

import click

from ..options import store_options
from ..places import Folder
from ..text import show_time
from ..settings import StoreSettings
from .features import MOST_PARTICLES
from .render import render, summary
from .plan import RATES
from .run import Options, Run, Step

MODELS = ("hlf", "sequence", "inclusive")


@click.command(
    epilog="""\b
    Examples:
      storescope-workloads trainer run --model hlf --events 20000 --seed 1 --out /tmp/trigger
      storescope-workloads trainer run --model inclusive --particles 100 --events 100000 --out /tmp/trigger \\
          --data oci://lake@my-namespace/trigger --local-workers 2

    \b
    The output: sample/, events/ and shards/ (in --data, where it is given), model/ with result.json and pictures, and
    run.json, which tells the steps that are complete. docs/TRAINER.md describes them.
    """
)
@click.option("--model", type=click.Choice(MODELS), default="hlf", show_default=True,
              help="hlf: event features; sequence: particles; inclusive: both.")
@click.option("--events", type=click.IntRange(1), default=20_000, show_default=True, help="Events of each class in the sample.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True,
              help="Another seed makes other events and other first weights.")
@click.option("--out", required=True, metavar="FOLDER", help="Where the output goes.")
@click.option("--data", metavar="FOLDER", help="Where sample, events and shards go: a store, say.  [default: --out]")
@click.option("--particles", type=click.IntRange(1, MOST_PARTICLES), help="Particles of an event at most.  [default: all]")
@click.option("--test", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.2, show_default=True,
              help="Share of the events that is for the test.")
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True, help="Epochs of the training.")
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True, help="Events of a step, over all workers.")
@click.option("--learning-rate", "rates", default=RATES, show_default=True, metavar="RATE|EPOCH:RATE,…",
              help="For 128 events a step; another --batch scales it.")
@click.option("--local-workers", "workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that train together.")
@click.option("--processes", type=click.IntRange(1), help="Processes of the other steps.  [default: one for each core]")
@click.option("--resume", is_flag=True, help="Go on with a run; steps that are complete are not repeated.")
@click.option("--overwrite", is_flag=True, help="Remove what a run has left in these folders.")
@click.option("--json", "as_json", is_flag=True, help="Print result.json in place of the tables.")
@store_options
def run(settings: StoreSettings, out: str, data: str | None, as_json: bool, **given: Any) -> None:
    """Generate events of three classes, select them, prepare them, train a classifier and evaluate it."""
    processes, resume, overwrite = (given.pop(name) for name in ("processes", "resume", "overwrite"))
    own = Folder(out, settings)
    made = Run(Options(**given), own, Folder(data or out, settings), processes, resume, overwrite, _tell)
    result = made.run()
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    steps = [(name, step.events, step.seconds) for name, step in made.steps.items()]
    click.echo(f"{render(result)}\n{summary(result, steps)}\nresult: {own.path('model/result.json')}")


def _tell(name: str, step: Step) -> None:
    taken = "complete before" if step.seconds is None else show_time(step.seconds)
    click.echo(f"{name}: {step.events:,} events, {taken}", err=True)
