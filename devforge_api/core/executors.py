"""Which executor delivers events: a thread of the web process, or Celery's workers."""

from __future__ import annotations

from flask import Flask

from devforge_api.core import outbox
from devforge_api.core.worker import WorkerThreads, make_signing_keys


def start_executor(app: Flask) -> None:
    """Begin to deliver what this process commits; called by servers, never by the CLI.

    Celery is imported only where ``DEVFORGE_CELERY_BROKER_URL`` is set.
    """
    if not app.config["CELERY_BROKER_URL"]:
        WorkerThreads(app).start()
        return
    from devforge_api.core.celery_executor import CeleryExecutor, make_celery  # noqa: PLC0415

    make_signing_keys(app)
    outbox.install_executor(app, CeleryExecutor(make_celery(app)))
