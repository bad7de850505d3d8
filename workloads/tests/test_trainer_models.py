# SPDX-License-Identifier: Apache-2.0
"""Networks and the step: judged by Keras's own layers, loss and optimizer."""

from __future__ import annotations

import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from storescope_workloads.errors import UsageError, WorkloadError
from storescope_workloads.trainer.feed import Feed, Shape, sizes
from storescope_workloads.trainer.kinds import KINDS, keep_factors
from storescope_workloads.trainer.loop import Stepper
from storescope_workloads.trainer.models import build, keras, tf
from storescope_workloads.trainer.plan import Plan, parse_rates
from storescope_workloads.trainer.steptimes import StepTimes

P = 6
#: The loss of a certain and right answer, where softmax is applied twice.
TWICE = math.log(1 + 2 / math.e)


def batch(count: int, seed: int = 1, total: int | None = None) -> SimpleNamespace:
    """A batch as the loader gives it, of events that have 0 to P particles."""
    rng = np.random.default_rng(seed)
    mask = np.arange(P)[None, :] < rng.integers(0, P + 1, (count, 1))
    particles = (rng.normal(size=(count, P, 19)) * mask[:, :, None]).astype(np.float32)
    return SimpleNamespace(
        hlf=rng.random((count, 14), np.float32), particles=particles, mask=mask, label=rng.integers(0, 3, count).astype(np.int8),
        event=np.arange(count, dtype=np.int64) + 1000 * seed, total=total or count,
    )


def stepper(name: str, **options) -> Stepper:
    return Stepper(build(name, P, seed=3), tf.distribute.get_strategy(), **options)


@pytest.mark.parametrize("name", KINDS)
def test_parameters_are_those_of_the_original(name):
    network = build(name, P)
    told = {"hlf": 2_013, "sequence": 10_803, "inclusive": 12_353}[name]
    assert network.model.count_params() == told == len(network.weights()) == KINDS[name].parameters
    assert set(network.model.input) == {"hlf": {"hlf"}, "sequence": {"particles", "mask"},
                                        "inclusive": {"hlf", "particles", "mask"}}[name]


@pytest.mark.parametrize("name", ["sequence", "inclusive"])
def test_values_of_padding_change_nothing(name):
    model, one = build(name, P).model, batch(20)
    inputs = {key: getattr(one, key) for key in model.input}
    garbage = np.where(one.mask[:, :, None], one.particles, np.float32(7))
    assert not one.mask.all(1).all() and (garbage != one.particles).any()
    want = model(inputs).numpy()
    assert np.array_equal(model({**inputs, "particles": garbage}).numpy(), want)
    # The particles themselves count, and so does an event of none.
    assert np.abs(model({**inputs, "particles": one.particles + np.float32(1)}).numpy() - want).max() > 1e-3
    assert np.isfinite(want).all()


@pytest.mark.parametrize("name", KINDS)
def test_softmax_is_applied_once(name):
    network = build(name, P)
    weights = np.zeros_like(network.weights())
    weights[-3:] = 30, 0, 0
    network.set_weights(weights)
    one = batch(16)
    one.label[:] = 0
    steps = Stepper(network, tf.distribute.get_strategy())
    steps.validate(Shape(network.kind, 16, P).chunk([one], 0, train=False))
    assert steps.totals().loss / 16 < 1e-6 < TWICE
    told = network.model({key: getattr(one, key) for key in network.model.input}).numpy()
    assert told == pytest.approx(np.tile([1.0, 0.0, 0.0], (16, 1)), abs=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_a_step_is_that_of_keras(name):
    """Gradient of Keras's loss, and Keras's Adam, through layers of the same weights."""
    network = build(name, P, seed=3)
    own = Stepper(network, tf.distribute.get_strategy())
    shape = Shape(network.kind, 12, P)
    adam = keras.optimizers.Adam(learning_rate=0.01, epsilon=1e-7)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=False)
    for step in range(4):
        one = batch(12, step)
        own.train(shape.chunk([one], step), 0.01, step)
        with tf.GradientTape() as tape:
            # The saved model, which ends with softmax; its dropout does nothing here.
            value = loss(one.label, network.model({key: getattr(one, key) for key in network.model.input}))
        variables = network.model.trainable_variables
        adam.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
    assert own.state()["weights"] == pytest.approx(network.weights(), abs=2e-5)
    assert np.abs(network.weights() - build(name, P, seed=3).weights()).max() > 0.02


