from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from devforge_api.auth.models import Session
from devforge_api.auth.service import sessions
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from tests.factories import PASSWORD, code_of


@pytest.fixture
def ada(api):
    return api.person()


@pytest.fixture
def second(calls, ada):
    """One more session of the same person: its tokens."""
    return calls.login(ada.email, device_name="Phone").json["data"]


def is_over(calls, access: str, refresh: str) -> bool:
    answers = (calls.me(access), calls.refresh(refresh))
    return all((a.status_code, code_of(a)) == (401, "TOKEN_REVOKED") for a in answers)


def test_who_am_i_costs_at_most_one_query(api, ada, count_queries):
    for _ in range(2):  # signing keys are read, and Redis is told of recent denials
        api.get("/auth/me", by=ada)
    with count_queries() as seen:
        answer = api.get("/auth/me", by=ada)
    assert len(seen) <= 1, seen
    assert answer.json["data"]["id"] == str(ada.id)
    assert "password_hash" not in answer.json["data"]


def test_the_check_of_an_access_token_costs_one_call_to_redis_or_one_query(
    app, api, ada, count_queries, redis_commands
):
    for _ in range(2):  # as above
        api.get("/users", by=ada)
    redis_commands.clear()
    with count_queries() as seen:
        assert api.get("/users", by=ada).status_code == 403  # nothing but the check runs
    # The call to Redis asks for denials and charges the budget in one.
    expected = (["EVALSHA"], 0) if app.config["REDIS_URL"] else ([], 1)
    assert (redis_commands, len(seen)) == expected


def test_logout_by_access_token_acts_on_the_next_request(api, calls, ada):
    assert api.get("/auth/me", by=ada).status_code == 200
    assert api.post("/auth/logout", by=ada).status_code == 204
    assert is_over(calls, ada.access_token, ada.refresh_token)


def test_logout_by_refresh_token_needs_no_access_token(api, calls, ada):
    assert calls.me(ada.access_token).status_code == 200
    assert api.post("/auth/logout", {"refresh_token": ada.refresh_token}).status_code == 204
    assert is_over(calls, ada.access_token, ada.refresh_token)


def test_logout_with_an_expired_access_token_works_by_the_refresh_token(api, calls, forge):
    ada = forge.person
    past = int(utc_now().timestamp()) - 5
    expired = {"Authorization": f"Bearer {forge.token(exp=past)}"}
    assert code_of(api.get("/auth/me", headers=expired)) == "TOKEN_EXPIRED"
    logout = api.post("/auth/logout", {"refresh_token": ada.refresh_token}, headers=expired)
    assert logout.status_code == 204
    assert is_over(calls, ada.access_token, ada.refresh_token)


@pytest.mark.parametrize(
    ("body", "authorization"),
    [
        (None, None),
        ({}, None),
        ({}, "Bearer garbage"),
        ({}, "Basic dXNlcjpwYXNz"),
        ({}, "Bearer " + "x" * 10_000),
        ({"refresh_token": "garbage"}, None),
        ({"refresh_token": ""}, None),
        ({"refresh_token": None}, None),
        ({"refresh_token": "x" * 10_000}, "Bearer garbage"),
        ({"refresh_token": "e30.e30.e30"}, "Bearer e30.e30.e30"),
    ],
)
def test_logout_always_succeeds(api, body, authorization):
    headers = {"Authorization": authorization} if authorization else {}
    assert api.call("POST", "/auth/logout", body, headers=headers).status_code == 204


def test_logout_again_and_after_deletion_succeeds(api, ada):
    both = {"refresh_token": ada.refresh_token}
    for _ in range(2):
        assert api.post("/auth/logout", both, by=ada).status_code == 204
    gone = api.person()
    assert api.delete("/users/me", by=api.reauthenticated(gone)).status_code == 204
    assert api.post("/auth/logout", {"refresh_token": gone.refresh_token}, by=gone).status_code == 204


def test_logout_ends_one_session_only(api, calls, ada, second):
    api.post("/auth/logout", by=ada)
    assert calls.me(second["access_token"]).status_code == 200
    assert calls.refresh(second["refresh_token"]).status_code == 200


def test_logout_everywhere_ends_every_session_of_this_user_alone(api, calls, ada, second):
    stranger = api.person()
    assert api.get("/auth/me", by=ada).status_code == 200
    assert api.post("/auth/logout-all", by=ada).status_code == 204
    assert is_over(calls, ada.access_token, ada.refresh_token)
    assert is_over(calls, second["access_token"], second["refresh_token"])
    assert api.get("/auth/me", by=stranger).status_code == 200
    assert calls.login(ada.email).status_code == 200


def test_logout_everywhere_needs_a_token(api, ada):
    assert api.post("/auth/logout-all").status_code == 401
    assert api.post("/auth/logout-all", {"refresh_token": ada.refresh_token}).status_code == 401


def test_changing_the_password_keeps_this_session_and_ends_the_others(api, calls, ada, second):
    assert calls.me(second["access_token"]).status_code == 200
    assert calls.change_password(ada, "staple orbit lantern").status_code == 204
    assert is_over(calls, second["access_token"], second["refresh_token"])
    assert api.get("/auth/me", by=ada).status_code == 200
    assert calls.refresh(ada.refresh_token).status_code == 200
    assert calls.login(ada.email, PASSWORD).status_code == 401
    assert calls.login(ada.email, "staple orbit lantern").status_code == 200


