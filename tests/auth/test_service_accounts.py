from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from devforge_api.auth.models import PersonalAccessToken, ServiceAccount
from devforge_api.auth.service import service_accounts
from devforge_api.core.db import db, unit_of_work
from tests.factories import code_of

BODY = {"name": "Nightly builds", "description": "CI", "scopes": ["profile:read", "licenses:read"]}


@pytest.fixture
def admin(api):
    return api.admin()


@pytest.fixture
def ada(api):
    return api.reauthenticated(api.person(email="ada@example.com"))


@pytest.fixture
def account(api, ada):
    return api.post("/auth/service-accounts", BODY, by=ada).json["data"]


@pytest.fixture
def make(api, ada, account):
    def create(**more):
        return api.post(f"/auth/service-accounts/{account['id']}/tokens", {"name": "Runner", **more}, by=ada)

    return create


def bearer(made):
    return {"headers": {"Authorization": f"Bearer {made['token']}"}}


def test_it_is_made_shown_replaced_changed_and_deleted(api, ada):
    made = api.post("/auth/service-accounts", BODY, by=ada)
    data = made.json["data"]
    path = f"/auth/service-accounts/{data['id']}"
    assert (made.status_code, made.headers["Location"]) == (201, f"/api/v1{path}")
    assert {name: data[name] for name in BODY} == {**BODY, "scopes": sorted(BODY["scopes"])}
    assert data["enabled"] is True
    assert api.get(path, by=ada).json["data"] == data
    assert api.get("/auth/service-accounts", by=ada).json["data"] == [data]
    patched = api.patch(path, {"description": "Signs"}, by=ada).json["data"]
    assert (patched["name"], patched["description"]) == ("Nightly builds", "Signs")
    put = api.put(path, {"name": "Builds", "scopes": ["profile:read"]}, by=ada).json["data"]
    assert (put["name"], put["description"], put["scopes"]) == ("Builds", None, ["profile:read"])
    assert api.delete(path, by=ada).status_code == 204
    assert code_of(api.get(path, by=ada)) == "SERVICE_ACCOUNT_NOT_FOUND"


def test_a_stale_copy_is_not_written_over_a_newer_one(api, ada, account):
    path = f"/auth/service-accounts/{account['id']}"
    tag = api.get(path, by=ada).headers["ETag"]
    assert api.patch(path, {"name": "A"}, by=ada, headers={"If-Match": tag}).status_code == 200
    for method, body in (("PATCH", {"name": "B"}), ("PUT", BODY), ("DELETE", None)):
        assert api.call(method, path, body, by=ada, headers={"If-Match": tag}).status_code == 412
    assert api.get(path, by=ada).json["data"]["name"] == "A"


@pytest.mark.parametrize("scopes", [["security:write"], ["users:read"], ["nonsense"], []])
def test_it_gets_no_scope_that_its_owner_cannot_grant(api, ada, account, scopes):
    path = f"/auth/service-accounts/{account['id']}"
    for method, where in (("POST", "/auth/service-accounts"), ("PUT", path), ("PATCH", path)):
        refused = api.call(method, where, {**BODY, "scopes": scopes}, by=ada)
        assert (refused.status_code, refused.json["error"]["field"]) == (422, "scopes"), method
    assert api.get(path, by=ada).json["data"] == account


def test_its_token_acts_as_the_owner_with_the_accounts_scopes(api, ada, account, make):
    made = make().json["data"]
    assert made["scopes"] == account["scopes"]
    assert made["service_account_id"] == account["id"]
    assert api.get("/auth/me", **bearer(made)).json["data"]["id"] == str(ada.id)
    assert code_of(api.patch("/users/me", {"name": "Eve"}, **bearer(made))) == "FORBIDDEN"
    narrow = make(scopes=["profile:read"]).json["data"]
    assert api.get("/auth/me", **bearer(narrow)).status_code == 200
    assert code_of(api.get("/licenses", **bearer(narrow))) == "FORBIDDEN"


def test_its_token_gets_no_scope_that_the_account_lacks(make):
    refused = make(scopes=["profile:write"])
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "scopes")
    assert refused.json["error"]["details"][0]["message"] == "Choose from: licenses:read, profile:read."


def test_fewer_scopes_act_on_its_tokens_at_once(api, ada, account, make):
    made = make().json["data"]
    assert api.get("/licenses", **bearer(made)).status_code == 200
    path = f"/auth/service-accounts/{account['id']}"
    assert api.patch(path, {"scopes": ["profile:read"]}, by=ada).status_code == 200
    assert code_of(api.get("/licenses", **bearer(made))) == "FORBIDDEN"
    assert api.get("/auth/me", **bearer(made)).status_code == 200


def test_disabling_ends_its_tokens_at_once_and_for_good(api, ada, account, make):
    path, made = f"/auth/service-accounts/{account['id']}", make().json["data"]
    own = api.post("/auth/tokens", {"name": "Own", "scopes": ["profile:read"]}, by=ada).json["data"]
    assert api.patch(path, {"enabled": False}, by=ada).status_code == 200
    assert code_of(api.get("/auth/me", **bearer(made))) == "TOKEN_REVOKED"
    assert code_of(make()) == "SERVICE_ACCOUNT_DISABLED"
    assert api.patch(path, {"enabled": True}, by=ada).status_code == 200
    assert code_of(api.get("/auth/me", **bearer(made))) == "TOKEN_REVOKED"
    assert api.get("/auth/me", **bearer(make().json["data"])).status_code == 200
    assert api.get("/auth/me", **bearer(own)).status_code == 200


