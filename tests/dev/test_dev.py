"""``dev.py`` on machines where something is missing, and how it keeps ``.venv`` in order.

Every test works on a copy whose locked sets are empty, beside a stand-in for Flask that prints
how it was called: nothing is downloaded.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import folder_open_to_all, free_port, unprivileged_user

ROOT = Path(__file__).resolve().parents[2]
FLASK_STAND_IN = """
import json, os, sys
names = ("DEVFORGE_DATA_DIR", "VIRTUAL_ENV")
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), **{n: os.environ.get(n) for n in names}}))
"""


def make_copy(folder: Path) -> Path:
    (folder / "tests").mkdir(parents=True)
    for locked_set in ("requirements.txt", "tests/requirements.txt"):
        (folder / locked_set).write_text("# nothing\n")
    (folder / "flask.py").write_text(FLASK_STAND_IN)
    shutil.copy(ROOT / "dev.py", folder)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return make_copy(tmp_path / "copy")


@pytest.fixture
def open_copy() -> Iterator[Path]:
    """A copy that an ordinary user may read but not write."""
    with folder_open_to_all("devforge-copy-") as folder:
        copy = make_copy(folder / "copy")
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755)  # whatever the umask is
        yield copy


@pytest.fixture
def port() -> int:
    return free_port()


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEVFORGE_", "PIP_"))}
    return {**kept, "PIP_NO_INDEX": "1", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def dev(
    copy: Path, *arguments: str, before: str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the copy's ``dev.py``, on a Python that was changed by the statements ``before``."""
    command = [options.pop("python", sys.executable), "dev.py", *arguments]
    if before is not None:
        start = f"import runpy, sys; sys.argv = ['dev.py', *sys.argv[1:]]; {before}; "
        command[1:2] = ["-c", start + "runpy.run_path('dev.py', run_name='__main__')"]
    return subprocess.run(
        command, cwd=copy, env=environment(copy), capture_output=True, text=True, check=False, **options
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One sentence on standard error that holds these words, exit code 2, and nothing was begun."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.endswith(".\n")
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def assert_serves(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    call: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return call


def test_a_taken_port_is_named_before_anything_is_made(copy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = str(other.getsockname()[1])
        assert_refused(dev(copy, "run", "--port", number), number, "taken", "--port")
    assert not (copy / ".venv").exists()
    assert not (copy / "data").exists()


def test_a_taken_port_for_streams_is_named_before_anything_is_made(copy: Path) -> None:
    number = free_port() + 1
    with socket.create_server(("127.0.0.1", number)):
        done = dev(copy, "run", "--port", str(number - 1))
        assert_refused(done, f"Port {number} ", "streams", "taken", "DEVFORGE_REALTIME_PORT")
    assert not (copy / ".venv").exists()


def test_a_host_that_is_not_this_machine_is_named(copy: Path) -> None:
    assert_refused(dev(copy, "run", "--host", "192.0.2.1"), "192.0.2.1", "--host")


@pytest.mark.parametrize("number", ["0", "65536", "-1", "http", "\uff18000"])
def test_a_port_that_is_no_port_is_refused(copy: Path, number: str) -> None:
    done = dev(copy, "run", f"--port={number}")
    assert done.returncode == 2
    assert "is not a port number" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_folder_that_cannot_be_made_is_named(copy: Path, port: int) -> None:
    (copy / "file").touch()
    done = dev(copy, "run", "--port", str(port), "--data-dir", "file/data")
    assert_refused(done, str(copy / "file" / "data"), "--data-dir")
    assert not (copy / ".venv").exists()


def test_an_old_python_can_read_the_file() -> None:
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("command", ["run", "test", "check", "flask"])
def test_an_old_python_is_told_which_one_is_needed(copy: Path, command: str) -> None:
    done = dev(copy, command, before="sys.version_info = (3, 8, 20, 'final', 0)")
    assert_refused(done, "3.11 or newer", "this is Python 3.8")


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_what_to_install(copy: Path, port: int, module: str) -> None:
    done = dev(copy, "run", "--port", str(port), before=f"sys.modules[{module!r}] = None")
    assert_refused(done, "venv", "apt install")
    assert not (copy / ".venv").exists()


def someone_else() -> dict[str, Any]:
    """Options to run as a user who may not write everywhere, with a Python that this user may run."""
    user = unprivileged_user()
    if user is None:
        return {}
    identity: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    good_enough = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (str(Path(sys.executable).resolve()), "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            if not subprocess.run([python, "-c", good_enough], cwd="/", check=False, **identity).returncode:
                return {"python": python, **identity}
        except OSError:
            continue
    pytest.skip("no Python that an ordinary user may run")


def test_a_data_folder_without_permission_is_named(open_copy: Path, port: int) -> None:
    folder = open_copy / "data"
    folder.mkdir()
    folder.chmod(0o555)
    done = dev(open_copy, "run", "--port", str(port), **someone_else())
    assert_refused(done, str(folder), "cannot be written", "--data-dir")


def test_a_repository_without_permission_is_named(open_copy: Path) -> None:
    open_copy.chmod(0o555)
    try:
        assert_refused(dev(open_copy, "flask", **someone_else()), str(open_copy), "cannot be written")
    finally:
        open_copy.chmod(0o755)


def test_a_start_hands_over_to_the_application(copy: Path, port: int) -> None:
    done = dev(copy, "run", "--port", str(port), "--data-dir", "elsewhere", "--no-demo")
    serving = ["--app", "wsgi", "start", "--host", "127.0.0.1", "--port", str(port), "--no-demo"]
    assert assert_serves(done) == {
        "arguments": serving,
        "folder": str(copy),
        "DEVFORGE_DATA_DIR": str(copy / "elsewhere"),
        "VIRTUAL_ENV": str(copy / ".venv"),
    }


def test_packages_are_installed_again_only_when_the_locked_set_has_changed(copy: Path) -> None:
    assert "Installing" in dev(copy, "flask").stderr
    again = dev(copy, "flask", "routes", "--help")
    assert assert_serves(again)["arguments"] == ["--app", "wsgi", "routes", "--help"]
    assert "Installing" not in again.stderr
    (copy / "requirements.txt").write_text("# something else\n")
    changed = dev(copy, "flask").stderr
    assert "Installing" in changed
    assert "Making" not in changed


def test_a_broken_off_installation_is_begun_anew(copy: Path) -> None:
    (copy / "requirements.txt").write_text("./missing-1.0-py3-none-any.whl\n")
    failed = dev(copy, "flask")
    assert failed.returncode == 2
    assert "missing-1.0" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("The packages could not be installed")
    (copy / "requirements.txt").write_text("# nothing\n")
    assert "Making" in dev(copy, "flask").stderr
    (copy / ".venv" / "bin" / "python").unlink()
    assert "Making" in dev(copy, "flask").stderr


def test_two_first_starts_at_once_install_once(copy: Path) -> None:
    command = [sys.executable, "dev.py", "flask"]
    starts = [
        subprocess.Popen(command, cwd=copy, env=environment(copy), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [start.communicate(timeout=100)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert "".join(outputs).count("Installing the packages") == 1
