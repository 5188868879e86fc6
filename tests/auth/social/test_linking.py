"""Whose account a vouched identity opens (the contract's rules)."""

import pytest
from sqlalchemy import func, select

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import (
    DeviceGrant,
    GrantStatus,
    Identity,
    OneTimeToken,
    PersonalAccessToken,
    Purpose,
    RecoveryCode,
    ServiceAccount,
    TotpFactor,
)
from devforge_api.auth.service import one_time
from devforge_api.core import outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.users.models import User
from tests.auth.social.peers import Browser
from tests.factories import PASSWORD, code_of

ADA = {"email": "Ada@example.com", "email_verified": True}


@pytest.fixture
def seen(monkeypatch):
    """Events of the linking of identities, as a subscriber gets them."""
    found: list[dict] = []
    for name in ("auth.identity_linked", "auth.identity_unlinked"):
        subscribers = {**outbox._subscribers.get(name, {}), "tests": found.append}
        monkeypatch.setitem(outbox._subscribers, name, subscribers)
    return found


def rows(app, model):
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model))


def user_of(app, user_id):
    with app.app_context():
        return db.session.get_one(User, user_id)


def login(api, email, password=PASSWORD):
    return api.post("/auth/login", {"email": email, "password": password})


def test_a_verified_address_links_to_the_account_that_has_verified_it(api, browser, acme, seen):
    ada = api.person(email="ada@example.com")
    answer = browser.sign_in(acme, **ADA)
    assert answer.json["data"]["user"]["id"] == str(ada.id)
    assert login(api, ada.email).status_code == 200
    assert api.get("/auth/me", by=ada).status_code == 200
    api.deliver()
    assert seen == [{"user_id": str(ada.id), "provider": "acme"}]
    assert "auth.identity_linked" in [one["action"] for one in api.get("/auth/activity", by=ada).json["data"]]


def test_a_new_account_is_made_without_a_letter_about_linking(api, browser, acme, seen):
    browser.sign_in(acme, **ADA)
    api.deliver()
    assert seen == []


@pytest.mark.parametrize("told", [False, None, 0, "false", "yes", [], {}, ...])
def test_an_address_that_the_provider_has_not_verified_opens_no_account(api, browser, acme, told, seen):
    ada = api.person(email="ada@example.com")
    claims = {"email": "ada@example.com"} | ({} if told is ... else {"email_verified": told})
    refused = browser.sign_in(acme, **claims)
    assert (refused.status_code, code_of(refused)) == (409, "LINK_REQUIRED")
    assert refused.json["error"]["params"] == {"provider": "acme"}
    assert rows(api.app, Identity) == 0
    assert login(api, ada.email).status_code == 200
    api.deliver()
    assert seen == []


def test_nor_does_it_claim_an_account_whose_address_is_not_verified_either(api, browser, acme):
    squatter = api.person(email="ada@example.com", verified=False)
    assert code_of(browser.sign_in(acme, email="ada@example.com")) == "LINK_REQUIRED"
    assert login(api, squatter.email).status_code == 200


@pytest.fixture
def squatter(app, api, social, peers):
    """Somebody who took an address that is not theirs, and everything that one can set up."""
    found = api.person(email="ada@example.com", verified=False)
    with app.app_context(), unit_of_work():
        account = ServiceAccount(owner_id=found.id, name="Robot", scopes=[])
        db.session.add(account)
        db.session.flush()
        soon = {"expires_at": utc_now().replace(year=2099)}
        db.session.add_all(
            [
                PersonalAccessToken(
                    user_id=found.id, name="Mine", scopes=[], token_hash="a" * 64, hint="x", **soon
                ),
                PersonalAccessToken(
                    user_id=found.id,
                    service_account_id=account.id,
                    name="Robot's",
                    scopes=[],
                    token_hash="b" * 64,
                    hint="x",
                    **soon,
                ),
                DeviceGrant(
                    client_id="cli",
                    scope="",
                    device_code_hash="c" * 64,
                    user_code="ABCD",
                    user_id=found.id,
                    status=GrantStatus.APPROVED,
                    **soon,
                ),
                TotpFactor(user_id=found.id, secret="", confirmed_at=utc_now()),
                RecoveryCode(user_id=found.id, code_hash="d" * 64),
                Identity(user_id=found.id, provider="other", subject="squatter", email="x@example.com"),
            ]
        )
        for purpose in Purpose:
            one_time.issue(purpose, lifetime=soon["expires_at"] - utc_now(), user_id=found.id)
    return found


