# SPDX-License-Identifier: Apache-2.0
"""``storescope-workloads trainer train``."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from contextlib import nullcontext
from typing import Any

import click

from ..errors import FAILED, UsageError
from ..options import Time, store_options
from ..places import Folder
from ..progress import Bars
from ..scan.job import Watch as Progress
from ..settings import StoreSettings
from .cluster import Cluster, Wanted, of_environment
from .kinds import KINDS
from .plan import RATES, Plan
from .shards import FORMATS

_HELP = """Train a classifier on data that trainer prepare has written.

\b
Models:
  hlf        14 features of an event: dense layers of 50, 20 and 10
  sequence   the particles of an event: a recurrent layer (GRU) of 50
  inclusive  both, joined by a dense layer of 25

One process trains, or --local-workers N of this host, or pods and hosts: by TF_CONFIG, or by a Job's completion index with
--workers and --service. All need the same options and the data; worker 0 alone needs and writes the output. The weights
depend on the number of workers only by the order in which numbers are added.

Each epoch ends with the loss and accuracy on the test events, a checkpoint, and scalars for TensorBoard. With --patience
training stops when that loss gets no better, and the best epoch's weights are saved: figures on the same test events are
then slightly too good. Ctrl-C and SIGTERM write a checkpoint and end with code 130; --resume goes on exactly there.

\b
Examples:
  storescope-workloads trainer train --data oci://lake@my-namespace/shards --model hlf --out /tmp/hlf
  storescope-workloads trainer train --data /tmp/shards --model inclusive --particles 100 --local-workers 4 --out /tmp/inclusive
  storescope-workloads trainer train --data s3://lake/shards --model inclusive --workers 8 --service trainer \\
      --out s3://lake/inclusive --checkpoint-every 1000 --resume
"""


@click.command(help=_HELP)
@click.option("--data", required=True, help="Folder of prepared data: a path, oci://… or s3://….")
@click.option("--out", required=True, help="Folder: a path, oci://BUCKET@NAMESPACE/PREFIX or s3://BUCKET/PREFIX.")
@click.option("--model", type=click.Choice(list(KINDS)), default="hlf", show_default=True, help="Which classifier.")
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True, help="Epochs in all.")
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True, help="Events of a step, over all workers.")
@click.option("--streams", type=click.IntRange(1), default=4, show_default=True,
              help="Parts of a batch; the number of workers must divide it.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True,
              help="Chooses initial weights, the order of events and dropout.")
@click.option("--particles", type=click.IntRange(1), help="Particles of an event that are read: the lepton and those of the greatest pT.  [default: all]")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True,
              help="Share of units that are dropped; hlf has no dropout.")
@click.option("--learning-rate", "rates", default=RATES, show_default=True, metavar="RATE|EPOCH:RATE,…",
              help="For 128 events a step; another --batch scales it. The original's: 0:0.0005,3:0.0002,5:0.0001.")
@click.option("--patience", type=click.IntRange(0), default=0, show_default=True,
              help="Stop after so many epochs without a better validation loss; 0: never.")
@click.option("--validate", type=click.FloatRange(0, 1), default=1.0, show_default=True,
              help="Share of the test events that each epoch ends with.")
@click.option("--checkpoint-every", type=click.IntRange(1), metavar="STEPS", help="Checkpoints within an epoch, too.")
@click.option("--keep", type=click.IntRange(1), default=3, show_default=True, help="Checkpoints that are kept.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint, where there is one.")
@click.option("--overwrite", is_flag=True, help="Remove an earlier training from --out first.")
@click.option("--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True,
              help="gpu fails where there is none.")
@click.option("--threads", type=click.IntRange(1), help="Threads of each process.  [default: TensorFlow's choice]")
@click.option("--format", type=click.Choice(FORMATS), help="Of the shards.  [default: the first that there is]")
@click.option("--prefetch", type=click.IntRange(0), default=4, show_default=True, help="Shards that are read ahead.")
@click.option("--cache", metavar="FOLDER", help="Keep shards in a local folder.  [default: not]")
@click.option("--local-workers", type=click.IntRange(1), help="Processes of this host that train together.")
@click.option("--workers", type=click.IntRange(1), help="Pods of a Job; each has its index in JOB_COMPLETION_INDEX.")
@click.option("--service", help="Headless service of the Job: workers are JOB-INDEX.SERVICE, as this pod's name tells.")
@click.option("--hosts", metavar="PATTERN", help="Addresses of workers in place of --service: 'NAME-{index}.SERVICE:PORT'.")
@click.option("--watch-port", type=click.IntRange(1, 65535),
              help="Where worker 0 listens for the others.  [default: one above its port]")
@click.option("--join-timeout", type=Time(), default=120.0, show_default="2min", help="How long workers wait for each other.")
@click.option("--metrics", metavar="[HOST:]PORT[-LAST]",
              help="Where Prometheus reads steps and their waits; 9480-9489: the first port that is free.  [default: nowhere]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@store_options
def train(settings: StoreSettings, local_workers: int | None, as_json: bool, **options: Any) -> None:
    wanted = Wanted(*(options.pop(name) for name in ("workers", "hosts", "service", "watch_port")))
    plan = Plan(settings=settings, **options)
    if local_workers and (wanted.workers or wanted.hosts or wanted.service):
        raise UsageError("--local-workers starts all workers on this host: --workers, --hosts and --service are for others")
    told = train_with(plan, local_workers, wanted)
    if told is not None:
        _tell(plan, told, as_json)


def train_with(plan: Plan, local_workers: int | None = None, wanted: Wanted | None = None) -> dict[str, Any] | None:
    """Trains as the options say: here, with processes of this host, or as a worker of several.

    Returns:
        What ``train.json`` holds; nothing in workers other than 0.
    """
    plan.check()
    if local_workers and local_workers > 1:
        plan.check_workers(local_workers)
        from .supervise import run_local

        return run_local(plan, local_workers)
    cluster = of_environment(wanted or Wanted(), os.environ if not local_workers else {})
    plan.check_workers(cluster.workers)
    with Bars() if cluster.index == 0 else nullcontext(Progress()) as progress:
        told = _train(plan, cluster, progress)
    return told if cluster.index == 0 else None


def _train(plan: Plan, cluster: Cluster, progress: Progress) -> dict[str, Any]:
    for needed in ("tensorflow", "keras"):
        # Not imported yet: what is wrong with the data or the folder is told sooner.
        if importlib.util.find_spec(needed) is None:
            raise UsageError(f"training needs {needed}, which is not installed: pip install 'storescope-workloads[trainer]'")
    from .train import Setting, train

    return train(plan, Setting(cluster, progress, _lost))


def _lost(why: str) -> None:
    print(f"error: {why}. All workers end; run them again with --resume", file=sys.stderr, flush=True)
    os._exit(FAILED)


def _tell(plan: Plan, told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told))
        return
    name, where = told["model"]["name"], Folder(plan.out, plan.settings).path("model.keras")
    click.echo(f"{name}, {told['model']['params']:,} parameters, weights of epoch {told['weights_of_epoch']}: {where}")
