"""What a stolen access token must not be enough for."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import Session
from devforge_api.auth.service import personal_tokens, sessions
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.security import StepUp
from devforge_api.users import service as users
from devforge_api.users.service import Role
from tests.factories import PASSWORD, V1, Person, code_of

# Removed here only with a reason: each of these is a way to take an account over, or to end it.
AT_LEAST = {
    "DELETE /users/me", "POST /auth/mfa/totp", "DELETE /auth/mfa/totp", "POST /auth/mfa/recovery-codes",
    "POST /auth/tokens",
    "POST /auth/service-accounts", "POST /auth/service-accounts/<uuid:service_account_id>/tokens",
}  # fmt: skip
JUNK = {"data": b"not JSON", "content_type": "text/plain"}


def guarded(app, *kinds):
    """Every (method, path) that asks for a recent proof, of these kinds."""
    declared = app.extensions["devforge-access"]
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            access = declared.get((rule.endpoint, method))
            if access is not None and access.step_up in (kinds or tuple(StepUp)):
                yield method, rule.rule.removeprefix(V1)


def path_of(rule):
    head, *rest = rule.split("<")
    return head + "".join(str(uuid4()) + part.partition(">")[2] for part in rest)


def test_the_routes_that_ask_for_a_recent_proof_are_known(app):
    assert {f"{method} {rule}" for method, rule in guarded(app)} >= AT_LEAST


def test_each_of_them_refuses_before_it_looks_at_the_body_and_only_until_reauth(api, session_of, rewind):
    for method, rule in guarded(api.app):
        who, path = api.person(role="admin"), path_of(rule)
        rewind(session_of(who), created_at=utc_now() - timedelta(minutes=10))
        for _ in range(2):
            refused = api.call(method, path, by=who, **JUNK)
            assert (refused.status_code, code_of(refused)) == (403, "REAUTH_REQUIRED"), rule
        api.reauthenticated(who)
        rewind(session_of(who), reauthenticated_at=utc_now() - timedelta(minutes=10))
        assert code_of(api.call(method, path, by=who, **JUNK)) == "REAUTH_REQUIRED", rule
        rewind(session_of(who), reauthenticated_at=utc_now() - timedelta(minutes=9, seconds=50))
        passed = api.call(method, path, by=who, **JUNK)
        assert passed.status_code not in {401, 403}, (rule, passed.status_code)


def test_where_signing_in_counts_nobody_is_asked_again_for_ten_minutes(api, session_of, rewind):
    routes = list(guarded(api.app, StepUp.LATELY))
    assert len(routes) == 2
    for method, rule in routes:
        who = api.person()
        assert api.call(method, rule, by=who, **JUNK).status_code not in {401, 403}, rule
        rewind(session_of(who), created_at=utc_now() - timedelta(minutes=10))
        assert code_of(api.call(method, rule, by=who, **JUNK)) == "REAUTH_REQUIRED", rule
    for method, rule in guarded(api.app, StepUp.ANEW):
        assert code_of(api.call(method, path_of(rule), by=api.admin(), **JUNK)) == "REAUTH_REQUIRED", rule


def test_an_admins_own_account_is_guarded_by_its_other_address_too(app, api):
    api.admin()
    who = api.admin()
    with app.app_context(), unit_of_work():
        tool = personal_tokens.create(who.id, name="Tool", scopes=["users:write"], expires_in_days=1).token
    for headers in (who.headers, {"Authorization": f"Bearer {tool}"}):
        for method, path in (("GET", f"/users/{who.id}/export"), ("DELETE", f"/users/{who.id}")):
            refused = api.call(method, path, headers=headers)
            assert (refused.status_code, code_of(refused)) == (403, "REAUTH_REQUIRED"), path
    api.reauthenticated(who)
    assert api.get(f"/users/{who.id}/export", by=who).status_code == 200
    assert api.delete(f"/users/{who.id}", by=who).status_code == 204


def test_none_of_them_takes_a_tools_token(app, api):
    who = api.reauthenticated(api.admin())
    with app.app_context(), unit_of_work():
        grantable = personal_tokens.grantable_scopes(Role.ADMIN)
        token = personal_tokens.create(who.id, name="All", scopes=grantable, expires_in_days=1).token
    bearer = {"Authorization": f"Bearer {token}"}
    assert api.get("/auth/me", headers=bearer).status_code == 200
    refused = [api.call(method, path_of(rule), headers=bearer, **JUNK) for method, rule in guarded(app)]
    assert {answer.status_code for answer in refused} == {403}
    assert {code_of(answer) for answer in refused} == {"FORBIDDEN", "REAUTH_REQUIRED"}
    assert api.get("/auth/me", by=who).status_code == 200


# --- POST /auth/reauth --------------------------------------------------------------------------


def mark_of(app, session_id):
    with app.app_context():
        return db.session.scalar(select(Session.reauthenticated_at).where(Session.id == session_id))


def test_a_fresh_sign_in_is_no_recent_proof(api, calls, ada):
    tokens = calls.login(ada.email).json["data"]
    fresh = Person(ada.id, ada.email, tokens["access_token"], tokens["refresh_token"])
    assert code_of(api.delete("/users/me", by=fresh)) == "REAUTH_REQUIRED"


def test_proving_the_password_marks_this_session_alone_and_keeps_its_token(app, api, calls, ada, session_of):
    tokens = calls.login(ada.email).json["data"]
    other = Person(ada.id, ada.email, tokens["access_token"], tokens["refresh_token"])
    answer = api.post("/auth/reauth", {"password": PASSWORD}, by=ada)
    assert (answer.status_code, answer.get_data()) == (204, b"")
    assert timedelta(0) <= utc_now() - mark_of(app, session_of(ada)) < timedelta(minutes=1)
    assert mark_of(app, session_of(other)) is None
    assert calls.me(ada.access_token).status_code == 200
    assert code_of(api.delete("/users/me", by=other)) == "REAUTH_REQUIRED"
    assert api.delete("/users/me", by=ada).status_code == 204


def test_the_mark_survives_a_refresh(api, calls, ada):
    api.reauthenticated(ada)
    renewed = calls.refresh(ada.refresh_token).json["data"]
    body = {"name": "Tool", "scopes": ["profile:read"]}
    bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert api.post("/auth/tokens", body, headers=bearer).status_code == 201


def test_a_wrong_password_counts_like_a_failed_sign_in(app, api, calls, ada, session_of, hash_calls):
    for _ in range(10):
        wrong = api.post("/auth/reauth", {"password": "not the password"}, by=ada)
        assert (wrong.status_code, code_of(wrong)) == (401, "INVALID_CREDENTIALS")
    computed = len(hash_calls)
    assert code_of(api.post("/auth/reauth", {"password": PASSWORD}, by=ada)) == "RATE_LIMITED"
    assert len(hash_calls) == computed == 10
    assert mark_of(app, session_of(ada)) is None
    # In a budget of the session's own: nobody else is kept out by it.
    assert calls.login(ada.email).status_code == 200
    with app.app_context():
        actions = db.session.scalars(select(AuditEvent.action).where(AuditEvent.target_id == ada.id)).all()
    assert actions.count("auth.sign_in_failed") == 10
    assert "auth.reauthenticated" not in actions


def test_where_an_app_is_enabled_the_password_alone_suffices(api, ada, authenticator):
    authenticator(ada)
    assert api.post("/auth/reauth", {"password": PASSWORD}, by=ada).status_code == 204


def test_a_code_does_not_stand_in_for_a_password(api, ada, authenticator):
    phone = authenticator(ada)
    refused = api.post("/auth/reauth", {"code": phone.code()}, by=ada)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "password")
    assert code_of(api.delete("/users/me", by=ada)) == "REAUTH_REQUIRED"


@pytest.mark.parametrize("body", [{}, {"password": PASSWORD, "code": "123456"}, {"password": None}])
def test_either_the_password_or_a_code_is_sent(api, ada, body):
    refused = api.post("/auth/reauth", body, by=ada)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "password")


@pytest.fixture
def without_password(app, api, authenticator):
    """Somebody who signs in by a provider, an hour ago, with an authenticator app."""
    who = api.person()
    phone = authenticator(who)
    with app.app_context(), unit_of_work():
        db.session.execute(update(users.User).where(users.User.id == who.id).values(password_hash=None))
        db.session.execute(update(Session).values(created_at=utc_now() - timedelta(hours=1)))
    return phone


def test_an_account_without_password_proves_itself_by_its_app(app, api, without_password, session_of):
    phone, who = without_password, without_password.person
    for body in ({"code": phone.wrong_code()}, {"code": phone.recovery_codes[0]}):
        wrong = api.post("/auth/reauth", body, by=who)
        assert (wrong.status_code, code_of(wrong)) == (401, "MFA_CODE_INVALID")
    assert code_of(api.post("/auth/reauth", {"password": "x"}, by=who)) == "INVALID_CREDENTIALS"
    code = phone.code()
    assert api.post("/auth/reauth", {"code": code}, by=who).status_code == 204
    assert code_of(api.post("/auth/reauth", {"code": code}, by=who)) == "MFA_CODE_INVALID"
    assert api.delete("/auth/mfa/totp", by=who).status_code == 204


def test_without_a_password_a_fresh_sign_in_is_proof_and_an_old_one_is_not(app, api, without_password):
    who = without_password.person
    body = {"name": "Tool", "scopes": ["profile:read"]}
    assert code_of(api.post("/auth/tokens", body, by=who)) == "REAUTH_REQUIRED"
    with app.app_context(), unit_of_work():
        tokens = sessions.open_session(users.get_user(who.id, for_update=True), device_name=None)
    bearer = {"Authorization": f"Bearer {tokens.access_token}"}
    assert api.post("/auth/tokens", body, headers=bearer).status_code == 201


def test_guessing_codes_at_reauth_is_counted(api, without_password):
    phone, who = without_password, without_password.person
    for _ in range(10):
        assert api.post("/auth/reauth", {"code": phone.wrong_code()}, by=who).status_code == 401
    assert code_of(api.post("/auth/reauth", {"code": phone.code()}, by=who)) == "RATE_LIMITED"


def test_a_session_that_ends_meanwhile_is_not_marked(app, api, ada, session_of, monkeypatch):
    from devforge_api.auth.service import sign_in

    genuine = sign_in.verify_password

    def signed_out_meanwhile(*args):
        right = genuine(*args)
        with unit_of_work():
            sessions.logout(session_of(ada))
        return right

    monkeypatch.setattr(sign_in, "verify_password", signed_out_meanwhile)
    refused = api.post("/auth/reauth", {"password": PASSWORD}, by=ada)
    assert (refused.status_code, code_of(refused)) == (401, "TOKEN_REVOKED")
    assert mark_of(app, session_of(ada)) is None


def test_a_password_that_is_replaced_meanwhile_proves_nothing(app, api, ada, session_of, monkeypatch):
    from devforge_api.auth.service import sign_in

    genuine = sign_in.verify_password

    def replaced_meanwhile(*args):
        right = genuine(*args)
        with unit_of_work():
            users.set_password(users.get_user(ada.id, for_update=True), "another hash")
        return right

    monkeypatch.setattr(sign_in, "verify_password", replaced_meanwhile)
    refused = api.post("/auth/reauth", {"password": PASSWORD}, by=ada)
    assert (refused.status_code, code_of(refused)) == (401, "INVALID_CREDENTIALS")
    assert mark_of(app, session_of(ada)) is None
