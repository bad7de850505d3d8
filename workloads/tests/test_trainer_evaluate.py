# SPDX-License-Identifier: Apache-2.0
"""Evaluation: every test event is scored once, by the model that was trained, with the data that it was trained with; and the run of
all steps, whose steps are repeated only where they are not complete."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import storescope
from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer import evaluate as evaluating
from storescope_workloads.trainer import run as running
from storescope_workloads.trainer.curves import NoEvents
from storescope_workloads.trainer.data import Batch, Prepared
from storescope_workloads.trainer.evaluate import Scorer, check_data, evaluate, load
from storescope_workloads.trainer.evaluate_command import evaluate as command
from storescope_workloads.trainer.features import CLASSES
from storescope_workloads.trainer.run import Options, Run, Step
from trainings import prepared_in, trained

LOCAL = StoreSettings()
COUNTS = [[30, 20, 10], [5, 15, 25], [40, 40, 40]]


class Sees:
    """A model that knows the class, which is the first event feature, and keeps the events that it was given."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self.batches = 0

    def __call__(self, batch: Batch) -> np.ndarray:
        assert batch.hlf is not None and batch.particles is None
        self.batches += 1
        self.events += batch.event.tolist()
        np.testing.assert_array_equal(batch.hlf[:, 1], batch.event)
        return np.eye(3, dtype=np.float32)[batch.hlf[:, 0].astype(int)]

    @property
    def scorer(self) -> Scorer:
        return Scorer("hlf", 2013, "/model/model.keras", True, 0, self)


