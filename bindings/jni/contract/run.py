# SPDX-License-Identifier: Apache-2.0
"""Hadoop's own contract suites against the jar and a server that verifies signatures:
`STORESCOPE_BIN=… python run.py --build FOLDER [--hadoop 3.5.0] [--scheme s3] [--timed]`.

FOLDER is what `mvn -Djni.build=FOLDER package` wrote. What ran must be what `suites-VERSION.txt` names; what failed and
what skipped itself must be what `unsupported-VERSION.txt` names, in both directions. `--bless` writes the lists, and
keeps the reasons that stand in them.
"""

from __future__ import annotations

import argparse
import collections
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "tests/interop")]

import core_site  # noqa: E402
import serving  # noqa: E402

AGENT = re.compile(r"storescope/\S+ \(jvm\)")
# A JVM and a bucket for each suite that runs at the same time, and a bucket that may be emptied.
FORKS = 2
ROOT = "contract-root"
# What is asked before anything else, with a wrong key, must fail.
FIRST = "MkdirTest"
# At least so many requests of each kind, or the suites were not at work.
COMMITTED = {"GET": 4000, "PUT": 2500, "HEAD": 100, "POST": 400, "DELETE": 40}


@dataclass(frozen=True)
class Outcome:
    """How a test ended: `passed`, `failed` or `skipped`, and what it said."""

    verdict: str
    said: str


class Lists:
    """What is committed of one version: the tests there are, and those that no object store can pass or that skip
    themselves, with the reason."""

    def __init__(self, version: str) -> None:
        self.suites = HERE / f"suites-{version}.txt"
        self.unsupported = HERE / f"unsupported-{version}.txt"

    def tests(self) -> set[str]:
        return set(lines(self.suites))

    def exceptions(self) -> dict[str, tuple[str, str]]:
        """Of each test that does not pass: `failed` or `skipped`, and why."""
        entries = (line.split("\t") for line in lines(self.unsupported))
        return {name: (verdict, why) for name, verdict, why in entries}

    def bless(self, outcomes: dict[str, Outcome]) -> None:
        known = self.exceptions()
        write(self.suites, sorted(outcomes))
        write(
            self.unsupported,
            sorted(
                f"{name}\t{outcome.verdict}\t{known[name][1] if name in known else outcome.said}"
                for name, outcome in outcomes.items()
                if outcome.verdict != "passed"
            ),
        )


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def write(file: Path, content: list[str]) -> None:
    file.write_text("".join(line + "\n" for line in content))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, required=True, help="the folder with the built jar")
    parser.add_argument("--hadoop", default="3.4.2", choices=["3.4.2", "3.5.0"])
    parser.add_argument("--scheme", default="oci", choices=["oci", "s3"])
    parser.add_argument("--timed", action="store_true", help="behind the FileSystem that times others")
    parser.add_argument("--only", help="run this suite alone, and judge no list")
    parser.add_argument("--bless", action="store_true", help="write the lists")
    asked = parser.parse_args()

    suites = Suites(asked.build.resolve(), asked.hadoop, asked.scheme, asked.timed)
    began = time.monotonic()
    buckets = [ROOT, *(f"contract-{fork}" for fork in range(1, FORKS + 1))]
    with serving.serve(*(option for bucket in buckets for option in ("--bucket", bucket))) as server:
        wrong = [] if asked.only else refused(suites, server)
        before = len(server.record())
        outcomes = suites.run(configuration(server, suites, known=True), asked.only)
        record = server.record()[before:]
    tally = collections.Counter(outcome.verdict for outcome in outcomes.values())
    if asked.only:
        for name, outcome in sorted(outcomes.items()):
            print(f"{outcome.verdict:8} {name}  {outcome.said}")
    else:
        lists = Lists(asked.hadoop)
        if asked.bless:
            lists.bless(outcomes)
        wrong += [*unlike(outcomes, lists), *idle(record)]
    for line in wrong:
        print(line)
    failed = len(wrong) if not asked.only else tally["failed"]
    beyond = "" if asked.only else f", {tally['failed']} that no object store passes"
    print(
        f"{tally['passed']} passed, {failed} failed, {tally['skipped']} skipped{beyond}"
        f" on Hadoop {asked.hadoop} by {asked.scheme}{', timed' if asked.timed else ''}, {len(record)} requests, in {time.monotonic() - began:.1f}s"
    )
    return 1 if failed else 0


