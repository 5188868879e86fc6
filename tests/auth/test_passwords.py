import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from config import SettingsError
from devforge_api.app import create_app
from devforge_api.core import argon2id, passwords
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.errors import Unavailable
from devforge_api.core.slots import Slots
from tests.factories import PASSWORD, code_of


def reason(response):
    assert (response.status_code, code_of(response)) == (422, "VALIDATION_ERROR")
    return response.json["error"]["details"][0]["code"]


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaab",  # eight characters, no rules of composition
        "zxqwjkvb",
        "a" * 128,
        "🐎" * 128,
        " leading and trailing ",
        "пароль-и-ещё",
        "0" * 40,
    ],
)
def test_any_password_of_8_to_128_characters_will_do(calls, password):
    assert calls.register("ada@example.com", password).status_code == 201
    assert calls.login("ada@example.com", password).status_code == 200
    assert calls.login("ada@example.com", password[:-1] + "?").status_code == 401


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("1234567", "PASSWORD_LENGTH"),
        ("🐎" * 7, "PASSWORD_LENGTH"),
        ("a" * 129, "INVALID"),
        ("password", "PASSWORD_COMMON"),
        ("12345678", "PASSWORD_COMMON"),
        ("PassWord1", "PASSWORD_COMMON"),
        ("my devforge login", "PASSWORD_CONTEXT"),
        ("Dev-Forge 2026!", "PASSWORD_CONTEXT"),
        ("Grace.Hopper99", "PASSWORD_CONTEXT"),
    ],
)
def test_passwords_that_are_guessed_first_are_refused(calls, hash_calls, password, code):
    refused = calls.register("grace.hopper@example.com", password)
    assert reason(refused) == code
    assert refused.json["error"]["field"] == "password"
    assert hash_calls == []


def test_accents_do_not_hide_the_address_in_a_password(calls):
    assert reason(calls.register("ren\u00e9e@example.com", "RENE\u0301E-2026")) == "PASSWORD_CONTEXT"


def test_a_short_local_part_may_occur_in_a_password(calls):
    assert calls.register("ed@example.com", "the edge of reason").status_code == 201


def test_an_operator_can_refuse_more_passwords(calls_with, tmp_path):
    more = tmp_path / "refused.txt"
    more.write_text("correct horse battery\nTr0ub4dor&3\n", encoding="utf-8")
    calls = calls_with(COMMON_PASSWORDS_FILE=str(more))
    assert reason(calls.register("ada@example.com", "Correct Horse Battery")) == "PASSWORD_COMMON"
    assert reason(calls.register("ada@example.com", "tr0ub4dor&3")) == "PASSWORD_COMMON"
    assert reason(calls.register("ada@example.com", "password")) == "PASSWORD_COMMON"


def test_a_list_that_cannot_be_read_is_noticed_at_start(environ, tmp_path):
    with pytest.raises(SettingsError, match="DEVFORGE_COMMON_PASSWORDS_FILE"):
        create_app(environ | {"DEVFORGE_COMMON_PASSWORDS_FILE": str(tmp_path / "missing.txt")})


def test_the_commonest_ten_thousand_are_known():
    assert len(passwords._common_passwords(None)) == 10_000


def test_the_same_rules_hold_for_a_changed_password(api, calls):
    ada = api.person(email="grace@example.com")
    for password, code in (("short", "PASSWORD_LENGTH"), ("grace is good", "PASSWORD_CONTEXT")):
        refused = calls.change_password(ada, password)
        assert reason(refused) == code
        assert refused.json["error"]["field"] == "new_password"
    assert calls.login(ada.email).status_code == 200


def test_hashes_have_the_parameters_of_owasp():
    assert passwords.hash_password(PASSWORD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_what_stands_in_for_an_unknown_account_costs_what_a_real_hash_costs():
    assert not passwords.needs_rehash(passwords._NOBODYS_HASH)
    real, nobodys = passwords.hash_password(PASSWORD), passwords._NOBODYS_HASH
    assert [len(part) for part in real.split("$")] == [len(part) for part in nobodys.split("$")]


def test_when_every_hasher_is_busy_sign_in_is_put_off(api, calls, every_hasher_busy):
    ada = api.person()
    with every_hasher_busy:
        for answer in (
            calls.login(ada.email),
            calls.register(),
            calls.change_password(ada, "another good password"),
        ):
            assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
            assert int(answer.headers["Retry-After"]) >= 1
        assert api.get("/auth/me", by=ada).status_code == 200  # everything else goes on
    assert calls.login(ada.email).status_code == 200


def test_hashing_is_bounded_by_the_cores(api, calls, monkeypatch):
    lock, running, most = threading.Lock(), 0, 0
    genuine = argon2id.verify

    def watched(*args):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return genuine(*args)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(argon2id, "verify", watched)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: calls.login(f"nobody{number}@example.com"), range(36)))
    assert {answer.status_code for answer in answers} == {401}
    assert most <= max(2, os.cpu_count() or 2)


def test_hashing_in_an_open_transaction_is_a_programming_error(context):
    with unit_of_work(), pytest.raises(RuntimeError, match="before the unit of work"):
        passwords.hash_password(PASSWORD)
    with unit_of_work(), pytest.raises(RuntimeError, match="before the unit of work"):
        passwords.verify_password(PASSWORD, None)


def test_whoever_waits_for_the_hasher_lends_slot_and_connection_to_others(app):
    """One slot, and every hashing thread busy: another request is served meanwhile."""
    slots, busy = Slots(1), threading.Event()
    workers = passwords._threads()._max_workers
    held = [passwords._threads().submit(busy.wait) for _ in range(workers)]

    def sign_in():
        with app.app_context(), slots:
            db.session.execute(select(1))
            return passwords.hash_password(PASSWORD)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sign_in)
        try:
            while passwords._threads()._work_queue.qsize() == 0:
                time.sleep(0.01)
            with app.app_context(), slots:
                assert db.engine.pool.checkedout() == 0
                assert not waiting.done()
        finally:
            busy.set()
    assert waiting.result().startswith("$argon2id$")
    assert all(one.result() for one in held)


def test_a_sign_in_that_waited_too_long_is_put_off_and_hashes_nothing(app, monkeypatch):
    monkeypatch.setattr(passwords, "QUEUE_SECONDS", 0.05)
    busy = threading.Event()
    held = [passwords._threads().submit(busy.wait) for _ in range(passwords._threads()._max_workers)]
    try:
        with app.app_context(), pytest.raises(Unavailable):
            passwords.hash_password(PASSWORD)
    finally:
        busy.set()
    assert all(one.result() for one in held)
    assert passwords._queue._value == passwords.QUEUE_LENGTH
