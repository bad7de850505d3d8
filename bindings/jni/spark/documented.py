# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/HADOOP.md and docs/SPARK.md, as they stand there: a block of `console` is commands, each behind a `$`,
and what they print; a block whose first line is a comment with a file's name is that file."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import core_site
import serving

DOCUMENT = Path(__file__).parents[3] / "docs/HADOOP.md"
OF_SPARK = DOCUMENT.with_name("SPARK.md")
NAMESPACE, BUCKET = "my-namespace", "lake"
FILE = re.compile(r"(?:# |<!-- )([\w./-]+\.\w+)(?: -->)?\n")
# What the `hadoop` of a cluster is, by the Hadoop in Spark.
HADOOP = """#!/bin/sh
test "$1" = fs && shift
exec java -cp "$HADOOP_CONF_DIR:$HADOOP_CLASSPATH:$SPARK_JARS/*" org.apache.hadoop.fs.FsShell "$@"
"""


@dataclass(frozen=True)
class Example:
    """The commands of one block, and the lines that they print."""

    section: str
    commands: tuple[str, ...]
    output: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.section}: {self.commands[-1].split()[0]}"

    def script(self) -> str:
        return "\n".join(["set -e", *self.commands])


def _blocks(document: Path) -> list[tuple[str, str, str]]:
    """Section, language and text of each block of code."""
    section, blocks, text = "", [], document.read_text()
    for found in re.finditer(r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if found.group(1):
            section = found.group(1)
        else:
            blocks.append((section, found.group(2), found.group(3)))
    return blocks


def examples(document: Path = DOCUMENT) -> list[Example]:
    found = []
    for section, language, text in _blocks(document):
        if language == "console":
            lines = text.replace("\\\n", "").splitlines()
            commands = tuple(line[2:] for line in lines if line.startswith("$ "))
            found.append(Example(section, commands, tuple(line for line in lines if not line.startswith("$ "))))
    return found


def files(document: Path = DOCUMENT) -> dict[str, str]:
    named = {}
    for _, language, text in _blocks(document):
        name = FILE.match(text)
        if language != "console" and name:
            assert name.group(1) not in named, f"{name.group(1)} stands there twice"
            named[name.group(1)] = text
    return named


class Folder:
    """Where a reader of the document sits: its files, the jars, and an account of the server in the environment."""

    def __init__(self, at: Path, server: serving.Server | None, jars: str, python: str, document: Path = DOCUMENT) -> None:
        import pyspark

        spark = Path(pyspark.__file__).parent
        self.at, self.server, self.python, self.spark = at, server, python, spark
        (at / "bin").mkdir(parents=True)
        for name, text in files(document).items():
            (at / name).parent.mkdir(parents=True, exist_ok=True)
            (at / name).write_text(text)
        for jar in jars.split(":"):
            (at / Path(jar).name).symlink_to(jar)
        (at / "bin/hadoop").write_text(HADOOP)
        (at / "bin/hadoop").chmod(0o755)
        (at / "bin/storescope").symlink_to(serving.binary())
        core_site.write(at / "cluster/core-site.xml", {})
        self.home = Path(python).parent.parent / "home"
        self.home.mkdir(exist_ok=True)

    def run(self, script: str, seconds: int = 300) -> subprocess.CompletedProcess[str]:
        """Runs a script of the shell; the account is of S3 where it names s3a."""
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.at,
            env={**os.environ, **self._account("s3a" in script), **self._programs()},
            capture_output=True, text=True, timeout=seconds,
        )

    def _account(self, s3: bool) -> dict[str, str]:
        if self.server is None:
            return {}
        if s3:
            told = self.server.ready["s3"]
            return {
                "STORESCOPE_ENDPOINT": told["endpoint"],
                "AWS_REGION": told["region"],
                "AWS_ACCESS_KEY_ID": told["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": told["secret_access_key"],
            }
        return {
            "STORESCOPE_ENDPOINT": self.server.oci["endpoint"],
            "STORESCOPE_CONFIG_FILE": self.server.oci["config_file"],
        }

    def _programs(self) -> dict[str, str]:
        path = [str(self.at / "bin"), str(Path(self.python).parent), os.environ["PATH"]]
        return {
            "PATH": ":".join(path),
            "SPARK_JARS": str(self.spark / "jars"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "HADOOP_CONF_DIR": str(self.at / "cluster"),
            # What --packages brings is kept between runs, away from Maven's own folder: Ivy takes a POM that lies there alone
            # for the whole.
            "SPARK_SUBMIT_OPTS": f"-Duser.home={self.home}",
        }
