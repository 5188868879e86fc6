"""Who is told what."""

import json

import pytest
from sqlalchemy import func, select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.news import News
from devforge_api.core.outbox import OutboxRow
from devforge_api.users import service as users
from devforge_api.users.models import Role
from devforge_api.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint, WebhookMessage
from devforge_api.webhooks.service import telling
from tests.receiver import receiver
from tests.webhooks.world import deliveries, later, make_endpoint, tell, types


def test_owners_get_their_own_news_alone(local, peer):
    ada, bob = local.person(), local.person()
    make_endpoint(local, ada, peer.url)
    with receiver() as bobs:
        make_endpoint(local, bob, bobs.url)
        tell(local, ada.id, data={"whose": "ada"})
        tell(local, bob.id, data={"whose": "bob"})
        tell(local, ada.id, bob.id, data={"whose": "both"})
        local.deliver()
        whose = [[json.loads(one.body)["data"]["whose"] for one in each.received] for each in (peer, bobs)]
    assert sorted(whose[0]) == ["ada", "both"]
    assert sorted(whose[1]) == ["bob", "both"]


def test_a_message_is_the_same_for_all_and_signed_for_each(local, peer):
    ada, bob = local.person(), local.person()
    with receiver() as bobs:
        make_endpoint(local, ada, peer.url)
        make_endpoint(local, bob, bobs.url)
        tell(local, ada.id, bob.id)
        local.deliver()
        (first,), (second,) = peer.received, bobs.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ([], ["license.renewed", "license.revoked", "order.paid"]),
        (["license.*"], ["license.renewed", "license.revoked"]),
        (["license.revoked", "order.paid"], ["license.revoked", "order.paid"]),
        (["order.*", "order.paid"], ["order.paid"]),
    ],
)
def test_an_endpoint_gets_what_it_wants(local, peer, events, wanted):
    ada = local.person()
    make_endpoint(local, ada, peer.url, events=events)
    for event in ("license.renewed", "license.revoked", "order.paid"):
        tell(local, ada.id, event=event)
    local.deliver()
    assert sorted(types(peer.received)) == wanted


def test_nothing_is_kept_of_what_nobody_wants(local, peer):
    ada, bob = local.person(), local.person()
    made = make_endpoint(local, ada, peer.url, events=["order.paid"])
    tell(local, ada.id)
    tell(local, bob.id, event="order.paid")
    local.patch(f"/webhooks/{made['id']}", {"status": "disabled"}, by=ada)
    tell(local, ada.id, event="order.paid")
    with local.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(WebhookMessage)) == 0


def test_an_admins_endpoint_may_get_everybodys_news_and_its_own_once(local, peer):
    admin, ada = local.admin(), local.person()
    make_endpoint(local, admin, peer.url, audience="everybody")
    tell(local, ada.id, data={"n": 1})
    tell(local, admin.id, ada.id, data={"n": 2})
    local.deliver()
    assert sorted(json.loads(one.body)["data"]["n"] for one in peer.received) == [1, 2]


def _become(api, person, role):
    with api.app.app_context(), unit_of_work():
        users.update_user(users.get_user(person.id, for_update=True), {"role": role})


def test_whoever_is_an_admin_no_more_gets_their_own_news_alone(local, peer):
    other, admin, ada = local.admin(), local.admin(), local.person()
    assert other
    make_endpoint(local, admin, peer.url, audience="everybody")
    _become(local, admin, Role.SUPPORT)
    tell(local, ada.id, data={"whose": "ada"})
    tell(local, admin.id, data={"whose": "their own"})
    local.deliver()
    assert [json.loads(one.body)["data"]["whose"] for one in peer.received] == ["their own"]


def test_what_was_addressed_to_an_admin_is_not_sent_after_they_were_one(local, peer):
    other, admin, ada = local.admin(), local.admin(), local.person()
    assert other
    make_endpoint(local, admin, peer.url, audience="everybody")
    tell(local, ada.id)
    _become(local, admin, Role.USER)
    local.deliver()
    later(local)
    assert peer.received == []
    assert [(one.status, one.error) for one in deliveries(local)] == [
        (DeliveryStatus.FAILED, "not_permitted")
    ]


def test_a_banned_users_endpoint_gets_nothing(local, peer):
    ada = local.person()
    make_endpoint(local, ada, peer.url)
    tell(local, ada.id)
    local.ban(ada.id)
    tell(local, ada.id)
    local.deliver()
    assert peer.received == []
    assert [one.error for one in deliveries(local)] == ["not_permitted"]


@pytest.mark.parametrize("many", [100, 5000])
def test_a_body_is_never_larger_than_the_scheme_allows(local, peer, many):
    ada = local.person()
    make_endpoint(local, ada, peer.url)
    tell(
        local,
        ada.id,
        data={"license_id": "1", "order_id": None, "words": "ä" * many * 3, "product_ids": ["x" * 30] * many},
    )
    local.deliver()
    (request,) = peer.received
    assert len(request.body) < 20_000
    data = json.loads(request.body)["data"]
    if many == 100:
        assert data["words"]
    else:
        assert data == {"license_id": "1", "order_id": None, "trimmed": True}


def test_ids_that_are_too_long_themselves_are_left_out():
    body = telling.compose("a.b", {"some_id": "x" * 30_000}, utc_now())
    assert json.loads(body)["data"] == {"trimmed": True}


def test_news_of_many_is_written_by_few_statements(local, count_queries):
    people = [local.person() for _ in range(30)]
    with local.app.app_context(), unit_of_work():
        for person in people:
            row = WebhookEndpoint(user_id=person.id, url="http://127.0.0.1:9/", secret="-")
            db.session.add(row)
    counts = []
    for many in (2, 30):
        with local.app.app_context(), count_queries() as seen, unit_of_work():
            users_ = tuple(person.id for person in people[:many])
            telling.pass_on(News("license.renewed", users_, {}, utc_now()))
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 6
    with local.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(WebhookDelivery)) == 32
        due = select(func.count()).where(OutboxRow.name == "webhook.delivery_due")
        assert db.session.scalar(due) == 32
