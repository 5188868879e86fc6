"""``flask billing refund``: giving money back."""

from __future__ import annotations

from uuid import UUID

import click

from devforge_api.billing import queries
from devforge_api.billing.cli.group import billing_cli
from devforge_api.billing.cli.show import money
from devforge_api.billing.errors import ProviderUnavailable
from devforge_api.billing.models import RefundStatus
from devforge_api.billing.providers import find_provider
from devforge_api.billing.schemas.money import RefundRequestSchema
from devforge_api.billing.service import refunds
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.db import rehearsed, unit_of_work


@billing_cli.command("refund")
@click.argument("order_id", metavar="ORDER", type=click.UUID)
@click.option("--amount", type=click.IntRange(min=1), help="In minor units; default: all that is left.")
@click.option("--payment", "payment_id", type=click.UUID, help="Default: the newest paid one.")
@click.option("--reason", required=True, help="Why; the order's owner can read it.")
@click.option("--dry-run", is_flag=True, help="Only show what would be given back.")
@json_option
@click.pass_context
@command_line
def refund(
    context: click.Context,
    order_id: UUID,
    amount: int | None,
    payment_id: UUID | None,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give a payment of ORDER back, wholly or in part.

    Exits with 1 if the provider has refused it. One that the provider did not hear of is repeated by
    the server.
    """
    RefundRequestSchema(only=("reason",)).load({"reason": reason})
    with rehearsed() if dry_run else unit_of_work():
        order = queries.lock_order(order_id)
        requested = refunds.request(
            order, amount=amount, payment_id=payment_id, reason=reason, requested_by=None
        )
        asked = queries.get_refund(requested.id, reader_id=None)
    if not dry_run:
        try:
            finish = refunds.carry_out(find_provider(asked.provider), asked)
            with unit_of_work():
                finish()
        except ProviderUnavailable as error:
            click.echo(f"{error.message} ({error.code}) The server repeats it.", err=True)
        asked = queries.get_refund(asked.id, reader_id=None)
    row = {
        "id": None if dry_run else asked.id,
        "order_id": order_id,
        "payment_id": asked.payment_id,
        "status": "would be requested" if dry_run else asked.status.value,
        **money(asked.amount, asked.payment.currency, as_json=as_json),
        "failure": asked.failure,
    }
    show_rows([row], as_json=as_json)
    context.exit(1 if asked.status is RefundStatus.FAILED else 0)
