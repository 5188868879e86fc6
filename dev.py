#!/usr/bin/env python3
"""One command from a fresh clone to a running server: ``python3 dev.py run``.

Needs nothing but Python itself: it makes ``.venv`` beside this file, installs the locked
packages into it, and hands over to the ``flask`` command line there. Written so that an old
Python can still read it, and then say which one is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, Mapping, NoReturn, Sequence, TextIO

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RUN_SET = "requirements.txt"
TEST_SET = "tests/requirements.txt"  # a superset of RUN_SET
FLASK = [str(PYTHON), "-m", "flask", "--app", "wsgi"]
FOLLOWING_SECONDS = 3.0
MOST_TEST_WORKERS = 8  # each has a database of its own; more of them stop paying


class Refusal(Exception):
    """The command cannot go on; the text is one sentence that says what to do."""


# --- What must be true before anything slow starts ---------------------------------------


def check_python() -> None:
    """Refuse a Python that is too old for the application, naming a newer one if there is one."""
    if os.name != "posix":
        raise Refusal("Dev Forge API runs on Linux and macOS: on Windows, use it inside WSL.")
    if sys.version_info >= OLDEST_PYTHON:
        return
    known = [f"python3.{minor}" for minor in range(20, OLDEST_PYTHON[1] - 1, -1)]
    newer = next(filter(shutil.which, known), None)
    advice = f"start it with {newer} dev.py" if newer else "install one and start dev.py with it"
    mine, oldest = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST_PYTHON))
    raise Refusal(f"Python {oldest} or newer is needed and this is Python {mine}: {advice}.")


def check_venv_module() -> None:
    """Refuse a Python that cannot make virtual environments (Debian splits them off)."""
    try:
        importlib.import_module("venv")
        importlib.import_module("ensurepip")
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Refusal(
            "This Python cannot make virtual environments: install its venv module "
            f"(on Debian and Ubuntu: apt install {package}) and start again."
        ) from None


def check_ports(host: str, port: int, streams: int) -> None:
    """Refuse what the server and, for streams, its second process could not listen on.

    A server that has just been stopped leaves its second process a moment to follow.
    """
    check_port(host, port)
    deadline = time.monotonic() + FOLLOWING_SECONDS
    while True:
        try:
            return check_port(host, streams, ", for streams,", "DEVFORGE_REALTIME_PORT")
        except Refusal:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def realtime_port(port: int, environment: Mapping[str, str]) -> int:
    """Where streams are served: beside the server, unless a setting says otherwise."""
    given = environment.get("DEVFORGE_REALTIME_PORT") or ""
    if given.isascii() and given.isdigit() and 1 <= int(given) <= 65535:
        return int(given)
    return port + 1 if port < 65535 else port - 1


def check_port(host: str, port: int, purpose: str = "", option: str = "--port") -> None:
    """Refuse an address that the server would not be able to listen on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(address)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name such as "a..b"
        reason = getattr(error, "errno", None)
        where = f"Port {port} on {host}{purpose}"
        if reason == errno.EADDRINUSE:
            sentence = f"{where} is taken: stop the program that uses it or choose another with {option}."
        elif reason in (errno.EACCES, errno.EPERM):
            sentence = f"{where} is reserved by the system: choose one above 1023 with {option}."
        else:
            sentence = f"{where} cannot be opened, as this machine has no such address: correct --host."
        raise Refusal(sentence) from None


def check_data_dir(folder: Path) -> None:
    """Make the data folder if it is missing, and refuse one that cannot be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            pass
    except OSError as error:
        raise Refusal(
            f"The data folder {folder} cannot be written ({error.strerror}): correct its permissions "
            "or choose another with --data-dir."
        ) from None


# --- The virtual environment -------------------------------------------------------------


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let one ``dev.py`` at a time look at and change ``.venv``; the others wait."""
    import fcntl  # not on Windows, which check_python has refused by now

    with open(__file__, "rb") as own_file:  # locking this very file leaves no lock file behind
        try:
            fcntl.flock(own_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another dev.py, which is installing …", sys.stderr)
            fcntl.flock(own_file, fcntl.LOCK_EX)
        yield


class Stamp:
    """A note inside ``.venv`` of where it was made and what was installed into it."""

    path = VENV / "devforge.json"

    def read(self) -> dict[str, str]:
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, **content: str) -> None:
        self.path.write_text(json.dumps({"folder": str(VENV), **content}, indent=2))

    @staticmethod
    def digests(locked_set: str) -> dict[str, str]:
        """What a finished installation of this set is known by."""
        names = [RUN_SET, TEST_SET] if locked_set == TEST_SET else [RUN_SET]
        return {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in names}


