"""Licences that were bought, for the domain which knows what became of the money."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from devforge_api.licenses import queries
from devforge_api.licenses.models import CauseKind, License, LicenseStatus

__all__ = ["CauseKind", "License", "LicenseStatus", "lock_licenses"]


def lock_licenses(license_ids: Iterable[UUID]) -> dict[UUID, License]:
    """Hold several licences until commit, in the order in which everybody locks them.

    :returns: those that there are, with their plans, by id.
    """
    held = queries.lock_licenses(License.id.in_(list(license_ids)))
    return {license_.id: license_ for license_ in held}
