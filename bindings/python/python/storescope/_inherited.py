# SPDX-License-Identifier: Apache-2.0
"""What this process has registered, carried into the processes that it starts by multiprocessing.

A child made by fork has it anyway. One that begins with a fresh interpreter (spawn, forkserver, loky) is handed its
`Process` object by pickle, and with that a dict of what children inherit, such as the key of their connections: what
stands here is put into that dict, and registers itself where it is unpickled.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing.process
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

_lock = threading.Lock()


class Inherited:
    """The protocols that fsspec opens by this package, and the schemes that uproot reads by it."""

    def __init__(self) -> None:
        self._protocols: set[str] = set()
        self._schemes: set[str] = set()

    def carry(self, protocols: Iterable[str] = (), schemes: Iterable[str] = ()) -> None:
        """Registers these in children, too, that are started from now on."""
        with _lock:
            self._protocols.update(protocols)
            self._schemes.update(schemes)
        # Where a Python has no such dict, children register for themselves, as they would without this.
        inherited: dict[str, Any] = getattr(multiprocessing.process.current_process(), "_config", {})
        inherited["storescope"] = self

    def forget_schemes(self) -> None:
        """Children are to read nothing by this package on uproot's account."""
        with _lock:
            self._schemes.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        with _lock:
            return _registered, (sorted(self._protocols), sorted(self._schemes))


INHERITED = Inherited()


def _registered(protocols: list[str], schemes: list[str]) -> Inherited:
    if protocols:
        from .fsspec import register

        register(*protocols)
    if schemes:
        INHERITED.carry(schemes=schemes)
        if "uproot" in sys.modules:
            _install(schemes)
        else:
            sys.meta_path.insert(0, _Uproot(schemes))
    return INHERITED


def _install(schemes: Iterable[str]) -> None:
    from .uproot import install

    install(*schemes)


class _Uproot(importlib.abc.MetaPathFinder):
    """Installs once uproot is imported: a child that never reads by it does not wait for its import."""

    def __init__(self, schemes: list[str]) -> None:
        self.schemes = schemes

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "uproot":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _AndInstall(spec.loader, self)
        return spec


class _AndInstall(importlib.abc.Loader):
    """Runs uproot's module, then installs."""

    def __init__(self, loader: Any, finder: _Uproot) -> None:
        self.loader = loader
        self.finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        _install(self.finder.schemes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)
