"""What holds for every table: indexes for what refers to it and for what lists offer."""

import importlib
import pkgutil

from sqlalchemy import Enum, UniqueConstraint

import devforge_api
from devforge_api import registry
from devforge_api.core.db import db
from devforge_api.core.listing import Listing

assert registry.BLUEPRINTS  # imported for what it imports: every domain's tables
# Few rows for ever: a handful of products, plans, features and prices, searched by part of their names.
SMALL = {"products", "entitlements", "policies", "prices"}


def index_columns(table):
    """The columns of every index of a table, in order; keys and unique constraints are ones too."""
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    for one in [*table.indexes, *unique, table.primary_key]:
        yield [column.name for column in one.columns]


def listings():
    for module in pkgutil.walk_packages(devforge_api.__path__, "devforge_api."):
        if module.name.endswith(".queries"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, Listing):
                    yield f"{module.name}.{name}", value


def test_every_foreign_key_has_an_index_and_says_what_a_deletion_does():
    for table in db.metadata.tables.values():
        for key in table.foreign_keys:
            first = [columns[0] for columns in index_columns(table)]
            assert key.parent.name in first, f"{table.name}.{key.parent.name}"
            assert key.ondelete in {"CASCADE", "SET NULL", "RESTRICT"}, f"{table.name}.{key.parent.name}"


def test_every_sort_of_a_list_is_an_index_that_ends_with_the_primary_key():
    found = list(listings())
    assert len(found) >= 8
    for name, listing in found:
        for parameter, column in listing.sorts.items():
            table = column.property.columns[0].table
            wanted = [column.key, listing.key.key]
            whole = [columns[-2:] for columns in index_columns(table)]
            unique = [columns for columns in index_columns(table) if columns == [column.key]]
            assert wanted in whole or unique, f"{name}: sort={parameter}"


def test_every_filter_of_a_list_has_an_index():
    for name, listing in listings():
        for parameter, column in listing.filters.items():
            column_ = column.property.columns[0]
            if column_.table.name in SMALL:
                continue
            parents = {key.parent.name for key in column_.table.foreign_keys} | {"target_id"}
            usable = [
                columns
                for columns in index_columns(column_.table)
                # First, or second within the one parent whose rows are listed.
                if columns[0] == column_.name or (columns[0] in parents and columns[1:2] == [column_.name])
            ]
            assert usable, f"{name}: {parameter}"


def test_every_choice_is_checked_by_the_database():
    for table in db.metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, Enum):
                assert column.type.create_constraint, f"{table.name}.{column.name}"
                assert not column.type.native_enum, f"{table.name}.{column.name}"


def test_every_name_of_a_constraint_or_index_is_ours_and_fits_postgresql():
    for table in db.metadata.tables.values():
        for index in table.indexes:
            assert str(index.name).startswith(f"ix_{table.name}_"), index.name
            assert len(str(index.name)) <= 63
