"""The entitlements that a licence has of its own, beside its policy's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.models import License, LicenseEntitlement
from devforge_api.licenses.queries import entitlement_ids, own_entitlements
from devforge_api.licenses.service.record import tell


def show(license_id: UUID) -> dict[str, list[dict[str, str | datetime | None]]]:
    """A licence's own entitlements with their expiry, expired ones too, by code."""
    found = own_entitlements(license_id)
    return {"entitlements": [{"code": code, "expires_at": until} for code, until in found]}


def replace(license_: License, wanted: Iterable[Mapping[str, object]]) -> None:
    """Give a locked licence exactly these entitlements of its own.

    :param wanted: ``{"code", "expires_at"}`` each.
    :raises ValidationFailed: a code that is unknown, or there twice.
    """
    wanted = list(wanted)
    after = {str(one["code"]): one["expires_at"] for one in wanted}
    if len(after) < len(wanted):
        raise ValidationFailed.of("entitlements", "Name each entitlement once.", "DUPLICATE")
    ids = entitlement_ids(after)
    if unknown := sorted(after.keys() - ids.keys()):
        raise ValidationFailed.of("entitlements", f"Unknown: {', '.join(unknown)}.", "NOT_FOUND")
    before = dict(own_entitlements(license_.id))
    if after == before:
        return
    db.session.execute(delete(LicenseEntitlement).where(LicenseEntitlement.license_id == license_.id))
    try:
        with db.session.begin_nested():
            db.session.add_all(
                LicenseEntitlement(license_id=license_.id, entitlement_id=ids[code], expires_at=until)
                for code, until in after.items()
            )
            db.session.flush()
    except IntegrityError as error:  # removed just now
        raise ValidationFailed.of("entitlements", "One of them is gone.", "NOT_FOUND") from error
    license_.entitlement_count, license_.updated_at = len(after), utc_now()
    db.session.flush()
    tell("entitlements_changed", license_.id, {"entitlements": (_told(before), _told(after))})


def _told(own: Mapping[str, object]) -> list[str]:
    """As the ledger keeps them: the code, and until when."""
    return [
        f"{code} until {rfc3339(until)}" if isinstance(until, datetime) else code
        for code, until in sorted(own.items())
    ]
