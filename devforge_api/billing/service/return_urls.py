"""Where payers go afterwards: only to addresses that the operator has allowed.

An app's own scheme is never given to a provider: the payer returns to a page of ours, on which a
button opens the app.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from devforge_api.core.errors import ValidationFailed
from devforge_api.core.signing import seal, unseal

PLACE = "{order_id}"  # filled in where it stands in a given address
PURPOSE = "billing return"
PAGE = "/billing/return"
BACK = "/billing/back"  # of the portal, which concerns no single order
# What an address may consist of (RFC 3986): no backslash, blank, quote or bracket that a browser
# and a parser could read differently.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]*")
_WEB = re.compile(r"(https?)://([^/?#]+)(?:[/?#].*)?")


@dataclass(frozen=True, slots=True)
class ReturnUrls:
    """The addresses of one installation.

    :param public_url: its own; everything of that origin is allowed.
    :param allowed: further origins, and schemes of apps such as ``devforge:``.
    """

    public_url: str
    allowed: tuple[str, ...]

    def page_of(self, order_id: UUID) -> str:
        """Our page that tells what has become of an order, as it is kept: without its token."""
        return f"{self.public_url}{PAGE}/{order_id}"

    def chosen(self, field: str, given: str | None, order_id: UUID) -> str:
        """What to keep as the address to which an order's payer returns.

        :param given: by the client, perhaps with ``{order_id}``; None: our own page.
        :raises ValidationFailed: not one of the allowed.
        """
        if given is None:
            return self.page_of(order_id)
        return self._checked(field, given.replace(PLACE, str(order_id)))

    def for_provider(self, kept: str, order_id: UUID, *, canceled: bool = False) -> str:
        """What the provider is told: an address of the web, ours for whatever opens an app.

        :param canceled: for who turns back instead of paying.
        """
        own = self.page_of(order_id)
        if kept != own and _is_web(kept):
            return kept
        back = "&canceled=1" if canceled else ""
        return f"{own}?token={seal(PURPOSE, order_id.bytes)}{back}"

    def for_portal(self, given: str | None) -> str:
        """The same where no order is concerned. :raises ValidationFailed: not one of the allowed."""
        own = f"{self.public_url}{BACK}"
        if given is None:
            return own
        checked = self._checked("return_url", given)
        return checked if _is_web(checked) else f"{own}?to={seal(BACK, checked.encode())}"

    def _checked(self, field: str, address: str) -> str:
        if _ADDRESS.fullmatch(address):
            scheme = address.partition(":")[0]
            if scheme in {"http", "https"}:
                found = _WEB.fullmatch(address)
                if found and f"{found[1]}://{found[2].lower()}" in {*self.allowed, self._origin()}:
                    return address
            elif f"{scheme}:" in self.allowed:
                return address
        raise ValidationFailed.of(field, "This address is not one that a checkout may return to.")

    def _origin(self) -> str:
        own = urlsplit(self.public_url)
        return f"{own.scheme}://{own.netloc.lower()}"


def opens_app(kept: str) -> bool:
    """Whether an address is one that a button opens."""
    return bool(kept) and not _is_web(kept)


def is_genuine(token: str, order_id: UUID) -> bool:
    """Whether whoever shows this token was sent to us with this order."""
    return unseal(PURPOSE, token) == order_id.bytes


def sealed_address(text: str) -> str | None:
    """The app's address that stands sealed in one of ours; None: it was not sealed here."""
    body = unseal(BACK, text)
    return None if body is None else body.decode()


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))
