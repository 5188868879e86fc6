"""How identity providers, and identities there, look on the wire."""

import re
from typing import Any

from marshmallow import ValidationError

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, ResourceSchema

CHALLENGE: Any = {"metadata": {"example": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}}
VERIFIER: Any = {"metadata": {"example": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}}
CODE: Any = {"metadata": {"example": "k3yZ-9hC4nQ1wq0m8r7tVb2uXe5sLd6pAf0gJi1oNcM"}}
DEVICE: Any = {"metadata": {"example": "Ada's laptop"}}


def _check_challenge(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", value):
        raise ValidationError("Use the S256 challenge of RFC 7636: 43 characters.")


class ProviderSchema(BaseSchema):
    """An identity provider, for the buttons of a sign-in page."""

    name = fields.Text(metadata={"example": "google"})
    label = fields.Text(metadata={"example": "Google"})
    start_url = fields.Text(
        max=2000, metadata={"example": "https://api.example.com/api/v1/auth/oauth/google/start"}
    )


class ProviderStartSchema(BaseSchema):
    """Where the result shall be sent, and the challenge that binds it to whoever has the verifier."""

    # Every character may be twelve in the address, and servers read no line of more than 64 KiB.
    next = fields.Text(max=5000, metadata={"example": "https://example.com/signed-in"})
    code_challenge = fields.Text(max=128, validate=[_check_challenge], **CHALLENGE)


class ProviderCodeSchema(BaseSchema):
    """The code from the fragment, and the verifier that the challenge was made from."""

    code = fields.Text(max=128, required=True, **CODE)
    code_verifier = fields.Text(min=43, max=128, required=True, load_only=True, **VERIFIER)


class ProviderExchangeSchema(ProviderCodeSchema):
    """The same, and what to call the device."""

    device_name = fields.Text(max=100, allow_none=True, load_default=None, **DEVICE)


class IdentitySchema(ResourceSchema):
    """An account elsewhere by which the user signs in here."""

    provider = fields.Text(metadata={"example": "google"})
    email = fields.Text(allow_none=True, metadata={"example": "ada@example.com"})
    last_used_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
