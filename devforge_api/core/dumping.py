"""Marshmallow's output, by a function made once for each schema.

Marshmallow asks for every value of every object again how it is got and written. For a schema
without dump hooks that is known beforehand; the result is the same, which a test holds for every
schema (tests/core/test_dumping.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from marshmallow import Schema, missing
from marshmallow.decorators import POST_DUMP, PRE_DUMP

from devforge_api.core import fields
from devforge_api.core.clock import rfc3339

Write = Callable[[Any], Any]


def compile_dump(schema: Schema) -> Write | None:
    """How one object is written; None where hooks may do anything."""
    if schema._hooks[PRE_DUMP] or schema._hooks[POST_DUMP]:
        return None
    steps = [_step(name, field) for name, field in schema.dump_fields.items()]

    def dump(obj: Any) -> dict[str, Any]:
        written = {}
        mapping = type(obj) is dict or isinstance(obj, Mapping)
        for key, name, attribute, write, ordinary in steps:
            value: Any = missing
            if write is not None:
                value = obj.get(attribute, missing) if mapping else getattr(obj, attribute, missing)
            if value is missing or write is None:
                value = ordinary(name, obj)
            elif value is not None:
                value = write(value)
            if value is not missing:
                written[key] = value
        return written

    return dump


def _step(name: str, field: fields.Field[Any]) -> tuple[str, str, str, Write | None, Callable[..., Any]]:
    key = name if field.data_key is None else field.data_key
    attribute = name if field.attribute is None else field.attribute
    write = None if "." in attribute else _writer(field)
    return key, name, attribute, write, field.serialize


def _writer(field: fields.Field[Any]) -> Write | None:
    """How a value of this field, neither missing nor None, is written; None: as marshmallow does."""
    if isinstance(field, fields.Nested):
        one = compile_dump(field.schema)
        if one is None or not (field.many or field.schema.many):
            return one
        return lambda values: [one(value) for value in values]
    if type(field) is fields.List:
        item = _writer(field.inner)
        return item and (lambda values: [None if value is None else item(value) for value in values])
    if isinstance(field, fields.Enum) and field.by_value:
        return attrgetter("value")
    return _WRITERS.get(type(field))


def _as_it_is(value: Any) -> Any:
    return value


_WRITERS: dict[type[fields.Field[Any]], Write] = {
    **dict.fromkeys(
        (fields.String, fields.Text, fields.Code, fields.Locale, fields.Email, fields.Url, fields.UUID), str
    ),
    fields.Boolean: _as_it_is,
    fields.Bool: _as_it_is,
    fields.Int: int,
    fields.JsonObject: dict,
    fields.Timestamp: rfc3339,
}
