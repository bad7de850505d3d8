# SPDX-License-Identifier: Apache-2.0
"""Python's side of `credentials=`: calls the callable, and reads what it gives."""

from __future__ import annotations

import _thread
import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol


class Answer(Protocol):
    """Where the answer goes."""

    def give(self, kind: str, texts: tuple[str, str, str | None], ends: float | None, on_behalf_of: str | None) -> None: ...
    def fail(self, error: BaseException, text: str) -> None: ...


# Each name, and what else is taken for it: the names of AWS's security token service.
_NAMES = {
    "access_key_id": ("AccessKeyId",),
    "secret_access_key": ("SecretAccessKey",),
    "session_token": ("SessionToken", "Token"),
    "key_id": (),
    "tenancy": (),
    "user": (),
    "fingerprint": (),
    "token": (),
    "key": ("key_content",),
    "pass_phrase": (),
    "delegation_token": (),
    "expires": ("Expiration",),
}

_EXPECTED = (
    "access_key_id and secret_access_key (S3); key with key_id, with token, or with tenancy, user and fingerprint (OCI)"
)


def begin(provide: Callable[[], object], answer: Answer) -> None:
    """Call `provide` on a thread of its own."""
    try:
        _thread.start_new_thread(run, (provide, answer))
    except BaseException as error:  # Python starts no thread any more.
        answer.fail(error, _said(error))


def run(provide: Callable[[], object], answer: Answer) -> None:
    """Call `provide`, and tell what it gave or raised."""
    try:
        told = read(provide())
    except BaseException as error:
        answer.fail(error, _said(error))
    else:
        answer.give(*told)


def read(given: object) -> tuple[str, tuple[str, str, str | None], float | None, str | None]:
    """The kind of a credential, its texts, when it ends, and who it is used on behalf of."""
    if inspect.isawaitable(given):
        if inspect.iscoroutine(given):
            given.close()
        raise TypeError("credentials: the callable is asynchronous; give one that returns what it found")
    found = _found(given)
    ends, on_behalf_of = _seconds(found.pop("expires", None)), _text(found, "delegation_token")
    if "access_key_id" in found or "secret_access_key" in found:
        texts = _needed(found, "access_key_id"), _needed(found, "secret_access_key"), _text(found, "session_token")
        return "access_key", texts, ends, None
    if "token" in found:
        kind, named = "token", _needed(found, "token")
    elif "key_id" in found:
        kind, named = "key_id", _needed(found, "key_id")
    else:
        kind, named = "key_id", "/".join(_needed(found, name) for name in ("tenancy", "user", "fingerprint"))
    return kind, (named, _pem(found), _text(found, "pass_phrase")), ends, on_behalf_of


def _found(given: object) -> dict[str, Any]:
    """What is given, by our names: of a mapping its items, of anything else its attributes."""
    if isinstance(given, Mapping):
        unknown = sorted(str(name) for name in given if not any(name in (own, *also) for own, also in _NAMES.items()))
        if unknown:
            raise ValueError(f"credentials: {', '.join(unknown)} means nothing; expected {_EXPECTED}")

    def take(name: str) -> Any:
        return given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)

    found = {}
    for own, also in _NAMES.items():
        values = [value for value in map(take, (own, *also)) if value is not None]
        if values:
            found[own] = values[0]
    if not found:
        raise TypeError(f"credentials: the callable gave {type(given).__name__}; expected {_EXPECTED}")
    return found


def _needed(found: dict[str, Any], name: str) -> str:
    text = _text(found, name)
    if not text:
        raise ValueError(f"credentials: {name} is missing; expected {_EXPECTED}")
    return text


def _pem(found: dict[str, Any]) -> str:
    """The key in PEM; one of the package `cryptography` is written so."""
    key: Any = found.get("key")
    if not hasattr(key, "private_bytes"):
        return _needed(found, "key")
    forms = importlib.import_module("cryptography.hazmat.primitives.serialization")
    pem: bytes = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    return pem.decode()


def _text(found: dict[str, Any], name: str) -> str | None:
    value = found.get(name)
    if isinstance(value, bytes | bytearray):
        value = value.decode()
    if value is not None and not isinstance(value, str):
        raise TypeError(f"credentials: {name}: expected text, not {type(value).__name__}")
    return value


def _seconds(ends: object) -> float | None:
    """A time in seconds since 1970."""
    if ends is None:
        return None
    if isinstance(ends, int | float) and not isinstance(ends, bool):
        return float(ends)
    if isinstance(ends, str):
        ends = datetime.fromisoformat(ends)
    if not isinstance(ends, datetime):
        raise TypeError(f"credentials: expires: expected a datetime, seconds or ISO 8601, not {type(ends).__name__}")
    if ends.tzinfo is None:
        raise ValueError("credentials: expires has no time zone: add tzinfo=timezone.utc, or what it is")
    return ends.timestamp()


def _said(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception_only(error)).strip()
    except BaseException:
        return type(error).__name__
