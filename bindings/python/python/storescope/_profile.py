# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: a scope for what runs inside a `with`."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any

from ._storescope import Scope

CURRENT: ContextVar[Scope | None] = ContextVar("storescope.profile", default=None)


class Profile:
    """What was recorded inside a `with storescope.profile()`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._entered: list[Token[Scope | None]] = []

    def __enter__(self) -> Profile:
        self._entered.append(CURRENT.set(self.scope))
        return self

    def __exit__(self, *_: Any) -> None:
        CURRENT.reset(self._entered.pop())


def profile(name: str = "profile") -> Profile:
    """Record the requests that this context makes."""
    return Profile(Scope(name, CURRENT.get()))
