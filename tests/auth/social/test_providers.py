"""What is peculiar to GitHub, Apple and Microsoft."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select
from werkzeug.wrappers import Response

from devforge_api.auth.models import Identity
from devforge_api.core.db import db
from tests.auth.social.peers import TENANT, Browser
from tests.factories import code_of

OTHER_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"


def subjects(app):
    with app.app_context():
        return db.session.scalars(select(Identity.subject)).all()


# --- GitHub ----------------------------------------------------------------------------------------
def emails(*rows):
    return [{"email": email, "primary": primary, "verified": verified} for email, primary, verified in rows]


def by_github(browser, peers, **user):
    user = {"id": 583231, "name": "Ada", **user}
    return browser.back(peers.github.agree(browser.location("github"), **user), "github")


def test_github_s_primary_verified_address_is_taken(social, browser, peers):
    listed = emails(("old@example.com", False, True), ("ada@example.com", True, True))
    user = by_github(browser, peers, emails=listed).json["data"]["user"]
    assert (user["email"], user["email_verified"], user["name"]) == ("ada@example.com", True, "Ada")
    assert subjects(social) == ["583231"]


def test_github_s_unverified_primary_address_opens_no_account_that_is_there(api, browser, peers):
    api.person(email="ada@example.com")
    listed = emails(("other@example.com", False, True), ("ada@example.com", True, False))
    assert code_of(by_github(browser, peers, emails=listed)) == "LINK_REQUIRED"


@pytest.mark.parametrize("listed", [[], emails(("ada@example.com", False, True)), [5], [{"primary": True}]])
def test_without_a_primary_address_at_github_there_is_none(browser, peers, listed):
    assert code_of(by_github(browser, peers, emails=listed)) == "PROVIDER_EMAIL_MISSING"


@pytest.mark.parametrize(
    "user",
    [{"id": None}, {"id": "583231"}, {"id": True}, {"emails": {"message": "Not Found"}}, {"emails": None}],
)
def test_strange_answers_of_github_sign_nobody_in(browser, peers, user):
    listed = emails(("ada@example.com", True, True))
    assert code_of(by_github(browser, peers, **{"emails": listed, **user})) == "PROVIDER_ANSWER_INVALID"


def test_github_refuses_a_wrong_code_with_a_200_and_nobody_is_signed_in(browser, peers):
    brought = peers.github.agree(browser.location("github"), id=1, emails=[])
    refused = browser.back({**brought, "code": "wrong"}, "github")
    assert code_of(refused) == "PROVIDER_ANSWER_INVALID"


def test_a_token_that_github_gave_without_the_scope_for_addresses_signs_nobody_in(browser, peers):
    peers.github.answers["/user/emails"] = lambda _: Response("{}", 404)
    refused = by_github(browser, peers, emails=[])
    assert (refused.status_code, code_of(refused)) == (503, "PROVIDER_UNAVAILABLE")


def test_github_s_issuer_is_checked_where_it_is_told(browser, peers):
    listed = emails(("ada@example.com", True, True))
    for issuer, status in ((peers.acme.address, 403), (peers.github.address + "/login/oauth", 200)):
        brought = peers.github.agree(browser.location("github"), id=1, emails=listed)
        assert browser.back({**brought, "iss": issuer}, "github").status_code == status


# --- Apple -----------------------------------------------------------------------------------------
APPLE = {"email": "ada@example.com", "email_verified": "true"}
NAME = json.dumps({"name": {"firstName": "Ada", "lastName": "Lovelace"}, "email": "evil@example.com"})


def test_apple_comes_back_by_a_post_from_its_own_site(browser, peers):
    answer = browser.start("apple")
    assert "SameSite=None" in answer.headers["Set-Cookie"]
    assert "Secure" in answer.headers["Set-Cookie"]
    brought = peers.apple.agree(answer.headers["Location"], **APPLE)
    user = browser.back({**brought, "user": NAME}, "apple", post=True).json["data"]["user"]
    assert (user["email"], user["email_verified"]) == ("ada@example.com", True)
    assert user["name"] == "Ada Lovelace"


def test_apple_tells_the_name_once_and_nothing_else_of_that_form_counts(browser, peers):
    location = browser.location("apple")
    first = browser.back({**peers.apple.agree(location, **APPLE), "user": NAME}, "apple", post=True)
    location = browser.location("apple")
    again = browser.back(peers.apple.agree(location, **APPLE), "apple", post=True)
    assert again.json["data"]["user"]["id"] == first.json["data"]["user"]["id"]
    assert again.json["data"]["user"]["name"] == "Ada Lovelace"


@pytest.mark.parametrize(
    "user",
    ["", "{", "[]", "5", '{"name": 5}', '{"name": {"firstName": 5}}', '{"name": {"firstName": "\\ud800"}}'],
)
def test_a_strange_name_from_apple_s_form_is_none(browser, peers, user):
    brought = peers.apple.agree(browser.location("apple"), **APPLE)
    answer = browser.back({**brought, "user": user}, "apple", post=True)
    assert answer.json["data"]["user"]["name"] is None


def test_a_name_is_shown_as_text_of_bounded_length(browser, peers):
    brought = peers.apple.agree(browser.location("apple"), **APPLE)
    user = json.dumps({"name": {"firstName": " A\u202e\r\n\td\x07a  ", "lastName": "x" * 3000}})
    name = browser.back({**brought, "user": user}, "apple", post=True).json["data"]["user"]["name"]
    assert name.startswith("Ada xxx")
    assert len(name) == 100


def test_an_answer_posted_from_another_browser_is_refused(social, browser, peers):
    brought = peers.apple.agree(browser.location("apple"), **APPLE)
    refused = Browser(social).back(brought, "apple", post=True)
    assert code_of(refused) == "PROVIDER_STATE_INVALID"


# --- Microsoft -------------------------------------------------------------------------------------
ENTRA = {
    "tid": TENANT,
    "oid": "AAAAAAAA-0000-0000-0000-000000000001",
    "sub": "pairwise",
    "email": "ada@example.com",
}


def by_microsoft(browser, peers, *, iss=None, **claims):
    claims = {**ENTRA, **claims}
    issuer = f"{peers.microsoft.address}/{claims['tid']}/v2.0"
    brought = peers.microsoft.agree(browser.location("microsoft"), **{"iss": issuer, **claims})
    return browser.back({**brought, **({"iss": iss} if iss else {})}, "microsoft")


def test_microsoft_s_person_is_the_object_in_the_tenant(social, browser, peers):
    first = by_microsoft(browser, peers).json["data"]["user"]
    again = by_microsoft(browser, peers, sub="another application's", email="x@example.com")
    assert again.json["data"]["user"]["id"] == first["id"]
    assert subjects(social) == [f"{TENANT}:{ENTRA['oid'].lower()}"]


def test_the_same_object_id_in_another_tenant_is_another_person(browser, peers):
    first = by_microsoft(browser, peers).json["data"]["user"]
    other = by_microsoft(browser, peers, tid=OTHER_TENANT, email="eve@example.com").json["data"]["user"]
    assert other["id"] != first["id"]


@pytest.mark.parametrize("claims", [{"email_verified": True}, {"xms_edov": False}, {"xms_edov": "false"}, {}])
def test_microsoft_s_address_is_not_verified_whatever_else_it_says(api, browser, peers, claims):
    api.person(email="ada@example.com")
    assert code_of(by_microsoft(browser, peers, **claims)) == "LINK_REQUIRED"


@pytest.mark.parametrize("told", [True, "true", 1, "1"])
def test_unless_the_tenant_has_proven_to_own_the_domain(api, browser, peers, told):
    ada = api.person(email="ada@example.com")
    assert by_microsoft(browser, peers, xms_edov=told).json["data"]["user"]["id"] == str(ada.id)


@pytest.mark.parametrize("claims", [{"tid": "common"}, {"tid": ""}, {"oid": ""}, {"oid": 5}, {"oid": None}])
def test_a_token_without_tenant_or_object_is_refused(browser, peers, claims):
    assert code_of(by_microsoft(browser, peers, **claims)) == "PROVIDER_ANSWER_INVALID"


def test_the_issuer_must_be_the_tenant_s_own(browser, peers):
    of_other = f"{peers.microsoft.address}/{OTHER_TENANT}/v2.0"
    brought = peers.microsoft.agree(browser.location("microsoft"), **{**ENTRA, "iss": of_other})
    assert code_of(browser.back(brought, "microsoft")) == "PROVIDER_ANSWER_INVALID"
    right = f"{peers.microsoft.address}/{TENANT}/v2.0"
    assert by_microsoft(browser, peers, iss=right).status_code == 200
    for wrong in (of_other, "https://evil.example", peers.microsoft.address + "/v2.0"):
        assert code_of(by_microsoft(browser, peers, iss=wrong)) == "PROVIDER_ANSWER_INVALID"


def test_one_tenant_s_configuration_lets_no_other_tenant_in(social_with, peers, monkeypatch):
    monkeypatch.setattr(peers.microsoft, "issuer_path", f"/{TENANT}/v2.0")
    app = social_with()
    peers.microsoft.issuer_told = f"{peers.microsoft.address}/{TENANT}/v2.0"
    browser = Browser(app)
    assert by_microsoft(browser, peers).status_code == 200
    assert code_of(by_microsoft(browser, peers, tid=OTHER_TENANT)) == "PROVIDER_ANSWER_INVALID"


def test_every_provider_is_asked_for_what_it_needs_and_no_more(browser, peers):
    asked = {
        name: dict(parse_qsl(urlsplit(browser.location(name)).query))["scope"]
        for name in ("acme", "github", "apple", "microsoft")
    }
    assert asked == {
        "acme": "openid email profile",
        "github": "read:user user:email",
        "apple": "openid email name",
        "microsoft": "openid email profile",
    }
