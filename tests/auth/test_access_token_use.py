"""When a token was used last, what is forgotten, and what happens at the same moment."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import event, select, update

from devforge_api.auth import jobs
from devforge_api.auth.models import PersonalAccessToken
from devforge_api.auth.service import personal_tokens
from devforge_api.core import maintenance
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.errors import TokenRevoked
from tests.factories import code_of


@pytest.fixture
def ada(api):
    return api.reauthenticated(api.person(email="ada@example.com"))


@pytest.fixture
def made(app, api, ada):
    """A token that was never used."""
    yield api.post("/auth/tokens", {"name": "Tool", "scopes": ["profile:read"]}, by=ada).json["data"]
    personal_tokens._Notes.paused_until = 0.0


@pytest.fixture
def me(api, made):
    return partial(api.get, "/auth/me", headers={"Authorization": f"Bearer {made['token']}"})


@pytest.fixture
def last_used(app, made):
    def read():
        with app.app_context():
            return db.session.get_one(PersonalAccessToken, UUID(made["id"])).last_used_at

    return read


@pytest.fixture
def rewind_token(app, made):
    def change(**values):
        with app.app_context(), unit_of_work():
            change = update(PersonalAccessToken).where(PersonalAccessToken.id == UUID(made["id"]))
            db.session.execute(change.values(**values))

    return change


def test_its_use_is_noted_once_a_minute(app, api, ada, made, me, last_used, rewind_token):
    before = utc_now()
    assert me().status_code == 200
    first = last_used()
    assert before <= first <= utc_now()
    assert me().status_code == 200
    assert last_used() == first
    rewind_token(last_used_at=utc_now() - timedelta(seconds=61))
    assert me().status_code == 200
    assert last_used() > first
    shown = api.get(f"/auth/tokens/{made['id']}", by=ada).json["data"]["last_used_at"]
    assert shown is not None


def test_a_refused_token_is_no_use(me, last_used, rewind_token):
    rewind_token(expires_at=utc_now())
    assert code_of(me()) == "TOKEN_EXPIRED"
    assert last_used() is None


@pytest.fixture
def in_maintenance(app):
    def switch(*, on):
        with app.app_context(), acting(Occasion(kind="cli", request_id="-")), unit_of_work():
            maintenance.begin(None, 60) if on else maintenance.end()

    switch(on=True)
    yield
    switch(on=False)


def test_in_maintenance_it_reads_on_and_nothing_is_noted(made, me, last_used, in_maintenance):
    assert me().status_code == 200
    assert last_used() is None


@pytest.fixture
def read_only(calls_with, on_postgresql):
    """One more process, whose database takes no writes."""
    api = calls_with().api

    def prepare(connection, _record):
        cursor = connection.cursor()
        cursor.execute(
            "SET default_transaction_read_only = on" if on_postgresql else "PRAGMA query_only = ON"
        )
        cursor.close()
        if on_postgresql:
            connection.commit()

    with api.app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", prepare)
    return api


def test_on_a_database_that_takes_no_writes_it_admits_and_is_not_noted_again_and_again(
    read_only, ada, made, me, last_used, count_queries
):
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert read_only.get("/auth/me", headers=bearer).status_code == 200
    assert personal_tokens._Notes.paused_until > time.monotonic()
    with count_queries() as seen:
        assert read_only.get("/auth/me", headers=bearer).status_code == 200
    assert [statement for statement in seen if "UPDATE" in statement] == []
    assert read_only.patch("/users/me", {"name": "Ada"}, by=ada).status_code in {500, 503}
    assert last_used() is None
    personal_tokens._Notes.paused_until = 0.0
    assert me().status_code == 200
    assert last_used() is not None


def test_ended_tokens_are_forgotten_after_three_months(app, api, ada, made):
    now, day = utc_now(), timedelta(days=1)
    ends = {
        "live": {},
        "expired lately": {"expires_at": now - 89 * day},
        "expired long ago": {"expires_at": now - 91 * day},
        "revoked lately": {"revoked_at": now - 89 * day},
        "revoked long ago": {"revoked_at": now - 91 * day},
    }
    with app.app_context(), unit_of_work():
        for name, values in ends.items():
            row = personal_tokens.create(ada.id, name=name, scopes=["profile:read"], expires_in_days=1).row
            for column, value in values.items():
                setattr(row, column, value)
    with app.app_context(), unit_of_work():
        jobs.purge_access_tokens()
    with app.app_context():
        left = set(db.session.scalars(select(PersonalAccessToken.name)))
    assert left == {"live", "expired lately", "revoked lately", "Tool"}


def test_revoking_that_races_use_leaves_no_usable_token(api, ada):
    for _ in range(8):
        body = {"name": "Tool", "scopes": ["profile:read"]}
        made = api.post("/auth/tokens", body, by=ada).json["data"]
        use = partial(api.get, "/auth/me", headers={"Authorization": f"Bearer {made['token']}"})
        end = partial(api.delete, f"/auth/tokens/{made['id']}", by=ada)
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(call) for call in (use, end, use, use)]
            answers = [future.result() for future in futures]
        assert answers.pop(1).status_code == 204
        assert {answer.status_code for answer in answers} <= {200, 401}
        assert code_of(use()) == "TOKEN_REVOKED"


def test_using_it_while_its_owner_is_deleted_ends_without_an_error(api):
    for _ in range(6):
        who = api.reauthenticated(api.person())
        body = {"name": "Tool", "scopes": ["profile:read"]}
        made = api.post("/auth/tokens", body, by=who).json["data"]
        use = partial(api.get, "/auth/me", headers={"Authorization": f"Bearer {made['token']}"})
        with ThreadPoolExecutor(3) as pool:
            calls = (use, partial(api.delete, "/users/me", by=who), use)
            answers = [future.result() for future in [pool.submit(call) for call in calls]]
        assert answers[1].status_code == 204
        assert {answers[0].status_code, answers[2].status_code} <= {200, 401, 404}
        assert code_of(use()) == "TOKEN_INVALID"


def test_no_token_is_made_for_somebody_who_was_banned_in_this_moment(app, api, ada):
    """The request was admitted, then waited for the ban that held the user's row."""
    api.ban(ada.id)
    with app.app_context(), pytest.raises(TokenRevoked), unit_of_work():
        personal_tokens.create(ada.id, name="Tool", scopes=["profile:read"], expires_in_days=1)
