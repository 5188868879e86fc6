"""Uses: counted by one conditional update, repeated safely, never beyond the limit or below zero."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import License, UsageRequest
from devforge_api.licenses.service import usage
from tests.factories import code_of
from tests.licenses.together import at_once

FIVE = {"max_uses": 5}


def by_id(api, license_, by, header=None, **body):
    headers = {"Idempotency-Key": header} if header else {}
    return api.post(f"/licenses/{license_.id}/usage", body, by=by, headers=headers)


def by_key(api, license_, header=None, **body):
    headers = {"Idempotency-Key": header} if header else {}
    return api.post("/licenses/usage", {"key": license_.key, **body}, headers=headers)


def uses(api):
    with api.app.app_context():
        return db.session.scalar(select(License.uses))


def test_uses_are_counted_up_to_the_limit_and_not_beyond(api):
    owner = api.person()
    license_ = api.license(owner=owner, policy=FIVE)
    for number in range(1, 6):
        answer = by_id(api, license_, owner, increment=1)
        assert answer.json["data"] == {"license_id": str(license_.id), "uses": number, "max_uses": 5}
    refused = by_id(api, license_, owner, increment=1)
    assert (refused.status_code, code_of(refused)) == (409, "USES_LIMIT_EXCEEDED")
    assert refused.json["error"]["params"] == {"uses": 5, "max_uses": 5}
    assert uses(api) == 5


def test_several_uses_are_counted_whole_or_not_at_all(api):
    license_, admin = api.license(policy=FIVE), api.admin()
    by_id(api, license_, admin, increment=3)
    assert by_id(api, license_, admin, increment=3).status_code == 409
    assert by_id(api, license_, admin, increment=2).json["data"]["uses"] == 5


def test_a_licence_s_own_limit_goes_before_its_policy_s(api):
    license_ = api.license(policy=FIVE, max_uses=6)
    assert by_key(api, license_, increment=6).json["data"] == {
        "license_id": str(license_.id), "uses": 6, "max_uses": 6,
    }  # fmt: skip
    assert by_key(api, license_).status_code == 409


def test_without_a_limit_the_column_s_is_the_limit(api):
    license_ = api.license()
    with api.app.app_context(), unit_of_work():
        db.session.execute(db.update(License).values(uses=usage.MOST_USES - 1))
    assert by_key(api, license_).json["data"]["max_uses"] is None
    refused = by_key(api, license_)
    assert (refused.status_code, code_of(refused)) == (409, "USES_LIMIT_EXCEEDED")


def test_the_team_takes_back_and_resets_and_nothing_falls_below_zero(api):
    license_, admin = api.license(policy=FIVE), api.admin()
    by_id(api, license_, admin, increment=4)
    assert by_id(api, license_, admin, decrement=3).json["data"]["uses"] == 1
    refused = by_id(api, license_, admin, decrement=2)
    assert (refused.status_code, code_of(refused)) == (409, "USES_INVALID")
    assert by_id(api, license_, admin, reset=True).json["data"]["uses"] == 0
    assert by_id(api, license_, admin, reset=True).json["data"]["uses"] == 0


def test_owners_only_count_on(api):
    owner = api.person()
    license_ = api.license(owner=owner, policy=FIVE)
    by_id(api, license_, owner, increment=2)
    for body in ({"decrement": 1}, {"reset": True}):
        refused = by_id(api, license_, owner, **body)
        assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
    for stranger in (api.person(), api.person(role="support")):
        assert by_id(api, license_, stranger, increment=1).status_code == 404
    assert uses(api) == 2


@pytest.mark.parametrize(
    "body", [{}, {"increment": 1, "decrement": 1}, {"reset": False}, {"increment": 0}, {"increment": -1}]
)
def test_exactly_one_of_the_three_is_asked_for(api, body):
    assert by_id(api, api.license(), api.admin(), **body).status_code == 422


@pytest.mark.parametrize(("verb", "code"), [("suspend", "SUSPENDED"), ("revoke", "REVOKED")])
def test_what_may_not_be_used_counts_no_use_and_is_still_corrected(api, verb, code):
    license_, admin = api.license(policy=FIVE), api.admin()
    by_key(api, license_)
    api.post(f"/licenses/{license_.id}/{verb}", by=admin)
    for refused in (by_key(api, license_), by_id(api, license_, admin, increment=1)):
        assert (refused.status_code, code_of(refused)) == (409, code)
    assert by_id(api, license_, admin, decrement=1).json["data"]["uses"] == 0


def test_an_expired_licence_and_an_unknown_key_count_nothing(api):
    license_ = api.license(expires_at=utc_now() - timedelta(days=1))
    refused = by_key(api, license_)
    assert (refused.status_code, code_of(refused)) == (409, "EXPIRED")
    refused = api.post("/licenses/usage", {"key": "DF-NOBODYS"})
    assert (refused.status_code, code_of(refused)) == (404, "LICENSE_NOT_FOUND")


def test_a_request_that_is_repeated_is_counted_once_by_token_and_by_key(api):
    owner = api.person()
    license_ = api.license(owner=owner, policy=FIVE)
    for call in (lambda: by_id(api, license_, owner, "u1", increment=2),
                 lambda: by_key(api, license_, "u1", increment=2)):  # fmt: skip
        before = uses(api)
        first, again = call(), call()
        assert (first.status_code, first.json) == (again.status_code, again.json)
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"
        assert uses(api) == before + 2


def test_a_key_of_a_request_is_for_one_number_of_one_licence(api):
    first, second = api.license(policy=FIVE), api.license(policy=FIVE)
    by_key(api, first, "u1", increment=2)
    refused = by_key(api, first, "u1", increment=3)
    assert (refused.status_code, code_of(refused)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert by_key(api, second, "u1", increment=3).json["data"]["uses"] == 3
    assert by_key(api, first, "not visible").status_code == 422


def test_a_refused_request_may_be_made_again(api):
    license_, admin = api.license(policy=FIVE), api.admin()
    by_key(api, license_, increment=5)
    assert by_key(api, license_, "u1").status_code == 409
    by_id(api, license_, admin, reset=True)
    assert by_key(api, license_, "u1").json["data"]["uses"] == 1


def test_two_hundred_uses_at_once_leave_exactly_the_limit(api):
    license_ = api.license(policy={"max_uses": 50})
    answers = at_once([lambda: by_key(api, license_)] * 200, workers=16)
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(409)) == (50, 150)
    assert sorted(a.json["data"]["uses"] for a in answers if a.status_code == 200) == list(range(1, 51))
    assert uses(api) == 50


def test_one_request_made_many_times_at_once_is_counted_once(api):
    license_ = api.license(policy=FIVE)
    answers = at_once([lambda: by_key(api, license_, "the-same")] * 40, workers=16)
    assert {(answer.status_code, answer.json["data"]["uses"]) for answer in answers} == {(200, 1)}
    assert uses(api) == 1


def test_requests_are_remembered_for_a_day(api):
    license_ = api.license(policy=FIVE)
    by_key(api, license_, "u1")
    with api.app.app_context():
        for hours, left in [(23, 1), (25, 0)]:
            with unit_of_work():
                usage.purge_requests(utc_now() + timedelta(hours=hours))
            assert db.session.scalar(select(func.count()).select_from(UsageRequest)) == left
