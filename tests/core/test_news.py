"""Every teller: whose news it is, and what is said."""

import json

from devforge_api.core import news, outbox
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.news import _Telling
from devforge_api.core.outbox import OutboxRow
from devforge_api.events import EVENTS
from devforge_api.licenses.service import availability


def names(heard):
    return [item.name for item in heard]


def test_what_is_told_are_events():
    assert set(news.told()) <= set(EVENTS)
    assert {"license.expired", "order.paid", "release.available"} <= set(news.told())


def test_a_licence_is_its_owners_news_without_its_key(api, heard):
    owner = api.person()
    license_ = api.license(owner=owner)
    api.deliver()
    (item,) = heard
    assert (item.name, item.users) == ("license.issued", (owner.id,))
    assert item.data["license_id"] == str(license_.id)
    assert item.data["policy"] == "pro"
    assert item.data["status"] == "active"
    assert license_.key not in json.dumps(item.data)


def test_news_is_dated_when_it_happened(api, heard, context):
    api.license(owner=api.person())
    rows = db.select(OutboxRow.created_at).where(OutboxRow.name == "license.issued")
    emitted = set(db.session.scalars(rows))
    api.deliver()
    assert heard[0].at in emitted  # each subscriber has a row of its own


def test_a_licence_without_an_owner_is_the_teams_news(api, heard):
    api.license()
    api.deliver()
    assert [(item.name, item.users) for item in heard] == [("license.issued", ())]


def test_a_deleted_licences_last_owner_is_told(api, heard):
    owner, admin = api.person(), api.admin()
    license_ = api.license(owner=owner)
    api.deliver()
    heard.clear()
    assert api.delete(f"/licenses/{license_.id}", by=admin).status_code == 204
    api.deliver()
    assert [(item.name, item.users) for item in heard] == [("license.deleted", (owner.id,))]


def test_of_what_is_gone_before_it_is_told_nothing_is_said(api, heard):
    license_ = api.license(owner=api.person())
    assert api.delete(f"/licenses/{license_.id}", by=api.admin()).status_code == 204
    api.deliver()
    assert names(heard) == ["license.deleted"]


def test_a_release_is_told_once_to_each_owner_over_pages(api, heard, monkeypatch):
    monkeypatch.setattr(availability, "PAGE", 2)
    product = api.product()
    policy = api.policy(product)
    owners = [api.person() for _ in range(5)]
    for owner in [*owners, *owners[:2]]:
        api.license(policy, owner=owner)
    api.license(policy)
    stranger = api.person()
    api.license(owner=stranger)
    api.deliver()
    heard.clear()
    api.release(product, "2.0.0")
    while api.deliver():
        pass
    told = [item for item in heard if item.name == "release.available"]
    assert [item.data["version"] for item in told] == ["2.0.0"] * 3
    assert sorted(user for item in told for user in item.users) == sorted(owner.id for owner in owners)
    assert names(heard).count("release.published") == 1


def test_a_release_that_was_withdrawn_meanwhile_is_told_to_nobody(api, heard):
    product = api.product()
    api.license(api.policy(product), owner=api.person())
    api.deliver()
    heard.clear()
    release_id = api.release(product, "2.0.0")
    assert api.post(f"/releases/{release_id}/yank", by=api.admin()).status_code == 200
    while api.deliver():
        pass
    assert "release.available" not in names(heard)
    assert {"release.published", "release.yanked"} <= set(names(heard))


def test_a_listener_that_fails_hears_it_again_and_others_only_once(api, context):
    failures, heard_ = [1], []

    def fails(item):
        if failures:
            failures.pop()
            raise RuntimeError("not this time")
        heard_.append(item.name)

    before = {name: dict(subscribers) for name, subscribers in outbox._subscribers.items()}
    outbox.on("license.issued")(_Telling("license.issued", news._tellers["license.issued"], fails))
    try:
        api.license(owner=api.person())
        api.deliver()
        assert heard_ == []
        with unit_of_work():
            db.session.execute(db.update(OutboxRow).values(next_attempt_at=outbox.utc_now()))
        api.deliver()
        api.deliver()
    finally:
        outbox._subscribers.clear()
        outbox._subscribers.update(before)
    assert heard_ == ["license.issued"]
