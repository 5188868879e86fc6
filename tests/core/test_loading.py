import pytest
from marshmallow import INCLUDE, Schema, ValidationError, post_load, validates_schema

from devforge_api.core import fields
from devforge_api.core.examples import example_of
from devforge_api.core.schemas import BaseSchema
from tests.core.own_schemas import own_schemas


def both_ways(schema, data):
    """What comes out of ours and of marshmallow's own, errors included."""
    found = []
    for load in (schema.load, lambda given: Schema.load(schema, given)):
        try:
            found.append(load(data))
        except ValidationError as error:
            found.append(error.normalized_messages())
    return found


STRANGE = [None, "", "x", "x" * 5000, "a\0b", 0, -1, 1.5, True, [], ["x"], [None], {}, {"a": 1}]


@pytest.mark.parametrize("kind", own_schemas(), ids=lambda kind: kind.__name__)
def test_every_schema_of_the_project_reads_the_same_both_ways(kind):
    schema = kind()
    example = dict(example_of(schema, loading=True))
    cases = [example, {}, {**example, "unknown": 1}, [], None, "text", 7]
    for name in schema.load_fields:
        cases.append({key: value for key, value in example.items() if key != name})
        cases.extend({**example, name: strange} for strange in STRANGE)
    for case in cases:
        ours, marshmallows = both_ways(schema, case)
        assert ours == marshmallows, case


def test_hooks_and_leniency_are_marshmallows_own_affair():
    class Hooked(BaseSchema):
        text = fields.Text()

        @post_load
        def shout(self, data, **_):
            return {name: value.upper() for name, value in data.items()}

    class Checked(BaseSchema):
        text = fields.Text()

        @validates_schema
        def never(self, data, **_):
            raise ValidationError("never", "text")

    class Lenient(BaseSchema):
        class Meta:
            unknown = INCLUDE

        text = fields.Text()

    assert Hooked().load({"text": "quiet"}) == {"text": "QUIET"}
    with pytest.raises(ValidationError):
        Checked().load({"text": "quiet"})
    assert Lenient().load({"text": "quiet", "more": 1}) == {"text": "quiet", "more": 1}
    assert Hooked(partial=True).load({}) == {}