def test_a_batch_that_is_filled_up_counts_its_own_events():
    whole, filled = stepper("inclusive"), stepper("inclusive")
    kind = KINDS["inclusive"]
    for step in range(3):
        whole.train(Shape(kind, 5, P, 0.2).chunk([batch(5, step)], step), 0.01, step)
        filled.train(Shape(kind, 8, P, 0.2).chunk([batch(5, step)], step), 0.01, step)
    assert filled.state()["weights"] == pytest.approx(whole.state()["weights"], abs=1e-6)
    assert filled.totals().events == 15


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_of_one_call_are_those_of_many(compiled):
    once, often = stepper("hlf", compiled=compiled), stepper("hlf", compiled=compiled)
    shape = Shape(KINDS["hlf"], 16)
    batches = [batch(16, step) for step in range(5)]
    once.train(shape.chunk(batches, 0), 0.01, 0, (False, 0.5))
    for step in range(5):
        often.train(shape.chunk([batches[step]], step), 0.01, step, (False, 0.1))
    for name, array in once.state().items():
        assert np.array_equal(array, often.state()[name])
    assert once.totals().loss == often.totals().loss
    assert once.totals().wait_s == pytest.approx(0.5)


def test_nothing_changes_by_a_step_of_no_events():
    own = stepper("inclusive", compiled=True)
    before = own.state()
    own.train(Shape(KINDS["inclusive"], 8, P, 0.2).nothing(), 0.01, 0)
    assert all(np.array_equal(array, before[name]) for name, array in own.state().items())


def test_parts_of_a_batch_add_up_to_its_gradient():
    """Two halves, each divided by the whole batch's events: what two workers add."""
    network = build("inclusive", P, seed=3)
    own = Stepper(network, tf.distribute.get_strategy())
    one, shape = batch(12), Shape(network.kind, 12, P, 0.2)
    chunk = shape.chunk([one], 7)

    def gradient(rows: slice) -> np.ndarray:
        inputs = {name: tf.constant(array[0, rows]) for name, array in chunk.inputs.items()}
        return own._replica_gradient(
            tf.constant(network.weights()), inputs, tf.constant(chunk.label[0, rows]), tf.constant(chunk.weight[0, rows]),
            tf.constant(12.0)).numpy()

    assert gradient(slice(0, 5)) + gradient(slice(5, 12)) == pytest.approx(gradient(slice(0, 12)), rel=1e-6, abs=1e-6)


_FOREIGN = """
import sys
# As where it is not installed: an import of it raises.
sys.modules["storescope_workloads"] = None
import numpy as np, keras
for name in ("hlf", "sequence", "inclusive"):
    told = np.load(f"{name}.npz")
    model = keras.saving.load_model(f"{name}.keras")
    found = model.predict({key: told[key] for key in told if key != "want"}, verbose=0)
    assert np.abs(found - told["want"]).max() < 1e-6, name
    assert np.abs(found.sum(1) - 1).max() < 1e-5
"""


def test_models_load_without_this_package(tmp_path):
    for name in KINDS:
        network, one = build(name, P), batch(9)
        inputs = {key: getattr(one, key) for key in network.model.input}
        network.save(str(tmp_path / f"{name}.keras"))
        np.savez(tmp_path / f"{name}.npz", **inputs, want=network.model(inputs).numpy())
    subprocess.run([sys.executable, "-c", _FOREIGN], cwd=tmp_path, check=True)


def test_initial_weights_are_the_seeds():
    assert np.array_equal(build("inclusive", P, seed=5).weights(), build("inclusive", P, seed=5).weights())
    assert not np.array_equal(build("inclusive", P, seed=5).weights(), build("inclusive", P, seed=6).weights())


