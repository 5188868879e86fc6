"""What web processes note in memory is written when they end, and every few seconds until then."""

import json

import pytest

from devforge_api.core.db import db
from devforge_api.licenses.models import License
from tests.ops.conftest import until

VALIDATE = "/api/v1/licenses/validate"


def validate(server, license_):
    answer, _ = server.ask(
        VALIDATE,
        method="POST",
        body=json.dumps({"key": license_.key}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status == 200


def last_validated(api, license_):
    with api.app.app_context():
        return db.session.get_one(License, license_.id).last_validated_at


@pytest.mark.parametrize("kind", ["granian", "gunicorn"])
def test_a_server_that_is_told_to_stop_writes_what_it_has_noted(api, start_server, kind):
    license_ = api.license()
    server = start_server(SERVER=kind)
    validate(server, license_)
    assert last_validated(api, license_) is None
    assert server.stop() == 0
    assert last_validated(api, license_) is not None


def test_it_is_written_soon_while_the_server_goes_on(api, live_server):
    license_ = api.license()
    validate(live_server, license_)
    until(lambda: last_validated(api, license_) is not None, "nothing is written")
