"""Migrations on both databases, from the command line as an operator runs them."""

import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from devforge_api.core.db import db
from tests.migrations.commands import ROOT, flask_db, start

VERSIONS = ROOT / "migrations" / "versions"


def scripts():
    settings = Config()
    settings.set_main_option("script_location", str(ROOT / "migrations"))
    return ScriptDirectory.from_config(settings)


def tables(settings):
    engine = create_engine(settings["DEVFORGE_DATABASE_URL"])
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_the_history_is_one_line_with_one_head():
    history = scripts()
    assert len(history.get_heads()) == len(history.get_bases()) == 1
    for script in history.walk_revisions():
        assert not script.is_merge_point
        assert not script.is_branch_point


def test_every_file_is_named_by_its_date_and_revision_in_their_order():
    names = sorted(path.name for path in VERSIONS.glob("*.py"))
    for name in names:
        assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d_[0-9a-z]+_[a-z0-9_]+\.py", name), name
    oldest_first = [Path(script.path).name for script in scripts().walk_revisions()][::-1]
    assert [name[:10] for name in oldest_first] == [name[:10] for name in names]


def test_the_way_up_down_and_up_again_leaves_the_models_schema(fresh):
    flask_db(fresh, "upgrade")
    assert tables(fresh) == set(db.metadata.tables) | {"alembic_version"}
    flask_db(fresh, "downgrade", "base")
    assert tables(fresh) == {"alembic_version"}
    flask_db(fresh, "upgrade")
    assert "No new upgrade operations detected" in flask_db(fresh, "check")


def test_upgrades_started_at_once_queue(fresh):
    processes = [start(fresh, "upgrade") for _ in range(3)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert tables(fresh) == set(db.metadata.tables) | {"alembic_version"}
    engine = create_engine(fresh["DEVFORGE_DATABASE_URL"])
    with engine.connect() as connection:
        revisions = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    engine.dispose()
    assert revisions == list(scripts().get_heads())


def test_the_sql_can_be_read_before_it_is_run(fresh):
    printed = flask_db(fresh, "upgrade", "--sql")
    assert "CREATE TABLE users" in printed
    assert tables(fresh) <= {"alembic_version"}


@pytest.mark.production_column("SQLite locks the whole file")
def test_a_migration_does_not_wait_for_a_lock_for_long(fresh):
    flask_db(fresh, "upgrade")
    engine = create_engine(fresh["DEVFORGE_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE machines IN ACCESS SHARE MODE"))
        process = start(fresh, "downgrade", "base")
        output, _ = process.communicate()
    assert process.returncode != 0
    assert "lock timeout" in output
    assert "machines" in tables(fresh)
    engine.dispose()
