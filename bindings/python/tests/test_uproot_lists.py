# SPDX-License-Identifier: Apache-2.0
"""What goes through uproot's lists of files: globs, iterate, concatenate; by `handler=` and by `install`."""

from __future__ import annotations

import uuid

import pytest
import uproot
import uproot_files

import storescope
import storescope.uproot

pytestmark = pytest.mark.timeout(120)

COLUMNS = ["Muon_pt", "met"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for number in range(3):
        uproot_files.write_tree(folder / f"tree{number}.root", baskets=number + 2, entries=1_000)
    return folder


@pytest.fixture(scope="module")
def folder(bucket, options, made):
    """A prefix with the files."""
    prefix = f"{bucket}{uuid.uuid4().hex}/"
    store = storescope.open_store(prefix, **options)
    for path in made.iterdir():
        store.put(path.name, path.read_bytes())
    return prefix


@pytest.fixture(params=["handler", "installed"])
def chosen(request, service, options):
    """The options that make uproot read by storescope."""
    if request.param == "handler":
        storescope.register(service)
        yield {**options, "handler": storescope.uproot.Source}
    else:
        storescope.uproot.install(service)
        yield options
        storescope.uproot.uninstall()


@pytest.fixture
def expected(made):
    return uproot.concatenate([{path: "Events"} for path in sorted(made.iterdir())], COLUMNS)


@pytest.fixture(autouse=True)
def all_read_by_storescope(seen):
    yield
    agents = {line["user_agent"] for line in seen()}
    assert agents
    assert all(agent.startswith("storescope/") for agent in agents)


def test_concatenate_expands_a_glob(folder, chosen, expected):
    found = uproot.concatenate(f"{folder}tree*.root:Events", COLUMNS, **chosen)
    uproot_files.assert_same(found, expected)


def test_iterate_goes_through_a_list(folder, chosen, expected):
    files = [f"{folder}tree{number}.root:Events" for number in range(3)]
    steps = list(uproot.iterate(files, COLUMNS, step_size=700, report=True, **chosen))
    assert sum(len(arrays) for arrays, _ in steps) == len(expected)
    assert [report.global_entry_stop for _, report in steps][-1] == len(expected)


def test_the_long_schemes_need_nothing_but_the_handler(folder, options, expected):
    long = f"storescope+{folder}tree*.root:Events"
    found = uproot.concatenate(long, COLUMNS, handler=storescope.uproot.Source, **options)
    uproot_files.assert_same(found, expected)


def test_a_missing_object_in_the_middle_of_a_list(folder, chosen):
    files = [f"{folder}{name}.root:Events" for name in ("tree0", "nothing", "tree2")]
    steps = uproot.iterate(files, COLUMNS, step_size="100 MB", **chosen)
    assert len(next(steps)) == 2_000
    with pytest.raises(FileNotFoundError, match=r"nothing\.root"):
        next(steps)


def test_a_file_that_is_not_root_in_the_middle_of_a_list(folder, options, chosen):
    storescope.open_store(folder, **options).put("other.root", b"PAR1" * 1000)
    files = [f"{folder}{name}.root:Events" for name in ("tree0", "other", "tree2")]
    steps = uproot.iterate(files, COLUMNS, **chosen)
    assert len(next(steps)) == 2_000
    with pytest.raises(ValueError, match="not a ROOT file"):
        next(steps)
