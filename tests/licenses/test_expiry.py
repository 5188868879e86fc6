"""Expiries are told once each, whoever looks at once."""

from datetime import timedelta

from sqlalchemy import select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import LedgerEntry
from devforge_api.licenses.queries import get_license
from devforge_api.licenses.service import expiry, renewal
from tests.licenses.together import at_once

MONTH = {"duration_days": 30}


def told(api):
    with api.app.app_context():
        expired = select(LedgerEntry.license_id).where(LedgerEntry.event == "expired")
        return list(db.session.scalars(expired.order_by(LedgerEntry.id)))


def look(api, now, **options):
    with api.app.app_context(), unit_of_work():
        return expiry.tell_expired(now, **options)


def test_an_expiry_is_told_once_at_its_moment_and_not_before(api):
    at = utc_now() + timedelta(days=1)
    license_ = api.license(expires_at=at)
    look(api, at - timedelta(microseconds=1))
    assert told(api) == []
    for _ in range(3):
        look(api, at)
    assert told(api) == [license_.id]


def test_what_had_expired_when_it_was_made_is_no_news(api):
    api.license(expires_at=utc_now() - timedelta(days=1))
    assert look(api, utc_now()) == 0
    assert told(api) == []


def test_it_is_told_again_after_a_renewal_has_passed(api):
    license_ = api.license(policy=MONTH)
    late = utc_now() + timedelta(days=40)
    look(api, late)
    with api.app.app_context(), unit_of_work():
        renewal.renew(get_license(license_.id, owner_id=None, for_update=True), now=late)
    look(api, late)
    assert told(api) == [license_.id]
    look(api, late + timedelta(days=30))
    assert told(api) == [license_.id] * 2


def test_what_has_ended_before_does_not_expire(api):
    license_ = api.license(policy=MONTH)
    api.post(f"/licenses/{license_.id}/revoke", by=api.admin())
    late = utc_now() + timedelta(days=40)
    assert look(api, late) == 1
    assert look(api, late) == 0
    assert told(api) == []


def test_many_are_told_batch_by_batch_the_earliest_first(api):
    policy, now = api.policy(), utc_now()
    licenses = [api.license(policy, expires_at=now + timedelta(days=n)) for n in (3, 1, 2)]
    late = now + timedelta(days=9)
    assert [look(api, late, batch=2) for _ in range(3)] == [2, 1, 0]
    assert set(told(api)[:2]) == {licenses[1].id, licenses[2].id}
    assert told(api)[2] == licenses[0].id


def test_many_workers_at_once_tell_each_expiry_once(api):
    policy, now = api.policy(), utc_now()
    licenses = {api.license(policy, expires_at=now + timedelta(hours=1)).id for _ in range(12)}
    at_once([lambda: look(api, now + timedelta(days=1), batch=5)] * 8, workers=8)
    look(api, now + timedelta(days=1))
    assert len(told(api)) == 12
    assert set(told(api)) == licenses


def test_looking_costs_the_same_however_many_have_expired(api, count_queries):
    policy, now = api.policy(), utc_now()
    costs = []
    for number in (2, 8):
        for _ in range(number):
            api.license(policy, expires_at=now + timedelta(hours=1))
        look(api, now + timedelta(days=1))
        with count_queries() as seen:
            look(api, now + timedelta(days=1))
        costs.append(len(seen))
    assert costs[0] == costs[1] <= 2
