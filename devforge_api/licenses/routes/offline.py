"""What apps verify without asking: licence and machine files, the revocation list, public keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response
from flask.views import MethodView

from devforge_api.core.clock import utc_now
from devforge_api.core.keys import KEYS_MAX_AGE, KeyPurpose, keyring
from devforge_api.core.responses import carries_secret, published, shaped
from devforge_api.core.security import public, requires
from devforge_api.licenses.errors import LicenseNotFound, MachineNotFound, VerdictRefused
from devforge_api.licenses.routes import blp
from devforge_api.licenses.routes.shared import visible
from devforge_api.licenses.schemas.offline import (
    CertificateSchema,
    LicenseFileQuerySchema,
    MachineFileQuerySchema,
    RevocationQuerySchema,
)
from devforge_api.licenses.service import files, revocations
from devforge_api.licenses.service.certificates import Certificate

LIST_MAX_AGE = 60  # seconds for which others may keep the revocation list
well_known = Blueprint("license-keys", __name__)


def _answer(certificate: Certificate, meta: dict[str, Any]) -> dict[str, Any]:
    own = {"certificate": certificate.text, "kid": certificate.kid}
    return own | {name: meta[name] for name in ("issued", "expiry", "ttl")}


def _wanted(query: dict[str, Any]) -> dict[str, Any]:
    ttl = timedelta(seconds=query["ttl"])
    return {"now": utc_now(), "ttl": ttl, "encrypt": query["encrypt"], "include": query["include"]}


@blp.route("/licenses/<uuid:license_id>/file")
class LicenseFile(MethodView):
    """For whoever has the file."""

    @requires("licenses:read")
    @blp.arguments(LicenseFileQuerySchema, location="query")
    @blp.response(200, CertificateSchema)
    @blp.raises(LicenseNotFound, VerdictRefused)
    def get(self, query: dict[str, Any], license_id: UUID) -> dict[str, Any]:
        """Make a licence file"""
        carries_secret()
        return _answer(*files.license_file(visible(license_id), **_wanted(query)))


@blp.route("/licenses/<uuid:license_id>/machines/<uuid:machine_id>/file")
class MachineFile(MethodView):
    """For one machine."""

    @requires("licenses:read")
    @blp.arguments(MachineFileQuerySchema, location="query")
    @blp.response(200, CertificateSchema)
    @blp.raises(LicenseNotFound, MachineNotFound, VerdictRefused)
    def get(self, query: dict[str, Any], license_id: UUID, machine_id: UUID) -> dict[str, Any]:
        """Make a machine file"""
        carries_secret()
        return _answer(*files.machine_file(visible(license_id), machine_id, **_wanted(query)))


@blp.route("/licenses/revocations")
class Revocations(MethodView):
    """For everybody: it tells of nothing but ids."""

    @public()
    @blp.arguments(RevocationQuerySchema, location="query")
    @blp.response(200, CertificateSchema)
    def get(self, query: dict[str, Any]) -> Response:
        """Read the revocation list"""
        answer = _answer(*revocations.published(query["since"], now=utc_now()))
        response = shaped(answer, CertificateSchema())
        response.headers["Cache-Control"] = f"public, max-age={LIST_MAX_AGE}"
        return response


@well_known.get("/.well-known/license-keys.json")
@public()
def license_keys() -> Response:
    """Publish the keys by which files, leases, signed keys and the revocation list are verified."""
    return published(keyring(KeyPurpose.LICENSES).key_set(), max_age=KEYS_MAX_AGE)
