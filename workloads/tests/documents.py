# SPDX-License-Identifier: Apache-2.0
"""What documents promise: tables that are made from a schema, commands, options, links. For the tests of each document."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from storescope_workloads.cli import cli

ROOT = Path(__file__).resolve().parents[2]


class Document:
    """A document that has a table of a JSON schema between two marks.

    Args:
        path: Relative to the repository.
        schema: The schema that the table is made of.
        mark: The name in the marks.
    """

    def __init__(self, path: str, schema: dict[str, Any], mark: str) -> None:
        self.path, self._schema = ROOT / path, schema
        self._begin, self._end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"

    @property
    def text(self) -> str:
        return self.path.read_text()

    def table(self) -> str:
        """As the schema has it. What stands at several places has a table of its own."""
        tables = [self._table("result.json", self._schema)]
        for name, node in self._schema["$defs"].items():
            tables.append(self._table(f"*{name}*" + ("[]" if node["type"] == "array" else ""), node.get("items", node)))
        return "\n".join(tables)

    def written(self) -> str:
        """As the document has it."""
        return self.text.partition(self._begin)[2].partition(self._end)[0]

    def write(self) -> None:
        """Writes the table anew."""
        self.path.write_text(self.text.replace(self._begin + self.written() + self._end, self._begin + self.table() + self._end))

    def _table(self, title: str, node: dict[str, Any]) -> str:
        lines = [f"| `{place}` | {of} | {what} |\n" for place, of, what in self._rows(node, "")]
        return "".join([f"| {title} | type | what it is |\n", "|---|---|---|\n", *lines])

    def _rows(self, node: dict[str, Any], at: str) -> Iterator[tuple[str, str, str]]:
        """Name, type and description of each member below."""
        for name, member in node.get("properties", {}).items():
            shared = member["$ref"].split("/")[-1] if "$ref" in member else ""
            described = member.get("description") or self._schema["$defs"][shared]["description"]
            yield f"{at}{name}", f"*{shared}*" if shared else _kind(member), described
            of_list = member.get("type") == "array"
            yield from self._rows(member["items"] if of_list else member, f"{at}{name}{'[]' if of_list else ''}.")


def _kind(member: dict[str, Any]) -> str:
    if "const" in member:
        return f"`{member['const']}`"
    if "enum" in member:
        return " or ".join(f"`{value}`" for value in member["enum"])
    types = member["type"] if isinstance(member["type"], list) else [member["type"]]
    return " or ".join(types)


def commands(path: Path) -> list[list[str]]:
    """The commands of the workloads in the blocks of a document, as words."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "storescope-workloads":
                found.append(words[1:])
    return found


def parse(words: list[str]) -> str:
    """Parses a command without running it: a wrong option, or one that is missing, is an error. Gives its name."""
    command, name = cli.commands[words[0]], words[:1]
    rest = words[1:]
    while isinstance(command, click.Group):
        command, name, rest = command.commands[rest[0]], [*name, rest[0]], rest[1:]
    command.make_context(" ".join(name), list(rest))
    return " ".join(name)


def options_named(path: Path) -> set[str]:
    """The options that a document's text names, blocks left out."""
    return set(re.findall(r"`(--[a-z][a-z-]*)", re.sub(r"```.*?```", "", path.read_text(), flags=re.S)))


def options_known(*names: str) -> set[str]:
    """The options of some commands, and of those below them."""
    known: set[str] = set()
    for name in names:
        command = cli.commands[name]
        for one in command.commands.values() if isinstance(command, click.Group) else [command]:
            known |= {option for parameter in one.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return known


def dead_links(path: Path) -> list[str]:
    """Links to files, and to headings of Markdown files, that lead nowhere."""
    dead = []
    for link, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", path.read_text()):
        target = (path.parent / link) if link else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            dead.append(f"{link}#{anchor}" if anchor else link)
    return dead


def _anchors(path: Path) -> set[str]:
    """The names of headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
