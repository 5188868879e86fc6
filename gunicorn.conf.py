"""Gunicorn, for those who prefer it: the same settings as `flask serve`, from the environment.

Only behind a proxy that buffers: docs/decisions/0005-server.md says why.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # gunicorn reads this file before it moves here

from config import SettingsError, load
from devforge_api.ops.buffering import READERS
from devforge_api.ops.draining import LOOK_SECONDS, refuse_connections
from devforge_api.ops.processes import metrics_environment

try:
    settings = load(os.environ)
except SettingsError as error:
    sys.exit(f"Error: {error}")

_host = settings["HOST"]
bind = f"[{_host}]:{settings['PORT']}" if ":" in _host else f"{_host}:{settings['PORT']}"
workers = settings["WEB_WORKERS"]
worker_class = "gthread"
threads = settings["WEB_THREADS"] + READERS  # most of them only wait for bodies
keepalive = 5
timeout = 60
graceful_timeout = 15
limit_request_line = 8190
forwarded_allow_ips = ""  # DEVFORGE_TRUSTED_PROXIES decides whose word counts
control_socket_disable = True  # it would be made in the home folder
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ.update(metrics_environment(settings))


def when_ready(server: Any) -> None:
    """See to it that nobody who has come in is sent away when the server stops.

    The workers stop accepting at once, and what then waits on the port is reset in the end.
    """
    stop = server.stop

    def stop_in_order(graceful: bool = True) -> None:
        if not (server.systemd or server.reexec_pid or server.master_pid):  # the port is ours alone
            refuse_connections()
            time.sleep(2 * LOOK_SECONDS)  # for the workers to accept those who wait
        stop(graceful)

    server.stop = stop_in_order
