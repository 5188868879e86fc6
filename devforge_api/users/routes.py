"""One's own account, and everybody's for admins."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from flask import Response, current_app, send_file
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core import personal_data
from devforge_api.core.api import Blueprint
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import EditConflict, PreconditionFailed, ReauthRequired
from devforge_api.core.idempotency import idempotent
from devforge_api.core.limits import Limit, charge
from devforge_api.core.passwords import check_new_password, hash_password
from devforge_api.core.responses import carries_secret, check_precondition, success
from devforge_api.core.security import StepUp, insist_on_proof, requires
from devforge_api.core.storage.base import scratch
from devforge_api.users import queries, service
from devforge_api.users.errors import EmailTaken, LastAdmin, TermsNotAccepted, UserNotFound
from devforge_api.users.models import User
from devforge_api.users.schemas import (
    ProfileSchema,
    SettingsSchema,
    TermsSchema,
    UserCreateSchema,
    UserSchema,
    UserUpdateSchema,
)

blp = Blueprint("users", __name__, url_prefix="/api/v1/users", description="Accounts.")

BINARY = {"type": "string", "format": "binary"}
SETTINGS_EXAMPLE = {"success": True, "data": {"theme": "dark", "telemetry": False}}


def _current(user: User) -> User:
    """A locked user, if that is the one that the client has seen."""
    check_precondition(user, UserSchema())
    return user


def _own() -> User:
    return _current(service.get_user(principal().user_id, for_update=True))


def _insist_if_own(user_id: UUID) -> None:
    """One's own account is guarded by the same proof by whatever address it is reached.

    :raises ReauthRequired: the caller has not proven lately who they are, or is a tool.
    """
    if user_id == principal().user_id:
        insist_on_proof(principal(), StepUp.ANEW)


def _password_hashed(view: Callable[..., Response]) -> Callable[..., Response]:
    """Check and hash the body's password before the view's transaction begins."""

    @wraps(view)
    def prepared(self: Any, data: dict[str, Any], **kwargs: Any) -> Response:
        password = data.pop("password")
        if password is not None:
            check_new_password(password, email=data["email"])
        data["password_hash"] = None if password is None else hash_password(password)
        return view(self, data, **kwargs)

    return prepared


@blp.route("/me")
class OwnAccount(MethodView):
    """The caller."""

    @requires("profile:read")
    @blp.response(200, UserSchema)
    def get(self) -> User:
        """Show one's own account"""
        return service.get_user(principal().user_id)

    @requires("profile:write")
    @blp.arguments(ProfileSchema)
    @blp.response(200, UserSchema)
    @blp.raises(PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any]) -> User:
        """Replace one's own profile"""
        return service.update_user(_own(), data)

    @requires("profile:write")
    @blp.arguments(ProfileSchema(partial=True))
    @blp.response(200, UserSchema)
    @blp.raises(PreconditionFailed, EditConflict)
    @unit_of_work()
    def patch(self, data: dict[str, Any]) -> User:
        """Change part of one's own profile"""
        return service.update_user(_own(), data)

    @requires("profile:write", step_up=StepUp.ANEW)
    @blp.response(204)
    @blp.raises(LastAdmin, PreconditionFailed, EditConflict)
    @unit_of_work()
    def delete(self) -> None:
        """Delete one's own account"""
        service.delete_user(_current(service.get_user_beside_admins(principal().user_id)))


@blp.route("/me/terms")
class OwnTerms(MethodView):
    """Consent to the terms of use."""

    @requires("profile:write")
    @blp.arguments(TermsSchema)
    @blp.response(200, UserSchema)
    @blp.raises(TermsNotAccepted)
    @unit_of_work()
    def post(self, data: dict[str, str]) -> User:
        """Accept the terms in force, by their version"""
        version = service.check_terms(data["version"], in_force=current_app.config["TERMS_VERSION"])
        user = service.get_user(principal().user_id, for_update=True)
        return service.accept_terms(user, version) if version else user


