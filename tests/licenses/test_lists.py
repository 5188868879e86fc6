"""Lists of licences and machines: filters, sorts, pages, and what they cost."""

from datetime import UTC, datetime, timedelta

import pytest

from devforge_api.core.clock import utc_now


def ids(answer):
    assert answer.status_code == 200, answer.json
    return [row["id"] for row in answer.json["data"]]


@pytest.fixture
def three(api):
    """Three licences of two products: of one owner, of another, of nobody."""
    owner, other = api.person(), api.person()
    pro = api.policy(api.product("forge"))
    team = api.policy(api.product("anvil"), name="team")
    first = api.license(pro, owner=owner, expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    second = api.license(team, owner=other, expires_at=datetime(2031, 1, 1, tzinfo=UTC))
    third = api.license(pro)
    return owner, other, [first, second, third]


def test_licences_are_filtered_by_every_declared_field(api, three):
    owner, _, (first, second, third) = three
    admin = api.admin()
    api.post(f"/licenses/{third.id}/suspend", by=admin)
    one, two, three_ = str(first.id), str(second.id), str(third.id)
    for query, expected in [
        ("", {one, two, three_}),
        ("status=suspended", {three_}),
        ("status_ne=suspended", {one, two}),
        ("status_in=suspended,active", {one, two, three_}),
        (f"user_id={owner.id}", {one}),
        (f"user_id_ne={owner.id}", {two, three_}),
        (f"policy_id={first.policy_id}", {one, three_}),
        (f"product_id={second.product_id}", {two}),
        (f"product_id_in={first.product_id},{second.product_id}", {one, two, three_}),
        ("expires_at_lt=2030-06-01T00:00:00Z", {one}),
        ("expires_at_gte=2030-01-01T00:00:00Z&expires_at_lt=2031-01-01T00:00:00Z", {one}),
        ("created_at_gt=2090-01-01T00:00:00Z", set()),
    ]:
        assert set(ids(api.get(f"/licenses?{query}", by=admin))) == expected, query


def test_licences_are_sorted_and_the_perpetual_ones_expire_last(api, three):
    admin = api.admin()
    first, second, third = (str(license_.id) for license_ in three[2])
    assert ids(api.get("/licenses", by=admin)) == [third, second, first]
    assert ids(api.get("/licenses?sort=created_at", by=admin)) == [first, second, third]
    assert ids(api.get("/licenses?sort=expires_at", by=admin)) == [first, second, third]
    assert ids(api.get("/licenses?sort=-expires_at", by=admin)) == [third, second, first]


@pytest.mark.parametrize("query", ["sort=key", "key=x", "status=lost", "user_id=me", "email=a@b.example"])
def test_what_is_not_declared_is_refused(api, query):
    assert api.get(f"/licenses?{query}", by=api.admin()).status_code == 422


def test_pages_and_cursors_meet_every_licence_once(api):
    owner, policy_id = api.person(), api.policy()
    made = {str(api.license(policy_id, owner=owner).id) for _ in range(7)}
    pages = [ids(api.get(f"/licenses?limit=3&page={page}", by=owner)) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert {id_ for page in pages for id_ in page} == made
    seen, query = [], "limit=3"
    while query:
        answer = api.get(f"/licenses?{query}", by=owner)
        seen += ids(answer)
        cursor = answer.json["pagination"].get("next_cursor")
        query = f"limit=3&cursor={cursor}" if cursor else ""
    assert seen == [id_ for page in pages for id_ in page]


def test_an_owner_sees_only_what_is_theirs_however_they_filter(api, three):
    owner, other, (first, second, _) = three
    assert ids(api.get("/licenses", by=owner)) == [str(first.id)]
    assert ids(api.get(f"/licenses?user_id={other.id}", by=owner)) == []
    assert ids(api.get(f"/licenses?status_in=active&product_id={second.product_id}", by=owner)) == []


def test_machines_are_listed_oldest_or_newest_first_and_found_by_fingerprint(api, activate):
    owner = api.person()
    license_ = api.license(owner=owner, policy={"max_machines": 5})
    made = [activate(license_, f"m{number}").json["data"] for number in range(4)]
    path = f"/licenses/{license_.id}/machines"
    listed = api.get(f"{path}?sort=created_at&limit=3", by=owner)
    assert listed.json["data"] == made[:3]
    assert listed.json["pagination"]["total"] == 4
    assert ids(api.get(f"{path}?fingerprint=m2", by=owner)) == [made[2]["id"]]
    assert ids(api.get(f"{path}?fingerprint=m9", by=owner)) == []
    assert api.get(f"{path}?fields=fingerprint&limit=1&sort=created_at", by=owner).json["data"] == [
        {"fingerprint": "m0"}
    ]


def test_lists_and_reads_cost_two_queries_however_many_rows(api, activate, count_queries):
    owner, admin = api.person(), api.admin()
    api.entitlement("cloud-sync")
    policy_id = api.policy(entitlements=["cloud-sync"])
    license_ = api.license(policy_id, owner=owner)
    for number in range(3):
        activate(license_, f"m{number}")
        api.license(policy_id, owner=owner, expires_at=utc_now() + timedelta(days=number))
    for path, caller in [
        ("/licenses", owner),
        ("/licenses?status=active&sort=expires_at", admin),
        (f"/licenses/{license_.id}", owner),
        (f"/licenses/{license_.id}/machines", owner),
        (f"/licenses/{license_.id}/machines", admin),
        ("/products", admin),
        ("/policies", admin),
        ("/entitlements", admin),
        (f"/policies/{policy_id}", admin),
    ]:
        api.get(path, by=caller)
        with count_queries() as seen:
            assert api.get(path, by=caller).status_code == 200
        assert len(seen) <= 2, (path, seen)
