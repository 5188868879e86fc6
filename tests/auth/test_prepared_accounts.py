"""Accounts that a stranger makes with somebody else's address, for the day on which the owner comes."""

import pytest
from sqlalchemy import func, select

from devforge_api.auth.models import DeviceGrant, GrantStatus, Identity, PersonalAccessToken, ServiceAccount
from devforge_api.auth.service import device_grants
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from tests.factories import code_of

NEW = "staple orbit lantern"
PREPARED = (PersonalAccessToken, ServiceAccount, Identity, DeviceGrant)


@pytest.fixture
def prepare(app, api):
    """Every way in that whoever holds an account can leave in it; the tokens that were made."""

    def everything(who):
        api.reauthenticated(who)
        agent = {"name": "Agent", "scopes": ["profile:read"]}
        agent_id = api.post("/auth/service-accounts", agent, by=who).json["data"]["id"]
        body = {"name": "Tool", "scopes": ["profile:read"]}
        made = [
            api.post(path, body, by=who).json["data"]["token"]
            for path in ("/auth/tokens", f"/auth/service-accounts/{agent_id}/tokens")
        ]
        with app.app_context(), unit_of_work():
            db.session.add(Identity(user_id=who.id, provider="acme", subject="stranger"))
            grant = {"client_id": "app", "scope": "", "device_code_hash": "a" * 64, "user_code": "BCDFGHJK"}
            expires_at = utc_now() + device_grants.LIFETIME
            db.session.add(
                DeviceGrant(**grant, user_id=who.id, status=GrantStatus.APPROVED, expires_at=expires_at)
            )
        return made

    return everything


def left_of(app, user_id):
    with app.app_context():
        owners = [getattr(model, "user_id", None) or model.owner_id for model in PREPARED]
        return [db.session.scalar(select(func.count()).where(owner == user_id)) for owner in owners]


def reset(api, mailbox, email):
    api.post("/auth/password/forgot", {"email": email})
    token = mailbox.last(email).token
    return api.post("/auth/password/reset", {"token": token, "password": NEW})


def test_a_reset_by_the_owner_of_an_unverified_address_leaves_the_stranger_no_way_in(
    app, api, calls, mailbox, prepare
):
    stranger = api.person(email="victim@example.com", verified=False)
    tokens = prepare(stranger)
    assert [calls.me(token).status_code for token in tokens] == [200, 200]
    assert reset(api, mailbox, stranger.email).status_code == 204
    assert [code_of(calls.me(token)) for token in tokens] == ["TOKEN_INVALID"] * 2
    assert left_of(app, stranger.id) == [0, 0, 0, 0]
    assert calls.login(stranger.email, NEW).json["data"]["user"]["email_verified"] is True


def test_a_reset_by_the_owner_of_a_verified_address_leaves_their_own_tokens_and_providers(
    app, api, calls, mailbox, prepare
):
    ada = api.person()
    tokens = prepare(ada)
    assert reset(api, mailbox, ada.email).status_code == 204
    assert [calls.me(token).status_code for token in tokens] == [200, 200]
    assert left_of(app, ada.id) == [2, 1, 1, 1]
