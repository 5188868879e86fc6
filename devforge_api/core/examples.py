"""Examples for the documentation, made from the fields' own."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, missing


def example_of(schema: Schema, *, loading: bool = False) -> Any:
    """An example of what a schema loads or dumps, from ``metadata["example"]`` of its fields.

    :param loading: as a request body (without read-only fields), else as an answer.
    """
    shown = schema.load_fields if loading else schema.dump_fields
    example = {}
    for name, field in shown.items():
        value = _example(field, loading=loading)
        if value is not missing:
            example[field.data_key or name] = value
    return [example] if schema.many else example


def _example(field: fields.Field[Any], *, loading: bool) -> Any:
    if "example" in field.metadata:
        return field.metadata["example"]
    if isinstance(field, fields.Nested):
        nested = field.schema
        example = example_of(nested, loading=loading)
        return [example] if field.many and not nested.many else example
    if isinstance(field, fields.List):
        inner = _example(field.inner, loading=loading)
        return missing if inner is missing else [inner]
    return missing
