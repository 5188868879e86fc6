"""docs/billing.md: its calls run as they are printed, and its tables say what the code does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from devforge_api.billing.cli import billing_cli
from devforge_api.billing.models import OrderStatus, SubscriptionStatus
from devforge_api.billing.service.providers.stripe_events import LISTED
from devforge_api.billing.service.reconciling import REACH
from devforge_api.billing.service.standing import REFUND_IS_FINAL_AFTER
from tests.architecture.test_documentation import error_classes
from tests.factories.billing import Books
from tests.serving import served

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "billing.md").read_text()
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)


def printed(language):
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def table(heading):
    """The first cells of the table that begins so."""
    rows = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]


@pytest.fixture
def shop(make_api):
    """The built-in provider, its pages served where checkouts say that they are."""
    with served(make_api, DEVFORGE_BILLING_PROVIDER="test") as (api, url):
        yield api, f"{url}/api/v1"


def test_the_calls_of_the_page_work_as_printed(shop, tmp_path):
    api, base = shop
    api.person(email="ada@example.com")
    Books(api).price()
    environ = {**os.environ, "BASE": base}
    done = subprocess.run(
        ["bash", "-eu", "-c", printed("sh")], cwd=tmp_path, env=environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    order = json.loads(done.stdout)["data"]
    assert order["status"] == "paid"
    (license_,) = order["licenses"]
    assert license_["status"] == "active"
    verdict = api.post("/licenses/validate", {"key": license_["key"], "fingerprint": "m1"})
    assert verdict.json["data"]["code"] != "NOT_FOUND"


def test_every_state_is_told_of():
    assert table("order | when") == [status.value for status in OrderStatus]
    assert sorted(table("subscription")) == sorted(status.value for status in SubscriptionStatus)


def test_the_events_to_subscribe_to_are_those_that_are_acted_upon():
    assert printed("events").split() == sorted(LISTED)


def test_codes_on_the_page_are_real_ones():
    codes = {error.code for error in error_classes()}
    written = {code for code in re.findall(r"`([A-Z]+_[A-Z_]+)`", PROSE) if not code.startswith("DEVFORGE_")}
    assert len(written) >= 6
    assert written <= codes


def test_every_route_and_command_on_the_page_is_there(app):
    rules = {
        re.sub(r"<[^>]+>", "{id}", rule.rule).removeprefix("/api/v1") for rule in app.url_map.iter_rules()
    }
    written = set(re.findall(r"(/billing/[a-z/{}.]+)", PROSE)) - {"/billing/webhooks/stripe"}
    assert len(written) >= 12
    assert written <= rules
    commands = set(re.findall(r"flask billing ([a-z]+)", PROSE)) | {"order", "prices"}
    assert commands == set(billing_cli.commands)


def test_spans_of_time_are_the_code_s():
    assert f"revoked after {REFUND_IS_FINAL_AFTER.days} days" in PAGE
    assert REACH.days == 1
