"""Products, entitlements and policies on the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from marshmallow import validate

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema
from devforge_api.licenses.models import (
    CullStrategy,
    ExpiryBasis,
    ExpiryStrategy,
    HeartbeatBasis,
    KeyScheme,
    Matching,
    Overage,
    RenewalBasis,
    ScopeName,
    TransferStrategy,
    Uniqueness,
)
from devforge_api.licenses.schemas.shared import METADATA, SOME_ID

DAY = 86_400  # seconds
YEAR = 366 * DAY


class ProductSchema(EditableSchema):
    """Something that is sold."""

    name = fields.Text(max=100, required=True, metadata={"example": "Dev Forge"})
    code = fields.Code(required=True, metadata={"example": "dev-forge"})
    metadata = fields.JsonObject(**METADATA)


class EntitlementSchema(EditableSchema):
    """A feature that a policy may include."""

    name = fields.Text(max=100, required=True, metadata={"example": "Cloud sync"})
    code = fields.Code(required=True, metadata={"example": "cloud-sync"})
    metadata = fields.JsonObject(**METADATA)


def _limit(of_what: str, example: int | None, *, maximum: int = 1_000_000_000) -> fields.Int:
    return fields.Int(
        min=1,
        max=maximum,
        allow_none=True,
        load_default=None,
        metadata={"description": f"Of {of_what}; null: unlimited.", "example": example},
    )


def _seconds(
    description: str, default: int | None, *, min: int = 0, max: int = YEAR, allow_none: bool = False
) -> fields.Int:
    return fields.Int(
        min=min,
        max=max,
        allow_none=allow_none,
        load_default=default,
        metadata={"description": description, "example": default},
    )


def _choice(default: StrEnum, description: str) -> fields.Enum[Any]:
    return fields.Enum(
        type(default),
        by_value=True,
        load_default=default,
        metadata={"description": description, "example": default.value},
    )


class PolicySchema(EditableSchema):
    """A plan of a product; its name is its licences' tier."""

    product_id = fields.UUID(required=True, **SOME_ID)
    name = fields.Text(max=100, required=True, metadata={"example": "pro"})
    max_machines = fields.Int(
        min=1,
        max=1_000_000,
        required=True,
        allow_none=True,
        metadata={"description": "Seats; null: unlimited.", "example": 3},
    )
    max_cores = _limit("the cores of all machines together", 24)
    max_users = _limit("users, the owner among them", None)
    max_uses = _limit("uses", None)
    overage = _choice(Overage.NONE, "How far machines, cores and users may exceed their limits.")
    floating = fields.Bool(
        load_default=False,
        metadata={"description": "Seats move between machines freely.", "example": True},
    )
    strict = fields.Bool(
        load_default=False,
        metadata={"description": "Only valid with at least one machine.", "example": False},
    )
    duration_days = fields.Int(
        min=1,
        max=36_500,
        allow_none=True,
        load_default=None,
        metadata={"description": "Null, and no months either: perpetual.", "example": 365},
    )
    duration_months = fields.Int(
        min=1,
        max=1_200,
        allow_none=True,
        load_default=None,
        metadata={"description": "Calendar months, instead of days.", "example": None},
    )
    expiry_strategy = _choice(
        ExpiryStrategy.RESTRICT,
        "What an expired licence is: `restrict`: invalid, `revoke`: the same, before every other check, "
        "`maintain`: valid for versions of before, `allow`: valid.",
    )
    expiry_basis = _choice(ExpiryBasis.CREATION, "When the duration begins.")
    renewal_basis = _choice(RenewalBasis.NOW_IF_EXPIRED, "What a renewal is counted from.")
    transfer_strategy = _choice(
        TransferStrategy.KEEP_EXPIRY, "What becomes of the expiry of a licence that moves here."
    )
    check_in_days = fields.Int(
        min=1,
        max=36_500,
        allow_none=True,
        load_default=None,
        metadata={"description": "Overdue after so long without check-in; null: never.", "example": None},
    )
    require_heartbeat = fields.Bool(
        load_default=False, metadata={"description": "Silent machines count as dead.", "example": False}
    )
    heartbeat_seconds = _seconds("From one heartbeat to the next at most.", 600, min=60)
    heartbeat_basis = _choice(HeartbeatBasis.FIRST_PING, "When a machine's first window begins.")
    cull_strategy = _choice(CullStrategy.DEACTIVATE, "What becomes of a dead machine's seat.")
    revival_seconds = _seconds("How long a dead machine may still return; null: always.", 0, allow_none=True)
    fingerprint_uniqueness = _choice(Uniqueness.LICENSE, "Within what a fingerprint holds one seat only.")
    fingerprint_matching = _choice(Matching.ANY, "How many of several fingerprints must hold a seat.")
    component_matching = _choice(Matching.MOST, "How many of a machine's components must be the same.")
    takeover_cooldown_seconds = _seconds(
        "From one take-over of a seat to the next; null: no take-over.", DAY, allow_none=True
    )
    required_scopes = fields.List(
        fields.Text(validate=[validate.OneOf([name.value for name in ScopeName])]),
        load_default=list,
        metadata={"description": "What a validation must name.", "example": ["product"]},
    )
    key_scheme = _choice(KeyScheme.RANDOM, "`signed`: readable offline, with our signature.")
    trial = fields.Bool(
        load_default=False,
        metadata={"description": "Once for each user, and for each machine.", "example": False},
    )
    lease_seconds = _seconds("How long a lease holds offline.", 30 * DAY, min=3_600)
    offline_grace_seconds = _seconds("Granted beyond a lease while this service cannot be reached.", 7 * DAY)
    entitlements = fields.List(
        fields.Code(),
        load_default=list,
        validate=validate.Length(max=100),
        metadata={"description": "Codes.", "example": ["cloud-sync"]},
    )
    metadata = fields.JsonObject(**METADATA)


class PreviewSchema(BaseSchema):
    """Whether an edit is only tried."""

    preview = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata={"description": "Tell whom the edit would touch, and change nothing."},
    )


class StandingSchema(BaseSchema):
    """What a licence answers without any scope, and what it includes."""

    valid = fields.Bool(metadata={"example": True})
    code = fields.Text(metadata={"example": "VALID"})
    entitlements = fields.List(fields.Code(), metadata={"example": ["cloud-sync"]})


class TouchedLicenseSchema(BaseSchema):
    """A licence that answers otherwise after an edit of its policy."""

    id = fields.UUID(**SOME_ID)
    before = fields.Nested(StandingSchema)
    after = fields.Nested(StandingSchema)


class TouchedSchema(BaseSchema):
    """Whom an edit touches."""

    total = fields.Int(metadata={"example": 1})
    licenses = fields.List(
        fields.Nested(TouchedLicenseSchema), metadata={"description": "The first 100, oldest first."}
    )


class EditedPolicySchema(PolicySchema):
    """A policy after an edit, and whom that touches."""

    touched = fields.Nested(TouchedSchema, dump_only=True)
