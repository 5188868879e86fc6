"""``flask webhooks``: what is sent where, and helping it along."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup
from sqlalchemy.orm import selectinload

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.webhooks import queries
from devforge_api.webhooks.models import (
    DeliveryStatus,
    DisabledReason,
    EndpointStatus,
    WebhookDelivery,
    WebhookEndpoint,
)
from devforge_api.webhooks.service import endpoints, replaying

webhooks_cli = AppGroup("webhooks", help="Users' endpoints, and what was sent to them.")
which_endpoint = click.argument("endpoint_id", metavar="ENDPOINT", type=click.UUID)
limit_option = click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))


@webhooks_cli.command("list")
@click.option("--user", "user_id", type=click.UUID, help="Id of the owner.")
@click.option("--status", type=click.Choice([status.value for status in EndpointStatus]))
@click.option("--failing", is_flag=True, help="Only those whose last attempts have failed.")
@limit_option
@json_option
@command_line
def list_endpoints(
    user_id: UUID | None, status: str | None, failing: bool, limit: int, as_json: bool
) -> None:
    """List endpoints, newest first."""
    newest = (WebhookEndpoint.created_at.desc(), WebhookEndpoint.id.desc())
    statement = queries.endpoints(user_id).order_by(*newest).limit(limit)
    if status:
        statement = statement.where(WebhookEndpoint.status == EndpointStatus(status))
    if failing:
        statement = statement.where(WebhookEndpoint.failing_since.is_not(None))
    found = db.session.scalars(statement.options(selectinload(WebhookEndpoint.filters)))
    rows = (
        {
            "id": endpoint.id,
            "user_id": endpoint.user_id,
            "url": endpoint.url,
            "events": ", ".join(endpoint.events) or "(all)",
            "audience": endpoint.audience.value,
            "status": endpoint.status.value,
            "reason": endpoint.disabled_reason and endpoint.disabled_reason.value,
            "failing_since": endpoint.failing_since,
            "resting_until": endpoint.resting_until,
            "created_at": endpoint.created_at,
        }
        for endpoint in found
    )
    show_rows(rows, as_json=as_json)


@webhooks_cli.command("deliveries")
@which_endpoint
@click.option("--status", type=click.Choice([status.value for status in DeliveryStatus]))
@limit_option
@json_option
@command_line
def list_deliveries(endpoint_id: UUID, status: str | None, limit: int, as_json: bool) -> None:
    """List what was sent to an endpoint, newest first; never what stood in it."""
    queries.get_endpoint(endpoint_id, owner_id=None)
    newest = (WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc())
    statement = queries.deliveries(endpoint_id, owner_id=None).order_by(*newest).limit(limit)
    if status:
        statement = statement.where(WebhookDelivery.status == DeliveryStatus(status))
    rows = (
        {
            "id": delivery.id,
            "event": delivery.event,
            "status": delivery.status.value,
            "attempts": delivery.attempts,
            "response_status": delivery.response_status,
            "error": delivery.error,
            "next_attempt_at": delivery.next_attempt_at,
            "delivered_at": delivery.delivered_at,
            "created_at": delivery.created_at,
        }
        for delivery in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)


def _moment(_context: click.Context, _parameter: click.Parameter, value: Any) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)


@webhooks_cli.command("replay")
@which_endpoint
@click.option("--delivery", "delivery_id", type=click.UUID, help="One, whatever became of it.")
@click.option("--since", type=click.DateTime(), callback=_moment, help="Those made from then on, in UTC.")
@click.option("--until", type=click.DateTime(), callback=_moment, help="And before then. Default: now.")
@click.option("--all", "everything", is_flag=True, help="Also what was delivered, or is under way.")
@json_option
@command_line
def replay(
    endpoint_id: UUID,
    delivery_id: UUID | None,
    since: datetime | None,
    until: datetime | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Send again what was given up, at most 1,000; ids stay."""
    if (delivery_id is None) == (since is None):
        raise click.UsageError("Give either --delivery or --since.")
    with unit_of_work():
        endpoint = queries.get_endpoint(endpoint_id, owner_id=None, for_update=True)
        if delivery_id is not None:
            done = replaying.replay_one(endpoint, delivery_id)
        else:
            assert since is not None  # one of the two
            done = replaying.replay_range(endpoint, since=since, until=until, everything=everything)
    show_rows([{"replayed": done.replayed, "next_since": done.next_since}], as_json=as_json)


@webhooks_cli.command("disable")
@which_endpoint
@command_line
def disable(endpoint_id: UUID) -> None:
    """Send nothing more to an endpoint; its owner is told, and can enable it again."""
    with unit_of_work():
        endpoint = queries.get_endpoint(endpoint_id, owner_id=None, for_update=True)
        endpoints.disable(endpoint, DisabledReason.OPERATOR, utc_now())
    click.echo(f"{endpoint_id} is disabled.")


@webhooks_cli.command("enable")
@which_endpoint
@command_line
def enable(endpoint_id: UUID) -> None:
    """Go on with an endpoint, and send what has waited."""
    with unit_of_work():
        endpoints.enable(queries.get_endpoint(endpoint_id, owner_id=None, for_update=True))
    click.echo(f"{endpoint_id} is enabled.")
