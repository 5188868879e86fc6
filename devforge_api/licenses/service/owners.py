"""To whom a licence is given: a user, or an address that will have a verified account."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.models import License, Policy
from devforge_api.licenses.service.people import forget_owner
from devforge_api.licenses.service.trials import claim_user
from devforge_api.users import service as users
from devforge_api.users.service import User, email_key


@dataclass(frozen=True, slots=True)
class Owner:
    """At most one of the two; neither: nobody's.

    :param waiting_email_key: of the address whose verified owner gets it.
    """

    user_id: UUID | None = None
    waiting_email_key: str | None = None


def find_owner(user_id: UUID | None, email: str | None) -> Owner:
    """Whom a request names. A user's row is held until commit, so that it is not erased meanwhile.

    :param email: instead of ``user_id``; without a verified account of this address the licence
        waits for one.
    :raises ValidationFailed: unknown user, or both ways of naming the owner.
    """
    if user_id is not None and email is not None:
        raise ValidationFailed.of("email", "Give either user_id or email.", "AMBIGUOUS")
    if email is not None:
        user = users.find_by_email(email)
        if user is None or not user.email_verified:
            return Owner(waiting_email_key=email_key(email))
        user_id = user.id
    if user_id is None:
        return Owner()
    held = select(User.id).where(User.id == user_id).with_for_update(read=True, key_share=True)
    if db.session.scalar(held) is None:
        raise ValidationFailed.of("user_id", "There is no such user.", "NOT_FOUND")
    return Owner(user_id)


def hold_owner(license_id: UUID) -> None:
    """Hold the row of a licence's owner until commit, as `find_owner` does for a new one.

    Before the licence is locked, as where an account is erased: what follows may refer to its owner.
    """
    held = select(User.id).join(License, License.user_id == User.id).where(License.id == license_id)
    db.session.execute(held.with_for_update(of=User, read=True, key_share=True))


def settle_owner(license_: License) -> None:
    """What follows from a locked licence's new owner or policy.

    :raises TrialUsed: it is a trial, and the owner has had one of this product.
    """
    if license_.user_id is None:
        return
    forget_owner(license_)
    policy = db.session.get(Policy, license_.policy_id)
    if policy is not None and policy.trial:
        claim_user(license_.id, license_.product_id, license_.user_id)
