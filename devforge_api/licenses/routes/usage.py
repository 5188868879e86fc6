"""Counting how often a licence is used."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import Forbidden, IdempotencyKeyReused, ValidationFailed
from devforge_api.core.idempotency import HEADER, idempotent, requested_key
from devforge_api.core.responses import shaped
from devforge_api.core.security import public, requires
from devforge_api.licenses import queries
from devforge_api.licenses.errors import LicenseNotFound, UsesInvalid, UsesLimitExceeded, VerdictRefused
from devforge_api.licenses.routes import blp
from devforge_api.licenses.routes.shared import is_staff, managed_owner
from devforge_api.licenses.schemas.life import CountUsesByKeySchema, CountUsesSchema, UsesSchema
from devforge_api.licenses.service import usage
from devforge_api.licenses.service.usage import Uses


@blp.route("/licenses/<uuid:license_id>/usage")
class LicenseUsage(MethodView):
    """For the owner's app, which only counts on, and for the team."""

    @requires("licenses:manage")
    @blp.arguments(CountUsesSchema)
    @idempotent
    @blp.response(200, UsesSchema)
    @blp.raises(LicenseNotFound, UsesLimitExceeded, UsesInvalid, VerdictRefused)
    def post(self, data: dict[str, Any], license_id: UUID) -> Uses:
        """Count uses of a licence

        Exactly one of `increment`, `decrement` and `reset: true`; owners may only count on.
        """
        facts = queries.facts_of(queries.get_license(license_id, owner_id=managed_owner()), now=utc_now())
        if len(data) != 1 or data.get("reset") is False:
            raise ValidationFailed.of("increment", "Give increment, decrement or reset.", "REQUIRED")
        if "increment" in data:
            return usage.count(facts, more=data["increment"])
        if not is_staff():
            raise Forbidden
        return usage.take_back(facts, less=data["decrement"]) if "decrement" in data else usage.reset(facts)


def _repeatable(view: Any) -> Any:
    view.__dict__["documented_headers"] = [HEADER]
    return view


@blp.route("/licenses/usage")
class UsageByKey(MethodView):
    """For apps that have nothing but the key."""

    @public()
    @blp.arguments(CountUsesByKeySchema)
    @_repeatable
    @blp.response(200, UsesSchema)
    @blp.raises(LicenseNotFound, UsesLimitExceeded, VerdictRefused, IdempotencyKeyReused)
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> Response:
        """Count uses by a licence key

        With an `Idempotency-Key`, which belongs to the licence, a repetition is counted once.
        """
        counted = usage.count_by_key(
            data["key"], more=data["increment"], request_key=requested_key(), now=utc_now()
        )
        answer = shaped(counted, UsesSchema())
        if counted.replayed:
            answer.headers["Idempotent-Replayed"] = "true"
        return answer
