from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

import pytest
from marshmallow import Schema, post_dump

from devforge_api.core import fields
from devforge_api.core.examples import example_of
from devforge_api.core.schemas import BaseSchema
from tests.core.own_schemas import own_schemas


class Level(StrEnum):
    LOW = "low"


class PartSchema(BaseSchema):
    id = fields.UUID()
    at = fields.Timestamp()


class WholeSchema(BaseSchema):
    text = fields.Text()
    renamed = fields.Text(data_key="outside", attribute="inside")
    deep = fields.Text(attribute="part.label")
    flag = fields.Bool()
    count = fields.Int()
    level = fields.Enum(Level, by_value=True)
    named = fields.Enum(Level)
    part = fields.Nested(PartSchema)
    parts = fields.List(fields.Nested(PartSchema))
    many = fields.Nested(PartSchema, many=True)
    some = fields.Nested(PartSchema(only=["id"]))
    computed = fields.Method("compute")
    absent = fields.Text()
    fallback = fields.Int(dump_default=7)
    free = fields.JsonObject()
    hidden = fields.Text(load_only=True)

    def compute(self, obj):
        return "computed"


class Thing:
    def __init__(self, **values):
        vars(self).update(values)


def part(**more):
    return {"id": uuid4(), "at": datetime(2026, 1, 2, 3, 4, 5, 600, UTC), **more}


def values():
    return {
        "text": "text", "inside": "inside", "flag": False, "count": 3, "level": Level.LOW,
        "named": Level.LOW, "part": part(label="deep"), "parts": [part(), part()], "many": [part()],
        "some": part(), "free": {"a": [1]}, "hidden": "secret",
    }  # fmt: skip


NOTHING = dict.fromkeys(values())


@pytest.mark.parametrize("given", [values(), NOTHING, {}], ids=["full", "nulls", "empty"])
@pytest.mark.parametrize("kind", [dict, lambda given: Thing(**given)], ids=["mapping", "object"])
def test_a_compiled_schema_writes_what_marshmallow_writes(given, kind):
    schema = WholeSchema()
    expected = Schema.dump(schema, kind(given))
    assert schema.dump(kind(given)) == expected
    assert schema.dump([kind(given)] * 2, many=True) == [expected] * 2
    assert WholeSchema(only=["text", "part.id"]).dump(values()).keys() == {"text", "part"}


def test_dump_hooks_are_marshmallows_own_affair():
    class Hooked(BaseSchema):
        text = fields.Text()

        @post_dump
        def shout(self, data, **_):
            return {name: value.upper() for name, value in data.items()}

    class Outer(BaseSchema):
        inner = fields.Nested(Hooked)

    assert Hooked().dump({"text": "quiet"}) == {"text": "QUIET"}
    assert Outer().dump({"inner": {"text": "quiet"}}) == {"inner": {"text": "QUIET"}}


@pytest.mark.parametrize("kind", own_schemas(), ids=lambda kind: kind.__name__)
def test_every_schema_of_the_project_is_written_the_same_both_ways(kind):
    """On the documented example, read as far as it can be, so that values have their own types."""
    schema = kind()
    example = example_of(schema)
    typed = {
        name: example[name]
        if isinstance(getattr(field, "inner", field), fields.Nested)  # its ids are only told, not read
        else field.deserialize(example[name])
        for name, field in schema.dump_fields.items()
        if name in example and not isinstance(field, fields.Method)
    }
    for given in (example, typed):
        results = []
        for write in (schema.dump, lambda obj: Schema.dump(schema, obj)):
            try:
                results.append(write(given))
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                results.append(type(error))  # an example is text where an object is expected
        assert results[0] == results[1]
