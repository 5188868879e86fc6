import json
from uuid import uuid4

import pytest
from sqlalchemy import select

from devforge_api.audit.models import AuditEvent
from devforge_api.core.db import db
from tests.factories import code_of


@pytest.fixture
def flask(app):
    def run(*arguments, code=0):
        done = app.test_cli_runner().invoke(args=list(arguments))
        assert done.exit_code == code, done.output
        return done.output

    return run


@pytest.fixture
def ada(api):
    return api.reauthenticated(api.person(email="ada@example.com"))


@pytest.fixture
def made(api, ada):
    return api.post("/auth/tokens", {"name": "Build [server]", "scopes": ["profile:read"]}, by=ada).json[
        "data"
    ]


def test_a_users_tokens_are_listed_for_people_and_for_scripts(flask, made):
    row = json.loads(flask("tokens", "list", "ADA@example.com", "--json"))[0]
    assert (row["id"], row["name"], row["scopes"]) == (made["id"], "Build [server]", "profile:read")
    assert row["expires"] == made["expires_at"]  # moments are written as the API writes them
    text = flask("tokens", "list", "ada@example.com")
    for word in (made["id"], "Build [server]", made["hint"]):
        assert word in text
    assert made["token"] not in text


def test_a_list_that_is_empty_says_so(flask, ada):
    assert flask("tokens", "list", ada.email) == "None.\n"
    assert json.loads(flask("tokens", "list", ada.email, "--json")) == []


def test_a_token_is_revoked_by_its_id(app, api, flask, ada, made):
    assert flask("tokens", "revoke", made["id"]) == "Build [server] is revoked.\n"
    refused = api.get("/auth/me", headers={"Authorization": f"Bearer {made['token']}"})
    assert code_of(refused) == "TOKEN_REVOKED"
    assert json.loads(flask("tokens", "list", ada.email, "--json")) == []
    for unknown in (made["id"], str(uuid4())):
        assert "ACCESS_TOKEN_NOT_FOUND" in flask("tokens", "revoke", unknown, code=1)
    with app.app_context():
        row = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "auth.token_revoked")).one()
    assert (row.actor_kind.value, row.target_id) == ("cli", ada.id)


def test_a_lost_phone_is_answered_by_removing_the_factor(app, api, calls, flask, ada, authenticator):
    phone = authenticator(ada)
    challenge = phone.challenge()
    assert "without a second factor" in flask("auth", "reset-mfa", "Ada@example.com")
    assert "access_token" in calls.login(ada.email).json["data"]
    assert code_of(phone.verify(challenge, phone.recovery_codes[0])) == "MFA_CHALLENGE_INVALID"
    assert api.get("/auth/mfa", by=ada).json["data"]["recovery_codes_left"] == 0
    with app.app_context():
        row = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "auth.mfa_disabled")).one()
    assert (row.actor_kind.value, row.target_id) == ("cli", ada.id)
    assert "MFA_NOT_ENABLED" in flask("auth", "reset-mfa", ada.email, code=1)


@pytest.mark.parametrize("command", [("auth", "reset-mfa"), ("tokens", "list")])
def test_an_unknown_address_is_one_line(flask, command):
    assert flask(*command, "nobody@example.com", code=1) == (
        "Error: Nobody has the address nobody@example.com.\n"
    )
