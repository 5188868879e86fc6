"""Addresses are looked at before anything is written: that means asking DNS, outside of any transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response

from devforge_api.core import outbound
from devforge_api.core.context import principal
from devforge_api.core.db import release_connection
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.outbound import DestinationRefused
from devforge_api.core.slots import lend_slot
from devforge_api.webhooks.service import endpoints

View = Callable[..., Response]


def destination_checked(view: View) -> View:
    """Refuse an address that must not be called. Stands right below ``arguments``.

    An endpoint's present address is not looked at again: whoever disables one whose name is gone
    may send the whole of it.

    :raises ValidationFailed: ``DESTINATION_REFUSED``.
    """

    @wraps(view)
    def checked(self_: Any, data: dict[str, Any], **path: Any) -> Response:
        url = data.get("url")
        if url is not None and not _has_it(url, **path):
            _check(url)
        return view(self_, data, **path)

    return checked


def _has_it(url: str, **path: Any) -> bool:
    return bool(path) and endpoints.is_at(path["endpoint_id"], url, owner_id=principal().user_id)


def _check(url: str) -> None:
    release_connection()
    try:
        with lend_slot():
            outbound.check_url(url)
    except DestinationRefused as error:
        raise ValidationFailed.of("url", str(error), "DESTINATION_REFUSED") from error
