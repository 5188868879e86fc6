"""An account's owner is not locked out by strangers, and strangers guess no more for it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update

from devforge_api.auth.models import RevokeReason, Session
from devforge_api.auth.service import devices, throttle
from devforge_api.core import signing
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from tests.factories import PASSWORD, code_of

ROOT = Path(__file__).resolve().parents[2]
WRONG = "not the password"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


def at(address):
    return {"environ_base": {"REMOTE_ADDR": address}}


@pytest.fixture(autouse=True)
def early_in_a_minute(steady_minute):
    """A count must not end between two steps."""


@pytest.fixture
def token(calls, ada):
    """The device token of a device that has signed in, at an address that is not used again."""
    return calls.login(ada.email, **at("192.0.2.1")).json["data"]["device_token"]


def exhaust(calls, email, **kwargs):
    """Fail until the budget of that place is used up; how many failures there were."""
    failures = 0
    while calls.login(email, WRONG, **kwargs).status_code == 401:
        failures += 1
    return failures


def test_a_stranger_s_failures_do_not_lock_out_a_device_that_has_signed_in(calls, ada, token):
    assert exhaust(calls, ada.email, **at(ELSEWHERE)) >= 9
    assert calls.login(ada.email, **at("192.0.2.77")).status_code == 429
    known = calls.login(ada.email, device_token=token, **at("192.0.2.77"))
    assert known.status_code == 200
    assert calls.login(ada.email, **at("192.0.2.78")).status_code == 429


def test_nor_do_they_where_the_owner_has_signed_in_lately(calls, ada):
    calls.login(ada.email, **at(HOME))
    exhaust(calls, ada.email, **at(ELSEWHERE))
    assert calls.login(ada.email, **at("192.0.2.77")).status_code == 429
    assert calls.login(ada.email, **at(HOME)).status_code == 200
    assert calls.login(ada.email, **at("::ffff:" + HOME)).status_code == 200


def test_an_ipv6_network_is_one_place(calls, ada):
    calls.login(ada.email, **at("2001:db8::1"))
    exhaust(calls, ada.email, **at(ELSEWHERE))
    assert calls.login(ada.email, **at("2001:db8::2")).status_code == 200
    assert calls.login(ada.email, **at("2001:db8:0:1::1")).status_code == 429


@pytest.mark.parametrize(
    "values",
    [
        {"created_at": utc_now() - timedelta(days=31)},
        {"revoked_at": utc_now(), "revoke_reason": RevokeReason.REVOKED},
        {"revoked_at": utc_now(), "revoke_reason": RevokeReason.REUSE_DETECTED},
    ],
    ids=["a month ago", "disowned", "stolen"],
)
def test_an_address_is_known_by_a_session_of_late_that_was_the_owner_s(app, calls, ada, values):
    calls.login(ada.email, **at(HOME))
    with app.app_context(), unit_of_work():
        db.session.execute(update(Session).where(Session.network == HOME).values(**values))
    exhaust(calls, ada.email, **at(ELSEWHERE))
    assert calls.login(ada.email, **at(HOME)).status_code == 429


def test_an_ordinary_sign_out_does_not_make_an_address_unknown(api, calls, ada):
    tokens = calls.login(ada.email, **at(HOME)).json["data"]
    api.post("/auth/logout", {"refresh_token": tokens["refresh_token"]})
    exhaust(calls, ada.email, **at(ELSEWHERE))
    assert calls.login(ada.email, **at(HOME)).status_code == 200


def test_the_address_of_one_account_is_not_known_to_another(calls, api, ada):
    other = api.person()
    calls.login(other.email, **at(HOME))
    exhaust(calls, ada.email, **at(ELSEWHERE))
    assert calls.login(ada.email, **at(HOME)).status_code == 429


def test_failures_of_a_known_device_have_a_bounded_budget_of_their_own(calls, ada, token, hash_calls):
    assert exhaust(calls, ada.email, device_token=token, **at(ELSEWHERE)) == 10
    computed = len(hash_calls)
    refused = calls.login(ada.email, device_token=token, **at("192.0.2.50"))
    assert (refused.status_code, code_of(refused)) == (429, "RATE_LIMITED")
    assert len(hash_calls) == computed
    # Strangers, and the owner's other devices, notice nothing of it.
    assert exhaust(calls, ada.email, **at("192.0.2.60")) >= 9


def test_failures_at_a_known_address_do_not_feed_the_shared_budget(calls, ada):
    calls.login(ada.email, **at(HOME))
    exhaust(calls, ada.email, **at(HOME))
    assert calls.login(ada.email, **at(HOME)).status_code == 429
    assert calls.login(ada.email, **at(ELSEWHERE)).status_code == 200


def test_a_device_token_signs_nobody_in(api, calls, ada, token):
    assert calls.login(ada.email, WRONG, device_token=token).status_code == 401
    assert api.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    refused = api.post("/auth/refresh", {"refresh_token": token})
    assert code_of(refused) == "TOKEN_INVALID"


def forged(app, user_id, *, purpose=devices.PURPOSE, ends=None):
    ends = ends or int(utc_now().timestamp()) + 60
    with app.app_context():
        return signing.seal(purpose, user_id.bytes + bytes(16) + ends.to_bytes(8, "big"))


@pytest.mark.parametrize(
    "make",
    [
        lambda app, ada, other, token: devices_token_of(app, other),
        lambda app, ada, other, token: forged(app, ada.id, purpose="cursor"),
        lambda app, ada, other, token: forged(app, ada.id, ends=int(utc_now().timestamp()) - 1),
        lambda app, ada, other, token: token[:-2],
        lambda app, ada, other, token: ("B" if token[0] == "A" else "A") + token[1:],
        lambda app, ada, other, token: token + "ä",
        lambda app, ada, other, token: "x",
        lambda app, ada, other, token: "A" * 512,
    ],
    ids=["another's", "another purpose", "expired", "cut", "changed", "not ASCII", "short", "long"],
)
def test_a_token_that_is_not_genuine_counts_as_none(app, api, calls, ada, token, make):
    bad = make(app, ada, api.person(), token)
    exhaust(calls, ada.email, **at(ELSEWHERE))
    assert calls.login(ada.email, device_token=bad, **at("192.0.2.77")).status_code == 429
    assert calls.login(ada.email, device_token=token, **at("192.0.2.77")).status_code == 200


def devices_token_of(app, person):
    with app.app_context():
        return devices.make_token(person.id, None)


def test_a_token_survives_the_rotation_of_the_secret_key(app, calls_with, ada, token):
    old = app.config["SECRET_KEYS"]
    rotated = calls_with(SECRET_KEYS=("another-secret-key-of-more-than-32-letters", *old))
    exhaust(rotated, ada.email, **at(ELSEWHERE))
    assert rotated.login(ada.email, **at("192.0.2.77")).status_code == 429
    assert rotated.login(ada.email, device_token=token, **at("192.0.2.77")).status_code == 200
    gone = calls_with(SECRET_KEYS=("another-secret-key-of-more-than-32-letters",))
    exhaust(gone, ada.email, **at(ELSEWHERE))
    assert gone.login(ada.email, device_token=token, **at("192.0.2.99")).status_code == 429


def test_a_device_keeps_its_identity_and_gets_more_time(app, calls, ada, token):
    again = calls.login(ada.email, device_token=token).json["data"]["device_token"]
    with app.app_context():
        ids = [devices.device_id_of(each, ada.id) for each in (token, again)]
    assert ids[0] == ids[1] is not None
    without = calls.login(ada.email).json["data"]["device_token"]
    with app.app_context():
        assert devices.device_id_of(without, ada.id) not in ids


def test_registering_makes_the_device_known_and_refreshing_tells_nothing_of_it(calls):
    made = calls.register("grace@example.com").json["data"]
    refreshed = calls.refresh(made["refresh_token"]).json["data"]
    assert set(made) - set(refreshed) == {"device_token"}
    exhaust(calls, "grace@example.com", **at("192.0.2.50"))
    token = made["device_token"]
    assert calls.login("grace@example.com", device_token=token, **at("192.0.2.77")).status_code == 200


def test_a_signed_in_owner_can_change_the_password_while_strangers_guess(calls, ada):
    exhaust(calls, ada.email, **at(ELSEWHERE))
    assert calls.change_password(ada, "another good password").status_code == 204


def test_however_many_tokens_somebody_collects_guessing_is_bounded(app, calls_with, ada):
    calls = calls_with(LIMIT_ACCOUNT_FAILURES=1)
    with app.app_context():
        tokens = [devices.make_token(ada.id, None) for _ in range(3 * throttle.SHARES)]
    answers = [calls.login(ada.email, WRONG, device_token=token).status_code for token in tokens]
    assert throttle.SHARES // 2 < answers.count(401) <= throttle.SHARES
    assert set(answers) == {401, 429}


def test_while_strangers_guess_from_everywhere_the_owner_signs_in(app, calls, ada, token, hash_calls):
    """200 guesses at once: ten get through, and the owner with them."""
    guesses = [partial(calls.login, ada.email, WRONG, **at(f"203.0.113.{number}")) for number in range(200)]
    own = partial(calls.login, ada.email, device_token=token, **at("192.0.2.77"))
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(call) for call in [*guesses[:100], own, *guesses[100:]]]
        answers = [future.result() for future in futures]
    owner = answers.pop(100)
    assert owner.status_code == 200
    codes = [answer.status_code for answer in answers]
    assert codes.count(401) + codes.count(429) == 200
    # The sign-in that made the device known may still stand in the window.
    assert codes.count(401) <= 10
    assert hash_calls.count("verify") == codes.count(401) + 1
    assert calls.login(ada.email, device_token=token, **at("192.0.2.77")).status_code == 200


# --- what strangers see, and what it costs ----------------------------------------------------


def test_that_there_is_a_known_device_cannot_be_seen(calls, ada, token):
    def told(answer):
        left_out = {"X-Request-ID", "RateLimit-Reset", "RateLimit-Remaining"}
        headers = {name: value for name, value in answer.headers if name not in left_out}
        return answer.status_code, headers, {**answer.json["error"], "request_id": None}

    for given in (None, token):
        known = calls.login(ada.email, WRONG, device_token=given, **at(ELSEWHERE))
        unknown = calls.login("nobody@example.com", WRONG, device_token=given, **at(ELSEWHERE))
        assert told(known) == told(unknown)


@pytest.mark.parametrize("with_token", [False, True])
def test_an_unknown_address_costs_what_a_wrong_password_does(
    app, api, calls, ada, token, hash_calls, count_queries, redis_commands, with_token
):
    """The same statements, the same calls to Redis, one verification, in the same order."""
    passwordless = "grace@example.com"
    api.post("/users", {"email": passwordless}, by=api.admin())
    given = token if with_token else None
    calls.login("warm@example.com", WRONG)
    costs = []
    for email in (ada.email, "nobody@example.com", passwordless):
        hash_calls.clear(), redis_commands.clear()
        with count_queries() as seen:
            assert calls.login(email, WRONG, device_token=given, **at(ELSEWHERE)).status_code == 401
        costs.append((list(seen), list(redis_commands), list(hash_calls)))
    assert costs[0] == costs[1] == costs[2]
    statements, commands, hashes = costs[0]
    assert len(statements) == 3
    assert commands == (["EVALSHA"] * 2 if app.config["REDIS_URL"] else [])
    assert hashes == ["verify"]


@pytest.mark.parametrize(("place", "queries"), [("device", 6), ("address", 6), ("unknown", 8)])
def test_what_signing_in_costs(app, calls, ada, count_queries, redis_commands, place, queries):
    token = calls.login(ada.email, **at(HOME)).json["data"]["device_token"]
    given = token if place == "device" else None
    where = HOME if place == "address" else ELSEWHERE
    redis_commands.clear()
    with count_queries() as seen:
        assert calls.login(ada.email, device_token=given, **at(where)).status_code == 200
    assert len(seen) == queries, seen  # an unknown place is looked for, and told of
    # One for the address, one for the account.
    assert redis_commands == (["EVALSHA"] * 2 if app.config["REDIS_URL"] else [])


@pytest.mark.production_column("counts are not kept outside of the process")
def test_no_budget_tells_whose_it_is(app, calls, ada, token):
    calls.login(ada.email, WRONG, **at(ELSEWHERE))
    calls.login(ada.email, WRONG, device_token=token, **at(ELSEWHERE))
    keys = [key.decode() for key in app.extensions["devforge-redis"].client.keys("*ACCOUNT_FAILURES*")]
    assert len(keys) >= 2
    for key in keys:
        assert "ada" not in key
        assert str(ada.id) not in key


# --- flask users unlock -----------------------------------------------------------------------


def flask(environ, *args):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DEVFORGE_")}
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *args],
        cwd=ROOT, env=clean | environ, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_unlock_works_from_another_process(environ, calls, ada, token):
    exhaust(calls, ada.email, **at(ELSEWHERE))
    exhaust(calls, ada.email, device_token=token, **at(ELSEWHERE))
    assert calls.login(ada.email, **at("192.0.2.77")).status_code == 429
    done = flask(environ, "users", "unlock", "ADA@example.com")
    assert (done.returncode, done.stderr) == (0, "")
    assert calls.login(ada.email, device_token=token, **at("192.0.2.77")).status_code == 200
    assert calls.login(ada.email, **at("192.0.2.88")).status_code == 200


def test_unlocking_is_no_edit_and_is_in_the_audit_trail(app, api, environ, ada):
    before = api.get(f"/users/{ada.id}", by=api.admin()).json["data"]
    runner = app.test_cli_runner()
    assert runner.invoke(args=["users", "unlock", ada.email]).exit_code == 0
    assert api.get(f"/users/{ada.id}", by=api.admin()).json["data"] == before
    rows = api.get("/audit/events?action=user.unlocked", by=api.admin()).json["data"]
    assert [(row["target_id"], row["actor_kind"]) for row in rows] == [(str(ada.id), "cli")]
    refused = runner.invoke(args=["users", "unlock", "nobody@example.com"])
    assert refused.exit_code == 1
    assert "nobody@example.com" in refused.stderr


def test_an_address_stays_known_while_its_session_is_used_elsewhere(app, calls, ada):
    tokens = calls.login(ada.email, **at(HOME)).json["data"]
    assert calls.refresh(tokens["refresh_token"], **at(ELSEWHERE)).status_code == 200
    with app.app_context():
        rows = db.session.execute(
            select(Session.network, Session.address).where(Session.network == HOME)
        ).all()
    assert rows == [(HOME, ELSEWHERE)]
    assert calls.login(ada.email, PASSWORD, **at(HOME)).status_code == 200
