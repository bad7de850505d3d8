# SPDX-License-Identifier: Apache-2.0
"""Writes dashboards and rules into the chart: `python deploy/dashboards/build.py`. With `--check` it writes nothing, and fails
where a file is not what it would write."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

import alerts
import spark
import storage
import trainer
from grafana import Dashboard

CHART = Path(__file__).resolve().parents[1] / "helm/storescope"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/DASHBOARDS.md"
_BEGIN, _END = "<!-- panels: made by deploy/dashboards/build.py -->\n", "<!-- end of panels -->\n"
_MADE = "# SPDX-License-Identifier: Apache-2.0\n# Made by deploy/dashboards/build.py.\n"


def dashboards() -> list[Dashboard]:
    """All dashboards."""
    return [storage.dashboard(), spark.dashboard(), trainer.dashboard()]


def files() -> dict[Path, str]:
    """What is written, by its path."""
    made = {
        CHART / f"dashboards/{board.name}.json": json.dumps(board.to_json(), indent=1, ensure_ascii=False) + "\n"
        for board in dashboards()
    }
    for name, rules in alerts.files().items():
        made[CHART / f"rules/{name}"] = _MADE + yaml.safe_dump(rules, sort_keys=False, width=1 << 20, allow_unicode=True)
    before, rest = DOCUMENT.read_text().split(_BEGIN)
    made[DOCUMENT] = before + _BEGIN + tables() + _END + rest.split(_END)[1]
    return made


def tables() -> str:
    """The panels of each dashboard, for docs/DASHBOARDS.md."""
    text = ""
    for board in dashboards():
        text += f"\n### {board.title}\n\n{board.help}\n"
        for row, panels in board.rows.items():
            text += f"\n**{row}**\n\n| panel | what it shows |\n|---|---|\n"
            text += "".join(f"| {panel.title} | {panel.help} |\n" for panel in panels)
    return text + "\n"


def stale() -> list[str]:
    """Files that are not what the source makes, and files that no source makes."""
    made = files()
    there = {path for folder in ("dashboards", "rules") for path in (CHART / folder).glob("*") if path.is_file()}
    wrong = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    return sorted(path.name for path in {*wrong, *(there - made.keys())})


def main() -> int:
    """Writes, or checks."""
    if "--check" in sys.argv[1:]:
        found = stale()
        for path in found:
            print(f"{path} is not what deploy/dashboards/build.py makes: run it")
        return 1 if found else 0
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
