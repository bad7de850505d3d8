# SPDX-License-Identifier: Apache-2.0
"""docs/WORKLOADS.md: its table is the schema's, its commands and options exist, its links lead somewhere.

`python workloads/tests/test_documented_workloads.py` writes the table anew."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from storescope_workloads.cli import cli
from storescope_workloads.reduction.estimate import NOT_COUNTED
from storescope_workloads.reduction.render import READS
from storescope_workloads.reduction.result import schema

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "WORKLOADS.md"
BEGIN, END = "<!-- schema -->\n", "<!-- /schema -->\n"


def rows(node: dict[str, Any], at: str) -> Iterator[tuple[str, str, str]]:
    """Name, type and description of each member below. What stands at several places has a table of its own."""
    for name, member in node.get("properties", {}).items():
        shared = member["$ref"].split("/")[-1] if "$ref" in member else ""
        described = member.get("description") or schema()["$defs"][shared]["description"]
        yield f"{at}{name}", f"*{shared}*" if shared else kind(member), described
        of_list = member.get("type") == "array"
        yield from rows(member["items"] if of_list else member, f"{at}{name}{'[]' if of_list else ''}.")


def kind(member: dict[str, Any]) -> str:
    if "const" in member:
        return f"`{member['const']}`"
    if "enum" in member:
        return " or ".join(f"`{value}`" for value in member["enum"])
    types = member["type"] if isinstance(member["type"], list) else [member["type"]]
    return " or ".join(types)


def table() -> str:
    told = schema()
    tables = [_table("result.json", told)]
    for name, node in told["$defs"].items():
        tables.append(_table(f"*{name}*" + ("[]" if node["type"] == "array" else ""), node.get("items", node)))
    return "\n".join(tables)


def _table(title: str, node: dict[str, Any]) -> str:
    lines = [f"| `{place}` | {of} | {what} |\n" for place, of, what in rows(node, "")]
    return "".join([f"| {title} | type | what it is |\n", "|---|---|---|\n", *lines])


def between(text: str) -> str:
    return text.partition(BEGIN)[2].partition(END)[0]


def test_the_table_is_that_of_the_schema():
    assert between(DOCUMENT.read_text()) == table(), "python workloads/tests/test_documented_workloads.py writes it"


def test_the_tables_name_every_member_once():
    for one in table().split("\n\n"):
        names = [line.split("`")[1] for line in one.splitlines()[2:]]
        assert names and len(names) == len(set(names))
    named = "datasets[].files.skipped[].why", "time.events_per_cpu_s", "muons.cut_flow", "first_byte_ms.p999", "removed"
    for wanted in named:
        assert f"| `{wanted}` |" in table(), wanted


def documented() -> list[list[str]]:
    """The commands in the blocks of the two documents, as words."""
    found = []
    for path in (DOCUMENT, ROOT / "workloads" / "README.md"):
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] == "storescope-workloads":
                    found.append(words[1:])
    return found


def test_its_commands_exist():
    assert {words[0] for words in documented()} == {"generate", "reduce", "estimate"}
    for words in documented():
        command, rest = cli.commands[words[0]], words[1:]
        if isinstance(command, click.Group):
            command, rest = command.commands[rest[0]], rest[1:]
        # Parses without running: a wrong option, or one that is missing, is an error.
        command.make_context(words[0], rest)


def test_options_that_the_text_names_exist():
    commands = [*cli.commands["generate"].commands.values(), cli.commands["reduce"], cli.commands["estimate"]]
    known = {name for command in commands for option in command.params for name in option.opts}
    text = re.sub(r"```.*?```", "", DOCUMENT.read_text(), flags=re.S)
    named = set(re.findall(r"`(--[a-z][a-z-]*)", text))
    assert named and named <= known | {"--py-files", "--archives", "--conf"}, named - known


def test_its_links_lead_to_files():
    for path in (DOCUMENT, ROOT / "workloads" / "README.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_what_is_not_counted_is_told():
    text = DOCUMENT.read_text()
    for word in ("starting the engine", "layouts to workers", "retries", "lost workers", "other users"):
        assert word in text and any(word in what for what in NOT_COUNTED), word


@pytest.mark.parametrize("heading", ["## On a cluster", "## Measured"])
def test_there_is_a_section(heading):
    section = DOCUMENT.read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    assert section.count("\n|") > 5, "a heading alone says nothing"


def test_the_io_tables_columns_are_those_that_are_printed():
    header = " ".join(" ".join(READS).split())
    assert any(" ".join(line.split()) == header for line in DOCUMENT.read_text().splitlines())


if __name__ == "__main__":
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(text.replace(BEGIN + between(text) + END, BEGIN + table() + END))
