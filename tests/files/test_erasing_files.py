"""Files of somebody who leaves, or who wants to have everything."""

import io
import json
import zipfile

from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.core.storage.base import StorageAway
from devforge_api.core.storage.configured import storage
from devforge_api.files.models import File, FileVariant
from devforge_api.files.service import personal_data
from tests.factories import code_of
from tests.files.samples import TEXT, picture, put_avatar, upload
from tests.users.known import step_up


def archive_of(api, who):
    step_up(api.app, who)
    answer = api.get("/users/me/export", by=who)
    assert answer.status_code == 200, answer.json
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    return archive


def test_an_erased_account_leaves_no_content(lone, kept):
    api = lone()
    ada, ben = api.person(), api.person()
    for who in (ada, ben):
        upload(api, picture(), "a.png", by=who)
        upload(api, TEXT, by=who)
        put_avatar(api, picture(), by=who)
    api.deliver()
    assert len(kept(api)) == 14
    assert api.delete(f"/users/{ada.id}", by=api.admin()).status_code == 204
    with api.app.app_context():
        assert set(db.session.scalars(select(File.user_id))) == {ben.id}
        assert db.session.scalar(select(func.count()).select_from(FileVariant)) == 4
    api.deliver()
    assert len(kept(api)) == 7


def test_many_contents_go_in_several_events(lone, kept, monkeypatch):
    from devforge_api.files.service import removal

    monkeypatch.setattr(removal, "KEYS_AT_ONCE", 2)
    api = lone()
    ada = api.person()
    for _ in range(3):
        upload(api, picture(), "a.png", by=ada)
    api.deliver()
    assert api.delete(f"/users/{ada.id}", by=api.admin()).status_code == 204
    api.deliver()
    assert kept(api) == []


def test_an_export_holds_rows_and_contents_but_nothing_quarantined(lone, clamd):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    text = upload(api, TEXT, "Zwölf ../ Boxer.txt", by=ada).json["data"]
    upload(api, b"harmful bytes of the tests", "bad.txt", by=ada)
    upload(api, b"of another person", "other.txt", by=api.person())
    archive = archive_of(api, ada)
    names = [name for name in archive.namelist() if name.startswith("files/")]
    content = f"files/contents/{text['id']}/ Boxer.txt".replace("/ ", "/")
    assert names == ["files/files.json", "files/file_variants.json", content]
    assert archive.read(content) == TEXT
    rows = json.loads(archive.read("files/files.json"))
    assert {row["name"] for row in rows} == {"Boxer.txt", "bad.txt"}
    assert "storage_key" not in rows[0]
    manifest = json.loads(archive.read("manifest.json"))
    assert {"file": content, "bytes": len(TEXT)} in manifest["files"]


def test_an_export_waits_for_the_storage_instead_of_leaving_things_out(lone, monkeypatch):
    api = lone()
    ada = api.person()
    upload(api, TEXT, by=ada)

    class Away:
        def open(self, key):
            raise StorageAway

    step_up(api.app, ada)
    with monkeypatch.context() as patched:
        patched.setattr(personal_data, "storage", Away)
        refused = api.get("/users/me/export", by=ada)
    assert (refused.status_code, code_of(refused)) == (503, "STORAGE_AWAY")
    with api.app.app_context():
        storage().delete([one.key for one in storage().kept()])
    archive = archive_of(api, ada)  # what is lost does not keep the rest back
    assert [archive.read(name) for name in archive.namelist() if "/contents/" in name] == [b""]


def test_nothing_comes_in_for_who_is_erased_meanwhile(lone, kept, monkeypatch):
    from devforge_api.files.service import intake

    api = lone()
    ada, admin = api.person(), api.admin()
    genuine = intake.keep

    def keep(arrived):
        key = genuine(arrived)
        assert api.delete(f"/users/{ada.id}", by=admin).status_code == 204
        return key

    with monkeypatch.context() as patched:
        patched.setattr(intake, "keep", keep)
        refused = upload(api, TEXT, by=ada)
    assert (refused.status_code, code_of(refused)) == (404, "USER_NOT_FOUND")
    assert kept(api) == []


def test_news_of_a_file_are_its_owner_s(lone, clamd, make_due):
    from devforge_api.files.news import tell_of_file

    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    clamd.mood = "resets"
    file = upload(api, picture(), "a.png", by=ada).json["data"]
    clamd.mood = "well"
    make_due()
    api.deliver()
    with api.app.app_context():
        users, data = tell_of_file({"file_id": file["id"]})
        assert users == [ada.id]
        assert data == {
            "file_id": file["id"], "name": "a.png", "purpose": "attachment", "status": "available",
            "reason": None,
        }  # fmt: skip
    api.delete(f"/files/{file['id']}", by=ada)
    with api.app.app_context():
        assert tell_of_file({"file_id": file["id"]}) is None
