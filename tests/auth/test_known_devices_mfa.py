"""Known devices where a second factor is asked for."""

import pytest
from sqlalchemy import func, select

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.service import devices
from devforge_api.core.db import db
from tests.factories import code_of

ELSEWHERE = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}


@pytest.fixture(autouse=True)
def early_in_a_minute(steady_minute):
    """Counts must not end between two steps."""


def test_the_device_is_known_still_when_the_second_factor_is_proven(app, api, calls, ada, authenticator):
    known = calls.login(ada.email).json["data"]["device_token"]
    phone = authenticator(ada)
    challenged = calls.login(ada.email, device_token=known, **ELSEWHERE).json["data"]
    assert "device_token" not in challenged
    body = {"challenge_token": challenged["challenge_token"], "code": phone.code()}
    signed_in = api.post("/auth/mfa/verify", body, **ELSEWHERE)
    assert signed_in.status_code == 200
    with app.app_context():
        answered = signed_in.json["data"]["device_token"]
        ids = [devices.device_id_of(token, ada.id) for token in (known, answered)]
        last = select(AuditEvent.changes).where(AuditEvent.action == "auth.signed_in")
        changes = db.session.scalars(last.order_by(AuditEvent.id.desc())).first()
    assert ids[0] == ids[1] is not None
    assert changes == {"method": [None, "password"]}


def test_unlocking_forgives_wrong_codes_too(app, ada, authenticator):
    phone = authenticator(ada)
    codes = []
    while not codes or codes[-1] != "RATE_LIMITED":
        codes.append(code_of(phone.verify(phone.challenge(), phone.wrong_code())))
    assert app.test_cli_runner().invoke(args=["users", "unlock", ada.email]).exit_code == 0
    assert phone.verify(phone.challenge(), phone.code()).status_code == 200
    with app.app_context():
        failed = select(func.count()).where(AuditEvent.action == "auth.mfa_failed")
        assert db.session.scalar(failed) == len(codes) - 1
