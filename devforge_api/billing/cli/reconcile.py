"""``flask billing reconcile``: comparing with the provider, and repairing what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from devforge_api.billing.cli.group import billing_cli, since_of
from devforge_api.billing.providers import configured, find_provider
from devforge_api.billing.queries import reconciling as queries
from devforge_api.billing.service import reconciling
from devforge_api.billing.service.reconciling import Outcome
from devforge_api.core.cli import command_line, json_option, progress_bar, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.errors import DomainError


@billing_cli.command("reconcile")
@click.option("--since", callback=since_of, default="7d", show_default=True, help="7d, 12h or a day in UTC.")
@click.option("--dry-run", is_flag=True, help="Only show what would be repaired; change nothing.")
@json_option
@click.pass_context
@command_line
def reconcile(context: click.Context, since: datetime, dry_run: bool, as_json: bool) -> None:
    """Hear what providers have told since then, look at every order that may have changed, repair it.

    Prints each repair, and a summary. Safe to run again, and while the server runs. Exits with 1 if a
    provider or an order could not be looked at.
    """
    run = _Run(since, rehearsal=dry_run)
    with progress_bar("Listening", None) as advance:
        for heard in run.listen():
            advance(heard)
    looks = run.looks()
    with progress_bar("Looking", len(looks)) as advance:
        for order_id, provider in looks:
            run.look(order_id, provider)
            advance(1)
    if as_json or run.rows:
        show_rows(run.rows, as_json=as_json)
    repairs = sum(row["error"] is None for row in run.rows)
    failures = len(run.rows) - repairs
    told = f"{run.events} events were missing; {len(looks)} orders looked at; {repairs} changes"
    told += " would be made" if dry_run else ""
    click.echo(f"{told}; {failures} could not be looked at.", err=as_json)
    context.exit(1 if failures else 0)


class _Run:
    """One reconciliation, and what it has found."""

    def __init__(self, since: datetime, *, rehearsal: bool) -> None:
        self.since, self.until, self.rehearsal = since, utc_now(), rehearsal
        self.events = 0
        self.rows: list[dict[str, Any]] = []
        self._done: set[UUID] = set()
        self._more: dict[UUID, str] = {}

    def listen(self) -> Iterator[int]:
        """Take up the events that were missed; yields how many each time."""
        for name, provider in configured().items():
            try:
                if self.rehearsal:
                    for told in reconciling.unheard(provider, self.since, self.until):
                        self.events += 1
                        if (order_id := provider.order_of(told.payload)) is not None:
                            self._more[order_id] = name
                        yield 1
                else:
                    for new in reconciling.hear(provider, self.since, self.until):
                        self.events += new
                        yield new
            except DomainError as error:
                self._note(Outcome(None, error=f"{name}: {error.message} ({error.code})"))
        for event_id in () if self.rehearsal else queries.waiting_events():
            self._note(reconciling.act_on_event(find_provider, event_id))
            yield 1

    def looks(self) -> list[tuple[UUID, str]]:
        """Which orders are still to be looked at, and at which provider."""
        found = dict(queries.suspects(self.since)) | self._more
        return [(order_id, name) for order_id, name in found.items() if order_id not in self._done]

    def look(self, order_id: UUID, provider: str) -> None:
        """Look at one."""
        self._note(reconciling.look_at(find_provider, order_id, provider, rehearsal=self.rehearsal))

    def _note(self, outcome: Outcome) -> None:
        if outcome.order_id is not None and outcome.error is None:
            self._done.add(outcome.order_id)
        self.rows += [
            {"order_id": outcome.order_id, "change": change, "error": None} for change in outcome.changes
        ]
        if outcome.error is not None:
            self.rows.append({"order_id": outcome.order_id, "change": None, "error": outcome.error})
