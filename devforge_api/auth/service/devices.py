"""Devices that an account's owner has signed in from: known by a token, or by where they are.

After OWASP's "device cookie": a *device token* says that somebody who knew the password has once
signed in with it. It signs nobody in; it only tells attempts of the owner's devices from those of
strangers, which have budgets of their own.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from devforge_api.auth.queries import whereabouts
from devforge_api.core import signing
from devforge_api.core.clock import utc_now
from devforge_api.core.context import occasion
from devforge_api.core.limits import UNKNOWN_ADDRESS, address_key
from devforge_api.users.service import User

TOKEN_LIFETIME = timedelta(days=180)
ADDRESS_KNOWN = timedelta(days=30)  # after the last sign-in from it
PURPOSE = "device"
# What tells browsers apart, the most telling first: Edge calls itself Chrome, Chrome Safari.
_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")


@dataclass(frozen=True, slots=True)
class Device:
    """Where a sign-in comes from.

    :param id: 128 random bits of a genuine device token of the account's; None without one.
    :param is_known: the owner has signed in from here before, by token or address.
    """

    id: UUID | None = None
    is_known: bool = False

    def kept(self) -> list[Any]:
        """For a challenge, which remembers it until the second factor is proven."""
        return [None if self.id is None else str(self.id), self.is_known]

    @classmethod
    def restored(cls, kept: list[Any]) -> Device:
        """What `kept` has given."""
        return cls(kept[0] and UUID(kept[0]), kept[1])


UNKNOWN = Device()


def make_token(user_id: UUID, device_id: UUID | None) -> str:
    """A token by which the device is known for another 180 days; with a new id if it has none."""
    device_id = device_id or UUID(bytes=secrets.token_bytes(16))
    ends = int((utc_now() + TOKEN_LIFETIME).timestamp())
    return signing.seal(PURPOSE, user_id.bytes + device_id.bytes + ends.to_bytes(8, "big"))


def device_id_of(token: str | None, user_id: UUID | None) -> UUID | None:
    """The device's id, if the token is genuine, of this account, and has not expired.

    Takes as long for an unknown account.
    """
    body = signing.unseal(PURPOSE, token or "")
    if body is None or len(body) != 40 or user_id is None or body[:16] != user_id.bytes:
        return None
    if int.from_bytes(body[32:], "big") <= utc_now().timestamp():
        return None
    return UUID(bytes=body[16:32])


def network() -> str | None:
    """Where the present request comes from, as budgets count it; None outside of requests."""
    key = address_key(occasion().address)
    return None if key == UNKNOWN_ADDRESS else key


def is_new(user: User, device: Device, *, device_name: str | None) -> bool:
    """Whether the owner should be told of this sign-in; by one query where it is not known already.

    An account's first session is no news. A device's name counts only where the client has given
    it, and with the same kind of program: anybody may use the same browser.
    """
    if device.is_known or user.last_login is None:
        return False
    here, now = network(), occasion()
    for seen in whereabouts.lately_admitted(user.id, since=utc_now() - ADDRESS_KNOWN):
        if here is not None and seen.network == here:
            return False
        same_program = program_of(seen.user_agent) == program_of(now.user_agent)
        if device_name and seen.device_name == device_name and same_program:
            return False
    return True


def program_of(user_agent: str | None) -> str:
    """The kind of program and system that a user agent names, without versions."""
    text = user_agent or ""
    browser = next((name for name in _BROWSERS if f"{name}/" in text), None)
    system = next((name for name in _SYSTEMS if name in text), "")
    return f"{browser or text.partition('/')[0].strip()} {system}".strip()