def test_deleting_it_deletes_its_tokens(app, api, ada, account, make):
    made = make().json["data"]
    assert api.delete(f"/auth/service-accounts/{account['id']}", by=ada).status_code == 204
    assert code_of(api.get("/auth/me", **bearer(made))) == "TOKEN_INVALID"
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(PersonalAccessToken)) == 0


def test_its_tokens_are_listed_with_it_and_among_the_owners(api, ada, account, make):
    first, second = make().json["data"], make().json["data"]
    api.post("/auth/tokens", {"name": "Own", "scopes": ["profile:read"]}, by=ada)
    path = f"/auth/service-accounts/{account['id']}/tokens"
    assert [one["id"] for one in api.get(path, by=ada).json["data"]] == [second["id"], first["id"]]
    assert api.get("/auth/tokens", by=ada).json["pagination"]["total"] == 3
    query = {"service_account_id": account["id"]}
    filtered = api.get("/auth/tokens", by=ada, query_string=query).json["data"]
    assert {one["id"] for one in filtered} == {first["id"], second["id"]}
    assert api.delete(f"/auth/tokens/{first['id']}", by=ada).status_code == 204
    assert [one["id"] for one in api.get(path, by=ada).json["data"]] == [second["id"]]


def test_a_stranger_and_the_staff_see_nothing_of_it(api, account, make):
    token_id = make().json["data"]["id"]
    for who in (api.reauthenticated(api.person()), api.reauthenticated(api.admin())):
        for account_id in (account["id"], uuid4()):
            path = f"/auth/service-accounts/{account_id}"
            for refused in (
                api.get(path, by=who), api.put(path, BODY, by=who), api.patch(path, {}, by=who),
                api.delete(path, by=who), api.get(f"{path}/tokens", by=who),
                api.post(f"{path}/tokens", {"name": "Mine"}, by=who),
            ):  # fmt: skip
                assert (refused.status_code, code_of(refused)) == (404, "SERVICE_ACCOUNT_NOT_FOUND")
        for method in ("GET", "DELETE"):
            refused = api.call(method, f"/auth/tokens/{token_id}", by=who)
            assert (refused.status_code, code_of(refused)) == (404, "ACCESS_TOKEN_NOT_FOUND")
        assert api.get("/auth/service-accounts", by=who).json["data"] == []
        assert api.get("/auth/tokens", by=who).json["data"] == []


def test_its_deeds_name_the_token_in_the_trail(admin, api, ada, account):
    path = f"/auth/service-accounts/{account['id']}"
    api.patch(path, {"scopes": ["profile:write"]}, by=ada)
    made = api.post(f"{path}/tokens", {"name": "Runner"}, by=ada).json["data"]
    api.patch("/users/me", {"name": "Ada"}, **bearer(made))
    api.delete(path, by=ada)
    shown = api.get("/audit/events", by=admin, query_string={"actor_id": str(ada.id)}).json["data"]
    assert [one["action"] for one in shown][:5] == [
        "auth.service_account_deleted", "user.updated", "auth.token_created",
        "auth.service_account_updated", "auth.service_account_created",
    ]  # fmt: skip
    assert [one["token_id"] for one in shown][:3] == [None, made["id"], None]
    assert shown[3]["changes"]["scopes"] == [["licenses:read", "profile:read"], ["profile:write"]]


def test_of_a_hundred_accounts_the_next_is_refused_also_at_once(app, api, ada):
    with app.app_context(), unit_of_work():
        for number in range(98):
            values = {"name": f"{number}", "description": None, "scopes": ["profile:read"], "enabled": True}
            service_accounts.create(ada.id, values)
    create = partial(api.post, "/auth/service-accounts", BODY, by=ada)
    with ThreadPoolExecutor(5) as pool:
        answers = [future.result() for future in [pool.submit(create) for _ in range(5)]]
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert (code_of(refused), refused.json["error"]["params"]) == (
        "SERVICE_ACCOUNT_LIMIT_REACHED",
        {"limit": 100},
    )


def test_a_token_made_while_the_account_is_disabled_or_deleted_does_not_work(app, api, ada):
    for number in range(6):
        account = api.post("/auth/service-accounts", BODY, by=ada).json["data"]
        path = f"/auth/service-accounts/{account['id']}"
        end = (
            partial(api.patch, path, {"enabled": False}, by=ada)
            if number % 2
            else partial(api.delete, path, by=ada)
        )
        make = partial(api.post, f"{path}/tokens", {"name": "Runner"}, by=ada)
        with ThreadPoolExecutor(2) as pool:
            made, ended = [future.result() for future in [pool.submit(call) for call in (make, end)]]
        assert ended.status_code in {200, 204}
        assert made.status_code in {201, 404, 409}
        if made.status_code == 201:
            assert api.get("/auth/me", **bearer(made.json["data"])).status_code == 401


def test_they_go_with_their_owner(app, api, ada, make):
    make()
    assert api.delete("/users/me", by=ada).status_code == 204
    with app.app_context():
        for model in (ServiceAccount, PersonalAccessToken):
            assert db.session.scalar(select(func.count()).select_from(model)) == 0
