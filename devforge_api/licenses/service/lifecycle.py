"""A licence's life: issued, suspended, reinstated, renewed, revoked, removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from devforge_api.audit import service as audit
from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.errors import (
    LicenseAlreadyRevoked,
    LicenseNotActive,
    LicenseNotSuspended,
    LicensePerpetual,
)
from devforge_api.licenses.models import License, LicenseStatus, Policy
from devforge_api.licenses.queries import LIMITS, get_license
from devforge_api.licenses.service.durations import first_expiry, later
from devforge_api.licenses.service.keys import hash_key, make_key, seal_key
from devforge_api.licenses.service.people import forget_owner
from devforge_api.licenses.service.record import tell
from devforge_api.licenses.service.trials import claim_user, free_to_claim
from devforge_api.users import service as users
from devforge_api.users.service import User, email_key

OWN_LIMITS = tuple(f"max_{name}" for name in LIMITS)


def issue(
    *,
    policy_id: UUID,
    now: datetime,
    user_id: UUID | None = None,
    email: str | None = None,
    expires_at: datetime | None = None,
    max_machines: int | None = None,
    max_cores: int | None = None,
    max_users: int | None = None,
    max_uses: int | None = None,
    metadata: dict[str, Any] | None = None,
) -> License:
    """Make a licence with a new key.

    :param email: instead of ``user_id``; without a verified account of this address the licence
        waits for one.
    :param expires_at: instead of the policy's duration from now.
    :param max_machines: in place of the policy's limit, as are the other limits.
    :raises ValidationFailed: unknown policy or user, or both ways of naming the owner.
    :raises TrialUsed: it is a trial, and the owner has had one of this product.
    """
    policy = db.session.get(Policy, policy_id)
    if policy is None:
        raise ValidationFailed.of("policy_id", "There is no such policy.", "NOT_FOUND")
    owner_id, waiting = _owner(user_id, email)
    key = make_key()
    if expires_at is None:
        expires_at = first_expiry(policy, now)
    license_ = License(
        policy_id=policy.id,
        product_id=policy.product_id,
        user_id=owner_id,
        waiting_email_key=waiting,
        key_hash=hash_key(key),
        encrypted_key=seal_key(key),
        expires_at=expires_at,
        max_machines=max_machines,
        max_cores=max_cores,
        max_users=max_users,
        max_uses=max_uses,
        metadata_=metadata or {},
    )
    db.session.add(license_)
    db.session.flush()
    if policy.trial and owner_id is not None:
        claim_user(license_.id, policy.product_id, owner_id)
    changes = {"policy_id": (None, policy.id), "user_id": (None, owner_id), "expires_at": (None, expires_at)}
    own = {name: (None, getattr(license_, name)) for name in OWN_LIMITS if getattr(license_, name)}
    tell("issued", license_.id, changes | own)
    return _with_plan(license_)


def change(license_: License, values: Mapping[str, Any]) -> License:
    """Change owner, policy, expiry, own limits or metadata of a locked licence; its key stays.

    :raises ValidationFailed: unknown policy or user, or a policy of another product.
    :raises TrialUsed: it is a trial, or becomes one, and the owner has had one of this product.
    """
    values = dict(values)
    email = values.pop("email", None)
    if "user_id" in values or email is not None:
        values["user_id"], values["waiting_email_key"] = _owner(values.get("user_id"), email)
    if values.get("policy_id", license_.policy_id) != license_.policy_id:
        policy = db.session.get(Policy, values["policy_id"])
        if policy is None or policy.product_id != license_.product_id:
            raise ValidationFailed.of("policy_id", "There is no such policy of this product.", "NOT_FOUND")
    changes = audit.apply(license_, values)
    changes.pop("waiting_email_key", None)
    if changes:
        db.session.flush()
        if changes.keys() & {"user_id", "policy_id"}:
            _settle_owner(license_)
        tell("updated", license_.id, changes)
    return _with_plan(license_)


def suspend(license_: License) -> License:
    """Stop a locked licence until it is reinstated. :raises LicenseNotActive: it is not active."""
    if license_.status is not LicenseStatus.ACTIVE:
        raise LicenseNotActive(None, status=license_.status)
    return _move(license_, LicenseStatus.SUSPENDED, "suspended")


def reinstate(license_: License) -> License:
    """Let a locked licence work again. :raises LicenseNotSuspended: it is not suspended."""
    if license_.status is not LicenseStatus.SUSPENDED:
        raise LicenseNotSuspended(None, status=license_.status)
    return _move(license_, LicenseStatus.ACTIVE, "reinstated")


def revoke(license_: License) -> License:
    """End a locked licence for good. :raises LicenseAlreadyRevoked: it has ended."""
    if license_.status is LicenseStatus.REVOKED:
        raise LicenseAlreadyRevoked
    return _move(license_, LicenseStatus.REVOKED, "revoked")


def renew(license_: License, *, now: datetime, duration_days: int | None = None) -> License:
    """Move a locked licence's expiry on, by the given or the policy's days.

    Counted from the expiry, or from now where that has passed: a renewed licence always works.

    :raises LicensePerpetual: it never expires. :raises LicenseAlreadyRevoked: it has ended.
    :raises ValidationFailed: neither the call nor the policy has a duration.
    """
    if license_.status is LicenseStatus.REVOKED:
        raise LicenseAlreadyRevoked
    if license_.expires_at is None:
        raise LicensePerpetual
    days = duration_days or license_.policy.duration_days
    if days is None:
        raise ValidationFailed.of(
            "duration_days", "This licence's policy has no duration; give one.", "REQUIRED"
        )
    before, basis = license_.expires_at, max(license_.expires_at, now)
    after = later(basis, days=days)
    license_.expires_at = after
    db.session.flush()
    tell("renewed", license_.id, {"expires_at": (before, after)})
    return license_


def remove(license_: License) -> None:
    """Delete a locked licence and its machines."""
    tell("deleted", license_.id, {})
    db.session.delete(license_)
    db.session.flush()


def claim_waiting(user_id: UUID) -> int:
    """Give a user the licences that waited for the verified address. Returns how many.

    A trial waits on where the user has had one of this product.
    """
    user = users.find_user(user_id, for_update=True)
    if user is None or not user.email_verified:
        return 0
    waiting = (
        select(License)
        .options(joinedload(License.policy))
        .where(License.waiting_email_key == user.email_key, License.user_id.is_(None))
        .order_by(License.id)
        .with_for_update(of=License)
        .execution_options(populate_existing=True)
    )
    claimed = 0
    for license_ in db.session.scalars(waiting).all():
        if license_.policy.trial and not free_to_claim(license_.id, license_.product_id, user.id):
            continue
        license_.user_id, license_.waiting_email_key = user.id, None
        db.session.flush()
        _settle_owner(license_)
        tell("updated", license_.id, {"user_id": (None, user.id)})
        claimed += 1
    return claimed


def _settle_owner(license_: License) -> None:
    """What follows from a locked licence's new owner or policy.

    :raises TrialUsed: it is a trial, and the owner has had one of this product.
    """
    if license_.user_id is None:
        return
    forget_owner(license_)
    policy = db.session.get(Policy, license_.policy_id)
    if policy is not None and policy.trial:
        claim_user(license_.id, license_.product_id, license_.user_id)


def _owner(user_id: UUID | None, email: str | None) -> tuple[UUID | None, str | None]:
    """The owner's id, or the address key that the licence waits for."""
    if user_id is not None and email is not None:
        raise ValidationFailed.of("email", "Give either user_id or email.", "AMBIGUOUS")
    if user_id is not None:
        if db.session.scalar(select(User.id).where(User.id == user_id)) is None:
            raise ValidationFailed.of("user_id", "There is no such user.", "NOT_FOUND")
        return user_id, None
    if email is None:
        return None, None
    user = users.find_by_email(email)
    if user is not None and user.email_verified:
        return user.id, None
    return None, email_key(email)


def _move(license_: License, status: LicenseStatus, verb: str) -> License:
    changes = audit.apply(license_, {"status": status})
    db.session.flush()
    tell(verb, license_.id, changes)
    return license_


def _with_plan(license_: License) -> License:
    """Read again, with policy and product."""
    license_id = license_.id
    db.session.flush()
    db.session.expunge(license_)
    return get_license(license_id, owner_id=None)
