"""Who is acting, on what occasion: known to services without Flask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller: a user in one of their sessions, or a tool with a token of the user's.

    Exactly one of ``session_id`` and ``token_id`` is set.
    """

    user_id: UUID
    role: str
    scopes: frozenset[str]
    session_id: UUID | None
    token_version: int
    token_id: UUID | None = None


@dataclass(slots=True)
class Occasion:
    """The request, command or job under way.

    :param kind: ``request``, ``cli`` or ``job``.
    :param address: the client's address; None outside of requests.
    :param read: what the token check has read; the session's identity map is weak, this is not.
    """

    kind: str
    request_id: str
    address: str | None = None
    user_agent: str | None = None
    principal: Principal | None = None
    read: object = None


_occasion: ContextVar[Occasion | None] = ContextVar("occasion", default=None)


def occasion() -> Occasion:
    """The occasion under way; a plain command-line one where none was set."""
    return _occasion.get() or Occasion(kind="cli", request_id="-")


def set_occasion(value: Occasion) -> None:
    """Begin a new occasion in this thread."""
    _occasion.set(value)


@contextmanager
def acting(value: Occasion) -> Iterator[None]:
    """Run a block on an occasion of its own."""
    token = _occasion.set(value)
    try:
        yield
    finally:
        _occasion.reset(token)


def own_session() -> UUID:
    """The session of the verified caller.

    :raises LookupError: a tool's token has none; a programming error, as such routes ask for a
        scope that no such token is given.
    """
    found = principal().session_id
    if found is None:
        raise LookupError("this caller has no session: the route's scope must not be given to tokens")
    return found


def principal() -> Principal:
    """The verified caller.

    :raises LookupError: on a public route; a programming error.
    """
    found = occasion().principal
    if found is None:
        raise LookupError("this route is public: it has no principal")
    return found
