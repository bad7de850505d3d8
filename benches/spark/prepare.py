# SPDX-License-Identifier: Apache-2.0
"""Makes what the measurements need, once, in the cache folder: an environment, the peers' jars, the data."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent


def all_of(cache: Path, rows: set[str]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    once(cache, "venv", [HERE / "requirements.txt"], environment)
    once(cache, "data", [HERE / "data.py"], data)
    once(cache, "build/reads", [HERE / "java/Reads.java"], reads)
    once(cache, "jars", [HERE / "jars/pom.xml"], jars)
    if any(name.startswith("oracle") for name in rows):
        once(cache, "build/oracle", [HERE / "oracle/pom.xml", HERE / "oracle/parent.xml"], oracle)


def once(cache: Path, name: str, sources: list[Path], make: Callable[[Path], None]) -> None:
    """Makes a folder anew when what it is made from has changed."""
    target = cache / name
    stamp = target / ".made-from"
    made_from = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    if stamp.exists() and stamp.read_text() == made_from:
        return
    print(f"making {target}", file=sys.stderr, flush=True)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    make(target)
    stamp.write_text(made_from)


def python(cache: Path) -> str:
    return str(cache / "venv/bin/python")


def java(tool: str) -> str:
    home = os.environ.get("JAVA_HOME")
    return f"{home}/bin/{tool}" if home else tool


def hadoop(cache: Path) -> Path:
    """The jar of Hadoop that Spark's wheel brings."""
    return next(cache.glob("venv/lib/python3*/site-packages/pyspark/jars/hadoop-client-api-*.jar"))


def environment(target: Path) -> None:
    venv.create(target, with_pip=True)
    run([str(target / "bin/pip"), "install", "--quiet", "-r", str(HERE / "requirements.txt")])


def data(target: Path) -> None:
    run([python(target.parent), str(HERE / "data.py"), str(target)])


def reads(target: Path) -> None:
    classpath = str(hadoop(target.parent.parent))
    source = str(HERE / "java/Reads.java")
    run([java("javac"), "--release", "17", "-Xlint:all", "-cp", classpath, "-d", str(target), source])


def jars(target: Path) -> None:
    maven("-f", str(HERE / "jars/pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={target}")


def oracle(target: Path) -> None:
    maven("-f", str(HERE / "oracle/parent.xml"), "install")
    maven("-f", str(HERE / "oracle/pom.xml"), f"-Dbench.build={target}", "package")


def maven(*arguments: str) -> None:
    run(["mvn", "--batch-mode", "--quiet", "--no-transfer-progress", *arguments])


def run(command: list[str]) -> None:
    # What a tool says goes to standard error: standard output is the table's.
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed")


def trust_store(ca_bundle: str, target: Path) -> Path:
    """The emulator's authority, as the JVM wants it."""
    command = [java("keytool"), "-importcert", "-noprompt", "-alias", "emulator", "-file", ca_bundle]
    run([*command, "-keystore", str(target), "-storetype", "PKCS12", "-storepass", "changeit"])
    return target
