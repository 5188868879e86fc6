"""``flask licenses suspend`` and the other steps of a licence's life."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import click

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.licenses.cli.group import (
    checked_email,
    dry_run_option,
    find,
    licenses_cli,
    locked,
    policy_id,
    reason_option,
    row_of,
    which_license,
    work,
)
from devforge_api.licenses.models import License
from devforge_api.licenses.service import lifecycle, renewal, rotation, transfer
from devforge_api.licenses.service.owners import find_owner, hold_owner
from devforge_api.licenses.service.record import Cause, present_cause


def _show(license_: License, *, dry_run: bool, as_json: bool, **more: Any) -> None:
    title = "Would become" if dry_run and not as_json else None
    show_rows([row_of(license_, **more)], as_json=as_json, title=title)


def _plain_step(name: str, help_: str, take: Callable[..., License]) -> None:
    """A command that takes a licence into another state."""

    @licenses_cli.command(name, help=help_)
    @which_license
    @reason_option
    @dry_run_option
    @json_option
    @command_line
    def step(which: str, reason: str | None, dry_run: bool, as_json: bool) -> None:
        license_id = find(which)
        with work(dry_run=dry_run):
            license_ = take(locked(license_id), cause=present_cause(reason))
            _show(license_, dry_run=dry_run, as_json=as_json)


def _fulfill(license_: License, *, cause: Cause) -> License:
    return lifecycle.fulfill(license_, now=utc_now(), cause=cause)


_plain_step("fulfill", "Let a pending licence work; its time begins now.", _fulfill)
_plain_step("suspend", "Stop a licence until it is reinstated.", lifecycle.suspend)
_plain_step("reinstate", "Let a suspended licence work again.", lifecycle.reinstate)


@licenses_cli.command("revoke")
@which_license
@reason_option
@dry_run_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@command_line
def revoke(which: str, reason: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """End a licence for good."""
    license_id = find(which)
    if not dry_run and not yes:
        click.confirm(f"Revoke the licence {license_id} for good?", abort=True, err=True)
    with work(dry_run=dry_run):
        _show(
            lifecycle.revoke(locked(license_id), cause=present_cause(reason)),
            dry_run=dry_run,
            as_json=as_json,
        )


@licenses_cli.command("renew")
@which_license
@click.option("--days", type=click.IntRange(1, 36_500), help="Default: the policy's duration.")
@click.option("--months", type=click.IntRange(1, 1_200), help="Calendar months, instead of days.")
@reason_option
@dry_run_option
@json_option
@command_line
def renew(
    which: str, days: int | None, months: int | None, reason: str | None, dry_run: bool, as_json: bool
) -> None:
    """Move a licence's expiry on."""
    license_id = find(which)
    with work(dry_run=dry_run):
        add = partial(renewal.renew, duration_days=days, duration_months=months)
        done = add(locked(license_id), now=utc_now(), cause=present_cause(reason))
        _show(done.license, dry_run=dry_run, as_json=as_json, counted_from=done.counted_from)


@licenses_cli.command("transfer")
@which_license
@click.option("--policy", "policy_name", help="Id of another policy of the product, or PRODUCT_CODE/NAME.")
@click.option("--user", "user_id", type=click.UUID, help="Id of the new owner.")
@click.option("--email", help="Of the new owner; the licence waits for a verified account.")
@reason_option
@dry_run_option
@json_option
@command_line
def transfer_license(
    which: str,
    policy_name: str | None,
    user_id: UUID | None,
    email: str | None,
    reason: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Move a licence to another policy, or to another owner.

    To another owner all seats are freed, and the key that the former one knows stops working.
    """
    license_id, email = find(which), checked_email(email)
    to_policy = policy_id(policy_name) if policy_name else None
    with work(dry_run=dry_run):
        owner = find_owner(user_id, email) if user_id or email else None
        if owner is None:
            hold_owner(license_id)
        done = transfer.transfer(
            locked(license_id), now=utc_now(), policy_id=to_policy, owner=owner, cause=present_cause(reason)
        )
        exceeded = ", ".join(f"{name} {limit.taken}/{limit.maximum}" for name, limit in done.exceeded)
        _show(done.license, dry_run=dry_run, as_json=as_json, exceeded=exceeded or None)


@licenses_cli.command("rotate-key")
@which_license
@click.option(
    "--overlap-days", default=7, show_default=True, type=click.IntRange(0, 90), help="0: former keys end now."
)
@reason_option
@dry_run_option
@json_option
@command_line
def rotate_key(which: str, overlap_days: int, reason: str | None, dry_run: bool, as_json: bool) -> None:
    """Give a licence a new key and show it; its owner is told by mail."""
    license_id = find(which)
    with work(dry_run=dry_run):
        overlap = timedelta(days=overlap_days)
        license_ = rotation.rotate(
            locked(license_id), now=utc_now(), overlap=overlap, cause=present_cause(reason)
        )
        # A key that a dry run has made is nobody's.
        shown = {} if dry_run else {"key": license_.key}
        _show(license_, dry_run=dry_run, as_json=as_json, **shown)
