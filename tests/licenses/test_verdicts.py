"""What each verdict depends on; which of several decides: test_verdict_order.py."""

from datetime import timedelta
from uuid import uuid4

import pytest

from devforge_api.core.clock import utc_now


def test_a_suspended_licence_says_so_before_its_scopes(api, verdict):
    license_ = api.license(policy={"strict": True})
    api.post(f"/licenses/{license_.id}/suspend", by=api.admin())
    assert verdict(license_, product="another", entitlements=[])["code"] == "SUSPENDED"
    api.post(f"/licenses/{license_.id}/revoke", by=api.admin())
    assert verdict(license_, product="another")["code"] == "REVOKED"


@pytest.mark.parametrize(
    ("strict", "floating", "code"),
    [
        (True, True, "NO_MACHINES"),
        (True, False, "NO_MACHINE"),
        (False, True, "VALID"),
        (False, False, "VALID"),
    ],
)
def test_only_a_strict_policy_misses_a_machine(api, verdict, strict, floating, code):
    license_ = api.license(policy={"strict": strict, "floating": floating})
    assert verdict(license_)["code"] == code


@pytest.mark.parametrize(("floating", "code"), [(True, "NO_MACHINES"), (False, "NO_MACHINE")])
@pytest.mark.parametrize("strict", [True, False])
def test_a_fingerprint_in_scope_needs_a_machine_even_if_not_strict(api, verdict, strict, floating, code):
    license_ = api.license(policy={"strict": strict, "floating": floating})
    assert verdict(license_, fingerprint="m1")["code"] == code
    assert verdict(license_, fingerprints=["m1", "m2"])["code"] == code


def test_an_empty_scope_matches_nothing(api, verdict):
    license_ = api.license()
    assert verdict(license_, fingerprints=[])["code"] == "FINGERPRINT_SCOPE_EMPTY"
    assert verdict(license_, entitlements=[])["code"] == "ENTITLEMENTS_SCOPE_EMPTY"
    # The order again: entitlements come before machines, machines before fingerprints.
    assert verdict(license_, fingerprints=[], entitlements=[])["code"] == "ENTITLEMENTS_SCOPE_EMPTY"
    strict = api.license(policy={"strict": True})
    assert verdict(strict, fingerprints=[])["code"] == "NO_MACHINES"


def test_fingerprints_match_by_any_of_them(api, activate, verdict):
    license_ = api.license()
    activate(license_, "m1")
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    assert verdict(license_, fingerprints=["unknown", "m1"])["code"] == "VALID"
    assert verdict(license_, fingerprints=["m1"] * 4)["code"] == "VALID"
    assert verdict(license_, fingerprints=["unknown", "m1 "])["code"] == "FINGERPRINT_SCOPE_MISMATCH"
    assert verdict(license_)["code"] == "VALID"


def test_a_fingerprint_of_another_licence_does_not_match(api, activate, verdict):
    one, other = api.license(), api.license()
    activate(one, "m1")
    activate(other, "m2")
    assert verdict(one, fingerprint="m2")["code"] == "FINGERPRINT_SCOPE_MISMATCH"


def test_scopes_that_fit_are_valid(api, activate, verdict):
    owner, product_id = api.person(), api.product("dev-forge")
    api.entitlement("cloud-sync")
    api.entitlement("ai-assistant")
    policy_id = api.policy(product_id, entitlements=["cloud-sync", "ai-assistant"])
    license_ = api.license(policy_id, owner=owner)
    activate(license_, "m1")
    scope = {"policy_id": str(policy_id), "user_id": str(owner.id), "fingerprint": "m1"}
    for product in ("dev-forge", str(product_id)):
        answer = verdict(license_, product=product, entitlements=["cloud-sync"], **scope)
        assert answer["code"] == "VALID"
    assert answer["license"]["entitlements"] == ["ai-assistant", "cloud-sync"]
    assert verdict(license_, entitlements=["cloud-sync", "other"])["code"] == "ENTITLEMENTS_MISSING"


def test_a_user_scope_fails_on_a_licence_without_owner(api, verdict):
    assert verdict(api.license(), user_id=str(uuid4()))["code"] == "USER_SCOPE_MISMATCH"


def test_a_ban_is_lifted_with_the_ban(api, verdict):
    owner, admin = api.person(), api.admin()
    license_ = api.license(owner=owner)
    api.patch(f"/users/{owner.id}", {"status": "disabled"}, by=admin)
    assert verdict(license_)["code"] == "BANNED"
    api.patch(f"/users/{owner.id}", {"status": "active"}, by=admin)
    assert verdict(license_)["code"] == "VALID"


def test_a_licence_expires_at_the_instant_of_its_expiry(api, verdict):
    now = utc_now()
    assert verdict(api.license(expires_at=now))["code"] == "EXPIRED"
    assert verdict(api.license(expires_at=now + timedelta(hours=1)))["code"] == "VALID"


def test_an_expired_licence_with_a_wrong_fingerprint_names_the_fingerprint(api, activate, verdict):
    license_ = api.license()
    activate(license_, "m1")
    past = (utc_now() - timedelta(days=1)).isoformat()
    api.patch(f"/licenses/{license_.id}", {"expires_at": past}, by=api.admin())
    assert verdict(license_, fingerprint="m2")["code"] == "FINGERPRINT_SCOPE_MISMATCH"
    assert verdict(license_, fingerprint="m1")["code"] == "EXPIRED"


def test_a_limit_lowered_below_the_seats_in_use_is_told(api, activate, verdict):
    license_ = api.license(policy={"max_machines": 3})
    for fingerprint in ("m1", "m2", "m3"):
        activate(license_, fingerprint)
    assert verdict(license_)["code"] == "VALID"
    admin = api.admin()
    api.patch(f"/policies/{license_.policy_id}", {"max_machines": 2}, by=admin)
    answer = verdict(license_, fingerprint="m1")
    assert (answer["code"], answer["valid"]) == ("TOO_MANY_MACHINES", False)
    api.post("/licenses/deactivate", {"key": license_.key, "fingerprint": "m3"})
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    api.patch(f"/policies/{license_.policy_id}", {"max_machines": None}, by=admin)
    assert activate(license_, "m4").status_code == 201
