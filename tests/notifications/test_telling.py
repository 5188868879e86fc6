"""From news to notifications: who is told, by which channels, once."""

import json

import pytest
from sqlalchemy import func, select, update

from devforge_api.core import news, outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.news import News
from devforge_api.core.outbox import OutboxRow
from devforge_api.core.realtime.feed import FeedEvent
from devforge_api.notifications.models import Channel, Kind, Notification, Preference
from devforge_api.notifications.service import telling
from devforge_api.users.service import delete_user, get_user_beside_admins
from tests.factories.notifications import LICENSE, tell


@pytest.fixture
def ada(api):
    return api.person()


def choose(api, person, kind, **channels):
    done = api.patch("/notifications/preferences", {kind: channels}, by=person)
    assert done.status_code == 200, done.json


def count(api, model):
    with api.app.app_context():
        return db.session.scalar(select(func.count()).select_from(model))


def events(api, name):
    with api.app.app_context():
        return list(db.session.scalars(select(OutboxRow.payload).where(OutboxRow.name == name)))


def told(api, person):
    return [row["event"] for row in api.get("/notifications", by=person).json["data"]]


def test_a_deed_becomes_its_owners_notification_once(api, ada, feed_of):
    license_ = api.license(owner=ada)
    while api.deliver():
        pass
    assert told(api, ada) == ["license.issued"]
    (row,) = api.get("/notifications", by=ada).json["data"]
    assert row["link"] == {"type": "license", "id": str(license_.id)}
    assert [type_ for type_, _ in feed_of(ada)] == ["license_update", "notification"]


def test_open_windows_get_what_get_shows_and_the_news_itself(api, ada, feed_of, set_locale):
    set_locale(ada, "de")
    tell(api, [ada])
    (row,) = api.get("/notifications", by=ada).json["data"]
    assert feed_of(ada) == [
        ("license_update", {"event": "license.expired", **LICENSE}),
        ("notification", row),
    ]
    assert row["title"] == "Ihre Lizenz für Dev Forge ist abgelaufen"


@pytest.mark.parametrize(
    ("event", "type_"),
    [("license.activated", "license_update"), ("payment.paid", "payment_update"),
     ("order.created", "payment_update"), ("subscription.changed", "payment_update")],
)  # fmt: skip
def test_news_that_nobody_is_notified_of_still_reaches_open_windows(api, ada, feed_of, event, type_):
    tell(api, [ada], event, subscription_status="active", cancel_at_period_end=False)
    assert [told_as for told_as, _ in feed_of(ada)] == [type_]
    assert told(api, ada) == []


def test_news_of_an_account_are_shown_and_of_no_update_type(api, ada, feed_of):
    tell(api, [ada], "auth.mfa_enabled")
    assert [type_ for type_, _ in feed_of(ada)] == ["notification"]


def test_a_listener_that_is_interrupted_tells_nothing_and_then_once(api, ada, monkeypatch, context):
    api.license(owner=ada)
    kept = OutboxRow.mark_delivered
    monkeypatch.setattr(OutboxRow, "mark_delivered", lambda self: 1 / 0)
    api.deliver()
    assert (count(api, Notification), count(api, FeedEvent)) == (0, 0)
    monkeypatch.setattr(OutboxRow, "mark_delivered", kept)
    with unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))
    while api.deliver():
        pass
    assert (count(api, Notification), count(api, FeedEvent)) == (1, 2)


def test_who_wants_it_otherwise_gets_it_otherwise(api, ada, feed_of):
    choose(api, ada, "licenses", in_app=False, mail=False, push=False)
    tell(api, [ada])
    assert told(api, ada) == []
    assert [type_ for type_, _ in feed_of(ada)] == ["license_update"]
    assert (count(api, Notification), count(api, Mail)) == (0, 0)
    choose(api, ada, "licenses", mail=True)
    tell(api, [ada])
    assert told(api, ada) == []  # the row is there for the letter alone
    assert api.get("/notifications/unread-count", by=ada).json["data"] == {"unread": 0}
    assert (count(api, Notification), count(api, Mail)) == (1, 1)
    row_id = _only(api)
    assert api.get(f"/notifications/{row_id}", by=ada).status_code == 404


def _only(api):
    with api.app.app_context():
        return db.session.scalars(select(Notification.id)).one()


def test_letters_go_to_verified_addresses_of_active_users_alone(api):
    verified, unverified, banned = api.person(), api.person(verified=False), api.person()
    api.ban(banned.id)
    tell(api, [verified, unverified, banned])
    with api.app.app_context():
        assert list(db.session.scalars(select(Mail.recipient))) == [verified.email]
    assert count(api, Notification) == 3


def test_what_billing_and_auth_write_of_is_written_once(api, ada):
    with api.app.app_context(), unit_of_work():
        for kind in Kind:  # whatever somebody has written into the table
            db.session.add(Preference(user_id=ada.id, kind=kind, channel=Channel.MAIL, enabled=True))
    for name in (
        "order.paid",
        "payment.failed",
        "auth.new_device",
        "license.key_rotated",
        "license.transferred",
    ):
        tell(api, [ada], name, amount=1, currency="USD")
    assert count(api, Mail) == 0
    assert count(api, Notification) == 5


def test_five_hundred_readers_cost_a_bounded_number_of_statements(api, context, count_queries):
    people = [api.person() for _ in range(30)]
    for person in people[:5]:
        choose(api, person, "releases", mail=True)
    data = {"release_id": LICENSE["license_id"], "product_name": "Dev Forge", "version": "2.0.0"}
    news_ = News("release.available", tuple(person.id for person in people), data, utc_now())
    with count_queries() as sent, unit_of_work():
        telling.tell(news_)
    own = [one for one in sent if "feeds" not in one]  # of a feed's counter there is one a reader
    assert len(own) <= 8, own
    assert count(api, Notification) == 30
    assert count(api, Mail) == 5


def test_readers_who_are_gone_are_left_out_and_the_others_told(api, ada):
    gone = api.person()
    with api.app.app_context(), unit_of_work():
        delete_user(get_user_beside_admins(gone.id))
    tell(api, [gone, ada])
    assert told(api, ada) == ["license.expired"]
    assert count(api, Notification) == 1


def test_news_for_nobody_and_unknown_news_pass_by(api, ada, feed_of):
    tell(api, [])
    tell(api, [ada], "release.published")
    assert feed_of(ada) == []


def test_every_piece_of_news_is_heard(app):
    for name in news.told():
        assert f"{tell_module()}.tell_users" in outbox._subscribers[name], name


def tell_module():
    return "devforge_api.notifications.subscribers"


def test_a_letter_s_id_is_the_notification_s(api, ada):
    tell(api, [ada])
    with api.app.app_context():
        assert db.session.scalars(select(Mail.id)).one() == _only(api)
    assert len(events(api, "mail.requested")) == 1
    assert "Dev Forge" not in json.dumps(events(api, "mail.requested"))
