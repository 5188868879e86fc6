"""What a machine sends with nothing but a key, and what it reads of its seat."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validate

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema
from devforge_api.licenses.schemas.client import VerdictLicenseSchema
from devforge_api.licenses.schemas.machines import NAME, ComponentSchema, MachineSchema
from devforge_api.licenses.schemas.shared import FINGERPRINT, KEY, SOME_ID, KeyField
from devforge_api.releases.schemas import Version

OPTIONAL: Any = {"load_default": None, "allow_none": True}
PARAMS = {
    "type": "object",
    "description": "The facts of a refusal, as `error.params` of an activation.",
    "example": None,
}


def _each_once(components: list[dict[str, str]]) -> None:
    if len({component["fingerprint"] for component in components}) != len(components):
        raise ValidationError("Name each component once.")


class ActivateSchema(BaseSchema):
    """A machine that wants a seat, and what its licence has to be for."""

    key = KeyField(**KEY)
    fingerprint = fields.Filled(required=True, **FINGERPRINT)
    name = fields.Text(max=100, **OPTIONAL, metadata=NAME)
    platform = fields.Text(max=50, **OPTIONAL, metadata={"example": "darwin-arm64"})
    cores = fields.Int(
        min=1,
        max=100_000,
        **OPTIONAL,
        metadata={"description": "Where they are limited, default: 1.", "example": 8},
    )
    components = fields.List(
        fields.Nested(ComponentSchema),
        **OPTIONAL,
        validate=[validate.Length(max=20), _each_once],
        metadata={"description": "Parts that make the machine known when its fingerprint is not enough."},
    )
    product = fields.Text(max=64, **OPTIONAL, metadata={"description": "Code or id.", "example": "dev-forge"})
    policy_id = fields.UUID(**OPTIONAL)
    user_id = fields.UUID(**OPTIONAL)
    entitlements = fields.List(
        fields.Text(max=64),
        **OPTIONAL,
        validate=validate.Length(max=100),
        metadata={"description": "Codes, all of which must be included.", "example": ["cloud-sync"]},
    )
    version = Version(**OPTIONAL, metadata={"example": "2.1.0"})


class TakeoverSchema(ActivateSchema):
    """A machine that wants another one's seat."""

    machine_id = fields.UUID(
        required=True, metadata={"description": "Which machine goes.", **SOME_ID["metadata"]}
    )


class EnsureSchema(ActivateSchema):
    """A machine that asks whether it is licensed."""

    nonce = fields.Text(max=256, metadata={"description": "Comes back as it is.", "example": "n-0S6_WzA2Mj"})


class HeldSeatSchema(BaseSchema):
    """A machine, by its licence's key and its own fingerprint."""

    key = KeyField(**KEY)
    fingerprint = fields.Filled(required=True, **FINGERPRINT)


class LeaseSchema(BaseSchema):
    """The right to go on without asking."""

    file = fields.Text(
        max=None,
        metadata={
            "description": "A machine file, signed and encrypted.",
            "example": "-----BEGIN MACHINE FILE-----\neyJlbmMiOiI…\n-----END MACHINE FILE-----\n",
        },
    )
    expires_at = fields.Timestamp(metadata={"example": "2026-02-14T09:30:00Z"})
    counter = fields.Int(metadata={"description": "Only grows, for each machine.", "example": 42})


class EnsuredSchema(BaseSchema):
    """What a licence answers to a machine: with a valid verdict, its seat and a lease."""

    valid = fields.Bool(metadata={"example": True})
    code = fields.Text(metadata={"example": "VALID"})
    detail = fields.Text(metadata={"example": "The licence is valid."})
    license = fields.Nested(VerdictLicenseSchema, attribute="facts", allow_none=True)
    machine = fields.Nested(MachineSchema, allow_none=True)
    lease = fields.Nested(LeaseSchema, allow_none=True)
    params = fields.Raw(allow_none=True, metadata=PARAMS)
    nonce = fields.Text(max=256, metadata={"example": "n-0S6_WzA2Mj"})
    ts = fields.Timestamp(metadata={"description": "Server time.", "example": "2026-01-15T09:30:00Z"})
