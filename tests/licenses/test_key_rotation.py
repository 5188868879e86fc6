"""New keys for old ones: how long the former one works, and who is told."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.errors import LicenseNotFound
from devforge_api.licenses.models import RetiredKey
from devforge_api.licenses.service import rotation
from devforge_api.licenses.service.validation import Scope, known_facts
from tests.factories import code_of
from tests.licenses.together import at_once


def rotate(api, license_, by, **body):
    return api.post(f"/licenses/{license_.id}/rotate-key", body, by=by)


def retired(api):
    with api.app.app_context():
        return list(db.session.scalars(select(RetiredKey.valid_until).order_by(RetiredKey.valid_until)))


def test_the_former_key_works_until_its_time_is_over_and_not_at_that_moment(api, verdict):
    admin, license_ = api.admin(), api.license()
    fresh = rotate(api, license_, admin).json["data"]["key"]
    assert fresh != license_.key
    assert verdict(fresh)["code"] == verdict(license_)["code"] == "VALID"
    (until,) = retired(api)
    assert timedelta(days=7) - timedelta(minutes=5) < until - utc_now() <= timedelta(days=7)
    with api.app.app_context():
        just = known_facts(license_.key, Scope(), now=until - timedelta(microseconds=1))
        assert (just.license_id, just.key_valid_until) == (license_.id, until)
        with pytest.raises(LicenseNotFound):
            known_facts(license_.key, Scope(), now=until)
        assert known_facts(fresh, Scope(), now=until).key_valid_until is None


def test_keys_that_were_replaced_one_after_the_other_all_work_for_their_time(api, verdict):
    admin, license_ = api.admin(), api.license()
    second = rotate(api, license_, admin, overlap_days=1).json["data"]["key"]
    third = rotate(api, license_, admin, overlap_days=30).json["data"]["key"]
    assert {verdict(key)["code"] for key in (license_.key, second, third)} == {"VALID"}
    first_until, second_until = retired(api)
    assert first_until - utc_now() <= timedelta(days=1) < second_until - utc_now()


def test_no_former_key_outlives_the_one_that_is_replaced(api, verdict):
    admin, license_ = api.admin(), api.license()
    rotate(api, license_, admin, overlap_days=90)
    rotate(api, license_, admin, overlap_days=2)
    assert max(retired(api)) - utc_now() <= timedelta(days=2)
    last = rotate(api, license_, admin, overlap_days=0).json["data"]["key"]
    assert retired(api) == []
    assert verdict(license_)["code"] == "NOT_FOUND"
    assert verdict(last)["code"] == "VALID"


def test_a_seat_can_be_taken_and_given_back_with_the_former_key(api, activate):
    admin, license_ = api.admin(), api.license()
    rotate(api, license_, admin)
    assert activate(license_, "m1").status_code == 201
    body = {"key": license_.key, "fingerprint": "m1"}
    assert api.post("/licenses/deactivate", body).status_code == 204


def test_the_owner_is_told_until_when_and_never_which_key(api, mailbox):
    admin, owner = api.admin(), api.person()
    license_ = api.license(owner=owner)
    fresh = rotate(api, license_, admin).json["data"]["key"]
    letter = mailbox.last(owner.email)
    assert letter.subject == "Your licence has a new key"
    (until,) = retired(api)
    assert f"{until:%Y-%m-%d %H:%M} UTC" in " ".join(letter.text.split())
    assert fresh not in letter.text + letter.html
    assert license_.key not in letter.text + letter.html
    rotate(api, license_, admin, overlap_days=0)
    assert "has stopped working" in " ".join(mailbox.last(owner.email).text.split())


def test_german_owners_are_told_in_german(api, mailbox):
    owner = api.person()
    api.patch("/users/me", {"locale": "de-AT"}, by=owner)
    rotate(api, api.license(owner=owner), owner)
    assert mailbox.last(owner.email).subject == "Ihre Lizenz hat einen neuen Schlüssel"


def test_a_licence_of_nobody_and_an_unverified_address_get_no_letter(api, mailbox):
    admin, unverified = api.admin(), api.person(verified=False)
    for license_ in (api.license(), api.license(owner=unverified)):
        assert rotate(api, license_, admin).status_code == 200
    assert mailbox.letters(unverified.email) == []


def test_owners_do_it_after_proving_who_they_are_and_others_never(api):
    owner, admin = api.person(), api.admin()
    license_ = api.license(owner=owner)
    assert rotate(api, license_, owner).status_code == 200
    token = {"name": "Tool", "scopes": ["licenses:manage", "licenses:read"]}
    tool = api.post("/auth/tokens", token, by=api.reauthenticated(owner)).json["data"]["token"]
    path, header = f"/licenses/{license_.id}/rotate-key", {"Authorization": f"Bearer {tool}"}
    refused = api.post(path, {}, headers=header)
    assert (refused.status_code, code_of(refused)) == (403, "REAUTH_REQUIRED")
    for stranger in (api.person(), api.person(role="support")):
        refused = rotate(api, license_, stranger)
        assert (refused.status_code, code_of(refused)) == (404, "LICENSE_NOT_FOUND")
    for days in (-1, 91):
        assert rotate(api, license_, admin, overlap_days=days).status_code == 422
    api.post(f"/licenses/{license_.id}/revoke", by=admin)
    refused = rotate(api, license_, admin)
    assert (refused.status_code, code_of(refused)) == (409, "LICENSE_ALREADY_REVOKED")


def test_a_rotation_repeated_with_its_idempotency_key_makes_one_key(api):
    admin, license_ = api.admin(), api.license()
    path, header = f"/licenses/{license_.id}/rotate-key", {"Idempotency-Key": "r1"}
    answers = [api.post(path, {}, by=admin, headers=header) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert len(retired(api)) == 1


def test_rotations_at_once_leave_every_former_key_working_and_one_present_one(api, verdict):
    admin, license_ = api.admin(), api.license()
    answers = at_once([lambda: rotate(api, license_, admin)] * 8)
    keys = {answer.json["data"]["key"] for answer in answers}
    assert len(keys) == 8
    assert len(retired(api)) == 8
    assert {verdict(key)["code"] for key in keys | {license_.key}} == {"VALID"}


def test_keys_whose_time_is_over_are_forgotten(api):
    admin, license_ = api.admin(), api.license()
    rotate(api, license_, admin)
    (until,) = retired(api)
    with api.app.app_context():
        for now, gone in [(until - timedelta(seconds=1), 0), (until, 1)]:
            with unit_of_work():
                assert rotation.purge_retired(now) == gone
    assert retired(api) == []
