import pytest
from sqlalchemy import select

from devforge_api.core.db import db, unit_of_work
from devforge_api.core.realtime.feed import FeedEvent
from devforge_api.users.models import User


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
