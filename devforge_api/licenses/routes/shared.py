"""Which licences a caller may see and change."""

from __future__ import annotations

from uuid import UUID

from devforge_api.core.context import principal
from devforge_api.core.responses import check_precondition
from devforge_api.licenses import queries
from devforge_api.licenses.models import License
from devforge_api.licenses.schemas.licenses import LicenseSchema


def reader() -> UUID | None:
    """Who asks; None: somebody who may see everybody's licences."""
    caller = principal()
    return None if "licenses:read_all" in caller.scopes else caller.user_id


def is_staff() -> bool:
    """Whether the caller may change everybody's licences."""
    return "licenses:write" in principal().scopes


def managed_owner() -> UUID | None:
    """Whose licences the caller may manage as an owner does; None: everybody's."""
    return None if is_staff() else principal().user_id


def visible(license_id: UUID) -> License:
    """One that the caller owns, may use, or sees for the team. :raises LicenseNotFound: there is none."""
    return queries.get_readable_license(license_id, reader_id=reader())


def locked(license_id: UUID, *, owner_id: UUID | None = None) -> License:
    """One to change, held until commit. :raises LicenseNotFound: there is none."""
    license_ = queries.get_license(license_id, owner_id=owner_id, for_update=True)
    check_precondition(license_, LicenseSchema())
    return license_
