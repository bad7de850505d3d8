# SPDX-License-Identifier: Apache-2.0
"""The files of data sets, found by patterns."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..places import SourceFile, find
from ..settings import StoreSettings
from .job import Dataset


def found_files(patterns: Sequence[str], settings: StoreSettings) -> tuple[SourceFile, ...]:
    """The files that URLs, paths and globs name. One that two of them name is there once.

    Raises:
        UsageError: No file matches a pattern.
    """
    files: dict[str, SourceFile] = {}
    for pattern in patterns:
        for file in find(pattern, settings):
            files.setdefault(file.url, file)
    return tuple(files.values())


def refuse_shared(datasets: Sequence[Dataset], origin: str) -> None:
    """Refuses a file that is in two data sets.

    Args:
        origin: What named the files, for the message.

    Raises:
        UsageError: Of the first such file.
    """
    owners: dict[str, str] = {}
    for dataset in datasets:
        for file in dataset.files:
            owner = owners.setdefault(file.url, dataset.name)
            if owner != dataset.name:
                both = f"{owner} and {dataset.name}"
                raise UsageError(f"{origin}: {file.url} is in two data sets, {both}; its events would count twice")
