"""A licence's life: what the team does with it, and what its owner may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView

from devforge_api.core.clock import utc_now
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import PreconditionFailed, ReauthRequired
from devforge_api.core.idempotency import idempotent
from devforge_api.core.responses import carries_secret, success
from devforge_api.core.schemas import EmptySchema
from devforge_api.core.security import StepUp, insist_on_proof, requires
from devforge_api.licenses.errors import (
    CheckInNotRequired,
    FingerprintTaken,
    LicenseAlreadyRevoked,
    LicenseNotActive,
    LicenseNotBegun,
    LicenseNotFound,
    LicenseNotPending,
    LicenseNotSuspended,
    LicensePending,
    LicensePerpetual,
    TrialUsed,
)
from devforge_api.licenses.models import License
from devforge_api.licenses.routes import blp
from devforge_api.licenses.routes.shared import is_staff, locked, managed_owner
from devforge_api.licenses.schemas.licenses import LicenseSchema
from devforge_api.licenses.schemas.life import (
    AfterTransferSchema,
    CheckedInSchema,
    CountedFromSchema,
    ReasonSchema,
    RenewedSchema,
    RenewSchema,
    RotateKeySchema,
    TransferredSchema,
    TransferSchema,
)
from devforge_api.licenses.service import check_in, lifecycle, renewal, rotation, transfer
from devforge_api.licenses.service.owners import find_owner, hold_owner
from devforge_api.licenses.service.record import present_cause

CHANGED = (LicenseNotFound, PreconditionFailed)


@blp.route("/licenses/<uuid:license_id>/fulfill")
class Fulfill(MethodView):
    """The end of waiting."""

    @requires("licenses:write")
    @blp.arguments(ReasonSchema)
    @blp.response(200, LicenseSchema)
    @blp.raises(*CHANGED, LicenseNotPending)
    @unit_of_work()
    def post(self, data: dict[str, Any], license_id: UUID) -> License:
        """Let a pending licence work"""
        carries_secret()
        return lifecycle.fulfill(locked(license_id), now=utc_now(), cause=present_cause(data["reason"]))


@blp.route("/licenses/<uuid:license_id>/suspend")
class Suspend(MethodView):
    """Until further notice."""

    @requires("licenses:write")
    @blp.arguments(ReasonSchema)
    @blp.response(200, LicenseSchema)
    @blp.raises(*CHANGED, LicenseNotActive)
    @unit_of_work()
    def post(self, data: dict[str, Any], license_id: UUID) -> License:
        """Suspend a licence"""
        carries_secret()
        return lifecycle.suspend(locked(license_id), cause=present_cause(data["reason"]))


@blp.route("/licenses/<uuid:license_id>/reinstate")
class Reinstate(MethodView):
    """The end of a suspension."""

    @requires("licenses:write")
    @blp.arguments(ReasonSchema)
    @blp.response(200, LicenseSchema)
    @blp.raises(*CHANGED, LicenseNotSuspended)
    @unit_of_work()
    def post(self, data: dict[str, Any], license_id: UUID) -> License:
        """Reinstate a suspended licence"""
        carries_secret()
        return lifecycle.reinstate(locked(license_id), cause=present_cause(data["reason"]))


@blp.route("/licenses/<uuid:license_id>/revoke")
class Revoke(MethodView):
    """For good."""

    @requires("licenses:write")
    @blp.arguments(ReasonSchema)
    @blp.response(200, LicenseSchema)
    @blp.raises(*CHANGED, LicenseAlreadyRevoked)
    @unit_of_work()
    def post(self, data: dict[str, Any], license_id: UUID) -> License:
        """Revoke a licence"""
        carries_secret()
        return lifecycle.revoke(locked(license_id), cause=present_cause(data["reason"]))


@blp.route("/licenses/<uuid:license_id>/renew")
class Renew(MethodView):
    """More time."""

    @requires("licenses:write")
    @blp.arguments(RenewSchema)
    @idempotent
    @blp.response(200, RenewedSchema)
    @blp.raises(*CHANGED, LicenseAlreadyRevoked, LicensePending, LicensePerpetual, LicenseNotBegun)
    def post(self, data: dict[str, Any], license_id: UUID) -> Response:
        """Renew a licence"""
        carries_secret()
        cause = present_cause(data.pop("reason"))
        renewed = renewal.renew(locked(license_id), now=utc_now(), cause=cause, **data)
        return success(LicenseSchema().dump(renewed.license) | CountedFromSchema().dump(renewed))


@blp.route("/licenses/<uuid:license_id>/transfer")
class Transfer(MethodView):
    """Another plan, or another owner."""

    @requires("licenses:write")
    @blp.arguments(TransferSchema)
    @idempotent
    @blp.response(200, TransferredSchema)
    @blp.raises(*CHANGED, LicenseAlreadyRevoked, FingerprintTaken, TrialUsed)
    def post(self, data: dict[str, Any], license_id: UUID) -> Response:
        """Move a licence to another policy or owner"""
        carries_secret()
        moves = "user_id" in data or "email" in data
        owner = find_owner(data.get("user_id"), data.get("email")) if moves else None
        if owner is None:
            hold_owner(license_id)
        done = transfer.transfer(
            locked(license_id),
            now=utc_now(),
            policy_id=data.get("policy_id"),
            owner=owner,
            cause=present_cause(data["reason"]),
        )
        exceeded = [
            {"limit": name, "taken": limit.taken, "maximum": limit.maximum, "tolerated": limit.tolerated}
            for name, limit in done.exceeded
        ]
        found_out = AfterTransferSchema().dump({"exceeded": exceeded})
        return success(LicenseSchema().dump(done.license) | found_out)


@blp.route("/licenses/<uuid:license_id>/rotate-key")
class RotateKey(MethodView):
    """A new key."""

    @requires("licenses:manage")
    @blp.arguments(RotateKeySchema)
    @idempotent
    @blp.response(200, LicenseSchema)
    @blp.raises(*CHANGED, LicenseAlreadyRevoked, ReauthRequired)
    def post(self, data: dict[str, Any], license_id: UUID) -> License:
        """Give a licence a new key

        The former key works on for `overlap_days`, and the owner is told by mail. Owners must have
        signed in, or proven who they are, lately.
        """
        carries_secret()
        if not is_staff():  # a stolen token could stop a company's installations
            insist_on_proof(principal(), StepUp.LATELY)
        return rotation.rotate(
            locked(license_id, owner_id=managed_owner()),
            now=utc_now(),
            overlap=timedelta(days=data["overlap_days"]),
            cause=present_cause(data["reason"]),
        )


@blp.route("/licenses/<uuid:license_id>/check-in")
class CheckIn(MethodView):
    """A sign of life."""

    @requires("licenses:manage")
    @blp.arguments(EmptySchema)
    @blp.response(200, CheckedInSchema)
    @blp.raises(LicenseNotFound, CheckInNotRequired, LicensePending, LicenseAlreadyRevoked)
    @unit_of_work()
    def post(self, _data: dict[str, Any], license_id: UUID) -> License:
        """Check a licence in"""
        return check_in.check_in(locked(license_id, owner_id=managed_owner()), now=utc_now())
