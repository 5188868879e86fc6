"""Probes, metrics, and Swagger UI's packaged files."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import flask
import flask_swagger_ui
from flask import Response, abort, current_app, request, send_from_directory
from flask.views import MethodView

from devforge_api.core import maintenance
from devforge_api.core.api import Blueprint
from devforge_api.core.clock import rfc3339
from devforge_api.core.metrics import exposition
from devforge_api.core.responses import success
from devforge_api.ops import service
from devforge_api.ops.errors import MetricsTokenMissing, NotReady
from devforge_api.ops.schemas import HealthSchema, ReadySchema

blp = Blueprint("ops", __name__, description="Health.")
docs = flask.Blueprint("docs", __name__)  # a page's files are no part of the API's documentation
UI_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
OWN_FILES = Path(__file__).parent / "static"
UI_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blp.route("/health")
class Health(MethodView):
    """The process."""

    @blp.response(200, HealthSchema)
    def get(self) -> Response:
        """Say that the process is alive; touches no other part"""
        return success({"status": "ok"})


@blp.route("/ready")
class Ready(MethodView):
    """The parts."""

    @blp.response(200, ReadySchema)
    @blp.raises(NotReady)
    def get(self) -> Response:
        """Say whether requests can be served: database, migrations, Redis, data folder, jobs"""
        results = _readiness().run()
        checks = {check.name: {"ok": check.ok, "detail": check.detail} for check in results}
        if failed := [check.name for check in results if not check.ok]:
            raise NotReady(f"Not ready: {', '.join(failed)}.", checks=checks)
        return success({"status": "ready", "maintenance": _maintenance(), "checks": checks})


def _maintenance() -> dict[str, Any] | None:
    """The maintenance under way, as the check of the jobs has just seen it."""
    state = maintenance.last_seen()
    if not state.active or state.changed_at is None:
        return None
    return {"since": rfc3339(state.changed_at), "message": state.message}


def _readiness() -> service.Readiness:
    """This application's checks: kept, so that one which hangs is known at the next question."""
    found: service.Readiness | None = current_app.extensions.get("devforge-readiness")
    if found is None:
        found = current_app.extensions.setdefault("devforge-readiness", service.Readiness(_checks()))
    return found


def _checks() -> dict[str, Callable[[], str]]:
    settings = current_app.config
    checks: dict[str, Callable[[], str]] = {
        "database": service.check_database,
        "migrations": lambda: service.check_migrations(settings["MIGRATIONS_DIR"]),
        "data_folder": lambda: service.check_data_folder(settings["DATA_DIR"]),
        "jobs": lambda: service.check_jobs(settings["JOB_LAG_LIMIT"]),
    }
    if url := settings["REDIS_URL"]:
        checks["redis"] = lambda: service.check_redis(url)
    return {name: _with_context(check) for name, check in checks.items()}


def _with_context(check: Callable[[], str]) -> Callable[[], str]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    @wraps(check)
    def run() -> str:
        with app.app_context():
            return check()

    return run


@blp.route("/metrics")
class Metrics(MethodView):
    """Figures."""

    @blp.response(200, {"type": "string"}, content_type="text/plain", example="devforge_up 1")
    @blp.raises(MetricsTokenMissing)
    def get(self) -> Response:
        """Show figures in Prometheus' text format"""
        token = current_app.config["METRICS_TOKEN"]
        given = request.headers.get("Authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise MetricsTokenMissing
        if not token and current_app.config["REQUIRE_HTTPS"]:
            abort(404)
        return Response(exposition(), mimetype="text/plain", headers={"Cache-Control": "no-store"})


@docs.route("/docs/assets/<path:name>")
def docs_asset(name: str) -> Response:
    """Serve a packaged file of Swagger UI, or our own start-up script."""
    folder = OWN_FILES if (OWN_FILES / name).is_file() and "/" not in name else UI_FILES
    return send_from_directory(folder, name, max_age=3600)


@docs.after_app_request
def set_docs_policy(response: Response) -> Response:
    """Let the documentation page load its own scripts and nothing else."""
    if request.path == "/docs":
        response.headers["Content-Security-Policy"] = UI_POLICY
    return response
