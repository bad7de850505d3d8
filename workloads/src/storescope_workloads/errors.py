# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on. Their text is printed as it is, without a traceback."""

from __future__ import annotations

#: The command failed.
FAILED = 1
#: The command line, or a file that it names, is wrong.
USAGE = 2
#: The job finished, but files were skipped (``--on-error skip``).
SKIPPED = 3


class WorkloadError(Exception):
    """What went wrong, with what and what to do about it. Ends the command with :attr:`code`."""

    code = FAILED


class UsageError(WorkloadError):
    """The command line, or a file that it names, is wrong."""

    code = USAGE


class BadFile(WorkloadError):
    """An input file that cannot be used: ``url`` and ``why``. Pickles, so that workers can raise it."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.url = url
        self.why = why

    def __reduce__(self) -> tuple[type[BadFile], tuple[str, str]]:
        return BadFile, (self.url, self.why)
