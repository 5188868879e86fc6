"""Whom a new seat counts: cores, components, uniqueness, scopes; and who could go."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import ExpiryBasis, License, Policy, Uniqueness
from tests.factories import code_of

PARTS = [{"name": name, "fingerprint": f"print-of-{name}"} for name in ("board", "disk", "network")]


def refusal(answer):
    return answer.status_code, code_of(answer)


def kept(api, license_, *columns):
    """Of the licence's row."""
    with api.app.app_context():
        row = db.session.execute(select(*columns).where(License.id == license_.id)).one()
    return row[0] if len(row) == 1 else tuple(row)


def in_policy(api, license_, **values):
    """Change a policy's terms as an edit would: its version moves."""
    with api.app.app_context(), unit_of_work():
        policy = db.session.get(Policy, license_.policy_id)
        for name, value in values.items():
            setattr(policy, name, value)


# --- cores -------------------------------------------------------------------------------------------


def test_cores_are_limited_over_all_machines(api, activate):
    license_ = api.license(policy={"max_cores": 8, "max_machines": None})
    assert activate(license_, "m1", cores=4).json["data"]["cores"] == 4
    refused = activate(license_, "m2", cores=5)
    assert refusal(refused) == (409, "CORE_LIMIT_EXCEEDED")
    assert refused.json["error"]["params"] == {"max_cores": 8, "core_count": 4}
    assert activate(license_, "m2", cores=4).status_code == 201
    assert kept(api, license_, License.machine_count, License.core_count) == (2, 8)
    api.post("/licenses/deactivate", {"key": license_.key, "fingerprint": "m1"})
    assert kept(api, license_, License.machine_count, License.core_count) == (1, 4)


def test_a_machine_that_does_not_say_counts_as_one_core_where_they_are_limited(api, activate):
    limited, free = api.license(policy={"max_cores": 2}), api.license()
    assert [activate(limited, f"m{n}").json["data"]["cores"] for n in range(2)] == [1, 1]
    assert code_of(activate(limited, "m2")) == "CORE_LIMIT_EXCEEDED"
    assert activate(free, "m1").json["data"]["cores"] is None


def test_a_licences_own_limit_and_the_overage_count_for_cores_and_machines(api, activate, verdict):
    license_ = api.license(policy={"max_machines": 4, "max_cores": 4, "overage": "1.25x"})
    for number in range(5):
        assert activate(license_, f"m{number}", cores=1).status_code == 201
    assert verdict(license_)["code"] == "TOO_MANY_MACHINES"
    assert verdict(license_)["valid"] is True
    assert code_of(activate(license_, "m5", cores=1)) == "MACHINE_LIMIT_EXCEEDED"
    with api.app.app_context(), unit_of_work():
        db.session.get(License, license_.id).max_machines = 6
    assert code_of(activate(license_, "m5", cores=1)) == "CORE_LIMIT_EXCEEDED"


# --- components --------------------------------------------------------------------------------------


def test_a_machine_keeps_the_components_that_it_named(api, activate):
    license_ = api.license()
    machine = activate(license_, "m1", components=PARTS[::-1]).json["data"]
    assert machine["components"] == PARTS
    assert activate(license_, "m1").json["data"]["components"] == PARTS
    path = f"/licenses/{license_.id}/machines"
    assert api.get(path, by=api.admin()).json["data"][0]["components"] == PARTS
    assert api.get(f"{path}/{machine['id']}", by=api.admin()).json["data"]["components"] == PARTS


@pytest.mark.parametrize(
    "components",
    [
        [PARTS[0], PARTS[0]],
        [{"name": "x", "fingerprint": f"{n}"} for n in range(21)],
        [{"name": "board"}],
        ["board"],
    ],
)
def test_components_are_named_once_each_with_both_words(activate, api, components):
    refused = activate(api.license(), "m1", components=components)
    assert refused.status_code == 422
    assert refused.json["error"]["field"].startswith("components")


