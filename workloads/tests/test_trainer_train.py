# SPDX-License-Identifier: Apache-2.0
"""Training from shards to a model: what it writes, that it repeats, stops and goes on exactly, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import click.testing
import numpy as np
import pytest
from trainer_shards import write_shards

from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.scan.job import Watch as Progress
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.checkpoint import Checkpoint
from storescope_workloads.trainer.models import build, keras
from storescope_workloads.trainer.plan import Plan
from storescope_workloads.trainer.stopping import Interrupted, Stop
from storescope_workloads.trainer.supervise import run_local
from storescope_workloads.trainer.train import Setting, train
from storescope_workloads.trainer.train_command import train as command

#: 367 training events: 23 steps of 16.
STEPS = 23


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> str:
    url = str(tmp_path_factory.mktemp("prepared") / "shards")
    write_shards(url, particles=5)
    return url


@pytest.fixture
def plan(shards, tmp_path) -> Plan:
    return Plan(shards, str(tmp_path / "out"), epochs=3, batch=16, rates="0.1", steps_per_call=10)


@pytest.fixture(scope="module")
def whole(shards, tmp_path_factory):
    """A training that nothing interrupts, with the plan's options: its folder and what it told."""
    plan = Plan(shards, str(tmp_path_factory.mktemp("whole")), epochs=3, batch=16, rates="0.1", steps_per_call=10)
    return plan.out, train(plan)


def newest(out: str) -> Checkpoint:
    found = sorted(Path(out, "checkpoints").iterdir())[-1]
    return Checkpoint.decode(found.read_bytes(), str(found))


def same_weights(one: str, other: str) -> bool:
    states = [newest(out).arrays for out in (one, other)]
    assert list(states[0]) == list(states[1]) and len(states[0]) >= 3
    return all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


class Meddling(Progress):
    """Does something after a number of events of an epoch of training."""

    def __init__(self, stage: str, events: int, action) -> None:
        self._stage, self._left, self._action = stage, events, action

    def stage(self, name, total, unit):
        def count(done: int) -> None:
            if name == self._stage:
                before, self._left = self._left, self._left - done
                if self._left <= 0 < before:
                    self._action()

        return count


def killed(number: int):
    return lambda: os.kill(os.getpid(), number)


