# SPDX-License-Identifier: Apache-2.0
"""A suite that was skipped, or that held nothing, has tested nothing: it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

# A stranger's checkout has no real files beside it. Where CI is true their absence is a failure of the test itself.
ABSENT = "is not in ../shared/"


class Strict:
    """Says at the end which of the files that were asked for had no test that passed, and what was skipped."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            if ABSENT not in str(report.longrepr):
                self.skipped.append(report.nodeid)
        elif report.passed and report.when == "call":
            self.passed.add(Path(report.nodeid.split("::")[0]).name)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly or session.config.option.keyword:
            return
        asked = {Path(argument).name for argument in session.config.args if argument.endswith(".py")}
        wrong = [f"skipped: {name}" for name in self.skipped]
        wrong += [f"no test of it passed: {name}" for name in sorted(asked - self.passed)]
        if wrong:
            print("\nThese tested nothing:", *wrong, sep="\n  ")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Strict(), "strict-suites")