def test_dropout_depends_on_seed_step_and_event_alone():
    kind, events = KINDS["inclusive"], np.arange(4000, dtype=np.int64)
    whole = keep_factors(kind, 0.2, 1, 9, events)
    assert whole.shape == (4000, 64) and set(np.unique(whole)) == {np.float32(0), np.float32(1.25)}
    assert np.array_equal(keep_factors(kind, 0.2, 1, 9, events[1000:1500][::-1]), whole[1000:1500][::-1])
    assert (whole == 0).mean() == pytest.approx(0.2, abs=0.005)
    # No unit and no event is dropped more often than others, by more than chance does.
    assert np.abs((whole == 0).mean(0) - 0.2).max() < 0.03
    for other in (keep_factors(kind, 0.2, 2, 9, events), keep_factors(kind, 0.2, 1, 10, events)):
        assert ((whole == 0) & (other == 0)).mean() == pytest.approx(0.04, abs=0.005)
    assert (keep_factors(kind, 0.0, 1, 9, events) == 1).all()


def test_chunks_end_where_checkpoints_are():
    assert list(sizes(0, 10, 4, None, 0)) == [4, 4, 2]
    assert list(sizes(3, 10, 4, None, 0)) == [4, 3]
    # Checkpoints after the steps 6, 12, 18 of the whole training, and the epoch has its steps 10 to 19.
    assert list(sizes(0, 10, 50, 6, 10)) == [2, 6, 2]


def test_a_feed_tells_what_went_wrong_in_its_thread():
    def broken():
        yield batch(2)
        raise WorkloadError("part-00001: is corrupt")

    shape = Shape(KINDS["hlf"], 2)
    with Feed(broken(), sizes(0, 3, 1, None, 0), lambda batches, done: shape.chunk(batches, done)) as feed:
        assert feed.next().steps == 1
        with pytest.raises(WorkloadError, match="part-00001"):
            feed.next()
    with Feed(iter([batch(2)]), sizes(0, 3, 1, None, 0), lambda batches, done: shape.chunk(batches, done)) as feed:
        feed.next()
        with pytest.raises(WorkloadError, match="after 1 steps"):
            feed.next()


def test_a_feed_closes_what_it_reads():
    closed = []

    def endless():
        try:
            while True:
                yield batch(2)
        finally:
            closed.append(True)

    shape = Shape(KINDS["hlf"], 2)
    with Feed(endless(), iter([1] * 1000), lambda batches, done: shape.chunk(batches, done)) as feed:
        feed.next()
    assert closed == [True]


def test_rates():
    original = Plan("", "", batch=128, rates="0:0.0005,3:0.0002,5:0.0001")
    assert [original.rate(epoch) for epoch in (0, 2, 3, 4, 5, 50)] == [5e-4, 5e-4, 2e-4, 2e-4, 1e-4, 1e-4]
    assert [Plan("", "").rate(epoch) for epoch in (0, 5, 6, 8, 9, 50)] == [3e-3, 3e-3, 1e-3, 1e-3, 3e-4, 3e-4]
    assert Plan("", "", batch=256, rates="0.001").rate(7) == pytest.approx(0.002)
    for wrong in ("", "x", "1:0.1", "0:0.1,0:0.2", "0:0.1,5:0", "0:0.1,3:0.2,2:0.1", "-1", "nan", "0:0.1:2"):
        with pytest.raises(UsageError, match="--learning-rate"):
            parse_rates(wrong)


def test_step_times_are_told_to_a_percent():
    times, other = StepTimes(), StepTimes()
    for number in range(1, 100):
        (times if number % 2 else other).add(number / 1e3, 1)
    other.add(5.0, 1)
    both = times + StepTimes(other.counts)
    assert both.quantiles() == {"p50": pytest.approx(50, rel=0.011), "p90": pytest.approx(90, rel=0.011),
                                "p99": pytest.approx(99, rel=0.011)}
    assert StepTimes().quantiles() == {"p50": None, "p90": None, "p99": None}
