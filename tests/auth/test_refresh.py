from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import Session
from devforge_api.core import outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from tests.auth.conftest import unpacked
from tests.factories import code_of


@pytest.fixture
def ada(api):
    return api.person()


@pytest.fixture
def noticed(monkeypatch):
    """The payloads of the events that tell of reuse, as their subscriber receives them."""
    seen: list[dict[str, str]] = []
    monkeypatch.setitem(outbox._subscribers, "auth.reuse_detected", {"tests.notice": seen.append})
    return seen


def renewed(calls, token: str) -> tuple[str, str]:
    answer = calls.refresh(token)
    assert answer.status_code == 200, answer.json
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json["data"]["access_token"], answer.json["data"]["refresh_token"]


def refused_as(response, code: str) -> bool:
    return (response.status_code, code_of(response)) == (401, code) and "WWW-Authenticate" in response.headers


def test_refreshing_answers_like_signing_in(calls, ada):
    data = calls.refresh(ada.refresh_token).json["data"]
    assert set(data) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert data["refresh_token"] != ada.refresh_token
    assert calls.me(data["access_token"]).json["data"] == data["user"]


def test_a_session_goes_on_through_many_rotations(calls, ada):
    token, seen = ada.refresh_token, {ada.refresh_token}
    for _ in range(5):
        access, token = renewed(calls, token)
        assert calls.me(access).status_code == 200
        seen.add(token)
    assert len(seen) == 6
    assert {unpacked(each)[1]["sid"] for each in seen} == {unpacked(token)[1]["sid"]}


def test_a_lost_answer_is_given_again_byte_for_byte(calls, ada):
    successors = {renewed(calls, ada.refresh_token)[1] for _ in range(5)}
    assert len(successors) == 1
    assert renewed(calls, successors.pop())[1] not in successors


def test_the_successor_stays_the_same_when_a_second_has_passed(calls, ada, session_of, rewind):
    first = renewed(calls, ada.refresh_token)[1]
    rewind(session_of(ada), last_seen_at=utc_now() - timedelta(seconds=8))
    assert renewed(calls, ada.refresh_token)[1] == first


def test_fifty_parallel_refreshes_of_one_token_give_one_successor(calls, ada):
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(calls.refresh, [ada.refresh_token] * 50))
    assert {answer.status_code for answer in answers} == {200}
    successors = {answer.json["data"]["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert calls.refresh(successors.pop()).status_code == 200


def reuse(calls, ada, *tokens) -> None:
    """The last of these tokens is refused, and with it the session is over."""
    assert refused_as(calls.refresh(ada.refresh_token), "TOKEN_REVOKED")
    for token in (ada.refresh_token, *tokens):
        assert refused_as(calls.refresh(token), "TOKEN_REVOKED")


def test_a_grandparent_token_ends_the_session(app, api, calls, ada, session_of, noticed):
    access, second = renewed(calls, ada.refresh_token)
    access, third = renewed(calls, second)
    assert calls.me(access).status_code == 200
    reuse(calls, ada, second, third)
    assert refused_as(calls.me(access), "TOKEN_REVOKED")
    with app.app_context():
        session = db.session.get_one(Session, session_of(ada))
        assert session.revoke_reason == "reuse_detected"
        row = db.session.scalars(select(AuditEvent).filter_by(action="auth.reuse_detected")).one()
        assert (row.target_id, row.actor_id, row.actor_kind) == (ada.id, None, "anonymous")
    api.deliver()
    assert noticed == [{"user_id": str(ada.id), "session_id": str(session_of(ada))}]


def test_a_parent_token_ends_the_session_when_the_grace_is_over(calls, ada, session_of, rewind):
    _, second = renewed(calls, ada.refresh_token)
    rewind(session_of(ada), last_seen_at=utc_now() - timedelta(seconds=10.1))
    reuse(calls, ada, second)


def test_reuse_in_one_session_leaves_the_others(calls, ada):
    other = calls.login(ada.email).json["data"]
    _, second = renewed(calls, ada.refresh_token)
    renewed(calls, second)
    reuse(calls, ada)
    assert calls.refresh(other["refresh_token"]).status_code == 200
    assert calls.me(other["access_token"]).status_code == 200


def test_a_session_ends_when_it_is_not_used_for_seven_days(app, calls, ada, session_of, rewind):
    with app.app_context():
        session = db.session.get_one(Session, session_of(ada))
        assert session.expires_at - session.issued_at == timedelta(days=7)
    claims = unpacked(ada.refresh_token)[1]
    assert claims["exp"] - claims["iat"] == 7 * 86400
    rewind(session_of(ada), expires_at=utc_now() - timedelta(seconds=1))
    assert refused_as(calls.refresh(ada.refresh_token), "TOKEN_REVOKED")


def test_a_refresh_starts_the_seven_days_anew(calls, ada, session_of, rewind):
    rewind(session_of(ada), expires_at=utc_now() + timedelta(minutes=1))
    claims = unpacked(renewed(calls, ada.refresh_token)[1])[1]
    assert claims["exp"] - claims["iat"] == 7 * 86400


def test_no_refresh_leads_beyond_ninety_days(app, calls, ada, session_of, rewind):
    with app.app_context():
        session = db.session.get_one(Session, session_of(ada))
        assert session.absolute_expires_at - session.issued_at == timedelta(days=90)
    end = (utc_now() + timedelta(minutes=5)).replace(microsecond=0)
    rewind(session_of(ada), absolute_expires_at=end)
    data = calls.refresh(ada.refresh_token).json["data"]
    assert unpacked(data["refresh_token"])[1]["exp"] == int(end.timestamp())
    assert unpacked(data["access_token"])[1]["exp"] <= int(end.timestamp())
    assert data["expires_in"] <= 300


def test_a_session_is_refreshed_sixty_times_a_minute_at_most(calls_with, ada):
    calls = calls_with(LIMIT_SESSION_REFRESH=3)
    token = ada.refresh_token
    for _ in range(3):
        token = renewed(calls, token)[1]
    refused = calls.refresh(token)
    assert (refused.status_code, code_of(refused)) == (429, "RATE_LIMITED")
    assert calls.refresh(calls.login(ada.email).json["data"]["refresh_token"]).status_code == 200


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": ""}, {"refresh_token": 7}])
def test_a_body_without_token_is_invalid(api, body):
    assert api.post("/auth/refresh", body).status_code == 422


def test_the_session_shows_when_and_from_where_it_was_last_refreshed(api, calls, ada):
    before = api.get("/auth/sessions", by=ada).json["data"][0]
    calls.refresh(ada.refresh_token, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    after = api.get("/auth/sessions", by=ada).json["data"][0]
    assert (before["id"], after["address"]) == (after["id"], "203.0.113.9")
    assert after["last_seen_at"] > before["last_seen_at"]


def test_a_rotation_updates_its_session_once(api, count_queries):
    # Twice would lock the user's row as well, against a deletion that holds it and waits here.
    person = api.person()
    with count_queries() as statements:
        assert api.post("/auth/refresh", {"refresh_token": person.refresh_token}).status_code == 200
    assert [one.split()[:2] for one in statements if one.startswith("UPDATE")] == [["UPDATE", "sessions"]]
