"""Releases: drafted, published, withdrawn; what was public once stays known."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from devforge_api.core import outbox
from devforge_api.core.clock import rfc3339, utc_now
from tests.factories import code_of


def ids(answer):
    assert answer.status_code == 200, answer.json
    return [row["id"] for row in answer.json["data"]]


@pytest.fixture
def drafted(api):
    """A draft of version 1.0, and its address."""
    release_id = api.release(api.product(), "1.0", draft=True)
    return f"/releases/{release_id}"


def test_a_release_is_drafted_read_changed_and_removed(api):
    admin, product_id = api.admin(), str(api.product())
    body = {"product_id": product_id, "version": "1.0.0-rc.1+build_5~x", "metadata": {"commit": "9fceb02"}}
    made = api.post("/releases", body, by=admin)
    data = made.json["data"]
    assert (made.status_code, made.headers["Location"]) == (201, f"/api/v1/releases/{data['id']}")
    assert {name: data[name] for name in body} == body
    assert (data["status"], data["published_at"], data["yank_reason"]) == ("draft", None, None)
    path = f"/releases/{data['id']}"
    assert api.get(path, by=admin).json["data"] == data
    patched = api.patch(path, {"version": "1.0.0"}, by=admin).json["data"]
    assert (patched["version"], patched["metadata"]) == ("1.0.0", body["metadata"])
    whole = {"product_id": product_id, "version": "1.0.1"}
    assert api.put(path, whole, by=admin).json["data"]["metadata"] == {}
    assert api.put(path, {"version": "1.0.1"}, by=admin).status_code == 422
    assert api.delete(path, by=admin).status_code == 204
    for gone in (
        api.get(path, by=admin),
        api.patch(path, {}, by=admin),
        api.delete(path, by=admin),
        api.post(f"{path}/publish", by=admin),
        api.post(f"{path}/yank", by=admin),
    ):
        assert (gone.status_code, code_of(gone)) == (404, "RELEASE_NOT_FOUND")
    # A draft's number was nobody's.
    assert api.post("/releases", whole, by=admin).status_code == 201


def test_a_repeated_request_drafts_once(api):
    admin, body = api.admin(), {"product_id": str(api.product()), "version": "1.0"}
    answers = [api.post("/releases", body, by=admin, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json == answers[1].json


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", ""),
        ("version", " "),
        ("version", "-1"),
        ("version", "1 0"),
        ("version", "1.0\n"),
        ("version", "1/0"),
        ("version", "ä"),
        ("version", "9" * 65),
        ("version", 1.0),
        ("version", None),
        ("product_id", "dev-forge"),
        ("product_id", None),
        ("product_id", "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"),
        ("metadata", None),
        ("status", "published"),
        ("published_at", "2026-01-01T00:00:00Z"),
        ("revision", 1),
    ],
)
def test_a_release_of_wrong_values_is_refused_by_field(api, field, value):
    body = {"product_id": str(api.product()), "version": "1.0", field: value}
    refused = api.post("/releases", body, by=api.admin())
    assert (refused.status_code, refused.json["error"]["field"]) == (422, field)


def test_a_version_is_taken_once_within_its_product(api):
    admin, product_id, other = api.admin(), api.product(), api.product()
    api.release(product_id, "1.0", draft=True)
    second = api.release(product_id, "2.0", draft=True)
    body = {"product_id": str(product_id), "version": "1.0"}
    for refused in (
        api.post("/releases", body, by=admin),
        api.patch(f"/releases/{second}", {"version": "1.0"}, by=admin),
        api.put(f"/releases/{second}", body, by=admin),
    ):
        assert (refused.status_code, code_of(refused)) == (409, "VERSION_TAKEN")
        assert refused.json["error"]["field"] == "version"
    assert api.get(f"/releases/{second}", by=admin).json["data"]["version"] == "2.0"
    for free in ({**body, "product_id": str(other)}, {**body, "version": "1.0.0"}):
        assert api.post("/releases", free, by=admin).status_code == 201


def test_publishing_counts_from_now_or_from_when_it_is_said(api, drafted):
    admin, before = api.admin(), utc_now()
    published = api.post(f"{drafted}/publish", by=admin)
    data = published.json["data"]
    assert (published.status_code, data["status"]) == (200, "published")
    assert before <= datetime.fromisoformat(data["published_at"]) <= utc_now()
    product_id = UUID(data["product_id"])
    for version, at in [("0.9", "2020-02-03T04:05:06Z"), ("2.0", "2090-01-01T00:00:00Z")]:
        release = api.release(product_id, version, draft=True)
        body = {"published_at": at}
        assert api.post(f"/releases/{release}/publish", body, by=admin).json["data"]["published_at"] == at


@pytest.mark.parametrize("at", ["soon", "2026-01-01", "2026-01-01T00:00:00", "1969-01-01T00:00:00Z", 5])
def test_a_moment_that_is_none_publishes_nothing(api, drafted, at):
    admin = api.admin()
    refused = api.post(f"{drafted}/publish", {"published_at": at}, by=admin)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "published_at")
    assert api.get(drafted, by=admin).json["data"]["status"] == "draft"


def test_each_step_is_possible_in_one_state_only(api, drafted):
    admin = api.admin()

    def step(name):
        answer = api.post(f"{drafted}/{name}", by=admin)
        return answer.status_code if answer.status_code == 200 else code_of(answer)

    assert step("yank") == "RELEASE_NOT_PUBLISHED"
    assert step("publish") == 200
    assert step("publish") == "RELEASE_NOT_DRAFT"
    assert step("yank") == 200
    assert step("yank") == "RELEASE_NOT_PUBLISHED"
    assert step("publish") == "RELEASE_NOT_DRAFT"


@pytest.mark.parametrize("yanked", [False, True])
def test_what_was_published_stays_known_under_its_number(api, drafted, yanked):
    admin = api.admin()
    published = api.post(f"{drafted}/publish", by=admin).json["data"]
    if yanked:
        reason = {"reason": "Loses unsaved files."}
        data = api.post(f"{drafted}/yank", reason, by=admin).json["data"]
        assert (data["status"], data["yank_reason"]) == ("yanked", reason["reason"])
        assert data["published_at"] == published["published_at"]
    refused = api.delete(drafted, by=admin)
    assert (refused.status_code, code_of(refused)) == (409, "RELEASE_KEPT")
    refused = api.patch(drafted, {"version": "1.1"}, by=admin)
    assert (refused.status_code, refused.json["error"]["details"][0]["code"]) == (422, "IMMUTABLE")
    body = {"product_id": published["product_id"], "version": "1.0"}
    assert code_of(api.post("/releases", body, by=admin)) == "VERSION_TAKEN"
    noted = api.put(drafted, {**body, "metadata": {"notes": "x"}}, by=admin)
    assert noted.json["data"]["metadata"] == {"notes": "x"}


def test_a_release_stays_with_its_product(api, drafted):
    refused = api.patch(drafted, {"product_id": str(api.product())}, by=api.admin())
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "product_id")


def test_a_product_with_releases_stays(api):
    admin, product_id = api.admin(), api.product()
    release = api.release(product_id, "1.0", draft=True)
    refused = api.delete(f"/products/{product_id}", by=admin)
    assert (refused.status_code, code_of(refused)) == (409, "IN_USE")
    assert api.delete(f"/releases/{release}", by=admin).status_code == 204
    assert api.delete(f"/products/{product_id}", by=admin).status_code == 204


def test_staff_read_releases_and_admins_write_them(api, drafted):
    body = {"product_id": str(api.product()), "version": "3.0"}
    for person, reads, writes in [
        (api.person(role="support"), 200, 403),
        (api.person(), 403, 403),
        (api.person(role="developer"), 403, 403),
        (None, 401, 401),
    ]:
        assert [api.get(path, by=person).status_code for path in (drafted, "/releases")] == [reads] * 2
        answers = [
            api.post("/releases", body, by=person),
            api.put(drafted, body, by=person),
            api.patch(drafted, {}, by=person),
            api.delete(drafted, by=person),
            api.post(f"{drafted}/publish", by=person),
            api.post(f"{drafted}/yank", by=person),
        ]
        assert [answer.status_code for answer in answers] == [writes] * 6


def test_a_pipeline_publishes_by_a_token_for_nothing_else(api, drafted):
    admin = api.reauthenticated(api.admin())
    wanted = {"name": "Pipeline", "scopes": ["releases:write"]}
    token = api.post("/auth/tokens", wanted, by=admin).json["data"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert api.get(drafted, headers=headers).status_code == 403
    assert api.post(f"{drafted}/publish", headers=headers).json["data"]["status"] == "published"


def test_releases_are_filtered_and_sorted(api):
    admin, one, other = api.admin(), api.product(), api.product()
    now = utc_now()
    old = str(api.release(one, "1.0", at=now - timedelta(days=9)))
    new = str(api.release(one, "2.0", at=now))
    draft = str(api.release(one, "3.0", draft=True))
    foreign = str(api.release(other, "1.0", at=now - timedelta(days=3)))
    api.post(f"/releases/{foreign}/yank", by=admin)
    for query, expected in [
        ("", [foreign, draft, new, old]),
        ("sort=created_at", [old, new, draft, foreign]),
        (f"product_id={one}&sort=published_at", [old, new, draft]),  # what is not out yet is the last
        ("sort=-published_at", [draft, new, foreign, old]),
        ("status=draft", [draft]),
        ("status_in=yanked,draft", [foreign, draft]),
        ("status_ne=published", [foreign, draft]),
        ("version=1.0", [foreign, old]),
        (f"version=1.0&product_id={one}", [old]),
        (f"published_at_lt={rfc3339(now)}", [foreign, old]),
        (f"published_at_gte={rfc3339(now)}", [new]),
        ("created_at_gt=2090-01-01T00:00:00Z", []),
    ]:
        assert ids(api.get(f"/releases?{query}", by=admin)) == expected, query
    for query in ("sort=version", "status=lost", "revision=1", "product_id=dev-forge"):
        assert api.get(f"/releases?{query}", by=admin).status_code == 422


def test_lists_and_reads_cost_two_queries_however_many_rows(api, count_queries):
    admin, product_id = api.admin(), api.product()
    releases = [api.release(product_id, f"1.{number}") for number in range(3)]
    for path in ("/releases", "/releases?sort=-published_at&status=published", f"/releases/{releases[0]}"):
        api.get(path, by=admin)
        with count_queries() as seen:
            assert api.get(path, by=admin).status_code == 200
        assert len(seen) <= 2, (path, seen)


def test_an_edit_of_an_old_copy_is_refused(api, drafted):
    admin = api.admin()
    seen = {"If-Match": api.get(drafted, by=admin).headers["ETag"]}
    assert api.patch(drafted, {"metadata": {"a": 1}}, by=admin, headers=seen).status_code == 200
    for refused in (
        api.patch(drafted, {"metadata": {}}, by=admin, headers=seen),
        api.post(f"{drafted}/publish", by=admin, headers=seen),
        api.delete(drafted, by=admin, headers=seen),
    ):
        assert (refused.status_code, code_of(refused)) == (412, "PRECONDITION_FAILED")
    assert api.get(drafted, by=admin).json["data"]["status"] == "draft"


def test_every_step_is_audited_and_told(api, drafted, monkeypatch):
    admin, told = api.admin(), []
    for name in ("release.published", "release.yanked"):
        monkeypatch.setitem(outbox._subscribers, name, {"tests": told.append})
    at = datetime(2026, 1, 2, tzinfo=UTC)
    api.patch(drafted, {"metadata": {"a": 1}}, by=admin)
    api.post(f"{drafted}/publish", {"published_at": rfc3339(at)}, by=admin)
    api.post(f"{drafted}/yank", {"reason": "Broken."}, by=admin)
    release_id = drafted.removeprefix("/releases/")
    events = api.get(f"/audit/events?target_id={release_id}&sort=created_at", by=admin).json["data"]
    assert [event["action"] for event in events] == [
        "release.created", "release.updated", "release.published", "release.yanked",
    ]  # fmt: skip
    assert events[2]["changes"] == {
        "status": ["draft", "published"],
        "published_at": [None, "2026-01-02T00:00:00Z"],
    }
    assert events[3]["changes"]["yank_reason"] == [None, "Broken."]
    assert events[3]["actor_id"] == str(admin.id)
    api.deliver()
    product_id = api.get(drafted, by=admin).json["data"]["product_id"]
    assert told == [{"release_id": release_id, "product_id": product_id}] * 2
    draft = api.release(api.product(), "9.0", draft=True)
    assert api.delete(f"/releases/{draft}", by=admin).status_code == 204
    (last,) = api.get(f"/audit/events?target_id={draft}&action=release.deleted", by=admin).json["data"]
    assert last["target_type"] == "release"
