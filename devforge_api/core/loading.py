"""Marshmallow's input, by a function made once for each schema, as long as all is well.

What is refused is loaded again by marshmallow itself, which knows every error's words. What is
accepted comes out the same either way, which a test holds for every schema
(tests/core/test_loading.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, missing, validate
from marshmallow.decorators import POST_LOAD, PRE_LOAD, VALIDATES, VALIDATES_SCHEMA

from devforge_api.core import fields

Read = Callable[[Any], Any]
NUL_HOOK = "_refuse_nul"  # of BaseSchema; the same is done here


class Refused(Exception):
    """Marshmallow has to say why."""


def compile_load(schema: Schema) -> Read | None:
    """How an accepted object is read; None where hooks may do anything."""
    hooks = schema._hooks
    if hooks[POST_LOAD] or hooks[VALIDATES] or hooks[VALIDATES_SCHEMA] or schema.unknown != RAISE:
        return None
    if {name for name, *_ in hooks[PRE_LOAD]} - {NUL_HOOK} or schema.partial:
        return None
    steps = []
    for name, field in schema.load_fields.items():
        attribute = name if field.attribute is None else field.attribute
        if "." in attribute:
            return None
        key = name if field.data_key is None else field.data_key
        steps.append((key, attribute, _reader(field, key), field.required, field.load_default))

    def load(data: Any) -> dict[str, Any]:
        if type(data) is not dict:
            raise Refused
        loaded, known = {}, 0
        for key, attribute, read, required, default in steps:
            value = data.get(key, missing)
            if value is not missing:
                if type(value) is str and "\0" in value:
                    raise Refused
                known += 1
                loaded[attribute] = read(value)
            elif required:
                raise Refused
            elif default is not missing:
                loaded[attribute] = default() if callable(default) else default
        if known != len(data):
            raise Refused  # a name that the schema does not have
        return loaded

    return load


def _reader(field: fields.Field[Any], key: str) -> Read:
    bounds = _bounds(field)
    if bounds is None:
        return lambda value: _by_field(field, key, value)
    least, most = bounds
    filled = isinstance(field, fields.Filled)

    def text(value: Any) -> Any:
        if type(value) is str and least <= len(value) <= most and not (filled and value.isspace()):
            return value
        return _by_field(field, key, value)

    return text


def _by_field(field: fields.Field[Any], key: str, value: Any) -> Any:
    try:
        return field.deserialize(value, key, {key: value})
    except ValidationError:
        raise Refused from None


def _bounds(field: fields.Field[Any]) -> tuple[int, int] | None:
    """Shortest and longest text, of a field that asks for nothing else."""
    if (type(field) is not fields.Text and not isinstance(field, fields.Filled)) or len(
        field.validators
    ) != 1:
        return None
    length = field.validators[0]
    if type(length) is not validate.Length or length.min is None or length.max is None:
        return None
    return length.min, length.max
