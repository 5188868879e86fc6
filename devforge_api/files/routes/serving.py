"""Contents as answers: a piece at a time, by ranges, and never as something that a browser would run."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request
from werkzeug.http import parse_range_header

from devforge_api.core.db import release_connection
from devforge_api.core.responses import entity_tag
from devforge_api.core.slots import lend_slot
from devforge_api.core.storage.base import Content, ContentMissing, attachment
from devforge_api.core.storage.configured import storage
from devforge_api.files.errors import ContentUnavailable, RangeUnsatisfiable
from devforge_api.files.models import File, FileVariant
from devforge_api.files.service.links import label_of, served_as

# A saved page that is opened by mistake may do nothing, not even as its own origin.
POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def serve(file: File, given: File | FileVariant, *, disposition: str | None = None) -> Response:
    """The content of a file, or the part that is asked for; 304 where the client has it.

    :param disposition: by default, to be saved.
    :raises ContentUnavailable: it is lost. :raises RangeUnsatisfiable: a part that there is not.
    """
    key, size = given.storage_key, given.size
    tag = entity_tag(key.encode())  # a key's content never changes
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition or attachment(label_of(file, given)),
        "Content-Security-Policy": POLICY,
        "Content-Type": served_as(given.media_type),
        "ETag": f'"{tag}"',
    }
    if request.if_none_match.contains_weak(tag):
        return Response(status=304, headers=headers)
    start, stop = _asked_for(size, tag)
    whole = (start, stop) == (0, size)
    release_connection()
    try:
        with lend_slot():
            content = storage().open(key, start, None if whole else stop - start)
    except ContentMissing as error:
        raise ContentUnavailable from error
    if not whole:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    answer = Response(_Sent(content), 200 if whole else 206, headers, direct_passthrough=True)
    answer.call_on_close(content.close)  # also where nothing of it was read
    return answer


class _Sent:
    """What the server iterates over, and closes."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._content)

    def close(self) -> None:
        self._content.close()


def _asked_for(size: int, tag: str) -> tuple[int, int]:
    """The bytes that are asked for, as a half-open range; several ranges count as the whole."""
    wanted = parse_range_header(request.headers.get("Range"))
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or request.method == "HEAD":
        return 0, size
    if "If-Range" in request.headers and request.headers["If-Range"].strip() != f'"{tag}"':
        return 0, size
    found = wanted.range_for_length(size)
    if found is None or found[0] >= size:
        raise RangeUnsatisfiable(None, size=size)
    return found
