"""Secrets stay where they belong: not in the log, the audit trail, the outbox or an answer."""

import io
import logging

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import OneTimeToken, PersonalAccessToken, RecoveryCode, TotpFactor
from devforge_api.core.db import db
from devforge_api.core.logs import JsonFormatter
from devforge_api.core.outbox import OutboxRow
from devforge_api.licenses.models import License
from devforge_api.users.models import User
from tests.factories import PASSWORD

NEW_PASSWORD, WRONG = "staple orbit lantern", "a wrong guess at it"
BROKEN_AGENT = {"environ_overrides": {"HTTP_USER_AGENT": "what PostgreSQL\0refuses"}}


@pytest.fixture
def log(app):
    """Everything that any logger says, as it is written, at its most talkative."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(), logging.getLogger("devforge_api")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield written
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def second_factor_and_tokens(api, phone):
    """Everything with codes and tools' tokens, rightly and wrongly; gives what is secret of it."""
    who, spent = phone.person, phone.code()
    secrets = {phone.secret, *phone.recovery_codes}
    challenges = [phone.challenge() for _ in range(3)]
    for challenge, code in zip(challenges, (spent, phone.recovery_codes[0], spent), strict=True):
        phone.verify(challenge, phone.recovery_codes[0][:-1])
        answer = phone.verify(challenge, code)
        if answer.status_code == 200:
            secrets.update((answer.json["data"]["access_token"], answer.json["data"]["refresh_token"]))
    secrets.update(challenges)
    for password in (WRONG, PASSWORD):
        api.post("/auth/reauth", {"password": password}, by=who)
    secrets.update(api.post("/auth/mfa/recovery-codes", by=who).json["data"]["recovery_codes"])
    tool = {"name": "Tool", "scopes": ["profile:write"]}
    account = api.post("/auth/service-accounts", tool, by=who).json["data"]["id"]
    for path in ("/auth/tokens", f"/auth/service-accounts/{account}/tokens"):
        made = api.post(path, tool, by=who).json["data"]
        secrets.add(made["token"])
        bearer = {"Authorization": f"Bearer {made['token']}"}
        api.patch("/users/me", {"name": made["id"]}, headers=bearer)
        api.get("/auth/me", headers={"Authorization": bearer["Authorization"][:-1] + "."})
        api.delete(f"/auth/tokens/{made['id']}", by=who)
        api.get("/auth/me", headers=bearer)
    with api.app.app_context():
        for column in (
            TotpFactor.secret, RecoveryCode.code_hash, PersonalAccessToken.token_hash,
            OneTimeToken.token_hash, OneTimeToken.data,
        ):  # fmt: skip
            secrets.update(set(db.session.scalars(select(column))) - {None})
    api.delete("/auth/mfa/totp", by=who)
    assert len(secrets) > 30
    return secrets


