# SPDX-License-Identifier: Apache-2.0
"""The chart's dashboards and rules are those that the source makes; Grafana's own types hold all that is in them; the documents
name what is there."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

import alerts
import build

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAMES = [board.name for board in build.dashboards()]
#: What the types of the SDK (11.6) lack, and Grafana's own exports have: data sources by the name of a variable, the text of a
#: variable's query, and what an annotation of Prometheus shows.
UNTYPED = re.compile(
    r"\.datasource\.|\.list\[\d+\]\.definition$|^\.annotations\.list\[\d+\]\.(titleFormat|textFormat|step)$"
)


@pytest.fixture(scope="module", autouse=True)
def plugins():
    register_default_plugins()


def made(name: str) -> dict:
    return json.loads((build.CHART / f"dashboards/{name}.json").read_text())


def test_files_are_up_to_date():
    assert build.stale() == []


def leaves(value, path: str = ""):
    """Every value that is no list and no object, by its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{at}]")
    else:
        yield path, value


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_types_hold_all_of_it(name):
    """What a type does not know is lost on the way through it."""
    told = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(made(name))))
    kept = dict(leaves(told))
    lost = {
        path: value for path, value in leaves(made(name)) if kept.get(path) != value and not UNTYPED.search(path)
    }  # fmt: skip
    assert lost == {}


def test_a_member_that_grafana_does_not_know_is_found():
    broken = made("storage")
    broken["panels"][1]["gridPos"]["width"] = 4
    told = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(broken)))
    assert "width" not in told["panels"][1]["gridPos"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_lie_in_the_grid_and_say_what_they_show(name):
    board = made(name)
    assert board["uid"] == f"storescope-{name}"
    panels = board["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24 and at["w"] > 0 and at["h"] > 0
        assert panel["type"] == "row" or len(panel["description"]) > 5, panel["title"]
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    text = (DOCS / "DASHBOARDS.md").read_text()
    for title in titles:
        assert title in text, f"docs/DASHBOARDS.md does not name the panel {title}"


def test_every_alert_has_a_runbook():
    headings = re.findall(r"^### (Storescope\w+)$", (DOCS / "ALERTS.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(alert.name for alert in alerts.alerts())
    for alert in alerts.alerts():
        assert alert.to_json()["annotations"]["runbook_url"].endswith(f"docs/ALERTS.md#{alert.name.lower()}")
