"""Objects of former API versions, and what is in none of them."""

from __future__ import annotations

import pytest

from devforge_api.billing.models import PaymentStatus, SubscriptionStatus
from devforge_api.billing.service.providers.stripe_objects import (
    invoice_payment,
    ordered_items,
    seen_subscription,
    session_payment,
)
from devforge_api.core.db import uuid7


def test_objects_of_older_versions_are_read():
    price_id = uuid7()
    seen = seen_subscription(
        {
            "id": "sub_1",
            "status": "active",
            "current_period_end": 1_900_000_000,
            "items": {"data": [{"id": "si_1", "plan": {"metadata": {"price_id": str(price_id)}}}]},
        }
    )
    assert (seen.current_period_end.timestamp(), seen.price_ids) == (1_900_000_000, (price_id,))
    told = {
        "id": "in_1", "status": "paid", "amount_paid": 500, "currency": "eur", "charge": "ch_1",
        "subscription": "sub_1", "period_start": 1, "period_end": 2, "created": 3,
    }  # fmt: skip
    payment = invoice_payment(told)
    assert (payment.charge_reference, payment.amount, payment.currency) == ("ch_1", 500, "EUR")
    assert (payment.period_end.timestamp(), payment.paid_at.timestamp()) == (2, 3)


@pytest.mark.parametrize("told", [{}, {"status": None}, {"status": "a_new_word"}, {"status": 7}])
def test_what_is_not_known_breaks_nothing(told):
    assert seen_subscription({"id": "sub_1", **told}).status is SubscriptionStatus.PAST_DUE
    assert invoice_payment({"id": "in_1", **told}).status is PaymentStatus.PENDING
    assert session_payment({"id": "cs_1", **told}) is None
    assert ordered_items({"items": None}) == []
