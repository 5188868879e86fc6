"""Which addresses that users give may be called: those of the internet, by https."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import requests

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What `ipaddress`, in one version or another, takes for global and what is not, or means something
# else where we run (the IANA special-purpose registries, RFC 6890).
_REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # of protocols; a cloud's metadata service, too
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # the host below Azure's machines
        "2001::/23",  # of protocols: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries an IPv4 address
        "3fff::/20",  # documentation
    )
)
_ALLOCATED = ipaddress.IPv6Network("2000::/3")  # of IPv6, all that is given to anybody (RFC 4291)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # how a network without IPv4 writes its addresses
_PLAIN = re.compile(r"[!-\[\]-~]+")  # visible ASCII but for the backslash, which readers take differently
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# What every resolver takes for an address although it looks like a name: 0x7f.1, 2130706433, 0.
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")


class Refusal(StrEnum):
    """Why an address is not called.

    A name without addresses and one of our own network are told by one word: the difference would
    tell strangers which names there are inside.
    """

    MALFORMED = "malformed"
    SCHEME = "scheme"
    USERINFO = "userinfo"
    PORT = "port"
    ADDRESS = "address"


_SENTENCES = {
    Refusal.MALFORMED: "Not an address that can be called.",
    Refusal.SCHEME: "Use https.",
    Refusal.USERINFO: "Must not hold a user name or password.",
    Refusal.PORT: "Use port 443, or one from 1024 on.",
    Refusal.ADDRESS: "Must lead to public addresses alone.",
}


class DestinationRefused(requests.RequestException):
    """An address that must not be called; nothing was sent."""

    def __init__(self, reason: Refusal) -> None:
        self.reason = reason
        super().__init__(_SENTENCES[reason])


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads, read once: the same parts are vetted, connected to and named to the peer."""

    scheme: str
    host: str
    port: int
    target: str


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet's, whatever it is wrapped in."""
    address = _unwrapped(address)
    if isinstance(address, ipaddress.IPv6Address) and address not in _ALLOCATED:
        return False
    if any(address.version == network.version and address in network for network in _REFUSED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def read(url: str, *, local: bool) -> Destination:
    """The parts of a URL. :raises DestinationRefused: it is not one of ours to call."""
    if not _PLAIN.fullmatch(url):
        raise DestinationRefused(Refusal.MALFORMED)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise DestinationRefused(Refusal.MALFORMED) from None
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise DestinationRefused(Refusal.SCHEME)
    if "@" in parts.netloc:
        raise DestinationRefused(Refusal.USERINFO)
    if not _is_host(host):
        raise DestinationRefused(Refusal.MALFORMED)
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, target)


def _is_host(host: str) -> bool:
    if ":" in host:  # urlsplit has taken the brackets away
        try:
            return ipaddress.IPv6Address(host).scope_id is None
        except ValueError:
            return False
    if len(host) > 253 or not _HOST.fullmatch(host):
        return False
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
    return True


def vet(destination: Destination, addresses: Iterable[str], *, local: bool) -> list[str]:
    """The addresses of a destination to connect to.

    :param local: whether this machine itself may be called, also by http.
    :raises DestinationRefused: not every one of them may be called.
    """
    try:
        found = [ipaddress.ip_address(text) for text in addresses]
    except ValueError:
        raise DestinationRefused(Refusal.ADDRESS) from None
    ours = bool(found) and local and all(_unwrapped(address).is_loopback for address in found)
    if not ours:
        if not found or not all(is_public(address) for address in found):
            raise DestinationRefused(Refusal.ADDRESS)
        if destination.scheme != "https":
            raise DestinationRefused(Refusal.SCHEME)
        # The others below 1024 belong to other protocols, whose servers we would knock at.
        if destination.port != 443 and destination.port < 1024:
            raise DestinationRefused(Refusal.PORT)
    return [str(address) for address in found]
