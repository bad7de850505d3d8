# SPDX-License-Identifier: Apache-2.0
"""However an object is fetched into a local file and whatever goes wrong: the file is whole, or what it was."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import fsspec
import pytest
import serving
from fsspec.callbacks import Callback

import storescope

# Several pieces.
DATA = bytes(range(256)) * (9 << 12)
OLD = b"precious"


@pytest.fixture
def fs(service, options):
    quick = {"attempts": 2, "backoff_base": 0.001, "part_size": "5MiB", "stall_timeout": 5}
    return fsspec.filesystem(f"storescope+{service}", **options, **quick)


@pytest.fixture
def root(bucket, served):
    return f"{bucket.partition('://')[2]}downloads"


@pytest.fixture(scope="module")
def served(bucket, options):
    store = storescope.open_store(f"{bucket}downloads/", **options)
    store.put("broken", DATA)
    store.put("good", DATA[::-1])


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def holds(folder):
    """The files of a folder, hidden ones as well."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def status(number, code):
    return {"status": {"status": number, "code": code}}


# What goes wrong: from which request on, how, and what is raised.
WRONG = {
    "404": (1, status(404, "ObjectNotFound"), FileNotFoundError),
    "403": (1, status(403, "NotAllowed"), PermissionError),
    "reset": (1, "reset", OSError),
    "truncated": (1, {"truncate": {"after": 1000}}, OSError),
    "404 later": (2, status(404, "ObjectNotFound"), OSError),
    "403 later": (2, status(403, "NotAllowed"), PermissionError),
    "reset later": (2, "reset", OSError),
    "truncated later": (2, {"truncate": {"after": 0}}, OSError),
    "ignored range": (2, "ignore_range", OSError),
}

WAYS = {
    "get_file": lambda fs, root, folder: fs.get_file(f"{root}/broken", str(folder / "broken")),
    "get_file of a Path": lambda fs, root, folder: fs.get_file(f"{root}/broken", folder / "broken"),
    "get": lambda fs, root, folder: fs.get(f"{root}/broken", str(folder / "broken")),
    "get into a folder": lambda fs, root, folder: fs.get(f"{root}/broken", f"{folder}/"),
    "get of two": lambda fs, root, folder: fs.get(
        [f"{root}/broken", f"{root}/good"], [str(folder / "broken"), str(folder / "good")]
    ),
    "get of a pattern": lambda fs, root, folder: fs.get(f"{root}/*", f"{folder}/"),
    "get of a tree": lambda fs, root, folder: fs.get(f"{root}/", f"{folder}/", recursive=True),
    "download": lambda fs, root, folder: fs.download(f"{root}/broken", str(folder / "broken")),
}


@pytest.fixture
def breaks(server):
    """Requests for the broken object, from one on."""

    def breaks(nth, action):
        server.fault({"method": "GET", "contains": "broken", "nth": nth, "count": 1_000_000, "action": action})

    yield breaks
    server.admin("DELETE", "/faults")


@pytest.mark.parametrize("way", WAYS)
def test_a_download_is_whole(way, fs, root, folder):
    (folder / "broken").write_bytes(OLD)
    (folder / "broken").chmod(0o640)
    WAYS[way](fs, root, folder)
    several = way in ("get of two", "get of a pattern", "get of a tree")
    assert holds(folder) == {"broken": DATA, **({"good": DATA[::-1]} if several else {})}
    assert stat.S_IMODE((folder / "broken").stat().st_mode) == 0o640


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("way", WAYS)
def test_a_download_that_fails_leaves_what_was_there(way, wrong, there, fs, root, folder, breaks):
    nth, action, raised = WRONG[wrong]
    if there:
        (folder / "broken").write_bytes(OLD)
    breaks(nth, action)
    with pytest.raises(raised):
        WAYS[way](fs, root, folder)
    found = holds(folder)
    # Another may have come, or not.
    assert found.pop("good", DATA[::-1]) == DATA[::-1]
    assert found == ({"broken": OLD} if there else {})