@pytest.mark.parametrize("where", ["disk", "store"])
@pytest.mark.parametrize("batch", [7, 8192])
def test_every_test_event_is_scored_once(where, batch, tmp_path, place, settings, monkeypatch):
    url, opened = (str(tmp_path), LOCAL) if where == "disk" else (place, settings)
    prepared_in(url, opened, COUNTS)
    monkeypatch.setattr(evaluating, "EVENTS", batch)
    sees, told = Sees(), []
    prepared = Prepared.open(url, opened)
    found = evaluate(sees.scorer, prepared, opened, 2, told.append)
    # Test events follow those of the training, in the numbering of the sample.
    assert sorted(sees.events) == list(range(225, 450)) and sum(told) == 225
    assert sees.batches == -(-225 // batch)
    assert found.curves.accuracy == 1.0
    np.testing.assert_array_equal(found.curves.confusion, np.diag([75, 75, 75]))
    assert found.measured.needed > 0 and found.measured.wall_s > 0 and found.measured.cpu_s > 0
    assert bool(found.measured.snapshot) == bool(found.opened.snapshot) == (where == "store")


def test_other_data_than_those_of_the_training_are_refused(tmp_path):
    manifest = prepared_in(str(tmp_path), LOCAL, COUNTS)
    prepared = Prepared.open(str(tmp_path), LOCAL)
    check_data(prepared, "/model", manifest.fingerprint)
    with pytest.raises(UsageError, match=r"/model: was trained with other data \(fingerprint 0123\).*" + manifest.fingerprint):
        check_data(prepared, "/model", "0123")


@pytest.mark.parametrize("absent", range(3))
def test_a_class_without_test_events_is_named_before_any_is_read(absent, tmp_path):
    counts = [[0 if label == absent else 10 for label in range(3)]]
    manifest = prepared_in(str(tmp_path), LOCAL, counts)
    with pytest.raises(NoEvents, match=f"{tmp_path}: its test events hold none of the class {CLASSES[absent]}"):
        check_data(Prepared.open(str(tmp_path), LOCAL), "/model", manifest.fingerprint)


def test_a_model_that_diverged_is_told(tmp_path):
    prepared_in(str(tmp_path), LOCAL, COUNTS)
    scorer = Scorer("hlf", 2013, "m", True, 0, lambda batch: np.full((len(batch.label), 3), np.nan, np.float32))
    with pytest.raises(WorkloadError, match="225 of 225 events scores that are no probabilities"):
        evaluate(scorer, Prepared.open(str(tmp_path), LOCAL), LOCAL, 2, lambda events: None)


# Models as Keras has them.


@pytest.fixture(scope="module")
def models():
    from storescope_workloads.trainer import models

    return models


def save(models: Any, out: Folder, name: str, particles: int = 0) -> Any:
    """Writes a network that was not trained as ``model.keras``."""
    network = models.build(name, particles)
    path = out.path("model.keras")
    out.write("model.keras", b"")
    network.save(path)
    return network


def told_of(network: Any) -> dict[str, Any]:
    return {"model": {"name": network.kind.name, "params": network.kind.parameters, "particles": network.particles}}


def batch_of(events: int, particles: int) -> Batch:
    random = np.random.default_rng(events)
    mask = np.arange(particles) < random.integers(1, particles + 1, (events, 1)) if particles else None
    values = random.normal(size=(events, particles, 19)).astype(np.float32)
    return Batch(
        random.random((events, 14)).astype(np.float32),
        values * mask[..., None] if particles else None,
        mask,
        np.zeros(events, np.int8),
        np.arange(events),
        events,
    )


@pytest.mark.parametrize(("name", "particles"), [("hlf", 0), ("sequence", 5), ("inclusive", 5)])
def test_scores_are_those_of_the_saved_model(name, particles, models, tmp_path):
    out = Folder(str(tmp_path), LOCAL)
    network = save(models, out, name, particles)
    scorer = load(out, told_of(network))
    assert (scorer.name, scorer.params, scorer.particles) == (name, network.kind.parameters, particles)
    assert scorer.event_features == (name != "sequence") and scorer.source == out.path("model.keras")
    # A full batch, and one that is filled up to its size.
    for events in (16, 3):
        batch = batch_of(events, particles)
        scores = scorer.scores(batch)
        inputs = {one: getattr(batch, one) for one in network.model.input}
        assert scores.shape == (events, 3)
        np.testing.assert_allclose(scores, network.model(inputs).numpy(), atol=1e-6)
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_without_a_model_the_newest_checkpoint_is_used(models, tmp_path):
    from storescope_workloads.trainer.checkpoint import Checkpoint, Checkpoints

    out, networks = Folder(str(tmp_path), LOCAL), [models.build("hlf", seed=seed) for seed in (1, 2)]
    for steps, network in zip((10, 20), networks, strict=True):
        made = Checkpoint({"model": "hlf"}, 0, steps, steps, {}, {"weights": network.weights()})
        Checkpoints(out, 3).save(made)
    scorer = load(out, told_of(networks[0]))
    batch = batch_of(8, 0)
    np.testing.assert_allclose(scorer.scores(batch), networks[1].model({"hlf": batch.hlf}).numpy(), atol=1e-6)
    assert scorer.source.endswith("checkpoints/step-000000020.ckpt")
    with pytest.raises(BadFile, match="is the model hlf of 2,013 parameters, and not the inclusive of 12,353"):
        load(out, {"model": {"name": "inclusive", "params": 12_353, "particles": 5}})


def test_the_best_epochs_weights_are_taken_from_a_checkpoint(models, tmp_path):
    from storescope_workloads.trainer.checkpoint import Checkpoint, Checkpoints

    out, (last, best) = Folder(str(tmp_path), LOCAL), [models.build("hlf", seed=seed) for seed in (1, 2)]
    arrays = {"weights": last.weights(), "best": best.weights()}
    Checkpoints(out, 3).save(Checkpoint({"model": "hlf"}, 3, 0, 30, {}, arrays))
    batch = batch_of(8, 0)
    for of_epoch, network in ((3, last), (2, best)):
        scorer = load(out, {**told_of(last), "epochs": [{}, {}, {}], "weights_of_epoch": of_epoch})
        np.testing.assert_allclose(scorer.scores(batch), network.model({"hlf": batch.hlf}).numpy(), atol=1e-6)


def test_another_model_than_that_of_the_training_is_named(models, tmp_path):
    out = Folder(str(tmp_path), LOCAL)
    save(models, out, "hlf")
    with pytest.raises(BadFile, match="model.keras: is the model hlf of 2,013 parameters, and not the inclusive of 12,353"):
        load(out, {"model": {"name": "inclusive", "params": 12_353, "particles": 5}})


def test_a_folder_without_a_model_and_a_damaged_one_are_named(models, tmp_path):
    out = Folder(str(tmp_path), LOCAL)
    hlf = {"model": {"name": "hlf", "params": 2013, "particles": 0}}
    with pytest.raises(WorkloadError, match="holds no model: neither model.keras nor a checkpoint"):
        load(out, hlf)
    save(models, out, "hlf")
    out.write("model.keras", out.read("model.keras")[:2000])
    with pytest.raises(BadFile, match="model.keras: cannot be read as a model of Keras"):
        load(out, hlf)


def test_the_command_evaluates_a_folder_of_a_store(models, place, settings, tmp_path):
    """Model, data and result in a store; nothing but temporary files on the disk."""
    manifest = prepared_in(f"{place}/shards", settings, COUNTS)
    out, local = Folder(f"{place}/model", settings), Folder(str(tmp_path), LOCAL)
    save(models, local, "hlf")
    out.write("model.keras", local.read("model.keras"))
    empty = storescope.Snapshot()
    training = trained(f"{place}/shards", manifest.fingerprint, [empty, empty])
    for epoch in training["epochs"]:
        epoch["events"] = 225
    out.write("train.json", json.dumps(training).encode())
    options = ["--endpoint", settings.endpoint, "--config-file", settings.config_file, "--region", settings.region]
    ran = CliRunner().invoke(command, [out.url, *options], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    told = json.loads(out.read("result.json"))
    assert np.sum(told["confusion"]) == 225 and told["io"]["evaluation"]["requests"] > 0
    assert f"accuracy {told['accuracy']:.4f}" in ran.stdout and f"result: {out.url}/result.json" in ran.stdout
    ran = CliRunner().invoke(command, [out.url, "--json", *options], catch_exceptions=False)
    assert json.loads(ran.stdout)["auc"] == told["auc"]


# All steps.


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """The steps that were done; each writes a file."""
    done: list[str] = []

    def step(name: str, place: str) -> Any:
        def do(run: Run) -> int:
            done.append(name)
            folder = run.out / "model" if place == "model" else run.data / place
            folder.write("result.json", json.dumps({"of": name}).encode())
            return 100 + len(name)

        return do

    places = {"generate": "sample", "ingest": "events", "prepare": "shards", "train": "model", "evaluate": "model"}
    monkeypatch.setattr(running, "STEPS", {name: step(name, place) for name, place in places.items()})
    return done


ALL = ["generate", "ingest", "prepare", "train", "evaluate"]


def run_in(tmp_path: Any, options: Options = Options(), **given: Any) -> Run:
    return Run(options, Folder(str(tmp_path / "out"), LOCAL), Folder(str(tmp_path / "data"), LOCAL), **given)


def test_a_run_does_all_steps_in_order(made, tmp_path):
    told: list[tuple[str, Step]] = []
    run = run_in(tmp_path, told=lambda name, step: told.append((name, step)))
    assert run.run() == {"of": "evaluate"} and made == ALL
    assert [name for name, _ in told] == ALL and dict(told) == run.steps
    assert all(step.seconds is not None and step.events == 100 + len(name) for name, step in told)
    assert (tmp_path / "data" / "shards").exists() and not (tmp_path / "out" / "shards").exists()


def test_complete_steps_are_not_repeated(made, tmp_path, monkeypatch):
    def fail(run: Run) -> int:
        raise WorkloadError("no space left")

    with monkeypatch.context() as patched:
        patched.setitem(running.STEPS, "prepare", fail)
        with pytest.raises(WorkloadError, match="no space left"):
            run_in(tmp_path).run()
        with pytest.raises(WorkloadError, match="no space left"):
            run_in(tmp_path, resume=True).run()
    assert made == ALL[:2]
    run = run_in(tmp_path, resume=True)
    run.run()
    assert made == ALL, "each once"
    assert [name for name, step in run.steps.items() if step.seconds is None] == ALL[:2]
    assert run_in(tmp_path, resume=True).run() == {"of": "evaluate"} and made == ALL


def test_another_run_is_not_gone_on_with(made, tmp_path):
    with pytest.raises(UsageError, match="holds no run to resume"):
        run_in(tmp_path, resume=True).run()
    run_in(tmp_path).run()
    with pytest.raises(UsageError, match="seed is 1 there and 2 here"):
        run_in(tmp_path, Options(seed=2), resume=True).run()
    with pytest.raises(UsageError, match="exclude each other"):
        run_in(tmp_path, resume=True, overwrite=True).run()
    with pytest.raises(UsageError, match="give --resume to go on"):
        run_in(tmp_path, Options(seed=2)).run()
    assert made == ALL


def test_overwriting_removes_a_run_and_nothing_else(made, tmp_path):
    run_in(tmp_path).run()
    (tmp_path / "data" / "mine").mkdir()
    (tmp_path / "data" / "mine" / "notes").write_text("x")
    (tmp_path / "data" / "sample" / "old").write_text("x")
    run_in(tmp_path, Options(seed=2), overwrite=True).run()
    assert made == 2 * ALL and not (tmp_path / "data" / "sample" / "old").exists()
    assert (tmp_path / "data" / "mine" / "notes").exists()


def test_folders_of_no_run_are_not_removed(made, tmp_path):
    (tmp_path / "data" / "shards").mkdir(parents=True)
    (tmp_path / "data" / "shards" / "notes").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="shards: is not empty"):
            run_in(tmp_path, overwrite=overwrite).run()
    run_elsewhere = Run(Options(), Folder(str(tmp_path / "out"), LOCAL), Folder(str(tmp_path / "other"), LOCAL))
    run_elsewhere.run()
    with pytest.raises(UsageError, match="holds a run with its data in .*other; give that --data"):
        run_in(tmp_path, overwrite=True).run()
    assert (tmp_path / "data" / "shards" / "notes").exists() and made == ALL


@pytest.mark.parametrize("options, why", [
    (Options(workers=5), "--batch 128: is not a multiple of 20, as the training of 5 processes needs it"),
    (Options(batch=10), "--batch 10: is not a multiple of 4, as the training of 1 process needs it"),
    (Options(rates="fast"), "--learning-rate fast"),
])
def test_what_the_training_would_refuse_is_refused_before_the_first_step(made, tmp_path, options, why):
    with pytest.raises(UsageError, match=why):
        run_in(tmp_path, options).run()
    assert made == [] and not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers, streams", [(1, 4), (2, 4), (3, 12), (6, 12), (8, 8)])
def test_workers_share_the_streams_of_a_run(tmp_path, workers, streams):
    plan = running.plan_of(run_in(tmp_path, Options(workers=workers)))
    assert plan.streams == streams
    plan.check_workers(workers)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"schema": 1}'])
def test_a_state_that_is_none(made, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_bytes(text)
    for given in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(UsageError, match="run.json: is not what trainer run writes"):
            run_in(tmp_path, **given).run()
