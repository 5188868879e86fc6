"""What the tests of signing in share: calls in a line, forged tokens, other settings."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from devforge_api.app import create_app
from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import Session, TotpFactor
from devforge_api.core import argon2id, passwords
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.keys import KeyPair, KeyPurpose, keyring
from tests.factories import PASSWORD, Api, Person


class Calls:
    """The credential routes, each in one line."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def register(self, email: str = "new@example.com", password: str = PASSWORD, **more: Any) -> TestResponse:
        return self.api.post("/auth/register", {"email": email, "password": password, **more})

    def login(
        self,
        email: str,
        password: str = PASSWORD,
        *,
        device_name: str | None = None,
        device_token: str | None = None,
        **kwargs: Any,
    ) -> TestResponse:
        body = {"email": email, "password": password, "device_name": device_name}
        if device_token is not None:
            body["device_token"] = device_token
        return self.api.post("/auth/login", body, **kwargs)

    def refresh(self, token: str, **kwargs: Any) -> TestResponse:
        return self.api.post("/auth/refresh", {"refresh_token": token}, **kwargs)

    def me(self, token: str) -> TestResponse:
        return self.api.get("/auth/me", headers={"Authorization": f"Bearer {token}"})

    def change_password(self, by: Person, new: str, *, current: str = PASSWORD) -> TestResponse:
        return self.api.post(
            "/auth/password/change", {"current_password": current, "new_password": new}, by=by
        )


@pytest.fixture
def calls(api: Api) -> Calls:
    return Calls(api)


@pytest.fixture
def calls_with(app: Flask, environ: dict[str, str]) -> Iterator[Callable[..., Calls]]:
    """The calls to one more process of this column, under other settings."""
    others: list[Flask] = []

    def make(**overrides: Any) -> Calls:
        others.append(create_app(environ, **overrides))
        return Calls(Api(others[-1]))

    yield make
    for other in others:
        with other.app_context():
            db.engine.dispose()


@pytest.fixture
def hash_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every computation of argon2id, in order: ``hash`` or ``verify``."""
    seen: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        genuine = getattr(argon2id, name)

        def computed(*args: Any) -> Any:
            seen.append(name.partition("_")[0])
            return genuine(*args)

        return computed

    for name in ("hash_password", "verify"):
        monkeypatch.setattr(argon2id, name, watched(name))
    return seen


def b64(data: bytes | dict[str, Any]) -> str:
    raw = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unpacked(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, unverified."""
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return header, claims


