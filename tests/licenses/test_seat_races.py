"""Many machines at once, and calls that end in the middle: no seat too many, none half taken."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from devforge_api.audit.models import AuditEvent
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.errors import MachineNotFound
from devforge_api.licenses.models import License, Machine, MachineComponent
from devforge_api.licenses.service import heartbeats, seats
from devforge_api.licenses.service.validation import Scope, known_facts
from tests.factories import code_of
from tests.licenses.test_activation_races import at_once, counts
from tests.licenses.together import behind

TERMS = {"require_heartbeat": True, "heartbeat_seconds": 600, "revival_seconds": 300}


def told(app, action):
    with app.app_context():
        return db.session.scalar(select(func.count()).where(AuditEvent.action == f"license.{action}"))


def test_two_hundred_calls_for_a_seat_at_once_leave_exactly_the_limit(app, api, ask):
    license_ = api.license(policy={"max_machines": 5})
    answers = at_once([lambda n=n: ask("ensure", license_, f"m{n}") for n in range(200)], workers=16)
    assert {answer.status_code for answer in answers} == {200}
    data = [answer.json["data"] for answer in answers]
    assert [answer["valid"] for answer in data].count(True) == 5
    assert {answer["code"] for answer in data} == {"VALID", "MACHINE_LIMIT_EXCEEDED"}
    assert all((answer["lease"] is not None) == answer["valid"] for answer in data)
    assert counts(app, license_) == (5, 5)


def test_one_machine_asking_many_times_at_once_takes_one_seat_and_each_lease_has_its_number(app, api, ask):
    license_ = api.license(policy={"max_machines": 1, "max_cores": 4, **TERMS})
    answers = at_once([lambda: ask("ensure", license_, "the-same", cores=4)] * 60, workers=16)
    data = [answer.json["data"] for answer in answers]
    assert {answer["code"] for answer in data} == {"VALID"}
    assert len({answer["machine"]["id"] for answer in data}) == 1
    assert sorted(answer["lease"]["counter"] for answer in data) == list(range(1, 61))
    assert counts(app, license_) == (1, 1)
    assert told(app, "activated") == 1


def test_licences_that_race_for_a_fingerprint_leave_it_with_one_of_them(app, api, activate):
    policy_id = api.policy(fingerprint_uniqueness="everywhere")
    licenses = [api.license(policy_id) for _ in range(12)]
    answers = at_once([lambda one=one: activate(one, "m1") for one in licenses])
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    refused = {code_of(answer) for answer in answers if answer.status_code == 409}
    assert refused == {"FINGERPRINT_TAKEN"}
    assert sorted(counts(app, one) for one in licenses) == [(0, 0)] * 11 + [(1, 1)]


def test_cores_are_not_exceeded_by_machines_that_come_at_once(app, api, activate):
    license_ = api.license(policy={"max_machines": None, "max_cores": 10})
    answers = at_once([lambda n=n: activate(license_, f"m{n}", cores=3) for n in range(24)])
    assert [answer.status_code for answer in answers].count(201) == 3
    with app.app_context():
        assert db.session.scalar(select(License.core_count)) == 9


def test_a_machine_that_names_its_components_many_times_at_once_has_them_once(app, api, activate, ask):
    license_ = api.license()
    activate(license_, "m1")
    parts = [{"name": f"part{n}", "fingerprint": f"p{n}"} for n in range(3)]
    answers = at_once([lambda: ask("ensure", license_, "m1", components=parts)] * 24)
    assert {answer.json["data"]["code"] for answer in answers} == {"VALID"}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(MachineComponent)) == 3


def test_a_machine_that_names_its_components_while_its_seat_is_given_back_takes_a_new_one(
    app, api, activate, ask
):
    license_ = api.license()
    former = activate(license_, "m1").json["data"]["id"]

    def give_back():
        seats.lock(license_.id)
        seats.free(license_.id, UUID(former))

    parts = [{"name": "board", "fingerprint": "b"}]
    [answer] = behind(app, give_back, [lambda: ask("ensure", license_, "m1", components=parts)])
    assert (answer.status_code, answer.json["data"]["code"]) == (200, "VALID")
    assert answer.json["data"]["machine"]["id"] != former
    assert answer.json["data"]["machine"]["components"] == parts
    assert counts(app, license_) == (1, 1)


def test_many_heartbeats_of_a_dead_machine_revive_it_once(app, api, ask):
    license_ = api.license(policy=TERMS)
    ask("ensure", license_, "m1")
    with app.app_context(), unit_of_work():
        db.session.execute(update(Machine).values(heartbeat_due_at=utc_now() - timedelta(seconds=60)))
    answers = at_once([lambda: ask("heartbeat", license_, "m1")] * 24)
    assert {answer.status_code for answer in answers} == {200}
    assert told(app, "machine_revived") == 1


def test_heartbeats_that_race_with_a_culling_keep_their_machines_or_have_lost_them(app, api, activate):
    """A heartbeat within the window of revival, and a culling of just after it."""
    licenses = [api.license(policy={"max_machines": None, **TERMS}) for _ in range(4)]
    for license_ in licenses:
        for number in range(8):
            activate(license_, f"m{number}")
    begun = utc_now()
    with app.app_context(), unit_of_work():
        db.session.execute(update(Machine).values(heartbeat_due_at=begun))
    over = begun + timedelta(seconds=300)

    def beat(license_, fingerprint):
        with app.app_context():
            scope = Scope(fingerprints=(fingerprint,))
            facts = known_facts(license_.key, scope, now=over - timedelta(microseconds=1))
            try:
                with unit_of_work():
                    heartbeats.heartbeat(facts)
            except MachineNotFound:
                return False
            return True

    def cull():
        with acting(Occasion(kind="job", request_id="cull")), app.app_context(), unit_of_work():
            return heartbeats.cull(over, at_most=5)

    calls = [lambda one=one, n=n: beat(one, f"m{n}") for n in range(8) for one in licenses]
    for place in (28, 20, 12, 8, 4, 2):
        calls[place:place] = [cull, cull]
    answers = at_once(calls)
    alive = [answer for answer in answers if answer is True]
    freed = sum(answer for answer in answers if type(answer) is int)
    assert len(alive) + freed == 32
    assert sum(counts(app, license_)[0] for license_ in licenses) == len(alive)
    assert all(kept == rows for kept, rows in (counts(app, license_) for license_ in licenses))
    assert told(app, "deactivated") == freed


def test_cullings_at_once_free_each_seat_once(app, api, ask):
    license_ = api.license(policy={"max_machines": None, **TERMS, "revival_seconds": 0})
    for number in range(12):
        ask("ensure", license_, f"m{number}")
    later = utc_now() + timedelta(hours=1)

    def cull():
        with app.app_context(), unit_of_work():
            return heartbeats.cull(later, at_most=4)

    freed = at_once([cull] * 8)
    while counts(app, license_)[0]:  # whoever met the other's lock has left it for the next time
        freed.append(cull())
    assert sum(freed) == 12
    assert (told(app, "machine_died"), told(app, "deactivated")) == (12, 12)
    assert counts(app, license_) == (0, 0)


@pytest.mark.parametrize(("step", "seats"), [("seat", 0), ("told", 0), ("lease", 1)])
def test_a_call_that_is_killed_in_the_middle_leaves_no_half(app, api, ask, environ, step, seats):
    license_ = api.license(policy={"max_machines": 1, "trial": True, "duration_days": 14})
    asked = {"LICENSE_KEY": license_.key, "FINGERPRINT": "m1", "CRASH_AT": step}
    command = [sys.executable, "-c", "from tests.licenses.ensure_worker import work; work()"]
    killed = subprocess.run(command, env={**os.environ, **environ, **asked}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert counts(app, license_) == (seats, seats)
    assert told(app, "activated") == seats
    again = ask("ensure", license_, "m1").json["data"]
    assert (again["valid"], again["lease"]["counter"]) == (True, seats + 1)
    assert counts(app, license_) == (1, 1)
