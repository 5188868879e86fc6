"""What has happened, as people and their programs are told of it.

An event's payload names what it concerns. Its domain *tells* whose news that is and what may be said
of it; whoever passes news on *hears* each item once, in a unit of work: what a listener writes to the
database is written exactly once. Neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from devforge_api.core.outbox import emitted_at, on

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class News:
    """One item.

    :param name: the event's, such as ``license.renewed``.
    :param users: whom it concerns, perhaps nobody; beside them, it is for the team alone.
    :param data: JSON, the ids first; as things stand when it is told, and without any secret.
    :param at: when it happened.
    """

    name: str
    users: tuple[UUID, ...]
    data: Data
    at: datetime


# Whose news it is, and what is said; None: nothing is to be said (any more).
Teller = Callable[[dict[str, Any]], tuple[Iterable[UUID], Data] | None]
Listener = Callable[[News], None]
_tellers: dict[str, Teller] = {}
_listeners: list[Listener] = []


def tells(*names: str) -> Callable[[Teller], Teller]:
    """Tell of events by name; the function gets an event's payload."""

    def register(teller: Teller) -> Teller:
        _tellers.update(dict.fromkeys(names, teller))
        return teller

    return register


def hears(listener: Listener) -> Listener:
    """Hear all news; it is called inside a unit of work, again from the start if that fails."""
    _listeners.append(listener)
    return listener


def told() -> list[str]:
    """The names of all events that are news."""
    return sorted(_tellers)


def connect() -> None:
    """Bring tellers and listeners together; once both are imported."""
    for name, teller in _tellers.items():
        for listener in _listeners:
            on(name)(_Telling(name, teller, listener))


class _Telling:
    """One listener's subscription to one event; called like the listener in the outbox."""

    def __init__(self, name: str, teller: Teller, listener: Listener) -> None:
        self._name, self._teller, self._listener = name, teller, listener
        self.__module__, self.__qualname__ = listener.__module__, listener.__qualname__

    def __call__(self, payload: dict[str, Any]) -> None:
        told = self._teller(payload)
        if told is None:
            return
        users, data = told
        self._listener(News(self._name, tuple(dict.fromkeys(users)), data, emitted_at()))
