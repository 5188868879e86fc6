"""From a proven identity to a session, whatever proved it: a password, a provider, a device.

The one place that asks whether the user may act, and whether a second factor is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from devforge_api.auth import queries
from devforge_api.auth.errors import AccountDisabled, EmailNotVerified
from devforge_api.auth.models import Purpose
from devforge_api.auth.service import one_time
from devforge_api.auth.service.devices import UNKNOWN, Device
from devforge_api.auth.service.sessions import Tokens, open_session
from devforge_api.core.encryption import fingerprint
from devforge_api.users.service import User

CHALLENGE_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A sign-in that waits for its second factor. ``expires_in`` in seconds."""

    challenge_token: str
    expires_in: int
    mfa_required: bool = True


def admit(
    user: User,
    *,
    device_name: str | None,
    must_be_verified: bool,
    method: str | None = None,
    device: Device = UNKNOWN,
) -> Tokens | Challenge:
    """Open a session, or ask for the second factor first.

    :param user: proven by a first factor, locked in this transaction.
    :param method: what proved it, such as ``password`` or the provider's name.
    :param device: as far as it is known already.
    :raises AccountDisabled: the user may not act.
    :raises EmailNotVerified: the address must be verified first.
    """
    insist_on_leave(user, must_be_verified=must_be_verified)
    if queries.has_second_factor(user.id):
        token = one_time.issue(
            Purpose.SECOND_FACTOR,
            lifetime=CHALLENGE_LIFETIME,
            user_id=user.id,
            data={
                "device_name": device_name,
                "method": method,
                "device": device.kept(),
                "proof": state_of(user),
            },
        )
        return Challenge(token, int(CHALLENGE_LIFETIME.total_seconds()))
    return open_session(user, device_name=device_name, method=method, device=device)


def insist_on_leave(user: User, *, must_be_verified: bool) -> None:
    """Whether the user may sign in at all.

    :raises AccountDisabled: the user may not act.
    :raises EmailNotVerified: the address must be verified first.
    """
    if not user.is_active:
        raise AccountDisabled
    if must_be_verified and not user.email_verified:
        raise EmailNotVerified


def state_of(user: User) -> str:
    """What the first factor's proof rests on.

    A challenge remembers it: a new password, role or status makes what was proven before
    worthless, whoever changed it.
    """
    return fingerprint(f"{user.token_version} {user.password_hash}")
