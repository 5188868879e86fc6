"""The licences of a policy as verdicts without scope see them, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, tuple_

from devforge_api.core.db import db
from devforge_api.licenses.models import License, LicenseStatus
from devforge_api.licenses.queries.entitlements import own_entitlements_of
from devforge_api.licenses.queries.facts import Facts, due_under
from devforge_api.licenses.queries.terms import LIMITS, Terms
from devforge_api.users.models import User, UserStatus

PAGE = 10_000  # licences read at a time


@dataclass(frozen=True, slots=True)
class Subject:
    """What tells one licence from another before a policy; equal for most licences of it."""

    expired: bool
    overdue: bool
    own_limits: tuple[int | None, ...]  # by `LIMITS`
    taken: tuple[int, ...]  # by `LIMITS`
    own_entitlements: tuple[str, ...]  # unexpired, sorted


def subjects_of(policy_id: UUID, *, now: datetime) -> Iterator[list[tuple[UUID, Subject]]]:
    """The licences that a policy's terms decide about, oldest first, in pages.

    Left out is what is decided before any term is looked at: pending, suspended and revoked ones,
    and those of disabled accounts.
    """
    page = (
        select(
            License.id, License.created_at, License.expires_at, License.check_in_due_at,
            License.max_machines, License.max_cores, License.max_users, License.max_uses,
            License.machine_count, License.core_count, License.user_count, License.uses,
            License.user_id, License.entitlement_count,
        )
        .outerjoin(User, User.id == License.user_id)
        .where(
            License.policy_id == policy_id,
            License.status == LicenseStatus.ACTIVE,
            or_(User.status.is_(None), User.status != UserStatus.DISABLED),
        )
        .order_by(License.created_at, License.id)
        .limit(PAGE)
    )  # fmt: skip
    following = page
    while rows := db.session.execute(following).all():
        yield _subjects(rows, now)
        if len(rows) < PAGE:
            return
        last = rows[-1]
        following = page.where(tuple_(License.created_at, License.id) > (last.created_at, last.id))


def _subjects(rows: Sequence[Sequence[Any]], now: datetime) -> list[tuple[UUID, Subject]]:
    own = own_entitlements_of([row[0] for row in rows if row[-1]])
    found = []
    for (
        license_id, _, expires_at, check_in_due_at, max_machines, max_cores, max_users, max_uses,
        machines, cores, users, uses, user_id, entitlement_count,
    ) in rows:  # fmt: skip
        features = own.get(license_id, ()) if entitlement_count else ()
        subject = Subject(
            expires_at is not None and expires_at <= now,
            check_in_due_at is not None and check_in_due_at <= now,
            (max_machines, max_cores, max_users, max_uses),
            (machines, cores, users + (user_id is not None), uses),
            tuple(code for code, until in features if until is None or until > now),
        )
        found.append((license_id, subject))
    return found


def facts_about(subject: Subject, terms: Terms, *, now: datetime) -> Facts:
    """What a verdict without scope on such a licence depends on."""
    return Facts(
        now, terms.policy_id, LicenseStatus.ACTIVE, now if subject.expired else None,
        due_under(terms, now) if subject.overdue else None, None, None, None,
        dict(zip(LIMITS, subject.own_limits, strict=True)), dict(zip(LIMITS, subject.taken, strict=True)),
        {}, terms, own_entitlements=tuple((code, None) for code in subject.own_entitlements),
    )  # fmt: skip
