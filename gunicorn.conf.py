"""Gunicorn, for those who run it behind a buffering proxy: numbers from the environment.

`flask serve` starts the default server instead; docs/decisions/0005-server.md says why.
"""

import os

bind = f"{os.environ.get('DEVFORGE_HOST', '127.0.0.1')}:{os.environ.get('DEVFORGE_PORT', '8000')}"
workers = int(os.environ.get("DEVFORGE_WEB_WORKERS", "1"))
threads = int(os.environ.get("DEVFORGE_WEB_THREADS", "8"))
worker_class = "gthread"
keepalive = 5
timeout = 60
graceful_timeout = 30
max_requests_jitter = 0
control_socket_disable = True
limit_request_line = 8190
