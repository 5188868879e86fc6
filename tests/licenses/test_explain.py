"""``?explain=true``: what helps against each failing check."""

from datetime import timedelta
from uuid import uuid4

import pytest

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import Action, Policy, Product
from devforge_api.licenses.service.explanations import _FIXED, _WORKED_OUT
from devforge_api.licenses.service.validation import DETAILS

DAY = timedelta(days=1)


@pytest.fixture
def explained(api):
    """The failing checks of a licence, by their codes."""

    def ask(license_, **scope):
        answer = api.post("/licenses/validate?explain=true", {"key": license_.key, **scope})
        assert answer.status_code == 200, answer.json
        return {check["code"]: check for check in answer.json["data"]["checks"]}

    return ask


def test_a_valid_licence_has_nothing_to_explain(api, explained):
    license_ = api.license()
    assert explained(license_) == {}
    answer = api.post("/licenses/validate?explain=false", {"key": license_.key})
    assert "checks" not in answer.json["data"]


def test_every_verdict_but_valid_has_a_remedy():
    stated = {code for code in DETAILS if code.endswith(("_SCOPE_REQUIRED", "_SCOPE_EMPTY"))}
    assert stated | _FIXED.keys() | _WORKED_OUT.keys() == DETAILS.keys() - {"VALID"}
    for remedy in _FIXED.values():
        assert isinstance(remedy["action"], Action)
        assert remedy["detail"].endswith(".")


def test_the_machine_not_heard_of_for_the_longest_time_is_the_first_that_could_go(api, seat, edit, explained):
    license_ = api.license(policy={"max_machines": 3})
    now = utc_now()
    ids = {}
    for name, seen in [("new", now), ("old", now - 9 * DAY), ("never", None)]:
        ids[name] = str(seat(license_, name, name=f"{name} one", platform="linux-x64", last_seen_at=seen))
    edit("machine", ids["never"], created_at=now - 99 * DAY)
    check = explained(license_, fingerprint="another")["FINGERPRINT_SCOPE_MISMATCH"]
    remedy = check["remedy"]
    assert (remedy["action"], remedy["excess"], check["tolerated"]) == ("release_machine", 1, False)
    assert [machine["id"] for machine in remedy["machines"]] == [ids["never"], ids["old"], ids["new"]]
    assert remedy["machines"][1] == {
        "id": ids["old"],
        "name": "old one",
        "platform": "linux-x64",
        "last_seen_at": rfc3339(now - 9 * DAY),
    }
    edit("policy", license_.policy_id, max_machines=1)
    remedy = explained(license_, fingerprint="new")["TOO_MANY_MACHINES"]["remedy"]
    assert (remedy["action"], remedy["excess"], len(remedy["machines"])) == ("release_machine", 2, 3)


def test_a_free_seat_is_worth_an_activation(api, seat, explained):
    license_ = api.license(policy={"max_machines": 2, "floating": False, "strict": True})
    assert explained(license_)["NO_MACHINE"]["remedy"]["action"] == "activate"
    seat(license_, "m1")
    remedy = explained(license_, fingerprint="m2")["FINGERPRINT_SCOPE_MISMATCH"]["remedy"]
    assert (remedy["action"], "machines" in remedy) == ("activate", False)


def test_machines_are_listed_up_to_a_bound_and_none_of_another_licence(api, seat, edit, explained):
    license_, other = api.license(policy={"max_machines": None}), api.license()
    foreign = seat(other, "foreign")
    for number in range(21):
        seat(license_, f"m{number}")
    edit("license", license_.id, max_machines=1)
    machines = explained(license_)["TOO_MANY_MACHINES"]["remedy"]["machines"]
    assert len(machines) == 20
    assert str(foreign) not in {machine["id"] for machine in machines}