def test_what_a_training_writes(whole):
    out, told = whole
    names = {name.split("/")[0] for name in Folder(out, StoreSettings()).files()}
    assert names == {"checkpoints", "tensorboard", "model.keras", "train.json"}
    assert json.loads(Path(out, "train.json").read_text()) == told
    assert told["model"] == {"name": "hlf", "params": 2013, "particles": 0}
    assert told["options"] == {"epochs": 3, "batch": 16, "workers": 1, "seed": 1}
    assert told["resumed"] is None and told["devices"] == ["CPU"] and told["weights_of_epoch"] == 3
    epochs = told["epochs"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert all(epoch["events"] == 367 and epoch["steps"] == STEPS and epoch["test_events"] == 104 for epoch in epochs)
    assert epochs[-1]["loss"] < 0.5 * epochs[0]["loss"] and epochs[-1]["test_accuracy"] > 0.8
    assert all(0 <= epoch["wait_s"] <= epoch["wall_s"] for epoch in epochs)
    steady = told["steps"]["steady"]
    assert steady["steps"] == 2 * STEPS and steady["events"] == 2 * 367
    assert steady["ms"]["mean"] == pytest.approx(1e3 * steady["wall_s"] / steady["steps"])
    assert steady["ms"]["p50"] <= steady["ms"]["p99"]
    (worker,) = told["workers"]
    assert worker["cpu_s"] > 0 and worker["rss_peak_bytes"] > 1e8
    # 471 events in each of 3 epochs, of 14 float32 values.
    assert worker["measured"]["needed"] > 3 * 471 * 14 * 4 / 2
    assert "#[Histogram log" in worker["measured"]["hlog"]
    assert told["opened"]["read"] > 0


def test_the_model_is_the_last_checkpoints(whole, shards):
    out, _ = whole
    network = build("hlf")
    network.set_weights(newest(out).arrays["weights"])
    hlf = np.random.default_rng(1).random((50, 14), np.float32)
    told = keras.saving.load_model(f"{out}/model.keras").predict({"hlf": hlf}, verbose=0)
    assert told == pytest.approx(network.model.predict({"hlf": hlf}, verbose=0), abs=1e-6)
    assert told.sum(1) == pytest.approx(np.ones(50), abs=1e-5)


def test_tensorboard_reads_the_scalars(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    out, told = whole
    events = EventAccumulator(f"{out}/tensorboard").Reload()
    wanted = {"train/loss": "loss", "train/accuracy": "accuracy", "test/loss": "test_loss", "learning_rate": "learning_rate"}
    for tag, name in wanted.items():
        found = events.Tensors(tag)
        assert [one.step for one in found] == [STEPS, 2 * STEPS, 3 * STEPS]
        values = [float(tensor_util.make_ndarray(one.tensor_proto)) for one in found]
        assert values == pytest.approx([epoch[name] for epoch in told["epochs"]], rel=1e-6)
    assert {"rate/events_per_s", "rate/wait_share", "rate/ms_per_step"} <= set(events.Tags()["tensors"])


def test_a_seed_repeats(plan, whole):
    train(plan)
    assert same_weights(plan.out, whole[0])
    other = replace(plan, out=plan.out + "-2", seed=2, epochs=1)
    train(other)
    assert not same_weights(other.out, plan.out)


@pytest.mark.parametrize("number, stage, events", [
    (signal.SIGTERM, "epoch 2 of 3", 150),
    (signal.SIGINT, "epoch 1 of 3", 1),
    # After the last step of an epoch, before its validation; and in it.
    (signal.SIGINT, "epoch 2 of 3", 367),
    (signal.SIGTERM, "validate 2", 20),
])
def test_a_signal_and_a_resume_end_with_the_same_weights(plan, whole, number, stage, events):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="interrupted in epoch .* go on with the same command and --resume") as caught:
        train(plan, Setting(progress=Meddling(stage, events, killed(number))))
    assert caught.value.code == 130 and signal.getsignal(number) is before
    found = newest(plan.out)
    assert f"after step {found.steps}:" in str(caught.value) and found.name in str(caught.value)
    assert 0 < found.steps < 3 * STEPS and not Path(plan.out, "train.json").exists()
    told = train(replace(plan, resume=True))
    assert told["resumed"] == {"steps": [found.steps]}
    assert same_weights(plan.out, whole[0])
    # Sums over a cut epoch are those over a whole one; nothing is counted twice.
    for epoch, wanted in zip(told["epochs"], whole[1]["epochs"], strict=True):
        for name in ("events", "steps", "loss", "accuracy", "test_loss"):
            assert epoch[name] == wanted[name]


def test_a_signal_that_another_handler_has_taken():
    """As TensorFlow's does with several workers."""
    with Stop() as stop:
        signal.signal(signal.SIGTERM, lambda *_: None)
        stop.hold()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked


def test_checkpoints_within_an_epoch(plan, whole):
    plan = replace(plan, checkpoint_every=7, keep=4)
    with pytest.raises(ZeroDivisionError):
        train(plan, Setting(progress=Meddling("epoch 2 of 3", 200, lambda: 1 / 0)))
    # As after a process that was killed.
    names = [path.name for path in sorted(Path(plan.out, "checkpoints").iterdir())]
    assert names == [f"step-{steps:09}.ckpt" for steps in (21, 23, 28, 35)]
    told = train(replace(plan, resume=True))
    assert told["resumed"] == {"steps": [35]} and same_weights(plan.out, whole[0])


def test_a_resume_after_a_damaged_checkpoint(plan, whole, caplog):
    with pytest.raises(Interrupted):
        train(plan, Setting(progress=Meddling("epoch 3 of 3", 50, killed(signal.SIGTERM))))
    path = sorted(Path(plan.out, "checkpoints").iterdir())[-1]
    path.write_bytes(path.read_bytes()[:-1])
    told = train(replace(plan, resume=True))
    assert told["resumed"] == {"steps": [2 * STEPS]} and same_weights(plan.out, whole[0])
    assert path.name in caplog.text


def test_more_epochs_after_the_end(plan, whole):
    train(replace(plan, epochs=1))
    told = train(replace(plan, resume=True))
    assert [epoch["epoch"] for epoch in told["epochs"]] == [1, 2, 3] and same_weights(plan.out, whole[0])
    # At the end there is nothing to do but to write the files.
    Path(plan.out, "model.keras").unlink()
    assert train(replace(plan, resume=True))["epochs"] == told["epochs"]
    assert Path(plan.out, "model.keras").exists()


def test_resume_without_a_checkpoint_begins(plan, whole):
    told = train(replace(plan, resume=True))
    assert told["resumed"] is None and same_weights(plan.out, whole[0])


@pytest.mark.parametrize("change, what", [
    ({"model": "sequence"}, "model is 'hlf' there and 'sequence' here"),
    ({"batch": 32}, "batch is 16 there and 32 here"),
    ({"streams": 2}, "streams is 4 there and 2 here"),
    ({"seed": 3}, "seed is 1 there and 3 here"),
])
def test_a_checkpoint_of_another_training(plan, whole, change, what):
    with pytest.raises(UsageError, match=f"is a checkpoint of another training: .*{what}"):
        train(replace(plan, out=whole[0], resume=True, **change))


def test_a_checkpoint_of_other_data(plan, whole, tmp_path):
    write_shards(str(tmp_path / "other"), seed=2)
    with pytest.raises(UsageError, match="data is '.*' there and '.*' here"):
        train(replace(plan, data=str(tmp_path / "other"), out=whole[0], resume=True))


def test_a_folder_that_is_not_empty(plan):
    Path(plan.out).mkdir()
    Path(plan.out, "notes").write_text("x")
    with pytest.raises(UsageError, match="is not empty; give --resume"):
        train(plan)
    # What is not its own stays.
    with pytest.raises(UsageError, match=r"holds more than a training's output \(notes\)"):
        train(replace(plan, overwrite=True))
    Path(plan.out, "notes").rename(Path(plan.out, "run.hlog"))
    train(replace(plan, epochs=1, overwrite=True))
    assert not Path(plan.out, "run.hlog").exists() and Path(plan.out, "train.json").exists()


def test_overwrite_keeps_the_data(plan, tmp_path):
    """Data below the output folder, under a name that is a training's."""
    data = tmp_path / "out" / "checkpoints"
    write_shards(str(data))
    before = sorted(data.rglob("*"))
    with pytest.raises(UsageError, match="out: holds --data .*checkpoints, which --overwrite would remove"):
        train(replace(plan, data=str(data), overwrite=True))
    assert sorted(data.rglob("*")) == before


def test_overwrite_removes_nothing_where_the_training_is_refused(plan):
    Path(plan.out).mkdir()
    Path(plan.out, "model.keras").write_text("x")
    with pytest.raises(UsageError, match="--device gpu"):
        train(replace(plan, overwrite=True, device="gpu"))
    assert Path(plan.out, "model.keras").read_text() == "x"


@pytest.mark.parametrize("train_events, test_events, why", [
    ((0,), (50,), "has no training events"), ((), (50,), "has no training events"),
    ((50,), (0,), "has no test events.*--validate 0"), ((50,), (), "has no test events.*--validate 0"),
])
def test_no_events(plan, tmp_path, train_events, test_events, why):
    write_shards(str(tmp_path / "few"), train=train_events, test=test_events)
    plan = replace(plan, data=str(tmp_path / "few"), epochs=1)
    with pytest.raises(UsageError, match=f"few: {why}"):
        train(plan)
    assert not Path(plan.out).exists()
    if train_events == (50,):
        assert train(replace(plan, validate=0))["epochs"][0]["events"] == 50


def test_early_stop_takes_the_best_epochs_weights(plan):
    # From the third epoch on the rate is so large that the loss rises.
    plan = replace(plan, epochs=9, rates="0:0.1,2:8", patience=2, keep=9)
    told = train(plan)
    losses = [epoch["test_loss"] for epoch in told["epochs"]]
    assert min(losses) == losses[1] and len(losses) == 4
    assert told["stopped_early"] and told["weights_of_epoch"] == 2
    best = Checkpoint.decode(Path(plan.out, f"checkpoints/step-{2 * STEPS:09}.ckpt").read_bytes(), "").arrays
    network = build("hlf")
    network.set_weights(best["weights"])
    hlf = np.random.default_rng(1).random((50, 14), np.float32)
    found = keras.saving.load_model(f"{plan.out}/model.keras").predict({"hlf": hlf}, verbose=0)
    assert found == pytest.approx(network.model.predict({"hlf": hlf}, verbose=0), abs=1e-6)
    # A resume knows that it has ended.
    assert train(replace(plan, resume=True))["epochs"] == told["epochs"]


def test_patience_that_a_resume_gives_takes_the_best_epochs_weights(plan):
    """The best epoch was before the resume, when nothing was to be chosen."""
    plan = replace(plan, epochs=3, rates="0:0.1,2:8", keep=9)
    told = train(plan)
    losses = [epoch["test_loss"] for epoch in told["epochs"]]
    assert min(losses) == losses[1] and told["weights_of_epoch"] == 3
    told = train(replace(plan, epochs=4, patience=2, resume=True))
    assert told["weights_of_epoch"] == 2 and told["stopped_early"] is False
    best = Checkpoint.decode(Path(plan.out, f"checkpoints/step-{2 * STEPS:09}.ckpt").read_bytes(), "").arrays
    network = build("hlf")
    network.set_weights(best["weights"])
    hlf = np.random.default_rng(1).random((50, 14), np.float32)
    found = keras.saving.load_model(f"{plan.out}/model.keras").predict({"hlf": hlf}, verbose=0)
    assert found == pytest.approx(network.model.predict({"hlf": hlf}, verbose=0), abs=1e-6)


def test_validation_may_be_a_part_or_none(plan):
    told = train(replace(plan, epochs=1, validate=0.3))
    assert 0 < told["epochs"][0]["test_events"] < 104
    told = train(replace(plan, epochs=1, validate=0, overwrite=True))
    assert told["epochs"][0]["test_loss"] is None and "test_events" not in told["epochs"][0]


def test_a_training_that_diverges(plan):
    with pytest.raises(WorkloadError, match="epoch 1: the .*loss is (nan|inf): training has diverged.*--learning-rate"):
        train(replace(plan, rates="1e39"))


@pytest.mark.parametrize("change, why", [
    ({"batch": 18}, "--batch 18: is not a multiple of --streams 4"),
    ({"patience": 1, "validate": 0.0}, "--patience needs validation"),
    ({"resume": True, "overwrite": True}, "contradict"),
    ({"device": "gpu"}, "--device gpu: TensorFlow finds no GPU"),
    ({"model": "sequence", "particles": 6}, "--particles 6: the data of .* have 5"),
])
def test_what_does_not_fit(plan, change, why):
    with pytest.raises(UsageError, match=why):
        train(replace(plan, **change))
    assert not Path(plan.out).exists()


def test_particles_that_the_data_do_not_have(plan, tmp_path):
    write_shards(str(tmp_path / "hlf"))
    with pytest.raises(UsageError, match="holds event features alone, and --model inclusive reads particles.*--model hlf"):
        train(replace(plan, data=str(tmp_path / "hlf"), model="inclusive"))


def test_a_folder_without_a_manifest(plan, tmp_path):
    with pytest.raises(WorkloadError, match="nothing: holds no prepared data"):
        train(replace(plan, data=str(tmp_path / "nothing")))


def test_a_shard_that_is_damaged(plan, tmp_path):
    write_shards(str(tmp_path / "bad"))
    path = tmp_path / "bad" / "train" / "part-00001.parquet"
    data = bytearray(path.read_bytes())
    # In a page, not in the footer.
    data[300] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadFile, match="part-00001.parquet"):
        train(replace(plan, data=str(tmp_path / "bad")))
    assert not Path(plan.out, "train.json").exists()


