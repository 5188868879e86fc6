import json

import pytest

from tests.factories import code_of


@pytest.fixture
def ada(api):
    return api.person(email="ada@example.com")


def test_the_own_account_is_shown_in_full_words(api, ada):
    shown = api.get("/users/me", by=ada)
    assert shown.status_code == 200
    assert set(shown.json["data"]) == {
        "id", "email", "email_verified", "name", "avatar_url", "locale", "role", "status", "terms_version",
        "terms_accepted_at", "last_login", "created_at", "updated_at",
    }  # fmt: skip
    assert shown.json["data"] == api.get("/auth/me", by=ada).json["data"]


def test_patch_changes_a_part_and_put_the_whole(api, ada):
    avatar = "https://example.com/ada.png"
    patched = api.patch("/users/me", {"name": "Ada", "avatar_url": avatar}, by=ada).json["data"]
    assert (patched["name"], patched["avatar_url"]) == ("Ada", avatar)
    patched = api.patch("/users/me", {"name": "Ada L."}, by=ada).json["data"]
    assert (patched["name"], patched["avatar_url"]) == ("Ada L.", avatar)
    put = api.put("/users/me", {"name": "Ada"}, by=ada).json["data"]
    assert (put["name"], put["avatar_url"]) == ("Ada", None)
    assert api.get("/users/me", by=ada).json["data"] == put
    assert api.patch("/users/me", {"name": None}, by=ada).json["data"]["name"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"role": "admin"}, {"status": "active"}, {"email": "eve@example.com"}, {"email_verified": True},
        {"settings": {}}, {"version": 9}, {"password": "correct horse battery"}, {"name": ""},
        {"name": "n" * 101}, {"name": 7}, {"avatar_url": "javascript:alert(1)"}, {"avatar_url": "x"},
        {"avatar_url": "https://example.com/" + "x" * 2000},
    ],
)  # fmt: skip
def test_what_users_may_not_change_about_themselves_is_refused(api, ada, body):
    before = api.get("/users/me", by=ada).json
    for method in ("PATCH", "PUT"):
        refused = api.call(method, "/users/me", body, by=ada)
        assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")
    assert api.get("/users/me", by=ada).json == before


def test_a_stale_copy_is_not_written_over_a_newer_one(api, ada):
    tag = api.get("/users/me", by=api.reauthenticated(ada)).headers["ETag"]
    assert api.patch("/users/me", {"name": "A"}, by=ada, headers={"If-Match": tag}).status_code == 200
    for method, body in (("PATCH", {"name": "B"}), ("PUT", {}), ("DELETE", None)):
        stale = api.call(method, "/users/me", body, by=ada, headers={"If-Match": tag})
        assert (stale.status_code, code_of(stale)) == (412, "PRECONDITION_FAILED")
    assert api.get("/users/me", by=ada).json["data"]["name"] == "A"
    fresh = api.get("/users/me", by=ada).headers["ETag"]
    assert api.delete("/users/me", by=ada, headers={"If-Match": fresh}).status_code == 204


def test_deleting_ones_account_ends_it_at_once(api, ada):
    license_ = api.license(owner=ada)
    assert api.get("/users/me", by=ada).status_code == 200
    assert api.delete("/users/me", by=api.reauthenticated(ada)).status_code == 204
    for path in ("/users/me", "/auth/me", "/auth/sessions"):
        assert code_of(api.get(path, by=ada)) == "TOKEN_REVOKED"
    assert code_of(api.post("/auth/refresh", {"refresh_token": ada.refresh_token})) == "TOKEN_REVOKED"
    assert api.get(f"/users/{ada.id}", by=api.admin()).status_code == 404
    assert api.get(f"/licenses/{license_.id}", by=api.admin()).json["data"]["user_id"] is None
    credentials = {"email": ada.email, "password": "correct horse battery"}
    assert code_of(api.post("/auth/login", credentials)) == "INVALID_CREDENTIALS"
    assert api.post("/auth/register", credentials).status_code == 201


def test_every_route_of_ones_own_needs_a_token(api):
    for method, path in (
        ("GET", "/users/me"), ("PUT", "/users/me"), ("PATCH", "/users/me"), ("DELETE", "/users/me"),
        ("GET", "/users/me/settings"), ("PUT", "/users/me/settings"),
    ):  # fmt: skip
        assert code_of(api.call(method, path)) == "TOKEN_MISSING"


# --- settings -----------------------------------------------------------------------------------


def nested(depth):
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def sized(size):
    return {"a": "x" * (size - len('{"a":""}'))}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"theme": "dark", "telemetry": False, "fontSize": 13, "zoom": 1.5, "proxy": None, "list": [1, [2]]},
        {"editor.fontSize": 13, "editor.rulers": [80, 120], "[python]": {"editor.tabSize": 4}},
        {"unknown": "INCLUDE", "": "empty name", "data": {}, "null": None},
        {"ünïcode 🐎": "🐎"},
        {"big": 2**53, "small": -(2**53), "tiny": 5e-324, "negative": -0.5, "exact": 1e15},
        {"many": 1e22, "more": 1.5e300},
        nested(30),
        sized(64 * 1024),
    ],
    ids=lambda value: str(value)[:30],
)
def test_settings_are_any_json_object_kept_as_it_is(api, ada, settings):
    stored = api.put("/users/me/settings", settings, by=ada)
    assert (stored.status_code, stored.json["data"]) == (200, settings)
    assert api.get("/users/me/settings", by=ada).json["data"] == settings


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps(sized(64 * 1024 + 1)), 422),
        (json.dumps(nested(100)), 422),
        ('{"a":' * 20_000 + "1" + "}" * 20_000, 400),
        ("[]", 422),
        ('"text"', 422),
        ("null", 422),
        ("7", 422),
        ('{"a": 1e400}', 400),
        ('{"a": NaN}', 400),
        ('{"a": ' + "9" * 5000 + "}", 400),
        ('{"a": 99999999999999999999}', 422),
        (r'{"a": "\u0000"}', 400),
        (r'{"\ud800": 1}', 400),
        ('{"a": 1, "a": 2}', 400),
        ("{", 400),
    ],
    ids=lambda value: str(value)[:25],
)
def test_settings_that_are_none_are_refused_and_nothing_is_written(api, ada, body, status):
    api.put("/users/me/settings", {"theme": "dark"}, by=ada)
    answer = api.call("PUT", "/users/me/settings", by=ada, data=body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json["success"] is False
    assert api.get("/users/me/settings", by=ada).json["data"] == {"theme": "dark"}


def test_settings_begin_empty_and_are_ones_own(api, ada):
    stranger = api.person()
    assert api.get("/users/me/settings", by=stranger).json["data"] == {}
    api.put("/users/me/settings", {"theme": "dark"}, by=ada)
    assert api.get("/users/me/settings", by=stranger).json["data"] == {}
    assert "settings" not in api.get("/users/me", by=ada).json["data"]


def test_settings_of_two_windows_do_not_overwrite_each_other(api, ada):
    tag = api.get("/users/me/settings", by=ada).headers["ETag"]
    assert (
        api.put("/users/me/settings", {"b": 1, "a": 2}, by=ada, headers={"If-Match": tag}).status_code == 200
    )
    stale = api.put("/users/me/settings", {"c": 3}, by=ada, headers={"If-Match": tag})
    assert (stale.status_code, code_of(stale)) == (412, "PRECONDITION_FAILED")
    fresh = api.get("/users/me/settings", by=ada).headers["ETag"]
    assert api.put("/users/me/settings", {}, by=ada, headers={"If-Match": fresh}).status_code == 200
