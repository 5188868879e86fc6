"""``flask webhooks``, and what the doctor says."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.ops.doctor.webhooks import webhooks
from devforge_api.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint
from tests.webhooks.world import deliveries, endpoint_row, make_endpoint, tell, types


@pytest.fixture
def run(local):
    def webhooks_command(*arguments):
        return local.app.test_cli_runner().invoke(args=["webhooks", *map(str, arguments)])

    return webhooks_command


@pytest.fixture
def rows(run):
    def read(*arguments):
        done = run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return read


@pytest.fixture
def ada(local):
    return local.person()


@pytest.fixture
def made(local, ada, peer):
    return make_endpoint(local, ada, peer.url, events=["license.*", "webhook.*"])


def test_endpoints_are_listed_and_filtered_without_secrets(local, ada, made, run, rows, peer):
    make_endpoint(local, local.person(), peer.url)
    assert len(rows("list")) == 2
    (row,) = rows("list", "--user", ada.id)
    assert (row["id"], row["events"]) == (made["id"], "license.*, webhook.*")
    assert rows("list", "--status", "disabled") == rows("list", "--failing") == []
    assert made["id"] in run("list").output
    assert "whsec_" not in run("list").output


def test_deliveries_are_listed_without_what_stood_in_them(local, ada, made, run, rows):
    tell(local, ada.id, data={"words": "not for operators"})
    local.deliver()
    (row,) = rows("deliveries", made["id"])
    assert (row["event"], row["status"], row["response_status"]) == ("license.renewed", "delivered", 204)
    assert rows("deliveries", made["id"], "--status", "failed") == []
    assert "not for operators" not in run("deliveries", made["id"]).output
    unknown = run("deliveries", "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d")
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (1, 1)


def test_an_operator_replays(local, ada, made, run, rows, peer):
    tell(local, ada.id)
    local.deliver()
    (delivery,) = deliveries(local)
    assert rows("replay", made["id"], "--delivery", delivery.id) == [{"replayed": 1, "next_since": None}]
    local.deliver()
    assert rows("replay", made["id"], "--since", "2020-01-01")[0]["replayed"] == 0
    assert rows("replay", made["id"], "--since", "2020-01-01", "--all")[0]["replayed"] == 1
    local.deliver()
    assert len(peer.received) == 3
    assert run("replay", made["id"]).exit_code == 2


def test_an_operator_disables_and_enables_and_the_owner_hears_of_it(local, ada, made, run, peer):
    make_endpoint(local, ada, peer.url + "/watch", events=["webhook.disabled"])
    assert run("disable", made["id"]).exit_code == 0
    assert run("disable", made["id"]).exit_code == 0  # it is, already
    local.deliver()
    assert types(peer.received) == ["webhook.disabled"]
    assert json.loads(peer.received[0].body)["data"]["reason"] == "operator"
    assert local.get(f"/webhooks/{made['id']}", by=ada).json["data"]["disabled_reason"] == "operator"
    assert run("enable", made["id"]).exit_code == 0
    assert endpoint_row(local, made["id"]).disabled_reason is None


def test_the_doctor_tells_of_endpoints_that_fail_for_long(local, ada, made):
    def findings():
        with local.app.app_context():
            return [(one.health.value, one.seen) for one in webhooks()]

    well = ("ok", "1 endpoints, 0 deliveries under way")
    local_warning = ("warning", "users may have this machine's own services called")
    assert findings() == [well, local_warning]
    with local.app.app_context(), unit_of_work():
        db.session.execute(update(WebhookEndpoint).values(failing_since=utc_now() - timedelta(hours=25)))
        db.session.execute(update(WebhookDelivery).values(status=DeliveryStatus.PENDING))
    assert findings()[1] == ("warning", "1 of 1 endpoints have failed for more than a day")
