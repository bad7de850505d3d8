# SPDX-License-Identifier: Apache-2.0
"""Options of filesystems: those of `storescope.open_store`, and those of ocifs and s3fs by our names."""

from __future__ import annotations

from typing import Any

from ._storescope import settings

SETTINGS = frozenset(row["name"] for row in settings())
# The callable that gives out credentials is no setting.
CREDENTIALS = "credentials"
SECRETS = frozenset((*(row["name"] for row in settings() if row["secret"]), CREDENTIALS))

# fsspec's own options of any filesystem.
OF_FSSPEC = frozenset(
    ("use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache", "auto_mkdir", "block_size")
)

OF_S3FS = {
    "key": "access_key_id",
    "username": "access_key_id",
    "secret": "secret_access_key",
    "password": "secret_access_key",
    "token": "session_token",
    "endpoint_url": "endpoint",
}


def common_option(name: str, value: Any) -> dict[str, Any] | None:
    """One of any filesystem, by our names; `None` where it means nothing here."""
    if name == "timeout":
        return {"first_byte_timeout": value, "stall_timeout": value}
    return {name: value} if name in SETTINGS or name == CREDENTIALS else None


def picked(name: str, value: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """Options within an option; what is not known is named for the warning."""
    return {known.get(key, f"?{name}[{key}]"): item for key, item in value.items()}


def oci_option(name: str, value: Any) -> dict[str, Any] | None:
    """One of ocifs by our names; `None` where it means nothing here."""
    if name == "config":
        if isinstance(value, dict):
            if not value:
                return {}
            raise ValueError("config: expected the path of a configuration file; write the dict into one")
        return {"config_file": value}
    if name == "iam_type":
        return {"auth": {"oke_principal": "oke_workload_identity"}.get(value, value)}
    if name == "compartment_id":
        return {"compartment": value}
    if name == "config_kwargs":
        known = {"service_endpoint": "endpoint"}
        return picked(name, value, known)
    if name == "anon":
        return {"auth": "none"} if value else {}
    return common_option(name, value)


def s3_option(name: str, value: Any) -> dict[str, Any] | None:
    """One of s3fs by our names; `None` where it means nothing here."""
    if name == "anon":
        return {"auth": "none"} if value else {}
    if name == "profile":
        return {"aws_profile": value}
    if name == "config_kwargs":
        taken = picked(
            name,
            {key: item for key, item in value.items() if key not in ("s3", "retries", "read_timeout")},
            {"max_pool_connections": "max_connections", "connect_timeout": "connect_timeout", "region_name": "region"},
        )
        if "read_timeout" in value:
            taken.update(common_option("timeout", value["read_timeout"]) or {})
        style = value.get("s3", {}).get("addressing_style")
        if style in ("path", "virtual"):
            taken["s3_path_style"] = style == "path"
        retries = value.get("retries", {})
        if attempts := retries.get("total_max_attempts", retries.get("max_attempts")):
            taken["attempts"] = attempts
        return taken
    if name == "client_kwargs":
        known = {
            "region_name": "region",
            "endpoint_url": "endpoint",
            "aws_access_key_id": "access_key_id",
            "aws_secret_access_key": "secret_access_key",
            "aws_session_token": "session_token",
        }
        if isinstance(value.get("verify"), str):
            known["verify"] = "ca_bundle"
        return picked(name, value, known)
    if name in OF_S3FS:
        return {OF_S3FS[name]: value}
    return common_option(name, value)
