"""The accounts elsewhere by which one signs in."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.auth import queries
from devforge_api.auth.errors import IdentityNotFound, IdentityTaken, LastSignInMethod, OneTimeTokenInvalid
from devforge_api.auth.models import Identity
from devforge_api.auth.providers import configured
from devforge_api.auth.routes import blp
from devforge_api.auth.schemas.identities import IdentitySchema, ProviderCodeSchema
from devforge_api.auth.service import identities, provider_sign_in
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import PreconditionFailed
from devforge_api.core.responses import check_precondition, shaped
from devforge_api.core.security import StepUp, requires


@blp.route("/identities")
class Identities(MethodView):
    """The caller's identities."""

    @requires("security:read")
    @blp.listing(queries.IDENTITIES, IdentitySchema)
    def get(self) -> Select[Identity]:
        """List the accounts elsewhere by which one signs in"""
        return queries.identities(principal().user_id)

    @requires("security:write", step_up=StepUp.ANEW)
    @blp.arguments(ProviderCodeSchema)
    @blp.response(201, IdentitySchema, location=lambda one: f"/api/v1/auth/identities/{one.id}")
    @blp.alt_response(200, schema=IdentitySchema, description="It was linked already.")
    @blp.raises(OneTimeTokenInvalid, IdentityTaken)
    def post(self, data: dict[str, str]) -> Identity | Response:
        """Link an account elsewhere, by the code of a sign-in there"""
        with unit_of_work():
            vouched = provider_sign_in.take_over(data["code"], data["code_verifier"])
            identity, is_new = identities.link(principal().user_id, vouched)
        return identity if is_new else shaped(identity, IdentitySchema())


@blp.route("/identities/<uuid:identity_id>")
class OneIdentity(MethodView):
    """One of the caller's identities."""

    @requires("security:read")
    @blp.response(200, IdentitySchema)
    @blp.raises(IdentityNotFound)
    def get(self, identity_id: UUID) -> Identity:
        """Show one of one's own identities"""
        return queries.get_identity(identity_id, user_id=principal().user_id)

    @requires("security:write", step_up=StepUp.ANEW)
    @blp.response(204)
    @blp.raises(IdentityNotFound, LastSignInMethod, PreconditionFailed)
    @unit_of_work()
    def delete(self, identity_id: UUID) -> None:
        """Unlink one of one's own identities"""
        identity = identities.get_to_edit(identity_id, user_id=principal().user_id)
        check_precondition(identity, IdentitySchema())
        identities.unlink(identity, usable=configured().keys())
