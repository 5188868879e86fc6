"""``flask licenses issue``: one licence, or many."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from devforge_api.core.cli import command_line, json_option, progress_bar, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.licenses.cli.group import checked_email, licenses_cli, policy_id, reason_option
from devforge_api.licenses.service import lifecycle
from devforge_api.licenses.service.record import present_cause

BATCH = 200  # licences a transaction


@licenses_cli.command("issue")
@click.option("--policy", "policy_name", required=True, help="Its id, or PRODUCT_CODE/NAME.")
@click.option("--email", help="Of the owner; the licence waits for a verified account.")
@click.option("--user", "user_id", type=click.UUID, help="Id of the owner.")
@click.option("--expires", type=click.DateTime(), help="In UTC; default: by the policy's duration.")
@click.option("--pending", is_flag=True, help="Its order waits: until `fulfill` it answers PENDING.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@reason_option
@json_option
@command_line
def issue(
    policy_name: str,
    email: str | None,
    user_id: UUID | None,
    expires: datetime | None,
    pending: bool,
    count: int,
    reason: str | None,
    as_json: bool,
) -> None:
    """Issue licences and show their keys."""
    found, email = policy_id(policy_name), checked_email(email)
    rows: list[dict[str, Any]] = []
    with progress_bar("Issuing", count) as advance:
        while len(rows) < count:
            with unit_of_work():
                made = [
                    lifecycle.issue(
                        policy_id=found,
                        now=utc_now(),
                        email=email,
                        user_id=user_id,
                        expires_at=expires.replace(tzinfo=UTC) if expires else None,
                        pending=pending,
                        cause=present_cause(reason),
                    )
                    for _ in range(min(BATCH, count - len(rows)))
                ]
            rows += [
                {
                    "id": license_.id,
                    "key": license_.key,
                    "tier": license_.policy.name,
                    "owner": license_.user_id or (f"waits for {email}" if email else None),
                    "expires_at": license_.expires_at,
                }
                for license_ in made
            ]
            advance(len(made))
    show_rows(rows, as_json=as_json)
