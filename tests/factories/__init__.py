"""What tests begin with: people, plans, licences, and calls in the name of somebody."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from devforge_api.auth.service import sessions
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import unit_of_work
from devforge_api.core.passwords import hash_password
from devforge_api.core.worker import drain
from devforge_api.licenses.service import catalogue, lifecycle
from devforge_api.releases import service as releases
from devforge_api.users import service as users
from devforge_api.users.models import Role, UserStatus

PASSWORD = "correct horse battery"
V1 = "/api/v1"
_numbers = itertools.count(1)


@lru_cache(maxsize=1)
def _hashed() -> str:
    return hash_password(PASSWORD)


@dataclass(frozen=True)
class Person:
    """A user with an open session."""

    id: UUID
    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


@dataclass(frozen=True)
class Issued:
    """A licence and its key."""

    id: UUID
    key: str
    policy_id: UUID
    product_id: UUID


class Api:
    """The application as tests use it: factories that go through the services, and calls."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()

    # --- making --------------------------------------------------------------------------------
    def person(self, *, role: str = "user", email: str | None = None, verified: bool = True) -> Person:
        """A signed-in user whose password is PASSWORD."""
        email = email or f"person{next(_numbers)}@example.com"
        password_hash = _hashed()
        # Not on the occasion of the last call that the test has made, nor from its address.
        nowhere = Occasion(kind="cli", request_id="factory")
        with acting(nowhere), self.app.app_context(), unit_of_work():
            user = users.create_user(
                email, password_hash=password_hash, role=Role(role), email_verified=verified
            )
            tokens = sessions.open_session(user, device_name="Test device")
            return Person(user.id, email, tokens.access_token, tokens.refresh_token)

    def reauthenticated(self, person: Person) -> Person:
        """The same person, who has proven the password once more just now."""
        done = self.post("/auth/reauth", {"password": PASSWORD}, by=person)
        assert done.status_code == 204, done.json
        return person

    def admin(self) -> Person:
        return self.person(role="admin")

    def ban(self, user_id: UUID) -> None:
        with self.app.app_context(), unit_of_work():
            users.update_user(users.get_user(user_id, for_update=True), {"status": UserStatus.DISABLED})

    def product(self, code: str | None = None) -> UUID:
        code = code or f"product-{next(_numbers)}"
        with self.app.app_context(), unit_of_work():
            row = catalogue.create(catalogue.PRODUCT, {"name": code.title(), "code": code})
            found: UUID = row.id
            return found

    def entitlement(self, code: str) -> UUID:
        with self.app.app_context(), unit_of_work():
            row = catalogue.create(catalogue.ENTITLEMENT, {"name": code.title(), "code": code})
            found: UUID = row.id
            return found

    def policy(self, product_id: UUID | None = None, **values: Any) -> UUID:
        """A policy; ``max_machines=3``, floating, not strict, perpetual unless said otherwise."""
        product_id = product_id or self.product()
        given = {"name": "pro", "max_machines": 3, "floating": True, "entitlements": [], **values}
        with self.app.app_context(), unit_of_work():
            row = catalogue.create(catalogue.POLICY, {"product_id": product_id, **given})
            found: UUID = row.id
            return found

    def license(self, policy_id: UUID | None = None, *, owner: Person | None = None, **values: Any) -> Issued:
        """A licence; further values go to ``lifecycle.issue``; policy values by ``policy={…}``."""
        policy_id = policy_id or self.policy(**values.pop("policy", {}))
        with self.app.app_context(), unit_of_work():
            row = lifecycle.issue(
                policy_id=policy_id, user_id=owner.id if owner else None, now=utc_now(), **values
            )
            return Issued(row.id, row.key, row.policy_id, row.product_id)

    def release(
        self, product_id: UUID, version: str, *, at: datetime | None = None, draft: bool = False
    ) -> UUID:
        """A release, published now unless said otherwise."""
        with self.app.app_context(), unit_of_work():
            row = releases.draft(product_id=product_id, version=version)
            if not draft:
                releases.publish(row, at=at or utc_now())
            return row.id

    def deliver(self) -> int:
        """Run every due event's subscribers, as the worker thread would."""
        with self.app.app_context():
            return drain()

    # --- calling -------------------------------------------------------------------------------
    def call(
        self, method: str, path: str, json: Any = None, *, by: Person | None = None, **kwargs: Any
    ) -> TestResponse:
        """A request below /api/v1, perhaps in somebody's name; each has a client of its own."""
        headers = {**(by.headers if by else {}), **kwargs.pop("headers", {})}
        if json is not None:
            kwargs["json"] = json
        kwargs.setdefault("buffered", True)  # read, and closed, at once: some answers are files
        return self.app.test_client().open(V1 + path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.call("POST", path, {} if json is None else json, **kwargs)

    def put(self, path: str, json: Any, **kwargs: Any) -> TestResponse:
        return self.call("PUT", path, json, **kwargs)

    def patch(self, path: str, json: Any, **kwargs: Any) -> TestResponse:
        return self.call("PATCH", path, json, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("DELETE", path, **kwargs)


def code_of(response: TestResponse) -> str:
    """The error code of a refusal in the envelope."""
    body = response.get_json()
    assert body["success"] is False
    code: str = body["error"]["code"]
    return code