def test_a_wrong_password_changes_nothing(api, calls, ada, second):
    refused = calls.change_password(ada, "staple orbit lantern", current="not the password")
    assert (refused.status_code, code_of(refused)) == (401, "INVALID_CREDENTIALS")
    assert calls.me(second["access_token"]).status_code == 200
    assert calls.login(ada.email, PASSWORD).status_code == 200


def test_ones_own_devices_are_listed_newest_first(api, ada, second):
    stranger = api.person()
    listed = api.get("/auth/sessions", by=ada).json
    assert listed["pagination"]["total"] == 2
    assert [one["device_name"] for one in listed["data"]] == ["Phone", "Test device"]
    assert [one["current"] for one in listed["data"]] == [False, True]
    assert set(listed["data"][0]) == {
        "id", "device_name", "address", "user_agent", "created_at", "last_seen_at", "expires_at", "current",
    }  # fmt: skip
    assert api.get("/auth/sessions", by=stranger).json["pagination"]["total"] == 1


def test_a_device_without_name_is_called_by_its_agent(api, calls, ada):
    made = calls.login(ada.email, headers={"User-Agent": "DevForge/1.4 (Macintosh; ARM)"}).json["data"]
    bearer = {"Authorization": f"Bearer {made['access_token']}"}
    newest = api.get("/auth/sessions", headers=bearer).json["data"][0]
    assert newest["device_name"] == "DevForge/1.4"
    assert newest["user_agent"] == "DevForge/1.4 (Macintosh; ARM)"


def test_listing_devices_costs_two_queries_at_most(api, ada, second, count_queries):
    api.get("/auth/sessions", by=ada)
    with count_queries() as seen:
        assert api.get("/auth/sessions", by=ada).status_code == 200
    assert len(seen) <= 2, seen


def test_ending_a_session_of_ones_own_acts_at_once_and_leaves_the_list(api, calls, ada, second):
    assert calls.me(second["access_token"]).status_code == 200
    other = next(s["id"] for s in api.get("/auth/sessions", by=ada).json["data"] if not s["current"])
    assert api.delete(f"/auth/sessions/{other}", by=ada).status_code == 204
    assert is_over(calls, second["access_token"], second["refresh_token"])
    assert [s["current"] for s in api.get("/auth/sessions", by=ada).json["data"]] == [True]
    again = api.delete(f"/auth/sessions/{other}", by=ada)
    assert (again.status_code, code_of(again)) == (404, "SESSION_NOT_FOUND")


def test_a_session_of_somebody_else_is_not_there(api, calls, ada, session_of):
    for stranger in (api.person(), api.admin()):
        for session_id in (session_of(ada), uuid4()):
            refused = api.delete(f"/auth/sessions/{session_id}", by=stranger)
            assert (refused.status_code, code_of(refused)) == (404, "SESSION_NOT_FOUND")
    assert calls.me(ada.access_token).status_code == 200


def test_sessions_that_ended_a_month_ago_are_forgotten(app, ada, second, session_of, rewind):
    rewind(session_of(ada), expires_at=utc_now() - timedelta(days=31))
    with app.app_context(), unit_of_work():
        assert sessions.purge_ended(utc_now()) == 1
        assert db.session.scalar(select(func.count()).select_from(Session)) == 1


DEEDS = {
    "demotion": lambda api, admin, who: api.patch(f"/users/{who.id}", {"role": "user"}, by=admin),
    "promotion": lambda api, admin, who: api.patch(f"/users/{who.id}", {"role": "admin"}, by=admin),
    "ban": lambda api, admin, who: api.patch(f"/users/{who.id}", {"status": "disabled"}, by=admin),
    "deletion": lambda api, admin, who: api.delete(f"/users/{who.id}", by=admin),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=list(DEEDS))
def test_what_an_admin_does_to_a_user_acts_on_the_next_request(api, calls, deed):
    admin, who = api.admin(), api.person(role="support")
    for _ in range(2):
        assert api.get("/users", by=who).status_code == 200
    assert deed(api, admin, who).status_code in {200, 204}
    for path in ("/users", "/auth/me"):
        refused = api.get(path, by=who)
        assert (refused.status_code, code_of(refused)) == (401, "TOKEN_REVOKED")


def test_after_a_demotion_a_refresh_gives_tokens_of_the_new_role(api, calls):
    who = api.person(role="support")
    api.patch(f"/users/{who.id}", {"role": "user"}, by=api.admin())
    data = calls.refresh(who.refresh_token).json["data"]
    bearer = {"Authorization": f"Bearer {data['access_token']}"}
    assert data["user"]["role"] == "user"
    assert api.get("/auth/me", headers=bearer).status_code == 200
    assert api.get("/users", headers=bearer).status_code == 403


@pytest.mark.parametrize("deed", ["ban", "deletion"])
def test_a_banned_or_deleted_users_refresh_token_is_dead(api, calls, deed):
    who = api.person()
    DEEDS[deed](api, api.admin(), who)
    refused = calls.refresh(who.refresh_token)
    assert (refused.status_code, code_of(refused)) == (401, "TOKEN_REVOKED")


def test_lifting_a_ban_does_not_bring_old_tokens_back(api, calls):
    admin, who = api.admin(), api.person()
    api.patch(f"/users/{who.id}", {"status": "disabled"}, by=admin)
    api.deliver()
    api.patch(f"/users/{who.id}", {"status": "active"}, by=admin)
    assert is_over(calls, who.access_token, who.refresh_token)
    assert calls.login(who.email).status_code == 200
