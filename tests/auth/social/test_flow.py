from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import func, select, update

from config.providers import ProviderSettings
from devforge_api.auth.models import Identity, OneTimeToken, Purpose, Session
from devforge_api.auth.routes.providers import COOKIE
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.users.models import User
from tests.auth.social.conftest import NEXT
from tests.auth.social.peers import CLIENT_ID, Browser, fragment, s256
from tests.factories import code_of

VERIFIER = "a-verifier-that-only-this-client-knows-0123456789"
ADA = {"email": "ada@example.com", "email_verified": True, "name": "Ada Lovelace"}


def way_with_next(browser, peer, **claims):
    """The browser's way up to `next`; the fragment that it arrives with."""
    location = browser.location(next=NEXT, code_challenge=s256(VERIFIER))
    answer = browser.back(peer.agree(location, **{**ADA, **claims}))
    assert answer.headers["Location"].startswith(NEXT + "#")
    assert answer.headers["Cache-Control"] == "no-store"
    return fragment(answer)


def exchange(api, code, verifier=VERIFIER, **more):
    return api.post("/auth/oauth/exchange", {"code": code, "code_verifier": verifier, **more})


def count(app, model):
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model))


def test_a_sign_in_page_learns_which_providers_there_are(api, peers):
    listed = api.get("/auth/oauth/providers").json["data"]
    assert [one["name"] for one in listed] == ["acme", "other", "github", "apple", "microsoft"]
    assert listed[0] == {
        "name": "acme",
        "label": "Acme",
        "start_url": "http://127.0.0.1:8000/api/v1/auth/oauth/acme/start",
    }


def test_the_browser_is_sent_with_state_nonce_and_a_challenge(browser, acme):
    answer = browser.start()
    asked = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    acme.agree(answer.headers["Location"])  # checks the rest
    assert asked["scope"] == "openid email profile"
    assert asked["redirect_uri"] == "http://127.0.0.1:8000/api/v1/auth/oauth/acme/callback"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=600"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_redirect_address_comes_from_configuration_whatever_host_is_asked(social, acme):
    answer = social.test_client().get("/api/v1/auth/oauth/acme/start", headers={"Host": "evil.example"})
    asked = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    assert asked["redirect_uri"].startswith("http://127.0.0.1:8000/")


def test_a_new_user_signs_in_without_next_and_gets_tokens(api, browser, acme):
    answer = browser.sign_in(acme, **ADA)
    data = answer.json["data"]
    assert answer.status_code == 200
    assert set(data) == {
        "access_token", "refresh_token", "token_type", "expires_in", "user", "device_token",
    }  # fmt: skip
    assert (data["user"]["email"], data["user"]["name"]) == ("ada@example.com", "Ada Lovelace")
    assert data["user"]["email_verified"] is True
    assert answer.headers["Cache-Control"] == "no-store"
    headers = {"Authorization": f"Bearer {data['access_token']}"}
    assert api.get("/auth/me", headers=headers).json["data"]["id"] == data["user"]["id"]


def test_signing_in_again_opens_the_same_account_whatever_address_the_provider_tells(browser, acme):
    first = browser.sign_in(acme, **ADA).json["data"]["user"]
    again = browser.sign_in(acme, email="new@example.com", email_verified=True, name="Countess")
    assert again.json["data"]["user"]["id"] == first["id"]
    assert again.json["data"]["user"]["email"] == "ada@example.com"
    assert browser.sign_in(acme).json["data"]["user"]["id"] == first["id"]


def test_a_client_takes_the_sign_in_over_with_its_verifier(api, browser, acme):
    arrived = way_with_next(browser, acme)
    assert set(arrived) == {"code"}
    answer = exchange(api, arrived["code"], device_name="Ada's laptop")
    assert answer.status_code == 200
    person = {"Authorization": f"Bearer {answer.json['data']['access_token']}"}
    assert api.get("/auth/sessions", headers=person).json["data"][0]["device_name"] == "Ada's laptop"


def test_nobody_takes_a_sign_in_over_without_the_verifier_or_twice(api, browser, acme):
    code = way_with_next(browser, acme)["code"]
    refused = exchange(api, code, "another-verifier-of-somebody-else-0123456789012")
    assert (refused.status_code, code_of(refused)) == (410, "ONE_TIME_TOKEN_INVALID")
    assert exchange(api, code).status_code == 200
    assert code_of(exchange(api, code)) == "ONE_TIME_TOKEN_INVALID"
    assert count(api.app, Session) == 1


def test_the_code_for_the_client_expires_after_a_minute(api, browser, acme, rewind_tokens):
    code = way_with_next(browser, acme)["code"]
    rewind_tokens(Purpose.PROVIDER_RESULT, 60)
    assert code_of(exchange(api, code)) == "ONE_TIME_TOKEN_INVALID"
    assert count(api.app, User) == 0


def test_the_state_expires_after_ten_minutes(browser, acme, rewind_tokens):
    brought = acme.agree(browser.location(), **ADA)
    rewind_tokens(Purpose.PROVIDER_STATE, 600)
    assert code_of(browser.back(brought)) == "PROVIDER_STATE_INVALID"


@pytest.fixture
def rewind_tokens(app):
    def rewind(purpose, seconds):
        passed = update(OneTimeToken).where(OneTimeToken.purpose == purpose)
        with app.app_context(), unit_of_work():
            ends = db.session.scalar(select(OneTimeToken.expires_at).where(OneTimeToken.purpose == purpose))
            assert timedelta(seconds=seconds - 5) < ends - utc_now() <= timedelta(seconds=seconds)
            db.session.execute(passed.values(expires_at=ends - timedelta(seconds=seconds)))

    return rewind


