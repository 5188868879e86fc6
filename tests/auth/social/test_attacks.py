"""What another browser, or somebody in between, could try."""

import pytest
from sqlalchemy import func, select

from devforge_api.auth.models import OneTimeToken
from devforge_api.auth.routes.providers import COOKIE
from devforge_api.core.db import db
from tests.auth.social.conftest import NEXT
from tests.auth.social.peers import Browser, refused, s256

pytestmark = pytest.mark.usefixtures("nobody_new")
ADA = {"email": "ada@example.com", "email_verified": True}
CHALLENGE = s256("x" * 43)


def test_another_browser_cannot_bring_the_state_back_and_the_right_one_still_signs_in(social, browser, acme):
    brought = acme.agree(browser.location(), **ADA)
    without, other = Browser(social), Browser(social)
    other.location()
    refused(without.back(brought), "PROVIDER_STATE_INVALID")
    refused(other.back(brought), "PROVIDER_STATE_INVALID")
    assert browser.back(brought).status_code == 200


def test_a_callback_cannot_be_replayed_though_the_first_signs_in(browser, acme):
    brought = acme.agree(browser.location(), **ADA)
    assert browser.back(brought).status_code == 200
    refused(browser.back(brought), "PROVIDER_STATE_INVALID")


def test_what_one_provider_answered_is_not_taken_at_another_s_address(browser, peers):
    brought = peers.acme.agree(browser.location("acme"), **ADA)
    refused(browser.back(brought, "other"), "PROVIDER_STATE_INVALID")
    assert "/token" not in peers.other.requests  # the code was not shown to it


@pytest.mark.parametrize("iss", ["https://evil.example", "", "null"])
def test_a_wrong_issuer_is_refused_before_the_code_is_sent_anywhere(browser, acme, iss):
    refused(browser.back({**acme.agree(browser.location(), **ADA), "iss": iss}))
    assert "/token" not in acme.requests


def test_a_provider_that_promises_its_issuer_must_tell_it_and_then_signs_in(social_with, acme):
    acme.metadata = {"authorization_response_iss_parameter_supported": True}
    browser = Browser(social_with())
    refused(browser.back(acme.agree(browser.location(), **ADA)))
    assert "/token" not in acme.requests
    brought = {**acme.agree(browser.location(), **ADA), "iss": acme.issuer}
    assert browser.back(brought).status_code == 200


@pytest.mark.parametrize(
    "brought", [{}, {"code": "x"}, {"state": "x"}, {"state": "é\u2603" * 20, "code": "x"}]
)
def test_a_callback_out_of_nowhere_is_refused(browser, acme, brought):
    refused(browser.back(brought), "PROVIDER_STATE_INVALID")


@pytest.mark.parametrize("post", [False, True])
def test_parameters_given_twice_or_too_long_are_refused(browser, acme, post):
    brought = acme.agree(browser.location(), **ADA)
    for bad in ({**brought, "code": ["a", "b"]}, {**brought, "code": "x" * 5000}, {**brought, "user": "\0"}):
        refused(browser.back(bad, post=post), "MALFORMED_REQUEST", 400)


def test_json_posted_to_the_callback_is_refused(browser, acme):
    brought = acme.agree(browser.location(), **ADA)
    answer = browser.client.post("/api/v1/auth/oauth/acme/callback", json=brought)
    refused(answer, "MALFORMED_REQUEST", 400)


def test_a_guessed_code_is_refused_and_uses_the_state_up(browser, acme):
    brought = acme.agree(browser.location(), **ADA)
    refused(browser.back({**brought, "code": "guessed"}))
    refused(browser.back(brought), "PROVIDER_STATE_INVALID")


def test_a_code_of_another_sign_in_is_refused_by_its_challenge(social, browser, acme):
    victims = acme.agree(Browser(social).location(), **ADA)
    mine = acme.agree(browser.location(), sub="me", email="me@example.com")
    refused(browser.back({**mine, "code": victims["code"]}))


def test_a_strange_cookie_is_replaced(social, acme):
    path = "/api/v1/auth/oauth/acme/start"
    for strange in ("x", "x" * 44, '"quoted"', "é"):
        client = social.test_client(use_cookies=False)
        answer = client.get(path, headers={"Cookie": f"{COOKIE}={strange}"})
        value = answer.headers["Set-Cookie"].split(";")[0].removeprefix(COOKIE + "=")
        assert len(value) == 43
        assert value != strange


@pytest.mark.parametrize(
    "next_",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "https:evil.example",
        "https:/evil.example", "/", "/oauth/authorize", "/%2fevil.example", "///evil.example", "",
        "https://app.example.com", "https://app.example.com/", NEXT + "/", NEXT + "?", NEXT + "#",
        NEXT + "?x=1",
        NEXT + "/../../evil", NEXT + " ", " " + NEXT, NEXT + "\t", NEXT + "\n", NEXT + "\r\nSet-Cookie: a=b",
        NEXT.upper(), NEXT.replace("https", "http"), NEXT.replace("https", "HTTPS"),
        "https://app.example.com@evil.example/signed-in", "https://user@app.example.com/signed-in",
        "https://app.example.com:443/signed-in", "https://app.example.com.evil.example/signed-in",
        "https://app.example.com\\@evil.example/signed-in", "https://app。example.com/signed-in",
        "javascript:alert(1)", "data:text/html,x", "x" * 3000,
    ],
)  # fmt: skip
def test_a_result_is_sent_to_no_address_that_is_not_listed(social, browser, acme, next_):
    answer = browser.start(next=next_, code_challenge=CHALLENGE)
    refused(answer, "VALIDATION_ERROR", 422)
    assert answer.json["error"]["field"] == "next"
    with social.app_context():
        assert db.session.scalar(select(func.count()).select_from(OneTimeToken)) == 0


@pytest.mark.parametrize(
    "query",
    [
        {"next": NEXT},
        {"code_challenge": CHALLENGE},
        {"next": NEXT, "code_challenge": "plain"},
        {"next": NEXT, "code_challenge": CHALLENGE + "="},
        {"next": NEXT, "code_challenge": CHALLENGE + "\n"},
        {"next": NEXT, "code_challenge": CHALLENGE, "code_challenge_method": "plain"},
    ],
)
def test_a_result_is_bound_to_a_client_by_s256_or_not_handed_over(browser, acme, query):
    refused(browser.start(**query), "VALIDATION_ERROR", 422)