def test_no_fingerprint_and_nothing_of_others_is_told(api, seat, edit):
    owner, user = api.person(), api.person()
    license_ = api.license(owner=owner, policy={"max_machines": 1, "max_users": 1})
    seat(license_, "a-secret-fingerprint")
    edit("license", license_.id, machine_count=3, user_count=3)
    body = {"key": license_.key, "fingerprint": "mine", "user_id": str(user.id)}
    answer = api.post("/licenses/validate?explain=true", body)
    codes = [check["code"] for check in answer.json["data"]["checks"]]
    assert codes == [
        "USER_SCOPE_MISMATCH", "FINGERPRINT_SCOPE_MISMATCH", "TOO_MANY_MACHINES", "TOO_MANY_USERS",
    ]  # fmt: skip
    for secret in ("a-secret-fingerprint", str(owner.id), owner.email, license_.key):
        assert secret not in answer.text


def test_limits_say_by_how_much_they_are_exceeded_and_whether_that_is_tolerated(api, edit, explained):
    terms = {"max_machines": 4, "max_cores": 4, "max_users": 4, "overage": "1.25x"}
    license_ = api.license(policy=terms)
    edit("license", license_.id, machine_count=5, core_count=7, user_count=5)
    found = explained(license_)
    assert {
        code: (check["remedy"]["action"], check["remedy"]["excess"], check["tolerated"])
        for code, check in found.items()
    } == {
        "TOO_MANY_MACHINES": ("release_machine", 1, True),
        "TOO_MANY_CORES": ("release_machine", 3, False),
        "TOO_MANY_USERS": ("remove_user", 1, True),
    }


@pytest.mark.parametrize("where", ["policy", "product"])
def test_an_expired_licence_leads_to_where_it_is_renewed(api, edit, explained, where):
    at = utc_now() - DAY
    license_ = api.license(expires_at=at)
    remedy = explained(license_)["EXPIRED"]["remedy"]
    assert (remedy["action"], remedy["expires_at"], "url" in remedy) == ("renew", rfc3339(at), False)
    note(api, license_, product="https://example.com/of-product")
    if where == "policy":
        note(api, license_, policy="https://example.com/renew?license={license_id}")
        expected = f"https://example.com/renew?license={license_.id}"
    else:
        expected = "https://example.com/of-product"
    assert explained(license_)["EXPIRED"]["remedy"]["url"] == expected
    edit("policy", license_.policy_id, expiry_strategy="allow")
    check = explained(license_)["EXPIRED"]
    assert (check["tolerated"], check["remedy"]["url"]) == (True, expected)


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "file:///etc/passwd", "renew", "https://", "http://[", 5, None, "https://a/\n"],
)
def test_a_link_that_leads_to_no_site_is_left_out(api, explained, link):
    license_ = api.license(expires_at=utc_now() - DAY)
    note(api, license_, policy=link)
    assert "url" not in explained(license_)["EXPIRED"]["remedy"]


def note(api, license_, **links):
    with api.app.app_context(), unit_of_work():
        for name, link in links.items():
            model, row_id = {
                "policy": (Policy, license_.policy_id),
                "product": (Product, license_.product_id),
            }[name]
            db.session.get(model, row_id).metadata_ = {"renewal_url": link}


def test_the_newest_version_that_is_covered_is_named(api, edit, explained):
    now = utc_now()
    license_ = api.license(policy={"expiry_strategy": "maintain"}, expires_at=now - 30 * DAY)
    check = explained(license_, version="9.0")["VERSION_SCOPE_MISMATCH"]["remedy"]
    assert (check["action"], "version" in check) == ("use_version", False)
    for version, age in [("1.0", 90), ("1.1", 60), ("2.0", 10)]:
        api.release(license_.product_id, version, at=now - age * DAY)
    yanked = api.release(license_.product_id, "1.2", at=now - 40 * DAY)
    api.post(f"/releases/{yanked}/yank", by=api.admin())
    api.release(license_.product_id, "1.3", draft=True)
    api.release(api.product(), "7.0", at=now - 50 * DAY)
    note(api, license_, policy="https://example.com/renew")
    remedy = explained(license_, version="2.0")["VERSION_SCOPE_MISMATCH"]["remedy"]
    assert (remedy["version"], remedy["url"]) == ("1.1", "https://example.com/renew")
    edit("license", license_.id, expires_at=None)
    remedy = explained(license_, version="9.0")["VERSION_SCOPE_MISMATCH"]["remedy"]
    assert (remedy["version"], "url" in remedy) == ("2.0", False)


