import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from devforge_api.auth.models import PersonalAccessToken
from devforge_api.auth.scopes import PERSONAL, ROLE_SCOPES
from devforge_api.auth.service import personal_tokens
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import fingerprint
from devforge_api.users import service as users
from devforge_api.users.service import Role
from tests.factories import code_of

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def ada(api):
    return api.reauthenticated(api.person(email="ada@example.com"))


@pytest.fixture
def make(api, ada):
    def create(*scopes, by=ada, **more):
        body = {"name": "Build server", "scopes": list(scopes or ("profile:read",)), **more}
        return api.post("/auth/tokens", body, by=by)

    return create


@pytest.fixture
def rewind_token(app):
    def change(token_id, **values):
        with app.app_context(), unit_of_work():
            db.session.execute(
                update(PersonalAccessToken).where(PersonalAccessToken.id == UUID(token_id)).values(**values)
            )

    return change


def bearer(token):
    return {"headers": {"Authorization": f"Bearer {token}"}}


# --- making -------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_described_ever_after(api, ada, make):
    answer = make("profile:read", "licenses:read", "profile:read", expires_in_days=30)
    data = answer.json["data"]
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    token = data.pop("token")
    assert (data["name"], data["hint"], data["last_used_at"]) == ("Build server", token[-4:], None)
    assert (data["scopes"], data["service_account_id"]) == (["licenses:read", "profile:read"], None)
    assert answer.headers["Location"] == f"/api/v1/auth/tokens/{data['id']}"
    assert api.get(f"/auth/tokens/{data['id']}", by=ada).json["data"] == data
    assert api.get("/auth/tokens", by=ada).json["data"] == [data]


def test_a_token_lives_90_days_unless_said_otherwise(app, make):
    for more, days in (({}, 90), ({"expires_in_days": 1}, 1), ({"expires_in_days": 365}, 365)):
        token_id = make(**more).json["data"]["id"]
        with app.app_context():
            row = db.session.get_one(PersonalAccessToken, UUID(token_id))
        lifetime = (row.expires_at - row.created_at).total_seconds()
        assert lifetime == pytest.approx(days * 86_400, abs=1)


def test_only_the_hash_is_stored(app, make):
    token = make().json["data"]["token"]
    with app.app_context():
        row = db.session.execute(select(PersonalAccessToken.__table__)).one()
    assert row.token_hash == fingerprint(token)
    assert token[4:-4] not in repr(row)


def test_its_form_is_what_a_secret_scanner_looks_for(make):
    tokens = {make().json["data"]["token"] for _ in range(3)}
    assert len(tokens) == 3
    for token in tokens:
        assert re.fullmatch(r"dfp_[0-9A-Za-z]{38}", token)
        value = 0
        for digit in token[-6:]:
            value = value * 62 + DIGITS.index(digit)
        assert value == zlib.crc32(token[:-6].encode())


def test_there_are_190_random_bits_and_small_checksums_keep_their_zeros():
    assert 32 * 5.954 > 190  # log2(62)
    small = next(
        body for body in (f"dfp_{number:032}" for number in range(10**6)) if zlib.crc32(body.encode()) < 62**4
    )
    checksum = personal_tokens._checksum(small)
    assert (len(checksum), checksum[:2]) == (6, "00")
    assert personal_tokens.is_well_formed(small + checksum)


@pytest.mark.parametrize(
    "scopes",
    [[], ["nonsense"], ["profile:read", "users:read"], *([scope] for scope in sorted(PERSONAL))],
)
def test_scopes_that_cannot_be_granted_are_refused_and_those_that_can_are_told(api, ada, scopes):
    refused = api.post("/auth/tokens", {"name": "Tool", "scopes": scopes}, by=ada)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "scopes")
    if scopes:
        grantable = sorted(ROLE_SCOPES[Role.USER] - PERSONAL)
        assert refused.json["error"]["details"] == [
            {
                "field": "scopes",
                "code": "SCOPE_NOT_GRANTABLE",
                "message": f"Choose from: {', '.join(grantable)}.",
            }
        ]


def test_an_admin_can_grant_what_an_admin_has(api, make):
    admin = api.reauthenticated(api.admin())
    token = make("users:read", by=admin).json["data"]["token"]
    assert api.get("/users", **bearer(token)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""}, {"name": "n" * 101}, {"name": None}, {"expires_in_days": 0},
        {"expires_in_days": 366}, {"expires_in_days": None}, {"scopes": "profile:read"}, {"scopes": None},
        {"scopes": ["profile:read"] * 65}, {"user_id": "x"}, {"token": "dfp_x"}, {"last_used_at": None},
    ],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused(make, body):
    assert make(**{"name": "Tool", **body}).status_code == 422


