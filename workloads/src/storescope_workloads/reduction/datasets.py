# SPDX-License-Identifier: Apache-2.0
"""Data sets: names, files found by URLs and globs, cross-sections. From the command line, or from a YAML file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..places import scheme_of
from ..scan.inputs import found_files, refuse_shared
from ..scan.job import Dataset
from ..settings import StoreSettings
from . import yaml_file

#: What a data set is: measured, or simulated.
KINDS = ("data", "mc")

#: Names that are a folder's name on every store and disk, and that no reader of parquet takes for a number.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,99}")


@dataclass(frozen=True)
class Datasets:
    """What a job reduces.

    Attributes:
        datasets: In the order of the file; their files are found.
        tree: The name of the tree in ROOT files.
        luminosity_pb: Integrated luminosity of the data in pb⁻¹, to which simulated data are scaled in the picture.
    """

    datasets: list[Dataset]
    tree: str = "Events"
    luminosity_pb: float | None = None


def of_files(patterns: Sequence[str], settings: StoreSettings) -> Datasets:
    """One data set called ``data``: the files that URLs, paths and globs name. A file that two name is read once.

    Raises:
        UsageError: No file matches a pattern.
    """
    return Datasets([Dataset("data", found_files(patterns, settings))])


def load(path: Path, settings: StoreSettings) -> Datasets:
    """The data sets of a YAML file on this machine; ``workloads/examples/datasets.yaml`` says what may be in it.

    Local paths in it are relative to its folder. A file that two patterns of a data set name is read once; one that is
    in two data sets is an error, since its events would count twice.

    Raises:
        UsageError: The file cannot be read, a key is unknown or of a wrong type, two data sets have one name or one
            file, or no file matches: the message names the data set and the pattern.
    """
    document = yaml_file.read(path)
    tree, luminosity = document.text("tree", Datasets.tree), document.number("luminosity_pb", None, above=0.0)
    told = document.take("datasets")
    document.end()
    if not isinstance(told, list) or not told:
        document.wrong("must be a list of data sets, with one at least", "datasets")
    entries = [_entry(document, value, number) for number, value in enumerate(told, 1)]
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            document.wrong(f"has two data sets of the name {name}", "datasets")
    datasets = [entry.found(path.parent, settings, str(path)) for entry in entries]
    refuse_shared(datasets, str(path))
    return Datasets(datasets, tree or Datasets.tree, luminosity)


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: str
    cross_section_pb: float | None
    patterns: tuple[str, ...]

    def found(self, folder: Path, settings: StoreSettings, origin: str) -> Dataset:
        try:
            files = found_files([_absolute(pattern, folder) for pattern in self.patterns], settings)
        except UsageError as error:
            raise UsageError(f"{origin}: data set {self.name}: {error}") from error
        return Dataset(self.name, files, self.kind, self.cross_section_pb)


def _entry(document: yaml_file.Mapping, value: Any, number: int) -> _Entry:
    entry = document.below(value, f"datasets[{number}]")
    name = entry.text("name")
    if name is None or not _NAME.fullmatch(name):
        entry.wrong(
            f"is {'missing' if name is None else repr(name)}, but must name a folder: "
            "a letter, then at most 99 letters, digits and _ . + -",
            "name",
        )
    kind = entry.choice("kind", KINDS, KINDS[0])
    cross_section = entry.number("cross_section_pb", None, above=0.0)
    if cross_section is not None and kind != "mc":
        entry.wrong("is of simulated data only: set kind: mc", "cross_section_pb")
    patterns = _patterns(entry)
    entry.end()
    return _Entry(name, kind, cross_section, patterns)


def _patterns(entry: yaml_file.Mapping) -> tuple[str, ...]:
    value = entry.take("files")
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) and one for one in patterns):
        entry.wrong("must be a URL, a path or a glob, or a list of them", "files")
    return tuple(patterns)


def _absolute(pattern: str, folder: Path) -> str:
    if scheme_of(pattern) != "file" or "://" in pattern:
        return pattern
    return str(folder.absolute() / Path(pattern).expanduser())