def test_the_owner_of_an_address_takes_the_account_from_whoever_squatted_on_it(
    api, browser, acme, peers, squatter, seen
):
    answer = browser.sign_in(acme, **ADA)
    assert answer.status_code == 200, answer.text
    data = answer.json["data"]
    assert (data["user"]["id"], data["user"]["email_verified"]) == (str(squatter.id), True)
    assert "mfa_required" not in data  # the squatter's authenticator asks nobody
    headers = {"Authorization": f"Bearer {data['access_token']}"}
    assert api.get("/auth/me", headers=headers).status_code == 200
    assert len(api.get("/auth/sessions", headers=headers).json["data"]) == 1

    assert code_of(login(api, squatter.email)) == "INVALID_CREDENTIALS"
    assert api.get("/auth/me", by=squatter).status_code == 401
    assert api.post("/auth/refresh", {"refresh_token": squatter.refresh_token}).status_code == 401
    for model in (PersonalAccessToken, ServiceAccount, DeviceGrant, TotpFactor, RecoveryCode):
        assert rows(api.app, model) == 0, model
    with api.app.app_context():
        theirs = select(OneTimeToken.consumed_at).where(OneTimeToken.user_id == squatter.id)
        assert None not in db.session.scalars(theirs).all()
    other_way = Browser(api.app).sign_in(peers.other, "other", sub="squatter", email="x@example.com")
    assert other_way.json["data"]["user"]["id"] != str(squatter.id)
    api.deliver()
    assert seen == [{"user_id": str(squatter.id), "provider": "acme"}]


def test_an_account_made_by_an_unverified_address_is_verified_once_the_provider_says_so(browser, acme):
    first = browser.sign_in(acme, email="ada@example.com", email_verified=False).json["data"]["user"]
    assert first["email_verified"] is False
    again = browser.sign_in(acme, **ADA).json["data"]["user"]
    assert (again["id"], again["email_verified"]) == (first["id"], True)


def test_the_owner_takes_an_account_that_another_provider_s_user_squatted_on(api, browser, peers):
    made = browser.sign_in(peers.other, "other", sub="evil", email="ada@example.com").json["data"]
    owner = Browser(api.app).sign_in(peers.acme, **ADA).json["data"]
    assert owner["user"]["id"] == made["user"]["id"]
    evil = {"Authorization": f"Bearer {made['access_token']}"}
    assert api.get("/auth/me", headers=evil).status_code == 401
    assert code_of(browser.sign_in(peers.other, "other", sub="evil", email="ada@example.com")) == (
        "LINK_REQUIRED"
    )


@pytest.mark.parametrize(
    "email",
    [..., None, "", 5, "no address", "a@b@c", "a@example.com\r\nBcc: x@y.z", "x" * 250 + "@y.z", "<a>@b.c"],
)
def test_without_an_address_no_account_is_made(api, browser, acme, email):
    claims = {} if email is ... else {"email": email, "email_verified": True}
    refused = browser.sign_in(acme, **claims)
    assert (refused.status_code, code_of(refused)) == (422, "PROVIDER_EMAIL_MISSING")
    assert rows(api.app, User) == 0


def test_where_addresses_must_be_verified_an_unverified_one_waits(social_with, api, acme):
    app = social_with(EMAIL_VERIFICATION="required")
    browser = Browser(app)
    for _ in range(2):
        refused = browser.sign_in(acme, email="ada@example.com")
        assert (refused.status_code, code_of(refused)) == (403, "EMAIL_NOT_VERIFIED")
    assert (rows(app, User), rows(app, Identity)) == (1, 1)
    assert browser.sign_in(acme, **ADA).status_code == 200


def test_the_letter_that_verifies_is_asked_for_once(social_with, acme, monkeypatch):
    asked: list[dict] = []
    monkeypatch.setitem(outbox._subscribers, "auth.verification_requested", {"tests": asked.append})
    app = social_with(EMAIL_VERIFICATION="required")
    from tests.factories import Api

    Browser(app).sign_in(acme, email="ada@example.com")
    Browser(app).sign_in(acme, sub="2", **ADA | {"email": "grace@example.com"})
    Api(app).deliver()
    with app.app_context():
        first = db.session.scalar(select(User.id).where(User.email == "ada@example.com"))
    assert asked == [{"user_id": str(first)}]


def test_a_banned_squatter_s_account_is_not_taken_over(api, browser, acme):
    squatter = api.person(email="ada@example.com", verified=False)
    api.ban(squatter.id)
    assert code_of(browser.sign_in(acme, **ADA)) == "ACCOUNT_DISABLED"
    assert user_of(api.app, squatter.id).password_hash is not None
    assert user_of(api.app, squatter.id).email_verified is False


def test_the_audit_trail_tells_whose_account_was_claimed(api, browser, acme):
    squatter = api.person(email="ada@example.com", verified=False)
    browser.sign_in(acme, **ADA)
    with api.app.app_context():
        actions = db.session.execute(
            select(AuditEvent.action, AuditEvent.changes).where(AuditEvent.target_id == squatter.id)
        ).all()
    assert ("auth.account_claimed", {}) in actions
    assert ("auth.identity_linked", {"provider": [None, "acme"]}) in actions
    assert "user.email_verified" in [action for action, _ in actions]


def test_what_a_sign_in_by_a_known_identity_asks_the_database(browser, acme, count_queries):
    browser.sign_in(acme, **ADA)
    brought = acme.agree(browser.location(), **ADA)
    with count_queries() as statements:
        assert browser.back(brought).status_code == 200
    assert len(statements) <= 12, "\n".join(statements)
