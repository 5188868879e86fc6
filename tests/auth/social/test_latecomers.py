"""Deeds of somebody whose tokens were all ended while they waited for the account's lock."""

import pytest
from sqlalchemy import func, select

from devforge_api.auth.models import Identity, OneTimeToken, PersonalAccessToken, Purpose, ServiceAccount
from devforge_api.core.db import db
from devforge_api.users import service as users
from tests.auth.social.conftest import NEXT
from tests.auth.social.peers import Browser, fragment, s256
from tests.factories import code_of

VERIFIER = "v" * 43
DEEDS = {
    "identities": lambda code: {"code": code, "code_verifier": VERIFIER},
    "tokens": lambda _: {"name": "Mine", "scopes": ["profile:read"], "expires_in_days": 30},
    "service-accounts": lambda _: {"name": "Robot", "scopes": ["profile:read"]},
    "email/change": lambda _: {"email": "squatter@example.com"},
    "mfa/totp": lambda _: {},
}


@pytest.mark.parametrize("path", DEEDS)
def test_nothing_is_added_to_an_account_that_was_claimed_while_the_deed_waited(api, acme, monkeypatch, path):
    squatter = api.reauthenticated(api.person(verified=False))
    browser = Browser(api.app)
    brought = acme.agree(browser.location(next=NEXT, code_challenge=s256(VERIFIER)))
    body = DEEDS[path](fragment(browser.back(brought))["code"])
    get_user = users.get_user

    def after_the_claim(user_id, **kwargs):
        user = get_user(user_id, **kwargs)
        if kwargs.get("for_update"):  # whoever held the lock until now has done this
            users.invalidate_tokens(user)
        return user

    monkeypatch.setattr(users, "get_user", after_the_claim)
    late = api.post(f"/auth/{path}", body, by=squatter)
    assert (late.status_code, code_of(late)) == (401, "TOKEN_REVOKED")
    with api.app.app_context():
        for model in (Identity, PersonalAccessToken, ServiceAccount):
            assert db.session.scalar(select(func.count()).select_from(model)) == 0
        changes = select(OneTimeToken).where(OneTimeToken.purpose == Purpose.CHANGE_EMAIL)
        assert db.session.scalars(changes).all() == []
    monkeypatch.undo()
    assert api.post(f"/auth/{path}", body, by=squatter).status_code in {201, 202}  # in time, it is done
