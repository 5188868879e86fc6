"""What the pages show and refuse, and what must hold when two things happen at once."""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import pyotp
import pytest

from devforge_api.app import create_app
from devforge_api.auth.models import TotpFactor
from devforge_api.auth.service.clients import CODE
from devforge_api.core import maintenance
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import encrypt
from devforge_api.core.keys import ensure_signing_keys
from tests.factories import PASSWORD, Api
from tests.oauth.conftest import (
    DESKTOP,
    Browser,
    Client,
    Flow,
    is_signed_in,
)

INJECTIONS = ['"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>", "</title><b>x</b>"]


@pytest.mark.parametrize("path", ["sign-in", "consent", "device", "error", "throttled", "leaving"])
def test_every_page_is_armoured(app, browser, signed_in, new_browser, path):
    if path == "leaving":
        browser.consent(Flow())
        page = browser.page
    else:
        page = {
            "sign-in": lambda: new_browser().get(Flow().path),
            "consent": lambda: browser.get(Flow().path),
            "device": lambda: browser.get("/device"),
            "error": lambda: browser.get("/oauth/authorize"),
            "throttled": lambda: browser.get("/oauth/sign-in"),
        }[path]()
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "Content-Encoding" not in page.headers
    assert not re.search(r"<script|<style| style=| on[a-z]+=", page.text)


@pytest.mark.parametrize("evil", INJECTIONS)
def test_nothing_that_comes_with_a_request_becomes_markup(api, browser, new_browser, evil):
    person = api.person()
    flow = Flow({"state": evil, "login_hint": evil, "ui_locales": evil, "nonsense": evil})
    for page in (browser.get(flow.path), browser.send("/oauth/sign-in", {"email": evil, "password": "x"})):
        assert evil not in page.text
        assert "<b>x" not in page.text
    browser.sign_in(person)
    told = browser.consent(flow)
    assert evil not in browser.page.text
    assert told["state"] == evil
    browser.get(f"/device?user_code={quote(evil)}")
    assert evil not in browser.page.text


def test_a_clients_name_is_text(app, environ):
    name = "<b>Acme</b> & {Co}"
    own = {"client_id": "acme", "name": name, "redirect_uris": ["acme:/back"], "grants": [CODE]}
    other = create_app(environ, OAUTH_CLIENTS=(own,))
    try:
        browser = Browser(other)
        browser.sign_in(Api(other).person())
        flow = Flow({"client_id": "acme", "redirect_uri": "acme:/back"})
        page = browser.get(flow.path)
        assert html.escape(name) in page.text
        assert name not in page.text
        told = browser.consent(flow)
        assert "url=acme:/back?code=" in browser.page.text
        assert Client(Api(other)).exchange(flow, told["code"], client_id="acme").status_code == 200
    finally:
        with other.app_context():
            db.engine.dispose()


def test_pages_speak_the_readers_language(browser):
    assert "Anmelden" in browser.get(Flow().path, headers={"Accept-Language": "de-AT,en;q=0.5"}).text
    assert "Sign in" in browser.get(Flow().path, headers={"Accept-Language": "fr"}).text
    asked = browser.get(Flow({"ui_locales": "fr de"}).path, headers={"Accept-Language": "en"})
    assert asked.headers["Content-Language"] == "de"
    assert '<html lang="de">' in asked.text
    refused = browser.send("/oauth/sign-in", {"email": "a@example.com", "password": "x"})
    assert "Adresse oder Passwort ist falsch." in refused.text


def test_an_address_that_was_typed_wrongly_is_told_on_a_page(browser):
    assert 'name="user_code"' in browser.get("/device/").text
    for path in ("/device/bcdf-ghjk", "/account/verfy"):
        page = browser.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
        assert (page.status_code, page.mimetype) == (404, "text/html")
        assert "There is no such page" in page.text


@pytest.fixture
def under_maintenance(app):
    def turn(*, on):
        # As a command, which may write during maintenance too.
        with acting(Occasion(kind="cli", request_id="test")), app.app_context(), unit_of_work():
            maintenance.begin(None, 60) if on else maintenance.end()

    turn(on=True)
    yield
    turn(on=False)


def test_during_maintenance_the_page_says_that_nobody_can_sign_in(api, browser, request):
    person = api.person()
    browser.get("/device?user_code=BCDF-GHJK")
    request.getfixturevalue("under_maintenance")
    page = browser.send("/oauth/sign-in", {"email": person.email, "password": PASSWORD})
    assert (page.status_code, page.headers["Retry-After"]) == (503, "60")
    assert "nobody can sign in meanwhile" in page.text


def test_both_languages_have_the_same_words():
    from devforge_api.auth.routes.words import DE, EN

    assert set(DE) == set(EN)
    for key, text in EN.items():
        assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", DE[key]), key


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"password": "wrong password"}, "Address or password is wrong."),
        ({"email": "nobody@example.com"}, "Address or password is wrong."),
        ({"email": "no address"}, "Enter your email address"),
        ({"email": "a\0@example.com"}, "Enter your email address"),
        ({"password": ""}, "Enter your email address"),
        ({"password": "x" * 5000}, "Enter your email address"),
    ],
)
def test_a_refused_sign_in_says_why_and_keeps_the_address(api, browser, given, says):
    person = api.person()
    browser.get(Flow().path)
    page = browser.send("/oauth/sign-in", {"email": person.email, "password": PASSWORD, **given})
    assert page.status_code == 403
    assert re.search(rf'role="alert"[^>]*>{re.escape(says)}', page.text)
    assert "WWW-Authenticate" not in page.headers
    assert "continue to Dev Forge Desktop" in page.text
    if "email" not in given:
        assert f'value="{person.email}"' in page.text
    assert not is_signed_in(browser)


