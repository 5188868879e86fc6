"""The second factor: an authenticator app (RFC 6238), and recovery codes for when it is lost."""

from __future__ import annotations

import io
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pyotp
import segno
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import delete, update

from devforge_api.audit import service as audit
from devforge_api.auth import queries
from devforge_api.auth.errors import MfaAlreadyEnabled, MfaCodeInvalid, MfaNotEnabled
from devforge_api.auth.models import Purpose, RecoveryCode, TotpFactor
from devforge_api.auth.service import one_time, throttle
from devforge_api.auth.service.latecomers import refuse_latecomer
from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected, db
from devforge_api.core.encryption import decrypt, encrypt, fingerprint
from devforge_api.core.errors import RateLimited
from devforge_api.core.limits import Limit, charge, forgive
from devforge_api.core.outbox import emit
from devforge_api.users import service as users
from devforge_api.users.service import User

ISSUER = "Dev Forge"
RECOVERY_CODES = 10
# 28 letters of 5 random bits: more than the 128 that let a plain hash stand for a secret.
_LETTERS, _LENGTH, _GROUP = "abcdefghijklmnopqrstuvwxyz234567", 28, 4
DRIFT_STEPS = 1  # of 30 seconds, by which a device's clock may be off (RFC 6238 section 5.2)
# Six digits are soon guessed by whoever has the password and a few weeks. NIST SP 800-63B 5.2.2
# allows 100 failures in a row; recovery codes, which nobody guesses, go on working.
FAILURES_A_DAY = 50


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new authenticator's secret (base32), alone and as an app reads it."""

    secret: str
    email: str

    @property
    def otpauth_uri(self) -> str:
        """The key URI that authenticator apps take."""
        return pyotp.TOTP(self.secret).provisioning_uri(name=self.email, issuer_name=ISSUER)

    @property
    def qr_svg(self) -> str:
        """The same as a picture to scan: an SVG document of its own, dark on white."""
        out = io.BytesIO()
        segno.make(self.otpauth_uri, micro=False).save(out, kind="svg", xmldecl=False, scale=4, light="#fff")
        return out.getvalue().decode().strip()


@dataclass(frozen=True, slots=True)
class State:
    """How a user's second factor stands."""

    totp_enabled: bool
    confirmed_at: datetime | None
    recovery_codes_left: int


def enrol(user_id: UUID) -> Enrolment:
    """Begin with an authenticator app; asked for only once it is confirmed.

    :raises MfaAlreadyEnabled: one is confirmed already.
    """
    user = users.get_user(user_id, for_update=True)
    refuse_latecomer(user)
    enrolment = Enrolment(pyotp.random_base32(), user.email)
    factor = queries.find_factor(user_id)
    if factor is None:
        factor = TotpFactor(user_id=user_id)
        db.session.add(factor)
    elif factor.confirmed_at:
        raise MfaAlreadyEnabled
    factor.secret, factor.last_step, factor.created_at = encrypt(enrolment.secret), 0, utc_now()
    db.session.flush()
    return enrolment


def confirm(user_id: UUID, code: str) -> list[str]:
    """Prove that the app has the secret: from now on sign-in asks for it.

    :returns: the recovery codes, which nobody sees again.
    :raises MfaNotEnabled: nothing was enrolled. :raises MfaAlreadyEnabled: it is confirmed.
    :raises MfaCodeInvalid: the code is not the app's.
    """
    refuse_latecomer(users.get_user(user_id, for_update=True))
    factor = queries.find_factor(user_id)
    if factor is None:
        raise MfaNotEnabled
    if factor.confirmed_at:
        raise MfaAlreadyEnabled
    step = _step_of(factor, code)
    if step is None:
        raise MfaCodeInvalid
    factor.confirmed_at, factor.last_step = utc_now(), step
    codes = _new_recovery_codes(user_id)
    audit.record("auth.mfa_enabled", target_type="user", target_id=user_id)
    emit("auth.mfa_enabled", user_id=str(user_id))
    return codes


def state(user_id: UUID) -> State:
    """How the user's second factor stands."""
    confirmed_at, left = queries.second_factor(user_id)
    return State(confirmed_at is not None, confirmed_at, left)


def disable(user_id: UUID) -> None:
    """Remove the second factor and its recovery codes; one that was never confirmed, too.

    :raises MfaNotEnabled: there is none.
    """
    users.get_user(user_id, for_update=True)
    factor = queries.find_factor(user_id)
    if factor is None:
        raise MfaNotEnabled
    forget(user_id)
    one_time.void(user_id, Purpose.SECOND_FACTOR)
    if factor.confirmed_at:
        audit.record("auth.mfa_disabled", target_type="user", target_id=user_id)
        emit("auth.mfa_disabled", user_id=str(user_id))
    db.session.flush()


