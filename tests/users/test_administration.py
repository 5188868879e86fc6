from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import pytest

from tests.factories import PASSWORD, code_of


@pytest.fixture
def admin(api):
    return api.person(role="admin", email="admin@example.com")


def emails(response) -> list[str]:
    assert response.status_code == 200, response.json
    return [user["email"] for user in response.json["data"]]


@pytest.mark.parametrize(
    ("role", "reads", "writes"), [("user", 403, 403), ("developer", 403, 403), ("support", 200, 403)]
)
def test_what_each_role_may_do_with_accounts(api, role, reads, writes):
    caller, other = api.person(role=role), api.person()
    assert api.get("/users", by=caller).status_code == reads
    assert api.get(f"/users/{other.id}", by=caller).status_code == reads
    assert api.post("/users", {"email": "x@example.com"}, by=caller).status_code == writes
    for method in ("PUT", "PATCH", "DELETE"):
        refused = api.call(method, f"/users/{other.id}", {}, by=caller)
        assert (refused.status_code, code_of(refused)) == (writes, "FORBIDDEN")
    assert api.get("/auth/me", by=other).status_code == 200


def test_an_admin_makes_a_user(api, admin):
    body = {
        "email": "Grace@Example.com", "password": PASSWORD, "name": "Grace", "role": "support",
        "email_verified": True,
    }  # fmt: skip
    made = api.post("/users", body, by=admin)
    user = made.json["data"]
    assert made.status_code == 201
    assert made.headers["Location"] == f"/api/v1/users/{user['id']}"
    assert (user["email"], user["role"], user["email_verified"]) == ("Grace@Example.com", "support", True)
    assert api.get(f"/users/{user['id']}", by=admin).json["data"] == user
    login = api.post("/auth/login", {"email": "grace@example.com", "password": PASSWORD})
    assert login.json["data"]["user"]["role"] == "support"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "ADMIN@example.com"}, 409, "EMAIL_TAKEN"),
        ({}, 422, "VALIDATION_ERROR"),
        ({"email": "x@example.com", "role": "root"}, 422, "VALIDATION_ERROR"),
        ({"email": "x@example.com", "password": "short"}, 422, "VALIDATION_ERROR"),
        ({"email": "x@example.com", "password": "password"}, 422, "VALIDATION_ERROR"),
        ({"email": "x@example.com", "status": "disabled"}, 422, "VALIDATION_ERROR"),
        ({"email": "x@example.com", "password_hash": "x"}, 422, "VALIDATION_ERROR"),
    ],
)
def test_a_user_who_cannot_be_made(api, admin, body, status, code):
    refused = api.post("/users", body, by=admin)
    assert (refused.status_code, code_of(refused)) == (status, code)
    assert emails(api.get("/users", by=admin)) == ["admin@example.com"]


def test_a_repeated_request_makes_one_user(api, admin):
    key = {"Idempotency-Key": "grace-once"}
    body = {"email": "grace@example.com", "password": PASSWORD}
    first, again = (api.post("/users", body, by=admin, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_patch_changes_a_part_and_put_the_whole(api, admin):
    who = api.person()
    patched = api.patch(f"/users/{who.id}", {"role": "support", "name": "W"}, by=admin).json["data"]
    assert (patched["role"], patched["name"], patched["email_verified"]) == ("support", "W", True)
    put = api.put(f"/users/{who.id}", {"status": "disabled"}, by=admin).json["data"]
    assert (put["status"], put["role"], put["name"], put["email_verified"]) == (
        "disabled",
        "user",
        None,
        False,
    )
    assert api.get(f"/users/{who.id}", by=admin).json["data"] == put


@pytest.mark.parametrize(
    "body", [{"role": "root"}, {"role": None}, {"status": "asleep"}, {"email": "x@example.com"}, {"id": "x"}]
)
def test_values_that_no_account_can_have_are_refused(api, admin, body):
    who = api.person()
    for method in ("PUT", "PATCH"):
        assert api.call(method, f"/users/{who.id}", body, by=admin).status_code == 422


def test_an_unknown_user_is_not_there(api, admin):
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        refused = api.call(method, f"/users/{uuid4()}", {} if method[0] == "P" else None, by=admin)
        assert (refused.status_code, code_of(refused)) == (404, "USER_NOT_FOUND")


def test_a_deleted_user_is_gone(api, admin):
    who = api.person()
    assert api.delete(f"/users/{who.id}", by=admin).status_code == 204
    assert api.delete(f"/users/{who.id}", by=admin).status_code == 404
    assert emails(api.get("/users", by=admin)) == ["admin@example.com"]


def test_a_stale_copy_is_not_written_over_a_newer_one(api, admin):
    who = api.person()
    tag = {"If-Match": api.get(f"/users/{who.id}", by=admin).headers["ETag"]}
    assert api.patch("/users/me", {"name": "New"}, by=who).status_code == 200
    for method, body in (("PATCH", {"name": "B"}), ("PUT", {}), ("DELETE", None)):
        stale = api.call(method, f"/users/{who.id}", body, by=admin, headers=tag)
        assert (stale.status_code, code_of(stale)) == (412, "PRECONDITION_FAILED")
    assert api.get(f"/users/{who.id}", by=admin).json["data"]["name"] == "New"


def test_edits_at_once_of_one_copy_succeed_once(api, admin):
    who = api.person()
    tag = {"If-Match": api.get(f"/users/{who.id}", by=admin).headers["ETag"]}
    edits = [
        partial(api.patch, f"/users/{who.id}", {"name": f"N{number}"}, by=admin, headers=tag)
        for number in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(answer.status_code for answer in pool.map(lambda edit: edit(), edits))
    assert codes[0] == 200
    assert set(codes[1:]) <= {409, 412}


# --- lists --------------------------------------------------------------------------------------


@pytest.fixture
def three(api, admin):
    api.person(email="ada@example.com")
    api.person(email="bob@example.com", role="support")
    carol = api.person(email="carol@example.com")
    api.ban(carol.id)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=email", "admin ada bob carol"),
        ("sort=-email", "carol bob admin ada"),
        ("sort=created_at", "admin ada bob carol"),
        ("", "carol bob ada admin"),
        ("sort=-last_login", "carol bob ada admin"),
        ("role=support", "bob"),
        ("role_ne=user", "bob admin"),
        ("role_in=support,admin", "bob admin"),
        ("status=disabled", "carol"),
        ("status_ne=disabled&sort=email", "ada admin bob"),
        ("email=ada@example.com", "ada"),
        ("email=ADA@Example.com", "ada"),
        ("email_in=ADA@Example.com,bob@example.com", "bob ada"),
        ("email=nobody@example.com", ""),
        ("created_at_gt=2000-01-01T00:00:00Z&limit=1", "carol"),
        ("created_at_lt=2000-01-01T00:00:00Z", ""),
        ("last_login_gte=2000-01-01T00:00:00Z&sort=email&limit=2&page=2", "bob carol"),
    ],
)
def test_users_are_filtered_and_sorted(api, admin, three, query, found):
    names = [email.split("@")[0] for email in emails(api.get(f"/users?{query}", by=admin))]
    expected = found.split()
    assert names == expected if query != "sort=email" else sorted(names) == sorted(expected)


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "sort=password_hash",
        "role=root",
        "role_contains=a",
        "email_verified=1",
        "limit=0",
        "limit=101",
    ],
)
def test_what_the_list_does_not_offer_is_refused(api, admin, query):
    refused = api.get(f"/users?{query}", by=admin)
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")


