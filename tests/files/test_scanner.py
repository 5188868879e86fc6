"""The scanner's protocol: against a daemon that behaves in every way, and against the real one."""

import hashlib
import io
import os
import shutil
import subprocess
import threading
import time

import pytest

from devforge_api.core import scanner
from devforge_api.core.scanner import Clamd, ScannerAway, TooLargeToScan
from tests.factories import code_of
from tests.files.fake_clamd import HARMFUL
from tests.files.samples import TEXT, upload

# The harmless file that every scanner knows by name (eicar.org); in two parts, or it would find this one.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def test_it_tells_harmful_from_harmless_and_reads_from_the_beginning(clamd):
    daemon = Clamd.at(clamd.url)
    file = io.BytesIO(b"x" * 200_000)
    file.seek(150_000)
    assert daemon.scan(file) is None
    assert clamd.seen == [b"x" * 200_000]
    assert daemon.scan(io.BytesIO(b"y" * 100_000 + HARMFUL)) == "Tests.Harmful"
    assert daemon.scan(io.BytesIO(b"")) is None
    assert daemon.check() == "ClamAV 9.9.9/1/today"


@pytest.mark.parametrize("mood", ["resets", "cut off", "confused", "silent"])
def test_whatever_is_no_answer_is_none(clamd, monkeypatch, mood):
    monkeypatch.setattr(scanner, "SCAN_SECONDS", 0.3)
    clamd.mood = mood
    with pytest.raises(ScannerAway):
        Clamd.at(clamd.url).scan(io.BytesIO(b"x" * 5_000_000))


def test_a_daemon_that_takes_no_more_bytes_is_left_at_the_deadline(clamd, monkeypatch):
    """Its buffers are full, and it reads nothing: sending would wait for ever."""
    monkeypatch.setattr(scanner, "SCAN_SECONDS", 0.3)
    clamd.mood = "silent"
    begun = time.monotonic()
    with pytest.raises(ScannerAway):
        Clamd.at(clamd.url).scan(io.BytesIO(bytes(60_000_000)))
    assert time.monotonic() - begun < 10


def test_a_limit_of_the_daemon_is_told_apart_also_if_it_hangs_up_at_once(clamd):
    clamd.limit = 70_000
    with pytest.raises(TooLargeToScan):
        Clamd.at(clamd.url).scan(io.BytesIO(bytes(30_000_000)))


def test_nobody_there_is_told(clamd, tmp_path):
    clamd.stop()
    for url in (clamd.url, f"clamd+unix://{tmp_path}/no%20socket"):
        for act in (Clamd.at(url).check, lambda url=url: Clamd.at(url).scan(io.BytesIO(b"x"))):
            with pytest.raises(ScannerAway):
                act()


def test_an_address_is_a_port_or_a_socket():
    assert Clamd.at("clamd://[::1]:3310").where == ("::1", 3310)
    assert Clamd.at("clamd+unix:///run/clam%20d.sock").where == "/run/clam d.sock"


@pytest.fixture(scope="module")
def real_clamd(tmp_path_factory):
    """ClamAV's own daemon, which knows one signature of ours and no other."""
    program = shutil.which("clamd", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.fail("clamd is missing: apt install clamav-daemon")
    folder = tmp_path_factory.mktemp("clamd")
    (folder / "db").mkdir()
    signature = f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:Eicar-Test\n"  # noqa: S324 - ClamAV's format
    (folder / "db" / "tests.hdb").write_text(signature)
    settings = {
        "DatabaseDirectory": folder / "db",
        "LocalSocket": folder / "clamd.sock",
        "Foreground": "yes",
        "StreamMaxLength": "1M",
        "User": "root" if os.getuid() == 0 else None,
    }
    lines = [f"{name} {value}\n" for name, value in settings.items() if value is not None]
    (folder / "clamd.conf").write_text("".join(lines))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(folder / "clamd.conf")], stdout=log, stderr=log)
    try:
        daemon = Clamd.at(f"clamd+unix://{folder}/clamd.sock")
        deadline = time.monotonic() + 60
        while True:
            try:
                daemon.check()
                break
            except ScannerAway:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
        yield f"clamd+unix://{folder}/clamd.sock"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.extended
def test_the_real_daemon_is_understood(real_clamd, lone):
    daemon = Clamd.at(real_clamd)
    assert daemon.check().startswith("ClamAV ")
    assert daemon.scan(io.BytesIO(TEXT)) is None
    assert daemon.scan(io.BytesIO(EICAR)) == "Eicar-Test.UNOFFICIAL"
    with pytest.raises(TooLargeToScan):
        daemon.scan(io.BytesIO(bytes(20_000_000)))
    threads = [threading.Thread(target=daemon.scan, args=(io.BytesIO(b"x" * 500_000),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    api = lone(DEVFORGE_FILE_SCANNER=real_clamd)
    ada = api.person()
    assert upload(api, TEXT, by=ada).json["data"]["status"] == "available"
    refused = upload(api, EICAR, "eicar.com.txt", by=ada)
    assert (refused.status_code, code_of(refused)) == (422, "FILE_REJECTED")
    assert refused.json["error"]["params"]["reason"] == "malware"
