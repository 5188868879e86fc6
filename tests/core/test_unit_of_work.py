import threading

import pytest
from sqlalchemy import inspect, select, text, update

from devforge_api.core.db import after_commit, before_commit, db, in_unit_of_work, unit_of_work
from devforge_api.licenses.models import Product

pytestmark = pytest.mark.usefixtures("context")


def add(code="forge"):
    product = Product(name="Forge", code=code)
    db.session.add(product)
    return product


def codes():
    db.session.remove()
    return sorted(db.session.scalars(select(Product.code)))


def test_it_commits_at_its_end():
    with unit_of_work():
        add()
        assert in_unit_of_work()
    assert not in_unit_of_work()
    assert codes() == ["forge"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_any_exception_rolls_it_back(error):
    def work():
        with unit_of_work():
            add()
            db.session.flush()
            raise error

    with pytest.raises(error):
        work()
    assert not in_unit_of_work()
    assert codes() == []


def test_a_failing_commit_leaves_no_unit_of_work_open():
    with unit_of_work():
        add()
    with pytest.raises(Exception, match=r"(?i)unique"), unit_of_work():
        add()
    with unit_of_work():
        add("anvil")
    assert codes() == ["anvil", "forge"]


def test_it_does_not_nest():
    with unit_of_work():
        add()
        with pytest.raises(RuntimeError, match="already open"), unit_of_work():
            pass
        assert in_unit_of_work()
    assert codes() == ["forge"]


def test_it_decides_on_nothing_that_was_read_before_it(app):
    with unit_of_work():
        product = add()
    read = db.session.scalars(select(Product)).one()

    def rename():
        with app.app_context(), unit_of_work():
            db.session.execute(update(Product).values(name="Changed meanwhile"))

    thread = threading.Thread(target=rename)
    thread.start()
    thread.join()
    with unit_of_work():
        assert inspect(read).detached
        fresh = db.session.get_one(Product, product.id)
        assert fresh.name == "Changed meanwhile"
        assert read.name == "Forge"


def test_a_decorated_function_is_one_unit_of_work_a_call():
    @unit_of_work()
    def make(code):
        add(code)
        return code

    assert [make("a"), make("b")] == ["a", "b"]
    assert codes() == ["a", "b"]


def test_calls_for_after_the_commit_come_after_it_in_their_order():
    seen = []
    with unit_of_work():
        add()
        after_commit(lambda: seen.append(("first", in_unit_of_work())))
        after_commit(lambda: seen.append(("second", codes())))
        assert seen == []
    assert seen == [("first", False), ("second", ["forge"])]
    with unit_of_work():
        pass
    assert len(seen) == 2


def test_calls_for_after_the_commit_are_dropped_by_a_rollback():
    seen = []

    def work():
        with unit_of_work():
            after_commit(lambda: seen.append("never"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with unit_of_work():
        pass
    assert seen == []


@pytest.mark.production_column("SQLite has no server to ask")
def test_reads_outside_of_it_hold_no_transaction(api):
    person = api.person()
    api.get("/auth/me", by=person)
    api.get("/licenses", by=person)
    db.session.scalar(select(Product.id))  # its connection is not given back before the session ends
    with db.engine.connect() as connection:
        states = connection.scalars(
            text(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'devforge-api' AND pid <> pg_backend_pid()"
            )
        ).all()
    assert states
    assert set(states) == {"idle"}


def test_a_reader_is_not_kept_waiting_by_a_writer(app):
    with unit_of_work():
        add()
    found = []

    def read():
        with app.app_context():
            found.extend(codes())

    with unit_of_work():
        add("anvil")
        db.session.flush()
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert found == ["forge"]


def test_writers_queue_instead_of_failing(app):
    with unit_of_work():
        product = add()

    def rename(_):
        with app.app_context(), unit_of_work():
            row = db.session.get_one(Product, product.id, with_for_update=True)
            row.name += "."

    threads = [threading.Thread(target=rename, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.remove()
    assert db.session.get_one(Product, product.id).name == "Forge" + "." * 12


def test_what_comes_last_is_called_once_with_everything_and_belongs_to_the_transaction():
    seen = []

    def last(items):
        seen.append((items, in_unit_of_work()))
        if items != [3]:
            add("last")
            before_commit(last, 3)  # what comes up then has its turn, too

    with unit_of_work():
        before_commit(last, 1)
        add()
        before_commit(last, 2)
        assert seen == []
    assert seen == [([1, 2], True), ([3], True)]
    assert codes() == ["forge", "last"]


def test_what_comes_last_is_forgotten_by_a_rollback_and_can_roll_back_itself():
    def fail(items):
        raise LookupError

    def work(*, raising):
        with unit_of_work():
            add()
            before_commit(fail, 1)
            if raising:
                raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        work(raising=True)
    with pytest.raises(LookupError):
        work(raising=False)
    with unit_of_work():
        add("anvil")
    assert codes() == ["anvil"]
