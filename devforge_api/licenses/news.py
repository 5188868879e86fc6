"""Licences, as their owners and their owners' programs are told of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from devforge_api.core.clock import rfc3339
from devforge_api.core.news import Data, tells
from devforge_api.licenses import queries
from devforge_api.licenses.models import LicenseStatus


@tells(
    "license.activated",
    "license.deactivated",
    "license.entitlements_changed",
    "license.expired",
    "license.fulfilled",
    "license.issued",
    "license.key_rotated",
    "license.machine_died",
    "license.machine_revived",
    "license.reinstated",
    "license.renewed",
    "license.revoked",
    "license.suspended",
    "license.taken_over",
    "license.transferred",
    "license.updated",
    "license.users_changed",
)
def tell_of_license(payload: dict[str, Any]) -> tuple[list[UUID], Data] | None:
    """Its owner, and how it is now. Of one that waits for its money nothing is told: it may never be."""
    found = queries.story(UUID(payload["license_id"]))
    if found is None or found.status is LicenseStatus.PENDING:
        return None
    data = {
        **payload,
        "user_id": str(found.user_id) if found.user_id else None,
        "status": found.status.value,
        "product": found.product,
        "product_name": found.product_name,
        "policy": found.policy,
        "expires_at": rfc3339(found.expires_at) if found.expires_at else None,
    }
    return [found.user_id] if found.user_id else [], data


@tells("license.deleted")
def tell_of_deletion(payload: dict[str, Any]) -> tuple[list[UUID], Data]:
    """Whoever owned it last."""
    owner = payload["user_id"]
    return [UUID(owner)] if owner else [], {**payload, "user_id": owner or None}


@tells("release.available")
def tell_of_release(payload: dict[str, Any]) -> tuple[Iterable[UUID], Data] | None:
    """The product's users of one page; a release that was withdrawn meanwhile is told to nobody."""
    found = queries.release_story(UUID(payload["release_id"]))
    if found is None:
        return None
    data = {
        "release_id": payload["release_id"],
        "product_id": str(found.product_id),
        "product": found.product,
        "product_name": found.product_name,
        "version": found.version,
        "published_at": rfc3339(found.published_at) if found.published_at else None,
    }
    return map(UUID, payload["user_ids"]), data
