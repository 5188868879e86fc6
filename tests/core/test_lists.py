"""Filters, sorts, pages and cursors, on the list of users and of licences."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text

from devforge_api.core.clock import rfc3339
from devforge_api.core.db import db, uuid7
from devforge_api.users.models import User
from tests.factories import code_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def add_users(api, count, **values):
    """Many users at once; a value may be a function of the number."""
    rows = []
    for number in range(count):
        row = {
            "id": uuid7(),
            "email": f"u{number:06}@example.com",
            "email_key": f"u{number:06}@example.com",
            "role": "user",
            "status": "active",
            "settings": {},
            "token_version": 1,
            "version": 1,
            "created_at": BEGAN + timedelta(seconds=number),
            "updated_at": BEGAN,
            "last_login": None,
        }
        given = {name: value(number) if callable(value) else value for name, value in values.items()}
        rows.append(row | given)
    with api.app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(User), rows)
    return rows


@pytest.fixture
def admin(api):
    return api.admin()


@pytest.fixture
def listed(api, admin):
    """The emails' local parts that a query of users answers, the admin's own left out."""

    def ask(query, key=lambda user: user["email"].partition("@")[0]):
        answer = api.get(f"/users?email_ne={admin.email}&{query}", by=admin)
        assert answer.status_code == 200, answer.text
        return [key(user) for user in answer.json["data"]]

    return ask


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("role=support", [1]),
        ("role_ne=user", [1, 2]),
        ("role_in=support,developer", [1, 2]),
        ("role_in=support, developer&status=active", [1]),
        ("email=u000003@example.com", [3]),
        ("email_in=u000000@example.com,u000003@example.com,nobody", [0, 3]),
        ("created_at=2026-01-01T00:00:02Z", [2]),
        ("created_at_gt=2026-01-01T00:00:02Z", [3]),
        ("created_at_gte=2026-01-01T00:00:02Z", [2, 3]),
        ("created_at_lt=2026-01-01T01:00:01%2B01:00", [0]),
        ("created_at_lte=2025-12-31T19:00:01-05:00", [0, 1]),
        ("created_at_gt=2026-01-01T00:00:00Z&created_at_lt=2026-01-01T00:00:03Z", [1, 2]),
        ("created_at_ne=2026-01-01T00:00:02Z", [0, 1, 3]),
        ("created_at_in=2026-01-01T00:00:00Z,2026-01-01T00:00:03Z", [0, 3]),
        ("last_login_gte=2026-02-01T00:00:00Z", [1]),
        ("last_login_ne=2026-02-01T00:00:00Z", [0, 2, 3]),
        ("email=' OR 1=1 --", []),
    ],
)
def test_every_suffix_filters_as_it_says(api, listed, query, found):
    add_users(
        api,
        4,
        role=lambda number: ["user", "support", "developer", "user"][number],
        status=lambda number: "disabled" if number == 2 else "active",
        last_login=lambda number: datetime(2026, 2, 1, tzinfo=UTC) if number == 1 else None,
    )
    assert listed(f"sort=email&{query}") == [f"u{number:06}" for number in found]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name_contains=FORGE", 2),
        ("name_contains=100%25", 1),
        ("name_contains=_", 1),
        ("name_contains=\\", 1),
    ],
)
def test_contains_ignores_case_and_takes_wildcards_literally(api, admin, query, found):
    for number, name in enumerate(["Dev Forge", "forge", "100% wool", "a_b", "a\\b", "other"]):
        api.post("/products", {"name": name, "code": f"p{number}"}, by=admin)
    assert api.get(f"/products?{query}", by=admin).json["pagination"]["total"] == found


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("email", [0, 1, 2, 3]),
        ("-email", [3, 2, 1, 0]),
        ("created_at", [3, 2, 1, 0]),
        ("last_login", [2, 0, 1, 3]),  # NULL is the greatest
        ("-last_login,email", [1, 3, 0, 2]),
        ("-last_login,-email", [3, 1, 0, 2]),
        ("last_login, -email", [2, 0, 3, 1]),
    ],
)
def test_lists_are_sorted_by_one_or_several_keys(api, listed, sort, order):
    add_users(
        api,
        4,
        created_at=lambda number: BEGAN - timedelta(days=number),
        last_login=lambda number: None if number % 2 else BEGAN - timedelta(days=number),
    )
    assert listed(f"sort={sort}") == [f"u{number:06}" for number in order]


@pytest.mark.parametrize(
    "sort",
    [
        "created_at",
        "-created_at",
        "email",
        "last_login",
        "-last_login",
        "last_login,-created_at",
        "-last_login,created_at",
        "created_at,-last_login,email",
    ],
)
@pytest.mark.parametrize("limit", [1, 7])
def test_a_walk_by_cursor_meets_every_row_once_and_in_order(api, admin, sort, limit):
    count = 11 if limit == 1 else 60
    add_users(
        api,
        count,
        created_at=lambda number: BEGAN + timedelta(days=number % 3),  # many equal ones
        last_login=lambda number: None if number % 4 == 0 else BEGAN + timedelta(hours=number % 5),
    )
    path = f"/users?sort={sort}&limit={limit}"
    whole = api.get(f"/users?sort={sort}&limit=100", by=admin).json
    expected = [user["id"] for user in whole["data"]]
    assert len(expected) == count + 1
    assert "next_cursor" not in whole["pagination"]
    met, cursor = [], ""
    for _ in range(count + 2):
        page = api.get(path + cursor, by=admin).json
        met += [user["id"] for user in page["data"]]
        assert page["pagination"]["total"] == count + 1
        if "next_cursor" not in page["pagination"]:
            break
        cursor = f"&cursor={page['pagination']['next_cursor']}"
    assert met == expected


def test_rows_added_meanwhile_do_not_shift_a_walk(api, admin):
    add_users(api, 10)
    first = api.get("/users?sort=-email&limit=5", by=admin).json
    add_users(api, 3, email=lambda n: f"z{n}@example.com", email_key=lambda n: f"z{n}@example.com")
    second = api.get(f"/users?sort=-email&limit=5&cursor={first['pagination']['next_cursor']}", by=admin)
    emails = [user["email"] for user in first["data"] + second.json["data"]]
    assert emails == [f"u{number:06}@example.com" for number in range(9, -1, -1)]


def test_a_cursor_belongs_to_its_user_list_and_sort(api, admin):
    policy = api.policy()
    licenses = [api.license(policy) for _ in range(2)]
    for license_ in licenses:
        for machine in ("m1", "m2"):
            api.post("/licenses/activate", {"key": license_.key, "fingerprint": machine})
    add_users(api, 3)
    cursor = api.get("/users?limit=1", by=admin).json["pagination"]["next_cursor"]
    machines = f"/licenses/{licenses[0].id}/machines?limit=1"
    other = api.get(machines, by=admin).json["pagination"]["next_cursor"]
    assert api.get(f"/users?limit=2&cursor={cursor}", by=admin).status_code == 200
    assert api.get(f"{machines}&cursor={other}", by=admin).status_code == 200
    for path, person in (
        (f"/users?cursor={cursor}", api.admin()),
        (f"/licenses?cursor={cursor}", admin),
        (f"/users?sort=created_at&cursor={cursor}", admin),
        (f"/licenses/{licenses[1].id}/machines?cursor={other}", admin),
        (f"/users?cursor={cursor[:-2]}xx", admin),
        (f"/users?cursor={cursor}AAAA", admin),
        (f"/users?cursor={cursor[4:]}", admin),
    ):
        refused = api.get(path, by=person)
        assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR"), path
        assert refused.json["error"]["field"] == "cursor"


def test_a_cursor_survives_the_rotation_of_its_secret(api, admin, make_api):
    add_users(api, 3)
    cursor = api.get("/users?limit=1", by=admin).json["pagination"]["next_cursor"]
    old = api.app.config["SECRET_KEY"]
    rotated = make_api(DEVFORGE_SECRET_KEY=f"another-key-of-more-than-32-characters,{old}")
    assert rotated.get(f"/users?limit=1&cursor={cursor}", by=admin).status_code == 200
    dropped = make_api(DEVFORGE_SECRET_KEY="another-key-of-more-than-32-characters")
    assert dropped.get(f"/users?limit=1&cursor={cursor}", by=admin).status_code == 422


def test_pages_count_up_to_their_total(api, admin):
    add_users(api, 44)
    last = api.get("/users?limit=20&page=3", by=admin).json
    assert last["pagination"] == {"page": 3, "limit": 20, "total": 45, "pages": 3}
    assert len(last["data"]) == 5
    beyond = api.get("/users?limit=20&page=4", by=admin).json
    assert beyond["data"] == []
    assert beyond["pagination"] == {"page": 4, "limit": 20, "total": 45, "pages": 3}
    none = api.get("/users?role=support", by=admin).json
    assert none["pagination"] == {"page": 1, "limit": 20, "total": 0, "pages": 0}


def test_beyond_ten_thousand_rows_the_total_is_capped_and_the_cursor_goes_on(api, admin):
    add_users(api, 10_050)
    first = api.get("/users?limit=100", by=admin).json["pagination"]
    assert (first["total"], first["total_capped"], first["pages"]) == (10_000, True, 100)
    exact = api.get("/users?role=admin", by=admin).json["pagination"]
    assert exact["total"] == 1
    assert "total_capped" not in exact
    reach = api.get("/users?limit=100&page=100", by=admin).json
    assert len(reach["data"]) == 100
    refused = api.get("/users?limit=100&page=101", by=admin)
    assert refused.status_code == 422
    assert refused.json["error"]["details"][0]["code"] == "PAGE_OUT_OF_REACH"
    assert "cursor" in refused.json["error"]["message"]
    cursor = reach["pagination"]["next_cursor"]
    rest = api.get(f"/users?limit=100&cursor={cursor}", by=admin).json
    assert len(rest["data"]) == 51
    assert "next_cursor" not in rest["pagination"]


@pytest.mark.parametrize(
    "path",
    [
        "/users",
        "/licenses",
        "/products",
        "/policies",
        "/entitlements",
        "/audit/events",
        "/auth/sessions",
        "/auth/activity",
    ],
)
def test_a_list_costs_two_queries_at_most_the_token_check_included(api, admin, count_queries, path):
    for _ in range(3):
        api.license(owner=admin, policy={"entitlements": []})
        api.entitlement(f"e-{uuid7()}")
    api.get(path, by=admin)
    for query in ("", "?limit=1", "?sort=-created_at&created_at_gt=2020-01-01T00:00:00Z"):
        with count_queries() as statements:
            answer = api.get(path + query, by=admin)
        assert answer.status_code == 200
        assert len(statements) <= 2, (query, statements)


@pytest.mark.parametrize(
    "query", ["", "sort=email", "sort=last_login", "sort=-last_login", "status=active", "role=user"]
)
def test_a_long_list_is_read_by_an_index_alone(api, admin, on_postgresql, count_queries, query):
    """The plan of the very statement that the list sends, at 20,000 rows: nothing is sorted."""
    add_users(api, 20_000, last_login=lambda number: BEGAN + timedelta(seconds=number))
    with api.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ANALYZE users"))
    plans = []
    with api.app.app_context():
        from sqlalchemy import event

        def explain(connection, cursor, statement, parameters, *_):
            if "FROM users" in statement and "ORDER BY" in statement and not statement.startswith("EXPLAIN"):
                prefix = "EXPLAIN " if on_postgresql else "EXPLAIN QUERY PLAN "
                probe = cursor.connection.cursor()
                probe.execute(prefix + statement, parameters)
                plans.append("\n".join(" ".join(map(str, row)) for row in probe.fetchall()))

        event.listen(db.engine, "before_cursor_execute", explain)
        try:
            page = api.get(f"/users?{query}", by=admin).json["pagination"]
            api.get(f"/users?{query}&cursor={page['next_cursor']}", by=admin)
        finally:
            event.remove(db.engine, "before_cursor_execute", explain)
    assert len(plans) == 2
    for plan in plans:
        assert "ix_users_" in plan, plan
        # The count may read any 10,001 rows; `users_1` is its name for the table.
        assert "Seq Scan" not in plan.replace("Seq Scan on users users_1", "bounded"), plan
        assert "Sort" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
    if on_postgresql:
        assert "Index Cond" in plans[1], plans[1]


def test_moments_in_answers_can_be_given_back_as_filters(api, admin, listed):
    rows = add_users(api, 3, created_at=lambda number: BEGAN + timedelta(microseconds=number))
    assert listed(f"created_at={rfc3339(rows[1]['created_at'])}") == ["u000001"]
