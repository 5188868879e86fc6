"""What providers call the users."""

from __future__ import annotations

from devforge_api.billing.service import customers
from devforge_api.core.db import unit_of_work
from tests.factories import Api


def test_an_old_order_does_not_bring_a_former_name_back(api: Api):
    buyer = api.person()
    with api.app.app_context():
        with unit_of_work():
            customers.remember(buyer.id, "stripe", "cus_first")
        with unit_of_work():
            customers.rename(buyer.id, "stripe", "cus_second")
        with unit_of_work():
            customers.remember(buyer.id, "stripe", "cus_first")
        assert customers.reference_of(buyer.id, "stripe") == "cus_second"
