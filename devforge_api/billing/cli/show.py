"""``flask billing orders``, ``order``, ``events``, ``prices``: looking, changing nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from devforge_api.billing import queries
from devforge_api.billing.cli.group import billing_cli, limit_option, since_of
from devforge_api.billing.models import EventOutcome, Order, OrderStatus, Price, ProviderEvent
from devforge_api.billing.service.amounts import shown
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.db import db


def money(amount: int, currency: str, *, as_json: bool) -> dict[str, Any]:
    """As people read it, or as programs do."""
    return {"amount": amount, "currency": currency} if as_json else {"amount": shown(amount, currency)}


@billing_cli.command("orders")
@click.option("--status", type=click.Choice([status.value for status in OrderStatus]))
@click.option("--user", "user_id", type=click.UUID, help="Id of the buyer.")
@click.option("--since", callback=since_of, help="Made since: 7d, 12h or a day in UTC.")
@limit_option
@json_option
@command_line
def orders(status: str | None, user_id: UUID | None, since: Any, limit: int, as_json: bool) -> None:
    """List orders, newest first."""
    statement = queries.orders(reader_id=user_id).order_by(Order.created_at.desc(), Order.id.desc())
    if status:
        statement = statement.where(Order.status == OrderStatus(status))
    if since:
        statement = statement.where(Order.created_at >= since)
    found = queries.shown(db.session.scalars(statement.limit(limit)).all())
    show_rows((_row(order, as_json=as_json) for order in found), as_json=as_json)


def _row(order: queries.ShownOrder, *, as_json: bool) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status.value,
        **money(order.amount, order.currency, as_json=as_json),
        "interval": order.interval.value,
        "items": ", ".join(f"{item.quantity} {item.description}" for item in order.items),
        "licenses": len(order.licenses),
        "user_id": order.user_id,
        "provider": order.provider,
        "created_at": order.created_at,
        "paid_at": order.paid_at,
    }


@billing_cli.command("order")
@click.argument("order_id", metavar="ORDER", type=click.UUID)
@json_option
@command_line
def order(order_id: UUID, as_json: bool) -> None:
    """Show one order: payments, refunds, subscription and licences, without their keys."""
    (found,) = queries.shown([queries.get_order(order_id, reader_id=None)])
    row = _row(found, as_json=as_json) | {
        "session_reference": found.session_reference,
        "subscription": found.subscription_id and _subscription(found.subscription_id),
    }
    payments = [
        {
            "id": payment.id,
            "status": payment.status.value,
            **money(payment.amount, payment.currency, as_json=as_json),
            "charge_reference": payment.charge_reference,
            "failure": payment.failure,
            "paid_at": payment.paid_at,
        }
        for payment in queries.payments_of(order_id)
    ]
    refunds = [
        {
            "id": refund.id,
            "payment_id": refund.payment_id,
            "status": refund.status.value,
            **money(refund.amount, refund.payment.currency, as_json=as_json),
            "reason": refund.reason,
            "failure": refund.failure,
            "created_at": refund.created_at,
        }
        for refund in queries.refunds_of(order_id)
    ]
    licenses = [
        {"id": one.id, "key": f"…{one.key[-6:]}", "status": one.status.value, "expires_at": one.expires_at}
        for one in found.licenses
    ]
    if as_json:
        show_rows([row | {"payments": payments, "refunds": refunds, "licenses": licenses}], as_json=True)
        return
    show_rows(
        [{"what": name.replace("_", " "), "value": value} for name, value in row.items()], as_json=False
    )
    for title, rows in [("payments", payments), ("refunds", refunds), ("licenses", licenses)]:
        if rows:
            show_rows(rows, as_json=False, title=title)


def _subscription(subscription_id: UUID) -> str:
    found = queries.get_subscription(subscription_id, reader_id=None)
    ends = ", ends with its period" if found.cancel_at_period_end and found.ended_at is None else ""
    return f"{found.id}: {found.status.value}, paid for until {found.current_period_end:%Y-%m-%d %H:%M}{ends}"


@billing_cli.command("events")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in EventOutcome]))
@click.option("--order", "order_id", type=click.UUID, help="Only those that led to this order.")
@limit_option
@json_option
@command_line
def events(outcome: str | None, order_id: UUID | None, limit: int, as_json: bool) -> None:
    """List what providers have told, newest first, and what became of it."""
    newest = (ProviderEvent.received_at.desc(), ProviderEvent.id.desc())
    statement = queries.provider_events().order_by(*newest).limit(limit)
    if outcome:
        statement = statement.where(ProviderEvent.outcome == EventOutcome(outcome))
    if order_id:
        statement = statement.where(ProviderEvent.order_id == order_id)
    rows = (
        {
            "id": event.id,
            "provider": event.provider,
            "event_id": event.event_id,
            "kind": event.kind,
            "outcome": event.outcome.value,
            "order_id": event.order_id,
            "received_at": event.received_at,
            "handled_at": event.handled_at,
        }
        for event in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)


@billing_cli.command("prices")
@click.option("--all", "everything", is_flag=True, help="Also those that are not on sale.")
@json_option
@command_line
def prices(everything: bool, as_json: bool) -> None:
    """List prices, in the order of their making."""
    statement = queries.prices().order_by(Price.created_at, Price.id)
    if not everything:
        statement = statement.where(Price.active)
    rows = (
        {
            "id": price.id,
            "name": price.name,
            **money(price.amount, price.currency, as_json=as_json),
            "interval": price.interval.value,
            "trial_days": price.trial_days,
            "active": price.active,
            "policy_id": price.policy_id,
        }
        for price in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)
