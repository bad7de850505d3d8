#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How often `storescope compare` is right: runs of one model, and of one whose first bytes take 1.1 times as long.

    STORESCOPE_BIN=…/storescope python3 benches/instrument/compare.py
    STORESCOPE_BIN=…/storescope python3 benches/instrument/compare.py --tries 5 --duration 5s

Each try measures the emulator three times (the model, the model again, the slower model; each with draws of its own) and
compares the first with both others. Ends with 1 where fewer than 19 of 20 were told the same, or slower. On a machine that
does other work as well, two runs of one model are different runs: use a quiet one. 20 tries of 10 s take about 11 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

# That of the profile s3-standard, without its tail and its stream: a first byte is most of a response, so that 1.1 times the one is about
# 1.1 times the other.
MODEL = """\
name = "{name}"
[ttfb]
shift = "{shift:.3f}ms"
median = "{median:.3f}ms"
sigma = 0.75
"""


def model(folder: Path, name: str, slowness: float) -> Path:
    file = folder / f"{name}.toml"
    file.write_text(MODEL.format(name=name, shift=8 * slowness, median=19 * slowness))
    return file


def measured(options: argparse.Namespace, model: Path, out: Path, seed: int) -> Path:
    command: list[str | Path] = [options.binary, "bench", "--emulator", model, "--size", "4KiB", "--object-size", "1MiB"]
    command += ["--concurrency", str(options.concurrency), "--duration", options.duration]
    command += ["--seed", str(seed), "--out", out]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {ended.returncode}: {ended.stderr}")
    return out


def compared(options: argparse.Namespace, a: Path, b: Path) -> dict[str, Any]:
    command = [options.binary, "compare", a, b, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):
        sys.exit(f"{' '.join(map(str, command))} ended with {ended.returncode}: {ended.stderr}")
    told: dict[str, Any] = json.loads(ended.stdout)
    if (ended.returncode == 1) != (told["verdict"] == "slower"):
        sys.exit(f"the exit code {ended.returncode} is not that of {told['verdict']}")
    return told


def shown(told: dict[str, Any]) -> str:
    figures = [figure for cell in told["cells"] for figure in cell["figures"] if figure["verdict"]]
    parts = []
    for figure in figures:
        change = figure["change"]
        percent = f" {change['percent']:+.1f} %" if change else ""
        parts.append(f"{figure['name']}{percent} {figure['verdict']}")
    return f"{told['verdict']}: {', '.join(parts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--duration", default="10s")
    parser.add_argument("--concurrency", type=int, default=16)
    options = parser.parse_args()
    options.binary = os.environ.get("STORESCOPE_BIN") or sys.exit("STORESCOPE_BIN names no storescope")
    same, slower = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = model(folder, "plain", 1.0)
        slow = model(folder, "slow", 1.1)
        for number in range(options.tries):
            seed = 1 + 3 * number
            # The slower one stands in the middle each second time: what drifts falls on both alike.
            order = [("b", plain, seed + 1), ("c", slow, seed + 2)]
            runs = {"a": measured(options, plain, folder / f"a{number}", seed)}
            for which, what, draws in order if number % 2 else reversed(order):
                runs[which] = measured(options, what, folder / f"{which}{number}", draws)
            for tally, which in ((same, "b"), (slower, "c")):
                told = compared(options, runs["a"], runs[which])
                tally[told["verdict"]] += 1
                print(f"{number + 1:2} {'one model ' if which == 'b' else '1.1 times '} {shown(told)}", flush=True)
    least = 0.95 * options.tries
    print(f"\none model: {dict(same)}\n1.1 times as slow: {dict(slower)}")
    if same["same"] < least or slower["slower"] < least:
        sys.exit(f"fewer than {least:g} of {options.tries} were right")


if __name__ == "__main__":
    main()
