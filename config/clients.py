"""How the setting of OAuth clients is read."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from config.providers import BROWSERS_OWN

GRANTS = ("authorization_code", "urn:ietf:params:oauth:grant-type:device_code")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,63}")
# An application cannot own these: browsers, or the system, do something else with them.
_TAKEN = BROWSERS_OWN | {"intent", "mailto", "sms", "tel"}
_EXAMPLE = (
    '[{"client_id": "acme-tool", "name": "Acme Tool", "redirect_uris": ["http://127.0.0.1/callback"], '
    '"grants": ["authorization_code"]}]'
)


def read_clients(text: str) -> tuple[dict[str, Any], ...]:
    """The clients that a setting lists, as JSON.

    :raises ValueError: what is wrong with it.
    """
    try:
        listed = json.loads(text)
    except ValueError as error:
        raise ValueError(f"must be JSON such as {_EXAMPLE}") from error
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError(f"must be a list such as {_EXAMPLE}")
    clients = tuple(_client(one) for one in listed)
    if len({one["client_id"] for one in clients}) != len(clients):
        raise ValueError("must not list a client_id twice")
    return clients


def _client(given: dict[str, Any]) -> dict[str, Any]:
    client = {"redirect_uris": [], "grants": [], **given}
    client_id = client.get("client_id")
    if unknown := set(client) - {"client_id", "name", "redirect_uris", "grants"}:
        raise ValueError(f"does not know {sorted(unknown)[0]!r}; a client is such as {_EXAMPLE}")
    if not isinstance(client_id, str) or not _ID.fullmatch(client_id):
        raise ValueError("must give each client a client_id of lower-case letters, digits and . _ -")
    name = client.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 100 or not name.isprintable():
        raise ValueError(f"must give {client_id} a name, which people read when they approve it")
    for field in ("redirect_uris", "grants"):
        if not isinstance(client[field], list) or not all(isinstance(one, str) for one in client[field]):
            raise ValueError(f"must give {client_id} a list of strings as {field}")
    if wrong := [one for one in client["grants"] if one not in GRANTS]:
        raise ValueError(f"names the grant {wrong[0]!r}; choose from {', '.join(GRANTS)}")
    if GRANTS[0] in client["grants"] and not client["redirect_uris"]:
        raise ValueError(f"must give {client_id} redirect_uris, to which its codes are sent")
    for uri in client["redirect_uris"]:
        if not _is_redirect(uri):
            raise ValueError(
                f"has {uri!r} as a redirect_uri; use http://127.0.0.1/path, http://[::1]/path, "
                "https://host/path or your-scheme://host/path"
            )
    return client


def _is_redirect(uri: str) -> bool:
    """RFC 8252 section 7: loopback by number, https, or a scheme of the application's own."""
    if not re.fullmatch(r"[!-~]{1,1000}", uri) or set(uri) & set('\\"<>^`{|}#*'):
        return False
    try:
        parts = urlsplit(uri)
        if "@" in parts.netloc:
            return False
        if parts.scheme == "http":
            return parts.hostname in {"127.0.0.1", "::1"} and parts.port is None and bool(parts.path)
        if parts.scheme == "https":
            return bool(parts.hostname and parts.path)
    except ValueError:  # such as half an IPv6 address
        return False
    return bool(_SCHEME.fullmatch(parts.scheme)) and parts.scheme not in _TAKEN and "/" in uri
