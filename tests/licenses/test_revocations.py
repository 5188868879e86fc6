"""The revocation list: what apps read that cannot ask."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.queries import entries_after, get_license
from devforge_api.licenses.service import lifecycle, revocations
from devforge_api.licenses.service.certificates import read
from devforge_api.licenses.service.owners import find_owner
from devforge_api.licenses.service.transfer import transfer
from devforge_api.users import service as users
from devforge_api.users.service import UserStatus


@pytest.fixture
def listed(api):
    """The list, as an app reads it: its meta, and (licence id, standing) in order."""

    def ask(since=0):
        answer = api.get(f"/licenses/revocations?since={since}")
        assert answer.status_code == 200, answer.json
        with api.app.app_context():
            opened = read(answer.json["data"]["certificate"])
        assert opened.kind == "revocations"
        entries = [(one["license_id"], one["standing"]) for one in opened.document["data"]]
        return opened.document["meta"], entries

    return ask


@pytest.fixture
def act(api):
    """Change a licence, as an admin would."""
    admin = api.admin()

    def do(license_, verb):
        answer = api.post(f"/licenses/{license_.id}/{verb}", by=admin)
        assert answer.status_code == 200, answer.json

    do.admin = admin
    return do


def test_an_empty_list_is_signed_too(listed):
    meta, entries = listed()
    assert entries == []
    assert (meta["since"], meta["next"], meta["complete"], meta["ttl"]) == (0, 0, True, 86_400)


def test_only_the_latest_entry_of_a_licence_is_kept(api, act, listed):
    one, other = api.license(), api.license()
    act(one, "suspend")
    act(other, "suspend")
    before, entries = listed()
    assert entries == [(str(one.id), "suspended"), (str(other.id), "suspended")]
    act(one, "reinstate")
    assert listed()[1] == [(str(other.id), "suspended"), (str(one.id), "restored")]
    assert listed(before["next"])[1] == [(str(one.id), "restored")]
    act(other, "revoke")
    assert listed()[1] == [(str(one.id), "restored"), (str(other.id), "revoked")]
    assert listed(listed()[0]["next"])[1] == []


def test_a_removed_licence_stays_listed(api, act, listed):
    license_ = api.license()
    assert api.delete(f"/licenses/{license_.id}", by=act.admin).status_code == 204
    assert listed()[1] == [(str(license_.id), "deleted")]


def test_what_never_failed_is_not_listed(api, act, listed, activate):
    license_ = api.license(owner=api.person(), policy={"duration_days": 30})
    activate(license_, "m1")
    act(license_, "renew")
    assert listed()[1] == []


def test_licences_of_a_banned_owner_are_suspended_until_the_ban_is_lifted(api, act, listed):
    owner = api.person()
    fine, stopped = api.license(owner=owner), api.license(owner=owner)
    act(stopped, "suspend")
    path = f"/users/{owner.id}"
    assert api.patch(path, {"status": "disabled"}, by=act.admin).status_code == 200
    api.deliver()
    assert dict(listed()[1]) == {str(fine.id): "suspended", str(stopped.id): "suspended"}
    assert api.patch(path, {"status": "active"}, by=act.admin).status_code == 200
    api.deliver()
    assert dict(listed()[1]) == {str(fine.id): "restored", str(stopped.id): "suspended"}


def test_a_reinstated_licence_of_a_banned_owner_stays_listed_as_suspended(api, act, listed):
    owner = api.person()
    license_ = api.license(owner=owner)
    act(license_, "suspend")
    api.ban(owner.id)
    act(license_, "reinstate")
    assert listed()[1] == [(str(license_.id), "suspended")]


def test_a_licence_that_leaves_a_banned_owner_holds_again(api, act, listed):
    owner, heir = api.person(), api.person()
    license_ = api.license(owner=owner)
    api.ban(owner.id)
    api.deliver()
    body = {"user_id": str(heir.id)}
    assert api.post(f"/licenses/{license_.id}/transfer", body, by=act.admin).status_code == 200
    assert listed()[1] == [(str(license_.id), "restored")]


def test_licences_of_a_banned_owner_who_is_erased_hold_again_as_they_do_for_those_who_ask(
    api, act, listed, verdict
):
    owner = api.person()
    license_ = api.license(owner=owner)
    api.ban(owner.id)
    api.deliver()
    with api.app.app_context(), unit_of_work():
        users.delete_user(users.get_user_beside_admins(owner.id))
    assert verdict(license_)["code"] == "VALID"
    assert listed()[1] == [(str(license_.id), "restored")]


def test_nothing_is_listed_by_a_transaction_that_fails(api, listed):
    license_ = api.license()

    def work():
        with unit_of_work():
            lifecycle.revoke(get_license(license_.id, owner_id=None, for_update=True))
            raise LookupError

    with api.app.app_context():
        with pytest.raises(LookupError):
            work()
        with unit_of_work():
            pass
    assert listed()[1] == []


def test_a_long_list_is_read_page_by_page(api, listed, monkeypatch):
    monkeypatch.setattr(revocations, "PAGE", 3)
    monkeypatch.setattr(revocations, "_BATCH", 2)
    owner = api.person()
    expected = {str(api.license(owner=owner).id) for _ in range(7)}
    api.ban(owner.id)
    api.deliver()
    found, since, pages = [], 0, []
    while not pages or not pages[-1]:
        meta, entries = listed(since)
        assert len(entries) <= 3
        found += [license_id for license_id, _ in entries]
        since = meta["next"]
        pages.append(meta["complete"])
    assert (len(found), set(found), pages) == (7, expected, [False, False, True])


def test_a_number_of_before_the_database_was_restored_begins_anew(api, act, listed):
    license_ = api.license()
    act(license_, "revoke")
    meta, entries = listed(1_000)
    assert (meta["since"], entries) == (0, [(str(license_.id), "revoked")])


@pytest.mark.parametrize("since", ["-1", "x", "1.5", str(2**60)])
def test_a_number_that_can_be_none_is_refused(api, since):
    assert api.get(f"/licenses/revocations?since={since}").status_code == 422


def test_the_list_can_be_cached_and_asked_for_by_its_tag(api, act):
    license_ = api.license()
    for _ in range(2):  # in case that the next five minutes begin between two calls
        first = api.get("/licenses/revocations")
        assert first.headers["Cache-Control"] == "public, max-age=60"
        tag = {"If-None-Match": first.headers["ETag"]}
        again = api.get("/licenses/revocations", headers=tag)
        if again.status_code == 304:
            break
    assert (again.status_code, again.data) == (304, b"")
    act(license_, "revoke")
    assert api.get("/licenses/revocations", headers=tag).status_code == 200


def test_the_list_costs_one_statement(api, act, count_queries):
    act(api.license(), "revoke")
    api.get("/licenses/revocations")
    with count_queries() as statements:
        api.get("/licenses/revocations")
    assert len(statements) == 1


def test_no_reader_skips_an_entry_while_many_are_written_at_once(api):
    licenses = [api.license() for _ in range(40)]
    done = threading.Event()
    seen: list[tuple[int, object]] = []

    def read_on():
        with api.app.app_context():
            last = 0
            while True:
                finished = done.is_set()
                for number, license_id, *_ in entries_after(last, 1_000):
                    seen.append((number, license_id))
                    last = number
                db.session.remove()
                if finished:
                    return

    def suspend_two(pair):
        with api.app.app_context(), unit_of_work():
            for one in pair:
                lifecycle.suspend(get_license(one.id, owner_id=None, for_update=True))

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(suspend_two, zip(licenses[::2], licenses[1::2], strict=True)))
    finally:
        done.set()
        reader.join()
    assert [number for number, _ in seen] == list(range(1, 41))
    assert {license_id for _, license_id in seen} == {one.id for one in licenses}


@pytest.mark.production_column("SQLite has one writer: nobody waits for two")
def test_who_goes_on_to_another_licence_does_not_keep_its_holder_from_the_list(api):
    """The list's lock is taken last: else each of the two would wait for what the other has."""
    one, other = api.license(), api.license()
    noted, locked = threading.Event(), threading.Event()

    def suspend_one_and_revoke_the_other():
        with api.app.app_context(), unit_of_work():
            lifecycle.suspend(get_license(one.id, owner_id=None, for_update=True))
            noted.set()
            assert locked.wait(30)
            lifecycle.revoke(get_license(other.id, owner_id=None, for_update=True))

    def suspend_the_other():
        with api.app.app_context(), unit_of_work():
            row = get_license(other.id, owner_id=None, for_update=True)
            locked.set()
            assert noted.wait(30)
            lifecycle.suspend(row)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(suspend_one_and_revoke_the_other), pool.submit(suspend_the_other)]:
            done.result()
    with api.app.app_context():
        found = [(license_id, standing) for _, license_id, standing, _ in entries_after(0, 9)]
    assert found == [(one.id, "suspended"), (other.id, "revoked")]


def test_a_ban_and_a_licence_that_is_given_to_the_banned_at_once_meet_in_the_list(api, listed):
    """Whoever comes second sees both, in whatever order they come."""
    together = threading.Barrier(2)

    def ban(owner):
        with api.app.app_context():
            together.wait(30)
            with unit_of_work():
                user = users.get_user(owner.id, for_update=True)
                users.update_user(user, {"status": UserStatus.DISABLED})
        api.deliver()

    def give(license_, owner):
        with api.app.app_context():
            together.wait(30)
            with unit_of_work():
                heir = find_owner(owner.id, None)
                row = get_license(license_.id, owner_id=None, for_update=True)
                transfer(row, now=utc_now(), owner=heir)

    expected = []
    for _ in range(8):
        owner, license_ = api.person(), api.license()
        expected.append((str(license_.id), "suspended"))
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(ban, owner), pool.submit(give, license_, owner)]:
                done.result()
        assert listed()[1] == expected
