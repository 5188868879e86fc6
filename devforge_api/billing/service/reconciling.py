"""Comparing with the provider what we know, and repairing what is missing.

First everything that it should have told is heard; then every order is looked at that may have
changed. Both are what happens anyway when news comes, so it is right however often it is repeated,
and whatever the server does meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy.exc import OperationalError

from devforge_api.billing.models import ProviderEvent
from devforge_api.billing.queries import reconciling as queries
from devforge_api.billing.service import inbox
from devforge_api.billing.service.hearing import act_on
from devforge_api.billing.service.looking import look
from devforge_api.billing.service.providers.base import Provider, Told
from devforge_api.billing.service.settling import Settled
from devforge_api.core.db import rehearsed, release_connection, unit_of_work
from devforge_api.core.errors import DomainError
from devforge_api.core.outbox import Undeliverable, emit

log = logging.getLogger(__name__)
BATCH = 100  # events a transaction
LOOKS = 200  # that the schedule asks for at once, of each kind
REACH = timedelta(days=1)
STRETCH = timedelta(hours=6)  # of events, for one row of the outbox
FindProvider = Callable[[str], Provider]  # by its name; may raise ProviderNotFound


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look has repaired, or why there was none."""

    order_id: UUID | None
    changes: tuple[str, ...] = ()
    error: str | None = None


def _batches(events: Iterator[Told]) -> Iterator[list[Told]]:
    while batch := list(islice(events, BATCH)):
        yield batch


def hear(provider: Provider, since: datetime, until: datetime) -> Iterator[int]:
    """Store what the provider should have told and was not heard; it is acted upon like any event.

    With no transaction open.

    :returns: for each batch of events, how many of them are new.
    :raises ProviderUnavailable: no answer.
    """
    for batch in _batches(provider.events(since, until)):
        with unit_of_work():
            new = sum(inbox.store(provider.name, told) for told in batch)
        yield new


def unheard(provider: Provider, since: datetime, until: datetime) -> Iterator[Told]:
    """The events that `hear` would store. :raises ProviderUnavailable: no answer."""
    for batch in _batches(provider.events(since, until)):
        known = queries.known_events(provider.name, [told.event_id for told in batch])
        release_connection()  # whoever takes these asks the provider about them
        yield from (told for told in batch if told.event_id not in known)


def act_on_event(find_provider: FindProvider, event_id: UUID) -> Outcome:
    """Act on an event of the inbox that waits, now instead of when the worker comes to it."""
    found = inbox.read(event_id)
    return Outcome(None) if found is None else _tried(None, partial(_act, find_provider, *found))


def _act(find_provider: FindProvider, event: ProviderEvent, told: dict[str, Any]) -> Settled | None:
    finish = act_on(find_provider(event.provider), event, told)
    with unit_of_work():
        return finish()


def look_at(find_provider: FindProvider, order_id: UUID, provider_name: str, *, rehearsal: bool) -> Outcome:
    """Look at an order and settle it; with no transaction open.

    :param rehearsal: take back what that has changed.
    """

    def settle() -> Settled:
        finish = look(find_provider(provider_name), order_id)
        with rehearsed() if rehearsal else unit_of_work():
            return finish()

    return _tried(order_id, settle)


def _tried(order_id: UUID | None, settle: Callable[[], Settled | None]) -> Outcome:
    """One order that cannot be settled does not keep the others from it."""
    try:
        settled = settle()
    except DomainError as error:
        return Outcome(order_id, error=f"{error.message} ({error.code})")
    except Undeliverable as error:
        return Outcome(order_id, error=str(error))
    except OperationalError:  # the database is away, and no other order will do better
        raise
    except Exception as error:
        log.exception("an order could not be settled", extra={"order_id": str(order_id)})
        return Outcome(order_id, error=f"{type(error).__name__}: {error}")
    if settled is None:
        return Outcome(order_id)
    return Outcome(settled.order_id, settled.changes)


def ask_for_news(provider_names: Iterable[str], now: datetime) -> int:
    """Have the last day's events heard again, and the orders looked at that should have moved by now.

    So that what a webhook has lost heals by itself, at a bounded cost. Returns how many orders.
    """
    for name in provider_names:
        for number in range(REACH // STRETCH):
            until = now - number * STRETCH
            since = until - STRETCH
            emit("billing.news_wanted", provider=name, since=since.isoformat(), until=until.isoformat())
    overdue = queries.overdue(now, limit=LOOKS)
    for order_id in overdue:
        emit("billing.look_requested", order_id=str(order_id))
    return len(overdue)
