"""Personal access tokens, and the service accounts that hold some of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.auth import queries
from devforge_api.auth.errors import (
    AccessTokenNotFound,
    ServiceAccountDisabled,
    ServiceAccountNotFound,
    TooManyAccessTokens,
    TooManyServiceAccounts,
)
from devforge_api.auth.models import PersonalAccessToken, ServiceAccount
from devforge_api.auth.routes import blp
from devforge_api.auth.schemas.tokens import (
    AccessTokenCreateSchema,
    AccessTokenMadeSchema,
    AccessTokenSchema,
    ServiceAccountSchema,
    ServiceTokenCreateSchema,
)
from devforge_api.auth.service import personal_tokens, service_accounts
from devforge_api.auth.service.personal_tokens import Made
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import EditConflict, PreconditionFailed
from devforge_api.core.responses import carries_secret, check_precondition
from devforge_api.core.security import StepUp, requires


def _address_of(made: Made) -> str:
    return f"/api/v1/auth/tokens/{made.id}"


def _to_edit(service_account_id: UUID) -> ServiceAccount:
    """One of the caller's accounts, if it is the one that the client has seen."""
    account = service_accounts.get_to_edit(service_account_id, owner_id=principal().user_id)
    check_precondition(account, ServiceAccountSchema())
    return account


def _own_account(service_account_id: UUID) -> ServiceAccount:
    return queries.get_service_account(service_account_id, owner_id=principal().user_id)


@blp.route("/tokens")
class AccessTokens(MethodView):
    """The caller's tokens for tools."""

    @requires("security:read")
    @blp.listing(queries.ACCESS_TOKENS, AccessTokenSchema)
    def get(self) -> Select[PersonalAccessToken]:
        """List one's own personal access tokens, expired ones too"""
        return queries.access_tokens(principal().user_id)

    @requires("security:write", step_up=StepUp.ANEW)
    @blp.arguments(AccessTokenCreateSchema)
    @blp.response(201, AccessTokenMadeSchema, location=_address_of)
    @blp.raises(TooManyAccessTokens)
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> Made:
        """Make a personal access token; only this answer shows it"""
        carries_secret()
        return personal_tokens.create(principal().user_id, **data)


@blp.route("/tokens/<uuid:token_id>")
class AccessToken(MethodView):
    """One of the caller's tokens. It does not change: make another one."""

    @requires("security:read")
    @blp.response(200, AccessTokenSchema)
    @blp.raises(AccessTokenNotFound)
    def get(self, token_id: UUID) -> PersonalAccessToken:
        """Show one of one's own personal access tokens"""
        return queries.get_access_token(token_id, user_id=principal().user_id)

    @requires("security:write")
    @blp.response(204)
    @blp.raises(AccessTokenNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, token_id: UUID) -> None:
        """Revoke one of one's own personal access tokens"""
        token = queries.get_access_token(token_id, user_id=principal().user_id, for_update=True)
        check_precondition(token, AccessTokenSchema())
        personal_tokens.revoke(token)


@blp.route("/service-accounts")
class ServiceAccounts(MethodView):
    """The caller's machines and agents."""

    @requires("security:read")
    @blp.listing(queries.SERVICE_ACCOUNTS, ServiceAccountSchema)
    def get(self) -> Select[ServiceAccount]:
        """List one's own service accounts"""
        return queries.service_accounts(principal().user_id)

    @requires("security:write", step_up=StepUp.ANEW)
    @blp.arguments(ServiceAccountSchema)
    @blp.response(201, ServiceAccountSchema, location=lambda made: f"/api/v1/auth/service-accounts/{made.id}")
    @blp.raises(TooManyServiceAccounts)
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> ServiceAccount:
        """Make a service account"""
        return service_accounts.create(principal().user_id, data)


@blp.route("/service-accounts/<uuid:service_account_id>")
class OneServiceAccount(MethodView):
    """One of the caller's machines and agents."""

    @requires("security:read")
    @blp.response(200, ServiceAccountSchema)
    @blp.raises(ServiceAccountNotFound)
    def get(self, service_account_id: UUID) -> ServiceAccount:
        """Show a service account"""
        return _own_account(service_account_id)

    @requires("security:write")
    @blp.arguments(ServiceAccountSchema)
    @blp.response(200, ServiceAccountSchema)
    @blp.raises(ServiceAccountNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any], service_account_id: UUID) -> ServiceAccount:
        """Replace a service account"""
        return service_accounts.update(_to_edit(service_account_id), data)

    @requires("security:write")
    @blp.arguments(ServiceAccountSchema(partial=True))
    @blp.response(200, ServiceAccountSchema)
    @blp.raises(ServiceAccountNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def patch(self, data: dict[str, Any], service_account_id: UUID) -> ServiceAccount:
        """Change part of a service account"""
        return service_accounts.update(_to_edit(service_account_id), data)

    @requires("security:write")
    @blp.response(204)
    @blp.raises(ServiceAccountNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, service_account_id: UUID) -> None:
        """Delete a service account and its tokens"""
        service_accounts.delete(_to_edit(service_account_id))


@blp.route("/service-accounts/<uuid:service_account_id>/tokens")
class ServiceAccountTokens(MethodView):
    """What a machine or an agent signs in with."""

    @requires("security:read")
    @blp.listing(queries.ACCESS_TOKENS, AccessTokenSchema, when_empty=_own_account)
    @blp.raises(ServiceAccountNotFound)
    def get(self, service_account_id: UUID) -> Select[PersonalAccessToken]:
        """List a service account's tokens, expired ones too"""
        tokens = queries.access_tokens(principal().user_id)
        return tokens.where(PersonalAccessToken.service_account_id == service_account_id)

    @requires("security:write", step_up=StepUp.ANEW)
    @blp.arguments(ServiceTokenCreateSchema)
    @blp.response(201, AccessTokenMadeSchema, location=_address_of)
    @blp.raises(ServiceAccountNotFound, ServiceAccountDisabled, TooManyAccessTokens)
    @unit_of_work()
    def post(self, data: dict[str, Any], service_account_id: UUID) -> Made:
        """Make a token for a service account; only this answer shows it"""
        carries_secret()
        owner_id = principal().user_id
        account = service_accounts.get_to_edit(service_account_id, owner_id=owner_id)
        return personal_tokens.create(owner_id, **data, account=account)
