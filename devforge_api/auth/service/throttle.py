"""Whose budget a guess at an account is charged to.

A stranger's failures must not lock the owner out: attempts from a signed-in session, from a device
with a genuine token, or from an address that the account was used from lately are counted apart
from those of everybody else, and never feed the shared count. All budgets are equally large.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from devforge_api.auth.queries import whereabouts
from devforge_api.auth.service import devices
from devforge_api.auth.service.devices import Device
from devforge_api.core import signing
from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.context import occasion
from devforge_api.core.limits import Limit, charge, forgive
from devforge_api.users.service import email_key

# Device tokens and addresses are spread over so many budgets each. Whoever once knew the password
# may have collected thousands: guessing stays bounded all the same.
SHARES = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """A guess that was let through, and counted.

    :param user_id: None where nobody has the address.
    :param password_hash: None where nobody has the address, or there is no password.
    """

    user_id: UUID | None
    password_hash: str | None
    device: Device
    key: str
    used_half: bool

    def succeed(self) -> None:
        """The guess was right: earlier failures from there do not count any more.

        Only once half of the budget is used: usually there is nothing worth a call to Redis.
        """
        if self.used_half:
            forgive(Limit.ACCOUNT_FAILURES, self.key)


def begin(email: str, *, device_token: str | None) -> Attempt:
    """Count a guess at an account's password, before anything is hashed.

    Costs the same, one query and one count, whether or not somebody has the address.

    :raises RateLimited: too many failures, from here if it is a known place.
    :raises Unavailable: guesses cannot be counted at present.
    """
    since = utc_now() - devices.ADDRESS_KNOWN
    network = devices.network()
    found = whereabouts.find_credentials(email_key(email), network=network, since=since)
    user_id = found.user_id if found else None
    device = devices.device_id_of(device_token, user_id)
    caller = occasion().principal
    if caller is not None and caller.user_id == user_id:
        place = _share("session", str(caller.session_id or caller.token_id))
    elif device is not None:
        place = _share("device", device.hex)
    elif found is not None and found.network_known:
        place = _share("address", network or "")
    else:
        place = ""
    key = account_key(email, found.unlocked_at if found else None, place)
    budget = charge(Limit.ACCOUNT_FAILURES, key)
    return Attempt(
        user_id=user_id,
        password_hash=found.password_hash if found else None,
        device=Device(device, is_known=bool(place)),
        key=key,
        used_half=2 * budget.remaining < budget.limit,
    )


def account_key(email: str, unlocked_at: datetime | None, place: str = "") -> str:
    """What an account's failures are counted under; readable by nobody, and new once it is unlocked.

    :param unlocked_at: the user's; None where there is no such user.
    :param place: what is counted apart, such as ``mfa`` or a known device.
    """
    return signing.pseudonym("account", email_key(email), rfc3339(unlocked_at) if unlocked_at else "", place)


def _share(kind: str, name: str) -> str:
    return f"{kind}:{int(signing.pseudonym('share', kind, name), 16) % SHARES}"
