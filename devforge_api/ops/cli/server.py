"""``flask serve|realtime|start|worker|beat``: the long-running processes."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade

from config.delivery import neighbor
from devforge_api.core.cli import command_line
from devforge_api.core.outbox import Lane
from devforge_api.ops.buffering import READERS
from devforge_api.ops.demo import print_credentials, seed
from devforge_api.ops.processes import MALLOC_ENVIRONMENT, metrics_environment

ROOT = Path(__file__).resolve().parents[3]
# A client has ten seconds for its headers; requests in flight have as long when the server stops,
# and then a little: together less than the 30 s that orchestrators wait.
HEADER_SECONDS, DRAIN_SECONDS = 10, 15
OPEN_FILES = 8192
REALTIME_FILES = 512  # beside its connections
# A server that has just been stopped leaves its realtime process a moment to follow.
FOLLOWING_SECONDS = 3.0


def _address(host: str | None, port: int | None) -> tuple[str, int]:
    return host or current_app.config["HOST"], port or current_app.config["PORT"]


def server_command(settings: Any, host: str, port: int) -> list[str]:
    """The command line of the configured server."""
    if settings["SERVER"] == "gunicorn":
        return [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app"]
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
        "--workers", str(settings["WEB_WORKERS"]),
        "--blocking-threads", str(settings["WEB_THREADS"] + READERS),
        "--backlog", "2048",
        "--workers-kill-timeout", str(DRAIN_SECONDS),
        "--respawn-failed-workers",
        "--http", "1",
        "--http1-header-read-timeout", str(HEADER_SECONDS * 1000),
        "--log-level", "error",
        "--no-ws",
        "wsgi:app",
    ]  # fmt: skip


def _check_address(host: str, port: int, *, patience: float = 0.0) -> None:
    """Say in a sentence what the server would say in a traceback.

    :param patience: seconds for which it may be taken.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            return
        except OSError as error:
            if time.monotonic() >= deadline:
                sentence = f"Port {port} on {host} cannot be opened: {error.strerror}."
                raise click.ClickException(sentence) from error
            time.sleep(0.1)


def _allow_connections(most: int = OPEN_FILES) -> None:
    """Raise the number of open files, often 1,024, as far as we may: connections count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _become_server(host: str, port: int) -> None:
    """Replace this process by the server: signals reach it, and no memory is held twice."""
    _check_address(host, port)
    command = server_command(current_app.config, host, port)
    environ = {name: value for name, value in os.environ.items() if name != "FLASK_RUN_FROM_CLI"}
    environ |= {"DEVFORGE_HOST": host, "DEVFORGE_PORT": str(port)}
    environ |= metrics_environment(current_app.config)
    environ = MALLOC_ENVIRONMENT | environ
    _allow_connections()
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(command[0], command, environ)  # noqa: S606 - our own command line, no shell


def _realtime(host: str, port: int, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The realtime process: its command line and its environment."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in {"FLASK_RUN_FROM_CLI", "PROMETHEUS_MULTIPROC_DIR", "GUNICORN_CMD_ARGS"}
    }
    environ |= {"DEVFORGE_HOST": host, "DEVFORGE_REALTIME_PORT": str(port)}
    return [sys.executable, "-m", "devforge_api.realtime_app", *arguments], MALLOC_ENVIRONMENT | environ


def _start_realtime(host: str, port: int) -> None:
    """Start the realtime process beside the one that we are going to become, and tie it to that.

    It reads a pipe whose other end this process, and whatever it turns into, holds and never
    writes to: when the last holder is gone, whatever has ended it, the pipe is closed.
    """
    reading, writing = os.pipe()
    command, environ = _realtime(host, port, "--while-open", str(reading))
    # In a session of its own: Ctrl-C in the terminal is for the server.
    subprocess.Popen(  # noqa: S603 - our own command line, no shell
        command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, pass_fds=[reading], start_new_session=True
    )
    os.close(reading)
    os.set_inheritable(writing, True)


host_option = click.option("--host", help="Address to listen on.")
port_option = click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")


@click.command("serve")
@host_option
@port_option
@with_appcontext
@command_line
def serve(host: str | None, port: int | None) -> None:
    """Serve with the production server."""
    _become_server(*_address(host, port))


@click.command("realtime")
@host_option
@port_option
@with_appcontext
@command_line
def realtime(host: str | None, port: int | None) -> None:
    """Serve streams: server-sent events and WebSocket."""
    settings = current_app.config
    host, port = host or settings["HOST"], port or settings["REALTIME_PORT"]
    _check_address(host, port)
    command, environ = _realtime(host, port)
    _allow_connections(settings["REALTIME_CONNECTIONS"] + REALTIME_FILES)
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(command[0], command, environ)  # noqa: S606 - our own command line, no shell


@click.command("start")
@host_option
@port_option
@click.option("--no-demo", is_flag=True, help="Leave the demo data out.")
@with_appcontext
@command_line
def start(host: str | None, port: int | None, no_demo: bool) -> None:
    """Migrate, seed the demo, say where everything is, and serve, with streams at the next port."""
    host, port = _address(host, port)
    streams = int(os.environ.get("DEVFORGE_REALTIME_PORT") or neighbor(port))
    _check_address(host, port)
    _check_address(host, streams, patience=FOLLOWING_SECONDS)
    upgrade(directory=str(current_app.config["MIGRATIONS_DIR"]))
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{port}"
    click.echo(f"Dev Forge API  {base}")
    click.echo(f"Swagger UI     {base}/docs")
    click.echo(f"OpenAPI        {base}/api/v1/openapi.json")
    click.echo(f"Streams        http://{shown}:{streams}/api/v1/realtime/stream")
    click.echo(f"Data folder    {current_app.config['DATA_DIR']}")
    if not no_demo and current_app.config["ENV"] == "development":
        seed()
        print_credentials()
    _start_realtime(host, streams)
    _become_server(host, port)


@click.command("worker")
@click.option("--concurrency", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes.")
@click.option(
    "--lane",
    "lanes",
    type=click.Choice([lane.value for lane in Lane]),
    multiple=True,
    help="Deliver only these: the work on the database, letters and payments, strangers' addresses.",
)
@with_appcontext
@command_line
def worker(concurrency: int, lanes: tuple[str, ...]) -> None:
    """Deliver events by Celery; needs DEVFORGE_CELERY_BROKER_URL."""
    queues = ",".join(lane.queue for lane in Lane if not lanes or lane in lanes)
    _become_celery(
        "worker",
        "--concurrency",
        str(concurrency),
        "--queues",
        queues,
        "--without-gossip",
        "--without-mingle",
    )


@click.command("beat")
@with_appcontext
@command_line
def beat() -> None:
    """Keep Celery's schedule: sweeper and jobs. One process; a second one does no harm."""
    folder = current_app.config["DATA_DIR"]
    folder.mkdir(parents=True, exist_ok=True)
    _become_celery("beat", "--schedule", str(folder / "beat-schedule"), "--pidfile", "")


def _become_celery(*arguments: str) -> None:
    if not current_app.config["CELERY_BROKER_URL"]:
        raise click.ClickException("Set DEVFORGE_CELERY_BROKER_URL; without it the web process delivers.")
    command = [sys.executable, "-m", "celery", "-A", "devforge_api.celery_app", *arguments]
    environ = {name: value for name, value in os.environ.items() if name != "FLASK_RUN_FROM_CLI"}
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(command[0], command, environ)  # noqa: S606 - our own command line, no shell
