# SPDX-License-Identifier: Apache-2.0
"""ocifs beside this package, once `oci` is ours."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from typing import TYPE_CHECKING, Any

from fsspec.registry import _registry, register_implementation  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from types import ModuleType


def make_room() -> None:
    """Lets ocifs be imported from now on, although `oci` is not its own."""
    if not any(isinstance(finder, _Ocifs) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Ocifs())


class _Ocifs(importlib.abc.MetaPathFinder):
    """Lets ocifs be imported although `oci` is ours: its import registers the name, and fails where another has it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != "ocifs":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _AsideFor(spec.loader)
        return spec


class _AsideFor(importlib.abc.Loader):
    """Runs a module while `oci` is nobody's, and takes the name again."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        ours = _registry.pop("oci", None)
        try:
            self.loader.exec_module(module)
        finally:
            if ours is not None:
                register_implementation("oci", ours, clobber=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
