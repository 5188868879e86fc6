"""How tokens for tools, and the accounts that hold them, look on the wire."""

from __future__ import annotations

from typing import Any

from marshmallow import validate

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema, ResourceSchema

MOST_SCOPES = 64
ID_EXAMPLE = "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"
SCOPES: Any = {
    "validate": validate.Length(min=1, max=MOST_SCOPES),
    "metadata": {"example": ["profile:read", "licenses:read"]},
}


class AccessTokenSchema(ResourceSchema):
    """A personal access token, as its owner sees it later."""

    name = fields.Text(metadata={"example": "Build server"})
    scopes = fields.List(fields.Text(), metadata={"example": ["profile:read"]})
    service_account_id = fields.UUID(allow_none=True, metadata={"example": ID_EXAMPLE})
    hint = fields.Text(metadata={"description": "The token's last characters.", "example": "x9Qd"})
    expires_at = fields.Timestamp(metadata={"example": "2026-04-15T09:30:00Z"})
    last_used_at = fields.Timestamp(
        allow_none=True,
        metadata={"description": "To about a minute.", "example": "2026-01-15T09:30:00Z"},
    )
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})


class AccessTokenMadeSchema(AccessTokenSchema):
    """The same, and the token itself: this answer is the only one that shows it."""

    token = fields.String(metadata={"example": "dfp_4mKp0Zr8XcQ2vT6yB1nHs5Wj9LdGf3Ua2bTzd7"})


class ServiceTokenCreateSchema(BaseSchema):
    """A token for a service account; without scopes it gets all that the account has."""

    name = fields.Text(max=100, required=True, metadata={"example": "Build server"})
    scopes = fields.List(fields.Text(max=64), allow_none=True, load_default=None, **SCOPES)
    expires_in_days = fields.Int(min=1, max=365, load_default=90, metadata={"example": 90})


class AccessTokenCreateSchema(ServiceTokenCreateSchema):
    """A token for a tool of one's own."""

    scopes = fields.List(fields.Text(max=64), required=True, **SCOPES)


class ServiceAccountSchema(EditableSchema):
    """A machine or an agent that acts for its owner, with these scopes at most."""

    name = fields.Text(max=100, required=True, metadata={"example": "Nightly builds"})
    description = fields.Text(
        max=500, allow_none=True, load_default=None, metadata={"example": "Signs what CI has built."}
    )
    scopes = fields.List(fields.Text(max=64), required=True, **SCOPES)
    enabled = fields.Bool(
        load_default=True, metadata={"description": "Disabling ends its tokens for good.", "example": True}
    )
