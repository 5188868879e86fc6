"""What a machine asks about its seat, with nothing but a key: no sign-in."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from flask import Response
from flask.views import MethodView

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import Conflict
from devforge_api.core.responses import shaped
from devforge_api.core.security import public
from devforge_api.licenses.errors import (
    CoreLimitExceeded,
    FingerprintTaken,
    LicenseNotFound,
    MachineDead,
    MachineLimitExceeded,
    MachineNotFound,
    TakeoverCooldown,
    TakeoverNotAllowed,
    TrialUsed,
    VerdictRefused,
)
from devforge_api.licenses.models import Machine
from devforge_api.licenses.routes import blp
from devforge_api.licenses.schemas.machines import MachineSchema
from devforge_api.licenses.schemas.seats import (
    ActivateSchema,
    EnsuredSchema,
    EnsureSchema,
    HeldSeatSchema,
    TakeoverSchema,
)
from devforge_api.licenses.service import activation, ensuring, heartbeats, takeover
from devforge_api.licenses.service.ensuring import Ensured
from devforge_api.licenses.service.seats import Applicant
from devforge_api.licenses.service.validation import Scope, known_facts


def _applicant(data: dict[str, Any]) -> tuple[Applicant, Scope]:
    """The machine that asks, and what the licence has to be for."""
    parts, entitlements = data["components"], data["entitlements"]
    components = None if parts is None else {part["fingerprint"]: part["name"] for part in parts}
    applicant = Applicant(data["fingerprint"], data["name"], data["platform"], data["cores"], components)
    scope = Scope(
        fingerprints=(data["fingerprint"],),
        components=None if components is None else tuple(components),
        product=data["product"],
        policy_id=data["policy_id"],
        user_id=data["user_id"],
        entitlements=None if entitlements is None else tuple(entitlements),
        version=data["version"],
    )
    return applicant, scope


def _address_of(machine: Machine) -> str:
    return f"/api/v1/licenses/{machine.license_id}/machines/{machine.id}"


@blp.route("/licenses/activate")
class Activate(MethodView):
    """A seat."""

    @public()
    @blp.arguments(ActivateSchema)
    @blp.response(201, MachineSchema, location=_address_of)
    @blp.alt_response(200, schema=MachineSchema, description="The machine holds a seat already.")
    @blp.raises(
        LicenseNotFound,
        MachineLimitExceeded,
        CoreLimitExceeded,
        FingerprintTaken,
        TrialUsed,
        VerdictRefused,
    )
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> Machine | Response:
        """Activate a licence on a machine"""
        machine, created = activation.activate(data["key"], *_applicant(data), now=utc_now())
        return machine if created else shaped(machine, MachineSchema())


@blp.route("/licenses/deactivate")
class Deactivate(MethodView):
    """A seat given back."""

    @public()
    @blp.arguments(HeldSeatSchema)
    @blp.response(204)
    @blp.raises(LicenseNotFound, MachineNotFound)
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> None:
        """Give a machine's seat back"""
        activation.deactivate(data["key"], data["fingerprint"], now=utc_now())


@blp.route("/licenses/takeover")
class Takeover(MethodView):
    """Another machine's seat."""

    @public()
    @blp.arguments(TakeoverSchema)
    @blp.response(201, MachineSchema, location=_address_of)
    @blp.alt_response(200, schema=MachineSchema, description="The machine holds a seat already.")
    @blp.raises(
        LicenseNotFound,
        MachineNotFound,
        TakeoverNotAllowed,
        TakeoverCooldown,
        CoreLimitExceeded,
        FingerprintTaken,
        TrialUsed,
        VerdictRefused,
    )
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> Machine | Response:
        """Take over the seat of another machine"""
        machine, created = takeover.take_over(
            data["key"], *_applicant(data), machine_id=data["machine_id"], now=utc_now()
        )
        return machine if created else shaped(machine, MachineSchema())


@blp.route("/licenses/heartbeat")
class Heartbeat(MethodView):
    """A sign of life."""

    @public()
    @blp.arguments(HeldSeatSchema)
    @blp.response(200, MachineSchema)
    @blp.raises(LicenseNotFound, MachineNotFound, MachineDead, VerdictRefused)
    def post(self, data: dict[str, Any]) -> Machine:
        """Tell that a machine is alive"""
        # Read outside of the transaction, where a policy's terms are remembered.
        facts = known_facts(data["key"], Scope(fingerprints=(data["fingerprint"],)), now=utc_now())
        with unit_of_work():
            return heartbeats.heartbeat(facts)


@blp.route("/licenses/ensure")
class Ensure(MethodView):
    """Verdict, seat and lease in one."""

    @public()
    @blp.arguments(EnsureSchema)
    @blp.response(200, EnsuredSchema)
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Make sure that a machine is licensed"""
        now = utc_now()
        ensured = _ensured(data["key"], *_applicant(data), now=now)
        answer = {"ts": now, **{field.name: getattr(ensured, field.name) for field in fields(ensured)}}
        return answer | {"nonce": data["nonce"]} if "nonce" in data else answer


def _ensured(key: str, applicant: Applicant, scope: Scope, *, now: datetime) -> Ensured:
    """The answer, also to what an activation would refuse: that leaves nothing behind."""
    facts = None
    try:
        facts = known_facts(key, scope, now=now)
        with unit_of_work():
            ensured = ensuring.ensure(facts, key, applicant, scope)
    except LicenseNotFound:
        return ensuring.unknown()
    except Conflict as refusal:
        assert facts is not None  # the key is known: what refuses is what the licence is
        return ensuring.refused(facts, refusal)
    return ensuring.with_lease(ensured, key)
