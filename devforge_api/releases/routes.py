"""Releases: read by staff, kept by admins."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select, select

from devforge_api.core.api import Blueprint
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import EditConflict, PreconditionFailed
from devforge_api.core.idempotency import idempotent
from devforge_api.core.responses import check_precondition
from devforge_api.core.security import requires
from devforge_api.releases import queries, service
from devforge_api.releases.errors import (
    ReleaseKept,
    ReleaseNotDraft,
    ReleaseNotFound,
    ReleaseNotPublished,
    VersionTaken,
)
from devforge_api.releases.models import Release
from devforge_api.releases.schemas import PublishSchema, ReleaseSchema, YankSchema

blp = Blueprint(
    "releases", __name__, url_prefix="/api/v1/releases", description="Which versions of products there are."
)
EDITED = (ReleaseNotFound, VersionTaken, PreconditionFailed, EditConflict)


def _locked(release_id: UUID) -> Release:
    release = queries.get_release(release_id, for_update=True)
    check_precondition(release, ReleaseSchema())
    return release


@blp.route("")
class Releases(MethodView):
    """Versions of all products."""

    @requires("releases:read")
    @blp.listing(queries.RELEASES, ReleaseSchema)
    def get(self) -> Select[Release]:
        """List releases"""
        return select(Release)

    @requires("releases:write")
    @blp.arguments(ReleaseSchema)
    @idempotent
    @blp.response(201, ReleaseSchema, location=lambda release: f"/api/v1/releases/{release.id}")
    @blp.raises(VersionTaken)
    def post(self, data: dict[str, Any]) -> Release:
        """Draft a release"""
        return service.draft(**data)


@blp.route("/<uuid:release_id>")
class OneRelease(MethodView):
    """A version of a product."""

    @requires("releases:read")
    @blp.response(200, ReleaseSchema)
    @blp.raises(ReleaseNotFound)
    def get(self, release_id: UUID) -> Release:
        """Show a release"""
        return queries.get_release(release_id)

    @requires("releases:write")
    @blp.arguments(ReleaseSchema)
    @blp.response(200, ReleaseSchema)
    @blp.raises(*EDITED)
    @unit_of_work()
    def put(self, data: dict[str, Any], release_id: UUID) -> Release:
        """Replace what can be changed of a release"""
        return service.change(_locked(release_id), data)

    @requires("releases:write")
    @blp.arguments(ReleaseSchema(partial=True))
    @blp.response(200, ReleaseSchema)
    @blp.raises(*EDITED)
    @unit_of_work()
    def patch(self, data: dict[str, Any], release_id: UUID) -> Release:
        """Change part of a release"""
        return service.change(_locked(release_id), data)

    @requires("releases:write")
    @blp.response(204)
    @blp.raises(ReleaseNotFound, ReleaseKept, PreconditionFailed, EditConflict)
    @unit_of_work()
    def delete(self, release_id: UUID) -> None:
        """Delete a draft"""
        service.remove(_locked(release_id))


@blp.route("/<uuid:release_id>/publish")
class Publish(MethodView):
    """Out."""

    @requires("releases:write")
    @blp.arguments(PublishSchema)
    @blp.response(200, ReleaseSchema)
    @blp.raises(ReleaseNotFound, ReleaseNotDraft, PreconditionFailed)
    @unit_of_work()
    def post(self, data: dict[str, Any], release_id: UUID) -> Release:
        """Publish a draft"""
        return service.publish(_locked(release_id), at=data["published_at"] or utc_now())


@blp.route("/<uuid:release_id>/yank")
class Yank(MethodView):
    """Withdrawn."""

    @requires("releases:write")
    @blp.arguments(YankSchema)
    @blp.response(200, ReleaseSchema)
    @blp.raises(ReleaseNotFound, ReleaseNotPublished, PreconditionFailed)
    @unit_of_work()
    def post(self, data: dict[str, Any], release_id: UUID) -> Release:
        """Withdraw a published release"""
        return service.yank(_locked(release_id), **data)
