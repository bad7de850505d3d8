# SPDX-License-Identifier: Apache-2.0
"""Data sets from YAML: what is found where, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from storescope_workloads.errors import UsageError
from storescope_workloads.reduction.datasets import Datasets, load, of_files
from storescope_workloads.settings import StoreSettings

LOCAL = StoreSettings()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Files of three data sets, and a place for the YAML beside them."""
    for name in ("data/a.root", "data/b.root", "data/notes.txt", "z/z1.root", "z/deep/z2.root", "w.root"):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def read(folder: Path, text: str, settings: StoreSettings = LOCAL) -> Datasets:
    path = folder / "d.yaml"
    path.write_text(text)
    return load(path, settings)


def names(folder: Path, told: Datasets) -> dict[str, list[str]]:
    return {one.name: [str(Path(file.url).relative_to(folder / "files")) for file in one.files] for one in told.datasets}


def test_names_globs_and_lists_relative_to_the_file(folder, monkeypatch):
    monkeypatch.chdir("/")
    told = read(folder, f"""
tree: T
luminosity_pb: 11467
datasets:
  - {{name: SingleMu, files: files/data/*.root}}
  - {{name: DY+Jets-1.5, kind: mc, cross_section_pb: 3531.15, files: [files/z/**/*.root, "files/z/z1.root"]}}
  - {{name: W, kind: mc, files: ["{folder}/files/w.root"]}}
""")
    assert names(folder, told) == {"SingleMu": ["data/a.root", "data/b.root"], "DY+Jets-1.5": ["z/deep/z2.root", "z/z1.root"], "W": ["w.root"]}
    assert (told.tree, told.luminosity_pb) == ("T", 11467.0)
    assert [(one.kind, one.cross_section_pb) for one in told.datasets] == [("data", None), ("mc", 3531.15), ("mc", None)]
    assert told.datasets[0].files[0].size == len("data/a.root")


def test_defaults():
    assert (Datasets([]).tree, Datasets([]).luminosity_pb) == ("Events", None)


def test_files_of_the_command_line_are_one_data_set(folder):
    told = of_files([f"{folder}/files/data/*.root", f"{folder}/files/w.root", f"{folder}/files/data/a.root"], LOCAL)
    assert names(folder, told) == {"data": ["data/a.root", "data/b.root", "w.root"]}
    with pytest.raises(UsageError, match="none/.*root: no file matches"):
        of_files([f"{folder}/none/*.root"], LOCAL)


def test_files_in_a_store(folder, place, store, settings):
    for name in ("mu/a.root", "mu/b.root", "dy/c.root"):
        store.put(name, b"x" * 10)
    told = read(folder, f"""
datasets:
  - {{name: mu, files: "{place}/mu/*.root"}}
  - {{name: dy, kind: mc, files: "{place}/dy/c.root"}}
""", settings)
    assert [[file.url for file in one.files] for one in told.datasets] == [
        [f"{place}/mu/a.root", f"{place}/mu/b.root"], [f"{place}/dy/c.root"]]
    assert all(file.size == 10 and file.version for one in told.datasets for file in one.files)
    with pytest.raises(UsageError, match=f"data set mu: {re.escape(place)}/nu/.*root: no file matches"):
        read(folder, f'datasets: [{{name: mu, files: "{place}/nu/*.root"}}]', settings)


