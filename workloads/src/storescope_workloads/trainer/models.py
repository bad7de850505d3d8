# SPDX-License-Identifier: Apache-2.0
"""The three classifiers. Needs TensorFlow and Keras.

A network is trained on logits: cross-entropy is computed from them, and softmax is applied once. The model that is saved ends
with softmax and gives probabilities. Both share their layers.

Dropout is an input of the network that is trained: a factor for each unit that :func:`keep_factors` computes from the seed, the
step and the event. So the factors do not depend on the worker that has the event, nor on what ran before a restart. In the saved
model it is Keras's own layer, which does nothing in inference."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# TensorFlow reads it when it is imported: information and warnings are left out.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: E402
import tensorflow as tf  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: E402

from .features import CLASSES, EVENT_FEATURES, PARTICLE_FEATURES  # noqa: E402
from .kinds import KINDS, Kind  # noqa: E402

__all__ = ["Network", "build", "keras", "tf"]

#: Units of the recurrent layer.
RECURRENT = 50
#: Units of the dense layers over event features.
DENSE = (50, 20, 10)
#: Units of the dense layer of the inclusive model.
JOINED = 25


@dataclass(frozen=True)
class Network:
    """A classifier: its layers twice.

    Attributes:
        kind: Which.
        particles: Particles of an event, padding counted; 0 where it reads none.
        logits: With dropout factors as an input ``keep``; gives logits, float32 (n, 3).
        model: What is saved; gives probabilities, float32 (n, 3).

    Inputs, by name, of both: ``hlf`` float32 (n, 14), ``particles`` float32 (n, P, 19), ``mask`` bool (n, P): which particles
    are no padding.
    """

    kind: Kind
    particles: int
    logits: Any
    model: Any

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of its weights, in the order of :meth:`weights`."""
        return [tuple(variable.shape) for variable in self.logits.trainable_variables]

    def weights(self) -> np.ndarray:
        """All weights, one after another: float32 (parameters,)."""
        return np.concatenate([np.ravel(variable.numpy()) for variable in self.logits.trainable_variables])

    def set_weights(self, flat: np.ndarray) -> None:
        """Sets all weights from what :meth:`weights` gives."""
        at = 0
        for variable, shape in zip(self.logits.trainable_variables, self.shapes, strict=True):
            size = int(np.prod(shape))
            variable.assign(flat[at : at + size].reshape(shape))
            at += size

    def save(self, path: str) -> None:
        """Writes :attr:`model` to a local file, ``….keras``: Keras's own layers alone, which load without this package."""
        with warnings.catch_warnings():
            # Keras's way to numpy, under numpy 2.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            self.model.save(path)

    def apply(self, flat: Any, inputs: Mapping[str, Any]) -> Any:
        """Logits for given weights: a function of its arguments alone.

        Args:
            flat: As :meth:`weights`, a tensor.
            inputs: By name, ``keep`` among them where the kind has dropout.
        """
        shapes = self.shapes
        parts = tf.split(flat, [int(np.prod(shape)) for shape in shapes])
        weights = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        # Layers that could draw random numbers have a state. None draws.
        others = [tf.zeros(variable.shape, variable.dtype) for variable in self.logits.non_trainable_variables]
        logits, _ = self.logits.stateless_call(weights, others, dict(inputs), training=True)
        return logits


def build(name: str, particles: int = 0, dropout: float = 0.2, seed: int = 1) -> Network:
    """Makes a network with initial weights by seed.

    Args:
        name: One of :data:`.kinds.KINDS`.
        particles: Particles of an event, padding counted; not used by ``hlf``.
        dropout: The share of units that dropout sets to 0, as the saved model states it.
    """
    kind = KINDS[name]
    inputs = _inputs(kind, particles)
    keep = keras.Input((kind.dropped,), name="keep") if kind.dropped else None
    body = _Body(kind, seed)
    drop = keras.layers.Dropout(dropout, name="dropout")
    features = body.features(inputs)
    logits = body.head(features if keep is None else keras.layers.Multiply(name="dropout_factors")([features, keep]))
    told = body.head(features if keep is None else drop(features))
    training = dict(inputs) if keep is None else {**inputs, "keep": keep}
    return Network(
        kind,
        particles if kind.particles else 0,
        keras.Model(training, logits, name=f"{name}_logits"),
        keras.Model(inputs, keras.layers.Softmax(name="probabilities")(told), name=name),
    )


def _inputs(kind: Kind, particles: int) -> dict[str, Any]:
    inputs = {}
    if kind.event_features:
        inputs["hlf"] = keras.Input((len(EVENT_FEATURES),), name="hlf")
    if kind.particles:
        inputs["particles"] = keras.Input((particles, len(PARTICLE_FEATURES)), name="particles")
        inputs["mask"] = keras.Input((particles,), dtype="bool", name="mask")
    return inputs


class _Body:
    """The layers, each made once with a seed of its own."""

    def __init__(self, kind: Kind, seed: int) -> None:
        self._kind = kind
        self._seed = seed
        self._made = 0
        if kind.particles:
            self._recurrent = keras.layers.GRU(
                RECURRENT, kernel_initializer=self._uniform(), recurrent_initializer=self._orthogonal(), name="particle_sequence"
            )
        widths: Sequence[int] = {"hlf": DENSE, "sequence": (), "inclusive": (JOINED,)}[kind.name]
        self._dense = [self._layer(width, "relu", f"dense_{number}") for number, width in enumerate(widths)]
        self._last = self._layer(len(CLASSES), None, "logits")

    def features(self, inputs: dict[str, Any]) -> Any:
        """What dropout acts on."""
        parts = []
        if self._kind.particles:
            parts.append(self._recurrent(inputs["particles"], mask=inputs["mask"]))
        if self._kind.event_features:
            parts.append(inputs["hlf"])
        return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="joined")(parts)

    def head(self, features: Any) -> Any:
        """Logits."""
        for layer in self._dense:
            features = layer(features)
        return self._last(features)

    def _layer(self, width: int, activation: str | None, name: str) -> Any:
        return keras.layers.Dense(width, activation=activation, kernel_initializer=self._uniform(), name=name)

    def _uniform(self) -> Any:
        return keras.initializers.GlorotUniform(seed=self._next())

    def _orthogonal(self) -> Any:
        return keras.initializers.Orthogonal(seed=self._next())

    def _next(self) -> int:
        self._made += 1
        return self._seed * 1000 + self._made
