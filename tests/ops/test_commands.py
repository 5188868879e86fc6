"""``flask demo seed`` and ``flask settings``."""

import json
import stat

import pytest

from devforge_api.app import create_app
from devforge_api.billing.models import Price
from devforge_api.core.db import db
from devforge_api.licenses.models import License, Policy, Product
from devforge_api.users.models import User
from tests.factories import Api


@pytest.fixture
def demo_app(environ, app, tmp_path):
    """The application with a data folder of this test's own."""
    made = create_app({**environ, "DEVFORGE_DATA_DIR": str(tmp_path / "data")})
    yield made
    with made.app_context():
        db.engine.dispose()


def run(app, *arguments):
    return app.test_cli_runner().invoke(args=list(arguments))


def rows(app):
    """How many users, products, policies, licences and prices there are."""
    with app.app_context():
        counts = (
            db.select(db.func.count()).select_from(kind) for kind in (User, Product, Policy, License, Price)
        )
        return [db.session.scalar(count) for count in counts]


def test_the_demo_is_made_once_and_its_credentials_work(demo_app, tmp_path):
    first, second = run(demo_app, "demo", "seed"), run(demo_app, "demo", "seed")
    assert first.exit_code == second.exit_code == 0
    assert first.output == second.output
    assert rows(demo_app) == [2, 1, 4, 3, 9]
    file = tmp_path / "data" / "demo.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    api, demo = Api(demo_app), json.loads(file.read_text())
    for person in demo["people"]:
        assert person["password"] in first.output
        body = {"email": person["email"], "password": person["password"]}
        answer = api.post("/auth/login", body)
        assert answer.json["data"]["user"]["role"] == person["role"]
    first_price = api.get("/billing/pricing").json["data"][0]["prices"][0]
    assert (first_price["amount"], first_price["currency"], first_price["interval"]) == (
        5900,
        "USD",
        "one_time",
    )
    assert list(demo["licenses"]) == ["free", "pro", "enterprise"]
    for plan, key in demo["licenses"].items():
        assert key in first.output
        verdict = api.post("/licenses/validate", {"key": key}).json["data"]
        assert (verdict["code"], verdict["license"]["tier"]) == ("VALID", plan)


def test_a_new_database_beside_an_old_file_gets_a_new_demo(demo_app, tmp_path):
    file = tmp_path / "data" / "demo.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"people": [], "licenses": {"pro": "DF-OLD"}}')
    assert "DF-OLD" not in run(demo_app, "demo", "seed").output
    assert rows(demo_app)[0] == 2


def test_what_is_there_already_stays_as_it_is(demo_app, tmp_path):
    Api(demo_app).product("dev-forge")
    done = run(demo_app, "demo", "seed")
    assert done.exit_code == 0
    assert "nothing was added" in done.output
    assert rows(demo_app) == [0, 1, 0, 0, 0]
    assert not (tmp_path / "data" / "demo.json").exists()


def test_settings_are_listed_without_their_secrets(app, environ):
    done = run(app, "settings", "--json")
    assert done.exit_code == 0
    listed = {row["setting"]: row["value"] for row in json.loads(done.output)}
    assert listed["DEVFORGE_ENV"] == "testing"
    assert listed["DEVFORGE_WEB_WORKERS"] == "1"
    for name in ("DEVFORGE_SECRET_KEY", "DEVFORGE_MASTER_KEY", "DEVFORGE_DATABASE_URL"):
        assert listed[name] == "(set)"
    for output in (done.output, run(app, "settings").output):
        for name in ("DEVFORGE_SECRET_KEY", "DEVFORGE_MASTER_KEY", "DEVFORGE_DATABASE_URL"):
            assert environ[name] not in output