def forget(user_id: UUID) -> None:
    """Remove an authenticator app, and its recovery codes, without a word.

    :param user_id: locked in this transaction.
    """
    db.session.execute(delete(TotpFactor).where(TotpFactor.user_id == user_id))
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def renew_recovery_codes(user_id: UUID) -> list[str]:
    """A new set; the old one is worthless.

    :raises MfaNotEnabled: there is no confirmed factor.
    """
    users.get_user(user_id, for_update=True)
    if not queries.has_second_factor(user_id):
        raise MfaNotEnabled
    codes = _new_recovery_codes(user_id)
    audit.record("auth.recovery_codes_renewed", target_type="user", target_id=user_id)
    return codes


def charge_attempt(user_id: UUID, code: str) -> None:
    """Count a code before it is looked at, outside of a transaction; `forgive_attempts` if it is right.

    Recovery codes are not counted here: whoever guesses at the app must not lock the owner out.

    :raises RateLimited: too many within a minute, or within a day.
    """
    if not is_totp(code):
        return
    charge(Limit.ACCOUNT_FAILURES, _budget(user_id))
    since = utc_now() - timedelta(days=1)
    failures = queries.failed_codes(user_id, since=since, limit=FAILURES_A_DAY)
    if len(failures) == FAILURES_A_DAY:
        raise RateLimited(int((failures[-1] - since).total_seconds()) + 1)


def forgive_attempts(user_id: UUID) -> None:
    """Forget this minute's count: the code was right."""
    forgive(Limit.ACCOUNT_FAILURES, _budget(user_id))


def use_code(user_id: UUID, code: str) -> bool:
    """Use a code of the app, or a recovery code, up; False where it is wrong or was used.

    :param user_id: locked in this transaction.
    """
    return use_totp(user_id, code) if is_totp(code) else _use_recovery_code(user_id, code)


def use_totp(user_id: UUID, code: str) -> bool:
    """Use a code of the app up: its step and those before it work no more."""
    factor = queries.find_factor(user_id)
    step = _step_of(factor, code) if factor and factor.confirmed_at else None
    if step is None:
        return False
    use = (
        update(TotpFactor)
        .where(TotpFactor.user_id == user_id, TotpFactor.last_step < step)
        .values(last_step=step)
        .execution_options(synchronize_session=False)
    )
    return affected(use) == 1


def note_wrong_code(user_id: UUID) -> None:
    """Put a failed attempt into the audit trail, where the owner sees it."""
    audit.record("auth.mfa_failed", target_type="user", target_id=user_id)


def is_totp(code: str) -> bool:
    """Whether it can be a code of the app; anything else is taken for a recovery code."""
    return re.fullmatch(r"[0-9]{6}", _plain(code)) is not None


def _use_recovery_code(user_id: UUID, code: str) -> bool:
    use = (
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == fingerprint(_plain(code)),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=utc_now())
        .execution_options(synchronize_session=False)
    )
    if affected(use) != 1:
        return False
    audit.record("auth.recovery_code_used", target_type="user", target_id=user_id, actor_id=user_id)
    emit("auth.recovery_code_used", user_id=str(user_id))
    return True


def _new_recovery_codes(user_id: UUID) -> list[str]:
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    plain = ["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)) for _ in range(RECOVERY_CODES)]
    db.session.add_all(RecoveryCode(user_id=user_id, code_hash=fingerprint(code)) for code in plain)
    db.session.flush()
    return ["-".join(re.findall("." * _GROUP, code)) for code in plain]


def _plain(code: str) -> str:
    """A code as it is compared: people write it in groups, and in capitals."""
    return re.sub(r"[\s-]", "", code).casefold()


def _step_of(factor: TotpFactor, code: str) -> int | None:
    """The 30-second step whose code this is, compared in constant time; None: of none near now."""
    totp = pyotp.TOTP(decrypt(factor.secret))
    try:
        return totp.verify_and_get_timecode(_plain(code), for_time=utc_now(), valid_window=DRIFT_STEPS)
    except OTPVerificationError:
        return None


def _budget(user_id: UUID) -> str:
    """The user's own, beside that of the password, and likewise new once the account is unlocked."""
    user = db.session.get(User, user_id)
    return throttle.account_key(user.email, user.unlocked_at, "mfa") if user else f"mfa:{user_id}"
