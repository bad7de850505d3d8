# SPDX-License-Identifier: Apache-2.0
"""What is in the output folder before a job: refused, removed or gone on with, and never anything that is not a job's."""

from __future__ import annotations

import io
import os

import pyarrow.parquet as pq
import pytest

from storescope_workloads.errors import UsageError
from storescope_workloads.places import Folder
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import BatchReport
from storescope_workloads.scan.pieces import Cluster, FileLayout
from storescope_workloads.scan.state import FILES, State
from storescope_workloads.settings import StoreSettings

LAYOUT = FileLayout("data", "a.root", 10, "v1", "ttree", "Events", (Cluster(0, 5, 100),), ())


@pytest.fixture(params=["disk", "store"])
def out(request, tmp_path, place, settings):
    return Folder(str(tmp_path / "out") if request.param == "disk" else f"{place}/out", settings)


def state(out, *, resume=False, overwrite=False):
    return State(out, Reduction(Cuts()), resume=resume, overwrite=overwrite)


def begun(out):
    """A job with one complete batch and one that was under way."""
    job = state(out)
    job.look([])
    assert job.begin("plan", [LAYOUT]) == {}
    job.complete(BatchReport(0, {}, {}, {}))
    out.write("pairs/batch=00001/dataset=data/part-00000.parquet", b"rows")
    return out


def test_a_job_is_gone_on_with(out):
    begun(out)
    # As a process leaves it that was killed while it wrote.
    out.write("_job/batch-00001.json.part", b'{"batch": 1')
    job = state(out, resume=True)
    job.look([])
    # And one that was killed before that.
    out.remove(FILES)
    assert list(job.begin("plan", [LAYOUT])) == [0]
    assert pq.read_table(io.BytesIO(out.read(FILES))).to_pylist() == [
        {"file": 0, "dataset": "data", "url": "a.root", "version": "v1", "bytes": 10, "events": 5}
    ]


def test_another_job_is_not_gone_on_with(out):
    with pytest.raises(UsageError, match="holds no job to resume"):
        state(out, resume=True).look([])
    job = state(begun(out), resume=True)
    job.look([])
    with pytest.raises(UsageError, match="holds another job"):
        job.begin("another plan", [LAYOUT])


def test_a_folder_that_is_not_empty_is_refused(out):
    begun(out)
    with pytest.raises(UsageError, match=r"is not empty \(4 files, such as _job/batch-00000.json\); give --overwrite"):
        state(out).look([])


def test_a_job_is_removed_once_the_plan_is_made(out):
    before = begun(out).files()
    job = state(out, overwrite=True)
    job.look(["a.root"])
    assert out.files() == before
    assert job.begin("another plan", [LAYOUT]) == {}
    assert out.files() == ["_job/plan.json", FILES]


@pytest.mark.parametrize("strange", ["a.root", "notes.txt", "sub/result.json", "pairs/2012/a.root", "pairs/notes.txt"])
def test_what_is_no_jobs_is_never_removed(out, strange):
    begun(out).write(strange, b"x")
    with pytest.raises(UsageError, match=f"holds more than a job's output \\({strange}\\)"):
        state(out, overwrite=True).look([])


def test_an_input_is_never_removed(out):
    begun(out)
    name = out.path("pairs/batch=00001/dataset=data/part-00000.parquet")
    with pytest.raises(UsageError, match="holds the input .*part-00000.parquet, which --overwrite would remove"):
        state(out, overwrite=True).look([name])


def test_an_input_is_known_through_links(tmp_path):
    out = begun(Folder(str(tmp_path / "out"), StoreSettings()))
    os.symlink(tmp_path / "out", tmp_path / "link")
    name = str(tmp_path / "link/pairs/batch=00001/dataset=data/part-00000.parquet")
    with pytest.raises(UsageError, match="holds the input"):
        state(out, overwrite=True).look([name])
    with pytest.raises(UsageError, match="holds the input"):
        state(Folder(str(tmp_path / "link"), StoreSettings()), overwrite=True).look([out.path("pairs/x")])


@pytest.mark.parametrize("name", ["plan.json", "batch-00000.json"])
def test_a_state_that_is_cut_off_is_named(out, name):
    begun(out).write(f"_job/{name}", b'{"ba')
    with pytest.raises(UsageError, match=rf"{name}: cannot be read \(.*\), .*; give --overwrite"):
        state(out, resume=True).begin("plan", [LAYOUT])


def test_a_file_is_no_folder(out):
    out.write("a.root", b"x")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="a.root: is a file, not a folder"):
            state(out / "a.root", overwrite=overwrite).look([])
    assert out.read("a.root") == b"x"


def test_of_two_jobs_that_begin_at_once_one_ends(out):
    first, second = state(out), state(out)
    for job in (first, second):
        job.look([])
    first.begin("plan", [LAYOUT])
    with pytest.raises(UsageError, match="another job has begun here meanwhile"):
        second.begin("plan", [LAYOUT])
    assert list(state(out, resume=True).begin("plan", [LAYOUT])) == []


def test_resume_and_overwrite_exclude_each_other(out):
    with pytest.raises(UsageError, match="exclude each other"):
        state(out, resume=True, overwrite=True)
