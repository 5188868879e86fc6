"""Products, entitlements and policies: the same six operations on three tables."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from marshmallow import Schema
from sqlalchemy import Select, select

from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import DomainError, EditConflict, PreconditionFailed
from devforge_api.core.idempotency import idempotent
from devforge_api.core.listing import Listing
from devforge_api.core.responses import check_precondition
from devforge_api.core.security import requires
from devforge_api.licenses import queries
from devforge_api.licenses.errors import CodeTaken, InUse
from devforge_api.licenses.routes import blp
from devforge_api.licenses.schemas.catalogue import EntitlementSchema, PolicySchema, ProductSchema
from devforge_api.licenses.service import catalogue
from devforge_api.licenses.service.catalogue import Kind


def _publish(kind: Kind, path: str, schema: type[Schema], listing: Listing) -> None:
    """Add the routes of one table: list, make, show, replace, change, remove."""
    made: tuple[type[DomainError], ...] = (CodeTaken,) if kind is not catalogue.POLICY else ()
    edited = (kind.missing, PreconditionFailed, EditConflict, *made)

    def locked(resource_id: UUID) -> Any:
        row = catalogue.get(kind, resource_id, for_update=True)
        check_precondition(row, schema())
        return row

    class Collection(MethodView):
        @requires("products:read")
        @blp.listing(listing, schema)
        def get(self) -> Select[Any]:
            return select(kind.model)

        @requires("products:write")
        @blp.arguments(schema)
        @idempotent
        @blp.response(201, schema, location=lambda row: f"/api/v1{path}/{row.id}")
        @blp.raises(*made)
        def post(self, data: dict[str, Any]) -> Any:
            return catalogue.create(kind, data)

    class Item(MethodView):
        @requires("products:read")
        @blp.response(200, schema)
        @blp.raises(kind.missing)
        def get(self, resource_id: UUID) -> Any:
            return catalogue.get(kind, resource_id)

        @requires("products:write")
        @blp.arguments(schema)
        @blp.response(200, schema)
        @blp.raises(*edited)
        @unit_of_work()
        def put(self, data: dict[str, Any], resource_id: UUID) -> Any:
            return catalogue.update(kind, locked(resource_id), data)

        @requires("products:write")
        @blp.arguments(schema(partial=True))
        @blp.response(200, schema)
        @blp.raises(*edited)
        @unit_of_work()
        def patch(self, data: dict[str, Any], resource_id: UUID) -> Any:
            return catalogue.update(kind, locked(resource_id), data)

        @requires("products:write")
        @blp.response(204)
        @blp.raises(kind.missing, InUse, PreconditionFailed)
        @unit_of_work()
        def delete(self, resource_id: UUID) -> None:
            catalogue.remove(kind, locked(resource_id))

    name, plural = kind.name, path.strip("/")
    one = f"an {name}" if name[0] in "aeiou" else f"a {name}"
    Collection.__name__, Item.__name__ = plural.capitalize(), name.capitalize()
    Collection.get.__doc__, Collection.post.__doc__ = f"List {plural}", f"Make {one}"
    Item.get.__doc__, Item.put.__doc__ = f"Show {one}", f"Replace {one}"
    Item.patch.__doc__, Item.delete.__doc__ = f"Change part of {one}", f"Delete {one}"
    blp.route(path)(Collection)
    blp.route(f"{path}/<uuid:resource_id>")(Item)


_publish(catalogue.PRODUCT, "/products", ProductSchema, queries.PRODUCTS)
_publish(catalogue.ENTITLEMENT, "/entitlements", EntitlementSchema, queries.ENTITLEMENTS)
_publish(catalogue.POLICY, "/policies", PolicySchema, queries.POLICIES)