def test_a_seat_is_not_returned_to_other_components(api, activate):
    license_ = api.license()
    activate(license_, "m1", components=PARTS)
    others = [{"name": part["name"], "fingerprint": "another"} for part in PARTS[:1]]
    assert refusal(activate(license_, "m1", components=others)) == (409, "COMPONENTS_SCOPE_MISMATCH")
    assert activate(license_, "m1", components=[*PARTS[:2], *others]).status_code == 200  # most of them


def test_a_seat_without_components_learns_those_which_its_machine_names_first(api, activate, verdict):
    license_ = api.license()
    activate(license_, "m1")
    asked = {"fingerprint": "m1"}
    learnt = activate(license_, "m1", components=PARTS)
    assert (learnt.status_code, learnt.json["data"]["components"]) == (200, PARTS)
    others = [{"name": "board", "fingerprint": "another"}]
    assert code_of(activate(license_, "m1", components=others)) == "COMPONENTS_SCOPE_MISMATCH"
    assert verdict(license_, **asked)["code"] == "VALID"


# --- scopes ------------------------------------------------------------------------------------------


def test_a_policys_required_scopes_can_be_met_by_an_activation(api, activate):
    owner, product_id = api.person(), api.product("dev-forge")
    api.entitlement("cloud-sync")
    names = ["product", "policy", "user", "fingerprint", "components"]
    policy_id = api.policy(product_id, required_scopes=names, entitlements=["cloud-sync"])
    license_ = api.license(policy_id, owner=owner)
    given = {
        "product": "dev-forge",
        "policy_id": str(policy_id),
        "user_id": str(owner.id),
        "components": PARTS,
        "entitlements": ["cloud-sync"],
    }
    for name, field in [("PRODUCT", "product"), ("POLICY", "policy_id"), ("USER", "user_id")]:
        less = {key: value for key, value in given.items() if key != field}
        assert refusal(activate(license_, "m1", **less)) == (409, f"{name}_SCOPE_REQUIRED")
    less = {key: value for key, value in given.items() if key != "components"}
    assert refusal(activate(license_, "m1", **less)) == (409, "COMPONENTS_SCOPE_REQUIRED")
    assert code_of(activate(license_, "m1", **{**given, "entitlements": ["more"]})) == "ENTITLEMENTS_MISSING"
    assert kept(api, license_, License.machine_count) == 0
    assert activate(license_, "m1", **given).status_code == 201


def test_a_version_that_the_licence_does_not_cover_takes_no_seat(api, activate):
    license_ = api.license()
    assert refusal(activate(license_, "m1", version="2.0.0")) == (409, "VERSION_SCOPE_MISMATCH")


# --- uniqueness --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uniqueness", "elsewhere"),
    [
        ("license", [201, 201, 201]),
        ("policy", [409, 201, 201]),
        ("product", [409, 409, 201]),
        ("everywhere", [409, 409, 409]),
    ],
)
def test_a_fingerprint_holds_one_seat_within_what_the_policy_says(api, activate, uniqueness, elsewhere):
    terms = {"fingerprint_uniqueness": Uniqueness(uniqueness)}
    product_id = api.product()
    policy_id = api.policy(product_id, **terms)
    others = [
        api.license(policy_id),
        api.license(api.policy(product_id, name="other", **terms)),
        api.license(api.policy(**terms)),
    ]
    first = api.license(policy_id)
    assert activate(first, "m1").status_code == 201
    answers = [activate(license_, "m1") for license_ in others]
    assert [answer.status_code for answer in answers] == elsewhere
    assert {code_of(answer) for answer in answers if answer.status_code == 409} <= {"FINGERPRINT_TAKEN"}
    assert kept(api, others[0], License.machine_count) == (elsewhere[0] == 201)
    api.post("/licenses/deactivate", {"key": first.key, "fingerprint": "m1"})
    if elsewhere[0] == 409:
        assert activate(others[0], "m1").status_code == 201


