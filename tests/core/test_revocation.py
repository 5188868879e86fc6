import socket
from contextlib import contextmanager
from uuid import uuid4

import pytest
import redis
from sqlalchemy import select

from devforge_api.core import revocation
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.core.worker import drain
from devforge_api.users import service as users
from tests.factories import code_of


@pytest.fixture
def server(environ, app):
    """The column's Redis."""
    with redis.Redis.from_url(environ["DEVFORGE_REDIS_URL"], decode_responses=True) as client:
        yield client


def fail_after(deed):
    deed()
    raise ZeroDivisionError


def me(api, person):
    answer = api.get("/auth/me", by=person)
    return 200 if answer.status_code == 200 else code_of(answer)


def promise(api, person):
    """Ask often enough for this process to trust Redis."""
    assert [me(api, person) for _ in range(2)] == [200, 200]


@contextmanager
def cut_off(api):
    """Redis is away for this process."""
    link = api.app.extensions["devforge-redis"]
    kept = link.client
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    link.client = redis.Redis(port=port)
    link.forget_connections()
    try:
        yield
    finally:
        link.client.close()
        link.client = kept
        link.forget_connections()
        link.breaker.reset()


DEEDS = {
    "logout": lambda api, person, admin: api.post("/auth/logout", by=person),
    "logout-all": lambda api, person, admin: api.post("/auth/logout-all", by=person),
    "ban": lambda api, person, admin: api.patch(f"/users/{person.id}", {"status": "disabled"}, by=admin),
    "demotion": lambda api, person, admin: api.patch(f"/users/{person.id}", {"role": "user"}, by=admin),
    "deletion": lambda api, person, admin: api.delete(f"/users/{person.id}", by=admin),
}


@pytest.fixture(params=DEEDS)
def revoke(request):
    return DEEDS[request.param]


def test_a_revocation_acts_on_the_next_request_of_every_process(make_api, revoke):
    here, there = make_api(), make_api()
    admin, person = here.admin(), here.person(role="support")
    promise(there, person)
    assert revoke(here, person, admin).status_code in {200, 204}
    assert me(there, person) == me(here, person) == "TOKEN_REVOKED"
    assert me(there, admin) == 200


@pytest.mark.production_column("needs Redis")
def test_an_emptied_redis_is_told_every_denial_before_it_is_trusted_again(make_api, server, revoke):
    api = make_api()
    admin, person = api.admin(), api.person(role="support")
    promise(api, person)
    revoke(api, person, admin)
    api.deliver()
    server.flushdb()
    assert me(api, person) == "TOKEN_REVOKED"
    promise(api, admin)
    assert server.get(revocation.MARKER) == "1"
    assert server.keys("devforge:denied:*")
    assert me(api, person) == "TOKEN_REVOKED"


@pytest.mark.production_column("needs Redis")
def test_a_revocation_holds_while_redis_is_away_and_after_its_return(make_api, server, revoke):
    here, there = make_api(), make_api()
    admin, person = here.admin(), here.person(role="support")
    promise(here, person)
    with cut_off(here):
        assert revoke(here, person, admin).status_code in {200, 204}
        assert me(here, person) == "TOKEN_REVOKED"
        assert me(here, admin) == 200
    assert me(here, person) == "TOKEN_REVOKED"
    here.deliver()  # repeats the denial to those who never noticed
    assert me(there, person) == "TOKEN_REVOKED"


@pytest.mark.production_column("needs Redis")
def test_a_redis_that_came_back_without_its_last_denials_is_not_trusted(make_api, server):
    api = make_api()
    person = api.person()
    promise(api, person)
    api.post("/auth/logout", by=person)
    api.deliver()
    server.delete(*server.keys("devforge:denied:*"))
    server.client_kill_filter(_type="normal", skipme=True)
    assert server.get(revocation.MARKER) == "1"
    assert [me(api, person) for _ in range(2)] == ["TOKEN_REVOKED"] * 2


@pytest.mark.production_column("needs Redis")
def test_whoever_is_denied_uses_up_nobodys_budget(make_api):
    api = make_api(LIMIT_USER=3)
    person = api.person()
    promise(api, person)
    body = {"email": person.email, "password": "correct horse battery"}
    token = api.post("/auth/login", body).json["data"]["access_token"]
    api.post("/auth/logout", by=person)
    assert {me(api, person) for _ in range(9)} == {"TOKEN_REVOKED"}
    assert api.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.production_column("needs Redis")
def test_a_denial_that_could_not_be_repeated_is_tried_again(make_api, server):
    api = make_api()
    person = api.person()
    api.post("/auth/logout", by=person)
    with cut_off(api):
        api.deliver()
    with api.app.app_context():
        row = db.session.scalars(select(OutboxRow).where(OutboxRow.name == revocation.EVENT)).one()
    assert row.status is OutboxStatus.PENDING
    assert "ConnectionError" in str(row.error)


@pytest.mark.production_column("needs Redis")
def test_trusted_redis_saves_the_query(make_api, server, count_queries):
    api = make_api()
    person = api.person()
    promise(api, person)
    with count_queries() as statements:
        assert api.get("/licenses", by=person).status_code == 200
    assert len(statements) == 1


@pytest.mark.production_column("needs Redis")
def test_a_late_repetition_does_not_lower_a_newer_version(app, server):
    user_id = uuid4()
    key = revocation.user_key(user_id)
    with app.app_context():
        revocation.repeat_denial({"key": key, "value": "7"})
        revocation.repeat_denial({"key": key, "value": "3"})
        assert server.get(key) == "7"
        revocation.repeat_denial({"key": key, "value": "10"})
        assert server.get(key) == "10"
        assert 15 * 60 < server.ttl(key) <= 16 * 60


@pytest.mark.production_column("needs Redis")
def test_a_denial_whose_transaction_failed_locks_nobody_out(make_api, server):
    api = make_api()
    person = api.person()
    promise(api, person)
    with api.app.app_context():
        with pytest.raises(ZeroDivisionError), unit_of_work():
            fail_after(lambda: users.invalidate_tokens(users.get_user(person.id, for_update=True)))
        drain()
    assert server.get(revocation.user_key(person.id)) == "2"
    assert me(api, person) == 200


def test_a_user_whose_tokens_died_can_sign_in_again(make_api):
    api = make_api()
    admin, person = api.admin(), api.person()
    api.patch(f"/users/{person.id}", {"role": "support"}, by=admin)
    assert me(api, person) == "TOKEN_REVOKED"
    body = {"email": person.email, "password": "correct horse battery"}
    tokens = api.post("/auth/login", body).json["data"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert api.get("/auth/me", headers=headers).json["data"]["role"] == "support"
