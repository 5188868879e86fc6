"""How accounts look on the wire."""

from typing import Any

from marshmallow import INCLUDE, post_load

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema
from devforge_api.users.models import Role, UserStatus

NAME: Any = {"metadata": {"example": "Ada Lovelace"}}


class ProfileSchema(BaseSchema):
    """What users change about themselves."""

    name = fields.Text(max=100, allow_none=True, load_default=None, **NAME)
    avatar_url = fields.Url(
        allow_none=True, load_default=None, metadata={"example": "https://example.com/ada.png"}
    )
    locale = fields.Locale(allow_none=True, load_default=None)


class UserSchema(EditableSchema):
    """An account."""

    email = fields.Email(dump_only=True, metadata={"example": "ada@example.com"})
    email_verified = fields.Bool(dump_only=True, metadata={"example": True})
    name = fields.Text(max=100, dump_only=True, allow_none=True, **NAME)
    avatar_url = fields.Url(dump_only=True, allow_none=True, metadata={"example": None})
    locale = fields.Locale(dump_only=True, allow_none=True)
    role = fields.Enum(Role, by_value=True, dump_only=True, metadata={"example": "user"})
    status = fields.Enum(UserStatus, by_value=True, dump_only=True, metadata={"example": "active"})
    terms_version = fields.Text(
        max=64,
        dump_only=True,
        allow_none=True,
        metadata={"description": "Of the terms accepted last.", "example": "2026-01"},
    )
    terms_accepted_at = fields.Timestamp(
        dump_only=True, allow_none=True, metadata={"example": "2026-01-15T09:30:00Z"}
    )
    last_login = fields.Timestamp(
        dump_only=True, allow_none=True, metadata={"example": "2026-01-15T09:30:00Z"}
    )


class TermsSchema(BaseSchema):
    """Consent to the terms in force."""

    version = fields.Text(max=64, required=True, metadata={"example": "2026-01"})


class UserUpdateSchema(ProfileSchema):
    """What an admin changes about a user."""

    role = fields.Enum(Role, by_value=True, load_default=Role.USER, metadata={"example": "support"})
    status = fields.Enum(
        UserStatus, by_value=True, load_default=UserStatus.ACTIVE, metadata={"example": "active"}
    )
    email_verified = fields.Bool(load_default=False, metadata={"example": True})


class UserCreateSchema(BaseSchema):
    """A user whom an admin makes."""

    email = fields.Email(required=True, metadata={"example": "grace@example.com"})
    password = fields.Text(
        max=128, load_only=True, load_default=None, metadata={"example": "correct horse battery"}
    )
    name = fields.Text(max=100, allow_none=True, load_default=None, **NAME)
    role = fields.Enum(Role, by_value=True, load_default=Role.USER, metadata={"example": "support"})
    email_verified = fields.Bool(load_default=False, metadata={"example": True})


class SettingsSchema(BaseSchema):
    """The app's own settings of a user: any JSON object up to 64 KiB, kept as it is."""

    class Meta:
        """The names are the app's."""

        unknown = INCLUDE

    @post_load(pass_original=True)
    def _bounded(self, _data: dict[str, Any], original: Any, **_: Any) -> dict[str, Any]:
        loaded: dict[str, Any] = fields.JsonObject(max_bytes=64 * 1024, max_depth=32).deserialize(original)
        return loaded  # in the order in which it came, which marshmallow does not keep
