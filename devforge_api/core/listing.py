"""Lists: filters, sorts and pages, declared once for each resource.

``?page=`` reaches the first 10,000 rows; ``?cursor=`` goes on from the last row seen (keyset),
at the same cost however far. Rows and the bounded total come by one query.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from flask import current_app, request
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from devforge_api.core import fields as f
from devforge_api.core.clock import rfc3339
from devforge_api.core.context import occasion
from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.schemas import BaseSchema

DEFAULT_LIMIT, MAX_LIMIT, REACH = 20, 100, 10_000
Column = InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Page:
    """One page of rows, and what the envelope tells of the others."""

    items: list[Any]
    pagination: dict[str, Any]


def _filter_field(kind: type) -> fields.Field[Any]:
    if issubclass(kind, StrEnum):
        return fields.String(validate=validate.OneOf([member.value for member in kind]))
    if issubclass(kind, bool):
        return fields.Boolean(truthy={"true"}, falsy={"false"})
    if issubclass(kind, int):
        return f.QueryInt()
    if issubclass(kind, datetime):
        return f.Timestamp()
    if issubclass(kind, UUID):
        return fields.UUID()
    return f.Text()


_ORDERED = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}


class Listing:
    """What a list of one resource can be filtered and sorted by.

    :param name: of its query schema, as the documentation shows it.
    :param filters: parameter → column.
    :param sorts: parameter → column; each needs an index that ends with the primary key.
    :param default_sort: a parameter of ``sorts``, with ``-`` for descending.
    :param key: the primary key column, which breaks ties.
    :param contains: filters that also take ``_contains``, which reads the whole table: for those that
        stay small, or lists for the team alone.
    :param present: parameter → column that has a value (``true``) or none (``false``).
    :param load: what each row is loaded with (``joinedload``).
    """

    def __init__(
        self,
        name: str,
        *,
        key: Column,
        filters: Mapping[str, Column],
        sorts: Mapping[str, Column],
        default_sort: str = "-created_at",
        contains: tuple[str, ...] = (),
        present: Mapping[str, Column] | None = None,
        load: tuple[Any, ...] = (),
    ) -> None:
        self.key, self.filters, self.sorts, self.load = key, filters, sorts, load
        self.default_sort, self.present = default_sort, present or {}
        self._operators: dict[str, tuple[str, str]] = {}
        self.schema = self._query_schema(name, contains)

    def _query_schema(self, name: str, contains: tuple[str, ...]) -> type[Schema]:
        declared: dict[str, fields.Field[Any]] = {
            "page": f.QueryInt(min=1, load_default=1, metadata={"example": 1}),
            "limit": f.QueryInt(min=1, max=MAX_LIMIT, load_default=DEFAULT_LIMIT),
            "cursor": f.Text(max=1000, metadata={"description": "`next_cursor` of the page before."}),
            "sort": f.Text(
                load_default=self.default_sort,
                metadata={"description": f"Comma-separated: {', '.join(self.sorts)}; `-` reverses one."},
            ),
            "fields": f.Text(max=1000, metadata={"description": "Comma-separated names: trims the items."}),
        }
        for parameter, column in self.filters.items():
            kind = column.type.python_type
            enum = getattr(column.type, "enum_class", None)
            kind = enum or kind
            suffixes = ["", "ne", "in"]
            if issubclass(kind, int | datetime) and not issubclass(kind, bool):
                suffixes += list(_ORDERED)
            if parameter in contains:
                suffixes.append("contains")
            for suffix in [""] if issubclass(kind, bool) else suffixes:
                full = f"{parameter}_{suffix}" if suffix else parameter
                self._operators[full] = (parameter, suffix)
                if suffix == "in":
                    declared[full] = f.Text(max=4000, metadata={"description": "Comma-separated values."})
                else:
                    declared[full] = _filter_field(kind)
        declared |= {parameter: _filter_field(bool) for parameter in self.present}
        return BaseSchema.from_dict(declared, name=name)

    def run(self, statement: Select[Any], query: Mapping[str, Any]) -> Page:
        """One page of the rows that the statement selects.

        :param query: loaded by ``schema``.
        :raises ValidationFailed: an unknown sort, a page out of reach, a foreign cursor.
        """
        page, limit = query["page"], query["limit"]
        if page * limit > REACH:
            raise ValidationFailed.of(
                "page", f"page times limit reaches at most {REACH}; go on with cursor=.", "PAGE_OUT_OF_REACH"
            )
        keys = self._sort_keys(query["sort"])
        for parameter, value in query.items():
            if parameter in self._operators:
                statement = statement.where(self._condition(parameter, value))
            elif column := self.present.get(parameter):
                statement = statement.where(column.is_not(None) if value else column.is_(None))
        counted = statement.with_only_columns(self.key, maintain_column_froms=True).order_by(None)
        count = select(func.count()).select_from(counted.limit(REACH + 1).subquery())
        whose = _whose(query["sort"])
        if cursor := query.get("cursor"):
            stretches = _stretches(keys, _read_cursor(cursor, whose, keys))
        else:
            stretches, statement = [true()], statement.offset((page - 1) * limit)
        ordered = statement.options(*self.load).order_by(*(_order(column, down) for column, down in keys))
        # Rows and total by one statement; the total is computed once, not for each row.
        ordered = ordered.add_columns(count.scalar_subquery())
        found: list[Any] = []
        for stretch in stretches:
            if (missing := limit + 1 - len(found)) > 0:
                found += db.session.execute(ordered.where(stretch).limit(missing)).all()
        rows = [row for row, _ in found]
        first_page = page == 1 and not cursor
        total = found[0][1] if found else 0 if first_page else db.session.scalar(count) or 0
        more, rows = len(rows) > limit, rows[:limit]
        pagination: dict[str, Any] = {
            "page": page,
            "limit": limit,
            "total": min(total, REACH),
            "pages": -(-min(total, REACH) // limit),
        }
        if total > REACH:
            pagination["total_capped"] = True
        if more:
            pagination["next_cursor"] = _write_cursor(rows[-1], whose, keys)
        return Page(rows, pagination)

    def _sort_keys(self, text: str) -> list[tuple[Column, bool]]:
        keys: dict[str, tuple[Column, bool]] = {}
        for part in text.split(","):
            name = part.strip().removeprefix("-")
            if name not in self.sorts or name in keys:
                raise ValidationFailed.of("sort", f"Choose from: {', '.join(self.sorts)}.", "UNKNOWN_SORT")
            keys[name] = (self.sorts[name], part.strip().startswith("-"))
        last_down = next(reversed(keys.values()))[1]
        return [*keys.values(), (self.key, last_down)]

    def _condition(self, parameter: str, value: Any) -> ColumnElement[bool]:
        name, suffix = self._operators[parameter]
        column = self.filters[name]
        if suffix == "ne":
            return or_(column != value, column.is_(None)) if _nullable(column) else column != value
        if suffix == "in":
            loader = _filter_field(getattr(column.type, "enum_class", None) or column.type.python_type)
            try:
                return column.in_([loader.deserialize(item.strip()) for item in value.split(",")])
            except ValidationError as error:
                raise ValidationFailed.of(parameter, str(error.messages[0])) from error
        if suffix == "contains":
            folded = getattr(column.type, "is_folded", False)
            return (column.contains if folded else column.icontains)(value, autoescape=True)
        condition: ColumnElement[bool] = (
            getattr(column, _ORDERED[suffix])(value) if suffix else column == value
        )
        return condition


def _whose(sort: str) -> bytes:
    """What a cursor is bound to: the caller, the list and its sort."""
    caller = occasion().principal
    return json.dumps([str(caller and caller.user_id), request.path, sort]).encode()


def _write_cursor(row: Any, whose: bytes, keys: list[tuple[Column, bool]]) -> str:
    body = json.dumps(
        [_plain(getattr(row, column.key)) for column, _ in keys], separators=(",", ":")
    ).encode()
    return base64.urlsafe_b64encode(_mac(whose, body, current_app.config["SECRET_KEYS"][0]) + body).decode()


def _read_cursor(cursor: str, whose: bytes, keys: list[tuple[Column, bool]]) -> list[Any]:
    refusal = ValidationFailed.of("cursor", "This cursor is not one of this list and sort.", "BAD_CURSOR")
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        raise refusal from None
    mac, body = raw[:16], raw[16:]
    if not any(hmac.compare_digest(mac, _mac(whose, body, key)) for key in current_app.config["SECRET_KEYS"]):
        raise refusal
    return [_typed(value, column) for value, (column, _) in zip(json.loads(body), keys, strict=True)]


def _nullable(column: Column) -> bool:
    return bool(getattr(column.property.columns[0], "nullable", False))


def _order(column: Column, down: bool) -> ColumnElement[Any]:
    """NULL counts as the greatest value, as it does in a PostgreSQL index."""
    if not _nullable(column):
        return column.desc() if down else column.asc()
    return column.desc().nulls_first() if down else column.asc().nulls_last()


def _stretches(keys: list[tuple[Column, bool]], values: list[Any]) -> list[ColumnElement[bool]]:
    """Rows that come after these values in the order of ``keys``, as one or two stretches of an index.

    A condition on the first key alone lets an index begin there instead of passing by all rows
    before; rows on the other side of the border between values and NULL are a stretch of their own.
    """
    alternatives = []
    equal: list[ColumnElement[bool]] = []
    for (column, down), value in zip(keys, values, strict=True):
        alternatives.append(and_(*equal, _beyond(column, down, value)))
        equal.append(column.is_(None) if value is None else column == value)
    after = or_(*alternatives)
    (column, down), value = keys[0], values[0]
    if value is None:
        beyond_border = [column.is_not(None)] if down else []
        return [and_(column.is_(None), after), *beyond_border]
    beyond_border = [column.is_(None)] if _nullable(column) and not down else []
    return [and_(column <= value if down else column >= value, after), *beyond_border]


def _beyond(column: Column, down: bool, value: Any) -> ColumnElement[bool]:
    if value is None:
        return column.is_not(None) if down else false()
    beyond: ColumnElement[bool] = column < value if down else column > value
    return or_(beyond, column.is_(None)) if _nullable(column) and not down else beyond


def _mac(whose: bytes, body: bytes, key: str) -> bytes:
    # JSON holds no NUL: the two parts cannot be shifted against each other.
    return hmac.digest(key.encode(), b"cursor\0" + whose + b"\0" + body, hashlib.sha256)[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return str(value) if isinstance(value, UUID) else value


def _typed(value: Any, column: Column) -> Any:
    kind = column.type.python_type
    if value is None:
        return None
    if issubclass(kind, datetime):
        return datetime.fromisoformat(value)
    return UUID(value) if issubclass(kind, UUID) else value
