"""A policy's terms on the wire: every one of them, their defaults, and what they must be together."""

import pytest

from tests.factories import code_of

DEFAULTS: dict[str, object] = {
    "max_cores": None,
    "max_users": None,
    "max_uses": None,
    "overage": "none",
    "floating": False,
    "strict": False,
    "duration_days": None,
    "duration_months": None,
    "expiry_strategy": "restrict",
    "expiry_basis": "from_creation",
    "renewal_basis": "from_now_if_expired",
    "transfer_strategy": "keep_expiry",
    "check_in_days": None,
    "require_heartbeat": False,
    "heartbeat_seconds": 600,
    "heartbeat_basis": "from_first_ping",
    "cull_strategy": "deactivate",
    "revival_seconds": 0,
    "fingerprint_uniqueness": "license",
    "fingerprint_matching": "any",
    "component_matching": "most",
    "takeover_cooldown_seconds": 86_400,
    "required_scopes": [],
    "key_scheme": "random",
    "trial": False,
    "lease_seconds": 2_592_000,
    "offline_grace_seconds": 604_800,
    "entitlements": [],
    "metadata": {},
}
OTHERS: dict[str, object] = {
    "max_cores": 24,
    "max_users": 5,
    "max_uses": 1_000,
    "overage": "1.25x",
    "floating": True,
    "strict": True,
    "duration_months": 12,
    "expiry_strategy": "revoke",
    "expiry_basis": "from_first_activation",
    "renewal_basis": "from_expiry",
    "transfer_strategy": "reset_expiry",
    "check_in_days": 30,
    "require_heartbeat": True,
    "heartbeat_seconds": 60,
    "heartbeat_basis": "from_creation",
    "cull_strategy": "keep",
    "revival_seconds": None,
    "fingerprint_uniqueness": "everywhere",
    "fingerprint_matching": "all",
    "component_matching": "two",
    "takeover_cooldown_seconds": None,
    "required_scopes": ["product", "fingerprint"],
    "key_scheme": "signed",
    "trial": True,
    "lease_seconds": 3_600,
    "offline_grace_seconds": 0,
    "metadata": {"a": 1},
}


@pytest.fixture
def least(api):
    """The least body of a policy."""
    return {"product_id": str(api.product()), "name": "pro", "max_machines": 3}


@pytest.fixture
def policy(api, least):
    """A policy's path."""
    return f"/policies/{api.post('/policies', least, by=api.admin()).json['data']['id']}"


def test_every_term_has_its_documented_default(api, least):
    made = api.post("/policies", least, by=api.admin()).json["data"]
    assert {name: made[name] for name in DEFAULTS} == DEFAULTS
    assert set(made) - set(DEFAULTS) == {*least, "id", "created_at", "updated_at"}


def test_every_term_is_set_changed_and_returned_to_its_default(api, least):
    admin = api.admin()
    made = api.post("/policies", least | OTHERS, by=admin).json["data"]
    assert {name: made[name] for name in OTHERS} == OTHERS
    path = f"/policies/{made['id']}"
    assert api.get(path, by=admin).json["data"] == made
    kept = api.patch(path, {"name": "new"}, by=admin).json["data"]
    assert {name: kept[name] for name in OTHERS} == OTHERS
    reset = api.put(path, least, by=admin).json["data"]
    assert {name: reset[name] for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_one_term_is_changed_by_itself(api, policy, name):
    if name in {"expiry_basis", "trial"}:
        api.patch(policy, {"duration_days": 10}, by=api.admin())
    changed = api.patch(policy, {name: OTHERS[name]}, by=api.admin())
    assert changed.json["data"][name] == OTHERS[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_cores", 0),
        ("max_users", 0),
        ("max_uses", -1),
        ("overage", "3x"),
        ("overage", None),
        ("duration_months", 0),
        ("duration_months", 1_201),
        ("expiry_strategy", "forever"),
        ("expiry_basis", "from_birth"),
        ("check_in_days", 0),
        ("heartbeat_seconds", 59),
        ("heartbeat_seconds", None),
        ("revival_seconds", -1),
        ("takeover_cooldown_seconds", -1),
        ("fingerprint_matching", "none"),
        ("required_scopes", ["moon"]),
        ("required_scopes", "product"),
        ("required_scopes", None),
        ("lease_seconds", 3_599),
        ("offline_grace_seconds", -1),
        ("offline_grace_seconds", 366 * 86_400 + 1),
        ("trial", "yes"),
        ("colour", "blue"),
    ],
)
def test_a_term_out_of_bounds_is_refused_by_its_name(api, policy, name, value):
    admin = api.admin()
    refused = api.patch(policy, {name: value}, by=admin)
    assert refused.status_code == 422
    assert refused.json["error"]["field"].split(".")[0] == name
    assert api.get(policy, by=admin).json["data"]["max_machines"] == 3


@pytest.mark.parametrize(
    ("values", "broken"),
    [
        ({"duration_days": 1, "duration_months": 1}, [("duration_months", "AMBIGUOUS")]),
        ({"expiry_basis": "from_first_validation"}, [("expiry_basis", "DURATION_REQUIRED")]),
        ({"trial": True}, [("trial", "DURATION_REQUIRED")]),
        (
            {"trial": True, "duration_days": 9, "expiry_strategy": "allow"},
            [("expiry_strategy", "TRIAL_MUST_END")],
        ),
        (
            {"trial": True, "duration_days": 9, "expiry_strategy": "maintain"},
            [("expiry_strategy", "TRIAL_MUST_END")],
        ),
        ({"floating": False, "max_machines": None}, [("max_machines", "REQUIRED")]),
        ({"floating": False, "overage": "always"}, [("overage", "INVALID")]),
        ({"required_scopes": ["user", "user"]}, [("required_scopes", "DUPLICATE")]),
        (
            {"trial": True, "expiry_basis": "from_first_activation"},
            [("expiry_basis", "DURATION_REQUIRED"), ("trial", "DURATION_REQUIRED")],
        ),
    ],
)
def test_terms_that_contradict_each_other_are_refused_together(api, least, policy, values, broken):
    admin = api.admin()
    before = api.get(policy, by=admin).json["data"]
    total = api.get("/policies", by=admin).json["pagination"]["total"]
    for refused in (
        api.post("/policies", least | values, by=admin),
        api.put(policy, least | values, by=admin),
        api.patch(policy, values, by=admin),
    ):
        assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")
        details = refused.json["error"]["details"]
        assert [(one["field"], one["code"]) for one in details] == broken
    assert api.get(policy, by=admin).json["data"] == before
    assert api.get("/policies", by=admin).json["pagination"]["total"] == total


def test_a_part_is_judged_with_what_the_policy_says_already(api, policy):
    admin = api.admin()
    assert api.patch(policy, {"duration_days": 30}, by=admin).status_code == 200
    refused = api.patch(policy, {"duration_months": 1}, by=admin)
    assert refused.json["error"]["field"] == "duration_months"
    months = {"duration_months": 1, "duration_days": None}
    assert api.patch(policy, months, by=admin).json["data"]["duration_months"] == 1
    assert api.patch(policy, {"trial": True}, by=admin).status_code == 200
    assert api.patch(policy, {"duration_months": None}, by=admin).json["error"]["field"] == "trial"
