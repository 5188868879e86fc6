"""What became of a licence, and why."""

from __future__ import annotations

from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core.security import requires
from devforge_api.licenses import queries
from devforge_api.licenses.errors import LicenseNotFound
from devforge_api.licenses.models import LedgerEntry, License
from devforge_api.licenses.routes import blp
from devforge_api.licenses.routes.shared import reader
from devforge_api.licenses.schemas.life import LedgerEntrySchema


def _own(license_id: UUID) -> License:
    return queries.get_license(license_id, owner_id=reader())


@blp.route("/licenses/<uuid:license_id>/ledger")
class Ledger(MethodView):
    """Every change, newest first."""

    @requires("licenses:read")
    @blp.listing(queries.LEDGER, LedgerEntrySchema, when_empty=_own)
    @blp.raises(LicenseNotFound)
    def get(self, license_id: UUID) -> Select[LedgerEntry]:
        """List what became of a licence

        Owners read from when the licence became theirs, and no ids of others.
        """
        return queries.ledger(license_id, owner_id=reader())
