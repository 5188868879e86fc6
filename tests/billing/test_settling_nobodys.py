"""Orders whose buyer's account was erased."""

from __future__ import annotations

from sqlalchemy import select, update

from devforge_api.billing.models import Dispute, Order, Payment, PaymentStatus, Refund, RefundStatus
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.db import db, unit_of_work
from tests.billing.world import COMPLETE, World, disputed, refunded
from tests.factories import Api


def test_what_banks_say_of_a_payer_is_not_kept_of_nobody(api: Api):
    world = World(api)
    paid = Snapshot(COMPLETE, (world.payment(),))
    world.settle(paid)
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(Order).values(user_id=None))
    words = {"status": RefundStatus.FAILED, "failure": "Ada has no account there"}
    world.settle(disputed(refunded(paid, **words), reason="Ada did not buy this"))
    with api.app.app_context():
        assert db.session.scalars(select(Refund.failure)).all() == [None]
        assert db.session.scalars(select(Dispute.reason)).all() == [None]


def test_a_failed_payment_of_nobodys_keeps_no_words(api: Api):
    world = World(api)
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(Order).values(user_id=None))
    world.settle(Snapshot(COMPLETE, (world.payment(status=PaymentStatus.FAILED, failure="Ada's card"),)))
    with api.app.app_context():
        assert db.session.scalars(select(Payment.failure)).all() == [None]
