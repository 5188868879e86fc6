"""Rows of before a migration are there afterwards, and after it was taken back."""

from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from tests.migrations.commands import flask_db

BEFORE = (
    "INSERT INTO products (id, name, code, metadata, version, created_at, updated_at)"
    " VALUES (:product, 'Forge', 'forge', '{}', 1, :now, :now)",
    "INSERT INTO policies (id, product_id, name, max_machines, floating, strict, metadata, version,"
    " created_at, updated_at)"
    " VALUES (:policy, :product, 'pro', 3, TRUE, FALSE, '{}', 1, :now, :now)",
    "INSERT INTO licenses (id, policy_id, product_id, key_hash, encrypted_key, status, machine_count,"
    " metadata, version, created_at, updated_at)"
    " VALUES (:license, :policy, :product, 'hash', 'sealed', 'active', 1, '{}', 4, :now, :now)",
    "INSERT INTO machines (id, license_id, fingerprint, name, created_at)"
    " VALUES (:machine, :license, 'm1', 'Ada''s laptop', :now)",
)
VALUES = {name: uuid4().hex for name in ("product", "policy", "license", "machine")}
VALUES["now"] = "2026-01-15 09:30:00"
KEPT = (
    "SELECT l.key_hash, l.status, l.machine_count, l.version, m.fingerprint, m.name, p.name"
    " FROM licenses l JOIN machines m ON m.license_id = l.id JOIN policies p ON p.id = l.policy_id"
)
ROW = ("hash", "active", 1, 4, "m1", "Ada's laptop", "pro")


@pytest.fixture
def database(fresh):
    """Run statements on the fresh database; of a question, the rows."""
    engine = create_engine(fresh["DEVFORGE_DATABASE_URL"])

    def run(*statements):
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.execute(text("PRAGMA foreign_keys=ON"))
            results = [connection.execute(text(statement), VALUES) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []

    yield run
    engine.dispose()


def test_licences_and_machines_come_through_the_change_of_terms_and_back(fresh, database):
    flask_db(fresh, "upgrade", "0003auth")
    database(*BEFORE)
    flask_db(fresh, "upgrade", "0004licensing")
    assert database(KEPT) == [ROW]
    terms = (
        "SELECT overage, expiry_strategy, component_matching, revival_seconds, lease_seconds FROM policies"
    )
    assert database(terms) == [("none", "restrict", "most", 0, 2_592_000)]
    database("UPDATE licenses SET status = 'pending', uses = 2")
    with pytest.raises(IntegrityError):
        database("UPDATE licenses SET status = 'unheard-of'")
    with pytest.raises(IntegrityError):
        database("UPDATE licenses SET uses = -1")
    flask_db(fresh, "downgrade", "0003auth")
    assert database(KEPT) == [("hash", "suspended", *ROW[2:])]  # the nearest that the old code knows
    with pytest.raises(IntegrityError):
        database("UPDATE licenses SET status = 'pending'")
    flask_db(fresh, "upgrade", "0004licensing")
    assert database(KEPT) == [("hash", "suspended", *ROW[2:])]
    database("DELETE FROM licenses")
    assert database("SELECT id FROM machines") == []
