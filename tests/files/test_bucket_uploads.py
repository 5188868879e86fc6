"""Uploads into a bucket: the same, and nothing half-done while it is away."""

import urllib.request
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.core.storage.bucket import Bucket
from devforge_api.files.models import File
from tests.factories import code_of
from tests.files.samples import TEXT, opened, picture, put_avatar, upload


@pytest.fixture
def in_bucket(lone, make_bucket, s3_settings):
    make_bucket("contents")
    settings = {f"DEVFORGE_{name}": value for name, value in s3_settings.items()}
    return lone(DEVFORGE_STORAGE_URL="s3://contents/files", **settings)


def test_a_file_goes_all_its_way(in_bucket, kept):
    api = in_bucket
    ada = api.person()
    file = upload(api, picture(size=(700, 300)), "Plän.png", by=ada).json["data"]
    assert (file["status"], len(file["variants"])) == ("available", 2)
    api.deliver()
    assert len(kept(api)) == 3
    content = api.get(f"/files/{file['id']}/content", by=ada)
    assert opened(content.data).size == (700, 300)
    part = api.get(f"/files/{file['id']}/content", by=ada, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.data) == (206, b"PNG")
    with urllib.request.urlopen(file["content_url"]) as answer:  # noqa: S310 - the test's own server
        assert answer.read() == content.data
        assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert urlsplit(file["content_url"]).path.startswith("/contents/files/")
    avatar = put_avatar(api, picture(), by=ada).json["data"]
    seen = api.get(avatar["avatar_url"].removeprefix(f"{api.app.config['PUBLIC_URL']}/api/v1"))
    assert opened(seen.data).size == (30, 30)
    assert api.delete(f"/users/{ada.id}", by=api.admin()).status_code == 204
    api.deliver()
    assert kept(api) == []


def test_while_it_is_away_uploads_are_refused_and_nothing_is_half_done(in_bucket, kept, monkeypatch):
    api = in_bucket
    ada = api.person()
    file = upload(api, TEXT, by=ada).json["data"]
    genuine = Bucket._call

    def away(self, name, **wanted):
        self = Bucket("s3://not-there", self._settings)
        return genuine(self, name, **wanted)

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "_call", away)
        for refused in (upload(api, TEXT, by=ada), api.get(f"/files/{file['id']}/content", by=ada)):
            assert (refused.status_code, code_of(refused)) == (503, "STORAGE_AWAY")
            assert "not-there" not in refused.text
        with api.app.app_context():
            assert db.session.scalar(select(func.count()).select_from(File)) == 1
        assert api.delete(f"/files/{file['id']}", by=ada).status_code == 204
        api.deliver()
    assert len(kept(api)) == 1  # its deletion is tried again
    with api.app.app_context(), db.engine.begin() as connection:
        connection.execute(db.text("UPDATE outbox SET next_attempt_at = created_at WHERE status = 'pending'"))
    api.deliver()
    assert kept(api) == []


def test_away_in_the_middle_the_file_waits_and_comes_through_later(in_bucket, kept, monkeypatch, make_due):
    api = in_bucket
    ada = api.person()
    genuine = Bucket.put
    puts = []

    def some(self, *args):
        puts.append(1)
        # The original and the picture made anew are kept, its variants are not.
        return genuine(self, *args) if len(puts) <= 2 else _away()

    def _away():
        from devforge_api.core.storage.base import StorageAway

        raise StorageAway

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "put", some)
        answer = upload(api, picture(), "a.png", by=ada)
    assert (answer.status_code, answer.json["data"]["status"]) == (201, "scanned")
    make_due()
    api.deliver()
    assert api.get(f"/files/{answer.json['data']['id']}", by=ada).json["data"]["status"] == "available"
    assert len(kept(api)) == 4  # with one that no row names, until it is a day old