MU = "{name: mu, files: files/data/*.root}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"datasets: [{MU}, {{name: mu, files: files/w.root}}]", "datasets has two data sets of the name mu"),
        (f"datasets: [{MU}, {{name: nu, files: files/data/a.root}}]", "data/a.root is in two data sets, mu and nu"),
        ("datasets: [{name: mu, files: files/none/*.root}]", "data set mu: {folder}/files/none/*.root: no file matches"),
        ("datasets: [{name: mu, files: [files/w.root, files/v.root]}]", "data set mu: {folder}/files/v.root: no file matches"),
        ("datasets: [{name: mu, files: files/data}]", "data set mu: {folder}/files/data: is a folder"),
        ("datasets: [{name: mu, files: 'http://x/y.root'}]", "the scheme http:// is not known"),
        ("datasets: []", "datasets must be a list of data sets, with one at least"),
        ("tree: Events", "datasets must be a list of data sets"),
        ("datasets: {mu: files/w.root}", "datasets must be a list of data sets"),
        ("datasets: [files/w.root]", "datasets[1] is the text 'files/w.root', but must be a mapping"),
        ("datasets: [{files: files/w.root}]", "datasets[1].name is missing"),
        ("datasets: [{name: a/b, files: files/w.root}]", "datasets[1].name is 'a/b', but must name a folder"),
        ("datasets: [{name: '2012', files: files/w.root}]", "datasets[1].name is '2012'"),
        ("datasets: [{name: .., files: files/w.root}]", "datasets[1].name is '..'"),
        ("datasets: [{name: 'a=b', files: files/w.root}]", "datasets[1].name is 'a=b'"),
        ("datasets: [{name: 'a%b', files: files/w.root}]", "datasets[1].name is 'a%b'"),
        (f"datasets: [{{name: {'m' * 101}, files: files/w.root}}]", "but must name a folder"),
        ("datasets: [{name: 12, files: files/w.root}]", "datasets[1].name is the number 12, but must be a text"),
        ("datasets: [{name: mu}]", "datasets[1].files must be a URL, a path or a glob"),
        ("datasets: [{name: mu, files: []}]", "datasets[1].files must be"),
        ("datasets: [{name: mu, files: [1]}]", "datasets[1].files must be"),
        ("datasets: [{name: mu, kind: Data, files: files/w.root}]", "datasets[1].kind is the text 'Data', but must be one of data, mc"),
        ("datasets: [{name: mu, cross_section_pb: 3, files: files/w.root}]", "datasets[1].cross_section_pb is of simulated data only"),
        ("datasets: [{name: mu, kind: mc, cross_section_pb: -3, files: files/w.root}]", "cross_section_pb is the number -3, but must be greater than 0"),
        ("datasets: [{name: mu, kind: mc, cross_section_pb: '3 pb', files: files/w.root}]", "cross_section_pb is the text '3 pb'"),
        ("datasets: [{name: mu, xsec: 3, files: files/w.root}]",
         "datasets[1].xsec is not a known key; known are name, kind, cross_section_pb, files"),
        (f"lumi: 3\ndatasets: [{MU}]", "lumi is not a known key; known are tree, luminosity_pb, datasets"),
        (f"luminosity_pb: 0\ndatasets: [{MU}]", "luminosity_pb is the number 0, but must be greater than 0"),
        (f"tree: 3\ndatasets: [{MU}]", "tree is the number 3, but must be a text"),
        ("datasets: [", "is not valid YAML"),
    ],
)
def test_mistakes_are_named(folder, text, message):
    with pytest.raises(UsageError) as told:
        read(folder, text)
    assert message.replace("{folder}", str(folder)) in str(told.value)
    assert "d.yaml" in str(told.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="none.yaml: cannot be read"):
        load(tmp_path / "none.yaml", LOCAL)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="bytes.yaml: cannot be read"):
        load(tmp_path / "bytes.yaml", LOCAL)


def test_the_example_is_one(server, folder, settings):
    """With its bucket exchanged for one that is there, and a file under each pattern."""
    import storescope

    example = (Path(__file__).parents[1] / "examples" / "datasets.yaml").read_text()
    patterns = re.findall(r"oci://open-data@my-namespace/(\S+)\*\.root", example)
    url = f"oci://open-data@{server.oci['namespace']}/"
    storescope.create_bucket(url, **settings.options())
    store = storescope.open_store(url, **settings.options())
    for pattern in patterns:
        store.put(f"{pattern}1.root", b"x")
    told = read(folder, example.replace("oci://open-data@my-namespace/", url), settings)
    assert told.luminosity_pb == 11467
    assert [one.kind for one in told.datasets] == ["data"] + 14 * ["mc"]
    sections = {one.name: one.cross_section_pb for one in told.datasets}
    assert sections["DYJetsToLL"] == 3531.15 and sections["W3JetsToLNu"] == 640 and None not in list(sections.values())[1:]
    assert sum(len(one.files) for one in told.datasets) == len(patterns) == 16
    assert len(yaml.safe_load(example)["datasets"]) == 15
