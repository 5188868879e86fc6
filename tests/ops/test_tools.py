"""``flask keys`` and ``flask outbox``."""

import json
import time
from datetime import timedelta

import jwt as pyjwt
import pytest
from sqlalchemy import update

from devforge_api.app import create_app
from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected, db, unit_of_work
from devforge_api.core.keys import SigningKey
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from tests.conftest import SECRETS
from tests.factories import PASSWORD


@pytest.fixture
def flask(app):
    """Run a command, and give what it printed."""

    def run(*arguments: str, code: int = 0) -> str:
        done = app.test_cli_runner().invoke(args=arguments)
        assert done.exit_code == code, done.output
        return done.output

    return run


def signing(flask) -> list[dict]:
    return json.loads(flask("keys", "list", "--json"))


def test_after_a_rotation_old_tokens_still_verify_and_new_ones_are_signed_by_the_new_key(app, api, flask):
    before = api.person()
    kid = flask("keys", "rotate", "tokens").strip()
    states = {key["kid"]: key["state"] for key in signing(flask) if key["purpose"] == "tokens"}
    assert states.pop(kid) == "signs"
    assert set(states.values()) == {"verifies only"}
    assert api.get("/auth/me", by=before).status_code == 200
    with app.app_context(), unit_of_work():  # ten seconds later
        old = {"created_at": utc_now() - timedelta(seconds=11)}
        db.session.execute(update(SigningKey).where(SigningKey.kid == kid).values(old))
    fresh = create_app(dict(app.extensions["test-environ"]))  # another process, with nothing cached
    login = {"email": before.email, "password": PASSWORD}
    answer = fresh.test_client().post("/api/v1/auth/login", json=login).get_json()
    token = answer["data"]["access_token"]
    assert pyjwt.get_unverified_header(token)["kid"] == kid
    headers = {"Authorization": f"Bearer {token}"}
    # Ten seconds have not really passed: a look for another unknown key may be that recent.
    while app.test_client().get("/api/v1/auth/me", headers=headers).status_code == 401:
        time.sleep(0.2)
    assert app.test_client().get("/api/v1/auth/me", headers=headers).status_code == 200
    with fresh.app_context():
        db.engine.dispose()


def test_a_new_key_waits_until_every_process_knows_it(app, api, flask):
    first = api.person()
    kid = flask("keys", "rotate", "tokens").strip()
    fresh = create_app(dict(app.extensions["test-environ"]))
    login = {"email": first.email, "password": PASSWORD}
    answer = fresh.test_client().post("/api/v1/auth/login", json=login).get_json()
    assert pyjwt.get_unverified_header(answer["data"]["access_token"])["kid"] != kid
    with fresh.app_context():
        db.engine.dispose()


def test_only_a_key_that_no_longer_signs_can_be_removed(flask):
    newest = flask("keys", "rotate", "tokens").strip()
    assert "SIGNING_KEY_IN_USE" in flask("keys", "retire", newest, code=1)
    assert "SIGNING_KEY_NOT_FOUND" in flask("keys", "retire", "nobody", code=1)
    old = next(key["kid"] for key in signing(flask) if key["kid"] != newest)
    flask("keys", "retire", old, "--dry-run")
    assert old in {key["kid"] for key in signing(flask)}
    flask("keys", "retire", old)
    assert old not in {key["kid"] for key in signing(flask)}


def test_secrets_move_under_a_new_master_key(app, api, flask):
    license_ = api.license()
    environ = dict(app.extensions["test-environ"])
    old = SECRETS["DEVFORGE_MASTER_KEY"]
    new = "tests-encrypt-secrets-with-another-master-key"
    both = create_app({**environ, "DEVFORGE_MASTER_KEY": f"{new},{old}"})
    done = both.test_cli_runner().invoke(args=["keys", "reencrypt"])
    assert done.exit_code == 0, done.output
    only_new = create_app({**environ, "DEVFORGE_MASTER_KEY": new})
    with only_new.app_context():
        from devforge_api.licenses.queries import get_license

        assert get_license(license_.id, owner_id=None).key == license_.key
    failed = app.test_cli_runner().invoke(args=["keys", "reencrypt"])  # the old key alone opens nothing
    assert failed.exit_code == 1
    assert "DEVFORGE_MASTER_KEY does not list" in failed.output
    back = create_app({**environ, "DEVFORGE_MASTER_KEY": f"{old},{new}"})
    assert back.test_cli_runner().invoke(args=["keys", "reencrypt"]).exit_code == 0
    for one in (both, only_new, back):
        with one.app_context():
            db.engine.dispose()


def test_an_event_that_was_set_aside_is_listed_with_its_error_and_replayed(app, api, flask):
    api.person(verified=True)
    with app.app_context(), unit_of_work():
        values = {"status": OutboxStatus.DEAD, "error": "Traceback\n  …\nValueError: no such thing"}
        db.session.execute(update(OutboxRow).values(values))
    rows = json.loads(flask("outbox", "list", "--json"))
    assert [row["error"] for row in rows] == ["ValueError: no such thing"] * len(rows)
    assert "1 events" in flask("outbox", "replay", rows[0]["id"])
    assert f"{len(rows) - 1} events" in flask("outbox", "replay", "--all")
    assert json.loads(flask("outbox", "list", "--json")) == []
    assert api.deliver() == len(rows)
    assert len(json.loads(flask("outbox", "list", "--status", "delivered", "--json"))) == len(rows)


def test_replay_asks_which(flask):
    assert "Give ids, or --all" in flask("outbox", "replay", code=2)


def test_purging_deletes_what_was_delivered_long_ago_and_a_dry_run_only_counts(app, api, flask):
    api.person(verified=True)
    api.deliver()
    assert "0 events" in flask("outbox", "purge")
    with app.app_context(), unit_of_work():
        many = affected(update(OutboxRow).values(delivered_at=utc_now() - timedelta(days=8)))
    assert many >= 1  # one for each who hears of it
    assert f"{many} events would be deleted" in flask("outbox", "purge", "--dry-run")
    assert f"{many} events are deleted" in flask("outbox", "purge")
