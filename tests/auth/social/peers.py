"""Identity providers on loopback, with keys of their own, as strict as the real ones; and a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

from flask import Flask
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from werkzeug.serving import make_server
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request, Response

from tests.factories import code_of

CLIENT_ID, CLIENT_SECRET = "dev-forge", "a secret with +, % and :"
TENANT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
APPLE_KEY = ECKey.generate_key("P-256", {"kid": "APPLEKEY01"}, private=True)


def s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@contextmanager
def served(application: Any) -> Iterator[str]:
    """A WSGI application, served by threads of this process."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Grant:
    """A code that was given out, and what it was given out for."""

    asked: dict[str, str]
    claims: dict[str, Any]


@dataclass
class Peer:
    """What a provider remembers, and how a test lets it misbehave."""

    address: str = ""
    grants: dict[str, Grant] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    methods: tuple[str, ...] = ("client_secret_post", "client_secret_basic")
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Callable[[Request], Response]] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    userinfo: dict[str, Any] = field(default_factory=dict)
    issuer_path: str = ""
    issuer_told: str | None = None
    keys: KeySet = field(default_factory=lambda: KeySet([RSAKey.generate_key(2048, {"kid": "one"})]))

    def forget(self) -> None:
        self.requests.clear()
        self.answers.clear()
        self.metadata = {}  # a new one: the old one is a test's own
        self.userinfo = {}
        self.sign = None
        self.methods = Peer.methods

    @property
    def issuer(self) -> str:
        return self.address + self.issuer_path

    # --- what a person does at the provider's page ---------------------------------------------
    def agree(self, location: str, **claims: Any) -> dict[str, str]:
        """Sign in there and agree: what the browser brings back. Checks what was asked."""
        asked = dict(parse_qsl(urlsplit(location).query))
        assert location.startswith(self.issuer + "/authorize?")
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == 43
        assert len(asked["state"]) >= 43
        assert len(asked["nonce"]) >= 43
        code = secrets.token_urlsafe(16) + "+/ =%"  # any text may be a code
        self.grants[code] = Grant(asked, {"sub": "248289761001", **claims})
        return {"code": code, "state": asked["state"]}

    # --- its endpoints -------------------------------------------------------------------------
    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.requests.append(request.path)
        path = request.path.removeprefix(self.issuer_path)
        special = self.answers.get(path)
        if special:
            response = special(request)
        elif path == "/.well-known/openid-configuration":
            response = _json(self._discovery())
        elif path == "/jwks":
            response = _json(self.keys.as_dict(private=False))
        elif path == "/token":
            response = self._token(request)
        elif path == "/userinfo":
            response = _json({"sub": "248289761001", **self.userinfo})
        else:
            response = Response("no such page", 404)
        return response(environ, start_response)

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer_told or self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "userinfo_endpoint": self.issuer + "/userinfo",
            "jwks_uri": self.issuer + "/jwks",
            "token_endpoint_auth_methods_supported": list(self.methods),
            **self.metadata,
        }

    def _token(self, request: Request) -> Response:
        form = request.form
        grant = self.grants.pop(form.get("code", ""), None)
        if not self._is_client(request):
            return _json({"error": "invalid_client"}, 401)
        if (
            grant is None
            or form["grant_type"] != "authorization_code"
            or form["redirect_uri"] != grant.asked["redirect_uri"]
            or s256(form["code_verifier"]) != grant.asked["code_challenge"]
        ):
            return _json({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.asked["nonce"],
            **grant.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not ...}
        id_token = self.sign(claims) if self.sign else self.signed(claims)
        return _json({"access_token": "an-access-token", "token_type": "Bearer", "id_token": id_token})

    def _is_client(self, request: Request) -> bool:
        form = request.form
        given = request.authorization
        if given is not None:
            assert "client_secret_basic" in self.methods
            pair = (unquote_plus(given.username or ""), unquote_plus(given.password or ""))
            return pair == (CLIENT_ID, CLIENT_SECRET)
        assert "client_secret_post" in self.methods
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)

    def signed(self, claims: dict[str, Any], *, key: Any = None, **header: Any) -> str:
        key = key or self.keys.keys[-1]
        # By way of JSON in ASCII: a lone surrogate can be sent by anybody.
        return jws.serialize_compact(
            {"alg": "RS256", "kid": key.kid, **header}, json.dumps(claims).encode(), key
        )


