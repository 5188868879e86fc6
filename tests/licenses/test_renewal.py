"""Renewals: how much time, and what it is counted from."""

from datetime import UTC, datetime, timedelta

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.licenses.models import ExpiryBasis, RenewalBasis
from devforge_api.licenses.queries import get_license
from devforge_api.licenses.service import renewal
from tests.factories import code_of

FROM_EXPIRY, FROM_NOW = RenewalBasis.EXPIRY, RenewalBasis.NOW
IF_EXPIRED = RenewalBasis.NOW_IF_EXPIRED


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("basis", "policy", "now", "expiry", "renewed", "counted_from"),
    [  # the first three: as Keygen documents its renewal bases
        (FROM_EXPIRY, {"duration_months": 1}, "2024-01-21T21:30", "2021-07-19", "2021-08-19", "2021-07-19"),
        (FROM_NOW, {"duration_months": 1}, "2024-01-21T21:30", "2021-07-19", "2024-02-21T21:30",
         "2024-01-21T21:30"),
        (IF_EXPIRED, {"duration_months": 12}, "2024-01-21T21:30", "2024-06-21", "2025-06-21", "2024-06-21"),
        (IF_EXPIRED, {"duration_days": 365}, "2024-01-21T21:30", "2024-06-21", "2025-06-21", "2024-06-21"),
        (IF_EXPIRED, {"duration_days": 31}, "2024-01-21T21:30", "2021-07-19", "2024-02-21T21:30",
         "2024-01-21T21:30"),
        (IF_EXPIRED, {"duration_days": 1}, "2024-06-21", "2024-06-21", "2024-06-22", "2024-06-21"),
        (FROM_EXPIRY, {"duration_months": 1}, "2024-01-01", "2024-01-31", "2024-02-29", "2024-01-31"),
        (FROM_EXPIRY, {"duration_months": 12}, "2024-01-01", "2024-02-29", "2025-02-28", "2024-02-29"),
    ],
)  # fmt: skip
def test_a_renewal_counts_as_its_policy_says(api, basis, policy, now, expiry, renewed, counted_from):
    license_ = api.license(policy={**policy, "renewal_basis": basis}, expires_at=at(expiry))
    with api.app.app_context(), unit_of_work():
        row = get_license(license_.id, owner_id=None, for_update=True)
        done = renewal.renew(row, now=at(now))
        assert (done.license.expires_at, done.counted_from) == (at(renewed), at(counted_from))
    shown = api.get(f"/licenses/{license_.id}", by=api.admin()).json["data"]["expires_at"]
    assert datetime.fromisoformat(shown) == at(renewed)


def renew(api, license_, **body):
    return api.post(f"/licenses/{license_.id}/renew", body, by=api.admin())


def test_the_answer_says_what_it_was_counted_from(api):
    license_ = api.license(policy={"duration_days": 30}, expires_at=at("2041-01-01"))
    data = renew(api, license_).json["data"]
    assert (data["counted_from"], data["expires_at"]) == ("2041-01-01T00:00:00Z", "2041-01-31T00:00:00Z")
    data = renew(api, license_, duration_months=1).json["data"]
    assert (data["counted_from"], data["expires_at"]) == ("2041-01-31T00:00:00Z", "2041-02-28T00:00:00Z")


def test_a_renewal_repeated_with_its_idempotency_key_counts_once(api):
    license_, admin = api.license(policy={"duration_days": 30}, expires_at=at("2041-01-01")), api.admin()
    path, header = f"/licenses/{license_.id}/renew", {"Idempotency-Key": "invoice-1"}
    answers = [api.post(path, {}, by=admin, headers=header) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert api.get(f"/licenses/{license_.id}", by=admin).json["data"]["expires_at"] == "2041-01-31T00:00:00Z"


def test_days_and_months_at_once_are_refused(api):
    license_ = api.license(policy={"duration_days": 30})
    refused = renew(api, license_, duration_days=1, duration_months=1)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "duration_months")


@pytest.mark.parametrize("basis", [ExpiryBasis.FIRST_VALIDATION, ExpiryBasis.FIRST_ACTIVATION])
def test_what_has_not_begun_is_not_renewed(api, basis):
    license_ = api.license(policy={"duration_days": 30, "expiry_basis": basis})
    refused = renew(api, license_)
    assert (refused.status_code, code_of(refused)) == (409, "LICENSE_NOT_BEGUN")


def test_a_licence_that_was_made_perpetual_cannot_be_renewed(api):
    license_, admin = api.license(policy={"duration_days": 30}), api.admin()
    api.patch(f"/licenses/{license_.id}", {"expires_at": None}, by=admin)
    refused = renew(api, license_)
    assert (refused.status_code, code_of(refused)) == (422, "LICENSE_PERPETUAL")


def test_from_expiry_a_late_renewal_may_leave_a_licence_expired(api, verdict):
    policy = {"duration_days": 30, "renewal_basis": FROM_EXPIRY}
    license_ = api.license(policy=policy, expires_at=utc_now() - timedelta(days=400))
    assert renew(api, license_).status_code == 200
    assert verdict(license_)["code"] == "EXPIRED"
