"""Linking and unlinking by the signed-in owner."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from devforge_api.auth.models import Identity, Session
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.users.models import User
from tests.auth.social.conftest import NEXT
from tests.auth.social.peers import Browser, fragment, s256
from tests.factories import Person, code_of

VERIFIER = "a-verifier-that-only-this-client-knows-0123456789"
ELSEWHERE = {"email": "ada@elsewhere.example", "email_verified": True}


@pytest.fixture
def proven(app):
    """Make a person one who has just proven who they are."""

    def prove(person):
        with app.app_context(), unit_of_work():
            db.session.execute(
                update(Session).where(Session.user_id == person.id).values(reauthenticated_at=utc_now())
            )
        return person

    return prove


@pytest.fixture
def ada(api, proven):
    return proven(api.person(email="ada@example.com"))


def code_for(app, peer, provider="acme", **claims):
    """What a client gets for linking: the code of a sign-in at the provider."""
    browser = Browser(app)
    location = browser.location(provider, next=NEXT, code_challenge=s256(VERIFIER))
    return fragment(browser.back(peer.agree(location, **{**ELSEWHERE, **claims}), provider))["code"]


def link(api, by, code, verifier=VERIFIER):
    return api.post("/auth/identities", {"code": code, "code_verifier": verifier}, by=by)


def test_an_identity_is_linked_shown_and_signs_in(api, acme, ada):
    answer = link(api, ada, code_for(api.app, acme))
    made = answer.json["data"]
    assert answer.status_code == 201
    assert set(made) == {"id", "provider", "email", "last_used_at", "created_at"}
    assert (made["provider"], made["email"]) == ("acme", "ada@elsewhere.example")
    assert answer.headers["Location"] == f"/api/v1/auth/identities/{made['id']}"
    assert api.get(f"/auth/identities/{made['id']}", by=ada).json["data"] == made
    assert api.get("/auth/identities", by=ada).json["data"] == [made]
    signed_in = Browser(api.app).sign_in(acme, **ELSEWHERE).json["data"]["user"]
    assert (signed_in["id"], signed_in["email"]) == (str(ada.id), "ada@example.com")


def test_linking_once_more_changes_nothing(api, acme, ada):
    first = link(api, ada, code_for(api.app, acme))
    again = link(api, ada, code_for(api.app, acme))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["data"]["id"] == first.json["data"]["id"]


def test_another_s_identity_is_not_taken_away(api, acme, ada, proven):
    link(api, ada, code_for(api.app, acme))
    refused = link(api, proven(api.person()), code_for(api.app, acme))
    assert (refused.status_code, code_of(refused)) == (409, "IDENTITY_TAKEN")
    assert len(api.get("/auth/identities", by=ada).json["data"]) == 1


def test_two_accounts_that_link_one_identity_at_once_do_not_both_get_it(api, acme, proven):
    people = [proven(api.person()) for _ in range(6)]
    codes = [code_for(api.app, acme) for _ in people]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda pair: link(api, *pair), zip(people, codes, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {"IDENTITY_TAKEN"}


def test_nobody_can_be_made_to_link_what_somebody_else_began(api, acme, ada):
    planted = code_for(api.app, acme, sub="evil")
    refused = link(api, ada, planted, "the-verifier-of-the-victim-s-own-client-01234567")
    assert (refused.status_code, code_of(refused)) == (410, "ONE_TIME_TOKEN_INVALID")
    assert api.get("/auth/identities", by=ada).json["data"] == []


def test_linking_verifies_the_account_s_own_address_and_no_other(api, acme, proven):
    ada = proven(api.person(email="ada@example.com", verified=False))
    link(api, ada, code_for(api.app, acme))
    assert api.get("/auth/me", by=ada).json["data"]["email_verified"] is False
    link(api, ada, code_for(api.app, acme, sub="2", email="ada@example.com", email_verified=False))
    assert api.get("/auth/me", by=ada).json["data"]["email_verified"] is False
    link(api, ada, code_for(api.app, acme, sub="3", email="ADA@example.com"))
    assert api.get("/auth/me", by=ada).json["data"]["email_verified"] is True


def test_linking_and_unlinking_ask_who_one_is_once_more(api, acme, ada):
    identity = link(api, ada, code_for(api.app, acme)).json["data"]["id"]
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(Session).values(reauthenticated_at=None))
    refused = [link(api, ada, code_for(api.app, acme)), api.delete(f"/auth/identities/{identity}", by=ada)]
    assert [(one.status_code, code_of(one)) for one in refused] == [(403, "REAUTH_REQUIRED")] * 2
    assert api.get("/auth/identities", by=ada).status_code == 200


def test_an_unlinked_identity_opens_the_account_no_more(api, acme, ada):
    identity = link(api, ada, code_for(api.app, acme)).json["data"]["id"]
    assert api.delete(f"/auth/identities/{identity}", by=ada).status_code == 204
    assert api.get("/auth/identities", by=ada).json["data"] == []
    assert code_of(api.delete(f"/auth/identities/{identity}", by=ada)) == "IDENTITY_NOT_FOUND"
    somebody = Browser(api.app).sign_in(acme, **ELSEWHERE).json["data"]["user"]
    assert somebody["id"] != str(ada.id)
    actions = [one["action"] for one in api.get("/auth/activity", by=ada).json["data"]]
    assert {"auth.identity_linked", "auth.identity_unlinked"} <= set(actions)


@pytest.fixture
def by_provider_alone(api, acme):
    """Somebody who has signed in by a provider, and has no password."""
    data = Browser(api.app).sign_in(acme, **ELSEWHERE).json["data"]
    return Person(data["user"]["id"], data["user"]["email"], data["access_token"], data["refresh_token"])


def first_identity(api, person):
    return api.get("/auth/identities", by=person).json["data"][0]["id"]


def test_the_only_way_into_an_account_is_not_unlinked(api, by_provider_alone):
    identity = first_identity(api, by_provider_alone)
    refused = api.delete(f"/auth/identities/{identity}", by=by_provider_alone)
    assert (refused.status_code, code_of(refused)) == (409, "LAST_SIGN_IN_METHOD")


def test_with_another_provider_it_is(api, peers, by_provider_alone):
    link(api, by_provider_alone, code_for(api.app, peers.other, "other"))
    identity = first_identity(api, by_provider_alone)
    assert api.delete(f"/auth/identities/{identity}", by=by_provider_alone).status_code == 204


def test_a_provider_that_is_not_configured_any_more_is_no_way_in(app, api, by_provider_alone):
    with app.app_context(), unit_of_work():
        user = db.session.scalar(select(User.id))
        db.session.add(Identity(user_id=user, provider="closed-down", subject="1"))
    identity = next(
        one["id"]
        for one in api.get("/auth/identities", by=by_provider_alone).json["data"]
        if one["provider"] == "acme"
    )
    refused = api.delete(f"/auth/identities/{identity}", by=by_provider_alone)
    assert code_of(refused) == "LAST_SIGN_IN_METHOD"


def test_two_ways_in_are_not_both_unlinked_at_once(api, peers, by_provider_alone):
    link(api, by_provider_alone, code_for(api.app, peers.other, "other"))
    ids = [one["id"] for one in api.get("/auth/identities", by=by_provider_alone).json["data"]]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda one: api.delete(f"/auth/identities/{one}", by=by_provider_alone), ids))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


def test_a_stranger_sees_none_of_it(api, acme, ada, proven):
    identity = link(api, ada, code_for(api.app, acme)).json["data"]["id"]
    stranger = proven(api.person())
    assert api.get("/auth/identities", by=stranger).json["data"] == []
    for answer in (
        api.get(f"/auth/identities/{identity}", by=stranger),
        api.delete(f"/auth/identities/{identity}", by=stranger),
    ):
        assert (answer.status_code, code_of(answer)) == (404, "IDENTITY_NOT_FOUND")


def test_deleting_the_account_deletes_its_identities(app, api, acme, ada):
    link(api, ada, code_for(api.app, acme))
    assert api.delete(f"/users/{ada.id}", by=api.admin()).status_code == 204
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Identity)) == 0


def test_listing_identities_takes_as_many_statements_for_many_as_for_one(api, acme, ada, count_queries):
    def cost():
        with count_queries() as statements:
            assert api.get("/auth/identities", by=ada).status_code == 200
        return len(statements)

    link(api, ada, code_for(api.app, acme))
    cost()  # the first request of all asks more
    once = cost()
    for number in range(5):
        link(api, ada, code_for(api.app, acme, sub=str(number)))
    assert cost() == once
