"""The base of every schema: unknown fields are refused, and so is text that cannot be stored."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, pre_load

from devforge_api.core import fields
from devforge_api.core.dumping import Write, compile_dump
from devforge_api.core.loading import Read, Refused, compile_load


class BaseSchema(Schema):
    """Strict by default; fields come out in the order in which they are declared."""

    class Meta:
        """Unknown fields are refused (mass assignment)."""

        unknown = RAISE

    @cached_property
    def _write(self) -> Write | None:
        return compile_dump(self)

    @cached_property
    def _read(self) -> Read | None:
        return compile_load(self)

    def load(self, data: Any, *, many: bool | None = None, **options: Any) -> Any:
        """What marshmallow reads, faster while all is well."""
        if self._read is not None and many is None and not self.many and not options:
            try:
                return self._read(data)
            except Refused:
                pass  # marshmallow tells why
        return super().load(data, many=many, **options)

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """What marshmallow writes, faster."""
        write = self._write
        if write is None:
            return super().dump(obj, many=many)
        if self.many if many is None else many:
            return [write(item) for item in obj]
        return write(obj)

    @pre_load
    def _refuse_nul(self, data: Any, **_: Any) -> Any:
        """Query strings may hold ``%00``; bodies were checked when they were read."""
        if isinstance(data, dict):
            for name, value in data.items():
                if isinstance(value, str) and "\0" in value:
                    raise ValidationError({name: ["Must not hold a NUL character."]})
        return data


class EmptySchema(BaseSchema):
    """A body without fields: ``{}``."""


class ResourceSchema(BaseSchema):
    """What every stored resource shows first."""

    id = fields.UUID(
        dump_only=True, metadata={"description": "UUIDv7.", "example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}
    )


class EditableSchema(ResourceSchema):
    """A resource that can be edited, and when it was."""

    created_at = fields.Timestamp(dump_only=True, metadata={"example": "2026-01-15T09:30:00Z"})
    updated_at = fields.Timestamp(dump_only=True, metadata={"example": "2026-01-15T09:30:00Z"})


class ErrorDetailSchema(BaseSchema):
    """One invalid field."""

    field = fields.String(required=True, metadata={"example": "email"})
    code = fields.String(required=True, metadata={"example": "INVALID"})
    message = fields.String(required=True, metadata={"example": "Not a valid email address."})


class ErrorBodySchema(BaseSchema):
    """What went wrong."""

    code = fields.String(
        required=True, metadata={"description": "Stable, in capitals.", "example": "NOT_FOUND"}
    )
    message = fields.String(required=True, metadata={"example": "There is no such resource."})
    field = fields.String(metadata={"description": "The first invalid field.", "example": "email"})
    details = fields.List(fields.Nested(ErrorDetailSchema), metadata={"description": "Every invalid field."})
    params = fields.Raw(metadata={"type": "object", "description": "The facts of a refusal."})
    request_id = fields.String(required=True, metadata={"example": "0199f0a07c1e7a548d3f6f1f3d1b2c4d"})


class ErrorSchema(BaseSchema):
    """The envelope of every refusal."""

    success = fields.Constant(False, required=True)
    error = fields.Nested(ErrorBodySchema, required=True)


class PaginationSchema(BaseSchema):
    """Where in the list this page stands."""

    page = fields.Int(required=True, metadata={"example": 1})
    limit = fields.Int(required=True, metadata={"example": 20})
    total = fields.Int(required=True, metadata={"description": "Exact up to 10,000.", "example": 1})
    pages = fields.Int(required=True, metadata={"example": 1})
    total_capped = fields.Bool(metadata={"description": "There are more than 10,000."})
    next_cursor = fields.String(metadata={"description": "Goes on after this page."})