@pytest.fixture
def secrets_of_a_busy_day(app, api, calls, log, authenticator, mailbox):
    """Do everything that has to do with secrets; gives all of them."""
    admin = api.admin()
    secrets = {PASSWORD, NEW_PASSWORD, WRONG, admin.access_token, admin.refresh_token}

    def tokens(response):
        data = response.json["data"]
        secrets.update((data["access_token"], data["refresh_token"]))
        return data

    def letter(address):
        secrets.add((found := mailbox.last(address)).token)
        return found.token

    ada = tokens(calls.register("ada@example.com"))
    verification = letter("ada@example.com")
    for token in (verification, verification, verification + "x"):
        api.post("/auth/email/verify", {"token": token})
    forgetful = api.person(email="forgetful@example.com").email
    api.post("/auth/password/forgot", {"email": forgetful})
    reset = letter(forgetful)
    for password in ("short", NEW_PASSWORD, NEW_PASSWORD):
        api.post("/auth/password/reset", {"token": reset, "password": password})
    calls.register("ada@example.com")
    calls.register("eve@example.com", **BROKEN_AGENT)
    calls.login("ada@example.com", WRONG)
    first = tokens(calls.login("ada@example.com"))
    bearer = {"Authorization": f"Bearer {first['access_token']}"}
    second = tokens(calls.refresh(first["refresh_token"]))
    tokens(calls.refresh(second["refresh_token"]))
    calls.refresh(first["refresh_token"])  # reuse
    calls.refresh(first["refresh_token"] + "x")
    calls.me(first["access_token"] + "x")
    owner = {"Authorization": f"Bearer {ada['access_token']}"}
    for current in (WRONG, PASSWORD):
        body = {"current_password": current, "new_password": NEW_PASSWORD}
        api.post("/auth/password/change", body, headers=owner)
    api.patch("/users/me", {"name": "Ada"}, headers=owner)
    api.put("/users/me/settings", {"api_token": WRONG}, headers=owner)
    key = {"Idempotency-Key": "once-and-for-all"}
    api.post("/users", {"email": "grace@example.com", "password": NEW_PASSWORD}, by=admin, headers=key)
    api.patch(f"/users/{ada['user']['id']}", {"role": "support", "status": "disabled"}, by=admin)
    license_ = api.post(
        "/licenses", {"policy_id": str(api.policy()), "email": "ada@example.com"}, by=admin
    ).json["data"]
    secrets.add(license_["key"])
    for call in ("validate", "activate", "validate", "deactivate"):
        api.post(f"/licenses/{call}", {"key": license_["key"], "fingerprint": "m1"})
    api.post("/licenses/validate", {"key": license_["key"]}, **BROKEN_AGENT)
    for deed in ("suspend", "reinstate", "revoke"):
        api.post(f"/licenses/{license_['id']}/{deed}", by=admin)
    secrets |= second_factor_and_tokens(api, authenticator(admin))
    api.post("/auth/logout", {"refresh_token": first["refresh_token"]}, headers=bearer)
    api.post("/auth/logout-all", by=admin)
    app.test_cli_runner().invoke(
        args=["users", "create", "cli@example.com", "--password-stdin"], input=NEW_PASSWORD
    )
    api.deliver()
    with app.app_context():
        hashes = {user.password_hash for user in db.session.scalars(select(User))} - {None}
        assert len(hashes) == 5
        for row in db.session.scalars(select(License)):
            secrets.update((row.key_hash, row.encrypted_key))
    return secrets | hashes


def pieces(secret: str) -> list[str]:
    """A token is as good as leaked by its signature, a hash by its digest."""
    return [
        secret,
        secret.replace("-", ""),
        *(part for part in secret.replace("$", ".").split(".") if len(part) > 40),
    ]


def leaked(secrets, text: str) -> list[str]:
    return [secret for secret in secrets if any(piece in text for piece in pieces(secret))]


def test_no_secret_is_in_the_log(secrets_of_a_busy_day, log):
    text = log.getvalue()
    assert text.count('"message":"request"') > 40
    assert leaked(secrets_of_a_busy_day, text) == []


def test_no_secret_is_in_the_audit_trail_or_in_an_event(app, secrets_of_a_busy_day):
    with app.app_context():
        for model, least in ((AuditEvent, 15), (OutboxRow, 3)):
            rows = db.session.execute(select(model.__table__)).all()
            assert len(rows) >= least
            assert leaked(secrets_of_a_busy_day, repr(rows)) == []
        settings = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "user.updated"))
        assert any(row.changes.get("settings") == ["(settings)"] * 2 for row in settings)


@pytest.mark.parametrize("path", ["/auth/me", "/users/me", "/users", "/audit/events", "/auth/sessions"])
def test_no_answer_shows_hashes_or_versions_of_tokens(api, path):
    text = api.get(path, by=api.admin()).get_data(as_text=True)
    for word in ("argon2", "password", "token_version", "email_key", "counter"):
        assert word not in text


def test_a_failed_statement_is_told_without_its_values(context):
    with pytest.raises(DBAPIError) as failure:
        db.session.execute(text("SELECT :value FROM nowhere"), {"value": "a hash, perhaps"})
    assert "nowhere" in str(failure.value)
    assert "a hash, perhaps" not in str(failure.value)