def test_what_is_missing_is_named(api, explained):
    api.entitlement("cloud-sync")
    license_ = api.license(policy={"entitlements": ["cloud-sync"]})
    asked = ["team", "cloud-sync", "ai", "team"]
    remedy = explained(license_, entitlements=asked)["ENTITLEMENTS_MISSING"]["remedy"]
    assert (remedy["action"], remedy["entitlements"]) == ("upgrade", ["ai", "team"])


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ("product", "product"),
        ("policy", "policy_id"),
        ("user", "user_id"),
        ("fingerprint", "fingerprint"),
        ("components", "components"),
        ("version", "version"),
    ],
)
def test_a_missing_scope_is_named_as_the_request_spells_it(api, explained, scope, field):
    license_ = api.license(policy={"required_scopes": [scope]})
    remedy = explained(license_)[f"{scope.upper()}_SCOPE_REQUIRED"]["remedy"]
    assert (remedy["action"], remedy["fields"]) == ("state_scope", [field])


def test_an_empty_scope_is_named(api, explained):
    found = explained(api.license(), fingerprints=[], components=[], entitlements=[])
    assert {code: check["remedy"]["fields"] for code, check in found.items()} == {
        "ENTITLEMENTS_SCOPE_EMPTY": ["entitlements"],
        "FINGERPRINT_SCOPE_EMPTY": ["fingerprint"],
        "COMPONENTS_SCOPE_EMPTY": ["components"],
    }


@pytest.mark.parametrize(
    ("window", "dead_for", "action"),
    [
        (0, 60, "reactivate"),
        (3600, 60, "ping"),
        (3600, 7200, "reactivate"),
        (None, 10**7, "ping"),
    ],
)
def test_a_dead_machine_pings_or_is_activated_anew(api, seat, edit, explained, window, dead_for, action):
    license_ = api.license(policy={"require_heartbeat": True})
    edit("policy", license_.policy_id, revival_seconds=window)
    due = utc_now() - timedelta(seconds=dead_for)
    seat(license_, "m1", last_heartbeat_at=due - DAY, heartbeat_due_at=due)
    assert explained(license_, fingerprint="m1")["HEARTBEAT_DEAD"]["remedy"]["action"] == action


@pytest.mark.parametrize(
    ("code", "state", "action"),
    [
        ("PENDING", {"status": "pending"}, "wait"),
        ("REVOKED", {"status": "revoked"}, "contact_support"),
        ("SUSPENDED", {"status": "suspended"}, "contact_support"),
        ("OVERDUE", {"check_in_due_at": utc_now() - DAY}, "check_in"),
    ],
)
def test_what_can_be_done_about_a_licence_that_stands_still(api, edit, explained, code, state, action):
    license_ = api.license(policy={"check_in_days": 7})
    edit("license", license_.id, **state)
    found = explained(license_)
    assert found.keys() == {code}
    assert found[code]["remedy"]["action"] == action
    assert ("due_at" in found[code]["remedy"]) == (code == "OVERDUE")


def test_a_key_for_something_else_is_to_be_exchanged(api, seat, explained):
    license_ = api.license(owner=api.person())
    seat(license_, "m1", components=("board",))
    scope = {"product": "x", "policy_id": str(uuid4()), "user_id": str(uuid4()), "components": ["disk"]}
    assert {code: check["remedy"]["action"] for code, check in explained(license_, **scope).items()} == {
        "PRODUCT_SCOPE_MISMATCH": "use_another_key",
        "POLICY_SCOPE_MISMATCH": "use_another_key",
        "USER_SCOPE_MISMATCH": "add_user",
        "COMPONENTS_SCOPE_MISMATCH": "reactivate",
    }