def test_whoever_may_not_act_cannot_sign_in(api, browser):
    person = api.person()
    api.ban(person.id)
    assert "disabled" in browser.sign_in(person).text


def test_passwords_cannot_be_guessed_in_the_page(app, environ):
    limited = create_app(environ, LIMIT_ACCOUNT_FAILURES=2)
    try:
        person = Api(limited).person()
        browser = Browser(limited)
        browser.get(Flow().path)
        wrong = {"email": person.email, "password": "wrong password"}
        assert [browser.send("/oauth/sign-in", wrong).status_code for _ in range(3)] == [403, 403, 429]
        assert "Too many attempts" in browser.page.text
    finally:
        with limited.app_context():
            db.engine.dispose()


@pytest.fixture
def with_factor(app, api):
    """Somebody whose sign-in asks for a code, and the authenticator."""
    person = api.person()
    secret = pyotp.random_base32()
    with app.app_context(), unit_of_work():
        db.session.add(TotpFactor(user_id=person.id, secret=encrypt(secret), confirmed_at=utc_now()))
    return person, pyotp.TOTP(secret)


def test_a_second_factor_is_asked_for_on_a_page_of_its_own(browser, with_factor):
    person, totp = with_factor
    flow = Flow()
    asked = browser.sign_in(person, flow.path)
    assert asked.status_code == 200
    assert 'autocomplete="one-time-code"' in asked.text
    anonymous = browser.cookie
    assert not is_signed_in(Browser(browser.client.application))
    wrong = browser.send("/oauth/second-factor", {"code": "000000" if totp.now() != "000000" else "111111"})
    assert wrong.status_code == 403
    assert "This code is wrong" in wrong.text
    done = browser.send("/oauth/second-factor", {"code": totp.now()})
    assert (done.status_code, done.headers["Location"]) == (303, flow.path)
    assert browser.cookie != anonymous
    assert person.email in browser.follow().text


def test_a_challenge_that_is_over_leads_back_to_the_sign_in(browser, with_factor):
    person, totp = with_factor
    browser.sign_in(person, Flow().path)
    again = browser.send("/oauth/second-factor", {"code": totp.now(), "challenge_token": "x" * 43})
    assert "Sign in again" in again.text
    assert 'name="password"' in again.text


def test_a_code_that_is_used_by_many_at_once_is_exchanged_once_and_then_worthless(
    api, browser, signed_in, client_app
):
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            flow = Flow()
            code = browser.consent(flow)["code"]
            sent = [pool.submit(client_app.exchange, flow, code) for _ in range(4)]
            answers = [future.result() for future in sent]
            assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
            token = next(one.json["access_token"] for one in answers if one.status_code == 200)
            me = api.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
            assert me.status_code == 401  # a code that came twice has been stolen


def test_an_exchange_that_races_logout_all_leaves_no_session(api, browser, client_app):
    person = api.person()
    browser.sign_in(person)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(6):
            person_again = api.person(email=f"again-{utc_now().timestamp()}@example.com")
            own = Browser(api.app)
            own.sign_in(person_again)
            flow = Flow()
            code = own.consent(flow)["code"]
            exchanged = pool.submit(client_app.exchange, flow, code)
            ended = pool.submit(api.post, "/auth/logout-all", by=person_again)
            assert ended.result().status_code == 204
            answer = exchanged.result()
            if answer.status_code == 200:
                refused = client_app.refresh(answer.json["refresh_token"])
                assert refused.status_code == 400


def test_the_pages_and_the_calls_for_programs_answer_over_cors_as_they_should(app, environ):
    other = create_app(environ, CORS_ORIGINS=("https://app.example.com",))
    with other.app_context():
        ensure_signing_keys()
    http = other.test_client()
    origin = {"Origin": "https://app.example.com"}
    try:
        for path in ("/.well-known/jwks.json", "/.well-known/oauth-authorization-server"):
            answer = http.get(path, headers=origin)
            assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert "Origin" in answer.headers["Vary"]
            assert (
                "Access-Control-Allow-Origin"
                not in http.get(path, headers={"Origin": "https://evil"}).headers
            )
        token = http.post("/oauth/token", headers=origin, data={"grant_type": "x", "client_id": DESKTOP})
        assert token.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        for path in (Flow().path, "/device", "/oauth/tokens", "/oauth/sign-in"):
            assert "Access-Control-Allow-Origin" not in http.get(path, headers=origin).headers
    finally:
        with other.app_context():
            db.engine.dispose()


def test_no_secret_stands_in_an_address_of_ours(browser, signed_in):
    flow = Flow()
    browser.get(flow.path)
    told = browser.consent(flow)
    assert told["code"] not in urlencode(flow.parameters)
    assert browser.cookie not in browser.page.text
