"""Transfers: another plan of the product, another owner, and what stays."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import (
    ExpiryBasis,
    License,
    LicenseUser,
    Machine,
    TransferStrategy,
    Uniqueness,
)
from devforge_api.licenses.queries import get_license
from devforge_api.licenses.service import catalogue, lifecycle
from devforge_api.licenses.service import transfer as transfers
from devforge_api.licenses.service.record import tell
from devforge_api.users import service as users
from tests.factories import code_of
from tests.licenses.together import at_once, behind

RESET, KEEP = TransferStrategy.RESET_EXPIRY, TransferStrategy.KEEP_EXPIRY
LATE = datetime(2041, 1, 1, tzinfo=UTC)


def transfer(api, license_, by=None, **body):
    return api.post(f"/licenses/{license_.id}/transfer", body, by=by or api.admin())


def row(api, license_):
    with api.app.app_context():
        return db.session.get(License, license_.id)


def test_a_licence_moves_to_another_plan_with_its_key_and_its_machines(api, verdict, activate):
    admin, product = api.admin(), api.product()
    api.entitlement("ai-assistant")
    license_ = api.license(api.policy(product, name="free", max_machines=1))
    assert activate(license_, "m1").status_code == 201
    better = api.policy(product, name="pro", entitlements=["ai-assistant"])
    moved = transfer(api, license_, admin, policy_id=str(better)).json["data"]
    assert (moved["tier"], moved["entitlements"], moved["key"]) == ("pro", ["ai-assistant"], license_.key)
    assert (moved["machine_count"], moved["exceeded"]) == (1, [])
    assert verdict(license_, entitlements=["ai-assistant"], fingerprint="m1")["code"] == "VALID"


@pytest.mark.parametrize("body", [{}, {"reason": "none"}])
def test_a_transfer_says_where_to(api, body):
    assert transfer(api, api.license(), **body).status_code == 422


def test_it_stays_with_its_product_and_goes_to_somebody_who_is_there(api, verdict):
    license_, owner = api.license(), api.person()
    for body, field in [
        ({"policy_id": str(api.policy(name="foreign"))}, "policy_id"),
        ({"policy_id": str(uuid4())}, "policy_id"),
        ({"user_id": str(uuid4())}, "user_id"),
        ({"user_id": str(owner.id), "email": "a@example.com"}, "email"),
    ]:
        refused = transfer(api, license_, **body)
        assert (refused.status_code, refused.json["error"]["field"]) == (422, field)
    assert verdict(license_)["license"]["tier"] == "pro"


def test_it_is_for_the_team_and_not_for_what_has_ended(api):
    owner = api.person()
    license_ = api.license(owner=owner)
    for caller in (owner, api.person(role="support")):
        assert transfer(api, license_, caller, user_id=str(api.person().id)).status_code == 403
    api.post(f"/licenses/{license_.id}/revoke", by=api.admin())
    refused = transfer(api, license_, user_id=str(api.person().id))
    assert (refused.status_code, code_of(refused)) == (409, "LICENSE_ALREADY_REVOKED")


@pytest.mark.parametrize(
    ("strategy", "policy", "expected"),
    [
        (KEEP, {"duration_days": 30}, LATE),
        (KEEP, {}, LATE),
        (RESET, {"duration_days": 30}, timedelta(days=30)),
        (RESET, {}, None),
        (RESET, {"duration_days": 30, "expiry_basis": ExpiryBasis.FIRST_VALIDATION}, None),
    ],
)
def test_the_new_plan_says_what_becomes_of_the_expiry(api, strategy, policy, expected):
    product = api.product()
    license_ = api.license(api.policy(product, duration_days=7), expires_at=LATE)
    now = utc_now()
    to = api.policy(product, name="new", transfer_strategy=strategy, **policy)
    assert transfer(api, license_, policy_id=str(to)).status_code == 200
    found = row(api, license_).expires_at
    if isinstance(expected, timedelta):
        assert now + expected <= found <= now + expected + timedelta(minutes=5)
    else:
        assert found == expected


def test_time_that_begins_with_activation_has_begun_where_machines_are_active(api, activate):
    product = api.product()
    basis = {"expiry_basis": ExpiryBasis.FIRST_ACTIVATION, "transfer_strategy": RESET, "duration_days": 30}
    to = api.policy(product, name="new", **basis)
    used, unused = (api.license(api.policy(product)) for _ in range(2))
    activate(used, "m1")
    for license_ in (used, unused):
        transfer(api, license_, policy_id=str(to))
    assert row(api, used).expires_at is not None
    assert row(api, unused).expires_at is None


def test_a_licence_whose_time_has_not_begun_never_becomes_perpetual_by_moving(api):
    product = api.product()
    waiting = api.policy(product, duration_days=30, expiry_basis=ExpiryBasis.FIRST_VALIDATION)
    license_ = api.license(waiting)
    transfer(api, license_, policy_id=str(api.policy(product, name="new", duration_days=9)))
    assert row(api, license_).expires_at is not None


def test_a_pending_order_changes_its_plan_and_begins_with_the_fulfilment(api):
    product, admin = api.product(), api.admin()
    license_ = api.license(api.policy(product, duration_days=30), pending=True)
    to = api.policy(product, name="new", duration_days=90, check_in_days=7, transfer_strategy=RESET)
    assert transfer(api, license_, admin, policy_id=str(to)).json["data"]["status"] == "pending"
    assert (row(api, license_).expires_at, row(api, license_).check_in_due_at) == (None, None)
    api.post(f"/licenses/{license_.id}/fulfill", by=admin)
    assert row(api, license_).expires_at > utc_now() + timedelta(days=89)


def test_limits_that_are_exceeded_now_are_told(api, activate, verdict):
    product = api.product()
    license_ = api.license(api.policy(product, max_machines=5))
    for number in range(3):
        activate(license_, f"m{number}")
    small = api.policy(product, name="small", max_machines=2)
    data = transfer(api, license_, policy_id=str(small)).json["data"]
    assert data["exceeded"] == [{"limit": "machines", "taken": 3, "maximum": 2, "tolerated": False}]
    assert verdict(license_)["code"] == "TOO_MANY_MACHINES"


def test_machines_are_unique_where_the_new_plan_wants_them_unique(api, activate):
    product, admin = api.product(), api.admin()
    plain = api.policy(product)
    strict = api.policy(product, name="strict", fingerprint_uniqueness=Uniqueness.PRODUCT)
    first, second = api.license(plain), api.license(plain)
    for license_ in (first, second):
        activate(license_, "the-same")
    assert transfer(api, first, admin, policy_id=str(strict)).status_code == 200
    refused = transfer(api, second, admin, policy_id=str(strict))
    assert (refused.status_code, code_of(refused)) == (409, "FINGERPRINT_TAKEN")
    assert row(api, second).policy_id == plain
    assert transfer(api, first, admin, policy_id=str(plain)).status_code == 200
    assert transfer(api, second, admin, policy_id=str(strict)).status_code == 200


def test_of_two_licences_that_move_at_once_with_one_fingerprint_one_stays(api, activate):
    product, admin = api.product(), api.admin()
    plain = api.policy(product)
    strict = api.policy(product, name="strict", fingerprint_uniqueness=Uniqueness.EVERYWHERE)
    licenses = [api.license(plain) for _ in range(6)]
    for license_ in licenses:
        activate(license_, "the-same")
    answers = at_once([lambda one=one: transfer(api, one, admin, policy_id=str(strict)) for one in licenses])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


def test_a_new_owner_gets_a_new_key_free_seats_and_a_letter_and_so_does_the_former(
    api, activate, verdict, mailbox
):
    first, second, guest = api.person(), api.person(), api.person()
    license_ = api.license(owner=first)
    activate(license_, "m1")
    with api.app.app_context(), unit_of_work():
        db.session.add(LicenseUser(license_id=license_.id, user_id=guest.id))
        db.session.execute(db.update(License).values(user_count=1))
    api.post(f"/licenses/{license_.id}/rotate-key", {}, by=first)  # a former key that still works
    assert len(mailbox.letters(first.email)) == 1
    mailbox.empty()
    data = transfer(api, license_, user_id=str(second.id)).json["data"]
    assert (data["user_id"], data["machine_count"]) == (str(second.id), 0)
    assert data["key"] != license_.key
    assert verdict(license_)["code"] == "NOT_FOUND"
    assert verdict(data["key"])["code"] == "VALID"
    assert api.get(f"/licenses/{license_.id}", by=second).json["data"]["key"] == data["key"]
    assert api.get(f"/licenses/{license_.id}", by=first).status_code == 404
    assert row(api, license_).user_count == 0
    with api.app.app_context():
        assert db.session.scalars(select(Machine.id)).all() == []
        assert db.session.scalars(select(LicenseUser.user_id)).all() == []
    assert mailbox.subjects(first.email) == ["A licence is no longer yours"]
    assert mailbox.subjects(second.email) == ["A licence is yours now"]
    assert not [letter for letter in mailbox.letters() if data["key"] in letter.text + letter.html]


def test_the_first_owner_of_a_licence_that_is_in_use_gets_it_as_it_is(api, activate):
    license_, owner = api.license(), api.person()
    activate(license_, "m1")
    data = transfer(api, license_, user_id=str(owner.id)).json["data"]
    assert (data["user_id"], data["machine_count"], data["key"]) == (str(owner.id), 1, license_.key)


def test_an_address_without_an_account_is_waited_for(api, verdict):
    owner = api.person()
    license_ = api.license(owner=owner)
    data = transfer(api, license_, email="late@example.com").json["data"]
    assert data["user_id"] is None
    assert verdict(license_)["code"] == "NOT_FOUND"
    assert row(api, license_).waiting_email_key == "late@example.com"


def test_a_transfer_to_whoever_owns_it_changes_nothing(api, activate, mailbox):
    owner, admin = api.person(), api.admin()
    license_ = api.license(owner=owner)
    activate(license_, "m1")
    data = transfer(api, license_, admin, user_id=str(owner.id), policy_id=str(license_.policy_id)).json[
        "data"
    ]
    assert (data["key"], data["machine_count"]) == (license_.key, 1)
    assert len(api.get(f"/licenses/{license_.id}/ledger", by=admin).json["data"]) == 1
    assert mailbox.letters(owner.email) == []


def test_transfers_at_once_leave_one_owner_with_the_one_key_that_works(api, verdict):
    admin, people = api.admin(), [api.person() for _ in range(4)]
    license_ = api.license(owner=people[0])
    calls = [lambda who=who: transfer(api, license_, admin, user_id=str(who.id)) for who in people * 2]
    answers = at_once(calls)
    assert {answer.status_code for answer in answers} == {200}
    shown = api.get(f"/licenses/{license_.id}", by=admin).json["data"]
    works = {answer.json["data"]["key"] for answer in answers}
    works = {key for key in works | {license_.key} if verdict(key)["code"] == "VALID"}
    assert works == {shown["key"]}


def test_whoever_waits_for_a_licence_that_moves_finds_it_under_its_new_plan(app, api):
    product, admin = api.product(), api.admin()
    before, after = (api.policy(product, check_in_days=7, name=name) for name in ("before", "after"))
    license_ = api.license(before, owner=api.person())

    def move():
        moved = get_license(license_.id, owner_id=None, for_update=True)
        transfers.transfer(moved, now=utc_now(), policy_id=after)

    steps = {"rotate-key": {}, "check-in": {}, "transfer": {"policy_id": str(before)}, "suspend": {}}
    calls = [
        partial(api.post, f"/licenses/{license_.id}/{step}", body, by=admin) for step, body in steps.items()
    ]
    answers = behind(app, move, calls)
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.json for answer in answers]


def test_a_licence_that_moves_while_its_owner_comes_is_theirs_under_its_new_plan(app, api):
    product = api.product()
    before, after = api.policy(product), api.policy(product)
    license_ = api.license(before, email="late@example.com")
    person = api.person(email="late@example.com")

    def move():
        moved = get_license(license_.id, owner_id=None, for_update=True)
        transfers.transfer(moved, now=utc_now(), policy_id=after)

    def claim():
        with app.app_context(), unit_of_work():
            return lifecycle.claim_waiting(person.id)

    assert behind(app, move, [claim]) == [1]
    assert (row(api, license_).policy_id, row(api, license_).user_id) == (after, person.id)


def test_a_plan_that_is_edited_and_a_licence_that_moves_to_it_do_not_wait_for_each_other(app, api):
    product, admin = api.product(), api.admin()
    plan, license_ = api.policy(product), api.license(api.policy(product))
    body = {"policy_id": str(plan)}
    [answer] = behind(
        app,
        lambda: catalogue.get(catalogue.POLICY, plan, for_update=True),
        [lambda: api.post(f"/licenses/{license_.id}/transfer", body, by=admin)],
        # As of each licence that the edit touches.
        then=lambda: tell("updated", license_.id, {"max_uses": (1, 2)}),
    )
    assert answer.status_code == 200, answer.json


def test_an_owner_who_leaves_and_a_licence_that_becomes_a_trial_do_not_wait_for_each_other(app, api):
    product, admin, owner = api.product(), api.admin(), api.person()
    license_ = api.license(api.policy(product), owner=owner)
    body = {"policy_id": str(api.policy(product, trial=True, duration_days=14))}
    [answer] = behind(
        app,
        lambda: users.get_user(owner.id, for_update=True),
        [lambda: api.post(f"/licenses/{license_.id}/transfer", body, by=admin)],
        then=lambda: get_license(license_.id, owner_id=None, for_update=True),  # as an erasure does
    )
    assert answer.status_code == 200, answer.json
