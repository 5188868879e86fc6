"""Devices without a browser (RFC 8628)."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import update

from devforge_api.app import create_app
from devforge_api.auth.models import DeviceGrant
from devforge_api.auth.service import device_grants
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from tests.factories import Api
from tests.oauth.conftest import CLI, DESKTOP, Browser, Client, Flow, error_of


@pytest.fixture
def rewind(app):
    """Set columns of every grant, as if time had passed."""

    def change(**values):
        with app.app_context(), unit_of_work():
            db.session.execute(update(DeviceGrant).values(**values))

    return change


def confirm(browser, user_code, decision="allow"):
    page = browser.get(f"/device?user_code={user_code}")
    assert page.status_code == 200, page.text
    return browser.send("/device", {"decision": decision})


def test_a_device_is_signed_in_by_the_code_that_it_shows(api, browser, client_app):
    person = api.person()
    begun = client_app.begin()
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", begun["user_code"])
    assert (begun["expires_in"], begun["interval"]) == (600, 5)
    assert begun["verification_uri"] == api.app.config["PUBLIC_URL"] + "/device"
    assert error_of(client_app.poll(begun["device_code"])) == (400, "authorization_pending")
    browser.get("/device")
    typed = begun["user_code"].replace("-", " ").lower()
    assert "Sign in" in browser.send("/device", {"user_code": typed}).text
    browser.send("/oauth/sign-in", {"email": person.email, "password": "correct horse battery"})
    asked = browser.follow()
    assert begun["user_code"] in asked.text
    assert "Dev Forge CLI" in asked.text
    assert "127.0.0.1" in asked.text
    assert "The device is connected" in browser.send("/device", {"decision": "allow"}).text
    tokens = client_app.poll(begun["device_code"])
    assert tokens.status_code == 200
    bearer = {"Authorization": f"Bearer {tokens.json['access_token']}"}
    assert api.get("/auth/me", headers=bearer).json["data"]["id"] == str(person.id)
    assert client_app.refresh(tokens.json["refresh_token"], CLI).status_code == 200
    assert error_of(client_app.poll(begun["device_code"])) == (400, "invalid_grant")


def test_a_poll_that_comes_too_early_adds_five_seconds_each_time(client_app, rewind):
    code = client_app.begin()["device_code"]
    assert error_of(client_app.poll(code)) == (400, "authorization_pending")
    assert error_of(client_app.poll(code)) == (400, "slow_down")
    rewind(polled_at=utc_now() - timedelta(seconds=7))
    assert error_of(client_app.poll(code)) == (400, "slow_down")
    rewind(polled_at=utc_now() - timedelta(seconds=15))
    assert error_of(client_app.poll(code)) == (400, "authorization_pending")


def test_a_device_that_was_turned_away_is_told(browser, signed_in, client_app):
    begun = client_app.begin()
    assert "turned away" in confirm(browser, begun["user_code"], "deny").text
    assert error_of(client_app.poll(begun["device_code"])) == (400, "access_denied")


def test_a_code_expires(browser, signed_in, client_app, rewind):
    begun = client_app.begin()
    rewind(expires_at=utc_now())
    assert error_of(client_app.poll(begun["device_code"])) == (400, "expired_token")
    assert "No device waits" in browser.get(f"/device?user_code={begun['user_code']}").text


def test_expired_grants_are_purged_after_a_day(app, client_app, rewind):
    begun = client_app.begin()
    for age, left in [(timedelta(hours=23), "expired_token"), (timedelta(hours=25), "invalid_grant")]:
        rewind(expires_at=utc_now() - age)
        with app.app_context(), unit_of_work():
            device_grants.purge_expired(utc_now())
        assert error_of(client_app.poll(begun["device_code"])) == (400, left)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"device_code": "x"}, "invalid_grant"),
        ({}, "invalid_request"),
        ({"client_id": DESKTOP}, "invalid_grant"),
        ({"client_id": "unknown"}, "invalid_client"),
    ],
)
def test_another_code_or_another_client_gets_nothing(browser, signed_in, client_app, form, error):
    begun = client_app.begin()
    confirm(browser, begun["user_code"])
    usual = {"client_id": CLI, "grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
    if "client_id" in form:
        usual["device_code"] = begun["device_code"]
    assert error_of(client_app.token(**{**usual, **form})) == (400, error)
    assert client_app.poll(begun["device_code"]).status_code == 200


def test_a_code_is_decided_once(api, browser, signed_in, new_browser, client_app):
    begun = client_app.begin()
    other = new_browser()
    stranger = api.person()
    other.sign_in(stranger)
    other.get(f"/device?user_code={begun['user_code']}")
    confirm(browser, begun["user_code"])
    assert "No device waits" in other.send("/device", {"decision": "allow"}).text
    token = client_app.poll(begun["device_code"]).json["access_token"]
    me = api.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json["data"]["id"] == str(signed_in.id)


def test_of_two_approvals_and_of_many_polls_at_once_one_counts(api, new_browser, client_app):
    people = [api.person(), api.person()]
    browsers = [new_browser(), new_browser()]
    for browser, person in zip(browsers, people, strict=True):
        browser.sign_in(person)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            begun = client_app.begin()
            for browser in browsers:
                browser.get(f"/device?user_code={begun['user_code']}")
            sent = [pool.submit(one.send, "/device", {"decision": "allow"}) for one in browsers]
            done = ["is connected" in future.result().text for future in sent]
            assert sorted(done) == [False, True]
            polls = [pool.submit(client_app.poll, begun["device_code"]) for _ in range(4)]
            answers = [future.result() for future in polls]
            assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
            token = next(one.json["access_token"] for one in answers if one.status_code == 200)
            me = api.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
            assert me.json["data"]["id"] == str(people[done.index(True)].id)


def test_of_many_polls_at_once_while_nothing_is_decided_one_is_punctual(client_app):
    code = client_app.begin()["device_code"]
    with ThreadPoolExecutor(4) as pool:
        answers = [future.result() for future in [pool.submit(client_app.poll, code) for _ in range(4)]]
    assert sorted(error_of(one)[1] for one in answers) == ["authorization_pending", *["slow_down"] * 3]


@pytest.mark.parametrize("deed", ["ban", "delete", "logout-all", "sign-out"])
def test_what_happens_to_the_user_before_the_next_poll_makes_the_approval_worthless(
    api, browser, signed_in, client_app, deed
):
    begun = client_app.begin()
    confirm(browser, begun["user_code"])
    if deed == "ban":
        api.ban(signed_in.id)
    elif deed == "delete":
        api.delete(f"/users/{signed_in.id}", by=api.admin())
    elif deed == "logout-all":
        api.post("/auth/logout-all", by=signed_in)
    else:
        browser.get("/device")
        browser.send("/oauth/sign-out")
    assert client_app.poll(begun["device_code"]).status_code == 400


def test_nobody_can_try_many_codes(app, environ):
    limited = create_app(environ, LIMIT_DEVICE_CODES=3)
    try:
        api = Api(limited)
        person, browser = api.person(), Browser(limited)
        browser.sign_in(person, Flow().path)
        answers = [browser.get(f"/device?user_code=BCDF-GHJ{letter}") for letter in "BCDF"]
        assert [answer.status_code for answer in answers] == [403, 403, 403, 429]
        assert answers[-1].mimetype == "text/html"
        assert int(answers[-1].headers["Retry-After"]) >= 1
        begun = Client(api).begin()
        stranger = Browser(limited)
        assert stranger.get(f"/device?user_code={begun['user_code']}").status_code == 429
    finally:
        with limited.app_context():
            db.engine.dispose()


def test_calls_for_programs_are_charged_and_refused_in_the_protocols_form(app, environ):
    limited = create_app(environ, LIMIT_CREDENTIALS=2, LIMIT_ANONYMOUS=2)
    try:
        http = limited.test_client()
        for path in ("/oauth/device_authorization", "/oauth/token"):
            post = partial(http.post, path, data={"client_id": CLI})
            assert [post().status_code for _ in range(3)][-1] == 429
            refused = post()
            assert error_of(refused) == (429, "temporarily_unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
    finally:
        with limited.app_context():
            db.engine.dispose()