def test_of_a_hundred_live_tokens_each_counts_and_ended_ones_do_not(app, api, ada, make, rewind_token):
    with app.app_context(), unit_of_work():
        for number in range(97):
            personal_tokens.create(ada.id, name=f"{number}", scopes=["profile:read"], expires_in_days=1)
    expired = make().json["data"]["id"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: make(), range(6)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, 201, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert code_of(refused) == "ACCESS_TOKEN_LIMIT_REACHED"
    assert refused.json["error"]["params"] == {"limit": 100}
    rewind_token(expired, expires_at=utc_now() - timedelta(seconds=1))
    assert make().status_code == 201
    assert make().status_code == 409
    assert api.delete(f"/auth/tokens/{expired}", by=ada).status_code == 204
    assert make().status_code == 409
    other = api.reauthenticated(api.person())
    assert make(by=other).status_code == 201


# --- using --------------------------------------------------------------------------------------


def test_it_does_what_its_scopes_say_and_no_more(api, ada, make):
    token = make("profile:read", "licenses:read").json["data"]["token"]
    me = api.get("/auth/me", **bearer(token))
    assert me.json["data"] == api.get("/auth/me", by=ada).json["data"]
    license_ = api.license(owner=ada)
    listed = api.get("/licenses", **bearer(token)).json["data"]
    assert [one["id"] for one in listed] == [str(license_.id)]
    for method, path, body in (
        ("PATCH", "/users/me", {"name": "Eve"}), ("GET", "/auth/sessions", None),
        ("GET", "/auth/tokens", None),
        ("POST", "/auth/tokens", {}), ("POST", "/auth/password/change", {}), ("GET", "/auth/mfa", None),
        ("POST", "/auth/mfa/totp", {}), ("POST", "/auth/reauth", {}), ("POST", "/auth/logout-all", None),
        ("GET", "/users", None),
    ):  # fmt: skip
        refused = api.call(method, path, body, **bearer(token))
        assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN"), path


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_schemes_case_does_not_matter(api, make, scheme):
    token = make().json["data"]["token"]
    answer = api.get("/auth/me", headers={"Authorization": f"{scheme}  {token}"})
    assert answer.status_code == 200


def broken(token):
    last = token[-1]
    yield token[:-1] + ("a" if last != "a" else "b")  # a mistyped digit
    yield token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
    yield token[:-1]
    yield token + "0"
    yield token.replace("dfp_", "ghp_")
    yield token.upper() if token.upper() != token else token.lower()
    yield "dfp_"
    yield token + "="


def test_a_garbled_token_is_refused_without_a_query(api, make, count_queries):
    for token in broken(make().json["data"]["token"]):
        with count_queries() as seen:
            refused = api.get("/auth/me", **bearer(token))
        assert (refused.status_code, code_of(refused)) == (401, "TOKEN_INVALID"), token
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        assert seen == []


def test_an_unknown_token_of_the_right_form_is_invalid(api):
    assert code_of(api.get("/auth/me", **bearer(personal_tokens.new_token()))) == "TOKEN_INVALID"


def test_an_expired_token_says_so(api, ada, make, rewind_token):
    made = make().json["data"]
    rewind_token(made["id"], expires_at=utc_now() - timedelta(seconds=1))
    refused = api.get("/auth/me", **bearer(made["token"]))
    assert (refused.status_code, code_of(refused)) == (401, "TOKEN_EXPIRED")
    assert [one["id"] for one in api.get("/auth/tokens", by=ada).json["data"]] == [made["id"]]


def test_a_revoked_token_is_refused_at_once_and_gone_from_the_list(api, ada, make):
    made = make().json["data"]
    assert api.get("/auth/me", **bearer(made["token"])).status_code == 200
    assert api.delete(f"/auth/tokens/{made['id']}", by=ada).status_code == 204
    refused = api.get("/auth/me", **bearer(made["token"]))
    assert (refused.status_code, code_of(refused)) == (401, "TOKEN_REVOKED")
    assert api.get("/auth/tokens", by=ada).json["data"] == []
    for method in ("GET", "DELETE"):
        gone = api.call(method, f"/auth/tokens/{made['id']}", by=ada)
        assert (gone.status_code, code_of(gone)) == (404, "ACCESS_TOKEN_NOT_FOUND")


def test_a_ban_ends_tokens_at_once_and_for_good(app, api, ada, make):
    token = make().json["data"]["token"]
    api.ban(ada.id)
    assert code_of(api.get("/auth/me", **bearer(token))) == "TOKEN_REVOKED"
    api.deliver()
    with app.app_context(), unit_of_work():
        active = {"status": users.UserStatus.ACTIVE}
        users.update_user(users.get_user(ada.id, for_update=True), active)
    assert code_of(api.get("/auth/me", **bearer(token))) == "TOKEN_REVOKED"


def test_a_demotion_acts_on_the_next_request_and_a_promotion_gives_nothing(app, api, make):
    admin, staff = api.admin(), api.reauthenticated(api.person(role="support"))
    token = make("profile:read", "users:read", by=staff).json["data"]["token"]
    assert api.get("/users", **bearer(token)).status_code == 200
    api.patch(f"/users/{staff.id}", {"role": "user"}, by=admin)
    assert code_of(api.get("/users", **bearer(token))) == "FORBIDDEN"
    assert api.get("/auth/me", **bearer(token)).status_code == 200
    api.patch(f"/users/{staff.id}", {"role": "admin"}, by=admin)
    assert api.get("/users", **bearer(token)).status_code == 200
    assert code_of(api.get("/audit/events", **bearer(token))) == "FORBIDDEN"


def test_it_goes_with_its_account(app, api, ada, make):
    token = make().json["data"]["token"]
    assert api.delete("/users/me", by=ada).status_code == 204
    assert code_of(api.get("/auth/me", **bearer(token))) == "TOKEN_INVALID"


def test_a_new_password_and_signing_out_leave_tools_alone(api, calls, ada, make):
    token = make().json["data"]["token"]
    assert calls.change_password(ada, "staple orbit lantern").status_code == 204
    assert api.post("/auth/logout-all", by=ada).status_code == 204
    assert api.get("/auth/me", **bearer(token)).status_code == 200


def test_the_check_costs_one_query(app, api, make, count_queries, redis_commands):
    token = make().json["data"]["token"]
    assert api.get("/auth/mfa", **bearer(token)).status_code == 403  # notes the use
    redis_commands.clear()
    with count_queries() as seen:
        assert api.get("/auth/mfa", **bearer(token)).status_code == 403
    assert len(seen) == 1
    assert "JOIN users" in seen[0]
    assert redis_commands == (["EVALSHA"] if app.config["REDIS_URL"] else [])  # the owner's budget


def test_it_is_charged_to_its_owner_as_a_session_is(calls_with, api, ada, make):
    token = make().json["data"]["token"]
    strict = calls_with(LIMIT_USER=3).api
    headers = [bearer(token), {"by": ada}, bearer(token), bearer(token)]
    answers = [strict.get("/auth/me", **how).status_code for how in headers]
    assert answers == [200, 200, 200, 429]
    assert strict.get("/auth/me", by=api.person()).status_code == 200


def test_logout_by_a_tools_token_ends_nothing_and_succeeds(api, ada, make):
    token = make().json["data"]["token"]
    assert api.post("/auth/logout", **bearer(token)).status_code == 204
    assert api.get("/auth/me", **bearer(token)).status_code == 200
    assert api.get("/auth/me", by=ada).status_code == 200


# --- trail --------------------------------------------------------------------------------------


def test_making_and_revoking_is_in_the_trail_and_its_deeds_name_the_token(app, api, ada, make):
    made = make("profile:write").json["data"]
    assert api.patch("/users/me", {"name": "Ada"}, **bearer(made["token"])).status_code == 200
    api.delete(f"/auth/tokens/{made['id']}", by=ada)
    shown = api.get("/audit/events", by=api.admin(), query_string={"actor_id": str(ada.id)}).json["data"]
    seen = {one["action"]: one for one in shown}
    assert seen["auth.token_created"]["changes"] == {
        "token_id": [None, made["id"]], "name": [None, "Build server"], "scopes": [None, ["profile:write"]],
    }  # fmt: skip
    assert seen["auth.token_created"]["token_id"] is None
    assert seen["user.updated"]["token_id"] == made["id"]
    assert seen["auth.token_revoked"]["changes"]["token_id"] == [made["id"], None]
    activity = [one["action"] for one in api.get("/auth/activity", by=ada).json["data"]]
    assert activity[:2] == ["auth.token_revoked", "auth.token_created"]
