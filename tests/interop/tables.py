# SPDX-License-Identifier: Apache-2.0
"""The tables of what the emulator's APIs take, and the models of the clients that they are compared with.

`python tests/interop/tables.py > docs/EMULATOR-API.md` writes what readers get of the tables.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import botocore.loaders
import oci.object_storage
from oci.object_storage import ObjectStorageClient

ROOT = Path(__file__).parents[2]
SOURCES = {"s3": ROOT / "emulator/src/api/s3.tsv", "oci": ROOT / "emulator/src/api/oci.tsv"}


@dataclass(frozen=True)
class Row:
    """A line of a table: what holds of each of its names in each of its operations."""

    place: str
    names: tuple[str, ...]
    operations: tuple[str, ...]
    verdict: str
    values: tuple[str, ...]
    shown: str


@dataclass(frozen=True)
class Member:
    """What a request of an operation may have by a client's model, where it stands and how the client names it."""

    operation: str
    place: str
    name: str
    argument: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, api: str) -> Table:
        lines = [line for line in SOURCES[api].read_text().splitlines() if line and not line.startswith("#")]
        fields = [line.split("\t") for line in lines]
        split = [[place, *(tuple(text.split()) for text in (n, o)), v, tuple(x.split()), s] for place, n, o, v, x, s in fields]
        return cls(tuple(Row(*row) for row in split))

    def served(self) -> list[str]:
        return [name for row in self.rows if row.place == "operation" and row.verdict == "honoured" for name in row.operations]

    def refused(self) -> list[str]:
        return [name for row in self.rows if row.place == "operation" and row.verdict == "refused" for name in row.operations]

    def find(self, operation: str, place: str, name: str) -> Row | None:
        """The line of a name, as the emulator finds it."""
        own = [row for row in self.rows if row.place == place and {"*", operation} & set(row.operations)]
        exact = [row for row in own if name in row.names]
        prefixes = [row for row in own for known in row.names if known.endswith("*") and name.startswith(known[:-1])]
        return next(iter(exact + prefixes), None)


# botocore's model


class S3Model:
    """boto3's idea of S3."""

    def __init__(self) -> None:
        self.model = botocore.loaders.Loader().load_service_model("s3", "service-2")
        self.shapes = self.model["shapes"]

    def operations(self) -> list[str]:
        return list(self.model["operations"])

    def input(self, operation: str) -> dict:
        told = self.model["operations"][operation].get("input")
        return self.shapes[told["shape"]] if told else {"members": {}}

    def members(self, operation: str) -> Iterator[Member]:
        _, _, query = self.model["operations"][operation]["http"]["requestUri"].partition("?")
        for parameter in filter(None, query.split("&")):
            yield Member(operation, "query", parameter.partition("=")[0], ())
        for argument, member in self.input(operation)["members"].items():
            name = member.get("locationName", argument)
            match member.get("location"):
                case "uri":
                    continue
                case "header":
                    yield Member(operation, "header", name.lower(), (argument,))
                case "headers":
                    yield Member(operation, "header", name.lower() + "*", (argument,))
                case "querystring":
                    yield Member(operation, "query", name, (argument,))
                case None if self.shapes[member["shape"]]["type"] == "structure":
                    yield from self._elements(operation, member["shape"], name, (argument,))
                case None:
                    yield Member(operation, "body", "-", (argument,))

    def _elements(self, operation: str, shape: str, path: str, arguments: tuple[str, ...]) -> Iterator[Member]:
        yield Member(operation, "body", path, arguments)
        shape, is_list = self.element(shape)
        if self.shapes[shape]["type"] != "structure":
            return
        for argument, member in self.shapes[shape]["members"].items():
            name = f"{path}/{member.get('locationName', argument)}"
            below = self.shapes[member["shape"]]
            if below["type"] == "list" and not below.get("flattened"):
                yield Member(operation, "body", name, (*arguments, argument))
                name = f"{name}/{below['member'].get('locationName', 'member')}"
            yield from self._elements(operation, member["shape"], name, (*arguments, argument))

    def element(self, shape: str) -> tuple[str, bool]:
        """What is in a list, or the shape itself."""
        told = self.shapes[shape]
        return (told["member"]["shape"], True) if told["type"] == "list" else (shape, False)

    def shape_of(self, member: Member) -> dict:
        """The shape of a member, by the names that the client gives it."""
        shape = self.input(member.operation)
        for argument in member.argument:
            if shape["type"] == "list":
                shape = self.shapes[shape["member"]["shape"]]
            shape = self.shapes[shape["members"][argument]["shape"]]
        return shape


