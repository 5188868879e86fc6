"""How the text of a setting is read: each reader gives the value, or says what is wrong with the text.

A reader raises ``ValueError`` with the reason; a secret's text is never part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit


def read_text(value: str) -> str:
    """Any text."""
    return value


def word(longest: int) -> Callable[[str], str]:
    """Visible ASCII of at most so many characters."""

    def read(value: str) -> str:
        if not re.fullmatch(r"[\x21-\x7e]+", value) or len(value) > longest:
            raise ValueError(f"must be 1 to {longest} visible ASCII characters")
        return value

    return read


def read_file(value: str) -> str:
    """The path of a file that is text, and can be read."""
    try:
        Path(value).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ValueError("must be a UTF-8 text file that can be read") from error
    return value


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number within these bounds, both included."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """One of these words."""

    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return read


def read_secrets(value: str) -> tuple[str, ...]:
    """``new`` or, while a secret is being rotated, ``new,old``."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _origin(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    bare = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme not in {"http", "https", "vscode-file", "app"} or not parts.netloc or bare != value:
        raise ValueError(f"{value!r} is not an origin such as https://app.example.com")
    if not re.fullmatch(r"[A-Za-z0-9.\-\[\]:]+", parts.netloc):
        raise ValueError(f"{value!r} must name one exact host, without wildcards")
    return value


def read_origins(value: str) -> tuple[str, ...]:
    """Origins that browsers call from, comma-separated."""
    return tuple(_origin(part.strip()) for part in value.split(",") if part.strip())


def read_url(value: str) -> str:
    """An http(s) address, without a slash at its end."""
    try:
        parts = urlsplit(value)
    except ValueError:  # such as half an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://api.example.com")
    return value.rstrip("/")


def read_database_url(value: str) -> str:
    """Where the database is."""
    if not value.startswith(("postgresql://", "postgresql+psycopg://", "sqlite:///")):
        raise ValueError("must start with postgresql:// or sqlite:///")
    return _parsed(value)


def read_redis_url(value: str) -> str:
    """Where Redis is."""
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return _parsed(value)


def _parsed(value: str) -> str:
    """The address, if it can be taken apart; drivers would tell of it with the password in their words."""
    try:
        parts = urlsplit(value)
        ambiguous = parts.netloc.count("@") > 1 or (parts.port is not None and parts.port < 1)
    except ValueError:
        ambiguous = True
    if ambiguous:
        raise ValueError("cannot be read; write @ : / # and % in a password as %40 %3A %2F %23 and %25")
    return value


def read_mail_url(value: str) -> str:
    """The mail server, by a protocol that does not show its password."""
    parts = urlsplit(_parsed(value))
    if parts.scheme not in {"smtps", "smtp", "smtp+plain"} or not parts.hostname:
        raise ValueError("must be an address such as smtps://user:password@mail.example.com:465")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must end with host and port")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("must name both a user and a password, or neither")
    if parts.scheme == "smtp+plain" and parts.username:
        raise ValueError(
            "must be smtp:// or smtps:// where there is a password: this way it would be readable"
        )
    return value


def read_mailbox(value: str) -> str:
    """An address, perhaps with a name."""
    name, address = parseaddr(value)
    form = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
    if not value.isprintable() or not re.fullmatch(form, address) or len(name) > 100:
        raise ValueError("must be an address such as Dev Forge <no-reply@example.com>")
    return value
