"""Both kinds of storage keep the same promises: a folder, and a bucket by a real S3 server's protocol."""

import io
import os
import socket
import stat
import threading
import urllib.request
from datetime import timedelta

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.storage.base import ContentMissing, StorageAway, attachment, is_key, new_key
from devforge_api.core.storage.bucket import Bucket
from devforge_api.core.storage.folder import Folder

BYTES = bytes(range(256)) * 3000  # three pieces


@pytest.fixture(params=["folder", "bucket", "prefixed"])
def storage(request, tmp_path):
    if request.param == "folder":
        return Folder(tmp_path / "files")
    return request.getfixturevalue("make_bucket")(
        "contents", "/deep/er" if request.param == "prefixed" else ""
    )


def put(storage, data=BYTES, key=None):
    key = key or new_key()
    storage.put(key, io.BytesIO(data), len(data), "text/plain")
    return key


def read(storage, *args):
    content = storage.open(*args)
    try:
        return b"".join(content)
    finally:
        content.close()


def test_what_is_put_can_be_read_whole_and_in_parts(storage):
    key = put(storage)
    assert read(storage, key) == BYTES
    assert read(storage, key, 5, 10) == BYTES[5:15]
    assert read(storage, key, len(BYTES) - 3) == BYTES[-3:]
    assert read(storage, key, 100, 0) == b""


def test_what_is_not_there_is_missing_and_can_be_deleted(storage):
    with pytest.raises(ContentMissing):
        storage.open(new_key())
    storage.delete([new_key(), new_key()])
    storage.delete([])


def test_deleting_takes_some_and_leaves_others(storage):
    keys = sorted(put(storage, b"x") for _ in range(5))
    storage.delete(keys[:4])
    storage.delete(keys[:4])
    assert [one.key for one in storage.kept()] == keys[4:]


def test_everything_is_listed_in_order_a_page_at_a_time(storage):
    keys = sorted(put(storage, b"12345") for _ in range(23))
    seen, after = [], ""
    while page := storage.kept(after, 10):
        assert len(page) <= 10
        seen += page
        after = page[-1].key
    assert [one.key for one in seen] == keys
    assert {one.size for one in seen} == {5}
    assert all(utc_now() - timedelta(minutes=5) < one.at < utc_now() + timedelta(minutes=5) for one in seen)


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "a" * 39, "A" * 40, "a" * 39 + "/", "/" * 40])
def test_only_keys_of_ours_are_names(storage, key):
    assert not is_key(key)
    for act in (
        lambda: put(storage, key=key or "x"),
        lambda: storage.open(key),
        lambda: storage.delete([key]),
    ):
        with pytest.raises(ValueError, match="not a key"):
            act()


def test_it_says_that_it_is_well(storage):
    assert storage.check()


# --- the folder -----------------------------------------------------------------------------


def test_files_and_folders_are_their_owner_s_alone(tmp_path):
    previous = os.umask(0)
    try:
        put(Folder(tmp_path / "files"))
    finally:
        os.umask(previous)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "files").rglob("*")}
    assert modes == {True: 0o700, False: 0o600}


def test_what_is_shorter_than_it_should_be_is_not_kept(tmp_path):
    folder = Folder(tmp_path / "files")
    with pytest.raises(StorageAway):
        folder.put(new_key(), io.BytesIO(b"short"), 100, "text/plain")
    assert folder.kept() == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nothing_outside_is_reached_by_a_link_that_somebody_has_laid(tmp_path):
    folder = Folder(tmp_path / "files")
    key = put(folder)
    place = next((tmp_path / "files").rglob(key))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    place.unlink()
    place.symlink_to(secret)
    with pytest.raises(StorageAway):
        folder.open(key)
    assert folder.kept() == []


def test_drafts_of_killed_writers_are_removed_once_they_are_old(tmp_path, monkeypatch):
    folder = Folder(tmp_path / "files")

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    key = put(folder)
    draft = next((tmp_path / "files").rglob(key)).with_name(f".{new_key()}")
    draft.write_bytes(b"half")
    assert [one.key for one in folder.kept()] == [key]
    assert folder.tidy(utc_now() - timedelta(hours=1)) == 0
    assert folder.tidy(utc_now() + timedelta(hours=1)) == 1
    assert read(folder, key) == BYTES


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "files").write_text("not a folder")
    folder = Folder(tmp_path / "files")
    for act in (folder.check, lambda: put(folder)):
        with pytest.raises(StorageAway):
            act()
    with pytest.raises(ContentMissing):
        folder.open(new_key())


