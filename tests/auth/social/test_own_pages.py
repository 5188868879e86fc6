"""Sign-in by a provider on the server's own pages, which work without any script."""

import html
import re

import pytest
from sqlalchemy import select
from werkzeug.wrappers import Response

from devforge_api.auth.models import Session
from devforge_api.core.db import db
from tests.auth.social.peers import Browser, refused
from tests.factories import PASSWORD, code_of
from tests.oauth.conftest import Flow

ADA = {"email": "ada@example.com", "email_verified": True}


def offered(browser, path, label="Acme"):
    """Where the page's button for a provider leads."""
    page = browser.client.get(path)
    link = re.search(rf'<a[^>]* href="([^"]+)">{label}</a>', page.text)
    assert link is not None, page.text
    return html.unescape(link[1])


def through(browser, peer, path, **claims):
    """Press the button, agree there, and come back."""
    return browser.back(peer.agree(browser.client.get(offered(browser, path)).headers["Location"], **claims))


@pytest.mark.parametrize("path", [Flow().path, "/device?user_code=BCDF-GHJK"])
def test_a_provider_signs_the_browser_in_and_its_page_goes_on(social, browser, acme, path):
    answer = through(browser, acme, path, **ADA)
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    assert "code=" not in answer.headers["Location"].replace("user_code=", "").replace("code_challenge", "")
    assert "ada@example.com" in browser.client.get(path).text or "/device" in path
    with social.app_context():
        session = db.session.scalars(select(Session)).one()
    assert session.cookie_hash is not None
    assert session.device_name == "Web browser"


def test_a_second_factor_is_asked_for_on_its_page(api, browser, acme, with_totp):
    with_totp(api.person(email="ada@example.com").id)
    answer = through(browser, acme, Flow().path, **ADA)
    assert answer.status_code == 200
    assert 'name="challenge_token"' in answer.text
    assert browser.client.get("/device").status_code == 200


def test_a_refusal_is_told_on_the_sign_in_page(api, browser, acme):
    api.person(email="ada@example.com")
    answer = through(browser, acme, Flow().path, email="ada@example.com")
    assert answer.status_code == 409
    assert "Your address has an account already" in answer.text
    location = browser.client.get(offered(browser, Flow().path)).headers["Location"]
    brought = {"state": acme.agree(location)["state"], "error": "access_denied"}
    answer = browser.back(brought)
    assert answer.status_code == 403
    assert "You were not signed in there" in answer.text


def test_another_browser_cannot_be_signed_in_by_what_this_one_began(social, browser, acme):
    location = browser.client.get(offered(browser, Flow().path)).headers["Location"]
    refused(Browser(social).back(acme.agree(location, **ADA)), "PROVIDER_STATE_INVALID")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/oauth/authorize",
        "/oauth/sign-out",
        "/api/v1/auth/me",
        "//evil.example/oauth/authorize?x",
        "/device#x",
    ]
    + [Flow().path + end for end in ("\n", "#x", "\\", " ")]
    + ["/oauth/authorize?x/../../..\\evil", "https:/oauth/authorize?x", "/device/../evil"],
)
def test_no_other_page_of_ours_is_gone_on_to(browser, acme, path):
    refused(browser.start(next=path), "VALIDATION_ERROR", 422)


def test_the_password_still_works_beside_the_buttons(api, browser, acme):
    api.person(email="ada@example.com")
    page = browser.client.get(Flow().path).text
    token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
    form = {"form_token": token, "next": Flow().path, "email": "ada@example.com", "password": PASSWORD}
    assert browser.client.post("/oauth/sign-in", data=form).status_code == 303


@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "*/*", "application/json", None])
@pytest.mark.parametrize(
    ("path", "status", "code", "says"),
    [
        ("acme/callback?code=x&state=old", 403, "PROVIDER_STATE_INVALID", "took too long"),
        ("acme/start", 503, "PROVIDER_UNAVAILABLE", "does not answer"),
        ("nobody/start", 404, "PROVIDER_NOT_FOUND", "Go back"),
        ("acme/start?next=https://evil.example", 422, "VALIDATION_ERROR", "That did not work"),
    ],
)
def test_a_person_reads_a_page_where_a_program_reads_the_envelope(
    social_with, acme, accept, path, status, code, says
):
    acme.answers["/.well-known/openid-configuration"] = lambda _: Response("no", 500)
    headers = {"Accept": accept} if accept else {}
    answer = social_with().test_client().get(f"/api/v1/auth/oauth/{path}", headers=headers)
    assert answer.status_code == status
    if accept and accept.startswith("text/html"):
        assert answer.mimetype == "text/html"
        assert says in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Accept" in answer.vary
    else:
        assert code_of(answer) == code
