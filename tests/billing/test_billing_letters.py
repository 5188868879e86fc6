"""What the buyer is written about an order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from devforge_api.billing.models import (
    PaymentStatus,
    SubscriptionStatus,
)
from devforge_api.billing.service import reminders
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.db import unit_of_work
from tests.billing.world import MONTH, START, World, disputed, paid, refunded, running
from tests.mailbox import Mailbox

DAY = timedelta(days=1)


def test_the_receipt_holds_the_key_once(monthly, mailbox: Mailbox):
    monthly.settle(running(monthly))
    monthly.settle(running(monthly, 2))
    first, second = mailbox.letters()
    with monthly.api.app.app_context():
        key = monthly.license().key
    assert key in first.text
    assert "59.00 USD" in first.text
    assert key not in second.text


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (refunded, "stopped working"),
        (disputed, "stopped working"),
    ],
)
def test_the_buyer_is_told_once_when_licences_stop(
    world: World, mailbox: Mailbox, change: Callable[[Snapshot], Snapshot], subject: str
):
    world.settle(paid(world))
    world.settle(change(paid(world)))
    world.settle(change(paid(world)))
    assert [subject in letter.subject for letter in mailbox.letters()] == [False, True]


def test_a_renewal_is_told_once_for_each_period(monthly, mailbox: Mailbox):
    monthly.settle(running(monthly))
    for _ in range(2):
        with monthly.api.app.app_context(), unit_of_work():
            reminders.tell_of_renewals(START + MONTH - 2 * DAY)
    assert [letter.subject for letter in mailbox.letters()][1:] == [
        f"Your subscription renews on {START + MONTH:%Y-%m-%d}"
    ]


def test_a_failed_renewal_is_told_with_its_deadline(monthly, mailbox: Mailbox):
    monthly.settle(running(monthly))
    late = replace(
        running(monthly, status=SubscriptionStatus.PAST_DUE),
        payments=(monthly.period(0), monthly.period(1, status=PaymentStatus.FAILED, paid_at=None)),
    )
    monthly.settle(late)
    monthly.settle(late)
    _, letter = mailbox.letters()
    assert f"{START + 7 * DAY:%Y-%m-%d}" in letter.text
