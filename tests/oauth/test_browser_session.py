"""The browser's cookie and its forms, under attack."""

import pytest
from sqlalchemy import select, update

from devforge_api.auth.models import Session
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import fingerprint
from tests.factories import PASSWORD
from tests.oauth.conftest import (
    COOKIE,
    Browser,
    Flow,
    flow_action,
    hidden_fields,
    is_signed_in,
)


def test_the_cookie_is_bound_to_this_host_and_out_of_reach_of_scripts(browser, signed_in):
    browser.get(Flow({"prompt": "login"}).path)
    again = browser.send("/oauth/sign-in", {"email": signed_in.email, "password": PASSWORD})
    for answer in (again, Browser(browser.client.application).get("/device")):
        (line,) = answer.headers.getlist("Set-Cookie")
        name, *attributes = (part.strip() for part in line.split(";"))
        assert name.startswith(f"{COOKIE}=")
        assert set(attributes) == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}


def test_signing_in_gives_a_new_value_whatever_the_browser_came_with(api, browser):
    person = api.person()
    browser.cookie = planted = "A" * 43
    browser.get(Flow().path)
    assert browser.cookie == planted
    browser.send("/oauth/sign-in", {"email": person.email, "password": PASSWORD})
    assert browser.cookie != planted
    assert is_signed_in(browser)
    other = Browser(api.app)
    other.cookie = planted
    assert not is_signed_in(other)


def test_signing_in_again_ends_the_session_before(api, browser, signed_in):
    before = browser.cookie
    browser.get(Flow({"prompt": "login"}).path)
    browser.send("/oauth/sign-in", {"email": signed_in.email, "password": PASSWORD})
    thief = Browser(api.app)
    thief.cookie = before
    assert not is_signed_in(thief)
    assert is_signed_in(browser)


def test_only_the_cookies_hash_is_stored(app, browser, signed_in):
    with app.app_context():
        stored = db.session.scalars(select(Session.cookie_hash)).all()
    assert fingerprint(browser.cookie) in stored
    assert browser.cookie not in stored


@pytest.mark.parametrize("deed", ["logout-all", "ban", "delete", "password", "revoke", "sign-out"])
def test_the_cookie_is_dead_at_once_when_its_session_ends(api, browser, signed_in, deed):
    assert is_signed_in(browser)
    value = browser.cookie
    if deed == "logout-all":
        api.post("/auth/logout-all", by=signed_in)
    elif deed == "ban":
        api.ban(signed_in.id)
    elif deed == "delete":
        api.delete(f"/users/{signed_in.id}", by=api.admin())
    elif deed == "password":
        body = {"current_password": PASSWORD, "new_password": "staple orbit lantern"}
        api.post("/auth/password/change", body, by=signed_in)
    elif deed == "revoke":
        listed = api.get("/auth/sessions", by=signed_in).json["data"]
        own = next(one["id"] for one in listed if one["device_name"] == "Web browser")
        assert api.delete(f"/auth/sessions/{own}", by=signed_in).status_code == 204
    else:
        browser.get("/device")
        browser.send("/oauth/sign-out")
    browser.cookie = value
    assert not is_signed_in(browser)


def test_a_session_that_was_idle_for_too_long_admits_no_more_and_use_keeps_it(app, browser, signed_in):
    def expires_at():
        with app.app_context():
            found = select(Session.expires_at).where(Session.cookie_hash == fingerprint(browser.cookie))
            return db.session.scalar(found)

    def rewind(**values):
        with app.app_context(), unit_of_work():
            this = update(Session).where(Session.cookie_hash == fingerprint(browser.cookie))
            db.session.execute(this.values(**values))

    soon = utc_now().replace(microsecond=0)
    rewind(expires_at=soon.replace(year=soon.year + 1), absolute_expires_at=soon.replace(year=soon.year + 2))
    before = expires_at()
    browser.consent(Flow())
    assert expires_at() < before  # the idle lifetime, counted from this use
    rewind(absolute_expires_at=soon.replace(year=soon.year + 2), expires_at=utc_now())
    assert not is_signed_in(browser)


