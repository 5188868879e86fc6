"""How much a user may keep, also when much comes at once."""

import io
from concurrent.futures import ThreadPoolExecutor

from devforge_api.core import uploads
from devforge_api.files.service import intake, pictures
from devforge_api.files.service.pictures import PictureRefused
from tests.factories import code_of
from tests.files.samples import FORM, TEXT, picture, put_avatar, upload


def used(api, ada):
    return sum(one["counted_size"] for one in api.get("/files?limit=100", by=ada).json["data"])


def test_what_has_no_room_is_refused_and_says_why(lone, kept):
    api = lone(DEVFORGE_FILES_QUOTA_BYTES="1000")
    ada = api.person()
    first = upload(api, b"x" * 700, by=ada).json["data"]
    refused = upload(api, b"x" * 301, by=ada)
    assert (refused.status_code, code_of(refused)) == (409, "QUOTA_EXCEEDED")
    told = {"limit": 1000, "used": 700, "most_files": 10_000, "files": 1}
    assert refused.json["error"]["params"] == told
    assert len(kept(api)) == 1  # what came for nothing is gone at once
    assert upload(api, b"x" * 300, by=ada).status_code == 201
    assert upload(api, b"x" * 1000, by=api.person()).status_code == 201  # others have their own
    assert api.delete(f"/files/{first['id']}", by=ada).status_code == 204
    assert upload(api, b"x" * 700, by=ada).status_code == 201


def test_small_files_need_room_too(lone, kept, monkeypatch):
    monkeypatch.setattr(intake, "MOST_FILES", 2)
    api = lone()
    ada = api.person()
    assert [upload(api, TEXT, by=ada).status_code for _ in range(3)] == [201, 201, 409]
    assert len(kept(api)) == 2
    assert upload(api, TEXT, by=api.person()).status_code == 201


def test_quarantined_files_count_until_they_are_deleted(lone, clamd):
    api = lone(DEVFORGE_FILES_QUOTA_BYTES="100", DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    clamd.known = {b"bad"}
    refused = upload(api, b"bad" * 30, by=ada)
    assert code_of(refused) == "FILE_REJECTED"
    assert code_of(upload(api, TEXT, by=ada)) == "QUOTA_EXCEEDED"
    api.delete(f"/files/{refused.json['error']['params']['file_id']}", by=ada)
    assert upload(api, TEXT, by=ada).status_code == 201


def test_a_picture_counts_as_it_was_sent_whatever_is_made_of_it(lone):
    sent = picture("PNG", size=(600, 600))
    api = lone(DEVFORGE_FILES_QUOTA_BYTES=str(2 * len(sent)))
    ada = api.person()
    for _ in range(2):
        shown = upload(api, sent, "a.png", by=ada).json["data"]
        assert shown["counted_size"] == len(sent)
        assert len(shown["variants"]) == 2
    assert code_of(upload(api, sent, "a.png", by=ada)) == "QUOTA_EXCEEDED"


def test_uploads_at_once_do_not_pass_the_quota_together(lone, kept):
    api = lone(DEVFORGE_FILES_QUOTA_BYTES="1000")
    ada = api.person()
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: upload(api, b"x" * 400, by=ada), range(4)))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [201, 201, 409, 409], [answer.json for answer in answers]
        assert used(api, ada) == 800
        assert len(kept(api)) == 2
        for one in api.get("/files", by=ada).json["data"]:
            assert api.delete(f"/files/{one['id']}", by=ada).status_code == 204
        api.deliver()


class Unread(io.RawIOBase):
    """A body that nobody may begin to read."""

    def read(self, *_):
        raise AssertionError("it was read")


def test_what_says_by_its_length_that_it_has_no_room_is_not_read(lone):
    api = lone(DEVFORGE_FILES_QUOTA_BYTES="100000")
    ada = api.person()
    for path, method in [("/files", "POST"), ("/users/me/avatar", "PUT")]:
        refused = api.call(
            method, path, by=ada, content_type=FORM,
            environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "200000"},
        )  # fmt: skip
        assert (refused.status_code, code_of(refused)) == (409, "QUOTA_EXCEEDED")


def test_who_has_no_token_or_scope_is_not_read(api):
    body = {"wsgi.input": Unread(), "CONTENT_LENGTH": "200000"}
    made = api.post(
        "/auth/tokens", {"name": "t", "scopes": ["files:read"]}, by=api.reauthenticated(api.person())
    )
    tool = {"Authorization": f"Bearer {made.json['data']['token']}"}
    for path, method in [("/files", "POST"), ("/users/me/avatar", "PUT")]:
        for headers, code in [({}, "TOKEN_MISSING"), (tool, "FORBIDDEN")]:
            refused = api.call(method, path, headers=headers, content_type=FORM, environ_overrides=body)
            assert code_of(refused) == code


def test_one_user_s_uploads_do_not_take_all_places(api, monkeypatch):
    ada, ben = api.person(), api.person()
    monkeypatch.setattr(uploads, "AT_ONCE", 3)
    monkeypatch.setattr(uploads, "AT_ONCE_EACH", 2)
    with uploads.place_for(ada.id), uploads.place_for(ada.id):
        refused = upload(api, TEXT, by=ada)
        assert (refused.status_code, code_of(refused)) == (503, "UPLOADS_BUSY")
        assert upload(api, TEXT, by=ben).status_code == 201
        with uploads.place_for(ben.id):
            assert code_of(upload(api, TEXT, by=ben)) == "UPLOADS_BUSY"
    assert upload(api, TEXT, by=ada).status_code == 201
    assert uploads._places.taken() == 0


def test_a_place_is_held_until_the_upload_is_answered(api, monkeypatch):
    """Else small pictures with millions of pixels, waiting to be decoded, would hold all threads."""
    held = []

    def decoded(*_, **__):
        held.append(uploads._places.taken())
        raise PictureRefused("unreadable_image")

    monkeypatch.setattr(pictures, "remade", decoded)
    for send in (upload, put_avatar):
        assert send(api, picture(), by=api.person()).status_code == 422
    assert held == [1, 1]
    assert uploads._places.taken() == 0


def test_an_avatar_counts_and_gives_its_room_back(lone):
    sent = picture()
    api = lone(DEVFORGE_FILES_QUOTA_BYTES=str(2 * len(sent)))
    ada = api.person()
    for _ in range(4):  # the former one goes with the next
        assert put_avatar(api, sent, by=ada).status_code == 200
    assert used(api, ada) == len(sent)
