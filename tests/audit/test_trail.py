import pytest
from sqlalchemy import delete, func, select, update

from devforge_api.audit import service as audit
from devforge_api.audit.models import AuditEvent
from devforge_api.core.db import db, unit_of_work
from devforge_api.users import service as users
from tests.factories import PASSWORD, code_of

AGENT = {"User-Agent": "DevForge/1.4", "X-Request-ID": "the-request-of-this-test"}


@pytest.fixture
def admin(api):
    return api.admin()


@pytest.fixture
def trail(app):
    """Every event, oldest first."""

    def read() -> list[AuditEvent]:
        with app.app_context():
            return list(db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)))

    return read


def test_an_event_tells_who_did_what_to_whom_from_where(api, admin, trail):
    who = api.person()
    place = {"headers": AGENT, "environ_base": {"REMOTE_ADDR": "203.0.113.7"}}
    api.patch(f"/users/{who.id}", {"role": "support", "name": "New"}, by=admin, **place)
    row = trail()[-1]
    assert (row.actor_kind, row.actor_id) == ("user", admin.id)
    assert (row.action, row.target_type, row.target_id) == ("user.updated", "user", who.id)
    assert (row.request_id, row.address) == (AGENT["X-Request-ID"], "203.0.113.7")
    assert row.user_agent == "DevForge/1.4"
    assert row.changes == {"role": ["user", "support"], "name": [None, "New"]}


def test_each_deed_leaves_its_event(api, admin, trail):
    made = api.post("/auth/register", {"email": "ada@example.com", "password": PASSWORD}).json["data"]
    ada = {"Authorization": f"Bearer {made['access_token']}"}
    path = f"/users/{made['user']['id']}"
    api.post("/auth/login", {"email": "ada@example.com", "password": "wrong one"})
    api.post("/auth/login", {"email": "ada@example.com", "password": PASSWORD})
    other = api.get("/auth/sessions", headers=ada).json["data"][0]
    api.delete(f"/auth/sessions/{other['id']}", headers=ada)
    body = {"current_password": PASSWORD, "new_password": "staple orbit lantern"}
    api.post("/auth/password/change", body, headers=ada)
    api.patch("/users/me", {"name": "Ada"}, headers=ada)
    api.put("/users/me/settings", {"theme": "dark"}, headers=ada)
    api.post("/auth/logout", headers=ada)
    api.patch(path, {"email_verified": True}, by=admin)
    api.patch(path, {"email_verified": False}, by=admin)
    api.patch(path, {"status": "disabled"}, by=admin)
    api.delete(path, by=admin)
    api.post("/auth/logout-all", by=admin)
    actor = made["user"]["id"]
    told = [(row.action, str(row.actor_id), row.actor_kind) for row in trail()[3:]]  # three made the admin
    assert told == [
        ("user.created", "None", "anonymous"),
        ("auth.signed_in", actor, "user"),
        ("auth.sign_in_failed", "None", "anonymous"),
        ("auth.signed_in", actor, "user"),
        ("auth.session_revoked", actor, "user"),
        ("auth.password_changed", actor, "user"),
        ("user.updated", actor, "user"),
        ("user.updated", actor, "user"),
        ("auth.signed_out", actor, "user"),
        ("user.email_verified", str(admin.id), "user"),
        ("user.updated", str(admin.id), "user"),
        ("user.updated", str(admin.id), "user"),
        ("user.deleted", str(admin.id), "user"),
        ("auth.all_sessions_revoked", str(admin.id), "user"),
    ]


def test_what_was_refused_or_changed_nothing_leaves_none(api, admin, trail):
    api.reauthenticated(admin)
    before = len(trail())
    assert api.patch("/users/me", {}, by=admin).status_code == 200
    assert api.patch(f"/users/{admin.id}", {"role": "admin"}, by=admin).status_code == 200
    assert api.patch(f"/users/{admin.id}", {"name": "New", "role": "user"}, by=admin).status_code == 409
    assert api.delete("/users/me", by=admin).status_code == 409
    assert api.patch(f"/users/{admin.id}", {"role": "root"}, by=admin).status_code == 422
    assert len(trail()) == before


def test_a_deed_that_is_rolled_back_takes_its_event_along(app, trail):
    def deed() -> None:
        with unit_of_work():
            users.create_user("ada@example.com", password_hash=None)
            assert db.session.scalar(select(func.count()).select_from(AuditEvent)) == 1
            raise ZeroDivisionError

    with app.app_context(), pytest.raises(ZeroDivisionError):
        deed()
    assert trail() == []
    with app.app_context():
        assert users.find_by_email("ada@example.com") is None


