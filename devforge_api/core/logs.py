"""Logs: one JSON object a line, with the request's id; secrets never get this far."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Flask

from devforge_api.core.context import occasion

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, request id, user, and what ``extra`` adds."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        now = occasion()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": now.request_id,
        }
        if now.principal:
            line["user_id"] = str(now.principal.user_id)
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


def init_app(app: Flask) -> None:
    """Send this package's log to standard error; other libraries' warnings too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    # What no line tells need not be found out: the calling line, thread and process of each record
    # (the logging HOWTO's advice).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    own = logging.getLogger("devforge_api")
    own.handlers, own.propagate = [handler], False
    own.setLevel(app.config["LOG_LEVEL"])
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
