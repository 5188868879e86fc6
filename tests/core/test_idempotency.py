import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, update

from devforge_api.core import jobs
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.idempotency import IdempotencyKey
from devforge_api.licenses.models import License, Product
from tests.factories import code_of

KEY = {"Idempotency-Key": "5a3f-key"}
BODY = {"name": "Forge", "code": "forge"}


@pytest.fixture
def admin(api):
    return api.admin()


def count(api, model):
    with api.app.app_context():
        return db.session.scalar(select(func.count()).select_from(model))


def change_claim(api, **values):
    """Move the stored claim to the state that a killed server or a passed day leaves."""
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(IdempotencyKey).values(**values))


def test_the_same_request_gets_the_same_answer_byte_for_byte(api, admin):
    body = {"policy_id": str(api.policy()), "metadata": {"löwe": 1.5}}
    first = api.post("/licenses", body, by=admin, headers=KEY)
    again = api.post("/licenses", body, by=admin, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert count(api, License) == 1


def test_without_a_key_every_request_is_done(api, admin):
    body = {"policy_id": str(api.policy())}
    keys = {api.post("/licenses", body, by=admin).json["data"]["key"] for _ in range(2)}
    assert len(keys) == 2


@pytest.mark.parametrize("what", ["body", "path", "query"])
def test_a_key_stands_for_one_request_alone(api, admin, what):
    assert api.post("/products", BODY, by=admin, headers=KEY).status_code == 201
    path = {"path": "/entitlements", "query": "/products?a=1"}.get(what, "/products")
    body = BODY | ({"name": "Other", "code": "other"} if what == "body" else {})
    refused = api.post(path, body, by=admin, headers=KEY)
    assert (refused.status_code, code_of(refused)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert count(api, Product) == 1


def test_a_key_belongs_to_its_user(api, admin):
    other = api.admin()
    mine = api.post("/products", BODY, by=admin, headers=KEY)
    theirs = api.post("/products", {"name": "Anvil", "code": "anvil"}, by=other, headers=KEY)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert theirs.json["data"]["name"] == "Anvil"


def test_a_refused_request_can_be_made_again_with_its_key(api, admin):
    api.post("/products", BODY, by=admin)
    assert api.post("/products", BODY, by=admin, headers=KEY).status_code == 409
    assert count(api, IdempotencyKey) == 0
    assert api.post("/products", {**BODY, "code": "free"}, by=admin, headers=KEY).status_code == 201


def test_a_request_under_way_is_not_done_twice(api, admin):
    api.post("/products", BODY, by=admin, headers=KEY)
    change_claim(api, answer=None, claimed_until=utc_now() + timedelta(seconds=30))
    refused = api.post("/products", BODY, by=admin, headers=KEY)
    assert (refused.status_code, code_of(refused)) == (409, "IDEMPOTENCY_IN_FLIGHT")
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_claim_that_has_run_out_gives_way(api, admin):
    body = {"policy_id": str(api.policy())}
    api.post("/licenses", body, by=admin, headers=KEY)
    change_claim(api, answer=None, claimed_until=utc_now() - timedelta(seconds=1))
    second = api.post("/licenses", body, by=admin, headers=KEY)
    assert second.status_code == 201
    assert "Idempotent-Replayed" not in second.headers
    assert api.post("/licenses", body, by=admin, headers=KEY).data == second.data


def test_after_a_day_the_key_is_free_and_its_answer_purged(api, admin):
    api.post("/products", BODY, by=admin, headers=KEY)
    change_claim(api, created_at=utc_now() - timedelta(hours=24, seconds=1))
    again = api.post("/products", {"name": "Anvil", "code": "anvil"}, by=admin, headers=KEY)
    assert again.status_code == 201
    change_claim(api, created_at=utc_now() - timedelta(hours=24, seconds=1))
    with api.app.app_context():
        assert "core.idempotency.purge" in jobs.run_due()
    assert count(api, IdempotencyKey) == 0


def test_within_the_day_the_answer_is_kept(api, admin):
    first = api.post("/products", BODY, by=admin, headers=KEY)
    change_claim(api, created_at=utc_now() - timedelta(hours=23, minutes=59))
    with api.app.app_context():
        jobs.run_due()
    assert api.post("/products", BODY, by=admin, headers=KEY).data == first.data


def test_stored_answers_are_encrypted(api, admin):
    made = api.post("/licenses", {"policy_id": str(api.policy())}, by=admin, headers=KEY).json["data"]
    with api.app.app_context():
        stored = str(db.session.scalars(select(IdempotencyKey.answer)).one())
    assert made["key"] not in stored
    assert made["id"] not in stored
    assert "success" not in stored


def test_sixteen_threads_with_one_key_make_one_resource(api, admin):
    body = {"policy_id": str(api.policy())}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.post("/licenses", body, by=admin, headers=KEY), range(48)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {code_of(answer) for answer in answers if answer.status_code == 409} <= {"IDEMPOTENCY_IN_FLIGHT"}
    assert len({answer.data for answer in done}) == 1
    assert len([answer for answer in done if "Idempotent-Replayed" not in answer.headers]) == 1
    assert count(api, License) == 1


def test_a_request_that_is_torn_down_releases_its_key(api, admin):
    class TornDown(BaseException):
        """What a server may raise in the thread of a request that it gives up."""

    def tear(*_):
        raise TornDown

    event.listen(Product, "after_insert", tear)
    try:
        with pytest.raises(TornDown):
            api.post("/products", BODY, by=admin, headers=KEY)
    finally:
        event.remove(Product, "after_insert", tear)
    assert (count(api, Product), count(api, IdempotencyKey)) == (0, 0)
    assert api.post("/products", BODY, by=admin, headers=KEY).status_code == 201


KILLED = """
import os, signal
from sqlalchemy import event
from devforge_api.app import create_app
from devforge_api.licenses.models import Product

@event.listens_for(Product, "after_insert")
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

app = create_app()
app.test_client().post(
    "/api/v1/products",
    json={"name": "Forge", "code": "forge"},
    headers={"Authorization": "Bearer " + os.environ["TOKEN"], "Idempotency-Key": "5a3f-key"},
)
"""


def test_a_server_killed_before_its_commit_leaves_a_claim_that_runs_out(api, admin, environ):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED],
        env={**os.environ, **environ, "TOKEN": admin.access_token},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (count(api, Product), count(api, IdempotencyKey)) == (0, 1)
    assert code_of(api.post("/products", BODY, by=admin, headers=KEY)) == "IDEMPOTENCY_IN_FLIGHT"
    change_claim(api, claimed_until=utc_now() - timedelta(seconds=1))
    assert api.post("/products", BODY, by=admin, headers=KEY).status_code == 201
    assert count(api, Product) == 1