class ApplePeer(Peer):
    """Signs clients in by an ES256 token of theirs, and wants the form."""

    def agree(self, location: str, **claims: Any) -> dict[str, str]:
        assert dict(parse_qsl(urlsplit(location).query))["response_mode"] == "form_post"
        return super().agree(location, **claims)

    def _is_client(self, request: Request) -> bool:
        secret = jwt.decode(request.form["client_secret"], APPLE_KEY, algorithms=["ES256"])
        told, now = secret.claims, time.time()
        return bool(
            secret.header["kid"] == "APPLEKEY01"
            and (told["iss"], told["sub"], told["aud"]) == ("TEAM123456", CLIENT_ID, self.issuer)
            and now - 60 < told["iat"] <= now < told["exp"] <= now + 15_777_000
        )


class GitHubPeer(Peer):
    """GitHub's three addresses."""

    def agree(self, location: str, **user: Any) -> dict[str, str]:
        asked = dict(parse_qsl(urlsplit(location).query))
        assert location.startswith(self.address + "/login/oauth/authorize?")
        assert set(asked["scope"].split()) == {"read:user", "user:email"}
        code = secrets.token_hex(10)
        self.grants[code] = Grant(asked, user)
        return {"code": code, "state": asked["state"]}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.requests.append(request.path)
        if request.path == "/login/oauth/access_token":
            response = self._access_token(request)
        else:
            user = json.loads(base64.b64decode(request.headers.get("Authorization", "")[7:] or b"e30="))
            assert request.headers["User-Agent"]
            special = self.answers.get(request.path)
            if special:
                response = special(request)
            elif request.path == "/user":
                response = _json({"id": user["id"], "login": "ada", "name": user.get("name"), "email": None})
            else:
                assert request.path == "/user/emails"
                response = _json(user["emails"])
        return response(environ, start_response)

    def _access_token(self, request: Request) -> Response:
        form, grant = request.form, self.grants.pop(request.form["code"], None)
        assert request.headers["Accept"] == "application/json"
        if grant is None or s256(form["code_verifier"]) != grant.asked["code_challenge"]:
            return _json({"error": "bad_verification_code", "error_description": "It is wrong."})  # a 200
        if form["client_secret"] != CLIENT_SECRET:
            return _json({"error": "incorrect_client_credentials"})
        token = base64.b64encode(json.dumps(grant.claims).encode()).decode()
        return _json({"access_token": token, "token_type": "bearer", "scope": "read:user,user:email"})


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")


class Browser:
    """A browser that signs in by a provider, one redirect at a time."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def start(self, provider: str = "acme", **query: str) -> TestResponse:
        return self.client.get(f"/api/v1/auth/oauth/{provider}/start", query_string=query)

    def location(self, provider: str = "acme", **query: str) -> str:
        response = self.start(provider, **query)
        assert response.status_code == 302, response.text
        return response.headers["Location"]

    def back(self, brought: dict[str, Any], provider: str = "acme", *, post: bool = False) -> TestResponse:
        path = f"/api/v1/auth/oauth/{provider}/callback"
        if post:
            return self.client.post(path, data=brought)
        return self.client.get(path, query_string=brought)

    def sign_in(self, peer: Peer, provider: str = "acme", **claims: Any) -> TestResponse:
        """The whole way, answered by the callback itself."""
        return self.back(peer.agree(self.location(provider), **claims), provider)


def fragment(response: TestResponse) -> dict[str, str]:
    """What a redirect carries in its fragment."""
    assert response.status_code == 303, response.text
    return {
        name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).fragment).items()
    }


def refused(answer: TestResponse, code: str = "PROVIDER_ANSWER_INVALID", status: int = 403) -> None:
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert "Set-Cookie" not in answer.headers
