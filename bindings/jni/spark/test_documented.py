# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/HADOOP.md, as it stands there; and what it says of the lines that one might leave out."""

from __future__ import annotations

import re

import documented
import pytest


@pytest.mark.timeout(400)
@pytest.mark.parametrize("example", documented.examples(), ids=str)
def test_a_command(reader, example):
    reader(example)


def test_there_are_as_many_as_the_document_has():
    text = documented.DOCUMENT.read_text()
    commands = [command for example in documented.examples() for command in example.commands]
    assert len(commands) == len(re.findall(r"^\$ ", text, re.MULTILINE)) >= 9
    # The versions are those of the tests of the tables.
    pins = (documented.DOCUMENT.parent.parent / "bindings/jni/spark/pom.xml").read_text()
    for group, artifact, version in set(re.findall(r"--packages ([\w.]+):([\w.-]+):([\w.]+)", text)):
        assert f"<groupId>{group}</groupId>" in pins
        assert re.search(rf"<artifactId>{artifact}</artifactId>\s*<version>{version}</version>", pins), artifact


def test_in_executors_of_their_own(reader, examples):
    """The jar reaches executors as it reached the driver: by --jars alone."""
    reader(examples[0], lambda script: script.replace("spark-submit ", "spark-submit --master 'local-cluster[2,1,1024]' ", 1))


def test_without_its_line_the_scheme_is_not_known(folder, examples):
    script = re.sub(r"--conf spark\.hadoop\.fs\.oci\.impl=\S+", "", examples[0].script())
    assert script != examples[0].script()
    ran = folder.run(script)
    assert ran.returncode != 0
    assert 'No FileSystem for scheme "oci"' in ran.stdout + ran.stderr
