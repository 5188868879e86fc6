"""One trial of a product for each user and for each machine, whatever becomes of the licence."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.errors import TrialUsed
from devforge_api.licenses.models import License, TrialUse
from devforge_api.licenses.queries import find_facts
from devforge_api.licenses.service import trials
from devforge_api.licenses.service.keys import hash_key
from devforge_api.users import service as users
from tests.factories import code_of
from tests.licenses.test_activation_races import at_once

TRIAL = {"name": "trial", "trial": True, "duration_days": 14}


@pytest.fixture
def start(api):
    """Ask for a trial."""

    def ask(policy_id, who):
        return api.post("/licenses/trial", {"policy_id": str(policy_id)}, by=who)

    return ask


@pytest.fixture
def claim(app):
    """Claim a machine for a licence, as an activation does; whether that was possible."""

    def one(license_, fingerprint):
        with app.app_context():
            try:
                with unit_of_work():
                    facts = find_facts(hash_key(license_.key), now=utc_now())
                    trials.claim_machine(facts, fingerprint)
            except TrialUsed:
                return False
        return True

    return one


def licenses_of(app, person):
    with app.app_context():
        statement = select(func.count()).select_from(License).where(License.user_id == person.id)
        return db.session.scalar(statement)


def test_a_user_starts_a_trial(api, start, verdict):
    person, policy_id = api.person(), api.policy(**TRIAL)
    made = start(policy_id, person)
    data = made.json["data"]
    assert made.status_code == 201
    assert made.headers["Location"] == f"/api/v1/licenses/{data['id']}"
    assert (data["user_id"], data["tier"]) == (str(person.id), "trial")
    assert data["expires_at"] is not None
    assert verdict(data["key"])["code"] == "VALID"


def test_the_second_trial_of_a_product_is_refused_whatever_became_of_the_first(app, api, start):
    person, admin, product_id = api.person(), api.admin(), api.product()
    first, other = api.policy(product_id, **TRIAL), api.policy(product_id, **TRIAL | {"name": "long"})
    made = start(first, person).json["data"]
    for policy_id in (first, other):
        refused = start(policy_id, person)
        assert (refused.status_code, code_of(refused)) == (409, "TRIAL_USED")
    assert api.delete(f"/licenses/{made['id']}", by=admin).status_code == 204
    assert code_of(start(first, person)) == "TRIAL_USED"
    assert licenses_of(app, person) == 0
    assert start(api.policy(**TRIAL), person).status_code == 201  # another product
    assert start(first, api.person()).status_code == 201  # another user


def test_a_trial_needs_a_verified_address_and_a_policy_of_a_trial(app, api, start):
    refused = start(api.policy(**TRIAL), api.person(verified=False))
    assert (refused.status_code, code_of(refused)) == (403, "EMAIL_NOT_VERIFIED")
    person = api.person()
    for policy_id in (api.policy(duration_days=14), uuid4()):
        refused = start(policy_id, person)
        assert (refused.status_code, refused.json["error"]["field"]) == (422, "policy_id")
    assert licenses_of(app, person) == 0
    assert start(api.policy(**TRIAL), None).status_code == 401


def test_many_requests_at_once_start_one_trial(app, api, start):
    person, policy_id = api.person(), api.policy(**TRIAL)
    answers = at_once([lambda: start(policy_id, person)] * 12)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    assert licenses_of(app, person) == 1


def test_staff_who_issue_a_trial_use_it_up(app, api, start):
    person, admin, policy_id = api.person(), api.admin(), api.policy(**TRIAL)
    body = {"policy_id": str(policy_id), "user_id": str(person.id)}
    assert api.post("/licenses", body, by=admin).status_code == 201
    assert code_of(start(policy_id, person)) == "TRIAL_USED"
    assert code_of(api.post("/licenses", body, by=admin)) == "TRIAL_USED"
    assert licenses_of(app, person) == 1


def test_a_trial_given_to_another_user_uses_up_theirs(api, start):
    first, second, admin, policy_id = api.person(), api.person(), api.admin(), api.policy(**TRIAL)
    made = start(policy_id, first).json["data"]
    moved = api.post(f"/licenses/{made['id']}/transfer", {"user_id": str(second.id)}, by=admin)
    assert moved.status_code == 200
    assert code_of(start(policy_id, second)) == "TRIAL_USED"
    back = api.post(f"/licenses/{made['id']}/transfer", {"user_id": str(first.id)}, by=admin)
    assert back.status_code == 200  # it is the first one's own trial


def test_a_licence_moved_to_a_trial_s_policy_is_a_trial(api, start):
    person, admin, product_id = api.person(), api.admin(), api.product()
    trial = api.policy(product_id, **TRIAL)
    start(trial, person)
    license_ = api.license(api.policy(product_id), owner=person)
    body = {"policy_id": str(trial)}
    assert code_of(api.post(f"/licenses/{license_.id}/transfer", body, by=admin)) == "TRIAL_USED"
    assert api.get(f"/licenses/{license_.id}", by=admin).json["data"]["tier"] == "pro"


def test_a_trial_that_waits_for_an_address_is_not_a_second_one(api, start):
    policy_id = api.policy(**TRIAL)
    waiting = [api.license(policy_id, email="late@example.com") for _ in range(2)]
    person = api.person(email="late@example.com", verified=False)
    with api.app.app_context(), unit_of_work():
        users.verify_email(users.get_user(person.id, for_update=True))
    api.deliver()
    assert [row["id"] for row in api.get("/licenses", by=person).json["data"]] == [str(waiting[0].id)]
    assert code_of(start(policy_id, person)) == "TRIAL_USED"


def test_a_machine_has_one_trial_of_a_product(api, claim):
    product_id = api.product()
    first, second = (api.license(api.policy(product_id, **TRIAL)) for _ in range(2))
    assert claim(first, "m1")
    assert claim(first, "m1")  # the same trial, activated again
    assert not claim(second, "m1")
    assert claim(second, "m2")
    assert claim(api.license(policy=TRIAL), "m1")  # of another product


def test_a_machine_s_trial_is_over_when_its_licence_is_gone(api, claim):
    policy_id = api.policy(**TRIAL)
    first, second = api.license(policy_id), api.license(policy_id)
    assert claim(first, "m1")
    api.delete(f"/licenses/{first.id}", by=api.admin())
    assert not claim(second, "m1")


def test_trials_on_one_machine_at_once_are_one(api, claim):
    policy_id = api.policy(**TRIAL)
    several = [api.license(policy_id) for _ in range(8)]
    answers = at_once([lambda one=one: claim(one, "the-same") for one in several])
    assert sorted(answers) == [False] * 7 + [True]


def test_fingerprints_of_trials_are_kept_as_hashes_that_differ_by_product(app, api, claim):
    for _ in range(2):
        claim(api.license(policy=TRIAL), "serial-4711")
    with app.app_context():
        kept = db.session.scalars(select(TrialUse.fingerprint_hash)).all()
    assert len(set(kept)) == 2
    assert all(len(one) == 64 and "4711" not in one for one in kept)
