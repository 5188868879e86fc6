"""How files look on the wire."""

from typing import Any

from marshmallow import validate

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema
from devforge_api.files.models import VARIANTS, FileStatus, Purpose

SHOWN: Any = {"dump_only": True}
TYPE: Any = {"metadata": {"description": "By its bytes, whatever was said of it.", "example": "image/png"}}
LINK: Any = {
    "metadata": {
        "description": "For whoever has it, for five minutes.",
        "example": "https://api.example.com/api/v1/files/content?link=AbC",
    }
}


class VariantSchema(BaseSchema):
    """A smaller picture of a file."""

    name = fields.Text(metadata={"example": "small"}, **SHOWN)
    media_type = fields.Text(**SHOWN, **TYPE)
    size = fields.Int(metadata={"description": "Bytes.", "example": 5210}, **SHOWN)
    width = fields.Int(metadata={"description": "Pixels.", "example": 128}, **SHOWN)
    height = fields.Int(metadata={"example": 96}, **SHOWN)


class VariantLinkSchema(VariantSchema):
    """A smaller picture, and where to get it."""

    content_url = fields.Url(**SHOWN, **LINK)


class FileSchema(EditableSchema):
    """An uploaded file."""

    name = fields.Text(metadata={"example": "plan.png"}, **SHOWN)
    purpose = fields.Enum(Purpose, by_value=True, metadata={"example": "attachment"}, **SHOWN)
    status = fields.Enum(FileStatus, by_value=True, metadata={"example": "available"}, **SHOWN)
    reason = fields.Text(
        allow_none=True,
        metadata={"description": "Why it is quarantined.", "example": None},
        **SHOWN,
    )
    media_type = fields.Text(**SHOWN, **TYPE)
    size = fields.Int(metadata={"description": "Bytes.", "example": 48213}, **SHOWN)
    counted_size = fields.Int(
        metadata={"description": "Bytes that were sent, which count for the quota.", "example": 51007},
        **SHOWN,
    )
    sha256 = fields.Text(
        metadata={
            "description": "Of the content as it is kept, in hex.",
            "example": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
        **SHOWN,
    )
    width = fields.Int(
        allow_none=True, metadata={"description": "Pixels, of a picture.", "example": 1280}, **SHOWN
    )
    height = fields.Int(allow_none=True, metadata={"example": 960}, **SHOWN)
    variants = fields.List(fields.Nested(VariantSchema), **SHOWN)


class FileWithLinksSchema(FileSchema):
    """An uploaded file, and where to get it."""

    content_url = fields.Url(allow_none=True, **SHOWN, **LINK)
    links_end_at = fields.Timestamp(allow_none=True, metadata={"example": "2026-01-15T09:35:00Z"}, **SHOWN)
    variants = fields.List(fields.Nested(VariantLinkSchema), **SHOWN)


class AvatarSchema(BaseSchema):
    """A user's picture of themselves."""

    id = fields.UUID(metadata={"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}, **SHOWN)
    status = fields.Enum(FileStatus, by_value=True, metadata={"example": "available"}, **SHOWN)
    avatar_url = fields.Url(
        metadata={
            "description": "For everybody, once it is available.",
            "example": "https://api.example.com/api/v1/files/avatars/0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d",
        },
        **SHOWN,
    )
    small_url = fields.Url(
        metadata={
            "description": "A square of 128 pixels; `medium_url` leads to one of 512.",
            "example": "https://api.example.com/api/v1/files/avatars/0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d?variant=small",
        },
        **SHOWN,
    )
    medium_url = fields.Url(
        metadata={
            "example": "https://api.example.com/api/v1/files/avatars/0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d?variant=medium"
        },
        **SHOWN,
    )


class VariantQuerySchema(BaseSchema):
    """Which picture of a file."""

    variant = fields.String(
        validate=validate.OneOf(list(VARIANTS)),
        metadata={"description": "Without it: the file itself.", "example": "small"},
    )


class LinkQuerySchema(BaseSchema):
    """A link of ours."""

    link = fields.Text(required=True, max=500, metadata={"description": "Made by `GET /files/{id}`."})
