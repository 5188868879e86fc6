"""``flask billing simulate``: what otherwise takes a month, a bank or a customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

import click

from devforge_api.billing.cli.group import billing_cli
from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import DisputeStatus, PaymentStatus
from devforge_api.billing.providers import find_provider
from devforge_api.billing.service import looking
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.billing.service.providers.test_book import Book
from devforge_api.core.cli import command_line


def _refund(book: Book) -> None:
    """All that is left of the newest charge, as by the provider's own pages."""
    for payment in reversed(book.charged()):
        if left := book.left(payment["charge"]):
            book.refund(payment["charge"], left, refund_id=None)
            return
    raise ProviderRefused("There is nothing left to give back.")


DEEDS: Mapping[str, Callable[[Book], None]] = {
    "renew": partial(Book.next_period, status=PaymentStatus.PAID),
    "fail-renewal": partial(Book.next_period, status=PaymentStatus.FAILED),
    "recover": Book.recover,
    "cancel": partial(Book.cancel, at_period_end=True),
    "end": partial(Book.cancel, at_period_end=False),
    "pause": Book.pause,
    "resume": Book.resume,
    "dispute": Book.dispute,
    "win": partial(Book.decide_dispute, status=DisputeStatus.WON),
    "lose": partial(Book.decide_dispute, status=DisputeStatus.LOST),
    "refund": _refund,
    "fail-refund": Book.fail_refund,
}


@billing_cli.command("simulate")
@click.argument("order_id", metavar="ORDER", type=click.UUID)
@click.argument("deed", type=click.Choice(list(DEEDS)))
@command_line
def simulate(order_id: UUID, deed: str) -> None:
    """Let something happen to an order at the built-in provider, and settle it.

    renew and fail-renewal end the present period, whenever that would be; recover pays what has
    failed; win and lose decide a dispute.
    """
    provider = find_provider("test")
    assert isinstance(provider, TestProvider)  # there is no other of this name
    book = provider.change(provider.reference_of(order_id), DEEDS[deed])
    if not book.news:
        click.echo("Nothing has changed.")
        return
    event_id = book.state["events"][-1]["id"]
    settled = looking.look_and_settle(provider, order_id, event_id=event_id)
    for line in (*book.news, *settled.changes):
        click.echo(line)
    click.echo(f"The order is {settled.status}.")
