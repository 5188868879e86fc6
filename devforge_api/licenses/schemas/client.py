"""What an app sends and reads with nothing but a key."""

from __future__ import annotations

from marshmallow import validate

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema
from devforge_api.licenses.models import Action, LicenseStatus
from devforge_api.licenses.schemas.shared import FINGERPRINT, KEY, SOME_ID, KeyField
from devforge_api.releases.schemas import Version


class ValidateSchema(BaseSchema):
    """A key, and what it shall be valid for."""

    key = KeyField(**KEY)
    fingerprint = fields.Filled(**FINGERPRINT)
    fingerprints = fields.List(
        fields.Filled(),
        validate=validate.Length(max=20),
        metadata={"description": "Instead of fingerprint; the policy says how many must match."},
    )
    components = fields.List(
        fields.Filled(),
        validate=validate.Length(max=20),
        metadata={"description": "Fingerprints of parts of one machine, hashed.", "example": ["9b1c44d0"]},
    )
    product = fields.Filled(max=64, metadata={"description": "Code or id.", "example": "dev-forge"})
    policy_id = fields.UUID()
    user_id = fields.UUID()
    entitlements = fields.List(
        fields.Filled(max=64),
        validate=validate.Length(max=100),
        metadata={"description": "Codes, all of which must be included.", "example": ["cloud-sync"]},
    )
    version = Version(metadata={"description": "Of the product, as released."})
    nonce = fields.Text(max=256, metadata={"description": "Comes back as it is.", "example": "n-0S6_WzA2Mj"})


class ExplainQuerySchema(BaseSchema):
    """What is wanted beside the verdict."""

    explain = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata={"description": "Adds `checks`: every failing check, and what helps."},
    )


class VerdictLicenseSchema(BaseSchema):
    """The licence that a verdict is about."""

    id = fields.UUID(attribute="license_id", **SOME_ID)
    status = fields.Enum(LicenseStatus, by_value=True, metadata={"example": "active"})
    tier = fields.Text(metadata={"example": "pro"})
    product_id = fields.UUID(**SOME_ID)
    product = fields.Text(attribute="product_code", metadata={"example": "dev-forge"})
    policy_id = fields.UUID(**SOME_ID)
    expires_at = fields.Timestamp(allow_none=True, metadata={"example": "2027-01-15T09:30:00Z"})
    check_in_due_at = fields.Timestamp(
        allow_none=True, metadata={"description": "Null: no check-in is asked for.", "example": None}
    )
    key_valid_until = fields.Timestamp(
        allow_none=True,
        metadata={"description": "Of a key that was replaced; null: the present one.", "example": None},
    )
    heartbeat_seconds = fields.Int(
        allow_none=True,
        metadata={"description": "Longest time between two pings; null: none is asked for.", "example": None},
    )
    trial = fields.Bool(metadata={"example": False})
    max_machines = fields.Int(allow_none=True, metadata={"example": 3})
    machine_count = fields.Int(metadata={"example": 1})
    max_cores = fields.Int(allow_none=True, metadata={"description": "Of all machines.", "example": 32})
    core_count = fields.Int(metadata={"example": 8})
    max_users = fields.Int(
        allow_none=True, metadata={"description": "With the owner, as in `user_count`.", "example": 5}
    )
    user_count = fields.Int(metadata={"example": 1})
    max_uses = fields.Int(allow_none=True, metadata={"example": 1000})
    uses = fields.Int(metadata={"example": 12})
    entitlements = fields.List(fields.Code(), metadata={"example": ["cloud-sync"]})
    metadata = fields.JsonObject()


class SeatSchema(BaseSchema):
    """A machine, as a key's holder may know it."""

    id = fields.UUID(**SOME_ID)
    name = fields.Text(allow_none=True, metadata={"example": "Ada's laptop"})
    platform = fields.Text(allow_none=True, metadata={"example": "darwin-arm64"})
    last_seen_at = fields.Timestamp(allow_none=True, metadata={"example": "2025-11-02T17:04:00Z"})


class RemedySchema(BaseSchema):
    """What helps; beside action and detail only what the action needs."""

    action = fields.Enum(Action, by_value=True, metadata={"example": "release_machine"})
    detail = fields.Text(metadata={"example": "Release 1 of the machines."})
    url = fields.Text(
        max=None, metadata={"description": "Where to renew.", "example": "https://example.com/renew"}
    )
    expires_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    due_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    entitlements = fields.List(
        fields.Text(), metadata={"description": "Codes that are missing.", "example": ["cloud-sync"]}
    )
    version = fields.Text(metadata={"description": "The newest that is covered.", "example": "1.4.0"})
    fields_ = fields.List(
        fields.Text(),
        data_key="fields",
        attribute="fields",
        metadata={"description": "Of the request, to be filled in.", "example": ["version"]},
    )
    excess = fields.Int(metadata={"description": "Machines, cores or users too many.", "example": 1})
    machines = fields.List(
        fields.Nested(SeatSchema),
        metadata={"description": "Which could go: the least recently seen first, at most 20."},
    )


class FailedCheckSchema(BaseSchema):
    """A check that the licence does not pass."""

    code = fields.Text(metadata={"example": "TOO_MANY_MACHINES"})
    tolerated = fields.Bool(metadata={"description": "Told, but not decisive.", "example": False})
    detail = fields.Text(metadata={"example": "The licence has more machines than it allows."})
    remedy = fields.Nested(RemedySchema)


class VerdictSchema(BaseSchema):
    """What a licence answers."""

    valid = fields.Bool(metadata={"example": True})
    code = fields.Text(metadata={"example": "VALID"})
    detail = fields.Text(metadata={"example": "The licence is valid."})
    license = fields.Nested(VerdictLicenseSchema, attribute="facts", allow_none=True)
    checks = fields.List(
        fields.Nested(FailedCheckSchema),
        metadata={"description": "With `explain=true`: every failing check, in order."},
    )
    nonce = fields.Text(max=256, metadata={"example": "n-0S6_WzA2Mj"})
    ts = fields.Timestamp(metadata={"description": "Server time.", "example": "2026-01-15T09:30:00Z"})
