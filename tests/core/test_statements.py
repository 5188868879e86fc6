import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import DBAPIError

from devforge_api.core.db import db, unit_of_work
from devforge_api.core.statements import Prepared, _idle, _kept
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


def kept():
    with _kept(db.engine) as one:
        return one.connection


def backend():
    return kept().execute("SELECT pg_backend_pid()").fetchone()[0]


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
        kept().execute("CREATE TABLE changing AS SELECT 1 AS n")
        prepared = Prepared(select(text("n")).select_from(text("changing")), lambda n: n)
        try:
            assert prepared.first() == 1
            with db.engine.begin() as other:
                other.execute(text("ALTER TABLE changing ALTER n TYPE text"))
            assert prepared.first() == "1"
        finally:
            kept().execute("DROP TABLE changing")

    def test_a_failure_is_told_as_sqlalchemy_tells_it(self, context):
        broken = Prepared(select(text("1 / :zero")).params(zero=0), lambda value: value)
        with pytest.raises(DBAPIError) as caught:
            broken.first(zero=0)
        assert isinstance(caught.value.orig, psycopg.errors.DivisionByZero)
        assert "zero=" not in str(caught.value)

    def test_values_are_adapted_by_the_driver(self, context):
        kinds = [("text", "é' --"), ("integer", 2**31 - 1), ("uuid", uuid4()), ("boolean", True)]
        for kind, value in kinds:
            given = Prepared(select(text(f"CAST(:value AS {kind})")).params(value=value), lambda found: found)
            assert given.first(value=value) == value
        cut_short = Prepared(select(text("CAST(:value AS text)")).params(value=""), lambda found: found)
        with pytest.raises(DBAPIError):
            cut_short.first(value="a\0b")
        assert cut_short.first(value="ab") == "ab"

    def test_statements_at_once_have_a_connection_each_and_keep_no_more(self, context, app, person):
        db.engine.dispose()
        together = threading.Barrier(4)

        def ask(_):
            with app.app_context(), _kept(db.engine) as one:
                together.wait()
                return one.connection

        with ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                connections = set(pool.map(ask, range(4)))
                assert len(connections) == 4
        assert {one.connection for one in _idle[db.engine]} == connections
        db.engine.dispose()
        assert all(connection.closed for connection in connections)

    def test_what_failed_is_not_used_again(self, context, person):
        name_of(person)
        failed = kept()
        failed.close()
        assert name_of(person) == "Ada"
        assert kept() is not failed
