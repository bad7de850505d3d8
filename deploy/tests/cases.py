# SPDX-License-Identifier: Apache-2.0
"""The queries of the dashboards as they are in the chart, and those of the rules; and the table of their values in the docs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import alerts
import build
from judges import Sample

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/DASHBOARDS.md"
_MARKS = ("<!-- values of {} -->\n", "<!-- end of values of {} -->\n")


@dataclass(frozen=True)
class Case:
    """A query, and where it stands."""

    where: str
    what: str
    query: str
    unit: str = "short"

    @property
    def name(self) -> str:
        """Of the test."""
        return re.sub(r"[^\w.]+", "-", f"{self.where}-{self.what}").strip("-")


def of_dashboard(name: str) -> list[Case]:
    """Panels, variables and annotations of a dashboard's file."""
    told = json.loads((build.CHART / f"dashboards/{name}.json").read_text())
    return [*_panels(told), *_variables(told), *_annotations(told)]


def _panels(told: dict) -> Iterator[Case]:
    for panel in told["panels"]:
        # The values of a heat map's buckets are rates; its unit is that of the axis.
        is_heatmap = panel["type"] == "heatmap"
        unit = "reqps" if is_heatmap else panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "short")
        for target in panel.get("targets", []):
            legend = target["legendFormat"]
            what = panel["title"] if len(panel["targets"]) == 1 else f"{panel['title']}: {legend}"
            yield Case(told["title"], what, target["expr"], unit)


def _variables(told: dict) -> Iterator[Case]:
    for variable in told["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
            yield Case(told["title"], f"choice of {variable['label']}", f"count by ({label}) ({metric})")


def _annotations(told: dict) -> Iterator[Case]:
    for annotation in told["annotations"]["list"]:
        yield Case(told["title"], f"annotation {annotation['name']}", annotation["expr"])


def of_rules(kinds: str) -> list[Case]:
    """Recording rules, and what alerts look at whose names match."""
    recorded = [Case("rules", record.name, record.expr) for record in alerts.records()]
    return recorded + [Case("alerts", alert.name, alert.value) for alert in alerts.alerts() if re.search(kinds, alert.name)]


@dataclass
class Values:
    """What queries answered in a run, for the table in docs/DASHBOARDS.md. STORESCOPE_BLESS=1 writes it."""

    run: str
    rows: list[str] = field(default_factory=list)

    def add(self, case: Case, samples: list[Sample], seconds: float) -> None:
        """Notes an answer: the largest of its series."""
        largest = max(samples, key=lambda sample: sample.value)
        kind = " (histogram)" if largest.is_histogram else ""
        self.rows.append(
            f"| {case.where} | {case.what} | {len(samples)} | {shown(largest.value, case.unit)}{kind} | {1e3 * seconds:.1f} ms |"
        )

    def write(self) -> None:
        """Puts the table in its place."""
        if os.environ.get("STORESCOPE_BLESS") != "1":
            return
        begin, end = (mark.format(self.run) for mark in _MARKS)
        before, rest = DOCUMENT.read_text().split(begin)
        _, after = rest.split(end)
        head = "| where | query | series | the largest | answered in |\n|---|---|---|---|---|\n"
        DOCUMENT.write_text(before + begin + head + "\n".join(self.rows) + "\n" + end + after)


def shown(value: float, unit: str) -> str:
    """A value with its unit."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if unit in ("bytes", "Bps") and value >= size:
            return f"{value / size:.3g} {name}B{'/s' if unit == 'Bps' else ''}"
    tail = {"bytes": " B", "Bps": " B/s", "reqps": "/s", "ops": "/s"}.get(unit, "")
    return f"{value:.4g}{tail}"
