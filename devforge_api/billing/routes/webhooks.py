"""Where payment providers tell what has happened."""

from __future__ import annotations

from typing import Any

from flask import request
from flask.views import MethodView

from devforge_api.billing.errors import InvalidSignature, ProviderNotFound
from devforge_api.billing.providers import find_provider
from devforge_api.billing.routes import blp
from devforge_api.billing.schemas.webhooks import ReceivedSchema
from devforge_api.billing.service import inbox
from devforge_api.core import json
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import MalformedRequest
from devforge_api.core.limits import Limit
from devforge_api.core.security import public


@blp.route("/webhooks/<provider>")
class Webhooks(MethodView):
    """Of one provider."""

    @public(Limit.WEBHOOKS)
    @blp.response(200, ReceivedSchema)
    @blp.raises(ProviderNotFound, InvalidSignature)
    def post(self, provider: str) -> dict[str, Any]:
        """Tell of an event

        For payment providers alone: the body is signed, and kept before the answer goes out.
        """
        try:
            told = find_provider(provider).read_event(json.raw_body(request), dict(request.headers))
        except ValueError as error:
            raise MalformedRequest from error
        with unit_of_work():
            new = inbox.store(provider, told)
        return {"received": True, "duplicate": not new}
