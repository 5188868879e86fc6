"""Leases: how long a machine may go on without asking, and what it does when it cannot ask."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.licenses.models import ExpiryStrategy
from devforge_api.licenses.queries import find_facts
from devforge_api.licenses.service.certificates import Kind, Untrusted, read, secret_of
from devforge_api.licenses.service.keys import hash_key
from devforge_api.licenses.service.leases import lease

DAY = timedelta(days=1)


@pytest.fixture
def facts(api, activate):
    """Of a licence without end and its machine; a lease holds for 30 days, and 7 more offline."""
    entitlement = api.entitlement("cloud-sync")
    assert entitlement
    license_ = api.license(policy={"entitlements": ["cloud-sync"]}, metadata={"crm_id": "4711"})
    activate(license_, "m1")
    with api.app.app_context():
        found = find_facts(hash_key(license_.key), ("m1",), now=utc_now())
        assert found is not None
        yield found


def given(facts, *, key="DF-1", counter=1):
    made = lease(facts, facts.seats[0], key=key, counter=counter)
    return made, read(made.file, secret=secret_of(key, "m1")).document


def test_a_lease_is_a_machine_file_with_a_signed_failure_policy(facts):
    made, document = given(facts, counter=7)
    assert made.file.startswith("-----BEGIN MACHINE FILE-----\n")
    assert (made.counter, made.expires_at) == (7, facts.at + 30 * DAY)
    assert document["meta"] == {
        "issued": rfc3339(facts.at),
        "expiry": rfc3339(facts.at + 30 * DAY),
        "ttl": 30 * 86_400,
        "counter": 7,
        "failure_policy": {
            "grace_seconds": 7 * 86_400,
            "grace_until": rfc3339(facts.at + 37 * DAY),
            "unreachable": "keep",
            "too_many_requests": "keep",
            "server_error": "keep",
            "refused": "obey",
        },
    }
    machine = {"type": "machine", "id": str(facts.seats[0].machine_id), "fingerprint": "m1"}
    assert document["data"] == {**machine, "license_id": str(facts.license_id)}
    (license_,) = document["included"]
    assert (license_["id"], license_["status"], license_["tier"]) == (str(facts.license_id), "active", "pro")
    assert license_["entitlements"] == ["cloud-sync"]
    assert license_["metadata"] == {"crm_id": "4711"}


@pytest.mark.parametrize(
    ("strategy", "days", "grace_days"),
    [
        (ExpiryStrategy.RESTRICT, 10, 10),
        (ExpiryStrategy.REVOKE, 10, 10),
        (ExpiryStrategy.MAINTAIN, 30, 37),
        (ExpiryStrategy.ALLOW, 30, 37),
    ],
)
def test_a_lease_outlives_no_licence_that_ends_with_its_expiry(facts, strategy, days, grace_days):
    terms = replace(facts.terms, expiry_strategy=strategy)
    made, document = given(replace(facts, terms=terms, expires_at=facts.at + 10 * DAY))
    assert made.expires_at == facts.at + days * DAY
    assert document["meta"]["failure_policy"]["grace_until"] == rfc3339(facts.at + grace_days * DAY)


def test_grace_ends_with_the_licence_too(facts):
    _, document = given(replace(facts, expires_at=facts.at + 32 * DAY))
    policy = document["meta"]["failure_policy"]
    assert (policy["grace_until"], policy["grace_seconds"]) == (rfc3339(facts.at + 32 * DAY), 2 * 86_400)


@pytest.mark.parametrize("deadline", ["check_in_due_at", "key_valid_until"])
def test_a_lease_ends_with_the_check_in_that_is_due_and_with_a_replaced_key(facts, deadline):
    made, _ = given(replace(facts, **{deadline: facts.at + 2 * DAY}))
    assert made.expires_at == facts.at + 2 * DAY


def test_an_entitlement_of_the_licence_itself_says_when_it_ends(facts):
    ends, past = facts.at + DAY, facts.at - DAY
    own = (("ai", ends), ("beta", None), ("old", past), ("cloud-sync", ends))
    _, document = given(replace(facts, own_entitlements=own))
    (license_,) = document["included"]
    assert license_["entitlements"] == ["ai", "beta", "cloud-sync"]
    assert license_["entitlements_until"] == {"ai": rfc3339(ends)}


def test_only_key_and_fingerprint_together_open_a_lease(facts):
    made, _ = given(facts)
    for wrong in (secret_of("DF-2", "m1"), secret_of("DF-1", "m2"), secret_of("DF-1")):
        with pytest.raises(Untrusted, match="another key or machine"):
            read(made.file, secret=wrong)
    with pytest.raises(Untrusted, match="the licence's key is needed"):
        read(made.file)
    assert read(made.file, secret=secret_of(" DF-1\n", "m1")).kind is Kind.MACHINE


def test_a_lease_costs_no_statement(facts, count_queries):
    given(facts)
    with count_queries() as statements:
        given(facts)
    assert statements == []


def test_the_moment_of_a_lease_is_the_servers(facts):
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    _, document = given(replace(facts, at=long_ago))
    assert document["meta"]["issued"] == "2020-01-01T00:00:00Z"