@pytest.mark.parametrize("name", ["model.keras", "train.json", "tensorboard", "checkpoints"])
def test_no_space(plan, monkeypatch, name):
    def full(self, what, _open=Folder.open):
        if f"{self.url}/{what}".removeprefix(plan.out).lstrip("/").startswith(name):
            raise OSError(28, "No space left on device")
        return _open(self, what)

    monkeypatch.setattr(Folder, "open", full)
    with pytest.raises(WorkloadError, match=f"{name}.*not written: .*No space left on device.*--resume"):
        train(replace(plan, epochs=1))
    assert not Path(plan.out, "train.json").exists()
    if name == "model.keras":
        monkeypatch.undo()
        train(replace(plan, epochs=1, resume=True))
        assert Path(plan.out, "train.json").exists()


def test_in_a_store(plan, place, settings, whole):
    """Data and output; only worker 0's requests, and no object is left that is not whole."""
    write_shards(f"{place}/shards", particles=5, settings=settings)
    plan = replace(plan, data=f"{place}/shards", out=f"{place}/out", settings=settings)
    with pytest.raises(Interrupted, match=f"{place}/out/checkpoints/step-0000"):
        train(plan, Setting(progress=Meddling("epoch 2 of 3", 100, killed(signal.SIGTERM))))
    told = train(replace(plan, resume=True))
    out = Folder(plan.out, settings)
    found = [Checkpoint.decode(out.read(name), name) for name in out.files() if name.startswith("checkpoints/")]
    assert np.array_equal(found[-1].arrays["weights"], newest(whole[0]).arrays["weights"])
    assert told["workers"][0]["measured"]["read"] > 0 and "get" in told["workers"][0]["measured"]["hlog"].lower()


