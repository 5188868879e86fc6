"""What notifications, and tickets of streams, look like on the wire."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from marshmallow import ValidationError, validate, validates_schema

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, ResourceSchema
from devforge_api.notifications import catalogue
from devforge_api.notifications.models import Channel, Kind, Notification
from devforge_api.notifications.words import Text

EXAMPLE_ID = "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"
EXAMPLE_POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
MOMENT = "2026-01-15T09:30:00Z"


class LinkSchema(BaseSchema):
    """Where the app should go: a resource of this API."""

    type = fields.String(required=True, metadata={"example": "license"})
    id = fields.String(required=True, metadata={"example": EXAMPLE_ID})


def _words(row: Notification) -> Text:
    return catalogue.words_of(row, row.locale)


def _link(row: Notification) -> dict[str, str] | None:
    link = catalogue.link_of(row)
    return None if link is None else {"type": link.type, "id": link.id}


class NotificationSchema(ResourceSchema):
    """What a user is told. Title and body are in the language of the profile's locale."""

    kind = fields.Enum(Kind, by_value=True, dump_only=True, metadata={"example": "licenses"})
    event = fields.String(dump_only=True, metadata={"example": "license.expired"})
    title = fields.Function(
        lambda row: _words(row).title,
        metadata={"type": "string", "example": "Your licence for Dev Forge has expired"},
    )
    body = fields.Function(
        lambda row: _words(row).body,
        metadata={
            "type": "string",
            "example": "Your licence for Dev Forge (pro) has expired. Renew it to go on.",
        },
    )
    link = fields.Function(
        _link,
        metadata={
            "type": ["object", "null"],
            "description": "What it is about: `type` and `id` of a resource.",
            "example": {"type": "license", "id": EXAMPLE_ID},
        },
    )
    data = fields.Raw(
        dump_only=True,
        metadata={
            "type": "object",
            "description": "The facts, the ids first.",
            "example": {"license_id": EXAMPLE_ID, "status": "expired"},
        },
    )
    read = fields.Function(
        lambda row: row.read_at is not None, metadata={"type": "boolean", "example": False}
    )
    read_at = fields.Timestamp(dump_only=True, allow_none=True, metadata={"example": None})
    created_at = fields.Timestamp(dump_only=True, metadata={"example": MOMENT})


class MarkSchema(BaseSchema):
    """Which notifications are read now, or unread again: some by their ids, or all."""

    ids = fields.List(
        fields.UUID(),
        validate=validate.Length(min=1, max=100),
        load_default=None,
        metadata={"example": [EXAMPLE_ID]},
    )
    all = fields.Bool(load_default=False, metadata={"description": "Instead of `ids`: every one."})
    before = fields.Timestamp(
        load_default=None,
        allow_none=True,
        metadata={"description": "With `all`: those of later stay unread, as they may not have been seen."},
    )
    read = fields.Bool(
        load_default=True, metadata={"description": "`false`, with `ids`: they are unread again."}
    )

    @validates_schema
    def _one_way(self, data: dict[str, Any], **_: Any) -> None:
        if data["all"] == (data["ids"] is not None):
            raise ValidationError("Give either ids or all.", "ids")
        if data["all"] and not data["read"]:
            raise ValidationError("Only some can become unread, by their ids.", "read")
        if data["before"] is not None and not data["all"]:
            raise ValidationError("Goes with all.", "before")


class UnreadSchema(BaseSchema):
    """The number of a badge."""

    unread = fields.Int(required=True, metadata={"example": 3})


class MarkedSchema(UnreadSchema):
    """What was changed."""

    changed = fields.Int(required=True, metadata={"description": "How many.", "example": 1})


class ChannelsSchema(BaseSchema):
    """One kind of notification: by which channels it goes out."""

    in_app = fields.Bool(metadata={"example": True})
    mail = fields.Bool(metadata={"example": False})
    push = fields.Bool(metadata={"example": True})


assert set(ChannelsSchema._declared_fields) == {channel.value for channel in Channel}

_FIRST = {kind.value: fields.Nested(ChannelsSchema, metadata={"example": {"push": True}}) for kind in Kind}
TableSchema: Any = BaseSchema.from_dict(dict(_FIRST), name="NotificationChannels")


