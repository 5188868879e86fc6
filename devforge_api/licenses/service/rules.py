"""What the terms of a policy must be together, beyond what each may be by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.models import ExpiryBasis, ExpiryStrategy, Overage, Policy

ENDING = (ExpiryStrategy.RESTRICT, ExpiryStrategy.REVOKE)


Rule = tuple[str, str, str]  # field, code, message


def check(policy: Policy, *, known: Collection[Rule] = ()) -> None:
    """Refuse terms that contradict each other, or that no licence could satisfy.

    :param known: what was `broken` before an edit: older policies can be edited all the same.
    :raises ValidationFailed: naming every field that is concerned.
    """
    details = [
        {"field": field, "code": code, "message": message}
        for field, code, message in broken(policy)
        if (field, code, message) not in known
    ]
    if details:
        raise ValidationFailed(details)


def broken(policy: Policy) -> list[Rule]:
    """The rules that a policy breaks."""
    return list(_broken(policy))


def _broken(policy: Policy) -> Iterator[Rule]:
    lasting = policy.duration_days is None and policy.duration_months is None
    if policy.duration_days is not None and policy.duration_months is not None:
        yield "duration_months", "AMBIGUOUS", "Give either duration_days or duration_months."
    if lasting and policy.expiry_basis is not ExpiryBasis.CREATION:
        yield "expiry_basis", "DURATION_REQUIRED", "Nothing begins without a duration."
    if policy.trial and lasting:
        yield "trial", "DURATION_REQUIRED", "A trial needs a duration."
    if policy.trial and policy.expiry_strategy not in ENDING:
        yield "expiry_strategy", "TRIAL_MUST_END", "A trial ends: restrict or revoke."
    if not policy.floating and policy.max_machines is None:
        yield "max_machines", "REQUIRED", "A node-locked policy needs a limit; floating ones need none."
    if not policy.floating and policy.overage is Overage.ALWAYS:
        yield "overage", "INVALID", "A node-locked policy's limit cannot be exceeded without end."
    if len(set(policy.required_scopes)) < len(policy.required_scopes):
        yield "required_scopes", "DUPLICATE", "Name each scope once."
