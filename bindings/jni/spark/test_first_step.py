# SPDX-License-Identifier: Apache-2.0
"""The first command of docs/HADOOP.md does what the document says."""

from __future__ import annotations


import documented


def test_the_first_command(reader, examples):
    first = examples[0]
    assert first.commands[0].startswith("spark-submit --jars storescope-hadoop-")
    reader(first)


def test_the_readme_has_the_same(examples):
    text = (documented.DOCUMENT.parent.parent / "README.md").read_text().replace("\\\n", "")
    assert [line[2:] for line in text.splitlines() if line.startswith("$ spark-submit")] == [examples[0].commands[0]]
