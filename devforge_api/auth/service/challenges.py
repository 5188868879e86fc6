"""Answering what a sign-in with a second factor is asked."""

from __future__ import annotations

from uuid import UUID

from devforge_api.auth.errors import MfaChallengeInvalid, OneTimeTokenInvalid
from devforge_api.auth.models import OneTimeToken, Purpose
from devforge_api.auth.service import mfa, one_time
from devforge_api.auth.service.admission import insist_on_leave, state_of
from devforge_api.auth.service.devices import Device
from devforge_api.auth.service.sessions import Tokens, open_session
from devforge_api.users import service as users
from devforge_api.users.errors import UserNotFound

MOST_FAILURES = 5  # the last of them voids the challenge


def begin_answer(challenge_token: str, code: str) -> UUID:
    """Count an answer before it is looked at; outside of a transaction.

    :returns: whom `mfa.forgive_attempts` is for, once the answer was right.
    :raises MfaChallengeInvalid: no such challenge is open. :raises RateLimited: too many codes.
    """
    user_id = _find(challenge_token).user_id
    if user_id is None:
        raise MfaChallengeInvalid
    mfa.charge_attempt(user_id, code)
    return user_id


def answer(
    challenge_token: str, code: str, *, device_name: str | None, must_be_verified: bool
) -> Tokens | None:
    """Open the session that waits for this code.

    :param device_name: instead of the one that was given with the first factor.
    :returns: None for a wrong code; the caller commits, so that it counts, then refuses.
    :raises MfaChallengeInvalid: used, expired, failed five times, or what the first factor has
        proven is true no longer.
    :raises AccountDisabled: the user may not act. :raises EmailNotVerified: verify first.
    """
    challenge = _find(challenge_token)
    try:
        if challenge.user_id is None:
            raise MfaChallengeInvalid
        user = users.get_user(challenge.user_id, for_update=True)
        data = one_time.data_of(challenge)
        if data["proof"] != state_of(user):
            raise MfaChallengeInvalid
        insist_on_leave(user, must_be_verified=must_be_verified)
        if not mfa.use_code(user.id, code):
            one_time.fail(challenge, at_most=MOST_FAILURES)
            mfa.note_wrong_code(user.id)
            return None
        one_time.use(challenge)
    except (OneTimeTokenInvalid, UserNotFound):
        raise MfaChallengeInvalid from None
    return open_session(
        user,
        device_name=device_name or data["device_name"],
        method=data["method"],
        device=Device.restored(data["device"]),
    )


def _find(challenge_token: str) -> OneTimeToken:
    try:
        return one_time.find(Purpose.SECOND_FACTOR, challenge_token)
    except OneTimeTokenInvalid:
        raise MfaChallengeInvalid from None
