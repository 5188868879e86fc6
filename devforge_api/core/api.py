"""The wire: flask-smorest with our envelope, strict bodies and complete documentation.

A route reads from the outside in: who may call (`requires`), what comes in (`arguments`), what
goes out (`response`, `listing`), how it can be refused (`raises`), one transaction
(`unit_of_work`), and the view that calls a service.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from http import HTTPStatus
from typing import Any

import flask_smorest
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from flask import Flask, Response, request
from marshmallow import Schema
from webargs.flaskparser import FlaskParser

from devforge_api.core import fields
from devforge_api.core import json as strict_json
from devforge_api.core.errors import (
    DomainError,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    PreconditionFailed,
    ReauthRequired,
)
from devforge_api.core.examples import example_of
from devforge_api.core.hot import note_layer
from devforge_api.core.listing import Listing
from devforge_api.core.responses import shaped, success
from devforge_api.core.schemas import BaseSchema, ErrorSchema, PaginationSchema

IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "description": "The ETag that was read; 412 if the resource has changed since.",
}
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
DESCRIPTION = "Accounts, licences and more for Electron developer tools. Errors: `docs/errors.md`."


class Parser(FlaskParser):  # type: ignore[misc, unused-ignore]
    """Reads queries; unknown names are for the schema to refuse."""

    DEFAULT_UNKNOWN_BY_LOCATION = {}


class Api(flask_smorest.Api):  # type: ignore[misc, unused-ignore]
    """flask-smorest's API object, below ``/api/v1``."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = ErrorSchema

    def init_app(self, app: Flask, *, spec_kwargs: dict[str, Any] | None = None) -> None:
        """Connect to the application and describe what all operations share."""
        self._document: bytes | None = None
        plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
        super().init_app(app, spec_kwargs={"marshmallow_plugin": plugin, **(spec_kwargs or {})})
        assert plugin.converter is not None  # made with the spec, just now
        plugin.converter.add_attribute_function(_precise_type)  # type: ignore[no-untyped-call]
        self.spec.options["info"] = {
            "description": DESCRIPTION,
            "license": {"name": "Proprietary", "url": app.config["PUBLIC_URL"]},
        }
        self.spec.options["servers"] = [{"url": app.config["PUBLIC_URL"]}]
        self.spec.components.security_scheme(
            "bearer",
            {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token of a session, or a personal access token (`dfp_…`).",
            },
        )
        ticket = {
            "type": "apiKey",
            "in": "query",
            "name": "ticket",
            "description": "Of `POST /realtime/tickets`.",
        }
        self.spec.components.security_scheme("ticket", ticket)

    def _openapi_json(self) -> Response:
        """The document, written once: it does not change while the process runs, and is large."""
        if self._document is None:
            self._document = strict_json.dump(self.spec.to_dict())
        return Response(self._document, mimetype="application/json")

    def _register_etag_headers(self) -> None:
        """The gateway's entity tags are documented in docs/api.md."""

    def _register_pagination_header(self) -> None:
        """Pagination stands in the envelope."""

    def _register_error_handlers(self) -> None:
        """Errors are the gateway's: see core/gateway.py."""


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc, unused-ignore]
    """A domain's routes."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks = [
            self._prepare_arguments_doc,
            self._prepare_response_doc,
            self._prepare_house_doc,
        ]

    def arguments(self, schema: Any, *, location: str = "json", **kwargs: Any) -> Decorator:
        """Load and validate input; the JSON body is documented with an example."""
        schema = schema() if isinstance(schema, type) else schema
        if location == "json":
            kwargs.setdefault("example", example_of(schema, loading=True))
            needed = not schema.partial and any(field.required for field in schema.load_fields.values())
            kwargs.setdefault("required", needed)
        document: Decorator = super().arguments(schema, location=location, **kwargs)
        if location != "json":

            def documented(view: Callable[..., Any]) -> Callable[..., Any]:
                loading = document(view)
                if location == "query":
                    note_layer(view, loading, query=schema)
                return loading

            return documented

        def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(document(view))  # for its documentation: its own way of loading costs twice as much
            def loaded(self_: Any, **view_args: Any) -> Any:
                return view(self_, schema.load(strict_json.read_body(request)), **view_args)

            note_layer(view, loaded, body=schema)
            return loaded

        return decorator

    def response(
        self,
        status_code: int,
        schema: Any = None,
        *,
        location: Callable[[Any], str] | None = None,
        **kwargs: Any,
    ) -> Decorator:
        """Shape what the view returns into the envelope.

        :param location: for 201: the address of what was created.
        """
        shape = schema() if isinstance(schema, type) else schema
        if isinstance(shape, Schema):
            kwargs.setdefault("example", {"success": True, "data": example_of(shape)})
        if location:
            kwargs.setdefault("headers", {"Location": {"schema": {"type": "string"}}})
        document = super().response(status_code, shape, **kwargs)

        def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(document(view))
            def enveloped(*args: Any, **view_args: Any) -> Response:
                result = view(*args, **view_args)
                if isinstance(result, Response):
                    return result
                if shape is None:
                    return Response(status=204) if status_code == 204 else success(None, status_code)
                answer = shaped(result, shape, status_code)
                if location:
                    answer.headers["Location"] = location(result)
                return answer

            if status_code == 200:
                note_layer(view, enveloped, shape=shape)
            return enveloped

        return decorator

    def alt_response(self, status_code: int, *args: Any, **kwargs: Any) -> Decorator:
        """Document another answer."""
        schema = kwargs.get("schema")
        if schema is not None:
            shape = schema() if isinstance(schema, type) else schema
            kwargs.setdefault("example", {"success": True, "data": example_of(shape)})
        document: Decorator = super().alt_response(status_code, *args, **kwargs)
        return document

    def listing(
        self, listing: Listing, schema: type[Schema], *, when_empty: Callable[..., object] | None = None
    ) -> Decorator:
        """Run the select that the view returns, one page of it.

        :param when_empty: called with the view's arguments where the page holds nothing: refuses
            what is not there at all, and costs full pages no query.
        """
        item = schema()
        items = schema(many=True)
        example = {
            "success": True,
            "data": [example_of(item)],
            "pagination": {"page": 1, "limit": 20, "total": 1, "pages": 1},
        }
        document = super().response(200, items, example=example)
        load = self.arguments(listing.schema, location="query")

        def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(view)
            def paged(self_: Any, query: dict[str, Any], **view_args: Any) -> Response:
                page = listing.run(view(self_, **view_args), query)
                if when_empty and not page.items:
                    when_empty(**view_args)
                return shaped(page.items, items, pagination=page.pagination)

            return load(document(paged))

        return decorator

    def doc(self, **described: Any) -> Decorator:
        """Add to what is documented, in OpenAPI's own words."""
        document: Decorator = super().doc(**described)
        return document

    def raises(self, *errors: type[DomainError]) -> Decorator:
        """Document refusals."""

        def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
            info = dict(getattr(view, "_apidoc", {}))
            info["raises"] = [*info.get("raises", []), *errors]
            view.__dict__["_apidoc"] = info
            return view

        return decorator

    @staticmethod
    def _make_doc_response_schema(schema: Any) -> Any:
        return _envelope_of(type(schema), many=schema.many) if isinstance(schema, Schema) else schema

    def _prepare_house_doc(self, doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
        """What every operation shares: refusals, and the scope."""
        refusals: dict[int, list[str]] = {429: ["RATE_LIMITED"], 503: ["SERVICE_UNAVAILABLE", "MAINTENANCE"]}
        for error in doc_info.get("raises", []):
            refusals.setdefault(error.status, []).append(error.code)
        access = doc_info.get("access")
        if access is not None and access.scope:
            doc["security"] = [{"bearer": []}, {"ticket": []}] if access.ticket else [{"bearer": []}]
            doc["x-scope"] = access.scope
            refusals.setdefault(401, []).extend(
                ["TOKEN_MISSING", "TOKEN_EXPIRED", "TOKEN_INVALID", "TOKEN_REVOKED"]
            )
            refusals.setdefault(403, []).append("FORBIDDEN")
            if access.step_up:
                refusals[403].append(ReauthRequired.code)
        else:
            doc["security"] = []
        refusals.setdefault(400, []).append("MALFORMED_REQUEST")
        if "requestBody" in doc:
            refusals.setdefault(413, []).append("BODY_TOO_LARGE")
            refusals.setdefault(415, []).append("UNSUPPORTED_MEDIA_TYPE")
        refusals.setdefault(422, []).append("VALIDATION_ERROR")
        for header in doc_info.get("headers", []):
            doc.setdefault("parameters", []).append(header)
            refusals.setdefault(409, []).append(IdempotencyInFlight.code)
            refusals[422].append(IdempotencyKeyReused.code)
        if PreconditionFailed in doc_info.get("raises", []):
            doc.setdefault("parameters", []).append(IF_MATCH)
        responses = {
            str(getattr(key, "value", key)): value for key, value in doc.get("responses", {}).items()
        }
        for status, codes in refusals.items():
            if isinstance(responses.get(str(status)), dict) and "content" in responses[str(status)]:
                continue
            responses[str(status)] = {
                "description": f"{HTTPStatus(status).phrase}: {', '.join(dict.fromkeys(codes))}",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
        doc["responses"] = dict(sorted(responses.items()))
        return doc

    def _store_endpoint_docs(
        self, endpoint: str, obj: Any, parameters: Any, tags: Any, **options: Any
    ) -> None:
        super()._store_endpoint_docs(endpoint, obj, parameters, tags, **options)
        for method, info in self._docs[endpoint].items():
            if method == "parameters":
                continue
            function = getattr(obj, method, obj)
            info["access"] = getattr(function, "access", None)
            info["headers"] = getattr(function, "documented_headers", [])
            words = re.sub(r"(?<!^)(?=[A-Z])", "_", getattr(obj, "__name__", endpoint)).lower()
            info["manual_doc"] = {"operationId": f"{method}_{words}", **info.get("manual_doc", {})}


@lru_cache
def _envelope_of(schema: type[Schema], *, many: bool) -> type[Schema]:
    """The documented shape of an answer: one class for each, so that it has one name."""
    shape: dict[str, Any] = {"success": fields.Constant(True, required=True)}
    shape["data"] = fields.Nested(schema, many=many, required=True)
    if many:
        shape["pagination"] = fields.Nested(PaginationSchema, required=True)
    return BaseSchema.from_dict(shape, name=_schema_name(schema) + ("PageEnvelope" if many else "Envelope"))


def _schema_name(schema: Any) -> str:
    schema_class: Any = resolve_schema_cls(schema)
    name: str = schema_class.__name__.removesuffix("Schema")
    return name + "Patch" if getattr(schema, "partial", False) else name


def _precise_type(_self: Any, field: Any, **_: Any) -> dict[str, Any]:
    """Say what our own fields mean in OpenAPI's words."""
    if isinstance(field, fields.Constant):
        return {"const": field.constant, "type": "boolean"}
    return {}
