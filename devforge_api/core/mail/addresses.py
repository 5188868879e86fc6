"""Addresses as mail servers take them."""

from __future__ import annotations

import idna


def wire_address(address: str) -> str:
    """An address as servers take it: its domain in ASCII (IDNA 2008), its local part as it is.

    :raises ValueError: it has no such form.
    """
    local, at, domain = address.rpartition("@")
    if not (local and at) or any(character.isspace() or character in "<>\0" for character in address):
        raise ValueError("it is no address")
    if domain.startswith("["):
        return address
    try:  # nontransitional: IDNA 2003 would make another domain of straße.example
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise ValueError("there can be no such domain") from None
