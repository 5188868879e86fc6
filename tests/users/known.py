"""Somebody of whom every table knows something, and looking at what is known."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from devforge_api.auth import models as auth
from devforge_api.auth.models import Purpose
from devforge_api.auth.service import one_time
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import encrypt
from devforge_api.core.mail import outgoing, suppression
from devforge_api.core.realtime import feed
from devforge_api.licenses.models import MachineComponent
from devforge_api.licenses.queries import get_license
from devforge_api.licenses.service import features, people
from devforge_api.notifications import models as told
from tests.factories import PASSWORD
from tests.files.samples import picture, upload

HOME = "198.51.100.7"
MARKS = ("ada.lovelace", "Ada L", HOME, "AdaBrowser", "Ada's laptop", "Ada's robot", "ada-at-provider")


def make_ada(app, api):
    """Somebody of whom every table knows something."""
    place = {"environ_base": {"REMOTE_ADDR": HOME}, "headers": {"User-Agent": "AdaBrowser/1"}}
    who = api.person(email="ada.lovelace@example.com")
    login = {"email": who.email, "password": PASSWORD, "device_name": "Ada's laptop"}
    assert api.post("/auth/login", login, **place).status_code == 200
    assert api.post("/auth/login", {**login, "password": "wrong one"}, **place).status_code == 401
    headers = {
        "headers": {**who.headers, "User-Agent": "AdaBrowser/1"},
        "environ_base": {"REMOTE_ADDR": HOME},
    }
    assert api.patch("/users/me", {"name": "Ada L."}, **headers).status_code == 200
    assert api.put("/users/me/settings", {"theme": "Ada L's"}, **headers).status_code == 200
    sent = upload(api, picture(), "Ada L at home.png", by=who, environ_base={"REMOTE_ADDR": HOME})
    assert sent.status_code == 201
    license_ = api.license(owner=who)
    body = {"key": license_.key, "fingerprint": "m1", "name": "Ada's laptop"}
    activated = api.post("/licenses/activate", body, **place)
    assert activated.status_code == 201
    with acting(Occasion(kind="cli", request_id="factory")):  # not on the occasion of her last call
        use_licenses(app, api, who, license_)
    with app.app_context(), unit_of_work():
        machine_id = UUID(activated.json["data"]["id"])
        db.session.add(MachineComponent(machine_id=machine_id, fingerprint="b1", name="board"))
        robot = auth.ServiceAccount(owner_id=who.id, name="Ada's robot", scopes=[])
        db.session.add(robot)
        db.session.flush()
        later = utc_now() + timedelta(days=1)
        db.session.add_all(
            [
                auth.PersonalAccessToken(
                    user_id=who.id, service_account_id=robot.id, name="Ada's robot", scopes=[],
                    token_hash="a" * 64, hint="xyz", expires_at=later,
                ),
                auth.Identity(
                    user_id=who.id, provider="google", subject="ada-at-provider", email=who.email
                ),
                auth.TotpFactor(user_id=who.id, secret=encrypt("b" * 64), confirmed_at=None),
                auth.RecoveryCode(user_id=who.id, code_hash="c" * 64),
                auth.DeviceGrant(
                    client_id="app", scope="", device_code_hash="d" * 64, user_code="ABCD", user_id=who.id,
                    expires_at=later,
                ),
            ]
        )  # fmt: skip
        one_time.issue(Purpose.RESET_PASSWORD, lifetime=timedelta(hours=1), user_id=who.id)
        outgoing.send("verify_email", to=who.email, locale=None, link="https://secret")
        be_told(who)
    return who


def be_told(who):
    """A notification and all that goes with it, in a unit of work."""
    later = utc_now() + timedelta(days=1)
    words = {"name": "Ada L."}
    push = {"endpoint_hash": "e" * 64, "endpoint": encrypt("e" * 64), "keys": encrypt("e" * 64)}
    db.session.add_all(
        [
            told.Notification(user_id=who.id, kind=told.Kind.ACCOUNT, event="auth.mfa_enabled", data=words),
            told.Preference(user_id=who.id, kind=told.Kind.RELEASES, channel=told.Channel.MAIL, enabled=True),
            told.PushSubscription(user_id=who.id, user_agent="AdaBrowser/1", **push),
            told.RealtimeTicket(user_id=who.id, token_hash="f" * 64, expires_at=later),
        ]
    )
    feed.append([who.id], "notification", words)
    suppression.suppress(who.email, suppression.SuppressionReason.COMPLAINED, "Ada L. wrote to us")


def use_licenses(app, api, who, license_):
    """A feature of the licence's own, a place on somebody else's licence, and a trial."""
    api.entitlement("priority-support")
    api.license(owner=who, policy={"trial": True, "duration_days": 14})
    shared = api.license()
    with app.app_context(), unit_of_work():
        own = get_license(license_.id, owner_id=None, for_update=True)
        features.replace(own, [{"code": "priority-support", "expires_at": None}])
        people.add(shared.id, owner_id=None, user_id=who.id)


def step_up(app, who):
    """As if the password had just been proven again in every session."""
    with app.app_context(), unit_of_work():
        db.session.execute(
            auth.Session.__table__.update()
            .where(auth.Session.user_id == who.id)
            .values(reauthenticated_at=utc_now())
        )


def opened(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        topics = [name for name in archive.namelist() if "/contents/" not in name]
        return {name: json.loads(archive.read(name)) for name in topics}


def everything(app):
    """Every row of every table, as one text each."""
    with app.app_context():
        for table in db.metadata.tables.values():
            for row in db.session.execute(select(table)).mappings():
                yield table.name, str({name: str(value) for name, value in row.items()})
