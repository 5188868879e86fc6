"""Many callers at once: the limit holds, the count agrees with the rows, nobody waits forever."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.licenses.models import License, Machine
from tests.factories import code_of


def counts(app, license_):
    """The count that the licence keeps, and its machines."""
    with app.app_context():
        kept = db.session.scalar(select(License.machine_count).where(License.id == license_.id))
        rows = select(func.count()).select_from(Machine).where(Machine.license_id == license_.id)
        return kept, db.session.scalar(rows)


def at_once(calls, workers=12):
    """Run calls side by side; their answers, in the calls' order."""
    with ThreadPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_two_hundred_activations_at_once_leave_exactly_the_limit(app, api, activate):
    license_ = api.license(policy={"max_machines": 5})
    answers = at_once([lambda n=n: activate(license_, f"m{n}") for n in range(200)], workers=16)
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(409)) == (5, 195)
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {"MACHINE_LIMIT_EXCEEDED"}
    assert counts(app, license_) == (5, 5)


def test_one_machine_activating_many_times_at_once_takes_one_seat(app, api, activate):
    license_ = api.license(policy={"max_machines": 1})
    answers = at_once([lambda: activate(license_, "the-same")] * 60, workers=16)
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(200)) == (1, 59)
    assert len({answer.json["data"]["id"] for answer in answers}) == 1
    assert counts(app, license_) == (1, 1)


def test_seats_given_back_while_others_are_taken_keep_the_count_true(app, api, activate):
    license_ = api.license(policy={"max_machines": 3})

    def come_and_go(name):
        codes = []
        for _ in range(10):
            codes.append(activate(license_, name).status_code)
            body = {"key": license_.key, "fingerprint": name}
            codes.append(api.post("/licenses/deactivate", body).status_code)
        return codes

    # Two callers for each machine: they also give back each other's seats.
    answers = at_once([lambda n=n: come_and_go(f"m{n // 2}") for n in range(12)])
    assert {code for codes in answers for code in codes} <= {200, 201, 204, 404, 409}
    kept, rows = counts(app, license_)
    assert kept == rows
    assert activate(license_, "m0").status_code in {200, 201}


def test_a_revocation_is_a_boundary_for_activations(app, api, activate):
    license_ = api.license(policy={"max_machines": None})
    admin = api.admin()
    calls = [lambda n=n: activate(license_, f"m{n}") for n in range(60)]
    calls.insert(30, lambda: api.post(f"/licenses/{license_.id}/revoke", by=admin))
    answers = at_once(calls)
    revoked = answers.pop(30)
    assert revoked.status_code == 200
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {201, 409}
    assert {code_of(answer) for answer in answers if answer.status_code == 409} <= {"REVOKED"}
    # The answer to the revocation shows the licence as it ended: no seat was taken after it.
    assert revoked.json["data"]["machine_count"] == codes.count(201)
    assert counts(app, license_) == (codes.count(201), codes.count(201))


def test_a_smaller_plan_is_a_boundary_for_activations(app, api, activate):
    product_id = api.product()
    small = api.policy(product_id, name="small", max_machines=2)
    license_ = api.license(api.policy(product_id, name="large", max_machines=50))
    admin = api.admin()
    calls = [lambda n=n: activate(license_, f"m{n}") for n in range(40)]
    body = {"policy_id": str(small)}
    calls.insert(5, lambda: api.post(f"/licenses/{license_.id}/transfer", body, by=admin))
    answers = at_once(calls)
    changed = answers.pop(5)
    assert changed.status_code == 200
    taken = [answer.status_code for answer in answers].count(201)
    assert taken <= max(2, changed.json["data"]["machine_count"])
    assert counts(app, license_) == (taken, taken)


def test_a_licence_deleted_under_its_activations_leaves_nothing(app, api, activate):
    license_ = api.license(policy={"max_machines": None})
    admin = api.admin()
    calls = [lambda n=n: activate(license_, f"m{n}") for n in range(30)]
    calls.insert(15, lambda: api.delete(f"/licenses/{license_.id}", by=admin))
    answers = at_once(calls)
    assert answers.pop(15).status_code == 204
    assert {answer.status_code for answer in answers} <= {201, 404}
    assert counts(app, license_) == (None, 0)


def test_many_suspensions_at_once_succeed_once(api):
    license_, admin = api.license(), api.admin()
    answers = at_once([lambda: api.post(f"/licenses/{license_.id}/suspend", by=admin)] * 12)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11


def test_renewals_at_once_all_count(api):
    license_ = api.license(policy={"duration_days": 10})
    admin = api.admin()
    before = api.get(f"/licenses/{license_.id}", by=admin).json["data"]["expires_at"]
    at_once([lambda: api.post(f"/licenses/{license_.id}/renew", {"duration_days": 1}, by=admin)] * 10)
    after = api.get(f"/licenses/{license_.id}", by=admin).json["data"]["expires_at"]
    assert (_day(after) - _day(before)).days == 10


def _day(text):
    from datetime import datetime

    return datetime.fromisoformat(text)