def ensure_venv(locked_set: str) -> None:
    """Bring ``.venv`` to the state in which exactly this locked set is known to be installed."""
    wanted = Stamp.digests(locked_set)
    with only_one():
        stamp = Stamp().read()
        usable = is_usable(stamp)
        if usable and wanted.items() <= stamp.items():
            return
        folder = VENV if usable else ROOT
        if not os.access(str(folder), os.W_OK):
            raise Refusal(
                f"The folder {folder} cannot be written, and packages must be installed there: "
                "correct its permissions or work in a copy of your own."
            )
        if not usable:
            make_venv()
        install(locked_set)
        Stamp().write(**wanted)


def is_usable(stamp: dict[str, str]) -> bool:
    """Whether ``.venv`` can be built upon: it runs, was not moved, and no install broke off."""
    if stamp.get("folder", str(VENV)) != str(VENV) or "installing" in stamp:
        return False
    unfit = f"sys.prefix == sys.base_prefix or sys.version_info < {OLDEST_PYTHON}"
    try:
        probe = silently([str(PYTHON), "-I", "-c", f"import sys, pip; sys.exit({unfit})"], dict(os.environ))
    except OSError:
        return False
    return probe.returncode == 0


def make_venv() -> None:
    """Make ``.venv`` from nothing, in place of a broken one."""
    check_venv_module()
    say("Making the virtual environment .venv …", sys.stderr)
    base = getattr(sys, "_base_executable", None) or sys.executable  # survives an activated .venv
    try:
        if VENV.is_symlink():
            VENV.unlink()
        elif VENV.exists():
            shutil.rmtree(str(VENV))
        VENV.mkdir()
        Stamp().write(installing="pip")  # if this is interrupted, the next start begins anew
    except OSError as error:
        raise Refusal(f"The broken {VENV} cannot be replaced ({error.strerror}): delete it.") from None
    run_or_refuse([base, "-m", "venv", str(VENV)], "The virtual environment could not be made: see above.")


