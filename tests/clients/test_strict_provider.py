"""Sign-in by a strict OpenID provider: PKCE, nonce, issuer and client secret for real."""

import html
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
import requests

from config.providers import ProviderSettings
from devforge_api.app import create_app
from devforge_api.auth.service import provider_sign_in
from devforge_api.core.db import db
from tests.auth.social.peers import Browser, fragment, refused, s256
from tests.clients.conftest import NODE
from tests.factories import Api

pytestmark = [pytest.mark.extended, pytest.mark.timeout(600)]

CALLBACK = "http://127.0.0.1:8000/api/v1/auth/oauth/strict/callback"
NEXT = "https://app.example.com/signed-in"
VERIFIER = "a-verifier-that-only-this-client-knows-0123456789"


class Strict:
    """The provider's process."""

    def __init__(self, process: subprocess.Popen[str], auth_method: str | None) -> None:
        self.auth_method = auth_method
        assert process.stdout is not None
        self.lines = process.stdout
        self.issuer = self.lines.readline().strip()

    def refusal(self) -> str:
        """What it said of the last grant that it refused."""
        return next(line for line in self.lines if line.startswith("refused "))

    def decide(self, location: str, login: str) -> dict[str, str]:
        """Sign in on its own pages and agree; what the browser brings back."""
        with requests.Session() as person:
            address, form = location, None
            while not address.startswith(CALLBACK):
                send = person.post if form else person.get
                page = send(address, data=form, allow_redirects=False, timeout=20)
                if "Location" in page.headers:
                    address, form = urljoin(address, page.headers["Location"]), None
                    continue
                assert page.status_code == 200, page.text
                action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
                assert action is not None, page.text
                address = urljoin(address, html.unescape(action[1]))
                prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
                assert prompt is not None, page.text
                form = {"prompt": prompt[1], "login": login, "password": "any"}
            return dict(parse_qsl(urlsplit(address).query))


@pytest.fixture(params=[None, "client_secret_post"])
def strict(request, npm_packages):
    script = str(Path(__file__).with_name("strict_provider.mjs"))
    command = [f"{NODE}/bin/node", script, CALLBACK, request.param or "client_secret_basic"]
    with subprocess.Popen(
        command, cwd=npm_packages, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Strict(process, request.param)
        finally:
            process.terminate()


@pytest.fixture
def social(app, environ, strict):
    client = {"client_id": "dev-forge", "client_secret": "a secret with +, % and :"}
    settings = ProviderSettings(
        "strict", "oidc", "Strict", strict.issuer, auth_method=strict.auth_method, **client
    )
    made = create_app(environ, IDENTITY_PROVIDERS={"strict": settings}, SIGN_IN_REDIRECTS=(NEXT,))
    yield made
    with made.app_context():
        db.engine.dispose()


def test_a_user_signs_in_and_comes_again(social, strict):
    browser = Browser(social)
    first = browser.back(strict.decide(browser.location("strict"), "ada"), "strict").json["data"]["user"]
    assert (first["email"], first["email_verified"], first["name"]) == ("ada@example.com", True, "Ada")
    again = browser.back(strict.decide(browser.location("strict"), "ada"), "strict").json["data"]["user"]
    assert again["id"] == first["id"]


def test_it_tells_its_issuer_and_we_insist_on_it(social, strict):
    browser = Browser(social)
    brought = strict.decide(browser.location("strict"), "ada")
    assert brought.pop("iss") == strict.issuer
    refused(browser.back(brought, "strict"))
    brought = strict.decide(browser.location("strict"), "ada")
    refused(browser.back({**brought, "iss": "https://evil.example"}, "strict"))


def test_a_code_of_another_sign_in_is_refused_there_by_its_challenge(social, strict):
    mine, victim = Browser(social), Browser(social)
    stolen = strict.decide(victim.location("strict"), "ada")["code"]
    brought = strict.decide(mine.location("strict"), "evil")
    refused(mine.back({**brought, "code": stolen}, "strict"))
    assert "code_verifier does not match code_challenge" in strict.refusal()


def test_a_code_is_refused_there_the_second_time(social, strict, monkeypatch):
    browser = Browser(social)
    brought = strict.decide(browser.location("strict"), "ada")
    journeys = []
    genuine = provider_sign_in.come_back
    monkeypatch.setattr(
        provider_sign_in, "come_back", lambda *a, **k: journeys.append(genuine(*a, **k)) or journeys[0]
    )
    assert browser.back(brought, "strict").status_code == 200
    monkeypatch.setattr(provider_sign_in, "come_back", lambda *a, **k: journeys[0])
    refused(browser.back(brought, "strict"))
    assert "invalid_grant" in strict.refusal()


def test_a_client_takes_the_sign_in_over(social, strict):
    browser = Browser(social)
    location = browser.location("strict", next=NEXT, code_challenge=s256(VERIFIER))
    code = fragment(browser.back(strict.decide(location, "ada"), "strict"))["code"]
    answer = Api(social).post("/auth/oauth/exchange", {"code": code, "code_verifier": VERIFIER})
    assert answer.json["data"]["user"]["email"] == "ada@example.com"
