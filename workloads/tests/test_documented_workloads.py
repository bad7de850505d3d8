# SPDX-License-Identifier: Apache-2.0
"""docs/WORKLOADS.md: its table is the schema's, its commands and options exist, its links lead somewhere.

`python workloads/tests/test_documented_workloads.py` writes the table anew."""

from __future__ import annotations

import pytest

from documents import ROOT, Document, commands, dead_links, options_known, options_named, parse
from storescope_workloads.reduction.estimate import NOT_COUNTED
from storescope_workloads.reduction.render import READS
from storescope_workloads.reduction.result import schema

DOCUMENT = Document("docs/WORKLOADS.md", schema(), "schema")
README = ROOT / "workloads" / "README.md"


def test_the_table_is_that_of_the_schema():
    assert DOCUMENT.written() == DOCUMENT.table(), "python workloads/tests/test_documented_workloads.py writes it"


def test_the_tables_name_every_member_once():
    for one in DOCUMENT.table().split("\n\n"):
        names = [line.split("`")[1] for line in one.splitlines()[2:]]
        assert names and len(names) == len(set(names))
    named = "datasets[].files.skipped[].why", "time.events_per_cpu_s", "muons.cut_flow", "first_byte_ms.p999", "removed"
    for wanted in named:
        assert f"| `{wanted}` |" in DOCUMENT.table(), wanted


def test_its_commands_exist():
    names = {parse(words) for path in (DOCUMENT.path, README) for words in commands(path)}
    assert names >= {"generate dimuon", "reduce", "estimate", "trainer run"}


def test_options_that_the_text_names_exist():
    named = options_named(DOCUMENT.path)
    known = options_known("generate", "reduce", "estimate", "trainer") | {"--py-files", "--archives", "--conf"}
    assert named and named <= known, named - known


def test_its_links_lead_to_files():
    assert [dead_links(path) for path in (DOCUMENT.path, README)] == [[], []]


def test_what_is_not_counted_is_told():
    text = DOCUMENT.text
    for word in ("starting the engine", "layouts to workers", "retries", "lost workers", "other users"):
        assert word in text and any(word in what for what in NOT_COUNTED), word


@pytest.mark.parametrize("heading", ["## On a cluster", "## Measured", "## The trigger classifier"])
def test_there_is_a_section(heading):
    section = DOCUMENT.text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    assert section.count("\n|") > 5, "a heading alone says nothing"


def test_the_io_tables_columns_are_those_that_are_printed():
    header = " ".join(" ".join(READS).split())
    assert any(" ".join(line.split()) == header for line in DOCUMENT.text.splitlines())


if __name__ == "__main__":
    DOCUMENT.write()