# Oracle's SDK


class OciModel:
    """What the methods of Oracle's client send, read in their source."""

    def __init__(self) -> None:
        tree = ast.parse(inspect.getsource(ObjectStorageClient))
        methods = [node for node in tree.body[0].body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
        self.methods = {camel(node.name): node for node in methods}

    def operations(self) -> list[str]:
        return list(self.methods)

    def _assigned(self, operation: str, name: str) -> ast.expr | None:
        found = [
            node.value
            for node in ast.walk(self.methods[operation])
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name
        ]
        return found[0] if found else None

    def text(self, operation: str, name: str) -> str:
        return ast.literal_eval(self._assigned(operation, name))

    def members(self, operation: str) -> Iterator[Member]:
        for place, variable in (("header", "header_params"), ("query", "query_params")):
            told = self._assigned(operation, variable)
            for key, value in zip(told.keys, told.values) if told else ():
                asked = [node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
                positional = [node.id for node in ast.walk(value) if isinstance(node, ast.Name) and node.id != "missing"]
                named = [text for text in asked if text.isidentifier() and text not in ("csv", "multi")] + [name for name in positional if name not in ("kwargs", "self")]
                name = key.value if place == "query" else key.value.lower()
                yield Member(operation, place, name, tuple(named[:1]))
        if "opc_meta" in ast.dump(self.methods[operation]):
            yield Member(operation, "header", "opc-meta-*", ("opc_meta",))
        yield from self._body(operation)

    def _body(self, operation: str) -> Iterator[Member]:
        doc = ast.get_docstring(self.methods[operation])
        for model, argument in re.findall(r":param oci\.object_storage\.models\.(\w+) (\w+):", doc):
            yield from self._attributes(operation, model, "", (argument,))
        for argument in re.findall(r":param stream (\w+):", doc):
            yield Member(operation, "body", "-", (argument,))

    def _attributes(self, operation: str, model: str, path: str, arguments: tuple[str, ...]) -> Iterator[Member]:
        made = getattr(oci.object_storage.models, model)()
        for attribute, name in made.attribute_map.items():
            yield Member(operation, "body", path + name, (*arguments, attribute))
            below = made.swagger_types[attribute].removeprefix("list[").removesuffix("]")
            if hasattr(oci.object_storage.models, below):
                yield from self._attributes(operation, below, f"{path}{name}/", (*arguments, attribute))


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


# What readers get

HEAD = """# What the emulator's APIs take

Made of the tables that the emulator itself reads (`emulator/src/api/`) by `tests/interop/tables.py`; do not edit.
`tests/interop/test_api.py` compares them with the models of boto3 and of Oracle's Python SDK, and sends all that is refused.

* **honoured**: the emulator does what the service does.
* **only**: honoured with these values; any other is refused.
* **refused**: 501 `NotImplemented` before anything is done. The message says the name; for headers and
  parameters the header `x-storescope-refused` does, too.
* **no effect**: taken, and without effect at the service, too.

What has no line is not part of the API: an operation, a header of the API's own (`x-amz-*` of S3, `opc-*` of the native one, `if-*`) or a parameter
of the query is refused by its name, too; an unknown member of a body is 400 (`MalformedXML`, `InvalidParameter`). Other
headers are ignored.
"""


def document() -> str:
    parts = [HEAD]
    for api, title in (("s3", "S3"), ("oci", "OCI's native API")):
        table = Table.of(api)
        parts.append(f"\n## {title}\n\nWith every operation:\n\n{lines(table, '*')}")
        for operation in table.served():
            parts.append(f"\n### {operation}\n\n{lines(table, operation) or 'Nothing else.'}")
        parts.append("\n### Operations that are refused\n\n" + ", ".join(sorted(table.refused())) + ".")
    return "\n".join(parts) + "\n"


def lines(table: Table, operation: str) -> str:
    rows = [row for row in table.rows if row.place != "operation" and operation in row.operations]
    if not rows:
        return ""
    told = ["| | | |", "| --- | --- | --- |"]
    for row in sorted(rows, key=lambda row: ("header", "query", "body").index(row.place)):
        names = ", ".join("the bytes" if name == "-" else f"`{name}`" for name in row.names)
        values = " " + ", ".join(f"`{value}`" for value in row.values) if row.values else ""
        why = f": {row.shown}" if row.verdict == "no effect" else ""
        told.append(f"| {row.place} | {names} | {row.verdict}{values}{why} |")
    return "\n".join(told)


if __name__ == "__main__":
    print(document(), end="")
