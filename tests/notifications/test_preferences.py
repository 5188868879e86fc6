"""What users choose to be told by which channel."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from devforge_api.notifications.models import Channel, Kind
from tests.factories import code_of

PATH = "/notifications/preferences"


@pytest.fixture
def ada(api):
    return api.person()


def chosen(answer):
    assert answer.status_code == 200, answer.json
    return answer.json["data"]


def test_the_whole_table_is_shown_with_its_defaults_and_what_is_fixed(api, ada):
    found = chosen(api.get(PATH, by=ada))
    kinds = {kind.value for kind in Kind}
    assert set(found) == kinds | {"defaults", "fixed"}
    assert {name: found[name] for name in kinds} == found["defaults"]
    assert all(set(found[name]) == {channel.value for channel in Channel} for name in kinds)
    assert found["fixed"]["account"] == {"in_app": True, "mail": True, "push": False}
    assert found["fixed"]["billing"] == {"in_app": False, "mail": True, "push": False}


def test_a_part_is_changed_and_the_rest_stays(api, ada):
    api.patch(PATH, {"licenses": {"mail": False}}, by=ada)
    found = chosen(api.patch(PATH, {"releases": {"push": True}}, by=ada))
    assert found["licenses"] == {"in_app": True, "mail": False, "push": True}
    assert found["releases"] == {"in_app": True, "mail": False, "push": True}
    assert chosen(api.get(PATH, by=ada)) == found


def test_a_whole_replaces_what_was_chosen_before(api, ada):
    api.patch(PATH, {"licenses": {"mail": False}}, by=ada)
    found = chosen(api.put(PATH, {"releases": {"push": True}}, by=ada))
    assert found["licenses"] == found["defaults"]["licenses"]
    assert found["releases"]["push"] is True
    assert chosen(api.put(PATH, {}, by=ada)) == {**found, "releases": found["defaults"]["releases"]}


def test_what_was_read_can_be_put_back(api, ada):
    found = chosen(api.get(PATH, by=ada))
    whole = {name: found[name] for name in found if name not in {"defaults", "fixed"}}
    assert chosen(api.put(PATH, whole, by=ada)) == found


@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_is_fixed_cannot_be_chosen(api, ada, method):
    body = {"billing": {"mail": True}, "account": {"in_app": False, "push": False}}
    refused = getattr(api, method)(PATH, body, by=ada)
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")
    details = {one["field"]: one["code"] for one in refused.json["error"]["details"]}
    assert details == {"billing.mail": "FIXED", "account.in_app": "FIXED"}
    assert chosen(api.get(PATH, by=ada))["account"]["push"] is True


@pytest.mark.parametrize(
    "body", [{"unknown": {}}, {"licenses": {"fax": True}}, {"licenses": {"mail": "no"}}, {"defaults": {}}]
)
def test_what_is_unknown_is_refused(api, ada, body):
    assert code_of(api.put(PATH, body, by=ada)) == "VALIDATION_ERROR"
    assert code_of(api.patch(PATH, body, by=ada)) == "VALIDATION_ERROR"


def test_two_windows_that_choose_at_once_both_count(api, ada):
    start = Barrier(4)
    bodies = [{kind: {"push": value}} for kind in ("licenses", "billing") for value in (True, False)]

    def window(body):
        start.wait()
        return api.patch(PATH, body, by=ada).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(window, bodies)) == [200] * 4


def test_of_two_who_replace_what_they_have_read_one_is_told_to_read_again(api, ada):
    tag = api.get(PATH, by=ada).headers["ETag"]
    start = Barrier(2)

    def window(body):
        start.wait()
        return api.put(PATH, body, by=ada, headers={"If-Match": tag}).status_code

    bodies = [{"licenses": {"mail": False}}, {"licenses": {"push": False}}]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(window, bodies)) == [200, 412]
