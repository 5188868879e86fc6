"""Terms are remembered by their policy's version: whatever changes them moves it, for every process."""

from functools import partial

import pytest

from devforge_api.core.db import db
from devforge_api.licenses.models import Policy
from devforge_api.licenses.queries import facts
from tests.licenses.test_activation_races import at_once


@pytest.fixture
def version(app):
    def of(policy_id):
        with app.app_context():
            row = db.session.get_one(Policy, policy_id)
            return row.version, row.updated_at

    return of


@pytest.fixture
def remembering(monkeypatch):
    """Keep what another process has remembered apart from this one's."""
    elsewhere = {}

    def swap():
        here = facts._remembered
        monkeypatch.setattr(facts, "_remembered", elsewhere)
        return lambda: monkeypatch.setattr(facts, "_remembered", here)

    return swap


@pytest.mark.parametrize(
    ("edit", "scope", "before", "after"),
    [
        ("policy", {}, "VALID", "NO_MACHINES"),
        ("list", {"entitlements": ["a"]}, "VALID", "ENTITLEMENTS_MISSING"),
        ("entitlement", {"entitlements": ["a"]}, "VALID", "ENTITLEMENTS_MISSING"),
        ("product", {"product": "first"}, "VALID", "PRODUCT_SCOPE_MISMATCH"),
    ],
)
def test_an_edit_is_seen_by_the_next_request_of_another_process(
    api, verdict, version, remembering, edit, scope, before, after
):
    admin, product_id, entitlement_id = api.admin(), api.product("first"), api.entitlement("a")
    policy_id = api.policy(product_id, entitlements=["a"])
    license_ = api.license(policy_id)
    back = remembering()
    assert verdict(license_, **scope)["code"] == before  # the other process remembers
    back()
    known = version(policy_id)
    calls = {
        "policy": partial(api.patch, f"/policies/{policy_id}", {"strict": True}),
        "list": partial(api.patch, f"/policies/{policy_id}", {"entitlements": []}),
        "entitlement": partial(api.patch, f"/entitlements/{entitlement_id}", {"code": "b"}),
        "product": partial(api.patch, f"/products/{product_id}", {"code": "second"}),
    }
    assert calls[edit](by=admin).status_code == 200
    assert version(policy_id)[0] > known[0]
    assert version(policy_id)[1] > known[1]
    remembering()
    assert verdict(license_, **scope)["code"] == after


def test_names_move_no_version(api, version):
    admin, product_id, entitlement_id = api.admin(), api.product("first"), api.entitlement("a")
    policy_id = api.policy(product_id, entitlements=["a"])
    known = version(policy_id)
    api.patch(f"/products/{product_id}", {"name": "Second", "metadata": {"a": 1}}, by=admin)
    api.patch(f"/entitlements/{entitlement_id}", {"name": "B"}, by=admin)
    api.patch(f"/policies/{policy_id}", {"entitlements": ["a"]}, by=admin)  # as it was
    assert version(policy_id) == known


def test_only_the_policies_concerned_move(api, version):
    admin, entitlement_id = api.admin(), api.entitlement("a")
    concerned, other = api.policy(entitlements=["a"]), api.policy()
    known = version(other)
    api.patch(f"/entitlements/{entitlement_id}", {"code": "b"}, by=admin)
    assert version(other) == known
    assert version(concerned)[0] == 2


def test_a_renamed_entitlement_and_an_edited_list_at_once_end_in_one_truth(api, verdict):
    admin, entitlement_id = api.admin(), api.entitlement("e0")
    policies = [api.policy() for _ in range(3)]
    licenses = [api.license(policy_id) for policy_id in policies]

    def attach(policy_id, number):
        for code in (f"e{number}", f"e{number + 1}"):
            body = {"entitlements": [code]}
            status = api.patch(f"/policies/{policy_id}", body, by=admin).status_code
            assert status in {200, 422}, status

    for number in range(5):
        rename = partial(api.patch, f"/entitlements/{entitlement_id}", {"code": f"e{number + 1}"}, by=admin)
        calls = [partial(attach, policy_id, number) for policy_id in policies]
        assert at_once([*calls, rename])[-1].status_code == 200
        for policy_id, license_ in zip(policies, licenses, strict=True):
            told = api.get(f"/policies/{policy_id}", by=admin).json["data"]["entitlements"]
            assert told in ([], [f"e{number + 1}"])
            assert verdict(license_)["license"]["entitlements"] == told
