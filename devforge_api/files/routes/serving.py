"""Contents as answers: a piece at a time, by ranges, and never as something that a browser would run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from threading import Lock

from flask import Response, request
from werkzeug.http import parse_range_header

from devforge_api.core.db import release_connection
from devforge_api.core.places import Places
from devforge_api.core.responses import entity_tag
from devforge_api.core.slots import lend_slot
from devforge_api.core.storage.base import CHUNK, Content, ContentMissing, attachment
from devforge_api.core.storage.configured import storage
from devforge_api.files.errors import ContentUnavailable, DownloadsBusy, RangeUnsatisfiable
from devforge_api.files.models import File, FileVariant
from devforge_api.files.service.links import label_of, served_as

# A thread of the server is held by whoever takes more than one piece, as slowly as they like; with the
# uploads' places, so many that threads are left for all else.
AT_ONCE, AT_ONCE_EACH = 48, 8
_places = Places()
# A saved page that is opened by mistake may do nothing, not even as its own origin.
POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def serve(
    file: File, given: File | FileVariant, *, reader: Hashable, disposition: str | None = None
) -> Response:
    """The content of a file, or the part that is asked for; 304 where the client has it.

    :param reader: of whom only so many downloads are on their way at once.
    :param disposition: by default, to be saved.
    :raises ContentUnavailable: it is lost. :raises RangeUnsatisfiable: a part that there is not.
    :raises DownloadsBusy: too many are on their way.
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
    place = _Place(reader) if stop - start > CHUNK and request.method != "HEAD" else None
    try:
        with lend_slot():
            content = storage().open(key, start, None if whole else stop - start)
    except BaseException as error:
        if place is not None:
            place.leave()
        if isinstance(error, ContentMissing):
            raise ContentUnavailable from error
        raise
    sent = _Sent(content, place)
    if not whole:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    answer = Response(sent, 200 if whole else 206, headers, direct_passthrough=True)
    answer.call_on_close(sent.close)  # also where nothing of it was read
    return answer


class _Place:
    """One reader's place, left once, by whichever thread."""

    def __init__(self, reader: Hashable) -> None:
        """:raises DownloadsBusy: there is none."""
        if not _places.take(reader, at_once=AT_ONCE, each=AT_ONCE_EACH):
            raise DownloadsBusy(2)
        self._reader, self._held, self._guard = reader, True, Lock()

    def leave(self) -> None:
        with self._guard:
            held, self._held = self._held, False
        if held:
            _places.give(self._reader)


class _Sent:
    """What the server iterates over, and closes."""

    def __init__(self, content: Content, place: _Place | None) -> None:
        self._content, self._place = content, place

    def __iter__(self) -> Iterator[bytes]:
        yield from self._content  # and lives as long as this does

    def close(self) -> None:
        self._content.close()
        if self._place is not None:
            self._place.leave()

    __del__ = close  # an answer that another one has replaced is closed by nobody


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
