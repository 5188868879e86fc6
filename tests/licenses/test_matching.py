"""Which machine a verdict is about: fingerprints, components, heartbeats."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devforge_api.core.clock import utc_now
from devforge_api.licenses.models import Matching
from devforge_api.licenses.service.validation import how_many

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("matching", "asked", "code"),
    [
        ("any", ["m1"], "VALID"),
        ("any", ["x", "y", "z", "m1"], "VALID"),
        ("any", ["x"], "FINGERPRINT_SCOPE_MISMATCH"),
        ("two", ["m1", "m2", "x", "y"], "VALID"),
        ("two", ["m1", "x", "y"], "FINGERPRINT_SCOPE_MISMATCH"),
        ("two", ["m1", "m1"], "VALID"),  # one fingerprint, and it matches: there is no second to ask for
        ("two", ["m1", "m1", "x"], "FINGERPRINT_SCOPE_MISMATCH"),
        ("most", ["m1", "x"], "VALID"),  # at least half
        ("most", ["m1", "m2", "x"], "VALID"),
        ("most", ["m1", "x", "y"], "FINGERPRINT_SCOPE_MISMATCH"),
        ("most", ["m1", "m1", "m1", "x", "y"], "FINGERPRINT_SCOPE_MISMATCH"),
        ("all", ["m1", "m2"], "VALID"),
        ("all", ["m1"] * 4, "VALID"),
        ("all", ["m1", "m2", "x"], "FINGERPRINT_SCOPE_MISMATCH"),
    ],
)
def test_so_many_fingerprints_match_as_the_policy_says(api, activate, verdict, matching, asked, code):
    license_ = api.license(policy={"fingerprint_matching": matching})
    for fingerprint in ("m1", "m2", "m3"):
        activate(license_, fingerprint)
    assert verdict(license_, fingerprints=asked)["code"] == code


@pytest.mark.parametrize(
    ("matching", "asked", "code"),
    [
        ("any", ["board", "x", "y"], "VALID"),
        ("any", ["x"], "COMPONENTS_SCOPE_MISMATCH"),
        ("two", ["board", "disk", "x"], "VALID"),
        ("two", ["board", "x"], "COMPONENTS_SCOPE_MISMATCH"),
        ("most", ["board", "disk", "x", "y"], "VALID"),
        ("most", ["board", "x", "y"], "COMPONENTS_SCOPE_MISMATCH"),
        ("most", ["board"] * 5 + ["x", "y"], "COMPONENTS_SCOPE_MISMATCH"),
        ("all", ["board", "disk", "network"], "VALID"),
        ("all", ["board", "board"], "VALID"),
        ("all", ["board", "x"], "COMPONENTS_SCOPE_MISMATCH"),
        # Parts of two machines are not one machine.
        ("all", ["board", "other board"], "COMPONENTS_SCOPE_MISMATCH"),
        ("two", ["board", "other board", "x"], "COMPONENTS_SCOPE_MISMATCH"),
        ("most", ["board", "other board", "x"], "COMPONENTS_SCOPE_MISMATCH"),
        ("any", [], "COMPONENTS_SCOPE_EMPTY"),
    ],
)
def test_so_many_components_of_one_machine_match_as_the_policy_says(
    api, seat, verdict, matching, asked, code
):
    license_ = api.license(policy={"component_matching": matching})
    seat(license_, "m1", components=("board", "disk", "network"))
    seat(license_, "m2", components=("other board", "other disk"))
    assert verdict(license_, components=asked)["code"] == code


def test_components_are_those_of_the_machine_that_is_asked_about(api, seat, verdict):
    license_ = api.license(policy={"component_matching": "any"})
    seat(license_, "m1", components=("board",))
    seat(license_, "m2", components=("other board",))
    for fingerprint, parts, code in [
        ("m1", ["board"], "VALID"),
        ("m2", ["other board", "board"], "VALID"),
        ("m1", ["other board"], "COMPONENTS_SCOPE_MISMATCH"),
        ("m2", ["board"], "COMPONENTS_SCOPE_MISMATCH"),
    ]:
        assert verdict(license_, fingerprint=fingerprint, components=parts)["code"] == code
    both = {"fingerprints": ["m1", "m2"], "components": ["other board"]}
    assert verdict(license_, **both)["code"] == "VALID"


def test_components_of_another_licence_do_not_match(api, seat, verdict):
    one, other = api.license(), api.license()
    seat(one, "m1", components=("board",))
    seat(other, "m1", components=("other board",))
    assert verdict(one, components=["other board"])["code"] == "COMPONENTS_SCOPE_MISMATCH"


@pytest.mark.parametrize(
    ("basis", "last", "due", "code"),
    [
        ("from_creation", None, HOUR, "VALID"),  # the first window is not over
        ("from_creation", None, -HOUR, "HEARTBEAT_DEAD"),
        ("from_creation", None, None, "VALID"),  # its seat is older than the demand
        ("from_first_ping", None, None, "HEARTBEAT_NOT_STARTED"),
        ("from_first_ping", -HOUR, HOUR, "VALID"),
        ("from_first_ping", -HOUR, -HOUR, "HEARTBEAT_DEAD"),
        ("from_first_ping", None, -HOUR, "HEARTBEAT_DEAD"),  # its window began before the policy was edited
        ("from_first_ping", None, HOUR, "VALID"),
    ],
)
def test_a_machine_is_heard_of_dead_or_has_not_begun(api, seat, verdict, basis, last, due, code):
    license_ = api.license(policy={"require_heartbeat": True, "heartbeat_basis": basis})
    now = utc_now()
    seat(
        license_,
        "m1",
        last_heartbeat_at=None if last is None else now + last,
        heartbeat_due_at=None if due is None else now + due,
    )
    assert verdict(license_, fingerprint="m1")["code"] == code


def test_heartbeats_matter_only_where_they_are_required_and_of_the_machine_in_question(
    api, seat, verdict, edit
):
    license_ = api.license(policy={"require_heartbeat": True, "fingerprint_matching": "any"})
    now = utc_now()
    seat(license_, "alive", last_heartbeat_at=now, heartbeat_due_at=now + HOUR)
    seat(license_, "dead", last_heartbeat_at=now - HOUR, heartbeat_due_at=now - HOUR)
    seat(license_, "silent")
    for asked, code in [
        (["alive"], "VALID"),
        (["dead"], "HEARTBEAT_DEAD"),
        (["silent"], "HEARTBEAT_NOT_STARTED"),
        (["dead", "silent"], "HEARTBEAT_NOT_STARTED"),  # the earlier of the two in the order
        (["alive", "dead", "silent"], "VALID"),  # any of them suffices
        (["stranger"], "FINGERPRINT_SCOPE_MISMATCH"),
    ]:
        assert verdict(license_, fingerprints=asked)["code"] == code, asked
    assert verdict(license_)["code"] == "VALID"
    edit("policy", license_.policy_id, fingerprint_matching="all")
    assert verdict(license_, fingerprints=["alive", "dead"])["code"] == "HEARTBEAT_DEAD"
    assert verdict(license_, fingerprints=["dead", "stranger"])["code"] == "HEARTBEAT_DEAD"
    assert verdict(license_, fingerprints=["alive", "stranger"])["code"] == "FINGERPRINT_SCOPE_MISMATCH"
    edit("policy", license_.policy_id, require_heartbeat=False)
    assert verdict(license_, fingerprints=["alive", "dead", "silent"])["code"] == "VALID"


names = st.lists(st.sampled_from("abcdefghij"), min_size=1)


@given(names, st.sampled_from(Matching))
def test_what_must_match_is_at_least_one_and_never_more_than_there_is(asked, matching):
    needed = how_many(matching, asked)
    assert 1 <= needed <= len(set(asked))
    assert how_many(matching, asked + asked) == needed  # duplicates count once


@given(names)
def test_strategies_ask_for_ever_more(asked):
    found = {matching: how_many(matching, asked) for matching in Matching}
    assert found[Matching.ANY] == 1
    assert found[Matching.TWO] == min(2, len(set(asked)))
    assert 2 * found[Matching.MOST] >= len(set(asked)) > 2 * (found[Matching.MOST] - 1)
    assert found[Matching.ALL] == len(set(asked))
