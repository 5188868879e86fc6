"""What an app asks with nothing but a key: no sign-in."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from devforge_api.core.clock import utc_now
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.hot import hot
from devforge_api.core.security import public
from devforge_api.licenses.routes import blp
from devforge_api.licenses.schemas.client import ExplainQuerySchema, ValidateSchema, VerdictSchema
from devforge_api.licenses.service import last_seen, validation
from devforge_api.licenses.service.explanations import Explained, explain
from devforge_api.licenses.service.validation import Scope


@blp.route("/licenses/validate")
class Validate(MethodView):
    """The verdict."""

    @public()
    @blp.arguments(ValidateSchema)
    @blp.arguments(ExplainQuerySchema, location="query")
    @blp.response(200, VerdictSchema)
    @hot
    def post(self, data: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        """Validate a licence key"""
        now, scope = utc_now(), _scope(data)
        checks: list[Explained] | None = None
        if query["explain"]:
            verdict, checks = explain(data["key"], scope, now=now)
        else:
            verdict = validation.validate(data["key"], scope, now=now)
        if verdict.facts:
            last_seen.note(verdict.facts.license_id, now)
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
