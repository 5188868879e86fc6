"""Identity providers: the JSON of the setting, checked, with what is known of the common ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")
AUTH_METHODS = ("client_secret_basic", "client_secret_post")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,253}")


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One identity provider.

    :param name: stands in addresses and beside every identity; it must never change its meaning.
    :param issuer: where discovery begins; of GitHub, which has none, the website.
    :param api: GitHub's API.
    :param auth_method: how the client tells who it is, where the provider insists on one way.
    """

    name: str
    kind: str
    label: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    auth_method: str | None = None
    api: str | None = None
    team_id: str | None = None
    key_id: str | None = None
    private_key: str | None = field(default=None, repr=False)

    def secrets(self) -> set[str]:
        """What must never be printed."""
        return {secret for secret in (self.client_secret, self.private_key) if secret}


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind of provider needs, may have, and is otherwise."""

    label: str | None
    issuer: str | None
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


_KINDS = {
    "oidc": _Kind(None, None, ("issuer", "client_id"), ("client_secret", "auth_method")),
    "google": _Kind("Google", "https://accounts.google.com", ("client_id", "client_secret"), ("issuer",)),
    "github": _Kind("GitHub", "https://github.com", ("client_id", "client_secret"), ("issuer", "api")),
    "microsoft": _Kind("Microsoft", None, ("client_id", "client_secret"), ("issuer", "tenant")),
    "apple": _Kind(
        "Apple",
        "https://appleid.apple.com",
        ("client_id", "team_id", "key_id", "private_key"),
        ("issuer",),
    ),
}


def read_providers(text: str) -> Mapping[str, ProviderSettings]:
    """Every configured provider by its name, in the order given.

    :raises ValueError: with the reason, which never holds a secret.
    """
    try:
        given = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        given = None
    except json.JSONDecodeError as error:
        raise ValueError(f"must be JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(given, dict) or not given or not all(isinstance(one, dict) for one in given.values()):
        raise ValueError('must be a JSON object such as {"google": {"client_id": "…", "client_secret": "…"}}')
    return MappingProxyType({name: _provider(name, fields) for name, fields in given.items()})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("must be JSON without the same name twice in one object")
    return found


def _provider(name: str, fields: dict[str, Any]) -> ProviderSettings:
    if not _NAME.fullmatch(name):
        raise ValueError(f"names a provider {name[:40]!r}; use up to 32 lower-case letters, digits and -")
    kind_name = fields.pop("kind", name)
    kind = _KINDS.get(kind_name) if isinstance(kind_name, str) else None
    if kind is None:
        raise ValueError(f"must say for {name!r} of which kind it is: {', '.join(_KINDS)}")
    known = {"label", *kind.required, *kind.optional}
    for key, value in fields.items():
        if key not in known:
            raise ValueError(f"gives {name!r} an unknown {key[:40]!r}; known are {', '.join(sorted(known))}")
        if not isinstance(value, str) or not 1 <= len(value) <= 4096:
            raise ValueError(f"must give {name!r} a text as {key!r}")
    for key in kind.required:
        if key not in fields:
            raise ValueError(f"must give {name!r} a {key!r}")
    tenant = fields.pop("tenant", "common")
    if not _TENANT.fullmatch(tenant):
        raise ValueError(f"must give {name!r} a tenant such as common, an id or a domain")
    issuer = fields.pop("issuer", kind.issuer) or f"https://login.microsoftonline.com/{tenant}/v2.0"
    for key, address in (("issuer", issuer), ("api", fields.get("api"))):
        if address is not None and not is_trustworthy(address):
            raise ValueError(f"must give {name!r} an https address as {key!r}; http only on loopback")
    if fields.get("auth_method", AUTH_METHODS[0]) not in AUTH_METHODS:
        raise ValueError(f"must give {name!r} an 'auth_method' of {', '.join(AUTH_METHODS)}")
    if "private_key" in fields:
        _check_private_key(name, fields["private_key"])
    label = fields.pop("label", kind.label or name.replace("-", " ").title())
    if len(label) > 50 or not label.isprintable():
        raise ValueError(f"must give {name!r} a label of at most 50 characters")
    return ProviderSettings(name=name, kind=kind_name, label=label, issuer=issuer, **fields)


def is_trustworthy(address: object) -> bool:
    """Whether what is read from there can be trusted: https, or http on this very machine."""
    if not isinstance(address, str) or not re.fullmatch(r"[!-\[\]-~]{1,2000}", address):
        return False
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or "#" in address:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK.fullmatch(host) is not None)


def _check_private_key(name: str, pem: str) -> None:
    try:
        key: object = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError(f"must give {name!r} the text of Apple's .p8 file as 'private_key'")


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# Schemes that a browser runs or reads itself, instead of handing them to an application.
BROWSERS_OWN = {
    "about", "blob", "chrome", "data", "file", "filesystem", "ftp", "javascript", "vbscript", "view-source",
    "ws", "wss",
}  # fmt: skip


def read_redirects(text: str) -> tuple[str, ...]:
    """Exact addresses to which a browser may be sent with the result of a sign-in.

    :raises ValueError: with the reason.
    """
    return tuple(_redirect(part.strip()) for part in text.split(",") if part.strip())


def _redirect(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    if (
        not separator
        or not rest
        or not re.fullmatch(r"[!-\[\]-~]{1,2000}", address)
        or not _SCHEME.fullmatch(scheme)
        or scheme in BROWSERS_OWN
        or "#" in address
        or "@" in rest.partition("/")[0]
        or (scheme in {"http", "https"} and not is_trustworthy(address))
    ):
        raise ValueError(
            f"must list exact addresses such as https://example.com/signed-in, not {address[:100]!r}"
        )
    return address
