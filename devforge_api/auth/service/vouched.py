"""Who a user is, in a provider's word; bounded, as it comes from outside."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from devforge_api.auth.errors import ProviderAnswerInvalid

# Without what means something else in a letter's headers (RFC 5322).
_ADDRESS = re.compile(r'[^\s@<>(),:;"\\\[\]]{1,64}@[^\s@<>(),:;"\\\[\]]+')


@dataclass(frozen=True, slots=True)
class VouchedIdentity:
    """An account at a provider, which has just said that this is its user.

    :param subject: by which the provider knows its user for ever.
    :param email_verified: whether the provider says that the address is the user's.
    """

    provider: str
    subject: str
    email: str | None
    email_verified: bool
    name: str | None


def vouched(
    provider: str, subject: object, *, email: object, email_verified: bool, name: object
) -> VouchedIdentity:
    """What a provider has said, in our form.

    :raises ProviderAnswerInvalid: it names nobody.
    """
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise ProviderAnswerInvalid
    address = _address(email)
    return VouchedIdentity(provider, subject, address, email_verified and address is not None, _name(name))


def _address(email: object) -> str | None:
    if not isinstance(email, str) or len(email) > 320:
        return None
    found = unicodedata.normalize("NFC", email.strip())
    good = len(found) <= 254 and found.isprintable() and _ADDRESS.fullmatch(found)
    return found if good else None


def _name(name: object) -> str | None:
    if not isinstance(name, str):
        return None
    plain = "".join(letter for letter in name[:1000] if letter.isprintable())
    return " ".join(plain.split())[:100] or None
