"""What webhooks have lost is found again: by command, and by the schedule."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from devforge_api.billing.jobs import ask_for_news
from devforge_api.billing.models import (
    EventOutcome,
    Interval,
    Order,
    OrderStatus,
    ProviderEvent,
    Refund,
    RefundStatus,
)
from devforge_api.billing.providers import configured
from devforge_api.billing.service import inbox
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow
from devforge_api.licenses.models import LicenseStatus
from tests.billing.world import COMPLETE, World, refunded
from tests.licenses.together import at_once


@pytest.fixture
def world(api, provider):
    """An order that is paid, of which nobody has told us."""
    found = World(api)
    provider.snapshots[found.order_id] = Snapshot(COMPLETE, (found.payment(),))
    return found


@pytest.fixture
def reconcile(app):
    def run(*arguments):
        return app.test_cli_runner().invoke(args=["billing", "reconcile", *arguments])

    return run


def repairs(done):
    return json.loads(done.stdout)


def age(app, world, **span):
    """Everything about an order happened longer ago."""
    with app.app_context(), unit_of_work():
        then = utc_now() - timedelta(**span)
        values = {"created_at": then, "updated_at": then}
        db.session.execute(update(Order).where(Order.id == world.order_id).values(values))


def count(app, model, *conditions):
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model).where(*conditions))


def test_a_lost_payment_is_found_and_the_licence_issued(app, world, reconcile):
    done = reconcile("--json")
    assert done.exit_code == 0, done.output
    found = repairs(done)
    assert {row["order_id"] for row in found} == {str(world.order_id)}
    assert any("paid" in row["change"] for row in found)
    assert "1 orders looked at" in done.stderr
    assert world.order().status is OrderStatus.PAID
    assert world.license().status is LicenseStatus.ACTIVE
    again = reconcile("--json")
    assert (again.exit_code, repairs(again)) == (0, [])
    assert len(world.licenses()) == 1


def test_people_read_what_was_done(world, reconcile):
    done = reconcile()
    assert done.exit_code == 0
    assert str(world.order_id) in done.output
    assert "could not be looked at" in done.output
    assert "None" not in done.output
    assert reconcile().output.strip().startswith("0 events were missing; 1 orders looked at; 0 changes")


def test_a_rehearsal_changes_nothing(app, world, provider, reconcile):
    provider.tell(world.order_id)
    done = reconcile("--dry-run", "--json")
    assert done.exit_code == 0, done.output
    assert any("paid" in row["change"] for row in repairs(done))
    assert "would be made" in done.stderr
    assert "1 events were missing" in done.stderr
    assert world.order().status is OrderStatus.PENDING
    assert world.licenses() == []
    assert count(app, ProviderEvent) == 0
    assert len(repairs(reconcile("--json"))) == len(repairs(done))  # what was foreseen has come


def test_events_that_were_not_heard_lead_to_orders_that_nobody_suspects(app, world, provider, reconcile):
    reconcile()
    age(app, world, days=300)
    with app.app_context(), unit_of_work():
        then = utc_now() - timedelta(days=300)
        for name in ("payments",):
            table = db.metadata.tables[name]
            db.session.execute(table.update().values(updated_at=then))
    provider.snapshots[world.order_id] = refunded(provider.snapshots[world.order_id])
    assert repairs(reconcile("--since", "1d", "--json")) == []  # not suspected, and no event
    provider.tell(world.order_id, "evt_refund")
    provider.tell(None, "evt_of_nothing")
    done = reconcile("--since", "1d", "--json")
    assert "2 events were missing" in done.stderr
    assert any("refunded" in row["change"] for row in repairs(done))
    with app.app_context():
        outcomes = {row.event_id: row.outcome for row in db.session.scalars(select(ProviderEvent))}
    assert outcomes == {"evt_refund": EventOutcome.SETTLED, "evt_of_nothing": EventOutcome.IGNORED}
    assert "0 events were missing" in reconcile("--since", "1d", "--json").stderr


def test_the_worker_finds_done_what_the_command_has_done(api, app, world, provider, reconcile):
    provider.tell(world.order_id)
    reconcile()
    looks = len(provider.asked_for("look"))
    api.deliver()
    assert len(provider.asked_for("look")) == looks
    assert count(app, ProviderEvent, ProviderEvent.outcome == EventOutcome.WAITING) == 0


def test_events_that_were_stored_and_never_acted_upon_are(app, world, provider, reconcile):
    with app.app_context(), unit_of_work():
        inbox.store("test", provider.tell(world.order_id))
    provider.events_told.clear()
    assert reconcile().exit_code == 0
    assert world.order().status is OrderStatus.PAID
    assert count(app, ProviderEvent, ProviderEvent.outcome == EventOutcome.SETTLED) == 1


def test_an_event_of_another_installation_is_ignored(api, app, provider, reconcile):
    foreign = provider.tell(World(api).order_id)
    foreign.payload["order_id"] = "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"
    with app.app_context(), unit_of_work():
        inbox.store("test", foreign)
    api.deliver()
    assert count(app, ProviderEvent, ProviderEvent.outcome == EventOutcome.IGNORED) == 1


def test_one_order_that_cannot_be_looked_at_keeps_no_other_from_it(api, app, world, provider, reconcile):
    other = World(api)
    wrong = other.payment(amount=1)  # not what was asked for
    provider.snapshots[other.order_id] = Snapshot(COMPLETE, (wrong,))
    done = reconcile("--json")
    assert done.exit_code == 1
    failed = [row for row in repairs(done) if row["error"]]
    assert [row["order_id"] for row in failed] == [str(other.order_id)]
    assert world.order().status is OrderStatus.PAID


def test_not_even_a_fault_of_ours_keeps_the_others_from_it(api, app, world, provider, reconcile, monkeypatch):
    other, genuine = World(api), provider.look
    monkeypatch.setattr(
        provider, "look", lambda order: 1 / 0 if order.order_id == other.order_id else genuine(order)
    )
    done = reconcile("--json")
    assert done.exit_code == 1
    assert [row["error"] for row in repairs(done) if row["error"]] == ["ZeroDivisionError: division by zero"]
    assert world.order().status is OrderStatus.PAID


def test_a_provider_that_is_away_is_told_of(world, provider, reconcile):
    provider.away = True
    done = reconcile()
    assert done.exit_code == 1
    assert "PAYMENT_PROVIDER_UNAVAILABLE" in done.output
    assert "Traceback" not in done.output


def test_an_order_of_a_provider_that_is_no_longer_configured_is_told_of(app, world, provider, reconcile):
    with app.app_context(), unit_of_work():
        db.session.execute(update(Order).values(provider="gone"))
    done = reconcile("--json")
    assert done.exit_code == 1
    assert "PAYMENT_PROVIDER_NOT_FOUND" in repairs(done)[0]["error"]


def test_a_refund_that_has_failed_at_the_provider_is_found(app, world, provider, reconcile):
    provider.says(world, refunded(Snapshot(COMPLETE, (world.payment(),))))
    seen = provider.snapshots[world.order_id]
    failed = replace(seen.refunds[0], status=RefundStatus.FAILED, failure="Closed account.")
    provider.snapshots[world.order_id] = replace(seen, refunds=(failed,))
    assert reconcile().exit_code == 0
    with app.app_context():
        assert db.session.scalar(select(Refund.status)) is RefundStatus.FAILED
    assert world.license().status is LicenseStatus.ACTIVE
    assert world.balances() == {"provider": 5900, "revenue": -5900}


@pytest.mark.parametrize("since", ["7", "d", "soon", "-1d", "2999-01-01", "2026-02-30", "7 d", "99999d"])
def test_a_time_that_is_none_is_a_usage_error(reconcile, provider, since):
    assert reconcile("--since", since).exit_code == 2


@pytest.mark.parametrize("since", ["7d", "12h", "2026-01-31", "0d"])
def test_times_are_days_hours_and_dates(reconcile, provider, since):
    assert reconcile("--since", since).exit_code == 0


def test_it_is_safe_while_the_server_runs(app, api, provider, reconcile):
    """Commands and webhooks at the same time: each payment has one licence, each posting its lines."""
    worlds = [World(api) for _ in range(6)]
    for world in worlds:
        provider.snapshots[world.order_id] = Snapshot(COMPLETE, (world.payment(),))
        provider.tell(world.order_id)

    def hear_and_deliver():
        with app.app_context():
            for told in provider.events_told:
                with unit_of_work():
                    inbox.store("test", told)
        api.deliver()

    at_once([hear_and_deliver, reconcile] * 3, workers=6)
    api.deliver()
    for world in worlds:
        assert world.order().status is OrderStatus.PAID
        assert len(world.licenses()) == 1
    assert world.balances() == {"provider": 6 * 5900, "revenue": -6 * 5900}


def run_job(app):
    with app.app_context(), unit_of_work():
        ask_for_news()


def test_a_lost_webhook_heals_by_itself(api, app, world, provider):
    age(app, world, minutes=20)
    run_job(app)
    api.deliver()
    assert world.order().status is OrderStatus.PAID
    asked = provider.asked_for("events")
    now = utc_now()
    assert len(asked) == 4
    assert min(call[1] for call in asked) < now - timedelta(hours=23)
    assert max(call[2] for call in asked) > now - timedelta(minutes=1)


def test_events_lost_to_a_webhook_are_heard_by_the_schedule(api, app, world, provider):
    reconciled = provider.snapshots[world.order_id]
    provider.says(world, reconciled)
    provider.snapshots[world.order_id] = refunded(reconciled)
    provider.tell(world.order_id)
    run_job(app)
    api.deliver()
    assert world.order().status is OrderStatus.REFUNDED
    assert count(app, ProviderEvent) == 1


def test_a_renewal_that_nobody_told_of_is_found(api, app, provider):
    world = World(api, interval=Interval.MONTH)
    past = world.subscription(current_period_end=utc_now() - timedelta(hours=4))
    provider.says(world, Snapshot(COMPLETE, (world.period(0),), subscription=past))
    ends = utc_now() + timedelta(days=26)
    second = world.period(1, period_end=ends)
    provider.snapshots[world.order_id] = Snapshot(
        COMPLETE,
        (world.period(0), second),
        subscription=world.subscription(current_period_end=ends),
    )
    run_job(app)
    api.deliver()
    assert world.license().expires_at > ends


def test_the_schedule_asks_for_few_looks_however_many_orders_wait(api, app, books, provider, monkeypatch):
    monkeypatch.setattr("devforge_api.billing.service.reconciling.LOOKS", 3)
    for _ in range(5):
        order = books.order(status=OrderStatus.PENDING, created_at=utc_now() - timedelta(hours=1))
        assert order.session_reference
    run_job(app)
    assert count(app, OutboxRow, OutboxRow.name == "billing.look_requested") == 3
    assert count(app, OutboxRow, OutboxRow.name == "billing.news_wanted") == 4 * _configured(app)


def test_an_order_whose_page_has_closed_is_looked_at_however_many_new_ones_there_are(
    api, app, books, provider, monkeypatch
):
    monkeypatch.setattr("devforge_api.billing.service.reconciling.LOOKS", 2)
    old = books.order(status=OrderStatus.PENDING, created_at=utc_now() - timedelta(hours=26))
    for _ in range(5):
        books.order(status=OrderStatus.PENDING, created_at=utc_now() - timedelta(hours=1))
    run_job(app)
    assert str(old.id) in asked_to_look(app)


def asked_to_look(app):
    with app.app_context():
        rows = select(OutboxRow).where(OutboxRow.name == "billing.look_requested")
        return {row.payload["order_id"] for row in db.session.scalars(rows)}


def _configured(app):
    with app.app_context():
        return len(configured())