@dataclass(frozen=True)
class Suites:
    """The Maven module beside this file."""

    build: Path
    version: str
    scheme: str
    timed: bool

    def run(self, properties: dict[str, dict[str, str]], only: str | None = None) -> dict[str, Outcome]:
        """Runs the suites, or one, with these files of properties on the class path."""
        folder = self.build / f"storescope-contract-{self.version}"
        configured = folder / "configuration"
        for name, values in properties.items():
            core_site.write(configured / name, values)
        reports = folder / "surefire-reports"
        for report in reports.glob("*"):
            report.unlink()
        command = [
            *("mvn", "-B", "-ntp", "-f", str(HERE / "pom.xml")),
            *(f"-Djni.build={self.build}", f"-Dhadoop.version={self.version}", f"-Dcontract.scheme={self.scheme}"),
            *(f"-Dcontract.configuration={configured}", f"-Dcontract.forks={FORKS}"),
            *([f"-Dtest={only}"] if only else []),
            # Whether a failure is one is for the lists to say.
            *("-Dmaven.test.failure.ignore=true", "test"),
        ]
        log = folder / "maven.log"
        with log.open("w") as output:
            status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode
        if status != 0:
            print(*log.read_text().splitlines()[-40:], sep="\n")
            raise SystemExit(f"Maven ended with status {status}: {log}")
        return dict(outcomes_in(reports))


def configuration(server: serving.Server, suites: Suites, known: bool) -> dict[str, dict[str, str]]:
    """The files that Hadoop reads: core-site.xml as a user has it, and where the suites find their buckets."""

    scheme = suites.scheme

    def at(bucket: str) -> str:
        return f"oci://{bucket}@{server.oci['namespace']}" if scheme == "oci" else f"s3://{bucket}"

    if scheme == "oci":
        site = core_site.oci(server, "DEFAULT" if known else "WRONG")
        site["fs.AbstractFileSystem.oci.impl"] = "io.github.storescope.hadoop.StoreFs"
    else:
        site = core_site.s3(server, known)
        # The class with bulk deletes, which the jar names for its own scheme (docs/HADOOP.md).
        site["fs.s3.impl"] = "io.github.storescope.hadoop.BulkDeletingFileSystem"
    if suites.timed:
        site[f"fs.storescope-timed.{scheme}.impl"] = "io.github.storescope.hadoop.BulkDeletingFileSystem"
        site[f"fs.{scheme}.impl"] = "io.github.storescope.hadoop.contract.RecordedFileSystem"
    return {
        "core-site.xml": site,
        "contract-test-options.xml": {
            # Hadoop fills in the system property that Surefire gives to each JVM.
            f"fs.contract.test.fs.{scheme}": at("contract-${contract.fork}"),
            f"contract.root.{scheme}": at(ROOT),
        },
    }


def outcomes_in(reports: Path) -> Iterator[tuple[str, Outcome]]:
    """Each test of the reports, as `Suite.test`; of those that share a name, the second is `Suite.test #2`."""
    seen: collections.Counter[str] = collections.Counter()
    for report in sorted(reports.glob("TEST-*.xml")):
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            name = f"{case.get('classname').rsplit('.', 1)[-1]}.{case.get('name')}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            yield name, outcome_of(case)


def outcome_of(case: ElementTree.Element) -> Outcome:
    for tag, verdict in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        if (element := case.find(tag)) is not None:
            said = element.get("message") or element.get("type") or (element.text or "").strip()
            return Outcome(verdict, " ".join(said.split())[:200])
    return Outcome("passed", "")


def refused(suites: Suites, server: serving.Server) -> list[str]:
    """What is wrong when a suite is run by one who is not known: it must fail, by the server's word."""
    outcomes = suites.run(configuration(server, suites, known=False), FIRST)
    statuses = collections.Counter(line["status"] for line in server.record())
    refusal = 401 if suites.scheme == "oci" else 403
    if {outcome.verdict for outcome in outcomes.values()} == {"failed"} and set(statuses) == {refusal}:
        return []
    return [f"with a wrong key {FIRST} must fail by {refusal}: {dict(statuses)}, {outcomes}"]


def unlike(outcomes: dict[str, Outcome], lists: Lists) -> Iterator[str]:
    """Where what ran is not what the lists name."""
    tests, exceptions = lists.tests(), lists.exceptions()
    yield from (f"did not run: {name}" for name in sorted(tests - outcomes.keys()))
    yield from (f"ran, and is not in {lists.suites.name}: {name}" for name in sorted(outcomes.keys() - tests))
    for name, outcome in sorted(outcomes.items()):
        expected, _ = exceptions.get(name, ("passed", ""))
        if outcome.verdict != expected:
            yield f"{outcome.verdict}, not {expected} as in {lists.unsupported.name}: {name}  {outcome.said}"
    yield from (f"in {lists.unsupported.name}, but there is none: {name}" for name in sorted(exceptions.keys() - tests))


def idle(record: list[dict]) -> Iterator[str]:
    """Where the server's record does not show our jar at work."""
    agents = {line["user_agent"] for line in record}
    if strange := [agent for agent in agents if not AGENT.fullmatch(agent or "")]:
        yield f"not the jar's user agent: {strange}"
    done = collections.Counter(line["method"] for line in record)
    if few := {method: done[method] for method, least in COMMITTED.items() if done[method] < least}:
        yield f"fewer requests than committed: {few}, of {dict(done)}"


if __name__ == "__main__":
    sys.exit(main())
