import threading
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import DBAPIError

from devforge_api.core.db import db, unit_of_work
from devforge_api.core.statements import Prepared, _cursor
from devforge_api.users import service as users
from devforge_api.users.models import User

NAME = Prepared(select(User.name, User.created_at).where(User.id == bindparam("id")), lambda *row: row)


@pytest.fixture
def person(api):
    person = api.person()
    api.patch("/users/me", {"name": "Ada"}, by=person)
    return person


def name_of(person):
    row = NAME.first(id=person.id)
    return row and row[0]


def lane():
    return _cursor(db.engine).connection


def backend():
    return lane().execute("SELECT pg_backend_pid()").fetchone()[0]


def test_columns_come_as_the_models_declare_them(context, person):
    name, created_at = NAME.first(id=person.id)
    assert (name, created_at) == (users.get_user(person.id).name, users.get_user(person.id).created_at)
    assert created_at.utcoffset().total_seconds() == 0
    assert NAME.first(id=uuid4()) is None


def test_inside_a_unit_of_work_it_sees_what_was_written_there(context, person):
    with unit_of_work():
        users.get_user(person.id).name = "Grace"
        db.session.flush()
        assert name_of(person) == "Grace"
    assert name_of(person) == "Grace"


def test_outside_it_sees_what_others_have_committed_since(context, api, person):
    assert name_of(person) == "Ada"
    api.patch("/users/me", {"name": "Grace"}, by=person)
    assert name_of(person) == "Grace"


@pytest.mark.production_column("prepared on PostgreSQL")
class TestOnPostgresql:
    def test_a_connection_that_was_cut_is_made_anew(self, context, person):
        name_of(person)
        cut = backend()
        with db.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": cut})
            other.commit()
        assert name_of(person) == "Ada"
        assert backend() != cut

    def test_a_column_whose_type_a_migration_changed_is_read_anew(self, context):
        lane().execute("CREATE TABLE changing AS SELECT 1 AS n")
        prepared = Prepared(select(text("n")).select_from(text("changing")), lambda n: n)
        try:
            assert prepared.first() == 1
            with db.engine.begin() as other:
                other.execute(text("ALTER TABLE changing ALTER n TYPE text"))
            assert prepared.first() == "1"
        finally:
            lane().execute("DROP TABLE changing")

    def test_a_failure_is_told_as_sqlalchemy_tells_it(self, context):
        broken = Prepared(select(text("1 / :zero")).params(zero=0), lambda value: value)
        with pytest.raises(DBAPIError) as caught:
            broken.first(zero=0)
        assert isinstance(caught.value.orig, psycopg.errors.DivisionByZero)
        assert "zero=" not in str(caught.value)

    def test_each_thread_has_its_own_connection_and_closes_it(self, context, app, person):
        found = []

        def ask():
            with app.app_context():
                assert name_of(person) == "Ada"
                found.append(lane())

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert found[0] is not lane()
        assert found[0].closed
