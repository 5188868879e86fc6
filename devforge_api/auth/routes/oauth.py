"""The authorization server's endpoints for programs, on Authlib's server side; they only translate.

Answers are RFC 6749's, errors too: standard clients can read nothing else. What a code, a token or
a device is worth is decided by the services.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import OAuth2Payload, scope_to_list
from authlib.oauth2.rfc6749.errors import (
    InvalidRequestError,
    InvalidScopeError,
)
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, Response, current_app, request
from werkzeug.datastructures import MultiDict

from devforge_api.auth.routes.browser import message_page
from devforge_api.auth.routes.oauth_grants import (
    NO_STORE,
    Challenge,
    CodeGrant,
    DeviceAuthorization,
    DeviceGrant,
    RefreshGrant,
    Revocation,
    issuer,
)
from devforge_api.auth.scopes import ROLE_SCOPES
from devforge_api.auth.service import clients
from devforge_api.auth.service.clients import Client
from devforge_api.core import gateway
from devforge_api.core.application import Answer
from devforge_api.core.json import dump
from devforge_api.core.limits import Limit
from devforge_api.core.responses import carries_secret
from devforge_api.core.security import public

oauth = flask.Blueprint("oauth", __name__)

SCOPES = frozenset().union(*ROLE_SCOPES.values())
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


def speakable(description: str) -> str:
    """A description with the characters that it may have (RFC 6749 section 5.2)."""
    return _UNSPEAKABLE.sub("?", description)[:200]


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
    if request.path in PAGES or request.path.startswith("/device"):
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
