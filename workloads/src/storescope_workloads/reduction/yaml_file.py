# SPDX-License-Identifier: Apache-2.0
"""YAML that users write, checked key by key: errors name the file, the key and what is allowed there."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from ..errors import UsageError


def read(path: Path) -> Mapping:
    """The mapping that a local file holds.

    Raises:
        UsageError: It cannot be read, is no YAML, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    return parse(text, str(path))


def parse(text: str, origin: str) -> Mapping:
    """The mapping that a text holds; an empty text is an empty mapping. ``origin`` begins errors."""
    try:
        value = yaml.load(text, _OneKeyOnce)
    except yaml.YAMLError as error:
        what = f"is not valid YAML: {' '.join(str(error).split())}"
        raise UsageError(f"{origin}: {what}" if origin else what) from error
    return Mapping({} if value is None else value, origin, "")


class Mapping:
    """Keys and values at ``place`` in a document: each is taken once, :meth:`end` refuses what is left."""

    def __init__(self, value: Any, origin: str, place: str) -> None:
        self._origin, self._place = origin, place
        if not isinstance(value, dict):
            self.wrong(f"is {_shown(value)}, but must be a mapping of keys to values")
        self._left: dict[Any, Any] = dict(value)
        self._known: list[str] = []

    def wrong(self, what: str, key: str = "") -> NoReturn:
        """Raises a :class:`UsageError` that names the file and the key."""
        place = ".".join(part for part in (self._place, key) if part) or "the document"
        raise UsageError(f"{self._origin}: {place} {what}" if self._origin else f"{place} {what}")

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def take(self, key: str, default: Any = None) -> Any:
        """A value of any type, or the default where the key is missing."""
        self._known.append(key)
        return self._left.pop(key, default)

    def number(self, key: str, default: float | None, above: float = -math.inf) -> float | None:
        """A finite number greater than ``above``, or null."""
        value = self.take(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(f"is {_shown(value)}, but must be a number or null", key)
        if value <= above:
            self.wrong(f"is {_shown(value)}, but must be greater than {above:g}", key)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false; null is false."""
        value = self.take(key, default)
        if value is not None and not isinstance(value, bool):
            self.wrong(f"is {_shown(value)}, but must be true, false or null", key)
        return bool(value)

    def text(self, key: str, default: str | None = None) -> str | None:
        """A text that is not empty, or the default where the key is missing."""
        value = self.take(key, default)
        if value is not default and (not isinstance(value, str) or not value):
            self.wrong(f"is {_shown(value)}, but must be a text that is not empty", key)
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        """One of the texts that are allowed."""
        value = self.take(key, default)
        if value not in allowed:
            self.wrong(f"is {_shown(value)}, but must be one of {', '.join(allowed)}", key)
        return str(value)

    def mapping(self, key: str) -> Mapping:
        """The mapping below a key; an empty one where it is missing or null."""
        value = self.take(key)
        return self.below({} if value is None else value, key)

    def below(self, value: Any, key: str) -> Mapping:
        """A value at a place below as a mapping."""
        return Mapping(value, self._origin, ".".join(part for part in (self._place, key) if part))

    def end(self) -> None:
        """Refuses keys that nothing took."""
        for key in self._left:
            self.wrong(f"is not a known key; known are {', '.join(self._known)}", str(key))


def _shown(value: Any) -> str:
    """A value as an error shows it, with its type."""
    names = {dict: "a mapping", list: "a list", str: "the text", bool: "the flag"}
    names |= dict.fromkeys((int, float), "the number")
    name = names.get(type(value), f"a {type(value).__name__}")
    if isinstance(value, dict | list):
        return name
    return "null" if value is None else f"{name} {str(value).lower() if isinstance(value, bool) else repr(value)}"


class _OneKeyOnce(yaml.SafeLoader):
    """Refuses a mapping with a key twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)
