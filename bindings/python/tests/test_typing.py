# SPDX-License-Identifier: Apache-2.0
"""What the stubs say is what there is, and all of it is typed; modules import downwards."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import storescope


def test_the_stubs_say_what_there_is(tmp_path):
    checked = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "storescope", "--allowlist", str(allowed(tmp_path))],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "no issues found" in checked.stdout


def allowed(folder):
    """What differs, and why."""
    names = [
        # PEP 688 gives it to classes of C from 3.12 on.
        r"storescope\._storescope\.Buffer\.__buffer__",
        # fsspec tells no types, its metaclass among them.
        r"storescope\.fsspec\.(Store|Oci|S3)FileSystem",
        r"storescope\._fsspec_\w+\.FileSystem(Base|Lookup|Reads|Writes|Moves|Files)",
        r"storescope\._fsspec_\w+\.(AsyncFileSystem|FSMap).*",
        # A cache around a function: mypy forgets the parameters.
        r"storescope\._uproot_stores\._opened",
    ]
    file = folder / "allowed"
    file.write_text("\n".join(names) + "\n")
    return file


def test_all_that_is_public_is_typed(tmp_path):
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal", "--verifytypes", "storescope"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        # The interpreter that it asks is the first there.
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        timeout=300,
    )
    report = json.loads(checked.stdout)["typeCompleteness"]
    unknown = [symbol["name"] for symbol in report["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    assert unknown == [] and report["completenessScore"] == 1.0 and checked.returncode == 0
    assert report["exportedSymbolCounts"]["withKnownType"] > 50


# A module imports from those above it here, whether when it is loaded, in a function or for its types.
FLOORS = [
    {"_calls", "_credentials", "_errors", "_inherited", "_local", "_storescope"},
    {"_file", "_fsspec_names", "_fsspec_ocifs", "_fsspec_options", "_fsspec_typed", "_pickle", "_profile", "_spark"},
    {"_fsspec_calls"},
    {"_fsspec_base", "_fsspec_map", "_uproot_clusters", "tfrecord"},
    {"_fsspec_files", "_uproot_hooks", "_uproot_plan"},
    {"_fsspec_keywords"},
    {"_fsspec_lookup"},
    {"_fsspec_read"},
    {"_fsspec_write"},
    {"_fsspec_move"},
    {"_fsspec_open"},
    {"fsspec"},
    {"_uproot_stores", "upath"},
    {"_uproot_source"},
    {"uproot"},
    {"__init__"},
]


def test_modules_import_downwards():
    floors = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    modules = {path.stem: path for path in Path(storescope.__file__).parent.glob("*.py")}
    assert {*modules, "_storescope"} == set(floors)
    for name, path in modules.items():
        for imported in imports_of(path):
            assert floors[imported] < floors[name], f"{name} imports {imported}"


def imports_of(path):
    """The modules of the package that a module imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from ((name[1] if name[1:] else "__init__") for name in names if name[0] == "storescope")
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "storescope"):
            module = (node.module or "").removeprefix("storescope").lstrip(".")
            yield from [module.split(".")[0]] if module else [alias.name for alias in node.names]
