# SPDX-License-Identifier: Apache-2.0
"""A trained model's scores of the test events. :func:`load` needs TensorFlow; the rest takes any function that scores."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadFile, UsageError, WorkloadError
from ..places import Folder
from ..scan.engine import Progress
from ..scan.measured import Measured
from ..settings import StoreSettings
from .curves import Curves, NoEvents
from .data import Batch, Loader, Prepared, Split
from .features import CLASSES
from .shards import Manifest

#: Events of a batch: without particles, and with them (801 × 19 float32 values are 61 kB an event).
EVENTS, EVENTS_WITH_PARTICLES = 8192, 512
#: The trained model, as Keras writes it.
MODEL = "model.keras"


@dataclass(frozen=True)
class Scorer:
    """A trained model that is ready for use.

    Attributes:
        name: ``hlf``, ``sequence`` or ``inclusive``.
        params: How many parameters it has.
        source: The URL of the file that it was read from.
        event_features: Whether it takes event features.
        particles: To how many particles events are padded for it; 0: it takes none.
        scores: Gives the probabilities, (n, 3) float32, of a batch's events.
    """

    name: str
    params: int
    source: str
    event_features: bool
    particles: int
    scores: Callable[[Batch], NDArray[Any]]


@dataclass
class Evaluation:
    """What an evaluation came to.

    Attributes:
        curves: The scores.
        measured: What reading the test shards cost; ``wall_s`` is the wall time of the evaluation.
        opened: What opening the folder cost.
    """

    curves: Curves
    measured: Measured = field(default_factory=Measured)
    opened: Measured = field(default_factory=Measured)


def check_data(prepared: Prepared, model: str, fingerprint: str) -> None:
    """Checks that a model can be evaluated with these data, before events are read.

    Args:
        model: The URL of its folder, for messages.
        fingerprint: Of the data that it was trained with.

    Raises:
        UsageError: They are others: their features may be scaled in another way.
        NoEvents: The test shards have no events of a class; names it.
    """
    url, found = prepared.folder.url, prepared.manifest.fingerprint
    if fingerprint != found:
        raise UsageError(
            f"{model}: was trained with other data (fingerprint {fingerprint}) than those in {url} ({found}), which may be "
            "scaled in another way; name the folder that it was trained with"
        )
    absent = [name for name, count in class_counts(prepared.manifest, "test").items() if not count]
    if absent:
        raise NoEvents(
            f"{url}: its test events hold none of the class {' and '.join(absent)}, so that there is no ROC curve; prepare "
            "data with more events of it, or with a larger part of them for the test"
        )


def class_counts(manifest: Manifest, split: str) -> dict[str, int]:
    """Events of each class in a split."""
    shards = manifest.split(split)
    return {name: sum(shard.events[label] for shard in shards) for label, name in enumerate(CLASSES)}


def evaluate(scorer: Scorer, prepared: Prepared, settings: StoreSettings, prefetch: int, progress: Progress) -> Evaluation:
    """Scores all test events of a folder of prepared data, each once.

    Args:
        prefetch: Shards that are read ahead.
        progress: Is told how many events more were scored.

    Raises:
        WorkloadError: A shard cannot be read, or a score is no probability.
    """
    split = Split(
        split="test",
        batch=EVENTS_WITH_PARTICLES if scorer.particles else EVENTS,
        streams=1,
        shuffle=False,
        particles=scorer.particles,
        event_features=scorer.event_features,
        prefetch=prefetch,
    )
    began, cpu = time.perf_counter(), time.process_time()
    loader = Loader(prepared, split, settings)
    curves = Curves()
    for batch in loader.epoch(0):
        curves.add(batch.label, scorer.scores(batch))
        progress(len(batch.label))
    read = loader.measured
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Evaluation(curves, Measured(1, wall, cpu, read.wait_s, read.needed, read.read, read.snapshot), prepared.measured)


def load(out: Folder, told: dict[str, Any]) -> Scorer:
    """The model of a training's folder: ``model.keras``, and where that is missing its newest checkpoint.

    Args:
        out: The folder of a training.
        told: What ``train.json`` holds.

    Raises:
        BadFile: The file is no model, or another one than the training tells.
        WorkloadError: There is neither.
    """
    name, params = told["model"]["name"], told["model"]["params"]
    try:
        data, url = out.read(MODEL), out.path(MODEL)
        model = _keras_model(data, url)
        found = model.name, int(model.count_params())
    except FileNotFoundError:
        model, url, found = _of_checkpoint(out, told)
    if found != (name, params) or not isinstance(model.input, dict):
        raise BadFile(
            url,
            f"is the model {found[0]} of {found[1]:,} parameters, and not the {name} of {params:,} that was trained here; "
            "train again, or copy the right file there",
        )
    particles = int(model.input["particles"].shape[1]) if "particles" in model.input else 0
    return Scorer(name, found[1], url, "hlf" in model.input, particles, _scores(model, particles > 0))


def _keras_model(data: bytes, url: str) -> Any:
    from .models import keras

    with tempfile.TemporaryDirectory(prefix="storescope-model-") as folder:
        path = os.path.join(folder, MODEL)
        with open(path, "wb") as file:
            file.write(data)
        try:
            return keras.saving.load_model(path, compile=False)
        except Exception as error:
            # What Keras raises on a damaged file is of many kinds.
            raise BadFile(url, f"cannot be read as a model of Keras: {error}") from error


def _of_checkpoint(out: Folder, told: dict[str, Any]) -> tuple[Any, str, tuple[str, int]]:
    """The model with the weights of the newest checkpoint, its URL, and the name and the parameters that it tells."""
    from .checkpoint import Checkpoint, Checkpoints
    from .models import build

    names = Checkpoints(out, 1).names()
    if not names:
        raise WorkloadError(
            f"{out.url}: holds no model: neither {MODEL} nor a checkpoint is there; run storescope-workloads trainer train"
        )
    url = out.path(names[-1])
    checkpoint = Checkpoint.decode(out.read(names[-1]), url)
    network = build(told["model"]["name"], told["model"]["particles"])
    epochs = len(told.get("epochs", ()))
    # With --patience the model is the best epoch's, and the newest weights are the last one's.
    weights = checkpoint.arrays["best" if told.get("weights_of_epoch", epochs) != epochs else "weights"]
    if len(weights) == len(network.weights()):
        network.set_weights(weights)
    return network.model, url, (str(checkpoint.identity["model"]), len(weights))


def _scores(model: Any, compiled: bool) -> Callable[[Batch], NDArray[Any]]:
    """Applies a model to batches. They are filled up to the size of the first, so that it is traced, and compiled, once."""
    from .models import tf

    apply = tf.function(lambda inputs: model(inputs, training=False), jit_compile=compiled)
    size, traced = 0, apply

    def scores(batch: Batch) -> NDArray[Any]:
        nonlocal size, traced
        count = len(batch.label)
        if count > size:
            size = count
            shapes = {name: tf.TensorSpec((size, *tensor.shape[1:]), tensor.dtype) for name, tensor in model.input.items()}
            traced = apply.get_concrete_function(shapes)
        return np.asarray(traced({name: tf.constant(_filled(getattr(batch, name), size)) for name in model.input}))[:count]

    return scores


def _filled(values: NDArray[Any], size: int) -> NDArray[Any]:
    """Rows, and rows of zeros after them."""
    return np.concatenate([values, np.zeros((size - len(values), *values.shape[1:]), values.dtype)])
