# SPDX-License-Identifier: Apache-2.0
"""What the trained model must be worth, from generated events to its result; and a second opinion of the events.

All steps are done once, as ``trainer run`` does them, on two processes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.curves import Curves
from storescope_workloads.trainer.evaluate_command import evaluate_folder
from storescope_workloads.trainer.features import CLASSES
from storescope_workloads.trainer.plan import Plan
from storescope_workloads.trainer.result import schema
from storescope_workloads.trainer.run import Options, Run
from storescope_workloads.trainer.shards import SPLITS, Shard, read_manifest, write_manifest
from storescope_workloads.trainer.train_command import train_with

#: The first test does all steps.
pytestmark = pytest.mark.timeout(600)
LOCAL = StoreSettings()
EPOCHS = 12
OPTIONS = Options(model="hlf", events=9_000, seed=1, epochs=EPOCHS)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Folder:
    """The folder of a run of all steps."""
    out = Folder(str(tmp_path_factory.mktemp("run")), LOCAL)
    Run(OPTIONS, out, out, processes=2).run()
    return out


@pytest.fixture(scope="module")
def result(made) -> dict[str, Any]:
    return json.loads((made / "model").read("result.json"))


def features(made: Folder, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Event features and labels of a split, as the shards hold them."""
    shards = made / "shards"
    tables = [pq.read_table(io.BytesIO(shards.read(f"{shard.name}.parquet"))) for shard in read_manifest(shards).split(split)]
    table = pa.concat_tables(tables).combine_chunks()
    hlf = table["hlf"].chunk(0).flatten().to_numpy().reshape(-1, 14)
    return hlf, table["label"].to_numpy()


def test_event_features_tell_each_class_within_twelve_epochs(result):
    assert len(result["epochs"]) <= EPOCHS
    for name in CLASSES:
        assert result["auc"][name] >= 0.97, result["auc"]
    jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker()).validate(result)
    assert sum(map(sum, result["confusion"])) == sum(result["data"]["test"].values())
    counts = set(result["data"]["test"].values())
    assert max(counts) - min(counts) <= 1, "the classes are balanced"


def test_trees_have_the_same_opinion_of_the_events(made, result):
    """Another kind of model, by others, on the same features: the events are what separates the classes, not our training."""
    (hlf, label), (test, truth) = features(made, "train"), features(made, "test")
    # One thread: those of OpenMP spin while they wait for each other.
    with threadpool_limits(1):
        trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=1, early_stopping=False)
        scores = trees.fit(hlf, label).predict_proba(test)
    for at, name in enumerate(CLASSES):
        area = roc_auc_score(truth == at, scores[:, at])
        assert area >= 0.97, (name, area)
        assert abs(area - result["auc"][name]) <= 0.02, (name, area, result["auc"])


def shuffle_labels(source: Folder, target: Folder) -> None:
    """Copies prepared data, with the labels of each shard shuffled."""
    manifest, random = read_manifest(source), np.random.default_rng(1)
    shards: dict[str, list[Shard]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for shard in manifest.split(split):
            table = pq.read_table(io.BytesIO(source.read(f"{shard.name}.parquet")))
            at = table.schema.get_field_index("label")
            table = table.set_column(at, table.schema.field(at), pa.array(random.permutation(table["label"].to_numpy())))
            with target.open(f"{shard.name}.parquet") as file:
                pq.write_table(table, file, compression="zstd")
            shards[split].append(replace(shard, sizes={"parquet": target.sizes()[f"{shard.name}.parquet"]}))
    write_manifest(target, replace(manifest, train=tuple(shards["train"]), test=tuple(shards["test"])))


def test_shuffled_labels_teach_nothing(made, tmp_path):
    """The same events with shuffled labels, of training and test: what a model knows of the latter came by a leak.

    Test events would keep their labels in vain. A model of shuffled labels is a random function of the features, and the classes
    lie apart in them: their areas are anywhere between 0 and 1, as those of any one feature are."""
    shuffled, model = Folder(str(tmp_path / "shards"), LOCAL), Folder(str(tmp_path / "model"), LOCAL)
    shuffle_labels(made / "shards", shuffled)
    train_with(Plan(data=shuffled.url, out=model.url, epochs=EPOCHS, rates=OPTIONS.rates), 1)
    areas = evaluate_folder(model)["auc"]
    for name in CLASSES:
        assert abs(areas[name] - 0.5) <= 0.08, areas


def test_areas_of_the_models_own_scores_are_those_of_scikit_learn(made, result):
    from storescope_workloads.trainer.evaluate import load
    from storescope_workloads.trainer.result import Training

    out = made / "model"
    scorer = load(out, Training.read(out).told)
    test, truth = features(made, "test")
    batch: Any = type("Given", (), {"hlf": test, "label": truth})
    scores = scorer.scores(batch)
    curves = Curves()
    curves.add(truth, scores)
    for at, name in enumerate(CLASSES):
        area = roc_auc_score(truth == at, scores[:, at])
        assert abs(curves.of(name).auc() - area) <= 1e-12
        assert abs(result["auc"][name] - area) <= 1e-6, "the loader's batches are the same events"
