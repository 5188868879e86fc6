"""What is remembered of a browser between here and an identity provider, and after it is back.

The *state* is bound to the browser by a cookie, and to the provider; it works once. The *result*,
where a client takes it over, is bound to the client by the challenge (PKCE, RFC 7636) that the
client gave at the beginning: whoever gets hold of the code alone can do nothing with it, and
nobody can be made to finish a sign-in that somebody else began.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta

from devforge_api.auth.errors import OneTimeTokenInvalid, ProviderStateInvalid
from devforge_api.auth.models import Purpose
from devforge_api.auth.service import one_time
from devforge_api.auth.service.vouched import VouchedIdentity
from devforge_api.core.encryption import fingerprint
from devforge_api.core.errors import ValidationFailed

STATE_LIFETIME, RESULT_LIFETIME = timedelta(minutes=10), timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One browser on its way to a provider and back."""

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Return:
    """What the browser has brought back.

    :param issuer: who says to have answered (RFC 9207).
    :param user: JSON about the user, which Apple sends beside the code, once.
    """

    code: str
    issuer: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """A browser's way to a provider and back.

    :param next: where the browser goes on with the result; None: the callback itself answers it.
    :param code_challenge: of the client that will take the result over.
    """

    attempt: Attempt
    next: str | None
    code_challenge: str | None


def check_destination(next_: str | None, code_challenge: str | None, *, allowed: tuple[str, ...]) -> None:
    """Whether a result may be sent there: to exactly one of the configured addresses.

    :raises ValidationFailed: elsewhere, or without a challenge to bind the result to.
    """
    if next_ is None:
        if code_challenge is not None:
            raise ValidationFailed.of("next", "Say where the result shall be sent.", "REQUIRED")
        return
    if next_ not in allowed:
        raise ValidationFailed.of("next", "Use one of the addresses in DEVFORGE_SIGN_IN_REDIRECTS.")
    if code_challenge is None:
        raise ValidationFailed.of("code_challenge", "Missing data for required field.", "REQUIRED")


def begin(
    provider: str, *, browser: str, redirect_uri: str, next_: str | None, code_challenge: str | None
) -> Attempt:
    """Remember a browser that is sent to a provider.

    :param browser: the secret in its cookie.
    """
    nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    state = one_time.issue(
        Purpose.PROVIDER_STATE,
        lifetime=STATE_LIFETIME,
        data={
            "provider": provider,
            "browser": fingerprint(browser),
            "nonce": nonce,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
            "next": next_,
            "code_challenge": code_challenge,
        },
    )
    return Attempt(state, nonce, verifier, redirect_uri)


def come_back(provider: str, *, browser: str | None, state: str | None) -> Journey:
    """Recognise a browser that comes back; its state is used up.

    :raises ProviderStateInvalid: unknown, used, expired, or another browser's or provider's; such
        a one stays good for whom it belongs to.
    """
    if browser is None or state is None:
        raise ProviderStateInvalid
    try:
        data = one_time.data_of(one_time.find(Purpose.PROVIDER_STATE, state))
        same_browser = hmac.compare_digest(data["browser"], fingerprint(browser))
        if not same_browser or data["provider"] != provider:
            raise ProviderStateInvalid
        one_time.consume(Purpose.PROVIDER_STATE, state)
    except OneTimeTokenInvalid:
        raise ProviderStateInvalid from None
    attempt = Attempt(state, data["nonce"], data["code_verifier"], data["redirect_uri"])
    return Journey(attempt, data["next"], data["code_challenge"])


def hand_over(vouched: VouchedIdentity, code_challenge: str) -> str:
    """A code that stands for a vouched identity, for the client that has the verifier."""
    return one_time.issue(
        Purpose.PROVIDER_RESULT,
        lifetime=RESULT_LIFETIME,
        data={"identity": asdict(vouched), "code_challenge": code_challenge},
    )


def take_over(code: str, code_verifier: str) -> VouchedIdentity:
    """The identity that a code stands for, which is used up.

    :raises OneTimeTokenInvalid: no such code, or this client did not begin the sign-in.
    """
    data = one_time.consume(Purpose.PROVIDER_RESULT, code).data
    digest = hashlib.sha256(code_verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if not hmac.compare_digest(challenge, data["code_challenge"]):
        raise OneTimeTokenInvalid
    return VouchedIdentity(**data["identity"])
