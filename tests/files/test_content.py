"""Giving contents: to whom, by which way, and as what."""

import re
from uuid import uuid4

import pytest

from devforge_api.core.storage.configured import storage
from devforge_api.files.routes import serving
from devforge_api.files.service import links
from tests.factories import code_of
from tests.files.samples import HTML, PDF, SVG, TEXT, picture, put_avatar, upload


@pytest.fixture
def ada(api):
    return api.person()


@pytest.fixture
def file(api, ada):
    return upload(api, TEXT * 100, "Zwölf Boxkämpfer.txt", by=ada).json["data"]


def path_of(url, api):
    base = f"{api.app.config['PUBLIC_URL']}/api/v1"
    assert url.startswith(base)
    return url.removeprefix(base)


def test_content_is_saved_never_shown_and_never_guessed_at(api, ada, file):
    answer = api.get(f"/files/{file['id']}/content", by=ada)
    assert (answer.status_code, answer.data) == (200, TEXT * 100)
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"Zwolf Boxkampfer.txt\"; filename*=UTF-8''Zw%C3%B6lf%20Boxk%C3%A4mpfer.txt"
    )
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Content-Length"] == str(len(TEXT) * 100)
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize(("content", "name"), [(HTML, "page.html"), (SVG, "logo.svg"), (HTML, "page.txt")])
def test_what_could_run_is_never_told_as_what_it_is(api, ada, content, name):
    shown = upload(api, content, name, by=ada).json["data"]
    by_link = path_of(api.get(f"/files/{shown['id']}", by=ada).json["data"]["content_url"], api)
    for answer in (api.get(f"/files/{shown['id']}/content", by=ada), api.get(by_link)):
        assert answer.data == content
        assert answer.headers["Content-Type"] in {"text/plain; charset=utf-8", "application/octet-stream"}
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_is_another_s_is_not_there(api, ada, file):
    eve, admin = api.person(), api.admin()
    paths = [
        f"/files/{file['id']}",
        f"/files/{file['id']}/content",
        f"/files/{file['id']}/content?variant=small",
    ]
    for who in (eve, admin, api.person(role="support")):
        for path in paths:
            assert code_of(api.get(path, by=who)) == "FILE_NOT_FOUND"
        assert code_of(api.delete(f"/files/{file['id']}", by=who)) == "FILE_NOT_FOUND"
        assert api.get("/files", by=who).json["data"] == []
    assert code_of(api.get(f"/files/{uuid4()}", by=ada)) == "FILE_NOT_FOUND"
    assert code_of(api.get(f"/files/avatars/{file['id']}")) == "AVATAR_NOT_FOUND"
    assert api.get(paths[0], by=ada).status_code == 200


def test_tools_need_the_scope(api, ada, file):
    made = api.post("/auth/tokens", {"name": "t", "scopes": ["profile:read"]}, by=api.reauthenticated(ada))
    headers = {"Authorization": f"Bearer {made.json['data']['token']}"}
    assert code_of(api.get(f"/files/{file['id']}", headers=headers)) == "FORBIDDEN"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=1900-", 1900, 2000), ("bytes=-7", 1993, 2000),
     ("bytes=1990-9999", 1990, 2000)],
)  # fmt: skip
def test_a_range_is_given(api, ada, asked, start, stop):
    data = bytes(97 + number % 26 for number in range(2000))
    file_id = upload(api, data, by=ada).json["data"]["id"]
    answer = api.get(f"/files/{file_id}/content", by=ada, headers={"Range": asked})
    assert (answer.status_code, answer.data) == (206, data[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/2000"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=x-y", "bytes=5-2", ""])
def test_what_is_no_single_range_is_answered_with_the_whole(api, ada, file, asked):
    answer = api.get(f"/files/{file['id']}/content", by=ada, headers={"Range": asked})
    assert (answer.status_code, answer.data) == (200, TEXT * 100)


def test_a_range_behind_the_end_is_refused(api, ada, file):
    refused = api.get(f"/files/{file['id']}/content", by=ada, headers={"Range": "bytes=99999-"})
    assert (refused.status_code, code_of(refused)) == (416, "RANGE_NOT_SATISFIABLE")
    assert refused.headers["Content-Range"] == f"bytes */{len(TEXT) * 100}"


