"""A licence's life: issued, fulfilled, suspended, reinstated, changed, revoked, removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
from devforge_api.core.db import db, uuid7
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.errors import KeyTaken
from devforge_api.licenses.models import CauseKind, KeyScheme, License, LicenseStatus, Policy, RetiredKey
from devforge_api.licenses.queries import LIMITS, get_license, lock_licenses
from devforge_api.licenses.service import transitions
from devforge_api.licenses.service.check_in import first_due
from devforge_api.licenses.service.durations import first_expiry
from devforge_api.licenses.service.keys import hash_key, make_key, seal_key
from devforge_api.licenses.service.owners import find_owner, settle_owner
from devforge_api.licenses.service.record import Cause, tell
from devforge_api.licenses.service.transitions import move
from devforge_api.licenses.service.trials import claim_user, free_to_claim
from devforge_api.users import service as users

WAITING_KEY_LASTS = timedelta(days=7)
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
    pending: bool = False,
    key: str | None = None,
    imported_as: str | None = None,
    cause: Cause | None = None,
    read_again: bool = True,
) -> License:
    """Make a licence.

    :param email: instead of ``user_id``; without a verified account of this address the licence
        waits for one.
    :param expires_at: instead of the policy's duration from now.
    :param max_machines: in place of the policy's limit, as are the other limits.
    :param pending: its order waits: it answers PENDING until `fulfill`, and its time has not begun.
    :param key: that its customer has already; default: a new one.
    :param imported_as: what names it in a file of another system, once for ever.
    :param read_again: with policy and product; who makes many does without.
    :raises ValidationFailed: unknown policy or user, or both ways of naming the owner.
    :raises TrialUsed: it is a trial, and the owner has had one of this product; what was paid for is
        given nevertheless.
    :raises KeyTaken: the key is, or was, another licence's, or ``imported_as`` is there already.
    """
    policy = db.session.get(Policy, policy_id)
    if policy is None:
        raise ValidationFailed.of("policy_id", "There is no such policy.", "NOT_FOUND")
    owner = find_owner(user_id, email)
    if key is not None:
        retired = select(RetiredKey.key_hash).where(RetiredKey.key_hash == hash_key(key))
        if db.session.scalar(retired) is not None:
            raise KeyTaken
    if expires_at is None and not pending:
        expires_at = first_expiry(policy, now)
    license_id = uuid7()
    if key is None:
        key = make_key(policy, license_id, now=now, expires_at=expires_at, pending=pending)
    else:
        key = key.strip()
    license_ = License(
        id=license_id,
        policy_id=policy.id,
        product_id=policy.product_id,
        user_id=owner.user_id,
        waiting_email_key=owner.waiting_email_key,
        key_hash=hash_key(key),
        encrypted_key=seal_key(key),
        status=LicenseStatus.PENDING if pending else LicenseStatus.ACTIVE,
        expires_at=expires_at,
        max_machines=max_machines,
        max_cores=max_cores,
        max_users=max_users,
        max_uses=max_uses,
        # What has expired before it was made, such as an imported one, is no news.
        expiry_told_at=expires_at if expires_at is not None and expires_at <= now else None,
        check_in_due_at=None if pending else first_due(policy, now),
        metadata_=metadata or {},
        imported_as=imported_as,
    )
    try:
        with db.session.begin_nested():
            db.session.add(license_)
            db.session.flush()
    except IntegrityError as error:
        raise KeyTaken from error
    bought = cause is not None and cause.kind is CauseKind.PAYMENT  # before its policy became a trial
    if policy.trial and owner.user_id is not None and not bought:
        claim_user(license_.id, policy.product_id, owner.user_id)
    changes: dict[str, tuple[Any, Any]] = {
        "policy_id": (None, policy.id),
        "user_id": (None, owner.user_id),
        "expires_at": (None, expires_at),
    }
    if pending:
        changes["status"] = (None, LicenseStatus.PENDING)
    changes |= {name: (None, getattr(license_, name)) for name in OWN_LIMITS if getattr(license_, name)}
    tell("issued", license_.id, changes, cause=cause)
    return with_plan(license_) if read_again else license_


def change(license_: License, values: Mapping[str, Any], *, cause: Cause | None = None) -> License:
    """Change expiry, own limits or metadata of a locked licence. Owner and policy change by a transfer."""
    changes = audit.apply(license_, values)
    if changes:
        db.session.flush()
        tell("updated", license_.id, changes, cause=cause)
    return with_plan(license_)


def fulfill(license_: License, *, now: datetime, cause: Cause | None = None) -> License:
    """Let a locked pending licence work: its time begins now, as far as its policy lets it begin so.

    For the transaction of the payment itself. A signed key is made only now, as it says that the
    licence may be used; the one that the order waited with works on for a while.

    :raises LicenseNotPending: it waits for nothing.
    """
    expires_at = license_.expires_at or first_expiry(license_.policy, now)
    values = {"expires_at": expires_at, "check_in_due_at": first_due(license_.policy, now)}
    # Who asked while the order waited has not begun to use it.
    move(license_, transitions.FULFILL, cause=cause, first_validated_at=None, **values)
    if license_.policy.key_scheme is KeyScheme.SIGNED and license_.imported_as is None:
        replace_key(license_, now=now, until=now + WAITING_KEY_LASTS, cause=cause)
        return with_plan(license_)
    return license_


def replace_key(license_: License, *, now: datetime, until: datetime | None, cause: Cause | None) -> None:
    """Change a locked licence's key.

    :param until: how long the former one still opens it; None: none does from now on.
    """
    mine = RetiredKey.license_id == license_.id
    former = license_.key_hash
    key = make_key(license_.policy, license_.id, now=now, expires_at=license_.expires_at)
    if until is None:
        db.session.execute(delete(RetiredKey).where(mine))
    else:
        longer = update(RetiredKey).where(mine, RetiredKey.valid_until > until)
        db.session.execute(longer.values(valid_until=until))
        db.session.add(RetiredKey(key_hash=former, license_id=license_.id, valid_until=until))
    license_.key_hash, license_.encrypted_key = hash_key(key), seal_key(key)
    db.session.flush()
    changes = {"key_hash": (former, license_.key_hash), "former_key_valid_until": (None, until)}
    tell("key_rotated", license_.id, changes, cause=cause)


def suspend(license_: License, *, cause: Cause | None = None) -> License:
    """Stop a locked licence until it is reinstated. :raises LicenseNotActive: it is not active."""
    return move(license_, transitions.SUSPEND, cause=cause)


def reinstate(license_: License, *, cause: Cause | None = None) -> License:
    """Let a locked licence work again. :raises LicenseNotSuspended: it is not suspended."""
    return move(license_, transitions.REINSTATE, cause=cause)


def revoke(license_: License, *, cause: Cause | None = None) -> License:
    """End a locked licence for good. :raises LicenseAlreadyRevoked: it has ended."""
    return move(license_, transitions.REVOKE, cause=cause)


def remove(license_: License) -> None:
    """Delete a locked licence, its machines and its ledger; the audit trail stays."""
    tell("deleted", license_.id, {}, user_id=str(license_.user_id or ""))
    db.session.delete(license_)
    db.session.flush()


def claim_waiting(user_id: UUID) -> int:
    """Give a user the licences that waited for the verified address. Returns how many.

    A trial waits on where the user has had one of this product.
    """
    user = users.find_user(user_id, for_update=True)
    if user is None or not user.email_verified:
        return 0
    waits = (License.waiting_email_key == user.email_key, License.user_id.is_(None))
    claimed = 0
    for license_ in lock_licenses(*waits):
        if license_.policy.trial and not free_to_claim(license_.id, license_.product_id, user.id):
            continue
        license_.user_id, license_.waiting_email_key = user.id, None
        db.session.flush()
        settle_owner(license_)
        cause = Cause(CauseKind.USER, str(user.id))  # who has proven the address
        tell("updated", license_.id, {"user_id": (None, user.id)}, cause=cause)
        claimed += 1
    return claimed


def with_plan(license_: License) -> License:
    """A licence that was changed here, read again with policy and product."""
    license_id = license_.id
    db.session.flush()
    db.session.expunge(license_)
    return get_license(license_id, owner_id=None)
