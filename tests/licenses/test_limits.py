"""Limits and how far they may be exceeded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devforge_api.licenses.models import Overage
from devforge_api.licenses.service.limits import Limit

CAPS = {"none": 4, "1.25x": 5, "1.5x": 6, "2x": 8}


@pytest.mark.parametrize(("overage", "cap"), CAPS.items())
def test_within_the_overage_a_licence_says_so_and_stays_valid(api, activate, verdict, edit, overage, cap):
    license_ = api.license(policy={"max_machines": 4, "overage": overage})
    for number in range(1, cap + 1):
        assert activate(license_, f"m{number}").status_code == 201
        expected = ("VALID" if number <= 4 else "TOO_MANY_MACHINES", True)
        answer = verdict(license_, fingerprint=f"m{number}")
        assert (answer["code"], answer["valid"]) == expected
    assert activate(license_, "one more").status_code == 409
    edit("license", license_.id, machine_count=cap + 1)  # as an edit of the policy could leave it
    answer = verdict(license_)
    assert (answer["code"], answer["valid"]) == ("TOO_MANY_MACHINES", False)


def test_whatever_is_taken_is_tolerated_always(api, verdict, edit):
    license_ = api.license(policy={"max_machines": 1, "overage": "always"})
    edit("license", license_.id, machine_count=1_000)
    answer = verdict(license_)
    assert (answer["code"], answer["valid"]) == ("TOO_MANY_MACHINES", True)


@pytest.mark.parametrize(
    ("limit", "count", "within"),
    [("max_cores", "core_count", 0), ("max_users", "user_count", 1)],  # the owner is a user, too
)
def test_cores_and_users_are_limited_like_machines(api, verdict, edit, limit, count, within):
    license_ = api.license(owner=api.person(), policy={limit: 4, "overage": "1.25x"})
    code = {"max_cores": "TOO_MANY_CORES", "max_users": "TOO_MANY_USERS"}[limit]
    for taken, expected in [(4, ("VALID", True)), (5, (code, True)), (6, (code, False))]:
        edit("license", license_.id, **{count: taken - within})
        answer = verdict(license_)
        assert (answer["code"], answer["valid"]) == expected
        assert (answer["license"][limit], answer["license"][count]) == (4, taken)


def test_a_tolerated_excess_does_not_hide_what_is_not_tolerated(api, verdict, edit):
    license_ = api.license(policy={"max_machines": 4, "max_cores": 4, "overage": "1.25x"})
    edit("license", license_.id, machine_count=5, core_count=6)
    answer = verdict(license_)
    assert (answer["code"], answer["valid"]) == ("TOO_MANY_CORES", False)


def test_a_licence_may_have_limits_of_its_own(api, verdict, edit):
    license_ = api.license(policy={"max_machines": 1, "max_cores": 1, "max_uses": 9})
    edit("license", license_.id, max_machines=3, machine_count=3, max_cores=2, core_count=3, uses=4)
    answer = verdict(license_)
    assert (answer["code"], answer["license"]["max_machines"]) == ("TOO_MANY_CORES", 3)
    assert (answer["license"]["max_uses"], answer["license"]["uses"]) == (9, 4)


limits = st.builds(
    Limit,
    taken=st.integers(0, 10**6),
    maximum=st.none() | st.integers(1, 10**6),
    overage=st.sampled_from(Overage),
)


@given(limits)
def test_what_fits_the_maximum_fits_the_cap(limit):
    if limit.maximum is None:
        assert not limit.exceeded
        assert limit.cap is None
    if not limit.exceeded:
        assert limit.tolerated
    if limit.cap is not None:
        assert limit.maximum is not None
        assert limit.maximum <= limit.cap <= 2 * limit.maximum
        assert limit.tolerated == (limit.taken <= limit.cap)


@given(limits, st.integers(0, 1000))
def test_a_limit_admits_up_to_its_cap_and_not_one_more(limit, more):
    admitted = limit.admits(more)
    assert admitted == (limit.cap is None or limit.taken + more <= limit.cap)
    if admitted:
        after = Limit(limit.taken + more, limit.maximum, limit.overage)
        assert after.tolerated
        if after.cap is not None:
            assert not after.admits(after.cap - after.taken + 1)
    # More tolerance never admits less.
    assert Limit(limit.taken, limit.maximum, Overage.ALWAYS).admits(more)
    if Limit(limit.taken, limit.maximum).admits(more):
        assert admitted
