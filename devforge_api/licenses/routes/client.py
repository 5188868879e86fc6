"""What an app asks with nothing but a key: no sign-in."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.responses import shaped
from devforge_api.core.security import public
from devforge_api.licenses.errors import (
    LicenseNotFound,
    MachineLimitExceeded,
    MachineNotFound,
    VerdictRefused,
)
from devforge_api.licenses.models import Machine
from devforge_api.licenses.routes import blp
from devforge_api.licenses.schemas.client import (
    ActivateSchema,
    DeactivateSchema,
    ExplainQuerySchema,
    ValidateSchema,
    VerdictSchema,
)
from devforge_api.licenses.schemas.machines import MachineSchema
from devforge_api.licenses.service import activation, validation
from devforge_api.licenses.service.explanations import Explained, explain
from devforge_api.licenses.service.validation import Scope


@blp.route("/licenses/validate")
class Validate(MethodView):
    """The verdict."""

    @public()
    @blp.arguments(ValidateSchema)
    @blp.arguments(ExplainQuerySchema, location="query")
    @blp.response(200, VerdictSchema)
    def post(self, data: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        """Validate a licence key"""
        now, scope = utc_now(), _scope(data)
        checks: list[Explained] | None = None
        if query["explain"]:
            verdict, checks = explain(data["key"], scope, now=now)
        else:
            verdict = validation.validate(data["key"], scope, now=now)
        answer = {
            "valid": verdict.valid,
            "code": verdict.code,
            "detail": verdict.detail,
            "facts": verdict.facts,
            "ts": now,
        }
        if checks is not None:
            answer["checks"] = checks
        return answer | {"nonce": data["nonce"]} if "nonce" in data else answer


def _scope(data: dict[str, Any]) -> Scope:
    if "fingerprint" in data and "fingerprints" in data:
        raise ValidationFailed.of("fingerprints", "Give either fingerprint or fingerprints.", "AMBIGUOUS")
    fingerprints = [data["fingerprint"]] if "fingerprint" in data else data.get("fingerprints")
    return Scope(
        fingerprints=_listed(fingerprints),
        components=_listed(data.get("components")),
        product=data.get("product"),
        policy_id=data.get("policy_id"),
        user_id=data.get("user_id"),
        entitlements=_listed(data.get("entitlements")),
        version=data.get("version"),
    )


def _listed(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _address_of(machine: Machine) -> str:
    return f"/api/v1/licenses/{machine.license_id}/machines/{machine.id}"


@blp.route("/licenses/activate")
class Activate(MethodView):
    """A seat."""

    @public()
    @blp.arguments(ActivateSchema)
    @blp.response(201, MachineSchema, location=_address_of)
    @blp.alt_response(200, schema=MachineSchema, description="The machine holds a seat already.")
    @blp.raises(LicenseNotFound, MachineLimitExceeded, VerdictRefused)
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> Machine | Response:
        """Activate a licence on a machine"""
        machine, created = activation.activate(
            data.pop("key"), data.pop("fingerprint"), now=utc_now(), **data
        )
        return machine if created else shaped(machine, MachineSchema())


@blp.route("/licenses/deactivate")
class Deactivate(MethodView):
    """A seat given back."""

    @public()
    @blp.arguments(DeactivateSchema)
    @blp.response(204)
    @blp.raises(LicenseNotFound, MachineNotFound)
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> None:
        """Give a machine's seat back"""
        activation.deactivate(data["key"], data["fingerprint"], now=utc_now())
