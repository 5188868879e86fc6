"""Avatars: one for each user, for everybody to see."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.files.models import File
from tests.factories import code_of
from tests.files.samples import PDF, SVG, animation, opened, photograph, picture, put_avatar, upload


def path_of(url, api):
    return url.removeprefix(f"{api.app.config['PUBLIC_URL']}/api/v1")


def shown_avatar(api, who):
    return api.get("/users/me", by=who).json["data"]["avatar_url"]


def files_of(api):
    with api.app.app_context():
        return db.session.scalars(select(File)).all()


def test_an_avatar_is_a_square_that_everybody_sees_and_may_keep(api):
    ada = api.person()
    answer = put_avatar(api, photograph(), by=ada, name="me.jpg")
    assert answer.status_code == 200, answer.json
    avatar = answer.json["data"]
    assert avatar["status"] == "available"
    assert shown_avatar(api, ada) == avatar["avatar_url"]
    for field, side in [("avatar_url", 40), ("medium_url", 40), ("small_url", 40)]:
        seen = api.get(path_of(avatar[field], api))
        assert seen.status_code == 200
        assert seen.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert seen.headers["Content-Disposition"] == "inline"
        assert seen.headers["Content-Type"] == "image/jpeg"
        assert seen.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert seen.headers["X-Content-Type-Options"] == "nosniff"
        assert opened(seen.data).size == (side, side)
        assert b"SpyPhone" not in seen.data
        tag = {"If-None-Match": seen.headers["ETag"]}
        assert api.get(path_of(avatar[field], api), headers=tag).status_code == 304


def test_large_ones_are_made_smaller_and_stand_still(api):
    ada = api.person()
    avatar = put_avatar(api, picture(size=(3000, 1500)), by=ada).json["data"]
    sizes = {"avatar_url": 1024, "medium_url": 512, "small_url": 128}
    for field, side in sizes.items():
        assert opened(api.get(path_of(avatar[field], api)).data).size == (side, side)
    avatar = put_avatar(api, animation("GIF"), by=ada, name="me.gif").json["data"]
    assert opened(api.get(path_of(avatar["avatar_url"], api)).data).n_frames == 1


@pytest.mark.parametrize(("content", "name"), [(PDF, "me.pdf"), (SVG, "me.svg"), (b"hello", "me.txt")])
def test_only_pictures_are_avatars(api, content, name):
    ada = api.person()
    refused = put_avatar(api, content, by=ada, name=name)
    assert (refused.status_code, code_of(refused)) == (422, "FILE_TYPE_REFUSED")
    assert shown_avatar(api, ada) is None


def test_another_one_takes_its_place_and_the_former_is_gone(lone, kept):
    api = lone()
    ada = api.person()
    first, second = (put_avatar(api, picture(color=color), by=ada).json["data"] for color in ("red", "blue"))
    assert shown_avatar(api, ada) == second["avatar_url"]
    assert code_of(api.get(path_of(first["avatar_url"], api))) == "AVATAR_NOT_FOUND"
    api.deliver()
    assert len(kept(api)) == 3
    assert len(files_of(api)) == 1


def test_it_is_removed(lone, kept):
    api = lone()
    ada = api.person()
    assert code_of(api.delete("/users/me/avatar", by=ada)) == "AVATAR_NOT_FOUND"
    avatar = put_avatar(api, picture(), by=ada).json["data"]
    assert api.delete("/users/me/avatar", by=ada).status_code == 204
    assert shown_avatar(api, ada) is None
    assert code_of(api.get(path_of(avatar["avatar_url"], api))) == "AVATAR_NOT_FOUND"
    api.deliver()
    assert kept(api) == []


def test_deleting_the_file_deletes_the_avatar(api):
    ada = api.person()
    avatar = put_avatar(api, picture(), by=ada).json["data"]
    assert api.delete(f"/files/{avatar['id']}", by=ada).status_code == 204
    assert shown_avatar(api, ada) is None


def test_a_picture_from_elsewhere_is_not_taken_for_an_avatar_of_ours(api):
    ada = api.person()
    put_avatar(api, picture(), by=ada)
    elsewhere = "https://example.com/ada.png"
    assert api.patch("/users/me", {"avatar_url": elsewhere}, by=ada).status_code == 200
    assert api.delete("/users/me/avatar", by=ada).status_code == 204
    assert shown_avatar(api, ada) == elsewhere


def test_one_that_is_broken_changes_nothing(api):
    ada = api.person()
    good = put_avatar(api, picture(), by=ada).json["data"]
    whole = picture("JPEG", size=(300, 300), quality=95)
    refused = put_avatar(api, whole[: len(whole) // 2], by=ada, name="me.jpg")
    assert code_of(refused) == "FILE_REJECTED"
    assert shown_avatar(api, ada) == good["avatar_url"]
    assert api.get(path_of(good["avatar_url"], api)).status_code == 200
    better = put_avatar(api, picture(), by=ada).json["data"]
    assert [str(file.id) for file in files_of(api)] == [better["id"]]  # the broken one is gone, too


def test_an_older_one_that_comes_through_later_does_not_take_the_newer_one_s_place(lone, clamd, make_due):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    clamd.mood = "resets"
    old = put_avatar(api, picture(color="red"), by=ada).json["data"]
    assert old["status"] == "pending"
    assert shown_avatar(api, ada) is None
    clamd.mood = "well"
    new = put_avatar(api, picture(color="blue"), by=ada).json["data"]
    make_due()
    api.deliver()
    assert shown_avatar(api, ada) == new["avatar_url"]
    assert [str(file.id) for file in files_of(api)] == [new["id"]]


def test_a_newer_one_that_still_waits_takes_its_place_later(lone, clamd, make_due):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    put_avatar(api, picture(color="red"), by=ada)
    clamd.mood = "resets"
    new = put_avatar(api, picture(color="blue"), by=ada).json["data"]
    clamd.mood = "well"
    make_due()
    api.deliver()
    assert shown_avatar(api, ada) == new["avatar_url"]
    assert [str(file.id) for file in files_of(api)] == [new["id"]]


def test_of_several_at_once_one_is_left(lone, kept):
    api = lone()
    ada = api.person()
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: put_avatar(api, picture(size=(50 + n, 50)), by=ada), range(4)))
        codes = {answer.status_code for answer in answers}
        assert 200 in codes
        assert codes <= {200, 409}, [one.json for one in answers]  # some are told that theirs is gone again
        (left,) = files_of(api)
        assert shown_avatar(api, ada).endswith(str(left.id))
        assert api.get(path_of(shown_avatar(api, ada), api)).status_code == 200
        api.deliver()
        assert len(kept(api)) == 3


def test_removing_and_replacing_at_once_leaves_no_picture_without_its_file(lone):
    api = lone()
    ada = api.person()
    put_avatar(api, picture(), by=ada)
    for _ in range(4):
        with ThreadPoolExecutor(3) as pool:
            done = [
                pool.submit(put_avatar, api, picture(), by=ada),
                pool.submit(api.delete, "/users/me/avatar", by=ada),
                pool.submit(api.delete, f"/files/{files_of(api)[0].id}", by=ada) if files_of(api) else None,
            ]
            codes = {one.result().status_code for one in done if one}
        assert codes <= {200, 204, 404, 409}, codes
        found, address = files_of(api), shown_avatar(api, ada)
        assert [f"/files/avatars/{one.id}" for one in found] == ([path_of(address, api)] if address else [])


def test_an_attachment_is_nobody_s_avatar(api):
    ada = api.person()
    file = upload(api, picture(), "a.png", by=ada).json["data"]
    assert code_of(api.get(f"/files/avatars/{file['id']}")) == "AVATAR_NOT_FOUND"
    assert code_of(api.get(f"/files/avatars/{file['id']}", by=ada)) == "AVATAR_NOT_FOUND"
