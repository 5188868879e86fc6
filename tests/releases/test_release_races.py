"""Many hands on one release: each step succeeds once, each number is given once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from devforge_api.core.clock import rfc3339, utc_now
from tests.factories import code_of


def at_once(calls, workers=12):
    with ThreadPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_a_release_is_published_once_and_keeps_the_moment_of_whoever_was_first(api):
    admin, release = api.admin(), api.release(api.product(), "1.0", draft=True)
    moments = [rfc3339(utc_now() - timedelta(days=number)) for number in range(12)]
    path = f"/releases/{release}"
    answers = at_once(
        [lambda at=at: api.post(f"{path}/publish", {"published_at": at}, by=admin) for at in moments]
    )
    codes = [answer.status_code for answer in answers]
    assert sorted(codes) == [200] + [409] * 11
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {"RELEASE_NOT_DRAFT"}
    kept = api.get(path, by=admin).json["data"]["published_at"]
    assert kept == moments[codes.index(200)]
    events = api.get(f"/audit/events?target_id={release}&action=release.published", by=admin)
    assert events.json["pagination"]["total"] == 1


def test_a_release_is_withdrawn_once(api):
    admin, release = api.admin(), api.release(api.product(), "1.0")
    answers = at_once([lambda: api.post(f"/releases/{release}/yank", by=admin)] * 12)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11


def test_a_version_drafted_by_many_is_drafted_once(api):
    admin, body = api.admin(), {"product_id": str(api.product()), "version": "1.0"}
    answers = at_once([lambda: api.post("/releases", body, by=admin)] * 12)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {"VERSION_TAKEN"}


def test_a_draft_is_either_deleted_or_published(api):
    admin = api.admin()
    for number in range(6):
        release = api.release(api.product(), f"1.{number}", draft=True)
        path = f"/releases/{release}"
        published, deleted = at_once(
            [partial(api.post, f"{path}/publish", by=admin), partial(api.delete, path, by=admin)]
        )
        outcome = (published.status_code, deleted.status_code)
        assert outcome in {(200, 409), (404, 204)}
        assert api.get(path, by=admin).status_code == (200 if outcome[0] == 200 else 404)


def test_a_product_goes_without_releases_or_stays_with_them(api):
    admin = api.admin()
    for number in range(6):
        product_id = api.product()
        body = {"product_id": str(product_id), "version": f"1.{number}"}
        drafted, deleted = at_once(
            [
                partial(api.post, "/releases", body, by=admin),
                partial(api.delete, f"/products/{product_id}", by=admin),
            ]
        )
        assert (drafted.status_code, deleted.status_code) in {(201, 409), (422, 204)}