def install(locked_set: str) -> None:
    """Install one locked set with pip, which checks every file against its hash."""
    say(f"Installing the packages of {locked_set} …", sys.stderr)
    Stamp().write(installing=locked_set)
    pip = [str(PYTHON), "-I", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    run_or_refuse(
        [*pip, "--require-hashes", "-r", locked_set],
        "The packages could not be installed: check the network (and any proxy), then start again.",
    )


def run_or_refuse(command: Sequence[str], refusal: str) -> None:
    """Run a command silently; if it fails, show its last lines and refuse."""
    # A user-wide "--user" setting would be refused inside a venv; and what an interrupted pip
    # leaves behind goes away with the venv.
    done = silently(command, {**os.environ, "PIP_USER": "0", "TMPDIR": str(VENV)})
    if done.returncode:
        say("\n".join(done.stdout.splitlines()[-12:]), sys.stderr)
        raise Refusal(refusal)


def silently(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's folder, keeping everything that it prints."""
    return subprocess.run(
        command,
        check=False,
        cwd=str(ROOT),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def venv_environment() -> dict[str, str]:
    """The process environment of someone who has activated ``.venv``."""
    path = os.environ.get("PATH", os.defpath)
    venv = {"VIRTUAL_ENV": str(VENV), "PATH": str(PYTHON.parent) + os.pathsep + path}
    # A stray .env file would reach the command line and not the servers: neither reads one.
    return {**os.environ, **venv, "FLASK_SKIP_DOTENV": "1"}


def become(command: Sequence[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process, so that signals and the exit code are the command's own."""
    os.chdir(str(ROOT))
    sys.stdout.flush()
    os.execve(command[0], list(command), environment)


# --- The commands ------------------------------------------------------------------------


def run(host: str, port: int, data_dir: str | None, demo: bool) -> NoReturn:
    """Serve the API from this folder, ready to use."""
    environment = venv_environment()
    if data_dir is not None:
        environment["DEVFORGE_DATA_DIR"] = str(Path(data_dir).expanduser().absolute())
    check_ports(host, port, realtime_port(port, environment))
    check_data_dir(ROOT / environment.get("DEVFORGE_DATA_DIR", "data"))
    ensure_venv(RUN_SET)
    options = [] if demo else ["--no-demo"]
    become([*FLASK, "start", "--host", host, "--port", str(port), *options], environment)


def test(arguments: Sequence[str]) -> NoReturn:
    """Run the suite on every core (``--all``: with what takes long), or pytest with other arguments."""
    ensure_venv(TEST_SET)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    everything = ["-n", str(min(cores, MOST_TEST_WORKERS)), "--dist", "worksteal"]
    if list(arguments) in ([], ["--all"]):
        arguments = [*everything, *arguments]
    become([str(PYTHON), "-m", "pytest", *arguments], venv_environment())


def check() -> int:
    """Run every check except the tests, all of them even if one fails."""
    ensure_venv(TEST_SET)
    python = [str(PYTHON), "-m"]
    with tempfile.TemporaryDirectory(prefix="devforge-check-") as folder:
        openapi = str(Path(folder) / "openapi.json")
        steps = {
            "ruff check": [[*python, "ruff", "check", "--output-format=concise"]],
            "ruff format": [[*python, "ruff", "format", "--check"]],
            "mypy": [[*python, "mypy"]],
            "import-linter": [[str(PYTHON.parent / "lint-imports")]],
            "migrations match the models": [[*FLASK, "db", "upgrade"], [*FLASK, "db", "check"]],
            "OpenAPI document": [
                [*FLASK, "openapi", "write", openapi],
                [*python, "openapi_spec_validator", openapi],
            ],
        }
        # Only what the checks need: a developer's own settings must not change their outcome.
        environment = {k: v for k, v in venv_environment().items() if not k.startswith("DEVFORGE_")}
        environment["DEVFORGE_DATA_DIR"] = folder
        failed = [name for name, commands in steps.items() if not passes(name, commands, environment)]
    return 1 if failed else 0


def passes(name: str, commands: list[list[str]], environment: dict[str, str]) -> bool:
    """Run one step's commands up to the first failure, and show the output of that one only."""
    for command in commands:
        done = silently(command, environment)
        if done.returncode:
            say(f"✗ {name}\n{done.stdout.rstrip()}")
            return False
    say(f"✓ {name}")
    return True


def say(text: str, stream: TextIO | None = None) -> None:
    """Print at once, also into a pipe and on a terminal that does not know the characters."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def port_number(text: str) -> int:
    """Read a TCP port for argparse."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port number from 1 to 65535")


def command_line() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="dev.py", description="Run, test and manage Dev Forge API.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser("run", help="make .venv, migrate, seed a demo, and serve")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=port_number, default=8000, help="port (default: %(default)s)")
    serve.add_argument("--data-dir", metavar="DIR", help="where everything is kept (default: data)")
    serve.add_argument("--no-demo", action="store_true", help="do not add the demo accounts and licences")
    commands.add_parser("test", add_help=False, help="run the tests; arguments go to pytest")
    commands.add_parser("check", help="run the linters, mypy, and the migration and OpenAPI checks")
    commands.add_parser("flask", add_help=False, help="run the flask command line, for example: flask routes")
    return parser


def main(arguments: list[str]) -> int:
    """Run one command; a refusal is printed as its sentence and exits with 2."""
    parser = command_line()
    options, rest = parser.parse_known_args(arguments)
    try:
        check_python()
        if options.command == "test":
            test(arguments[1:])
        if options.command == "flask":
            ensure_venv(RUN_SET)
            become([*FLASK, *arguments[1:]], venv_environment())
        if rest:
            parser.error("unknown: " + " ".join(rest))
        if options.command == "check":
            return check()
        run(options.host, options.port, options.data_dir, demo=not options.no_demo)
    except Refusal as refusal:
        say(str(refusal), sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("Stopped.", sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
