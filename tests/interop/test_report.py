# SPDX-License-Identifier: Apache-2.0
"""The pages that `storescope report` makes, in headless Chromium: nothing is loaded or complained of, nothing is wider than
the screen, in either theme; all charts are there, and text stands out from its background."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import browser
import runs
import serving

MOST_BYTES = 300_000
WIDTHS = [390, 1280]
THEMES = ["light", "dark"]

#: By run: headings that its page has, and how many charts.
PAGES = {
    "one": (["Latency, ms", "Percentiles", "Latency over time", "Throughput, concurrency and failures", "What makes the p50, what makes the p99", "Environment"], 5),
    "two": (["Percentiles", "Latency over time", "Environment"], 9),
    "sweep": (["Size and load", "Percentiles", "Latency over time"], 8),
    "stall": (["Percentiles", "Latency over time"], 5),
    "failing": (["Throughput, concurrency and failures"], 7),
    "sample": (["Latency, ms", "Environment"], 5),
    "empty": (["Environment"], 0),
    "job": (["Stages", "Latency, ms", "Percentiles", "Environment"], 2),
    "stage": (["Stages", "Latency, ms", "Percentiles"], 1),
    "idle": (["Stages"], 0),
    "stages": (["Stages", "Latency, ms", "Percentiles"], 2),
    "hostile": (["Stages"], 2),
}  # fmt: skip

#: Visible text whose contrast with what is behind it is below 4.5.
FAINT = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return parts(colour);
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll("h1,h2,h3,p,li,td,th,dt,dd,small,figcaption,span,svg text")) {
    if (!node.textContent.trim()) continue;
    const style = getComputedStyle(node);
    const pair = [light(parts(node.tagName === "text" ? style.fill : style.color)), light(behind(node))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < 4.5) faint.push(`${node.tagName} ${contrast.toFixed(2)} ${node.textContent.slice(0, 40)}`);
  }
  return faint;
})()"""

#: What sticks out of the page or lies over another text of its chart.
OVERLAPS = """[...document.querySelectorAll(".chart > svg")].flatMap((svg) => {
  const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
  const wide = document.documentElement.clientWidth;
  const out = texts.filter(([, box]) => box.left < 0 || box.right > wide).map(([text]) => `outside: ${text}`);
  texts.forEach(([one, a], at) => texts.slice(at + 1).forEach(([other, b]) => {
    const x = Math.min(a.right, b.right) - Math.max(a.left, b.left), y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (x > 1 && y > 3) out.push(`${one} over ${other}`);
  }));
  return out;
})"""


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, list[Path]]:
    """The folders that each page is made of."""
    at = tmp_path_factory.mktemp("runs")
    one_sample = runs.Cell(1, points=1)
    one_sample.call(0.1, 27 * runs.MS, runs.MS)
    hostile = {"url": f"oci://demo@ns/{runs.HOSTILE}", "notes": [runs.HOSTILE], "command": ["storescope", runs.HOSTILE]}
    one = runs.write(at / "one", [runs.closed(1)])
    job = {"url": "reduce.py (app-20261130-0001)", "command": [], "processes": 5}
    return {
        "one": [one],
        "two": [one, runs.write(at / "slower", [runs.closed(2, slower=1.15)])],
        "sweep": [runs.write(at / "sweep", runs.sweep(3, [4096, 65_536, 1 << 20, 8 << 20], [1, 4, 16, 64]))],
        "stall": [runs.write(at / "stall", [runs.stalled(4)])],
        "failing": [runs.write(at / "failing", [runs.failing(5)], **hostile)],
        "sample": [runs.write(at / "sample", [one_sample])],
        "empty": [runs.write(at / "empty", [])],
        "job": [runs.write(at / "job", [runs.stage(number) for number in range(3)], **job)],
        "stage": [runs.write(at / "stage", [runs.stage(0)], **job)],
        "idle": [runs.write(at / "idle", [runs.stage(1)], **job)],
        "stages": [runs.write(at / "stages", [runs.stage(number) for number in range(60)], **job)],
        "hostile": [runs.write(at / "hostile", [runs.stage(number, name=f"{runs.HOSTILE}{number}\x1b" * 9) for number in (0, 2)], **job)],
    }


