"""The grants and endpoints that Authlib's server offers, each handing the deed to a service."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint
from flask import current_app

from devforge_api.auth.errors import AccountDisabled, OneTimeTokenInvalid, SessionNotFound
from devforge_api.auth.scopes import ROLE_SCOPES
from devforge_api.auth.service import authorization, clients, device_grants, sessions
from devforge_api.auth.service.authorization import PendingCode
from devforge_api.auth.service.clients import Client
from devforge_api.auth.service.sessions import Tokens
from devforge_api.auth.tokens import read_access_token, read_refresh_token
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import TokenRefused
from devforge_api.core.limits import Limit, charge

NO_STORE = [("Cache-Control", "no-store"), ("Pragma", "no-cache")]


def issuer() -> str:
    """The public address, by which clients know this server."""
    address: str = current_app.config["PUBLIC_URL"]
    return address


def token_answer(tokens: Tokens) -> dict[str, Any]:
    """RFC 6749 section 5.1. The scope is what the user's role gives, whatever was asked for."""
    return {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "scope": " ".join(sorted(ROLE_SCOPES[tokens.user.role])),
    }


class Challenge(CodeChallenge):  # type: ignore[misc]
    """PKCE, which every request needs, by S256 alone (RFC 7636, OAuth 2.1 section 7.5)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Also where none was sent, which the library lets pass."""
        data = grant.request.payload.data
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is needed: send code_challenge_method=S256.")
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}", data.get("code_challenge", "")):
            raise InvalidRequestError("PKCE is needed: send an S256 code_challenge.")
        super().validate_code_challenge(grant, redirect_uri)


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """RFC 6749 section 4.1."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]

    def generate_authorization_code(self) -> str:
        """A code for the user of this browser, whom the page has asked; inside its transaction."""
        data = self.request.payload.data
        return authorization.approve(
            self.request.user,
            client_id=self.request.client.client_id,
            redirect_uri=data["redirect_uri"],
            challenge=data["code_challenge"],
            scope=self.request.scope,
        )

    def save_authorization_code(self, code: str, _request: Any) -> None:
        """It is stored already."""

    def query_authorization_code(self, code: str, client: Client) -> PendingCode | None:
        """A good code of this client; one that was used before ends what it was used for."""
        found = authorization.find_code(code)
        if found is None:
            _end_replayed(code)
        return found if found and found.client_id == client.client_id else None

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Exchange the code."""
        pending: PendingCode = self.request.authorization_code
        try:
            with unit_of_work():
                tokens = authorization.exchange(pending.code, self.request.client)
        except (OneTimeTokenInvalid, AccountDisabled, SessionNotFound):
            _end_replayed(pending.code)
            raise InvalidGrantError("The code is good no more.") from None
        return 200, token_answer(tokens), NO_STORE


def _end_replayed(code: str) -> None:
    if authorization.was_used(code):
        with unit_of_work():
            authorization.end_replayed(code)


class RefreshGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """RFC 6749 section 6; rotation and its grace are the session's own."""

    GRANT_TYPE = clients.REFRESH
    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]

    def validate_token_request(self) -> None:
        """Client and token, as far as they can be judged without the session."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError
        self.validate_requested_scope()
        self.request.client = client
        try:
            self.request.refresh_token = read_refresh_token(self.request.form.get("refresh_token", ""))
        except TokenRefused:
            raise InvalidGrantError("The refresh token is good no more.") from None
        charge(Limit.SESSION_REFRESH, str(self.request.refresh_token.session_id))

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Rotate."""
        try:
            with unit_of_work():
                tokens = sessions.refresh(self.request.refresh_token, client_id=self.request.client.client_id)
        except TokenRefused:
            tokens = None
        if tokens is None:  # also where reuse has just ended the session
            raise InvalidGrantError("The refresh token is good no more.")
        return 200, token_answer(tokens), NO_STORE


class DeviceGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """RFC 8628 section 3.4."""

    GRANT_TYPE = clients.DEVICE
    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]

    def validate_token_request(self) -> None:
        """The client, and that there is a code."""
        self.request.client = self.authenticate_token_endpoint_client()
        if not self.request.client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError
        if not self.request.form.get("device_code"):
            raise InvalidRequestError("Missing 'device_code' in request.")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Tokens, or why there are none yet."""
        with unit_of_work():
            outcome = device_grants.poll(self.request.form["device_code"], self.request.client)
        if isinstance(outcome, Tokens):
            return 200, token_answer(outcome), NO_STORE
        raise OAuth2Error(error=outcome.value)


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """RFC 7009: a token's whole session ends; there is never more to say than 200."""

    CLIENT_AUTH_METHODS = ["none"]

    def authenticate_token(self, request: Any, _client: Client) -> tuple[UUID, UUID] | None:
        """The user and the session that a genuine token names; a hint is not needed."""
        token = request.form.get("token")
        if not token:
            raise InvalidRequestError("Missing 'token' in request.")
        readers: tuple[Callable[[str], Any], ...] = (read_access_token, read_refresh_token)
        for read in readers:
            try:
                claims = read(token)
            except TokenRefused:
                continue
            return (claims.user_id, claims.session_id) if claims.session_id else None
        return None

    def revoke_token(self, token: tuple[UUID, UUID], request: Any) -> None:
        """End the session, if it was opened for this client."""
        user_id, session_id = token
        with unit_of_work():
            authorization.revoke(session_id, user_id=user_id, client_id=request.client.client_id)


class DeviceAuthorization(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    """RFC 8628 section 3.1."""

    CLIENT_AUTH_METHODS = ["none"]

    def create_endpoint_response(self, request: Any) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Two codes: one to show, one to ask with."""
        client: Client = self.authenticate_client(request)
        if not client.check_grant_type(clients.DEVICE):
            raise UnauthorizedClientError
        scope = request.payload.scope or ""
        self.server.validate_requested_scope(scope)
        with unit_of_work():
            begun = device_grants.begin(client, scope=scope)
        page = f"{issuer()}/device"
        return (
            200,
            {
                "device_code": begun.device_code,
                "user_code": begun.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={begun.user_code}",
                "expires_in": int(device_grants.LIFETIME.total_seconds()),
                "interval": device_grants.INTERVAL,
            },
            NO_STORE,
        )
