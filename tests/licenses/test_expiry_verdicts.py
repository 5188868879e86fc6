"""What expiry makes of a licence, and of the releases that it covers."""

from datetime import timedelta

import pytest

from devforge_api.core.clock import utc_now

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("strategy", "valid"), [("restrict", False), ("revoke", False), ("maintain", True), ("allow", True)]
)
def test_an_expired_licence_is_worth_what_its_strategy_says(api, activate, verdict, edit, strategy, valid):
    license_ = api.license(policy={"expiry_strategy": strategy})
    activate(license_, "m1")
    edit("license", license_.id, expires_at=utc_now() - DAY)
    answer = verdict(license_, fingerprint="m1")
    assert (answer["code"], answer["valid"]) == ("EXPIRED", valid)
    wrong = verdict(license_, fingerprint="another")
    early = strategy == "revoke"
    assert (wrong["code"], wrong["valid"]) == ("EXPIRED" if early else "FINGERPRINT_SCOPE_MISMATCH", False)


def test_a_perpetual_fallback_keeps_what_was_out_before_the_expiry(api, verdict):
    now = utc_now()
    license_ = api.license(policy={"expiry_strategy": "maintain"}, expires_at=now - 365 * DAY)
    for version, at in [("1.0", now - 400 * DAY), ("1.1", now - 365 * DAY - DAY), ("2.0", now - 30 * DAY)]:
        api.release(license_.product_id, version, at=at)
    for version in ("1.0", "1.1"):
        answer = verdict(license_, version=version)
        assert (answer["code"], answer["valid"]) == ("EXPIRED", True)
    newer = verdict(license_, version="2.0")
    assert (newer["code"], newer["valid"]) == ("VERSION_SCOPE_MISMATCH", False)


def test_a_release_of_the_very_instant_of_the_expiry_is_covered(api, verdict):
    then = utc_now() - DAY
    license_ = api.license(policy={"expiry_strategy": "maintain"}, expires_at=then)
    api.release(license_.product_id, "1.0", at=then)
    api.release(license_.product_id, "1.0.1", at=then + timedelta(microseconds=1))
    assert verdict(license_, version="1.0")["code"] == "EXPIRED"
    assert verdict(license_, version="1.0.1")["code"] == "VERSION_SCOPE_MISMATCH"


@pytest.mark.parametrize(
    ("strategy", "code", "valid"),
    [
        ("allow", "EXPIRED", True),
        ("maintain", "VERSION_SCOPE_MISMATCH", False),
        ("restrict", "VERSION_SCOPE_MISMATCH", False),
        ("revoke", "EXPIRED", False),
    ],
)
def test_a_release_of_after_the_expiry(api, verdict, strategy, code, valid):
    license_ = api.license(policy={"expiry_strategy": strategy}, expires_at=utc_now() - 9 * DAY)
    api.release(license_.product_id, "2.0", at=utc_now() - DAY)
    answer = verdict(license_, version="2.0")
    assert (answer["code"], answer["valid"]) == (code, valid)


def test_only_what_is_published_and_of_the_product_is_covered(api, verdict):
    license_, admin = api.license(), api.admin()
    api.release(license_.product_id, "1.0")
    api.release(license_.product_id, "2.0-draft", draft=True)
    api.release(license_.product_id, "3.0", at=utc_now() + DAY)  # announced
    yanked = api.release(license_.product_id, "1.1")
    assert verdict(license_, version="1.1")["code"] == "VALID"
    assert api.post(f"/releases/{yanked}/yank", by=admin).status_code == 200
    api.release(api.product(), "7.0")
    for version, code in [
        ("1.0", "VALID"),
        ("1.1", "VERSION_SCOPE_MISMATCH"),
        ("2.0-draft", "VERSION_SCOPE_MISMATCH"),
        ("3.0", "VERSION_SCOPE_MISMATCH"),
        ("7.0", "VERSION_SCOPE_MISMATCH"),
        ("1.0.0", "VERSION_SCOPE_MISMATCH"),
    ]:
        answer = verdict(license_, version=version)
        assert (answer["code"], answer["valid"]) == (code, code == "VALID"), version


def test_a_licence_is_overdue_from_the_instant_on_at_which_it_had_to_check_in(api, verdict, edit):
    license_ = api.license(policy={"check_in_days": 7})
    edit("license", license_.id, check_in_due_at=utc_now() + DAY)
    answer = verdict(license_)
    assert (answer["code"], answer["license"]["check_in_due_at"][-1]) == ("VALID", "Z")
    edit("license", license_.id, check_in_due_at=utc_now())
    assert verdict(license_)["code"] == "OVERDUE"


def test_what_a_policy_insists_on_must_be_asked(api, seat, verdict, edit):
    required = ["product", "policy", "user", "fingerprint", "components", "version"]
    owner = api.person()
    license_ = api.license(owner=owner)
    api.release(license_.product_id, "1.0")
    seat(license_, "m1", components=("board",))
    edit("policy", license_.policy_id, required_scopes=required)
    whole = {
        "product": str(license_.product_id),
        "policy_id": str(license_.policy_id),
        "user_id": str(owner.id),
        "fingerprint": "m1",
        "components": ["board"],
        "version": "1.0",
    }
    assert verdict(license_, **whole)["code"] == "VALID"
    for name, scope in zip(whole, required, strict=True):
        part = {key: value for key, value in whole.items() if key != name}
        assert verdict(license_, **part)["code"] == f"{scope.upper()}_SCOPE_REQUIRED"