def test_a_full_disk(fs, root, folder):
    (folder / "broken").write_bytes(OLD)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((8 << 20) + 1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            fs.get_file(f"{root}/broken", str(folder / "broken"))
        with pytest.raises(OSError, match="File too large"):
            fs.get_file(f"{root}/broken", str(folder / "new"))
        for buffering in (0, -1):
            with open(folder / "broken", "r+b", buffering=buffering) as file:
                file.seek(0, os.SEEK_END)
                with pytest.raises(OSError, match="File too large"):
                    fs.get_file(f"{root}/broken", file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert holds(folder) == {"broken": OLD}
    with pytest.raises(OSError, match="No space left"):
        fs.get_file(f"{root}/broken", "/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_file_that_may_not_be_written(fs, root):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "broken").write_bytes(OLD)
        (folder / "broken").chmod(0o444)
        (folder / "locked").mkdir(mode=0o755)
        (folder / "locked" / "broken").write_bytes(OLD)
        child = os.fork()
        if child == 0:
            wrong = 1
            try:
                fs.get_file(f"{root}/broken", str(folder / "whole"))
                if os.geteuid() == 0:
                    os.chown(folder / "broken", 65534, 65534)
                    os.setuid(65534)
                else:
                    (folder / "locked").chmod(0o555)
                for path in (folder / "broken", folder / "locked" / "broken", folder / "locked" / "new"):
                    with pytest.raises(PermissionError) as raised:
                        fs.get_file(f"{root}/broken", str(path))
                    assert raised.value.filename == str(path)
                wrong = 0
            finally:
                os._exit(wrong)
        assert os.waitpid(child, 0)[1] == 0
        (folder / "locked").chmod(0o755)
        assert holds(folder) == {"broken": OLD, "locked/broken": OLD, "whole": DATA}


class Cancelling(Callback):
    """Cancels once the first piece is there."""

    def relative_update(self, inc=1):
        super().relative_update(inc)
        assert self.size == len(DATA) > inc
        asyncio.current_task().cancel()


def test_a_download_that_is_cancelled(service, options, root, folder, fs):
    (folder / "broken").write_bytes(OLD)

    async def cancelled():
        of_loop = fsspec.filesystem(f"storescope+{service}", asynchronous=True, **options)
        await of_loop._get_file(f"{root}/broken", str(folder / "broken"), callback=Cancelling())

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert holds(folder) == {"broken": OLD}


INTERRUPTED = """
import fsspec, json, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
about = json.loads(sys.argv[1])
class Waiting(fsspec.callbacks.Callback):
    def relative_update(self, inc=1):
        print("reading", flush=True)
        threading.Event().wait()
fsspec.filesystem(about["protocol"], **about["options"]).get_file(about["path"], about["local"], callback=Waiting())
"""


def test_a_download_that_is_interrupted(service, options, root, folder, fs):
    (folder / "broken").write_bytes(OLD)
    about = {"protocol": f"storescope+{service}", "options": options}
    about |= {"path": f"{root}/broken", "local": str(folder / "broken")}
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, json.dumps(about)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "reading\n", child.stderr.read()
        assert len(holds(folder)) == 2
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGINT and err.rstrip().endswith("KeyboardInterrupt"), err
    assert holds(folder) == {"broken": OLD}


def told(folder, *options):
    """What the command line tells of the unfinished downloads of a folder."""
    command = [serving.binary(), "downloads", str(folder), "--json", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_download_that_is_killed(service, options, root, folder, fs):
    """The file is as it was; what is left is listed, and removed by the command line, but not while it is under way."""
    (folder / "broken").write_bytes(OLD)
    about = {"protocol": f"storescope+{service}", "options": options}
    about |= {"path": f"{root}/broken", "local": str(folder / "broken")}
    sweep = ("--remove", "--older-than", "0s")
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, json.dumps(about)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "reading\n"
        assert [partial["under_way"] for partial in told(folder)] == [True]
        assert told(folder, *sweep) == []
        child.kill()
        child.wait(60)
    assert (folder / "broken").read_bytes() == OLD and len(holds(folder)) == 2
    assert [partial["under_way"] for partial in told(folder)] == [False]
    assert [partial["removed"] for partial in told(folder, *sweep)] == [True]
    assert holds(folder) == {"broken": OLD}


def test_links_are_followed(fs, root, folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "file").write_bytes(OLD)
    (folder / "link").symlink_to("elsewhere/file")
    (folder / "dangling").symlink_to("elsewhere/new")
    (folder / "lost").symlink_to("nowhere/new")
    for name in ("link", "dangling"):
        fs.get_file(f"{root}/broken", str(folder / name))
        assert (folder / name).is_symlink()
    with pytest.raises(FileNotFoundError) as raised:
        fs.get_file(f"{root}/broken", str(folder / "lost"))
    assert raised.value.filename == str(folder / "lost")
    assert holds(folder / "elsewhere") == {"file": DATA, "new": DATA}
    (folder / "round").symlink_to("round")
    with pytest.raises(OSError, match="symbolic links"):
        fs.get_file(f"{root}/broken", str(folder / "round"))


def test_what_may_be_read_of_a_new_file_is_the_umasks(fs, root, folder):
    before = os.umask(0o027)
    try:
        fs.get_file(f"{root}/broken", str(folder / "new"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o640


def test_a_relative_path(fs, root, folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("broken").write_bytes(OLD)
    fs.get_file(f"{root}/broken", "broken")
    fs.get_file(f"{root}/good", "good")
    assert holds(folder) == {"broken": DATA, "good": DATA[::-1]}


def test_pipes_are_written_as_they_are(fs, root, folder):
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    fs.get_file(f"{root}/broken", str(pipe))
    reader.join()
    assert got == [DATA] and stat.S_ISFIFO(pipe.stat().st_mode) and os.listdir(folder) == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_a_descriptor_is_written_as_it_is(name, fs, root, folder, service, options):
    if name == "link":
        (folder / "link").symlink_to("/dev/stdout")
        name = str(folder / "link")
    script = (
        "import fsspec, json, os, sys\n"
        "about = json.loads(sys.argv[1])\n"
        "fsspec.filesystem(about['protocol'], **about['options']).get_file(about['path'], about['local'])\n"
        "os.lseek(1, 0, os.SEEK_END)\n"
        "os.write(1, b'the end')\n"
    )
    about = {"protocol": f"storescope+{service}", "options": options, "path": f"{root}/broken", "local": name}
    with open(folder / "out", "wb") as out:
        subprocess.run([sys.executable, "-c", script, json.dumps(about)], stdout=out, check=True, timeout=60)
    assert (folder / "out").read_bytes() == DATA + b"the end"
    assert sorted(os.listdir(folder)) == sorted({"out", *(["link"] if name.endswith("link") else [])})


def test_folders(fs, root, folder):
    with pytest.raises(IsADirectoryError) as raised:
        fs.get_file(f"{root}/broken", str(folder))
    assert raised.value.filename == str(folder)
    with pytest.raises(FileNotFoundError) as raised:
        fs.get_file(f"{root}/broken", str(folder / "nowhere" / "broken"))
    assert raised.value.filename == str(folder / "nowhere" / "broken")
    assert os.listdir(folder) == []
    fs.get_file(root, str(folder / "made"))
    fs.get_file(root, str(folder / "made"))
    assert os.listdir(folder) == ["made"] and os.listdir(folder / "made") == []


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_object_is_what_it_was(wrong, fs, root, folder, breaks):
    nth, action, raised = WRONG[wrong]
    fs.get_file(f"{root}/broken", whole := io.BytesIO())
    assert whole.getvalue() == DATA
    breaks(nth, action)
    memory = io.BytesIO()
    memory.write(OLD)
    with pytest.raises(raised):
        fs.get_file(f"{root}/broken", memory)
    assert memory.getvalue() == OLD and memory.tell() == len(OLD)
    (folder / "broken").write_bytes(OLD)
    for buffering in (0, -1):
        with open(folder / "broken", "ab", buffering=buffering) as file:
            with pytest.raises(raised):
                fs.get_file(f"{root}/broken", file)
    assert holds(folder) == {"broken": OLD}


class Narrow(io.RawIOBase):
    """Takes little at once, as an unbuffered pipe does."""

    def __init__(self):
        self.taken = bytearray()

    def write(self, data):
        self.taken += data[: 1 << 20]
        return min(len(data), 1 << 20)

    def tell(self):
        return len(self.taken)


def test_an_unbuffered_file_gets_all_of_it(fs, root):
    narrow = Narrow()
    fs.get_file(f"{root}/broken", narrow)
    assert narrow.taken == DATA


@pytest.mark.parametrize("cache", ["simplecache", "filecache"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_cache_holds_what_is_whole(wrong, cache, fs, root, folder, breaks, server):
    nth, action, raised = WRONG[wrong]
    cached = fsspec.filesystem(cache, fs=fs, cache_storage=str(folder))
    breaks(nth, action)
    with pytest.raises(raised):
        cached.open(f"{root}/broken")
    assert [size for size in map(len, holds(folder).values()) if size > 10_000] == []
    server.admin("DELETE", "/faults")
    with cached.open(f"{root}/broken") as file:
        assert file.read() == DATA
