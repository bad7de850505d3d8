# SPDX-License-Identifier: Apache-2.0
"""Grafana's dashboard JSON, as far as these dashboards use it: panels in rows, variables, annotations. No I/O.

The form is that of Grafana 10.4 and newer (schema 39). deploy/tests compares it with the types of Grafana's own SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

#: Columns of Grafana's grid, and rows of a panel.
COLUMNS, HEIGHT = 24, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}


@dataclass(frozen=True)
class Query:
    """A query of a panel.

    Attributes:
        expr: PromQL.
        legend: Grafana's template of a series' name.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel of lines. The others inherit from it.

    Attributes:
        title, help: What it shows; what to read from it.
        queries: One or several; an expression alone is a query without a legend.
        unit: Grafana's name of it.
        width: Of :data:`COLUMNS`.
        most: The end of the axis; open without it.
        stacked: Lines are areas that add up.
    """

    title: str
    help: str
    queries: Sequence[Query]
    unit: str = "short"
    width: int = 8
    most: float | None = None
    stacked: bool = False

    kind = "timeseries"
    instant = False
    format = "time_series"
    height = HEIGHT

    def options(self) -> dict[str, Any]:
        """Those of the kind of panel."""
        return {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}

    def custom(self) -> dict[str, Any]:
        """How fields are drawn."""
        return {
            "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 40 if self.stacked else 8,
            "showPoints": "never", "spanNulls": False, "axisPlacement": "auto",
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
        }

    def to_json(self, number: int, at: tuple[int, int]) -> dict[str, Any]:
        """As Grafana has it, at column and row of its grid."""
        defaults: dict[str, Any] = {"unit": self.unit, "min": 0, "color": {"mode": "palette-classic"}, "custom": self.custom()}
        if self.most is not None:
            defaults["max"] = self.most
        return {
            "id": number, "type": self.kind, "title": self.title, "description": self.help, "datasource": _SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": at[0], "y": at[1]},
            "targets": [self._target(chr(ord("A") + at), query) for at, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": self.options(),
        }

    def _target(self, name: str, query: Query) -> dict[str, Any]:
        return {
            "refId": name, "datasource": _SOURCE, "expr": query.expr, "legendFormat": query.legend or "__auto", "editorMode": "code",
            "format": self.format, "instant": self.instant, "range": not self.instant,
        }


@dataclass(frozen=True)
class Heatmap(Panel):
    """Histograms over time: one query, of a native histogram or of classic buckets."""

    kind = "heatmap"
    format = "heatmap"

    def options(self) -> dict[str, Any]:
        """Buckets are drawn as they are."""
        return {
            "calculate": False, "cellGap": 0, "showValue": "never", "legend": {"show": True}, "filterValues": {"le": 1e-9},
            "yAxis": {"unit": self.unit, "axisPlacement": "left", "reverse": False},
            "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "fill": "dark-orange",
                      "steps": 64, "reverse": False},
            "tooltip": {"mode": "single", "yHistogram": True},
            "rowsFrame": {"layout": "auto"}, "exemplars": {"color": "rgba(255,0,255,0.7)"},
        }

    def custom(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {"scaleDistribution": {"type": "linear"}}


@dataclass(frozen=True)
class Stat(Panel):
    """One number."""

    width: int = 4
    height = 4
    kind = "stat"

    def options(self) -> dict[str, Any]:
        """The last value."""
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "orientation": "auto", "textMode": "auto",
            "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
        }

    def custom(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {}


@dataclass(frozen=True)
class Bars(Panel):
    """A bar for each series, as it is now."""

    kind = "bargauge"
    instant = True

    def options(self) -> dict[str, Any]:
        """The longest bar is that of the largest value."""
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "orientation": "horizontal",
            "displayMode": "basic", "valueMode": "color", "showUnfilled": True, "minVizWidth": 8, "minVizHeight": 16,
        }

    def custom(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {}


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard: the values of a label of a metric."""

    name: str
    title: str
    metric: str
    label: str

    def to_json(self) -> dict[str, Any]:
        """As Grafana has it. All is chosen at first."""
        query = f"label_values({self.metric}, {self.label})"
        return {
            "type": "query", "name": self.name, "label": self.title, "datasource": _SOURCE, "definition": query,
            "query": {"query": query, "refId": self.name}, "refresh": 2, "sort": 1, "regex": "", "hide": 0, "skipUrlSync": False,
            "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "options": [],
        }


@dataclass(frozen=True)
class Annotation:
    """Spans of time in which a query has a value other than 0."""

    name: str
    expr: str
    title: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """As Grafana has it."""
        return {
            "name": self.name, "datasource": _SOURCE, "enable": True, "hide": False, "iconColor": "blue", "expr": self.expr,
            "titleFormat": self.title, "textFormat": self.text, "step": "1s",
        }


@dataclass(frozen=True)
class Dashboard:
    """Rows of panels.

    Attributes:
        name: Of the file, and the last part of the uid.
        rows: Panels by the title of their row.
    """

    name: str
    title: str
    help: str
    rows: dict[str, Sequence[Panel]]
    variables: Sequence[Variable] = ()
    annotations: Sequence[Annotation] = field(default_factory=tuple)

    def panels(self) -> list[Panel]:
        """Of all rows."""
        return [panel for panels in self.rows.values() for panel in panels]

    def to_json(self) -> dict[str, Any]:
        """As Grafana has it."""
        chosen = {
            "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1, "regex": "",
            "hide": 0, "skipUrlSync": False, "multi": False, "includeAll": False, "current": {}, "options": [],
        }
        return {
            "uid": f"storescope-{self.name}", "title": self.title, "description": self.help, "tags": ["storescope"],
            "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "browser", "refresh": "10s",
            "time": {"from": "now-30m", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0,
            "templating": {"list": [chosen, *(variable.to_json() for variable in self.variables)]},
            "annotations": {"list": [annotation.to_json() for annotation in self.annotations]},
            "links": [{
                "type": "dashboards", "title": "storescope", "tags": ["storescope"], "asDropdown": True, "icon": "external link",
                "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": "",
            }],
            "panels": self._laid_out(),
        }

    def _laid_out(self) -> list[dict[str, Any]]:
        """Rows one below another; in a row, panels from left to right."""
        told: list[dict[str, Any]] = []
        y = 0
        for title, panels in self.rows.items():
            told.append({
                "id": len(told) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
            })
            y, x, height = y + 1, 0, 0
            for panel in panels:
                if x + panel.width > COLUMNS:
                    y, x, height = y + height, 0, 0
                told.append(panel.to_json(len(told) + 1, (x, y)))
                x, height = x + panel.width, max(height, panel.height)
            y += height
        return told
