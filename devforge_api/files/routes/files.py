"""One's own files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import PreconditionFailed, ValidationFailed
from devforge_api.core.idempotency import idempotent_outside
from devforge_api.core.responses import carries_secret, check_precondition, entity_tag, envelope, shaped
from devforge_api.core.security import requires
from devforge_api.core.uploads import Upload, receives
from devforge_api.files import queries
from devforge_api.files.errors import FileNotFound, FileRejected, FileTypeRefused, QuotaExceeded
from devforge_api.files.models import File, FileStatus, Purpose
from devforge_api.files.routes import blp
from devforge_api.files.routes.taking import check_room, standing, take
from devforge_api.files.schemas import FileSchema, FileWithLinksSchema
from devforge_api.files.service import avatars, links

PLAIN, WITH_LINKS = FileSchema(), FileWithLinksSchema()


def _with_links(file: File) -> dict[str, Any]:
    """A file, and where to get it if it can be had; links are for whoever sees them."""
    shown: dict[str, Any] = {name: getattr(file, name) for name in PLAIN.dump_fields if name != "variants"}
    variants: list[dict[str, Any]] = [
        {name: getattr(one, name) for name in ("name", "media_type", "size", "width", "height")}
        for one in file.variants
    ]
    shown |= {"variants": variants, "content_url": None, "links_end_at": None}
    if file.status is FileStatus.AVAILABLE:
        carries_secret()
        shown |= {"links_end_at": links.ends_at(), "content_url": links.link_to(file, file)}
        for entry, one in zip(variants, file.variants, strict=True):
            entry["content_url"] = links.link_to(file, one)
    return shown


@blp.route("")
class Files(MethodView):
    """All of them."""

    @requires("files:read")
    @blp.listing(queries.FILES, FileSchema)
    def get(self) -> Select[File]:
        """List one's own files"""
        return queries.files(principal().user_id)

    @requires("files:write")
    @receives(fields=("purpose",), before=check_room)
    @idempotent_outside
    @blp.response(201, FileWithLinksSchema, location=lambda file: f"/api/v1/files/{file['id']}")
    @blp.raises(FileTypeRefused, FileRejected, QuotaExceeded)
    def post(self, upload: Upload) -> dict[str, Any]:
        """Upload a file"""
        if upload.fields.get("purpose", Purpose.ATTACHMENT) != Purpose.ATTACHMENT:
            raise ValidationFailed.of("purpose", "Must be: attachment. Avatars: PUT /users/me/avatar.")
        return _with_links(standing(take(upload, Purpose.ATTACHMENT)))


@blp.route("/<uuid:file_id>")
class OneFile(MethodView):
    """One of them."""

    @requires("files:read")
    @blp.response(200, FileWithLinksSchema)
    @blp.raises(FileNotFound)
    def get(self, file_id: UUID) -> Response:
        """Show a file, with links to its content that end within five minutes"""
        file = queries.get_file(file_id, owner_id=principal().user_id)
        answer = shaped(_with_links(file), WITH_LINKS)
        # Of what does not change by itself: links are new each time.
        answer.set_etag(entity_tag(envelope(PLAIN.dump(file))))
        return answer

    @requires("files:write")
    @blp.response(204)
    @blp.raises(FileNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, file_id: UUID) -> None:
        """Delete a file and its content; also one's avatar, if it is one"""
        file = avatars.lock_file(file_id, principal().user_id)
        check_precondition(file, PLAIN)
        avatars.remove_file(file)
