"""PostgreSQL is killed under a running server, or freezes: who is told what, and what comes back."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.licenses.models import Product
from tests import servers
from tests.factories import V1
from tests.ops.conftest import until
from tests.ops.faults import MANY, failed_parts


def make_product(scene, admin, code):
    return scene.call("POST", f"{V1}/products", {"name": code, "code": code}, by=admin)


def calls_of_every_kind(scene, person, key):
    """Reads and writes, with and without a token, prepared and not; each needs the database."""
    return [
        scene.me(person),
        scene.validate(key),
        scene.sign_in(person),
        scene.register(),
        scene.call("GET", f"{V1}/licenses", by=person),
        scene.call("PATCH", f"{V1}/users/me", {"name": "Ada"}, by=person),
    ]


def test_without_the_database_every_call_is_told_to_come_back(scene):
    person, key = scene.api.person(), scene.api.license().key
    assert {seen.status for seen in calls_of_every_kind(scene, person, key)} == {200, 201}
    scene.postgres.kill()
    for _ in range(MANY // 4):
        for seen in calls_of_every_kind(scene, person, key):
            assert (seen.status, seen.code) == (503, "SERVICE_UNAVAILABLE")
            assert int(seen.headers["retry-after"]) >= 1
        assert scene.health().status == 200
        not_ready = scene.ready()
        assert (not_ready.status, not_ready.code) == (503, "NOT_READY")
        assert {"database", "migrations"} <= failed_parts(not_ready)
    scene.postgres.start()
    until(lambda: scene.ready().status == 200, "the server does not recover")
    for _ in range(MANY // 4):
        assert {seen.status for seen in calls_of_every_kind(scene, person, key)} == {200, 201}


def test_killed_under_load_it_costs_nothing_but_a_few_refusals(scene):
    admin, person, key = scene.api.admin(), scene.api.person(), scene.api.license().key
    over = threading.Event()
    seen, made = Counter(), []

    def load(number):
        for turn in range(1_000_000):
            if over.is_set():
                return
            product = make_product(scene, admin, f"load-{number}-{turn}")
            if product.status == 201:
                made.append(product.body["data"]["code"])
            for answer in (product, scene.me(person), scene.validate(key), scene.health()):
                seen[answer.status] += 1

    with ThreadPoolExecutor(8) as pool, ExitStack() as at_the_end:
        at_the_end.callback(over.set)
        callers = [pool.submit(load, number) for number in range(8)]
        for _ in range(3):
            enough = seen[200] + 200
            until(lambda enough=enough: seen[200] >= enough, "the load stands still")
            scene.postgres.kill()
            enough = seen[503] + 20
            until(lambda enough=enough: seen[503] >= enough, "nobody notices")
            scene.postgres.start()
        enough = seen[201] + 50
        until(lambda: seen[201] >= enough, "nothing is written any more")
        over.set()
        for caller in callers:
            caller.result()
    assert set(seen) == {200, 201, 503}
    scene.recover()
    with scene.api.app.app_context():
        kept = db.session.scalar(select(func.count()).where(Product.code.in_(made)))
    assert kept == len(made) > 0


@pytest.mark.extended
def test_a_frozen_database_hinders_neither_the_probes_nor_its_own_return(scene):
    person = scene.api.person()
    scene.postgres.freeze()
    with ThreadPoolExecutor(40) as pool, ExitStack() as at_the_end:  # more than both workers' slots
        at_the_end.callback(scene.postgres.start)
        waiting = [pool.submit(scene.me, person) for _ in range(40)]
        for _ in range(3):
            assert scene.health().status == 200
            not_ready = scene.ready()
            assert not_ready.status == 503
            assert "database" in failed_parts(not_ready)
        scene.postgres.start()
        assert {call.result().status for call in waiting} <= {200, 503}
    until(lambda: scene.ready().status == 200, "the server does not recover")
    assert scene.me(person).status == 200


def test_a_database_that_takes_no_writes_is_one_that_is_away_for_a_while(scene):
    """As a standby, or a primary that has been demoted."""
    person = scene.api.person()
    servers.configure(scene.postgres.url, "default_transaction_read_only", "on")
    until(lambda: scene.register().status == 503, "writes are not refused")
    assert scene.sign_in(person).code == "SERVICE_UNAVAILABLE"
    assert scene.me(person).status == 200
    servers.configure(scene.postgres.url, "default_transaction_read_only", "off")
    until(lambda: scene.sign_in(person).status == 200, "writes are still refused")
