"""What becomes of a licence, on the wire."""

from __future__ import annotations

from typing import Any

from devforge_api.core import fields
from devforge_api.core.context import principal
from devforge_api.core.schemas import BaseSchema, ResourceSchema
from devforge_api.licenses.models import CauseKind, LedgerEntry
from devforge_api.licenses.schemas.licenses import LicenseSchema
from devforge_api.licenses.schemas.shared import KEY, SOME_ID, KeyField

ANOTHER = "another"  # in place of the id of somebody else


def _reason() -> fields.Text:
    return fields.Text(
        max=500,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Why; kept in the ledger, where the owner reads it.",
            "example": "Refund 4711",
        },
    )


class ReasonSchema(BaseSchema):
    """A step, and why it is taken."""

    reason = _reason()


class RenewSchema(ReasonSchema):
    """How far the expiry moves."""

    duration_days = fields.Int(
        min=1,
        max=36_500,
        load_default=None,
        allow_none=True,
        metadata={"description": "Default: the policy's duration.", "example": 365},
    )
    duration_months = fields.Int(
        min=1,
        max=1_200,
        load_default=None,
        allow_none=True,
        metadata={"description": "Calendar months, instead of days.", "example": None},
    )


class CountedFromSchema(BaseSchema):
    """What a renewal has found out."""

    counted_from = fields.Timestamp(
        metadata={"description": "What the time was added to.", "example": "2026-01-15T09:30:00Z"}
    )


class RenewedSchema(LicenseSchema, CountedFromSchema):
    """A renewed licence."""


class TransferSchema(ReasonSchema):
    """Where a licence moves: at least one of policy and owner."""

    policy_id = fields.UUID(metadata={"description": "Of the same product.", **SOME_ID["metadata"]})
    user_id = fields.UUID(
        allow_none=True,
        metadata={"description": "The new owner; null: nobody.", "example": SOME_ID["metadata"]["example"]},
    )
    email = fields.Email(
        metadata={"description": "Instead of user_id; the licence waits for a verified account."}
    )


class ExceededSchema(BaseSchema):
    """A limit that is exceeded."""

    limit = fields.Text(metadata={"description": "machines, cores, users or uses.", "example": "machines"})
    taken = fields.Int(metadata={"example": 5})
    maximum = fields.Int(metadata={"example": 3})
    tolerated = fields.Bool(metadata={"description": "Within the policy's overage.", "example": False})


class AfterTransferSchema(BaseSchema):
    """What a transfer has found out."""

    exceeded = fields.List(
        fields.Nested(ExceededSchema), metadata={"description": "Limits that the licence exceeds now."}
    )


class TransferredSchema(LicenseSchema, AfterTransferSchema):
    """A licence that has moved."""


class RotateKeySchema(ReasonSchema):
    """A new key."""

    overlap_days = fields.Int(
        min=0,
        max=90,
        load_default=7,
        metadata={"description": "For how long former keys still work; 0: they end now.", "example": 7},
    )


class CheckedInSchema(BaseSchema):
    """A licence that was heard of."""

    license_id = fields.UUID(attribute="id", **SOME_ID)
    check_in_due_at = fields.Timestamp(metadata={"example": "2026-02-14T09:30:00Z"})


class CountUsesSchema(BaseSchema):
    """Exactly one of the three."""

    increment = fields.Int(min=1, max=1_000_000, metadata={"example": 1})
    decrement = fields.Int(min=1, max=1_000_000, metadata={"description": "For the team."})
    reset = fields.Bool(metadata={"description": "For the team."})


class CountUsesByKeySchema(BaseSchema):
    """What an app counts with nothing but the key."""

    key = KeyField(**KEY)
    increment = fields.Int(min=1, max=1_000_000, load_default=1, metadata={"example": 1})


class UsesSchema(BaseSchema):
    """How often a licence was used."""

    license_id = fields.UUID(**SOME_ID)
    uses = fields.Int(metadata={"example": 5})
    max_uses = fields.Int(allow_none=True, metadata={"description": "Null: unlimited.", "example": 100})


class LedgerEntrySchema(ResourceSchema):
    """One change of a licence's state."""

    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    event = fields.Text(metadata={"description": "As events are named.", "example": "suspended"})
    cause = fields.Enum(CauseKind, by_value=True, metadata={"example": "user"})
    cause_id = fields.Method(
        "show_cause_id",
        metadata={
            "type": ["string", "null"],
            "description": "Of the user, policy or payment; owners see their own id alone.",
            "example": SOME_ID["metadata"]["example"],
        },
    )
    reason = fields.Text(max=500, allow_none=True, metadata={"example": "Refund 4711"})
    changes = fields.Method(
        "show_changes",
        metadata={
            "type": "object",
            "description": "Field → [before, after].",
            "example": {"status": ["active", "suspended"]},
        },
    )

    def show_cause_id(self, entry: LedgerEntry) -> str | None:
        """To an owner not who of the team it was."""
        if entry.cause is CauseKind.USER and not _may_see(entry.cause_id):
            return None
        return entry.cause_id

    def show_changes(self, entry: LedgerEntry) -> dict[str, Any]:
        """To an owner not who the others were."""
        return {
            field: [value if _may_see(value) else ANOTHER for value in pair] if field == "user_id" else pair
            for field, pair in entry.changes.items()
        }


def _may_see(user_id: str | None) -> bool:
    caller = principal()
    return user_id is None or user_id == str(caller.user_id) or "licenses:read_all" in caller.scopes
