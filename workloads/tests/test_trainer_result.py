# SPDX-License-Identifier: Apache-2.0
"""The files of an evaluated model: they fit their schema, which shares its members with the reduction's, and their numbers add up."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import jsonschema
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import storescope
from storescope import Snapshot
from storescope_workloads.errors import WorkloadError
from storescope_workloads.places import Folder
from storescope_workloads.reduction.result import schema as reductions
from storescope_workloads.scan.measured import Measured
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer import plots
from storescope_workloads.trainer.curves import Curves
from storescope_workloads.trainer.data import Prepared
from storescope_workloads.trainer.evaluate import Evaluation, Scorer
from storescope_workloads.trainer.features import CLASSES
from storescope_workloads.trainer.render import render, summary
from storescope_workloads.trainer.result import Training, result, schema, snapshot, write
from trainings import prepared_in, trained

LOCAL = StoreSettings()
TEST_EVENTS = 300


@pytest.fixture(scope="module")
def requested(server, settings) -> tuple[Snapshot, Snapshot]:
    """Snapshots of 40 requests to the emulator and of 2."""
    store = storescope.open_store(f"oci://workloads@{server.oci['namespace']}/trainer-result/", **settings.options())
    store.put("a", bytes(100_000))
    with storescope.profile() as many:
        for start in range(40):
            store.get_range("a", start, start + 1000)
    with storescope.profile() as few:
        store.get("a"), store.get("a")
    return many.snapshot(), few.snapshot()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Prepared:
    url = str(tmp_path_factory.mktemp("prepared"))
    prepared_in(url, LOCAL, [[216, 214, 210], [210, 214, 216]])
    return Prepared.open(url, LOCAL)


class Stored(Prepared):
    """The same data, as if they were in a store."""


@pytest.fixture(scope="module")
def stored(data) -> Prepared:
    there = Folder("oci://lake@ns/shards", StoreSettings(endpoint="http://127.0.0.1:1", auth="none"))
    return Stored(there, data.manifest, data.format, data.shards)


def curves(events: int = TEST_EVENTS) -> Curves:
    random, made = np.random.default_rng(4), Curves()
    label = np.arange(events) % 3
    raised = np.exp(random.normal(size=(events, 3)) + 2.0 * np.eye(3)[label])
    made.add(label, (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32))
    return made


def evaluation(read: Snapshot, opened: Snapshot) -> Evaluation:
    return Evaluation(curves(), Measured(1, 2.0, 1.5, 0.5, 60_000, 61_000, read), Measured(1, 0.1, 0.05, 0.1, 0, 3000, opened))


SCORER = Scorer("hlf", 2013, "/models/hlf/model.keras", True, 0, lambda batch: np.zeros((len(batch.label), 3)))


@pytest.fixture
def training(requested, stored) -> dict[str, Any]:
    many, few = requested
    return trained("oci://lake@ns/shards", stored.manifest.fingerprint, [few, many, few])


@pytest.fixture
def out(tmp_path) -> Folder:
    folder = Folder(str(tmp_path / "model"), LOCAL)
    for name, size in (("model.keras", 1000), ("checkpoints/step-000000010.ckpt", 500), ("tensorboard/events", 77)):
        folder.write(name, bytes(size))
    return folder


@pytest.fixture
def told(out, training, requested, stored) -> dict[str, Any]:
    return result(out, Training.of(training), SCORER, evaluation(*requested), stored)


def check(told: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker()).validate(told)


def test_the_schema_is_one_and_describes_every_member():
    jsonschema.Draft202012Validator.check_schema(schema())
    seen: list[str] = []

    def walk(node: object, at: str) -> None:
        if not isinstance(node, dict):
            return
        for name, member in node.get("properties", {}).items():
            seen.append(f"{at}.{name}")
            described = member.get("description") or schema()["$defs"][member["$ref"].split("/")[-1]]["description"]
            assert described[-1] == ".", f"{at}.{name}"
            walk(member, f"{at}.{name}")
            walk(member.get("items"), f"{at}.{name}[]")
        if "properties" in node:
            closed = node.get("additionalProperties") is False or node.get("unevaluatedProperties") is False
            assert closed or at == "$defs.io", at
            assert set(node["required"]) >= set(node["properties"]), at

    walk(schema(), "")
    for name, member in schema()["$defs"].items():
        walk(member, f"$defs.{name}")
    assert len(seen) > 100


def without_words(node: Any) -> Any:
    """A schema without its descriptions."""
    if isinstance(node, dict):
        return {name: without_words(member) for name, member in node.items() if name != "description" or not isinstance(member, str)}
    return [without_words(member) for member in node] if isinstance(node, list) else node


def test_members_that_the_reduction_has_too_are_defined_alike():
    """Tools that read one workload's reads, times and host read the other's."""
    ours, theirs = schema(), reductions()
    shared = {"schema", "workload", "engine", "versions", "host", "started", "options", "events", "io", "time", "output"}
    assert shared == set(ours["properties"]) & set(theirs["properties"])
    for name in ("schema", "host", "started"):
        assert ours["properties"][name] == theirs["properties"][name], name
    assert ours["$defs"]["io"] == theirs["$defs"]["io"], "the words, too"
    assert without_words(ours["$defs"]["events"]) == without_words(theirs["$defs"]["events"])
    for name in ("engine", "versions", "events", "output"):
        assert without_words(ours["properties"][name]) == without_words(theirs["properties"][name]), name
    # Members of their own beside those.
    time, io = without_words(ours["properties"]["time"]), without_words(ours["properties"]["io"])
    for extended, own in ((time, "evaluate_s"), (io, "evaluation")):
        extended["properties"].pop(own)
        extended["required"].remove(own)
    assert time == without_words(theirs["properties"]["time"])
    assert io == without_words(theirs["properties"]["io"])
    assert ours["properties"]["workload"]["const"] == "trigger-classifier"


def test_it_fits_its_schema(told):
    check(told)
    check(json.loads(json.dumps(told, allow_nan=False)))
    assert (told["schema"], told["workload"], told["engine"]) == (1, "trigger-classifier", "tensorflow")
    assert told["started"] == "2026-11-30T12:00:05Z"
    assert told["versions"]["tensorflow"] == "2.21.0" and told["versions"]["storescope"] == storescope.__version__


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told.update(more=1),
        lambda told: told["io"].update(more=1),
        lambda told: told["io"].pop("evaluation"),
        lambda told: told["io"]["work"].update(more=1),
        lambda told: told["auc"].pop("ttbar"),
        lambda told: told["auc"].update(ttbar=1.5),
        lambda told: told["confusion"].pop(),
        lambda told: told["confusion"][1].append(0),
        lambda told: told["roc"]["qcd"].update(fpr=[0.0] * 201),
        lambda told: told["scores"]["counts"]["qcd"].pop("wjets"),
        lambda told: told["epochs"][0].update(epoch=0),
        lambda told: told["steps"].pop("first"),
        lambda told: told["workers"].clear(),
        lambda told: told["workers"][0].update(gpu={"name": "P100"}),
        lambda told: told["options"].update(more=1),
        lambda told: told["model"].update(name="other"),
        lambda told: told.update(started="yesterday"),
    ],
)
def test_what_does_not_fit_is_refused(told, spoil):
    spoilt = deepcopy(told)
    spoil(spoilt)
    with pytest.raises(jsonschema.ValidationError):
        check(spoilt)


def test_its_numbers_add_up(told):
    events, io, time = told["events"], told["io"], told["time"]
    assert events == {"in": 3 * 1280, "out": 3 * 1280, "cut": 0, "skipped": 0}
    for name in ("requests", "bytes_received", "bytes_asked", "bytes_wasted", "bytes_needed", "bytes_read", "wait_s"):
        assert io[name] == pytest.approx(io["plan"][name] + io["work"][name]), name
    assert (io["plan"]["requests"], io["work"]["requests"], io["evaluation"]["requests"]) == (2, 42, 42)
    assert io["bytes_needed"] == 2 * 1_200_000 and io["evaluation"]["bytes_needed"] == 60_000
    assert io["over_read"] == (40_000 + 4 * 100_000) / 2_400_000
    # Of the steps, not of the threads that read ahead.
    assert io["work"]["wait_s"] == 1.4 and io["work"]["wait_share"] == 1.4 / 7.0
    assert io["evaluation"]["wait_share"] == pytest.approx(0.6 / 2.1)
    assert time["wall_s"] == time["plan_s"] + time["run_s"] == 0.75 + 3.25
    assert (time["tasks"], time["task_wall_s"], time["task_cpu_s"], time["plan_cpu_s"]) == (2, 8.0, 10.0, 0.1)
    assert time["events_per_s"] == 3840 / 4.0 and time["events_per_cpu_s"] == 3840 / 10.0
    assert time["evaluate_s"] == 2.0
    assert told["output"] == {"files": 2, "bytes": 1500}, "model and checkpoint"
    assert np.sum(told["confusion"]) == TEST_EVENTS
    assert told["accuracy"] == np.trace(told["confusion"]) / TEST_EVENTS


def test_percentiles_are_those_of_all_requests_and_no_averages(told, requested):
    many, few = requested
    merged = few + many + few
    quantiles = (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
    assert told["io"]["first_byte_ms"] == {name: 1e3 * merged.quantile(at) for name, at in quantiles}


def test_the_first_epoch_stands_apart(told):
    assert told["events_per_s"] == {"first": 640.0, "steady": 2560.0}
    assert told["wait_share"] == {"first": 0.5, "steady": 0.1}
    assert told["steps"]["first"] == {"mean": 200.0, "p50": 160.0, "p90": 400.0, "p99": 600.0}
    assert told["steps"]["steady"]["mean"] == 50.0
    assert [epoch["epoch"] for epoch in told["epochs"]] == [1, 2, 3]
    assert told["epochs"][0]["step_ms"] == told["steps"]["first"]


def test_a_training_of_one_epoch_has_no_steady_ones(out, training, requested, stored):
    training["epochs"], training["steps"]["steady"] = training["epochs"][:1], None
    told = result(out, Training.of(training), SCORER, evaluation(*requested), stored)
    check(told)
    assert told["events_per_s"] == {"first": 640.0, "steady": None} and told["wait_share"]["steady"] is None
    assert set(told["steps"]["steady"].values()) == {None}
    assert render(told) and summary(told, [])


def test_a_training_without_validation_has_no_figures_of_test_events(out, training, requested, stored):
    for epoch in training["epochs"]:
        epoch.update(test_loss=None, test_accuracy=None)
    told = result(out, Training.of(training), SCORER, evaluation(*requested), stored)
    check(told)
    assert told["epochs"][0]["test_loss"] is told["epochs"][0]["test_accuracy"] is None
    assert render(told) and draw(told)


def test_a_resumed_training_has_no_rate_of_the_whole(out, training, requested, stored):
    training["resumed"] = {"steps": [17]}
    told = result(out, Training.of(training), SCORER, evaluation(*requested), stored)
    check(told)
    assert told["time"]["events_per_s"] is told["time"]["events_per_cpu_s"] is None
    assert told["events_per_s"]["steady"] == 2560.0


def test_local_data_make_no_requests(out, data, requested):
    none = Snapshot()
    training = Training.of(trained(data.folder.url, data.manifest.fingerprint, [none, none]))
    told = result(out, training, SCORER, evaluation(none, none), data)
    check(told)
    for io in (told["io"], told["io"]["plan"], told["io"]["work"], told["io"]["evaluation"]):
        assert all(io[name] is None for name in ("requests", "failures", "bytes_asked", "bytes_received", "over_read"))
        assert io["first_byte_ms"] == {"p50": None, "p99": None, "p999": None}
    assert told["io"]["bytes_needed"] == 1_200_000
    assert "the data are local" in render(told) and "the data are local" in summary(told, [])


def test_an_epoch_with_more_or_fewer_events_than_there_are_has_no_result(out, training, requested, stored):
    training["epochs"][1]["events"] -= 1
    with pytest.raises(WorkloadError, match="1,280 training events, and epochs used 1,280, 1,279, 1,280"):
        result(out, Training.of(training), SCORER, evaluation(*requested), stored)


def test_the_data_are_described(told, data):
    assert told["data"] == {
        "url": "oci://lake@ns/shards",
        "fingerprint": data.manifest.fingerprint,
        "format": "parquet",
        "max_particles": 0,
        "shards": {"train": 2, "test": 2},
        "train": {"qcd": 426, "ttbar": 428, "wjets": 426},
        "test": {"qcd": 426, "ttbar": 428, "wjets": 426},
    }
    assert told["model"] == {
        "name": "hlf", "params": 2013, "particles": 0, "source": "model.keras", "epochs": 2, "stopped_early": True,
    }
    assert told["options"]["workers"] == 2 and told["options"]["seed"] == 7 and "out" not in told["options"]


def test_a_gpu_is_told(out, training, requested, stored):
    gpu = {"name": "P100", "devices": 2, "utilisation_mean": 0.25, "utilisation_max": 0.75, "memory_peak_bytes": 3 * 10**9}
    training["workers"][1]["gpu"] = gpu
    told = result(out, Training.of(training), SCORER, evaluation(*requested), stored)
    check(told)
    assert [worker["gpu"] for worker in told["workers"]] == [None, gpu]
    assert "2 × P100" in render(told) and "25%" in render(told)


def test_the_tables_hold_what_was_found(told):
    text = render(told)
    for name in CLASSES:
        assert f"{told['auc'][name]:.4f}" in text and f"{told['auc'][name]:.4f}" in summary(told, [])
    assert "2,013 parameters" in text and "50.0% and 10.0%" in text and "640 and 2,560 events/s" in text
    assert "areas are known" not in text
    assert "areas are known to 3e-06" in render({**told, "auc_error": 3e-6})
    steps = summary(told, [("generate", 1000, 2.0), ("ingest", 500, None), ("train", None, 0.5)])
    assert [line.split() for line in steps.splitlines()[1:4]] == [
        ["generate", "1,000", "2", "s", "500"],
        ["ingest", "500", "complete", "before", "-"],
        ["train", "-", "500", "ms", "-"],
    ]
    assert "requests of the training: 44" in steps


def test_the_files_of_a_folder_are_all_there_when_the_result_is(out, training, requested, stored, monkeypatch):
    opened = Folder.open
    names: list[str] = []

    def note(self: Folder, name: str) -> Any:
        names.append(name)
        return opened(self, name)

    monkeypatch.setattr(Folder, "open", note)
    told = write(out, Training.of(training), SCORER, evaluation(*requested), stored)
    assert names == ["run.hlog", "roc.png", "confusion.png", "scores.png", "training.png", "result.json"]
    assert json.loads(out.read("result.json")) == told
    for name in names[1:5]:
        image = out.read(name)
        assert image.startswith(b"\x89PNG") and len(image) > 10_000
    merged = Snapshot(out.read("run.hlog").decode())
    assert merged.requests == snapshot(Training.of(training), evaluation(*requested)).requests == 2 + 42 + 42


def test_without_its_pictures_there_is_no_result(out, training, requested, stored, monkeypatch):
    def fail(told: Any) -> Any:
        raise OSError("no space left")

    monkeypatch.setitem(plots.PICTURES, "training.png", fail)
    with pytest.raises(OSError, match="no space"):
        write(out, Training.of(training), SCORER, evaluation(*requested), stored)
    assert not out.exists("result.json")


def texts(figure: Any) -> str:
    import matplotlib.text

    FigureCanvasAgg(figure).draw()
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def draw(told: dict[str, Any]) -> dict[str, str]:
    """The words of each picture."""
    return {name: texts(of(told)) for name, of in plots.PICTURES.items()}


def test_the_pictures_name_their_axes_and_their_figures(told):
    words = draw(told)
    for name in CLASSES:
        assert f"{plots.NAMES[name]}  (AUC {told['auc'][name]:.4f})" in words["roc.png"]
        assert f"score of {plots.NAMES[name]}" in words["scores.png"]
    for name, labels in {
        "roc.png": ["false positive rate", "true positive rate", "chance"],
        "confusion.png": ["predicted class", "true class", f"accuracy {told['accuracy']:.4f} of 300 test events"],
        "scores.png": ["events, normalised", "true QCD", "true tt̄", "true W + jets"],
        "training.png": ["epoch", "loss (cross-entropy)", "accuracy", "time of a step [ms]", "waiting for data"],
    }.items():
        assert all(label in words[name] for label in labels), name
    for name in ("roc.png", "scores.png", "training.png"):
        assert "hlf (2,013 parameters), 300 test events" in words[name]
    for row in told["confusion"]:
        for count in row:
            assert f"{count / 100:.1%}" in words["confusion.png"]


def test_the_pictures_are_drawn_of_a_perfect_model_and_of_one_epoch(told):
    perfect = Curves()
    label = np.arange(300) % 3
    perfect.add(label, np.eye(3, dtype=np.float32)[label])
    told.update(perfect.to_json())
    told["epochs"] = told["epochs"][:1]
    check(told)
    assert "AUC 1.0000" in draw(told)["roc.png"]


def test_a_folder_without_a_training_is_named(out):
    with pytest.raises(WorkloadError, match="holds no finished training.*train.json is missing"):
        Training.read(out)
    out.write("train.json", b'{"schema": 99}')
    with pytest.raises(WorkloadError, match="another version"):
        Training.read(out)
