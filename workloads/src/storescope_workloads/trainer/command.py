# SPDX-License-Identifier: Apache-2.0
"""The commands ``storescope-workloads trainer …``."""

from __future__ import annotations

import click

from .evaluate_command import evaluate
from .ingest_command import ingest
from .prepare_command import prepare
from .run_command import run
from .train_command import train


@click.group()
def trainer() -> None:
    """Train the classifiers of the Spark DL Trigger: from ROOT events to a network, and what the reads cost.

    \b
    Steps: ingest (ROOT files to features), prepare (scaled, balanced, shuffled shards), train, evaluate; run does all.
    """


for command in (ingest, prepare, train, evaluate, run):
    trainer.add_command(command)
