"""The database's disk is full: writes are refused, reads go on, nothing is lost, and room heals it."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing, contextmanager

import pytest

from tests import processes
from tests.conftest import SECRETS
from tests.factories import V1
from tests.ops.conftest import running, until
from tests.ops.faults import stage

DISK_MIB = 80  # /ready wants 50 MB free
MOST_WRITES = 20_000  # pages that are there already are filled first
MOUNT = 'mount -t tmpfs -o size="$1"m,mode=700 tmpfs "$2" && shift 2 && exec "$@"'


def fill(folder):
    """Take every block that is left; the file to remove for room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass  # no piece of this size fits any more
    return ballast


def in_namespace(*command):
    """A command line that has a mount table of its own, and with it the right to mount."""
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *rights, "--mount", *command]


def can_mount():
    if shutil.which("unshare") is None:
        return False
    tried = in_namespace("sh", "-c", "mount -t tmpfs tmpfs /mnt")
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


class Writer:
    """Renames itself by one call after another, and knows its last name that was acknowledged."""

    def __init__(self, server):
        self.server = server
        self.seen = Counter()
        self.name = None
        body = {"email": "ada@example.com", "password": "staple orbit lantern"}
        made = self.call("POST", "/auth/register", body)[1]
        self.headers = {"Authorization": f"Bearer {made['data']['access_token']}"}

    def call(self, method, path, body=None, headers=None):
        sent = json.dumps(body) if body else None
        headers = {"Content-Type": "application/json", **(headers or {})}
        answer, text = self.server.ask(V1 + path, method=method, body=sent, headers=headers)
        return answer, json.loads(text)

    def write(self):
        """One write; its status, which must be that of a whole success or of a refusal."""
        name = f"Ada {self.seen.total():5} {'x' * 80}"
        answer, body = self.call("PATCH", "/users/me", {"name": name}, self.headers)
        self.seen[answer.status] += 1
        if answer.status == 200:
            self.name = name
        else:
            assert (answer.status, body["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert int(answer.headers["Retry-After"]) >= 1
        return answer.status

    def read(self):
        answer, body = self.call("GET", "/users/me", headers=self.headers)
        return answer.status, body["data"]["name"]


def fill_and_recover(server, disk, *, named_by_ready):
    writer = Writer(server)
    assert writer.write() == 200
    ballast = fill(disk)
    while writer.write() != 503:
        assert writer.seen.total() < MOST_WRITES, "the disk is not full"
    for _ in range(20):
        writer.write()
        assert writer.read() == (200, writer.name)
    answer, text = server.ask("/ready")
    if named_by_ready:
        assert answer.status == 503
        assert "data_folder" in failed_parts_of(text)
    assert server.is_answering()
    ballast.unlink()
    until(lambda: writer.write() == 200, "there is room again, and nothing can be written")
    assert [writer.write() for _ in range(50)] == [200] * 50
    assert writer.read() == (200, writer.name)
    until(lambda: server.ask("/ready")[0].status == 200, "the server does not recover")


def failed_parts_of(text):
    checks = json.loads(text)["error"]["params"]["checks"]
    return {name for name, check in checks.items() if not check["ok"]}


@pytest.mark.skipif(not can_mount(), reason="neither root nor a user namespace may mount a small disk here")
def test_sqlite_on_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    environ = {"DEVFORGE_ENV": "testing", "DEVFORGE_DATA_DIR": str(disk), **SECRETS}
    before = in_namespace("sh", "-c", MOUNT, "sh", str(DISK_MIB), str(disk))
    start = ("flask", "--app", "wsgi", "start", "--no-demo")  # migrates first: nobody else sees this disk
    with running(environ, tmp_path, *start, before=before) as server:
        seen_from_outside = server.inside(disk)
        fill_and_recover(server, seen_from_outside, named_by_ready=True)
        with closing(sqlite3.connect(seen_from_outside / "devforge.sqlite3")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@contextmanager
def small_disk(owner):
    with processes.folder_open_to_all("devforge-disk-") as folder:
        options = f"size={DISK_MIB}m,mode=700,uid={owner.pw_uid},gid={owner.pw_gid}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.extended
@pytest.mark.skipif(
    os.geteuid() != 0 or not can_mount(), reason="only root can mount a disk for PostgreSQL here"
)
def test_postgresql_on_a_full_disk(tmp_path):
    """Of tables; a full disk of its log ends PostgreSQL itself, which is the outage of another file."""
    with (
        small_disk(processes.unprivileged_user()) as disk,
        stage(tmp_path, tables_on=disk) as scene,
    ):
        fill_and_recover(scene.server, disk, named_by_ready=False)
        assert b"DiskFull" in scene.server.log.read_bytes()
