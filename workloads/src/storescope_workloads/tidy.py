# SPDX-License-Identifier: Apache-2.0
"""Cleaning up that must not hide why it is needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


@contextmanager
def tidying(what: str) -> Iterator[None]:
    """An error in the ``with`` is logged, and no more: what it cleans up after is told in its place."""
    try:
        yield
    except Exception as error:
        _log.info("%s: %s", what, error)
