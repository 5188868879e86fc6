"""What an app asks with nothing but a key: no sign-in."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from devforge_api.core.clock import utc_now
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.security import public
from devforge_api.licenses.routes import blp
from devforge_api.licenses.schemas.client import ValidateSchema, VerdictSchema
from devforge_api.licenses.service import validation
from devforge_api.licenses.service.validation import Scope


@blp.route("/licenses/validate")
class Validate(MethodView):
    """The verdict."""

    @public()
    @blp.arguments(ValidateSchema)
    @blp.response(200, VerdictSchema)
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Validate a licence key"""
        now = utc_now()
        verdict = validation.validate(data["key"], _scope(data), now=now)
        answer = {
            "valid": verdict.valid,
            "code": verdict.code,
            "detail": verdict.detail,
            "facts": verdict.facts,
            "ts": now,
        }
        return answer | {"nonce": data["nonce"]} if "nonce" in data else answer


def _scope(data: dict[str, Any]) -> Scope:
    if "fingerprint" in data and "fingerprints" in data:
        raise ValidationFailed.of("fingerprints", "Give either fingerprint or fingerprints.", "AMBIGUOUS")
    fingerprints = [data["fingerprint"]] if "fingerprint" in data else data.get("fingerprints")
    entitlements = data.get("entitlements")
    return Scope(
        fingerprints=None if fingerprints is None else tuple(fingerprints),
        product=data.get("product"),
        policy_id=data.get("policy_id"),
        user_id=data.get("user_id"),
        entitlements=None if entitlements is None else tuple(entitlements),
    )
