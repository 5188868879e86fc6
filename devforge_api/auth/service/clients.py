"""The applications that may ask for a session: our own, from configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CODE, REFRESH = "authorization_code", "refresh_token"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
# RFC 8252 section 7.3: the port is whatever was free. Two spellings, since localhost may resolve to
# somebody else's interface (section 8.3).
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?(/.*)")

BUILT_IN: tuple[Mapping[str, Any], ...] = (
    {
        "client_id": "devforge-desktop",
        "name": "Dev Forge Desktop",
        "redirect_uris": ("http://127.0.0.1/callback", "http://[::1]/callback", "devforge://auth/callback"),
        "grants": (CODE, DEVICE),
    },
    {"client_id": "devforge-cli", "name": "Dev Forge CLI", "redirect_uris": (), "grants": (DEVICE,)},
)


@dataclass(frozen=True, slots=True)
class Client:
    """A public client (RFC 6749 section 2.1), with the methods that Authlib asks of one."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    grants: frozenset[str]

    def get_client_id(self) -> str:
        """Its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: each request names where it wants the answer."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """What was asked for; the session has what its user's role gives."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether an address was registered: letter by letter, but for a loopback's port."""
        return redirect_uri in self.redirect_uris or any(
            _same_loopback(redirect_uri, registered) for registered in self.redirect_uris
        )

    def check_client_secret(self, _secret: str) -> bool:
        """False: what ships to users can keep no secret."""
        return False

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Whether it may name itself in this way."""
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        """Whether it may ask the authorization endpoint for this."""
        return response_type == "code" and CODE in self.grants

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may exchange this for tokens; what it was given it may also renew."""
        return grant_type in self.grants or (grant_type == REFRESH and bool(self.grants))


def clients_from(configured: Iterable[Mapping[str, Any]]) -> dict[str, Client]:
    """The clients by their ids: the built-in ones, and those of the setting, which win."""
    return {
        one["client_id"]: Client(
            one["client_id"], one["name"], tuple(one["redirect_uris"]), frozenset(one["grants"])
        )
        for one in (*BUILT_IN, *configured)
    }


def _same_loopback(asked: str, registered: str) -> bool:
    ours, theirs = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(asked)
    if ours is None or theirs is None or not 0 < int(theirs[2] or 80) < 65_536:
        return False
    return (ours[1], ours[3]) == (theirs[1], theirs[3])
