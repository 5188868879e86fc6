"""The authorization server's endpoints for programs, on Authlib's server side; they only translate.

Answers are RFC 6749's, errors too: standard clients can read nothing else. What a code, a token or
a device is worth is decided by the services.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from uuid import UUID

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import OAuth2Payload, scope_to_list
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint
from authlib.oauth2.rfc9207 import IssuerParameter
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask, Response, current_app, request
from werkzeug.datastructures import MultiDict

from devforge_api.auth.errors import AccountDisabled, OneTimeTokenInvalid, SessionNotFound
from devforge_api.auth.routes.browser import message_page
from devforge_api.auth.scopes import ROLE_SCOPES
from devforge_api.auth.service import authorization, clients, device_grants, sessions
from devforge_api.auth.service.authorization import PendingCode
from devforge_api.auth.service.clients import Client
from devforge_api.auth.service.sessions import Tokens
from devforge_api.auth.tokens import read_access_token, read_refresh_token
from devforge_api.core import gateway
from devforge_api.core.application import Answer
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import TokenRefused
from devforge_api.core.json import dump
from devforge_api.core.keys import KeyPurpose, keyring
from devforge_api.core.languages import LANGUAGES
from devforge_api.core.limits import Limit, charge
from devforge_api.core.responses import add_entity_tag, carries_secret
from devforge_api.core.security import public

oauth = flask.Blueprint("oauth", __name__)

SCOPES = frozenset().union(*ROLE_SCOPES.values())
NO_STORE = [("Cache-Control", "no-store"), ("Pragma", "no-cache")]
KEYS_MAX_AGE = 300  # seconds for which others may keep our public keys
# Paths that people see; the others below these are for programs.
PAGES = ("/oauth/authorize", "/oauth/sign-in", "/oauth/second-factor", "/oauth/sign-out", "/device")
_UNSPEAKABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class Payload(OAuth2Payload):  # type: ignore[misc]
    """A request's parameters; each may come once (RFC 6749 section 3.2)."""

    def __init__(self, values: MultiDict[str, str]) -> None:
        self._values = values

    @property
    def data(self) -> MultiDict[str, str]:
        """The parameters."""
        return self._values

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """Every value of each."""
        return defaultdict(list, {name: self._values.getlist(name) for name in self._values})


class Request(OAuth2Request):  # type: ignore[misc]
    """The request under way: its query at the authorization endpoint, else its form alone."""

    def __init__(self) -> None:
        # The gateway insists on HTTPS where it is due; the library knows no proxies.
        super().__init__(request.method, "https://here" + request.path, headers=request.headers)
        self.payload = Payload(request.args if request.path == "/oauth/authorize" else request.form)

    @property
    def args(self) -> MultiDict[str, str]:
        """The query."""
        return request.args

    @property
    def form(self) -> MultiDict[str, str]:
        """The body."""
        return request.form