# --- the bucket -----------------------------------------------------------------------------


def test_a_link_reads_the_content_as_an_attachment_until_it_ends(make_bucket):
    bucket = make_bucket("contents")
    key = put(bucket, b"for you")
    address = bucket.link(key, seconds=60, disposition=attachment("plän.txt"), media_type="text/plain")
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - the test's own server
        assert answer.read() == b"for you"
        assert answer.headers["Content-Disposition"] == attachment("plän.txt")
        assert answer.headers["Content-Type"] == "text/plain"
    assert "X-Amz-Expires=60" in address


def test_a_bucket_that_is_not_there_is_told(make_bucket):
    bucket = make_bucket("contents")
    elsewhere = Bucket("s3://another", bucket._settings)
    for act in (
        elsewhere.check,
        lambda: put(elsewhere),
        elsewhere.kept,
        lambda: elsewhere.delete([new_key()]),
    ):
        with pytest.raises(StorageAway) as refused:
            act()
        assert "testing" not in str(refused.value)  # the key's id
    with pytest.raises(StorageAway):
        elsewhere.open(new_key())  # nor is that a content which is missing


@pytest.mark.parametrize("behaviour", ["refuses", "resets", "silent"])
def test_a_server_that_is_away_is_told_in_time(make_bucket, monkeypatch, behaviour):
    from devforge_api.core.storage import bucket as module

    monkeypatch.setattr(module, "READ_SECONDS", 0.2)
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    held = []

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            if behaviour == "resets":
                connection.close()
            else:
                held.append(connection)

    thread = threading.Thread(target=serve, daemon=True)
    if behaviour == "refuses":
        server.close()
    else:
        thread.start()
    away = Bucket(
        "s3://contents", {**make_bucket("contents")._settings, "S3_ENDPOINT": f"http://127.0.0.1:{port}"}
    )
    acts = [
        away.check,
        lambda: put(away),
        lambda: away.open(new_key()),
        away.kept,
        lambda: away.delete([new_key()]),
    ]
    for act in acts:
        with pytest.raises(StorageAway):
            act()
    if behaviour != "refuses":
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for connection in held:
            connection.close()


def test_other_peoples_objects_in_the_bucket_are_left_alone(make_bucket):
    bucket = make_bucket("contents", "/ours")
    key = put(bucket)
    foreign = bucket._client()
    for name in ("backup.tar", "ours/README", "theirs/" + new_key()):
        foreign.put_object(Bucket="contents", Key=name, Body=b"x")
    assert [one.key for one in bucket.kept()] == [key]


def test_nothing_of_the_library_is_loaded_without_a_bucket():
    import subprocess
    import sys

    code = (
        "import sys, tempfile\n"
        "from devforge_api.app import create_app\n"
        "app = create_app({'DEVFORGE_DATA_DIR': tempfile.mkdtemp()})\n"
        "from devforge_api.core.storage.configured import storage\n"
        "with app.app_context(): storage().check()\n"
        "assert not {'boto3', 'botocore'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("plan.pdf", 'attachment; filename="plan.pdf"'),
        ("Zwölf.txt", "attachment; filename=\"Zwolf.txt\"; filename*=UTF-8''Zw%C3%B6lf.txt"),
        ('a";x=y\r\n.txt', "attachment; filename=\"a__x_y__.txt\"; filename*=UTF-8''a%22%3Bx%3Dy%0D%0A.txt"),
        ("猫.png", "attachment; filename=\".png\"; filename*=UTF-8''%E7%8C%AB.png"),
        ("a%20b.txt", "attachment; filename=\"a_20b.txt\"; filename*=UTF-8''a%2520b.txt"),
    ],
)
def test_names_in_headers_are_plain_and_whole(name, header):
    assert attachment(name) == header
    assert header.isascii()