def test_two_local_workers_end_with_the_weights_of_one(plan, whole):
    """They add the same numbers in another order: a sum of n float32 values is off by some 1e-7 of their sizes, and Adam divides
    by the root of the gradient's square, so that a weight moves by up to the rate times that in each of 69 steps."""
    told = run_local(replace(plan, threads=1), 2)
    assert told["options"]["workers"] == 2 and [one["worker"] for one in told["processes"]] == [0, 1]
    for epoch, wanted in zip(told["epochs"], whole[1]["epochs"], strict=True):
        assert epoch["events"] == wanted["events"] and epoch["steps"] == wanted["steps"]
        assert epoch["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    ours, one = newest(plan.out).arrays["weights"], newest(whole[0]).arrays["weights"]
    assert np.abs(ours - one).max() < 1e-5
    # Each read about half of the data.
    read = [worker["measured"]["needed"] for worker in told["workers"]]
    assert max(read) < 0.9 * whole[1]["workers"][0]["measured"]["needed"]


def test_the_command(shards, tmp_path):
    run = click.testing.CliRunner().invoke
    options = ["--data", shards, "--out", str(tmp_path / "out"), "--epochs", "1", "--batch", "16", "--json"]
    done = run(command, options, catch_exceptions=False)
    assert json.loads(done.stdout)["model"]["name"] == "hlf"
    done = run(command, [*options[:-1], "--epochs", "2", "--resume"], catch_exceptions=False)
    # Epochs are told as they end, beside the output.
    assert "going on from epoch 2" in done.stderr and "epoch   2   loss" in done.stderr
    assert "model.keras" in done.stdout
    for wrong, why in ((["--local-workers", "2", "--service", "x"], "--local-workers starts all workers on this host"),
                       (["--local-workers", "3"], "3 workers cannot share --streams 4.*--streams 12"),
                       (["--workers", "2", "--service", "x"], "JOB_COMPLETION_INDEX"),
                       (["--learning-rate", "fast"], "--learning-rate fast")):
        with pytest.raises(UsageError, match=why):
            run(command, [*options, *wrong], catch_exceptions=False)
    assert run(command, ["--help"]).exit_code == 0
