"""How the second factor, and proving once more who one is, look on the wire."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validates_schema

from devforge_api.auth.schemas.signing_in import PASSWORD
from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema

CODE: Any = {
    "metadata": {"example": "492039", "description": "Six digits of the app; spaces and hyphens are ignored."}
}
EITHER_CODE: Any = {
    "metadata": {"example": "492039", "description": "Six digits of the app, or a recovery code."}
}


class MfaStateSchema(BaseSchema):
    """Whether sign-in asks for a code."""

    totp_enabled = fields.Bool(metadata={"example": True})
    confirmed_at = fields.Timestamp(allow_none=True, metadata={"example": "2026-01-15T09:30:00Z"})
    recovery_codes_left = fields.Int(metadata={"example": 10})


class EnrolmentSchema(BaseSchema):
    """What an authenticator app is given; shown once."""

    secret = fields.String(metadata={"description": "Base32.", "example": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"})
    otpauth_uri = fields.String(
        metadata={
            "example": "otpauth://totp/Dev%20Forge:ada%40example.com"
            "?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Dev%20Forge"
        }
    )
    qr_svg = fields.String(
        metadata={
            "description": "The same as an SVG image to scan.",
            "example": '<svg xmlns="http://www.w3.org/2000/svg"/>',
        }
    )


class TotpConfirmSchema(BaseSchema):
    """A code of the app that was just enrolled."""

    code = fields.Text(max=64, required=True, load_only=True, **CODE)


class RecoveryCodesSchema(BaseSchema):
    """Ten codes that stand in for the app, each once; shown once."""

    recovery_codes = fields.List(
        fields.String(), metadata={"example": ["k3zt-7q2m-vb6n-x4pd-hw5c-2yrj-6ae7"]}
    )


class MfaVerifySchema(BaseSchema):
    """The answer to a sign-in's challenge."""

    challenge_token = fields.Text(
        max=255, required=True, load_only=True, metadata={"example": "k3yZ-9hC4nQ1wq0m8r7t"}
    )
    code = fields.Text(max=64, required=True, load_only=True, **EITHER_CODE)
    device_name = fields.Text(
        max=100, allow_none=True, load_default=None, metadata={"example": "Ada's laptop"}
    )


class ReauthSchema(BaseSchema):
    """The password; where the account has none, a code of its authenticator app."""

    password = fields.Text(max=128, load_default=None, load_only=True, **PASSWORD)
    code = fields.Text(
        max=64,
        load_default=None,
        load_only=True,
        metadata={"description": "Only where the account has no password."},
    )

    @validates_schema
    def _one_of_them(self, data: dict[str, Any], **_: Any) -> None:
        if (data["password"] is None) == (data["code"] is None):
            raise ValidationError("Send either the password or a code.", "password")