def _archive(user_id: UUID) -> Response:
    """All that is known of a user, as a file that is never whole in memory."""
    charge(Limit.EXPORTS, str(principal().user_id))
    with unit_of_work():
        subject = service.note_export(service.get_user(user_id))
    file = scratch()  # the server closes it once it is sent
    try:
        personal_data.write_archive(subject, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    carries_secret()
    return send_file(file, "application/zip", as_attachment=True, download_name=f"{user_id}.zip")


@blp.route("/me/export")
class OwnExport(MethodView):
    """Everything that is known of the caller."""

    @requires("security:read", step_up=StepUp.ANEW)
    @blp.response(200, BINARY, content_type="application/zip")
    def get(self) -> Response:
        """Download everything that is kept about oneself"""
        return _archive(principal().user_id)


@blp.route("/<uuid:user_id>/export")
class UserExport(MethodView):
    """Everything that is known of a user, for admins."""

    @requires("users:write")
    @blp.response(200, BINARY, content_type="application/zip")
    @blp.raises(UserNotFound, ReauthRequired)
    def get(self, user_id: UUID) -> Response:
        """Download everything that is kept about a user; about oneself as by /me"""
        _insist_if_own(user_id)
        return _archive(user_id)


@blp.route("/<uuid:user_id>/unlock")
class UserUnlock(MethodView):
    """Failed sign-ins of a user."""

    @requires("users:write")
    @blp.response(204)
    @blp.raises(UserNotFound)
    @unit_of_work()
    def post(self, user_id: UUID) -> None:
        """Let failed sign-ins of before not count any more"""
        service.unlock(service.get_user(user_id, for_update=True))


@blp.route("/me/settings")
class OwnSettings(MethodView):
    """The app's settings, kept for the caller."""

    @requires("profile:read")
    @blp.response(200, SettingsSchema, example=SETTINGS_EXAMPLE)
    def get(self) -> Response:
        """Show one's own settings"""
        return success(service.get_user(principal().user_id).settings)

    @requires("profile:write")
    @blp.arguments(SettingsSchema, example=SETTINGS_EXAMPLE["data"])
    @blp.response(200, SettingsSchema, example=SETTINGS_EXAMPLE)
    @blp.raises(PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any]) -> Response:
        """Replace one's own settings"""
        user = service.get_user(principal().user_id, for_update=True)
        check_precondition(user.settings)
        return success(service.update_user(user, {"settings": data}).settings)


@blp.route("")
class Users(MethodView):
    """Every account."""

    @requires("users:read")
    @blp.listing(queries.USERS, UserSchema)
    def get(self) -> Select[User]:
        """List users"""
        return queries.users()

    @requires("users:write")
    @blp.arguments(UserCreateSchema)
    @_password_hashed
    @idempotent
    @blp.response(201, UserSchema, location=lambda user: f"/api/v1/users/{user.id}")
    @blp.raises(EmailTaken)
    def post(self, data: dict[str, Any]) -> User:
        """Make a user"""
        return service.create_user(**data)


@blp.route("/<uuid:user_id>")
class OneUser(MethodView):
    """One account, for admins."""

    @requires("users:read")
    @blp.response(200, UserSchema)
    @blp.raises(UserNotFound)
    def get(self, user_id: UUID) -> User:
        """Show a user"""
        return service.get_user(user_id)

    @requires("users:write")
    @blp.arguments(UserUpdateSchema)
    @blp.response(200, UserSchema)
    @blp.raises(UserNotFound, LastAdmin, PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any], user_id: UUID) -> User:
        """Replace what an admin may change of a user"""
        return service.update_user(_current(service.get_user_beside_admins(user_id)), data)

    @requires("users:write")
    @blp.arguments(UserUpdateSchema(partial=True))
    @blp.response(200, UserSchema)
    @blp.raises(UserNotFound, LastAdmin, PreconditionFailed, EditConflict)
    @unit_of_work()
    def patch(self, data: dict[str, Any], user_id: UUID) -> User:
        """Change part of a user"""
        return service.update_user(_current(service.get_user_beside_admins(user_id)), data)

    @requires("users:write")
    @blp.response(204)
    @blp.raises(UserNotFound, LastAdmin, PreconditionFailed, EditConflict, ReauthRequired)
    @unit_of_work()
    def delete(self, user_id: UUID) -> None:
        """Delete a user; oneself as by /me"""
        _insist_if_own(user_id)
        service.delete_user(_current(service.get_user_beside_admins(user_id)))