class Forge:
    """Tokens signed by the server's own key: what only a leaked or misused key could make."""

    def __init__(self, app: Flask, person: Person) -> None:
        with app.app_context():
            self.pair: KeyPair = keyring(KeyPurpose.TOKENS).signing()
        self.person = person
        self.header, self.claims = unpacked(person.access_token)

    def signed(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        text = f"{b64(header)}.{b64(claims)}"
        return f"{text}.{b64(self.pair.private.sign(text.encode()))}"

    def token(self, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """The person's access token with other values; ``...`` leaves one out."""
        return self.signed(
            _changed(self.header, header or {}),
            _changed(self.claims, claims),
        )


def _changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not ...}


@pytest.fixture
def forge(app: Flask, api: Api) -> Forge:
    return Forge(app, api.person())


@pytest.fixture
def session_of(app: Flask) -> Callable[[Person], UUID]:
    """The id of the session that a person's token names."""
    return lambda person: UUID(unpacked(person.access_token)[1]["sid"])


@pytest.fixture
def rewind(app: Flask) -> Callable[..., None]:
    """Set columns of a session, as if time had passed."""

    def change(session_id: UUID, **values: datetime) -> None:
        with app.app_context(), unit_of_work():
            db.session.execute(update(Session).where(Session.id == session_id).values(**values))

    return change


class Authenticator:
    """A person's confirmed authenticator app, and the recovery codes that came with it."""

    def __init__(self, api: Api, person: Person) -> None:
        self.api, self.person = api, person
        with self._as_if_proven():
            enrolled = api.post("/auth/mfa/totp", by=person)
        assert enrolled.status_code == 201, enrolled.json
        self.secret: str = enrolled.get_json()["data"]["secret"]
        confirmed = api.post("/auth/mfa/totp/confirm", {"code": self.code()}, by=person)
        assert confirmed.status_code == 200, confirmed.json
        self.recovery_codes: list[str] = confirmed.get_json()["data"]["recovery_codes"]

    @contextmanager
    def _as_if_proven(self) -> Iterator[None]:
        """Let the person's sessions count as proven a moment ago; afterwards all is as it was."""
        theirs = Session.user_id == self.person.id
        with self.api.app.app_context(), unit_of_work():
            marks = db.session.execute(select(Session.id, Session.reauthenticated_at).where(theirs)).all()
            db.session.execute(update(Session).where(theirs).values(reauthenticated_at=utc_now()))
        yield
        with self.api.app.app_context(), unit_of_work():
            for session_id, moment in marks:
                mark = update(Session).where(Session.id == session_id)
                db.session.execute(mark.values(reauthenticated_at=moment))

    def code(self, *, steps_ago: int = 0) -> str:
        """A code that the server has not seen, as if the last one had been used long ago."""
        with self.api.app.app_context(), unit_of_work():
            db.session.execute(
                update(TotpFactor).where(TotpFactor.user_id == self.person.id).values(last_step=0)
            )
        while steps_ago and utc_now().timestamp() % 30 > 27:
            time.sleep(0.05)  # or it is one step older by the time that it arrives
        return pyotp.TOTP(self.secret).at(utc_now(), counter_offset=-steps_ago)

    def wrong_code(self) -> str:
        """Six digits that are right neither now nor soon."""
        totp = pyotp.TOTP(self.secret)
        near = {totp.at(utc_now(), counter_offset=offset) for offset in range(-3, 4)}
        return next(str(code) for code in range(300_000, 300_009) if str(code) not in near)

    def challenge(self) -> str:
        """Sign in by password; the answer's challenge."""
        answer = self.api.post("/auth/login", {"email": self.person.email, "password": PASSWORD})
        data = answer.get_json()["data"]
        assert data["mfa_required"] is True
        token: str = data["challenge_token"]
        return token

    def verify(self, challenge: str, code: str, **more: Any) -> TestResponse:
        body = {"challenge_token": challenge, "code": code, **more}
        return self.api.post("/auth/mfa/verify", body)


@pytest.fixture
def authenticator(api: Api) -> Callable[[Person], Authenticator]:
    """Give a person an authenticator app."""
    return lambda person: Authenticator(api, person)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Poll for a condition; the suite's own time-out ends a vain wait."""

    def wait(condition: Callable[[], bool]) -> None:
        while not condition():
            time.sleep(0.01)

    return wait


@pytest.fixture
def steady_minute(wait_until: Callable[[Callable[[], bool]], None]) -> None:
    """In process, windows begin with the clock's minutes: begin well before the next one."""
    wait_until(lambda: time.time() % 60 < 55)


@contextmanager
def _held(*semaphores: Any) -> Iterator[None]:
    """Take every place of these semaphores, then give them back."""
    taken = []
    for semaphore in semaphores:
        while semaphore.acquire(blocking=False):
            taken.append(semaphore)
    try:
        yield
    finally:
        for semaphore in taken:
            semaphore.release()


@pytest.fixture
def every_hasher_busy() -> AbstractContextManager[None]:
    """All places in the queue to the hasher, taken by others."""
    return _held(passwords._queue)


@pytest.fixture
def ada(api: Api) -> Person:
    return api.person(email="ada@example.com")


@pytest.fixture
def app_of_ada(authenticator: Callable[[Person], Any], ada: Person) -> Any:
    """Ada's authenticator app: from now on her sign-in asks for its code."""
    return authenticator(ada)


@pytest.fixture
def trail(app: Flask) -> Callable[..., list[str]]:
    """What was done to accounts, in order."""

    def read(like: str = "auth.%") -> list[str]:
        with app.app_context():
            statement = select(AuditEvent.action).where(AuditEvent.action.like(like)).order_by(AuditEvent.id)
            return list(db.session.scalars(statement))

    return read
