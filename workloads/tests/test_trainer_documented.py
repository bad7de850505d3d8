# SPDX-License-Identifier: Apache-2.0
"""docs/TRAINER.md: its tables are the schema's and the sample's, its commands and options exist, its links lead somewhere.

`python workloads/tests/test_trainer_documented.py` writes the table of result.json anew."""

from __future__ import annotations

from documents import Document, commands, dead_links, options_known, options_named, parse
from storescope_workloads.generate.branches import TRIGGER
from storescope_workloads.trainer.kinds import KINDS
from storescope_workloads.trainer.result import schema
from storescope_workloads.trainer.selection import REASONS

DOCUMENT = Document("docs/TRAINER.md", schema(), "trainer-schema")


def test_the_table_is_that_of_the_schema():
    assert DOCUMENT.written() == DOCUMENT.table(), "python workloads/tests/test_trainer_documented.py writes it"


def test_the_tables_name_every_member_once():
    for one in DOCUMENT.table().split("\n\n"):
        names = [line.split("`")[1] for line in one.splitlines()[2:]]
        assert names and len(names) == len(set(names))
    for wanted in ("auc.ttbar", "workers[].rss_peak_bytes", "io.evaluation", "first_byte_ms.p999"):
        assert f"| `{wanted}` |" in DOCUMENT.table(), wanted


def test_its_commands_exist():
    names = {parse(words) for words in commands(DOCUMENT.path)}
    steps = {f"trainer {step}" for step in ("ingest", "prepare", "train", "run")}
    assert names >= {"generate trigger", *steps}


def test_options_that_the_text_names_exist():
    named = options_named(DOCUMENT.path)
    known = options_known("generate", "trainer", "reduce") | {"--logdir"}
    assert named and named <= known, named - known


def test_its_links_lead_to_files_and_headings():
    assert dead_links(DOCUMENT.path) == []


def test_branches_reasons_and_models_are_told():
    text = DOCUMENT.text
    for branch in TRIGGER:
        assert f"| `{branch.name}` | {branch.dtype}" in text, branch.name
    for reason in REASONS:
        assert f"`{reason}`" in text, reason
    for kind in KINDS.values():
        assert f"{kind.parameters:,} |" in text, kind


if __name__ == "__main__":
    DOCUMENT.write()
