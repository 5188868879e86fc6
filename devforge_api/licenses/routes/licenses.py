"""Licences and their machines, for their owners and for staff."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core.clock import utc_now
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import EditConflict, PreconditionFailed
from devforge_api.core.idempotency import idempotent
from devforge_api.core.responses import carries_secret, check_precondition
from devforge_api.core.security import requires
from devforge_api.licenses import queries
from devforge_api.licenses.errors import LicenseNotFound, MachineNotFound, TrialUsed
from devforge_api.licenses.models import License, Machine
from devforge_api.licenses.routes import blp
from devforge_api.licenses.routes.shared import locked, reader, visible
from devforge_api.licenses.schemas.licenses import (
    LicenseCreateSchema,
    LicenseSchema,
    LicenseUpdateSchema,
)
from devforge_api.licenses.schemas.machines import MachineSchema, MachineUpdateSchema
from devforge_api.licenses.service import lifecycle, seats


@blp.route("/licenses")
class Licenses(MethodView):
    """One's own licences; everybody's for staff."""

    @requires("licenses:read")
    @blp.listing(queries.LICENSES, LicenseSchema)
    def get(self) -> Select[License]:
        """List licences"""
        carries_secret()
        return queries.licenses(reader_id=reader())

    @requires("licenses:write")
    @blp.arguments(LicenseCreateSchema)
    @idempotent
    @blp.response(201, LicenseSchema, location=lambda license_: f"/api/v1/licenses/{license_.id}")
    @blp.raises(TrialUsed)
    def post(self, data: dict[str, Any]) -> License:
        """Issue a licence"""
        carries_secret()
        return lifecycle.issue(**data, now=utc_now())


@blp.route("/licenses/<uuid:license_id>")
class OneLicense(MethodView):
    """A licence."""

    @requires("licenses:read")
    @blp.response(200, LicenseSchema)
    @blp.raises(LicenseNotFound)
    def get(self, license_id: UUID) -> License:
        """Show a licence"""
        carries_secret()
        return visible(license_id)

    @requires("licenses:write")
    @blp.arguments(LicenseUpdateSchema)
    @blp.response(200, LicenseSchema)
    @blp.raises(LicenseNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any], license_id: UUID) -> License:
        """Replace what can be changed of a licence"""
        carries_secret()
        return lifecycle.change(locked(license_id), data)

    @requires("licenses:write")
    @blp.arguments(LicenseUpdateSchema(partial=True))
    @blp.response(200, LicenseSchema)
    @blp.raises(LicenseNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def patch(self, data: dict[str, Any], license_id: UUID) -> License:
        """Change part of a licence"""
        carries_secret()
        return lifecycle.change(locked(license_id), data)

    @requires("licenses:write")
    @blp.response(204)
    @blp.raises(LicenseNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def delete(self, license_id: UUID) -> None:
        """Delete a licence and its machines"""
        lifecycle.remove(locked(license_id))


@blp.route("/licenses/<uuid:license_id>/machines")
class Machines(MethodView):
    """Who holds the seats."""

    @requires("licenses:read")
    @blp.listing(queries.MACHINES, MachineSchema, when_empty=visible)
    @blp.raises(LicenseNotFound)
    def get(self, license_id: UUID) -> Select[Machine]:
        """List a licence's machines"""
        return queries.machines(license_id, reader_id=reader())


@blp.route("/licenses/<uuid:license_id>/machines/<uuid:machine_id>")
class OneMachine(MethodView):
    """One seat."""

    @requires("licenses:read")
    @blp.response(200, MachineSchema)
    @blp.raises(LicenseNotFound, MachineNotFound)
    def get(self, license_id: UUID, machine_id: UUID) -> Machine:
        """Show a machine"""
        return queries.get_machine(visible(license_id).id, machine_id)

    @requires("machines:write")
    @blp.arguments(MachineUpdateSchema(partial=True))
    @blp.response(200, MachineSchema)
    @blp.raises(LicenseNotFound, MachineNotFound, PreconditionFailed)
    @unit_of_work()
    def patch(self, data: dict[str, Any], license_id: UUID, machine_id: UUID) -> Machine:
        """Name a machine"""
        return seats.change(_locked_machine(license_id, machine_id), data)

    @requires("machines:write")
    @blp.response(204)
    @blp.raises(LicenseNotFound, MachineNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, license_id: UUID, machine_id: UUID) -> None:
        """Take a machine's seat back"""
        seats.remove_machine(_locked_machine(license_id, machine_id))


def _locked_machine(license_id: UUID, machine_id: UUID) -> Machine:
    owner_id = None if "licenses:write" in principal().scopes else principal().user_id
    license_ = queries.get_license(license_id, owner_id=owner_id, for_update=True)
    machine = queries.get_machine(license_.id, machine_id)
    check_precondition(machine, MachineSchema())
    return machine