def test_the_list_of_users_costs_two_queries_at_most(api, admin, three, count_queries):
    for _ in range(2):
        api.get("/users", by=admin)
    with count_queries() as seen:
        assert api.get("/users?status=active&sort=email", by=admin).status_code == 200
    assert len(seen) <= 2, seen


# --- the last admin -----------------------------------------------------------------------------

LEAVING = {
    "demoted": lambda api, who, by: api.patch(f"/users/{who.id}", {"role": "user"}, by=by),
    "demoted by PUT": lambda api, who, by: api.put(f"/users/{who.id}", {}, by=by),
    "disabled": lambda api, who, by: api.patch(f"/users/{who.id}", {"status": "disabled"}, by=by),
    "deleted": lambda api, who, by: api.delete(f"/users/{who.id}", by=by),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=list(LEAVING))
def test_the_last_admin_stays(api, admin, leave):
    api.reauthenticated(admin)  # who deletes oneself is asked, by this address too
    disabled = api.admin()
    api.ban(disabled.id)  # no admin any more, as far as that goes
    refused = leave(api, admin, admin)
    assert (refused.status_code, code_of(refused)) == (409, "LAST_ADMIN")
    assert code_of(api.delete("/users/me", by=admin)) == "LAST_ADMIN"
    assert api.get("/users", by=admin).status_code == 200
    second = api.admin()
    assert leave(api, admin, second).status_code in {200, 204}
    assert api.get("/users", by=admin).status_code == 401
    assert leave(api, second, api.reauthenticated(second)).status_code == 409


def test_the_last_admin_may_still_be_renamed_and_verified(api, admin):
    body = {"name": "Root", "role": "admin", "status": "active", "email_verified": True}
    assert api.put(f"/users/{admin.id}", body, by=admin).status_code == 200
    assert api.get("/users", by=admin).status_code == 200


@pytest.mark.parametrize("leave", LEAVING.values(), ids=list(LEAVING))
def test_of_two_admins_who_remove_each_other_at_once_one_remains(api, leave):
    first, second = api.admin(), api.admin()
    for _ in range(6):
        with ThreadPoolExecutor(2) as pool:
            removals = [
                pool.submit(leave, api, second, first),
                pool.submit(leave, api, first, second),
            ]
            answers = [removal.result() for removal in removals]
        succeeded = [answer.status_code in {200, 204} for answer in answers]
        assert sorted(succeeded) == [False, True], [answer.json for answer in answers]
        loser = answers[succeeded.index(False)]
        # Either had begun and found nobody else, or came after the other had acted.
        assert (loser.status_code, code_of(loser)) in {(409, "LAST_ADMIN"), (401, "TOKEN_REVOKED")}
        # answers[0] is first removing second
        remaining = first if succeeded[0] else second
        assert api.get("/users?role=admin&status=active", by=remaining).json["pagination"]["total"] == 1
        first, second = remaining, api.admin()
