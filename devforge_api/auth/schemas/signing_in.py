"""How signing in looks on the wire."""

from typing import Any

from devforge_api.core import fields
from devforge_api.core.context import principal
from devforge_api.core.schemas import BaseSchema, ResourceSchema
from devforge_api.users.schemas import UserSchema as UserSchema  # noqa: PLC0414 - what /auth/me shows

PASSWORD: Any = {"metadata": {"example": "correct horse battery", "format": "password"}}


class RegisterSchema(BaseSchema):
    """A new account."""

    email = fields.Email(required=True, metadata={"example": "ada@example.com"})
    password = fields.Text(max=128, required=True, load_only=True, **PASSWORD)
    name = fields.Text(max=100, allow_none=True, load_default=None, metadata={"example": "Ada Lovelace"})
    locale = fields.Locale(
        allow_none=True,
        load_default=None,
        metadata={"description": "Of letters. Left out: the best of Accept-Language."},
    )
    device_name = fields.Text(
        max=100, allow_none=True, load_default=None, metadata={"example": "Ada's laptop"}
    )

    accepted_terms = fields.Text(
        max=64,
        allow_none=True,
        load_default=None,
        metadata={"description": "The version of the terms, where there are any.", "example": "2026-01"},
    )


class LoginSchema(BaseSchema):
    """An address, its password, and what to call the device."""

    email = fields.Email(required=True, metadata={"example": "ada@example.com"})
    password = fields.Text(max=128, required=True, load_only=True, **PASSWORD)
    device_name = fields.Text(
        max=100, allow_none=True, load_default=None, metadata={"example": "Ada's laptop"}
    )
    device_token = fields.Text(
        max=512,
        allow_none=True,
        load_default=None,
        metadata={
            "description": "Of the last sign-in with this device: strangers then cannot lock it out.",
            "example": "q83vEjRWeJCrze8",
        },
    )


class RefreshSchema(BaseSchema):
    """The refresh token of the last answer."""

    refresh_token = fields.Text(
        max=4096, required=True, metadata={"example": "eyJhbGciOiJFZERTQSJ9.e30.c2ln"}
    )


class LogoutSchema(BaseSchema):
    """For a client whose access token has expired. Signing out succeeds whatever the token is."""

    refresh_token = fields.Text(
        min=0, max=65_536, allow_none=True, metadata={"example": "eyJhbGciOiJFZERTQSJ9.e30.c2ln"}
    )


class TokensSchema(BaseSchema):
    """What a client keeps after signing in."""

    access_token = fields.String(metadata={"example": "eyJhbGciOiJFZERTQSJ9.e30.c2ln"})
    refresh_token = fields.String(metadata={"example": "eyJhbGciOiJFZERTQSJ9.e30.c2ln"})
    token_type = fields.String(metadata={"example": "Bearer"})
    expires_in = fields.Int(metadata={"description": "Seconds, of the access token.", "example": 900})
    user = fields.Nested(UserSchema)


class FirstTokensSchema(TokensSchema):
    """What a client keeps after signing in; the device token even after signing out."""

    device_token = fields.String(
        metadata={
            "description": "Send it with the next sign-in. It admits nobody.",
            "example": "q83vEjRWeJCrze8",
        }
    )


class LoginAnswerSchema(FirstTokensSchema):
    """Tokens; or, where a second factor is asked for, the challenge that it must be sent with."""

    mfa_required = fields.Bool(metadata={"example": False, "description": "Then no tokens come yet."})
    challenge_token = fields.String(metadata={"example": "k3yZ-9hC4nQ1wq0m8r7t"})


class PasswordChangeSchema(BaseSchema):
    """The password of today and that of tomorrow."""

    current_password = fields.Text(max=128, required=True, load_only=True, **PASSWORD)
    new_password = fields.Text(
        max=128,
        required=True,
        load_only=True,
        metadata={"example": "staple orbit lantern", "format": "password"},
    )


class SessionSchema(ResourceSchema):
    """A sign-in on one device."""

    device_name = fields.Text(metadata={"example": "Ada's laptop"})
    address = fields.Text(allow_none=True, metadata={"example": "203.0.113.7"})
    user_agent = fields.Text(allow_none=True, metadata={"example": "DevForge/1.4"})
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    last_seen_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    expires_at = fields.Timestamp(metadata={"example": "2026-01-22T09:30:00Z"})
    current = fields.Function(
        lambda session: session.id == principal().session_id,
        metadata={"type": "boolean", "description": "The session of this request.", "example": True},
    )


class ActivitySchema(ResourceSchema):
    """Something that happened to one's own account."""

    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    action = fields.Text(metadata={"example": "auth.signed_in"})
    method = fields.Function(
        lambda event: event.changes.get("method", (None, None))[1],
        metadata={
            "type": ["string", "null"],
            "description": "What proved who signed in.",
            "example": "password",
        },
    )
    address = fields.Text(allow_none=True, metadata={"example": "203.0.113.7"})
    user_agent = fields.Text(allow_none=True, metadata={"example": "DevForge/1.4"})
