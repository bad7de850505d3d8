# SPDX-License-Identifier: Apache-2.0
"""The step of training under ``tf.distribute``. Needs TensorFlow.

Keras 3's ``fit`` does not work with several workers, so the step is written here: each replica computes the gradient of its own
events, one all-reduce adds gradient and figures over all replicas of all workers, and each worker applies the same step of Adam.

The loss is the sum of cross-entropy over a replica's events, divided by the events of the step over all workers. So the sum of
gradients is the gradient of the whole batch, whatever the number of workers. Batches have a fixed shape: a smaller one is filled
up with events of weight 0, so that the step is traced once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .feed import Chunk
from .models import Network, tf

#: Adam, as Keras and the original have it.
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7


@dataclass(frozen=True)
class Totals:
    """Sums: of cross-entropy, of right answers and of weights over events; of workers that asked to stop, and of the seconds that
    they told."""

    loss: float = 0.0
    correct: float = 0.0
    events: float = 0.0
    stop: float = 0.0
    wait_s: float = 0.0


class Stepper:
    """The state of training, and its step.

    Args:
        network: Whose weights are trained.
        strategy: TensorFlow's: the default one, ``MirroredStrategy`` or ``MultiWorkerMirroredStrategy``.
        workers: Processes that train together.
        compiled: The gradient is compiled by XLA: 2 to 3 times faster for recurrent layers on CPUs.
    """

    def __init__(self, network: Network, strategy: Any, workers: int = 1, compiled: bool = False) -> None:
        self._network = network
        self._strategy = strategy
        self._local = strategy.num_replicas_in_sync // workers
        flat = network.weights()
        # Not mirrored: each worker applies the same sum of gradients to its own copy.
        self._state = {name: tf.Variable(value) for name, value in
                       (("weights", flat), ("first", np.zeros_like(flat)), ("second", np.zeros_like(flat)))}
        self._totals = tf.Variable(tf.zeros(5, tf.float64))
        def made(function: Any) -> Any:
            return tf.function(function, jit_compile=True, autograph=False) if compiled else function

        self._gradient, self._score = made(self._replica_gradient), made(self._replica_score)
        self._functions: dict[str, Any] = {}

    def train(self, chunk: Chunk, rate: float, step: int, told: tuple[bool, float] = (False, 0.0)) -> None:
        """Trains with the steps of a chunk.

        Args:
            rate: The learning rate.
            step: Of the whole training, from 0: the number of the chunk's first step.
            told: What this worker adds to :attr:`Totals.stop` and :attr:`Totals.wait_s` of all workers.
        """
        self._call(self._train_steps, *self._given(chunk), self._added(told, chunk), tf.constant(rate, tf.float32),
                   tf.constant(step, tf.int64))
        # A GPU computes after the call has returned: the time of a step ends when its figures are there.
        self._totals.numpy()

    def validate(self, chunk: Chunk, told: tuple[bool, float] = (False, 0.0)) -> None:
        """Adds the figures of a chunk to the totals; trains nothing."""
        self._call(self._score_steps, *self._given(chunk), self._added(told, chunk))

    def totals(self) -> Totals:
        """What was added since :meth:`clear`, over all workers."""
        return Totals(*(float(value) for value in self._totals.numpy()))

    def clear(self, totals: Totals | None = None) -> None:
        """Sets the totals to 0, or to given ones."""
        totals = totals or Totals()
        self._totals.assign([totals.loss, totals.correct, totals.events, totals.stop, totals.wait_s])

    def state(self) -> dict[str, np.ndarray]:
        """Weights and the two moments of Adam: float32 (parameters,) each."""
        return {name: variable.numpy() for name, variable in self._state.items()}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Sets what :meth:`state` gave."""
        for name, variable in self._state.items():
            variable.assign(state[name])

    def share(self, array: np.ndarray) -> np.ndarray:
        """The array of worker 0, on all workers; the others give one of the same shape and dtype, which is not used."""
        if self._strategy.num_replicas_in_sync == 1:
            return array
        return np.asarray(tf.function(self._shared, autograph=False)(tf.constant(array)).numpy())

    def _shared(self, value: Any) -> Any:
        def own(value: Any) -> Any:
            first = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
            return tf.where(first, value, tf.zeros_like(value))

        return self._sum(self._strategy.run(own, args=(value,)))

    def _added(self, told: tuple[bool, float], chunk: Chunk) -> Any:
        # Each local replica adds its part, in each step.
        parts = self._local * chunk.steps
        return tf.constant([told[0] / parts, told[1] / parts], tf.float32)

    def _given(self, chunk: Chunk) -> tuple[Any, ...]:
        inputs = {name: self._split(array) for name, array in chunk.inputs.items()}
        return inputs, self._split(chunk.label), self._split(chunk.weight), tf.constant(chunk.total)

    def _split(self, array: np.ndarray) -> Any:
        """The events of a step, divided among the replicas of this process."""
        if self._local == 1:
            return tf.constant(array)
        part = array.shape[1] // self._local

        def of(context: Any) -> Any:
            at = context.replica_id_in_sync_group % self._local
            return tf.constant(array[:, at * part : (at + 1) * part])

        return self._strategy.experimental_distribute_values_from_function(of)

    def _sum(self, value: Any) -> Any:
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)

    def _figures(self, logits: Any, label: Any, weight: Any) -> Any:
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
        right = tf.cast(tf.equal(tf.argmax(logits, -1, output_type=tf.int32), label), tf.float32)
        return tf.stack([tf.reduce_sum(entropy * weight), tf.reduce_sum(right * weight), tf.reduce_sum(weight)])

    def _replica_gradient(self, flat: Any, inputs: Any, label: Any, weight: Any, total: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(flat)
            figures = self._figures(self._network.apply(flat, inputs), label, weight)
            loss = figures[0] / total
        return tf.concat([tape.gradient(loss, flat), tf.stop_gradient(figures)], 0)

    def _replica_score(self, flat: Any, inputs: Any, label: Any, weight: Any) -> Any:
        return self._figures(self._network.apply(flat, inputs), label, weight)

    def _call(self, steps: Any, *arguments: Any) -> None:
        """Calls a function of steps as a graph, which is made once: for any number of steps."""
        if steps.__name__ not in self._functions:
            signature = _signature(arguments) if self._strategy.num_replicas_in_sync == 1 else None
            self._functions[steps.__name__] = tf.function(steps, input_signature=signature, autograph=False)
        self._functions[steps.__name__](*arguments)

    def _train_steps(self, inputs: Any, label: Any, weight: Any, total: Any, told: Any, rate: Any, step: Any) -> None:
        def replica(flat: Any, at: Any, inputs: Any, label: Any, weight: Any, total: Any, told: Any) -> Any:
            own = {name: value[at] for name, value in inputs.items()}
            return tf.concat([self._gradient(flat, own, label[at], weight[at], total[at]), told], 0)

        def one(at: Any) -> Any:
            flat = self._state["weights"].read_value()
            added = self._strategy.run(replica, args=(flat, at, inputs, label, weight, total, told))
            self._adam(self._sum(added), rate, step + tf.cast(at, tf.int64))
            return at + 1

        self._each(one, total)

    def _score_steps(self, inputs: Any, label: Any, weight: Any, total: Any, told: Any) -> None:
        def replica(flat: Any, at: Any, inputs: Any, label: Any, weight: Any, told: Any) -> Any:
            own = {name: value[at] for name, value in inputs.items()}
            return tf.concat([self._score(flat, own, label[at], weight[at]), told], 0)

        def one(at: Any) -> Any:
            flat = self._state["weights"].read_value()
            added = self._strategy.run(replica, args=(flat, at, inputs, label, weight, told))
            self._totals.assign_add(tf.cast(self._sum(added), tf.float64))
            return at + 1

        self._each(one, total)

    def _each(self, one: Any, total: Any) -> None:
        """Calls ``one`` with the number of each step."""
        if self._strategy.num_replicas_in_sync > 1:
            # One step a call: workers agree on each step whether to stop.
            one(tf.constant(0))
            return
        tf.while_loop(lambda at: at < tf.shape(total)[0], lambda at: [one(at)], [tf.constant(0)], parallel_iterations=1)

    def _adam(self, summed: Any, rate: Any, step: Any) -> None:
        gradient, figures = summed[:-5], summed[-5:]
        self._totals.assign_add(tf.cast(figures, tf.float64))
        weights, first, second = (self._state[name] for name in ("weights", "first", "second"))
        count = tf.cast(step + 1, tf.float32)
        mean = first.assign(first + (gradient - first) * (1 - BETA1))
        square = second.assign(second + (gradient * gradient - second) * (1 - BETA2))
        alpha = rate * tf.sqrt(1 - tf.pow(BETA2, count)) / (1 - tf.pow(BETA1, count))
        weights.assign_sub(alpha * mean / (tf.sqrt(square) + EPSILON))


def _signature(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The form of the arguments of a function of steps, for any number of steps: the parts of a chunk have an axis of them."""
    chunk, others = arguments[:4], arguments[4:]
    return (
        *tf.nest.map_structure(lambda value: tf.TensorSpec([None, *value.shape[1:]], value.dtype), chunk),
        *(tf.TensorSpec(value.shape, value.dtype) for value in others),
    )
