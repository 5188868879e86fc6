"""What the tests of the authorization server share: a client's half of a flow, and a browser's."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from devforge_api.auth.models import OneTimeToken, Purpose
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from tests.factories import PASSWORD, Api, Person

DESKTOP, CLI = "devforge-desktop", "devforge-cli"
REDIRECT = "http://127.0.0.1:49152/callback"
COOKIE = "__Host-devforge"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@dataclass
class Flow:
    """One authorization request, as a client makes it; ``...`` leaves a parameter out."""

    changes: dict[str, Any] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def parameters(self) -> dict[str, str]:
        usual = {
            "response_type": "code",
            "client_id": DESKTOP,
            "redirect_uri": REDIRECT,
            "state": "st&te=1",
            "code_challenge": s256(self.verifier),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**usual, **self.changes}.items() if value is not ...}

    @property
    def path(self) -> str:
        return f"/oauth/authorize?{urlencode(self.parameters)}"


class Browser:
    """A browser as far as forms and cookies go."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        self.page: TestResponse | None = None

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        self.page = self.client.get(path, **kwargs)
        return self.page

    def send(self, action: str, values: dict[str, str] | None = None, **kwargs: Any) -> TestResponse:
        """Fill in and send the page's form with this action, its hidden fields included."""
        assert self.page is not None
        given = {**hidden_fields(self.page.text, action), **(values or {})}
        self.page = self.client.post(action, data=given, **kwargs)
        return self.page

    def follow(self) -> TestResponse:
        """Go where the last answer sends the browser, on our own pages."""
        assert self.page is not None
        assert self.page.status_code == 303, self.page.text
        return self.get(self.page.headers["Location"])

    def sign_in(self, person: Person, path: str = "/device?user_code=BCDF-GHJK") -> TestResponse:
        self.get(path)
        return self.send("/oauth/sign-in", {"email": person.email, "password": PASSWORD})

    @property
    def cookie(self) -> str | None:
        found = self.client.get_cookie(COOKIE)
        return found.value if found else None

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie(COOKIE, value, secure=True, httponly=True)

    def consent(self, flow: Flow, decision: str = "allow") -> dict[str, str]:
        """Answer the consent page; what the client is told."""
        page = self.get(flow.path)
        assert page.status_code == 200, page.text
        left = self.send(flow_action(page.text), {"decision": decision})
        assert left.status_code == 200, left.text
        return answer_in(left.text)


def is_signed_in(browser) -> bool:
    return "You are signed in as" in browser.get(Flow().path).text


def flow_action(page: str) -> str:
    found = re.search(r'action="(/oauth/authorize\?[^"]+)"', page)
    assert found, page
    return html.unescape(found[1])


def hidden_fields(page: str, action: str) -> dict[str, str]:
    for form in re.findall(r"<form .*?</form>", page, re.S):
        if html.unescape(re.search(r'action="([^"]*)"', form)[1]) == action:  # type: ignore[index]
            hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
            return {name: html.unescape(value) for name, value in hidden}
    raise AssertionError(f"no form with {action} in {page}")


def answer_in(page: str) -> dict[str, str]:
    """The parameters of the client's address, to which the page sends the browser."""
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page)
    assert found, page
    return answer_of(html.unescape(found[1]))


def answer_of(address: str) -> dict[str, str]:
    parts = urlsplit(address)
    where = {"": f"{parts.scheme}://{parts.netloc}{parts.path}"}
    return where | {name: values[0] for name, values in parse_qs(parts.query).items()}


class Client:
    """An application's own calls."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.http = api.app.test_client()

    def post(self, path: str, **form: Any) -> TestResponse:
        return self.api.app.test_client().post(path, data=form)

    def token(self, **form: Any) -> TestResponse:
        return self.post("/oauth/token", **form)

    def exchange(self, flow: Flow, code: str, /, **changes: Any) -> TestResponse:
        form = {
            "grant_type": "authorization_code",
            "client_id": DESKTOP,
            "redirect_uri": flow.parameters["redirect_uri"],
            "code": code,
            "code_verifier": flow.verifier,
            **changes,
        }
        return self.token(**{name: value for name, value in form.items() if value is not ...})

    def refresh(self, token: str, client_id: str = DESKTOP) -> TestResponse:
        return self.token(grant_type="refresh_token", client_id=client_id, refresh_token=token)

    def poll(self, device_code: str, client_id: str = CLI) -> TestResponse:
        return self.token(grant_type=DEVICE, client_id=client_id, device_code=device_code)

    def begin(self, client_id: str = CLI) -> dict[str, Any]:
        begun = self.post("/oauth/device_authorization", client_id=client_id)
        assert begun.status_code == 200, begun.text
        return dict(begun.get_json())


def error_of(answer: TestResponse) -> tuple[int, str]:
    body = answer.get_json()
    assert "success" not in body
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, body["error"]


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def new_browser(app: Flask):
    return lambda: Browser(app)


@pytest.fixture
def client_app(api: Api) -> Client:
    return Client(api)


@pytest.fixture
def signed_in(api: Api, browser: Browser) -> Person:
    """Somebody whom `browser` is signed in as."""
    person = api.person()
    assert browser.sign_in(person).status_code == 303
    return person


@pytest.fixture
def code_for(browser: Browser, signed_in: Person):
    """A fresh authorization code for a flow."""
    return lambda flow: browser.consent(flow)["code"]


@pytest.fixture
def expire(app: Flask):
    """Let one-time tokens of a purpose expire, as if time had passed."""

    def change(purpose: Purpose) -> None:
        with app.app_context(), unit_of_work():
            db.session.execute(
                update(OneTimeToken).where(OneTimeToken.purpose == purpose).values(expires_at=utc_now())
            )

    return change
