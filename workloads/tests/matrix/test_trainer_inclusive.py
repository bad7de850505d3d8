# SPDX-License-Identifier: Apache-2.0
"""Particles tell more than event features: the inclusive model knows tt̄ better than the one of event features, on the same events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storescope_workloads.places import Folder
from storescope_workloads.settings import StoreSettings
from storescope_workloads.trainer.evaluate_command import evaluate_folder
from storescope_workloads.trainer.plan import Plan
from storescope_workloads.trainer.run import Options, Run
from storescope_workloads.trainer.train_command import train_with

LOCAL = StoreSettings()
OPTIONS = Options(model="inclusive", events=8_000, seed=1, particles=100, epochs=8, rates="0:0.003,5:0.001,7:0.0003")


@pytest.mark.timeout(1800)
def test_the_inclusive_model_knows_ttbar_better_than_event_features_do(tmp_path):
    out = Folder(str(tmp_path), LOCAL)
    inclusive = Run(OPTIONS, out, out, processes=2).run()
    hlf = Folder(str(tmp_path / "hlf"), LOCAL)
    plan = Plan(data=(out / "shards").url, out=hlf.url, model="hlf", epochs=12, seed=1, rates="0:0.002,8:0.0005")
    train_with(plan, 1)
    event_features = evaluate_folder(hlf)
    assert inclusive["data"] == event_features["data"], "the same events"
    areas: dict[str, Any] = {"inclusive": inclusive["auc"], "hlf": event_features["auc"]}
    print(json.dumps(areas))
    assert inclusive["model"]["params"] == 12_353 and event_features["model"]["params"] == 2_013
    assert inclusive["auc"]["ttbar"] > event_features["auc"]["ttbar"], areas
    assert event_features["auc"]["ttbar"] >= 0.97, areas