class PreferencesSchema(TableSchema):  # type: ignore[misc]
    """What somebody wants to be told by which channel, by kind."""

    defaults = fields.Nested(
        TableSchema, dump_only=True, metadata={"description": "What holds where nothing is chosen."}
    )
    fixed = fields.Nested(
        TableSchema, dump_only=True, metadata={"description": "`true` where nobody can choose."}
    )


class PushKeySchema(BaseSchema):
    """The server's key for Web Push."""

    public_key = fields.String(
        required=True,
        metadata={
            "description": "`applicationServerKey` of `PushManager.subscribe`, in base64url.",
            "example": EXAMPLE_POINT,
        },
    )


class _Binary(fields.Text):
    """Bytes in base64url, with or without padding."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max=200, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs).rstrip("=")
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValidationError("Not base64url.") from None
        self.check(raw)
        return str(text)

    def check(self, raw: bytes) -> None:
        """:raises ValidationError: these bytes are not what is wanted."""


class _Point(_Binary):
    def check(self, raw: bytes) -> None:
        try:
            if len(raw) != 65:
                raise ValueError
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
        except ValueError:
            raise ValidationError("Not an uncompressed point of P-256.") from None


class _Secret(_Binary):
    def check(self, raw: bytes) -> None:
        if len(raw) != 16:
            raise ValidationError("Not 16 bytes.")


class PushKeysSchema(BaseSchema):
    """The browser's keys (RFC 8291)."""

    p256dh = _Point(
        required=True,
        metadata={"example": EXAMPLE_POINT},
    )
    auth = _Secret(required=True, metadata={"example": "BTBZMqHH6r4Tts7J_aSIgg"})


class PushSubscriptionCreateSchema(BaseSchema):
    """A browser's ``PushSubscription``, as its ``toJSON()`` gives it."""

    endpoint = fields.Url(required=True, metadata={"example": "https://push.example.net/v2/gAAAAABf"})
    keys = fields.Nested(PushKeysSchema, required=True)
    expiration_time = fields.Raw(
        data_key="expirationTime",
        load_only=True,
        allow_none=True,
        metadata={
            "type": "number",
            "description": "The browser's word, ignored: its push service tells.",
        },
    )


class PushSubscriptionSchema(ResourceSchema):
    """A browser that takes push messages. Its address is told to nobody."""

    user_agent = fields.String(
        dump_only=True, allow_none=True, metadata={"example": "Mozilla/5.0 (X11; Linux x86_64) Firefox/146.0"}
    )
    endpoint_hash = fields.String(
        dump_only=True,
        metadata={
            "description": "SHA-256 of the endpoint's address, in hexadecimal digits.",
            "example": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    )
    last_delivered_at = fields.Timestamp(dump_only=True, allow_none=True, metadata={"example": MOMENT})
    created_at = fields.Timestamp(dump_only=True, metadata={"example": MOMENT})
    updated_at = fields.Timestamp(dump_only=True, metadata={"example": MOMENT})


_TICKET = "J7mXkq0vB3yTz5Ls2WcRfUe8hNdPaGi4"


class TicketSchema(BaseSchema):
    """A ticket: this answer is the only one that shows it."""

    ticket = fields.String(metadata={"example": _TICKET})
    expires_at = fields.Timestamp(metadata={"example": "2026-01-15T09:31:00Z"})
    stream_url = fields.String(
        metadata={
            "description": "Server-sent events.",
            "example": f"http://127.0.0.1:8001/api/v1/realtime/stream?ticket={_TICKET}",
        }
    )
    ws_url = fields.String(
        metadata={"description": "WebSocket.", "example": f"ws://127.0.0.1:8001/ws?ticket={_TICKET}"}
    )


class StreamQuery(BaseSchema):
    """With what a stream is opened."""

    ticket = fields.Text(max=100, metadata={"description": "Instead of a token; works once."})
    last_event_id = fields.Text(
        max=100,
        metadata={
            "description": "The last id that was read: what came after it is sent first. "
            "The header `Last-Event-ID` says the same, and counts where both are sent.",
            "example": "41",
        },
    )
