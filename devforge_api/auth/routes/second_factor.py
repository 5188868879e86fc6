"""The one place where a challenge is answered, by the API and by the pages."""

from __future__ import annotations

from devforge_api.auth.errors import MfaCodeInvalid
from devforge_api.auth.routes.passwords import verification_required
from devforge_api.auth.service import challenges, mfa
from devforge_api.auth.service.sessions import Tokens
from devforge_api.core.db import unit_of_work


def answer_challenge(challenge_token: str, code: str, *, device_name: str | None = None) -> Tokens:
    """Open the session that waits for this code, in a transaction of its own.

    :raises MfaCodeInvalid: try another one. :raises DomainError: begin again.
    """
    user_id = challenges.begin_answer(challenge_token, code)
    with unit_of_work():
        tokens = challenges.answer(
            challenge_token, code, device_name=device_name, must_be_verified=verification_required()
        )
    if tokens is None:
        raise MfaCodeInvalid
    mfa.forgive_attempts(user_id)
    return tokens
