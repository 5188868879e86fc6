"""Products, entitlements and policies: the same six operations on three tables.

Editing a policy tells more than the others: which licences it touches.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from marshmallow import Schema
from sqlalchemy import Select, select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import DomainError, EditConflict, PreconditionFailed
from devforge_api.core.idempotency import idempotent
from devforge_api.core.listing import Listing
from devforge_api.core.responses import check_precondition, success
from devforge_api.core.security import requires
from devforge_api.licenses import queries
from devforge_api.licenses.errors import CodeTaken, InUse, PolicyNotFound
from devforge_api.licenses.routes import blp
from devforge_api.licenses.schemas.catalogue import (
    EditedPolicySchema,
    EntitlementSchema,
    PolicySchema,
    PreviewSchema,
    ProductSchema,
    TouchedSchema,
)
from devforge_api.licenses.service import catalogue
from devforge_api.licenses.service.catalogue import Kind


def _locked(kind: Kind, schema: type[Schema], resource_id: UUID) -> Any:
    row = catalogue.get(kind, resource_id, for_update=True)
    check_precondition(row, schema())
    return row


def _refusals(kind: Kind) -> tuple[type[DomainError], ...]:
    return (CodeTaken,) if kind is not catalogue.POLICY else ()


def _collection(kind: Kind, path: str, schema: type[Schema], listing: Listing) -> type[MethodView]:
    """List, and make."""

    class Collection(MethodView):
        @requires("products:read")
        @blp.listing(listing, schema)
        def get(self) -> Select[Any]:
            return select(kind.model)

        @requires("products:write")
        @blp.arguments(schema)
        @idempotent
        @blp.response(201, schema, location=lambda row: f"/api/v1{path}/{row.id}")
        @blp.raises(*_refusals(kind))
        def post(self, data: dict[str, Any]) -> Any:
            return catalogue.create(kind, data)

    return Collection


def _kept(kind: Kind, schema: type[Schema]) -> type[MethodView]:
    """Show, and remove."""

    class Kept(MethodView):
        @requires("products:read")
        @blp.response(200, schema)
        @blp.raises(kind.missing)
        def get(self, resource_id: UUID) -> Any:
            return catalogue.get(kind, resource_id)

        @requires("products:write")
        @blp.response(204)
        @blp.raises(kind.missing, InUse, PreconditionFailed)
        @unit_of_work()
        def delete(self, resource_id: UUID) -> None:
            catalogue.remove(kind, _locked(kind, schema, resource_id))

    return Kept


def _editable(kind: Kind, schema: type[Schema]) -> type[MethodView]:
    """Show, remove, replace, and change."""
    edited = (kind.missing, PreconditionFailed, EditConflict, *_refusals(kind))

    class Editable(_kept(kind, schema)):  # type: ignore[misc]
        @requires("products:write")
        @blp.arguments(schema)
        @blp.response(200, schema)
        @blp.raises(*edited)
        @unit_of_work()
        def put(self, data: dict[str, Any], resource_id: UUID) -> Any:
            return catalogue.update(kind, _locked(kind, schema, resource_id), data)

        @requires("products:write")
        @blp.arguments(schema(partial=True))
        @blp.response(200, schema)
        @blp.raises(*edited)
        @unit_of_work()
        def patch(self, data: dict[str, Any], resource_id: UUID) -> Any:
            return catalogue.update(kind, _locked(kind, schema, resource_id), data)

    return Editable


class _EditablePolicy(_kept(catalogue.POLICY, PolicySchema)):  # type: ignore[misc]
    @requires("products:write")
    @blp.arguments(PolicySchema)
    @blp.arguments(PreviewSchema, location="query")
    @blp.response(200, EditedPolicySchema)
    @blp.raises(PolicyNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any], query: dict[str, bool], resource_id: UUID) -> Response:
        return _edit(resource_id, data, query)

    @requires("products:write")
    @blp.arguments(PolicySchema(partial=True))
    @blp.arguments(PreviewSchema, location="query")
    @blp.response(200, EditedPolicySchema)
    @blp.raises(PolicyNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def patch(self, data: dict[str, Any], query: dict[str, bool], resource_id: UUID) -> Response:
        return _edit(resource_id, data, query)


def _edit(policy_id: UUID, data: dict[str, Any], query: dict[str, bool]) -> Response:
    policy = _locked(catalogue.POLICY, PolicySchema, policy_id)
    edited = catalogue.edit_policy(policy, data, now=utc_now(), preview=query["preview"])
    touched = TouchedSchema().dump(edited.touched)
    return success(PolicySchema().dump(edited.policy) | {"touched": touched})


def _publish(kind: Kind, path: str, collection: type[Any], item: type[Any]) -> None:
    """Add the routes of one table."""
    name, plural = kind.name, path.strip("/")
    one = f"an {name}" if name[0] in "aeiou" else f"a {name}"
    collection.__name__, item.__name__ = plural.capitalize(), name.capitalize()
    collection.get.__doc__, collection.post.__doc__ = f"List {plural}", f"Make {one}"
    item.get.__doc__, item.put.__doc__ = f"Show {one}", f"Replace {one}"
    item.patch.__doc__, item.delete.__doc__ = f"Change part of {one}", f"Delete {one}"
    blp.route(path)(collection)
    blp.route(f"{path}/<uuid:resource_id>")(item)


_publish(
    catalogue.PRODUCT,
    "/products",
    _collection(catalogue.PRODUCT, "/products", ProductSchema, queries.PRODUCTS),
    _editable(catalogue.PRODUCT, ProductSchema),
)
_publish(
    catalogue.ENTITLEMENT,
    "/entitlements",
    _collection(catalogue.ENTITLEMENT, "/entitlements", EntitlementSchema, queries.ENTITLEMENTS),
    _editable(catalogue.ENTITLEMENT, EntitlementSchema),
)
_publish(
    catalogue.POLICY,
    "/policies",
    _collection(catalogue.POLICY, "/policies", PolicySchema, queries.POLICIES),
    _EditablePolicy,
)
