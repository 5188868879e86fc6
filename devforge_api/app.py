"""The application factory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

import config
from devforge_api import registry
from devforge_api.core import (
    db,
    encryption,
    gateway,
    hot,
    keys,
    limits,
    logs,
    redis_link,
    revocation,
    security,
)
from devforge_api.core.api import Api
from devforge_api.core.application import Application
from devforge_api.core.json import OrjsonProvider

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def create_app(environ: Mapping[str, str] | None = None, **overrides: Any) -> Flask:
    """Make the application.

    :param environ: where the settings come from; ``os.environ`` by default.
    :param overrides: configuration values that win over everything, for tests.
    :raises SettingsError: the settings do not make a usable configuration.
    """
    app = Application("devforge_api", static_folder=None, template_folder="ops/templates")
    app.config.update(config.load(os.environ if environ is None else environ))
    app.config.update(overrides, MIGRATIONS_DIR=MIGRATIONS)
    app.json = OrjsonProvider(app)
    logs.init_app(app)
    db.init_app(app)
    encryption.init_app(app)
    keys.init_app(app)
    redis_link.init_app(app)
    limits.init_app(app)
    revocation.init_app(app)
    security.init_app(app)
    gateway.init_app(app)
    registry.register(app, Api(app))
    security.collect_access(app)
    hot.init_app(app)
    gateway.trust_proxies(app)
    return app
