"""From pending to available, whatever is away and whoever is killed when."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, func, select, update

from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus, emit
from devforge_api.core.storage import folder
from devforge_api.files.models import File, FileVariant
from devforge_api.files.service import intake, orphans, work
from tests.factories import code_of
from tests.files.fake_clamd import HARMFUL
from tests.files.samples import TEXT, opened, picture, upload


class Killed(BaseException):
    """The process is no more."""


def only_file(api):
    with api.app.app_context():
        return db.session.scalars(select(File)).one_or_none()


def named(api):
    with api.app.app_context():
        ours = db.session.scalars(select(File.storage_key)).all()
        return sorted([*ours, *db.session.scalars(select(FileVariant.storage_key))])


def events(api, name):
    with api.app.app_context():
        return list(db.session.scalars(select(OutboxRow.payload).where(OutboxRow.name == name)))


@pytest.fixture
def told(monkeypatch):
    """News of files that would reach somebody."""
    names = []
    genuine = work.emit

    def emit(name, **payload):
        names.append(name)
        genuine(name, **payload)

    monkeypatch.setattr(work, "emit", emit)
    return names


def test_every_file_is_looked_through_as_it_was_sent(lone, clamd):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    sent = picture("PNG")
    assert upload(api, sent, "a.png", by=ada).json["data"]["status"] == "available"
    assert upload(api, TEXT, by=ada).json["data"]["status"] == "available"
    assert clamd.seen == [sent, TEXT]


def test_what_is_harmful_is_refused_noted_and_never_served(lone, clamd, told):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    refused = upload(api, b"text " + HARMFUL, by=ada)
    assert (refused.status_code, code_of(refused)) == (422, "FILE_REJECTED")
    params = refused.json["error"]["params"]
    assert params["reason"] == "malware"
    file_id = params["file_id"]
    assert api.get(f"/files/{file_id}", by=ada).json["data"]["status"] == "quarantined"
    assert code_of(api.get(f"/files/{file_id}/content", by=ada)) == "CONTENT_NOT_FOUND"
    rows = api.get(f"/audit/events?target_id={file_id}", by=api.admin()).json["data"]
    assert {row["action"] for row in rows} == {"file.uploaded", "file.quarantined"}
    assert told == []  # the answer has told it
    assert api.delete(f"/files/{file_id}", by=ada).status_code == 204


@pytest.mark.parametrize("mood", ["resets", "cut off", "confused", "gone"])
def test_a_scanner_that_does_not_answer_lets_nothing_through_and_loses_nothing(
    lone, clamd, make_due, told, mood
):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    clamd.mood = mood
    if mood == "gone":
        clamd.stop()
    answer = upload(api, picture(), "a.png", by=ada)
    assert (answer.status_code, answer.json["data"]["status"]) == (201, "pending")
    assert answer.json["data"]["content_url"] is None
    path = f"/files/{answer.json['data']['id']}"
    assert code_of(api.get(f"{path}/content", by=ada)) == "CONTENT_NOT_FOUND"
    for _ in range(5):  # however often it is tried
        make_due()
        api.deliver()
    assert api.get(path, by=ada).json["data"]["status"] == "pending"
    with api.app.app_context():
        statuses = set(db.session.scalars(select(OutboxRow.status)))
    assert statuses == {OutboxStatus.DELIVERED}  # none is set aside for good
    if mood != "gone":
        clamd.mood = "well"
        make_due()
        api.deliver()
        shown = api.get(path, by=ada).json["data"]
        assert (shown["status"], len(shown["variants"])) == ("available", 2)
        assert told[-1] == "file.available"
        assert told.count("file.available") == 1


def test_what_turns_out_harmful_later_is_told(lone, clamd, make_due, told):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    clamd.mood = "resets"
    upload(api, HARMFUL, by=api.person())
    clamd.mood = "well"
    make_due()
    api.deliver()
    assert only_file(api).reason == "malware"
    assert told[-1] == "file.quarantined"


def test_what_is_too_large_to_be_looked_through_is_not_given_away(lone, clamd):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    clamd.limit = 1000
    refused = upload(api, b"x" * 300_000, by=api.person())
    assert refused.json["error"]["params"]["reason"] == "too_large_to_scan"


@pytest.mark.parametrize(
    ("module", "name"),
    [(intake, "enter"), (work, "queries"), (work, "_look_through"), (work, "_finish"), (work, "_publish")],
)
def test_killed_anywhere_nothing_is_lost_and_nothing_stays_behind(
    lone, kept, make_due, monkeypatch, module, name
):
    api = lone()
    ada = api.person()

    class Dead:
        """Whatever it is asked for."""

        def __call__(self, *_, **__):
            raise Killed

        def __getattr__(self, _):
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, name, Dead())
        with pytest.raises(Killed):
            upload(api, picture(), "a.png", by=ada)
    file = only_file(api)
    if name == "enter":
        assert file is None
        assert len(kept(api)) == 1
    else:
        assert file.status in {"pending", "scanned"}
        make_due()
        api.deliver()
        assert only_file(api).status == "available"
        found = api.get(f"/files/{file.id}/content", by=ada)
        assert opened(found.data).size == (40, 30)
    monkeypatch.setattr(orphans, "AGE", -orphans.AGE)  # a day has passed, and another one
    with api.app.app_context():
        while orphans.remove_page(""):
            pass
    assert kept(api) == named(api)
    assert len(named(api)) == (0 if name == "enter" else 3)


def test_a_storage_that_looks_like_anothers_is_left_alone(lone, kept, monkeypatch):
    api = lone()
    ada = api.person()
    for _ in range(5):
        upload(api, TEXT, by=ada)
    with api.app.app_context(), unit_of_work():  # a database that was put back
        db.session.execute(delete(File))
        emit("file.orphans_due", after_key="")
    monkeypatch.setattr(orphans, "AGE", -orphans.AGE)
    monkeypatch.setattr(orphans, "MANY", 2)
    monkeypatch.setattr(orphans, "PAGE", 6)
    api.deliver()
    assert len(kept(api)) == 5
    with api.app.app_context():
        row = db.session.scalars(select(OutboxRow).where(OutboxRow.name == "file.orphans_due")).one()
        assert row.status is OutboxStatus.DEAD
        assert "right database" in row.error
    done = api.app.test_cli_runner().invoke(args=["files", "orphans"])
    assert done.exit_code == 0, done.output
    assert kept(api) == []


def test_two_who_do_the_same_step_do_it_once(lone, kept, told):
    api = lone()
    ada = api.person()
    with api.app.app_context():
        upload(api, picture(), "a.png", by=ada)
        file_id = only_file(api).id
    api.deliver()
    with api.app.app_context(), unit_of_work():
        db.session.execute(db.delete(FileVariant))
        db.session.execute(update(File).values(status="scanned"))

    def step():
        with api.app.app_context():
            then = work.next_step(file_id, outside=True)
            with unit_of_work():
                then()

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(step) for _ in range(4)]:
            future.result()
    assert told.count("file.available") == 1
    api.deliver()
    with api.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(FileVariant)) == 2
        assert set(named(api)) <= set(kept(api))
        found = {one.key for one in orphans.storage().kept()}
        # What the three others have made is gone; only the two variants deleted above are left.
        assert len(found - set(named(api))) == 2


def test_a_file_that_is_deleted_while_it_is_worked_on_is_gone_with_all_that_was_made(lone, kept):
    api = lone()
    ada = api.person()
    genuine = work.pictures.remade
    upload(api, picture(), "a.png", by=ada)
    file = only_file(api)
    with api.app.app_context(), unit_of_work():
        db.session.execute(db.delete(FileVariant))
        db.session.execute(update(File).values(status="scanned"))
    with api.app.app_context():
        then = work.next_step(file.id, outside=True)
        assert api.delete(f"/files/{file.id}", by=ada).status_code == 204
        with unit_of_work():
            then()
    api.deliver()
    assert only_file(api) is None
    assert len(kept(api)) == 2  # the variants of before, whose rows the test has removed
    assert genuine is work.pictures.remade


def test_a_picture_that_ends_every_worker_is_given_up(lone, monkeypatch, make_due, told):
    api = lone()
    with monkeypatch.context() as patched:
        patched.setattr(work, "_finish", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            upload(api, picture(), "a.png", by=api.person())
        for _ in range(work.ATTEMPTS):
            make_due()
            with pytest.raises(Killed):
                api.deliver()
            with api.app.app_context(), unit_of_work():
                db.session.execute(db.delete(OutboxRow))  # their worker's claims have run out
    make_due()
    file = only_file(api)
    assert (file.status, file.reason) == ("quarantined", "unreadable_image")
    assert told[-1] == "file.quarantined"


def test_nobody_is_called_twice_within_a_while(lone, monkeypatch, make_due):
    api = lone()
    with monkeypatch.context() as patched:
        patched.setattr(work, "_finish", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            upload(api, picture(), "a.png", by=api.person())
    make_due()
    with api.app.app_context(), unit_of_work():
        assert work.call_for_unfinished() == 0
    assert len(events(api, "file.unfinished")) == 1


def test_a_full_disk_is_told_as_unavailable_and_nothing_is_half_done(lone, kept, monkeypatch):
    api = lone()
    ada = api.person()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folder.os, "fsync", full)
        refused = upload(api, TEXT, by=ada)
    assert (refused.status_code, code_of(refused)) == (503, "STORAGE_AWAY")
    assert refused.headers["Retry-After"]
    assert only_file(api) is None
    assert kept(api) == []
    assert [path for path in (api.app.config["DATA_DIR"] / "files").rglob("*") if path.is_file()] == []
    assert upload(api, TEXT, by=ada).status_code == 201


def test_a_full_disk_does_not_make_a_picture_a_broken_one(lone, monkeypatch, make_due):
    api = lone()

    sent = picture()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(work.pictures.Image.Image, "save", full)
        answer = upload(api, sent, "a.png", by=api.person())
    assert answer.json["data"]["status"] == "scanned"
    make_due()
    api.deliver()
    assert only_file(api).status == "available"


def test_a_content_that_was_lost_is_told_as_such(lone, kept, monkeypatch, make_due):
    api = lone()
    with monkeypatch.context() as patched:
        patched.setattr(work, "_finish", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            upload(api, picture(), "a.png", by=api.person())
    with api.app.app_context():
        orphans.storage().delete(kept(api))
    make_due()
    api.deliver()
    assert (only_file(api).status, only_file(api).reason) == ("quarantined", "content_missing")


def test_uploading_asks_the_database_a_bounded_number_of_times(api, count_queries):
    ada = api.person()
    with count_queries() as seen:
        assert upload(api, picture(), "a.png", by=ada).status_code == 201
    assert len(seen) <= 26, seen
