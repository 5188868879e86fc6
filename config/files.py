"""How the settings of files are read, and which of them go together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def read_storage_url(value: str) -> str:
    """A bucket, perhaps with a prefix. :raises ValueError: with the reason."""
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*", value):
        raise ValueError("must be a bucket such as s3://bucket or s3://bucket/prefix")
    return value


def read_scanner(value: str) -> str:
    """Where clamd listens. :raises ValueError: with the reason."""
    parts = urlsplit(value)
    try:
        by_port = parts.scheme == "clamd" and parts.hostname and parts.port and parts.path in {"", "/"}
    except ValueError:
        by_port = False
    if not by_port and not re.fullmatch(r"clamd\+unix:///.+", value):
        raise ValueError("must be an address such as clamd://127.0.0.1:3310 or clamd+unix:///run/clamd.sock")
    return value


def problem(values: Mapping[str, Any]) -> str | None:
    """What is wrong with the settings of files together; None: nothing."""
    if bool(values["S3_ACCESS_KEY_ID"]) != bool(values["S3_SECRET_ACCESS_KEY"]):
        return "Set both DEVFORGE_S3_ACCESS_KEY_ID and DEVFORGE_S3_SECRET_ACCESS_KEY, or neither."
    return None
