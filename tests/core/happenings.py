"""An event of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import select

from devforge_api.core import news, outbox
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.news import Listener, _Telling
from devforge_api.core.outbox import EventType, OutboxRow

NAME = "test.happened"


@contextmanager
def subscribing(app: Flask, *, outside: bool = False) -> Iterator[Callable[..., Any]]:
    """Subscribe functions to it, as long as the block lasts."""
    catalogue, lanes = app.extensions["devforge-events"], dict(outbox._lanes)
    app.extensions["devforge-events"] = {**catalogue, NAME: EventType("A test.", frozenset({"n"}))}
    yield outbox.on(NAME, outside=outside)
    outbox._subscribers.pop(NAME, None)
    outbox._lanes.clear()
    outbox._lanes.update(lanes)
    app.extensions["devforge-events"] = catalogue


def emit(*numbers: int) -> None:
    with unit_of_work():
        for number in numbers:
            outbox.emit(NAME, n=number)


def rows() -> list[OutboxRow]:
    db.session.remove()
    return list(db.session.scalars(select(OutboxRow).order_by(OutboxRow.id)))


@contextmanager
def hearing(listener: Listener) -> Iterator[None]:
    """Let a listener of the test's own hear all news."""
    before = {name: dict(subscribers) for name, subscribers in outbox._subscribers.items()}
    for name in news.told():
        outbox.on(name)(_Telling(name, news._tellers[name], listener))
    yield
    outbox._subscribers.clear()
    outbox._subscribers.update(before)