def test_whoever_has_it_gets_no_bytes_again_and_a_part_only_of_the_same(api, ada, file):
    path = f"/files/{file['id']}/content"
    tag = api.get(path, by=ada).headers["ETag"]
    known = api.get(path, by=ada, headers={"If-None-Match": tag})
    assert (known.status_code, known.data, known.headers["ETag"]) == (304, b"", tag)
    both = {"Range": "bytes=0-3"}
    assert api.get(path, by=ada, headers={**both, "If-Range": tag}).status_code == 206
    assert api.get(path, by=ada, headers={**both, "If-Range": '"another"'}).status_code == 200
    head = api.call("HEAD", path, by=ada)
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(TEXT) * 100))


# --- links ------------------------------------------------------------------------------------


def test_a_link_needs_no_token_and_is_shown_as_a_secret(api, ada):
    sent = picture(size=(900, 600))
    shown = upload(api, sent, "a.png", by=ada).json["data"]
    answer = api.get(f"/files/{shown['id']}", by=ada)
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.json["data"]
    assert found["links_end_at"] > found["created_at"]
    whole = api.get(path_of(found["content_url"], api))
    assert whole.data == api.get(f"/files/{shown['id']}/content", by=ada).data
    assert whole.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert whole.headers["Content-Disposition"].startswith('attachment; filename="a.png"')
    assert [one["name"] for one in found["variants"]] == ["small", "medium"]
    for one in found["variants"]:
        by_link = api.get(path_of(one["content_url"], api))
        assert by_link.data == api.get(f"/files/{shown['id']}/content?variant={one['name']}", by=ada).data
        assert len(by_link.data) == one["size"]
        assert f"a-{one['name']}.jpg" in by_link.headers["Content-Disposition"]
    part = api.get(path_of(found["content_url"], api), headers={"Range": "bytes=0-7"})
    assert part.data == b"\x89PNG\r\n\x1a\n"


def test_a_link_ends_within_five_minutes(api, ada, file, monkeypatch):
    link = path_of(api.get(f"/files/{file['id']}", by=ada).json["data"]["content_url"], api)
    now = links.time.time()
    monkeypatch.setattr(links.time, "time", lambda: now + 299)
    assert api.get(link).status_code == 200
    monkeypatch.setattr(links.time, "time", lambda: now + 302)
    ended = api.get(link)
    assert (ended.status_code, code_of(ended)) == (410, "LINK_EXPIRED")


def test_links_that_somebody_has_changed_or_made_lead_nowhere(api, ada, file):
    link = path_of(api.get(f"/files/{file['id']}", by=ada).json["data"]["content_url"], api)
    other = upload(api, b"other", by=ada).json["data"]["content_url"]
    sealed = link.rpartition("=")[2]
    bent = [
        ("A" if sealed[0] != "A" else "B") + sealed[1:],  # not the last one: not all of its bits count
        sealed[:60] + other.rpartition("=")[2][60:],
        "x",
        "ä",
    ]
    for one in bent:
        refused = api.get("/files/content", query_string={"link": one})
        assert (refused.status_code, code_of(refused)) == (404, "LINK_NOT_FOUND"), one
    assert api.get("/files/content").status_code == 422
    assert api.delete(f"/files/{file['id']}", by=ada).status_code == 204
    assert code_of(api.get(link)) == "LINK_NOT_FOUND"


def test_links_are_not_logged(lone, capsys):
    api = lone(DEVFORGE_LOG_LEVEL="INFO")  # its log goes where this test reads it
    ada = api.person()
    link = upload(api, TEXT, by=ada).json["data"]["content_url"]
    assert api.get(path_of(link, api)).status_code == 200
    logged = capsys.readouterr().err
    assert '"route":"/api/v1/files/content"' in logged
    assert link.rpartition("=")[2] not in logged


# --- the resource -----------------------------------------------------------------------------