def test_of_secret_fields_only_the_name_is_kept(app, trail):
    with app.app_context(), unit_of_work():
        changes = {"password_hash": ("$argon2id$old", "$argon2id$new"), "name": ("A", "B")}
        audit.record("user.updated", target_type="user", target_id=None, changes=changes)
    assert trail()[0].changes == {"password_hash": ["(secret)", "(secret)"], "name": ["A", "B"]}


def rewrite(row: AuditEvent) -> None:
    row.action = "nothing.happened"
    db.session.flush()


def remove(row: AuditEvent) -> None:
    db.session.delete(row)
    db.session.flush()


TAMPERING = {
    "rewriting one": rewrite,
    "removing one": remove,
    "rewriting many": lambda _: db.session.execute(update(AuditEvent).values(action="x")),
    "removing many": lambda _: db.session.execute(delete(AuditEvent)),
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=list(TAMPERING))
def test_events_are_never_changed(app, admin, trail, tamper):
    before = [row.action for row in trail()]
    with app.app_context(), unit_of_work():
        row = db.session.scalars(select(AuditEvent)).first()
        with pytest.raises(RuntimeError, match="never changed"):
            tamper(row)
        db.session.rollback()
    assert [row.action for row in trail()] == before != []


# --- reading it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "status"), [("user", 403), ("developer", 403), ("support", 403), ("admin", 200)]
)
def test_only_admins_read_the_trail(api, role, status):
    answer = api.get("/audit/events", by=api.person(role=role))
    assert answer.status_code == status
    assert status == 200 or code_of(answer) == "FORBIDDEN"
    assert api.get("/audit/events").status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nobody_writes_the_trail(api, admin, method):
    answer = api.call(method, "/audit/events", {}, by=admin)
    assert (answer.status_code, answer.headers["Allow"].count("GET")) == (405, 1)


def test_the_trail_is_read_newest_first_and_by_filters(api, admin, count_queries):
    who, other = api.person(), api.person()
    api.patch(f"/users/{who.id}", {"role": "support"}, by=admin, headers=AGENT)
    api.patch("/users/me", {"name": "O"}, by=other)

    def found(query: str) -> list[tuple[str, str]]:
        answer = api.get(f"/audit/events?{query}", by=admin)
        assert answer.status_code == 200, answer.json
        return [(row["action"], row["target_id"]) for row in answer.json["data"]]

    def expect(query, *rows):
        assert found(query) == [(action, str(target.id)) for action, target in rows]

    everything = found("")
    assert everything[0] == ("user.updated", str(other.id))
    assert found("sort=created_at") == everything[::-1]
    expect("action=user.updated", ("user.updated", other), ("user.updated", who))
    expect(f"actor_id={admin.id}&action=user.updated", ("user.updated", who))
    expect(f"target_id={who.id}&action_ne=auth.signed_in&limit=1", ("user.updated", who))
    expect(f"request_id={AGENT['X-Request-ID']}", ("user.updated", who))
    expect("target_type=license")
    expect("created_at_lt=2000-01-01T00:00:00Z")
    assert found("created_at_gt=2000-01-01T00:00:00Z&target_type=user") == everything
    with count_queries() as seen:
        found("limit=5")
    assert len(seen) <= 2, seen


@pytest.mark.parametrize(
    "query", ["nonsense=1", "sort=action", "actor_id=7", "limit=0", "created_at_gt=today"]
)
def test_what_the_trail_does_not_offer_is_refused(api, admin, query):
    refused = api.get(f"/audit/events?{query}", by=admin)
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")


def test_people_see_their_own_sign_ins_alone(api):
    ada, eve = api.person(email="ada@example.com"), api.admin()
    place = {"environ_base": {"REMOTE_ADDR": "203.0.113.66"}, "headers": {"User-Agent": "curl/8"}}
    api.post("/auth/login", {"email": "ada@example.com", "password": "wrong one"}, **place)
    api.patch(f"/users/{ada.id}", {"name": "Ada"}, by=eve)
    rows = api.get("/auth/activity", by=ada).json["data"]
    assert [row["action"] for row in rows] == [
        "auth.sign_in_failed", "auth.signed_in", "user.email_verified", "user.created",
    ]  # fmt: skip
    assert (rows[0]["address"], rows[0]["user_agent"]) == ("203.0.113.66", "curl/8")
    assert set(rows[0]) == {"id", "created_at", "action", "method", "address", "user_agent"}
    assert [row["action"] for row in api.get("/auth/activity", by=eve).json["data"]] == [
        "auth.signed_in", "user.email_verified", "user.created",
    ]  # fmt: skip
    failed = api.get("/auth/activity?action=auth.sign_in_failed", by=ada).json
    assert failed["pagination"]["total"] == 1
    assert api.get(f"/auth/activity?target_id={ada.id}", by=eve).status_code == 422
    assert api.get("/auth/activity").status_code == 401
