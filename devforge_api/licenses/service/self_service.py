"""What users get by themselves, without the team: a trial."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from devforge_api.auth.errors import EmailNotVerified
from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.models import License, Policy
from devforge_api.licenses.service import lifecycle
from devforge_api.users import service as users


def start_trial(policy_id: UUID, *, user_id: UUID, now: datetime) -> License:
    """Issue a trial's licence to a user.

    :raises EmailNotVerified: an address costs nothing; only one that is read counts.
    :raises ValidationFailed: no such policy, or none of a trial.
    :raises TrialUsed: the user has had the trial of this product.
    """
    # Locked, so that the account is not erased between the question and the licence.
    if not users.get_user(user_id, for_update=True).email_verified:
        raise EmailNotVerified
    policy = db.session.get(Policy, policy_id)
    if policy is None or not policy.trial:  # what else is sold is nobody's business
        raise ValidationFailed.of("policy_id", "There is no such trial.", "NOT_FOUND")
    return lifecycle.issue(policy_id=policy_id, user_id=user_id, now=now)
