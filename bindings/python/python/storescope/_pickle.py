# SPDX-License-Identifier: Apache-2.0
"""How stores and readers are made anew in another process."""

from __future__ import annotations

from typing import Any

from ._storescope import Reader, Store


def _open_store(url: str, options: dict[str, Any] | None) -> Store:
    return Store(url, **(options or {}))


def _open_reader(
    store: Store, key: str, size: int | None, etag: str | None, policy: str, deadline: float | None
) -> Reader:
    return store.reader(key, size=size, etag=etag, policy=policy, deadline=deadline)
