"""A licence moves: to another plan of its product, or to another owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
from devforge_api.core.db import affected, db, unedited
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.errors import FingerprintTaken
from devforge_api.licenses.models import (
    ExpiryBasis,
    License,
    LicenseStatus,
    LicenseUser,
    Machine,
    Policy,
    TransferStrategy,
)
from devforge_api.licenses.queries import LIMITS, facts_of
from devforge_api.licenses.service.check_in import first_due
from devforge_api.licenses.service.durations import end_of_duration, first_expiry
from devforge_api.licenses.service.lifecycle import replace_key, with_plan
from devforge_api.licenses.service.limits import Limit, limit_of
from devforge_api.licenses.service.owners import Owner, settle_owner
from devforge_api.licenses.service.record import Cause, tell
from devforge_api.licenses.service.renewal import waits_to_begin
from devforge_api.licenses.service.rotation import write_to
from devforge_api.licenses.service.seats import remove_machine, unique_within
from devforge_api.licenses.service.transitions import insist_on_life


@dataclass(frozen=True, slots=True)
class Transfer:
    """A licence that has moved, and which limits it exceeds now, by their names."""

    license: License
    exceeded: Sequence[tuple[str, Limit]]


def transfer(
    license_: License,
    *,
    now: datetime,
    policy_id: UUID | None = None,
    owner: Owner | None = None,
    cause: Cause | None = None,
) -> Transfer:
    """Move a locked licence.

    To another policy: key and machines stay, the expiry is kept or counted anew as the *new* policy
    says. To another owner: what the former one holds ends, that is key, seats and other users.

    :param owner: by `owners.find_owner`, called before the licence was locked; None: as before, then
        `owners.hold_owner` was called.
    :raises LicenseAlreadyRevoked: it has ended.
    :raises ValidationFailed: neither is given, or a policy of another product.
    :raises TrialUsed: it is or becomes a trial, and the owner has had one of this product.
    :raises FingerprintTaken: the new policy wants fingerprints unique where another seat has one.
    """
    insist_on_life(license_, or_pending=True)
    if policy_id is None and owner is None:
        raise ValidationFailed.of("policy_id", "Give a policy, an owner or both.", "REQUIRED")
    values: dict[str, Any] = {}
    if policy_id is not None and policy_id != license_.policy_id:
        values |= _under(_policy_for(license_, policy_id), license_, now)
    former, leaves = license_.user_id, False
    if owner is not None:
        values |= {"user_id": owner.user_id, "waiting_email_key": owner.waiting_email_key}
        # Nobody's licence is given to its first owner as it is: whoever uses it goes on.
        leaves = former is not None and owner.user_id != former
    changes = audit.apply(license_, values)
    changes.pop("waiting_email_key", None)
    db.session.flush()
    if changes.keys() & {"user_id", "policy_id"}:
        settle_owner(license_)
    if "policy_id" in changes:
        license_ = with_plan(license_)
        _keep_fingerprints_unique(license_)
    if changes:
        tell("transferred", license_.id, changes, cause=cause)
    if leaves:
        _end_what_the_former_owner_holds(license_, now, cause)
    if "user_id" in changes:
        write_to(former, "license_given_away", license_)
        write_to(license_.user_id, "license_received", license_)
    license_ = with_plan(license_)
    return Transfer(license_, _exceeded(license_, now))


def _policy_for(license_: License, policy_id: UUID) -> Policy:
    policy = db.session.get(Policy, policy_id)
    if policy is None or policy.product_id != license_.product_id:
        raise ValidationFailed.of("policy_id", "There is no such policy of this product.", "NOT_FOUND")
    return policy


def _under(policy: Policy, license_: License, now: datetime) -> dict[str, Any]:
    """What a licence's columns become under another policy."""
    values: dict[str, Any] = {"policy_id": policy.id}
    if license_.status is LicenseStatus.PENDING:  # its time begins when it is fulfilled
        return values
    values["check_in_due_at"] = first_due(policy, now)
    not_begun = license_.expires_at is None and waits_to_begin(license_.policy)
    if policy.transfer_strategy is TransferStrategy.KEEP_EXPIRY and not not_begun:
        return values
    values["expires_at"] = first_expiry(policy, now)
    if waits_to_begin(policy):
        values["first_validated_at"] = None  # the next validation is the first one under this policy
        if policy.expiry_basis is ExpiryBasis.FIRST_ACTIVATION and license_.machine_count > 0:
            begun = end_of_duration(policy, now)
            values["expires_at"] = begun
    return values


def _keep_fingerprints_unique(license_: License) -> None:
    policy = license_.policy
    statement = update(Machine).where(Machine.license_id == license_.id)
    statement = statement.values(
        unique_within=unique_within(policy.fingerprint_uniqueness, policy.id, policy.product_id)
    )
    try:
        with db.session.begin_nested():
            db.session.execute(statement.execution_options(synchronize_session=False))
    except IntegrityError as error:
        raise FingerprintTaken from error


def _end_what_the_former_owner_holds(license_: License, now: datetime, cause: Cause | None) -> None:
    machines = select(Machine).where(Machine.license_id == license_.id).order_by(Machine.id)
    for machine in db.session.scalars(machines).all():
        remove_machine(machine)
    if affected(delete(LicenseUser).where(LicenseUser.license_id == license_.id)):
        db.session.execute(unedited(License, License.id == license_.id, user_count=0))
        tell("users_changed", license_.id, {"user_count": (license_.user_count, 0)}, cause=cause)
    replace_key(license_, now=now, until=None, cause=cause)


def _exceeded(license_: License, now: datetime) -> list[tuple[str, Limit]]:
    facts = facts_of(license_, now=now)
    limits = ((name, limit_of(facts, name)) for name in LIMITS)
    return [(name, limit) for name, limit in limits if limit.exceeded]