def test_a_policy_that_changes_its_uniqueness_leaves_the_seats_that_are(api, activate):
    policy_id = api.policy()
    one, other = api.license(policy_id), api.license(policy_id)
    for license_ in (one, other):
        activate(license_, "m1")
    in_policy(api, one, fingerprint_uniqueness=Uniqueness.POLICY)
    assert [activate(license_, "m1").status_code for license_ in (one, other)] == [200, 200]
    assert activate(one, "m2").status_code == 201
    assert code_of(activate(other, "m2")) == "FINGERPRINT_TAKEN"


# --- time --------------------------------------------------------------------------------------------


def test_a_licences_time_begins_with_its_first_activation(api, activate, clock):
    terms = {"duration_days": 10, "expiry_basis": ExpiryBasis.FIRST_ACTIVATION}
    license_ = api.license(policy=terms)
    assert kept(api, license_, License.expires_at) is None
    seen = activate(license_, "m1").json["data"]["created_at"]
    began = kept(api, license_, License.expires_at)
    assert began == datetime.fromisoformat(seen) + timedelta(days=10)
    clock.go_on(days=1)
    activate(license_, "m2")
    assert kept(api, license_, License.expires_at) == began


# --- who could go ------------------------------------------------------------------------------------


def test_a_refusal_for_want_of_a_seat_tells_who_could_go(api, activate, clock):
    license_ = api.license(policy={"max_machines": 2})
    activate(license_, "m1", name="Old laptop", platform="win32-x64")
    clock.go_on(days=1)
    activate(license_, "m2")
    clock.go_on(days=1)
    activate(license_, "m1")
    refused = activate(license_, "m3")
    assert refusal(refused) == (409, "MACHINE_LIMIT_EXCEEDED")
    params = refused.json["error"]["params"]
    assert (params["max_machines"], params["takeover"]) == (2, {"allowed_at": None})
    assert [machine["name"] for machine in params["machines"]] == [None, "Old laptop"]
    assert set(params["machines"][0]) == {"id", "name", "platform", "last_seen_at"}
    assert params["machines"][0]["last_seen_at"] < params["machines"][1]["last_seen_at"]


def test_a_refusal_names_twenty_machines_at_most_and_no_take_over_where_there_is_none(api, activate):
    license_ = api.license(policy={"max_machines": 22, "takeover_cooldown_seconds": None})
    for number in range(22):
        activate(license_, f"m{number}")
    params = activate(license_, "m22").json["error"]["params"]
    assert (len(params["machines"]), params["takeover"]) == (20, None)


# --- people ------------------------------------------------------------------------------------------


def test_an_owner_names_a_machine_and_a_stranger_does_not(api, activate):
    owner = api.person()
    license_ = api.license(owner=owner)
    machine = activate(license_, "m1", name="m", components=PARTS).json["data"]
    path = f"/licenses/{license_.id}/machines/{machine['id']}"
    for nobody in (api.person(), api.person(role="support")):
        assert api.patch(path, {"name": "Mine"}, by=nobody).status_code == 404
    named = api.patch(path, {"name": "The blue one"}, by=owner)
    assert (named.status_code, named.json["data"]) == (200, {**machine, "name": "The blue one"})
    assert api.patch(path, {}, by=owner).json["data"]["name"] == "The blue one"
    assert api.patch(path, {"name": None}, by=api.admin()).json["data"]["name"] is None
    assert api.patch(path, {"fingerprint": "m2"}, by=owner).status_code == 422
    stale = api.patch(path, {"name": "x"}, by=owner, headers={"If-Match": '"other"'})
    assert refusal(stale) == (412, "PRECONDITION_FAILED")
    events = api.get(f"/audit/events?target_id={license_.id}", by=api.admin()).json["data"]
    (told, _) = [event for event in events if event["action"] == "license.machine_named"]
    assert "blue" not in str(told)  # what people call their things is not for the trail
