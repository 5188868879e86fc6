"""What is in files: for their owners, and for whoever has a link."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from devforge_api.core.context import principal
from devforge_api.core.limits import address_key
from devforge_api.core.security import public, requires
from devforge_api.core.storage.base import StorageAway
from devforge_api.files import queries
from devforge_api.files.errors import (
    AvatarNotFound,
    ContentUnavailable,
    DownloadsBusy,
    FileNotFound,
    LinkExpired,
    LinkNotFound,
    RangeUnsatisfiable,
)
from devforge_api.files.routes import blp
from devforge_api.files.routes.serving import serve
from devforge_api.files.schemas import LinkQuerySchema, VariantQuerySchema
from devforge_api.files.service import links

BYTES: Any = {"type": "string", "format": "binary"}
PART: Any = {"206": {"description": "The part that Range asks for", "content": {"*/*": {"schema": BYTES}}}}
KEPT_BY_ALL = "public, max-age=31536000, immutable"  # an avatar's address is never another one's


@blp.route("/<uuid:file_id>/content")
class FileContent(MethodView):
    """The bytes of a file."""

    @requires("files:read")
    @blp.arguments(VariantQuerySchema, location="query")
    @blp.response(200, BYTES, content_type="*/*")
    @blp.doc(responses=PART)
    @blp.raises(FileNotFound, ContentUnavailable, RangeUnsatisfiable, StorageAway, DownloadsBusy)
    def get(self, query: dict[str, str], file_id: UUID) -> Response:
        """Download a file, or a smaller picture of it; takes Range and If-None-Match"""
        file = queries.get_file(file_id, owner_id=principal().user_id)
        given = links.content_of(file, query.get("variant"))
        return serve(file, given, reader=principal().user_id)


@blp.route("/content")
class LinkedContent(MethodView):
    """The bytes of a file, by a link."""

    @public()
    @blp.arguments(LinkQuerySchema, location="query")
    @blp.response(200, BYTES, content_type="*/*")
    @blp.doc(responses=PART)
    @blp.raises(LinkNotFound, LinkExpired, RangeUnsatisfiable, StorageAway, DownloadsBusy)
    def get(self, query: dict[str, str]) -> Response:
        """Download what a link of `GET /files/{id}` leads to; whoever has it needs no token"""
        file, given = links.follow(query["link"])
        answer = serve(file, given, reader=file.user_id)  # on whose behalf, whoever has the link
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # a site's own pages show it
        answer.headers["Cache-Control"] = "private, no-store"
        return answer


@blp.route("/avatars/<uuid:avatar_id>")
class PublicAvatar(MethodView):
    """A picture that everybody may see."""

    @public()
    @blp.arguments(VariantQuerySchema, location="query")
    @blp.response(200, BYTES, content_type="image/*")
    @blp.doc(responses=PART)
    @blp.raises(AvatarNotFound, RangeUnsatisfiable, StorageAway, DownloadsBusy)
    def get(self, query: dict[str, str], avatar_id: UUID) -> Response:
        """Show an avatar; for everybody, and to be kept for a year"""
        file = queries.find_avatar(avatar_id)
        if file is None:
            raise AvatarNotFound
        try:
            given = links.content_of(file, query.get("variant"))
            answer = serve(file, given, reader=address_key(request.remote_addr), disposition="inline")
        except ContentUnavailable as error:
            raise AvatarNotFound from error
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        answer.headers["Cache-Control"] = KEPT_BY_ALL
        return answer
