# SPDX-License-Identifier: Apache-2.0
"""What docs/KUBERNETES.md and docs/OKE.md say of values: each is there, and what they show renders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import charts
from charts import CHART, render

DOCS = Path(__file__).resolve().parents[3] / "docs"
TEXTS = {name: (DOCS / f"{name}.md").read_text() for name in ("KUBERNETES", "OKE")}
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
GROUPS = tuple(VALUES)


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def has(path):
    place = VALUES
    for name in path.split("."):
        # A free map: its members are the user's.
        if place == {}:
            return True
        if not isinstance(place, dict) or name not in place:
            return False
        place = place[name]
    return True


@pytest.mark.parametrize("name", TEXTS)
def test_values_that_are_named_are_there(name):
    named = {found for found in re.findall(r"`([a-z]\w*(?:\.\w+)+)", TEXTS[name]) if found.startswith(tuple(f"{group}." for group in GROUPS))}
    for option in re.findall(r"--set(?:-string)? (\S+)", TEXTS[name]):
        named |= {part.split("=")[0] for part in option.split(",")}
    assert len(named) > 3
    assert [path for path in sorted(named) if not has(path)] == []


@pytest.mark.parametrize("name", TEXTS)
def test_values_that_are_shown_render(name, tmp_path):
    shown = blocks(TEXTS[name], "yaml")
    assert shown
    for number, text in enumerate(shown):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text.replace("NAMESPACE", "my-namespace"))
        region = () if "region" in text else ("--set", "store.region=us-ashburn-1")
        assert list(charts.pods(charts.parse(charts.template(path, *region))))


def test_the_first_command_renders():
    (command,) = [text for text in blocks(TEXTS["KUBERNETES"], "sh") if "helm install" in text]
    options = re.findall(r"--set (\S+)", command.replace("\\\n", ""))
    values = {}
    for part in ",".join(options).split(","):
        path, value = part.split("=")
        values[path] = yaml.safe_load(value)
    kinds = {one["kind"] for one in render(values)}
    assert {"Deployment", "Job", "NetworkPolicy"} <= kinds


def test_accounts_that_are_named_are_made():
    objects = render(CHART / "ci/oke-values.yaml")
    made = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
    assert {f"demo-storescope-{name}" for name in ("bench", "trainer", "spark-driver", "spark-executor")} <= made
    for name in ("bench", "trainer", "spark-driver", "spark-executor"):
        assert f"-{name}`" in TEXTS["OKE"]


def test_words_of_the_programs_are_theirs():
    """Messages that the table of failures quotes stand in the chart's scripts and templates."""
    sources = "".join(path.read_text() for path in CHART.rglob("*") if path.is_file() and path.suffix in (".sh", ".tpl"))
    for words in ("Results are not replaced", "a worker has no node, or its image cannot be pulled", "which needs store.region"):
        assert words in TEXTS["KUBERNETES"] and words in sources, words
