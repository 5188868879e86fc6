"""The order of the verdicts: of several failing checks the first one decides, the rest is explained."""

from datetime import timedelta
from uuid import uuid4

import pytest

from devforge_api.core.clock import utc_now

PAST = timedelta(days=-1)
EARLY = "EXPIRED (early)"
# The contract's order. EXPIRED comes early under the expiry strategy `revoke`.
ORDER = [
    "PENDING", "BANNED", "REVOKED", "SUSPENDED", EARLY, "OVERDUE", "PRODUCT_SCOPE_MISMATCH",
    "PRODUCT_SCOPE_REQUIRED", "POLICY_SCOPE_MISMATCH", "POLICY_SCOPE_REQUIRED", "USER_SCOPE_MISMATCH",
    "USER_SCOPE_REQUIRED", "ENTITLEMENTS_SCOPE_EMPTY", "ENTITLEMENTS_MISSING", "NO_MACHINE", "NO_MACHINES",
    "HEARTBEAT_NOT_STARTED", "HEARTBEAT_DEAD", "FINGERPRINT_SCOPE_EMPTY", "FINGERPRINT_SCOPE_MISMATCH",
    "FINGERPRINT_SCOPE_REQUIRED", "COMPONENTS_SCOPE_EMPTY", "COMPONENTS_SCOPE_MISMATCH",
    "COMPONENTS_SCOPE_REQUIRED", "VERSION_SCOPE_MISMATCH", "VERSION_SCOPE_REQUIRED", "TOO_MANY_MACHINES",
    "TOO_MANY_CORES", "TOO_MANY_USERS", "EXPIRED", "VALID",
]  # fmt: skip
# What one licence, asked once, cannot suffer from at the same time.
STATUSES = {"PENDING": "pending", "REVOKED": "revoked", "SUSPENDED": "suspended"}
SILENT = {"HEARTBEAT_NOT_STARTED", "HEARTBEAT_DEAD"}
WITHOUT_FINGERPRINTS = {"FINGERPRINT_SCOPE_EMPTY", "FINGERPRINT_SCOPE_REQUIRED"}
NO_MACHINE = {"NO_MACHINE", "NO_MACHINES"}
SEATED = {*SILENT, "FINGERPRINT_SCOPE_MISMATCH", "TOO_MANY_MACHINES"}


def exclude_each_other(one, other):
    pair = {one, other}
    if pair <= STATUSES.keys() or pair == {EARLY, "EXPIRED"} or pair == NO_MACHINE:
        return True
    if "_SCOPE_" in one and one.split("_SCOPE_")[0] == other.split("_SCOPE_")[0]:
        return True
    if "ENTITLEMENTS" in one and "ENTITLEMENTS" in other:
        return True
    return any(
        (a in NO_MACHINE and b in SEATED) or (a in WITHOUT_FINGERPRINTS and b in SILENT)
        for a, b in ((one, other), (other, one))
    )


def failures_from(first):
    """The first one, and every later one that can be had beside those before it."""
    chosen = []
    for code in ORDER[ORDER.index(first) : -1]:
        if not any(exclude_each_other(code, other) for other in chosen):
            chosen.append(code)
    return chosen


def test_every_failure_is_met_beside_others():
    for code in ORDER[:-1]:
        assert failures_from(code)[0] == code
        assert len(failures_from(code)) > 5 or ORDER.index(code) > ORDER.index("FINGERPRINT_SCOPE_EMPTY")


