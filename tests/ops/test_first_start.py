"""A new installation serves at once, whoever delivers its events."""

import json
import os
import subprocess
import sys

from tests.conftest import settings_for
from tests.ops.conftest import ROOT, running


def test_the_first_key_is_there_before_the_first_answer_with_celery_too(tmp_path):
    """On SQLite a request cannot make it: its own transaction is the one writer."""
    url = f"sqlite:///{tmp_path / 'fresh.sqlite3'}"
    settings = settings_for("embedded", tmp_path, url, None)
    settings["DEVFORGE_CELERY_BROKER_URL"] = "redis://127.0.0.1:9/0"  # away: events wait, requests do not
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEVFORGE_")}
    upgrade = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    subprocess.run(upgrade, cwd=ROOT, env={**inherited, **settings}, check=True, capture_output=True)
    body = json.dumps({"email": "ada@example.com", "password": "staple orbit lantern"})
    with running(settings, tmp_path) as server:
        answer, text = server.ask(
            "/api/v1/auth/register", method="POST", body=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status == 201, text