class Server(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server, for our clients and our way to answer."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.clients = clients.clients_from(app.config["OAUTH_CLIENTS"])
        self.register_grant(CodeGrant, [Challenge(required=True)])
        self.register_grant(RefreshGrant)
        self.register_grant(DeviceGrant)
        self.register_endpoint(Revocation)
        self.register_endpoint(DeviceAuthorization)
        self.register_extension(Issuer())

    def query_client(self, client_id: str) -> Client | None:
        """One of the configured clients."""
        return self.clients.get(client_id)

    def create_oauth2_request(self, _request: Any) -> Request:
        """What Authlib reads."""
        return Request()

    def validate_requested_scope(self, scope: str | None) -> None:
        """Only what there is may be asked for."""
        if scope and (len(scope) > 255 or not SCOPES.issuperset(scope_to_list(scope))):
            raise InvalidScopeError

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
        """An answer that nobody may store."""
        text = dump(body) if isinstance(body, dict) else body
        response = Answer(text, status, mimetype="application/json")
        response.headers.update([*NO_STORE, *headers])
        return response

    def handle_error_response(self, _request: Any, error: OAuth2Error) -> Response:
        """A refusal; what the caller has sent is repeated in harmless characters only."""
        description = speakable(error.get_error_description() or "")
        error.get_error_description = lambda: description
        response: Response = super().handle_error_response(_request, error)
        return response


class Issuer(IssuerParameter):  # type: ignore[misc]
    """Says in each answer to a client whose it is (RFC 9207)."""

    def __init__(self) -> None:
        pass

    def get_issuer(self) -> str:
        """The public address."""
        return issuer()


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


def token_answer(tokens: Tokens) -> dict[str, Any]:
    """RFC 6749 section 5.1. The scope is what the user's role gives, whatever was asked for."""
    return {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "scope": " ".join(sorted(ROLE_SCOPES[tokens.user.role])),
    }


def speakable(description: str) -> str:
    """A description with the characters that it may have (RFC 6749 section 5.2)."""
    return _UNSPEAKABLE.sub("?", description)[:200]


def issuer() -> str:
    """The public address, by which clients know this server."""
    address: str = current_app.config["PUBLIC_URL"]
    return address


def server() -> Server:
    """This application's server."""
    found: Server = current_app.extensions["devforge-oauth"]
    return found


@oauth.record_once
def _prepare(state: Any) -> None:
    app: Flask = state.app
    app.extensions["devforge-oauth"] = Server(app)
    gateway.install_dialect(app, ("/oauth/", "/.well-known/", "/device"), _speak)


def _speak(body: dict[str, Any], status: int) -> Response:
    """The gateway's refusals, in the words of those who ask here."""
    if request.path in PAGES:
        return message_page("error", status=status, text=body["code"])
    if status in {429, 503}:
        error = "temporarily_unavailable"
    else:
        error = "server_error" if status >= 500 else "invalid_request"
    text = dump({"error": error, "error_description": speakable(body["message"])})
    return Answer(text, status, mimetype="application/json")


def _insist_on_single_parameters() -> OAuth2Error | None:
    if request.mimetype != "application/x-www-form-urlencoded":
        return InvalidRequestError("Send application/x-www-form-urlencoded.")
    if any(len(values) > 1 for _, values in request.form.lists()):
        return InvalidRequestError("A parameter came twice.")
    if request.path == "/oauth/token" and not request.form.get("grant_type"):
        return InvalidRequestError("Missing 'grant_type' in request.")
    return None


def _answer(respond: Callable[[], Response]) -> Response:
    carries_secret()
    wrong = _insist_on_single_parameters()
    return server().handle_error_response(None, wrong) if wrong else respond()


@oauth.post("/oauth/token")
@public()
def token() -> Response:
    """Exchange a code, a refresh token or an approved device for tokens."""
    return _answer(server().create_token_response)


@oauth.post("/oauth/revoke")
@public()
def revoke() -> Response:
    """End a token's session."""
    return _answer(lambda: server().create_endpoint_response("revocation"))


@oauth.post("/oauth/device_authorization")
@public(Limit.CREDENTIALS)
def device_authorization() -> Response:
    """Let a device wait for its user."""
    return _answer(lambda: server().create_endpoint_response("device_authorization"))


@oauth.get("/.well-known/oauth-authorization-server")
@public()
def metadata() -> Response:
    """Say what there is, and where (RFC 8414)."""
    own = issuer()
    return _published(
        {
            "issuer": own,
            "authorization_endpoint": f"{own}/oauth/authorize",
            "token_endpoint": f"{own}/oauth/token",
            "revocation_endpoint": f"{own}/oauth/revoke",
            "device_authorization_endpoint": f"{own}/oauth/device_authorization",
            "jwks_uri": f"{own}/.well-known/jwks.json",
            "scopes_supported": sorted(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": [clients.CODE, clients.REFRESH, clients.DEVICE],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "ui_locales_supported": list(LANGUAGES),
            "service_documentation": f"{own}/docs",
        }
    )


@oauth.get("/.well-known/jwks.json")
@public()
def jwks() -> Response:
    """Publish the keys by which our access tokens are verified, retired ones while they are kept."""
    return _published(
        {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": base64.urlsafe_b64encode(pair.public.public_bytes(Encoding.Raw, PublicFormat.Raw))
                    .decode()
                    .rstrip("="),
                    "kid": pair.kid,
                    "use": "sig",
                    "alg": "EdDSA",
                }
                for pair in keyring(KeyPurpose.TOKENS).all()
            ]
        }
    )


def _published(document: dict[str, Any]) -> Response:
    response = Answer(dump(document), mimetype="application/json")
    response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE}"
    return add_entity_tag(response)
