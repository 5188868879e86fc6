"""What becomes of an order, whatever its provider says, however often and in whatever order."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from devforge_api.billing.models import (
    DisputeStatus,
    Invoice,
    LedgerLine,
    OrderStatus,
    PaymentStatus,
    RefundStatus,
)
from devforge_api.billing.service import reminders
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.billing.service.recording import AmountDiffers
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import LicenseStatus
from devforge_api.licenses.service import lifecycle
from devforge_api.licenses.service.ordered import lock_licenses
from tests.billing.world import COMPLETE, EXPIRED, OPEN, World, disputed, paid, refunded

DAY = timedelta(days=1)
ACTIVE, SUSPENDED, REVOKED = LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED, LicenseStatus.REVOKED
PENDING = LicenseStatus.PENDING


# --- paying once -------------------------------------------------------------------------------
def test_an_open_checkout_makes_no_licence(world):
    world.settle(Snapshot(OPEN))
    assert world.order().status is OrderStatus.PENDING
    assert world.licenses() == []


def test_a_payment_makes_the_licence_and_its_ledger_cites_the_event(world):
    settled = world.settle(paid(world), event="evt_paid")
    assert settled.status is OrderStatus.PAID
    assert world.license().status is ACTIVE
    assert world.license().user_id == world.buyer.id
    assert world.history() == [("issued", "payment", "evt_paid")]
    assert world.balances() == {"provider": 5900, "revenue": -5900}


def test_the_same_news_again_changes_nothing(world):
    world.settle(paid(world))
    before = world.order().updated_at
    assert [world.settle(paid(world)).changes for _ in range(3)] == [(), (), ()]
    assert len(world.licenses()) == 1
    assert world.order().updated_at == before
    assert world.balances() == {"provider": 5900, "revenue": -5900}


def test_as_many_licences_as_pieces(api):
    world = World(api, quantity=3)
    world.settle(paid(world))
    assert [license_.status for license_ in world.licenses()] == [ACTIVE] * 3


def test_money_on_its_way_makes_a_licence_that_waits(world):
    world.settle(Snapshot(COMPLETE, (world.payment(status=PaymentStatus.PENDING),)))
    assert world.license().status is PENDING
    waiting = world.license().id
    world.settle(paid(world))
    assert (world.license().id, world.license().status) == (waiting, ACTIVE)


def test_money_that_does_not_come_ends_what_waited(world):
    world.settle(Snapshot(COMPLETE, (world.payment(status=PaymentStatus.PENDING),)))
    world.settle(Snapshot(COMPLETE, (world.payment(status=PaymentStatus.FAILED),)))
    assert world.order().status is OrderStatus.FAILED
    assert world.license().status is REVOKED


def test_an_expired_checkout_is_canceled(world):
    world.settle(Snapshot(EXPIRED))
    assert world.order().status is OrderStatus.CANCELED


def test_another_amount_than_was_asked_for_is_for_a_person_to_see(world):
    with pytest.raises(AmountDiffers):
        world.settle(Snapshot(COMPLETE, (world.payment(amount=1),)))
    with pytest.raises(AmountDiffers):
        world.settle(Snapshot(COMPLETE, (world.payment(currency="JPY"),)))
    assert world.licenses() == []


def test_a_licence_that_the_team_has_removed_is_not_made_again(world, api):
    world.settle(paid(world))
    with api.app.app_context(), unit_of_work():
        (license_,) = lock_licenses([world.license().id]).values()
        lifecycle.remove(license_)
    world.settle(paid(world))
    assert world.licenses() == []


def test_an_older_look_than_the_settled_one_changes_nothing(world):
    world.settle(refunded(paid(world)), look=5)
    settled = world.settle(paid(world), look=4)
    assert settled.changes == ()
    assert world.order().status is OrderStatus.REFUNDED


# --- giving back -------------------------------------------------------------------------------
def test_a_refund_of_all_suspends_and_after_a_month_revokes(world):
    world.settle(paid(world))
    world.settle(refunded(paid(world)), event="evt_refund")
    assert (world.order().status, world.license().status) == (OrderStatus.REFUNDED, SUSPENDED)
    assert world.history()[-1] == ("suspended", "payment", "evt_refund")
    assert world.balances() == {"refunds": 5900, "revenue": -5900}
    world.now += 31 * DAY
    with world.api.app.app_context(), unit_of_work():
        assert reminders.look_again(world.now) == 1
    world.settle(refunded(paid(world)))
    assert world.license().status is REVOKED


def test_a_refund_of_a_part_leaves_the_licence(world):
    world.settle(refunded(paid(world), amount=900))
    assert (world.order().status, world.license().status) == (OrderStatus.PAID, ACTIVE)
    assert world.balances() == {"provider": 5000, "refunds": 900, "revenue": -5900}
    whole = refunded(refunded(paid(world), amount=900), reference="re_rest", amount=5000)
    world.settle(whole)
    assert world.license().status is SUSPENDED


def test_a_failed_refund_gives_access_and_money_back(world):
    world.settle(paid(world))
    world.settle(refunded(paid(world)))
    world.settle(refunded(paid(world), status=RefundStatus.FAILED))
    assert (world.order().status, world.license().status) == (OrderStatus.PAID, ACTIVE)
    assert world.balances() == {"provider": 5900, "revenue": -5900}


def test_a_refund_and_a_purchase_seen_at_once_leave_a_suspended_licence(world):
    world.settle(refunded(paid(world)))
    world.settle(refunded(paid(world)))
    assert world.license().status is SUSPENDED


# --- disputes ----------------------------------------------------------------------------------
def test_a_dispute_suspends_until_it_is_won(world):
    world.settle(paid(world))
    world.settle(disputed(paid(world)))
    assert (world.order().status, world.license().status) == (OrderStatus.DISPUTED, SUSPENDED)
    assert world.balances() == {"disputes": 5900, "revenue": -5900}
    world.settle(disputed(paid(world), status=DisputeStatus.WON))
    assert (world.order().status, world.license().status) == (OrderStatus.PAID, ACTIVE)
    assert world.balances() == {"provider": 5900, "revenue": -5900}


def test_a_lost_dispute_revokes(world):
    world.settle(disputed(paid(world)))
    world.settle(disputed(paid(world), status=DisputeStatus.LOST))
    assert world.license().status is REVOKED
    assert world.balances() == {"disputes": 5900, "revenue": -5900}


def test_a_banks_question_is_no_dispute(world):
    world.settle(disputed(paid(world), status=DisputeStatus.INQUIRY))
    assert (world.order().status, world.license().status) == (OrderStatus.PAID, ACTIVE)


def test_what_the_team_has_suspended_is_not_reinstated_by_money(world, api):
    world.settle(paid(world))
    with api.app.app_context(), unit_of_work():
        (license_,) = lock_licenses([world.license().id]).values()
        lifecycle.suspend(license_)
    world.settle(disputed(paid(world)))
    world.settle(disputed(paid(world), status=DisputeStatus.WON))
    assert world.license().status is SUSPENDED


# --- in any order, at once ---------------------------------------------------------------------
def one_time_life(world: World) -> list[Snapshot]:
    pending = Snapshot(COMPLETE, (world.payment(status=PaymentStatus.PENDING),))
    back = refunded(paid(world), status=RefundStatus.FAILED)
    return [
        Snapshot(OPEN), pending, paid(world), refunded(paid(world)), back, disputed(back),
        disputed(back, status=DisputeStatus.WON),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_the_end_does_not_depend_on_the_order_of_the_news(api, seed):
    world = World(api)
    looks = list(enumerate(one_time_life(world), start=1)) * 2
    random.Random(seed).shuffle(looks)
    for number, snapshot in looks:
        world.settle(snapshot, look=number)
    assert (world.order().status, world.license().status) == (OrderStatus.PAID, ACTIVE)
    assert world.balances() == {"provider": 5900, "revenue": -5900}


def test_many_at_once_make_each_licence_once_and_number_without_gaps(api):
    worlds = [World(api, quantity=2) for _ in range(6)]

    def settle(turn: int) -> None:
        world = worlds[turn % len(worlds)]
        world.settle(paid(world), look=turn + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(settle, range(48)))
    assert [len(world.licenses()) for world in worlds] == [2] * 6
    with api.app.app_context():
        numbers = sorted(db.session.scalars(select(Invoice.number)))
        assert numbers == list(range(1, 7))
        assert db.session.scalar(select(func.count()).select_from(LedgerLine)) == 12
