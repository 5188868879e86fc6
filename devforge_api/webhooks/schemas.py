"""Webhooks on the wire."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validate, validates_schema

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema, ResourceSchema
from devforge_api.webhooks.models import Audience, DeliveryStatus, DisabledReason, EndpointStatus

SOME_ID: Any = {"metadata": {"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}}
MOST_EVENTS = 100


def moment(description: str, example: str | None = "2026-01-15T09:30:00Z") -> fields.Timestamp:
    """When something was, or is to be."""
    return fields.Timestamp(
        dump_only=True, allow_none=True, metadata={"description": description, "example": example}
    )


class EndpointSchema(EditableSchema):
    """An address to which news is sent."""

    url = fields.Url(
        required=True,
        metadata={
            "description": "https, at public addresses alone; port 443, or one from 1024 on.",
            "example": "https://example.com/hooks/dev-forge",
        },
    )
    description = fields.Filled(
        max=255, allow_none=True, load_default=None, metadata={"example": "Tells the team's chat."}
    )
    events = fields.List(
        fields.Text(max=64),
        load_default=list,
        validate=validate.Length(max=MOST_EVENTS),
        metadata={
            "description": "Names of news, or of all of a kind such as `license.*`. None: everything.",
            "example": ["license.*"],
        },
    )
    audience = fields.Enum(
        Audience,
        by_value=True,
        load_default=Audience.OWN,
        metadata={"description": "Whose news: your `own`, or `everybody`'s (admins).", "example": "own"},
    )
    status = fields.Enum(
        EndpointStatus,
        by_value=True,
        load_default=EndpointStatus.ENABLED,
        metadata={"description": "`disabled`: nothing is sent.", "example": "enabled"},
    )
    disabled_reason = fields.Enum(
        DisabledReason, by_value=True, dump_only=True, allow_none=True, metadata={"example": None}
    )
    disabled_at = moment("Since when nothing is sent.", None)
    failing_since = moment("Since when no attempt has succeeded.", None)
    resting_until = moment("It was slow, or has asked for it: no attempt is made before.", None)
    previous_secret_until = moment("Until when the secret before the last rotation signs as well.", None)


class EndpointMadeSchema(EndpointSchema):
    """The same, and its secret: this answer is the only one that shows it."""

    secret = fields.String(
        dump_only=True,
        metadata={
            "description": "What verifies our signatures (Standard Webhooks).",
            "example": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwLzWqzkXkqkU=",
        },
    )


class RotationSchema(BaseSchema):
    """Another secret for an endpoint."""

    keep_previous_hours = fields.Int(
        max=168,
        load_default=24,
        metadata={"description": "For so long the present secret signs as well.", "example": 24},
    )


class ReplaySchema(BaseSchema):
    """What is to be sent again: one delivery, or those of a time."""

    delivery_id = fields.UUID(metadata={"description": "One delivery, whatever became of it."})
    since = fields.Timestamp(
        metadata={"description": "Those made from this moment on.", "example": "2026-01-15T09:30:00Z"}
    )
    until = fields.Timestamp(metadata={"description": "And before this one. Default: now."})
    status = fields.String(
        validate=validate.OneOf(["failed", "all"]),
        load_default="failed",
        metadata={"description": "Of a time: what was given up, or everything.", "example": "failed"},
    )

    @validates_schema
    def _check(self, data: dict[str, Any], **_: Any) -> None:
        if ("delivery_id" in data) == ("since" in data):
            raise ValidationError("Give either delivery_id or since.", "since")
        if "delivery_id" in data and "until" in data:
            raise ValidationError("Goes with since.", "until")


class ReplayedSchema(BaseSchema):
    """How many are sent again."""

    replayed = fields.Int(metadata={"description": "At most 1,000 in one call.", "example": 3})
    next_since = moment("Where a further call goes on; null: that was all.", None)


class DeliverySchema(ResourceSchema):
    """A message on its way to one endpoint."""

    message_id = fields.UUID(metadata={"description": "The `webhook-id`.", **SOME_ID["metadata"]})
    endpoint_id = fields.UUID(**SOME_ID)
    event = fields.Text(metadata={"example": "license.renewed"})
    status = fields.Enum(DeliveryStatus, by_value=True, metadata={"example": "delivered"})
    attempts = fields.Int(metadata={"description": "Since it was made, or replayed.", "example": 1})
    response_status = fields.Int(
        allow_none=True, metadata={"description": "Of the last attempt.", "example": 204}
    )
    error = fields.Text(
        allow_none=True,
        metadata={"description": "Why the last attempt has failed; see the docs.", "example": None},
    )
    next_attempt_at = moment("Null while `pending`: it waits until its endpoint goes on.", None)
    delivered_at = moment("When it was taken.")
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})


class AttemptSchema(ResourceSchema):
    """One call to an endpoint."""

    response_status = fields.Int(allow_none=True, metadata={"example": 204})
    error = fields.Text(allow_none=True, metadata={"example": None})
    duration_ms = fields.Int(metadata={"example": 87})
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})


class LoggedDeliverySchema(DeliverySchema):
    """The same, and its attempts from the first one on, those before a replay too."""

    log = fields.List(fields.Nested(AttemptSchema))
