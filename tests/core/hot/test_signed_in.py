from datetime import timedelta

import pytest

from devforge_api.auth.tokens import make_access_token
from devforge_api.core.db import uuid7
from tests.core.hot.ways import ID, R, used
from tests.factories import code_of


def test_who_is_signed_in_is_told_in_front_of_flask(api, both_ways):
    ada = api.person(email="ada@example.com")
    answer, seen = both_ways(R, headers=ada.headers | {"User-Agent": "Tests/1"})
    assert (answer.status_code, answer.json["data"]["email"]) == (200, "ada@example.com")
    assert (seen.in_front, seen.metrics) == (True, [("GET", R, 200)])
    assert seen.lines()[0][-1] == (ID, "Tests/1", ada.id)
    again, seen = both_ways(R, headers=ada.headers | {"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, seen.in_front) == (304, False)
    for query in ("fields=email", "fields=nothing", "page=1"):
        assert not both_ways(R, headers=ada.headers, query_string=query)[1].in_front
    for method in ("HEAD", "OPTIONS", "POST", "DELETE"):
        assert not both_ways(R, method=method, headers=ada.headers)[1].in_front


def _token(person, **values):
    given = {"user_id": person.id, "session_id": uuid7(), "token_version": 1, "role": "user"}
    return make_access_token(**{**given, "lifetime": timedelta(minutes=5), **values})


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "TOKEN_MISSING"),
        ("", "TOKEN_MISSING"),
        ("Bearer", "TOKEN_INVALID"),
        ("Basic YTpi", "TOKEN_INVALID"),
        ("Bearer a b", "TOKEN_INVALID"),
        ("Bearer not-a-token", "TOKEN_INVALID"),
        ("Bearer dfp_nobodys", "TOKEN_INVALID"),
    ],
)
def test_a_strange_token_is_refused_by_flask_and_counted_once(both_ways, header, code):
    answer, seen = both_ways(R, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, code_of(answer)) == (401, code)
    assert used(answer) == 1
    assert (seen.in_front, seen.metrics) == (False, [("GET", R, 401)])


def test_a_denied_token_is_refused_on_the_next_request(api, both_ways):
    ada, eve = api.person(), api.person()
    for person in (ada, eve):
        assert both_ways(R, headers=person.headers)[0].status_code == 200
    assert api.post("/auth/logout", by=ada).status_code == 204
    api.ban(eve.id)
    for person in (ada, eve):
        answer, seen = both_ways(R, headers=person.headers)
        assert (answer.status_code, code_of(answer), seen.in_front) == (401, "TOKEN_REVOKED", False)


def test_expired_and_unknown_sessions_are_told_apart_alike(api, both_ways, context):
    ada = api.person()
    expired, unknown = _token(ada, lifetime=timedelta(seconds=-1)), _token(ada)
    assert code_of(both_ways(R, headers={"Authorization": f"Bearer {expired}"})[0]) == "TOKEN_EXPIRED"
    assert code_of(both_ways(R, headers={"Authorization": f"Bearer {unknown}"})[0]) == "TOKEN_REVOKED"


@pytest.mark.parametrize(("scope", "status"), [("profile:read", 200), ("licenses:read", 403)])
def test_a_tools_token_needs_the_scope_either_way(api, both_ways, scope, status):
    ada = api.reauthenticated(api.person())
    made = api.post("/auth/tokens", {"name": "Tool", "scopes": [scope]}, by=ada).json["data"]
    answer, seen = both_ways(R, headers={"Authorization": f"bearer {made['token']}"})
    assert (answer.status_code, seen.in_front) == (status, status == 200)
    assert used(answer) == 1
