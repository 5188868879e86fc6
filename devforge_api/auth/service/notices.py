"""Security letters: what happened to an account, told to its owner.

They hold nothing that a stranger has typed in a form that could lead anywhere.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from devforge_api.auth import queries
from devforge_api.core.clock import utc_now
from devforge_api.core.mail import outgoing
from devforge_api.users import service as users
from devforge_api.users.service import User

PROVIDERS = {"apple": "Apple", "github": "GitHub", "google": "Google", "microsoft": "Microsoft"}
DEVICE_LENGTH = 60
A_DAY, LETTERS_A_DAY = timedelta(days=1), 5


def tell(user_id: UUID, letter: str, *, even_unverified: bool = False, **params: Any) -> None:
    """Write to the account's address, if it is known to be its owner's.

    :param even_unverified: what happened must be told, and there may be no better address; but
        whoever has taken somebody else's may cause it as often as they like: five times a day.
    """
    user = users.find_user(user_id)
    if user is None:
        return
    if user.email_verified or (even_unverified and may_write(user.email, letter)):
        outgoing.send(letter, to=user.email, locale=user.locale, at=moment(), **params)


def tell_of_device(user_id: UUID, session_id: UUID) -> None:
    """Write of a device that signed in for the first time, unless its session is gone already."""
    session = queries.find_session(session_id)
    if session is not None:
        tell(user_id, "new_device", device=_harmless(session.device_name), address=session.address)


def provider_name(key: str) -> str:
    """How an identity provider calls itself."""
    return PROVIDERS.get(key, key)


def moment() -> str:
    """Now, in words that hold in every language."""
    return f"{utc_now():%Y-%m-%d %H:%M} UTC"


def may_write(to: str, letter: str, *, apart: timedelta = timedelta(0)) -> bool:
    """Whether an address may get this letter once more: five a day, and so far apart."""
    now = utc_now()
    if apart and outgoing.count_since(now - apart, to=to, letters=(letter,)):
        return False
    return outgoing.count_since(now - A_DAY, to=to, letters=(letter,)) < LETTERS_A_DAY


def may_tell(user: User, letter: str) -> bool:
    """Whether a letter may go to the account's address: unverified, it may be anybody's."""
    return user.email_verified or may_write(user.email, letter)


def _harmless(device_name: str) -> str:
    """A device's name as whoever signed in gave it: nothing that a mail program makes a link of."""
    kept = re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w .()+'-]", " ", device_name)
    return " ".join(kept.split())[:DEVICE_LENGTH] or "?"