@pytest.fixture(scope="session")
def pages(folders, tmp_path_factory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("pages")
    for name, folder in folders.items():
        report(*folder, "--out", at / f"{name}.html")
    return {name: at / f"{name}.html" for name in folders}


@pytest.fixture(scope="session")
def chromium():
    with browser.chromium() as page:
        yield page


def report(*arguments, code: int = 0) -> subprocess.CompletedProcess:
    command = [serving.binary(), "report", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done
    return done


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_at_any_width_in_any_theme(pages, chromium, name, width, theme):
    chromium.open(pages[name], width, theme)
    assert chromium.complaints() == []
    assert [url for url in chromium.requests() if not url.startswith("file:")] == []
    assert len(chromium.requests()) == 1
    root = chromium.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert root[0] <= root[1], root
    headings, charts = PAGES[name]
    shown = chromium.evaluate("[...document.querySelectorAll('h2')].map((node) => node.textContent)")
    assert set(headings) <= set(shown), shown
    boxes = chromium.evaluate(
        "[...document.querySelectorAll('svg[role=img]')].map((svg) => [svg.getAttribute('aria-label').length,"
        " svg.getBoundingClientRect().width, svg.getBoundingClientRect().height])"
    )
    assert len(boxes) == charts
    assert all(words > 30 and across > 300 and high > 25 for words, across, high in boxes), boxes
    assert chromium.evaluate(FAINT) == []
    assert chromium.evaluate(OVERLAPS) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_and_holds_its_runs(pages, folders, name):
    assert pages[name].stat().st_size < MOST_BYTES
    again = report(pages[name], "--json").stdout
    assert again == report(*folders[name], "--json").stdout


def test_themes_differ_and_the_background_is_the_themes(pages, chromium):
    grounds = []
    for theme in THEMES:
        chromium.open(pages["one"], 1280, theme)
        grounds.append(chromium.evaluate("getComputedStyle(document.body).backgroundColor"))
    light, dark = (max(map(int, re.findall(r"\d+", ground)[:3])) for ground in grounds)
    assert light > 200 and dark < 60, grounds


def test_values_are_told_under_the_pointer(pages, chromium):
    chromium.open(pages["one"], 1280, "light")
    box = chromium.evaluate(
        "(() => { const svg = document.querySelector('svg[data-x^=nines]'); svg.scrollIntoView();"
        " const box = svg.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; })()"
    )
    chromium.move(*box)
    told = chromium.evaluate("document.querySelector('.at').textContent")
    assert re.fullmatch(r"p\d+(\.\d+)?\nresponse [\d.]+\nfirst byte [\d.]+", told), told


@pytest.mark.parametrize("name", ["failing", "hostile"])
def test_names_are_no_markup(pages, chromium, name):
    chromium.open(pages[name], 1280, "light")
    titles = {"failing": f"oci://demo@ns/{runs.HOSTILE}", "hostile": "reduce.py (app-20261130-0001)"}
    assert chromium.evaluate("document.title") == titles[name]
    assert chromium.evaluate("document.querySelectorAll('b').length") == 0


@pytest.mark.parametrize("width", [390, 700, 1100, 1280])
def test_stages_are_readable_at_any_width(pages, chromium, width):
    """Each figure of a stage is inside the page, over no other one, and has its name above it where the head is hidden."""
    chromium.open(pages["job"], width, "light")
    root = chromium.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert root[0] <= root[1], root
    over = chromium.evaluate(
        "[...document.querySelectorAll('.stages tr, .executors tr')].flatMap((row) => {"
        " const boxes = [...row.children].map((cell) => [cell.textContent, cell.getBoundingClientRect()]).filter(([, box]) => box.width);"
        " return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([, b]) =>"
        "  Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)"
        "  .map(([other]) => `${one} over ${other}`)); })"
    )
    assert over == []
    head = chromium.evaluate("getComputedStyle(document.querySelector('.stages thead')).display")
    names = chromium.evaluate(
        "[...document.querySelector('.stages tbody tr').querySelectorAll('td')].map((cell) => getComputedStyle(cell, '::before').content)"
    )
    assert (head == "none") == (width <= 1080) == (names[0] == '"tasks"'), (head, names)
    assert width > 1080 or len(set(names)) == len(names) == 10, names
    bars = chromium.evaluate("[...document.querySelectorAll('.stages .share')].map((bar) => bar.getBoundingClientRect().width)")
    assert len(bars) == 3 and all(bar > 40 for bar in bars), bars


def test_a_page_prints(pages, chromium, tmp_path):
    chromium.open(pages["one"], 1280, "dark")
    chromium.print(tmp_path / "page.pdf")
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4


def test_what_is_no_run_is_told(folders, pages, tmp_path):
    cut = tmp_path / "run.json"
    whole = (folders["one"][0] / "run.json").read_text()
    cut.write_text(whole[: len(whole) // 2])
    assert "is no run of storescope bench" in report(cut, code=2).stderr
    cut.write_text(whole.replace('"schema": 1', '"schema": 9'))
    assert "has schema 9" in report(cut, code=2).stderr
    half = tmp_path / "half.html"
    page = pages["one"].read_text()
    half.write_text(page[: page.index("-1-hlog") + 100])
    assert "it is cut off" in report(half, code=2).stderr
    assert "cannot write" in report(folders["one"][0], "--out", tmp_path / "no" / "x.html", code=1).stderr
    assert "is read: say by --out" in report(pages["one"], "--out", pages["one"], code=2).stderr