def test_two_windows_of_one_browser_may_be_on_their_way_at_once(browser, peers):
    first, second = browser.location("acme"), browser.location("other")
    assert browser.back(peers.other.agree(second, sub="1", **ADA), "other").status_code == 200
    assert browser.back(peers.acme.agree(first, sub="2", **ADA)).status_code == 200


def test_with_a_second_factor_the_provider_is_not_enough(social, api, browser, acme, with_totp):
    ada = api.person(email=ADA["email"])
    with_totp(ada.id)
    answer = browser.sign_in(acme, **ADA).json["data"]
    assert answer["mfa_required"] is True
    assert "access_token" not in answer
    answer = exchange(api, way_with_next(browser, acme)["code"]).json["data"]
    assert answer["mfa_required"] is True
    assert answer["challenge_token"]


def test_a_disabled_user_is_refused_and_nothing_is_linked(api, browser, acme):
    ada = api.person(email=ADA["email"])
    api.ban(ada.id)
    refused = browser.sign_in(acme, **ADA)
    assert (refused.status_code, code_of(refused)) == (403, "ACCOUNT_DISABLED")
    assert count(api.app, Identity) == 0


def test_refusing_at_the_provider_is_told_to_whoever_asked(browser, acme):
    state = dict(parse_qsl(urlsplit(browser.location()).query))["state"]
    refused = browser.back({"error": "access_denied", "state": state})
    assert (refused.status_code, code_of(refused)) == (403, "PROVIDER_DENIED")
    location = browser.location(next=NEXT, code_challenge=s256(VERIFIER))
    state = dict(parse_qsl(urlsplit(location).query))["state"]
    assert fragment(browser.back({"error": "access_denied", "state": state})) == {"error": "access_denied"}
    assert code_of(browser.back({"error": "access_denied", "state": state})) == "PROVIDER_STATE_INVALID"


def test_fifty_callbacks_of_one_state_sign_in_once(social, browser, acme):
    brought = acme.agree(browser.location(), **ADA)
    cookie = f"{COOKIE}={browser.client.get_cookie(COOKIE).value}"

    def back(_):
        path = "/api/v1/auth/oauth/acme/callback"
        other = social.test_client(use_cookies=False)
        return other.get(path, query_string=brought, headers={"Cookie": cookie})

    with ThreadPoolExecutor(25) as pool:
        codes = [answer.status_code for answer in pool.map(back, range(50))]
    assert (codes.count(200), codes.count(403)) == (1, 49)
    assert acme.requests.count("/token") == 1
    assert (count(social, User), count(social, Session)) == (1, 1)


def test_several_browsers_at_once_make_one_account_of_one_new_identity(social, acme):
    browsers = [Browser(social) for _ in range(8)]
    ways = [(browser, acme.agree(browser.location(), **ADA)) for browser in browsers]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda way: way[0].back(way[1]), ways))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json["data"]["user"]["id"] for answer in answers}) == 1
    assert (count(social, User), count(social, Identity), count(social, Session)) == (1, 1, 8)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_client_secret_is_told_in_a_way_that_the_provider_takes(social_with, acme, method):
    acme.methods = (method,)
    assert Browser(social_with()).sign_in(acme, **ADA).status_code == 200


def test_a_public_client_has_no_secret_to_tell(social_with, peers, monkeypatch):
    settings = ProviderSettings("acme", "oidc", "Acme", peers.acme.issuer, CLIENT_ID)
    seen = []
    monkeypatch.setattr(
        peers.acme, "_is_client", lambda request: seen.append((request.authorization, request.form)) or True
    )
    browser = Browser(social_with(IDENTITY_PROVIDERS={"acme": settings}))
    assert browser.sign_in(peers.acme, **ADA).status_code == 200
    ((authorization, form),) = seen
    assert (authorization, form["client_id"], "client_secret" in form) == (None, CLIENT_ID, False)


def test_where_the_id_token_tells_no_address_userinfo_is_asked(browser, acme):
    acme.userinfo = {"sub": "248289761001", **ADA}
    assert browser.sign_in(acme).json["data"]["user"]["email"] == "ada@example.com"


def test_userinfo_about_somebody_else_is_refused(browser, acme):
    acme.userinfo = {"sub": "another", **ADA}
    assert code_of(browser.sign_in(acme)) == "PROVIDER_ANSWER_INVALID"


def test_an_unknown_provider_is_not_there(api, browser):
    for answer in (browser.start("nobody"), browser.back({"state": "x", "code": "y"}, "nobody")):
        assert (answer.status_code, code_of(answer)) == (404, "PROVIDER_NOT_FOUND")


def test_what_is_stored_meanwhile_is_hashed_or_encrypted(social, browser, acme):
    brought = acme.agree(browser.location(next=NEXT, code_challenge=s256(VERIFIER)), **ADA)
    code = fragment(browser.back(brought))["code"]
    with social.app_context():
        rows = [str(row) for row in db.session.execute(select(OneTimeToken.__table__))]
    secrets = (brought["state"], browser.client.get_cookie(COOKIE).value, code, ADA["email"], CLIENT_ID)
    assert len(rows) == 2
    assert not [one for row in rows for one in secrets if one in row]
