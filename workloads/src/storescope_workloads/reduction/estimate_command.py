# SPDX-License-Identifier: Apache-2.0
"""The command ``storescope-workloads estimate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import storescope

from ..errors import UsageError
from ..options import Size, Time, store_options
from ..places import filesystem, is_store
from ..progress import Bars
from ..scan.engine import Job
from ..settings import StoreSettings
from . import datasets as described
from .command import cuts_of
from .cuts import Cuts
from .estimate import Assumptions, Model
from .estimate import estimate as estimated
from .estimate_text import Measured, Question, as_json, show
from .kernel import Reduction
from .survey import survey


#: Engines of which a result tells what one core reduces.
PER_CORE = ("local", "spark")


@click.command(
    epilog="""\b
    Examples:
      storescope-workloads estimate 'oci://lake@my-namespace/2012/*.root' --volume 1PB --cores 800 --model oci-native
      storescope-workloads estimate sample.root --volume 1PB --file-size 2GB --cores 800 --model s3-standard \\
          --from reduced/result.json --target 250min

    \b
    Of the files only the metadata are read. Models: those of `storescope serve --model`, or a file in TOML
    (docs/EMULATOR.md). docs/WORKLOADS.md tells what is modelled, and how it compares with measured and published runs.
    """
)
@click.argument("files", nargs=-1, required=True)
@click.option("--volume", type=Size(), required=True, help="Size of all files of the data set, such as 1PB.")
@click.option("--cores", type=click.IntRange(1), required=True, help="Cores that reduce events, all machines together.")
@click.option("--model", required=True, metavar="NAME|FILE", help="The store's latency: a name, or a file in TOML.")
@click.option("--cores-per-node", type=click.IntRange(1), default=8, show_default=True,
              help="Cores that share a network interface.")
@click.option("--file-size", type=Size(), help="Size of the data set's files.  [default: as the given ones]")
@click.option("--events-per-second-per-core", "events_per_cpu_s", metavar="N",
              type=click.FloatRange(min=0, min_open=True),
              help="What a core reduces where it never waits. Without it and --from, only the storage is estimated.")
@click.option("--from", "measured_in", metavar="RESULT", help="Take that from a result.json, or a folder with one.")
@click.option("--target", type=Time(), help="A time to compare with, such as 250min.")
@click.option("--cuts", "cuts_file", type=click.Path(dir_okay=False), metavar="FILE", help="Cuts and columns in YAML.")
@click.option("--tree", default="Events", show_default=True, help="The tree in ROOT files.")
@click.option("--piece", type=Size(), default="16MiB", show_default=True, help="Bytes to read that a piece has about.")
@click.option("--batch", type=Size(), default="256GiB", show_default=True,
              help="Bytes to read that are completed at once.")
@click.option("--read-gap", type=Size(), default="1MiB", show_default=True, envvar="STORESCOPE_READ_GAP",
              help="The setting of this name: the largest hole between ranges that is read through.")
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True, help="How often a batch is simulated.")
@click.option("--seed", type=click.IntRange(0, 2**32), default=1, show_default=True,
              help="Of the draws from the model.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of text.")
@store_options
def estimate(settings: StoreSettings, files: tuple[str, ...], **given: Any) -> None:
    """Estimate the requests, bytes and hours of a reduction, from real FILES and a model of the store.

    The FILES stand for a data set of the size --volume: it is taken to consist of files like them."""
    model = model_of(given["model"])
    cuts = cuts_of(given["cuts_file"])
    measured = _measured(given, cuts, settings)
    (found,) = described.of_files(files, settings).datasets
    assumed = Assumptions(
        **{name: given[name] for name in ("volume", "cores", "cores_per_node", "file_size", "rounds", "seed")},
        events_per_cpu_s=measured.events_per_cpu_s,
        plan_cpu_s=measured.plan_cpu_s,
        written_per_event=measured.written_per_event,
        piece_target=given["piece"],
        batch_target=given["batch"],
        read_gap=given["read_gap"],
    )
    job = Job(Reduction(cuts), given["tree"], settings, piece_target=given["piece"])
    with Bars() as bars:
        samples = survey(found.files, job, bars.stage("look at", len(found.files), "files"))
    told = estimated(samples, model, assumed)
    asked = Question(samples, assumed, measured, given["model"], given["target"])
    if given["as_json"]:
        click.echo(json.dumps(as_json(asked, told), indent=2))
    else:
        click.echo(show(asked, told), nl=False)
    if measured.warning:
        click.echo(f"warning: {measured.warning}", err=True)


def model_of(name: str) -> Model:
    """A latency model by its name, or of a file in TOML.

    Raises:
        UsageError: There is none, or it is wrong.
    """
    try:
        if name in storescope.Model.names():
            return storescope.Model(name)
        if Path(name).suffix == ".toml" or Path(name).exists():
            return storescope.Model.from_toml(Path(name).read_text(encoding="utf-8"))
        return storescope.Model(name)
    except OSError as error:
        raise UsageError(f"--model {name}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--model {name}: {error}") from error


def _measured(given: dict[str, Any], cuts: Cuts, settings: StoreSettings) -> Measured:
    rate, place = given["events_per_cpu_s"], given["measured_in"]
    if rate is not None and place is not None:
        raise UsageError("--events-per-second-per-core and --from exclude each other")
    if place is None:
        return Measured(rate, origin="given" if rate else "")
    told = _result(place, settings)
    if told.get("cuts") != cuts.to_dict():
        raise UsageError(f"--from {place}: was measured with other cuts; give the same by --cuts")
    engine, time, events = told["engine"], told["time"], told["events"]["in"] - told["events"]["skipped"]
    if engine not in PER_CORE:
        raise UsageError(
            f"--from {place}: was measured by the engine {engine}, whose CPU time is not that of reducing events in Python; "
            f"give a result of {' or '.join(PER_CORE)}"
        )
    rate = time["events_per_cpu_s"]
    if not rate:
        raise UsageError(f"--from {place}: tells no events per CPU time: nothing was read")
    return Measured(
        rate,
        time["plan_cpu_s"] / max(1, sum(one["files"]["planned"] for one in told["datasets"])),
        told["output"]["bytes"] / max(1, events),
        f"measured by {place}, engine {engine}",
        engine,
        events,
        time["task_cpu_s"] - time["plan_cpu_s"],
    )


def _result(place: str, settings: StoreSettings) -> dict[str, Any]:
    url = place if place.endswith(".json") else f"{place.rstrip('/')}/result.json"
    fs, path = filesystem(url, settings)
    try:
        told = json.loads(fs.cat_file(path))
    except FileNotFoundError as error:
        raise UsageError(f"--from {url}: {'no such object' if is_store(url) else 'no such file'}") from error
    except ValueError as error:
        raise UsageError(f"--from {url}: is no JSON: {error}") from error
    if not isinstance(told, dict) or (told.get("schema"), told.get("workload")) != (1, "dimuon-reduction"):
        raise UsageError(f"--from {url}: is no result.json of a reduction")
    return told
