# SPDX-License-Identifier: Apache-2.0
"""What the tests run in a fresh process, and in those that it starts: `python inheriting.py NAME URL…`, with the settings
in the environment. The last line is JSON.
"""

from __future__ import annotations

import concurrent.futures
import importlib.util
import json
import multiprocessing
import os
import pickle
import subprocess
import sys

OTHERS = ("ocifs", "s3fs")


def look(url):
    """Who reads a URL here, and what it says."""
    # Whether it is there is asked before it is imported, as many do.
    assert importlib.util.find_spec("uproot")
    import fsspec
    import uproot

    with uproot.open({url: "Events"}) as tree:
        entries, source = tree.num_entries, type(tree.file.source)
    with fsspec.open(url) as file:
        magic = file.read(4)
    return {
        "process": os.getpid(),
        "entries": entries,
        "magic": magic.decode(),
        "source": f"{source.__module__}.{source.__name__}",
        "filesystem": type(file.fs).__module__,
        "others": [name for name in OTHERS if name in sys.modules],
    }


def name_only(url):
    """Whose the scheme of a URL is here, without reading."""
    import fsspec

    return fsspec.get_filesystem_class(url.partition("://")[0]).__module__


def below(url):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(look, (url,))


def in_executor(method, *urls):
    import storescope.uproot

    storescope.uproot.install()
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return list(pool.map(look, urls))


def in_pool(method, *urls):
    import storescope.uproot

    storescope.uproot.install()
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(look, urls)


def in_grandchildren(method, *urls):
    import storescope.uproot

    storescope.uproot.install()
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(below, urls))


def registered_only(method, *urls):
    import storescope

    storescope.register("oci", "s3")
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(name_only, urls)


def after_uninstall(method, *urls):
    import storescope.uproot

    storescope.uproot.install()
    storescope.uproot.uninstall()
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(look, urls)


def without_asking(method, *urls):
    import storescope.fsspec  # noqa: F401

    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(name_only, urls)


def by_handler(*urls):
    """All of uproot's ways to name files, with nothing registered."""
    import uproot

    import storescope.uproot

    chosen = {"handler": storescope.uproot.Source}
    counts = []
    for url in urls:
        pattern = url.replace("0.root", "*.root")
        counts.append(
            [
                uproot.open({url: "Events"}, **chosen).num_entries,
                uproot.open(f"{url}:Events", **chosen).num_entries,
                sum(len(step) for step in uproot.iterate(f"{pattern}:Events", ["met"], **chosen)),
                sum(len(step) for step in uproot.iterate({pattern: "Events"}, ["met"], **chosen)),
                len(uproot.concatenate([f"{url}:Events", f"{pattern}:Events"], ["met"], **chosen)),
                len(uproot.concatenate([{pattern: "Events"}], ["met"], timeout=60, **chosen)),
            ]
        )
    return {"counts": counts, "others": [name for name in OTHERS if name in sys.modules]}


def pickled(*urls):
    """What is pickled here is used in a process where nothing was registered."""
    import fsspec
    import uproot

    import storescope.uproot

    trees = [uproot.open({url: "Events"}, handler=storescope.uproot.Source) for url in urls]
    files = [fsspec.open(f"storescope{url}") for url in urls]
    script = (
        "import pickle, sys, json\n"
        "trees, files, handler = pickle.load(sys.stdin.buffer)\n"
        "magic = [file.open().read(4).decode() for file in files]\n"
        "met = [len(tree['met'].array(library='np')) for tree in trees]\n"
        "print(json.dumps({'magic': magic, 'met': met, 'handler': handler.__name__,\n"
        f"    'others': [name for name in {OTHERS!r} if name in sys.modules]}}))\n"
    )
    given = pickle.dumps((trees, files, storescope.uproot.Source))
    ended = subprocess.run([sys.executable, "-c", script], input=given, stdout=subprocess.PIPE, check=True, timeout=100)
    return json.loads(ended.stdout)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