def test_one_s_files_are_listed_filtered_and_sorted_in_few_queries(api, ada, count_queries):
    sizes = {"c.txt": 30, "a.txt": 10, "b.txt": 20}
    for name, size in sizes.items():
        upload(api, b"x" * size, name, by=ada)
    upload(api, picture(), "p.png", by=ada)
    put_avatar(api, picture(), by=ada)
    with count_queries() as seen:
        listed = api.get("/files", by=ada).json["data"]
    assert len(seen) <= 4, seen
    assert [one["name"] for one in listed] == ["me.png", "p.png", "b.txt", "a.txt", "c.txt"]
    assert not {"content_url", "storage_key"} & set(listed[0])
    assert [one["name"] for one in listed[1]["variants"]] == ["small", "medium"]
    queries = {
        "media_type=text/plain&sort=size": ["a.txt", "b.txt", "c.txt"],
        "purpose=avatar": ["me.png"],
        "status=quarantined": [],
        "status_in=available,pending&media_type_ne=text/plain": ["me.png", "p.png"],
        f"created_at_gt={listed[2]['created_at'].replace('+', '%2B')}": ["me.png", "p.png"],
    }
    for query, names in queries.items():
        assert [one["name"] for one in api.get(f"/files?{query}", by=ada).json["data"]] == names, query


def test_a_file_is_deleted_with_its_contents(api, ada, file):
    with api.app.app_context():
        before = {one.key for one in storage().kept()}
    shown = upload(api, picture(), "a.png", by=ada).json["data"]
    api.deliver()
    with api.app.app_context():
        assert len({one.key for one in storage().kept()} - before) == 3
    assert api.delete(f"/files/{shown['id']}", by=ada).status_code == 204
    assert code_of(api.get(f"/files/{shown['id']}", by=ada)) == "FILE_NOT_FOUND"
    api.deliver()
    with api.app.app_context():
        assert {one.key for one in storage().kept()} - before == set()
    rows = api.get(f"/audit/events?target_id={shown['id']}", by=api.admin()).json["data"]
    assert {row["action"] for row in rows} == {"file.uploaded", "file.deleted"}


def test_only_what_was_seen_is_deleted(api, ada, file):
    path = f"/files/{file['id']}"
    tag = api.get(path, by=ada).headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    assert code_of(api.delete(path, by=ada, headers={"If-Match": '"other"'})) == "PRECONDITION_FAILED"
    again = api.get(path, by=ada, headers={"If-None-Match": tag})
    assert (again.status_code, again.headers["ETag"]) == (200, tag)  # its links are new
    assert api.delete(path, by=ada, headers={"If-Match": tag}).status_code == 204


def test_a_content_that_is_lost_is_not_there(api, ada):
    shown = upload(api, PDF, "a.pdf", by=ada).json["data"]
    with api.app.app_context():
        kept = [one.key for one in storage().kept()]
        storage().delete(kept)
    lost = api.get(f"/files/{shown['id']}/content", by=ada)
    assert (lost.status_code, code_of(lost)) == (404, "CONTENT_NOT_FOUND")


def test_one_reader_s_downloads_do_not_take_all_places(api, ada, monkeypatch):
    """Whoever does not read on holds a thread; what is one piece is sent by then."""
    monkeypatch.setattr(serving, "AT_ONCE", 3)
    monkeypatch.setattr(serving, "AT_ONCE_EACH", 2)
    ben, big = api.person(), b"a line of a log\n" * 20_000
    paths = {one.id: f"/files/{upload(api, big, 'a.log', by=one).json['data']['id']}" for one in (ada, ben)}
    link = path_of(api.get(paths[ada.id], by=ada).json["data"]["content_url"], api)

    def begun(one, *, buffered=True, **options):
        return api.get(f"{paths[one.id]}/content", by=one, buffered=buffered, **options)

    waiting = [begun(ada, buffered=False), begun(ada, buffered=False)]
    assert [answer.status_code for answer in waiting] == [200, 200]
    for refused in (begun(ada), api.get(link)):
        assert (refused.status_code, code_of(refused)) == (503, "DOWNLOADS_BUSY")
        assert refused.headers["Retry-After"] == "2"
    assert begun(ada, headers={"Range": "bytes=0-9"}).data == big[:10]
    assert api.call("HEAD", f"{paths[ada.id]}/content", by=ada).status_code == 200
    waiting.append(begun(ben, buffered=False))
    assert code_of(begun(ben)) == "DOWNLOADS_BUSY"
    for answer in waiting:
        answer.close()
    assert serving._places.taken() == 0
    assert begun(ada).data == big
    assert serving._places.taken() == 0