def test_the_browsers_session_costs_one_query_to_look_up(browser, signed_in, count_queries):
    with count_queries() as seen:
        assert is_signed_in(browser)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_no_other_site_can_send_our_forms(api, browser, headers):
    person = api.person()
    browser.get(Flow().path)
    given = {"email": person.email, "password": PASSWORD}
    assert browser.send("/oauth/sign-in", given, headers=headers).status_code == 403
    assert not is_signed_in(browser)


def test_our_own_origin_can(api, browser):
    person = api.person()
    browser.get(Flow().path)
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    given = {"email": person.email, "password": PASSWORD}
    assert browser.send("/oauth/sign-in", given, headers=headers).status_code == 303


@pytest.mark.parametrize(
    "token", ["", "garbage", "of another browser", "of another form", "of before the sign-in"]
)
def test_a_form_needs_its_own_token(api, browser, signed_in, new_browser, token):
    flow = Flow()
    page = browser.get(flow.path)
    action = flow_action(page.text)
    if token == "of another browser":
        other = new_browser()
        other.sign_in(api.person())
        token = hidden_fields(other.get(flow.path).text, action)["form_token"]
    elif token == "of another form":
        token = hidden_fields(browser.get(Flow().path).text, "/oauth/sign-out")["form_token"]
    elif token == "of before the sign-in":
        other = new_browser()
        token = hidden_fields(other.get(flow.path).text, "/oauth/sign-in")["form_token"]
    refused = browser.client.post(action, data={"form_token": token, "decision": "allow"})
    assert refused.status_code == 403
    assert "refresh" not in refused.text


def test_the_token_of_one_request_approves_no_other_one(browser, signed_in):
    page = browser.get(Flow().path)
    token = hidden_fields(page.text, flow_action(page.text))["form_token"]
    other = Flow({"redirect_uri": "http://127.0.0.1:6666/callback"})
    refused = browser.client.post(other.path, data={"form_token": token, "decision": "allow"})
    assert refused.status_code == 403


def test_a_form_without_the_cookie_is_refused(app, browser, signed_in):
    page = browser.get(Flow().path)
    action = flow_action(page.text)
    data = {**hidden_fields(page.text, action), "decision": "allow"}
    assert app.test_client().post(action, data=data).status_code == 403


def test_signing_out_needs_the_form_too(app, browser, signed_in):
    assert browser.client.post("/oauth/sign-out").status_code == 403
    assert is_signed_in(browser)


def test_a_stale_form_is_shown_again_or_goes_on_where_another_tab_has_signed_in(api, browser):
    person = api.person()
    browser.get(Flow().path)
    stale = hidden_fields(browser.page.text, "/oauth/sign-in")
    stale["form_token"] = "x" + stale["form_token"]
    given = {**stale, "email": person.email, "password": PASSWORD}
    again = browser.client.post("/oauth/sign-in", data=given)
    assert again.status_code == 403
    assert "out of date" in again.text
    browser.sign_in(person)
    onward = browser.client.post("/oauth/sign-in", data=given)
    assert (onward.status_code, onward.headers["Location"]) == (303, stale["next"])


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "https:evil.example", "/oauth/../evil",
        "javascript:alert(1)", "/device\r\nSet-Cookie: x=1", "/device?user_code=x//", "/oauth/authorize",
        "/oauth/authorize?x=\"><script>", "/oauth/authorize?x=1\\", "/oauth/authorize#", " /device",
        "/device/..",
        "/api/v1/auth/oauth/google/start", "/oauth/authorizeevil?x=1", "/oauth/authorize?x=1\n",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_signing_in(api, browser, evil):
    person = api.person()
    browser.get(Flow().path)
    done = browser.send("/oauth/sign-in", {"email": person.email, "password": PASSWORD, "next": evil})
    assert (done.status_code, done.headers["Location"]) == (303, "/device")
