# SPDX-License-Identifier: Apache-2.0
"""What the plugin has told of an application."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path


class Told:
    """The report that an application has left."""

    def __init__(self, folder: Path, application: str):
        self.folder = folder / application
        self.run = json.loads((self.folder / "run.json").read_text())
        assert (self.folder / "run.hlog").stat().st_size > 0
        page = (self.folder / "report.html").read_text()
        assert "<h2>Stages" in page and len(page) < 300_000

    @property
    def stages(self) -> list[dict]:
        return [cell for cell in self.run["cells"] if cell["setup"]["name"].startswith("stage ")]

    def cell(self, name: str) -> dict:
        (found,) = [cell for cell in self.run["cells"] if cell["setup"]["name"] == name]
        return found

    def sums(self, cells: Iterable[dict] | None = None) -> tuple[int, int]:
        """Requests, and bytes that were read."""
        cells = list(self.run["cells"] if cells is None else cells)
        return sum(cell["requests"] for cell in cells), sum(cell["bytes"] for cell in cells)
