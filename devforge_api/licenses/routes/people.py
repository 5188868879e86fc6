"""Who uses a licence, what it includes of its own, and trials."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.auth.errors import EmailNotVerified
from devforge_api.core.clock import utc_now
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import EditConflict, PreconditionFailed
from devforge_api.core.idempotency import idempotent
from devforge_api.core.responses import carries_secret, check_precondition, shaped
from devforge_api.core.security import requires
from devforge_api.licenses import queries
from devforge_api.licenses.errors import (
    LicenseNotFound,
    LicenseUserNotFound,
    TrialUsed,
    UserLimitExceeded,
)
from devforge_api.licenses.models import License, LicenseUser
from devforge_api.licenses.routes import blp
from devforge_api.licenses.routes.shared import managed_owner, reader, visible
from devforge_api.licenses.schemas.entitlements import OwnEntitlementsSchema
from devforge_api.licenses.schemas.licenses import LicenseSchema, TrialSchema
from devforge_api.licenses.schemas.people import LicenseUserAddSchema, LicenseUserSchema
from devforge_api.licenses.service import features, people, self_service


def _managed(license_id: UUID) -> License:
    return queries.get_license(license_id, owner_id=reader())


@blp.route("/licenses/trial")
class Trial(MethodView):
    """One's own trial."""

    @requires("trials:write")
    @blp.arguments(TrialSchema)
    @idempotent
    @blp.response(201, LicenseSchema, location=lambda license_: f"/api/v1/licenses/{license_.id}")
    @blp.raises(EmailNotVerified, TrialUsed)
    def post(self, data: dict[str, Any]) -> License:
        """Start a trial"""
        carries_secret()
        return self_service.start_trial(data["policy_id"], user_id=principal().user_id, now=utc_now())


def _address_of(user: LicenseUser) -> str:
    return f"/api/v1/licenses/{user.license_id}/users/{user.user_id}"


@blp.route("/licenses/<uuid:license_id>/users")
class LicenseUsers(MethodView):
    """Who may use a licence beside its owner."""

    @requires("licenses:read")
    @blp.listing(queries.LICENSE_USERS, LicenseUserSchema, when_empty=_managed)
    @blp.raises(LicenseNotFound)
    def get(self, license_id: UUID) -> Select[LicenseUser]:
        """List a licence's users"""
        return queries.license_users(license_id, owner_id=reader())

    @requires("license_users:write")
    @blp.arguments(LicenseUserAddSchema)
    @idempotent
    @blp.response(201, LicenseUserSchema, location=_address_of)
    @blp.alt_response(200, schema=LicenseUserSchema, description="They use it already.")
    @blp.raises(LicenseNotFound, UserLimitExceeded)
    def post(self, data: dict[str, Any], license_id: UUID) -> LicenseUser | Response:
        """Let somebody use a licence"""
        user, is_new = people.add(license_id, owner_id=managed_owner(), **data)
        return user if is_new else shaped(user, LicenseUserSchema())


@blp.route("/licenses/<uuid:license_id>/users/<uuid:user_id>")
class OneLicenseUser(MethodView):
    """Somebody who may use a licence."""

    @requires("licenses:read")
    @blp.response(200, LicenseUserSchema)
    @blp.raises(LicenseNotFound, LicenseUserNotFound)
    def get(self, license_id: UUID, user_id: UUID) -> LicenseUser:
        """Show a user of a licence"""
        return queries.get_license_user(_managed(license_id).id, user_id)

    @requires("license_users:write")
    @blp.response(204)
    @blp.raises(LicenseNotFound, LicenseUserNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, license_id: UUID, user_id: UUID) -> None:
        """Take a licence from one of its users"""
        owner_id = managed_owner()
        if owner_id == user_id and queries.may_use(license_id, user_id):
            owner_id = None  # whoever was added may leave
        license_ = queries.get_license(license_id, owner_id=owner_id, for_update=True)
        check_precondition(queries.get_license_user(license_id, user_id), LicenseUserSchema())
        people.remove(license_, user_id)


@blp.route("/licenses/<uuid:license_id>/entitlements")
class LicenseEntitlements(MethodView):
    """What a licence includes beside its policy's entitlements."""

    @requires("licenses:read")
    @blp.response(200, OwnEntitlementsSchema)
    @blp.raises(LicenseNotFound)
    def get(self, license_id: UUID) -> dict[str, Any]:
        """Show a licence's own entitlements"""
        return features.show(visible(license_id).id)

    @requires("licenses:write")
    @blp.arguments(OwnEntitlementsSchema)
    @blp.response(200, OwnEntitlementsSchema)
    @blp.raises(LicenseNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any], license_id: UUID) -> dict[str, Any]:
        """Replace a licence's own entitlements"""
        license_ = queries.get_license(license_id, owner_id=None, for_update=True)
        check_precondition(features.show(license_id), OwnEntitlementsSchema())
        features.replace(license_, data["entitlements"])
        return features.show(license_id)
