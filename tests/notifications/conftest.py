import pytest
from sqlalchemy import select

from devforge_api.core.db import db, unit_of_work
from devforge_api.core.realtime.feed import FeedEvent
from devforge_api.users.models import User
from tests.receiver import receiver


@pytest.fixture
def feed_of(api):
    """What a person's open windows were told: (type, data), in order; accounts' own news left out."""

    def read(person):
        with api.app.app_context():
            statement = select(FeedEvent).where(FeedEvent.user_id == person.id).order_by(FeedEvent.id)
            return [(row.type, row.data) for row in db.session.scalars(statement)]

    return read


@pytest.fixture
def set_locale(api):
    def change(person, locale):
        with api.app.app_context(), unit_of_work():
            db.session.get_one(User, person.id).locale = locale

    return change


@pytest.fixture
def push_api(make_api, app):
    """An application that may call this machine."""
    return make_api(
        DEVFORGE_LOCAL_DESTINATIONS="loopback",
        DEVFORGE_MAIL_FROM="Dev Forge <help@example.org>",
        OUTBOUND_SECONDS=2.0,
    )


@pytest.fixture
def service():
    """A push service."""
    with receiver() as found:
        found.always = 201
        yield found