@pytest.fixture
def spoilt(api, seat, edit):
    """Make a licence that suffers from these failures, and the scope to ask with."""

    def make(failures):
        now, owner = utc_now(), api.person()
        policy_id = api.policy(
            max_machines=2, check_in_days=7, fingerprint_matching="all", component_matching="all"
        )
        license_ = api.license(policy_id, owner=owner)
        version = "1.0.0"
        api.release(license_.product_id, version, at=now - timedelta(days=9))
        pinged = {"last_heartbeat_at": now, "heartbeat_due_at": now + timedelta(hours=1)}
        if not NO_MACHINE & set(failures):
            died = {"last_heartbeat_at": now + PAST, "heartbeat_due_at": now + PAST}
            first = {} if "HEARTBEAT_NOT_STARTED" in failures else pinged
            second = died if "HEARTBEAT_DEAD" in failures else pinged
            seat(license_, "m1", components=("c1", "c2"), **first)
            seat(license_, "m2", components=("c1", "c2"), **second)
        required = [c.split("_")[0].lower() for c in failures if c.endswith("_SCOPE_REQUIRED")]
        terms = {"required_scopes": required, "floating": "NO_MACHINE" not in failures}
        terms["strict"] = bool(NO_MACHINE & set(failures))
        terms["require_heartbeat"] = bool(SILENT & set(failures))
        terms["expiry_strategy"] = "revoke" if EARLY in failures else "restrict"
        if "TOO_MANY_MACHINES" in failures:
            terms["max_machines"] = 1
        edit("policy", policy_id, **terms)
        state = {}
        for code in STATUSES.keys() & set(failures):
            state["status"] = STATUSES[code]
        if "OVERDUE" in failures:
            state["check_in_due_at"] = now + PAST
        if {EARLY, "EXPIRED"} & set(failures):
            state["expires_at"] = now + PAST
        if "TOO_MANY_CORES" in failures:
            state |= {"core_count": 3, "max_cores": 2}
        if "TOO_MANY_USERS" in failures:
            state |= {"user_count": 1, "max_users": 1}  # beside the owner
        edit("license", license_.id, **state)
        if "BANNED" in failures:
            api.ban(owner.id)
        scope = {
            "product": "another" if "PRODUCT_SCOPE_MISMATCH" in failures else str(license_.product_id),
            "policy_id": str(uuid4() if "POLICY_SCOPE_MISMATCH" in failures else policy_id),
            "user_id": str(uuid4() if "USER_SCOPE_MISMATCH" in failures else owner.id),
            "fingerprints": ["m1", "m2"],
            "components": ["c1", "c2"],
            "version": "9.9.9" if "VERSION_SCOPE_MISMATCH" in failures else version,
        }
        if "ENTITLEMENTS_MISSING" in failures:
            scope["entitlements"] = ["cloud-sync"]
        if "ENTITLEMENTS_SCOPE_EMPTY" in failures:
            scope["entitlements"] = []
        if "FINGERPRINT_SCOPE_MISMATCH" in failures:
            scope["fingerprints"] = ["m1", "m2", "stranger"]
        if "COMPONENTS_SCOPE_MISMATCH" in failures or NO_MACHINE & set(failures):
            scope["components"] = ["c1", "of another machine"]
        for code, name in [
            ("FINGERPRINT_SCOPE_EMPTY", "fingerprints"),
            ("COMPONENTS_SCOPE_EMPTY", "components"),
        ]:
            if code in failures:
                scope[name] = []
        for name in required:
            del scope[
                {"policy": "policy_id", "user": "user_id", "fingerprint": "fingerprints"}.get(name, name)
            ]
        if NO_MACHINE & set(failures) and not WITHOUT_FINGERPRINTS & set(failures):
            del scope["fingerprints"]
        return license_, scope

    return make


@pytest.mark.parametrize("first", ORDER)
def test_the_first_failing_check_decides_and_all_are_explained_in_order(api, spoilt, first):
    failures = failures_from(first) if first != "VALID" else []
    license_, scope = spoilt(failures)
    body = {"key": license_.key, **scope}
    data = api.post("/licenses/validate?explain=true", body).json["data"]
    codes = ["EXPIRED" if code == EARLY else code for code in failures]
    assert (data["code"], data["valid"]) == ((codes or ["VALID"])[0], first == "VALID")
    assert [check["code"] for check in data["checks"]] == codes
    assert data["detail"].startswith("The licence ")
    assert data["license"]["id"] == str(license_.id)
    plain = api.post("/licenses/validate", body).json["data"]
    assert (plain["code"], plain["valid"], "checks" in plain) == (data["code"], data["valid"], False)


def test_an_unknown_key_is_all_that_is_said_of_it(api):
    scope = {"key": "DF-0", "product": "another", "entitlements": [], "fingerprints": [], "version": "9"}
    data = api.post("/licenses/validate?explain=true", {**scope, "nonce": "n"}).json["data"]
    assert (data["valid"], data["code"], data["license"], data["nonce"]) == (False, "NOT_FOUND", None, "n")
    (check,) = data["checks"]
    assert (check["code"], check["remedy"]["action"]) == ("NOT_FOUND", "check_key")
