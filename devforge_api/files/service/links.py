"""Links by which a content can be had for some minutes, by whoever has them."""

from __future__ import annotations

import struct
import time
from datetime import UTC, datetime
from uuid import UUID

from devforge_api.core import configured
from devforge_api.core.signing import seal, unseal
from devforge_api.core.storage.base import attachment
from devforge_api.core.storage.configured import storage
from devforge_api.files import queries
from devforge_api.files.errors import ContentUnavailable, FileNotFound, LinkExpired, LinkNotFound
from devforge_api.files.models import File, FileStatus, FileVariant

SECONDS = 300
PURPOSE = "files.link"
PATH = "/api/v1/files/content"


def content_of(file: File, variant: str | None) -> File | FileVariant:
    """What is to be given of a file: itself, or a smaller picture.

    :raises ContentUnavailable: it is not available, or there is no such variant.
    """
    if file.status is not FileStatus.AVAILABLE:
        raise ContentUnavailable
    if variant is None:
        return file
    for one in file.variants:
        if one.name == variant:
            return one
    raise ContentUnavailable


def label_of(file: File, given: File | FileVariant) -> str:
    """By which name it is saved."""
    if isinstance(given, File):
        return file.name
    return (
        f"{file.name.rpartition('.')[0]}-{given.name}.{'png' if given.media_type == 'image/png' else 'jpg'}"
    )


def link_to(file: File, given: File | FileVariant) -> str:
    """An address of the storage's own if it has such, or one of ours."""
    kept = storage()
    disposition = attachment(label_of(file, given))
    media_type = served_as(given.media_type)
    address = kept.link(given.storage_key, seconds=SECONDS, disposition=disposition, media_type=media_type)
    if address is not None:
        return address
    variant = given.name if isinstance(given, FileVariant) else ""
    body = file.id.bytes + struct.pack("!Q", int(time.time()) + SECONDS) + variant.encode()
    return configured.address(f"{PATH}?link={seal(PURPOSE, body)}")


def ends_at() -> datetime:
    """When links that are made now end."""
    return datetime.fromtimestamp(int(time.time()) + SECONDS, UTC)


def follow(link: str) -> tuple[File, File | FileVariant]:
    """The file that a link of ours leads to, and what of it.

    :raises LinkNotFound: none of ours, or the file is deleted. :raises LinkExpired: its time is over.
    """
    body = unseal(PURPOSE, link)
    if body is None:
        raise LinkNotFound
    (until,) = struct.unpack("!Q", body[16:24])
    if time.time() > until:
        raise LinkExpired
    try:
        file = queries.get_file(UUID(bytes=body[:16]), owner_id=None)
        return file, content_of(file, body[24:].decode() or None)
    except (FileNotFound, ContentUnavailable) as error:
        raise LinkNotFound from error


def served_as(media_type: str) -> str:
    """The type that is told to browsers: what could run there is told as something that cannot."""
    if media_type.startswith("text/"):
        return "text/plain; charset=utf-8"
    return "application/octet-stream" if media_type == "image/svg+xml" else media_type
