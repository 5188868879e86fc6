"""When licences were validated: noted in memory, written together, and nothing lost on the way."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from sqlalchemy.exc import OperationalError

from devforge_api.core import maintenance
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.flushing import flush
from devforge_api.licenses.models import ExpiryBasis, License
from devforge_api.licenses.service import last_seen
from devforge_api.licenses.service.last_seen import Notes

DAY = timedelta(days=1)


@pytest.fixture
def row_of(app):
    def read(license_):
        with app.app_context():
            return db.session.get_one(License, license_.id)

    return read


@pytest.fixture
def note(app):
    def remember(license_, at):
        with app.app_context():
            last_seen.note(license_.id, at)

    return remember


def test_a_validation_writes_nothing_on_its_way_and_is_written_later(
    app, api, verdict, row_of, count_queries
):
    license_ = api.license()
    verdict(license_)  # reads the policy's terms
    flush(app)
    with count_queries() as statements:
        verdict(license_)
    assert len(statements) == 1
    before = row_of(license_)
    began = utc_now()
    verdict(license_, fingerprint="unknown")
    assert row_of(license_).last_validated_at == before.last_validated_at < began
    flush(app)
    after = row_of(license_)
    assert began <= after.last_validated_at <= utc_now()
    assert after.first_validated_at == before.first_validated_at
    assert (after.version, after.updated_at) == (before.version, before.updated_at)


def test_an_unknown_key_is_nothing_to_note(app, verdict):
    verdict("DF-00000-00000-00000-00000-000000")
    with app.app_context(), last_seen.batch() as noted:
        assert noted == {}


def test_moments_may_come_in_any_order_and_from_several_processes(app, api, row_of, note):
    license_, now = api.license(), utc_now()
    for days in (2, 1, 3):
        note(license_, now + days * DAY)
    flush(app)
    assert (row_of(license_).first_validated_at, row_of(license_).last_validated_at) == (
        now + DAY,
        now + 3 * DAY,
    )
    for days in (2, 0):
        note(license_, now + days * DAY)
        flush(app)
    assert (row_of(license_).first_validated_at, row_of(license_).last_validated_at) == (now, now + 3 * DAY)


def test_many_are_written_by_one_statement(app, api, note, count_queries, on_postgresql):
    policy = api.policy()
    licenses = [api.license(policy) for _ in range(12)]
    for license_ in licenses:
        note(license_, utc_now())
    with count_queries() as statements:
        flush(app)
    assert len([one for one in statements if "UPDATE licenses" in one]) == 1
    assert len(statements) == 2  # and whose time begins
    with count_queries() as statements:
        flush(app)
    assert statements == []


def test_time_that_begins_with_the_first_validation_is_counted_from_it(app, api, verdict, row_of, note):
    basis = {"expiry_basis": ExpiryBasis.FIRST_VALIDATION, "duration_days": 30}
    license_, perpetual = api.license(policy=basis), api.license()
    assert row_of(license_).expires_at is None
    first = utc_now() - 2 * DAY
    for one in (license_, perpetual):
        note(one, first)
        verdict(one)
    flush(app)
    assert row_of(license_).expires_at == first + 30 * DAY
    assert row_of(perpetual).expires_at is None
    verdict(license_)
    flush(app)
    assert row_of(license_).expires_at == first + 30 * DAY


def test_a_licence_whose_plan_gets_an_end_begins_with_the_next_validation(app, api, verdict, note):
    policy, admin = api.policy(), api.admin()
    license_, before = api.license(policy), utc_now()
    note(license_, before - 400 * DAY)
    flush(app)
    terms = {"expiry_basis": "from_first_validation", "duration_days": 30}
    edited = api.patch(f"/policies/{policy}", terms, by=admin)
    assert edited.json["data"]["touched"]["total"] == 0
    verdict(license_)
    flush(app)
    answer = verdict(license_)
    assert answer["code"] == "VALID"
    assert datetime.fromisoformat(answer["license"]["expires_at"]) >= before + 30 * DAY


def test_maintenance_only_delays_it(app, api, note, row_of):
    license_, at = api.license(), utc_now()
    with app.app_context(), unit_of_work():
        maintenance.begin("Moving.", 60)
    note(license_, at)
    flush(app)
    assert row_of(license_).last_validated_at is None
    with app.app_context(), unit_of_work():
        maintenance.end()
    flush(app)
    assert row_of(license_).last_validated_at == at


def test_a_database_that_is_away_only_delays_it(app, api, note, row_of):
    license_, at = api.license(), utc_now()
    note(license_, at - DAY)
    gone = OperationalError("update", {}, Exception("gone"))
    with patch.object(last_seen, "write", side_effect=gone):
        flush(app)
        note(license_, at)
        flush(app)
    flush(app)
    assert (row_of(license_).first_validated_at, row_of(license_).last_validated_at) == (at - DAY, at)


def test_what_cannot_be_written_is_bounded_and_the_oldest_goes_first(api, monkeypatch):
    monkeypatch.setattr(last_seen, "KEPT_AT_MOST", 3)
    notes, at = Notes(), utc_now()
    for number in (1, 2, 3, 1, 4, 5):
        notes.add(number, at, at)
    assert list(notes.take()) == [3, 4, 5]


def test_a_full_batch_is_not_waited_for(app, api, monkeypatch):
    monkeypatch.setattr(last_seen, "BATCH", 2)
    policy = api.policy()
    with patch.object(last_seen, "flush_soon") as asked, app.app_context():
        for expected in (0, 1, 1):
            last_seen.note(api.license(policy).id, utc_now())
            assert asked.call_count == expected
    flush(app)
    with app.app_context(), last_seen.batch() as noted:
        assert noted == {}


def test_nothing_is_lost_between_noting_and_taking():
    notes, at = Notes(), utc_now()
    taken, done = [], threading.Event()

    def take():
        while not done.is_set():
            taken.extend(notes.take())
        taken.extend(notes.take())

    taker = threading.Thread(target=take)
    taker.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: notes.add(number, at, at), range(4_000)))
    done.set()
    taker.join()
    taken.extend(notes.take())
    assert sorted(taken) == list(range(4_000))


def test_processes_that_write_the_same_licences_do_not_lock_each_other_out(app, api, row_of):
    policy = api.policy()
    licenses = [api.license(policy) for _ in range(30)]
    now, together = utc_now(), threading.Barrier(4)

    def write(number):
        ordered = licenses if number % 2 else licenses[::-1]
        together.wait()
        for turn in range(5):
            at = now + (number * 5 + turn) * DAY
            with app.app_context(), unit_of_work():
                last_seen.write({license_.id: (at, at) for license_ in ordered})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    for license_ in licenses:
        row = row_of(license_)
        assert (row.first_validated_at, row.last_validated_at) == (now, now + 19 * DAY)
