# SPDX-License-Identifier: Apache-2.0
"""For measurements alone: in each Python process with this folder on PYTHONPATH and ``BENCH_OPENER`` set, executors' among them,
the reduction reads ROOT files through ``uproot.source.fsspec.FSSpecSource`` and the filesystem of that name. Nothing else
changes: the same plan, tasks, columns and cuts."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

TARGET = "storescope_workloads.scan.source"


class _Finder:
    """Finds the module that opens files, and changes it once it is executed."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != TARGET:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                # The loader of a zip file, as Spark ships packages, loads all of its modules.
                if module.__name__ == TARGET:
                    _change(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _change(source: ModuleType) -> None:
    import uproot.source.fsspec

    class PeerSource(uproot.source.fsspec.FSSpecSource):  # type: ignore[misc]
        """A file by a peer's filesystem, with what the reduction asks of a source of its own."""

        def __init__(self, path: str, **options: Any) -> None:
            super().__init__(path, **options)
            self.waited = 0.0
            self.asked: list[tuple[int, int]] | None = []

        def hint(self, *_: object) -> None:
            """No peer takes hints."""

        def chunk(self, start: int, stop: int) -> Any:
            if self.asked is not None:
                self.asked.append((int(start), int(stop)))
            return self._timed(super().chunk)(start, stop)

        def chunks(self, ranges: Any, notifications: Any) -> Any:
            notifications.get = self._timed(notifications.get)
            return super().chunks(ranges, notifications)

        _timed = source.StoreSource._timed

    own = source.source_of

    def source_of(url: str, *rest: Any, **others: Any) -> Any:
        if not source.is_store(url):
            return own(url, *rest, **others)
        path, options = _TOLD[os.environ["BENCH_OPENER"]](url)
        return PeerSource(path, **options)

    source.source_of = source_of


def _s3fs(url: str) -> tuple[str, dict[str, Any]]:
    return f"s3://{_bucket_and_key(url)}", {
        "key": os.environ["AWS_ACCESS_KEY_ID"],
        "secret": os.environ["AWS_SECRET_ACCESS_KEY"],
        "client_kwargs": {"endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"], "region_name": os.environ["AWS_REGION"]},
        "config_kwargs": {"max_pool_connections": 64},
    }


def _ocifs(url: str) -> tuple[str, dict[str, Any]]:
    import fsspec
    import ocifs

    # storescope may have the name by now.
    fsspec.register_implementation("oci", ocifs.OCIFileSystem, clobber=True)
    return url, {
        "config": os.environ["STORESCOPE_CONFIG_FILE"],
        "profile": "DEFAULT",
        "config_kwargs": {"service_endpoint": os.environ["STORESCOPE_OCI_ENDPOINT"]},
        "default_cache_type": "none",
    }


def _bucket_and_key(url: str) -> str:
    authority, _, key = url.partition("://")[2].partition("/")
    return f"{authority.partition('@')[0]}/{key}"


_TOLD = {"s3fs": _s3fs, "ocifs": _ocifs}

if os.environ.get("BENCH_OPENER"):
    sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
