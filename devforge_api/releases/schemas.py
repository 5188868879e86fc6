"""Releases on the wire."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import ValidationError

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema
from devforge_api.releases.models import ReleaseStatus

MOMENT: Any = {"metadata": {"example": "2026-01-15T09:30:00Z"}}


class Version(fields.Text):
    """A version as its maker writes it: up to 64 letters, digits and ``. _ + ~ -``; compared as text."""

    PATTERN = "^[0-9A-Za-z][0-9A-Za-z._+~-]*$"  # for the documentation, in JavaScript's dialect

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": self.PATTERN, "example": "1.4.0", **kwargs.pop("metadata", {})}
        super().__init__(max=64, validate=[self._check], metadata=metadata, **kwargs)

    def _check(self, value: str) -> None:
        if not re.fullmatch(self.PATTERN.strip("^$"), value):
            raise ValidationError("Only letters, digits and . _ + ~ - are possible, a letter or digit first.")


class ReleaseSchema(EditableSchema):
    """A version of a product; what it is published and withdrawn by are deeds of their own."""

    product_id = fields.UUID(required=True, metadata={"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"})
    version = Version(required=True)
    status = fields.Enum(ReleaseStatus, by_value=True, dump_only=True, metadata={"example": "published"})
    published_at = fields.Timestamp(
        dump_only=True, allow_none=True, metadata={"description": "Null: a draft.", **MOMENT["metadata"]}
    )
    yank_reason = fields.Text(max=1000, dump_only=True, allow_none=True, metadata={"example": None})
    metadata = fields.JsonObject(
        attribute="metadata_",
        load_default=dict,
        metadata={"description": "Your own JSON, up to 16 KiB.", "example": {"commit": "9fceb02"}},
    )


class PublishSchema(BaseSchema):
    """Since when a release counts as published."""

    published_at = fields.Timestamp(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Default: now. May lie ahead: until then it is not there.",
            **MOMENT["metadata"],
        },
    )


class YankSchema(BaseSchema):
    """Why a release is withdrawn."""

    reason = fields.Text(
        max=1000, load_default=None, allow_none=True, metadata={"example": "Loses unsaved files."}
    )
